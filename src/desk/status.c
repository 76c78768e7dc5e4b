
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "desk/status.h"
#include "desk/view.h"


#define NGX_HTTP_APPROVAL_STATUS_RETRY  2      /* seconds */


static ngx_int_t ngx_http_approval_status_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_status_mine(ngx_http_approval_desk_t *d,
    json_t *doc, ngx_uint_t *mine);
static json_t *ngx_http_approval_status_json(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply);
static const char *ngx_http_approval_status_next(
    ngx_http_approval_state_e state);


ngx_int_t
ngx_http_approval_status(ngx_http_approval_desk_t *d)
{
    /* for programs: there is no page of it */

    d->html = 0;

    if (!d->id_valid) {
        return ngx_http_approval_desk_not_found(d);
    }

    return ngx_http_approval_desk_load(d, ngx_http_approval_status_step);
}


static ngx_int_t
ngx_http_approval_status_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t      *doc, *status;
    ngx_int_t    rc;
    ngx_uint_t   mine;

    if (ngx_http_approval_desk_open(d, reply, &doc, &rc) != NGX_OK) {
        return rc;
    }

    if (ngx_http_approval_status_mine(d, doc, &mine) != NGX_OK) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        goto done;
    }

    if (!mine) {
        rc = ngx_http_approval_desk_not_found(d);
        goto done;
    }

    status = ngx_http_approval_status_json(d, doc, reply);

    if (status && json_object_get(status, "retry_after")
        && ngx_http_approval_header_int(d->request, "Retry-After",
                                        NGX_HTTP_APPROVAL_STATUS_RETRY)
           != NGX_OK)
    {
        json_decref(status);
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        goto done;
    }

    rc = ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                     "application/json", status);

done:

    json_decref(doc);

    return rc;
}


/*
 * Where the location says who asks, it must be the action's requester; where
 * it does not, knowing the id (128 random bits) is what entitles.
 */

static ngx_int_t
ngx_http_approval_status_mine(ngx_http_approval_desk_t *d, json_t *doc,
    ngx_uint_t *mine)
{
    ngx_str_t  who, requester;

    *mine = 1;

    if (d->lcf->requester == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(d->request, d->lcf->requester, &who)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (who.len) {
        requester = ngx_http_approval_json_get(doc, "requester");

        *mine = approval_people_same(d->mcf->people,
                                     ngx_http_approval_core_str(&who),
                                     ngx_http_approval_core_str(&requester));
    }

    return NGX_OK;
}


static json_t *
ngx_http_approval_status_json(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    json_t                     *status;
    ngx_str_t                  *name;
    ngx_uint_t                  terminal;
    ngx_http_approval_state_e   state;

    state = ngx_http_approval_view_state(doc, reply);
    name = ngx_http_approval_state_name(state);
    terminal = ngx_http_approval_state_terminal(state);

    status = json_pack("{s:o, s:o, s:b, s:o, s:o, s:s}",
                 "id", json_stringn((char *) d->id, APPROVAL_ID_LEN),
                 "state", json_stringn((char *) name->data, name->len),
                 "terminal", (int) terminal,
                 "created_at", ngx_http_approval_view_time(reply->created),
                 "expires_at", ngx_http_approval_view_time(reply->expires),
                 "next", ngx_http_approval_status_next(state));

    if (status && !terminal
        && json_object_set_new(status, "retry_after",
                               json_integer(NGX_HTTP_APPROVAL_STATUS_RETRY))
           != 0)
    {
        json_decref(status);
        return NULL;
    }

    return status;
}


static const char *
ngx_http_approval_status_next(ngx_http_approval_state_e state)
{
    switch (state) {

    case NGX_HTTP_APPROVAL_PENDING:
        return "Approvers were asked. Ask again here in retry_after seconds.";

    case NGX_HTTP_APPROVAL_APPROVED:
        return "Send the same request again, with the header Approval-Id: it "
               "passes once, and soon, or the approval lapses.";

    case NGX_HTTP_APPROVAL_EXECUTING:
        return "The request was forwarded; its outcome is not known yet.";

    case NGX_HTTP_APPROVAL_EXECUTED:
        return "The request was forwarded, and answered. Sending it again is "
               "a new action.";

    case NGX_HTTP_APPROVAL_DENIED:
        return "An approver denied the request. Do not send it again "
               "unchanged.";

    case NGX_HTTP_APPROVAL_EXPIRED:
        return "Nobody decided, or nobody used the approval, in time. "
               "Sending the request again asks anew.";

    case NGX_HTTP_APPROVAL_CANCELLED:
        return "The request was given up. Sending it again asks anew.";

    default:
        return "The request was forwarded, but its outcome is unknown. Look "
               "at the upstream before sending it again.";
    }
}
