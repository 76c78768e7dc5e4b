
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"
#include "store/shadow.h"


/* Fields of one day: about 1 MB, and reading a day reads all of them. */

#define NGX_HTTP_APPROVAL_SHADOW_MAX  5000


static ngx_http_approval_op_t *ngx_http_approval_shadow_op(
    ngx_http_approval_store_t *store, u_char *day,
    ngx_http_approval_store_pt handler, void *data);
static void ngx_http_approval_shadow_done(ngx_http_approval_op_t *op,
    redisReply *reply);


void
ngx_http_approval_shadow_day(u_char day[NGX_HTTP_APPROVAL_SHADOW_DAY],
    int64_t ms)
{
    ngx_tm_t  tm;
    u_char    buf[NGX_HTTP_APPROVAL_SHADOW_DAY + NGX_INT_T_LEN];

    ngx_gmtime((time_t) (ms / 1000), &tm);

    ngx_sprintf(buf, "%4d%02d%02d", tm.ngx_tm_year, tm.ngx_tm_mon,
                tm.ngx_tm_mday);

    ngx_memcpy(day, buf, NGX_HTTP_APPROVAL_SHADOW_DAY);
}


void
ngx_http_approval_store_shadow(ngx_http_approval_store_t *store, int64_t ms,
    approval_str_t hash, approval_str_t sealed)
{
    u_char                   day[NGX_HTTP_APPROVAL_SHADOW_DAY];
    u_char                   hour[NGX_INT_T_LEN], *last;
    ngx_http_approval_op_t  *op;

    ngx_http_approval_shadow_day(day, ms);

    op = ngx_http_approval_shadow_op(store, day, NULL, NULL);

    ngx_http_approval_op_bytes(op, hash.data, hash.len);

    last = ngx_sprintf(hour, "%02d", (int) (ms / 3600000 % 24));
    ngx_http_approval_op_bytes(op, hour, last - hour);

    ngx_http_approval_op_bytes(op, sealed.data, sealed.len);

    ngx_http_approval_op_number(op, NGX_HTTP_APPROVAL_SHADOW_MAX);
    ngx_http_approval_op_number(op, (NGX_HTTP_APPROVAL_SHADOW_DAYS + 1)
                                    * 86400);

    (void) ngx_http_approval_op_run(op);
}


ngx_http_approval_op_t *
ngx_http_approval_store_shadow_read(ngx_http_approval_store_t *store,
    u_char day[NGX_HTTP_APPROVAL_SHADOW_DAY],
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_shadow_op(store, day, handler, data);

    return ngx_http_approval_op_run(op);
}


static ngx_http_approval_op_t *
ngx_http_approval_shadow_op(ngx_http_approval_store_t *store, u_char *day,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_SHADOW,
                                     NULL, handler, data);

    ngx_http_approval_op_then(op, ngx_http_approval_shadow_done);

    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_SHADOW, day,
                             NGX_HTTP_APPROVAL_SHADOW_DAY);

    return op;
}


static void
ngx_http_approval_shadow_done(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_reply_t  r;

    ngx_http_approval_reply_texts(op, reply, &r);

    r.nvotes &= ~(ngx_uint_t) 1;

    ngx_http_approval_op_end(op, &r);

    ngx_http_approval_reply_free(&r);
}
