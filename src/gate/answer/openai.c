
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The OpenAI API's error object: its SDKs show error.message.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/form.h"


static const char *ngx_http_approval_openai_type(ngx_uint_t status);


ngx_int_t
ngx_http_approval_answer_openai(ngx_http_approval_refuse_t *answer)
{
    json_t          *error, *facts;
    approval_buf_t   text;

    approval_buf_init(&text);

    ngx_http_approval_answer_text(answer, &text);

    facts = ngx_http_approval_answer_facts(answer);

    error = text.failed
            ? NULL
            : json_pack("{s:{s:s, s:s, s:n, s:o, s:O}}", "error",
                        "message", (char *) text.data,
                        "type", ngx_http_approval_openai_type(answer->status),
                        "param",
                        "code", json_sprintf("urn:approval:%s",
                                             answer->refusal->type),
                        "approval", facts);

    json_decref(facts);
    approval_buf_free(&text);

    return ngx_http_approval_send_json(answer->request, answer->status,
                                       "application/json", error);
}


static const char *
ngx_http_approval_openai_type(ngx_uint_t status)
{
    switch (status) {

    case NGX_HTTP_FORBIDDEN:
        return "permission_error";

    case NGX_HTTP_TOO_MANY_REQUESTS:
        return "rate_limit_error";

    default:
        return (status >= NGX_HTTP_INTERNAL_SERVER_ERROR)
               ? "server_error" : "invalid_request_error";
    }
}
