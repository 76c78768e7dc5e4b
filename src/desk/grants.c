
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/grants.h"
#include "audit/audit.h"
#include "desk/approver.h"
#include "desk/change.h"
#include "desk/form.h"
#include "desk/page.h"
#include "desk/view.h"


typedef struct {
    json_t      *list;
    json_t      *found;                      /* the one to be revoked */
    ngx_http_approval_end_t  end;
    u_char       id[APPROVAL_ID_LEN];
    unsigned     failed:1;
} ngx_http_approval_grants_t;


static ngx_int_t ngx_http_approval_grants_posted(ngx_http_approval_desk_t *d,
    ngx_str_t *body);
static ngx_int_t ngx_http_approval_grants_search(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_grants_start(ngx_http_approval_desk_t *d,
    ngx_int_t *rc);
static ngx_int_t ngx_http_approval_grants_page(ngx_http_approval_desk_t *d);
static void ngx_http_approval_grants_cleanup(void *data);
static ngx_int_t ngx_http_approval_grants_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static json_t *ngx_http_approval_grants_view(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_grants_find(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_grants_revoked(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_http_approval_op_t *ngx_http_approval_grants_end(
    ngx_http_approval_desk_t *d, int64_t now);
static json_t *ngx_http_approval_grants_facts(ngx_http_approval_desk_t *d,
    json_t *grant);


ngx_int_t
ngx_http_approval_grants(ngx_http_approval_desk_t *d)
{
    ngx_int_t  rc;

    if (ngx_http_approval_grants_start(d, &rc) != NGX_OK) {
        return rc;
    }

    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_store_grants(d->mcf->worker->store,
                                              ngx_http_approval_desk_answer,
                                              d),
               ngx_http_approval_grants_step);
}


/* By DELETE, or by the page's form. */

ngx_int_t
ngx_http_approval_grants_revoke(ngx_http_approval_desk_t *d)
{
    ngx_int_t                    rc;
    ngx_http_approval_grants_t  *work;

    if (!ngx_http_approval_form_posted(d)) {
        d->html = 0;
        d->form = 0;
    }

    if (ngx_http_approval_grants_start(d, &rc) != NGX_OK) {
        return rc;
    }

    if (ngx_http_approval_approver_foreign(d)) {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                   "cross-site", "Sent by another site",
                   "The pages of other sites cannot revoke grants. Use the "
                   "gateway's own page, or a client that is not a "
                   "browser.", NULL);
    }

    if (!d->id_valid) {
        return ngx_http_approval_desk_not_found(d);
    }

    /* the id is a grant's, not an action's */

    work = d->work;
    ngx_memcpy(work->id, d->id, APPROVAL_ID_LEN);
    d->id_valid = 0;

    if (d->form) {
        return ngx_http_approval_form_body(d, ngx_http_approval_grants_posted);
    }

    if (d->request->method == NGX_HTTP_POST) {
        return ngx_http_approval_desk_refuse(d,
                   NGX_HTTP_UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type",
                   "Unsupported media type",
                   "Programs must send DELETE; POST is for the form on the "
                   "page.", NULL);
    }

    return ngx_http_approval_grants_search(d);
}


static ngx_int_t
ngx_http_approval_grants_posted(ngx_http_approval_desk_t *d, ngx_str_t *body)
{
    json_t     *fields;
    ngx_int_t   rc;

    fields = ngx_http_approval_form_read(d, "grants", body, &rc);

    if (fields == NULL) {
        return rc;
    }

    json_decref(fields);

    return ngx_http_approval_grants_search(d);
}


/* A person may end only those grants that they may see. */

static ngx_int_t
ngx_http_approval_grants_search(ngx_http_approval_desk_t *d)
{
    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_store_grants(d->mcf->worker->store,
                                              ngx_http_approval_desk_answer,
                                              d),
               ngx_http_approval_grants_find);
}


static ngx_int_t
ngx_http_approval_grants_start(ngx_http_approval_desk_t *d, ngx_int_t *rc)
{
    ngx_http_approval_grants_t  *work;

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (ngx_http_approval_approver_claims(d) == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (ngx_http_approval_approver_idp(d, rc) != NGX_OK) {
        return NGX_DECLINED;
    }

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    work = ngx_http_approval_desk_work(d, sizeof(ngx_http_approval_grants_t),
                                       ngx_http_approval_grants_cleanup);
    if (work == NULL) {
        return NGX_ERROR;
    }

    work->list = json_array();

    return work->list ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_approval_grants_cleanup(void *data)
{
    ngx_http_approval_grants_t *work = data;

    json_decref(work->list);
    json_decref(work->found);
}


static ngx_int_t
ngx_http_approval_grants_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                      *view;
    ngx_http_approval_grants_t  *work = d->work;

    if (reply->rc == NGX_OK) {
        view = ngx_http_approval_grants_view(d, reply);

        if (view && json_array_append_new(work->list, view) != 0) {
            work->failed = 1;
        }

        return NGX_BUSY;
    }

    if (reply->rc != NGX_DONE) {
        return ngx_http_approval_desk_unavailable(d);
    }

    if (work->failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (d->html) {
        return ngx_http_approval_grants_page(d);
    }

    return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                       "application/json",
                                       json_pack("{s:O}", "grants",
                                                 work->list));
}


static ngx_int_t
ngx_http_approval_grants_page(ngx_http_approval_desk_t *d)
{
    json_t                      *data;
    ngx_http_approval_grants_t  *work = d->work;

    data = json_pack("{s:O, s:b}", "grants", work->list, "at_grants", 1);

    if (data == NULL
        || ngx_http_approval_form_nonce(d, "grants", data) != NGX_OK)
    {
        json_decref(data);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_page_grants(d, data);
}


/* NULL: the grant does not concern the person. */

static json_t *
ngx_http_approval_grants_view(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                      *doc, *view, *remember;
    ngx_str_t                    sealed, kind;
    approval_str_t               who;
    ngx_http_approval_grants_t  *work = d->work;

    sealed = reply->doc;
    who = ngx_http_approval_core_str(&d->who);

    doc = ngx_http_approval_action_open(d->mcf, reply->grant.data, &sealed);
    kind = ngx_http_approval_json_get(doc, "kind");

    if (kind.len != 5 || ngx_memcmp(kind.data, "grant", 5) != 0
        || (ngx_http_approval_approver_lines(d->mcf, doc, who) == 0
            && !ngx_http_approval_approver_self(d->mcf, doc, who)))
    {
        json_decref(doc);
        return NULL;
    }

    remember = json_object_get(doc, "remember");

    if (ngx_memcmp(reply->grant.data, work->id, APPROVAL_ID_LEN) == 0) {
        ngx_memzero(&work->end, sizeof(ngx_http_approval_end_t));

        work->end.kind = NGX_HTTP_APPROVAL_END_GRANT;
        work->end.since = json_integer_value(json_object_get(doc, "granted"));
        work->end.until = json_integer_value(json_object_get(doc, "ends"));
        work->end.over = 1;
        ngx_memcpy(work->end.id, work->id, APPROVAL_ID_LEN);
    }

    view = json_pack("{s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O}",
                     "id", json_object_get(doc, "id"),
                     "action_id", json_object_get(doc, "action_id"),
                     "policy", json_object_get(doc, "policy"),
                     "policy_digest", json_object_get(doc, "policy_digest"),
                     "rule", json_object_get(doc, "rule"),
                     "action", json_object_get(doc, "action"),
                     "requester", json_object_get(doc, "requester"),
                     "approvers", json_object_get(doc, "approvers"),
                     "per", json_object_get(remember, "per"),
                     "uses", json_object_get(remember, "uses"));

    if (view) {
        json_object_set_new(view, "used", json_integer(reply->used));
        json_object_set_new(view, "granted_at", ngx_http_approval_json_time(
              json_integer_value(json_object_get(doc, "granted"))));
        json_object_set_new(view, "expires_at", ngx_http_approval_json_time(
              json_integer_value(json_object_get(doc, "ends"))));

        if (d->html) {
            json_object_set_new(view, "left",
                  ngx_http_approval_page_left(reply->now,
                        json_integer_value(json_object_get(doc, "ends"))));
        }

        json_object_set_new(view, "revocable", json_boolean(
              ngx_http_approval_approver_lines(d->mcf, doc, who) != 0));
    }

    json_decref(doc);

    return view;
}


static ngx_int_t
ngx_http_approval_grants_find(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_op_t      *op;
    ngx_http_approval_grants_t  *work = d->work;

    if (reply->rc == NGX_OK) {
        if (ngx_memcmp(reply->grant.data, work->id, APPROVAL_ID_LEN) == 0) {
            json_decref(work->found);
            work->found = ngx_http_approval_grants_view(d, reply);
        }

        return NGX_BUSY;
    }

    if (reply->rc != NGX_DONE) {
        return ngx_http_approval_desk_unavailable(d);
    }

    if (work->found == NULL) {
        return ngx_http_approval_desk_not_found(d);
    }

    if (!json_is_true(json_object_get(work->found, "revocable"))) {
        return ngx_http_approval_approver_refuse(d);
    }

    op = ngx_http_approval_grants_end(d, reply->now);

    return ngx_http_approval_desk_wait(d, op,
                                       ngx_http_approval_grants_revoked);
}


/* Ends the grant, with a sealed statement that no later use of it counts. */

static ngx_http_approval_op_t *
ngx_http_approval_grants_end(ngx_http_approval_desk_t *d, int64_t now)
{
    json_t                         *doc, *facts;
    ngx_str_t                       id;
    approval_buf_t                  sealed;
    ngx_http_approval_op_t         *op;
    ngx_http_approval_change_t     *change;
    ngx_http_approval_grants_t     *work = d->work;
    ngx_http_approval_statement_t   statement;

    op = NULL;
    change = NULL;
    doc = json_object();
    facts = ngx_http_approval_grants_facts(d, work->found);

    id.data = work->id;
    id.len = APPROVAL_ID_LEN;

    approval_buf_init(&sealed);

    if (doc && facts
        && ngx_http_approval_end_seal(d->mcf, &work->end, doc, &sealed)
           == NGX_OK)
    {
        change = ngx_http_approval_change(d->mcf, &work->end, &id,
                                          json_incref(facts));
    }

    if (change) {
        statement.doc.data = sealed.data;
        statement.doc.len = sealed.len;
        statement.since = work->end.since;
        statement.use = UINT32_MAX;
        statement.time = (ngx_msec_t) ngx_max(work->end.until - now, 0);

        op = ngx_http_approval_change_keep(change,
                 ngx_http_approval_store_revoke(d->mcf->worker->store,
                                                work->id, &statement,
                                                ngx_http_approval_desk_answer,
                                                d));
    }

    approval_buf_free(&sealed);
    json_decref(doc);
    json_decref(facts);

    return op;
}


static json_t *
ngx_http_approval_grants_facts(ngx_http_approval_desk_t *d, json_t *grant)
{
    json_t  *facts, *ended;

    facts = ngx_http_approval_approver_facts(d);

    ended = json_pack("{s:s, s:O, s:O, s:O, s:O, s:O}",
                      "what", "grant revoked",
                      "grant", json_object_get(grant, "id"),
                      "granted_by", json_object_get(grant, "action_id"),
                      "policy", json_object_get(grant, "policy"),
                      "rule", json_object_get(grant, "rule"),
                      "requester", json_object_get(grant, "requester"));

    if (facts == NULL || ended == NULL
        || json_object_update(facts, ended) != 0)
    {
        json_decref(facts);
        facts = NULL;
    }

    json_decref(ended);

    return facts;
}


static ngx_int_t
ngx_http_approval_grants_revoked(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_grants_t  *work = d->work;

    if (reply->rc == NGX_ERROR) {
        return ngx_http_approval_desk_unavailable(d);
    }

    if (d->form) {
        return ngx_http_approval_page_result(d, NGX_HTTP_OK,
                   json_pack("{s:s, s:s, s:b}", "title", "Revoked", "detail",
                             "The grant has ended. Approvers are asked again "
                             "about such requests.", "remembers", 1));
    }

    json_object_set_new(work->found, "revoked", json_true());

    return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                       "application/json",
                                       json_incref(work->found));
}
