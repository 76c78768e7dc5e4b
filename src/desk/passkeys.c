
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The page for managing passkeys, and its script.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/passkeys.h"
#include "desk/approver.h"
#include "desk/form.h"
#include "desk/page.h"
#include "store/passkey.h"

#include "approval/passkey.js.h"


static ngx_int_t ngx_http_approval_passkeys_may(ngx_http_approval_desk_t *d,
    ngx_int_t *rc);
static void ngx_http_approval_passkeys_cleanup(void *data);
static ngx_int_t ngx_http_approval_passkeys_show(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_passkeys_page(ngx_http_approval_desk_t *d);
static json_t *ngx_http_approval_passkeys_view(ngx_http_approval_desk_t *d,
    json_t *claims);
static json_t *ngx_http_approval_passkeys_by(json_t *claims);


ngx_int_t
ngx_http_approval_passkey_script(ngx_http_approval_desk_t *d)
{
    return ngx_http_approval_send(d->request, NGX_HTTP_OK,
                                  "text/javascript; charset=utf-8",
                                  approval_str(ngx_http_approval_passkey_js));
}


ngx_int_t
ngx_http_approval_passkeys(ngx_http_approval_desk_t *d)
{
    ngx_int_t   rc;
    ngx_uint_t  form;

    form = ngx_http_approval_form_posted(d);

    if (ngx_http_approval_passkeys_may(d, &rc) != NGX_OK) {
        return rc;
    }

    if (d->request->method != NGX_HTTP_POST) {
        return ngx_http_approval_passkeys_read(d,
                                              ngx_http_approval_passkeys_show);
    }

    if (!form) {
        d->html = 0;
        return ngx_http_approval_desk_unread(d);
    }

    if (ngx_http_approval_approver_foreign(d)) {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                   "cross-site", "Sent by another site",
                   "Passkeys are enrolled, confirmed and revoked on the "
                   "gateway's own page.", NULL);
    }

    return ngx_http_approval_form_body(d, ngx_http_approval_passkeys_posted);
}


/*
 * The person must be signed in and in a group: a link is valid for one action
 * only.
 */

