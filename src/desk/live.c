
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/live.h"
#include "desk/approver.h"
#include "desk/view.h"
#include "event/suspend.h"
#include "store/news.h"
#include "store/watch.h"


#define NGX_HTTP_APPROVAL_LIVE_MAX    200       /* streams of a worker      */
#define NGX_HTTP_APPROVAL_LIVE_TICK   1000
#define NGX_HTTP_APPROVAL_LIVE_BEAT   15000     /* longest silence          */
#define NGX_HTTP_APPROVAL_LIVE_TIME   300000    /* the browser reconnects,
                                                   and is identified again  */


/* In r->pool; the request's cleanup removes it from all lists. */

typedef struct {
    ngx_http_approval_desk_t   *desk;
    ngx_queue_t                 queue;      /* in the worker's list        */
    ngx_event_t                 wake;       /* posted: something changed   */
    ngx_http_approval_news_t    news;       /* of all, or the action's     */
    ngx_http_approval_watch_t   watch;      /* an action's page watches it */
    ngx_msec_t                  opened;
    ngx_msec_t                  sent;
    ngx_chain_t                *free;
    ngx_chain_t                *busy;
    unsigned                    open:1;
    unsigned                    told:1;     /* of changes before it opened */
    unsigned                    over:1;     /* the action: nothing follows */
} ngx_http_approval_live_t;


