
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Durability: all that wait at the same time share one fdatasync() in a thread.
 * Without threads each record is synced when it is written.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/internal.h"


#define NGX_HTTP_APPROVAL_SYNC_SLOW  10000


#if (NGX_THREADS)
#include <ngx_thread_pool.h>


/* Owned by the thread while the task runs; the descriptors are duplicates. */

typedef struct {
    ngx_fd_t    fd;
    ngx_fd_t    old[NGX_HTTP_APPROVAL_SYNC_OLD];
    ngx_uint_t  nold;
    ngx_err_t   err;
} ngx_http_approval_sync_ctx_t;


static void ngx_http_approval_sync_thread(void *data, ngx_log_t *log);
static void ngx_http_approval_sync_event(ngx_event_t *ev);
static ngx_int_t ngx_http_approval_sync_fd(ngx_fd_t fd);

#endif

static void ngx_http_approval_sync_start_handler(ngx_event_t *ev);
static void ngx_http_approval_sync_guard_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_approval_sync_post(
    ngx_http_approval_audit_t *audit);
static void ngx_http_approval_sync_end(ngx_http_approval_audit_t *audit,
    uint64_t upto, ngx_int_t rc);


void
ngx_http_approval_sync_init(ngx_http_approval_audit_t *audit)
{
    ngx_queue_init(&audit->sync.waits);

    audit->sync.start.handler = ngx_http_approval_sync_start_handler;
    audit->sync.start.data = audit;
    audit->sync.start.log = audit->log;

    audit->sync.guard.handler = ngx_http_approval_sync_guard_handler;
    audit->sync.guard.data = audit;
    audit->sync.guard.log = audit->log;
}


/* nginx has joined its threads before this, so no task is running. */

void
ngx_http_approval_sync_done(ngx_http_approval_audit_t *audit)
{
    if (audit->sync.start.posted) {
        ngx_delete_posted_event(&audit->sync.start);
    }

    if (audit->sync.guard.timer_set) {
        ngx_del_timer(&audit->sync.guard);
    }

    if (audit->conf->sync != NGX_HTTP_APPROVAL_SYNC_OFF) {
        (void) fdatasync(audit->conf->file->fd);
    }

    while (audit->sync.nold) {
        (void) fdatasync(audit->sync.old[--audit->sync.nold]);
        (void) ngx_close_file(audit->sync.old[audit->sync.nold]);
    }

    if (audit->sync.task) {
        ngx_free(audit->sync.task);
    }
}


ngx_int_t
ngx_http_approval_audit_sync(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_audit_wait_t *wait)
{
    ngx_http_approval_audit_t  *audit;

    audit = mcf->worker->audit;

    if (audit == NULL) {
        return mcf->audit_conf ? NGX_ERROR : NGX_OK;
    }

    if (audit->conf->sync != NGX_HTTP_APPROVAL_SYNC_GROUP
        || audit->sync.synced == audit->chain.seq - 1)
    {
        return NGX_OK;
    }

    wait->seq = audit->chain.seq - 1;
    wait->active = 1;

    ngx_queue_insert_tail(&audit->sync.waits, &wait->queue);

    if (!audit->sync.guard.timer_set) {
        ngx_add_timer(&audit->sync.guard, NGX_HTTP_APPROVAL_SYNC_SLOW);
    }

    ngx_http_approval_sync_start(audit);

    return NGX_AGAIN;
}


void
ngx_http_approval_audit_cancel(ngx_http_approval_audit_wait_t *wait)
{
    if (wait->active) {
        wait->active = 0;
        ngx_queue_remove(&wait->queue);
    }
}


/* Posted, so that others that are ready in this turn of the loop share it. */

void
ngx_http_approval_sync_start(ngx_http_approval_audit_t *audit)
{
    if (audit->conf->sync != NGX_HTTP_APPROVAL_SYNC_GROUP
        || audit->sync.running
        || audit->sync.synced == audit->chain.seq - 1)
    {
        return;
    }

    ngx_post_event(&audit->sync.start, &ngx_posted_events);
}


static void
ngx_http_approval_sync_start_handler(ngx_event_t *ev)
{
    ngx_http_approval_audit_t *audit = ev->data;

    if (audit->sync.running) {
        return;
    }

    audit->sync.upto = audit->chain.seq - 1;

    if (ngx_http_approval_sync_post(audit) != NGX_OK) {
        (void) ngx_http_approval_audit_fail(audit, 0, "it cannot be synced");
        ngx_http_approval_sync_end(audit, audit->sync.upto, NGX_ERROR);
    }
}


/* Ends the waits up to a record; a failure does not affect later ones. */

static void
ngx_http_approval_sync_end(ngx_http_approval_audit_t *audit, uint64_t upto,
    ngx_int_t rc)
{
    ngx_queue_t                     *q;
    ngx_http_approval_audit_wait_t  *wait;

    if (rc == NGX_OK) {
        audit->sync.synced = ngx_max(audit->sync.synced, upto);
    }

    while (!ngx_queue_empty(&audit->sync.waits)) {
        q = ngx_queue_head(&audit->sync.waits);
        wait = ngx_queue_data(q, ngx_http_approval_audit_wait_t, queue);

        if (wait->seq > upto) {
            break;
        }

        ngx_queue_remove(q);
        wait->active = 0;

        wait->handler(wait->data, rc);
    }

    if (!ngx_queue_empty(&audit->sync.waits)) {
        ngx_http_approval_sync_start(audit);

    } else if (audit->sync.guard.timer_set) {
        ngx_del_timer(&audit->sync.guard);
    }
}


