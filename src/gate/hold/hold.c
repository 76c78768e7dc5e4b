
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The hold: suspend, wake, let go.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "event/suspend.h"
#include "notify/notify.h"


static void ngx_http_approval_hold_cleanup(void *data);
static void ngx_http_approval_hold_pool_cleanup(void *data);
static void ngx_http_approval_hold_handler(ngx_event_t *ev);
static void ngx_http_approval_hold_say_no(ngx_http_approval_hold_t *hold);
static void ngx_http_approval_hold_resume(ngx_http_approval_hold_t *hold);
static void ngx_http_approval_hold_synced(void *data, ngx_int_t rc);
static void ngx_http_approval_hold_unrecorded(ngx_http_approval_hold_t *hold);


ngx_http_approval_hold_t *
ngx_http_approval_hold_create(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf)
{
    ngx_http_cleanup_t        *cln;
    ngx_pool_cleanup_t        *pool_cln;
    ngx_http_approval_hold_t  *hold;

    hold = ngx_pcalloc(r->pool, sizeof(ngx_http_approval_hold_t));
    if (hold == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    pool_cln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL || pool_cln == NULL) {
        return NULL;
    }

    hold->request = r;
    hold->lcf = lcf;
    hold->method = r->method_name;
    hold->mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);
    hold->next = ngx_http_approval_hold_of(r);
    hold->started = ngx_current_msec;
    hold->action.state = NGX_HTTP_APPROVAL_UNKNOWN;

    hold->wait.event.handler = ngx_http_approval_hold_handler;
    hold->wait.event.data = hold;
    hold->wait.event.log = r->connection->log;

    cln->handler = ngx_http_approval_hold_cleanup;
    cln->data = hold;

    pool_cln->handler = ngx_http_approval_hold_pool_cleanup;
    pool_cln->data = hold;

    ngx_http_approval_progress_inherit(hold);

    ngx_http_set_ctx(r, hold, ngx_http_approval_module);

    return hold;
}


/* The newest hold of the main request, also where a redirect lost it. */

ngx_http_approval_hold_t *
ngx_http_approval_hold_of(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_approval_hold_pool_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


/* Finds the hold, and frees what a request that dies at once left behind. */

static void
ngx_http_approval_hold_pool_cleanup(void *data)
{
    ngx_http_approval_hold_t *hold = data;

    ngx_http_approval_body_done(hold);
    json_decref(hold->action.doc);
    hold->action.doc = NULL;
    json_decref(hold->remembered);
    hold->remembered = NULL;
}


/*
 * Runs before the request's memory goes, whoever ends it: the client, an
 * error, the worker's shutdown, or a response that is complete.
 */

static void
ngx_http_approval_hold_cleanup(void *data)
{
    ngx_http_approval_hold_t *hold = data;

    if (hold->wait.op) {
        if (hold->state == NGX_HTTP_APPROVAL_HOLD_STORE
            || hold->state == NGX_HTTP_APPROVAL_HOLD_SETTLE)
        {
            ngx_http_approval_hold_orphan(hold);

        } else {
            ngx_http_approval_store_forget(hold->wait.op);
        }

        hold->wait.op = NULL;
    }

    ngx_http_approval_audit_cancel(&hold->wait.sync);

    ngx_http_approval_hold_unwatch(hold);

    if (hold->wait.event.timer_set) {
        ngx_del_timer(&hold->wait.event);
    }

    if (hold->wait.event.posted) {
        ngx_delete_posted_event(&hold->wait.event);
    }

    if (hold->waiting) {
        ngx_http_approval_hold_leave(hold);
        ngx_http_approval_hold_left(hold);
    }

    ngx_http_approval_outcome(hold);
    ngx_http_approval_progress_cleanup(hold);
    ngx_http_approval_body_done(hold);
    json_decref(hold->action.doc);
    hold->action.doc = NULL;
    json_decref(hold->remembered);
    hold->remembered = NULL;
}


/* The deadline is a timer of our own. */

ngx_int_t
ngx_http_approval_hold_suspend(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_hold_enter(hold);

    if (ngx_http_approval_suspend(hold->request, "waiting for approval")
        != NGX_OK)
    {
        /* nothing goes on behind the error that is sent now */

        ngx_http_approval_hold_cleanup(hold);
        hold->state = NGX_HTTP_APPROVAL_HOLD_REFUSED;

        return NGX_ERROR;
    }

    if (hold->hasher) {
        ngx_post_event(&hold->wait.event, &ngx_posted_next_events);
    }

    return NGX_OK;
}


/* Milliseconds since the epoch by our clock, as the event loop knows it. */

int64_t
ngx_http_approval_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


/*
 * Redis' clock, by one that nobody sets: when ours is put forward, decisions
 * are not past their end.
 */

int64_t
ngx_http_approval_hold_now(ngx_http_approval_hold_t *hold)
{
    return hold->clock + (int64_t) ngx_current_msec;
}


void
ngx_http_approval_hold_clock(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    hold->clock = reply->now - (int64_t) ngx_current_msec;
}


/* Nothing is done to a request within another event's callback. */

void
ngx_http_approval_hold_wake(ngx_http_approval_hold_t *hold,
    ngx_http_approval_hold_state_e state)
{
    hold->state = state;

    ngx_post_event(&hold->wait.event, &ngx_posted_events);
}


void
ngx_http_approval_hold_refuse(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal)
{
    hold->refusal = refusal;

    ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_REFUSE);
}


