
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The types of channels: how a message is written for each.  What carries it
 * knows nothing of this, and a type nothing of what carries it.
 */


#ifndef NGX_HTTP_APPROVAL_CHANNEL_H
#define NGX_HTTP_APPROVAL_CHANNEL_H


#include "model/action.h"


/* What is said, and to whom. */

typedef struct {
    json_t                        *doc;
    u_char                        *id;
    int64_t                        created;     /* ms */
    int64_t                        expires;     /* ms */
    ngx_uint_t                     recent;
    ngx_http_approval_channel_t   *channel;
    approval_str_t                 approver;    /* len 0: everyone's message */
    approval_str_t                 url;         /* the approver's own, or the
                                                   shared one; len 0: none   */
} ngx_http_approval_content_t;


/*
 * body:     appends the message's body; made once for all attempts.
 * headers:  pushes the attempt's headers (ngx_keyval_t, from the pool), but
 *           for Content-Type and Content-Length.
 */

typedef struct {
    ngx_str_t                      content_type;

    ngx_int_t                    (*body)(
                                       const ngx_http_approval_content_t *c,
                                       approval_buf_t *out);
    ngx_int_t                    (*headers)(ngx_pool_t *pool,
                                       ngx_http_approval_channel_t *channel,
                                       ngx_str_t *message_id, ngx_str_t *body,
                                       time_t now, ngx_array_t *headers);
} ngx_http_approval_format_t;


/* The row of a type, or NULL. */
const ngx_http_approval_format_t *ngx_http_approval_format(ngx_uint_t type);


/* webhook.c */
ngx_int_t ngx_http_approval_webhook_body(const ngx_http_approval_content_t *c,
    approval_buf_t *out);
ngx_int_t ngx_http_approval_webhook_headers(ngx_pool_t *pool,
    ngx_http_approval_channel_t *channel, ngx_str_t *message_id,
    ngx_str_t *body, time_t now, ngx_array_t *headers);


#endif /* NGX_HTTP_APPROVAL_CHANNEL_H */
