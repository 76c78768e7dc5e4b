
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Finds the primary through Sentinel.
 *
 * Each time that the link connects, it asks one sentinel and subscribes to its
 * announcements in the same write.  A sentinel handles both commands in one
 * turn, so no announcement can be missed between them.  If that connection is
 * lost while the link works, the next sentinel is asked and followed.  If it
 * names another primary, the link is closed and made again.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "event/redis/link.h"


#define NGX_HTTP_APPROVAL_SENTINEL_RETRY      500
#define NGX_HTTP_APPROVAL_SENTINEL_KEEPALIVE  5000


static void ngx_http_approval_sentinel_open(ngx_http_approval_redis_t *redis);
static void ngx_http_approval_sentinel_found(void *data, const char *error);
static void ngx_http_approval_sentinel_connected(
    ngx_http_approval_redis_conn_t *conn);
static void ngx_http_approval_sentinel_send(ngx_http_approval_redis_t *redis,
    ngx_uint_t argc, ngx_str_t *argv);
static void ngx_http_approval_sentinel_reply(
    ngx_http_approval_redis_conn_t *conn, redisReply *reply);
static ngx_uint_t ngx_http_approval_sentinel_refused(
    ngx_http_approval_redis_conn_t *conn, redisReply *reply);
static void ngx_http_approval_sentinel_answer(
    ngx_http_approval_redis_conn_t *conn, redisReply *reply);
static const char *ngx_http_approval_sentinel_address(redisReply *reply,
    ngx_str_t *name, in_port_t *port);
static void ngx_http_approval_sentinel_message(
    ngx_http_approval_redis_t *redis, redisReply *reply);
static void ngx_http_approval_sentinel_leave(ngx_http_approval_redis_t *redis);
static void ngx_http_approval_sentinel_lost(
    ngx_http_approval_redis_conn_t *conn, ngx_err_t err, const char *reason);
static void ngx_http_approval_sentinel_timer_handler(ngx_event_t *ev);


ngx_int_t
ngx_http_approval_sentinel_init(ngx_http_approval_redis_t *redis)
{
    ngx_array_t                   *servers;
    ngx_http_approval_sentinel_t  *s;

    s = &redis->sentinel;
    servers = &redis->conf->servers;

    ngx_http_approval_redis_conn_init(&s->conn, redis->conf, redis->log);
    s->conn.connected = ngx_http_approval_sentinel_connected;
    s->conn.reply = ngx_http_approval_sentinel_reply;
    s->conn.lost = ngx_http_approval_sentinel_lost;
    s->conn.data = redis;

    s->timer.handler = ngx_http_approval_sentinel_timer_handler;
    s->timer.data = redis;
    s->timer.log = redis->log;
    s->timer.cancelable = 1;

    s->auth = (redis->conf->sentinel_password.len != 0);
    s->again = 1;

    if (redis->conf->sentinel.len == 0) {
        return NGX_OK;
    }

    s->hosts.found = ngx_http_approval_sentinel_found;
    s->hosts.data = redis;

    return ngx_http_approval_redis_hosts_init(&s->hosts, redis->conf,
                                              servers->elts, servers->nelts,
                                              redis->log);
}


void
ngx_http_approval_sentinel_ask(ngx_http_approval_redis_t *redis)
{
    ngx_http_approval_sentinel_close(redis);

    redis->sentinel.waits = 1;
    redis->sentinel.failed = 0;

    ngx_http_approval_sentinel_open(redis);
}


void
ngx_http_approval_sentinel_close(ngx_http_approval_redis_t *redis)
{
    ngx_http_approval_sentinel_t  *s;

    s = &redis->sentinel;

    s->step = NGX_HTTP_APPROVAL_SENTINEL_CLOSED;
    s->waits = 0;
    s->pinged = 0;

    ngx_http_approval_redis_hosts_leave(&s->hosts);
    ngx_http_approval_redis_conn_close(&s->conn);

    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }
}


static void
ngx_http_approval_sentinel_open(ngx_http_approval_redis_t *redis)
{
    ngx_http_approval_sentinel_t  *s;

    s = &redis->sentinel;

    if (!s->again) {
        ngx_http_approval_redis_hosts_next(&s->hosts);
    }

    s->again = 0;
    s->step = s->auth ? NGX_HTTP_APPROVAL_SENTINEL_AUTH
                      : NGX_HTTP_APPROVAL_SENTINEL_ADDRESS;

    s->conn.silent = (redis->reason || s->warned);

    if (!s->waits) {
        ngx_add_timer(&s->timer, redis->conf->timeout);
    }

    ngx_http_approval_redis_hosts_find(&s->hosts);
}


static void
ngx_http_approval_sentinel_found(void *data, const char *error)
{
    ngx_http_approval_redis_t *redis = data;

    ngx_http_approval_sentinel_t  *s;

    s = &redis->sentinel;

    if (error) {
        ngx_http_approval_sentinel_lost(&s->conn, 0, error);
        return;
    }

    ngx_http_approval_redis_conn_open(&s->conn, &s->hosts);
}


