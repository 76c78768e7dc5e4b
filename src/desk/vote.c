
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/audit.h"
#include "core/jws.h"
#include "desk/decision.h"
#include "desk/approver.h"
#include "desk/page.h"
#include "notify/notify.h"
#include "model/counters.h"


#define NGX_HTTP_APPROVAL_VOTE_TRIES  8


static ngx_int_t ngx_http_approval_vote_sign(ngx_http_approval_desk_t *d,
    json_t *doc, int64_t now);
static ngx_int_t ngx_http_approval_vote_groups(ngx_http_approval_desk_t *d,
    json_t *doc);
static ngx_int_t ngx_http_approval_vote_decide(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes);
static ngx_int_t ngx_http_approval_vote_record(ngx_http_approval_desk_t *d,
    json_t *doc);
static void ngx_http_approval_vote_synced(void *data, ngx_int_t rc);
static ngx_int_t ngx_http_approval_vote_store(ngx_http_approval_desk_t *d,
    ngx_int_t rc);
static ngx_http_approval_op_t *ngx_http_approval_vote_send(
    ngx_http_approval_desk_t *d);
static ngx_http_approval_ending_t *ngx_http_approval_vote_ending(
    ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_vote_unrecorded(
    ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_vote_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_vote_done(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_vote_recorded(ngx_http_approval_desk_t *d);
static json_t *ngx_http_approval_vote_fields(ngx_http_approval_desk_t *d);


ngx_int_t
ngx_http_approval_vote_cast(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes)
{
    ngx_str_t                      policy, rule;
    ngx_http_approval_vote_t      *vote;
    ngx_http_approval_decision_t  *dec = d->work;

    if (dec->vote.len == 0
        && ngx_http_approval_vote_sign(d, doc, reply->now) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    dec->seen = reply->nvotes;

    policy = ngx_http_approval_json_get(doc, "policy");
    rule = ngx_http_approval_json_get(doc, "rule");
    dec->rule = ngx_http_approval_count_rule(d->mcf, &policy, &rule);

    vote = &votes->votes[votes->nvotes++];
    vote->identity = d->who;
    vote->person = d->person;
    vote->name = d->person;
    vote->act = dec->act;
    vote->comment = dec->comment;
    vote->groups = dec->groups;
    vote->glass = dec->glass;
    vote->passkey = (dec->psk != NULL);

    if (ngx_http_approval_votes_count(d, doc, votes) != NGX_OK
        || ngx_http_approval_vote_decide(d, doc, reply, votes) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* record the vote first, then its effect */

    if (!dec->audited
        && ngx_http_approval_vote_record(d, doc) != NGX_OK)
    {
        return ngx_http_approval_vote_unrecorded(d);
    }

    dec->audited = 1;

    d->sync.handler = ngx_http_approval_vote_synced;
    d->sync.data = d;

    d->request->connection->log->action = "recording an approver's vote";

    return ngx_http_approval_vote_store(d,
                            ngx_http_approval_audit_sync(d->mcf, &d->sync));
}


/* A vote counts only when it is durably on record. */

static ngx_int_t
ngx_http_approval_vote_store(ngx_http_approval_desk_t *d, ngx_int_t rc)
{
    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc != NGX_OK) {
        return ngx_http_approval_vote_unrecorded(d);
    }

    return ngx_http_approval_desk_wait(d, ngx_http_approval_vote_send(d),
                                       ngx_http_approval_vote_step);
}


/* A decision has its effects whether the voter waits for the answer or not. */

static ngx_http_approval_op_t *
ngx_http_approval_vote_send(ngx_http_approval_desk_t *d)
{
    ngx_http_approval_op_t        *op;
    ngx_http_approval_ending_t    *ending;
    ngx_http_approval_decision_t  *dec = d->work;

    ending = NULL;

    if (dec->decision.len) {
        ending = ngx_http_approval_vote_ending(d);

        if (ending == NULL) {
            return NULL;
        }
    }

    op = ngx_http_approval_store_vote(d->mcf->worker->store, d->id, dec->seen,
                                      &dec->vote, dec->state, &dec->decision,
                                      ngx_http_approval_desk_answer, d);

    return ending ? ngx_http_approval_ending_keep(ending, op) : op;
}


static ngx_http_approval_ending_t *
ngx_http_approval_vote_ending(ngx_http_approval_desk_t *d)
{
    json_t                        *facts;
    ngx_http_approval_decision_t  *dec = d->work;

    facts = json_pack("{s:O, s:o}", "by", dec->by, "receipt",
                      ngx_http_approval_json_str(&dec->decision));

    if (facts && dec->comment.len) {
        (void) json_object_set_new(facts, "comment",
                                   ngx_http_approval_json_str(&dec->comment));
    }

    return ngx_http_approval_ending(d->mcf, dec->rule, d->id, dec->state,
                                    facts);
}


static void
ngx_http_approval_vote_synced(void *data, ngx_int_t rc)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_approval_desk_t  *d = data;

    r = d->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    rc = ngx_http_approval_vote_store(d, rc);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_approval_vote_unrecorded(ngx_http_approval_desk_t *d)
{
    /*
     * The vote may be on record although storing it failed; a second record
     * then says that it does not count.
     */

    ngx_http_approval_vote_refused(d, "audit-unavailable");

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_SERVICE_UNAVAILABLE,
               "audit-unavailable", "Audit unavailable",
               "The vote could not be recorded, so it was not accepted.",
               NULL);
}


static ngx_int_t
ngx_http_approval_vote_record(ngx_http_approval_desk_t *d, json_t *doc)
{
    json_t  *fields;

    fields = ngx_http_approval_vote_fields(d);

    if (fields == NULL
        || json_object_set(fields, "digest", json_object_get(doc, "digest"))
           != 0)
    {
        json_decref(fields);
        return NGX_ERROR;
    }

    return ngx_http_approval_audit(d->mcf, APPROVAL_RECORD_VOTED, d->id,
                                   fields);
}


static ngx_int_t
ngx_http_approval_vote_sign(ngx_http_approval_desk_t *d, json_t *doc,
    int64_t now)
{
    u_char                         rnd[8], vid[2 * sizeof(rnd)];
    json_t                        *claims;
    ngx_int_t                      rc;
    ngx_str_t                      digest;
    approval_buf_t                 jws;
    ngx_http_approval_decision_t  *dec = d->work;

    digest = ngx_http_approval_json_get(doc, "digest");

    /* the store tells two votes in the same millisecond apart by this */

    if (approval_random(rnd, sizeof(rnd)) != APPROVAL_OK) {
        return NGX_ERROR;
    }

    approval_hex_encode(vid, rnd, sizeof(rnd));

    if (ngx_http_approval_vote_groups(d, doc) != NGX_OK) {
        return NGX_ERROR;
    }

    claims = json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:I, s:I, s:o}",
                 "jti", json_stringn((char *) d->id, APPROVAL_ID_LEN),
                 "dig", ngx_http_approval_json_str(&digest),
                 "sub", ngx_http_approval_json_str(&d->person),
                 "idn", ngx_http_approval_json_str(&d->who),
                 "how", ngx_http_approval_approver_how(d),
                 "act", ngx_http_approval_json_str(&dec->act),
                 "iat", (json_int_t) (now / 1000),
                 "iatms", (json_int_t) now,
                 "vid", json_stringn((char *) vid, sizeof(vid)));

    if (claims == NULL
        || (dec->comment.len
            && json_object_set_new(claims, "cmt",
                               ngx_http_approval_json_str(&dec->comment))
               != 0)
        || (dec->groups.len
            && json_object_set_new(claims, "grp",
                               ngx_http_approval_json_str(&dec->groups))
               != 0)
        || (dec->psk && json_object_set(claims, "psk", dec->psk) != 0)
        || (dec->glass && json_object_set_new(claims, "bg", json_true()) != 0))
    {
        json_decref(claims);
        return NGX_ERROR;
    }

    approval_buf_init(&jws);
    rc = NGX_ERROR;

    if (approval_jws_make(ngx_http_approval_action_signer(d->mcf, doc),
                          NGX_HTTP_APPROVAL_VOTE_TYP, claims, &jws)
        == APPROVAL_OK && !jws.failed)
    {
        rc = ngx_http_approval_desk_copy(d->request->pool,
                                         approval_buf_str(&jws), &dec->vote);
    }

    approval_buf_free(&jws);
    json_decref(claims);

    return rc;
}


static ngx_int_t
ngx_http_approval_vote_groups(ngx_http_approval_desk_t *d, json_t *doc)
{
    ngx_int_t                      rc;
    approval_buf_t                 names;
    ngx_http_approval_decision_t  *dec = d->work;

    approval_buf_init(&names);

    ngx_http_approval_votes_groups(d, doc, &names);

    rc = names.failed ? NGX_ERROR
                      : ngx_http_approval_desk_copy(d->request->pool,
                                                    approval_buf_str(&names),
                                                    &dec->groups);
    approval_buf_free(&names);

    return rc;
}


/* Does this vote complete the decision?  Then the decision is signed, too. */

static ngx_int_t
ngx_http_approval_vote_decide(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes)
{
    time_t                         now, exp;
    ngx_int_t                      rc;
    const char                    *act;
    approval_buf_t                 jws;
    ngx_http_approval_decision_t  *dec = d->work;

    ngx_str_null(&dec->decision);
    dec->state = NGX_HTTP_APPROVAL_PENDING;

    /* a comment never decides, whatever the other votes amount to */

    if (votes->quorum == APPROVAL_QUORUM_OPEN || dec->act.data[0] == 'c') {
        return NGX_OK;
    }

    now = (time_t) (reply->now / 1000);

    if (votes->quorum == APPROVAL_QUORUM_APPROVED) {
        act = "approve";
        dec->state = NGX_HTTP_APPROVAL_APPROVED;
        exp = now + (time_t) json_integer_value(json_object_get(doc,
                                                        "execute_within"));

    } else {
        act = "deny";
        dec->state = NGX_HTTP_APPROVAL_DENIED;
        exp = (time_t) (ngx_max(reply->expires, reply->now) / 1000) + 86400;
    }

    json_decref(dec->by);
    dec->by = ngx_http_approval_votes_by(votes, act);

    if (dec->by == NULL) {
        return NGX_ERROR;
    }

    if (votes->alone && json_object_set_new(doc, "alone", json_true()) != 0) {
        return NGX_ERROR;
    }

    approval_buf_init(&jws);

    rc = ngx_http_approval_decision_make(d->mcf, doc, dec->state, dec->by,
                                         now, exp, &jws);

    if (rc == NGX_OK) {
        rc = jws.failed ? NGX_ERROR
                        : ngx_http_approval_desk_copy(d->request->pool,
                                                      approval_buf_str(&jws),
                                                      &dec->decision);
    }

    approval_buf_free(&jws);

    return rc;
}


static ngx_int_t
ngx_http_approval_vote_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_decision_t  *dec = d->work;

    if (reply->rc == NGX_OK) {

        if (dec->glass && dec->state == NGX_HTTP_APPROVAL_APPROVED) {
            ngx_http_approval_count(dec->rule,
                                    NGX_HTTP_APPROVAL_COUNT_BREAK_GLASS);

            ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(d->request), 0,
                          "action %*s was approved by one person alone "
                          "(break_glass): "
                          "\"%V\"", (size_t) APPROVAL_ID_LEN, d->id, &d->who);
        }

        if (ngx_http_approval_desk_ask(d, ngx_http_approval_vote_done)
            == NGX_AGAIN)
        {
            return NGX_AGAIN;
        }

        return ngx_http_approval_vote_recorded(d);
    }

    if (reply->rc == NGX_DECLINED) {
        dec->settled = 1;
    }

    if ((reply->rc == NGX_DECLINED || reply->rc == NGX_AGAIN)
        && dec->tries++ < NGX_HTTP_APPROVAL_VOTE_TRIES
        && ngx_http_approval_desk_ask(d, ngx_http_approval_decision_step)
           == NGX_AGAIN)
    {
        return NGX_AGAIN;
    }

    ngx_http_approval_vote_refused(d, "store-unavailable");

    if (d->reply == NULL
        && ngx_http_approval_header_int(d->request, "Retry-After", 2)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_SERVICE_UNAVAILABLE,
               "store-unavailable", "Store unavailable",
               "The gateway does not know whether its store accepted the "
               "vote. Voting again is safe: a vote counts once.", NULL);
}


