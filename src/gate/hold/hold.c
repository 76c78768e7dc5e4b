
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Suspends, wakes and releases holds.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "event/suspend.h"
#include "event/turn.h"
#include "notify/notify.h"


static void ngx_http_approval_hold_cleanup(void *data);
static void ngx_http_approval_hold_pool_cleanup(void *data);
static void ngx_http_approval_hold_handler(ngx_event_t *ev);
static void ngx_http_approval_hold_synced(void *data, ngx_int_t rc);
static void ngx_http_approval_hold_accept(ngx_http_approval_hold_t *hold);

/*
 * The handlers that continue a hold, by its state.  A state without handlers is
 * either left by the phase handler that entered it, or final.
 */

typedef struct {
    void                           (*wake)(ngx_http_approval_hold_t *hold);
    void                           (*reply)(ngx_http_approval_hold_t *hold,
                                       const ngx_http_approval_reply_t *reply);
    void                           (*synced)(ngx_http_approval_hold_t *hold,
                                       ngx_int_t rc);

    /* gets the reply if the request has ended; NULL: nothing depends on it */
    ngx_http_approval_store_pt       left;
} ngx_http_approval_hold_step_t;

static const ngx_http_approval_hold_step_t  ngx_http_approval_hold_steps[] = {
    [NGX_HTTP_APPROVAL_HOLD_READ] = { .wake = ngx_http_approval_body_judge },
    [NGX_HTTP_APPROVAL_HOLD_HASH] = { .wake = ngx_http_approval_ask_digest },
    [NGX_HTTP_APPROVAL_HOLD_STORE] =
        { .reply = ngx_http_approval_ask_new,
          .left = ngx_http_approval_left_new },
    [NGX_HTTP_APPROVAL_HOLD_JOINED] =
        { .wake = ngx_http_approval_ask_joined,
          .reply = ngx_http_approval_ask_announce },
    [NGX_HTTP_APPROVAL_HOLD_STORED] = { .wake = ngx_http_approval_ask_stored },
    [NGX_HTTP_APPROVAL_HOLD_REQUESTED] =
        { .synced = ngx_http_approval_ask_synced },
    [NGX_HTTP_APPROVAL_HOLD_RECORDED] =
        { .wake = ngx_http_approval_ask_recorded },
    [NGX_HTTP_APPROVAL_HOLD_WAIT] = { .wake = ngx_http_approval_hold_overdue },
    [NGX_HTTP_APPROVAL_HOLD_TOLD] = { .wake = ngx_http_approval_hold_decided },
    [NGX_HTTP_APPROVAL_HOLD_DECIDED] =
        { .wake = ngx_http_approval_hold_decided },
    [NGX_HTTP_APPROVAL_HOLD_CONSUME] =
        { .reply = ngx_http_approval_hold_consumed,
          .left = ngx_http_approval_left_consumed },
    [NGX_HTTP_APPROVAL_HOLD_CONSUMED] =
        { .wake = ngx_http_approval_forward_record },
    [NGX_HTTP_APPROVAL_HOLD_APPROVED] =
        { .synced = ngx_http_approval_forward_synced },
    [NGX_HTTP_APPROVAL_HOLD_FORWARD] = { .wake = ngx_http_approval_forward },
    [NGX_HTTP_APPROVAL_HOLD_SETTLE] =
        { .reply = ngx_http_approval_hold_settled },
    [NGX_HTTP_APPROVAL_HOLD_EXPLAIN] =
        { .reply = ngx_http_approval_hold_explained },
    [NGX_HTTP_APPROVAL_HOLD_REFUSE] = { .wake = ngx_http_approval_hold_say_no },
    [NGX_HTTP_APPROVAL_HOLD_GIVEN_UP] =
        { .wake = ngx_http_approval_hold_say_no },
    [NGX_HTTP_APPROVAL_HOLD_ACCEPT] = { .wake = ngx_http_approval_hold_accept },
    [NGX_HTTP_APPROVAL_HOLD_PASSED] = { .wake = ngx_http_approval_hold_resume },
    [NGX_HTTP_APPROVAL_HOLD_REFUSED] = { .wake = NULL }
};


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

    hold->request = r;

    cln = ngx_http_cleanup_add(r, 0);
    pool_cln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL || pool_cln == NULL
        || ngx_http_approval_verdict_create(hold) != NGX_OK)
    {
        return NULL;
    }

    hold->lcf = lcf;
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


/* The newest hold of the main request, even after a redirect. */

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


