
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The trail: what happened, one chained line each.
 */


#ifndef NGX_HTTP_APPROVAL_AUDIT_H
#define NGX_HTTP_APPROVAL_AUDIT_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/checkpoint.h"
#include "core/record.h"
#include "model/policy.h"


typedef struct ngx_http_approval_audit_conf_s  ngx_http_approval_audit_conf_t;
typedef struct ngx_http_approval_audit_s       ngx_http_approval_audit_t;


typedef enum {
    NGX_HTTP_APPROVAL_SYNC_OFF = 0,      /* durable when the kernel likes     */
    NGX_HTTP_APPROVAL_SYNC_GROUP,        /* one fdatasync() for all that wait */
    NGX_HTTP_APPROVAL_SYNC_ALWAYS        /* one a record, the worker waits    */
} ngx_http_approval_sync_e;


struct ngx_http_approval_audit_conf_s {
    ngx_open_file_t               *file;        /* reopened on USR1          */
    ngx_uint_t                     sync;        /* ..._sync_e                */
    void                          *threads;     /* ngx_thread_pool_t, group  */
};


/*
 * A worker's writer: one chain from init_process to exit_process.  destroy()
 * ends the chain; it goes before the store, which takes its last head.
 */
ngx_http_approval_audit_t *ngx_http_approval_audit_create(
    ngx_http_approval_main_conf_t *mcf, ngx_log_t *log);
void ngx_http_approval_audit_destroy(ngx_http_approval_audit_t *audit);

/*
 * Appends one event of "type" (model/audit.def) on action "id" (NULL: none).  fields is an object whose reference is taken, or NULL.  NGX_ERROR:
 * the record is not in the file; NGX_DECLINED: it is, and may not be on the
 * disk; logged; in either case what depends on it must be refused.
 * What has happened already and cannot be refused ("executed", ...) is kept
 * and written when it can be.  Without approval_audit it is NGX_OK, and
 * nothing is written.
 */
ngx_int_t ngx_http_approval_audit(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields);

/*
 * The same of what outsiders can cause without limit, and what nothing depends
 * on: after the first ones of a kind it may only be counted.
 */
ngx_int_t ngx_http_approval_audit_often(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields);

/*
 * The same of what should have been refused without its record, and could not
 * be any more: it is kept as what has happened.
 */
void ngx_http_approval_audit_late(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields);


/*
 * Waits until everything that was appended so far is durable.  The wait is a
 * part of its owner, who may cancel it at any time; handler is called once,
 * from the event loop, with NGX_OK or NGX_ERROR, and may do anything.
 */

typedef struct {
    ngx_queue_t                    queue;
    void                         (*handler)(void *data, ngx_int_t rc);
    void                          *data;
    uint64_t                       seq;
    unsigned                       active:1;
} ngx_http_approval_audit_wait_t;

/*
 * NGX_AGAIN: the handler will be called; NGX_OK: there is nothing to wait for;
 * NGX_ERROR: there is no audit where there should be one.
 */
ngx_int_t ngx_http_approval_audit_sync(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_audit_wait_t *wait);
void ngx_http_approval_audit_cancel(ngx_http_approval_audit_wait_t *wait);


/*
 * The chain's present head, WRITER/SEQ/HASH, for a notification: a copy that
 * is out of this host's reach.  0: there is none.
 */
size_t ngx_http_approval_audit_head(ngx_http_approval_audit_t *audit,
    u_char dst[APPROVAL_HEAD_LEN + 1]);


/* For the metrics: failed appends and syncs; records; checkpoints; syncs. */

typedef struct {
    ngx_uint_t                     errors;
    ngx_uint_t                     records;
    ngx_uint_t                     checkpoints;
    ngx_uint_t                     syncs;
    ngx_uint_t                     waiting;     /* kept until they can be
                                                   written                   */
    ngx_uint_t                     failing;     /* 1: it cannot be written   */
} ngx_http_approval_audit_stats_t;

void ngx_http_approval_audit_stats(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_audit_stats_t *stats);


#endif /* NGX_HTTP_APPROVAL_AUDIT_H */
