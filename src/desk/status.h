
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET /status/ID: what a requester polls.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_STATUS_H
#define NGX_HTTP_APPROVAL_DESK_STATUS_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


ngx_int_t ngx_http_approval_status(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_STATUS_H */