/*
 * The marker by which hold_of() finds the hold.  Frees the hold's objects if
 * the request cleanup has not run.
 */

static void
ngx_http_approval_hold_pool_cleanup(void *data)
{
    ngx_http_approval_hold_t *hold = data;

    ngx_http_approval_body_done(hold);
    ngx_http_approval_hold_recorded(hold);
    ngx_http_approval_verdict_done(hold);
}


/*
 * Runs before the request's memory is freed, whatever ends the request: the
 * client, an error, the worker's shutdown, or the end of the response.
 */

static void
ngx_http_approval_hold_cleanup(void *data)
{
    ngx_http_approval_hold_t *hold = data;

    if (hold->wait.op) {
        ngx_http_approval_hold_orphan(hold,
                               ngx_http_approval_hold_steps[hold->state].left);
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

    if (hold->queue.next) {
        ngx_http_approval_hold_leave(hold);
        ngx_http_approval_hold_left(hold);
    }

    ngx_http_approval_outcome(hold);
    ngx_http_approval_progress_cleanup(hold);
    ngx_http_approval_hold_pool_cleanup(hold);
}


/* Suspends the request; the deadline is the timer of hold->wait.event. */

ngx_int_t
ngx_http_approval_hold_suspend(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_hold_enter(hold);

    if (ngx_http_approval_suspend(hold->request, "waiting for approval")
        != NGX_OK)
    {
        /* nothing may continue after the error that is sent now */

        ngx_http_approval_hold_cleanup(hold);
        hold->state = NGX_HTTP_APPROVAL_HOLD_REFUSED;

        return NGX_ERROR;
    }

    if (hold->hasher) {
        ngx_http_approval_turn_next(&hold->wait.event);
    }

    return NGX_OK;
}


/* True if the store knows the action: its id and times are set. */

ngx_uint_t
ngx_http_approval_hold_stored(ngx_http_approval_hold_t *hold)
{
    return hold->action.origin >= NGX_HTTP_APPROVAL_ACTION_MADE;
}


/* True if this hold has consumed the approval, with the outcome pending. */

ngx_uint_t
ngx_http_approval_hold_executes(ngx_http_approval_hold_t *hold)
{
    return hold->action.taken
           && hold->action.state == NGX_HTTP_APPROVAL_EXECUTING;
}


/* Frees the document, which is on record or not needed any more. */

void
ngx_http_approval_hold_recorded(ngx_http_approval_hold_t *hold)
{
    json_decref(hold->action.doc);
    hold->action.doc = NULL;
}


/*
 * The time by Redis' clock, derived from the monotonic clock, so that decisions
 * do not expire when this host's clock is set forward.
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


/* Posts the wake event: a request is never changed in another's callback. */

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
    ngx_connection_t                     *c;
    ngx_http_request_t                   *r;
    ngx_http_approval_hold_t             *hold;
    const ngx_http_approval_hold_step_t  *step;

    hold = ev->data;
    r = hold->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "approval wake, state: %d, timer: %d",
                   (int) hold->state, (int) ev->timedout);

    ev->timedout = 0;

    step = &ngx_http_approval_hold_steps[hold->state];

    if (step->wake) {
        step->wake(hold);
    }

    ngx_http_run_posted_requests(c);
}


void
ngx_http_approval_hold_say_no(ngx_http_approval_hold_t *hold)
{
    ngx_http_request_t  *r;

    r = hold->request;

    ngx_http_approval_hold_leave(hold);
    ngx_http_approval_hold_left(hold);
    ngx_http_approval_notify_stop(r);

    ngx_http_finalize_request(r, ngx_http_approval_refuse(r, hold,
                                                          hold->refusal,
                                                          hold->why));
}


void
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


static void
ngx_http_approval_hold_accept(ngx_http_approval_hold_t *hold)
{
    ngx_http_request_t  *r;

    r = hold->request;

    ngx_http_finalize_request(r, ngx_http_approval_accept(r, hold));
}


/* Handles the store's reply to this state's operation. */

void
ngx_http_approval_hold_reply(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_hold_t *hold = data;

    hold->wait.op = NULL;

    ngx_http_approval_hold_steps[hold->state].reply(hold, reply);
}


/* Makes all records so far durable; then calls the handler of "state". */

void
ngx_http_approval_hold_sync(ngx_http_approval_hold_t *hold,
    ngx_http_approval_hold_state_e state)
{
    ngx_int_t  rc;

    hold->state = state;

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

    ngx_http_approval_hold_steps[hold->state].synced(hold, rc);
}
