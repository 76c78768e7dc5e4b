
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The gate's entries from nginx: phase and content handlers, and variables.
 */


#ifndef NGX_HTTP_APPROVAL_PHASE_H
#define NGX_HTTP_APPROVAL_PHASE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/hold/hold.h"


/* gate.c */
void ngx_http_approval_phases_init(ngx_cycle_t *cycle);
ngx_int_t ngx_http_approval_access_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_approval_precontent_handler(ngx_http_request_t *r);

/* The context of a request that passed without a hold. */
extern ngx_http_approval_hold_t  ngx_http_approval_passed;

/* once.c: around content handlers and upstreams; nothing is sent twice */
ngx_int_t ngx_http_approval_once_location(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *prev, ngx_http_approval_loc_conf_t *conf);
ngx_int_t ngx_http_approval_once_init(ngx_conf_t *cf);
ngx_int_t ngx_http_approval_once_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_approval_content_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_approval_once_status(ngx_http_approval_hold_t *hold);

/* variables.c */
ngx_int_t ngx_http_approval_add_variables(ngx_conf_t *cf);


#endif /* NGX_HTTP_APPROVAL_PHASE_H */
