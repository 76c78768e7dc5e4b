
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What most requests are: of no rule's concern, and nothing in them that two
 * readers could read differently.  All others are judged in full (judge.c):
 * "no" here means "look closer" and costs only time.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "core/path.h"


static ngx_uint_t ngx_http_approval_unconcerned_judged(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy) __attribute__((noinline));
static ngx_inline ngx_uint_t ngx_http_approval_unconcerned_rules(
    ngx_http_request_t *r, ngx_http_approval_policy_t *policy);
static ngx_inline ngx_uint_t ngx_http_approval_header_plain(
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_approval_header_judged(ngx_table_elt_t *h,
    ngx_http_approval_policy_t *policy);


ngx_uint_t
ngx_http_approval_unconcerned(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy)
{
    uint32_t          letters;
    uint64_t          lengths;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *last;

    if (policy->def != NGX_HTTP_APPROVAL_ALLOW
        || r->internal || r->complex_uri || r->quoted_uri || r->schema_start
        || (policy->judges_query && r->args.len)
        || !approval_path_plain(ngx_http_approval_core_str(&r->unparsed_uri)))
    {
        return 0;
    }

    letters = policy->letters;
    lengths = policy->lengths;

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

            /* nothing is called in here: that would cost all others, too */

            if (lengths >> (h->key.len & 63) & 1) {
                return ngx_http_approval_unconcerned_judged(r, policy);
            }
        }
    }

    return ngx_http_approval_unconcerned_rules(r, policy);
}


/* Of the headers that the policy looks at there may be one. */

static ngx_uint_t
ngx_http_approval_unconcerned_judged(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy)
{
    ngx_uint_t        i, judged;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    judged = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (!ngx_http_approval_header_plain(&h[i])) {
                return 0;
            }

            judged += ngx_http_approval_header_judged(&h[i], policy);
        }
    }

    return judged < 2 && ngx_http_approval_unconcerned_rules(r, policy);
}


static ngx_inline ngx_uint_t
ngx_http_approval_unconcerned_rules(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy)
{
    if (policy->by_uri) {
        return approval_match_none(policy->match,
                                   ngx_http_approval_core_str(&r->method_name),
                                   ngx_http_approval_core_str(&r->uri));
    }

    return ngx_http_approval_judge_none(r, policy);
}


/* Neither one of ours, nor like "X-HTTP-Method-Override" or "X-Original-URL" */

static ngx_inline ngx_uint_t
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
