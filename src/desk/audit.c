
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Sends what "approval-audit export" writes, for this gateway's file.  A
 * thread reads one piece, and the next is read only when it has been sent.
 * So the client sets the pace, and memory is limited to one piece.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/audit.h"
#include "desk/approver.h"
#include "audit/read.h"
#include "core/form.h"
#include "event/suspend.h"


#define NGX_HTTP_APPROVAL_EXPORT_RETRY  5


/* d->work. */

typedef struct {
    ngx_http_approval_desk_t        *desk;
    ngx_http_approval_audit_read_t  *read;
    approval_wanted_t                wanted;
    const char                      *argument;   /* that is wrong */
    const char                      *err;
    ngx_uint_t                       seen;       /* bits by argument */
    ngx_chain_t                     *free;
    ngx_chain_t                     *busy;
    ngx_uint_t                       last;
} ngx_http_approval_export_t;


static ngx_int_t ngx_http_approval_export_refuse(ngx_http_approval_desk_t *d,
    const char *detail);
static int ngx_http_approval_export_argument(void *data, approval_str_t name,
    approval_str_t value);
static int ngx_http_approval_export_value(ngx_http_approval_export_t *x,
    ngx_uint_t arg, approval_str_t value);
static void ngx_http_approval_export_record(ngx_http_approval_desk_t *d,
    const approval_wanted_t *w);
static ngx_int_t ngx_http_approval_export_start(ngx_http_approval_desk_t *d,
    ngx_http_approval_export_t *x);
static void ngx_http_approval_export_cleanup(void *data);
static void ngx_http_approval_export_piece(void *data, ngx_int_t rc,
    ngx_err_t err, approval_str_t piece);
static ngx_int_t ngx_http_approval_export_header(
    ngx_http_approval_export_t *x);
static ngx_int_t ngx_http_approval_export_send(ngx_http_approval_export_t *x,
    approval_str_t piece);
static ngx_int_t ngx_http_approval_export_next(ngx_http_approval_export_t *x);
static void ngx_http_approval_export_writer(ngx_http_request_t *r);


enum {
    NGX_HTTP_APPROVAL_EXPORT_SINCE = 0,
    NGX_HTTP_APPROVAL_EXPORT_UNTIL,
    NGX_HTTP_APPROVAL_EXPORT_FORMAT,
    NGX_HTTP_APPROVAL_EXPORT_ACTION,
    NGX_HTTP_APPROVAL_EXPORT_LIMIT
};

static const struct {
    const char  *name;
    const char  *want;
} ngx_http_approval_export_args[] = {
    { "since", "The time is not RFC 3339, as in 2026-01-02T03:04:05Z or "
               "2026-01-02." },
    { "until", "The time is not RFC 3339, as in 2026-01-02T03:04:05Z or "
               "2026-01-02." },
    { "format", "The format is \"jsonl\" or \"csv\"." },
    { "action", "An action's id has 32 hex digits." },
    { "limit", "The limit is a number of records, from 1." },
    { NULL, "There is no such query argument." }
};


ngx_int_t
ngx_http_approval_export(ngx_http_approval_desk_t *d)
{
    ngx_int_t                    rc;
    const char                  *err;
    ngx_http_approval_export_t  *x;

    if (ngx_http_approval_approver_member(d, d->mcf->auditors, &rc)
        != NGX_OK)
    {
        return rc;
    }

    x = ngx_pcalloc(d->request->pool, sizeof(ngx_http_approval_export_t));
    if (x == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    x->desk = d;
    x->argument = "";
    x->err = "The query cannot be read.";
    d->work = x;

    rc = approval_form_each(ngx_http_approval_core_str(&d->request->args),
                            ngx_http_approval_export_argument, x, &err);

    if (rc == APPROVAL_OK && approval_wanted_nothing(&x->wanted)) {
        rc = APPROVAL_DECLINED;
        x->argument = "until";
        x->err = "\"until\" is not after \"since\".";
    }

    if (rc != APPROVAL_OK) {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_BAD_REQUEST,
                   "bad-argument", "Not understood", x->err,
                   json_pack("{s:s}", "argument", x->argument));
    }

    if (ngx_http_approval_export_able(d, &rc) != NGX_OK) {
        return rc;
    }

    return ngx_http_approval_export_start(d, x);
}


