
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * MCP calls: their messages, and the events that keep a client waiting.
 */


#ifndef NGX_HTTP_APPROVAL_MCP_H
#define NGX_HTTP_APPROVAL_MCP_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/hold/hold.h"


/* mcp.c */
ngx_int_t ngx_http_approval_rpc_keep(ngx_http_approval_hold_t *hold);
ngx_uint_t ngx_http_approval_rpc_likely(ngx_http_request_t *r);
ngx_int_t ngx_http_approval_mcp_call(json_t *message);
ngx_int_t ngx_http_approval_mcp_headers(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_mcp_params(ngx_http_approval_hold_t *hold);
ngx_uint_t ngx_http_approval_mcp_since(ngx_http_request_t *r,
    const char *revision);

/* progress.c: progress events for the client of a held call */
ngx_int_t ngx_http_approval_progress_wanted(ngx_http_approval_hold_t *hold);
void ngx_http_approval_progress_inherit(ngx_http_approval_hold_t *hold);
void ngx_http_approval_progress_start(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_progress_resume(ngx_http_approval_hold_t *hold);
void ngx_http_approval_progress_stop(ngx_http_approval_hold_t *hold);
void ngx_http_approval_progress_cleanup(ngx_http_approval_hold_t *hold);
ngx_uint_t ngx_http_approval_progress_opened(ngx_http_approval_hold_t *hold);
ngx_uint_t ngx_http_approval_progress_status(ngx_http_approval_hold_t *hold);


#endif /* NGX_HTTP_APPROVAL_MCP_H */
