
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What Redis sees instead of who and what: a MAC over the parts.
 *
 * By the first key of approval_key, and by each of the others, since what was
 * stored before a new key came first is to be found after that, too.
 */


#ifndef NGX_HTTP_APPROVAL_HASH_H
#define NGX_HTTP_APPROVAL_HASH_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/policy.h"


#define NGX_HTTP_APPROVAL_HASH_LEN  32     /* hex; so much of a MAC is kept */
#define NGX_HTTP_APPROVAL_HASHES                                              \
    (APPROVAL_KEYS_MAX * (NGX_HTTP_APPROVAL_HASH_LEN + 1))


/* "hashes" is made of buf: all of them, by spaces, the first key's first. */

ngx_int_t ngx_http_approval_hashes(ngx_http_approval_main_conf_t *mcf,
    const char *purpose, ngx_str_t *parts, ngx_uint_t n,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes);

/* Is this one of them? */

ngx_uint_t ngx_http_approval_hash_among(ngx_str_t *hashes, ngx_str_t *hash);


/* The purposes that several rooms hash for; each has one part. */

#define NGX_HTTP_APPROVAL_HASH_REQUESTER  "requester"     /* a person */
#define NGX_HTTP_APPROVAL_HASH_POLICY     "policy"        /* its name */


#endif /* NGX_HTTP_APPROVAL_HASH_H */
