
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_operators, approval_auditors and break_glass: who may do more than
 * vote.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


static ngx_int_t ngx_http_approval_conf_group_named(ngx_conf_t *cf,
    ngx_uint_t n);


/* approval_operators GROUP...;  approval_auditors GROUP...; */

char *
ngx_http_approval_conf_groups(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    ngx_array_t  **named;

    named = (ngx_array_t **) ((char *) conf + cmd->offset);

    if (*named) {
        return "is duplicate: list all groups in one directive";
    }

    *named = ngx_array_create(cf->pool, 2, sizeof(ngx_int_t));
    if (*named == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_http_approval_conf_keep_at(cf, named == &mcf->operators
                                       ? &mcf->operators_at
                                       : &mcf->auditors_at);

    return ngx_http_approval_conf_group_list(cf, 1, *named) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/*
 * Members of a group may be declared later; an empty group is rejected when the
 * whole configuration has been read.
 */

ngx_int_t
ngx_http_approval_conf_group_list(ngx_conf_t *cf, ngx_uint_t first,
    ngx_array_t *groups)
{
    ngx_int_t   *slot;
    ngx_uint_t   i;

    for (i = first; i < cf->args->nelts; i++) {
        slot = ngx_array_push(groups);
        if (slot == NULL) {
            return NGX_ERROR;
        }

        *slot = ngx_http_approval_conf_group_named(cf, i);
        if (*slot < 0) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_conf_group_named(ngx_conf_t *cf, ngx_uint_t n)
{
    ngx_str_t                 *value;
    ngx_http_approval_conf_t  *mcf;

    value = cf->args->elts;
    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    if (ngx_http_approval_conf_name(cf, &value[n]) != NGX_OK) {
        return NGX_ERROR;
    }

    return approval_people_group(mcf->people,
                                 ngx_http_approval_core_str(&value[n]));
}


/* break_glass GROUP; */

char *
ngx_http_approval_conf_break_glass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

    if (rule->break_glass != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    ngx_http_approval_conf_text(cf, rule->policy);

    rule->break_glass = ngx_http_approval_conf_group_named(cf, 1);

    return (rule->break_glass < 0) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


/* Otherwise, an empty group would be noticed only when it is needed. */

ngx_int_t
ngx_http_approval_check_members(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, const char *directive,
    ngx_array_t *groups, ngx_http_approval_at_t *at)
{
    ngx_int_t       *group;
    ngx_str_t        name;
    ngx_uint_t       i;
    approval_str_t   s;

    if (groups == NULL) {
        return NGX_OK;
    }

    group = groups->elts;

    for (i = 0; i < groups->nelts; i++) {

        if (approval_people_group_size(mcf->people, group[i])) {
            continue;
        }

        s = approval_people_group_name(mcf->people, group[i]);
        name.len = s.len;
        name.data = (u_char *) s.data;

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "group \"%V\" in \"%s\" has no members: declare them "
                      "with \"approval_group %V identity...\" in %s:%ui",
                      &name, directive, &name, ngx_http_approval_at(*at));
        return NGX_ERROR;
    }

    return NGX_OK;
}
