
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Slack's response_url: a message is replaced, or the one who pressed a button
 * is told why not.
 */


#ifndef NGX_HTTP_APPROVAL_RESPOND_H
#define NGX_HTTP_APPROVAL_RESPOND_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/sender.h"


/*
 * One attempt; a failure is logged.  url came from outside, signed: it must be
 * https://hooks.slack.com/... or of the channel's own host.
 */
void ngx_http_approval_respond(ngx_http_approval_sender_t *sender,
    ngx_http_approval_channel_t *channel, ngx_str_t *url, u_char *id,
    approval_buf_t *body);


#endif /* NGX_HTTP_APPROVAL_RESPOND_H */
