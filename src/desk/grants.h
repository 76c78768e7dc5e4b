
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET /grants, DELETE /grants/ID: approvals that are remembered.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_GRANTS_H
#define NGX_HTTP_APPROVAL_DESK_GRANTS_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


/* For the content handler: grants that the person could decide on or use. */
ngx_int_t ngx_http_approval_grants(ngx_http_approval_desk_t *d);
ngx_int_t ngx_http_approval_grants_revoke(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_GRANTS_H */
