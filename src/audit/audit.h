
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The audit trail: one chained line for each event.
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
    NGX_HTTP_APPROVAL_SYNC_OFF = 0,      /* written back by the kernel        */
    NGX_HTTP_APPROVAL_SYNC_GROUP,        /* one fdatasync() for all waiters   */
    NGX_HTTP_APPROVAL_SYNC_ALWAYS        /* one a record, blocks the worker   */
} ngx_http_approval_sync_e;


struct ngx_http_approval_audit_conf_s {
    ngx_open_file_t               *file;        /* reopened on USR1          */
    ngx_uint_t                     sync;        /* ..._sync_e                */
    void                          *threads;     /* ngx_thread_pool_t, group  */
    ngx_shm_zone_t                *once;
};


/*
 * A worker's writer: one chain from init_process to exit_process.  destroy()
 * ends the chain.  Call it before the store is destroyed, because the store
 * publishes the last head.
 */
ngx_http_approval_audit_t *ngx_http_approval_audit_create(
    ngx_http_approval_main_conf_t *mcf, ngx_log_t *log);
void ngx_http_approval_audit_destroy(ngx_http_approval_audit_t *audit);

/*
 * Appends one event of "type" (model/audit.def) about the action "id" (NULL:
 * none).  Takes the reference to fields, an object or NULL.
 *
 * NGX_ERROR: the record is not in the file.  NGX_DECLINED: it is in the file,
 * but perhaps not on the disk.  Both are logged, and the caller must refuse
 * what depends on the record.  Events that have happened and cannot be refused
 * ("executed", ...) are kept and written later.  Without approval_audit nothing
 * is written, and the result is NGX_OK.
 */
ngx_int_t ngx_http_approval_audit(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields);

/*
 * The same for events that outsiders can cause without limit, and on which
 * nothing depends: after the first ones of a kind they may only be counted.
 */
ngx_int_t ngx_http_approval_audit_often(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields);

/*
 * The same for an event of an action that a page repeats by itself: no worker
 * records it again with the same fields.
 */
ngx_int_t ngx_http_approval_audit_once(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields);
ngx_int_t ngx_http_approval_audit_once_zone(ngx_conf_t *cf,
    ngx_http_approval_audit_conf_t *acf);

/*
 * The same for an event that can no longer be refused although its record could
 * not be written: the record is kept and written later.
 */
void ngx_http_approval_audit_late(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields);


/*
 * Waits until everything that was appended so far is durable.  The owner of the
 * wait embeds it and may cancel it at any time.  The handler is called once,
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
 * NGX_AGAIN: the handler will be called.  NGX_OK: there is nothing to wait for.
 * NGX_ERROR: the trail is configured, but missing.
 */
ngx_int_t ngx_http_approval_audit_sync(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_audit_wait_t *wait);
void ngx_http_approval_audit_cancel(ngx_http_approval_audit_wait_t *wait);


/*
 * Writes the chain's current head, WRITER/SEQ/HASH, and returns its length, or
 * 0 if there is none.  A notification with it is a copy outside of this host.
 */
size_t ngx_http_approval_audit_head(ngx_http_approval_audit_t *audit,
    u_char dst[APPROVAL_HEAD_LEN + 1]);


/* For the metrics: failed appends and syncs; records; checkpoints; syncs. */

typedef struct {
    ngx_uint_t                     errors;
    ngx_uint_t                     records;
    ngx_uint_t                     checkpoints;
    ngx_uint_t                     syncs;
    ngx_uint_t                     waiting;     /* kept, not yet written     */
    ngx_uint_t                     failing;     /* 1: it cannot be written   */
} ngx_http_approval_audit_stats_t;

void ngx_http_approval_audit_stats(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_audit_stats_t *stats);


#endif /* NGX_HTTP_APPROVAL_AUDIT_H */
