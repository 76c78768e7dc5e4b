
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What an approval is bound to: the digest, and what is said of it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


static ngx_int_t ngx_http_approval_bind_head(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_bind_value(ngx_http_approval_hold_t *hold,
    ngx_str_t *name);
static ngx_int_t ngx_http_approval_bind_body(ngx_http_approval_hold_t *hold);
static ngx_uint_t ngx_http_approval_bind_ignored(
    ngx_http_approval_hold_t *hold, ngx_str_t *name);


/* Where the request goes, and how its body is read. */

static ngx_str_t  ngx_http_approval_bind_always[] = {
    ngx_string("host"),
    ngx_string("content-type"),
    ngx_string("content-encoding")
};

#define NGX_HTTP_APPROVAL_BIND_ALWAYS  3


/* NGX_AGAIN: the body is not digested as a whole yet. */

ngx_int_t
ngx_http_approval_bind(ngx_http_approval_hold_t *hold)
{
    hold->hasher = approval_digest_create();

    if (hold->hasher == NULL
        || ngx_http_approval_bind_head(hold) != NGX_OK
        || ngx_http_approval_bind_body(hold) != NGX_OK)
    {
        return NGX_ERROR;
    }

    hold->state = NGX_HTTP_APPROVAL_HOLD_HASH;

    return ngx_http_approval_body_digest(hold);
}


static ngx_int_t
ngx_http_approval_bind_head(ngx_http_approval_hold_t *hold)
{
    int                  rc;
    size_t               n;
    ngx_str_t           *names;
    ngx_uint_t           i;
    approval_str_t       target, text;
    approval_buf_t       buf;
    approval_ignore_t   *ignore;
    ngx_http_request_t  *r;

    r = hold->request;
    ignore = hold->lcf->ignore;
    target = ngx_http_approval_core_str(&r->unparsed_uri);

    approval_buf_init(&buf);

    rc = APPROVAL_OK;

    if (ignore) {
        rc = approval_ignore_target(ignore, target, &buf);
        target = approval_buf_str(&buf);
    }

    if (rc == APPROVAL_OK) {
        rc = approval_digest_init(hold->hasher,
                                  ngx_http_approval_core_str(&r->method_name),
                                  target);
    }

    for (n = 0; ignore && rc == APPROVAL_OK; n++) {
        text = approval_ignore_text(ignore, n);

        if (text.len == 0) {
            break;
        }

        rc = approval_digest_ignored(hold->hasher, text);
    }

    approval_buf_free(&buf);

    if (rc != APPROVAL_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_APPROVAL_BIND_ALWAYS; i++) {
        if (ngx_http_approval_bind_value(hold,
                                         &ngx_http_approval_bind_always[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (hold->rule->bound == NULL) {
        return NGX_OK;
    }

    names = hold->rule->bound->elts;

    for (i = 0; i < hold->rule->bound->nelts; i++) {
        if (!ngx_http_approval_bind_ignored(hold, &names[i])
            && ngx_http_approval_bind_value(hold, &names[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Every value of a header counts, in their order; none is an empty one. */

static ngx_int_t
ngx_http_approval_bind_value(ngx_http_approval_hold_t *hold, ngx_str_t *name)
{
    ngx_uint_t           i, found;
    approval_str_t       value;
    ngx_list_part_t     *part;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    found = 0;

    for (part = &hold->request->headers_in.headers.part;
         part;
         part = part->next)
    {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != name->len
                || ngx_memcmp(h[i].lowcase_key, name->data, name->len) != 0)
            {
                continue;
            }

            found = 1;
            value = ngx_http_approval_core_str(&h[i].value);

            if (approval_digest_header(hold->hasher,
                                       ngx_http_approval_core_str(name), value)
                != APPROVAL_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    /* HTTP/2 and HTTP/3 may know the host without such a header */

    r = hold->request;

    if (!found && r->headers_in.host
        && name == &ngx_http_approval_bind_always[0])
    {
        return approval_digest_header(hold->hasher,
                  ngx_http_approval_core_str(name),
                  ngx_http_approval_core_str(&r->headers_in.host->value))
               == APPROVAL_OK ? NGX_OK : NGX_ERROR;
    }

    if (!found
        && approval_digest_header(hold->hasher,
                                  ngx_http_approval_core_str(name),
                                  approval_str(""))
           != APPROVAL_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The bytes, slice by slice; where members of a JSON body are not bound, what
 * is left of it, in its canonical form.
 */

static ngx_int_t
ngx_http_approval_bind_body(ngx_http_approval_hold_t *hold)
{
    int                        rc;
    json_t                    *left;
    approval_buf_t             buf;
    approval_str_t             type;
    ngx_http_request_t        *r;
    ngx_http_approval_body_t  *body;

    r = hold->request;
    body = hold->body;

    type = approval_str("");

    if (r->headers_in.content_type) {
        type = ngx_http_approval_core_str(&r->headers_in.content_type->value);
    }

    if (hold->lcf->ignore && body->data && !ngx_http_approval_encoded(r)) {

        ngx_http_approval_body_parse(body);

        left = body->json ? json_deep_copy(body->json) : NULL;

        rc = left ? approval_ignore_json(hold->lcf->ignore, type, left)
                  : APPROVAL_DECLINED;

        if (rc == APPROVAL_OK) {
            approval_buf_init(&buf);

            if (approval_json_canonical(left, &buf) != APPROVAL_OK
                || approval_digest_canonical(hold->hasher, buf.len)
                   != APPROVAL_OK
                || approval_digest_update(hold->hasher, buf.data, buf.len)
                   != APPROVAL_OK)
            {
                rc = APPROVAL_ERROR;
            }

            approval_buf_wipe(&buf);
        }

        json_decref(left);

        if (rc != APPROVAL_DECLINED) {
            return (rc == APPROVAL_OK) ? NGX_OK : NGX_ERROR;
        }
    }

    if (approval_digest_body(hold->hasher, body->size) != APPROVAL_OK) {
        return NGX_ERROR;
    }

    hold->hash_next = r->request_body ? r->request_body->bufs : NULL;
    hold->hash_offset = 0;

    return NGX_OK;
}


/* The rule's own name of a header that it binds, or NULL. */

ngx_str_t *
ngx_http_approval_bind_name(ngx_http_approval_hold_t *hold,
    ngx_table_elt_t *header)
{
    ngx_str_t   *names;
    ngx_uint_t   i;

    if (hold->rule->bound == NULL) {
        return NULL;
    }

    names = hold->rule->bound->elts;

    for (i = 0; i < hold->rule->bound->nelts; i++) {
        if (names[i].len == header->key.len
            && ngx_memcmp(names[i].data, header->lowcase_key, names[i].len)
               == 0)
        {
            return ngx_http_approval_bind_ignored(hold, &names[i]) ? NULL
                                                                   : &names[i];
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_approval_bind_ignored(ngx_http_approval_hold_t *hold, ngx_str_t *name)
{
    return hold->lcf->ignore
           && approval_ignore_header(hold->lcf->ignore,
                                     ngx_http_approval_core_str(name));
}


/* "bound": the headers; "not_bound": what a retry may change. */

ngx_int_t
ngx_http_approval_bind_describe(ngx_http_approval_hold_t *hold, json_t *doc)
{
    json_t          *list;
    size_t           n;
    ngx_str_t       *names;
    ngx_uint_t       i;
    approval_str_t   text;

    list = json_array();

    for (i = 0; i < NGX_HTTP_APPROVAL_BIND_ALWAYS; i++) {
        json_array_append_new(list,
                   ngx_http_approval_json_str(
                                          &ngx_http_approval_bind_always[i]));
    }

    if (hold->rule->bound) {
        names = hold->rule->bound->elts;

        for (i = 0; i < hold->rule->bound->nelts; i++) {
            if (!ngx_http_approval_bind_ignored(hold, &names[i])) {
                json_array_append_new(list,
                                      ngx_http_approval_json_str(&names[i]));
            }
        }
    }

    if (json_object_set_new(doc, "bound", list) != 0) {
        return NGX_ERROR;
    }

    if (hold->lcf->ignore == NULL) {
        return NGX_OK;
    }

    list = json_array();

    for (n = 0; /* void */ ; n++) {
        text = approval_ignore_text(hold->lcf->ignore, n);

        if (text.len == 0) {
            break;
        }

        if (json_array_append_new(list, json_stringn((char *) text.data,
                                                     text.len))
            != 0)
        {
            json_decref(list);
            return NGX_ERROR;
        }
    }

    return json_object_set_new(doc, "not_bound", list) == 0 ? NGX_OK
                                                            : NGX_ERROR;
}
