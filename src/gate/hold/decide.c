
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Reads and verifies decisions.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


#define NGX_HTTP_APPROVAL_DECISION_MAX  16384
#define NGX_HTTP_APPROVAL_FIRST_READ    50


static void ngx_http_approval_hold_watched(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision);
static ngx_int_t ngx_http_approval_hold_told(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision);
static ngx_int_t ngx_http_approval_hold_copy(ngx_http_approval_hold_t *hold,
    ngx_str_t *decision);
static ngx_uint_t ngx_http_approval_hold_owns(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state, json_t *claims);
static void ngx_http_approval_hold_verified(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state, json_t *claims);
static void ngx_http_approval_hold_bare(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state);
static void ngx_http_approval_hold_hint(ngx_http_approval_hold_t *hold,
    const char *why);
static void ngx_http_approval_hold_ignore(ngx_http_approval_hold_t *hold,
    const char *why);
static void ngx_http_approval_hold_drop(ngx_http_approval_hold_t *hold,
    ngx_str_t *decision);


void
ngx_http_approval_hold_watch(ngx_http_approval_hold_t *hold)
{
    ngx_memcpy(hold->wait.watch.id, hold->action.id, APPROVAL_ID_LEN);

    hold->wait.watch.handler = ngx_http_approval_hold_watched;
    hold->wait.watch.told = ngx_http_approval_hold_told;
    hold->wait.watch.data = hold;

    ngx_http_approval_watch_add(hold->mcf->worker->store, &hold->wait.watch);
    ngx_http_approval_call_watch(hold);
}


void
ngx_http_approval_hold_unwatch(ngx_http_approval_hold_t *hold)
{
    if (hold->wait.watch.active) {
        ngx_http_approval_watch_del(hold->mcf->worker->store,
                                    &hold->wait.watch);
    }

    if (hold->wait.call && hold->wait.call->active) {
        ngx_http_approval_watch_del(hold->mcf->worker->store, hold->wait.call);
    }
}


/*
 * The decision key was read; the wake event verifies its value.  The value
 * replaces a published decision, so that a flood of messages cannot hide it.
 */

static void
ngx_http_approval_hold_watched(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision)
{
    ngx_http_approval_hold_t *hold = watch->data;

    if (hold->state != NGX_HTTP_APPROVAL_HOLD_WAIT
        && hold->state != NGX_HTTP_APPROVAL_HOLD_TOLD)
    {
        return;
    }

    if (decision->len == 0) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_LOST);
        return;
    }

    if (decision->len > NGX_HTTP_APPROVAL_DECISION_MAX) {
        ngx_http_approval_hold_drop(hold, decision);

        hold->action.decision.len = 0;

        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_DECIDED);
        return;
    }

    if (ngx_http_approval_hold_copy(hold, decision) != NGX_OK) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
        return;
    }

    ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_DECIDED);
}


static ngx_int_t
ngx_http_approval_hold_told(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision)
{
    ngx_http_approval_hold_t *hold = watch->data;

    if (hold->state != NGX_HTTP_APPROVAL_HOLD_WAIT
        || decision->len > NGX_HTTP_APPROVAL_DECISION_MAX
        || ngx_http_approval_hold_copy(hold, decision) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_TOLD);

    return NGX_OK;
}


/* Reuses one buffer, since others can cause any number of decisions. */

static ngx_int_t
ngx_http_approval_hold_copy(ngx_http_approval_hold_t *hold,
    ngx_str_t *decision)
{
    size_t   room;
    u_char  *p;

    if (decision->len > hold->action.room) {
        room = ngx_min(ngx_max(decision->len, 2 * (size_t) hold->action.room),
                       NGX_HTTP_APPROVAL_DECISION_MAX);

        p = ngx_pnalloc(hold->request->pool, room);
        if (p == NULL) {
            return NGX_ERROR;
        }

        hold->action.decision.data = p;
        hold->action.room = (uint16_t) room;
    }

    ngx_memcpy(hold->action.decision.data, decision->data, decision->len);
    hold->action.decision.len = decision->len;

    return NGX_OK;
}


/*
 * Waits for the decision for "left" milliseconds, or until the client's
 * patience ends, if that is sooner; then the client gets a ticket.  A client
 * without patience still waits until the key was read, since it may contain a
 * decision.  If the action is approved already, patience is ignored.
 */

