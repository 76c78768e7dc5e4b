
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "desk/status.h"
#include "desk/view.h"
#include "model/status.h"


static ngx_int_t ngx_http_approval_status_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_status_mine(ngx_http_approval_desk_t *d,
    json_t *doc, ngx_uint_t *mine);


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

    status = ngx_http_approval_status_document(d->id,
                                     ngx_http_approval_view_state(doc, reply),
                                     reply->created, reply->expires);

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
