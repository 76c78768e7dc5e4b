
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The life of a link:
 *
 *   DOWN        a timer waits to try again
 *   CONNECTING  first asks a sentinel, if there are any, and looks up the
 *               host's name, then makes both connections
 *   SETUP       push: AUTH, CLIENT SETNAME, CLIENT ID, SUBSCRIBE for each
 *               channel
 *               command: AUTH, SELECT, CLIENT SETNAME, ROLE, then, as soon as
 *               the push connection's id is known, CLIENT TRACKING and PING;
 *               without pushes PING at once
 *   READY       commands are accepted
 *
 * Any error leads to DOWN.  If the link was READY, or if all addresses have
 * been tried, the handlers of all waiting commands are called without a reply.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "event/redis/link.h"


#define NGX_HTTP_APPROVAL_REDIS_BACKOFF_MIN   50
#define NGX_HTTP_APPROVAL_REDIS_BACKOFF_MAX   2000
#define NGX_HTTP_APPROVAL_REDIS_KEEPALIVE     5000
#define NGX_HTTP_APPROVAL_REDIS_LOG_AGAIN     10000
#define NGX_HTTP_APPROVAL_REDIS_SLICES        4


static ngx_int_t ngx_http_approval_redis_init_hosts(
    ngx_http_approval_redis_t *redis);
static void ngx_http_approval_redis_connect_handler(ngx_event_t *ev);
static void ngx_http_approval_redis_found(void *data, const char *error);
static ngx_uint_t ngx_http_approval_redis_tries(
    ngx_http_approval_redis_t *redis);
static void ngx_http_approval_redis_conn_lost(
    ngx_http_approval_redis_conn_t *conn, ngx_err_t err, const char *reason);
static void ngx_http_approval_redis_log_lost(ngx_http_approval_redis_t *redis,
    ngx_err_t err, const char *reason);
static void ngx_http_approval_redis_retry(ngx_http_approval_redis_t *redis);
static void ngx_http_approval_redis_deadline_handler(ngx_event_t *ev);
static ngx_msec_t ngx_http_approval_redis_slice(
    ngx_http_approval_redis_t *redis);
static void ngx_http_approval_redis_keepalive_handler(ngx_event_t *ev);


ngx_http_approval_redis_t *
ngx_http_approval_redis_create(ngx_http_approval_redis_conf_t *conf,
    ngx_log_t *log, ngx_http_approval_redis_link_pt link,
    ngx_http_approval_redis_push_pt push, void *data)
{
    ngx_http_approval_redis_t  *redis;

    redis = ngx_calloc(sizeof(ngx_http_approval_redis_t), log);
    if (redis == NULL) {
        return NULL;
    }

    redis->conf = conf;
    redis->log = log;
    redis->link = link;
    redis->pushed = push;
    redis->data = data;
    redis->state = NGX_HTTP_APPROVAL_REDIS_CONNECTING;
    redis->backoff = NGX_HTTP_APPROVAL_REDIS_BACKOFF_MIN;

    ngx_queue_init(&redis->early);
    ngx_queue_init(&redis->free);

    ngx_http_approval_redis_conn_init(&redis->command, conf, log);
    redis->command.connected = ngx_http_approval_redis_connected;
    redis->command.reply = ngx_http_approval_redis_reply;
    redis->command.lost = ngx_http_approval_redis_conn_lost;
    redis->command.data = redis;

    ngx_http_approval_redis_conn_init(&redis->push, conf, log);
    redis->push.connected = ngx_http_approval_redis_connected;
    redis->push.reply = ngx_http_approval_redis_reply;
    redis->push.lost = ngx_http_approval_redis_conn_lost;
    redis->push.data = redis;

    redis->reconnect.handler = ngx_http_approval_redis_connect_handler;
    redis->reconnect.data = redis;
    redis->reconnect.log = log;
    redis->reconnect.cancelable = 1;

    redis->deadline.handler = ngx_http_approval_redis_deadline_handler;
    redis->deadline.data = redis;
    redis->deadline.log = log;
    redis->deadline.cancelable = 1;

    redis->keepalive.handler = ngx_http_approval_redis_keepalive_handler;
    redis->keepalive.data = redis;
    redis->keepalive.log = log;
    redis->keepalive.cancelable = 1;

    if (ngx_http_approval_sentinel_init(redis) != NGX_OK
        || ngx_http_approval_redis_init_hosts(redis) != NGX_OK)
    {
        ngx_http_approval_redis_hosts_done(&redis->sentinel.hosts);
        ngx_http_approval_redis_hosts_done(&redis->hosts);
        ngx_free(redis);
        return NULL;
    }

    /* the event loop is not running yet */

    ngx_add_timer(&redis->reconnect, 0);

    return redis;
}


