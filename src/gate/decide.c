
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * From the decision key to the end of the hold.
 */


#include "gate/gate.h"
#include "notify/notify.h"


#define NGX_HTTP_APPROVAL_DECISION_MAX  16384
#define NGX_HTTP_APPROVAL_FIRST_READ    50


static void ngx_http_approval_hold_bare(ngx_http_approval_hold_t *hold,
    ngx_uint_t approve);
static ngx_uint_t ngx_http_approval_hold_owns(ngx_http_approval_hold_t *hold,
    json_t *claims);
static void ngx_http_approval_hold_verified(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state);
static void ngx_http_approval_hold_ignore(ngx_http_approval_hold_t *hold,
    const char *why);
static void ngx_http_approval_hold_drop(ngx_http_approval_hold_t *hold,
    ngx_str_t *decision);
static ngx_int_t ngx_http_approval_hold_approvers(
    ngx_http_approval_hold_t *hold, json_t *claims);
static void ngx_http_approval_hold_consume(ngx_http_approval_hold_t *hold);
static void ngx_http_approval_hold_consumed(void *data,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_hold_spent(ngx_http_approval_hold_t *hold);
static void ngx_http_approval_hold_elsewhere(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_hold_settle(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state);
static void ngx_http_approval_hold_settled(void *data,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_hold_explain(void *data,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_hold_comment(
    ngx_http_approval_hold_t *hold, json_t *vote);


/* The key was read: what stands in it is judged by the wake event. */

void
ngx_http_approval_hold_watch(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision)
{
    ngx_http_approval_hold_t *hold = watch->data;

    if (hold->state != NGX_HTTP_APPROVAL_HOLD_WAIT) {
        return;
    }

    if (decision->len == 0) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_LOST);
        return;
    }

    if (decision->len > NGX_HTTP_APPROVAL_DECISION_MAX) {
        ngx_http_approval_hold_drop(hold, decision);

        hold->decision.len = 0;

        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_DECIDED);
        return;
    }

    hold->decision.data = ngx_pstrdup(hold->request->pool, decision);

    if (hold->decision.data == NULL) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
        return;
    }

    hold->decision.len = decision->len;

    ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_DECIDED);
}


/*
 * For the decision, until "left" milliseconds have passed or, where that is
 * sooner, the client's patience ends: then it gets a ticket. A client without
 * any gets it when the key was read, since a decision may stand there; one
 * that redeems an approval waits for it.
 */

void
ngx_http_approval_hold_wait(ngx_http_approval_hold_t *hold, int64_t left)
{
    int64_t  patience;

    hold->state = NGX_HTTP_APPROVAL_HOLD_WAIT;

    if (hold->wake.timer_set) {
        return;
    }

    left = ngx_max(left + 1, 1);

    if (hold->patience < hold->rule->timeout
        && hold->action_state == NGX_HTTP_APPROVAL_PENDING)
    {
        patience = (int64_t) ngx_max(hold->patience,
                                     NGX_HTTP_APPROVAL_FIRST_READ)
                   - (ngx_msec_int_t) (ngx_current_msec - hold->started);
        left = ngx_min(left, ngx_max(patience, 1));
    }

    ngx_add_timer(&hold->wake, (ngx_msec_t) left);
}


