
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Declarations that the files of the audit trail share.
 */


#ifndef NGX_HTTP_APPROVAL_AUDIT_INTERNAL_H
#define NGX_HTTP_APPROVAL_AUDIT_INTERNAL_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/audit.h"
#include "model/action.h"
#include "store/stream.h"


#define NGX_HTTP_APPROVAL_CHECKPOINT_RECORDS  100
#define NGX_HTTP_APPROVAL_CHECKPOINT_TIME     1000
#define NGX_HTTP_APPROVAL_KEPT_MAX            10000
#define NGX_HTTP_APPROVAL_SYNC_OLD            16
#define NGX_HTTP_APPROVAL_TAIL                (1024 * 1024)
#define NGX_HTTP_APPROVAL_COLLAPSE_KINDS      256


/* Another writer's published head; the next checkpoint cites it if fresh. */

typedef struct {
    approval_head_t                  head;
    unsigned                         fresh:1;
} ngx_http_approval_peer_t;


/* The events of one kind since "begin". */

typedef struct {
    approval_record_e                type;
    json_t                          *kind;       /* NULL: a free place       */
    ngx_msec_t                       begin;
    ngx_uint_t                       n;          /* recorded one by one      */
    ngx_uint_t                       more;       /* only counted             */
    int64_t                          since;      /* ms, the first of "more"  */
} ngx_http_approval_collapse_t;


typedef struct {
    ngx_queue_t                      waits;      /* by seq                   */
    uint64_t                         synced;     /* up to this record        */
    uint64_t                         upto;       /* ... of the running task  */
    ngx_fd_t                         old[NGX_HTTP_APPROVAL_SYNC_OLD];
                                                 /* from before USR1         */
    ngx_uint_t                       nold;
    uint64_t                         kept;       /* "old": up to this record */
    ngx_event_t                      start;
    ngx_event_t                      guard;      /* keeps a worker that
                                                    quits while some wait    */
    void                            *task;       /* ngx_thread_task_t        */
    unsigned                         running:1;
} ngx_http_approval_sync_t;


struct ngx_http_approval_audit_s {
    ngx_http_approval_main_conf_t   *mcf;
    ngx_http_approval_audit_conf_t  *conf;
    ngx_log_t                       *log;

    approval_chain_t                 chain;
    approval_merkle_t                tree;
    approval_buf_t                   line;
    uint64_t                         covered;    /* seq of the last one      */
    ngx_event_t                      timer;      /* next checkpoint, retries */

    json_t                          *kept;       /* array, not yet written   */

    ngx_http_approval_sync_t         sync;

    ngx_http_approval_collapse_t     collapse[NGX_HTTP_APPROVAL_COLLAPSE_KINDS];
    ngx_event_t                      collapse_end;

    ngx_http_approval_peer_t         peers[APPROVAL_CHECKPOINT_PEERS];
    ngx_uint_t                       npeers;
    ngx_uint_t                       evict;
    ngx_http_approval_stream_t      *reading;
    u_char                           last_id[NGX_HTTP_APPROVAL_STREAM_ID];
    size_t                           last_id_len;
    approval_checkpoint_t            checkpoint; /* scratch                  */

    ngx_http_approval_audit_stats_t  stats;
    ngx_uint_t                       failed;     /* records, in this failure */
    ngx_uint_t                       torn_lines; /* not yet recorded         */
    ngx_uint_t                       lost;       /* beyond the limit of kept */
    ngx_fd_t                         flushed;    /* the file's when nginx
                                                    was about to reopen it   */

    unsigned                         torn:1;     /* the file ends with part
                                                    of a line                */
    unsigned                         reopened:1; /* the file is new          */
    unsigned                         unrooted:1; /* the tree is incomplete   */
    unsigned                         newest:1;   /* the next entry is newest */
};


/* audit.c */
json_t *ngx_http_approval_audit_event(approval_record_e type, u_char *id,
    json_t *fields);

json_t *ngx_http_approval_audit_opening(ngx_http_approval_audit_t *audit);

/*
 * append.c: writes one event; failures are logged and counted.  NGX_DECLINED:
 * it is in the file and must not be written again, but may not be on the disk.
 */
void ngx_http_approval_audit_begin(ngx_http_approval_audit_t *audit);
ngx_int_t ngx_http_approval_append_first(ngx_http_approval_audit_t *audit);
ngx_int_t ngx_http_approval_append_write(ngx_http_approval_audit_t *audit,
    json_t *event);
ngx_int_t ngx_http_approval_audit_append(ngx_http_approval_audit_t *audit,
    json_t *event);
void ngx_http_approval_audit_keep(ngx_http_approval_audit_t *audit,
    json_t *event);
void ngx_http_approval_audit_retry(ngx_http_approval_audit_t *audit);
ngx_int_t ngx_http_approval_audit_fail(ngx_http_approval_audit_t *audit,
    ngx_err_t err, const char *why);

/* checkpoint.c */
void ngx_http_approval_checkpoint_init(ngx_http_approval_audit_t *audit);
void ngx_http_approval_checkpoint_done(ngx_http_approval_audit_t *audit);

/* Call it after appending: makes a checkpoint soon or at once. */
void ngx_http_approval_checkpoint_soon(ngx_http_approval_audit_t *audit);
void ngx_http_approval_checkpoint(ngx_http_approval_audit_t *audit,
    const char *state);

/* collapse.c */
void ngx_http_approval_collapse_init(ngx_http_approval_audit_t *audit);
void ngx_http_approval_collapse_done(ngx_http_approval_audit_t *audit);

/* peers.c */
void ngx_http_approval_peers_read(ngx_http_approval_audit_t *audit);
void ngx_http_approval_peers_done(ngx_http_approval_audit_t *audit);
void ngx_http_approval_peers_tail(ngx_http_approval_audit_t *audit);
void ngx_http_approval_peers_cite(ngx_http_approval_audit_t *audit,
    approval_checkpoint_t *checkpoint);
void ngx_http_approval_peers_cited(ngx_http_approval_audit_t *audit);

/* sync.c */
void ngx_http_approval_sync_init(ngx_http_approval_audit_t *audit);
void ngx_http_approval_sync_done(ngx_http_approval_audit_t *audit);

/* Starts to sync in the background. */
void ngx_http_approval_sync_start(ngx_http_approval_audit_t *audit);
void ngx_http_approval_sync_reopen(ngx_http_approval_audit_t *audit);


#endif /* NGX_HTTP_APPROVAL_AUDIT_INTERNAL_H */