ngx_int_t
ngx_http_approval_export_able(ngx_http_approval_desk_t *d, ngx_int_t *rc)
{
    if (d->mcf->audit_conf == NULL) {
        *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_NOT_FOUND,
                  "no-audit", "No audit trail",
                  "This gateway has no audit trail. Set \"approval_audit "
                  "FILE\" in its configuration to write one.", NULL);
        return NGX_DECLINED;
    }

    if (!ngx_http_approval_audit_read_able(d->mcf)) {
        *rc = ngx_http_approval_export_refuse(d,
                  "This nginx has no threads to read the audit trail with "
                  "(\"use epoll\" has). Run \"approval-audit export\" on "
                  "its host.");
        return NGX_DECLINED;
    }

    if (!ngx_http_approval_audit_read_busy()) {
        return NGX_OK;
    }

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (ngx_http_approval_header_int(d->request, "Retry-After",
                                     NGX_HTTP_APPROVAL_EXPORT_RETRY)
        == NGX_OK)
    {
        *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_SERVICE_UNAVAILABLE,
                  "export-busy", "Others are exporting",
                  "This worker reads the audit trail for others. Try again "
                  "shortly.", NULL);
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_approval_export_unread(ngx_http_approval_desk_t *d, ngx_err_t err)
{
    return ngx_http_approval_export_refuse(d,
               err == NGX_EACCES
               ? "The gateway's workers may not read the file of "
                 "\"approval_audit\": give their user the right (chgrp, "
                 "chmod g+r, and \"create\" of logrotate), or run "
                 "\"approval-audit export\" on its host."
               : "The file of \"approval_audit\" cannot be read, the "
                 "gateway's error log says why. \"approval-audit export\" "
                 "on its host needs no gateway.");
}


static ngx_int_t
ngx_http_approval_export_refuse(ngx_http_approval_desk_t *d,
    const char *detail)
{
    return ngx_http_approval_desk_refuse(d, NGX_HTTP_INTERNAL_SERVER_ERROR,
               "audit-unreadable", "The audit trail cannot be read", detail,
               NULL);
}


static int
ngx_http_approval_export_argument(void *data, approval_str_t name,
    approval_str_t value)
{
    ngx_http_approval_export_t *x = data;

    ngx_uint_t   i;
    const char  *known;

    for (i = 0; ngx_http_approval_export_args[i].name; i++) {
        known = ngx_http_approval_export_args[i].name;

        if (approval_str_eq(name, approval_str(known))) {
            break;
        }
    }

    x->err = ngx_http_approval_export_args[i].want;

    if (ngx_http_approval_export_args[i].name == NULL) {
        return APPROVAL_DECLINED;
    }

    x->argument = ngx_http_approval_export_args[i].name;

    if (x->seen & (1 << i)) {
        x->err = "The query argument stands twice.";
        return APPROVAL_DECLINED;
    }

    x->seen |= 1 << i;

    return value.len ? ngx_http_approval_export_value(x, i, value)
                     : APPROVAL_OK;
}


static int
ngx_http_approval_export_value(ngx_http_approval_export_t *x, ngx_uint_t arg,
    approval_str_t value)
{
    ngx_int_t           n;
    approval_wanted_t  *w;

    w = &x->wanted;

    switch (arg) {

    case NGX_HTTP_APPROVAL_EXPORT_SINCE:
        return approval_wanted_time(value, w->since);

    case NGX_HTTP_APPROVAL_EXPORT_UNTIL:
        return approval_wanted_time(value, w->until);

    case NGX_HTTP_APPROVAL_EXPORT_FORMAT:
        return approval_wanted_format(value, &w->format);

    case NGX_HTTP_APPROVAL_EXPORT_ACTION:
        if (!approval_id_valid(value)) {
            return APPROVAL_DECLINED;
        }

        ngx_memcpy(w->action, value.data, APPROVAL_ID_LEN);
        return APPROVAL_OK;

    default:
        n = ngx_atoi((u_char *) value.data, value.len);

        if (n < 1) {
            return APPROVAL_DECLINED;
        }

        w->limit = (uint64_t) n;
        return APPROVAL_OK;
    }
}


/* Every export of the trail is itself on record. */

static void
ngx_http_approval_export_record(ngx_http_approval_desk_t *d,
    const approval_wanted_t *w)
{
    json_t  *facts;

    facts = ngx_http_approval_approver_facts(d);

    if (facts) {
        (void) json_object_set_new(facts, "export",
               json_pack("{s:s, s:s, s:s, s:s, s:I}",
                         "since", w->since, "until", w->until,
                         "action", w->action, "format",
                         w->format == APPROVAL_EXPORT_CSV ? "csv" : "jsonl",
                         "limit", (json_int_t) w->limit));
    }

    (void) ngx_http_approval_audit(d->mcf, APPROVAL_RECORD_VIEWED, NULL,
                                   facts);
}


