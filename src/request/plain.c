
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Recognizes plain requests, which most are: all readers read them alike, and
 * they have no header or argument that a rule reads.  This code runs for every
 * request.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/request.h"

#include "core/path.h"


/* Length of the shortest header name that overrides the method or path. */
#define NGX_HTTP_APPROVAL_OVERRIDE_MIN  13


static void ngx_http_approval_plain_arg(ngx_http_approval_plain_t *plain,
    u_char c);
static ngx_inline ngx_uint_t ngx_http_approval_plain_header(
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_approval_plain_args(ngx_str_t *args,
    uint32_t letters);


/* "a" for "approval-...", "x" for "x-http-method-override" and the like. */

void
ngx_http_approval_plain_init(ngx_http_approval_plain_t *plain)
{
    ngx_memzero(plain, sizeof(ngx_http_approval_plain_t));

    plain->letters = (uint32_t) 1 << ('a' & 31) | (uint32_t) 1 << ('x' & 31);
}


void
ngx_http_approval_plain_add(ngx_http_approval_plain_t *plain,
    ngx_http_approval_fact_t *fact)
{
    u_char  c;

    c = fact->key.len ? fact->key.data[0] : '_';

    switch (fact->kind) {

    case NGX_HTTP_APPROVAL_FACT_METHOD:
        ngx_http_approval_plain_arg(plain, '_');
        break;

    case NGX_HTTP_APPROVAL_FACT_HEADER:
        plain->letters |= (uint32_t) 1 << (c & 31)
                          | (uint32_t) 1 << ('_' & 31);
        plain->lengths |= (uint64_t) 1 << (fact->key.len & 63);
        break;

    case NGX_HTTP_APPROVAL_FACT_COOKIE:
        plain->letters |= (uint32_t) 1 << ('c' & 31);
        plain->lengths |= (uint64_t) 1 << (sizeof("cookie") - 1);
        break;

    case NGX_HTTP_APPROVAL_FACT_ARGUMENT:
        ngx_http_approval_plain_arg(plain, c);
        break;

    default:
        break;
    }
}


/*
 * Adds the first characters with which readers may find the argument: in upper
 * or lower case, encoded or not, or after a blank or a bracket.
 */

static void
ngx_http_approval_plain_arg(ngx_http_approval_plain_t *plain, u_char c)
{
    u_char  *p;

    static u_char  before[] = "[]%+";
    static u_char  alike[] = "_-.";

    plain->args |= (uint32_t) 1 << (c & 31);

    for (p = before; *p; p++) {
        plain->args |= (uint32_t) 1 << (*p & 31);
    }

    for (p = alike; *p && ngx_strchr(alike, c); p++) {
        plain->args |= (uint32_t) 1 << (*p & 31);
    }
}


ngx_uint_t
ngx_http_approval_plain(ngx_http_request_t *r,
    const ngx_http_approval_plain_t *plain)
{
    uint32_t          letters;
    uint64_t          lengths;
    approval_str_t    path;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *last;

    /* these point to the same data unless nginx decoded or rewrote the URI */

    if (r->uri.data != r->unparsed_uri.data || r->schema_start
        || r->internal || r != r->main
        || (r->method & (NGX_HTTP_COPY|NGX_HTTP_MOVE)))
    {
        return 0;
    }

    path.data = r->uri.data;
    path.len = r->uri.len;

    if (!approval_path_plain(path)
        || (plain->args && r->args.len
            && !ngx_http_approval_plain_args(&r->args, plain->args)))
    {
        return 0;
    }

    letters = plain->letters;
    lengths = plain->lengths;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;
        last = h + part->nelts;

        for ( /* void */ ; h < last; h++) {

            if (letters >> (*h->lowcase_key & 31) & 1
                && ((lengths >> (h->key.len & 63) & 1)
                    || !ngx_http_approval_plain_header(h)))
            {
                return 0;
            }
        }
    }

    return 1;
}


/*
 * 0: the header may be one of the module's own, or override the method or path,
 * as "X-HTTP-Method-Override" or "X-Original-URL" do.
 */

static ngx_inline ngx_uint_t
ngx_http_approval_plain_header(ngx_table_elt_t *h)
{
    u_char  *p;

    p = h->lowcase_key;

    if (*p == 'a') {
        return h->key.len < 9 || ngx_memcmp(p, "approval", 8) != 0;
    }

    if (*p == 'x' && h->key.len >= NGX_HTTP_APPROVAL_OVERRIDE_MIN) {
        return p[2] != 'h' && p[2] != 'm' && p[2] != 'o' && p[2] != 'r';
    }

    return 1;
}


static ngx_uint_t
ngx_http_approval_plain_args(ngx_str_t *args, uint32_t letters)
{
    u_char  *p, *last;

    p = args->data;
    last = p + args->len;

    while (p < last) {

        if (letters >> (*p & 31) & 1) {
            return 0;
        }

        while (p < last && *p != '&' && *p != ';') {
            p++;
        }

        p++;
    }

    return 1;
}