static void
ngx_http_approval_sentinel_connected(ngx_http_approval_redis_conn_t *conn)
{
    ngx_str_t                        argv[3];
    ngx_http_approval_redis_t       *redis;
    ngx_http_approval_redis_conf_t  *conf;

    static ngx_str_t  subscribe[] = {
        ngx_http_approval_redis_word("SUBSCRIBE"),
        ngx_http_approval_redis_word("+switch-master")
    };

    redis = conn->data;
    conf = redis->conf;

    if (redis->sentinel.auth) {
        ngx_str_set(&argv[0], "AUTH");
        argv[1] = conf->sentinel_password.len ? conf->sentinel_password
                                              : conf->password;

        ngx_http_approval_sentinel_send(redis, 2, argv);
    }

    ngx_str_set(&argv[0], "SENTINEL");
    ngx_str_set(&argv[1], "GET-MASTER-ADDR-BY-NAME");
    argv[2] = conf->sentinel;

    ngx_http_approval_sentinel_send(redis, 3, argv);
    ngx_http_approval_sentinel_send(redis, 2, subscribe);
}


/* If there is no memory, the missing reply causes a timeout. */

static void
ngx_http_approval_sentinel_send(ngx_http_approval_redis_t *redis,
    ngx_uint_t argc, ngx_str_t *argv)
{
    ngx_http_approval_redis_conn_t  *conn;

    conn = &redis->sentinel.conn;

    (void) ngx_http_approval_redis_out_command(&conn->out, argc, argv,
                                               redis->log);

    ngx_http_approval_redis_conn_flush(conn);
}


static void
ngx_http_approval_sentinel_reply(ngx_http_approval_redis_conn_t *conn,
    redisReply *reply)
{
    ngx_http_approval_redis_t     *redis;
    ngx_http_approval_sentinel_t  *s;

    redis = conn->data;
    s = &redis->sentinel;

    s->pinged = 0;

    if (reply->type == REDIS_REPLY_ERROR
        && ngx_http_approval_sentinel_refused(conn, reply))
    {
        return;
    }

    switch (s->step) {

    case NGX_HTTP_APPROVAL_SENTINEL_AUTH:
        s->step = NGX_HTTP_APPROVAL_SENTINEL_ADDRESS;
        break;

    case NGX_HTTP_APPROVAL_SENTINEL_ADDRESS:
        ngx_http_approval_sentinel_answer(conn, reply);
        break;

    case NGX_HTTP_APPROVAL_SENTINEL_SUBSCRIBE:
        s->step = NGX_HTTP_APPROVAL_SENTINEL_WATCH;
        s->hosts.fresh = 0;

        if (s->warned) {
            s->warned = 0;
            ngx_log_error(NGX_LOG_NOTICE, redis->log, 0,
                          "approval_redis \"%V\": connected to a sentinel again",
                          &redis->conf->name);
        }

        ngx_add_timer(&s->timer, NGX_HTTP_APPROVAL_SENTINEL_KEEPALIVE);
        break;

    default: /* NGX_HTTP_APPROVAL_SENTINEL_WATCH */
        ngx_http_approval_sentinel_message(redis, reply);
        break;
    }
}


/*
 * Returns 0 if the error can be ignored: a sentinel without a password rejects
 * AUTH.  If AUTH failed for another reason, the next reply is an error, too.
 */

static ngx_uint_t
ngx_http_approval_sentinel_refused(ngx_http_approval_redis_conn_t *conn,
    redisReply *reply)
{
    const char                    *fault;
    ngx_http_approval_redis_t     *redis;
    ngx_http_approval_sentinel_t  *s;

    redis = conn->data;
    s = &redis->sentinel;

    if (s->step == NGX_HTTP_APPROVAL_SENTINEL_AUTH
        && ngx_strncmp(reply->str, "ERR", 3) == 0)
    {
        return 0;
    }

    if (ngx_strncmp(reply->str, "NOAUTH", 6) == 0 && !s->auth
        && redis->conf->password.len)
    {
        /* ask the same sentinel again, with the password of Redis */

        s->auth = 1;
        s->again = 1;
        s->step = NGX_HTTP_APPROVAL_SENTINEL_CLOSED;

        ngx_http_approval_redis_conn_close(conn);
        ngx_add_timer(&s->timer, 0);

        return 1;
    }

    fault = ngx_http_approval_redis_error(reply)->text;

    if (ngx_strncmp(reply->str, "NOAUTH", 6) == 0
        || ngx_strncmp(reply->str, "WRONGPASS", 9) == 0)
    {
        fault = "the password is wrong or missing: set the sentinels' "
                "password with \"sentinel_password_file=PATH\"";

    } else if (ngx_strncmp(reply->str, "ERR unknown command", 19) == 0) {
        fault = "it is not a sentinel: with \"sentinel=\" the URL must list "
                "the sentinels, by default at port 26379";
    }

    ngx_http_approval_sentinel_lost(conn, 0, fault);

    return 1;
}


