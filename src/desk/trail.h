
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Reads the audit trail for a request of an auditor.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_TRAIL_H
#define NGX_HTTP_APPROVAL_DESK_TRAIL_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/read.h"
#include "desk/request.h"


typedef struct ngx_http_approval_trail_s  ngx_http_approval_trail_t;

/*
 * Gets a piece: rc is NGX_OK if there is more, NGX_DONE if it is the last one.
 * NGX_ERROR: after the header was sent, the rest could not be read.  Returns
 * NGX_AGAIN while it waits, otherwise the code to finalize the request with.
 */
typedef ngx_int_t (*ngx_http_approval_trail_pt)(ngx_http_approval_desk_t *d,
    ngx_int_t rc, approval_str_t piece);


/*
 * Returns NGX_AGAIN if the trail is read; the reader ends with the request.
 * Otherwise it cannot be read now, and this is the code to finalize with.
 */
ngx_int_t ngx_http_approval_trail_read(ngx_http_approval_desk_t *d,
    const approval_wanted_t *wanted, ngx_http_approval_trail_pt handler,
    ngx_http_approval_trail_t **trail);

/* Requests the next piece: NGX_AGAIN or NGX_ERROR. */
ngx_int_t ngx_http_approval_trail_next(ngx_http_approval_trail_t *trail);


#endif /* NGX_HTTP_APPROVAL_DESK_TRAIL_H */
