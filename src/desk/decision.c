
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/audit.h"
#include "core/escape.h"
#include "desk/decision.h"
#include "desk/approver.h"
#include "desk/page.h"
#include "desk/passkey.h"
#include "desk/view.h"
#include "model/code.h"
#include "model/ends.h"


#define NGX_HTTP_APPROVAL_DECISION_DROPS  3


static void ngx_http_approval_decision_cleanup(void *data);
static void ngx_http_approval_decision_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_decision_start(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_decision_judge(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_decision_key(ngx_http_approval_desk_t *d,
    json_t *doc, ngx_int_t *rc);
static ngx_int_t ngx_http_approval_decision_may(ngx_http_approval_desk_t *d,
    json_t *doc, ngx_int_t *rc);
static ngx_int_t ngx_http_approval_decision_open(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply, ngx_int_t *rc);
static ngx_http_approval_state_e ngx_http_approval_decision_limit(
    ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_decision_drop(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_decision_dropped(
    ngx_http_approval_desk_t *d, const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_decision_over(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_state_e state);
static ngx_int_t ngx_http_approval_decision_meant(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply, ngx_int_t *rc);
static ngx_uint_t ngx_http_approval_decision_uncommented(json_t *doc,
    ngx_http_approval_decision_t *dec);
static ngx_int_t ngx_http_approval_decision_refuse(
    ngx_http_approval_desk_t *d, ngx_uint_t status, const char *type,
    const char *title, const char *detail, json_t *extra);


/*
 * The order of the checks is part of the interface: who it is, which action,
 * may they, is it open, did they mean it, have they voted.
 */

ngx_int_t
ngx_http_approval_decision_read_body(ngx_http_approval_desk_t *d)
{
    ngx_int_t            rc, type;
    ngx_http_request_t  *r;

    r = d->request;

    /* check the type first: it determines the format of a refusal */

    type = ngx_http_approval_decision_type(d);
    rc = ngx_http_approval_approver_claims(d);

    if (rc == NGX_DECLINED) {
        return ngx_http_approval_approver_unknown(d);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (type != NGX_OK) {
        return ngx_http_approval_desk_unread(d);
    }

    if (ngx_http_approval_approver_foreign(d)) {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                   "cross-site", "Sent by another site",
                   "Decide on the gateway's own page, or with a client that "
                   "is not a browser.", NULL);
    }

    if (r->headers_in.content_length_n > NGX_HTTP_APPROVAL_DESK_BODY_MAX) {
        return ngx_http_approval_desk_large(d);
    }

    if (ngx_http_approval_desk_work(d, sizeof(ngx_http_approval_decision_t),
                                    ngx_http_approval_decision_cleanup)
        == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_approval_decision_body);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static void
ngx_http_approval_decision_cleanup(void *data)
{
    ngx_http_approval_decision_t  *dec = data;

    json_decref(dec->by);
    json_decref(dec->psk);
}


static void
ngx_http_approval_decision_body(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_approval_desk_t  *d;

    d = ngx_http_approval_desk_find(r);

    /* from here on it does not matter whether the client leaves */

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    rc = d ? ngx_http_approval_decision_start(d)
           : NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


static ngx_int_t
ngx_http_approval_decision_start(ngx_http_approval_desk_t *d)
{
    ngx_int_t  rc;
    ngx_str_t  body;

    rc = ngx_http_approval_desk_body(d->request,
                                     NGX_HTTP_APPROVAL_DESK_BODY_MAX, &body);

    if (rc == NGX_DECLINED) {
        return ngx_http_approval_desk_large(d);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_approval_decision_parse(d, d->work, &body, &rc) != NGX_OK) {
        return rc;
    }

    if (!d->id_valid) {
        return ngx_http_approval_desk_not_found(d);
    }

    return ngx_http_approval_desk_load(d, ngx_http_approval_decision_step);
}


ngx_int_t
ngx_http_approval_decision_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                        *doc;
    ngx_int_t                      rc;
    ngx_http_approval_decision_t  *dec = d->work;

    /* before the answer: one of several decisions goes on with the next one */

    if (dec->audited && reply->rc != NGX_OK) {
        ngx_http_approval_vote_refused(d, "store-unavailable");
    }

    if (ngx_http_approval_desk_open(d, reply, &doc, &rc) != NGX_OK) {
        return rc;
    }

    rc = ngx_http_approval_decision_judge(d, doc, reply);

    json_decref(doc);

    return rc;
}


static ngx_int_t
ngx_http_approval_decision_judge(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    ngx_int_t                      rc;
    ngx_http_approval_vote_t      *vote;
    ngx_http_approval_votes_t     *votes;
    ngx_http_approval_decision_t  *dec = d->work;

    if (ngx_http_approval_approver_identify(d, doc, reply, &rc) != NGX_OK
        || ngx_http_approval_decision_key(d, doc, &rc) != NGX_OK
        || ngx_http_approval_decision_may(d, doc, &rc) != NGX_OK
        || ngx_http_approval_decision_open(d, doc, reply, &rc) != NGX_OK
        || ngx_http_approval_decision_meant(d, doc, reply, &rc) != NGX_OK)
    {
        return rc;
    }

    votes = ngx_http_approval_votes_read(d, doc, reply);

    if (votes == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    vote = NULL;

    if (dec->act.data[0] != 'c') {
        vote = ngx_http_approval_votes_of(votes, &d->person);
    }

    /* a person who has approved may still use break-glass */

    if (vote && dec->glass && !vote->glass
        && ngx_http_approval_vote_is(vote, "approve"))
    {
        vote = NULL;
    }

    if (vote && vote->act.len == dec->act.len
        && ngx_memcmp(vote->act.data, dec->act.data, vote->act.len) == 0)
    {
        if (dec->audited) {
            ngx_http_approval_vote_refused(d, "already-voted");
        }

        return ngx_http_approval_decision_reply(d, doc, reply, votes);
    }

    if (vote) {
        return ngx_http_approval_decision_refuse(d, NGX_HTTP_CONFLICT,
                   "already-voted", "You have voted",
                   ngx_http_approval_vote_is(vote, "approve")
                   ? "You have already approved this action. A vote cannot "
                     "be changed."
                   : "You have already denied this action. A vote cannot be "
                     "changed.",
                   NULL);
    }

    if (dec->act.data[0] == 'c'
        && ngx_http_approval_votes_comments(votes, &d->person)
           >= NGX_HTTP_APPROVAL_COMMENTS_MAX)
    {
        return ngx_http_approval_decision_refuse(d, NGX_HTTP_CONFLICT,
                   "too-many-comments", "Too many comments",
                   "You have commented on this action 16 times, which is the "
                   "maximum. You can still vote.", NULL);
    }

    if (reply->nvotes >= APPROVAL_QUORUM_VOTES) {
        return ngx_http_approval_decision_refuse(d, NGX_HTTP_CONFLICT,
                   "too-many-votes", "Too many votes",
                   "The action has the maximum number of votes and comments. "
                   "It ends at its deadline; then the requester can send the "
                   "request again.",
                   NULL);
    }

    if (dec->psk == NULL && ngx_http_approval_passkey_wanted(d, doc)) {
        return ngx_http_approval_passkey_ask(d, doc);
    }

    if (dec->unseen) {
        return ngx_http_approval_decision_refuse(d, NGX_HTTP_FORBIDDEN,
                   "page-required", "Vote on the action's page",
                   "The message has no button for this vote, because it does "
                   "not show everything that you would decide. Open the "
                   "action's page and vote there.", NULL);
    }

    return ngx_http_approval_vote_cast(d, doc, reply, votes);
}


/*
 * The gate that waits for the action certainly trusts the key that the action
 * was made under, but maybe no other key.  Without that key, refuse the vote
 * instead of reporting that it counts.
 */

static ngx_int_t
ngx_http_approval_decision_key(ngx_http_approval_desk_t *d, json_t *doc,
    ngx_int_t *rc)
{
    if (ngx_http_approval_action_signer(d->mcf, doc)) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(d->request), 0,
                  "action %*s was created under another signing key, so votes "
                  "on it are refused until \"approval_signing_key\" also "
                  "lists the file of that "
                  "key", (size_t) APPROVAL_ID_LEN, d->id);

    *rc = ngx_http_approval_decision_refuse(d, NGX_HTTP_SERVICE_UNAVAILABLE,
              "signing-key-unknown", "Created under another key",
              "The action was created under a signing key that this gateway "
              "does not have, so your vote was not accepted. The operators "
              "can add that key; otherwise the action ends at its deadline, "
              "and the requester can send the request again.", NULL);

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_approval_decision_may(ngx_http_approval_desk_t *d, json_t *doc,
    ngx_int_t *rc)
{
    ngx_uint_t                     glass;
    const char                    *detail;
    approval_str_t                 who;
    ngx_http_approval_decision_t  *dec = d->work;

    who = ngx_http_approval_core_str(&d->who);

    if (ngx_http_approval_approver_self(d->mcf, doc, who)) {
        *rc = ngx_http_approval_decision_refuse(d, NGX_HTTP_FORBIDDEN,
                  "self-approval", "Your own request",
                  "You sent this request, or somebody sent it on your behalf: "
                  "another person must decide.", NULL);
        return NGX_DECLINED;
    }

    glass = ngx_http_approval_approver_glass(d->mcf, doc, who);

    if (dec->glass && !glass) {
        *rc = ngx_http_approval_decision_refuse(d, NGX_HTTP_FORBIDDEN,
                  "not-an-approver", "You may not use break-glass",
                  "You are not in the group that may approve this action "
                  "alone.", NULL);
        return NGX_DECLINED;
    }

    /* members of only this group may view, comment, and use break-glass */

    if (ngx_http_approval_approver_lines(d->mcf, doc, who) == 0
        && !(glass && (dec->glass || dec->act.data[0] == 'c')))
    {
        detail = ngx_http_approval_approver_stranger(d);

        *rc = detail ? ngx_http_approval_decision_refuse(d, NGX_HTTP_FORBIDDEN,
                           "not-an-approver", "Not an approver", detail, NULL)
                     : NGX_HTTP_INTERNAL_SERVER_ERROR;

        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_decision_open(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_int_t *rc)
{
    ngx_http_approval_state_e      state;
    ngx_http_approval_decision_t  *dec = d->work;

    state = ngx_http_approval_decision_limit(d, doc, reply);

    if (state == NGX_HTTP_APPROVAL_PENDING && reply->decision.len
        && dec->drops++ < NGX_HTTP_APPROVAL_DECISION_DROPS)
    {
        *rc = ngx_http_approval_decision_drop(d, reply);
        return NGX_DECLINED;
    }

    if (state == NGX_HTTP_APPROVAL_PENDING && !dec->settled) {
        return NGX_OK;
    }

    if (state == NGX_HTTP_APPROVAL_EXPIRED
        || state == NGX_HTTP_APPROVAL_PENDING)
    {
        *rc = ngx_http_approval_decision_refuse(d, 410, "expired", "Expired",
                  reply->state == NGX_HTTP_APPROVAL_APPROVED
                  ? "The action was approved, but not used in time."
                  : "Nobody decided in time. The request was not forwarded, "
                    "and it is too late to decide; the requester can send it "
                    "again.",
                  json_pack("{s:o}", "expires_at",
                            ngx_http_approval_json_time(
                                ngx_http_approval_view_expires(doc, reply))));
        return NGX_DECLINED;
    }

    *rc = ngx_http_approval_decision_over(d, doc, reply, state);

    return NGX_DECLINED;
}


/*
 * The state in the store, unless it contradicts the sealed document or an end
 * that this gateway has seen.
 */

static ngx_http_approval_state_e
ngx_http_approval_decision_limit(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    const char                 *why, *limit;
    ngx_http_approval_end_t     end;
    ngx_http_approval_state_e   state;

    state = ngx_http_approval_view_state(doc, reply);

    if (reply->state != NGX_HTTP_APPROVAL_PENDING
        && reply->state != NGX_HTTP_APPROVAL_APPROVED)
    {
        return state;
    }

    ngx_http_approval_ends_learn(d->mcf, reply->ends, reply->nends,
                                 reply->now);

    end.kind = NGX_HTTP_APPROVAL_END_ACTION;
    ngx_memcpy(end.id, d->id, APPROVAL_ID_LEN);

    if (ngx_http_approval_end_find(d->mcf, &end, reply->now) == NGX_OK) {
        limit = ngx_http_approval_end_name(end.state, &why);
        state = end.state;

    } else if (state == NGX_HTTP_APPROVAL_EXPIRED
               && reply->state == NGX_HTTP_APPROVAL_PENDING
               && reply->now < reply->expires)
    {
        limit = "deadline";
        why = "its deadline has passed, but Redis has a later one";

    } else {
        return state;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(d->request), 0,
                  "vote on action %*s is refused: %s",
                  (size_t) APPROVAL_ID_LEN, d->id, why);

    (void) ngx_http_approval_audit_often(d->mcf, APPROVAL_RECORD_FAULT, d->id,
                                         json_pack("{s:s, s:s}", "limit",
                                                   limit, "why", why));

    return state;
}


/*
 * The decision key has a value, but the action is not decided.  Writing to
 * that key must not keep votes away: the value is recorded and removed, as in
 * the gate, and the vote is judged again.
 */

static ngx_int_t
ngx_http_approval_decision_drop(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_str_t                      decision;
    ngx_http_approval_decision_t  *dec = d->work;

    dec->settled = 0;
    decision = reply->decision;

    ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(d->request), 0,
                  "decision of action %*s ignored: this gateway did not write "
                  "it",
                  (size_t) APPROVAL_ID_LEN, d->id);

    (void) ngx_http_approval_audit_often(d->mcf, APPROVAL_RECORD_FAULT, d->id,
               json_pack("{s:s}", "why",
                         "decision ignored: this gateway did not write it"));

    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_store_drop(d->mcf->worker->store, d->id,
                                            &decision,
                                            ngx_http_approval_desk_answer, d),
               ngx_http_approval_decision_dropped);
}


static ngx_int_t
ngx_http_approval_decision_dropped(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    return ngx_http_approval_desk_load(d, ngx_http_approval_decision_step);
}


static ngx_int_t
ngx_http_approval_decision_over(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_state_e state)
{
    json_t                     *extra, *by;
    ngx_str_t                  *name;
    const char                 *act;
    ngx_http_approval_votes_t  *votes;

    if (state == NGX_HTTP_APPROVAL_CANCELLED) {
        return ngx_http_approval_decision_refuse(d, NGX_HTTP_CONFLICT,
                   "cancelled", "Cancelled",
                   "It was withdrawn or cancelled before anybody decided. "
                   "There is nothing left to do.",
                   json_pack("{s:s}", "state", "cancelled"));
    }

    votes = ngx_http_approval_votes_read(d, doc, reply);

    if (votes == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    act = (state == NGX_HTTP_APPROVAL_DENIED) ? "deny" : "approve";

    by = (votes->quorum == APPROVAL_QUORUM_OPEN
          && json_object_get(doc, "unsigned_decisions"))
         ? json_pack("[s]", "unsigned")
         : ngx_http_approval_votes_by(votes, act);

    name = ngx_http_approval_state_name(state);

    extra = json_pack("{s:o, s:{s:s, s:o, s:o}}",
                      "state", json_stringn((char *) name->data, name->len),
                      "decision", "decision", act, "by", by,
                      "decided_at",
                      ngx_http_approval_json_time(reply->decided));

    return ngx_http_approval_decision_refuse(d, NGX_HTTP_CONFLICT,
               "already-decided", "Already decided",
               state == NGX_HTTP_APPROVAL_DENIED
               ? "The action was already denied."
               : "The action was already approved.", extra);
}


/*
 * A form must come from our own page and, if the action is critical, have the
 * code of the message, because a click can be a mistake.  A program's JSON is
 * not sent by mistake: there the code is optional, but checked.
 */

static ngx_int_t
ngx_http_approval_decision_meant(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_int_t *rc)
{
    u_char                         code[NGX_HTTP_APPROVAL_CODE_LEN];
    ngx_str_t                      risk, digest;
    approval_str_t                 want;
    ngx_http_approval_decision_t  *dec = d->work;

    if (d->form && !ngx_http_approval_approver_nonce_valid(d, doc, reply,
                                                           &dec->nonce))
    {
        *rc = ngx_http_approval_decision_refuse(d, NGX_HTTP_FORBIDDEN,
                  "cross-site", "Not sent from the action's page",
                  "Open the action again, and decide there.", NULL);
        return NGX_DECLINED;
    }

    if (dec->several && !ngx_http_approval_approver_several(doc)) {
        *rc = ngx_http_approval_decision_refuse(d, NGX_HTTP_FORBIDDEN,
                  "one-by-one", "Only on the action's page",
                  "Actions of high or critical risk, and actions that need a "
                  "passkey, are decided one by one: open the action, and "
                  "decide there.", NULL);
        return NGX_DECLINED;
    }

    if (ngx_http_approval_decision_uncommented(doc, dec)) {
        *rc = ngx_http_approval_decision_refuse(d, NGX_HTTP_BAD_REQUEST,
                  "comment-required", "A comment is required",
                  dec->act.data[0] == 'd'
                  ? "Say why you deny: the requester reads it. Your vote was "
                    "not accepted: open the action and vote with a comment."
                  : "Say why you approve. Your vote was not accepted: open "
                    "the action and vote with a comment.", NULL);
        return NGX_DECLINED;
    }

    risk = ngx_http_approval_json_get(doc, "risk");

    if (dec->act.data[0] != 'a' || risk.len != 8
        || ngx_strncmp(risk.data, "critical", 8) != 0
        || (!d->form && d->slack.len == 0 && dec->code.len == 0))
    {
        return NGX_OK;
    }

    digest = ngx_http_approval_json_get(doc, "digest");

    if (ngx_http_approval_code(d->mcf, d->id, &digest, code) != NGX_OK) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    want.data = code;
    want.len = NGX_HTTP_APPROVAL_CODE_LEN;

    if (approval_str_eq_secret(want, ngx_http_approval_core_str(&dec->code))) {
        return NGX_OK;
    }

    *rc = ngx_http_approval_decision_refuse(d, NGX_HTTP_FORBIDDEN,
              "code-required",
              dec->code.len ? "Wrong code" : "The code is missing",
              "The risk is critical: to approve, enter the six digits that "
              "the message shows as \"code\".", NULL);

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_approval_decision_uncommented(json_t *doc,
    ngx_http_approval_decision_t *dec)
{
    ngx_str_t  when;

    when = ngx_http_approval_json_get(doc, "comment_required");

    return when.len
           && (dec->act.data[0] == 'd' || when.data[0] == 'a')
           && approval_blank(ngx_http_approval_core_str(&dec->comment));
}


ngx_int_t
ngx_http_approval_decision_reply(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes)
{
    const char                    *title, *detail;
    ngx_http_approval_state_e      state;
    ngx_http_approval_decision_t  *dec = d->work;

    if (!d->html && d->reply == NULL) {
        return ngx_http_approval_view_send(d, doc, reply, votes);
    }

    state = ngx_http_approval_view_state(doc, reply);

    switch (dec->act.data[0]) {

    case 'a':
        title = "You approved";
        break;

    case 'd':
        title = "You denied";
        break;

    default:
        title = "Your comment is recorded";
        break;
    }

    switch (state) {

    case NGX_HTTP_APPROVAL_PENDING:
        detail = "The action is still waiting for others.";
        break;

    case NGX_HTTP_APPROVAL_DENIED:
        detail = "The action is denied: the request is not forwarded.";
        break;

    default:
        detail = "The action is approved: the request may be forwarded once.";
        break;
    }

    if (d->reply) {
        return d->reply(d, NGX_HTTP_OK, title, detail, NULL);
    }

    return ngx_http_approval_page_result(d, NGX_HTTP_OK,
               json_pack("{s:s, s:O, s:s, s:b}", "title", title, "what",
                         ngx_http_approval_view_title(doc), "detail", detail,
                         "done", 1));
}


/* Puts on record that an identified person was refused. */

static ngx_int_t
ngx_http_approval_decision_refuse(ngx_http_approval_desk_t *d,
    ngx_uint_t status, const char *type, const char *title,
    const char *detail, json_t *extra)
{
    ngx_http_approval_vote_refused(d, type);

    return ngx_http_approval_desk_refuse(d, status, type, title, detail,
                                         extra);
}
