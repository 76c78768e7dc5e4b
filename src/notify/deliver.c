
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "notify/deliver.h"

#include "audit/audit.h"
#include "model/link.h"


/* Subrequests at a time, and what one under way may take after the stop, ms. */

#define NGX_HTTP_APPROVAL_DELIVER_WINDOW  4
#define NGX_HTTP_APPROVAL_DELIVER_GRACE   200


static void ngx_http_approval_deliver_next(ngx_http_approval_outbox_t *outbox);
static void ngx_http_approval_deliver_begin(ngx_http_approval_delivery_t *d);
static ngx_int_t ngx_http_approval_deliver_render(
    ngx_http_approval_delivery_t *d);
static ngx_int_t ngx_http_approval_deliver_url(ngx_http_approval_delivery_t *d,
    approval_buf_t *out);
static void ngx_http_approval_deliver_timer(ngx_event_t *ev);
static void ngx_http_approval_deliver_settle(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a);
static ngx_msec_t ngx_http_approval_deliver_delay(
    ngx_http_approval_delivery_t *d, const ngx_http_approval_attempt_t *a);
static void ngx_http_approval_deliver_log(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a, ngx_msec_t delay);
static void ngx_http_approval_deliver_audit(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a, ngx_uint_t final);


void
ngx_http_approval_deliver_start(ngx_http_approval_outbox_t *outbox)
{
    ngx_uint_t                     i;
    ngx_http_approval_delivery_t  *d;

    d = outbox->deliveries.elts;

    for (i = 0; i < outbox->deliveries.nelts; i++) {
        d[i].timer.handler = ngx_http_approval_deliver_timer;
        d[i].timer.data = &d[i];
        d[i].timer.log = outbox->request->connection->log;
        d[i].timer.cancelable = 1;
    }

    ngx_http_approval_deliver_next(outbox);
}


static void
ngx_http_approval_deliver_next(ngx_http_approval_outbox_t *outbox)
{
    ngx_http_approval_delivery_t  *d;

    d = outbox->deliveries.elts;

    while (!outbox->stopped
           && !outbox->request->connection->error
           && outbox->active < NGX_HTTP_APPROVAL_DELIVER_WINDOW
           && outbox->next < outbox->deliveries.nelts)
    {
        ngx_http_approval_deliver_begin(&d[outbox->next++]);
    }
}


static void
ngx_http_approval_deliver_begin(ngx_http_approval_delivery_t *d)
{
    ngx_msec_t                    timeout;
    ngx_msec_int_t                left;
    ngx_http_approval_outbox_t   *outbox;
    ngx_http_approval_attempt_t   a;

    outbox = d->outbox;

    d->attempt++;

    ngx_memzero(&a, sizeof(ngx_http_approval_attempt_t));

    left = (ngx_msec_int_t) (outbox->deadline - ngx_current_msec);

    if (left <= 0) {
        a.error = "the action has expired";
        ngx_http_approval_deliver_settle(d, &a);
        return;
    }

    if ((d->body.len == 0 && ngx_http_approval_deliver_render(d) != NGX_OK)
        || ngx_http_approval_pass_send(d) != NGX_OK)
    {
        a.error = "it could not be started";
        ngx_http_approval_deliver_settle(d, &a);
        return;
    }

    outbox->active++;

    timeout = ngx_min(d->channel->timeout, (ngx_msec_t) left);

    ngx_add_timer(&d->timer, timeout);

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, outbox->request->connection->log, 0,
                   "approval: channel \"%V\": attempt %ui, timeout %M, %V",
                   &d->channel->name, d->attempt, timeout, &d->message_id);
}


/* Receivers tell messages apart by id: it and the body outlive the attempt. */

