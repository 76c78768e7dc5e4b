
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Actions past their deadline whose holders are gone.  All workers look for
 * them, and Redis gives each action to one worker at a time.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "store/internal.h"


#define NGX_HTTP_APPROVAL_OVERDUE        2000
#define NGX_HTTP_APPROVAL_OVERDUE_MORE   50      /* there may be more     */
#define NGX_HTTP_APPROVAL_OVERDUE_LIMIT  32
#define NGX_HTTP_APPROVAL_OVERDUE_AGAIN  5000    /* until it is offered
                                                    to another worker     */


static void ngx_http_approval_overdue_handler(ngx_event_t *ev);
static void ngx_http_approval_overdue_each(ngx_http_approval_op_t *op,
    u_char *shard, ngx_str_t *member);
static void ngx_http_approval_overdue_reply(ngx_http_approval_op_t *part,
    redisReply *reply);
static void ngx_http_approval_overdue_asked(ngx_http_approval_op_t *op,
    redisReply *reply);


void
ngx_http_approval_overdue_init(ngx_http_approval_store_t *store)
{
    store->overdue.handler = ngx_http_approval_overdue_handler;
    store->overdue.data = store;
    store->overdue.log = store->log;
    store->overdue.cancelable = 1;

    ngx_add_timer(&store->overdue, NGX_HTTP_APPROVAL_OVERDUE);
}


void
ngx_http_approval_overdue_done(ngx_http_approval_store_t *store)
{
    if (store->overdue.timer_set) {
        ngx_del_timer(&store->overdue);
    }
}


static void
ngx_http_approval_overdue_handler(ngx_event_t *ev)
{
    ngx_msec_t                  delay;
    ngx_http_approval_op_t     *op;
    ngx_http_approval_store_t  *store;

    store = ev->data;

    delay = NGX_HTTP_APPROVAL_OVERDUE * 3 / 4;
    delay += (ngx_msec_t) ngx_random() % (NGX_HTTP_APPROVAL_OVERDUE / 2);

    ngx_add_timer(ev, delay);

    if (!ngx_http_approval_store_ready(store)) {
        return;
    }

    ngx_http_approval_usable_probe(store);

    if (store->asking) {
        return;
    }

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_OVERDUE,
                                     NULL, NULL, NULL);

    ngx_http_approval_op_then(op, ngx_http_approval_overdue_asked);

    op = ngx_http_approval_scan(op, NGX_HTTP_APPROVAL_KEY_PENDING,
                                NGX_HTTP_APPROVAL_SCAN_DUE,
                                NGX_HTTP_APPROVAL_OVERDUE_LIMIT,
                                ngx_http_approval_overdue_each);

    store->asking = (op != NULL);
}


static void
ngx_http_approval_overdue_each(ngx_http_approval_op_t *op, u_char *shard,
    ngx_str_t *member)
{
    approval_str_t           id;
    ngx_http_approval_op_t  *part;

    id.data = member->data;
    id.len = member->len;

    if (!approval_id_valid(id)
        || ngx_memcmp(member->data, shard, NGX_HTTP_APPROVAL_SHARD_LEN) != 0)
    {
        ngx_http_approval_store_remove(op->store, "ZREM",
                                       NGX_HTTP_APPROVAL_KEY_PENDING,
                                       shard, NULL, member);
        return;
    }

    part = ngx_http_approval_op_part(op, NGX_HTTP_APPROVAL_SCRIPT_OVERDUE,
                                     member->data,
                                     ngx_http_approval_overdue_reply);
    ngx_http_approval_op_number(part, NGX_HTTP_APPROVAL_OVERDUE_AGAIN);
    ngx_http_approval_op_part_run(part);
}


static void
ngx_http_approval_overdue_reply(ngx_http_approval_op_t *part,
    redisReply *reply)
{
    ngx_http_approval_reply_t   r;
    ngx_http_approval_store_t  *store;

    store = part->store;

    ngx_http_approval_reply_parse(part, reply, &r);

    if (r.rc == NGX_OK && store->events.overdue) {
        store->events.overdue(store->events.data, &r);
    }

    ngx_http_approval_reply_free(&r);
    ngx_http_approval_op_part_end(part);
}


static void
ngx_http_approval_overdue_asked(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_store_t  *store;

    store = op->store;
    store->asking = 0;

    if (ngx_http_approval_scan_found(op) >= NGX_HTTP_APPROVAL_OVERDUE_LIMIT
        && store->overdue.timer_set)
    {
        ngx_del_timer(&store->overdue);
        ngx_add_timer(&store->overdue, NGX_HTTP_APPROVAL_OVERDUE_MORE);
    }

    ngx_http_approval_op_free(op);
}
