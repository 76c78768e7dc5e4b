
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The headers of a request: iterates over them, and decides which readers take
 * which name for the same header.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/internal.h"


static ngx_int_t ngx_http_approval_accept_quality(ngx_str_t value,
    const char *type);


ngx_table_elt_t *
ngx_http_approval_header_next(ngx_http_request_t *r,
    ngx_http_approval_headers_t *it, ngx_table_elt_t *h)
{
    ngx_table_elt_t  *elts;

    if (h == NULL) {
        it->part = &r->headers_in.headers.part;
        it->i = 0;
    }

    while (it->part) {

        if (it->i < it->part->nelts) {
            elts = it->part->elts;
            return &elts[it->i++];
        }

        it->part = it->part->next;
        it->i = 0;
    }

    return NULL;
}


ngx_table_elt_t *
ngx_http_approval_header_of(ngx_http_request_t *r,
    ngx_http_approval_headers_t *it, ngx_table_elt_t *h, ngx_str_t *name)
{
    while ((h = ngx_http_approval_header_next(r, it, h))) {

        it->named = ngx_http_approval_header_named(h, name);

        if (it->named != APPROVAL_NAME_OTHER) {
            return h;
        }
    }

    return NULL;
}


approval_name_e
ngx_http_approval_header_named(ngx_table_elt_t *h, ngx_str_t *name)
{
    ngx_uint_t  i;

    if (h->key.len != name->len) {
        return APPROVAL_NAME_OTHER;
    }

    if (ngx_memcmp(h->lowcase_key, name->data, name->len) == 0) {
        return APPROVAL_NAME_SAME;
    }

    for (i = 0; i < name->len; i++) {
        if (ngx_http_approval_header_letter(h->lowcase_key[i])
            != ngx_http_approval_header_letter(name->data[i]))
        {
            return APPROVAL_NAME_OTHER;
        }
    }

    return APPROVAL_NAME_SPELLING;
}


u_char
ngx_http_approval_header_letter(u_char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
}


ngx_uint_t
ngx_http_approval_header_join(ngx_http_request_t *r, ngx_str_t *name,
    const char *separator, approval_buf_t *out)
{
    ngx_uint_t                    n;
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    n = 0;

    for (h = NULL; (h = ngx_http_approval_header_of(r, &it, h, name)); ) {
        if (n++) {
            approval_buf_adds(out, separator);
        }

        approval_buf_add(out, h->value.data, h->value.len);
    }

    return n;
}


ngx_uint_t
ngx_http_approval_header_find(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_str_t                     s;
    ngx_uint_t                    n;
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    s.data = (u_char *) name;
    s.len = ngx_strlen(name);

    n = 0;

    for (h = NULL; (h = ngx_http_approval_header_of(r, &it, h, &s)); ) {
        if (n++ == 0) {
            *value = h->value;
        }
    }

    return n;
}


ngx_str_t *
ngx_http_approval_header_first(ngx_http_request_t *r, const char *name)
{
    ngx_str_t                     s;
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    s.data = (u_char *) name;
    s.len = ngx_strlen(name);

    h = ngx_http_approval_header_of(r, &it, NULL, &s);

    return h ? &h->value : NULL;
}


ngx_int_t
ngx_http_approval_accepts(ngx_http_request_t *r, const char *type)
{
    ngx_int_t                     q, best;
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    static ngx_str_t  name = ngx_string("accept");

    best = 0;

    for (h = NULL; (h = ngx_http_approval_header_of(r, &it, h, &name)); ) {
        q = ngx_http_approval_accept_quality(h->value, type);
        best = ngx_max(best, q);
    }

    return best;
}


/* The q value of exactly this media type, in thousandths; 0: not listed. */

static ngx_int_t
ngx_http_approval_accept_quality(ngx_str_t value, const char *type)
{
    size_t          len;
    u_char         *p, *end, *q;
    ngx_int_t       quality, n;
    approval_str_t  item;

    len = ngx_strlen(type);

    while (ngx_http_approval_header_item(&value, &item)) {

        if (item.len < len
            || ngx_strncasecmp((u_char *) item.data, (u_char *) type, len)
               != 0)
        {
            continue;
        }

        p = (u_char *) item.data + len;
        end = (u_char *) item.data + item.len;

        if (p < end && *p != ';' && *p != ' ' && *p != '\t') {
            continue;
        }

        q = ngx_strlcasestrn(p, end, (u_char *) ";q=", 3 - 1);

        if (q == NULL) {
            q = ngx_strlcasestrn(p, end, (u_char *) "; q=", 4 - 1);
        }

        if (q == NULL) {
            return 1000;
        }

        q = ngx_strlchr(q, end, '=') + 1;

        for (quality = 0, n = 0; q < end && n < 4; q++) {
            if (*q >= '0' && *q <= '9') {
                quality = quality * 10 + (*q - '0');
                n++;

            } else if (*q != '.') {
                break;
            }
        }

        while (n++ < 4) {
            quality *= 10;
        }

        return ngx_min(quality, 1000);
    }

    return 0;
}


/*
 * Makes a new list and leaves the old one unchanged, because headers_in points
 * to elements of it.
 */

ngx_int_t
ngx_http_approval_headers_drop(ngx_http_request_t *r,
    ngx_uint_t (*drop)(ngx_str_t *name))
{
    ngx_list_t                    list;
    ngx_uint_t                    found;
    ngx_table_elt_t              *h, *copy;
    ngx_http_approval_headers_t   it;

    found = 0;

    for (h = NULL; (h = ngx_http_approval_header_next(r, &it, h)); ) {
        found |= drop(&h->key);
    }

    if (!found) {
        return NGX_OK;
    }

    if (ngx_list_init(&list, r->pool, 16, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    for (h = NULL; (h = ngx_http_approval_header_next(r, &it, h)); ) {

        if (drop(&h->key)) {
            continue;
        }

        copy = ngx_list_push(&list);
        if (copy == NULL) {
            return NGX_ERROR;
        }

        *copy = *h;
    }

    r->headers_in.headers = list;

    /* "last" still points to the part inside the local variable */

    if (list.last == &list.part) {
        r->headers_in.headers.last = &r->headers_in.headers.part;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_header_push(ngx_http_request_t *r, const char *name,
    const char *lowcase, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    if (value->len == 0) {
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key.len = ngx_strlen(name);
    h->key.data = (u_char *) name;
    h->lowcase_key = (u_char *) lowcase;
    h->hash = ngx_hash_key(h->lowcase_key, h->key.len);
    h->value = *value;

    return NGX_OK;
}


ngx_uint_t
ngx_http_approval_header_ours(ngx_str_t *name)
{
    return name->len >= 10
           && ngx_strncasecmp(name->data, (u_char *) "approval", 8) == 0
           && ngx_http_approval_header_letter(ngx_tolower(name->data[8]))
              == '_';
}


ngx_uint_t
ngx_http_approval_header_item(ngx_str_t *list, approval_str_t *item)
{
    u_char  *comma;
    size_t   used;

    if (list->len == 0) {
        return 0;
    }

    comma = ngx_strlchr(list->data, list->data + list->len, ',');

    item->data = list->data;
    item->len = comma ? (size_t) (comma - list->data) : list->len;

    used = item->len + (comma != NULL);

    list->data += used;
    list->len -= used;

    *item = approval_str_trim(*item);

    return 1;
}
