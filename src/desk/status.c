
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/status.h"
#include "desk/view.h"
#include "event/suspend.h"
#include "model/status.h"
#include "store/watch.h"


#define NGX_HTTP_APPROVAL_STATUS_WAIT  30        /* s, at most */


/*
 * d->work while the client waits for the decision key or for the end of the
 * time, whichever comes first; then the action is read again.
 */

typedef struct {
    ngx_http_approval_desk_t   *desk;
    ngx_http_approval_watch_t   watch;
    ngx_event_t                 wake;
    ngx_msec_t                  wait;        /* 0: the answer is due */
} ngx_http_approval_status_t;


static ngx_int_t ngx_http_approval_status_argument(
    ngx_http_approval_desk_t *d, ngx_http_approval_status_t *st);
static ngx_int_t ngx_http_approval_status_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_status_send(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_status_wait(ngx_http_approval_desk_t *d);
static void ngx_http_approval_status_watch(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision);
static void ngx_http_approval_status_wake(ngx_event_t *ev);
static void ngx_http_approval_status_done(ngx_http_approval_status_t *st);
static void ngx_http_approval_status_cleanup(void *data);
static ngx_int_t ngx_http_approval_status_mine(ngx_http_approval_desk_t *d,
    json_t *doc, ngx_uint_t *mine);


ngx_int_t
ngx_http_approval_status(ngx_http_approval_desk_t *d)
{
    ngx_http_cleanup_t          *cln;
    ngx_http_approval_status_t  *st;

    /* only programs use it: there is no page */

    d->html = 0;

    if (!d->id_valid) {
        return ngx_http_approval_desk_not_found(d);
    }

    cln = ngx_http_cleanup_add(d->request, sizeof(ngx_http_approval_status_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    st = cln->data;
    ngx_memzero(st, sizeof(ngx_http_approval_status_t));

    cln->handler = ngx_http_approval_status_cleanup;

    st->desk = d;
    st->wake.handler = ngx_http_approval_status_wake;
    st->wake.data = st;
    st->wake.log = d->request->connection->log;

    d->work = st;

    if (ngx_http_approval_status_argument(d, st) != NGX_OK) {
        return ngx_http_approval_desk_bad_argument(d,
                   "\"wait\" must be a number of seconds.",
                   json_string("wait"));
    }

    return ngx_http_approval_desk_load(d, ngx_http_approval_status_step);
}


/* ?wait=SECONDS; longer times are cut to the longest one. */

static ngx_int_t
ngx_http_approval_status_argument(ngx_http_approval_desk_t *d,
    ngx_http_approval_status_t *st)
{
    ngx_str_t   value;
    ngx_uint_t  i;

    if (ngx_http_arg(d->request, (u_char *) "wait", 4, &value) != NGX_OK) {
        return NGX_OK;
    }

    if (value.len == 0) {
        return NGX_DECLINED;
    }

    for (i = 0; i < value.len; i++) {

        if (value.data[i] < '0' || value.data[i] > '9') {
            return NGX_DECLINED;
        }

        st->wait = ngx_min(st->wait * 10 + (value.data[i] - '0'),
                           NGX_HTTP_APPROVAL_STATUS_WAIT);
    }

    st->wait *= 1000;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_status_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                      *doc;
    ngx_int_t                    rc;
    ngx_uint_t                   mine;
    ngx_http_approval_status_t  *st = d->work;

    if (ngx_http_approval_desk_open(d, reply, &doc, &rc) != NGX_OK) {
        return rc;
    }

    if (ngx_http_approval_status_mine(d, doc, &mine) != NGX_OK) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else if (!mine) {
        rc = ngx_http_approval_desk_not_found(d);

    } else if (st->wait && ngx_http_approval_view_state(doc, reply)
                           == NGX_HTTP_APPROVAL_PENDING)
    {
        rc = ngx_http_approval_status_wait(d);

    } else {
        rc = ngx_http_approval_status_send(d, doc, reply);
    }

    json_decref(doc);

    return rc;
}


static ngx_int_t
ngx_http_approval_status_send(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    json_t  *status;

    status = ngx_http_approval_status_document(d->id,
                                     ngx_http_approval_view_state(doc, reply),
                                     reply->created, reply->expires);

    /* the requester may know other ways to reach the approvers */

    if (status && reply->told == 0 && reply->untold
        && json_object_set_new(status, "reached", json_false()) != 0)
    {
        json_decref(status);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (status && json_object_get(status, "retry_after")
        && ngx_http_approval_header_int(d->request, "Retry-After",
                                        NGX_HTTP_APPROVAL_STATUS_RETRY)
           != NGX_OK)
    {
        json_decref(status);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                       "application/json", status);
}


/* The watch or the timer, whichever comes first, ends the wait. */

static ngx_int_t
ngx_http_approval_status_wait(ngx_http_approval_desk_t *d)
{
    ngx_http_approval_status_t  *st = d->work;

    ngx_add_timer(&st->wake, st->wait);

    st->wait = 0;

    if (ngx_http_approval_suspend(d->request, "waiting for a decision to tell")
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(st->watch.id, d->id, APPROVAL_ID_LEN);
    st->watch.handler = ngx_http_approval_status_watch;
    st->watch.data = st;

    ngx_http_approval_watch_add(d->mcf->worker->store, &st->watch);

    return NGX_AGAIN;
}


static void
ngx_http_approval_status_watch(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision)
{
    ngx_http_approval_status_t *st = watch->data;

    ngx_post_event(&st->wake, &ngx_posted_events);
}


static void
ngx_http_approval_status_wake(ngx_event_t *ev)
{
    ngx_http_approval_status_t *st = ev->data;

    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_approval_desk_t  *d;

    d = st->desk;
    r = d->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "approval desk: status wake, timer: %d",
                   (int) ev->timedout);

    ev->timedout = 0;

    ngx_http_approval_status_done(st);

    r->read_event_handler = ngx_http_block_reading;

    rc = ngx_http_approval_desk_load(d, ngx_http_approval_status_step);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_approval_status_done(ngx_http_approval_status_t *st)
{
    if (st->watch.active) {
        ngx_http_approval_watch_del(st->desk->mcf->worker->store, &st->watch);
    }

    if (st->wake.timer_set) {
        ngx_del_timer(&st->wake);
    }

    if (st->wake.posted) {
        ngx_delete_posted_event(&st->wake);
    }
}


static void
ngx_http_approval_status_cleanup(void *data)
{
    ngx_http_approval_status_done(data);
}


/*
 * If the location identifies the client, it must be the action's requester;
 * otherwise knowing the id (128 random bits) is enough.
 */

static ngx_int_t
ngx_http_approval_status_mine(ngx_http_approval_desk_t *d, json_t *doc,
    ngx_uint_t *mine)
{
    ngx_int_t                 rc;
    ngx_str_t                 who, requester;
    ngx_http_approval_look_t  look;

    *mine = 1;

    if (d->lcf->requester == NULL) {
        return NGX_OK;
    }

    ngx_http_approval_look(&look, d->request, NULL, NULL);

    rc = ngx_http_approval_read_one(&look, d->lcf->requester, &who);

    if (rc != NGX_OK) {
        *mine = 0;
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    if (who.len) {
        requester = ngx_http_approval_json_get(doc, "requester");

        *mine = approval_people_same(d->mcf->people,
                                     ngx_http_approval_core_str(&who),
                                     ngx_http_approval_core_str(&requester));
    }

    return NGX_OK;
}
