
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A thread reads the trail piece by piece, and the request waits.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/trail.h"
#include "event/suspend.h"


#define NGX_HTTP_APPROVAL_TRAIL_RETRY  5


/* In r->pool; the request's cleanup closes the reader. */

struct ngx_http_approval_trail_s {
    ngx_http_approval_desk_t        *desk;
    ngx_http_approval_audit_read_t  *read;
    ngx_http_approval_trail_pt       handler;
};


static ngx_int_t ngx_http_approval_trail_able(ngx_http_approval_desk_t *d,
    ngx_int_t *rc);
static void ngx_http_approval_trail_cleanup(void *data);
static void ngx_http_approval_trail_piece(void *data, ngx_int_t rc,
    ngx_err_t err, approval_str_t piece);
static ngx_int_t ngx_http_approval_trail_unread(ngx_http_approval_desk_t *d,
    ngx_err_t err);
static ngx_int_t ngx_http_approval_trail_refuse(ngx_http_approval_desk_t *d,
    const char *detail);


ngx_int_t
ngx_http_approval_trail_read(ngx_http_approval_desk_t *d,
    const approval_wanted_t *wanted, ngx_http_approval_trail_pt handler,
    ngx_http_approval_trail_t **trail)
{
    ngx_int_t                   rc;
    ngx_http_cleanup_t         *cln;
    ngx_http_request_t         *r;
    ngx_http_approval_trail_t  *t;

    r = d->request;

    if (ngx_http_approval_trail_able(d, &rc) != NGX_OK) {
        return rc;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    t = ngx_palloc(r->pool, sizeof(ngx_http_approval_trail_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (t == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    t->desk = d;
    t->handler = handler;
    t->read = ngx_http_approval_audit_read_create(d->mcf, wanted,
                                             ngx_http_approval_trail_piece, t);
    if (t->read == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_approval_trail_cleanup;
    cln->data = t;
    *trail = t;

    /* suspend, to notice a client that leaves while the thread reads */

    if (ngx_http_approval_trail_next(t) != NGX_AGAIN
        || ngx_http_approval_suspend(r, "reading the audit trail") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_approval_trail_next(ngx_http_approval_trail_t *trail)
{
    return ngx_http_approval_audit_read_next(trail->read) == NGX_OK
           ? NGX_AGAIN : NGX_ERROR;
}


static void
ngx_http_approval_trail_cleanup(void *data)
{
    ngx_http_approval_trail_t *trail = data;

    ngx_http_approval_audit_read_close(trail->read);
}


static void
ngx_http_approval_trail_piece(void *data, ngx_int_t rc, ngx_err_t err,
    approval_str_t piece)
{
    ngx_http_approval_trail_t *trail = data;

    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = trail->desk->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);
    c->log->action = "sending the audit trail";

    rc = (rc == NGX_ERROR && !r->header_sent)
         ? ngx_http_approval_trail_unread(trail->desk, err)
         : trail->handler(trail->desk, rc, piece);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_approval_trail_able(ngx_http_approval_desk_t *d, ngx_int_t *rc)
{
    if (d->mcf->audit_conf == NULL) {
        *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_NOT_FOUND,
                  "no-audit", "No audit trail",
                  "This gateway has no audit trail. Set \"approval_audit "
                  "FILE\" in its configuration to write one.", NULL);
        return NGX_DECLINED;
    }

    if (!ngx_http_approval_audit_read_able(d->mcf)) {
        *rc = ngx_http_approval_trail_refuse(d,
                  "This nginx cannot read the audit trail, because it has no "
                  "threads (\"use epoll\" has them). Run \"approval-audit "
                  "export\" on its host.");
        return NGX_DECLINED;
    }

    if (!ngx_http_approval_audit_read_busy()) {
        return NGX_OK;
    }

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (ngx_http_approval_header_int(d->request, "Retry-After",
                                     NGX_HTTP_APPROVAL_TRAIL_RETRY)
        == NGX_OK)
    {
        *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_SERVICE_UNAVAILABLE,
                  "export-busy", "The audit trail is being read",
                  "This worker is reading the audit trail for others. Try "
                  "again shortly.", NULL);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_approval_trail_unread(ngx_http_approval_desk_t *d, ngx_err_t err)
{
    return ngx_http_approval_trail_refuse(d,
               err == NGX_EACCES
               ? "The gateway's workers may not read the file of "
                 "\"approval_audit\": give their user the permission "
                 "(chgrp, chmod g+r, and \"create\" of logrotate), or run "
                 "\"approval-audit export\" on its host."
               : "The file of \"approval_audit\" cannot be read; the "
                 "gateway's error log says why. \"approval-audit export\" "
                 "on its host works without the gateway.");
}


static ngx_int_t
ngx_http_approval_trail_refuse(ngx_http_approval_desk_t *d,
    const char *detail)
{
    return ngx_http_approval_desk_refuse(d, NGX_HTTP_INTERNAL_SERVER_ERROR,
               "audit-unreadable", "The audit trail cannot be read", detail,
               NULL);
}
