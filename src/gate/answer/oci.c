
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The errors of the OCI distribution API: clients of registries show their
 * messages, and do not retry after DENIED.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/form.h"


static const char *ngx_http_approval_oci_code(ngx_uint_t status);


ngx_int_t
ngx_http_approval_answer_oci(ngx_http_approval_refuse_t *answer)
{
    json_t  *detail;

    detail = ngx_http_approval_answer_facts(answer);

    json_object_set_new(detail, "type",
                        json_sprintf("urn:approval:%s", answer->refusal->type));

    return ngx_http_approval_send_json(answer->request, answer->status,
                         "application/json",
                         json_pack("{s:[{s:s, s:o, s:o}]}", "errors",
                                   "code",
                                   ngx_http_approval_oci_code(answer->status),
                                   "message",
                                   ngx_http_approval_answer_message(answer),
                                   "detail", detail));
}


static const char *
ngx_http_approval_oci_code(ngx_uint_t status)
{
    if (status == NGX_HTTP_TOO_MANY_REQUESTS) {
        return "TOOMANYREQUESTS";
    }

    return (status >= NGX_HTTP_INTERNAL_SERVER_ERROR) ? "UNAVAILABLE"
                                                      : "DENIED";
}