static ngx_int_t
ngx_http_approval_export_start(ngx_http_approval_desk_t *d,
    ngx_http_approval_export_t *x)
{
    ngx_int_t            rc;
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = d->request;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    x->read = ngx_http_approval_audit_read_create(d->mcf, &x->wanted,
                                              ngx_http_approval_export_piece,
                                              x);
    if (x->read == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_approval_export_cleanup;
    cln->data = x;

    if (r->method == NGX_HTTP_GET) {
        ngx_http_approval_export_record(d, &x->wanted);
    }

    /* suspend, to notice a client that leaves while the thread reads */

    if (ngx_http_approval_audit_read_next(x->read) != NGX_OK
        || ngx_http_approval_suspend(r, "reading the audit trail") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_AGAIN;
}


static void
ngx_http_approval_export_cleanup(void *data)
{
    ngx_http_approval_export_t *x = data;

    ngx_http_approval_audit_read_close(x->read);
}


static void
ngx_http_approval_export_piece(void *data, ngx_int_t rc, ngx_err_t err,
    approval_str_t piece)
{
    ngx_http_approval_export_t *x = data;

    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = x->desk->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);
    c->log->action = "sending the audit trail";

    x->last = (rc == NGX_DONE);

    if (rc != NGX_ERROR) {
        rc = r->header_sent ? NGX_OK : ngx_http_approval_export_header(x);

        if (rc == NGX_OK && !r->header_only) {
            rc = ngx_http_approval_export_send(x, piece);
        }

    } else if (!r->header_sent) {
        rc = ngx_http_approval_export_unread(x->desk, err);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_approval_export_header(ngx_http_approval_export_t *x)
{
    const char          *file;
    ngx_http_request_t  *r;

    r = x->desk->request;

    r->headers_out.status = NGX_HTTP_OK;

    if (x->wanted.format == APPROVAL_EXPORT_CSV) {
        ngx_str_set(&r->headers_out.content_type, "text/csv; charset=utf-8");
        file = "attachment; filename=\"audit.csv\"";

    } else {
        ngx_str_set(&r->headers_out.content_type, "application/x-ndjson");
        file = "attachment; filename=\"audit.jsonl\"";
    }

    r->headers_out.content_type_len = r->headers_out.content_type.len;

    if (ngx_http_approval_header(r, "Cache-Control", approval_str("no-store"))
        != NGX_OK
        || ngx_http_approval_header(r, "X-Content-Type-Options",
                                    approval_str("nosniff"))
           != NGX_OK
        || ngx_http_approval_header(r, "Content-Disposition",
                                    approval_str(file))
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* NGX_AGAIN: the header is buffered, and the body is queued behind it */

    return ngx_http_send_header(r) == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_approval_export_send(ngx_http_approval_export_t *x,
    approval_str_t piece)
{
    ngx_buf_t           *b;
    ngx_chain_t         *out;
    ngx_http_request_t  *r;

    r = x->desk->request;

    if (piece.len == 0 && !x->last) {
        return ngx_http_approval_export_next(x);
    }

    out = ngx_chain_get_free_buf(r->pool, &x->free);
    if (out == NULL) {
        return NGX_ERROR;
    }

    b = out->buf;

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->tag = (ngx_buf_tag_t) &ngx_http_approval_module;
    b->start = (u_char *) piece.data;
    b->pos = b->start;
    b->last = b->start + piece.len;
    b->end = b->last;
    b->memory = piece.len ? 1 : 0;
    b->flush = 1;
    b->last_buf = x->last;
    b->last_in_chain = x->last;

    if (ngx_http_output_filter(r, out) == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* nginx sends the rest; the piece lives as long as the request */

    if (x->last) {
        return NGX_OK;
    }

    ngx_chain_update_chains(r->pool, &x->free, &x->busy, &out, b->tag);

    return ngx_http_approval_export_next(x);
}


/* Returns NGX_AGAIN while it waits for the client or the thread. */

static ngx_int_t
ngx_http_approval_export_next(ngx_http_approval_export_t *x)
{
    ngx_event_t               *wev;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = x->desk->request;
    wev = r->connection->write;

    if (x->busy) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        r->write_event_handler = ngx_http_approval_export_writer;

        if (!wev->delayed) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

        return ngx_handle_write_event(wev, clcf->send_lowat) == NGX_OK
               ? NGX_AGAIN : NGX_ERROR;
    }

    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    return ngx_http_approval_audit_read_next(x->read) == NGX_OK ? NGX_AGAIN
                                                               : NGX_ERROR;
}


static void
ngx_http_approval_export_writer(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_chain_t                 *none;
    ngx_connection_t            *c;
    ngx_http_approval_desk_t    *d;
    ngx_http_approval_export_t  *x;

    c = r->connection;
    d = ngx_http_approval_desk_find(r);

    if (d == NULL || c->write->timedout) {
        if (d) {
            ngx_log_error(NGX_LOG_INFO, ngx_http_approval_log(r), NGX_ETIMEDOUT,
                          "client timed out");
            c->timedout = 1;
        }

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (c->write->delayed) {
        return;
    }

    x = d->work;
    none = NULL;

    rc = ngx_http_output_filter(r, NULL);

    if (rc != NGX_ERROR) {
        ngx_chain_update_chains(r->pool, &x->free, &x->busy, &none,
                                (ngx_buf_tag_t) &ngx_http_approval_module);

        rc = ngx_http_approval_export_next(x);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}
