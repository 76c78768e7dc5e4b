
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The answers to requests that are not forwarded.
 */


#ifndef NGX_HTTP_APPROVAL_ANSWER_H
#define NGX_HTTP_APPROVAL_ANSWER_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/hold/hold.h"


/* Sends the refusal; returns the code to finalize the request with. */
ngx_int_t ngx_http_approval_refuse(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, ngx_http_approval_refusal_e refusal,
    const char *detail);

/* Shadow mode: only records the refusal. */
void ngx_http_approval_refuse_shadow(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, ngx_http_approval_refusal_e refusal,
    const char *detail);

/* Answers while the action is open, since the client's patience is over. */
ngx_int_t ngx_http_approval_accept(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);

/* Adds Approval-Id and Approval-Status if there is an action. */
ngx_int_t ngx_http_approval_hold_headers(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);


#endif /* NGX_HTTP_APPROVAL_ANSWER_H */
