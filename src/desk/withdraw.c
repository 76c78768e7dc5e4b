
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/withdraw.h"
#include "desk/approver.h"
#include "desk/view.h"
#include "model/ends.h"
#include "model/status.h"
#include "notify/notify.h"


/* d->work; ends with the request. */

typedef struct {
    json_t      *doc;
    const char  *why;         /* who ends it, for the trail and messages */
    ngx_uint_t   named;       /* the decision names a person             */
    int64_t      created;
    int64_t      expires;
} ngx_http_approval_withdraw_t;


static void ngx_http_approval_withdraw_cleanup(void *data);
static ngx_int_t ngx_http_approval_withdraw_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_withdraw_may(ngx_http_approval_desk_t *d,
    ngx_int_t *rc);
static ngx_int_t ngx_http_approval_withdraw_mine(ngx_http_approval_desk_t *d,
    ngx_uint_t *mine);
static ngx_int_t ngx_http_approval_withdraw_settle(
    ngx_http_approval_desk_t *d, const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_withdraw_done(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_withdraw_late(ngx_http_approval_desk_t *d,
    ngx_http_approval_state_e state);


ngx_int_t
ngx_http_approval_withdraw(ngx_http_approval_desk_t *d)
{

    d->html = 0;

    if (ngx_http_approval_approver_claims(d) == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!d->id_valid) {
        return ngx_http_approval_desk_not_found(d);
    }

    if (ngx_http_approval_approver_foreign(d)) {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                   "cross-site", "Sent by another site",
                   "The pages of other sites cannot withdraw an action. Use "
                   "the gateway's own page, or a client that is not a "
                   "browser.", NULL);
    }

    if (ngx_http_approval_desk_work(d, sizeof(ngx_http_approval_withdraw_t),
                                    ngx_http_approval_withdraw_cleanup)
        == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_desk_load(d, ngx_http_approval_withdraw_step);
}


static void
ngx_http_approval_withdraw_cleanup(void *data)
{
    ngx_http_approval_withdraw_t *work = data;

    json_decref(work->doc);
}


static ngx_int_t
ngx_http_approval_withdraw_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_int_t                      rc;
    ngx_http_approval_state_e      state;
    ngx_http_approval_withdraw_t  *work = d->work;

    if (ngx_http_approval_desk_open(d, reply, &work->doc, &rc) != NGX_OK
        || ngx_http_approval_withdraw_may(d, &rc) != NGX_OK)
    {
        return rc;
    }

    work->created = reply->created;
    work->expires = reply->expires;

    state = ngx_http_approval_view_state(work->doc, reply);

    return state == NGX_HTTP_APPROVAL_PENDING
           ? ngx_http_approval_withdraw_settle(d, reply)
           : ngx_http_approval_withdraw_late(d, state);
}


/*
 * The requester may withdraw, and anybody who is signed in and either is an
 * operator or could have denied the action.  A personal link is only for
 * voting.
 */

static ngx_int_t
ngx_http_approval_withdraw_may(ngx_http_approval_desk_t *d, ngx_int_t *rc)
{
    ngx_uint_t                     mine;
    approval_str_t                 who;
    ngx_http_approval_withdraw_t  *work = d->work;

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (ngx_http_approval_withdraw_mine(d, &mine) != NGX_OK) {
        return NGX_ERROR;
    }

    if (mine) {
        work->why = "withdrawn by the requester";
        return NGX_OK;
    }

    if (d->idp.len && ngx_http_approval_approver_idp(d, rc) != NGX_OK) {
        return NGX_DECLINED;
    }

    who = ngx_http_approval_core_str(&d->who);
    work->named = 1;

    if (d->idp.len && ngx_http_approval_approver_operator(d)) {
        work->why = "withdrawn by an operator";
        return NGX_OK;
    }

    if (d->idp.len
        && (ngx_http_approval_approver_lines(d->mcf, work->doc, who)
            || ngx_http_approval_approver_glass(d->mcf, work->doc, who)))
    {
        work->why = "withdrawn by an approver";
        return NGX_OK;
    }

    *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
              "not-the-requester", "Not the requester",
              "Only an approver of its rule, an operator, or its requester "
              "can withdraw an action. The gateway identifies the requester "
              "by the approval_requester of this location.", NULL);

    return NGX_DECLINED;
}


