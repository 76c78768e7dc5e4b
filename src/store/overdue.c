
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Actions past their deadline whose holders are gone: all workers look for
 * them, and Redis hands out each to one at a time.
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
static void ngx_http_approval_overdue_reply(ngx_http_approval_op_t *op,
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
    u_char                      limit[NGX_INT64_LEN], again[NGX_INT64_LEN];
    ngx_str_t                   args[2];
    ngx_msec_t                  delay;
    ngx_http_approval_op_t     *op;
    ngx_http_approval_store_t  *store;

    store = ev->data;

    delay = NGX_HTTP_APPROVAL_OVERDUE * 3 / 4;
    delay += (ngx_msec_t) ngx_random() % (NGX_HTTP_APPROVAL_OVERDUE / 2);

    ngx_add_timer(ev, delay);

    if (store->asking || !ngx_http_approval_store_ready(store)) {
        return;
    }

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_OVERDUE,
                                     NULL, NULL, NULL);
    if (op == NULL) {
        return;
    }

    op->done = ngx_http_approval_overdue_reply;

    ngx_http_approval_number(&args[0], limit, NGX_HTTP_APPROVAL_OVERDUE_LIMIT);
    ngx_http_approval_number(&args[1], again, NGX_HTTP_APPROVAL_OVERDUE_AGAIN);

    if (ngx_http_approval_op_send(op, "pending", 2, args) != NGX_OK) {
        ngx_http_approval_op_free(op);
        return;
    }

    store->asking = 1;
}


static void
ngx_http_approval_overdue_reply(ngx_http_approval_op_t *op, redisReply *reply)
{
    size_t                      i;
    int64_t                     now;
    ngx_http_approval_reply_t   r;
    ngx_http_approval_store_t  *store;

    store = op->store;
    store->asking = 0;

    ngx_http_approval_op_free(op);

    if (reply == NULL) {
        return;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2
        || reply->element[1]->type != REDIS_REPLY_INTEGER)
    {
        if (reply->type == REDIS_REPLY_ERROR) {
            ngx_http_approval_reply_error(store, "overdue", reply);
        }

        return;
    }

    now = reply->element[1]->integer;

    for (i = 2; i < reply->elements; i++) {
        if (ngx_http_approval_reply_entry(store, "overdue", reply->element[i],
                                          now, &r)
            == NGX_OK
            && store->events.overdue)
        {
            store->events.overdue(store->events.data, &r);
        }

        ngx_http_approval_reply_free(&r);
    }

    if (reply->elements == NGX_HTTP_APPROVAL_OVERDUE_LIMIT + 2
        && store->overdue.timer_set)
    {
        ngx_del_timer(&store->overdue);
        ngx_add_timer(&store->overdue, NGX_HTTP_APPROVAL_OVERDUE_MORE);
    }
}
