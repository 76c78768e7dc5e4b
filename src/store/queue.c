
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/request.h"
#include "store/internal.h"


static ngx_http_approval_op_t *ngx_http_approval_queue_op(
    ngx_http_approval_store_t *store, ngx_http_approval_script_e script,
    u_char *id, ngx_http_approval_store_pt handler, void *data);
static void ngx_http_approval_queue_keys(ngx_http_approval_op_t *op,
    u_char *id);
static void ngx_http_approval_queue_due(ngx_http_approval_op_t *op,
    u_char *shard, ngx_str_t *member);
static void ngx_http_approval_queue_ended(ngx_http_approval_op_t *op,
    redisReply *reply);
static void ngx_http_approval_queue_claimed(ngx_http_approval_op_t *part,
    redisReply *reply);
static void ngx_http_approval_queue_told(ngx_http_approval_op_t *op,
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
    ngx_uint_t               i;
    ngx_http_approval_op_t  *op;

    if (n > NGX_HTTP_APPROVAL_QUEUE_BATCH) {
        return NGX_ERROR;
    }

    op = ngx_http_approval_queue_op(store, NGX_HTTP_APPROVAL_SCRIPT_QUEUE_ADD,
                                    id, handler, data);

    ngx_http_approval_op_number(op, lease);

    for (i = 0; i < n; i++) {
        ngx_http_approval_op_text(op, (char *) entries[i].name);
        ngx_http_approval_op_arg(op, &entries[i].payload);
        ngx_http_approval_op_number(op, entries[i].due);
        ngx_http_approval_op_text(op, entries[i].mine ? "1" : "0");
    }

    return ngx_http_approval_op_run(op) ? NGX_OK : NGX_ERROR;
}


static ngx_http_approval_op_t *
ngx_http_approval_queue_op(ngx_http_approval_store_t *store,
    ngx_http_approval_script_e script, u_char *id,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, script, id, handler, data);

    ngx_http_approval_queue_keys(op, id);

    return op;
}


static void
ngx_http_approval_queue_keys(ngx_http_approval_op_t *op, u_char *id)
{
    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_MESSAGES, id,
                             APPROVAL_ID_LEN);
    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_DELIVER, NULL, 0);
}


ngx_int_t
ngx_http_approval_queue_claim(ngx_http_approval_store_t *store,
    ngx_uint_t limit, ngx_msec_t lease, ngx_http_approval_claim_pt claim,
    void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_SCAN,
                                     NULL, NULL, data);
    if (op == NULL) {
        return NGX_ERROR;
    }

    op->done = ngx_http_approval_queue_ended;
    op->claim = claim;
    op->lease = lease;

    op = ngx_http_approval_scan(op, NGX_HTTP_APPROVAL_KEY_DELIVER,
                                NGX_HTTP_APPROVAL_SCAN_DUE, limit,
                                ngx_http_approval_queue_due);

    return op ? NGX_OK : NGX_ERROR;
}


/* ID:NAME */

static void
ngx_http_approval_queue_due(ngx_http_approval_op_t *op, u_char *shard,
    ngx_str_t *member)
{
    approval_str_t           id;
    ngx_http_approval_op_t  *part;

    id.data = member->data;
    id.len = APPROVAL_ID_LEN;

    if (member->len <= APPROVAL_ID_LEN + 1
        || member->data[APPROVAL_ID_LEN] != ':'
        || !approval_id_valid(id)
        || ngx_memcmp(id.data, shard, NGX_HTTP_APPROVAL_SHARD_LEN) != 0)
    {
        ngx_http_approval_store_remove(op->store, "ZREM",
                                       NGX_HTTP_APPROVAL_KEY_DELIVER,
                                       shard, NULL, member);
        return;
    }

    part = ngx_http_approval_op_part(op, NGX_HTTP_APPROVAL_SCRIPT_QUEUE_CLAIM,
                                     member->data,
                                     ngx_http_approval_queue_claimed);

    ngx_http_approval_queue_keys(part, member->data);
    ngx_http_approval_op_bytes(part, member->data + APPROVAL_ID_LEN + 1,
                               member->len - APPROVAL_ID_LEN - 1);
    ngx_http_approval_op_number(part, op->lease);

    ngx_http_approval_op_part_run(part);
}


static void
ngx_http_approval_queue_ended(ngx_http_approval_op_t *op, redisReply *reply)
{
    op->claim(op->data, NULL);

    ngx_http_approval_op_free(op);
}


ngx_http_approval_op_t *
ngx_http_approval_queue_keep(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *name, ngx_uint_t attempt, ngx_msec_t ms,
    ngx_http_approval_keep_e why, ngx_http_approval_store_pt handler,
    void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_queue_op(store, NGX_HTTP_APPROVAL_SCRIPT_QUEUE_KEEP,
                                    id, handler, data);

    ngx_http_approval_op_arg(op, name);
    ngx_http_approval_op_number(op, attempt);
    ngx_http_approval_op_number(op, ms);
    ngx_http_approval_op_number(op, why);

    return ngx_http_approval_op_run(op);
}


void
ngx_http_approval_queue_done(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *name, ngx_uint_t attempt, ngx_uint_t sent, ngx_msec_t again,
    ngx_str_t *payload)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_queue_op(store, NGX_HTTP_APPROVAL_SCRIPT_QUEUE_DONE,
                                    id, NULL, NULL);

    ngx_http_approval_op_arg(op, name);
    ngx_http_approval_op_number(op, attempt);
    ngx_http_approval_op_text(op, sent ? "1" : "0");
    ngx_http_approval_op_number(op, again);
    ngx_http_approval_op_arg(op, payload);

    (void) ngx_http_approval_op_run(op);
}


ngx_int_t
ngx_http_approval_queue_outcome(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *state, ngx_str_t *facts, ngx_msec_t lease, ngx_uint_t limit,
    ngx_http_approval_claim_pt claim, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_queue_op(store,
                                    NGX_HTTP_APPROVAL_SCRIPT_QUEUE_OUTCOME,
                                    id, NULL, data);

    if (op == NULL) {
        return NGX_ERROR;
    }

    op->done = ngx_http_approval_queue_told;
    op->claim = claim;

    ngx_http_approval_op_arg(op, state);
    ngx_http_approval_op_arg(op, facts);
    ngx_http_approval_op_number(op, lease);
    ngx_http_approval_op_number(op, limit);

    return ngx_http_approval_op_run(op) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_approval_queue_claimed(ngx_http_approval_op_t *part,
    redisReply *reply)
{
    part->claim = part->whole->claim;
    part->data = part->whole->data;

    ngx_http_approval_queue_each(part, reply);
    ngx_http_approval_op_part_end(part);
}


static void
ngx_http_approval_queue_told(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_queue_each(op, reply);
    ngx_http_approval_queue_ended(op, reply);
}


/* {"ok", now, item...} */

static void
ngx_http_approval_queue_each(ngx_http_approval_op_t *op, redisReply *reply)
{
    size_t                      i;
    redisReply                 *item;
    ngx_http_approval_claim_t   claim;
    ngx_http_approval_reply_t   action;

    if (ngx_http_approval_reply_ok(op, reply) != NGX_OK) {
        return;
    }

    for (i = 2; i < reply->elements; i++) {
        item = reply->element[i];

        if (ngx_http_approval_queue_item(item, &claim) != NGX_OK) {
            continue;
        }

        if (ngx_http_approval_reply_entry(op, item->element[5],
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
        || claim->name.len >= NGX_HTTP_APPROVAL_QUEUE_NAME
        || !approval_plain(ngx_http_approval_core_str(&claim->name)))
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