static ngx_int_t ngx_http_approval_live_loaded(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_http_approval_live_t *ngx_http_approval_live_open(
    ngx_http_approval_desk_t *d, ngx_int_t *rc);
static ngx_int_t ngx_http_approval_live_header(ngx_http_request_t *r);
static void ngx_http_approval_live_cleanup(void *data);
static void ngx_http_approval_live_heard(ngx_http_approval_news_t *news);
static void ngx_http_approval_live_seen(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision);
static void ngx_http_approval_live_wake(ngx_event_t *ev);
static void ngx_http_approval_live_tick(ngx_event_t *ev);
static void ngx_http_approval_live_step(ngx_http_approval_live_t *live);
static ngx_int_t ngx_http_approval_live_send(ngx_http_approval_live_t *live,
    const char *text);
static void ngx_http_approval_live_writer(ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_live_flush(ngx_http_approval_live_t *live,
    ngx_chain_t *out);
static void ngx_http_approval_live_end(ngx_http_approval_live_t *live);


/* Per worker.  nginx's timer log takes ev->data as a connection. */

static ngx_queue_t       ngx_http_approval_lives;
static ngx_uint_t        ngx_http_approval_live_n;
static ngx_event_t       ngx_http_approval_live_event;
static ngx_connection_t  ngx_http_approval_live_dummy;

static const char  ngx_http_approval_live_first[] = "retry: 5000\n\n";
static const char  ngx_http_approval_live_beat[] = ":\n\n";
static const char  ngx_http_approval_live_changed[] =
    "event: changed\ndata: look\n\n";


/* The timer is not cancelable: a worker that quits waits for the next tick. */

void
ngx_http_approval_live_init(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_http_approval_lives);

    ngx_http_approval_live_n = 0;
    ngx_http_approval_live_dummy.fd = (ngx_socket_t) -1;

    ngx_http_approval_live_event.handler = ngx_http_approval_live_tick;
    ngx_http_approval_live_event.data = &ngx_http_approval_live_dummy;
    ngx_http_approval_live_event.log = cycle->log;
}


ngx_int_t
ngx_http_approval_live_inbox(ngx_http_approval_desk_t *d)
{
    ngx_int_t                  rc;
    ngx_http_approval_live_t  *live;

    if (ngx_http_approval_approver_claims(d) == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_approval_approver_idp(d, &rc) != NGX_OK) {
        return rc;
    }

    if (!ngx_http_approval_approver_in(d, NULL)) {
        return ngx_http_approval_approver_refuse(d);
    }

    live = ngx_http_approval_live_open(d, &rc);

    if (live) {
        ngx_http_approval_news_add(d->mcf->worker->store, &live->news);
    }

    return rc;
}


ngx_int_t
ngx_http_approval_live_action(ngx_http_approval_desk_t *d)
{
    return ngx_http_approval_view_load(d, ngx_http_approval_live_loaded);
}


static ngx_int_t
ngx_http_approval_live_loaded(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                    *doc;
    ngx_int_t                  rc;
    ngx_http_approval_live_t  *live;

    if (ngx_http_approval_desk_open(d, reply, &doc, &rc) != NGX_OK) {
        return rc;
    }

    if (ngx_http_approval_approver_identify(d, doc, reply, &rc) != NGX_OK
        || ngx_http_approval_view_may(d, doc, &rc) != NGX_OK)
    {
        goto done;
    }

    live = ngx_http_approval_live_open(d, &rc);

    if (live == NULL) {
        goto done;
    }

    if (ngx_http_approval_view_state(doc, reply) != NGX_HTTP_APPROVAL_PENDING)
    {
        live->over = 1;
        ngx_post_event(&live->wake, &ngx_posted_events);
        goto done;
    }

    live->news.id = d->id;
    ngx_http_approval_news_add(d->mcf->worker->store, &live->news);

    ngx_memcpy(live->watch.id, d->id, APPROVAL_ID_LEN);
    live->watch.handler = ngx_http_approval_live_seen;
    live->watch.data = live;

    ngx_http_approval_watch_add(d->mcf->worker->store, &live->watch);

done:

    json_decref(doc);

    return rc;
}


/* NULL: *rc is the code to finalize the request with; otherwise NGX_AGAIN. */

static ngx_http_approval_live_t *
ngx_http_approval_live_open(ngx_http_approval_desk_t *d, ngx_int_t *rc)
{
    ngx_http_cleanup_t        *cln;
    ngx_http_request_t        *r;
    ngx_http_approval_live_t  *live;

    r = d->request;
    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (ngx_http_approval_live_n == NGX_HTTP_APPROVAL_LIVE_MAX
        || ngx_exiting || ngx_terminate)
    {
        if (ngx_http_approval_header_int(r, "Retry-After", 60) == NGX_OK) {
            *rc = ngx_http_approval_desk_refuse(d,
                      NGX_HTTP_SERVICE_UNAVAILABLE, "too-many-streams",
                      "Too many streams",
                      "The worker has too many open pages to notify all of "
                      "them. This page asks for changes from time to time "
                      "instead.",
                      NULL);
        }

        return NULL;
    }

    live = ngx_pcalloc(r->pool, sizeof(ngx_http_approval_live_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (live == NULL || cln == NULL) {
        return NULL;
    }

    /* what follows on the connection is another request */

    *rc = ngx_http_discard_request_body(r);

    if (*rc != NGX_OK) {
        return NULL;
    }

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (ngx_http_approval_suspend(r, "telling a page of changes") != NGX_OK) {
        return NULL;
    }

    r->write_event_handler = ngx_http_approval_live_writer;

    live->desk = d;
    live->open = 1;
    live->opened = ngx_current_msec;
    live->wake.handler = ngx_http_approval_live_wake;
    live->wake.data = live;
    live->wake.log = r->connection->log;
    live->news.handler = ngx_http_approval_live_heard;
    live->news.data = live;
    d->work = live;

    cln->handler = ngx_http_approval_live_cleanup;
    cln->data = live;

    ngx_queue_insert_tail(&ngx_http_approval_lives, &live->queue);

    if (ngx_http_approval_live_n++ == 0) {
        ngx_add_timer(&ngx_http_approval_live_event,
                      NGX_HTTP_APPROVAL_LIVE_TICK);
    }

    *rc = ngx_http_approval_live_header(r);

    if (*rc == NGX_OK) {
        *rc = ngx_http_approval_live_send(live, ngx_http_approval_live_first);
    }

    if (*rc != NGX_OK) {
        return NULL;
    }

    *rc = NGX_AGAIN;

    return live;
}


static ngx_int_t
ngx_http_approval_live_header(ngx_http_request_t *r)
{
    r->headers_out.status = NGX_HTTP_OK;
    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    if (ngx_http_approval_header(r, "Cache-Control", approval_str("no-store"))
        != NGX_OK
        || ngx_http_approval_header(r, "X-Accel-Buffering", approval_str("no"))
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* NGX_AGAIN: the header is buffered, and events are queued behind it */

    return ngx_http_send_header(r) == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_approval_live_cleanup(void *data)
{
    ngx_http_approval_live_t *live = data;

    if (!live->open) {
        return;
    }

    live->open = 0;

    ngx_http_approval_news_del(live->desk->mcf->worker->store, &live->news);
    ngx_http_approval_watch_del(live->desk->mcf->worker->store, &live->watch);

    if (live->wake.posted) {
        ngx_delete_posted_event(&live->wake);
    }

    ngx_queue_remove(&live->queue);

    if (--ngx_http_approval_live_n == 0
        && ngx_http_approval_live_event.timer_set)
    {
        ngx_del_timer(&ngx_http_approval_live_event);
    }
}


static void
ngx_http_approval_live_heard(ngx_http_approval_news_t *news)
{
    ngx_http_approval_live_t *live = news->data;

    ngx_post_event(&live->wake, &ngx_posted_events);
}


static void
ngx_http_approval_live_seen(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision)
{
    ngx_http_approval_live_t *live = watch->data;

    live->over = 1;
    ngx_post_event(&live->wake, &ngx_posted_events);
}


/* An action's stream ends when the action is decided, whoever did it. */

static void
ngx_http_approval_live_wake(ngx_event_t *ev)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_approval_live_t  *live;

    live = ev->data;
    r = live->desk->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    rc = ngx_http_approval_live_send(live, ngx_http_approval_live_changed);

    if (rc != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);

    } else if (live->over) {
        ngx_http_approval_live_end(live);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_approval_live_tick(ngx_event_t *ev)
{
    ngx_queue_t  *q, *next;

    for (q = ngx_queue_head(&ngx_http_approval_lives);
         q != ngx_queue_sentinel(&ngx_http_approval_lives);
         q = next)
    {
        next = ngx_queue_next(q);

        ngx_http_approval_live_step(ngx_queue_data(q, ngx_http_approval_live_t,
                                                   queue));
    }

    if (ngx_http_approval_live_n) {
        ngx_add_timer(ev, NGX_HTTP_APPROVAL_LIVE_TICK);
    }
}


/* One event is for all changes before the stream was opened. */

static void
ngx_http_approval_live_step(ngx_http_approval_live_t *live)
{
    ngx_msec_t           age;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = live->desk->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    age = ngx_current_msec - live->opened;

    if (ngx_exiting || age >= NGX_HTTP_APPROVAL_LIVE_TIME) {
        ngx_http_approval_live_end(live);

    } else if (!live->told && age >= NGX_HTTP_APPROVAL_LIVE_TICK) {
        live->told = 1;
        ngx_post_event(&live->wake, &ngx_posted_events);

    } else if (ngx_current_msec - live->sent >= NGX_HTTP_APPROVAL_LIVE_BEAT
               && (live->busy
                   || ngx_http_approval_live_send(live,
                                               ngx_http_approval_live_beat)
                      != NGX_OK))
    {
        /* the client does not read */

        ngx_http_finalize_request(r, NGX_ERROR);
    }

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_approval_live_send(ngx_http_approval_live_t *live, const char *text)
{
    ngx_buf_t    *b;
    ngx_chain_t  *out;

    out = ngx_chain_get_free_buf(live->desk->request->pool, &live->free);
    if (out == NULL) {
        return NGX_ERROR;
    }

    b = out->buf;

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->tag = (ngx_buf_tag_t) &ngx_http_approval_module;
    b->start = (u_char *) text;
    b->pos = b->start;
    b->last = b->start + ngx_strlen(text);
    b->end = b->last;
    b->memory = 1;
    b->flush = 1;

    /* a client that does not read is dropped after the next silence */

    if (live->busy == NULL) {
        live->sent = ngx_current_msec;
    }

    return ngx_http_approval_live_flush(live, out);
}


static void
ngx_http_approval_live_writer(ngx_http_request_t *r)
{
    ngx_http_approval_desk_t  *d;

    d = ngx_http_approval_desk_find(r);

    if (d == NULL || ngx_http_approval_client_gone(r)) {
        ngx_http_finalize_request(r, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    if (ngx_http_approval_live_flush(d->work, NULL) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


static ngx_int_t
ngx_http_approval_live_flush(ngx_http_approval_live_t *live, ngx_chain_t *out)
{
    ngx_http_request_t  *r;

    r = live->desk->request;

    if (ngx_http_output_filter(r, out) == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_chain_update_chains(r->pool, &live->free, &live->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_approval_module);

    return ngx_handle_write_event(r->connection->write, 0);
}


static void
ngx_http_approval_live_end(ngx_http_approval_live_t *live)
{
    ngx_http_request_t  *r;

    r = live->desk->request;

    ngx_http_approval_live_cleanup(live);

    ngx_http_finalize_request(r, ngx_http_send_special(r, NGX_HTTP_LAST));
}
