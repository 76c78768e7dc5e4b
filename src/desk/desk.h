
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The approvers' side: the content handler of approval_api locations.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_H
#define NGX_HTTP_APPROVAL_DESK_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/policy.h"


ngx_int_t ngx_http_approval_desk_handler(ngx_http_request_t *r);


#endif /* NGX_HTTP_APPROVAL_DESK_H */
