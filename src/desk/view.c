
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/view.h"
#include "audit/audit.h"
#include "desk/approver.h"
#include "desk/page.h"
#include "model/hash.h"


/* d->work during a second query of the store; ends with the request. */

typedef struct {
    json_t                     *doc;
    json_t                     *view;
    ngx_http_approval_votes_t  *votes;
    ngx_http_approval_reply_t   reply;       /* its times */
} ngx_http_approval_view_work_t;


static ngx_int_t ngx_http_approval_view_ask(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes);
static void ngx_http_approval_view_cleanup(void *data);
static ngx_int_t ngx_http_approval_view_recent(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_view_show(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes, json_t *view);
static ngx_uint_t ngx_http_approval_view_bare(json_t *doc,
    const ngx_str_t *decision, ngx_http_approval_state_e *state);
static ngx_int_t ngx_http_approval_view_store(json_t *view, json_t *doc,
    const ngx_http_approval_reply_t *reply);
static json_t *ngx_http_approval_view_votes(ngx_http_approval_votes_t *votes);
static json_t *ngx_http_approval_view_require(json_t *doc,
    ngx_http_approval_votes_t *votes);
static json_t *ngx_http_approval_view_trail(json_t *view,
    ngx_http_approval_votes_t *votes);
static ngx_int_t ngx_http_approval_view_event(json_t *trail, json_t *time,
    const char *event, json_t *who);


ngx_int_t
ngx_http_approval_view_action(ngx_http_approval_desk_t *d)
{
    return ngx_http_approval_view_load(d, ngx_http_approval_view_step);
}


ngx_int_t
ngx_http_approval_view_frame(ngx_http_approval_desk_t *d)
{
    d->html = 1;
    d->frame = 1;

    return ngx_http_approval_view_load(d, ngx_http_approval_view_step);
}


ngx_int_t
ngx_http_approval_view_load(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_step_pt step)
{
    switch (ngx_http_approval_approver_claims(d)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return ngx_http_approval_approver_unknown(d);

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!d->id_valid) {
        return ngx_http_approval_desk_not_found(d);
    }

    return ngx_http_approval_desk_load(d, step);
}


ngx_int_t
ngx_http_approval_view_may(ngx_http_approval_desk_t *d, json_t *doc,
    ngx_int_t *rc)
{
    approval_str_t  who;

    who = ngx_http_approval_core_str(&d->who);

    if (ngx_http_approval_approver_lines(d->mcf, doc, who)
        || ngx_http_approval_approver_glass(d->mcf, doc, who)
        || ngx_http_approval_approver_auditor(d))
    {
        return NGX_OK;
    }

    *rc = ngx_http_approval_approver_refuse(d);

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_approval_view_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                     *doc;
    ngx_int_t                   rc;
    ngx_http_approval_votes_t  *votes;

    if (ngx_http_approval_desk_open(d, reply, &doc, &rc) != NGX_OK) {
        return rc;
    }

    if (ngx_http_approval_approver_identify(d, doc, reply, &rc) != NGX_OK) {
        goto done;
    }

    if (d->html && d->link.len) {
        rc = ngx_http_approval_approver_exchange(d, doc, reply);
        goto done;
    }

    if (ngx_http_approval_view_may(d, doc, &rc) != NGX_OK) {
        goto done;
    }

    votes = ngx_http_approval_votes_read(d, doc, reply);

    if (votes == NULL) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        goto done;
    }

    /* nothing depends on this record, and the audit logs its own failures */

    if (d->request->method == NGX_HTTP_GET && !d->frame) {
        (void) ngx_http_approval_audit_once(d->mcf, APPROVAL_RECORD_VIEWED,
                                            d->id,
                                            ngx_http_approval_approver_facts(d));
    }

    rc = ngx_http_approval_view_ask(d, doc, reply, votes);

done:

    json_decref(doc);

    return rc;
}


