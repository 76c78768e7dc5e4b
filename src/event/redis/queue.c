
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The queue of a link's commands that wait for their replies.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "event/redis/link.h"


static ngx_int_t ngx_http_approval_redis_queue(
    ngx_http_approval_redis_t *redis, ngx_http_approval_redis_out_t *out,
    ngx_queue_t *waiting, ngx_uint_t argc, ngx_str_t *argv,
    ngx_http_approval_redis_reply_pt handler, void *data, ngx_uint_t own);
static ngx_uint_t ngx_http_approval_redis_pushed(
    ngx_http_approval_redis_t *redis, redisReply *reply);
static void ngx_http_approval_redis_answer(ngx_http_approval_redis_t *redis,
    ngx_queue_t *q, redisReply *reply);


ngx_int_t
ngx_http_approval_redis_command(ngx_http_approval_redis_t *redis,
    ngx_uint_t argc, ngx_str_t *argv,
    ngx_http_approval_redis_reply_pt handler, void *data)
{
    ngx_int_t  rc;

    if (redis->state == NGX_HTTP_APPROVAL_REDIS_READY) {
        rc = ngx_http_approval_redis_queue(redis, &redis->command.out,
                                           &redis->command.waiting, argc, argv,
                                           handler, data, 0);
        if (rc == NGX_OK) {
            ngx_http_approval_redis_conn_flush(&redis->command);
        }

        return rc;
    }

    if (redis->down) {
        return NGX_DECLINED;
    }

    return ngx_http_approval_redis_queue(redis, &redis->early_out,
                                         &redis->early, argc, argv, handler,
                                         data, 0);
}


void
ngx_http_approval_redis_send(ngx_http_approval_redis_t *redis,
    ngx_http_approval_redis_conn_t *conn, ngx_uint_t argc, ngx_str_t *argv,
    ngx_http_approval_redis_reply_pt handler)
{
    ngx_int_t  rc;

    rc = ngx_http_approval_redis_queue(redis, &conn->out, &conn->waiting, argc,
                                       argv, handler, redis, 1);

    /* if there was no memory, the deadline ends the setup */

    if (rc == NGX_OK) {
        ngx_http_approval_redis_conn_flush(conn);
    }
}


static ngx_int_t
ngx_http_approval_redis_queue(ngx_http_approval_redis_t *redis,
    ngx_http_approval_redis_out_t *out, ngx_queue_t *waiting, ngx_uint_t argc,
    ngx_str_t *argv, ngx_http_approval_redis_reply_pt handler, void *data,
    ngx_uint_t own)
{
    ngx_int_t                           rc;
    ngx_queue_t                        *q;
    ngx_http_approval_redis_request_t  *req;

    if (!ngx_queue_empty(&redis->free)) {
        q = ngx_queue_head(&redis->free);
        ngx_queue_remove(q);
        req = ngx_queue_data(q, ngx_http_approval_redis_request_t, queue);

    } else {
        req = ngx_alloc(sizeof(ngx_http_approval_redis_request_t), redis->log);
        if (req == NULL) {
            return NGX_ERROR;
        }
    }

    rc = ngx_http_approval_redis_out_command(out, argc, argv, redis->log);

    if (rc != NGX_OK) {
        ngx_queue_insert_head(&redis->free, &req->queue);
        return rc;
    }

    req->handler = handler;
    req->data = data;
    req->start = ngx_http_approval_redis_clock(redis);
    req->own = own;

    ngx_queue_insert_tail(waiting, &req->queue);

    if (!own) {
        redis->users++;
        redis->deadline.cancelable = 0;
    }

    if (!redis->deadline.timer_set) {
        ngx_http_approval_redis_watch(redis, redis->conf->timeout);
    }

    return NGX_OK;
}