void
ngx_http_approval_hold_decided(ngx_http_approval_hold_t *hold)
{
    json_t                     *claims;
    ngx_int_t                   rc;
    ngx_str_t                   digest;
    const char                 *err;
    ngx_http_approval_state_e   state;

    if (hold->decision.len == 0) {
        ngx_http_approval_hold_ignore(hold, "it is too long");
        return;
    }

    if (hold->decision.len == sizeof("approve") - 1
        && ngx_strncmp(hold->decision.data, "approve", 7) == 0)
    {
        ngx_http_approval_hold_bare(hold, 1);
        return;
    }

    if (hold->decision.len == sizeof("deny") - 1
        && ngx_strncmp(hold->decision.data, "deny", 4) == 0)
    {
        ngx_http_approval_hold_bare(hold, 0);
        return;
    }

    digest.len = APPROVAL_DIGEST_LEN;
    digest.data = (u_char *) hold->digest;

    claims = NULL;
    err = "it cannot be read";

    rc = ngx_http_approval_decision_read(hold->mcf, hold->id, &digest,
                         &hold->decision,
                         (ngx_http_approval_now() + hold->clock) / 1000,
                         &state, &claims, &err);

    if (rc != NGX_OK) {
        ngx_http_approval_hold_ignore(hold, err);
        return;
    }

    /*
     * A decision of somebody else's action: the store led us there, and it is
     * no authority. The decision stays, for its own.
     */

    if (!ngx_http_approval_hold_owns(hold, claims)) {
        json_decref(claims);
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_LOST);
        return;
    }

    rc = ngx_http_approval_hold_approvers(hold, claims);

    hold->frozen = json_is_true(json_object_get(claims, "frz"));

    json_decref(claims);

    if (rc != NGX_OK) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
        return;
    }

    hold->receipt = hold->decision;

    ngx_http_approval_hold_verified(hold, state);
}


/* Is it for this requester, by this policy and rule? */

static ngx_uint_t
ngx_http_approval_hold_owns(ngx_http_approval_hold_t *hold, json_t *claims)
{
    ngx_str_t  requester, policy, rule;

    requester = ngx_http_approval_json_get(claims, "sub");
    policy = ngx_http_approval_json_get(claims, "pol");
    rule = ngx_http_approval_json_get(claims, "rul");

    return approval_people_same(hold->mcf->people,
                               ngx_http_approval_core_str(&requester),
                               ngx_http_approval_core_str(&hold->requester))
           && approval_str_eq(ngx_http_approval_core_str(&policy),
                   ngx_http_approval_core_str(&hold->rule->policy->name))
           && approval_str_eq(ngx_http_approval_core_str(&rule),
                              ngx_http_approval_core_str(&hold->rule->name));
}


static void
ngx_http_approval_hold_verified(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state)
{
    hold->action_state = state;

    switch (state) {

    case NGX_HTTP_APPROVAL_APPROVED:
        ngx_http_approval_hold_consume(hold);
        return;

    case NGX_HTTP_APPROVAL_DENIED:
        ngx_http_approval_hold_denied(hold, NGX_HTTP_APPROVAL_REFUSE_DENIED);
        return;

    case NGX_HTTP_APPROVAL_EXPIRED:
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_EXPIRED);
        return;

    case NGX_HTTP_APPROVAL_CANCELLED:
        ngx_http_approval_hold_refuse(hold, hold->frozen
                                          ? NGX_HTTP_APPROVAL_REFUSE_FROZEN
                                          : NGX_HTTP_APPROVAL_REFUSE_CANCELLED);
        return;

    default:
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_CONSUMED);
        return;
    }
}


/* A bare "approve" or "deny", set by somebody with their own Redis ACL. */

static void
ngx_http_approval_hold_bare(ngx_http_approval_hold_t *hold,
    ngx_uint_t approve)
{
    ngx_int_t       rc;
    approval_buf_t  receipt;

    if (!hold->lcf->unsigned_decisions) {
        ngx_http_approval_hold_ignore(hold, "it is not signed, and "
                                      "\"approval_unsigned_decisions\" is "
                                      "off");
        return;
    }

    ngx_str_set(&hold->approvers, "unsigned");
    hold->bare = 1;

    if (!approve) {
        ngx_http_approval_hold_settle(hold, NGX_HTTP_APPROVAL_DENIED);
        return;
    }

    approval_buf_init(&receipt);

    rc = ngx_http_approval_hold_decision(hold, NGX_HTTP_APPROVAL_APPROVED,
                                         &receipt);

    if (rc == NGX_OK) {
        hold->receipt.len = receipt.len;
        hold->receipt.data = ngx_pnalloc(hold->request->pool, receipt.len);

        if (hold->receipt.data) {
            ngx_memcpy(hold->receipt.data, receipt.data, receipt.len);

        } else {
            rc = NGX_ERROR;
        }
    }

    approval_buf_free(&receipt);

    if (rc != NGX_OK) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
        return;
    }

    hold->action_state = NGX_HTTP_APPROVAL_APPROVED;

    ngx_http_approval_hold_consume(hold);
}


