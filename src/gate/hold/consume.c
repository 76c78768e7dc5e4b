
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Consumes the approval, once.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "event/suspend.h"


static void ngx_http_approval_hold_unreplicated(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);


void
ngx_http_approval_hold_consume(ngx_http_approval_hold_t *hold)
{
    ngx_str_t  id;

    /*
     * Do not execute if the requester is gone: the event for its disconnection
     * may be queued behind the decision in the same turn of the event loop.
     */

    if (ngx_http_approval_client_gone(hold->request)) {
        ngx_http_finalize_request(hold->request,
                                  NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    id.data = hold->action.id;
    id.len = APPROVAL_ID_LEN;

    if (ngx_http_approval_limit_room(hold, NGX_HTTP_APPROVAL_END_ACTION, &id,
                                     ngx_http_approval_hold_now(hold))
        != NGX_OK)
    {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
        return;
    }

    hold->state = NGX_HTTP_APPROVAL_HOLD_CONSUME;

    hold->wait.op = ngx_http_approval_grant_consume(hold,
                                                ngx_http_approval_hold_reply);
    if (hold->wait.op == NULL) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
    }
}


void
ngx_http_approval_hold_consumed(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    if (reply->rc == NGX_OK) {
        hold->action.taken = reply->now;

        if (hold->grant.len == 0
            && ngx_http_approval_limit_taken(hold, reply) != NGX_OK)
        {
            return;
        }

        if (hold->verdict->remember.len && !hold->action.single
            && hold->grant.len == 0)
        {
            ngx_http_approval_count(hold->verdict->rule,
                                    NGX_HTTP_APPROVAL_COUNT_GRANTED);
        }

        /* approvals by votes were counted with the vote */

        ngx_http_approval_count_move(hold->verdict->rule,
                             ngx_http_approval_move(hold->action.state,
                                                NGX_HTTP_APPROVAL_EXECUTING),
                             reply->now - hold->action.created);

        hold->action.state = NGX_HTTP_APPROVAL_EXECUTING;
        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_CONSUMED);
        return;
    }

    if (reply->rc == NGX_DECLINED
        && reply->cause == NGX_HTTP_APPROVAL_CAUSE_FROZEN)
    {
        ngx_http_approval_ends_learn(hold->mcf, reply->ends, reply->nends,
                                     reply->now);

        hold->action.state = reply->state;
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_FROZEN);
        return;
    }

    if (reply->rc == NGX_DECLINED
        && reply->cause == NGX_HTTP_APPROVAL_CAUSE_GIVEN_UP)
    {
        hold->action.state = reply->state;
        ngx_http_approval_call_over(hold);
        return;
    }

    if (reply->rc == NGX_DECLINED) {
        ngx_http_approval_hold_elsewhere(hold, reply);
        return;
    }

    if (reply->unreplicated) {
        ngx_http_approval_hold_unreplicated(hold, reply);
        return;
    }

    ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
}


/*
 * This hold has consumed the approval, but after a failover another gateway
 * could consume it again, so the action ends as failed.
 */

static void
ngx_http_approval_hold_unreplicated(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    static const char  why[] = "not forwarded: too few replicas of the store "
                               "acknowledged the use of the approval";

    ngx_http_approval_end_t  end;

    hold->action.taken = reply->now;

    ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(hold->request), 0,
                  "action %*s ends as failed: %s",
                  (size_t) APPROVAL_ID_LEN, hold->action.id, why);

    (void) ngx_http_approval_limit_take(hold->mcf, hold->verdict->rule,
                                        hold->action.id, reply->now, &end);
    (void) ngx_http_approval_forward_write(hold);

    ngx_http_approval_forward_fail(hold, why);

    hold->why = why;

    ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
}


/* The action's state has changed: refuse, or read the decision again. */

void
ngx_http_approval_hold_elsewhere(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    hold->action.state = reply->state;

    if (reply->state != NGX_HTTP_APPROVAL_PENDING
        && reply->state != NGX_HTTP_APPROVAL_APPROVED)
    {
        ngx_http_approval_hold_refuse(hold,
                                 ngx_http_approval_hold_refusal(reply->state));
        return;
    }

    /* it was decided just now: a new watch reads the key again */

    ngx_http_approval_hold_wait(hold, 1000);

    ngx_http_approval_watch_del(hold->mcf->worker->store, &hold->wait.watch);
    ngx_http_approval_watch_add(hold->mcf->worker->store, &hold->wait.watch);
}


/* The refusal for a request whose action is in this state. */

ngx_http_approval_refusal_e
ngx_http_approval_hold_refusal(ngx_http_approval_state_e state)
{
    static const ngx_http_approval_refusal_e  refusals[] = {
#define LIFE_STATE(name, text, place, refusal)                                \
        NGX_HTTP_APPROVAL_REFUSE_##refusal,
#include "model/life.def"
        NGX_HTTP_APPROVAL_REFUSE_LOST
    };

    return refusals[state];
}
