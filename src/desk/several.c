
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/several.h"
#include "core/form.h"
#include "desk/approver.h"
#include "desk/decision.h"
#include "desk/form.h"
#include "desk/page.h"
#include "desk/view.h"


/* One choice: "ID NONCE", with the page's nonce for this action. */

typedef struct {
    u_char                         id[APPROVAL_ID_LEN];
    ngx_str_t                      nonce;
} ngx_http_approval_several_one_t;


/* d->work is the current decision. */

typedef struct {
    ngx_http_approval_decision_t   decision;     /* must be first: d->work  */
    ngx_http_approval_desk_t      *desk;
    ngx_http_approval_decision_t   posted;       /* for all: act, comment   */
    ngx_array_t                    ones;
    ngx_uint_t                     next;
    const char                    *err;
    json_t                        *title;        /* of the current one      */
    json_t                        *taken;        /* what became of each     */
    json_t                        *refused;
} ngx_http_approval_several_t;


static void ngx_http_approval_several_cleanup(void *data);
static ngx_int_t ngx_http_approval_several_read(ngx_http_approval_desk_t *d,
    ngx_str_t *body);
static int ngx_http_approval_several_field(void *data, approval_str_t name,
    approval_str_t value);
static const char *ngx_http_approval_several_one(
    ngx_http_approval_several_t *s, approval_str_t value);
static const char *ngx_http_approval_several_check(
    ngx_http_approval_several_t *s);
