
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/freeze.h"
#include "audit/audit.h"
#include "desk/approver.h"
#include "desk/form.h"
#include "desk/page.h"
#include "desk/view.h"
#include "model/counters.h"
#include "notify/notify.h"


static ngx_int_t ngx_http_approval_freeze_may(ngx_http_approval_desk_t *d,
    ngx_int_t *rc);
static void ngx_http_approval_freeze_cleanup(void *data);
static ngx_int_t ngx_http_approval_freeze_start(ngx_http_approval_desk_t *d,
    ngx_str_t *body);
static ngx_http_approval_op_t *ngx_http_approval_freeze_store(
    ngx_http_approval_desk_t *d);
static const char *ngx_http_approval_freeze_form(ngx_http_approval_desk_t *d);
static const char *ngx_http_approval_freeze_parse(ngx_http_approval_desk_t *d,
    json_t *json);
static ngx_int_t ngx_http_approval_freeze_done(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_freeze_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_freeze_end(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);


ngx_int_t
ngx_http_approval_freeze(ngx_http_approval_desk_t *d)
{
    ngx_int_t  rc;

    /* a POST or DELETE is answered with a page only if it is a form */

    if (d->request->method & (NGX_HTTP_POST|NGX_HTTP_DELETE)
        && !ngx_http_approval_form_posted(d))
    {
        d->html = 0;
        d->form = 0;
    }

    if (ngx_http_approval_freeze_may(d, &rc) != NGX_OK) {
        return rc;
    }

    switch (d->request->method) {

    case NGX_HTTP_DELETE:
        return ngx_http_approval_thaw(d);

    case NGX_HTTP_POST:

        /* another site's form can send neither JSON nor a valid nonce */

        if (!d->form
            && !ngx_http_approval_desk_type(d->request, "application/json"))
        {
            return ngx_http_approval_desk_unread(d);
        }

        return ngx_http_approval_form_body(d, ngx_http_approval_freeze_start);

    default:
        return ngx_http_approval_frozen(d);
    }
}


/* An operator, signed in, and not another site's page. */

static ngx_int_t
ngx_http_approval_freeze_may(ngx_http_approval_desk_t *d, ngx_int_t *rc)
{
    ngx_http_approval_freeze_t  *work;

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (d->mcf->operators == NULL) {
        *rc = ngx_http_approval_desk_not_found(d);
        return NGX_DECLINED;
    }

    if (ngx_http_approval_approver_claims(d) == NGX_ERROR
        || ngx_http_approval_approver_idp(d, rc) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (!ngx_http_approval_approver_operator(d)) {
        *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                  "not-an-operator", "Not an operator",
                  "You are not in any of the groups of approval_operators.",
                  NULL);
        return NGX_DECLINED;
    }

    if (d->request->method != NGX_HTTP_GET
        && ngx_http_approval_approver_foreign(d))
    {
        *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                  "cross-site", "Sent by another site",
                  "The pages of other sites cannot freeze anything. Use the "
                  "gateway's own page, or a client that is not a "
                  "browser.", NULL);
        return NGX_DECLINED;
    }

    work = ngx_http_approval_desk_work(d, sizeof(ngx_http_approval_freeze_t),
                                       ngx_http_approval_freeze_cleanup);
    if (work == NULL) {
        return NGX_ERROR;
    }

    work->list = json_array();

    return work->list ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_approval_freeze_cleanup(void *data)
{
    ngx_http_approval_freeze_t *work = data;

    json_decref(work->doc);
    json_decref(work->list);
    json_decref(work->missed);
}


json_t *
ngx_http_approval_freeze_missed(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t  *names;
    size_t   i;

    if (reply->missed.len == 0) {
        return NULL;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(d->request), 0,
                  "shards %V of Redis did not get a freeze, or its end: send "
                  "the request again", &reply->missed);

    names = json_array();

    for (i = 0; i < reply->missed.len; i += NGX_HTTP_APPROVAL_SHARD_LEN + 1) {
        json_array_append_new(names,
                              json_stringn((char *) reply->missed.data + i,
                                           NGX_HTTP_APPROVAL_SHARD_LEN));
    }

    return names;
}


static ngx_int_t
ngx_http_approval_freeze_start(ngx_http_approval_desk_t *d, ngx_str_t *body)
{
    ngx_int_t                    rc;
    const char                  *err;
    ngx_http_approval_freeze_t  *work = d->work;

    err = "The body is not JSON.";

    if (d->form) {
        work->doc = ngx_http_approval_form_read(d, "freeze", body, &rc);

        if (work->doc == NULL) {
            return rc;
        }

        err = ngx_http_approval_freeze_form(d);

        if (err) {
            return ngx_http_approval_desk_bad_body(d, err);
        }

        if (json_object_del(work->doc, "thaw") == 0) {
            err = ngx_http_approval_freeze_parse(d, work->doc);

            return err ? ngx_http_approval_desk_bad_body(d, err)
                       : ngx_http_approval_thaw_named(d);
        }

    } else {
        work->doc = approval_json_parse(ngx_http_approval_core_str(body),
                                        &err);
    }

    if (work->doc) {
        err = ngx_http_approval_freeze_parse(d, work->doc);
    }

    if (err == NULL) {
        err = ngx_http_approval_freeze_name(d);
    }

    if (err) {
        return ngx_http_approval_desk_bad_body(d, err);
    }

    json_object_set_new(work->doc, "by", ngx_http_approval_json_str(&d->who));

    return ngx_http_approval_desk_wait(d, ngx_http_approval_freeze_store(d),
                                       ngx_http_approval_freeze_done);
}


static ngx_http_approval_op_t *
ngx_http_approval_freeze_store(ngx_http_approval_desk_t *d)
{
    json_t                      *facts;
    ngx_str_t                    value;
    approval_buf_t               sealed;
    ngx_http_approval_op_t      *op;
    ngx_http_approval_change_t  *change;
    ngx_http_approval_freeze_t  *work = d->work;

    op = NULL;
    approval_buf_init(&sealed);

    facts = ngx_http_approval_freeze_facts(d, "frozen");

    if (facts == NULL
        || ngx_http_approval_freeze_seal(d, work->doc, 0, &sealed) != NGX_OK)
    {
        json_decref(facts);
        goto done;
    }

    value.data = sealed.data;
    value.len = sealed.len;

    change = ngx_http_approval_change(d->mcf, &work->end, &work->hashes, facts);

    if (change) {
        op = ngx_http_approval_change_keep(change,
                 ngx_http_approval_store_freeze(d->mcf->worker->store,
                                                &work->hashes,
                                                NGX_HTTP_APPROVAL_FREEZE_NEW,
                                                work->until, &value,
                                                ngx_http_approval_desk_answer,
                                                d));
    }

done:

    approval_buf_free(&sealed);

    return op;
}


/*
 * Seals work->end for the key under which it is stored, with a later time than
 * any that is known for it.
 */

ngx_int_t
ngx_http_approval_freeze_seal(ngx_http_approval_desk_t *d, json_t *doc,
    ngx_uint_t over, approval_buf_t *sealed)
{
    int64_t                      now;
    ngx_http_approval_end_t     *end, known;
    ngx_http_approval_freeze_t  *work = d->work;

    now = ngx_http_approval_freeze_now(d);
    end = &work->end;

    ngx_memzero(end, sizeof(ngx_http_approval_end_t));

    end->kind = NGX_HTTP_APPROVAL_END_FREEZE;
    ngx_memcpy(end->id, work->hashes.data, NGX_HTTP_APPROVAL_HASH_LEN);

    known = *end;

    if (ngx_http_approval_end_find(d->mcf, &known, now) != NGX_OK) {
        known.since = 0;
    }

    end->since = ngx_max(now, known.since + 1);
    end->over = over;
    end->until = over ? now + (int64_t) d->mcf->store_conf->retention
                      : work->until;

    return ngx_http_approval_end_seal(d->mcf, end, doc, sealed);
}


/* Redis' clock, or the host's until a new worker knows it. */

int64_t
ngx_http_approval_freeze_now(ngx_http_approval_desk_t *d)
{
    int64_t  now;

    now = ngx_http_approval_store_now(d->mcf->worker->store);

    return now ? now : (int64_t) ngx_time() * 1000;
}


/* Turns the duration in the form into the time when the freeze ends. */

static const char *
ngx_http_approval_freeze_form(ngx_http_approval_desk_t *d)
{
    json_t                      *until;
    ngx_int_t                    minutes;
    ngx_str_t                    text;
    ngx_http_approval_freeze_t  *work = d->work;

    text = ngx_http_approval_json_get(work->doc, "minutes");

    if (text.len == 0) {
        return NULL;
    }

    minutes = ngx_atoi(text.data, text.len);

    if (minutes < 1 || minutes > 525600) {
        return "\"minutes\" must be a whole number, up to a year.";
    }

    until = ngx_http_approval_json_time(((int64_t) ngx_time() + minutes * 60)
                                        * 1000);

    json_object_del(work->doc, "minutes");

    return json_object_set_new(work->doc, "until", until) == 0
           ? NULL : "The gateway has no memory left.";
}


static const char *
ngx_http_approval_freeze_parse(ngx_http_approval_desk_t *d, json_t *json)
{
    void                        *iter;
    ngx_str_t                    until;
    const char                  *name;
    ngx_http_approval_freeze_t  *work = d->work;

    if (!json_is_object(json)) {
        return "The body is not a JSON object.";
    }

    for (iter = json_object_iter(json); iter;
         iter = json_object_iter_next(json, iter))
    {
        name = json_object_iter_key(iter);

        if (ngx_strcmp(name, "requester") != 0
            && ngx_strcmp(name, "policy") != 0
            && ngx_strcmp(name, "until") != 0
            && ngx_strcmp(name, "comment") != 0)
        {
            return "The body has a member other than \"requester\", "
                   "\"policy\", \"until\" and \"comment\".";
        }

        if (!json_is_string(json_object_iter_value(iter))) {
            return "\"requester\", \"policy\", \"until\" and \"comment\" must "
                   "be strings.";
        }
    }

    work->policy = ngx_http_approval_json_get(json, "policy");
    work->requester = ngx_http_approval_json_get(json, "requester");
    until = ngx_http_approval_json_get(json, "until");

    if (until.len == 0) {
        return NULL;
    }

    if (approval_time_parse(ngx_http_approval_core_str(&until), &work->until)
        != APPROVAL_OK
        || work->until <= (int64_t) ngx_time() * 1000)
    {
        return "\"until\" must be in the future, for example "
               "\"2026-01-02T03:04:05Z\".";
    }

    return NULL;
}


const char *
ngx_http_approval_freeze_name(ngx_http_approval_desk_t *d)
{
    ngx_uint_t                    i;
    const char                   *err;
    approval_buf_t                person;
    ngx_http_approval_freeze_t   *work = d->work;
    ngx_http_approval_policy_t  **policies;

    if ((work->policy.len != 0) == (work->requester.len != 0)) {
        return "Give either a \"requester\" or a \"policy\".";
    }

    if (work->policy.len) {

        policies = d->mcf->policies.elts;

        for (i = 0; i < d->mcf->policies.nelts; i++) {
            if (policies[i]->name.len == work->policy.len
                && ngx_memcmp(policies[i]->name.data, work->policy.data,
                              work->policy.len)
                   == 0)
            {
                break;
            }
        }

        if (i == d->mcf->policies.nelts) {
            return "This gateway has no such policy.";
        }

        return ngx_http_approval_hashes(d->mcf, NGX_HTTP_APPROVAL_HASH_POLICY,
                                        &work->policy, 1, work->buf,
                                        &work->hashes)
               == NGX_OK ? NULL : "The gateway has no memory left.";
    }

    approval_buf_init(&person);

    err = "no memory";

    if (approval_people_person(d->mcf->people,
                               ngx_http_approval_core_str(&work->requester),
                               &person, &err)
        != APPROVAL_OK
        || ngx_http_approval_desk_copy(d->request->pool,
                                       approval_buf_str(&person),
                                       &work->person)
           != NGX_OK
        || ngx_http_approval_hashes(d->mcf, NGX_HTTP_APPROVAL_HASH_REQUESTER,
                                    &work->person, 1, work->buf,
                                    &work->hashes)
           != NGX_OK)
    {
        err = "The \"requester\" is not a valid identity.";

    } else {
        err = NULL;
    }

    approval_buf_free(&person);

    return err;
}


json_t *
ngx_http_approval_freeze_facts(ngx_http_approval_desk_t *d, const char *what)
{
    json_t                      *facts;
    ngx_http_approval_freeze_t  *work = d->work;

    facts = ngx_http_approval_approver_facts(d);

    if (facts == NULL) {
        return NULL;
    }

    json_object_set_new(facts, "what", json_string(what));

    if (work->policy.len) {
        json_object_set_new(facts, "policy",
                            ngx_http_approval_json_str(&work->policy));

    } else {
        json_object_set_new(facts, "requester",
                            ngx_http_approval_json_str(&work->requester));
        json_object_set_new(facts, "requester_person",
                            ngx_http_approval_json_str(&work->person));
    }

    if (work->doc) {
        json_object_set(facts, "comment",
                        json_object_get(work->doc, "comment"));
        json_object_set(facts, "until", json_object_get(work->doc, "until"));
    }

    return facts;
}


/* New requests are refused from here on; waiting ones are ended one by one. */

static ngx_int_t
ngx_http_approval_freeze_done(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_freeze_t  *work = d->work;

    if (reply->rc != NGX_OK) {
        return ngx_http_approval_desk_unavailable(d);
    }

    work->missed = ngx_http_approval_freeze_missed(d, reply);

    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_store_open(d->mcf->worker->store,
                                            ngx_http_approval_desk_answer, d),
               ngx_http_approval_freeze_step);
}


