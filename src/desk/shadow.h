
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET /shadow: what rules in mode shadow would have held.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_SHADOW_H
#define NGX_HTTP_APPROVAL_DESK_SHADOW_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


ngx_int_t ngx_http_approval_shadow_report(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_SHADOW_H */
