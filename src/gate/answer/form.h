
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The forms of an answer: a file writes each.
 */


#ifndef NGX_HTTP_APPROVAL_FORM_H
#define NGX_HTTP_APPROVAL_FORM_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "core/json.h"


typedef struct {
    ngx_http_request_t                 *request;
    ngx_http_approval_hold_t           *hold;
    const ngx_http_approval_refusal_t  *refusal;
    ngx_uint_t                          status;     /* HTTP */
    ngx_int_t                           retry;      /* seconds; or ..._FINAL */
    const char                         *detail;     /* NULL: refusal->next */
} ngx_http_approval_refuse_t;


/* A form: sends it.  Returns what the request is to be finalized with. */

typedef ngx_int_t (*ngx_http_approval_refuse_pt)(
    ngx_http_approval_refuse_t *answer);

ngx_int_t ngx_http_approval_answer_problem(ngx_http_approval_refuse_t *answer);
ngx_int_t ngx_http_approval_answer_jsonrpc(ngx_http_approval_refuse_t *answer);
ngx_int_t ngx_http_approval_answer_grpc(ngx_http_approval_refuse_t *answer);
ngx_int_t ngx_http_approval_answer_git(ngx_http_approval_refuse_t *answer);
ngx_int_t ngx_http_approval_answer_kubernetes(
    ngx_http_approval_refuse_t *answer);
ngx_int_t ngx_http_approval_answer_openai(ngx_http_approval_refuse_t *answer);
ngx_int_t ngx_http_approval_answer_anthropic(
    ngx_http_approval_refuse_t *answer);


/* "application/grpc", with whatever follows it */
ngx_uint_t ngx_http_approval_answer_is_grpc(ngx_http_request_t *r);

/* A push or a fetch, and not what it asks before */
ngx_uint_t ngx_http_approval_answer_is_git(ngx_http_request_t *r);

/* For all to read: what, who, the comment, and what to do. */
void ngx_http_approval_answer_text(ngx_http_approval_refuse_t *answer,
    approval_buf_t *out);

/* The same as a string; a new reference, or NULL: no memory. */
json_t *ngx_http_approval_answer_message(ngx_http_approval_refuse_t *answer);

/* The approver's comment, who it was, where the action stands, when to retry;
   a new reference, or NULL: no memory. */
json_t *ngx_http_approval_answer_facts(ngx_http_approval_refuse_t *answer);


#endif /* NGX_HTTP_APPROVAL_FORM_H */
