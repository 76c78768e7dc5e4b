
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The error objects of the OpenAI and Anthropic APIs: their SDKs show
 * error.message.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/form.h"


/* Error types that differ between the two APIs. */

typedef struct {
    const char  *too_large;
    const char  *timeout;
    const char  *server;
} ngx_http_approval_llm_types_t;


static json_t *ngx_http_approval_llm_error(ngx_http_approval_refuse_t *answer,
    const ngx_http_approval_llm_types_t *types);
static const char *ngx_http_approval_llm_type(ngx_uint_t status,
    const ngx_http_approval_llm_types_t *types);


ngx_int_t
ngx_http_approval_answer_openai(ngx_http_approval_refuse_t *answer)
{
    static const ngx_http_approval_llm_types_t  types = {
        "invalid_request_error", "server_error", "server_error"
    };

    return ngx_http_approval_send_json(answer->request, answer->status,
                         "application/json",
                         json_pack("{s:o}", "error",
                                   ngx_http_approval_llm_error(answer,
                                                               &types)));
}


ngx_int_t
ngx_http_approval_answer_anthropic(ngx_http_approval_refuse_t *answer)
{
    static const ngx_http_approval_llm_types_t  types = {
        "request_too_large", "timeout_error", "api_error"
    };

    return ngx_http_approval_send_json(answer->request, answer->status,
                         "application/json",
                         json_pack("{s:s, s:o}", "type", "error", "error",
                                   ngx_http_approval_llm_error(answer,
                                                               &types)));
}


static json_t *
ngx_http_approval_llm_error(ngx_http_approval_refuse_t *answer,
    const ngx_http_approval_llm_types_t *types)
{
    return json_pack("{s:s, s:o, s:o, s:n, s:o}",
                     "type", ngx_http_approval_llm_type(answer->status, types),
                     "message", ngx_http_approval_answer_message(answer),
                     "code", json_sprintf("urn:approval:%s",
                                          answer->refusal->type),
                     "param",
                     "approval", ngx_http_approval_answer_facts(answer));
}


static const char *
ngx_http_approval_llm_type(ngx_uint_t status,
    const ngx_http_approval_llm_types_t *types)
{
    switch (status) {

    case NGX_HTTP_FORBIDDEN:
        return "permission_error";

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        return types->too_large;

    case NGX_HTTP_TOO_MANY_REQUESTS:
        return "rate_limit_error";

    case NGX_HTTP_GATEWAY_TIME_OUT:
        return types->timeout;

    default:
        return (status >= NGX_HTTP_INTERNAL_SERVER_ERROR)
               ? types->server : "invalid_request_error";
    }
}
