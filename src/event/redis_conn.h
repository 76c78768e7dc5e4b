
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * One connection of a link to Redis: connect, TLS, requests out, replies in.
 * Known to the files of the link only.
 */


#ifndef NGX_HTTP_APPROVAL_REDIS_CONN_H
#define NGX_HTTP_APPROVAL_REDIS_CONN_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/redis_hosts.h"


#define NGX_HTTP_APPROVAL_REDIS_OUT_MAX  (16 * 1024 * 1024)


/* Output that waits to be sent: [pos, len) of data. */

typedef struct {
    u_char                           *data;
    size_t                            pos;
    size_t                            len;
    size_t                            size;
} ngx_http_approval_redis_out_t;


/* A command that waits for its reply.  Own: the link's, not a caller's. */

typedef struct {
    ngx_queue_t                       queue;
    ngx_http_approval_redis_reply_pt  handler;
    void                             *data;
    ngx_msec_t                        start;
    unsigned                          own:1;
} ngx_http_approval_redis_request_t;


typedef struct ngx_http_approval_redis_conn_s  ngx_http_approval_redis_conn_t;

/*
 * connected  TCP and TLS are made: commands may be added
 * reply      one reply; the connection may be closed inside
 * lost       the connection is of no use: the owner closes it
 */

struct ngx_http_approval_redis_conn_s {
    ngx_connection_t                 *connection;   /* NULL: closed */
    redisReader                      *reader;
    ngx_http_approval_redis_host_t   *host;      /* of the server           */
    size_t                            skip;      /* bytes of a value that is
                                                    passed over            */
    ngx_queue_t                       waiting;      /* requests     */
    ngx_http_approval_redis_out_t     out;
    ngx_event_t                       flush;
    ngx_msec_t                        heard;        /* last reply   */

    ngx_http_approval_redis_conf_t   *conf;
    ngx_log_t                        *log;
    ngx_log_t                         quiet;

    void                            (*connected)(
                                      ngx_http_approval_redis_conn_t *conn);
    void                            (*reply)(
                                      ngx_http_approval_redis_conn_t *conn,
                                      redisReply *reply);
    void                            (*lost)(
                                      ngx_http_approval_redis_conn_t *conn,
                                      ngx_err_t err, const char *reason);
    void                             *data;

    unsigned                          established:1;
    unsigned                          kept:1;       /* this reply is */
    unsigned                          silent:1;     /* while it connects */
};


void ngx_http_approval_redis_conn_init(ngx_http_approval_redis_conn_t *conn,
    ngx_http_approval_redis_conf_t *conf, ngx_log_t *log);

/*
 * To the address whose turn it is.  The callbacks may be called before it
 * returns.  The hosts outlive the connection.  From within a callback of the
 * same connection it must not be opened again: a timer does that.
 */
void ngx_http_approval_redis_conn_open(ngx_http_approval_redis_conn_t *conn,
    ngx_http_approval_redis_hosts_t *hosts);

/* Requests that wait stay in the queue: they are the caller's to answer. */
void ngx_http_approval_redis_conn_close(ngx_http_approval_redis_conn_t *conn);

/* Sends what is in "out" at the end of this turn of the event loop. */
void ngx_http_approval_redis_conn_flush(ngx_http_approval_redis_conn_t *conn);

/* Reads what has arrived, without an event. */
void ngx_http_approval_redis_conn_read(ngx_http_approval_redis_conn_t *conn);

/* NGX_DECLINED: there is no room left. */
ngx_int_t ngx_http_approval_redis_out_command(
    ngx_http_approval_redis_out_t *out, ngx_uint_t argc, ngx_str_t *argv,
    ngx_log_t *log);
ngx_int_t ngx_http_approval_redis_out_move(
    ngx_http_approval_redis_out_t *out, ngx_http_approval_redis_out_t *from,
    ngx_log_t *log);
void ngx_http_approval_redis_out_free(ngx_http_approval_redis_out_t *out);


#endif /* NGX_HTTP_APPROVAL_REDIS_CONN_H */