static ngx_int_t
ngx_http_approval_vote_done(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                     *doc;
    ngx_int_t                   rc;
    ngx_http_approval_votes_t  *votes;

    if (reply->rc != NGX_OK
        || ngx_http_approval_desk_open(d, reply, &doc, &rc) != NGX_OK)
    {
        return ngx_http_approval_vote_recorded(d);
    }

    votes = ngx_http_approval_votes_read(d, doc, reply);

    rc = votes ? ngx_http_approval_decision_reply(d, doc, reply, votes)
               : NGX_HTTP_INTERNAL_SERVER_ERROR;

    json_decref(doc);

    return rc;
}


/* The vote is recorded, but the action cannot be read again to show it. */

static ngx_int_t
ngx_http_approval_vote_recorded(ngx_http_approval_desk_t *d)
{
    json_t                        *answer;
    ngx_str_t                     *state;
    ngx_http_approval_decision_t  *dec = d->work;

    if (d->reply) {
        return d->reply(d, NGX_HTTP_OK, "Recorded", "Your vote is recorded.",
                        NULL);
    }

    if (d->html) {
        return ngx_http_approval_page_result(d, NGX_HTTP_OK,
                   json_pack("{s:s, s:s}", "title", "Recorded",
                             "detail", "Your vote is recorded."));
    }

    state = ngx_http_approval_state_name(dec->state);

    answer = json_pack("{s:o, s:o, s:[]}",
                 "id", json_stringn((char *) d->id, APPROVAL_ID_LEN),
                 "state", json_stringn((char *) state->data, state->len),
                 "votes");

    return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                       "application/json", answer);
}


