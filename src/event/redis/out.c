
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The output buffer with commands for Redis.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/redis/conn.h"


static ngx_int_t ngx_http_approval_redis_out_reserve(
    ngx_http_approval_redis_out_t *out, size_t len, ngx_log_t *log);


ngx_int_t
ngx_http_approval_redis_out_command(ngx_http_approval_redis_out_t *out,
    ngx_uint_t argc, ngx_str_t *argv, ngx_log_t *log)
{
    size_t       size;
    u_char      *p;
    ngx_int_t    rc;
    ngx_uint_t   i;

    size = sizeof("*" CRLF) - 1 + NGX_SIZE_T_LEN;

    for (i = 0; i < argc; i++) {
        if (argv[i].len > NGX_HTTP_APPROVAL_REDIS_OUT_MAX) {
            return NGX_DECLINED;
        }

        size += sizeof("$" CRLF CRLF) - 1 + NGX_SIZE_T_LEN + argv[i].len;
    }

    rc = ngx_http_approval_redis_out_reserve(out, size, log);
    if (rc != NGX_OK) {
        return rc;
    }

    p = ngx_sprintf(out->data + out->len, "*%ui" CRLF, argc);

    for (i = 0; i < argc; i++) {
        p = ngx_sprintf(p, "$%uz" CRLF, argv[i].len);
        p = ngx_cpymem(p, argv[i].data, argv[i].len);
        *p++ = CR;
        *p++ = LF;
    }

    out->len = p - out->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_redis_out_move(ngx_http_approval_redis_out_t *out,
    ngx_http_approval_redis_out_t *from, ngx_log_t *log)
{
    size_t     len;
    ngx_int_t  rc;

    len = from->len - from->pos;

    if (len) {
        rc = ngx_http_approval_redis_out_reserve(out, len, log);
        if (rc != NGX_OK) {
            return rc;
        }

        ngx_memcpy(out->data + out->len, from->data + from->pos, len);
        out->len += len;
    }

    ngx_http_approval_redis_out_free(from);

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_redis_out_reserve(ngx_http_approval_redis_out_t *out,
    size_t len, ngx_log_t *log)
{
    size_t   size, rest;
    u_char  *data;

    if (out->size - out->len >= len) {
        return NGX_OK;
    }

    rest = out->len - out->pos;

    if (rest + len > NGX_HTTP_APPROVAL_REDIS_OUT_MAX) {
        return NGX_DECLINED;
    }

    for (size = 16384; size < rest + len; size *= 2) { /* void */ }

    data = ngx_alloc(size, log);
    if (data == NULL) {
        return NGX_ERROR;
    }

    if (rest) {
        ngx_memcpy(data, out->data + out->pos, rest);
    }

    ngx_http_approval_redis_out_free(out);

    out->data = data;
    out->len = rest;
    out->size = size;

    return NGX_OK;
}


void
ngx_http_approval_redis_out_free(ngx_http_approval_redis_out_t *out)
{
    if (out->data) {
        ngx_free(out->data);
    }

    ngx_memzero(out, sizeof(ngx_http_approval_redis_out_t));
}
