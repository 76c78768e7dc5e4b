
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The variables $approval_*: they work at any time and after any redirect.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


static ngx_int_t ngx_http_approval_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_approval_variable_arg(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_approval_variable_set(ngx_http_variable_value_t *v,
    u_char *data, size_t len);


typedef enum {
    NGX_HTTP_APPROVAL_VAR_ID,
    NGX_HTTP_APPROVAL_VAR_STATUS,
    NGX_HTTP_APPROVAL_VAR_RULE,
    NGX_HTTP_APPROVAL_VAR_ACTION,
    NGX_HTTP_APPROVAL_VAR_APPROVERS,
    NGX_HTTP_APPROVAL_VAR_WAIT,
    NGX_HTTP_APPROVAL_VAR_DIGEST,
    NGX_HTTP_APPROVAL_VAR_REASON
} ngx_http_approval_variable_e;


static ngx_http_variable_t  ngx_http_approval_vars[] = {

    { ngx_string("approval_id"), NULL, ngx_http_approval_variable,
      NGX_HTTP_APPROVAL_VAR_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("approval_status"), NULL, ngx_http_approval_variable,
      NGX_HTTP_APPROVAL_VAR_STATUS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("approval_rule"), NULL, ngx_http_approval_variable,
      NGX_HTTP_APPROVAL_VAR_RULE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("approval_action"), NULL, ngx_http_approval_variable,
      NGX_HTTP_APPROVAL_VAR_ACTION, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("approval_approvers"), NULL, ngx_http_approval_variable,
      NGX_HTTP_APPROVAL_VAR_APPROVERS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("approval_wait"), NULL, ngx_http_approval_variable,
      NGX_HTTP_APPROVAL_VAR_WAIT, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("approval_digest"), NULL, ngx_http_approval_variable,
      NGX_HTTP_APPROVAL_VAR_DIGEST, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("approval_reason"), NULL, ngx_http_approval_variable,
      NGX_HTTP_APPROVAL_VAR_REASON, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("approval_arg_"), NULL, ngx_http_approval_variable_arg,
      0, NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_approval_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_approval_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    u_char                    *p;
    ngx_str_t                 *name;
    ngx_msec_int_t             ms;
    ngx_http_approval_hold_t  *hold;
    ngx_http_approval_rule_t  *rule;

    hold = ngx_http_approval_hold_of(r);

    if (hold == NULL
        || (hold->state == NGX_HTTP_APPROVAL_HOLD_PASSED
            && hold->action.origin == NGX_HTTP_APPROVAL_ACTION_NONE))
    {
        v->not_found = 1;
        return NGX_OK;
    }

    rule = hold->verdict->rule;

    switch (data) {

    case NGX_HTTP_APPROVAL_VAR_ID:
        return ngx_http_approval_variable_set(v, hold->action.id,
                                      ngx_http_approval_hold_stored(hold)
                                      ? APPROVAL_ID_LEN : 0);

    case NGX_HTTP_APPROVAL_VAR_STATUS:

        if (ngx_http_approval_hold_stored(hold)) {
            name = ngx_http_approval_state_name(hold->action.state);
            return ngx_http_approval_variable_set(v, name->data, name->len);
        }

        if (hold->action.origin == NGX_HTTP_APPROVAL_ACTION_UNSTORED) {
            return ngx_http_approval_variable_set(v, (u_char *) "unstored", 8);
        }

        return ngx_http_approval_variable_set(v, (u_char *) "refused", 7);

    case NGX_HTTP_APPROVAL_VAR_RULE:
        return rule ? ngx_http_approval_variable_set(v, rule->name.data,
                                                     rule->name.len)
                    : ngx_http_approval_variable_set(v, NULL, 0);

    case NGX_HTTP_APPROVAL_VAR_ACTION:
        return rule ? ngx_http_approval_variable_set(v, rule->action.data,
                                                     rule->action.len)
                    : ngx_http_approval_variable_set(v, NULL, 0);

    case NGX_HTTP_APPROVAL_VAR_APPROVERS:
        return ngx_http_approval_variable_set(v, hold->action.approvers.data,
                                              hold->action.approvers.len);

    case NGX_HTTP_APPROVAL_VAR_DIGEST:
        return ngx_http_approval_variable_set(v, (u_char *) hold->action.digest,
                                              hold->action.digest[0]
                                              ? APPROVAL_DIGEST_LEN : 0);

    case NGX_HTTP_APPROVAL_VAR_REASON:
        return ngx_http_approval_variable_set(v,
                                              hold->verdict->who.reason.data,
                                              hold->verdict->who.reason.len);

    default: /* NGX_HTTP_APPROVAL_VAR_WAIT */
        break;
    }

    p = ngx_pnalloc(r->pool, NGX_TIME_T_LEN + 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ms = (ngx_msec_int_t) ((hold->resumed ? hold->resumed : ngx_current_msec)
                           - hold->started);
    ms = ngx_max(ms, 0);

    return ngx_http_approval_variable_set(v, p,
                        ngx_sprintf(p, "%T.%03M", (time_t) ms / 1000,
                                    (ngx_msec_t) ms % 1000)
                        - p);
}


static ngx_int_t
ngx_http_approval_variable_arg(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *name = (ngx_str_t *) data;

    size_t                        len;
    u_char                       *p;
    ngx_uint_t                    i;
    ngx_http_approval_hold_t     *hold;
    ngx_http_approval_capture_t  *captures;

    len = name->len - (sizeof("approval_arg_") - 1);
    p = name->data + sizeof("approval_arg_") - 1;

    hold = ngx_http_approval_hold_of(r);

    if (hold && hold->verdict->captures) {
        captures = hold->verdict->captures->elts;

        for (i = 0; i < hold->verdict->captures->nelts; i++) {
            if (captures[i].name.len == len
                && ngx_strncmp(captures[i].name.data, p, len) == 0)
            {
                return ngx_http_approval_variable_set(v,
                                                     captures[i].value.data,
                                                     captures[i].value.len);
            }
        }
    }

    v->not_found = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_variable_set(ngx_http_variable_value_t *v, u_char *data,
    size_t len)
{
    v->len = len;
    v->data = data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = (len == 0);

    return NGX_OK;
}
