
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/problem.h"
#include "core/keys.h"


#define FINAL  NGX_HTTP_APPROVAL_FINAL

#define REFUSAL(name, type, http, grpc, rpc, retry, title, next)              \
    { type, title, next, http, grpc, rpc, retry },

const ngx_http_approval_refusal_t
    ngx_http_approval_refusals[NGX_HTTP_APPROVAL_REFUSALS] =
{
#include "model/problem.def"
};


ngx_int_t
ngx_http_approval_header(ngx_http_request_t *r, const char *name,
    approval_str_t value)
{
    u_char           *p;
    ngx_table_elt_t  *h;

    p = ngx_pnalloc(r->pool, value.len ? value.len : 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, value.data, value.len);

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.len = ngx_strlen(name);
    h->key.data = (u_char *) name;
    h->value.len = value.len;
    h->value.data = p;

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_header_int(ngx_http_request_t *r, const char *name,
    int64_t value)
{
    u_char          buf[NGX_INT64_LEN];
    approval_str_t  s;

    s.data = buf;
    s.len = ngx_sprintf(buf, "%L", value) - buf;

    return ngx_http_approval_header(r, name, s);
}


ngx_int_t
ngx_http_approval_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *content_type, approval_str_t body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    /* it contains other people's text: no sniffing of its type, no caching */

    if (ngx_http_approval_header(r, "Cache-Control", approval_str("no-store"))
        != NGX_OK
        || ngx_http_approval_header(r, "X-Content-Type-Options",
                                    approval_str("nosniff"))
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = body.len;
    r->headers_out.content_type.len = ngx_strlen(content_type);
    r->headers_out.content_type.data = (u_char *) content_type;
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    b = ngx_create_temp_buf(r->pool, body.len ? body.len : 1);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->last, body.data, body.len);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }

    if (r->header_only) {
        return NGX_OK;
    }

    /* nginx rejects an empty buffer that is marked as memory */

    b->memory = body.len ? 1 : 0;
    b->temporary = 0;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    /* NGX_AGAIN: nginx sends the rest, and the caller need not wait */

    rc = ngx_http_output_filter(r, &out);

    return rc == NGX_AGAIN ? NGX_OK : rc;
}


ngx_int_t
ngx_http_approval_send_json(ngx_http_request_t *r, ngx_uint_t status,
    const char *content_type, json_t *value)
{
    ngx_int_t       rc;
    approval_buf_t  buf;

    if (value == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    approval_buf_init(&buf);

    if (approval_json_canonical(value, &buf) != APPROVAL_OK || buf.failed) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        goto done;
    }

    approval_buf_addc(&buf, LF);

    if (buf.failed) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        goto done;
    }

    rc = ngx_http_approval_send(r, status, content_type,
                                approval_buf_str(&buf));

done:

    approval_buf_free(&buf);
    json_decref(value);

    return rc;
}


ngx_int_t
ngx_http_approval_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, const char *title, const char *detail, u_char *id,
    json_t *extra)
{
    json_t  *problem;

    problem = ngx_http_approval_problem_json(status, type, title, detail, id,
                                             extra);

    return ngx_http_approval_send_json(r, status, "application/problem+json",
                                       problem);
}


json_t *
ngx_http_approval_problem_json(ngx_uint_t status, const char *type,
    const char *title, const char *detail, u_char *id, json_t *extra)
{
    json_t  *problem;

    problem = extra ? extra : json_object();

    if (problem == NULL) {
        return NULL;
    }

    if (json_object_set_new(problem, "type",
                            json_sprintf("urn:approval:%s", type)) != 0
        || json_object_set_new(problem, "title", json_string(title)) != 0
        || json_object_set_new(problem, "status", json_integer(status)) != 0)
    {
        goto failed;
    }

    if (detail
        && json_object_set_new(problem, "detail", json_string(detail)) != 0)
    {
        goto failed;
    }

    if (id
        && json_object_set_new(problem, "action_id",
                               json_stringn((char *) id, APPROVAL_ID_LEN))
           != 0)
    {
        goto failed;
    }

    return problem;

failed:

    json_decref(problem);

    return NULL;
}