static ngx_int_t
ngx_http_approval_redis_init_hosts(ngx_http_approval_redis_t *redis)
{
    ngx_array_t  *servers;

    servers = &redis->conf->servers;

    redis->hosts.found = ngx_http_approval_redis_found;
    redis->hosts.data = redis;

    if (redis->conf->sentinel.len) {
        return ngx_http_approval_redis_hosts_init(&redis->hosts, redis->conf,
                                                  NULL, 1, redis->log);
    }

    return ngx_http_approval_redis_hosts_init(&redis->hosts, redis->conf,
                                              servers->elts, servers->nelts,
                                              redis->log);
}


void
ngx_http_approval_redis_destroy(ngx_http_approval_redis_t *redis)
{
    ngx_queue_t  *q;

    redis->closing = 1;

    /* send what the loop's last turn has queued, if it does not block */

    if (redis->command.flush.posted) {
        ngx_delete_posted_event(&redis->command.flush);
        redis->command.flush.handler(&redis->command.flush);
    }

    redis->down = 1;

    ngx_http_approval_sentinel_close(redis);
    ngx_http_approval_redis_lost(redis, 0, "closed");
    ngx_http_approval_redis_hosts_done(&redis->sentinel.hosts);
    ngx_http_approval_redis_hosts_done(&redis->hosts);

    while (!ngx_queue_empty(&redis->free)) {
        q = ngx_queue_head(&redis->free);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_http_approval_redis_request_t, queue));
    }

    ngx_free(redis);
}


void
ngx_http_approval_redis_subscribe(ngx_http_approval_redis_t *redis,
    ngx_str_t *channels, ngx_uint_t n,
    ngx_http_approval_redis_message_pt message)
{
    redis->channels = channels;
    redis->nchannels = n;
    redis->message = message;
}


ngx_http_approval_redis_state_e
ngx_http_approval_redis_state(ngx_http_approval_redis_t *redis)
{
    return redis->state;
}


ngx_uint_t
ngx_http_approval_redis_tracking(ngx_http_approval_redis_t *redis)
{
    return redis->state == NGX_HTTP_APPROVAL_REDIS_READY && redis->tracking;
}


void
ngx_http_approval_redis_keep(ngx_http_approval_redis_t *redis)
{
    redis->command.kept = 1;
}


ngx_uint_t
ngx_http_approval_redis_down(ngx_http_approval_redis_t *redis)
{
    return redis->down;
}


ngx_msec_t
ngx_http_approval_redis_rtt(ngx_http_approval_redis_t *redis)
{
    return redis->rtt;
}


ngx_uint_t
ngx_http_approval_redis_reconnects(ngx_http_approval_redis_t *redis)
{
    return redis->ready ? redis->ready - 1 : 0;
}


static void
ngx_http_approval_redis_connect_handler(ngx_event_t *ev)
{
    ngx_http_approval_redis_t  *redis;

    redis = ev->data;

    redis->state = NGX_HTTP_APPROVAL_REDIS_CONNECTING;
    redis->started = ngx_http_approval_redis_clock(redis);
    redis->command_set = 0;
    redis->push_set = (redis->pushed == NULL);
    redis->push_id = 0;
    redis->tracking = 0;
    redis->command.silent = redis->reason ? 1 : 0;
    redis->push.silent = redis->command.silent;

    if (redis->deadline.timer_set) {
        ngx_del_timer(&redis->deadline);
    }

    ngx_http_approval_redis_watch(redis, redis->conf->timeout);

    if (redis->conf->sentinel.len) {
        ngx_http_approval_sentinel_ask(redis);
        return;
    }

    ngx_http_approval_redis_open(redis);
}


void
ngx_http_approval_redis_open(ngx_http_approval_redis_t *redis)
{
    ngx_http_approval_redis_hosts_find(&redis->hosts);
}


static void
ngx_http_approval_redis_found(void *data, const char *error)
{
    ngx_http_approval_redis_t *redis = data;

    if (error) {
        ngx_http_approval_redis_lost(redis, 0, error);
        return;
    }

    ngx_http_approval_redis_conn_open(&redis->command, &redis->hosts);

    if (redis->state == NGX_HTTP_APPROVAL_REDIS_DOWN) {
        return;
    }

    if (redis->pushed) {
        ngx_http_approval_redis_conn_open(&redis->push, &redis->hosts);
    }
}


/* How many addresses to try without a delay: all of them. */

static ngx_uint_t
ngx_http_approval_redis_tries(ngx_http_approval_redis_t *redis)
{
    return ngx_http_approval_redis_hosts_count(redis->conf->sentinel.len
                                               ? &redis->sentinel.hosts
                                               : &redis->hosts);
}


