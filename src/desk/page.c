
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/template.h"
#include "desk/page.h"
#include "desk/approver.h"
#include "desk/passkey.h"
#include "desk/view.h"

#include "approval/action.html.h"
#include "approval/card.html.h"
#include "approval/foot.html.h"
#include "approval/freeze.html.h"
#include "approval/grants.html.h"
#include "approval/head.html.h"
#include "approval/inbox.html.h"
#include "approval/nav.html.h"
#include "approval/page.js.h"
#include "approval/passkeys.html.h"
#include "approval/remember.html.h"
#include "approval/result.html.h"
#include "approval/state.html.h"
#include "approval/story.html.h"
#include "approval/style.css.h"


typedef struct {
    const char                 *name;
    const char                 *text;
} ngx_http_approval_page_part_t;


static ngx_int_t ngx_http_approval_page_send(ngx_http_approval_desk_t *d,
    ngx_uint_t status, const char *template, json_t *data);
static ngx_int_t ngx_http_approval_page_headers(ngx_http_approval_desk_t *d,
    ngx_uint_t signing);
static ngx_int_t ngx_http_approval_page_hash(approval_buf_t *csp,
    const char *text);
static const char *ngx_http_approval_page_part(approval_str_t name);


static ngx_http_approval_page_part_t  ngx_http_approval_page_parts[] = {
    { "card.html", ngx_http_approval_card_html },
    { "head.html", ngx_http_approval_head_html },
    { "foot.html", ngx_http_approval_foot_html },
    { "nav.html", ngx_http_approval_nav_html },
    { "page.js", ngx_http_approval_page_js },
    { "remember.html", ngx_http_approval_remember_html },
    { "style.css", ngx_http_approval_style_css },
    { NULL, NULL }
};


