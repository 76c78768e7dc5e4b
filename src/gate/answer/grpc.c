
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * gRPC, trailers only: the status is in the header, and there is no body.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/form.h"


static ngx_int_t ngx_http_approval_grpc_message(
    ngx_http_approval_refuse_t *answer);
static const char *ngx_http_approval_grpc_type(ngx_http_request_t *r);


/* The types differ only in the format of bodies, and no body is sent. */

static const char  *ngx_http_approval_grpc_types[] = {
    "application/grpc-web-text", "application/grpc-web", "application/grpc",
    NULL
};


ngx_int_t
ngx_http_approval_answer_grpc(ngx_http_approval_refuse_t *answer)
{
    ngx_http_request_t  *r;

    r = answer->request;

    if (ngx_http_approval_header_int(r, "grpc-status", answer->refusal->grpc)
        != NGX_OK
        || ngx_http_approval_grpc_message(answer) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->header_only = 1;

    return ngx_http_approval_send(r, NGX_HTTP_OK,
                                  ngx_http_approval_grpc_type(r),
                                  approval_str(""));
}


/* Percent-encodes "%" and all but the printable characters of ASCII. */

static ngx_int_t
ngx_http_approval_grpc_message(ngx_http_approval_refuse_t *answer)
{
    size_t          i;
    u_char          c;
    ngx_int_t       rc;
    approval_buf_t  text, message;

    approval_buf_init(&text);
    approval_buf_init(&message);

    ngx_http_approval_answer_text(answer, &text);

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (c < 0x20 || c > 0x7e || c == '%') {
            approval_buf_printf(&message, "%%%02X", c);

        } else {
            approval_buf_addc(&message, c);
        }
    }

    rc = (text.failed || message.failed)
         ? NGX_ERROR
         : ngx_http_approval_header(answer->request, "grpc-message",
                                    approval_buf_str(&message));

    approval_buf_free(&text);
    approval_buf_free(&message);

    return rc;
}


ngx_uint_t
ngx_http_approval_answer_is_grpc(ngx_http_request_t *r)
{
    return ngx_http_approval_grpc_type(r) != NULL;
}


static const char *
ngx_http_approval_grpc_type(ngx_http_request_t *r)
{
    size_t       len;
    ngx_str_t   *value;
    const char **type;

    if (r->headers_in.content_type == NULL) {
        return NULL;
    }

    value = &r->headers_in.content_type->value;

    for (type = ngx_http_approval_grpc_types; *type; type++) {
        len = ngx_strlen(*type);

        if (value->len >= len
            && ngx_strncasecmp(value->data, (u_char *) *type, len) == 0
            && (value->len == len || ngx_strchr("+; ", value->data[len])))
        {
            return *type;
        }
    }

    return NULL;
}