/* Without any timer, a worker that quits would exit and drop the waits. */

static void
ngx_http_approval_sync_guard_handler(ngx_event_t *ev)
{
    ngx_http_approval_audit_t *audit = ev->data;

    if (ngx_queue_empty(&audit->sync.waits)) {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, audit->log, 0,
                  "syncing the audit trail \"%V\" to disk takes long: gated "
                  "requests wait for it", &audit->conf->file->name);

    ngx_add_timer(ev, NGX_HTTP_APPROVAL_SYNC_SLOW);
}


/*
 * nginx is about to close the old file, which has records that are not synced.
 * A duplicate of its descriptor waits for the next task, beside those of
 * earlier rotations.  If nothing was written since the last call, the file is
 * already there.
 */

void
ngx_http_approval_sync_reopen(ngx_http_approval_audit_t *audit)
{
    ngx_fd_t  fd;

    if (audit->conf->sync != NGX_HTTP_APPROVAL_SYNC_GROUP
        || audit->sync.synced == audit->chain.seq - 1
        || (audit->sync.nold && audit->sync.kept == audit->chain.seq - 1))
    {
        return;
    }

    fd = (audit->sync.nold < NGX_HTTP_APPROVAL_SYNC_OLD)
         ? dup(audit->conf->file->fd) : NGX_INVALID_FILE;

    /* do not block here: refuse what waits for these records instead */

    if (fd == NGX_INVALID_FILE) {
        (void) ngx_http_approval_audit_fail(audit, 0,
                                            "it was reopened faster than the "
                                            "disk could sync it");
        ngx_http_approval_sync_end(audit, audit->chain.seq - 1, NGX_ERROR);

    } else {
        audit->sync.old[audit->sync.nold++] = fd;
        audit->sync.kept = audit->chain.seq - 1;
    }

    ngx_http_approval_sync_start(audit);
}


#if (NGX_THREADS)

static ngx_int_t
ngx_http_approval_sync_post(ngx_http_approval_audit_t *audit)
{
    ngx_thread_task_t             *task;
    ngx_http_approval_sync_ctx_t  *ctx;

    task = audit->sync.task;

    if (task == NULL) {
        task = ngx_calloc(sizeof(ngx_thread_task_t)
                          + sizeof(ngx_http_approval_sync_ctx_t), audit->log);
        if (task == NULL) {
            return NGX_ERROR;
        }

        task->ctx = task + 1;
        task->handler = ngx_http_approval_sync_thread;
        task->event.handler = ngx_http_approval_sync_event;
        task->event.data = audit;
        task->event.log = audit->log;

        audit->sync.task = task;
    }

    ctx = task->ctx;
    ctx->fd = dup(audit->conf->file->fd);

    if (ctx->fd == NGX_INVALID_FILE) {
        return NGX_ERROR;
    }

    ctx->nold = audit->sync.nold;
    ngx_memcpy(ctx->old, audit->sync.old, sizeof(ctx->old));

    if (ngx_thread_task_post(audit->conf->threads, task) != NGX_OK) {
        (void) ngx_close_file(ctx->fd);
        return NGX_ERROR;
    }

    audit->sync.nold = 0;
    audit->sync.running = 1;

    return NGX_OK;
}


static void
ngx_http_approval_sync_thread(void *data, ngx_log_t *log)
{
    ngx_http_approval_sync_ctx_t *ctx = data;

    ngx_uint_t  i;

    ctx->err = 0;

    for (i = 0; i < ctx->nold; i++) {
        if (ngx_http_approval_sync_fd(ctx->old[i]) != NGX_OK) {
            ctx->err = ngx_errno;
        }

        (void) close(ctx->old[i]);
    }

    if (ngx_http_approval_sync_fd(ctx->fd) != NGX_OK) {
        ctx->err = ngx_errno;
    }

    (void) close(ctx->fd);
}


/* Pipes and devices cannot be synced, which is no failure. */

static ngx_int_t
ngx_http_approval_sync_fd(ngx_fd_t fd)
{
    if (fdatasync(fd) == -1 && ngx_errno != EINVAL && ngx_errno != EROFS) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_approval_sync_event(ngx_event_t *ev)
{
    ngx_thread_task_t             *task;
    ngx_http_approval_audit_t     *audit;
    ngx_http_approval_sync_ctx_t  *ctx;

    audit = ev->data;
    task = audit->sync.task;
    ctx = task->ctx;

    audit->sync.running = 0;
    audit->stats.syncs++;

    if (ctx->err) {
        (void) ngx_http_approval_audit_fail(audit, ctx->err,
                                            "fdatasync() failed");
    }

    ngx_http_approval_sync_end(audit, audit->sync.upto,
                               ctx->err ? NGX_ERROR : NGX_OK);
}

#else

static ngx_int_t
ngx_http_approval_sync_post(ngx_http_approval_audit_t *audit)
{
    return NGX_ERROR;
}

#endif
