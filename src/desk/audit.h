
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

/*
 * Can the trail be read now?  Other than NGX_OK: answered, *rc is the code to
 * finalize with.
 */
ngx_int_t ngx_http_approval_export_able(ngx_http_approval_desk_t *d,
    ngx_int_t *rc);

/* Answers that the trail could not be read. */
ngx_int_t ngx_http_approval_export_unread(ngx_http_approval_desk_t *d,
    ngx_err_t err);


#endif /* NGX_HTTP_APPROVAL_DESK_AUDIT_H */
