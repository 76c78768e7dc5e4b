
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Ends holds without an execution.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "notify/notify.h"


static void ngx_http_approval_hold_unsettled(ngx_http_approval_hold_t *hold);
static json_t *ngx_http_approval_hold_by(ngx_http_approval_hold_t *hold);
static void ngx_http_approval_hold_answered(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_hold_deciders(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_hold_comment(
    ngx_http_approval_hold_t *hold, json_t *vote);


/*
 * The timer has fired: the client's patience is over, or the action seems to
 * have expired, which the store verifies by Redis' clock.
 */

void
ngx_http_approval_hold_overdue(ngx_http_approval_hold_t *hold)
{
    if (hold->action.state == NGX_HTTP_APPROVAL_PENDING
        && hold->patience < hold->verdict->rule->timeout
        && ngx_http_approval_hold_now(hold) < hold->action.expires)
    {
        ngx_http_approval_hold_ticket(hold);
        return;
    }

    ngx_http_approval_hold_settle(hold, NGX_HTTP_APPROVAL_EXPIRED);
}


void
ngx_http_approval_hold_settle(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state)
{
    json_t                      *by;
    ngx_http_approval_ending_t  *ending;

    hold->state = NGX_HTTP_APPROVAL_HOLD_SETTLE;
    hold->wait.settling = state;
    hold->wait.op = NULL;

    ending = ngx_http_approval_ending(hold->mcf, hold->verdict->rule,
                                      hold->action.id, state,
                                      ngx_http_approval_facts(hold));

    if (ending) {
        by = ngx_http_approval_hold_by(hold);

        ending->doc = json_incref(hold->action.doc);
        ending->why = (state == NGX_HTTP_APPROVAL_CANCELLED)
                      ? "the audit trail failed" : NULL;

        hold->wait.op = ngx_http_approval_ending_settle(ending, by,
                                            ngx_http_approval_hold_now(hold),
                                            ngx_http_approval_hold_reply,
                                            hold);
        json_decref(by);
    }

    if (hold->wait.op == NULL) {
        ngx_http_approval_hold_unsettled(hold);
    }
}


/*
 * Cancels an action that this hold created and cannot record, even if others
 * wait for it.  The store refuses that if it is too late.
 */

void
ngx_http_approval_hold_withdraw(ngx_http_approval_hold_t *hold)
{
    if (hold->action.origin == NGX_HTTP_APPROVAL_ACTION_JOINED
        || hold->mcf->worker->store == NULL)
    {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_AUDIT);
        return;
    }

    ngx_http_approval_hold_settle(hold, NGX_HTTP_APPROVAL_CANCELLED);
}


void
ngx_http_approval_hold_settled(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_state_e  state;

    state = hold->wait.settling;

    if (reply->rc == NGX_OK) {
        hold->action.state = state;

        ngx_http_approval_hold_refuse(hold,
            ngx_http_approval_end_executed(hold->mcf, hold->action.id,
                                           reply->now)
            ? NGX_HTTP_APPROVAL_REFUSE_CONSUMED
            : state == NGX_HTTP_APPROVAL_CANCELLED
            ? NGX_HTTP_APPROVAL_REFUSE_AUDIT
            : ngx_http_approval_hold_refusal(state));
        return;
    }

    if (state == NGX_HTTP_APPROVAL_CANCELLED) {

        if (reply->rc == NGX_DECLINED) {
            hold->action.state = reply->state;
        }

        ngx_http_approval_hold_unsettled(hold);
        return;
    }

    switch (reply->rc) {

    case NGX_AGAIN:

        if (reply->state == NGX_HTTP_APPROVAL_PENDING
            && reply->expires > hold->action.expires)
        {
            ngx_http_approval_limit_refuse(hold,
                                           NGX_HTTP_APPROVAL_REFUSE_EXPIRED,
                                           "deadline", "Redis returned a later "
                                           "deadline than the request set");
            return;
        }

        ngx_http_approval_hold_wait(hold, reply->expires - reply->now);
        return;

    case NGX_DECLINED:
        ngx_http_approval_hold_elsewhere(hold, reply);
        return;

    default:
        ngx_http_approval_hold_unsettled(hold);
        return;
    }
}


/* The action may not have ended, and may yet be executed. */

static void
ngx_http_approval_hold_unsettled(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_hold_refuse(hold, hold->wait.settling
                                        == NGX_HTTP_APPROVAL_CANCELLED
                                  ? NGX_HTTP_APPROVAL_REFUSE_AUDIT
                                  : NGX_HTTP_APPROVAL_REFUSE_STORE);
}


/* NULL: nobody in particular. */

static json_t *
ngx_http_approval_hold_by(ngx_http_approval_hold_t *hold)
{
    return hold->action.approvers.len
           ? json_pack("[o]",
                       ngx_http_approval_json_str(&hold->action.approvers))
           : NULL;
}


/* Signs an approval without votes, for a bare "approve" or under a grant. */

ngx_int_t
ngx_http_approval_hold_receipt(ngx_http_approval_hold_t *hold)
{
    time_t           now;
    json_t          *facts, *by;
    ngx_int_t        rc;
    ngx_str_t        text;
    approval_buf_t   receipt;

    now = (time_t) (ngx_http_approval_hold_now(hold) / 1000);

    facts = ngx_http_approval_facts(hold);
    by = ngx_http_approval_hold_by(hold);

    approval_buf_init(&receipt);

    rc = facts ? ngx_http_approval_decision_make(hold->mcf, facts,
                              NGX_HTTP_APPROVAL_APPROVED, by, now,
                              now + hold->verdict->rule->execute_within / 1000,
                              &receipt)
               : NGX_ERROR;

    if (rc == NGX_OK) {
        text.data = receipt.data;
        text.len = receipt.len;

        hold->action.receipt.len = receipt.len;
        hold->action.receipt.data = ngx_pstrdup(hold->request->pool, &text);

        rc = hold->action.receipt.data ? NGX_OK : NGX_ERROR;
    }

    approval_buf_free(&receipt);
    json_decref(facts);
    json_decref(by);

    return rc;
}


/* Reads the votes for who denied it and why, and the outcome for its status. */

void
ngx_http_approval_hold_explain(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal)
{
    hold->state = NGX_HTTP_APPROVAL_HOLD_EXPLAIN;
    hold->refusal = refusal;

    hold->wait.op = ngx_http_approval_store_load(hold->mcf->worker->store,
                                                 hold->action.id,
                                                 ngx_http_approval_hold_reply,
                                                 hold);
    if (hold->wait.op == NULL) {
        ngx_http_approval_hold_refuse(hold, refusal);
    }
}


void
ngx_http_approval_hold_explained(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    json_t          *vote;
    const char      *err;
    ngx_uint_t       i;
    approval_str_t   token;

    if (reply->rc == NGX_OK && hold->action.approvers.len == 0) {
        ngx_http_approval_hold_deciders(hold, reply);
    }

    if (reply->rc == NGX_OK && reply->outcome.len) {
        ngx_http_approval_hold_answered(hold, reply);
    }

    for (i = 0; reply->rc == NGX_OK && i < reply->nvotes; i++) {

        token = ngx_http_approval_core_str(&reply->votes[i]);

        vote = approval_jws_verify(hold->mcf->signer,
                                   NGX_HTTP_APPROVAL_VOTE_TYP, token, &err);

        if (vote && ngx_http_approval_hold_comment(hold, vote) != NGX_OK) {
            hold->action.detail.len = 0;
        }

        json_decref(vote);
    }

    ngx_http_approval_hold_refuse(hold, hold->refusal);
}


/* Reads the upstream's status if the action was executed before. */

static void
ngx_http_approval_hold_answered(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    json_t      *outcome;
    json_int_t   status;

    outcome = json_loadb((char *) reply->outcome.data, reply->outcome.len, 0,
                         NULL);
    status = json_integer_value(json_object_get(outcome, "status"));

    if (hold->action.state == NGX_HTTP_APPROVAL_EXECUTED
        && status >= 100 && status < 600)
    {
        hold->answered = (uint16_t) status;
    }

    json_decref(outcome);
}


/* The action had ended before: reads the approvers from its decision. */

static void
ngx_http_approval_hold_deciders(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    json_t                     *claims;
    ngx_str_t                   digest, decision;
    const char                 *err;
    ngx_http_approval_state_e   state;

    digest.len = APPROVAL_DIGEST_LEN;
    digest.data = (u_char *) hold->action.digest;
    decision = reply->decision;

    if (ngx_http_approval_decision_read(hold->mcf, hold->action.id, &digest,
                                        &decision, reply->now / 1000, &state,
                                        &claims, &err)
        != NGX_OK)
    {
        return;
    }

    if (ngx_http_approval_hold_approvers(hold, claims) != NGX_OK) {
        hold->action.approvers.len = 0;
    }

    json_decref(claims);
}


static ngx_int_t
ngx_http_approval_hold_comment(ngx_http_approval_hold_t *hold, json_t *vote)
{
    ngx_str_t  act, id, comment;

    act = ngx_http_approval_json_get(vote, "act");
    id = ngx_http_approval_json_get(vote, "jti");
    comment = ngx_http_approval_json_get(vote, "cmt");

    if (act.len != 4 || ngx_strncmp(act.data, "deny", 4) != 0
        || id.len != APPROVAL_ID_LEN
        || ngx_memcmp(id.data, hold->action.id, APPROVAL_ID_LEN) != 0
        || comment.len == 0)
    {
        return NGX_OK;
    }

    hold->action.detail.data = ngx_pstrdup(hold->request->pool, &comment);
    hold->action.detail.len = hold->action.detail.data ? comment.len : 0;

    return hold->action.detail.data ? NGX_OK : NGX_ERROR;
}
