
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Reads the audit trail in a thread.  Nothing here belongs to the request,
 * which may end while the thread reads.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/read.h"
#include "audit/internal.h"


#define NGX_HTTP_APPROVAL_READ_BUFFER  65536
#define NGX_HTTP_APPROVAL_READ_LINE    (16 * 1024 * 1024)
#define NGX_HTTP_APPROVAL_READ_PIECE   262144
#define NGX_HTTP_APPROVAL_READ_SLICE   (4 * 1024 * 1024)
#define NGX_HTTP_APPROVAL_READ_GUARD   60000


#if (NGX_THREADS)
#include <ngx_thread_pool.h>


/*
 * Belongs to the thread while it runs, except handler, data, running and guard,
 * which belong to the event loop.
 */

struct ngx_http_approval_audit_read_s {
    ngx_http_approval_main_conf_t     *mcf;
    ngx_http_approval_audit_read_pt    handler;
    void                              *data;      /* NULL: closed           */
    ngx_thread_task_t                  task;
    ngx_event_t                        guard;     /* keeps a worker that
                                                     quits until the end    */
    unsigned                           running:1;

    approval_export_t                 *export;
    approval_signer_t                 *keys;      /* for the export only    */
    ngx_fd_t                           fd;
    off_t                              offset;
    off_t                              end;       /* the size when opened   */
    ngx_err_t                          err;
    const char                        *failed;
    ngx_uint_t                         broken;    /* lines without a record */
    ngx_uint_t                         done;
    approval_buf_t                     line;      /* the begin of a line    */
    approval_buf_t                     out;
    u_char                             buf[NGX_HTTP_APPROVAL_READ_BUFFER];
};


