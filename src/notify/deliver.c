
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/deliver.h"

#include "store/queue.h"


/* Subrequests at a time; ms that one under way may take after the stop. */

#define NGX_HTTP_APPROVAL_DELIVER_WINDOW  4
#define NGX_HTTP_APPROVAL_DELIVER_GRACE   200


static void ngx_http_approval_deliver_next(ngx_http_approval_outbox_t *outbox);
static void ngx_http_approval_deliver_begin(ngx_http_approval_delivery_t *d);
static void ngx_http_approval_deliver_later(ngx_http_approval_delivery_t *d,
    ngx_msec_t after);
static void ngx_http_approval_deliver_escalate(
    ngx_http_approval_outbox_t *outbox);
static ngx_int_t ngx_http_approval_deliver_render(
    ngx_http_approval_delivery_t *d);
static void ngx_http_approval_deliver_timer(ngx_event_t *ev);
static void ngx_http_approval_deliver_settle(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a);
static void ngx_http_approval_deliver_count(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a);
static ngx_msec_t ngx_http_approval_deliver_delay(
    ngx_http_approval_delivery_t *d, const ngx_http_approval_attempt_t *a);
static void ngx_http_approval_deliver_log(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a, ngx_msec_t delay);


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

        ngx_http_approval_deliver_later(&d[i], d[i].due);
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
        if (d[outbox->next].due == 0) {
            ngx_http_approval_deliver_begin(&d[outbox->next]);
        }

        outbox->next++;
    }
}


/* Schedules a reminder or an escalation, unless the action ends before it. */

static void
ngx_http_approval_deliver_later(ngx_http_approval_delivery_t *d,
    ngx_msec_t after)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (d->outbox->deadline - ngx_current_msec);

    if (after && (ngx_msec_int_t) after < left) {
        ngx_add_timer(&d->timer, after);
    }
}


/* Somebody could not be notified, so the escalations are sent now. */

