
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * How often rules in mode shadow would have held, by day and hour (UTC).
 */


#ifndef NGX_HTTP_APPROVAL_STORE_SHADOW_H
#define NGX_HTTP_APPROVAL_STORE_SHADOW_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/store.h"


#define NGX_HTTP_APPROVAL_SHADOW_DAYS  31
#define NGX_HTTP_APPROVAL_SHADOW_DAY   (sizeof("20260102") - 1)


/* A day's name; "ms" since the epoch. */
void ngx_http_approval_shadow_day(u_char day[NGX_HTTP_APPROVAL_SHADOW_DAY],
    int64_t ms);

/*
 * Counts one request, now, under a hash whose meaning is "sealed".  Errors are
 * ignored: if the store is unavailable, the request is not counted.
 */
void ngx_http_approval_store_shadow(ngx_http_approval_store_t *store,
    int64_t ms, approval_str_t hash, approval_str_t sealed);

/*
 * NGX_OK: "votes" are the day's fields and values, in turn: HASH, sealed;
 * HASH:HH, a number; rest:HH, a number.
 */
ngx_http_approval_op_t *ngx_http_approval_store_shadow_read(
    ngx_http_approval_store_t *store,
    u_char day[NGX_HTTP_APPROVAL_SHADOW_DAY],
    ngx_http_approval_store_pt handler, void *data);


#endif /* NGX_HTTP_APPROVAL_STORE_SHADOW_H */