/*
 * Redis is transport, not authority: what does not verify is recorded and
 * removed, so that a real decision can be made, and the hold goes on.
 */

static void
ngx_http_approval_hold_ignore(ngx_http_approval_hold_t *hold, const char *why)
{
    json_t  *facts;

    ngx_log_error(NGX_LOG_WARN, hold->request->connection->log, 0,
                  "decision of action %*s ignored: %s",
                  (size_t) APPROVAL_ID_LEN, hold->id, why);

    facts = ngx_http_approval_facts(hold);

    if (facts) {
        json_object_set_new(facts, "why",
                            json_sprintf("decision ignored: %s", why));
        (void) ngx_http_approval_audit(hold->mcf, "fault", hold->id, facts);
    }

    if (hold->decision.len) {
        ngx_http_approval_hold_drop(hold, &hold->decision);
    }

    ngx_http_approval_hold_wait(hold, hold->expires - hold->clock
                                      - ngx_http_approval_now());
}


static void
ngx_http_approval_hold_drop(ngx_http_approval_hold_t *hold,
    ngx_str_t *decision)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_store_drop(hold->mcf->store, hold->id, decision,
                                      NULL, NULL);
    if (op) {
        ngx_http_approval_store_forget(op);
    }
}


/* "alice, bob": for the upstream, the access log and the trail. */

static ngx_int_t
ngx_http_approval_hold_approvers(ngx_http_approval_hold_t *hold,
    json_t *claims)
{
    size_t       i, len;
    u_char      *p;
    json_t      *by, *name;

    by = json_object_get(claims, "by");
    len = 0;

    json_array_foreach(by, i, name) {
        len += json_string_length(name) + 2;
    }

    if (len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(hold->request->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    hold->approvers.data = p;

    json_array_foreach(by, i, name) {
        if (i) {
            *p++ = ',';
            *p++ = ' ';
        }

        p = ngx_cpymem(p, json_string_value(name), json_string_length(name));
    }

    hold->approvers.len = p - hold->approvers.data;

    return NGX_OK;
}


static void
ngx_http_approval_hold_consume(ngx_http_approval_hold_t *hold)
{
    /* nothing is executed for a requester that is not there */

    if (ngx_http_approval_hold_gone(hold)) {
        ngx_http_finalize_request(hold->request,
                                  NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    hold->state = NGX_HTTP_APPROVAL_HOLD_CONSUME;

    hold->op = ngx_http_approval_grant_consume(hold,
                                             ngx_http_approval_hold_consumed);
    if (hold->op == NULL) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
    }
}


/*
 * The client's end may have arrived in the same turn as the decision, and wait
 * behind it in the event queue. HTTP/2 streams say so by their own frames.
 */

ngx_uint_t
ngx_http_approval_hold_gone(ngx_http_approval_hold_t *hold)
{
    u_char             byte;
    ngx_connection_t  *c;

    c = hold->request->connection;

    if (c->error || c->read->eof || c->read->pending_eof) {
        return 1;
    }

#if (NGX_HTTP_V2)
    if (hold->request->stream) {
        return 0;
    }
#endif

    return recv(c->fd, (char *) &byte, 1, MSG_PEEK) == 0;
}


static void
ngx_http_approval_hold_consumed(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_hold_t *hold = data;

    hold->op = NULL;

    if (reply->rc == NGX_OK) {
        hold->consumed = 1;

        if (hold->grant.len == 0
            && ngx_http_approval_spend(hold->mcf, hold->id) != NGX_OK)
        {
            ngx_http_approval_hold_spent(hold);
            return;
        }

        if (hold->bare) {
            ngx_http_approval_count_decision(hold->rule,
                                             NGX_HTTP_APPROVAL_COUNT_APPROVED,
                                             reply->now - hold->created);
        }

        hold->action_state = NGX_HTTP_APPROVAL_EXECUTING;
        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_CONSUMED);
        return;
    }

    if (reply->rc == NGX_DECLINED && ngx_http_approval_hold_frozen(reply)) {
        hold->action_state = reply->state;
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_FROZEN);
        return;
    }

    if (reply->rc == NGX_DECLINED) {
        ngx_http_approval_hold_elsewhere(hold, reply);
        return;
    }

    ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
}


/* Redis gave the approval away that it had given away before. */

static void
ngx_http_approval_hold_spent(ngx_http_approval_hold_t *hold)
{
    json_t  *facts;

    ngx_log_error(NGX_LOG_ERR, hold->request->connection->log, 0,
                  "action %*s was executed before: Redis had lost that, and "
                  "the request is refused",
                  (size_t) APPROVAL_ID_LEN, hold->id);

    facts = ngx_http_approval_facts(hold);

    if (facts) {
        json_object_set_new(facts, "why",
                            json_string("executed before: the store had lost "
                                        "that, refused"));
        (void) ngx_http_approval_audit(hold->mcf, "fault", hold->id, facts);
    }

    ngx_http_approval_forward_close(hold, "executed before: refused");
    ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_CONSUMED);
}


