
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Handles the store's answer to a request for a new action.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "notify/notify.h"


#define NGX_HTTP_APPROVAL_ASK_JOINED  100    /* ms, between two questions */
#define NGX_HTTP_APPROVAL_ASK_MAX     100    /* questions                 */


static void ngx_http_approval_ask_made(ngx_http_approval_hold_t *hold);
static void ngx_http_approval_ask_declined(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);


void
ngx_http_approval_ask_new(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    if (reply->rc == NGX_BUSY
        && reply->cap == NGX_HTTP_APPROVAL_CAP_PROMPTS)
    {
        hold->retry_after = (time_t) ((reply->expires - reply->now + 999)
                                      / 1000);
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_PROMPTS);
        return;
    }

    if (reply->rc == NGX_BUSY) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_MANY);
        return;
    }

    if (reply->rc == NGX_DECLINED) {
        ngx_http_approval_ask_declined(hold, reply);
        return;
    }

    /*
     * The store has answered with an error, such as OOM, which the requester
     * may have caused: so approval_store_failure does not apply.
     */

    if (reply->rc != NGX_OK && reply->answered) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
        return;
    }

    if (reply->rc != NGX_OK) {
        (void) ngx_http_approval_ask_no_store(hold);
        return;
    }

    if (reply->grant.len) {
        ngx_http_approval_grant_used(hold, reply);
        return;
    }

    ngx_memcpy(hold->action.id, reply->id, APPROVAL_ID_LEN);

    hold->action.created = reply->created;
    hold->action.expires = reply->expires;
    ngx_http_approval_hold_clock(hold, reply);
    hold->action.recent = (uint16_t) ngx_min(reply->recent, 65535);
    hold->action.origin = NGX_HTTP_APPROVAL_ACTION_JOINED;
    hold->action.state = reply->state;

    if (!reply->joined) {
        ngx_http_approval_ask_made(hold);

    } else if (ngx_http_approval_limit_joined(hold, reply) == NGX_OK) {
        ngx_http_approval_count(hold->verdict->rule,
                                NGX_HTTP_APPROVAL_COUNT_JOINED);

    } else {
        return;
    }

    ngx_http_approval_hold_wake(hold, reply->unannounced
                                      ? NGX_HTTP_APPROVAL_HOLD_JOINED
                                      : NGX_HTTP_APPROVAL_HOLD_STORED);
}


/* This hold is to record the action and to notify its approvers. */

static void
ngx_http_approval_ask_made(ngx_http_approval_hold_t *hold)
{
    hold->action.origin = NGX_HTTP_APPROVAL_ACTION_MADE;

    if (hold->action.doc) {
        json_object_set_new(hold->action.doc, "store_time",
                            ngx_http_approval_json_time(hold->action.created));
    }
}


/*
 * The action that this request has joined may not be on record yet.  If the
 * worker that created it does not record it soon, this one does.
 */

void
ngx_http_approval_ask_joined(ngx_http_approval_hold_t *hold)
{
    hold->wait.op = ngx_http_approval_store_announce(hold->mcf->worker->store,
                                                  hold->action.id,
                                                  ngx_http_approval_hold_reply,
                                                  hold);
    if (hold->wait.op == NULL) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
    }
}


void
ngx_http_approval_ask_announce(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    int64_t    deadline;
    ngx_str_t  sealed, join;

    if (reply->rc == NGX_AGAIN
        && hold->wait.asked++ < NGX_HTTP_APPROVAL_ASK_MAX)
    {
        ngx_add_timer(&hold->wait.event, NGX_HTTP_APPROVAL_ASK_JOINED);
        return;
    }

    if (reply->rc != NGX_OK) {
        ngx_http_approval_hold_refuse(hold, reply->rc == NGX_DECLINED
                                            ? NGX_HTTP_APPROVAL_REFUSE_LOST
                                            : NGX_HTTP_APPROVAL_REFUSE_STORE);
        return;
    }

    if (reply->doc.len) {
        ngx_http_approval_hold_recorded(hold);

        sealed = reply->doc;
        hold->action.doc = ngx_http_approval_action_open(hold->mcf,
                                                         hold->action.id,
                                                         &sealed);

        if (hold->action.doc == NULL) {
            ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(hold->request), 0,
                          "action %*s was not recorded by the worker that "
                          "created it, and cannot be now: it was sealed with "
                          "another approval_key",
                          (size_t) APPROVAL_ID_LEN, hold->action.id);
            ngx_http_approval_hold_refuse(hold,
                                          NGX_HTTP_APPROVAL_REFUSE_STORE);
            return;
        }

        join = ngx_http_approval_json_get(hold->action.doc, "join");
        deadline = ngx_http_approval_action_deadline(hold->action.doc);

        if (!ngx_http_approval_hash_among(&hold->action.joins, &join)
            || (deadline && deadline <= reply->now))
        {
            ngx_http_approval_hold_recorded(hold);
            ngx_http_approval_limit_refuse(hold,
                                           NGX_HTTP_APPROVAL_REFUSE_LOST,
                                           "request", "Redis returned an "
                                           "action of another request, or one "
                                           "that is overdue, for this request");
            return;
        }

        hold->action.state = reply->state;
        ngx_http_approval_ask_made(hold);
    }

    ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_STORED);
}


