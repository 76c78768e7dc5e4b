
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET /events and /actions/ID/events: server-sent events that tell a page
 * that its content may have changed.  They have no content: the page is
 * requested again, and access to it is checked then.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_LIVE_H
#define NGX_HTTP_APPROVAL_DESK_LIVE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


ngx_int_t ngx_http_approval_live_inbox(ngx_http_approval_desk_t *d);
ngx_int_t ngx_http_approval_live_action(ngx_http_approval_desk_t *d);

void ngx_http_approval_live_init(ngx_cycle_t *cycle);


#endif /* NGX_HTTP_APPROVAL_DESK_LIVE_H */
