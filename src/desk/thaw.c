
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Lists freezes and ends them.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/freeze.h"
#include "audit/audit.h"
#include "desk/form.h"
#include "desk/page.h"


static ngx_int_t ngx_http_approval_frozen_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_frozen_page(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_thaw_store(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_thaw_done(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);


ngx_int_t
ngx_http_approval_frozen(ngx_http_approval_desk_t *d)
{
    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_store_frozen(d->mcf->worker->store,
                                              ngx_http_approval_desk_answer,
                                              d),
               ngx_http_approval_frozen_step);
}


static ngx_int_t
ngx_http_approval_frozen_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    u_char                       id[APPROVAL_ID_LEN];
    json_t                      *doc;
    ngx_str_t                    sealed, kind;
    ngx_http_approval_freeze_t  *work = d->work;

    if (reply->rc == NGX_DONE) {
        return d->html ? ngx_http_approval_frozen_page(d)
                       : ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                                     "application/json",
                                                     json_pack("{s:O}",
                                                               "frozen",
                                                               work->list));
    }

    if (reply->rc != NGX_OK) {
        return ngx_http_approval_desk_unavailable(d);
    }

    ngx_http_approval_freeze_learn(d->mcf, reply);

    if (reply->state == NGX_HTTP_APPROVAL_EXPIRED) {
        return NGX_BUSY;
    }

    sealed = reply->doc;
    ngx_memcpy(id, reply->id, APPROVAL_ID_LEN);

    doc = ngx_http_approval_action_open(d->mcf, id, &sealed);
    kind = ngx_http_approval_json_get(doc, "kind");

    /* it is in force, even if it cannot be read */

    if (kind.len != 6 || ngx_memcmp(kind.data, "frozen", 6) != 0) {
        json_decref(doc);
        doc = json_pack("{s:s#, s:s}", "id", id, APPROVAL_ID_LEN,
                        "comment", "(sealed with another approval_key)");
    }

    json_object_del(doc, "v");
    json_object_del(doc, "kind");
    json_object_del(doc, "since");
    json_object_del(doc, "ends");
    json_array_append_new(work->list, doc);

    return NGX_BUSY;
}


