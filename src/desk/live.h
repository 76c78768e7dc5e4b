
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET /events and /actions/ID/events: server-sent events which tell a page that
 * what it shows may have changed.  They have no content: the page is asked for
 * again, and whoever may see it, sees it.
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