static ngx_int_t
ngx_http_approval_deliver_render(ngx_http_approval_delivery_t *d)
{
    ngx_int_t                          rc;
    ngx_pool_t                        *pool;
    approval_buf_t                     url, body;
    approval_str_t                     id;
    ngx_http_approval_outbox_t        *outbox;
    ngx_http_approval_content_t        content;
    const ngx_http_approval_format_t  *format;

    outbox = d->outbox;
    pool = outbox->request->pool;

    format = ngx_http_approval_format(d->channel->type);
    if (format == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    approval_buf_init(&url);
    approval_buf_init(&body);

    if (ngx_http_approval_deliver_url(d, &url) == NGX_ERROR) {
        goto done;
    }

    content.doc = outbox->doc;
    content.id = outbox->id;
    content.created = outbox->created;
    content.expires = outbox->expires;
    content.recent = outbox->recent;
    content.channel = d->channel;
    content.approver = ngx_http_approval_core_str(&d->approver);
    content.url = approval_buf_str(&url);

    if (format->body(&content, &body) != NGX_OK) {
        goto done;
    }

    id.len = APPROVAL_ID_LEN;
    id.data = outbox->id;

    d->message_id.len = APPROVAL_WEBHOOK_ID_LEN;
    d->message_id.data = ngx_pnalloc(pool, APPROVAL_WEBHOOK_ID_LEN);

    d->body.data = ngx_pnalloc(pool, body.len);

    if (d->message_id.data == NULL || d->body.data == NULL
        || approval_webhook_id(id, ngx_http_approval_core_str(
                                                           &d->channel->name),
                               content.approver, d->message_id.data)
           != APPROVAL_OK)
    {
        goto done;
    }

    ngx_memcpy(d->body.data, body.data, body.len);
    d->body.len = body.len;

    rc = NGX_OK;

done:

    approval_buf_wipe(&url);
    approval_buf_wipe(&body);

    return rc;
}


static ngx_int_t
ngx_http_approval_deliver_url(ngx_http_approval_delivery_t *d,
    approval_buf_t *out)
{
    ngx_str_t                    digest;
    ngx_http_approval_outbox_t  *outbox;

    outbox = d->outbox;

    if (d->approver.len == 0) {
        return ngx_http_approval_link(outbox->request, outbox->mcf,
                                      NGX_HTTP_APPROVAL_LINK_ACTION,
                                      outbox->id, out);
    }

    digest = ngx_http_approval_json_get(outbox->doc, "digest");

    return ngx_http_approval_link_personal(outbox->request, outbox->mcf,
                                           outbox->id, &digest,
                                     ngx_http_approval_core_str(&d->approver),
                                           (time_t) (outbox->expires / 1000),
                                           out);
}


void
ngx_http_approval_deliver_ended(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a)
{
    d->sr = NULL;
    d->outbox->active--;

    if (d->timer.timer_set) {
        ngx_del_timer(&d->timer);
    }

    ngx_http_approval_deliver_settle(d, a);
    ngx_http_approval_deliver_next(d->outbox);
}


/* The timer of an attempt, or between two. */

static void
ngx_http_approval_deliver_timer(ngx_event_t *ev)
{
    ngx_http_approval_delivery_t *d = ev->data;

    ngx_connection_t             *c;
    ngx_http_request_t           *r, *sr;
    ngx_http_approval_outbox_t   *outbox;
    ngx_http_approval_attempt_t   a;

    outbox = d->outbox;
    r = outbox->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    sr = d->sr;

    if (sr == NULL) {

        if (outbox->stopped) {
            return;
        }

        ngx_http_approval_deliver_begin(d);

    } else {

        ngx_memzero(&a, sizeof(ngx_http_approval_attempt_t));

        a.error = outbox->stopped ? "the action was decided before the reply"
                                  : "it took longer than the \"timeout\"";
        ngx_http_approval_deliver_ended(d, &a);

        /* If only this kept the request, the request is gone after it. */

        ngx_http_approval_pass_abort(sr);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_approval_deliver_settle(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a)
{
    ngx_msec_t  delay;

    delay = ngx_http_approval_deliver_delay(d, a);

    ngx_http_approval_deliver_log(d, a, delay);
    ngx_http_approval_deliver_audit(d, a, delay == 0);

    if (delay) {
        ngx_add_timer(&d->timer, delay);
    }
}


/* Until the next attempt, or 0: there is none. */

static ngx_msec_t
ngx_http_approval_deliver_delay(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a)
{
    ngx_uint_t                    i;
    ngx_msec_t                    delay;
    ngx_msec_int_t                left;
    ngx_http_approval_outbox_t   *outbox;
    ngx_http_approval_channel_t  *channel;

    outbox = d->outbox;
    channel = d->channel;

    if ((a->status >= 200 && a->status < 300)
        || outbox->stopped
        || d->refused
        || d->attempt > (ngx_uint_t) channel->retries)
    {
        return 0;
    }

    delay = channel->backoff_min;

    for (i = 0; i < d->attempt && delay < channel->backoff_max; i++) {
        delay *= 2;
    }

    delay = ngx_min(delay, channel->backoff_max);

    /* Half of it is chance, so that what failed at once does not return so. */

    delay = delay / 2 + (ngx_msec_t) ngx_random() % (delay / 2 + 1);
    delay = ngx_max(delay, channel->backoff_min);
    delay = ngx_max(delay, a->retry_after);
    delay = ngx_max(delay, 1);

    left = (ngx_msec_int_t) (outbox->deadline - ngx_current_msec);

    if (left <= 0 || delay >= (ngx_msec_t) left) {
        return 0;
    }

    return delay;
}


static void
ngx_http_approval_deliver_log(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a, ngx_msec_t delay)
{
    u_char                       *p;
    ngx_log_t                    *log;
    ngx_uint_t                    level;
    u_char                        next[sizeof("the next is in ms")
                                       + NGX_INT64_LEN];
    u_char                        status[sizeof("status ") + NGX_INT64_LEN];
    ngx_http_approval_outbox_t   *outbox;
    ngx_http_approval_channel_t  *channel;

    outbox = d->outbox;
    channel = d->channel;
    log = outbox->request->connection->log;

    if (a->status >= 200 && a->status < 300) {
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "approval: channel \"%V\" was told of action %*s, "
                      "attempt %ui, status %ui",
                      &channel->name, (size_t) APPROVAL_ID_LEN, outbox->id,
                      d->attempt, a->status);
        return;
    }

    if (delay) {
        p = ngx_sprintf(next, "the next is in %Mms", delay);

    } else {
        p = ngx_sprintf(next, "it was the last");
    }

    *p = '\0';

    p = ngx_sprintf(status, "status %ui", a->status);
    *p = '\0';

    if (outbox->stopped) {
        level = NGX_LOG_INFO;

    } else {
        level = delay ? NGX_LOG_WARN : NGX_LOG_ERR;
    }

    ngx_log_error(level, log, 0,
                  "approval: channel \"%V\" (pass %V) was not told of action "
                  "%*s: attempt %ui: %s, %s%s%s",
                  &channel->name, &channel->pass, (size_t) APPROVAL_ID_LEN,
                  outbox->id, d->attempt,
                  a->error ? (u_char *) a->error : status, next,
                  d->refused ? "; " : "", d->refused ? d->refused : "");
}


static void
ngx_http_approval_deliver_audit(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a, ngx_uint_t final)
{
    json_t                      *fields;
    ngx_uint_t                   good;
    ngx_http_approval_outbox_t  *outbox;

    outbox = d->outbox;
    good = (a->status >= 200 && a->status < 300);

    fields = json_object();

    if (fields) {
        (void) json_object_set_new(fields, "channel",
                               ngx_http_approval_json_str(&d->channel->name));
        (void) json_object_set_new(fields, "attempt",
                                   json_integer(d->attempt));
        (void) json_object_set_new(fields, "status", json_integer(a->status));

        if (d->approver.len) {
            (void) json_object_set_new(fields, "approver",
                                      ngx_http_approval_json_str(&d->approver));
        }

        if (!good) {
            (void) json_object_set_new(fields, "final", json_boolean(final));

            if (a->error) {
                (void) json_object_set_new(fields, "error",
                                           json_string(a->error));
            }
        }
    }

    /* Nothing depends on it: a failed append is logged there. */

    (void) ngx_http_approval_audit(outbox->mcf,
                                   good ? "notified" : "notify_failed",
                                   outbox->id, fields);
}


void
ngx_http_approval_deliver_stop(ngx_http_approval_outbox_t *outbox)
{
    ngx_uint_t                     i;
    ngx_http_approval_delivery_t  *d;

    if (outbox->stopped) {
        return;
    }

    outbox->stopped = 1;

    d = outbox->deliveries.elts;

    for (i = 0; i < outbox->deliveries.nelts; i++) {

        if (d[i].timer.timer_set) {
            ngx_del_timer(&d[i].timer);
        }

        /*
         * The receiver may have decided before it replied.  It is heard out,
         * but not for long: the client's connection is kept meanwhile.
         */

        if (d[i].sr) {
            ngx_add_timer(&d[i].timer, NGX_HTTP_APPROVAL_DELIVER_GRACE);
        }
    }
}


void
ngx_http_approval_deliver_cleanup(void *data)
{
    ngx_http_approval_outbox_t *outbox = data;

    ngx_uint_t                     i;
    ngx_http_approval_attempt_t    a;
    ngx_http_approval_delivery_t  *d;

    outbox->stopped = 1;

    d = outbox->deliveries.elts;

    for (i = 0; i < outbox->deliveries.nelts; i++) {

        if (d[i].timer.timer_set) {
            ngx_del_timer(&d[i].timer);
        }

        if (d[i].sr) {
            d[i].sr = NULL;

            ngx_memzero(&a, sizeof(ngx_http_approval_attempt_t));
            a.error = "the requester is gone";

            ngx_http_approval_deliver_settle(&d[i], &a);
        }
    }

    outbox->active = 0;

    json_decref(outbox->doc);
    outbox->doc = NULL;
}