static ngx_int_t
ngx_http_approval_frozen_page(ngx_http_approval_desk_t *d)
{
    json_t                       *data, *names;
    ngx_uint_t                    i;
    ngx_http_approval_freeze_t   *work = d->work;
    ngx_http_approval_policy_t  **policies;

    names = json_array();
    data = json_pack("{s:O, s:o, s:b}", "frozen", work->list,
                     "policies", names, "at_freeze", 1);
    if (data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    policies = d->mcf->policies.elts;

    for (i = 0; i < d->mcf->policies.nelts; i++) {
        json_array_append_new(names,
                              ngx_http_approval_json_str(&policies[i]->name));
    }

    if (ngx_http_approval_form_nonce(d, "freeze", data) != NGX_OK) {
        json_decref(data);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_page_freeze(d, data);
}


/* DELETE /freeze?requester=NAME, or ?policy=NAME */

ngx_int_t
ngx_http_approval_thaw(ngx_http_approval_desk_t *d)
{
    u_char                      *dst, *src;
    ngx_str_t                    value;
    ngx_uint_t                   i;
    ngx_http_request_t          *r;
    ngx_http_approval_freeze_t  *work = d->work;

    static ngx_str_t  names[] = {
        ngx_string("requester"), ngx_string("policy")
    };

    r = d->request;

    for (i = 0; i < 2; i++) {

        if (ngx_http_arg(r, names[i].data, names[i].len, &value) != NGX_OK
            || value.len == 0)
        {
            continue;
        }

        dst = ngx_pnalloc(r->pool, value.len);
        if (dst == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        src = value.data;
        i ? (work->policy.data = dst) : (work->requester.data = dst);

        ngx_unescape_uri(&dst, &src, value.len, 0);

        if (i) {
            work->policy.len = dst - work->policy.data;

        } else {
            work->requester.len = dst - work->requester.data;
        }
    }

    return ngx_http_approval_thaw_named(d);
}


ngx_int_t
ngx_http_approval_thaw_named(ngx_http_approval_desk_t *d)
{
    json_t                      *facts;
    const char                  *err;
    ngx_http_approval_freeze_t  *work = d->work;

    err = ngx_http_approval_freeze_name(d);

    if (err) {
        return ngx_http_approval_desk_bad_body(d, err);
    }

    if (work->requester.len
        && approval_people_same(d->mcf->people,
                                ngx_http_approval_core_str(&work->requester),
                                ngx_http_approval_core_str(&d->who)))
    {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                   "self-approval", "Your own requests",
                   "You are the frozen requester: another operator must end "
                   "the freeze.",
                   NULL);
    }

    facts = ngx_http_approval_freeze_facts(d, "thawed");

    if (facts == NULL
        || json_object_set_new(facts, "store_time",
                               ngx_http_approval_json_time(
                                            ngx_http_approval_freeze_now(d)))
           != 0)
    {
        json_decref(facts);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_approval_audit(d->mcf, APPROVAL_RECORD_CONFIG, NULL, facts)
        != NGX_OK)
    {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_SERVICE_UNAVAILABLE,
                   "audit-unavailable", "Audit unavailable",
                   "The end of the freeze could not be recorded, so the "
                   "freeze stays in force.", NULL);
    }

    return ngx_http_approval_thaw_store(d);
}


/*
 * The end of a freeze is sealed, so that whoever can write to Redis cannot
 * lift one.
 */

static ngx_int_t
ngx_http_approval_thaw_store(ngx_http_approval_desk_t *d)
{
    json_t                      *doc;
    ngx_str_t                    value;
    ngx_uint_t                   known;
    approval_buf_t               sealed;
    ngx_http_approval_op_t      *op;
    ngx_http_approval_change_t  *change;
    ngx_http_approval_freeze_t  *work = d->work;

    known = ngx_http_approval_end_frozen(d->mcf, &work->hashes,
                                         ngx_http_approval_freeze_now(d))
            == NGX_OK;

    doc = json_pack("{s:o}", "by", ngx_http_approval_json_str(&d->who));
    op = NULL;
    change = NULL;

    approval_buf_init(&sealed);

    if (doc && ngx_http_approval_freeze_seal(d, doc, 1, &sealed) == NGX_OK) {
        change = ngx_http_approval_change(d->mcf, &work->end, &work->hashes,
                                          NULL);
    }

    if (change) {
        value.data = sealed.data;
        value.len = sealed.len;

        op = ngx_http_approval_change_keep(change,
                 ngx_http_approval_store_thaw(d->mcf->worker->store,
                                              &work->hashes, &value, known,
                                              ngx_http_approval_desk_answer,
                                              d));
    }

    approval_buf_free(&sealed);
    json_decref(doc);

    return ngx_http_approval_desk_wait(d, op, ngx_http_approval_thaw_done);
}


static ngx_int_t
ngx_http_approval_thaw_done(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t  *answer, *missed;

    if (reply->rc == NGX_DECLINED) {
        return ngx_http_approval_desk_not_found(d);
    }

    if (reply->rc != NGX_OK) {
        return ngx_http_approval_desk_unavailable(d);
    }

    missed = ngx_http_approval_freeze_missed(d, reply);

    if (d->form) {
        answer = json_string(missed ? "Not all shards of Redis answered: send "
                                      "the request again."
                                    : "Approvers are asked again about these "
                                      "requests.");
        json_decref(missed);

        return ngx_http_approval_freeze_page(d, "Thawed", answer);
    }

    answer = json_pack("{s:b}", "frozen", missed != NULL);

    if (missed) {
        json_object_set_new(answer, "unanswered_shards", missed);
    }

    return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                       "application/json", answer);
}
