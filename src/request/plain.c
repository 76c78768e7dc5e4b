
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Recognizes plain requests, which most are: all readers read them alike, and
 * they have no header or argument that a rule reads.  This code runs for every
 * request.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/internal.h"

#include "core/path.h"


/* Length of the shortest header name that overrides the method or path. */
#define NGX_HTTP_APPROVAL_OVERRIDE_MIN  13

/* Arguments that rules read, and those that override only a POST's method. */
#define NGX_HTTP_APPROVAL_PLAIN_READ      1
#define NGX_HTTP_APPROVAL_PLAIN_OVERRIDE  2


static void ngx_http_approval_plain_arg(ngx_http_approval_plain_t *plain,
    u_char c, size_t len, u_char kind);
static ngx_inline ngx_uint_t ngx_http_approval_plain_args(
    ngx_http_request_t *r, const ngx_http_approval_plain_t *plain);
static ngx_inline ngx_uint_t ngx_http_approval_plain_header(
    ngx_table_elt_t *h, u_char c);


/* "a" for "approval-...", "x" for "x-http-method-override" and the like. */

void
ngx_http_approval_plain_init(ngx_http_approval_plain_t *plain)
{
    ngx_memzero(plain, sizeof(ngx_http_approval_plain_t));

    plain->headers['a'] = 1;
    plain->headers['x'] = 1;
    plain->shortest = NGX_MAX_SIZE_T_VALUE;
}


void
ngx_http_approval_plain_add(ngx_http_approval_plain_t *plain,
    ngx_http_approval_fact_t *fact)
{
    u_char      c;
    ngx_str_t  *name;
    ngx_uint_t  i;

    c = fact->key.len ? fact->key.data[0] : '_';

    switch (fact->kind) {

    case NGX_HTTP_APPROVAL_FACT_METHOD:

        for (name = ngx_http_approval_override_args; name->len; name++) {
            ngx_http_approval_plain_arg(plain, name->data[0], name->len,
                                        name == ngx_http_approval_override_args
                                        ? NGX_HTTP_APPROVAL_PLAIN_READ
                                        : NGX_HTTP_APPROVAL_PLAIN_OVERRIDE);
        }

        break;

    case NGX_HTTP_APPROVAL_FACT_HEADER:

        for (i = 0; i < 256; i++) {
            plain->headers[i] |= ngx_http_approval_header_letter((u_char) i)
                                 == ngx_http_approval_header_letter(c);
        }

        plain->lengths |= (uint64_t) 1 << (fact->key.len & 63);
        break;

    case NGX_HTTP_APPROVAL_FACT_COOKIE:
        plain->headers['c'] = 1;
        plain->lengths |= (uint64_t) 1 << (sizeof("cookie") - 1);
        break;

    case NGX_HTTP_APPROVAL_FACT_ARGUMENT:
        ngx_http_approval_plain_arg(plain, c,
                                    fact->key.len + sizeof("=x") - 1,
                                    NGX_HTTP_APPROVAL_PLAIN_READ);
        break;

    default:
        break;
    }
}


/*
 * Adds the first characters with which readers may find the argument: in upper
 * or lower case, encoded or not, or after a blank, "?" or a bracket.  No
 * spelling of its name is shorter than the name; an empty value is like an
 * absent one.
 */

static void
ngx_http_approval_plain_arg(ngx_http_approval_plain_t *plain, u_char c,
    size_t len, u_char kind)
{
    u_char  *p;

    static u_char  before[] = "[]%+? \t";
    static u_char  alike[] = "_-.";

    plain->shortest = ngx_min(plain->shortest, len);

    plain->args[ngx_tolower(c)] |= kind;
    plain->args[ngx_toupper(c)] |= kind;

    for (p = before; *p; p++) {
        plain->args[*p] |= kind;
    }

    for (p = alike; *p && ngx_strchr(alike, c); p++) {
        plain->args[*p] |= kind;
    }
}


ngx_uint_t
ngx_http_approval_plain(ngx_http_request_t *r,
    const ngx_http_approval_plain_t *plain)
{
    u_char            c;
    ngx_uint_t        n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    /*
     * These point to the same data unless nginx decoded or rewrote the URI, and
     * the unparsed one is no longer valid if the arguments were changed.
     */

    if (r->uri.data != r->unparsed_uri.data || !r->valid_unparsed_uri
        || r->schema_start || r->internal || r != r->main
        || (r->method & (NGX_HTTP_COPY|NGX_HTTP_MOVE))
        || !approval_path_plain(ngx_http_approval_core_str(&r->uri))
        || (r->args.len >= plain->shortest
            && !ngx_http_approval_plain_args(r, plain)))
    {
        return 0;
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (n = part->nelts; n; n--, h++) {
            c = *h->lowcase_key;

            if (plain->headers[c]
                && ((plain->lengths >> (h->key.len & 63) & 1)
                    || !ngx_http_approval_plain_header(h, c)))
            {
                return 0;
            }
        }
    }

    return 1;
}


#if defined(__SSE2__)

/* Looks at what follows a separator in 16 bytes; the last one may be one. */

static ngx_inline ngx_uint_t
ngx_http_approval_plain_block(const ngx_http_approval_plain_t *plain,
    u_char *p, ngx_uint_t kinds)
{
    int      i, mask;
    __m128i  x;

    x = _mm_loadu_si128((const __m128i *) p);
    x = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('&')),
                     _mm_cmpeq_epi8(x, _mm_set1_epi8(';')));

    for (mask = _mm_movemask_epi8(x) & 0x7fff; mask; mask &= mask - 1) {
        i = __builtin_ctz(mask);

        if (plain->args[p[i + 1]] & kinds) {
            return 0;
        }
    }

    return 1;
}

#endif


static ngx_inline ngx_uint_t
ngx_http_approval_plain_args(ngx_http_request_t *r,
    const ngx_http_approval_plain_t *plain)
{
    u_char      *p, *last;
    ngx_uint_t   kinds;

    kinds = NGX_HTTP_APPROVAL_PLAIN_READ;

    if (r->method == NGX_HTTP_POST) {
        kinds |= NGX_HTTP_APPROVAL_PLAIN_OVERRIDE;
    }

    p = r->args.data;
    last = p + r->args.len;

    if (plain->args[*p] & kinds) {
        return 0;
    }

#if defined(__SSE2__)

    if (r->args.len >= 16) {
        for ( /* void */ ; p < last - 16; p += 15) {
            if (!ngx_http_approval_plain_block(plain, p, kinds)) {
                return 0;
            }
        }

        return ngx_http_approval_plain_block(plain, last - 16, kinds);
    }

#endif

    for (p++; p < last; p++) {
        if ((p[-1] == '&' || p[-1] == ';') && (plain->args[*p] & kinds)) {
            return 0;
        }
    }

    return 1;
}


/*
 * 0: the header may be one of the module's own, or override the method or path,
 * as "X-HTTP-Method-Override" or "X-Original-URL" do.
 */

static ngx_inline ngx_uint_t
ngx_http_approval_plain_header(ngx_table_elt_t *h, u_char c)
{
    u_char  *p;

    p = h->lowcase_key;

    if (c == 'a') {
        return h->key.len < 9 || ngx_memcmp(p, "appr", 4) != 0;
    }

    return h->key.len < NGX_HTTP_APPROVAL_OVERRIDE_MIN
           || (p[2] != 'h' && p[2] != 'm' && p[2] != 'o' && p[2] != 'r');
}
