
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The trail: what happened, one chained line each.
 */


#ifndef NGX_HTTP_APPROVAL_AUDIT_H
#define NGX_HTTP_APPROVAL_AUDIT_H


#include "core/record.h"
#include "model/policy.h"


typedef struct ngx_http_approval_audit_conf_s  ngx_http_approval_audit_conf_t;
typedef struct ngx_http_approval_audit_s       ngx_http_approval_audit_t;

struct ngx_http_approval_audit_conf_s {
    ngx_open_file_t               *file;        /* reopened on USR1          */
};


/* A worker's writer: one chain from init_process to exit_process. */
ngx_http_approval_audit_t *ngx_http_approval_audit_create(
    ngx_http_approval_audit_conf_t *conf, ngx_log_t *log);
void ngx_http_approval_audit_destroy(ngx_http_approval_audit_t *audit);

/*
 * Appends one event of "type" ("requested", "voted", ...) on action "id" (NULL:
 * none).  fields is an object whose reference is taken, or NULL.  NGX_ERROR:
 * the record is not in the file; logged; what depends on it must be refused.
 * Without approval_audit it is NGX_OK, and nothing is written.
 */
ngx_int_t ngx_http_approval_audit(ngx_http_approval_main_conf_t *mcf,
    const char *type, u_char *id, json_t *fields);

/* Failed appends so far, for the metrics. */
ngx_uint_t ngx_http_approval_audit_errors(ngx_http_approval_audit_t *audit);


#endif /* NGX_HTTP_APPROVAL_AUDIT_H */
