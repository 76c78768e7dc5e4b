
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET /.well-known/jwks.json: the public keys that verify receipts.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_JWKS_H
#define NGX_HTTP_APPROVAL_DESK_JWKS_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


ngx_int_t ngx_http_approval_jwks(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_JWKS_H */
