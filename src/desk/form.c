
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/form.h"
#include "core/form.h"
#include "core/token.h"
#include "desk/decision.h"


#define NGX_HTTP_APPROVAL_FORM_TIME  3600      /* lifetime of a nonce, s */


/*
 * Used in place of an action's id: the digest is the page, so that a nonce is
 * valid for one page only.
 */

static u_char  ngx_http_approval_form_id[] =
    "00000000000000000000000000000000";


static void ngx_http_approval_form_received(ngx_http_request_t *r);
static void ngx_http_approval_form_token(ngx_http_approval_desk_t *d,
    const char *page, approval_token_t *t);
static ngx_uint_t ngx_http_approval_form_valid(ngx_http_approval_desk_t *d,
    const char *page, json_t *fields);
static int ngx_http_approval_form_field(void *data, approval_str_t name,
    approval_str_t value);


ngx_uint_t
ngx_http_approval_form_posted(ngx_http_approval_desk_t *d)
{
    return d->request->method == NGX_HTTP_POST
           && ngx_http_approval_decision_type(d) == NGX_OK
           && d->form;
}


ngx_int_t
ngx_http_approval_form_body(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_body_pt handler)
{
    ngx_int_t  rc;

    if (d->request->headers_in.content_length_n
        > NGX_HTTP_APPROVAL_DESK_BODY_MAX)
    {
        return ngx_http_approval_desk_large(d);
    }

    d->posted = handler;

    rc = ngx_http_read_client_request_body(d->request,
                                           ngx_http_approval_form_received);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static void
ngx_http_approval_form_received(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_str_t                  body;
    ngx_http_approval_desk_t  *d;

    d = ngx_http_approval_desk_find(r);

    /* from here on it does not matter whether the client leaves */

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    rc = d ? ngx_http_approval_desk_body(r, NGX_HTTP_APPROVAL_DESK_BODY_MAX,
                                         &body)
           : NGX_ERROR;

    if (rc == NGX_OK) {
        rc = d->posted(d, &body);

    } else {
        rc = (rc == NGX_DECLINED) ? ngx_http_approval_desk_large(d)
                                  : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


ngx_int_t
ngx_http_approval_form_nonce(ngx_http_approval_desk_t *d, const char *page,
    json_t *data)
{
    json_t            *nonce;
    approval_buf_t     text;
    approval_token_t   t;

    ngx_http_approval_form_token(d, page, &t);

    approval_buf_init(&text);

    nonce = (approval_token_make(d->mcf->keyring, "form", &t, &text)
             == APPROVAL_OK && !text.failed)
            ? json_stringn((char *) text.data, text.len) : NULL;

    approval_buf_free(&text);

    return json_object_set_new(data, "nonce", nonce) == 0 ? NGX_OK
                                                          : NGX_ERROR;
}


static void
ngx_http_approval_form_token(ngx_http_approval_desk_t *d, const char *page,
    approval_token_t *t)
{
    t->action.data = ngx_http_approval_form_id;
    t->action.len = APPROVAL_ID_LEN;
    t->digest = approval_str(page);
    t->approver = ngx_http_approval_core_str(&d->person);
    t->expires = ngx_time() + NGX_HTTP_APPROVAL_FORM_TIME;
}


json_t *
ngx_http_approval_form_read(ngx_http_approval_desk_t *d, const char *page,
    ngx_str_t *body, ngx_int_t *rc)
{
    json_t      *fields;
    const char  *err;

    fields = json_object();
    err = "The form cannot be read.";

    if (fields
        && approval_form_each(ngx_http_approval_core_str(body),
                              ngx_http_approval_form_field, fields, &err)
           == APPROVAL_OK)
    {
        if (ngx_http_approval_form_valid(d, page, fields)) {
            json_object_del(fields, "nonce");
            return fields;
        }

        *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                  "cross-site", "Not sent from our page",
                  "The form is not from one of this gateway's pages, or was "
                  "open for longer than an hour. Open the page again.", NULL);

    } else {
        *rc = ngx_http_approval_desk_bad_body(d, err);
    }

    json_decref(fields);

    return NULL;
}


static int
ngx_http_approval_form_field(void *data, approval_str_t name,
    approval_str_t value)
{
    json_t *fields = data;

    char  key[32];

    if (name.len >= sizeof(key) || memchr(name.data, '\0', name.len)) {
        return APPROVAL_ERROR;
    }

    ngx_memcpy(key, name.data, name.len);
    key[name.len] = '\0';

    if (json_object_get(fields, key) || !approval_utf8_valid(value)) {
        return APPROVAL_ERROR;
    }

    if (value.len == 0) {
        return APPROVAL_OK;
    }

    return json_object_set_new(fields, key,
                               json_stringn((char *) value.data, value.len))
           == 0 ? APPROVAL_OK : APPROVAL_ERROR;
}


static ngx_uint_t
ngx_http_approval_form_valid(ngx_http_approval_desk_t *d, const char *page,
    json_t *fields)
{
    ngx_str_t          nonce;
    ngx_uint_t         valid;
    approval_buf_t     who;
    approval_token_t   t;

    nonce = ngx_http_approval_json_get(fields, "nonce");

    ngx_http_approval_form_token(d, page, &t);

    approval_buf_init(&who);

    valid = nonce.len
            && approval_token_read(d->mcf->keyring, "form",
                                   ngx_http_approval_core_str(&nonce), &t,
                                   &who, ngx_time())
               == APPROVAL_OK
            && !who.failed
            && approval_str_eq(approval_buf_str(&who),
                               ngx_http_approval_core_str(&d->person));

    approval_buf_free(&who);

    return valid;
}
