
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What is no action's own: grants (approvals that are remembered), what is
 * frozen, which calls are given up, and how much a requester asks for.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


#define NGX_HTTP_APPROVAL_GRANTS_LIMIT  1000
#define NGX_HTTP_APPROVAL_GIVEN_UP      5000     /* ms, before the call came */


static ngx_http_approval_op_t *ngx_http_approval_grants_run(
    ngx_http_approval_store_t *store, ngx_http_approval_script_e script,
    const char *shared, ngx_uint_t nargs, ngx_str_t *args,
    ngx_http_approval_store_pt handler, void *data);
static void ngx_http_approval_grants_reply(ngx_http_approval_op_t *op,
    redisReply *reply);
static ngx_int_t ngx_http_approval_grants_each(ngx_http_approval_op_t *op,
    redisReply *reply);


ngx_http_approval_op_t *
ngx_http_approval_store_grants(ngx_http_approval_store_t *store,
    ngx_http_approval_store_pt handler, void *data)
{
    u_char     limit[NGX_INT64_LEN];
    ngx_str_t  args[1];

    ngx_http_approval_number(&args[0], limit, NGX_HTTP_APPROVAL_GRANTS_LIMIT);

    return ngx_http_approval_grants_run(store,
                                        NGX_HTTP_APPROVAL_SCRIPT_GRANTS,
                                        "grants", 1, args, handler, data);
}


ngx_http_approval_op_t *
ngx_http_approval_store_revoke(ngx_http_approval_store_t *store, u_char *grant,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_str_t  args[1];

    args[0].data = grant;
    args[0].len = APPROVAL_ID_LEN;

    return ngx_http_approval_grants_run(store,
                                        NGX_HTTP_APPROVAL_SCRIPT_REVOKE,
                                        "grants", 1, args, handler, data);
}


ngx_http_approval_op_t *
ngx_http_approval_store_freeze(ngx_http_approval_store_t *store,
    ngx_str_t *hashes, ngx_http_approval_freeze_e how, int64_t until,
    ngx_str_t *doc, ngx_http_approval_store_pt handler, void *data)
{
    u_char     end[NGX_INT64_LEN];
    ngx_str_t  args[4];

    args[0] = *hashes;
    ngx_http_approval_number(&args[1], end, until);
    args[2] = *doc;
    ngx_str_set(&args[3], "carry");

    return ngx_http_approval_grants_run(store,
                              NGX_HTTP_APPROVAL_SCRIPT_FREEZE, "frozen",
                              how == NGX_HTTP_APPROVAL_FREEZE_CARRY ? 4 : 3,
                              args, handler, data);
}


ngx_http_approval_op_t *
ngx_http_approval_store_thaw(ngx_http_approval_store_t *store,
    ngx_str_t *hashes, ngx_http_approval_store_pt handler, void *data)
{
    return ngx_http_approval_grants_run(store, NGX_HTTP_APPROVAL_SCRIPT_THAW,
                                        "frozen", 1, hashes, handler, data);
}


ngx_http_approval_op_t *
ngx_http_approval_store_frozen(ngx_http_approval_store_t *store,
    ngx_http_approval_store_pt handler, void *data)
{
    return ngx_http_approval_grants_run(store,
                                        NGX_HTTP_APPROVAL_SCRIPT_FROZEN,
                                        "frozen", 0, NULL, handler, data);
}


ngx_http_approval_op_t *
ngx_http_approval_store_give_up(ngx_http_approval_store_t *store,
    ngx_str_t *hashes, ngx_http_approval_store_pt handler, void *data)
{
    u_char     ms[NGX_INT64_LEN];
    ngx_str_t  args[2];

    args[0] = *hashes;
    ngx_http_approval_number(&args[1], ms, NGX_HTTP_APPROVAL_GIVEN_UP);

    return ngx_http_approval_grants_run(store,
                                        NGX_HTTP_APPROVAL_SCRIPT_GIVE_UP,
                                        "calls", 2, args, handler, data);
}


ngx_http_approval_op_t *
ngx_http_approval_store_recent(ngx_http_approval_store_t *store,
    ngx_str_t *hashes, ngx_http_approval_store_pt handler, void *data)
{
    return ngx_http_approval_grants_run(store,
                                        NGX_HTTP_APPROVAL_SCRIPT_RECENT,
                                        "recent", 1, hashes, handler, data);
}


static ngx_http_approval_op_t *
ngx_http_approval_grants_run(ngx_http_approval_store_t *store,
    ngx_http_approval_script_e script, const char *shared, ngx_uint_t nargs,
    ngx_str_t *args, ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, script, NULL, handler, data);
    if (op == NULL) {
        return NULL;
    }

    if (script == NGX_HTTP_APPROVAL_SCRIPT_GRANTS
        || script == NGX_HTTP_APPROVAL_SCRIPT_FROZEN)
    {
        op->done = ngx_http_approval_grants_reply;
    }

    if (ngx_http_approval_op_send(op, shared, nargs, args) != NGX_OK) {
        ngx_http_approval_op_free(op);
        return NULL;
    }

    return op;
}


static void
ngx_http_approval_grants_reply(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_reply_t  r;

    ngx_memzero(&r, sizeof(ngx_http_approval_reply_t));

    r.rc = ngx_http_approval_grants_each(op, reply);
    r.state = NGX_HTTP_APPROVAL_UNKNOWN;

    ngx_http_approval_op_end(op, &r);
}


static ngx_int_t
ngx_http_approval_grants_each(ngx_http_approval_op_t *op, redisReply *reply)
{
    size_t                      i;
    int64_t                     now;
    ngx_http_approval_reply_t   r;

    if (reply == NULL) {
        return NGX_ERROR;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2
        || reply->element[1]->type != REDIS_REPLY_INTEGER)
    {
        if (reply->type == REDIS_REPLY_ERROR) {
            ngx_http_approval_reply_error(op->store,
                                          op->store->scripts[op->script].name,
                                          reply);
        }

        return NGX_ERROR;
    }

    now = reply->element[1]->integer;

    for (i = 2; i < reply->elements && op->handler; i++) {
        if (ngx_http_approval_reply_entry(op->store,
                                          op->store->scripts[op->script].name,
                                          reply->element[i], now, &r)
            == NGX_OK)
        {
            op->handler(op->data, &r);
        }

        ngx_http_approval_reply_free(&r);
    }

    return NGX_DONE;
}
