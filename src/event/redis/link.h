
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Shared by the files of the link.
 */


#ifndef NGX_HTTP_APPROVAL_REDIS_LINK_H
#define NGX_HTTP_APPROVAL_REDIS_LINK_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/redis/conn.h"


typedef enum {
    NGX_HTTP_APPROVAL_SENTINEL_CLOSED,
    NGX_HTTP_APPROVAL_SENTINEL_AUTH,
    NGX_HTTP_APPROVAL_SENTINEL_ADDRESS,      /* the primary's address     */
    NGX_HTTP_APPROVAL_SENTINEL_SUBSCRIBE,
    NGX_HTTP_APPROVAL_SENTINEL_WATCH
} ngx_http_approval_sentinel_step_e;


/*
 * A link's connection to one of the sentinels.  step is the reply that comes
 * next.  Depending on it, the timer is for the next try, for the reply, or for
 * the next PING.  While the link waits, the link's deadline replaces the timer.
 */

typedef struct {
    ngx_http_approval_redis_conn_t    conn;
    ngx_event_t                       timer;
    ngx_http_approval_sentinel_step_e  step;
    ngx_http_approval_redis_hosts_t   hosts;        /* the sentinels      */

    unsigned                          waits:1;      /* the link waits     */
    unsigned                          again:1;      /* ask the same one   */
    unsigned                          auth:1;
    unsigned                          pinged:1;
    unsigned                          warned:1;
    unsigned                          failed:1;     /* for the log        */
} ngx_http_approval_sentinel_t;


struct ngx_http_approval_redis_s {
    ngx_http_approval_redis_conf_t   *conf;
    ngx_log_t                        *log;

    ngx_http_approval_redis_state_e   state;
    ngx_http_approval_redis_conn_t    command;
    ngx_http_approval_redis_conn_t    push;
    ngx_http_approval_sentinel_t      sentinel;

    /* with sentinels: the primary of their last answer */
    ngx_http_approval_redis_hosts_t   hosts;

    /* commands that came before the first connection was made */
    ngx_queue_t                       early;
    ngx_http_approval_redis_out_t     early_out;

    ngx_queue_t                       free;         /* requests           */

    ngx_event_t                       reconnect;
    ngx_event_t                       deadline;
    ngx_event_t                       keepalive;

    ngx_http_approval_redis_link_pt   link;
    ngx_http_approval_redis_push_pt   pushed;
    void                             *data;

    ngx_str_t                        *channels;
    ngx_uint_t                        nchannels;
    ngx_http_approval_redis_message_pt  message;

    ngx_uint_t                        tried;        /* since the backoff  */
    ngx_msec_t                        backoff;
    ngx_msec_t                        clock;        /* see redis_clock()  */
    ngx_msec_t                        looked;       /* ngx_current_msec   */
    ngx_msec_t                        started;      /* of this try, clock */
    ngx_msec_t                        since;        /* when it got ready  */
    ngx_msec_t                        logged;
    const char                       *reason;       /* the one logged     */

    ngx_msec_t                        rtt;
    ngx_uint_t                        ready;        /* how often          */
    ngx_uint_t                        users;        /* waiting callers    */
    long long                         push_id;

    unsigned                          down:1;       /* known to be down   */
    unsigned                          command_set:1;
    unsigned                          push_set:1;
    unsigned                          tracking:1;
    unsigned                          warned:1;
    unsigned                          warned_channel:1;
    unsigned                          closing:1;
};


/* setup.c.  Called when a connection is made; makes the link ready. */
void ngx_http_approval_redis_connected(ngx_http_approval_redis_conn_t *conn);

/*
 * sentinel.c.  Asks one sentinel for the primary, or after a failure the next
 * one, and calls ngx_http_approval_redis_open() or ..._lost().  The connection
 * then stays open.  If another server becomes the primary, the link is lost.
 */
ngx_int_t ngx_http_approval_sentinel_init(ngx_http_approval_redis_t *redis);
void ngx_http_approval_sentinel_ask(ngx_http_approval_redis_t *redis);
void ngx_http_approval_sentinel_close(ngx_http_approval_redis_t *redis);

/* redis.c */
void ngx_http_approval_redis_open(ngx_http_approval_redis_t *redis);
void ngx_http_approval_redis_ready(ngx_http_approval_redis_t *redis);
void ngx_http_approval_redis_lost(ngx_http_approval_redis_t *redis,
    ngx_err_t err, const char *reason);

ngx_msec_t ngx_http_approval_redis_clock(ngx_http_approval_redis_t *redis);

/* Checks the deadline after "left" by the link's clock, or earlier. */
void ngx_http_approval_redis_watch(ngx_http_approval_redis_t *redis,
    ngx_msec_t left);

/* queue.c */
void ngx_http_approval_redis_reply(ngx_http_approval_redis_conn_t *conn,
    redisReply *reply);

/* Calls the handlers of all waiting commands without a reply. */
void ngx_http_approval_redis_fail(ngx_http_approval_redis_t *redis,
    ngx_queue_t *waiting);

/* How long the first waiting command may still wait, in ms. */
ngx_msec_int_t ngx_http_approval_redis_left(ngx_http_approval_redis_t *redis,
    ngx_queue_t *waiting);

/* Sends a command of the link itself; the handler's data is the link. */
void ngx_http_approval_redis_send(ngx_http_approval_redis_t *redis,
    ngx_http_approval_redis_conn_t *conn, ngx_uint_t argc, ngx_str_t *argv,
    ngx_http_approval_redis_reply_pt handler);


#define ngx_http_approval_redis_word(s)  { sizeof(s) - 1, (u_char *) s }


#endif /* NGX_HTTP_APPROVAL_REDIS_LINK_H */