void
ngx_http_approval_redis_ready(ngx_http_approval_redis_t *redis)
{
    ngx_int_t                        rc;
    ngx_uint_t                       level;
    ngx_http_approval_redis_conn_t  *conn;

    conn = &redis->command;

    rc = ngx_http_approval_redis_out_move(&conn->out, &redis->early_out,
                                          redis->log);
    if (rc != NGX_OK) {
        ngx_http_approval_redis_lost(redis, 0, "no memory");
        return;
    }

    if (!ngx_queue_empty(&redis->early)) {
        ngx_queue_add(&conn->waiting, &redis->early);
        ngx_queue_init(&redis->early);

        ngx_http_approval_redis_conn_flush(conn);
    }

    level = redis->reason ? NGX_LOG_NOTICE : NGX_LOG_INFO;

    ngx_log_error(level, redis->log, 0,
                  "approval_redis \"%V\" is ready", &redis->conf->name);

    redis->state = NGX_HTTP_APPROVAL_REDIS_READY;
    redis->since = ngx_current_msec;
    redis->reason = NULL;
    redis->hosts.fresh = 0;
    redis->tried = 0;
    redis->down = 0;
    redis->ready++;

    ngx_add_timer(&redis->keepalive, NGX_HTTP_APPROVAL_REDIS_KEEPALIVE);

    if (redis->link) {
        redis->link(redis->data);
    }
}


static void
ngx_http_approval_redis_conn_lost(ngx_http_approval_redis_conn_t *conn,
    ngx_err_t err, const char *reason)
{
    ngx_http_approval_redis_lost(conn->data, err, reason);
}


void
ngx_http_approval_redis_lost(ngx_http_approval_redis_t *redis, ngx_err_t err,
    const char *reason)
{
    ngx_uint_t   was_ready, was_down;
    ngx_queue_t  waiting;

    if (redis->state == NGX_HTTP_APPROVAL_REDIS_DOWN && !redis->closing) {
        return;
    }

    was_ready = (redis->state == NGX_HTTP_APPROVAL_REDIS_READY);
    was_down = redis->down;

    redis->state = NGX_HTTP_APPROVAL_REDIS_DOWN;

    /* keep the backoff if the link is lost soon after it became ready */

    if (was_ready && ngx_current_msec - redis->since
                     > 2 * NGX_HTTP_APPROVAL_REDIS_BACKOFF_MAX)
    {
        redis->backoff = NGX_HTTP_APPROVAL_REDIS_BACKOFF_MIN;
    }

    /* the first connection has failed when all addresses were tried */

    if (was_ready
        || redis->tried + 1 >= ngx_http_approval_redis_tries(redis))
    {
        redis->down = 1;
        ngx_http_approval_redis_log_lost(redis, err, reason);
    }

    ngx_http_approval_redis_conn_close(&redis->command);
    ngx_http_approval_redis_conn_close(&redis->push);
    ngx_http_approval_redis_hosts_leave(&redis->hosts);

    if (redis->sentinel.waits) {
        ngx_http_approval_sentinel_close(redis);
    }

    if (redis->deadline.timer_set) {
        ngx_del_timer(&redis->deadline);
    }

    if (redis->keepalive.timer_set) {
        ngx_del_timer(&redis->keepalive);
    }

    ngx_http_approval_redis_retry(redis);

    ngx_queue_init(&waiting);

    ngx_queue_add(&waiting, &redis->command.waiting);
    ngx_queue_init(&redis->command.waiting);

    ngx_queue_add(&waiting, &redis->push.waiting);
    ngx_queue_init(&redis->push.waiting);

    if (redis->down) {
        ngx_queue_add(&waiting, &redis->early);
        ngx_queue_init(&redis->early);
        ngx_http_approval_redis_out_free(&redis->early_out);
    }

    ngx_http_approval_redis_fail(redis, &waiting);

    if (redis->link && !redis->closing && redis->down
        && (was_ready || !was_down))
    {
        redis->link(redis->data);
    }
}


static void
ngx_http_approval_redis_log_lost(ngx_http_approval_redis_t *redis,
    ngx_err_t err, const char *reason)
{
    if (redis->closing) {
        return;
    }

    /* log once, and again later if the reason is another one */

    if (redis->reason
        && (redis->reason == reason
            || ngx_current_msec - redis->logged
               < NGX_HTTP_APPROVAL_REDIS_LOG_AGAIN))
    {
        return;
    }

    redis->reason = reason;
    redis->logged = ngx_current_msec;

    ngx_log_error(NGX_LOG_ERR, redis->log, err,
                  "approval_redis \"%V\" is unavailable: %s%s; trying again "
                  "until it is back", &redis->conf->name,
                  redis->sentinel.failed ? "asking a sentinel: " : "", reason);
}


