
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The Anthropic API's error object: its SDKs show error.message.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/form.h"


static const char *ngx_http_approval_anthropic_type(ngx_uint_t status);


ngx_int_t
ngx_http_approval_answer_anthropic(ngx_http_approval_refuse_t *answer)
{
    json_t          *error, *facts;
    approval_buf_t   text;

    approval_buf_init(&text);

    ngx_http_approval_answer_text(answer, &text);

    facts = ngx_http_approval_answer_facts(answer);

    if (facts) {
        json_object_set_new(facts, "type",
                            json_sprintf("urn:approval:%s",
                                         answer->refusal->type));
    }

    error = text.failed
            ? NULL
            : json_pack("{s:s, s:{s:s, s:s, s:O}}", "type", "error", "error",
                        "type",
                        ngx_http_approval_anthropic_type(answer->status),
                        "message", (char *) text.data,
                        "approval", facts);

    json_decref(facts);
    approval_buf_free(&text);

    return ngx_http_approval_send_json(answer->request, answer->status,
                                       "application/json", error);
}


static const char *
ngx_http_approval_anthropic_type(ngx_uint_t status)
{
    switch (status) {

    case NGX_HTTP_FORBIDDEN:
        return "permission_error";

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        return "request_too_large";

    case NGX_HTTP_TOO_MANY_REQUESTS:
        return "rate_limit_error";

    case NGX_HTTP_GATEWAY_TIME_OUT:
        return "timeout_error";

    default:
        return (status >= NGX_HTTP_INTERNAL_SERVER_ERROR)
               ? "api_error" : "invalid_request_error";
    }
}