/* An empty name is never the requester's. */

static ngx_int_t
ngx_http_approval_withdraw_mine(ngx_http_approval_desk_t *d, ngx_uint_t *mine)
{
    ngx_int_t                      rc;
    ngx_str_t                      who, requester;
    ngx_http_approval_look_t       look;
    ngx_http_approval_withdraw_t  *work = d->work;

    ngx_str_null(&who);

    if (d->lcf->requester) {
        ngx_http_approval_look(&look, d->request, NULL, NULL);

        rc = ngx_http_approval_read_one(&look, d->lcf->requester, &who);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc != NGX_OK) {
            who.len = 0;
        }
    }

    requester = ngx_http_approval_json_get(work->doc, "requester");

    *mine = requester.len
            && ((who.len
                 && approval_people_same(d->mcf->people,
                                     ngx_http_approval_core_str(&who),
                                     ngx_http_approval_core_str(&requester)))
                || (d->idp.len
                    && approval_people_same(d->mcf->people,
                                     ngx_http_approval_core_str(&d->idp),
                                     ngx_http_approval_core_str(&requester))));

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_withdraw_settle(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                        *by;
    ngx_http_approval_op_t        *op;
    ngx_http_approval_ending_t    *ending;
    ngx_http_approval_withdraw_t  *work = d->work;

    /* the gate that waits for the action would not trust another key */

    if (ngx_http_approval_action_signer(d->mcf, work->doc) == NULL) {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_SERVICE_UNAVAILABLE,
                   "signing-key-unknown", "Created under another key",
                   "The action was created under a signing key that this "
                   "gateway does not have. The operators can add that key; "
                   "otherwise the action ends at its deadline.", NULL);
    }

    by = NULL;
    op = NULL;

    if (work->named) {
        by = json_pack("[o]", ngx_http_approval_json_str(&d->person));

        if (by == NULL || json_object_set(work->doc, "by", by) != 0) {
            json_decref(by);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ending = ngx_http_approval_ending(d->mcf, NULL, d->id,
                                      NGX_HTTP_APPROVAL_CANCELLED,
                                      json_incref(work->doc));

    if (ending) {
        ending->why = work->why;

        op = ngx_http_approval_ending_settle(ending, by, reply->now,
                                             ngx_http_approval_desk_answer, d);
    }

    json_decref(by);

    return ngx_http_approval_desk_wait(d, op, ngx_http_approval_withdraw_done);
}


static ngx_int_t
ngx_http_approval_withdraw_done(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_withdraw_t  *work = d->work;

    if (reply->rc == NGX_DECLINED) {
        return ngx_http_approval_withdraw_late(d, reply->state);
    }

    if (reply->rc != NGX_OK) {
        return ngx_http_approval_desk_unavailable(d);
    }

    if (ngx_http_approval_end_executed(d->mcf, d->id, reply->now)) {
        return ngx_http_approval_withdraw_late(d, NGX_HTTP_APPROVAL_EXECUTED);
    }

    return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                       "application/json",
               ngx_http_approval_status_document(d->id,
                                                 NGX_HTTP_APPROVAL_CANCELLED,
                                                 work->created,
                                                 work->expires));
}


static ngx_int_t
ngx_http_approval_withdraw_late(ngx_http_approval_desk_t *d,
    ngx_http_approval_state_e state)
{
    json_t     *extra;
    ngx_str_t  *name;

    if (state == NGX_HTTP_APPROVAL_UNKNOWN) {
        return ngx_http_approval_desk_not_found(d);
    }

    name = ngx_http_approval_state_name(state);
    extra = json_pack("{s:o}", "state", ngx_http_approval_json_str(name));

    if (state == NGX_HTTP_APPROVAL_EXPIRED) {
        return ngx_http_approval_desk_refuse(d, 410, "expired", "Expired",
                   "The action has ended: nobody decided, or used the "
                   "approval, in time.", extra);
    }

    if (state == NGX_HTTP_APPROVAL_CANCELLED) {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_CONFLICT,
                   "cancelled", "Cancelled",
                   "The action was already withdrawn.", extra);
    }

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_CONFLICT,
               "already-decided", "Already decided",
               "The action is no longer pending. An approval that nobody uses "
               "expires.", extra);
}
