
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The forms of an answer, each in a file of its own.
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


/* Sends an answer in one form; returns the code to finalize with. */

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
ngx_int_t ngx_http_approval_answer_oci(ngx_http_approval_refuse_t *answer);


/* true for "application/grpc", with any suffix */
ngx_uint_t ngx_http_approval_answer_is_grpc(ngx_http_request_t *r);

/* true for a push or a fetch, but not for the request for refs before it */
ngx_uint_t ngx_http_approval_answer_is_git(ngx_http_request_t *r);

/* The refusal in one text: title, approvers, comment, and what to do next. */
void ngx_http_approval_answer_text(ngx_http_approval_refuse_t *answer,
    approval_buf_t *out);

/* The same text as a JSON string; a new reference; NULL: no memory. */
json_t *ngx_http_approval_answer_message(ngx_http_approval_refuse_t *answer);

/*
 * The comment, the approvers, the action's status and when to retry; a new
 * reference; NULL: no memory.
 */
json_t *ngx_http_approval_answer_facts(ngx_http_approval_refuse_t *answer);


#endif /* NGX_HTTP_APPROVAL_FORM_H */
