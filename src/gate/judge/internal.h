
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the files of judge/ share.
 */


#ifndef NGX_HTTP_APPROVAL_JUDGE_INTERNAL_H
#define NGX_HTTP_APPROVAL_JUDGE_INTERNAL_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


/* The hold's own verdict, to be changed. */
ngx_http_approval_verdict_t *ngx_http_approval_verdict(
    ngx_http_approval_hold_t *hold);

ngx_int_t ngx_http_approval_captures(ngx_http_approval_hold_t *hold);


#endif /* NGX_HTTP_APPROVAL_JUDGE_INTERNAL_H */
