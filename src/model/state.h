
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The states of an action.
 */


#ifndef NGX_HTTP_APPROVAL_STATE_H
#define NGX_HTTP_APPROVAL_STATE_H


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_HTTP_APPROVAL_PENDING = 0,
    NGX_HTTP_APPROVAL_APPROVED,
    NGX_HTTP_APPROVAL_EXECUTING,
    NGX_HTTP_APPROVAL_EXECUTED,
    NGX_HTTP_APPROVAL_DENIED,
    NGX_HTTP_APPROVAL_EXPIRED,
    NGX_HTTP_APPROVAL_CANCELLED,
    NGX_HTTP_APPROVAL_FAILED,
    NGX_HTTP_APPROVAL_UNKNOWN            /* no such action */
} ngx_http_approval_state_e;


/* "pending", "approved", ...: and back (UNKNOWN for any other text). */
ngx_str_t *ngx_http_approval_state_name(ngx_http_approval_state_e state);
ngx_http_approval_state_e ngx_http_approval_state_parse(ngx_str_t *name);

/* No transition leads out of it. */
ngx_uint_t ngx_http_approval_state_terminal(ngx_http_approval_state_e state);


#endif /* NGX_HTTP_APPROVAL_STATE_H */
