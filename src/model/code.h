
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The short code that an approver of a critical action copies from the message
 * into the form.  It proves that the message was read, but not by whom.
 */


#ifndef NGX_HTTP_APPROVAL_CODE_H
#define NGX_HTTP_APPROVAL_CODE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/policy.h"


#define NGX_HTTP_APPROVAL_CODE_LEN  6      /* decimal digits */


/* Computed with the first key, so a rotation invalidates older codes. */
ngx_int_t ngx_http_approval_code(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_str_t *digest, u_char code[NGX_HTTP_APPROVAL_CODE_LEN]);


#endif /* NGX_HTTP_APPROVAL_CODE_H */
