
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What Redis sees instead of who and what: a MAC over the parts.
 */


#ifndef NGX_HTTP_APPROVAL_HASH_H
#define NGX_HTTP_APPROVAL_HASH_H


#include "model/policy.h"


#define NGX_HTTP_APPROVAL_HASH_HEX  (2 * APPROVAL_MAC_LEN)


ngx_int_t ngx_http_approval_hash(ngx_http_approval_main_conf_t *mcf,
    const char *purpose, ngx_str_t *parts, ngx_uint_t n,
    u_char hex[NGX_HTTP_APPROVAL_HASH_HEX]);


/* The purposes that several rooms hash for; each has one part. */

#define NGX_HTTP_APPROVAL_HASH_REQUESTER  "requester"     /* a person */
#define NGX_HTTP_APPROVAL_HASH_POLICY     "policy"        /* its name */


#endif /* NGX_HTTP_APPROVAL_HASH_H */