static void
ngx_http_approval_hold_handler(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_approval_hold_t  *hold;

    hold = ev->data;
    r = hold->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "approval wake, state: %d, timer: %d",
                   (int) hold->state, (int) ev->timedout);

    ev->timedout = 0;

    switch (hold->state) {

    case NGX_HTTP_APPROVAL_HOLD_HASH:
        ngx_http_approval_ask_digest(hold);
        break;

    case NGX_HTTP_APPROVAL_HOLD_STORED:
        ngx_http_approval_ask_stored(hold);
        break;

    case NGX_HTTP_APPROVAL_HOLD_RECORDED:
        ngx_http_approval_ask_recorded(hold);
        break;

    case NGX_HTTP_APPROVAL_HOLD_WAIT:
        ngx_http_approval_hold_overdue(hold);
        break;

    case NGX_HTTP_APPROVAL_HOLD_DECIDED:
        ngx_http_approval_hold_decided(hold);
        break;

    case NGX_HTTP_APPROVAL_HOLD_CONSUMED:
        if (ngx_http_approval_forward_record(hold) == NGX_OK) {
            ngx_http_approval_hold_sync(hold, NGX_HTTP_APPROVAL_HOLD_FORWARD);

        } else {
            ngx_http_approval_hold_unrecorded(hold);
        }

        break;

    case NGX_HTTP_APPROVAL_HOLD_FORWARD:
        if (ngx_http_approval_forward(hold) == NGX_OK) {
            ngx_http_approval_hold_resume(hold);
            break;
        }

        ngx_http_approval_forward_fail(hold, "the request could not be made "
                                       "ready for the upstream: not executed");
        hold->refusal = NGX_HTTP_APPROVAL_REFUSE_INTERNAL;

        /* fall through */

    case NGX_HTTP_APPROVAL_HOLD_REFUSE:
        ngx_http_approval_hold_say_no(hold);
        break;

    case NGX_HTTP_APPROVAL_HOLD_ACCEPT:
        ngx_http_finalize_request(r, ngx_http_approval_accept(r, hold));
        break;

    case NGX_HTTP_APPROVAL_HOLD_PASSED:
        ngx_http_approval_hold_resume(hold);
        break;

    default:
        break;
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_approval_hold_say_no(ngx_http_approval_hold_t *hold)
{
    ngx_http_request_t  *r;

    r = hold->request;

    ngx_http_approval_hold_leave(hold);
    ngx_http_approval_hold_left(hold);
    ngx_http_approval_notify_stop(r);

    ngx_http_finalize_request(r, ngx_http_approval_refuse(r, hold,
                                                          hold->refusal,
                                                          NULL));
}


static void
ngx_http_approval_hold_resume(ngx_http_approval_hold_t *hold)
{
    ngx_http_request_t  *r;

    r = hold->request;

    ngx_http_approval_hold_leave(hold);
    hold->resumed = ngx_current_msec;
    hold->state = NGX_HTTP_APPROVAL_HOLD_PASSED;

    ngx_http_approval_notify_stop(r);

    r->connection->log->action = "processing approved request";

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


/* What was recorded so far is durable before "next". */

void
ngx_http_approval_hold_sync(ngx_http_approval_hold_t *hold,
    ngx_http_approval_hold_state_e next)
{
    ngx_int_t  rc;

    hold->state = NGX_HTTP_APPROVAL_HOLD_SYNC;
    hold->wait.next = next;

    hold->wait.sync.handler = ngx_http_approval_hold_synced;
    hold->wait.sync.data = hold;

    rc = ngx_http_approval_audit_sync(hold->mcf, &hold->wait.sync);

    if (rc != NGX_AGAIN) {
        ngx_http_approval_hold_synced(hold, rc);
    }
}


static void
ngx_http_approval_hold_synced(void *data, ngx_int_t rc)
{
    ngx_http_approval_hold_t *hold = data;

    if (rc == NGX_OK) {
        ngx_http_approval_hold_wake(hold, hold->wait.next);
        return;
    }

    if (hold->wait.next == NGX_HTTP_APPROVAL_HOLD_FORWARD) {
        ngx_http_approval_hold_unrecorded(hold);
        return;
    }

    ngx_http_approval_hold_withdraw(hold);
}


static void
ngx_http_approval_hold_unrecorded(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_forward_fail(hold, "the approval could not be put on "
                                   "record: not executed");
    ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_AUDIT);
}