void
ngx_http_approval_redis_reply(ngx_http_approval_redis_conn_t *conn,
    redisReply *reply)
{
    ngx_queue_t                            *q;
    ngx_http_approval_redis_t              *redis;
    ngx_http_approval_redis_request_t      *req;
    const ngx_http_approval_redis_error_t  *error;

    redis = conn->data;

    if (conn == &redis->push && ngx_http_approval_redis_pushed(redis, reply)) {
        return;
    }

    if (ngx_queue_empty(&conn->waiting)) {
        ngx_http_approval_redis_lost(redis, 0, "a reply without a command");
        return;
    }

    q = ngx_queue_head(&conn->waiting);
    req = ngx_queue_data(q, ngx_http_approval_redis_request_t, queue);

    redis->rtt = ngx_http_approval_redis_clock(redis) - req->start;

    ngx_http_approval_redis_answer(redis, q, reply);

    if (redis->state != NGX_HTTP_APPROVAL_REDIS_READY) {
        return;
    }

    error = ngx_http_approval_redis_error(reply);

    if (error->lost) {
        ngx_http_approval_redis_lost(redis, 0, error->text);
    }
}


/* ["message", channel, [key, ...] or nil], or ["message", channel, text] */

static ngx_uint_t
ngx_http_approval_redis_pushed(ngx_http_approval_redis_t *redis,
    redisReply *reply)
{
    size_t       i;
    ngx_str_t    key, text;
    redisReply  *keys;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3
        || reply->element[0]->type != REDIS_REPLY_STRING
        || ngx_strcmp(reply->element[0]->str, "message") != 0)
    {
        return 0;
    }

    if (redis->state != NGX_HTTP_APPROVAL_REDIS_READY) {
        return 1;
    }

    keys = reply->element[2];

    if (keys->type == REDIS_REPLY_STRING) {
        text.data = (u_char *) keys->str;
        text.len = keys->len;

        if (redis->message) {
            redis->message(redis->data, &text);
        }

        return 1;
    }

    if (keys->type != REDIS_REPLY_ARRAY) {
        ngx_str_null(&key);
        redis->pushed(redis->data, &key);
        return 1;
    }

    for (i = 0; i < keys->elements; i++) {
        if (keys->element[i]->type == REDIS_REPLY_STRING) {
            key.data = (u_char *) keys->element[i]->str;
            key.len = keys->element[i]->len;

            redis->pushed(redis->data, &key);
        }
    }

    return 1;
}


static void
ngx_http_approval_redis_answer(ngx_http_approval_redis_t *redis,
    ngx_queue_t *q, redisReply *reply)
{
    void                               *data;
    ngx_http_approval_redis_reply_pt    handler;
    ngx_http_approval_redis_request_t  *req;

    req = ngx_queue_data(q, ngx_http_approval_redis_request_t, queue);

    handler = req->handler;
    data = req->data;

    ngx_queue_remove(q);

    if (!req->own && --redis->users == 0) {
        redis->deadline.cancelable = 1;
    }

    ngx_queue_insert_head(&redis->free, q);

    if (handler) {
        handler(data, reply);
    }
}


void
ngx_http_approval_redis_fail(ngx_http_approval_redis_t *redis,
    ngx_queue_t *waiting)
{
    while (!ngx_queue_empty(waiting)) {
        ngx_http_approval_redis_answer(redis, ngx_queue_head(waiting), NULL);
    }
}


ngx_msec_int_t
ngx_http_approval_redis_left(ngx_http_approval_redis_t *redis,
    ngx_queue_t *waiting)
{
    ngx_queue_t                        *q;
    ngx_http_approval_redis_request_t  *req;

    if (ngx_queue_empty(waiting)) {
        return (ngx_msec_int_t) redis->conf->timeout;
    }

    q = ngx_queue_head(waiting);
    req = ngx_queue_data(q, ngx_http_approval_redis_request_t, queue);

    return (ngx_msec_int_t) (req->start + redis->conf->timeout
                             - ngx_http_approval_redis_clock(redis));
}
