
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Slack's response_url: replaces a message, or tells the person who pressed a
 * button why nothing was done.
 */


#ifndef NGX_HTTP_APPROVAL_RESPOND_H
#define NGX_HTTP_APPROVAL_RESPOND_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/sender.h"


/*
 * Makes one attempt; a failure is logged.  url comes from a signed request, and
 * must be https://hooks.slack.com/... or on the channel's own host.
 */
void ngx_http_approval_respond(ngx_http_approval_sender_t *sender,
    ngx_http_approval_channel_t *channel, ngx_str_t *url, u_char *id,
    approval_buf_t *body);


#endif /* NGX_HTTP_APPROVAL_RESPOND_H */
