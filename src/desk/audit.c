
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Sends what "approval-audit export" writes, for this gateway's file.  The next
 * piece is read only when one has been sent.  So the client sets the pace, and
 * memory is limited to one piece.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/audit.h"
#include "desk/approver.h"
#include "desk/trail.h"
#include "core/form.h"


/* d->work. */

typedef struct {
    ngx_http_approval_desk_t        *desk;
    ngx_http_approval_trail_t       *trail;
    approval_wanted_t                wanted;
    const char                      *argument;   /* that is wrong */
    const char                      *err;
    ngx_uint_t                       seen;       /* bits by argument */
    ngx_chain_t                     *free;
    ngx_chain_t                     *busy;
    ngx_uint_t                       last;
} ngx_http_approval_export_t;


static int ngx_http_approval_export_argument(void *data, approval_str_t name,
    approval_str_t value);
static int ngx_http_approval_export_value(ngx_http_approval_export_t *x,
    ngx_uint_t arg, approval_str_t value);
static void ngx_http_approval_export_record(ngx_http_approval_desk_t *d,
    const approval_wanted_t *w);
static ngx_int_t ngx_http_approval_export_piece(ngx_http_approval_desk_t *d,
    ngx_int_t rc, approval_str_t piece);
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
    { NULL, "The query has an unknown argument." }
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
        return ngx_http_approval_desk_bad_argument(d, x->err,
                                                json_string(x->argument));
    }

    rc = ngx_http_approval_trail_read(d, &x->wanted,
                                      ngx_http_approval_export_piece,
                                      &x->trail);

    if (rc == NGX_AGAIN && d->request->method == NGX_HTTP_GET) {
        ngx_http_approval_export_record(d, &x->wanted);
    }

    return rc;
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
        x->err = "The query has the same argument twice.";
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
ngx_http_approval_export_piece(ngx_http_approval_desk_t *d, ngx_int_t rc,
    approval_str_t piece)
{
    ngx_http_request_t          *r;
    ngx_http_approval_export_t  *x = d->work;

    r = d->request;

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    x->last = (rc == NGX_DONE);

    rc = r->header_sent ? NGX_OK : ngx_http_approval_export_header(x);

    return (rc == NGX_OK && !r->header_only)
           ? ngx_http_approval_export_send(x, piece) : rc;
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

    return ngx_http_approval_trail_next(x->trail);
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