static void ngx_http_approval_read_free(ngx_http_approval_audit_read_t *read);
static void ngx_http_approval_read_event(ngx_event_t *ev);
static void ngx_http_approval_read_guard(ngx_event_t *ev);
static void ngx_http_approval_read_thread(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_approval_read_open(
    ngx_http_approval_audit_read_t *read);
static ngx_int_t ngx_http_approval_read_lines(
    ngx_http_approval_audit_read_t *read, u_char *p, u_char *last);
static ngx_int_t ngx_http_approval_read_line(
    ngx_http_approval_audit_read_t *read, approval_str_t line);
static ngx_int_t ngx_http_approval_read_failed(
    ngx_http_approval_audit_read_t *read, ngx_err_t err, const char *why);


static ngx_uint_t  ngx_http_approval_readers;


ngx_http_approval_audit_read_t *
ngx_http_approval_audit_read_create(ngx_http_approval_main_conf_t *mcf,
    const approval_wanted_t *wanted, ngx_http_approval_audit_read_pt handler,
    void *data)
{
    ngx_http_approval_audit_read_t  *read;

    read = ngx_calloc(sizeof(ngx_http_approval_audit_read_t), ngx_cycle->log);
    if (read == NULL) {
        return NULL;
    }

    read->mcf = mcf;
    read->handler = handler;
    read->data = data;
    read->fd = NGX_INVALID_FILE;

    read->task.ctx = read;
    read->task.handler = ngx_http_approval_read_thread;
    read->task.event.handler = ngx_http_approval_read_event;
    read->task.event.data = read;
    read->task.event.log = ngx_cycle->log;

    read->guard.handler = ngx_http_approval_read_guard;
    read->guard.data = read;
    read->guard.log = ngx_cycle->log;

    approval_buf_init(&read->line);
    approval_buf_init(&read->out);

    /* two threads must not share a signer */

    read->keys = mcf->signer ? approval_signer_verifier(mcf->signer) : NULL;

    read->export = (read->keys || mcf->signer == NULL)
                   ? approval_export_create(wanted, read->keys) : NULL;

    if (read->export == NULL) {
        approval_signer_destroy(read->keys);
        ngx_free(read);
        return NULL;
    }

    approval_export_begin(read->export, &read->out);

    ngx_http_approval_readers++;

    return read;
}


ngx_uint_t
ngx_http_approval_audit_read_busy(void)
{
    return ngx_http_approval_readers >= NGX_HTTP_APPROVAL_AUDIT_READERS;
}


/* With select and poll, a thread cannot notify the event loop of its end. */

ngx_uint_t
ngx_http_approval_audit_read_able(ngx_http_approval_main_conf_t *mcf)
{
    return mcf->audit_conf->threads != NULL && ngx_event_actions.notify;
}


ngx_int_t
ngx_http_approval_audit_read_next(ngx_http_approval_audit_read_t *read)
{
    if (read->done) {
        return NGX_ERROR;
    }

    if (ngx_thread_task_post(read->mcf->audit_conf->threads, &read->task)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    read->running = 1;

    ngx_add_timer(&read->guard, NGX_HTTP_APPROVAL_READ_GUARD);

    return NGX_OK;
}


void
ngx_http_approval_audit_read_close(ngx_http_approval_audit_read_t *read)
{
    read->data = NULL;

    if (!read->running) {
        ngx_http_approval_read_free(read);
    }
}


static void
ngx_http_approval_read_free(ngx_http_approval_audit_read_t *read)
{
    if (read->guard.timer_set) {
        ngx_del_timer(&read->guard);
    }

    if (read->fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(read->fd);
    }

    approval_export_destroy(read->export);
    approval_signer_destroy(read->keys);
    approval_buf_free(&read->line);
    approval_buf_free(&read->out);

    ngx_free(read);

    ngx_http_approval_readers--;
}


static void
ngx_http_approval_read_event(ngx_event_t *ev)
{
    ngx_http_approval_audit_read_t *read = ev->data;

    ngx_int_t  rc;

    read->running = 0;

    if (read->guard.timer_set) {
        ngx_del_timer(&read->guard);
    }

    if (read->data == NULL) {
        ngx_http_approval_read_free(read);
        return;
    }

    rc = read->done ? NGX_DONE : NGX_OK;

    if (read->failed) {
        rc = NGX_ERROR;

        ngx_log_error(NGX_LOG_ERR, ev->log, read->err,
                      "the audit trail \"%V\" cannot be read by a worker: %s",
                      &read->mcf->audit_conf->file->name, read->failed);

    } else if (read->done && read->broken) {
        ngx_log_error(NGX_LOG_WARN, ev->log, 0,
                      "%ui lines of the audit trail \"%V\" are not records "
                      "and were skipped: run \"approval-audit verify\"",
                      read->broken, &read->mcf->audit_conf->file->name);
    }

    read->handler(read->data, rc, read->err, approval_buf_str(&read->out));
}


static void
ngx_http_approval_read_guard(ngx_event_t *ev)
{
    ngx_log_error(NGX_LOG_WARN, ev->log, 0,
                  "reading the audit trail for an export takes long");

    ngx_add_timer(ev, NGX_HTTP_APPROVAL_READ_GUARD);
}


/* Makes a piece, limited in its size and in the bytes that are read. */

static void
ngx_http_approval_read_thread(void *data, ngx_log_t *log)
{
    ngx_http_approval_audit_read_t *read = data;

    off_t    upto;
    size_t   size;
    ssize_t  n;

    if (read->fd == NGX_INVALID_FILE) {
        if (ngx_http_approval_read_open(read) != NGX_OK) {
            return;
        }

    } else {
        approval_buf_reset(&read->out);
    }

    upto = ngx_min(read->end, read->offset + NGX_HTTP_APPROVAL_READ_SLICE);

    while (read->offset < upto && read->out.len < NGX_HTTP_APPROVAL_READ_PIECE
           && !approval_export_full(read->export))
    {
        size = (size_t) ngx_min(upto - read->offset,
                                NGX_HTTP_APPROVAL_READ_BUFFER);

        n = pread(read->fd, read->buf, size, read->offset);

        if (n <= 0) {
            (void) ngx_http_approval_read_failed(read, n ? ngx_errno : 0,
                                          n ? "pread() failed"
                                            : "it became shorter while it was "
                                              "read");
            return;
        }

        read->offset += n;

        if (ngx_http_approval_read_lines(read, read->buf, read->buf + n)
            != NGX_OK)
        {
            return;
        }
    }

    if (read->offset < read->end && !approval_export_full(read->export)) {
        return;
    }

    /* the last line is ignored if it has no LF: it is being written */

    if (approval_export_end(read->export, &read->out) != APPROVAL_OK) {
        (void) ngx_http_approval_read_failed(read, 0, "no memory");
        return;
    }

    read->done = 1;
}


static ngx_int_t
ngx_http_approval_read_open(ngx_http_approval_audit_read_t *read)
{
    ngx_file_info_t  fi;

    read->fd = ngx_open_file(read->mcf->audit_conf->file->name.data,
                             NGX_FILE_RDONLY|NGX_FILE_NONBLOCK, NGX_FILE_OPEN,
                             0);

    if (read->fd == NGX_INVALID_FILE) {
        return ngx_http_approval_read_failed(read, ngx_errno,
                                             "open() failed");
    }

    if (ngx_fd_info(read->fd, &fi) == NGX_FILE_ERROR) {
        return ngx_http_approval_read_failed(read, ngx_errno,
                                             "fstat() failed");
    }

    if (!ngx_is_file(&fi)) {
        return ngx_http_approval_read_failed(read, 0, "it is not a file");
    }

    read->end = ngx_file_size(&fi);

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_read_lines(ngx_http_approval_audit_read_t *read, u_char *p,
    u_char *last)
{
    u_char          *lf;
    approval_str_t   line;

    for ( /* void */ ; p < last; p = lf + 1) {

        lf = ngx_strlchr(p, last, LF);

        if (lf == NULL || read->line.len) {
            approval_buf_add(&read->line, p, (lf ? lf : last) - p);

            if (read->line.failed
                || read->line.len > NGX_HTTP_APPROVAL_READ_LINE)
            {
                return ngx_http_approval_read_failed(read, 0,
                                                     "a line is too long");
            }

            if (lf == NULL) {
                return NGX_OK;
            }

            line = approval_buf_str(&read->line);

        } else {
            line.data = p;
            line.len = lf - p;
        }

        if (ngx_http_approval_read_line(read, line) != NGX_OK) {
            return NGX_ERROR;
        }

        approval_buf_reset(&read->line);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_read_line(ngx_http_approval_audit_read_t *read,
    approval_str_t line)
{
    int             rc;
    u_char          hash[APPROVAL_SHA256_LEN];
    json_t         *event;
    unsigned        torn;
    const char     *err;

    rc = approval_record_line(&line, &event, hash, &torn, &err);

    if (torn || err) {
        read->broken++;
    }

    if (rc == APPROVAL_DECLINED) {
        return NGX_OK;
    }

    if (rc == APPROVAL_OK) {
        rc = approval_export_record(read->export, line, event, hash,
                                    &read->out);
        json_decref(event);
    }

    if (rc != APPROVAL_OK) {
        return ngx_http_approval_read_failed(read, 0, "no memory");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_read_failed(ngx_http_approval_audit_read_t *read,
    ngx_err_t err, const char *why)
{
    read->err = err;
    read->failed = why;
    read->done = 1;

    return NGX_ERROR;
}

#else


ngx_http_approval_audit_read_t *
ngx_http_approval_audit_read_create(ngx_http_approval_main_conf_t *mcf,
    const approval_wanted_t *wanted, ngx_http_approval_audit_read_pt handler,
    void *data)
{
    return NULL;
}


ngx_uint_t
ngx_http_approval_audit_read_busy(void)
{
    return 0;
}


ngx_uint_t
ngx_http_approval_audit_read_able(ngx_http_approval_main_conf_t *mcf)
{
    return 0;
}


ngx_int_t
ngx_http_approval_audit_read_next(ngx_http_approval_audit_read_t *read)
{
    return NGX_ERROR;
}


void
ngx_http_approval_audit_read_close(ngx_http_approval_audit_read_t *read)
{
}

#endif