/*
 * No new action: the requester is frozen, the call was cancelled, or an action
 * that has ended answers for this request.
 */

static void
ngx_http_approval_ask_declined(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    if (reply->cause == NGX_HTTP_APPROVAL_CAUSE_FROZEN) {
        ngx_http_approval_ends_learn(hold->mcf, reply->ends, reply->nends,
                                     reply->now);
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_FROZEN);
        return;
    }

    if (reply->cause == NGX_HTTP_APPROVAL_CAUSE_UNFROZEN) {

        /* store again if another gateway has lifted the freeze seen here */

        if (ngx_http_approval_limit_unfrozen(hold, reply) == NGX_OK) {
            (void) ngx_http_approval_ask_store(hold);
        }

        return;
    }

    if (reply->cause == NGX_HTTP_APPROVAL_CAUSE_GIVEN_UP) {
        ngx_http_approval_call_over(hold);
        return;
    }

    ngx_memcpy(hold->action.id, reply->id, APPROVAL_ID_LEN);

    hold->action.origin = NGX_HTTP_APPROVAL_ACTION_JOINED;
    hold->action.state = reply->state;

    if (reply->cause != NGX_HTTP_APPROVAL_CAUSE_ENDED) {
        hold->retry_after = (time_t) ((reply->expires - reply->now + 999)
                                      / 1000);
    }

    ngx_http_approval_ticket_ended(hold);
}


/*
 * The action is in Redis.  A new one is durably recorded before anybody is
 * notified.  A request that joins an action is recorded, too, but nobody is
 * notified again.
 */

void
ngx_http_approval_ask_stored(ngx_http_approval_hold_t *hold)
{
    json_t      *event;
    ngx_int_t    rc;
    ngx_uint_t   joined;

    joined = (hold->action.origin == NGX_HTTP_APPROVAL_ACTION_JOINED);

    event = joined
            ? ngx_http_approval_facts(hold)
            : ngx_http_approval_action_disclose(hold->action.doc,
                                        NGX_HTTP_APPROVAL_DISCLOSE_DECLARED);

    rc = event ? ngx_http_approval_audit(hold->mcf,
                                         joined ? APPROVAL_RECORD_JOINED
                                                : APPROVAL_RECORD_REQUESTED,
                                         hold->action.id, event)
               : NGX_ERROR;

    if (rc != NGX_OK) {
        if (rc != NGX_ERROR) {
            ngx_http_approval_hold_recorded(hold);
        }

        ngx_http_approval_hold_withdraw(hold);
        return;
    }

    ngx_http_approval_hold_sync(hold, NGX_HTTP_APPROVAL_HOLD_REQUESTED);
}


void
ngx_http_approval_ask_synced(ngx_http_approval_hold_t *hold, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_RECORDED);
        return;
    }

    ngx_http_approval_hold_recorded(hold);
    ngx_http_approval_hold_withdraw(hold);
}


void
ngx_http_approval_ask_recorded(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_message_t  message;

    if (hold->action.origin == NGX_HTTP_APPROVAL_ACTION_MADE
        && hold->action.state == NGX_HTTP_APPROVAL_PENDING
        && (hold->verdict->rule->notify || hold->verdict->rule->escalate))
    {
        message.rule = hold->verdict->rule;
        message.doc = hold->action.doc;
        message.id = hold->action.id;
        message.created = hold->action.created;
        message.expires = hold->action.expires;
        message.recent = hold->action.recent;

        (void) ngx_http_approval_notify(hold->request, hold->mcf, &message);
    }

    if (hold->action.origin == NGX_HTTP_APPROVAL_ACTION_MADE) {
        ngx_http_approval_announced(hold->mcf, hold->verdict->rule,
                                    hold->action.id);
    }

    ngx_http_approval_hold_recorded(hold);

    ngx_http_approval_prefer(hold);
    ngx_http_approval_progress_start(hold);

    ngx_http_approval_hold_wait(hold, hold->action.expires
                                      - ngx_http_approval_hold_now(hold));

    ngx_http_approval_hold_watch(hold);
}
