
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"
#include "store/passkey.h"


/* A record has about 1 KB, and reading the list reads all of them. */

#define NGX_HTTP_APPROVAL_PASSKEYS_MAX  4096


static ngx_http_approval_op_t *ngx_http_approval_passkey_op(
    ngx_http_approval_store_t *store, const char *what, u_char *name,
    u_char *nonce, ngx_http_approval_store_pt handler, void *data);
static void ngx_http_approval_passkey_done(ngx_http_approval_op_t *op,
    redisReply *reply);


ngx_http_approval_op_t *
ngx_http_approval_store_passkeys(ngx_http_approval_store_t *store,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_passkey_op(store, "list", NULL, NULL, handler,
                                      data);

    return ngx_http_approval_op_run(op);
}


ngx_http_approval_op_t *
ngx_http_approval_store_passkey_get(ngx_http_approval_store_t *store,
    u_char *name, ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_passkey_op(store, "get", name, NULL, handler, data);

    return ngx_http_approval_op_run(op);
}


ngx_http_approval_op_t *
ngx_http_approval_store_passkey_put(ngx_http_approval_store_t *store,
    u_char *name, ngx_str_t *old, ngx_str_t *new, ngx_str_t *end,
    int64_t since, ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_passkey_op(store, "put", name, NULL, handler, data);

    ngx_http_approval_op_arg(op, old);
    ngx_http_approval_op_arg(op, new);
    ngx_http_approval_op_number(op, NGX_HTTP_APPROVAL_PASSKEYS_MAX);
    ngx_http_approval_op_arg(op, end);
    ngx_http_approval_op_number(op, since);

    return ngx_http_approval_op_run(op);
}


ngx_http_approval_op_t *
ngx_http_approval_store_passkey_use(ngx_http_approval_store_t *store,
    u_char *name, ngx_str_t *record, u_char *nonce, uint32_t count,
    uint32_t first, ngx_msec_t ms, ngx_http_approval_store_pt handler,
    void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_passkey_op(store, "use", name, nonce, handler,
                                      data);

    ngx_http_approval_op_arg(op, record);
    ngx_http_approval_op_number(op, count);
    ngx_http_approval_op_number(op, first);
    ngx_http_approval_op_number(op, ms);

    return ngx_http_approval_op_run(op);
}


/* All passkeys are in the first shard, which always exists. */

static ngx_http_approval_op_t *
ngx_http_approval_passkey_op(ngx_http_approval_store_t *store,
    const char *what, u_char *name, u_char *nonce,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_PASSKEY,
                                     NULL, handler, data);

    ngx_http_approval_op_then(op, ngx_http_approval_passkey_done);

    ngx_http_approval_op_shard(op, (u_char *) "00");

    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_PASSKEYS, NULL, 0);
    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_PASSKEYS_USED, NULL, 0);
    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_PASSKEYS_ENDED, NULL, 0);

    if (nonce) {
        ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_ONCE, nonce,
                                 APPROVAL_ID_LEN);
    }

    ngx_http_approval_op_text(op, what);

    if (name) {
        ngx_http_approval_op_bytes(op, name, APPROVAL_ID_LEN);
    }

    return op;
}


/* {now, text...} */

static void
ngx_http_approval_passkey_done(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_reply_t  r;

    ngx_http_approval_reply_texts(op, reply, &r);

    if (r.nvotes) {
        r.now = ngx_atoof(r.votes[0].data, r.votes[0].len);
        r.nvotes--;

        ngx_memmove(r.votes, r.votes + 1, r.nvotes * sizeof(ngx_str_t));
    }

    if (r.now <= 0) {
        r.rc = NGX_ERROR;
    }

    ngx_http_approval_op_end(op, &r);

    ngx_http_approval_reply_free(&r);
}
