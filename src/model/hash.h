
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Redis sees hashes instead of names and values: a MAC over the parts.
 *
 * There is one hash by each key of approval_key.  The first key is used for
 * storing.  The others find data that was stored before a new key was added.
 */


#ifndef NGX_HTTP_APPROVAL_HASH_H
#define NGX_HTTP_APPROVAL_HASH_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/policy.h"


#define NGX_HTTP_APPROVAL_HASH_LEN  32     /* hex; so much of a MAC is kept */
#define NGX_HTTP_APPROVAL_HASHES                                              \
    (APPROVAL_KEYS_MAX * (NGX_HTTP_APPROVAL_HASH_LEN + 1))


/* Stores all hashes in buf, separated by spaces, the first key's first. */

ngx_int_t ngx_http_approval_hashes(ngx_http_approval_main_conf_t *mcf,
    const char *purpose, ngx_str_t *parts, ngx_uint_t n,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes);

/* Whether hash is one of these. */

ngx_uint_t ngx_http_approval_hash_among(ngx_str_t *hashes, ngx_str_t *hash);


/* Purposes of hashes that several rooms use; each has one part. */

#define NGX_HTTP_APPROVAL_HASH_REQUESTER  "requester"     /* a person */
#define NGX_HTTP_APPROVAL_HASH_POLICY     "policy"        /* its name */


#endif /* NGX_HTTP_APPROVAL_HASH_H */
