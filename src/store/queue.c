
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


static void ngx_http_approval_queue_claimed(ngx_http_approval_op_t *op,
    redisReply *reply);
static void ngx_http_approval_queue_each(ngx_http_approval_op_t *op,
    redisReply *reply);
static ngx_int_t ngx_http_approval_queue_item(redisReply *item,
    ngx_http_approval_claim_t *claim);
static ngx_int_t ngx_http_approval_queue_text(redisReply *value,
    ngx_str_t *s);


ngx_int_t
ngx_http_approval_queue_add(ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_entry_t *entries, ngx_uint_t n, ngx_msec_t lease,
    ngx_http_approval_store_pt handler, void *data)
{
    u_char                   ms[NGX_INT64_LEN];
    u_char                   due[NGX_HTTP_APPROVAL_QUEUE_BATCH][NGX_INT64_LEN];
    ngx_str_t                args[1 + 4 * NGX_HTTP_APPROVAL_QUEUE_BATCH];
    ngx_str_t               *arg;
    ngx_uint_t               i;
    ngx_http_approval_op_t  *op;

    if (n > NGX_HTTP_APPROVAL_QUEUE_BATCH) {
        return NGX_ERROR;
    }

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_QUEUE_ADD,
                                     id, handler, data);
    if (op == NULL) {
        return NGX_ERROR;
    }

    ngx_http_approval_number(&args[0], ms, lease);

    for (i = 0; i < n; i++) {
        arg = &args[1 + 4 * i];

        arg[0].data = entries[i].name;
        arg[0].len = ngx_strlen(entries[i].name);
        arg[1] = entries[i].payload;
        ngx_http_approval_number(&arg[2], due[i], entries[i].due);

        if (entries[i].mine) {
            ngx_str_set(&arg[3], "1");

        } else {
            ngx_str_set(&arg[3], "0");
        }
    }

    if (ngx_http_approval_op_send(op, NULL, 1 + 4 * n, args) != NGX_OK) {
        ngx_http_approval_op_free(op);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_queue_claim(ngx_http_approval_store_t *store,
    ngx_uint_t limit, ngx_msec_t lease, ngx_http_approval_claim_pt claim,
    void *data)
{
    u_char                   n[NGX_INT64_LEN], ms[NGX_INT64_LEN];
    ngx_str_t                args[2];
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store,
                                     NGX_HTTP_APPROVAL_SCRIPT_QUEUE_CLAIM,
                                     NULL, NULL, data);
    if (op == NULL) {
        return NGX_ERROR;
    }

    op->done = ngx_http_approval_queue_claimed;
    op->claim = claim;

    ngx_http_approval_number(&args[0], n, limit);
    ngx_http_approval_number(&args[1], ms, lease);

    if (ngx_http_approval_op_send(op, "deliver", 2, args) != NGX_OK) {
        ngx_http_approval_op_free(op);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_http_approval_op_t *
ngx_http_approval_queue_keep(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *name, ngx_uint_t attempt, ngx_msec_t ms,
    ngx_http_approval_keep_e why, ngx_http_approval_store_pt handler,
    void *data)
{
    u_char                   n[NGX_INT64_LEN], time[NGX_INT64_LEN];
    u_char                   reason[NGX_INT64_LEN];
    ngx_str_t                args[4];
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store,
                                     NGX_HTTP_APPROVAL_SCRIPT_QUEUE_KEEP, id,
                                     handler, data);
    if (op == NULL) {
        return NULL;
    }

    args[0] = *name;
    ngx_http_approval_number(&args[1], n, attempt);
    ngx_http_approval_number(&args[2], time, ms);
    ngx_http_approval_number(&args[3], reason, why);

    if (ngx_http_approval_op_send(op, NULL, 4, args) != NGX_OK) {
        ngx_http_approval_op_free(op);
        return NULL;
    }

    return op;
}


void
ngx_http_approval_queue_done(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *name, ngx_uint_t attempt, ngx_uint_t sent, ngx_msec_t again,
    ngx_str_t *payload)
{
    u_char                   n[NGX_INT64_LEN], ms[NGX_INT64_LEN];
    ngx_str_t                args[5];
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store,
                                     NGX_HTTP_APPROVAL_SCRIPT_QUEUE_DONE, id,
                                     NULL, NULL);
    if (op == NULL) {
        return;
    }

    args[0] = *name;
    ngx_http_approval_number(&args[1], n, attempt);

    if (sent) {
        ngx_str_set(&args[2], "1");

    } else {
        ngx_str_set(&args[2], "0");
    }

    ngx_http_approval_number(&args[3], ms, again);
    args[4] = *payload;

    if (ngx_http_approval_op_send(op, NULL, 5, args) != NGX_OK) {
        ngx_http_approval_op_free(op);
    }
}


