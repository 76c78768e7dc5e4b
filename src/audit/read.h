
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Reads the audit trail for a request: piece by piece, in a thread.
 */


#ifndef NGX_HTTP_APPROVAL_AUDIT_READ_H
#define NGX_HTTP_APPROVAL_AUDIT_READ_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/audit.h"

#include "core/export.h"


#define NGX_HTTP_APPROVAL_AUDIT_READERS  2      /* per worker, at a time */


typedef struct ngx_http_approval_audit_read_s  ngx_http_approval_audit_read_t;

/*
 * NGX_OK: there is more; NGX_DONE: this was the last piece; NGX_ERROR: it is
 * logged, and *err says why.  piece is valid until the next one is requested.
 */
typedef void (*ngx_http_approval_audit_read_pt)(void *data, ngx_int_t rc,
    ngx_err_t err, approval_str_t piece);


/* NULL: no memory. */
ngx_http_approval_audit_read_t *ngx_http_approval_audit_read_create(
    ngx_http_approval_main_conf_t *mcf, const approval_wanted_t *wanted,
    ngx_http_approval_audit_read_pt handler, void *data);

/* Whether all readers are in use; whether nginx can read in a thread. */
ngx_uint_t ngx_http_approval_audit_read_busy(void);
ngx_uint_t ngx_http_approval_audit_read_able(
    ngx_http_approval_main_conf_t *mcf);

/*
 * Requests the next piece, which may be empty.  The handler is called from the
 * event loop, never from within this function.
 */
ngx_int_t ngx_http_approval_audit_read_next(
    ngx_http_approval_audit_read_t *read);

/* May be called at any time; the handler is not called any more. */
void ngx_http_approval_audit_read_close(ngx_http_approval_audit_read_t *read);


#endif /* NGX_HTTP_APPROVAL_AUDIT_READ_H */