static ngx_int_t
ngx_http_approval_passkeys_may(ngx_http_approval_desk_t *d, ngx_int_t *rc)
{
    ngx_http_approval_passkeys_t  *work;

    if (d->mcf->passkey_origin.len == 0) {
        *rc = ngx_http_approval_desk_not_found(d);
        return NGX_DECLINED;
    }

    if (ngx_http_approval_approver_member(d, NULL, rc) != NGX_OK) {
        return NGX_DECLINED;
    }

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    work = ngx_http_approval_desk_work(d, sizeof(ngx_http_approval_passkeys_t),
                                       ngx_http_approval_passkeys_cleanup);
    if (work == NULL) {
        return NGX_ERROR;
    }

    work->list = json_array();

    return work->list ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_approval_passkeys_cleanup(void *data)
{
    ngx_http_approval_passkeys_t *work = data;

    json_decref(work->list);
    json_decref(work->fields);
    json_decref(work->claims);
}


static ngx_int_t
ngx_http_approval_passkeys_show(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                        *claims, *view;
    ngx_uint_t                     i;
    const char                    *why;
    ngx_http_approval_passkeys_t  *work = d->work;

    if (reply->rc != NGX_OK) {
        return ngx_http_approval_desk_unavailable(d);
    }

    for (i = 0; i + 2 < reply->nvotes; i += 3) {
        claims = ngx_http_approval_passkey_open(d, &reply->votes[i],
                                                &reply->votes[i + 1],
                                                &reply->votes[i + 2],
                                                reply->now, &why);
        view = claims ? ngx_http_approval_passkeys_view(d, claims) : NULL;

        json_decref(claims);

        if (view && json_array_append_new(work->list, view) != 0) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (d->html) {
        return ngx_http_approval_passkeys_page(d);
    }

    return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                       "application/json",
                                       json_pack("{s:O}", "passkeys",
                                                 work->list));
}


static ngx_int_t
ngx_http_approval_passkeys_page(ngx_http_approval_desk_t *d)
{
    u_char                         nonce[APPROVAL_PASSKEY_NONCE_LEN];
    json_t                        *data;
    ngx_str_t                      digest;
    approval_str_t                 rp, text;
    unsigned char                  md[APPROVAL_SHA256_LEN];
    unsigned char                  shown[2 * APPROVAL_SHA256_LEN];
    unsigned char                  user[2 * APPROVAL_SHA256_LEN];
    ngx_http_approval_passkeys_t  *work = d->work;

    ngx_str_set(&digest, "enrol");

    rp = approval_passkey_rp(ngx_http_approval_core_str(
                                                   &d->mcf->passkey_origin));
    text.data = nonce;
    text.len = sizeof(nonce);

    data = json_pack("{s:O, s:b, s:b}", "passkeys", work->list,
                     "at_passkeys", 1, "signing", 1);

    if (data == NULL
        || ngx_http_approval_form_nonce(d, "passkeys", data) != NGX_OK
        || ngx_http_approval_passkey_nonce(d, NULL, &digest, nonce, data)
           != NGX_OK
        || approval_passkey_enrol_challenge(
                           ngx_http_approval_core_str(&d->person), text, md)
           != APPROVAL_OK)
    {
        goto failed;
    }

    approval_hex_encode(shown, md, sizeof(md));

    if (approval_sha256(ngx_http_approval_core_str(&d->person), md)
        != APPROVAL_OK)
    {
        goto failed;
    }

    approval_hex_encode(user, md, sizeof(md));

    if (json_object_set_new(data, "shown",
                            json_stringn((char *) shown, sizeof(shown))) != 0
        || json_object_set_new(data, "user",
                               json_stringn((char *) user, sizeof(user))) != 0
        || json_object_set_new(data, "rp",
                               json_stringn((char *) rp.data, rp.len)) != 0)
    {
        goto failed;
    }

    return ngx_http_approval_page_passkeys(d, data);

failed:

    json_decref(data);

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


ngx_int_t
ngx_http_approval_passkeys_read(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_step_pt step)
{
    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_store_passkeys(d->mcf->worker->store,
                                                ngx_http_approval_desk_answer,
                                                d),
               step);
}


/* NULL: the passkey does not concern the person. */

static json_t *
ngx_http_approval_passkeys_view(ngx_http_approval_desk_t *d, json_t *claims)
{
    json_t          *view;
    ngx_uint_t       own, confirmed, oper, shares;
    approval_buf_t   groups;

    approval_buf_init(&groups);
    ngx_http_approval_passkeys_shared(d, claims, &groups);

    shares = groups.len;
    own = ngx_http_approval_passkeys_own(d, claims);
    oper = ngx_http_approval_approver_operator(d);
    confirmed = approval_passkey_confirmed(claims);

    approval_buf_free(&groups);

    if (!own && !oper && !shares) {
        return NULL;
    }

    view = json_pack("{s:O, s:O, s:O, s:O, s:s, s:b, s:o, s:o, s:b, s:b}",
               "id", json_object_get(claims, "jti"),
               "person", json_object_get(claims, "sub"),
               "identity", json_object_get(claims, "idn"),
               "label", json_object_get(claims, "nam"),
               "state", confirmed ? "confirmed" : "enrolled",
               "confirmed", (int) confirmed,
               "confirmed_by", ngx_http_approval_passkeys_by(claims),
               "enrolled_at", ngx_http_approval_json_time(
                     json_integer_value(json_object_get(claims, "enr"))),
               "confirmable",
               (int) ngx_http_approval_passkeys_confirmable(d, claims),
               "revocable", (int) (own || oper));

    return view;
}


static json_t *
ngx_http_approval_passkeys_by(json_t *claims)
{
    size_t   i;
    json_t  *by, *item;

    by = json_array();

    json_array_foreach(json_object_get(claims, "cnf"), i, item) {
        json_array_append(by, json_object_get(item, "sub"));
    }

    return by;
}


ngx_uint_t
ngx_http_approval_passkeys_own(ngx_http_approval_desk_t *d, json_t *claims)
{
    ngx_str_t  owner;

    owner = ngx_http_approval_json_get(claims, "sub");

    return approval_people_same(d->mcf->people,
                                ngx_http_approval_core_str(&owner),
                                ngx_http_approval_core_str(&d->person));
}


void
ngx_http_approval_passkeys_shared(ngx_http_approval_desk_t *d, json_t *claims,
    approval_buf_t *groups)
{
    int             g;
    ngx_str_t       owner;
    approval_str_t  name;

    owner = ngx_http_approval_json_get(claims, "sub");

    for (g = 0; ; g++) {
        name = approval_people_group_name(d->mcf->people, g);

        if (name.len == 0) {
            return;
        }

        if (approval_people_in_group(d->mcf->people, g,
                                     ngx_http_approval_core_str(&d->who))
            && approval_people_in_group(d->mcf->people, g,
                                        ngx_http_approval_core_str(&owner)))
        {
            if (groups->len) {
                approval_buf_addc(groups, ' ');
            }

            approval_buf_add(groups, name.data, name.len);
        }
    }
}


ngx_uint_t
ngx_http_approval_passkeys_confirmable(ngx_http_approval_desk_t *d,
    json_t *claims)
{
    size_t           i;
    json_t          *item;
    ngx_str_t        person;
    ngx_uint_t       may;
    approval_buf_t   groups;

    if (approval_passkey_confirmed(claims)
        || ngx_http_approval_passkeys_own(d, claims))
    {
        return 0;
    }

    json_array_foreach(json_object_get(claims, "cnf"), i, item) {
        person = ngx_http_approval_json_get(item, "sub");

        if (approval_people_same(d->mcf->people,
                                 ngx_http_approval_core_str(&person),
                                 ngx_http_approval_core_str(&d->person)))
        {
            return 0;
        }
    }

    approval_buf_init(&groups);
    ngx_http_approval_passkeys_shared(d, claims, &groups);

    may = groups.len || ngx_http_approval_approver_operator(d);

    approval_buf_free(&groups);

    return may;
}