ngx_uint_t
ngx_http_approval_hold_frozen(const ngx_http_approval_reply_t *reply)
{
    return reply->why.len == 6
           && ngx_memcmp(reply->why.data, "frozen", 6) == 0;
}


/* The action is not where we thought it was: say so, or look again. */

static void
ngx_http_approval_hold_elsewhere(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    hold->action_state = reply->state;

    switch (reply->state) {

    case NGX_HTTP_APPROVAL_EXPIRED:
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_EXPIRED);
        return;

    case NGX_HTTP_APPROVAL_CANCELLED:
        ngx_http_approval_hold_refuse(hold,
                                      NGX_HTTP_APPROVAL_REFUSE_CANCELLED);
        return;

    case NGX_HTTP_APPROVAL_DENIED:
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_DENIED);
        return;

    case NGX_HTTP_APPROVAL_UNKNOWN:
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_LOST);
        return;

    case NGX_HTTP_APPROVAL_PENDING:
    case NGX_HTTP_APPROVAL_APPROVED:

        /* decided in this very moment: the watch reads the key anew */

        ngx_http_approval_hold_wait(hold, 1000);

        ngx_http_approval_watch_del(hold->mcf->store, &hold->watch);
        ngx_http_approval_watch_add(hold->mcf->store, &hold->watch);
        return;

    default:
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_CONSUMED);
        return;
    }
}


/*
 * The client's patience is over, or by our clock the action is; Redis' clock
 * decides.
 */

void
ngx_http_approval_hold_overdue(ngx_http_approval_hold_t *hold)
{
    if (hold->action_state == NGX_HTTP_APPROVAL_PENDING
        && hold->patience < hold->rule->timeout
        && ngx_http_approval_now() + hold->clock < hold->expires)
    {
        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_ACCEPT);
        return;
    }

    ngx_http_approval_hold_settle(hold, NGX_HTTP_APPROVAL_EXPIRED);
}


static void
ngx_http_approval_hold_settle(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state)
{
    ngx_str_t       value;
    approval_buf_t  decision;

    hold->state = NGX_HTTP_APPROVAL_HOLD_SETTLE;
    hold->op = NULL;

    approval_buf_init(&decision);

    if (ngx_http_approval_hold_decision(hold, state, &decision) == NGX_OK) {
        value.len = decision.len;
        value.data = decision.data;

        hold->settling = state;
        hold->op = ngx_http_approval_store_settle(hold->mcf->store, hold->id,
                                                state, &value,
                                                ngx_http_approval_hold_settled,
                                                hold);
    }

    approval_buf_free(&decision);

    if (hold->op == NULL) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
    }
}


