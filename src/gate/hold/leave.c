
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Handles requesters that stop waiting.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"
#include "notify/notify.h"


#define NGX_HTTP_APPROVAL_MCP_CLOSES  "2026-07-28"


static ngx_uint_t ngx_http_approval_hold_closes(
    ngx_http_approval_hold_t *hold);
static ngx_http_approval_ending_t *ngx_http_approval_left_create(
    ngx_http_approval_hold_t *hold);


/*
 * The requester left.  With "cancel" the action ends when the last connection
 * that waits for it does.  With "keep" it stays open for an identical retry,
 * and approvers see that nobody waits.
 */

void
ngx_http_approval_hold_left(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_ending_t  *left;

    if (!ngx_http_approval_hold_stored(hold) || hold->mcf->worker->store == NULL
        || (hold->action.state != NGX_HTTP_APPROVAL_PENDING
            && hold->action.state != NGX_HTTP_APPROVAL_APPROVED))
    {
        return;
    }

    left = ngx_http_approval_left_create(hold);

    if (left) {
        ngx_http_approval_ending_leave(left);
    }
}


/*
 * The client gets a ticket and will come back.  The store learns this first:
 * its flush is posted before the wake event that answers the client.
 */

void
ngx_http_approval_hold_ticket(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_hold_leave(hold);

    (void) ngx_http_approval_store_ticket(hold->mcf->worker->store,
                                          hold->action.id, NULL, NULL);

    ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_ACCEPT);
}


/*
 * The requester left before the store had answered.  "keeper" gets the answer,
 * so that the action, or its end, is recorded anyway.
 */

void
ngx_http_approval_hold_orphan(ngx_http_approval_hold_t *hold,
    ngx_http_approval_store_pt keeper)
{
    ngx_http_approval_ending_t  *left;

    left = keeper ? ngx_http_approval_left_create(hold) : NULL;

    if (left) {
        ngx_http_approval_store_keep(hold->wait.op, keeper, left);
    }

    ngx_http_approval_store_forget(hold->wait.op);
}


void
ngx_http_approval_left_new(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_ending_t *left = data;

    if (reply->rc != NGX_OK || reply->grant.len) {
        ngx_http_approval_ending_free(left);
        return;
    }

    ngx_memcpy(left->id, reply->id, APPROVAL_ID_LEN);

    json_object_set_new(left->facts, "id",
                        json_stringn((char *) left->id, APPROVAL_ID_LEN));

    if (reply->joined) {
        json_decref(left->doc);
        left->doc = NULL;
        left->untold = 0;
        left->unannounced = 0;

    } else if (left->doc) {
        json_object_set_new(left->doc, "store_time",
                            ngx_http_approval_json_time(reply->created));
    }

    ngx_http_approval_ending_leave(left);
}


/*
 * The approval was consumed, but the requester has left: the approval is used
 * up, and nothing is forwarded.  Nothing is recorded if this gateway knows an
 * end of the action already.  If the answer is lost, the lease ends the action.
 */

void
ngx_http_approval_left_consumed(void *data,
    const ngx_http_approval_reply_t *reply)
{
    static const char  why[] = "not forwarded: the requester left";

    json_t                      *facts;
    ngx_http_approval_end_t      end;
    ngx_http_approval_ending_t  *left = data;

    if (reply->rc != NGX_OK && !reply->unreplicated) {
        ngx_http_approval_ending_free(left);
        return;
    }

    ngx_http_approval_ends_learn(left->mcf, reply->ends, reply->nends,
                                 reply->now);

    if (ngx_http_approval_limit_take(left->mcf, left->rule, left->id,
                                     reply->now, &end)
        != NGX_DECLINED)
    {
        facts = json_copy(left->facts);

        json_object_set_new(facts, "store_time",
                            ngx_http_approval_json_time(reply->now));
        ngx_http_approval_audit_late(left->mcf, APPROVAL_RECORD_APPROVED,
                                     left->id, facts);

        json_object_del(left->facts, "decision");
        ngx_http_approval_forward_unsent(left->facts, why);
        ngx_http_approval_ended(left->mcf, left->rule, left->id,
                                NGX_HTTP_APPROVAL_FAILED, 0,
                                json_incref(left->facts));
    }

    ngx_http_approval_forward_failed(left->mcf, left->id, why);
    ngx_http_approval_ending_free(left);
}


/*
 * True if the action ends with its requester.  Since revision
 * NGX_HTTP_APPROVAL_MCP_CLOSES, an MCP client cancels a call by closing the
 * stream.
 */

static ngx_uint_t
ngx_http_approval_hold_closes(ngx_http_approval_hold_t *hold)
{
    /* stored, but no approver was notified yet */

    if (hold->action.origin == NGX_HTTP_APPROVAL_ACTION_MADE
        && (hold->verdict->rule->notify || hold->verdict->rule->escalate)
        && hold->state >= NGX_HTTP_APPROVAL_HOLD_STORED
        && hold->state <= NGX_HTTP_APPROVAL_HOLD_RECORDED)
    {
        return 1;
    }

    if (hold->state == NGX_HTTP_APPROVAL_HOLD_GIVEN_UP) {
        return 1;
    }

    if (ngx_exiting || hold->state == NGX_HTTP_APPROVAL_HOLD_REFUSE) {
        return 0;
    }

    if (hold->lcf->disconnect == NGX_HTTP_APPROVAL_CANCEL) {
        return 1;
    }

    return hold->rpc && hold->rpc->tool
           && ngx_http_approval_mcp_since(hold->request,
                                          NGX_HTTP_APPROVAL_MCP_CLOSES);
}


static ngx_http_approval_ending_t *
ngx_http_approval_left_create(ngx_http_approval_hold_t *hold)
{
    json_t                      *facts;
    ngx_uint_t                   young, joined;
    ngx_http_approval_ending_t  *left;

    facts = ngx_http_approval_facts(hold);

    if (hold->state == NGX_HTTP_APPROVAL_HOLD_CONSUME) {
        json_object_set_new(facts, "decision",
                         ngx_http_approval_json_str(&hold->action.receipt));
    }

    left = ngx_http_approval_ending(hold->mcf, hold->verdict->rule,
                                    hold->action.id,
                                    NGX_HTTP_APPROVAL_CANCELLED, facts);
    if (left == NULL) {
        return NULL;
    }

    left->closes = ngx_http_approval_hold_closes(hold);
    left->why = (hold->state == NGX_HTTP_APPROVAL_HOLD_GIVEN_UP)
                ? "the requester cancelled the call" : "the requester left";

    /* "young": not recorded yet; "untold": no approver was notified yet */

    joined = (hold->action.origin == NGX_HTTP_APPROVAL_ACTION_JOINED);
    young = !joined && hold->state <= NGX_HTTP_APPROVAL_HOLD_STORED;

    left->doc = young ? json_incref(hold->action.doc) : NULL;
    left->unannounced = (!joined
                         && hold->state <= NGX_HTTP_APPROVAL_HOLD_RECORDED);
    left->untold = (left->unannounced
                    && (hold->verdict->rule->notify
                        || hold->verdict->rule->escalate));

    return left;
}
