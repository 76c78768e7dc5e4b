
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET /manifest: for agents, what may be held here, and how to behave.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_MANIFEST_H
#define NGX_HTTP_APPROVAL_DESK_MANIFEST_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


ngx_int_t ngx_http_approval_manifest(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_MANIFEST_H */