void
ngx_http_approval_vote_refused(ngx_http_approval_desk_t *d,
    const char *why)
{
    json_t                        *fields;
    ngx_http_approval_decision_t  *dec = d->work;

    fields = ngx_http_approval_vote_fields(d);

    if (fields) {
        (void) json_object_set_new(fields, "why", json_string(why));
    }

    /* a signed vote may be on record: its refusal must be, too */

    if (dec->vote.len) {
        (void) ngx_http_approval_audit(d->mcf, APPROVAL_RECORD_REFUSED, d->id,
                                       fields);

    } else {
        (void) ngx_http_approval_audit_often(d->mcf, APPROVAL_RECORD_REFUSED,
                                             d->id, fields);
    }
}


/* The voter and the vote, for the trail. */

static json_t *
ngx_http_approval_vote_fields(ngx_http_approval_desk_t *d)
{
    json_t                        *fields;
    ngx_http_approval_decision_t  *dec = d->work;

    fields = ngx_http_approval_approver_facts(d);
    if (fields == NULL) {
        return NULL;
    }

    if (json_object_set_new(fields, "decision",
                            ngx_http_approval_json_str(&dec->act))
        != 0
        || (dec->glass
         && json_object_set_new(fields, "break_glass", json_true()) != 0)
        || (dec->psk
            && json_object_set(fields, "passkey",
                               json_object_get(dec->psk, "key"))
               != 0)
        || (dec->groups.len
            && json_object_set_new(fields, "groups",
                                   ngx_http_approval_json_str(&dec->groups))
               != 0)
        || (dec->comment.len
         && json_object_set_new(fields, "comment",
                                ngx_http_approval_json_str(&dec->comment))
            != 0)
        || (dec->vote.len
            && json_object_set_new(fields, "vote",
                                   ngx_http_approval_json_str(&dec->vote))
               != 0))
    {
        json_decref(fields);
        return NULL;
    }

    return fields;
}
