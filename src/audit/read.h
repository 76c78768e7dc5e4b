
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The trail, read for somebody: piece by piece, by a thread.
 */


#ifndef NGX_HTTP_APPROVAL_AUDIT_READ_H
#define NGX_HTTP_APPROVAL_AUDIT_READ_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/audit.h"

#include "core/export.h"


#define NGX_HTTP_APPROVAL_AUDIT_READERS  2      /* at once, of a worker */


typedef struct ngx_http_approval_audit_read_s  ngx_http_approval_audit_read_t;

/*
 * NGX_OK: there is more, NGX_DONE: that was all, NGX_ERROR: logged, and *err
 * says why.  piece is good until the next one is asked for.
 */
typedef void (*ngx_http_approval_audit_read_pt)(void *data, ngx_int_t rc,
    ngx_err_t err, approval_str_t piece);


/* NULL: no memory. */
ngx_http_approval_audit_read_t *ngx_http_approval_audit_read_create(
    ngx_http_approval_main_conf_t *mcf, const approval_wanted_t *wanted,
    ngx_http_approval_audit_read_pt handler, void *data);

/* Is there one that another reader would wait for; are there threads? */
ngx_uint_t ngx_http_approval_audit_read_busy(void);
ngx_uint_t ngx_http_approval_audit_read_able(
    ngx_http_approval_main_conf_t *mcf);

/*
 * Asks for the next piece, which may be empty; the handler is called from the
 * event loop, never at once.
 */
ngx_int_t ngx_http_approval_audit_read_next(
    ngx_http_approval_audit_read_t *read);

/* At any time; the handler is not called any more. */
void ngx_http_approval_audit_read_close(ngx_http_approval_audit_read_t *read);


#endif /* NGX_HTTP_APPROVAL_AUDIT_READ_H */