void
ngx_http_approval_hold_wait(ngx_http_approval_hold_t *hold, int64_t left)
{
    int64_t  patience;

    hold->state = NGX_HTTP_APPROVAL_HOLD_WAIT;

    if (hold->wait.event.timer_set) {
        return;
    }

    left = ngx_max(left + 1, 1);

    if (hold->patience < hold->verdict->rule->timeout
        && hold->action.state == NGX_HTTP_APPROVAL_PENDING)
    {
        patience = (int64_t) ngx_max(hold->patience,
                                     NGX_HTTP_APPROVAL_FIRST_READ)
                   - (ngx_msec_int_t) (ngx_current_msec - hold->started);
        left = ngx_min(left, ngx_max(patience, 1));
    }

    ngx_add_timer(&hold->wait.event, (ngx_msec_t) left);
}


void
ngx_http_approval_hold_decided(ngx_http_approval_hold_t *hold)
{
    json_t                     *claims;
    ngx_int_t                   rc;
    const char                 *err;
    ngx_uint_t                  owns, told;
    ngx_http_approval_state_e   state;

    told = (hold->state == NGX_HTTP_APPROVAL_HOLD_TOLD);

    if (hold->action.decision.len == 0) {
        ngx_http_approval_hold_ignore(hold, "it is too long");
        return;
    }

    if (!told
        && ngx_http_approval_decision_bare(&hold->action.decision, &state)
           == NGX_OK)
    {
        ngx_http_approval_hold_bare(hold, state);
        return;
    }

    claims = NULL;
    err = "it cannot be read";

    rc = ngx_http_approval_decision_read(hold->mcf, hold->action.id, NULL,
                         &hold->action.decision,
                         ngx_http_approval_hold_now(hold) / 1000,
                         &state, &claims, &err);

    if (rc != NGX_OK && told) {
        ngx_http_approval_hold_hint(hold, err);
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_approval_hold_ignore(hold, err);
        return;
    }

    /*
     * The store, which is not trusted, may have led to another requester's
     * action.  Its decision is left in place for that action.
     */

    owns = ngx_http_approval_hold_owns(hold, state, claims);

    if (told && (!owns || state != NGX_HTTP_APPROVAL_APPROVED)) {
        json_decref(claims);
        ngx_http_approval_hold_hint(hold, owns ? NULL
                                               : "it belongs to another "
                                                 "request");
        return;
    }

    if (!owns) {
        json_decref(claims);
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_LOST);
        return;
    }

    ngx_http_approval_hold_verified(hold, state, claims);

    json_decref(claims);
}


/*
 * Checks that the decision is for this requester and request, and, if it
 * approves, that policy and rule have not changed since.
 */

static ngx_uint_t
ngx_http_approval_hold_owns(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state, json_t *claims)
{
    ngx_str_t                           requester, policy, rule, shown, digest;
    approval_str_t                      own;
    const ngx_http_approval_verdict_t  *verdict;

    verdict = hold->verdict;

    own.len = APPROVAL_DIGEST_LEN;
    own.data = (u_char *) hold->action.digest;

    digest = ngx_http_approval_json_get(claims, "dig");
    requester = ngx_http_approval_json_get(claims, "sub");
    policy = ngx_http_approval_json_get(claims, "pol");
    rule = ngx_http_approval_json_get(claims, "rul");
    shown = ngx_http_approval_json_get(claims, "shw");

    return approval_str_eq(ngx_http_approval_core_str(&digest), own)
           && approval_people_same(hold->mcf->people,
                               ngx_http_approval_core_str(&requester),
                     ngx_http_approval_core_str(&verdict->who.requester))
           && approval_str_eq(ngx_http_approval_core_str(&policy),
                   ngx_http_approval_core_str(&verdict->rule->policy->name))
           && approval_str_eq(ngx_http_approval_core_str(&rule),
                              ngx_http_approval_core_str(&verdict->rule->name))
           && (state != NGX_HTTP_APPROVAL_APPROVED
               || ngx_http_approval_hash_among(&hold->action.joins, &shown));
}