static ngx_int_t
ngx_http_approval_freeze_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                      *answer;
    ngx_http_approval_freeze_t  *work = d->work;

    if (reply->rc == NGX_OK) {
        ngx_http_approval_freeze_end(d, reply);
        return NGX_BUSY;
    }

    if (reply->rc != NGX_DONE && work->missed == NULL) {
        return ngx_http_approval_desk_unavailable(d);
    }

    if (d->form) {
        return ngx_http_approval_freeze_page(d, "Frozen",
                   json_sprintf("Matching requests are refused from now on. "
                                "Waiting requests that were ended: %u.%s",
                                (unsigned) work->ended,
                                work->missed ? " Not all shards of Redis "
                                               "answered: send the request "
                                               "again."
                                             : ""));
    }

    answer = json_copy(work->doc);

    json_object_del(answer, "v");
    json_object_del(answer, "kind");
    json_object_del(answer, "since");
    json_object_del(answer, "ends");
    json_object_set_new(answer, "cancelled", json_integer(work->ended));

    if (work->missed) {
        json_object_set(answer, "unanswered_shards", work->missed);
    }

    return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                       "application/json", answer);
}


static void
ngx_http_approval_freeze_end(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    u_char                       id[APPROVAL_ID_LEN];
    json_t                      *doc;
    ngx_str_t                    value, sealed, frozen;
    ngx_http_approval_freeze_t  *work = d->work;

    if (reply->state != NGX_HTTP_APPROVAL_PENDING) {
        return;
    }

    ngx_memcpy(id, reply->id, APPROVAL_ID_LEN);

    sealed = reply->doc;
    frozen = work->policy.len ? work->policy : work->person;

    doc = ngx_http_approval_action_open(d->mcf, id, &sealed);
    value = ngx_http_approval_json_get(doc, work->policy.len ? "policy"
                                                             : "person");

    if (value.len != frozen.len
        || ngx_memcmp(value.data, frozen.data, value.len) != 0
        || json_object_set_new(doc, "frozen", json_true()) != 0)
    {
        json_decref(doc);
        return;
    }

    if (ngx_http_approval_end(d->mcf, reply, doc, NGX_HTTP_APPROVAL_CANCELLED,
                              "frozen")
        == NGX_OK)
    {
        work->ended++;
    }
}


ngx_int_t
ngx_http_approval_freeze_page(ngx_http_approval_desk_t *d, const char *title,
    json_t *detail)
{
    return ngx_http_approval_page_result(d, NGX_HTTP_OK,
                                         json_pack("{s:s, s:o, s:b}",
                                                   "title", title,
                                                   "detail", detail,
                                                   "freezes", 1));
}
