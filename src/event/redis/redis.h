
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A link to Redis on nginx's event loop.
 *
 * nginx makes the connections (TCP, unix socket, TLS), hiredis speaks the
 * protocol.  A link has two connections: one for commands, and one that
 * receives invalidation messages for keys that were read with tracking on.
 * They are opened and closed together.  A link without pushes has only the
 * first one.  With sentinels, another connection asks one of them for the
 * primary and stays open to learn when another server becomes the primary.
 */


#ifndef NGX_HTTP_APPROVAL_REDIS_H
#define NGX_HTTP_APPROVAL_REDIS_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hiredis/hiredis.h>


/* A host that Redis or a sentinel runs on. */

typedef struct {
    ngx_str_t                    host;       /* verified by TLS; empty: unix  */
    in_port_t                    port;
    ngx_addr_t                  *addrs;      /* found when the configuration
                                                was read                      */
    ngx_uint_t                   naddrs;
    unsigned                     numeric:1;  /* the host is an address        */
} ngx_http_approval_redis_server_t;


/*
 * The settings of approval_redis.  Lives in the configuration's pool.
 * Passwords are never logged.
 */

typedef struct {
    ngx_str_t                    name;       /* as logged: no credentials     */
    ngx_str_t                    hosts;      /* as in the URL                 */
    ngx_array_t                  servers;    /* of ..._redis_server_t:
                                                candidates for the primary,
                                                or the sentinels              */
    ngx_str_t                    sentinel;   /* the primary's name            */
    ngx_str_t                    sentinel_password;
    ngx_str_t                    user;
    ngx_str_t                    password;
    ngx_uint_t                   db;
    ngx_msec_t                   timeout;    /* connect, and each reply       */
#if (NGX_SSL)
    ngx_ssl_t                   *ssl;        /* NULL: plain; otherwise the
                                                certificate and its name are
                                                always verified               */
#endif
} ngx_http_approval_redis_conf_t;


typedef struct ngx_http_approval_redis_s  ngx_http_approval_redis_t;


typedef enum {
    NGX_HTTP_APPROVAL_REDIS_DOWN,        /* waiting to try again              */
    NGX_HTTP_APPROVAL_REDIS_CONNECTING,
    NGX_HTTP_APPROVAL_REDIS_SETUP,       /* AUTH, SELECT, SUBSCRIBE, TRACKING */
    NGX_HTTP_APPROVAL_REDIS_READY
} ngx_http_approval_redis_state_e;


/*
 * Called exactly once for each accepted command, never from within
 * ngx_http_approval_redis_command().  reply is NULL if the link was lost or
 * closed, or if no reply came in time.  The link owns the reply, which is valid
 * only within the handler.  Error replies are passed on unchanged.
 */
typedef void (*ngx_http_approval_redis_reply_pt)(void *data,
    redisReply *reply);

/*
 * What an error reply means, by its first word (NULL: any other error, or a reply
 * that is no error), and what the operator can do.  text quotes nothing of the reply, because Redis may
 * repeat arguments in it.  lost: the server's role or state has changed, so the
 * link connects again.
 */
typedef struct {
    const char                  *word;
    ngx_uint_t                   lost;
    const char                  *text;
} ngx_http_approval_redis_error_t;

#define NGX_HTTP_APPROVAL_REDIS_ERRORS  18

extern const ngx_http_approval_redis_error_t
    ngx_http_approval_redis_errors[NGX_HTTP_APPROVAL_REDIS_ERRORS];

const ngx_http_approval_redis_error_t *ngx_http_approval_redis_error(
    redisReply *reply);

/* The link became ready or was lost: see ngx_http_approval_redis_state(). */
typedef void (*ngx_http_approval_redis_link_pt)(void *data);

/* A tracked key changed.  key->data == NULL: any of them may have changed. */
typedef void (*ngx_http_approval_redis_push_pt)(void *data, ngx_str_t *key);

/* A message was published on a subscribed channel. */
typedef void (*ngx_http_approval_redis_message_pt)(void *data,
    ngx_str_t *message);


/*
 * Owned by the worker process: created in init_process, destroyed in
 * exit_process.  Connects at once and keeps reconnecting, with jittered
 * backoff (50 ms to 2 s), on cancelable timers.  While commands wait for
 * replies, their deadline timer is not cancelable, so that a worker that is
 * shutting down still gets the replies.  link and push may be NULL.
 */
ngx_http_approval_redis_t *ngx_http_approval_redis_create(
    ngx_http_approval_redis_conf_t *conf, ngx_log_t *log,
    ngx_http_approval_redis_link_pt link,
    ngx_http_approval_redis_push_pt push, void *data);
void ngx_http_approval_redis_destroy(ngx_http_approval_redis_t *redis);

/*
 * Sets the channels to which the link subscribes each time that it connects.
 * To be called before the event loop runs.  The caller owns the names, which
 * must outlive the link.  If an ACL forbids a channel, this is logged, and the
 * link works without it.
 */
void ngx_http_approval_redis_subscribe(ngx_http_approval_redis_t *redis,
    ngx_str_t *channels, ngx_uint_t n,
    ngx_http_approval_redis_message_pt message);

ngx_http_approval_redis_state_e ngx_http_approval_redis_state(
    ngx_http_approval_redis_t *redis);

/*
 * 1: Redis is known to be away.  A command that is refused otherwise found no
 * room in the output, or no memory: clients can cause this.
 */
ngx_uint_t ngx_http_approval_redis_down(ngx_http_approval_redis_t *redis);

/*
 * 1: the link is ready, and "CLIENT CACHING YES" may precede a read.  0: it is
 * not ready, Redis is too old or its ACL forbids tracking, so keys have to be
 * polled.
 */
ngx_uint_t ngx_http_approval_redis_tracking(ngx_http_approval_redis_t *redis);

/*
 * Queues one command.  It is written at the end of the event loop's turn,
 * together with all others of that turn.  While the first connection is being
 * made, commands wait for it for at most "timeout".  If the link is known to be
 * down, or its output exceeds the limit, NGX_DECLINED is returned at once, and
 * the handler will not be called.  NGX_ERROR: no memory.  handler may be NULL.
 */
ngx_int_t ngx_http_approval_redis_command(ngx_http_approval_redis_t *redis,
    ngx_uint_t argc, ngx_str_t *argv,
    ngx_http_approval_redis_reply_pt handler, void *data);

/*
 * Within a reply's handler: the caller becomes the owner of the reply and frees
 * it with freeReplyObject().
 */
void ngx_http_approval_redis_keep(ngx_http_approval_redis_t *redis);

/*
 * For the metrics: how long the last reply took, and how often the link has
 * reconnected.
 */
ngx_msec_t ngx_http_approval_redis_rtt(ngx_http_approval_redis_t *redis);
ngx_uint_t ngx_http_approval_redis_reconnects(
    ngx_http_approval_redis_t *redis);


#endif /* NGX_HTTP_APPROVAL_REDIS_H */