static void
ngx_http_approval_hold_verified(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state, json_t *claims)
{
    ngx_http_approval_refusal_e  refusal;

    if (ngx_http_approval_hold_approvers(hold, claims) != NGX_OK) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
        return;
    }

    hold->action.receipt = hold->action.decision;
    hold->action.state = state;

    ngx_http_approval_limit_decided(hold, state);

    /* an approval by break_glass is for one request, not for a grant */

    if (json_is_true(json_object_get(claims, "bg"))) {
        hold->action.single = 1;
    }

    switch (state) {

    case NGX_HTTP_APPROVAL_APPROVED:
        ngx_http_approval_hold_consume(hold);
        return;

    case NGX_HTTP_APPROVAL_DENIED:
        ngx_http_approval_hold_explain(hold, NGX_HTTP_APPROVAL_REFUSE_DENIED);
        return;

    default:
        refusal = (state == NGX_HTTP_APPROVAL_CANCELLED
                   && json_is_true(json_object_get(claims, "frz")))
                  ? NGX_HTTP_APPROVAL_REFUSE_FROZEN
                  : ngx_http_approval_hold_refusal(state);

        ngx_http_approval_hold_refuse(hold, refusal);
        return;
    }
}


/* An unsigned "approve" or "deny", set by a bot with its own Redis user. */

static void
ngx_http_approval_hold_bare(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state)
{
    if (!hold->lcf->unsigned_decisions
        || hold->verdict->rule->vote == NGX_HTTP_APPROVAL_VOTE_BY_PASSKEY)
    {
        ngx_http_approval_hold_ignore(hold, "it is not signed, and "
                                            "\"approval_unsigned_decisions\" "
                                            "is off");
        return;
    }

    ngx_str_set(&hold->action.approvers, "unsigned");
    hold->action.single = 1;

    if (state == NGX_HTTP_APPROVAL_DENIED) {
        ngx_http_approval_hold_settle(hold, state);
        return;
    }

    if (ngx_http_approval_hold_receipt(hold) != NGX_OK) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
        return;
    }

    ngx_http_approval_hold_consume(hold);
}


/*
 * Of published decisions only a signed approval is used directly: consuming it
 * fails unless the key contains it, too.  For any other, the key is read.
 */

static void
ngx_http_approval_hold_hint(ngx_http_approval_hold_t *hold, const char *why)
{
    json_t  *facts;

    static time_t  logged;

    if (why && logged != ngx_time()) {
        logged = ngx_time();

        ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(hold->request), 0,
                      "published decision of action %*s ignored: %s; the "
                      "decision key is read instead",
                      (size_t) APPROVAL_ID_LEN, hold->action.id, why);
    }

    facts = why ? ngx_http_approval_facts(hold) : NULL;

    if (facts) {
        json_object_set_new(facts, "why",
                            json_sprintf("published decision ignored: %s",
                                         why));
        (void) ngx_http_approval_audit_often(hold->mcf, APPROVAL_RECORD_FAULT,
                                             hold->action.id,
                                             facts);
    }

    ngx_http_approval_hold_wait(hold, hold->action.expires
                                      - ngx_http_approval_hold_now(hold));

    ngx_http_approval_watch_read(hold->mcf->worker->store, &hold->wait.watch);
}


/*
 * Redis is transport, not authority: a decision that does not verify is
 * recorded and removed, so that a real one can be made.  The hold continues to
 * wait.
 */

static void
ngx_http_approval_hold_ignore(ngx_http_approval_hold_t *hold, const char *why)
{
    json_t  *facts;

    ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(hold->request), 0,
                  "decision of action %*s ignored: %s",
                  (size_t) APPROVAL_ID_LEN, hold->action.id, why);

    facts = ngx_http_approval_facts(hold);

    if (facts) {
        json_object_set_new(facts, "why",
                            json_sprintf("decision ignored: %s", why));
        (void) ngx_http_approval_audit_often(hold->mcf, APPROVAL_RECORD_FAULT,
                                             hold->action.id, facts);
    }

    if (hold->action.decision.len) {
        ngx_http_approval_hold_drop(hold, &hold->action.decision);
    }

    ngx_http_approval_hold_wait(hold, hold->action.expires
                                      - ngx_http_approval_hold_now(hold));
}


static void
ngx_http_approval_hold_drop(ngx_http_approval_hold_t *hold,
    ngx_str_t *decision)
{
    (void) ngx_http_approval_store_drop(hold->mcf->worker->store,
                                        hold->action.id, decision, NULL, NULL);
}


/* "alice, bob": for the upstream, the access log and the trail. */

ngx_int_t
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

    hold->action.approvers.data = p;

    json_array_foreach(by, i, name) {
        if (i) {
            *p++ = ',';
            *p++ = ' ';
        }

        p = ngx_cpymem(p, json_string_value(name), json_string_length(name));
    }

    hold->action.approvers.len = p - hold->action.approvers.data;

    return NGX_OK;
}
