
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * One connection of a link to Redis: connects, speaks TLS, sends requests and
 * reads replies.  Used by the files of the link only.
 */


#ifndef NGX_HTTP_APPROVAL_REDIS_CONN_H
#define NGX_HTTP_APPROVAL_REDIS_CONN_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/redis/hosts.h"


#define NGX_HTTP_APPROVAL_REDIS_OUT_MAX  (16 * 1024 * 1024)


/* Output to be sent: data[pos] up to data[len]. */

typedef struct {
    u_char                           *data;
    size_t                            pos;
    size_t                            len;
    size_t                            size;
} ngx_http_approval_redis_out_t;


/* A command that waits for its reply.  own: sent by the link itself. */

typedef struct {
    ngx_queue_t                       queue;
    ngx_http_approval_redis_reply_pt  handler;
    void                             *data;
    ngx_msec_t                        start;
    unsigned                          own:1;
} ngx_http_approval_redis_request_t;


typedef struct ngx_http_approval_redis_conn_s  ngx_http_approval_redis_conn_t;

/*
 * connected  the connection is made, with TLS if configured: commands may be
 *            added
 * reply      a reply has arrived; the callback may close the connection
 * lost       the connection has failed: the owner must close it
 */

struct ngx_http_approval_redis_conn_s {
    ngx_connection_t                 *connection;   /* NULL: closed */
    redisReader                      *reader;
    ngx_http_approval_redis_host_t   *host;      /* of the server           */
    size_t                            skip;      /* bytes still to be skipped
                                                    of a large value       */
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
    unsigned                          kept:1;       /* the reply is  */
    unsigned                          silent:1;     /* while it connects */
};


void ngx_http_approval_redis_conn_init(ngx_http_approval_redis_conn_t *conn,
    ngx_http_approval_redis_conf_t *conf, ngx_log_t *log);

/*
 * Connects to the current address of hosts, which must outlive the connection.
 * The callbacks may be called before this function returns.  A callback must
 * not open the same connection again: use a timer.
 */
void ngx_http_approval_redis_conn_open(ngx_http_approval_redis_conn_t *conn,
    ngx_http_approval_redis_hosts_t *hosts);

/*
 * Waiting requests stay in the queue; the caller has to call their handlers.
 */
void ngx_http_approval_redis_conn_close(ngx_http_approval_redis_conn_t *conn);

/* Sends the output at the end of this turn of the event loop. */
void ngx_http_approval_redis_conn_flush(ngx_http_approval_redis_conn_t *conn);

/* Reads data that has arrived, without waiting for an event. */
void ngx_http_approval_redis_conn_read(ngx_http_approval_redis_conn_t *conn);

/* NGX_DECLINED: the output would exceed its limit. */
ngx_int_t ngx_http_approval_redis_out_command(
    ngx_http_approval_redis_out_t *out, ngx_uint_t argc, ngx_str_t *argv,
    ngx_log_t *log);
ngx_int_t ngx_http_approval_redis_out_move(
    ngx_http_approval_redis_out_t *out, ngx_http_approval_redis_out_t *from,
    ngx_log_t *log);
void ngx_http_approval_redis_out_free(ngx_http_approval_redis_out_t *out);


#endif /* NGX_HTTP_APPROVAL_REDIS_CONN_H */
