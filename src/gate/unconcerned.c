
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What most requests are: of no rule's concern, and nothing in them that two
 * readers could read differently.  All others are judged in full (judge.c):
 * "no" here means "look closer" and costs only time.
 */


#include "gate/gate.h"

#include "core/path.h"


static inline ngx_uint_t ngx_http_approval_headers_plain(
    ngx_http_request_t *r, ngx_http_approval_policy_t *policy);
static inline ngx_uint_t ngx_http_approval_header_plain(ngx_table_elt_t *h);
static ngx_uint_t ngx_http_approval_header_judged(ngx_table_elt_t *h,
    ngx_http_approval_policy_t *policy) __attribute__((noinline));


ngx_uint_t
ngx_http_approval_unconcerned(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy)
{
    if (policy->def != NGX_HTTP_APPROVAL_ALLOW
        || r->internal || r->complex_uri || r->quoted_uri || r->schema_start
        || (policy->judges_query && r->args.len)
        || !approval_path_plain(ngx_http_approval_core_str(&r->unparsed_uri))
        || !ngx_http_approval_headers_plain(r, policy))
    {
        return 0;
    }

    if (policy->by_uri) {
        return approval_match_none(policy->match,
                                   ngx_http_approval_core_str(&r->method_name),
                                   ngx_http_approval_core_str(&r->uri));
    }

    return ngx_http_approval_judge_none(r, policy);
}


/* Of those that the policy looks at there may be one. */

static inline ngx_uint_t
ngx_http_approval_headers_plain(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy)
{
    uint32_t          letters;
    ngx_uint_t        judged;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *last;

    judged = 0;
    letters = policy->letters;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;
        last = h + part->nelts;

        for ( /* void */ ; h < last; h++) {

            if (!(letters >> (*h->lowcase_key & 31) & 1)) {
                continue;
            }

            if (!ngx_http_approval_header_plain(h)) {
                return 0;
            }

            if (policy->judged_headers
                && ngx_http_approval_header_judged(h, policy)
                && judged++)
            {
                return 0;
            }
        }
    }

    return 1;
}


/* Neither one of ours, nor like "X-HTTP-Method-Override" or "X-Original-URL" */

static inline ngx_uint_t
ngx_http_approval_header_plain(ngx_table_elt_t *h)
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
ngx_http_approval_header_judged(ngx_table_elt_t *h,
    ngx_http_approval_policy_t *policy)
{
    ngx_str_t   *names;
    ngx_uint_t   i;

    names = policy->judged_headers->elts;

    for (i = 0; i < policy->judged_headers->nelts; i++) {
        if (names[i].len == h->key.len
            && ngx_http_approval_header_is(h, &names[i]))
        {
            return 1;
        }
    }

    return 0;
}
