
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Shared by the files of request/, and included by no others.
 */


#ifndef NGX_HTTP_APPROVAL_REQUEST_INTERNAL_H
#define NGX_HTTP_APPROVAL_REQUEST_INTERNAL_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/request.h"


/* target.c: read the path, the whole target, its query, an argument */

void ngx_http_approval_read_paths(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
void ngx_http_approval_read_target(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
void ngx_http_approval_read_query(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
void ngx_http_approval_read_argument(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);


/* read.c: arguments that override the method; ends with a null */

extern ngx_str_t  ngx_http_approval_override_args[];


/* header.c: letters and digits; others become "_", as in CGI's names */

u_char ngx_http_approval_header_letter(u_char c);


#endif /* NGX_HTTP_APPROVAL_REQUEST_INTERNAL_H */