static void
ngx_http_approval_redis_retry(ngx_http_approval_redis_t *redis)
{
    ngx_msec_t  delay;

    if (redis->reconnect.timer_set) {
        ngx_del_timer(&redis->reconnect);
    }

    if (redis->closing) {
        return;
    }

    ngx_http_approval_redis_hosts_next(&redis->hosts);
    redis->tried++;

    if (redis->tried < ngx_http_approval_redis_tries(redis)) {
        ngx_add_timer(&redis->reconnect, 0);
        return;
    }

    redis->tried = 0;

    delay = redis->backoff / 2;
    delay += (ngx_msec_t) ngx_random() % (delay + 1);

    ngx_add_timer(&redis->reconnect, delay);

    redis->backoff = ngx_min(redis->backoff * 2,
                             NGX_HTTP_APPROVAL_REDIS_BACKOFF_MAX);
}


static void
ngx_http_approval_redis_deadline_handler(ngx_event_t *ev)
{
    const char                 *reason;
    ngx_msec_int_t              left, push;
    ngx_http_approval_redis_t  *redis;

    redis = ev->data;

    if (redis->state == NGX_HTTP_APPROVAL_REDIS_READY) {

        /* replies that have arrived by now are not late */

        ngx_http_approval_redis_conn_read(&redis->command);
        ngx_http_approval_redis_conn_read(&redis->push);

        if (redis->state != NGX_HTTP_APPROVAL_REDIS_READY) {
            return;
        }

        left = ngx_http_approval_redis_left(redis, &redis->command.waiting);
        push = ngx_http_approval_redis_left(redis, &redis->push.waiting);
        left = ngx_min(left, push);

        if (ngx_queue_empty(&redis->command.waiting)
            && ngx_queue_empty(&redis->push.waiting))
        {
            return;
        }

    } else {
        left = redis->started + redis->conf->timeout
               - ngx_http_approval_redis_clock(redis);

        if (left <= 0) {

            /* waiting commands must not wait for the other addresses, too */

            redis->tried = ngx_http_approval_redis_tries(redis);
        }
    }

    if (left > 0) {
        /* a reply's handler may have set the timer, but for a later time */

        ngx_http_approval_redis_watch(redis, left);

        return;
    }

    redis->sentinel.failed = redis->sentinel.waits;

    reason = redis->hosts.waits ? "its host name was not found in time"
                                : "it does not answer in time";

    ngx_http_approval_redis_lost(redis, 0, reason);
}


/*
 * The link's clock, in ms.  The worker looks for replies at least once in each
 * slice of the timeout.  If it comes late, because it was stopped or busy, only
 * one slice counts: time in which the worker did not read is not Redis' fault.
 */

ngx_msec_t
ngx_http_approval_redis_clock(ngx_http_approval_redis_t *redis)
{
    ngx_msec_t  passed;

    passed = ngx_current_msec - redis->looked;

    redis->clock += ngx_min(passed, ngx_http_approval_redis_slice(redis));
    redis->looked = ngx_current_msec;

    return redis->clock;
}


void
ngx_http_approval_redis_watch(ngx_http_approval_redis_t *redis,
    ngx_msec_t left)
{
    ngx_add_timer(&redis->deadline,
                  ngx_min(left, ngx_http_approval_redis_slice(redis)));
}


static ngx_msec_t
ngx_http_approval_redis_slice(ngx_http_approval_redis_t *redis)
{
    return redis->conf->timeout / NGX_HTTP_APPROVAL_REDIS_SLICES + 1;
}


/* Sends a PING: a half-open connection is noticed only when data is sent. */

static void
ngx_http_approval_redis_keepalive_handler(ngx_event_t *ev)
{
    ngx_uint_t                       i;
    ngx_http_approval_redis_t       *redis;
    ngx_http_approval_redis_conn_t  *conn[2];

    static ngx_str_t  ping = ngx_http_approval_redis_word("PING");

    redis = ev->data;

    conn[0] = &redis->command;
    conn[1] = &redis->push;

    for (i = 0; i < 2; i++) {
        if (conn[i]->connection && ngx_queue_empty(&conn[i]->waiting)
            && ngx_current_msec - conn[i]->heard
               >= NGX_HTTP_APPROVAL_REDIS_KEEPALIVE / 2)
        {
            ngx_http_approval_redis_send(redis, conn[i], 1, &ping, NULL);
        }
    }

    ngx_add_timer(ev, NGX_HTTP_APPROVAL_REDIS_KEEPALIVE);
}