ngx_int_t
ngx_http_approval_page_action(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes,
    json_t *view)
{
    if (ngx_http_approval_page_whole(d, doc, reply, votes, view) != NGX_OK) {
        json_decref(view);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_page_send(d, NGX_HTTP_OK,
                                       d->frame ? ngx_http_approval_state_html
                                             : ngx_http_approval_action_html,
                                       view);
}


ngx_int_t
ngx_http_approval_page_inbox(ngx_http_approval_desk_t *d, json_t *data)
{
    size_t   i, n;
    json_t  *list;

    list = json_object_get(data, "actions");

    if (json_object_set_new(data, "count",
                            json_integer(json_array_size(list))) != 0)
    {
        json_decref(data);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0, n = 0; i < json_array_size(list); /* void */ ) {

        if (n < NGX_HTTP_APPROVAL_PAGE_SEVERAL
            && json_is_true(json_object_get(json_array_get(list, i),
                                            "choosable")))
        {
            n++;
            i++;

        } else if (json_object_get(data, "several")) {
            json_array_remove(list, i);

        } else {
            i++;
        }
    }

    if (json_object_set_new(data, "choosable", json_boolean(n > 1)) != 0
        || json_object_set_new(data, "at_inbox",
                    json_boolean(!json_object_get(data, "history"))) != 0)
    {
        json_decref(data);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_page_send(d, NGX_HTTP_OK,
                                       ngx_http_approval_inbox_html, data);
}


ngx_int_t
ngx_http_approval_page_grants(ngx_http_approval_desk_t *d, json_t *data)
{
    return ngx_http_approval_page_send(d, NGX_HTTP_OK,
                                       ngx_http_approval_grants_html, data);
}


ngx_int_t
ngx_http_approval_page_freeze(ngx_http_approval_desk_t *d, json_t *data)
{
    return ngx_http_approval_page_send(d, NGX_HTTP_OK,
                                       ngx_http_approval_freeze_html, data);
}


ngx_int_t
ngx_http_approval_page_passkeys(ngx_http_approval_desk_t *d, json_t *data)
{
    return ngx_http_approval_page_send(d, NGX_HTTP_OK,
                                       ngx_http_approval_passkeys_html, data);
}


ngx_int_t
ngx_http_approval_page_story(ngx_http_approval_desk_t *d, json_t *data)
{
    return ngx_http_approval_page_send(d, NGX_HTTP_OK,
                                       ngx_http_approval_story_html, data);
}


ngx_int_t
ngx_http_approval_page_result(ngx_http_approval_desk_t *d, ngx_uint_t status,
    json_t *problem)
{
    if (problem && d->id_valid && d->how != NGX_HTTP_APPROVAL_DESK_NOBODY
        && json_object_set_new(problem, "id",
                               json_stringn((char *) d->id, APPROVAL_ID_LEN))
           != 0)
    {
        json_decref(problem);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_page_send(d, status,
                                       ngx_http_approval_result_html, problem);
}


static ngx_int_t
ngx_http_approval_page_send(ngx_http_approval_desk_t *d, ngx_uint_t status,
    const char *template, json_t *data)
{
    int64_t          now;
    ngx_int_t        rc;
    approval_buf_t   html;

    if (data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    approval_buf_init(&html);
    rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    now = d->mcf->worker->store
          ? ngx_http_approval_store_now(d->mcf->worker->store) : 0;

    if (json_object_set_new(data, "root", json_string(d->root)) != 0
        || json_object_set_new(data, "now", ngx_http_approval_json_time(now))
           != 0
        || (d->who.len
            && json_object_set_new(data, "me",
                                   ngx_http_approval_json_str(&d->who)) != 0)
        || (d->how == NGX_HTTP_APPROVAL_DESK_IDP
            && json_object_set_new(data, "idp", json_true()) != 0)
        || json_object_set_new(data, "has_passkeys",
                               json_boolean(d->mcf->passkey_origin.len)) != 0
        || json_object_set_new(data, "operator",
                    json_boolean(ngx_http_approval_approver_operator(d))) != 0
        || json_object_set_new(data, "auditor",
                    json_boolean(ngx_http_approval_approver_auditor(d))) != 0
        || approval_template(template, data, approval_escape_html,
                             ngx_http_approval_page_part, &html)
           != APPROVAL_OK
        || ngx_http_approval_page_headers(d,
                                json_object_get(data, "signing") != NULL)
           != NGX_OK)
    {
        goto done;
    }

    rc = ngx_http_approval_send(d->request, status, "text/html; charset=utf-8",
                                approval_buf_str(&html));

done:

    approval_buf_free(&html);
    json_decref(data);

    return rc;
}


/*
 * Allows the style sheet and the script of the page by their hashes.  Nothing
 * is loaded, except passkey.js on pages that use a passkey.  Only an action's
 * state may be framed, and only by the action's page.
 */

static ngx_int_t
ngx_http_approval_page_headers(ngx_http_approval_desk_t *d, ngx_uint_t signing)
{
    ngx_int_t            rc;
    approval_buf_t       csp;
    ngx_http_request_t  *r;

    r = d->request;
    rc = NGX_ERROR;

    approval_buf_init(&csp);
    approval_buf_adds(&csp, "default-src 'none'; style-src ");

    if (ngx_http_approval_page_hash(&csp, ngx_http_approval_style_css)
        != NGX_OK)
    {
        goto done;
    }

    approval_buf_adds(&csp, "; script-src ");

    if (ngx_http_approval_page_hash(&csp, ngx_http_approval_page_js)
        != NGX_OK)
    {
        goto done;
    }

    if (signing) {
        approval_buf_adds(&csp, " 'self'");
    }

    approval_buf_adds(&csp, "; connect-src 'self'; img-src data:; "
                            "form-action 'self'; frame-src 'self'; "
                            "base-uri 'none'; frame-ancestors ");
    approval_buf_adds(&csp, d->frame ? "'self'" : "'none'");

    if (!csp.failed
        && ngx_http_approval_header(r, "Content-Security-Policy",
                                    approval_buf_str(&csp)) == NGX_OK
        && ngx_http_approval_header(r, "Referrer-Policy",
                                    approval_str("no-referrer")) == NGX_OK
        && ngx_http_approval_header(r, "X-Frame-Options",
                                    approval_str(d->frame ? "SAMEORIGIN"
                                                          : "DENY"))
           == NGX_OK)
    {
        rc = NGX_OK;
    }

done:

    approval_buf_free(&csp);

    return rc;
}


static ngx_int_t
ngx_http_approval_page_hash(approval_buf_t *csp, const char *text)
{
    unsigned char  md[APPROVAL_SHA256_LEN];
    unsigned char  hash[approval_base64_size(APPROVAL_SHA256_LEN)];

    if (approval_sha256(approval_str(text), md) != APPROVAL_OK) {
        return NGX_ERROR;
    }

    approval_buf_adds(csp, "'sha256-");
    approval_buf_add(csp, hash,
                     approval_base64_encode(hash, md, APPROVAL_SHA256_LEN));
    approval_buf_addc(csp, '\'');

    return NGX_OK;
}


static const char *
ngx_http_approval_page_part(approval_str_t name)
{
    ngx_http_approval_page_part_t  *part;

    for (part = ngx_http_approval_page_parts; part->name; part++) {
        if (approval_str_eq(name, approval_str(part->name))) {
            return part->text;
        }
    }

    return NULL;
}
