
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
ngx_http_approval_identify(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule,
    ngx_str_t *requester, ngx_str_t *reason,
    ngx_http_approval_refusal_e *refusal)
{
    ngx_str_t                       on_behalf;
    ngx_http_approval_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);

    ngx_str_null(requester);

    if ((lcf->requester
         && ngx_http_complex_value(r, lcf->requester, requester) != NGX_OK)
        || ngx_http_complex_value(r, lcf->on_behalf, &on_behalf) != NGX_OK
        || ngx_http_complex_value(r, lcf->reason, reason) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* somebody who cannot be read could not be kept from approving either */

    if (!ngx_http_approval_identified(mcf->people, requester)
        || (on_behalf.len
            && !ngx_http_approval_identified(mcf->people, &on_behalf)))
    {
        *refusal = NGX_HTTP_APPROVAL_REFUSE_IDENTITY;
        return NGX_DECLINED;
    }

    if (rule->reason
        && approval_blank(ngx_http_approval_core_str(reason)))
    {
        *refusal = NGX_HTTP_APPROVAL_REFUSE_REASON;
        return NGX_DECLINED;
    }

    return NGX_OK;
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
