
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What redis.c, redis_queue.c, redis_setup.c and redis_sentinel.c share.
 */


#ifndef NGX_HTTP_APPROVAL_REDIS_LINK_H
#define NGX_HTTP_APPROVAL_REDIS_LINK_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/redis_conn.h"


typedef enum {
    NGX_HTTP_APPROVAL_SENTINEL_CLOSED,
    NGX_HTTP_APPROVAL_SENTINEL_AUTH,
    NGX_HTTP_APPROVAL_SENTINEL_ADDRESS,      /* where the primary is      */
    NGX_HTTP_APPROVAL_SENTINEL_SUBSCRIBE,
    NGX_HTTP_APPROVAL_SENTINEL_WATCH
} ngx_http_approval_sentinel_step_e;


/*
 * A link's connection to one of the sentinels.  step: the reply that comes
 * next.  Its timer is, step by step, that of the next try, of the answer, or of
 * the next PING; while the link waits, its own deadline takes the place.
 */

typedef struct {
    ngx_http_approval_redis_conn_t    conn;
    ngx_event_t                       timer;
    ngx_http_approval_sentinel_step_e  step;
    ngx_http_approval_redis_hosts_t   hosts;        /* the sentinels      */

    unsigned                          waits:1;      /* the link           */
    unsigned                          again:1;      /* the same sentinel  */
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

    /* with sentinels: the primary that they named last */
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
    ngx_msec_t                        started;      /* this try           */
    ngx_msec_t                        since;        /* it is ready        */
    ngx_msec_t                        logged;
    const char                       *reason;       /* the one logged     */

    ngx_msec_t                        rtt;
    ngx_uint_t                        ready;        /* times              */
    ngx_uint_t                        users;        /* callers that wait  */
    long long                         push_id;

    unsigned                          down:1;       /* known to be        */
    unsigned                          command_set:1;
    unsigned                          push_set:1;
    unsigned                          tracking:1;
    unsigned                          warned:1;
    unsigned                          warned_channel:1;
    unsigned                          closing:1;
};


/* redis_setup.c: from a connection that is made to a link that is ready. */
void ngx_http_approval_redis_connected(ngx_http_approval_redis_conn_t *conn);

/* What an error reply means to the operator; without the reply's own text. */
const char *ngx_http_approval_redis_fault(redisReply *reply);

/*
 * redis_sentinel.c.  Asks one sentinel, another one each time that the last try
 * failed: it leads to ngx_http_approval_redis_open() or ..._lost().  Then the
 * connection stays, and the link is lost when there is another primary.
 */
ngx_int_t ngx_http_approval_sentinel_init(ngx_http_approval_redis_t *redis);
void ngx_http_approval_sentinel_ask(ngx_http_approval_redis_t *redis);
void ngx_http_approval_sentinel_close(ngx_http_approval_redis_t *redis);

/* redis.c */
void ngx_http_approval_redis_open(ngx_http_approval_redis_t *redis);
void ngx_http_approval_redis_ready(ngx_http_approval_redis_t *redis);
void ngx_http_approval_redis_lost(ngx_http_approval_redis_t *redis,
    ngx_err_t err, const char *reason);

/* redis_queue.c */
void ngx_http_approval_redis_reply(ngx_http_approval_redis_conn_t *conn,
    redisReply *reply);

/* There will be no reply to any of them. */
void ngx_http_approval_redis_fail(ngx_http_approval_redis_t *redis,
    ngx_queue_t *waiting);

/* How long the first of them may still wait. */
ngx_msec_int_t ngx_http_approval_redis_left(ngx_http_approval_redis_t *redis,
    ngx_queue_t *waiting);

/* A command of the link's own; its handler gets the link. */
void ngx_http_approval_redis_send(ngx_http_approval_redis_t *redis,
    ngx_http_approval_redis_conn_t *conn, ngx_uint_t argc, ngx_str_t *argv,
    ngx_http_approval_redis_reply_pt handler);


#define ngx_http_approval_redis_word(s)  { sizeof(s) - 1, (u_char *) s }


#endif /* NGX_HTTP_APPROVAL_REDIS_LINK_H */