ngx_int_t
ngx_http_approval_queue_outcome(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *state, ngx_str_t *facts, ngx_msec_t lease, ngx_uint_t limit,
    ngx_http_approval_claim_pt claim, void *data)
{
    u_char                   n[NGX_INT64_LEN], ms[NGX_INT64_LEN];
    ngx_str_t                args[4];
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store,
                                     NGX_HTTP_APPROVAL_SCRIPT_QUEUE_OUTCOME,
                                     id, NULL, data);
    if (op == NULL) {
        return NGX_ERROR;
    }

    op->done = ngx_http_approval_queue_claimed;
    op->claim = claim;

    args[0] = *state;
    args[1] = *facts;
    ngx_http_approval_number(&args[2], ms, lease);
    ngx_http_approval_number(&args[3], n, limit);

    if (ngx_http_approval_op_send(op, NULL, 4, args) != NGX_OK) {
        ngx_http_approval_op_free(op);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_approval_queue_claimed(ngx_http_approval_op_t *op, redisReply *reply)
{
    if (reply && reply->type == REDIS_REPLY_ERROR) {
        ngx_http_approval_reply_error(op->store, "deliver", reply);

    } else if (reply && reply->type == REDIS_REPLY_ARRAY
               && reply->elements >= 2
               && reply->element[0]->type == REDIS_REPLY_STRING
               && ngx_strcmp(reply->element[0]->str, "ok") == 0
               && reply->element[1]->type == REDIS_REPLY_INTEGER)
    {
        ngx_http_approval_queue_each(op, reply);
    }

    op->claim(op->data, NULL);

    ngx_http_approval_op_free(op);
}


static void
ngx_http_approval_queue_each(ngx_http_approval_op_t *op, redisReply *reply)
{
    size_t                      i;
    redisReply                 *item;
    ngx_http_approval_claim_t   claim;
    ngx_http_approval_reply_t   action;

    for (i = 2; i < reply->elements; i++) {
        item = reply->element[i];

        if (ngx_http_approval_queue_item(item, &claim) != NGX_OK) {
            continue;
        }

        if (ngx_http_approval_reply_entry(op->store, "deliver",
                                          item->element[5],
                                          reply->element[1]->integer,
                                          &action)
            == NGX_OK)
        {
            claim.action = &action;
            op->claim(op->data, &claim);
        }

        ngx_http_approval_reply_free(&action);
    }
}


static ngx_int_t
ngx_http_approval_queue_item(redisReply *item,
    ngx_http_approval_claim_t *claim)
{
    if (item->type != REDIS_REPLY_ARRAY || item->elements != 6
        || ngx_http_approval_queue_text(item->element[0], &claim->name)
           != NGX_OK
        || ngx_http_approval_queue_text(item->element[1], &claim->payload)
           != NGX_OK
        || ngx_http_approval_queue_text(item->element[2], &claim->facts)
           != NGX_OK
        || item->element[3]->type != REDIS_REPLY_INTEGER
        || item->element[4]->type != REDIS_REPLY_INTEGER
        || claim->name.len >= NGX_HTTP_APPROVAL_QUEUE_NAME)
    {
        return NGX_ERROR;
    }

    claim->attempt = (ngx_uint_t) item->element[3]->integer;
    claim->again = (ngx_uint_t) item->element[4]->integer;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_queue_text(redisReply *value, ngx_str_t *s)
{
    if (value->type != REDIS_REPLY_STRING) {
        return NGX_ERROR;
    }

    s->data = (u_char *) value->str;
    s->len = value->len;

    return NGX_OK;
}


ngx_http_approval_op_t *
ngx_http_approval_store_once(ngx_http_approval_store_t *store, u_char *mark,
    ngx_msec_t ms, ngx_http_approval_store_pt handler, void *data)
{
    u_char                   time[NGX_INT64_LEN];
    ngx_str_t                arg;
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_ONCE,
                                     mark, handler, data);
    if (op == NULL) {
        return NULL;
    }

    ngx_http_approval_number(&arg, time, ms);

    if (ngx_http_approval_op_send(op, NULL, 1, &arg) != NGX_OK) {
        ngx_http_approval_op_free(op);
        return NULL;
    }

    return op;
}
