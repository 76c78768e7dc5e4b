
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A used approval must stay used when a replica becomes the primary.  So all
 * scripts that use one are sent over a separate connection, with one WAIT after
 * those of the same turn of the event loop, and no request is forwarded before
 * enough replicas have acknowledged its script.
 *
 * WAIT concerns the writes of its own connection and blocks later commands.  So
 * there is only one at a time, and any script that has its reply when WAIT
 * replies was sent before the WAIT.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "store/internal.h"


static void ngx_http_approval_replicas_ask(ngx_event_t *ev);
static ngx_msec_t ngx_http_approval_replicas_timeout(
    ngx_http_approval_store_t *store);
static void ngx_http_approval_replicas_handler(void *data, redisReply *reply);
static void ngx_http_approval_replicas_short(ngx_http_approval_store_t *store,
    redisReply *reply);
static void ngx_http_approval_replicas_end(ngx_http_approval_store_t *store,
    ngx_uint_t replicated);


ngx_int_t
ngx_http_approval_replicas_init(ngx_http_approval_store_t *store)
{
    ngx_http_approval_replicas_t  *rs;

    rs = &store->replicas;

    ngx_queue_init(&rs->ops);

    if (store->conf->replicas == 0) {
        return NGX_OK;
    }

    rs->ask.handler = ngx_http_approval_replicas_ask;
    rs->ask.data = store;
    rs->ask.log = store->log;

    rs->redis = ngx_http_approval_redis_create(&store->conf->redis, store->log,
                                               NULL, NULL, NULL);

    return rs->redis ? NGX_OK : NGX_ERROR;
}


void
ngx_http_approval_replicas_done(ngx_http_approval_store_t *store)
{
    ngx_queue_t                   *q;
    ngx_http_approval_op_t        *op;
    ngx_http_approval_replicas_t  *rs;

    rs = &store->replicas;

    if (rs->redis) {
        ngx_http_approval_redis_destroy(rs->redis);
    }

    if (rs->ask.posted) {
        ngx_delete_posted_event(&rs->ask);
    }

    while (!ngx_queue_empty(&rs->ops)) {
        q = ngx_queue_head(&rs->ops);
        op = ngx_queue_data(q, ngx_http_approval_op_t, queue);

        ngx_queue_remove(q);
        freeReplyObject(op->kept);
        ngx_http_approval_op_free(op);
    }
}


ngx_http_approval_redis_t *
ngx_http_approval_replicas_link(ngx_http_approval_op_t *op)
{
    ngx_http_approval_replicas_t  *rs;

    rs = &op->store->replicas;

    if (!op->uses || rs->redis == NULL) {
        return op->store->redis;
    }

    /* posted before the link's flush, so both go out in one write */

    if (rs->asked) {
        rs->more = 1;

    } else {
        ngx_post_event(&rs->ask, &ngx_posted_events);
    }

    return rs->redis;
}


ngx_int_t
ngx_http_approval_replicas_have(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_replicas_t  *rs;

    rs = &op->store->replicas;

    if (!op->uses || rs->redis == NULL) {
        return NGX_OK;
    }

    if (op->kept) {
        return op->replicated ? NGX_OK : NGX_DECLINED;
    }

    ngx_http_approval_redis_keep(rs->redis);

    op->kept = reply;
    ngx_queue_insert_tail(&rs->ops, &op->queue);

    if (!rs->asked) {
        ngx_post_event(&rs->ask, &ngx_posted_events);
    }

    return NGX_AGAIN;
}


static void
ngx_http_approval_replicas_ask(ngx_event_t *ev)
{
    u_char                         n[NGX_INT_T_LEN], ms[NGX_INT_T_LEN];
    ngx_str_t                      argv[3];
    ngx_http_approval_store_t     *store;
    ngx_http_approval_replicas_t  *rs;

    store = ev->data;
    rs = &store->replicas;

    if (rs->asked) {
        return;
    }

    rs->more = 0;

    ngx_str_set(&argv[0], "WAIT");
    argv[1].data = n;
    argv[1].len = ngx_sprintf(n, "%ui", store->conf->replicas) - n;
    argv[2].data = ms;
    argv[2].len = ngx_sprintf(ms, "%M",
                              ngx_http_approval_replicas_timeout(store)) - ms;

    if (ngx_http_approval_redis_command(rs->redis, 3, argv,
                                        ngx_http_approval_replicas_handler,
                                        store)
        == NGX_OK)
    {
        rs->asked = 1;
        return;
    }

    ngx_http_approval_replicas_end(store, 0);
}


/*
 * Half of the link's timeout, because a script may have to wait behind a WAIT
 * and the link is closed if its reply takes longer.  0 would be for ever.
 */

static ngx_msec_t
ngx_http_approval_replicas_timeout(ngx_http_approval_store_t *store)
{
    return ngx_max(store->conf->redis.timeout / 2, 1);
}


static void
ngx_http_approval_replicas_handler(void *data, redisReply *reply)
{
    ngx_http_approval_store_t *store = data;

    ngx_uint_t                     enough;
    ngx_http_approval_replicas_t  *rs;

    if (store->closing) {
        return;
    }

    rs = &store->replicas;
    rs->asked = 0;

    if (rs->more) {
        ngx_post_event(&rs->ask, &ngx_posted_events);
    }

    enough = reply && reply->type == REDIS_REPLY_INTEGER
             && reply->integer >= (long long) store->conf->replicas;

    if (!enough) {
        ngx_http_approval_replicas_short(store, reply);
    }

    ngx_http_approval_replicas_end(store, enough);
}


/* Logs at most once a second. */

static void
ngx_http_approval_replicas_short(ngx_http_approval_store_t *store,
    redisReply *reply)
{
    store->errors++;

    /* the link has logged that it was lost */

    if (reply == NULL) {
        return;
    }

    if (reply->type != REDIS_REPLY_INTEGER) {
        ngx_http_approval_reply_error(store, "WAIT", reply);
        return;
    }

    if (store->replicas.logged == ngx_time()) {
        return;
    }

    store->replicas.logged = ngx_time();

    ngx_log_error(NGX_LOG_ERR, store->log, 0,
                  "approval_redis \"%V\": only %L of %ui replicas "
                  "acknowledged within %M ms that approvals were used, so "
                  "their requests are refused: check the replicas, and the "
                  "number in "
                  "\"replicas=\"", &store->conf->redis.name, reply->integer,
                  store->conf->replicas,
                  ngx_http_approval_replicas_timeout(store));
}


static void
ngx_http_approval_replicas_end(ngx_http_approval_store_t *store,
    ngx_uint_t replicated)
{
    redisReply              *reply;
    ngx_queue_t              ops, *q;
    ngx_http_approval_op_t  *op;

    ngx_queue_init(&ops);

    if (!ngx_queue_empty(&store->replicas.ops)) {
        ngx_queue_add(&ops, &store->replicas.ops);
        ngx_queue_init(&store->replicas.ops);
    }

    while (!ngx_queue_empty(&ops)) {
        q = ngx_queue_head(&ops);
        op = ngx_queue_data(q, ngx_http_approval_op_t, queue);

        ngx_queue_remove(q);

        /* done() frees the operation */

        reply = op->kept;
        op->replicated = replicated;

        op->done(op, reply);

        freeReplyObject(reply);
    }
}
