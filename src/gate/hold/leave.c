
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


/* Outlives the request: the data to record if the action ends with it. */

typedef struct {
    ngx_http_approval_main_conf_t  *mcf;
    ngx_http_approval_rule_t       *rule;
    json_t                         *facts;
    json_t                         *doc;        /* NULL: already recorded  */
    ngx_str_t                       receipt;    /* of the used approval    */
    int64_t                         created;
    ngx_http_approval_state_e       settling;   /* the end being stored    */
    ngx_uint_t                      closes;     /* the action ends with it */
    ngx_uint_t                      untold;     /* nobody was notified     */
    ngx_uint_t                      given_up;   /* the call was cancelled  */
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
 * The requester left.  With "cancel" the action ends when the last connection
 * that waits for it does.  With "keep" it stays open for an identical retry,
 * and approvers see that nobody waits.
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
 * The requester left before the store had answered.  "handler" gets the answer,
 * so that the action, or its end, is recorded anyway.
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

        (void) ngx_http_approval_ended(left->mcf, left->rule, left->id,
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
 * The approval was consumed, but the requester has left: the approval is used
 * up, and nothing is forwarded.  Nothing is recorded if this gateway knows an
 * end of the action already.  If the answer is lost, the lease ends the action.
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
        (void) ngx_http_approval_ended(left->mcf, left->rule, left->id,
                                NGX_HTTP_APPROVAL_FAILED, 0,
                                json_incref(left->facts));
    }

    ngx_http_approval_forward_failed(left->mcf, left->id, why);
    ngx_http_approval_left_free(left);
}


/*
 * A new action is recorded even if its requester left.  An action that no
 * approver was notified of ends here, even with "keep", since a retry would
 * join it and wait in vain.
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
 * True if the action ends with its requester.  Since revision
 * NGX_HTTP_APPROVAL_MCP_CLOSES, an MCP client cancels a call by closing the
 * stream.
 */

static ngx_uint_t
ngx_http_approval_hold_closes(ngx_http_approval_hold_t *hold)
{
    /* stored, but no approver was notified yet */

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

    /* "young": not recorded yet; "untold": no approver was notified yet */

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

        (void) ngx_http_approval_ended(left->mcf, left->rule, left->id, reply->state,
                                0, json_incref(left->facts));
    } else {
        ngx_http_approval_left_open(left);
    }

    ngx_http_approval_left_free(left);
}


/* Records an action that is still open: another client may yet execute it. */

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