static void
ngx_http_approval_sentinel_answer(ngx_http_approval_redis_conn_t *conn,
    redisReply *reply)
{
    in_port_t                      port;
    ngx_str_t                      name;
    const char                    *fault;
    ngx_http_approval_redis_t     *redis;
    ngx_http_approval_sentinel_t  *s;

    redis = conn->data;
    s = &redis->sentinel;

    fault = ngx_http_approval_sentinel_address(reply, &name, &port);

    if (fault) {
        ngx_http_approval_sentinel_lost(conn, 0, fault);
        return;
    }

    s->step = NGX_HTTP_APPROVAL_SENTINEL_SUBSCRIBE;

    ngx_add_timer(&s->timer, redis->conf->timeout);

    if (!s->waits) {
        if (!ngx_http_approval_redis_hosts_is(&redis->hosts, &name, port)) {
            ngx_http_approval_sentinel_leave(redis);
        }

        return;
    }

    s->waits = 0;

    if (ngx_http_approval_redis_hosts_set(&redis->hosts, &name, port)
        != NGX_OK)
    {
        ngx_http_approval_redis_lost(redis, 0, "no memory");
        return;
    }

    ngx_http_approval_redis_open(redis);
}


/* [address or host name, port], or nil */

static const char *
ngx_http_approval_sentinel_address(redisReply *reply, ngx_str_t *name,
    in_port_t *port)
{
    ngx_int_t  n;

    if (reply->type == REDIS_REPLY_NIL) {
        return "no primary has this name: correct \"sentinel=\", or add the "
               "primary to Sentinel with \"sentinel monitor\"";
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_STRING)
    {
        return "an unexpected reply";
    }

    name->data = (u_char *) reply->element[0]->str;
    name->len = reply->element[0]->len;

    n = ngx_atoi((u_char *) reply->element[1]->str, reply->element[1]->len);

    if (n < 1 || n > 65535) {
        return "the primary has an invalid port";
    }

    *port = (in_port_t) n;

    return NULL;
}


/* ["message", "+switch-master", "NAME address port address port"] */

static void
ngx_http_approval_sentinel_message(ngx_http_approval_redis_t *redis,
    redisReply *reply)
{
    ngx_str_t   *name;
    redisReply  *text;

    name = &redis->conf->sentinel;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) {
        return;
    }

    text = reply->element[2];

    if (text->type == REDIS_REPLY_STRING
        && (size_t) text->len > name->len && text->str[name->len] == ' '
        && ngx_strncmp(text->str, name->data, name->len) == 0)
    {
        ngx_http_approval_sentinel_leave(redis);
    }
}


/* The link asks the same sentinel again: others may not know yet. */

static void
ngx_http_approval_sentinel_leave(ngx_http_approval_redis_t *redis)
{
    redis->sentinel.again = 1;
    redis->sentinel.hosts.fresh = 1;

    ngx_http_approval_redis_lost(redis, 0,
                                 "Sentinel made another server the primary");
}


static void
ngx_http_approval_sentinel_lost(ngx_http_approval_redis_conn_t *conn,
    ngx_err_t err, const char *reason)
{
    ngx_uint_t                     waits;
    ngx_http_approval_redis_t     *redis;
    ngx_http_approval_sentinel_t  *s;

    redis = conn->data;
    s = &redis->sentinel;

    waits = s->waits;

    ngx_http_approval_sentinel_close(redis);

    if (waits) {
        s->failed = 1;
        ngx_http_approval_redis_lost(redis, err, reason);
        return;
    }

    if (!s->warned) {
        s->warned = 1;

        ngx_log_error(NGX_LOG_WARN, redis->log, err,
                      "approval_redis \"%V\": the connection to a sentinel is "
                      "lost: %s; trying the next one",
                      &redis->conf->name, reason);
    }

    ngx_add_timer(&s->timer, NGX_HTTP_APPROVAL_SENTINEL_RETRY / 2
                             + (ngx_msec_t) ngx_random()
                               % NGX_HTTP_APPROVAL_SENTINEL_RETRY);
}


static void
ngx_http_approval_sentinel_timer_handler(ngx_event_t *ev)
{
    ngx_http_approval_redis_t     *redis;
    ngx_http_approval_sentinel_t  *s;

    static ngx_str_t  ping = ngx_http_approval_redis_word("PING");

    redis = ev->data;
    s = &redis->sentinel;

    if (s->step == NGX_HTTP_APPROVAL_SENTINEL_CLOSED) {
        ngx_http_approval_sentinel_open(redis);
        return;
    }

    if (s->step != NGX_HTTP_APPROVAL_SENTINEL_WATCH || s->pinged) {
        ngx_http_approval_sentinel_lost(&s->conn, 0,
                                        "it does not answer in time");
        return;
    }

    s->pinged = 1;

    ngx_http_approval_sentinel_send(redis, 1, &ping);

    ngx_add_timer(ev, NGX_HTTP_APPROVAL_SENTINEL_KEEPALIVE);
}