/* Adds how many requests the requester has made, if the store can say. */

static ngx_int_t
ngx_http_approval_view_ask(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes)
{
    u_char                          buf[NGX_HTTP_APPROVAL_HASHES];
    ngx_str_t                       person, hashes;
    ngx_http_approval_op_t         *op;
    ngx_http_approval_view_work_t  *work;

    work = ngx_http_approval_desk_work(d, sizeof(ngx_http_approval_view_work_t),
                                       ngx_http_approval_view_cleanup);
    if (work == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    work->doc = json_incref(doc);
    work->view = ngx_http_approval_view(doc, reply, votes,
                                        NGX_HTTP_APPROVAL_VIEW_WHOLE);
    work->votes = votes;
    work->reply.now = reply->now;
    work->reply.expires = reply->expires;

    if (work->view == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    person = ngx_http_approval_json_get(doc, "person");

    if (ngx_http_approval_hashes(d->mcf, NGX_HTTP_APPROVAL_HASH_REQUESTER,
                                 &person, 1, buf, &hashes)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    op = ngx_http_approval_store_recent(d->mcf->worker->store, d->id, &hashes,
                                        ngx_http_approval_desk_answer, d);
    if (op == NULL) {
        return ngx_http_approval_view_show(d, work->doc, &work->reply, votes,
                                           json_incref(work->view));
    }

    return ngx_http_approval_desk_wait(d, op, ngx_http_approval_view_recent);
}


static void
ngx_http_approval_view_cleanup(void *data)
{
    ngx_http_approval_view_work_t *work = data;

    json_decref(work->view);
    json_decref(work->doc);
}


static ngx_int_t
ngx_http_approval_view_recent(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_view_work_t *work = d->work;

    if (reply->rc == NGX_OK
        && json_object_set_new(work->view, "recent",
                               json_integer(reply->recent))
           != 0)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_view_show(d, work->doc, &work->reply, work->votes,
                                       json_incref(work->view));
}


ngx_int_t
ngx_http_approval_view_send(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes)
{
    json_t  *view;

    view = ngx_http_approval_view(doc, reply, votes,
                                  NGX_HTTP_APPROVAL_VIEW_WHOLE);
    if (view == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_view_show(d, doc, reply, votes, view);
}


static ngx_int_t
ngx_http_approval_view_show(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes,
    json_t *view)
{
    if (d->html) {
        return ngx_http_approval_page_action(d, doc, reply, votes, view);
    }

    return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                       "application/json", view);
}


ngx_http_approval_state_e
ngx_http_approval_view_state(json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    int64_t                    within;
    ngx_http_approval_state_e  state;

    if (reply->state == NGX_HTTP_APPROVAL_PENDING
        && reply->now >= ngx_http_approval_view_expires(doc, reply))
    {
        return NGX_HTTP_APPROVAL_EXPIRED;
    }

    within = json_integer_value(json_object_get(doc, "execute_within"));

    if (reply->state == NGX_HTTP_APPROVAL_APPROVED
        && reply->decided && reply->now >= reply->decided + within * 1000)
    {
        return NGX_HTTP_APPROVAL_EXPIRED;
    }

    if (reply->state == NGX_HTTP_APPROVAL_PENDING
        && ngx_http_approval_view_bare(doc, &reply->decision, &state))
    {
        return state;
    }

    return reply->state;
}


json_t *
ngx_http_approval_view_title(json_t *doc)
{
    json_t  *summary;

    summary = json_object_get(doc, "summary");

    return summary ? summary : json_object_get(doc, "action");
}


int64_t
ngx_http_approval_view_expires(json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    int64_t  deadline;

    deadline = ngx_http_approval_action_deadline(doc);

    return (reply->state == NGX_HTTP_APPROVAL_PENDING && deadline
            && deadline < reply->expires)
           ? deadline : reply->expires;
}


/*
 * A bare decision stays in the key until a request uses it, or ends by it.
 * The gate has recorded in the document whether it accepts one.
 */

static ngx_uint_t
ngx_http_approval_view_bare(json_t *doc, const ngx_str_t *decision,
    ngx_http_approval_state_e *state)
{
    ngx_str_t  text;

    text = *decision;

    return json_is_true(json_object_get(doc, "unsigned_decisions"))
           && ngx_http_approval_decision_bare(&text, state) == NGX_OK;
}


json_t *
ngx_http_approval_view(json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes, ngx_http_approval_view_e how)
{
    json_t  *view;

    view = ngx_http_approval_action_disclose(doc,
                                          NGX_HTTP_APPROVAL_DISCLOSE_REQUEST);

    if (view == NULL) {
        return NULL;
    }

    (void) json_object_del(view, "v");
    (void) json_object_del(view, "key");
    (void) json_object_del(view, "deadline");

    if (how == NGX_HTTP_APPROVAL_VIEW_LIST) {
        (void) json_object_del(view, "body");
        (void) json_object_del(view, "headers");
    }

    if (ngx_http_approval_view_store(view, doc, reply) != NGX_OK
        || json_object_set_new(view, "votes",
                               ngx_http_approval_view_votes(votes)) != 0
        || json_object_set_new(view, "require",
                               ngx_http_approval_view_require(doc, votes))
           != 0
        || (how == NGX_HTTP_APPROVAL_VIEW_WHOLE
            && json_object_set_new(view, "trail",
                                   ngx_http_approval_view_trail(view, votes))
               != 0))
    {
        json_decref(view);
        return NULL;
    }

    return view;
}


/* Absent members become null, so that scripts need not check for them. */

static ngx_int_t
ngx_http_approval_view_store(json_t *view, json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    json_t                     *outcome;
    ngx_uint_t                  i;
    const char                 *err;
    ngx_http_approval_state_e   state;
    static const char          *names[] = { "on_behalf_of", "reason" };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (json_object_get(doc, names[i]) == NULL
            && json_object_set_new(view, names[i], json_null()) != 0)
        {
            return NGX_ERROR;
        }
    }

    outcome = NULL;

    if (reply->outcome.len) {
        outcome = approval_json_parse(
                  (approval_str_t) { reply->outcome.len, reply->outcome.data },
                  &err);
    }

    if (json_object_set_new(view, "outcome", outcome ? outcome : json_null())
        != 0)
    {
        return NGX_ERROR;
    }

    state = ngx_http_approval_view_state(doc, reply);

    if (json_object_set_new(view, "requester_present",
                            state == NGX_HTTP_APPROVAL_PENDING
                            || state == NGX_HTTP_APPROVAL_APPROVED
                            ? json_boolean(!reply->absent) : json_null())
        != 0
        || json_object_set_new(view, "state", ngx_http_approval_json_str(
                                ngx_http_approval_state_name(state)))
           != 0
        || json_object_set_new(view, "terminal", json_boolean(
                                ngx_http_approval_state_terminal(state)))
           != 0
        || json_object_set_new(view, "created_at",
                               ngx_http_approval_json_time(reply->created))
           != 0
        || json_object_set_new(view, "expires_at",
                               ngx_http_approval_json_time(
                                   ngx_http_approval_view_expires(doc,
                                                                  reply)))
           != 0
        || json_object_set_new(view, "decided_at",
                               ngx_http_approval_json_time(reply->decided))
           != 0
        || json_object_set_new(view, "notified",
                               json_pack("{s:I, s:I}",
                                         "sent", (json_int_t) reply->told,
                                         "failed", (json_int_t) reply->untold))
           != 0
        || json_object_set_new(view, "reached",
                               json_boolean(reply->told || !reply->untold))
           != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static json_t *
ngx_http_approval_view_votes(ngx_http_approval_votes_t *votes)
{
    json_t                    *list, *item;
    ngx_uint_t                 i;
    ngx_http_approval_vote_t  *vote;

    list = json_array();

    for (i = 0; list && i < votes->nvotes; i++) {
        vote = &votes->votes[i];

        /* all members, since the page looks for others in the action */

        item = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b}",
                   "approver", ngx_http_approval_json_str(&vote->identity),
                   "how", ngx_http_approval_json_str(&vote->how),
                   "decision", ngx_http_approval_json_str(&vote->act),
                   "comment", vote->comment.len
                              ? ngx_http_approval_json_str(&vote->comment)
                              : json_null(),
                   "time", ngx_http_approval_json_time(vote->time),
                   "groups", vote->groups.len
                             ? ngx_http_approval_json_str(&vote->groups)
                             : json_null(),
                   "counts", json_boolean(vote->lines != 0 || vote->glass),
                   "break_glass", vote->glass ? 1 : 0,
                   "passkey", vote->passkey ? 1 : 0);

        if (json_array_append_new(list, item) != 0) {
            json_decref(list);
            return NULL;
        }
    }

    return list;
}


static json_t *
ngx_http_approval_view_require(json_t *doc, ngx_http_approval_votes_t *votes)
{
    json_t      *lines;
    ngx_uint_t   i;

    lines = json_deep_copy(json_object_get(doc, "require"));

    for (i = 0; i < json_array_size(lines); i++) {
        if (json_object_set_new(json_array_get(lines, i), "missing",
                                i < votes->nlines
                                ? json_integer(votes->missing[i])
                                : json_null())
            != 0)
        {
            json_decref(lines);
            return NULL;
        }
    }

    return lines;
}


static json_t *
ngx_http_approval_view_trail(json_t *view, ngx_http_approval_votes_t *votes)
{
    json_t      *trail, *state, *vote;
    ngx_int_t    rc;
    ngx_uint_t   i;
    const char  *act, *name;

    trail = json_array();
    if (trail == NULL) {
        return NULL;
    }

    rc = ngx_http_approval_view_event(trail,
                                      json_object_get(view, "created_at"),
                                      "requested",
                                      json_object_get(view, "requester"));

    for (i = 0; rc == NGX_OK && i < votes->nvotes; i++) {
        vote = json_array_get(json_object_get(view, "votes"), i);
        act = json_string_value(json_object_get(vote, "decision"));

        rc = ngx_http_approval_view_event(trail, json_object_get(vote, "time"),
                  ngx_strcmp(act, "approve") == 0 ? "voted to approve"
                  : ngx_strcmp(act, "deny") == 0 ? "voted to deny"
                  : "commented",
                  json_object_get(vote, "approver"));
    }

    state = json_object_get(view, "state");
    name = json_string_value(state);

    if (rc == NGX_OK && !json_is_null(json_object_get(view, "decided_at"))) {
        rc = ngx_http_approval_view_event(trail,
                  json_object_get(view, "decided_at"),
                  ngx_strncmp(name, "execut", 6) == 0
                  || ngx_strcmp(name, "failed") == 0 ? "approved" : name,
                  json_null());
    }

    if (rc == NGX_OK
        && (ngx_strncmp(name, "execut", 6) == 0
            || ngx_strcmp(name, "failed") == 0
            || (json_is_null(json_object_get(view, "decided_at"))
                && ngx_strcmp(name, "expired") == 0)))
    {
        rc = ngx_http_approval_view_event(trail, json_null(), name,
                                          json_null());
    }

    if (rc != NGX_OK) {
        json_decref(trail);
        return NULL;
    }

    return trail;
}


static ngx_int_t
ngx_http_approval_view_event(json_t *trail, json_t *time, const char *event,
    json_t *who)
{
    return json_array_append_new(trail,
                                 json_pack("{s:O, s:s, s:O}", "time", time,
                                           "event", event, "who", who))
           == 0 ? NGX_OK : NGX_ERROR;
}
