
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What two readers could read differently is refused before it is judged, in
 * policies that judge it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "core/form.h"
#include "core/path.h"


static ngx_int_t ngx_http_approval_strict_headers(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy, ngx_http_approval_refusal_e *refusal,
    const char **detail);
static const char *ngx_http_approval_strict_override(ngx_table_elt_t *h);
static ngx_int_t ngx_http_approval_strict_twice(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy, const char **detail);
static ngx_uint_t ngx_http_approval_strict_host(ngx_http_request_t *r);
static const char *ngx_http_approval_strict_query(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy);


/*
 * Headers that make an upstream read another method or path than nginx did;
 * unconcerned.c knows how they begin.
 */

static ngx_str_t  ngx_http_approval_overrides[] = {
    ngx_string("x-http-method-override"),
    ngx_string("x-http-method"),
    ngx_string("x-method-override"),
    ngx_string("x-original-url"),
    ngx_string("x-rewrite-url"),
    ngx_null_string
};


ngx_int_t
ngx_http_approval_strict(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy, ngx_http_approval_refusal_e *refusal,
    const char **detail)
{
    if (ngx_http_approval_strict_headers(r, policy, refusal, detail)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    /* nginx took the target's host, approvers would see the header's */

    if (r->schema_start && !r->internal && policy->judges
        && (policy->strict_path || ngx_http_approval_strict_host(r)))
    {
        *refusal = NGX_HTTP_APPROVAL_REFUSE_PATH;
        *detail = "absolute form of the request target";
        return NGX_DECLINED;
    }

    /* of the raw path a redirect to another URI leaves nothing */

    if (policy->judges_path && policy->strict_path
        && (!r->internal || r->valid_unparsed_uri)
        && (r->complex_uri || r->quoted_uri
            || !approval_path_plain(
                             ngx_http_approval_core_str(&r->unparsed_uri))))
    {
        *detail = approval_path_ambiguous(
                               ngx_http_approval_core_str(&r->unparsed_uri));
        if (*detail) {
            *refusal = NGX_HTTP_APPROVAL_REFUSE_PATH;
            return NGX_DECLINED;
        }
    }

    if (policy->judges_query && policy->strict_path && r->args.len) {
        *detail = ngx_http_approval_strict_query(r, policy);

        if (*detail) {
            *refusal = NGX_HTTP_APPROVAL_REFUSE_QUERY;
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* Copies of our own headers are removed. */

static ngx_int_t
ngx_http_approval_strict_headers(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy, ngx_http_approval_refusal_e *refusal,
    const char **detail)
{
    ngx_uint_t        i, copies;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    copies = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].lowcase_key[0] == 'a') {
                copies |= ngx_http_approval_header_ours(&h[i].key);
                continue;
            }

            if (h[i].lowcase_key[0] != 'x'
                || h[i].key.len < NGX_HTTP_APPROVAL_OVERRIDE_MIN
                || !policy->judges || !policy->strict_path)
            {
                continue;
            }

            *detail = ngx_http_approval_strict_override(&h[i]);

            if (*detail) {
                *refusal = NGX_HTTP_APPROVAL_REFUSE_OVERRIDE;
                return NGX_DECLINED;
            }
        }
    }

    /* after a hold they are ours */

    if (copies && ngx_http_approval_hold_of(r) == NULL
        && ngx_http_approval_strip(r) != NGX_OK)
    {
        *refusal = NGX_HTTP_APPROVAL_REFUSE_INTERNAL;
        *detail = NULL;
        return NGX_DECLINED;
    }

    if (policy->judged_headers && policy->strict_path
        && ngx_http_approval_strict_twice(r, policy, detail) != NGX_OK)
    {
        *refusal = NGX_HTTP_APPROVAL_REFUSE_HEADER;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static const char *
ngx_http_approval_strict_override(ngx_table_elt_t *h)
{
    ngx_str_t  *name;

    for (name = ngx_http_approval_overrides; name->len; name++) {
        if (ngx_http_approval_header_is(h, name)) {
            return (char *) name->data;
        }
    }

    return NULL;
}


/* A variable has one of the values, and the upstream may take the other. */

static ngx_int_t
ngx_http_approval_strict_twice(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy, const char **detail)
{
    ngx_str_t        *names;
    ngx_uint_t        i, n, found;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    names = policy->judged_headers->elts;

    for (n = 0; n < policy->judged_headers->nelts; n++) {

        found = 0;

        for (part = &r->headers_in.headers.part; part; part = part->next) {

            h = part->elts;

            for (i = 0; i < part->nelts; i++) {
                found += ngx_http_approval_header_is(&h[i], &names[n]);
            }
        }

        if (found > 1) {
            *detail = (char *) names[n].data;
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* Is the target's host another than the header's? */

static ngx_uint_t
ngx_http_approval_strict_host(ngx_http_request_t *r)
{
    size_t      len;
    ngx_str_t  *host;

    if (r->headers_in.host == NULL || r->host_start == NULL) {
        return 0;
    }

    host = &r->headers_in.host->value;
    len = r->host_end - r->host_start;

    return host->len < len
           || ngx_strncasecmp(host->data, r->host_start, len) != 0
           || (host->len > len && host->data[len] != ':');
}


/* $arg_NAME is the first one, in whatever case, and is not decoded. */

static const char *
ngx_http_approval_strict_query(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy)
{
    int              rc;
    ngx_str_t       *names;
    ngx_uint_t       i;
    const char      *err;
    approval_buf_t   query, value;

    err = approval_path_query_escapes(ngx_http_approval_core_str(&r->args));

    if (err || policy->judged_args == NULL) {
        return err;
    }

    approval_buf_init(&query);
    approval_buf_init(&value);

    for (i = 0; i < r->args.len; i++) {
        approval_buf_addc(&query, ngx_tolower(r->args.data[i]));
    }

    err = query.failed ? "no memory" : NULL;
    names = policy->judged_args->elts;

    for (i = 0; err == NULL && i < policy->judged_args->nelts; i++) {

        approval_buf_reset(&value);

        rc = approval_form_get(approval_buf_str(&query),
                               ngx_http_approval_core_str(&names[i]), &value,
                               &err);
        err = (rc == APPROVAL_ERROR)
              ? "an argument that a rule reads stands twice, in another "
                "spelling, or beside malformed escapes" : NULL;
    }

    approval_buf_free(&query);
    approval_buf_free(&value);

    return err;
}
