
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The gate: from the request's arrival to its resumption, refusal or end.
 */


#ifndef NGX_HTTP_APPROVAL_GATE_H
#define NGX_HTTP_APPROVAL_GATE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/hold/hold.h"
#include "gate/judge/judge.h"
#include "gate/mcp/mcp.h"
#include "gate/phase/phase.h"


/* prefer.c */
void ngx_http_approval_prefer(ngx_http_approval_hold_t *hold);

/* reply.c: sends the refusal; the rc to finalize the request with */
ngx_int_t ngx_http_approval_refuse(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, ngx_http_approval_refusal_e refusal,
    const char *detail);

/* what would have been refused is only recorded */
void ngx_http_approval_refuse_shadow(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, ngx_http_approval_refusal_e refusal,
    const char *detail);

ngx_int_t ngx_http_approval_accept(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);

/* Approval-Id and Approval-Status, where there is an action */
ngx_int_t ngx_http_approval_hold_headers(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);


#endif /* NGX_HTTP_APPROVAL_GATE_H */
