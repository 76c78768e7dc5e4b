
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A requester that does not wait any more.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"
#include "notify/notify.h"


#define NGX_HTTP_APPROVAL_MCP_CLOSES  "2026-07-28"


/* Outlives the request: what is recorded if its action ended with it. */

typedef struct {
    ngx_http_approval_main_conf_t  *mcf;
    ngx_http_approval_rule_t       *rule;
    json_t                         *facts;
    json_t                         *doc;        /* NULL: it is on record   */
    ngx_str_t                       receipt;    /* of what is consumed     */
    int64_t                         created;
    ngx_http_approval_state_e       settling;   /* what the store was asked */
    ngx_uint_t                      closes;     /* the action ends with it */
    ngx_uint_t                      untold;     /* no approver knows of it */
    ngx_uint_t                      given_up;   /* by the call's name      */
    u_char                          id[APPROVAL_ID_LEN];
} ngx_http_approval_left_t;


static ngx_uint_t ngx_http_approval_hold_closes(
    ngx_http_approval_hold_t *hold);
static ngx_http_approval_left_t *ngx_http_approval_left_create(
    ngx_http_approval_hold_t *hold);
static void ngx_http_approval_left_send(ngx_http_approval_left_t *left);
static void ngx_http_approval_left_handler(void *data,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_left_open(ngx_http_approval_left_t *left);
static void ngx_http_approval_left_free(ngx_http_approval_left_t *left);


/*
 * The requester left. With "cancel" the action ends with the last connection
 * that waits for it; with "keep" it stays open for an identical retry, and
 * approvers see that nobody waits.
 */

void
ngx_http_approval_hold_left(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_left_t  *left;

    if (!ngx_http_approval_hold_stored(hold) || hold->mcf->worker->store == NULL
        || (hold->action.state != NGX_HTTP_APPROVAL_PENDING
            && hold->action.state != NGX_HTTP_APPROVAL_APPROVED))
    {
        return;
    }

    left = ngx_http_approval_left_create(hold);

    if (left) {
        ngx_http_approval_left_send(left);
    }
}


/*
 * It does not wait any more, and comes back. The store is told before the
 * client is: its flush was posted before the wake event.
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
 * It left before the store had answered: that there is an action, or that it
 * has ended, is on record all the same.
 */

void
ngx_http_approval_hold_orphan(ngx_http_approval_hold_t *hold,
    ngx_http_approval_store_pt handler)
{
    ngx_http_approval_left_t  *left;

    left = handler ? ngx_http_approval_left_create(hold) : NULL;

    if (left) {
        ngx_http_approval_store_inherit(hold->wait.op, handler, left);

    } else {
        ngx_http_approval_store_forget(hold->wait.op);
    }
}


void
ngx_http_approval_left_settled(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_left_t *left = data;

    if (reply->rc == NGX_OK) {
        if (left->settling == NGX_HTTP_APPROVAL_CANCELLED) {
            json_object_set_new(left->facts, "why",
                                json_string("the audit trail failed"));
        }

        ngx_http_approval_ended(left->mcf, left->rule, left->id,
                                left->settling, reply->now - left->created,
                                json_incref(left->facts));
    } else {
        ngx_http_approval_left_open(left);
    }

    ngx_http_approval_left_free(left);
}


void
ngx_http_approval_left_new(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_left_t *left = data;

    if (reply->rc != NGX_OK || reply->grant.len) {
        ngx_http_approval_left_free(left);
        return;
    }

    ngx_memcpy(left->id, reply->id, APPROVAL_ID_LEN);

    json_object_set_new(left->facts, "id",
                        json_stringn((char *) left->id, APPROVAL_ID_LEN));

    if (reply->joined) {
        json_decref(left->doc);
        left->doc = NULL;
        left->untold = 0;

    } else if (left->doc) {
        json_object_set_new(left->doc, "store_time",
                            ngx_http_approval_json_time(reply->created));
    }

    ngx_http_approval_left_send(left);
}


/*
 * The approval was taken for somebody who is not there any more: it is spent,
 * and nothing is forwarded.  Had this gateway seen its end before, that is on
 * record already.  Where the answer is lost, the action is left to its lease.
 */

void
ngx_http_approval_left_consumed(void *data,
    const ngx_http_approval_reply_t *reply)
{
    static const char  why[] = "not forwarded: the requester left";

    json_t                    *facts;
    ngx_http_approval_end_t    end;
    ngx_http_approval_left_t  *left = data;

    if (reply->rc != NGX_OK && !reply->unreplicated) {
        ngx_http_approval_left_free(left);
        return;
    }

    ngx_http_approval_ends_learn(left->mcf, reply->ends, reply->nends,
                                 reply->now);

    if (ngx_http_approval_limit_take(left->mcf, left->rule, left->id,
                                     reply->now, &end)
        != NGX_DECLINED)
    {
        facts = json_copy(left->facts);

        (void) ngx_http_approval_forward_approved(facts, &left->receipt,
                                                  reply->now);
        ngx_http_approval_audit_late(left->mcf, APPROVAL_RECORD_APPROVED,
                                     left->id, facts);

        ngx_http_approval_forward_unsent(left->facts, why);
        ngx_http_approval_ended(left->mcf, left->rule, left->id,
                                NGX_HTTP_APPROVAL_FAILED, 0,
                                json_incref(left->facts));
    }

    ngx_http_approval_forward_failed(left->mcf, left->id, why);
    ngx_http_approval_left_free(left);
}


/*
 * A new action is on record, whoever left. One that nobody was told of ends
 * here, "keep" or not: a retry would join it, and wait in vain.
 */

static void
ngx_http_approval_left_send(ngx_http_approval_left_t *left)
{
    time_t                   now;
    ngx_int_t                rc;
    ngx_str_t                value;
    approval_buf_t           decision;
    ngx_http_approval_op_t  *op;

    ngx_str_null(&value);
    approval_buf_init(&decision);

    now = ngx_time();

    if (left->doc) {
        rc = ngx_http_approval_audit(left->mcf, APPROVAL_RECORD_REQUESTED,
                                     left->id,
                          ngx_http_approval_action_disclose(left->doc,
                                       NGX_HTTP_APPROVAL_DISCLOSE_DECLARED));

        if (rc != NGX_OK) {
            left->untold = 1;
        }

        if (rc != NGX_ERROR) {
            json_decref(left->doc);
            left->doc = NULL;
        }
    }

    if ((left->closes || left->untold)
        && ngx_http_approval_decision_make(left->mcf, left->facts,
                                 NGX_HTTP_APPROVAL_CANCELLED, NULL, now,
                                 now + left->mcf->store_conf->retention / 1000,
                                 &decision)
           == NGX_OK)
    {
        value.len = decision.len;
        value.data = decision.data;
    }

    op = ngx_http_approval_store_leave(left->mcf->worker->store, left->id,
                                       &value, ngx_http_approval_left_handler,
                                       left);

    approval_buf_free(&decision);

    if (op == NULL) {
        ngx_http_approval_left_open(left);
        ngx_http_approval_left_free(left);
    }
}


/*
 * Does the action end with its requester?  From that revision of MCP on the
 * stream's end is how a client cancels a call.
 */

static ngx_uint_t
ngx_http_approval_hold_closes(ngx_http_approval_hold_t *hold)
{
    /* stored, and nobody was told of it yet */

    if (hold->action.origin == NGX_HTTP_APPROVAL_ACTION_MADE
        && (hold->rule->notify || hold->rule->escalate)
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


static ngx_http_approval_left_t *
ngx_http_approval_left_create(ngx_http_approval_hold_t *hold)
{
    size_t                     len;
    ngx_uint_t                 young, joined;
    ngx_http_approval_left_t  *left;

    len = (hold->state == NGX_HTTP_APPROVAL_HOLD_CONSUME)
          ? hold->action.receipt.len : 0;

    left = ngx_alloc(sizeof(ngx_http_approval_left_t) + len, ngx_cycle->log);
    if (left == NULL) {
        return NULL;
    }

    left->receipt.len = len;
    left->receipt.data = (u_char *) left + sizeof(ngx_http_approval_left_t);
    ngx_memcpy(left->receipt.data, hold->action.receipt.data, len);

    left->mcf = hold->mcf;
    left->rule = hold->rule;
    left->created = hold->action.created;
    left->settling = hold->wait.settling;
    left->closes = ngx_http_approval_hold_closes(hold);
    left->given_up = (hold->state == NGX_HTTP_APPROVAL_HOLD_GIVEN_UP);

    /* it is not on record yet; nobody was told of it yet */

    joined = (hold->action.origin == NGX_HTTP_APPROVAL_ACTION_JOINED);
    young = hold->state <= NGX_HTTP_APPROVAL_HOLD_STORED
            ? !joined : hold->state == NGX_HTTP_APPROVAL_HOLD_SETTLE;

    left->doc = young ? json_incref(hold->action.doc) : NULL;
    left->untold = (!joined
                    && hold->state <= NGX_HTTP_APPROVAL_HOLD_RECORDED
                    && (hold->rule->notify || hold->rule->escalate));
    left->facts = ngx_http_approval_facts(hold);

    ngx_memcpy(left->id, hold->action.id, APPROVAL_ID_LEN);

    if (left->facts == NULL) {
        ngx_http_approval_left_free(left);
        return NULL;
    }

    return left;
}


static void
ngx_http_approval_left_handler(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_left_t *left = data;

    if (reply->rc == NGX_OK && reply->state == NGX_HTTP_APPROVAL_CANCELLED) {
        json_object_set_new(left->facts, "why",
                            json_string(left->given_up
                                        ? "the requester cancelled the call"
                                        : "the requester left"));

        ngx_http_approval_ended(left->mcf, left->rule, left->id, reply->state,
                                0, json_incref(left->facts));
    } else {
        ngx_http_approval_left_open(left);
    }

    ngx_http_approval_left_free(left);
}


/* It may yet be executed by somebody else: what it was is to be known then. */

static void
ngx_http_approval_left_open(ngx_http_approval_left_t *left)
{
    if (left->doc) {
        ngx_http_approval_audit_late(left->mcf, APPROVAL_RECORD_REQUESTED,
                                     left->id,
                          ngx_http_approval_action_disclose(left->doc,
                                       NGX_HTTP_APPROVAL_DISCLOSE_DECLARED));
    }
}


static void
ngx_http_approval_left_free(ngx_http_approval_left_t *left)
{
    json_decref(left->facts);
    json_decref(left->doc);
    ngx_free(left);
}
