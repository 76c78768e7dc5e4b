
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What a requester is told whose request is not forwarded: one function chooses
 * the form.
 */


#ifndef NGX_HTTP_APPROVAL_ANSWER_H
#define NGX_HTTP_APPROVAL_ANSWER_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/hold/hold.h"


/* Sends the refusal; returns what the request is to be finalized with. */
ngx_int_t ngx_http_approval_refuse(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, ngx_http_approval_refusal_e refusal,
    const char *detail);

/* What would have been refused is only recorded. */
void ngx_http_approval_refuse_shadow(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, ngx_http_approval_refusal_e refusal,
    const char *detail);

/* The action is open, and its client waits no longer on the connection. */
ngx_int_t ngx_http_approval_accept(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);

/* Approval-Id and Approval-Status, where there is an action. */
ngx_int_t ngx_http_approval_hold_headers(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);


#endif /* NGX_HTTP_APPROVAL_ANSWER_H */
