
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A page of actions, in parts: Redis serves others between them.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


#define NGX_HTTP_APPROVAL_LIST_PART    32      /* actions a part         */
#define NGX_HTTP_APPROVAL_LIST_BUDGET  1000    /* looked at for a part   */


static ngx_int_t ngx_http_approval_list_send(ngx_http_approval_op_t *op);
static void ngx_http_approval_list_done(ngx_http_approval_op_t *op,
    redisReply *reply);
static ngx_int_t ngx_http_approval_list_part(ngx_http_approval_op_t *op,
    redisReply *reply);
static ngx_uint_t ngx_http_approval_list_advance(ngx_http_approval_op_t *op,
    redisReply *before, redisReply *below);


ngx_http_approval_op_t *
ngx_http_approval_store_list(ngx_http_approval_store_t *store, ngx_uint_t open,
    int64_t before, u_char *before_id, ngx_uint_t limit,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_LIST,
                                     NULL, handler, data);
    if (op == NULL) {
        return NULL;
    }

    op->done = ngx_http_approval_list_done;
    op->open = open;
    op->left = limit ? limit : 1;
    op->before = before;

    if (before && before_id) {
        ngx_memcpy(op->below, before_id, APPROVAL_ID_LEN);
    }

    if (ngx_http_approval_list_send(op) != NGX_OK) {
        ngx_http_approval_op_free(op);
        return NULL;
    }

    return op;
}


static ngx_int_t
ngx_http_approval_list_send(ngx_http_approval_op_t *op)
{
    u_char     before[NGX_INT64_LEN], limit[NGX_INT64_LEN],
               budget[NGX_INT64_LEN];
    ngx_str_t  args[5];

    if (op->open) {
        ngx_str_set(&args[0], "1");

    } else {
        ngx_str_set(&args[0], "0");
    }

    ngx_http_approval_number(&args[1], before, op->before);

    args[2].data = op->below;
    args[2].len = op->below[0] ? APPROVAL_ID_LEN : 0;

    ngx_http_approval_number(&args[3], limit,
                             ngx_min(op->left, NGX_HTTP_APPROVAL_LIST_PART));
    ngx_http_approval_number(&args[4], budget, NGX_HTTP_APPROVAL_LIST_BUDGET);

    return ngx_http_approval_op_send(op, "actions", 5, args);
}


static void
ngx_http_approval_list_done(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_int_t                  rc;
    ngx_http_approval_reply_t  r;

    rc = ngx_http_approval_list_part(op, reply);

    if (rc == NGX_AGAIN && op->handler) {
        rc = ngx_http_approval_list_send(op);

        if (rc == NGX_OK) {
            return;
        }

        rc = NGX_ERROR;
    }

    ngx_memzero(&r, sizeof(ngx_http_approval_reply_t));

    r.rc = (rc == NGX_DONE) ? NGX_DONE : NGX_ERROR;
    r.state = NGX_HTTP_APPROVAL_UNKNOWN;

    ngx_http_approval_op_end(op, &r);
}


/* {"ok", now, before, below, action...}; NGX_AGAIN: it is not the last part */

static ngx_int_t
ngx_http_approval_list_part(ngx_http_approval_op_t *op, redisReply *reply)
{
    size_t                      i;
    ngx_http_approval_reply_t   r;
    ngx_http_approval_store_t  *store;

    store = op->store;

    if (reply == NULL) {
        return NGX_ERROR;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_http_approval_reply_error(store, "list", reply);
        return NGX_ERROR;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 4
        || reply->element[1]->type != REDIS_REPLY_INTEGER)
    {
        return NGX_ERROR;
    }

    for (i = 4; i < reply->elements; i++) {

        if (ngx_http_approval_reply_entry(store, "list", reply->element[i],
                                          reply->element[1]->integer, &r)
            == NGX_OK
            && op->handler)
        {
            op->handler(op->data, &r);
        }

        ngx_http_approval_reply_free(&r);

        if (op->left) {
            op->left--;
        }
    }

    if (op->left == 0
        || !ngx_http_approval_list_advance(op, reply->element[2],
                                           reply->element[3]))
    {
        return NGX_DONE;
    }

    return NGX_AGAIN;
}


/* A position that does not advance would never come to an end. */

static ngx_uint_t
ngx_http_approval_list_advance(ngx_http_approval_op_t *op, redisReply *before,
    redisReply *below)
{
    int64_t    time;
    ngx_int_t  rc;

    if (before->type != REDIS_REPLY_INTEGER
        || below->type != REDIS_REPLY_STRING
        || below->len != APPROVAL_ID_LEN)
    {
        return 0;
    }

    time = before->integer;

    if (op->before) {
        rc = op->below[0]
             ? ngx_memcmp(below->str, op->below, APPROVAL_ID_LEN) : 0;

        if (time > op->before || (time == op->before && rc >= 0)) {
            return 0;
        }
    }

    op->before = time;
    ngx_memcpy(op->below, below->str, APPROVAL_ID_LEN);

    return 1;
}
