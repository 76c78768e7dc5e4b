
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Identifies the requester and reads the reason.  A request needs an identity,
 * so that its requester can be kept from approving it, and a reason if the rule
 * requires one.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"
#include "core/escape.h"


ngx_int_t
ngx_http_approval_identify(ngx_http_approval_look_t *look,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule,
    ngx_http_approval_identity_t *identity)
{
    ngx_int_t  rc;

    ngx_memzero(identity, sizeof(ngx_http_approval_identity_t));

    /* with two readings, the upstream might see another person */

    rc = lcf->requester
         ? ngx_http_approval_identify_one(look, rule, lcf->requester,
                                          &identity->requester, identity)
         : NGX_OK;

    if (rc == NGX_OK) {
        rc = ngx_http_approval_identify_one(look, rule, lcf->on_behalf,
                                            &identity->on_behalf, identity);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_approval_read_text(look, lcf->reason, &identity->reason)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* an invalid identity could not be kept from approving */

    rc = ngx_http_approval_identify_person(look->request,
                                           &identity->requester,
                                           &identity->person);

    if (rc == NGX_OK && identity->on_behalf.len) {
        rc = ngx_http_approval_identify_person(look->request,
                                               &identity->on_behalf,
                                               &identity->on_behalf_person);
    }

    if (rc != NGX_OK) {
        identity->refusal = NGX_HTTP_APPROVAL_REFUSE_IDENTITY;
        return rc;
    }

    if (rule->reason
        && approval_blank(ngx_http_approval_core_str(&identity->reason)))
    {
        identity->refusal = NGX_HTTP_APPROVAL_REFUSE_REASON;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_identify_one(ngx_http_approval_look_t *look,
    ngx_http_approval_rule_t *rule, ngx_http_approval_fact_t *fact,
    ngx_str_t *value, ngx_http_approval_identity_t *identity)
{
    ngx_int_t                  rc;
    ngx_http_approval_fact_t  *differs;

    rc = ngx_http_approval_read_one(look, fact, value);

    if (rc == NGX_DECLINED) {
        differs = ngx_http_approval_read_differs(look, fact);

        identity->refusal = ngx_http_approval_judge_refusal(differs);
        identity->why = ngx_http_approval_tell_readings(look, rule, differs);
    }

    return rc;
}


ngx_int_t
ngx_http_approval_identify_person(ngx_http_request_t *r, ngx_str_t *identity,
    ngx_str_t *person)
{
    int                             rc;
    ngx_str_t                       value;
    const char                     *err;
    approval_buf_t                  buf;
    ngx_http_approval_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);

    approval_buf_init(&buf);

    rc = approval_people_person(mcf->people,
                                ngx_http_approval_core_str(identity), &buf,
                                &err);
    if (rc == APPROVAL_OK) {
        value.data = buf.data;
        value.len = buf.len;

        person->len = value.len;
        person->data = ngx_pstrdup(r->pool, &value);

        rc = person->data ? APPROVAL_OK : APPROVAL_ERROR;
    }

    approval_buf_free(&buf);

    return (rc == APPROVAL_OK) ? NGX_OK
                               : (rc == APPROVAL_ERROR) ? NGX_ERROR
                                                        : NGX_DECLINED;
}
