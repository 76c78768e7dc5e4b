
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET /audit: an excerpt of the trail, with proofs.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_AUDIT_H
#define NGX_HTTP_APPROVAL_DESK_AUDIT_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


ngx_int_t ngx_http_approval_export(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_AUDIT_H */
