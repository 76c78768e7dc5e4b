
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * POST /decisions: decides several actions.  Each decision is like any other,
 * with a vote of its own; they are taken one after the other.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_SEVERAL_H
#define NGX_HTTP_APPROVAL_DESK_SEVERAL_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


ngx_int_t ngx_http_approval_several(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_SEVERAL_H */
