
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * W3C Trace Context: finds the trace that a request is part of, in its header,
 * or, if it is a call of the Model Context Protocol, in "_meta".  No decision
 * depends on it, and it is forwarded unchanged.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/request.h"


#define NGX_HTTP_APPROVAL_TRACE_LEN  55     /* of version 00 */


static ngx_uint_t ngx_http_approval_trace_valid(ngx_str_t *trace);


ngx_uint_t
ngx_http_approval_trace(ngx_http_request_t *r, ngx_http_approval_body_t *body,
    ngx_str_t *trace)
{
    json_t  *value;

    /* the specification ignores the header if there are two */

    if (ngx_http_approval_header_find(r, "traceparent", trace) == 1
        && ngx_http_approval_trace_valid(trace))
    {
        return 1;
    }

    if (body == NULL || body->json == NULL) {
        return 0;
    }

    value = json_object_get(json_object_get(body->json, "params"), "_meta");
    value = json_object_get(value, "traceparent");

    if (!json_is_string(value)) {
        return 0;
    }

    trace->data = (u_char *) json_string_value(value);
    trace->len = json_string_length(value);

    return ngx_http_approval_trace_valid(trace);
}


/*
 * "00-", then 32, 16 and 2 hexadecimal digits with "-" between them.  The first
 * two numbers must not be 0.
 */

static ngx_uint_t
ngx_http_approval_trace_valid(ngx_str_t *trace)
{
    size_t   i;
    u_char   c;
    u_char  *p;

    static u_char  zeros[] = "00000000000000000000000000000000";

    p = trace->data;

    if (trace->len != NGX_HTTP_APPROVAL_TRACE_LEN
        || ngx_memcmp(p, "00-", 3) != 0
        || ngx_memcmp(p + 3, zeros, 32) == 0
        || ngx_memcmp(p + 36, zeros, 16) == 0)
    {
        return 0;
    }

    for (i = 3; i < trace->len; i++) {
        c = p[i];

        if (i == 35 || i == 52) {
            if (c != '-') {
                return 0;
            }

        } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return 0;
        }
    }

    return 1;
}
