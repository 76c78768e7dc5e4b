
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Who asks, and why: without an identity that can be kept from approving, and
 * without a reason where one is required, nobody is asked.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"
#include "core/escape.h"


static ngx_uint_t ngx_http_approval_identified(approval_people_t *people,
    ngx_str_t *identity);


ngx_int_t
ngx_http_approval_identify(ngx_http_approval_look_t *look,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule,
    ngx_http_approval_identity_t *identity)
{
    ngx_int_t                       rc;
    ngx_http_approval_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(look->request,
                                        ngx_http_approval_module);

    ngx_memzero(identity, sizeof(ngx_http_approval_identity_t));

    /* one of two readers would see another person */

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

    /* somebody who cannot be read could not be kept from approving either */

    if (!ngx_http_approval_identified(mcf->people, &identity->requester)
        || (identity->on_behalf.len
            && !ngx_http_approval_identified(mcf->people,
                                             &identity->on_behalf)))
    {
        identity->refusal = NGX_HTTP_APPROVAL_REFUSE_IDENTITY;
        return NGX_DECLINED;
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


static ngx_uint_t
ngx_http_approval_identified(approval_people_t *people, ngx_str_t *identity)
{
    int              rc;
    const char      *err;
    approval_buf_t   person;

    approval_buf_init(&person);

    rc = approval_people_person(people, ngx_http_approval_core_str(identity),
                                &person, &err);

    approval_buf_free(&person);

    return rc == APPROVAL_OK;
}