static void
ngx_http_approval_hold_settled(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_hold_t *hold = data;

    json_t  *facts;

    hold->op = NULL;

    switch (reply->rc) {

    case NGX_OK:
        break;

    case NGX_AGAIN:
        ngx_http_approval_hold_wait(hold, reply->expires - reply->now);
        return;

    case NGX_DECLINED:
        ngx_http_approval_hold_elsewhere(hold, reply);
        return;

    default:
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
        return;
    }

    hold->action_state = hold->settling;

    if (hold->settling == NGX_HTTP_APPROVAL_DENIED) {
        ngx_http_approval_count_decision(hold->rule,
                                         NGX_HTTP_APPROVAL_COUNT_DENIED,
                                         reply->now - hold->created);

    } else {
        ngx_http_approval_count(hold->rule, NGX_HTTP_APPROVAL_COUNT_EXPIRED);
    }

    facts = ngx_http_approval_facts(hold);

    ngx_http_approval_notify_outcome(hold->mcf, hold->id, hold->settling,
                                     facts);

    if (facts == NULL
        || ngx_http_approval_audit(hold->mcf,
                                   hold->settling == NGX_HTTP_APPROVAL_DENIED
                                   ? "denied" : "expired",
                                   hold->id, facts)
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, hold->request->connection->log, 0,
                      "the end of action %*s is not in the audit trail",
                      (size_t) APPROVAL_ID_LEN, hold->id);
    }

    ngx_http_approval_hold_refuse(hold,
                                  hold->settling == NGX_HTTP_APPROVAL_DENIED
                                  ? NGX_HTTP_APPROVAL_REFUSE_DENIED
                                  : NGX_HTTP_APPROVAL_REFUSE_EXPIRED);
}


ngx_int_t
ngx_http_approval_hold_decision(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state, approval_buf_t *out)
{
    time_t      now, end;
    json_t     *facts, *by;
    ngx_int_t   rc;

    now = (ngx_http_approval_now() + hold->clock) / 1000;

    end = now + (state == NGX_HTTP_APPROVAL_APPROVED
                 ? hold->rule->execute_within
                 : ((ngx_http_approval_store_conf_t *)
                    hold->mcf->store_conf)->retention)
                / 1000;

    by = NULL;

    if (hold->approvers.len) {
        by = json_pack("[o]", ngx_http_approval_json_str(&hold->approvers));
    }

    facts = ngx_http_approval_facts(hold);

    rc = facts ? ngx_http_approval_decision_make(hold->mcf, facts, state, by,
                                                 now, end, out)
               : NGX_ERROR;

    json_decref(facts);
    json_decref(by);

    return rc;
}


/* Who denied it, and why: the votes say. */

void
ngx_http_approval_hold_denied(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal)
{
    hold->state = NGX_HTTP_APPROVAL_HOLD_EXPLAIN;
    hold->refusal = refusal;

    hold->op = ngx_http_approval_store_load(hold->mcf->store, hold->id,
                                            ngx_http_approval_hold_explain,
                                            hold);
    if (hold->op == NULL) {
        ngx_http_approval_hold_refuse(hold, refusal);
    }
}


static void
ngx_http_approval_hold_explain(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_hold_t *hold = data;

    json_t          *vote;
    const char      *err;
    ngx_uint_t       i;
    approval_str_t   token;

    hold->op = NULL;

    for (i = 0; reply->rc == NGX_OK && i < reply->nvotes; i++) {

        token = ngx_http_approval_core_str(&reply->votes[i]);

        vote = approval_jws_verify(hold->mcf->signer,
                                   NGX_HTTP_APPROVAL_VOTE_TYP, token, &err);

        if (vote && ngx_http_approval_hold_comment(hold, vote) != NGX_OK) {
            hold->detail.len = 0;
        }

        json_decref(vote);
    }

    ngx_http_approval_hold_refuse(hold, hold->refusal);
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
        || ngx_memcmp(id.data, hold->id, APPROVAL_ID_LEN) != 0
        || comment.len == 0)
    {
        return NGX_OK;
    }

    hold->detail.data = ngx_pstrdup(hold->request->pool, &comment);
    hold->detail.len = hold->detail.data ? comment.len : 0;

    return hold->detail.data ? NGX_OK : NGX_ERROR;
}
