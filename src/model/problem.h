
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Responses of the module itself: headers, bodies, and problem+json (RFC 9457)
 * for every refusal.
 */


#ifndef NGX_HTTP_APPROVAL_PROBLEM_H
#define NGX_HTTP_APPROVAL_PROBLEM_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "core/json.h"


/* Causes of refusals: problem.def. */

#define NGX_HTTP_APPROVAL_FINAL  (-1)

#define REFUSAL(name, type, http, grpc, rpc, retry, title, next)              \
    NGX_HTTP_APPROVAL_REFUSE_##name,

typedef enum {
#include "model/problem.def"
    NGX_HTTP_APPROVAL_REFUSALS
} ngx_http_approval_refusal_e;

#undef REFUSAL


typedef struct {
    const char  *type;       /* follows "urn:approval:" */
    const char  *title;
    const char  *next;       /* what it means, and what to do */
    ngx_uint_t   http;
    ngx_uint_t   grpc;
    ngx_int_t    rpc;
    ngx_int_t    retry;      /* seconds; or ..._FINAL */
} ngx_http_approval_refusal_t;


extern const ngx_http_approval_refusal_t
    ngx_http_approval_refusals[NGX_HTTP_APPROVAL_REFUSALS];


/* Adds a response header; name is a literal, value is copied. */
ngx_int_t ngx_http_approval_header(ngx_http_request_t *r, const char *name,
    approval_str_t value);
ngx_int_t ngx_http_approval_header_int(ngx_http_request_t *r, const char *name,
    int64_t value);

/*
 * Sends a complete response with Cache-Control: no-store.  It copies the body
 * and discards the unread part of the client's body.  The caller must finalize
 * the request with the returned value.
 */
ngx_int_t ngx_http_approval_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *content_type, approval_str_t body);

/* The same for a JSON value; takes its reference (NULL: out of memory). */
ngx_int_t ngx_http_approval_send_json(ngx_http_request_t *r,
    ngx_uint_t status, const char *content_type, json_t *value);

/*
 * Sends {"type":"urn:approval:TYPE","title":...,"status":...,"detail":...,
 * "action_id":...} and the members of "extra", an object.  Takes the reference
 * of extra.  type has no prefix: "denied".  detail, id and extra may be NULL.
 * The caller must add headers such as Retry-After before, and finalize the
 * request with the returned value: in a phase handler
 *
 *     ngx_http_finalize_request(r, ngx_http_approval_problem(...));
 *     return NGX_DONE;
 */
ngx_int_t ngx_http_approval_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, const char *title, const char *detail, u_char *id,
    json_t *extra);

/* Only the body, a new reference, for replies in another envelope. */
json_t *ngx_http_approval_problem_json(ngx_uint_t status, const char *type,
    const char *title, const char *detail, u_char *id, json_t *extra);


#endif /* NGX_HTTP_APPROVAL_PROBLEM_H */