static void
ngx_http_approval_deliver_escalate(ngx_http_approval_outbox_t *outbox)
{
    ngx_uint_t                     i;
    ngx_http_approval_delivery_t  *d;

    d = outbox->deliveries.elts;

    for (i = 0; i < outbox->deliveries.nelts; i++) {
        if (d[i].event == APPROVAL_EVENT_ESCALATED && d[i].attempt == 0
            && d[i].timer.timer_set)
        {
            ngx_add_timer(&d[i].timer, 1);
        }
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
        a.error = "the attempt could not be started";
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


/* All attempts have the same id, by which receivers recognize a repetition. */

static ngx_int_t
ngx_http_approval_deliver_render(ngx_http_approval_delivery_t *d)
{
    ngx_int_t                     rc;
    ngx_pool_t                   *pool;
    approval_buf_t                body, name;
    approval_str_t                id;
    ngx_http_approval_told_t      told;
    ngx_http_approval_outbox_t   *outbox;

    outbox = d->outbox;
    pool = outbox->request->pool;

    told = outbox->told;
    told.event = d->event;
    told.channel = d->channel;
    told.approver = d->approver;

    rc = NGX_ERROR;

    approval_buf_init(&body);
    approval_buf_init(&name);

    /* the id depends on the event and on the round of the reminder */

    if (d->event != APPROVAL_EVENT_REQUESTED) {
        approval_buf_printf(&name, "%s/%lu/", approval_event_name(d->event),
                            (unsigned long) d->round);
    }

    approval_buf_add(&name, d->channel->name.data, d->channel->name.len);

    if (ngx_http_approval_render(outbox->mcf, &told, &body, NULL) != NGX_OK) {
        goto done;
    }

    id.len = APPROVAL_ID_LEN;
    id.data = outbox->id;

    d->message_id.len = APPROVAL_WEBHOOK_ID_LEN;
    d->message_id.data = ngx_pnalloc(pool, APPROVAL_WEBHOOK_ID_LEN);

    d->body.data = ngx_pnalloc(pool, body.len);

    if (d->message_id.data == NULL || d->body.data == NULL || name.failed
        || approval_webhook_id(id, approval_buf_str(&name),
                               ngx_http_approval_core_str(&d->approver),
                               d->message_id.data)
           != APPROVAL_OK)
    {
        goto done;
    }

    ngx_memcpy(d->body.data, body.data, body.len);
    d->body.len = body.len;

    rc = NGX_OK;

done:

    approval_buf_wipe(&body);
    approval_buf_free(&name);

    return rc;
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


/* The timeout of an attempt, or the time of the next one. */

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

        /* reminders and escalations must not keep an answered request */

        if (outbox->stopped || (d->due && r->done)) {
            return;
        }

        ngx_http_approval_deliver_begin(d);

    } else {

        ngx_memzero(&a, sizeof(ngx_http_approval_attempt_t));

        a.error = outbox->stopped ? "the action was decided before the "
                                    "response arrived"
                                  : "it took longer than the \"timeout\"";
        ngx_http_approval_deliver_ended(d, &a);

        /* this may free the held request, and the outbox with it */

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
    ngx_http_approval_attempt_audit(d->outbox->mcf, d->outbox->id, d->channel,
                                    d->event, &d->approver,
                                    d->attempt, a, delay == 0);

    if (delay) {
        ngx_add_timer(&d->timer, delay);
        return;
    }

    ngx_http_approval_deliver_count(d, a);

    if (d->outbox->stopped) {
        return;
    }

    if (!ngx_http_approval_attempt_good(a)) {
        ngx_http_approval_deliver_escalate(d->outbox);
    }

    if (d->again) {
        d->round++;
        d->attempt = 0;
        d->body.len = 0;

        ngx_http_approval_deliver_later(d, d->again);
    }
}


/* Stores with the action whether it was delivered, for the action's page. */

static void
ngx_http_approval_deliver_count(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a)
{
    ngx_str_t                    none;
    ngx_http_approval_outbox_t  *outbox;

    outbox = d->outbox;

    if (outbox->mcf->worker->store == NULL
        || (outbox->stopped && !ngx_http_approval_attempt_good(a)))
    {
        return;
    }

    ngx_str_null(&none);

    ngx_http_approval_queue_done(outbox->mcf->worker->store, outbox->id, &none,
                                 0, ngx_http_approval_attempt_good(a), 0,
                                 &none);
}


/* The delay before the next attempt in ms, or 0 if there is none. */

static ngx_msec_t
ngx_http_approval_deliver_delay(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a)
{
    if (ngx_http_approval_attempt_good(a) || d->outbox->stopped || d->refused)
    {
        return 0;
    }

    return ngx_http_approval_attempt_delay(d->channel, d->attempt, a,
                                (ngx_msec_int_t) (d->outbox->deadline
                                                  - ngx_current_msec));
}


static void
ngx_http_approval_deliver_log(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a, ngx_msec_t delay)
{
    u_char                       *p;
    ngx_log_t                    *log;
    ngx_uint_t                    level;
    u_char                        next[NGX_HTTP_APPROVAL_ATTEMPT_NEXT];
    u_char                        status[sizeof("status ") + NGX_INT64_LEN];
    ngx_http_approval_outbox_t   *outbox;
    ngx_http_approval_channel_t  *channel;

    outbox = d->outbox;
    channel = d->channel;
    log = ngx_http_approval_log(outbox->request);

    if (a->status >= 200 && a->status < 300) {
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "approval: channel \"%V\" was notified of action %*s, "
                      "attempt %ui, status %ui",
                      &channel->name, (size_t) APPROVAL_ID_LEN, outbox->id,
                      d->attempt, a->status);
        return;
    }

    ngx_http_approval_attempt_next(next, channel, d->attempt, delay);

    p = ngx_sprintf(status, "status %ui", a->status);
    *p = '\0';

    if (outbox->stopped) {
        level = NGX_LOG_INFO;

    } else {
        level = delay ? NGX_LOG_WARN : NGX_LOG_ERR;
    }

    ngx_log_error(level, log, 0,
                  "approval: channel \"%V\" (pass) was not notified of action "
                  "%*s: attempt %ui failed: %s, %s%s%s",
                  &channel->name, (size_t) APPROVAL_ID_LEN, outbox->id,
                  d->attempt,
                  a->error ? (u_char *) a->error : status, next,
                  d->refused ? "; " : "", d->refused ? d->refused : "");
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
         * The receiver may have decided before it replied.  Its response gets
         * a short time, because it keeps the client's connection open.
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
            a.error = "the requester disconnected";

            ngx_http_approval_deliver_settle(&d[i], &a);
        }
    }

    outbox->active = 0;

    json_decref(outbox->told.doc);
    outbox->told.doc = NULL;
}