static ngx_int_t ngx_http_approval_several_next(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_several_loaded(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_several_reply(ngx_http_approval_desk_t *d,
    ngx_uint_t status, const char *title, const char *detail, json_t *extra);
static ngx_int_t ngx_http_approval_several_send(ngx_http_approval_desk_t *d);


ngx_int_t
ngx_http_approval_several(ngx_http_approval_desk_t *d)
{
    ngx_int_t                     rc;
    ngx_uint_t                    posted;
    ngx_http_approval_several_t  *s;

    posted = ngx_http_approval_form_posted(d);

    if (ngx_http_approval_approver_claims(d) == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_approval_approver_idp(d, &rc) != NGX_OK) {
        return rc;
    }

    d->html |= posted;

    if (!posted) {
        return ngx_http_approval_desk_refuse(d,
                   NGX_HTTP_UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type",
                   "Unsupported media type",
                   "This path accepts only the form of the inbox. Programs "
                   "must post each decision to its action.", NULL);
    }

    if (ngx_http_approval_approver_foreign(d)) {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                   "cross-site", "Sent by another site",
                   "Decide on the gateway's own page.", NULL);
    }

    s = ngx_http_approval_desk_work(d, sizeof(ngx_http_approval_several_t),
                                    ngx_http_approval_several_cleanup);
    if (s == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    s->desk = d;
    s->taken = json_array();
    s->refused = json_array();

    if (s->taken == NULL || s->refused == NULL
        || ngx_array_init(&s->ones, d->request->pool, 8,
                          sizeof(ngx_http_approval_several_one_t))
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_form_body(d, ngx_http_approval_several_read);
}


static void
ngx_http_approval_several_cleanup(void *data)
{
    ngx_http_approval_several_t *s = data;

    json_decref(s->decision.by);
    json_decref(s->decision.psk);
    json_decref(s->title);
    json_decref(s->taken);
    json_decref(s->refused);
}


static ngx_int_t
ngx_http_approval_several_read(ngx_http_approval_desk_t *d, ngx_str_t *body)
{
    const char                   *err;
    ngx_http_approval_several_t  *s = d->work;

    err = "The form cannot be read.";

    if (approval_form_each(ngx_http_approval_core_str(body),
                           ngx_http_approval_several_field, s, &err)
        == APPROVAL_OK)
    {
        ngx_http_approval_decision_lines(&s->posted.comment);
        err = ngx_http_approval_several_check(s);

    } else if (s->err) {
        err = s->err;
    }

    if (err) {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_BAD_REQUEST,
                   "body-unreadable", "Nothing was decided", err, NULL);
    }

    d->reply = ngx_http_approval_several_reply;

    return ngx_http_approval_several_next(d);
}


static int
ngx_http_approval_several_field(void *data, approval_str_t name,
    approval_str_t value)
{
    ngx_http_approval_several_t *s = data;

    ngx_str_t  *member;

    if (approval_str_eq(name, approval_str("vote"))) {
        s->err = ngx_http_approval_several_one(s, value);
        return s->err ? APPROVAL_ERROR : APPROVAL_OK;
    }

    member = approval_str_eq(name, approval_str("decision")) ? &s->posted.act
             : approval_str_eq(name, approval_str("comment"))
             ? &s->posted.comment : NULL;

    if (member == NULL || member->data || !approval_utf8_valid(value)) {
        s->err = "The form is not from this page.";
        return APPROVAL_ERROR;
    }

    return ngx_http_approval_desk_copy(s->desk->request->pool, value, member)
           == NGX_OK ? APPROVAL_OK : APPROVAL_ERROR;
}


static const char *
ngx_http_approval_several_one(ngx_http_approval_several_t *s,
    approval_str_t value)
{
    approval_str_t                    id, nonce;
    ngx_http_approval_several_one_t  *one;

    id.data = value.data;
    id.len = APPROVAL_ID_LEN;

    if (value.len <= APPROVAL_ID_LEN + 1 || value.data[APPROVAL_ID_LEN] != ' '
        || !approval_id_valid(id))
    {
        return "The form is not from this page.";
    }

    if (s->ones.nelts == NGX_HTTP_APPROVAL_PAGE_SEVERAL) {
        return "Choose at most 50 actions at once.";
    }

    one = ngx_array_push(&s->ones);

    nonce.data = value.data + APPROVAL_ID_LEN + 1;
    nonce.len = value.len - APPROVAL_ID_LEN - 1;

    if (one == NULL
        || ngx_http_approval_desk_copy(s->desk->request->pool, nonce,
                                       &one->nonce)
           != NGX_OK)
    {
        return "The gateway has no memory left.";
    }

    ngx_memcpy(one->id, id.data, APPROVAL_ID_LEN);

    return NULL;
}


static const char *
ngx_http_approval_several_check(ngx_http_approval_several_t *s)
{
    if (s->ones.nelts == 0) {
        return "You chose no action: go back, and choose the actions to "
               "decide.";
    }

    if (s->posted.act.len && s->posted.act.data[0] == 'c') {
        return "To comment, open the action's page.";
    }

    return ngx_http_approval_decision_check(&s->posted);
}


/* Starts the next decision, in place of the last one. */

static ngx_int_t
ngx_http_approval_several_next(ngx_http_approval_desk_t *d)
{
    ngx_http_approval_several_t      *s = d->work;
    ngx_http_approval_decision_t     *dec;
    ngx_http_approval_several_one_t  *one;

    dec = &s->decision;

    json_decref(dec->by);
    json_decref(dec->psk);
    json_decref(s->title);

    *dec = s->posted;
    s->title = NULL;

    if (s->next == s->ones.nelts) {
        return ngx_http_approval_several_send(d);
    }

    one = s->ones.elts;
    one += s->next++;

    dec->nonce = one->nonce;
    dec->several = 1;

    ngx_memcpy(d->id, one->id, APPROVAL_ID_LEN);
    d->id_valid = 1;

    return ngx_http_approval_desk_load(d, ngx_http_approval_several_loaded);
}


/* From here on it is handled like a decision posted for this action. */

static ngx_int_t
ngx_http_approval_several_loaded(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                       *doc;
    ngx_int_t                     rc;
    approval_str_t                who;
    ngx_http_approval_several_t  *s = d->work;

    if (ngx_http_approval_desk_open(d, reply, &doc, &rc) != NGX_OK) {
        return rc;
    }

    /* only those who may see the action get its title */

    who = ngx_http_approval_core_str(&d->who);

    if (ngx_http_approval_approver_lines(d->mcf, doc, who)) {
        s->title = json_incref(ngx_http_approval_view_title(doc));
    }

    json_decref(doc);

    return ngx_http_approval_decision_step(d, reply);
}


/* Adds the result of one action to the reply, and decides the next one. */

static ngx_int_t
ngx_http_approval_several_reply(ngx_http_approval_desk_t *d, ngx_uint_t status,
    const char *title, const char *detail, json_t *extra)
{
    json_t                       *outcome;
    ngx_http_approval_several_t  *s = d->work;

    outcome = json_pack("{s:O*, s:s, s:s, s:s%, s:O*}",
                        "what", s->title, "title", title, "detail", detail,
                        "id", (char *) d->id, (size_t) APPROVAL_ID_LEN,
                        "extra", extra);

    if (json_array_append_new(status == NGX_HTTP_OK ? s->taken : s->refused,
                              outcome)
        != 0)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_several_next(d);
}


static ngx_int_t
ngx_http_approval_several_send(ngx_http_approval_desk_t *d)
{
    size_t                        n, all;
    ngx_http_approval_several_t  *s = d->work;

    n = json_array_size(s->taken);
    all = n + json_array_size(s->refused);

    d->id_valid = 0;

    return ngx_http_approval_page_result(d, NGX_HTTP_OK,
               json_pack("{s:o, s:s, s:O, s:O}",
                         "title", json_sprintf("%d of %d votes were accepted",
                                               (int) n, (int) all),
                         "detail", n == all
                                   ? "Your vote on each action is recorded."
                                   : "Votes that were not accepted come "
                                     "first, with the reason.",
                         "refused", s->refused, "taken", s->taken));
}
