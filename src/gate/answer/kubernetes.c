
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The Kubernetes API's Status: kubectl and client-go show its message and use
 * its reason.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/form.h"


static const char *ngx_http_approval_kubernetes_reason(ngx_uint_t status);


ngx_int_t
ngx_http_approval_answer_kubernetes(ngx_http_approval_refuse_t *answer)
{
    json_t  *status, *details;

    details = json_object();

    if (answer->retry > 0) {
        json_object_set_new(details, "retryAfterSeconds",
                            json_integer(answer->retry));
    }

    if (ngx_http_approval_hold_stored(answer->hold)) {
        json_object_set_new(details, "uid",
                            json_stringn((char *) answer->hold->action.id,
                                         APPROVAL_ID_LEN));
    }

    json_object_set_new(details, "causes",
                        json_pack("[{s:o, s:s}]", "reason",
                                  json_sprintf("urn:approval:%s",
                                               answer->refusal->type),
                                  "message", answer->refusal->title));

    status = json_pack("{s:s, s:s, s:{}, s:s, s:o, s:s, s:o, s:i}",
                       "kind", "Status",
                       "apiVersion", "v1",
                       "metadata",
                       "status", "Failure",
                       "message", ngx_http_approval_answer_message(answer),
                       "reason",
                       ngx_http_approval_kubernetes_reason(answer->status),
                       "details", details,
                       "code", (int) answer->status);

    return ngx_http_approval_send_json(answer->request, answer->status,
                                       "application/json", status);
}


/* 409 is not "Conflict", after which clients retry by themselves. */

static const char *
ngx_http_approval_kubernetes_reason(ngx_uint_t status)
{
    switch (status) {

    case NGX_HTTP_BAD_REQUEST:
        return "BadRequest";

    case NGX_HTTP_FORBIDDEN:
        return "Forbidden";

    case NGX_HTTP_CONFLICT:
        return "AlreadyExists";

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        return "RequestEntityTooLarge";

    case NGX_HTTP_UNSUPPORTED_MEDIA_TYPE:
        return "UnsupportedMediaType";

    case NGX_HTTP_TOO_MANY_REQUESTS:
        return "TooManyRequests";

    case NGX_HTTP_INTERNAL_SERVER_ERROR:
        return "InternalError";

    case NGX_HTTP_SERVICE_UNAVAILABLE:
        return "ServiceUnavailable";

    case NGX_HTTP_GATEWAY_TIME_OUT:
        return "Timeout";

    default:
        return "Unknown";
    }
}
