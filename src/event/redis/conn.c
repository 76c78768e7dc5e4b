
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "event/redis/conn.h"


/* No reply to a command of the gateway exceeds these limits. */

#define NGX_HTTP_APPROVAL_REDIS_REPLY_MAX     (64 * 1024 * 1024)
#define NGX_HTTP_APPROVAL_REDIS_VALUE_MAX     (16 * 1024 * 1024)
#define NGX_HTTP_APPROVAL_REDIS_ELEMENTS_MAX  (1024 * 1024)

#define NGX_HTTP_APPROVAL_REDIS_IDLE_BUFFER   (256 * 1024)

#if (NGX_HTTP_APPROVAL_HIREDIS_SIZE_T)
typedef size_t  ngx_http_approval_redis_elements_t;
#else
typedef int     ngx_http_approval_redis_elements_t;
#endif


static void ngx_http_approval_redis_conn_test(
    ngx_http_approval_redis_conn_t *conn);
static void ngx_http_approval_redis_conn_established(
    ngx_http_approval_redis_conn_t *conn);
#if (NGX_SSL)
static void ngx_http_approval_redis_conn_ssl_init(
    ngx_http_approval_redis_conn_t *conn);
static ngx_int_t ngx_http_approval_redis_conn_ssl_name(
    ngx_http_approval_redis_conn_t *conn);
static void ngx_http_approval_redis_conn_ssl_handler(ngx_connection_t *c);
static ngx_int_t ngx_http_approval_redis_conn_ssl_verify(
    ngx_http_approval_redis_conn_t *conn);
#endif
static redisReader *ngx_http_approval_redis_reader_create(void);
static ngx_uint_t ngx_http_approval_redis_conn_oversize(
    ngx_http_approval_redis_conn_t *conn);
static void *ngx_http_approval_redis_create_array(const redisReadTask *task,
    ngx_http_approval_redis_elements_t elements);
static void ngx_http_approval_redis_conn_read_handler(ngx_event_t *rev);
static void ngx_http_approval_redis_conn_write_handler(ngx_event_t *wev);
static void ngx_http_approval_redis_conn_flush_handler(ngx_event_t *ev);
static void ngx_http_approval_redis_conn_write(
    ngx_http_approval_redis_conn_t *conn);
static ngx_int_t ngx_http_approval_redis_conn_parse(
    ngx_http_approval_redis_conn_t *conn);


/* hiredis's own functions, except the one that creates arrays */

static redisReplyObjectFunctions   ngx_http_approval_redis_functions;
static redisReplyObjectFunctions  *ngx_http_approval_redis_hiredis;


void
ngx_http_approval_redis_conn_init(ngx_http_approval_redis_conn_t *conn,
    ngx_http_approval_redis_conf_t *conf, ngx_log_t *log)
{
    conn->conf = conf;
    conn->log = log;

    ngx_queue_init(&conn->waiting);

    conn->flush.handler = ngx_http_approval_redis_conn_flush_handler;
    conn->flush.data = conn;
    conn->flush.log = log;
}


void
ngx_http_approval_redis_conn_open(ngx_http_approval_redis_conn_t *conn,
    ngx_http_approval_redis_hosts_t *hosts)
{
    ngx_err_t                        err;
    ngx_int_t                        rc;
    ngx_connection_t                *c;
    ngx_peer_connection_t            peer;
    ngx_http_approval_redis_addr_t  *addr;

    conn->host = &hosts->elts[hosts->host];
    addr = &conn->host->addrs[hosts->addr];
    conn->skip = 0;
    conn->reader = ngx_http_approval_redis_reader_create();
    if (conn->reader == NULL) {
        conn->lost(conn, 0, "no memory");
        return;
    }

    /*
     * nginx would log each failed attempt to connect while Redis is away.  The
     * link logs once that it was lost.
     */

    conn->quiet = *conn->log;
    conn->quiet.log_level = NGX_LOG_ALERT;

    ngx_memzero(&peer, sizeof(ngx_peer_connection_t));

    peer.sockaddr = &addr->sockaddr.sockaddr;
    peer.socklen = addr->socklen;
    peer.name = &conn->host->name;
    peer.get = ngx_event_get_peer;
    peer.log = &conn->quiet;
    peer.log_error = NGX_ERROR_INFO;

    ngx_set_errno(0);

    rc = ngx_event_connect_peer(&peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        err = ngx_socket_errno;
        conn->lost(conn, err, "connect() failed");
        return;
    }

    c = peer.connection;

    c->data = conn;
    c->log = conn->silent ? &conn->quiet : conn->log;
    c->read->log = conn->log;
    c->write->log = conn->log;
    c->read->handler = ngx_http_approval_redis_conn_read_handler;
    c->write->handler = ngx_http_approval_redis_conn_write_handler;
    c->sendfile = 0;

    conn->connection = c;
    conn->established = 0;
    conn->heard = ngx_current_msec;

    if (rc == NGX_OK) {
        ngx_http_approval_redis_conn_test(conn);
    }
}


void
ngx_http_approval_redis_conn_close(ngx_http_approval_redis_conn_t *conn)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = conn->connection;

    if (c) {
        conn->connection = NULL;

#if (NGX_SSL)

        if (c->ssl) {
            c->ssl->no_wait_shutdown = 1;
            c->ssl->no_send_shutdown = 1;

            (void) ngx_ssl_shutdown(c);
        }

#endif

        pool = c->pool;

        ngx_close_connection(c);

        if (pool) {
            ngx_destroy_pool(pool);
        }
    }

    if (conn->reader) {
        redisReaderFree(conn->reader);
        conn->reader = NULL;
    }

    if (conn->flush.posted) {
        ngx_delete_posted_event(&conn->flush);
    }

    ngx_http_approval_redis_out_free(&conn->out);

    conn->established = 0;
}


static void
ngx_http_approval_redis_conn_test(ngx_http_approval_redis_conn_t *conn)
{
    int                err;
    socklen_t          len;
    ngx_connection_t  *c;

    c = conn->connection;
    err = 0;
    len = sizeof(int);

    /* BSDs and Linux return 0 and set a pending error in err, Solaris -1 */

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        conn->lost(conn, err, "connect() failed");
        return;
    }

    if (ngx_tcp_nodelay(c) != NGX_OK) {
        conn->lost(conn, 0, "setsockopt(TCP_NODELAY) failed");
        return;
    }

#if (NGX_SSL)

    if (conn->conf->ssl) {
        ngx_http_approval_redis_conn_ssl_init(conn);
        return;
    }

#endif

    ngx_http_approval_redis_conn_established(conn);
}


static void
ngx_http_approval_redis_conn_established(ngx_http_approval_redis_conn_t *conn)
{
    ngx_connection_t  *c;

    c = conn->connection;

    c->read->handler = ngx_http_approval_redis_conn_read_handler;
    c->write->handler = ngx_http_approval_redis_conn_write_handler;

    c->log = conn->log;

    conn->established = 1;
    conn->connected(conn);

    /* data that came with the end of the handshake causes no event */

    if (conn->connection == c && c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }
}


#if (NGX_SSL)

static void
ngx_http_approval_redis_conn_ssl_init(ngx_http_approval_redis_conn_t *conn)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = conn->connection;

    c->pool = ngx_create_pool(1024, conn->log);

    if (c->pool == NULL
        || ngx_ssl_create_connection(conn->conf->ssl, c, NGX_SSL_CLIENT)
           != NGX_OK)
    {
        conn->lost(conn, 0, "cannot create a TLS connection");
        return;
    }

    /* verified after the handshake, before anything is sent */

    SSL_set_verify(c->ssl->connection, SSL_VERIFY_NONE, NULL);

    /* output may grow, and move, before a write is repeated */

    SSL_set_mode(c->ssl->connection, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                                     |SSL_MODE_ENABLE_PARTIAL_WRITE);

    if (ngx_http_approval_redis_conn_ssl_name(conn) != NGX_OK) {
        conn->lost(conn, 0, "cannot set the TLS server name");
        return;
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_http_approval_redis_conn_ssl_handler;
        return;
    }

    ngx_http_approval_redis_conn_ssl_handler(c);
}


static ngx_int_t
ngx_http_approval_redis_conn_ssl_name(ngx_http_approval_redis_conn_t *conn)
{
    /* as per RFC 6066, literal IPv4 and IPv6 addresses are not permitted */

    if (conn->host->numeric) {
        return NGX_OK;
    }

    return SSL_set_tlsext_host_name(conn->connection->ssl->connection,
                                    (char *) conn->host->name.data)
           ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_approval_redis_conn_ssl_handler(ngx_connection_t *c)
{
    ngx_http_approval_redis_conn_t  *conn;

    conn = c->data;

    if (!c->ssl->handshaked) {
        conn->lost(conn, 0, "the TLS handshake failed");
        return;
    }

    if (ngx_http_approval_redis_conn_ssl_verify(conn) != NGX_OK) {
        conn->lost(conn, 0, "the TLS certificate did not verify");
        return;
    }

    ngx_http_approval_redis_conn_established(conn);
}


static ngx_int_t
ngx_http_approval_redis_conn_ssl_verify(ngx_http_approval_redis_conn_t *conn)
{
    int                rc;
    long               result;
    X509              *cert;
    ngx_connection_t  *c;

    c = conn->connection;

    result = SSL_get_verify_result(c->ssl->connection);

    if (result != X509_V_OK) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "approval_redis \"%V\": certificate verify error: "
                      "(%l:%s)", &conn->conf->name, result,
                      X509_verify_cert_error_string(result));
        return NGX_ERROR;
    }

    if (!conn->host->numeric) {
        return ngx_ssl_check_host(c, &conn->host->name);
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return NGX_ERROR;
    }

    rc = X509_check_ip_asc(cert, (char *) conn->host->name.data, 0);

    X509_free(cert);

    return (rc == 1) ? NGX_OK : NGX_ERROR;
}

#endif


static redisReader *
ngx_http_approval_redis_reader_create(void)
{
    redisReader  *reader;

    reader = redisReaderCreate();
    if (reader == NULL) {
        return NULL;
    }

    if (ngx_http_approval_redis_hiredis == NULL) {
        ngx_http_approval_redis_hiredis = reader->fn;
        ngx_http_approval_redis_functions = *reader->fn;
        ngx_http_approval_redis_functions.createArray =
                                         ngx_http_approval_redis_create_array;
    }

    reader->fn = &ngx_http_approval_redis_functions;
    reader->maxbuf = NGX_HTTP_APPROVAL_REDIS_IDLE_BUFFER;

    return reader;
}


/*
 * hiredis allocates an array before its elements have arrived.  The limit keeps
 * a wrong size from allocating gigabytes.
 */

static void *
ngx_http_approval_redis_create_array(const redisReadTask *task,
    ngx_http_approval_redis_elements_t elements)
{
    if ((size_t) elements > NGX_HTTP_APPROVAL_REDIS_ELEMENTS_MAX) {
        return NULL;
    }

    return ngx_http_approval_redis_hiredis->createArray(task, elements);
}


static void
ngx_http_approval_redis_conn_read_handler(ngx_event_t *rev)
{
    ngx_connection_t                *c;
    ngx_http_approval_redis_conn_t  *conn;

    c = rev->data;
    conn = c->data;

    if (c->close) {

        /*
         * worker_shutdown_timeout has expired.  The link stays open, because
         * the requests that end now still send commands to Redis.  It is closed
         * in exit_process.
         */

        c->close = 0;
        c->error = 0;

        return;
    }

    if (!conn->established) {
        ngx_http_approval_redis_conn_test(conn);
        return;
    }

    ngx_http_approval_redis_conn_read(conn);
}


void
ngx_http_approval_redis_conn_read(ngx_http_approval_redis_conn_t *conn)
{
    u_char             buf[16384];
    size_t             skip;
    ssize_t            n;
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    c = conn->connection;

    if (c == NULL || !conn->established) {
        return;
    }

    rev = c->read;

    do {
        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {
            conn->lost(conn, 0, "recv() failed");
            return;
        }

        if (n == 0) {
            conn->lost(conn, 0, "Redis closed the connection");
            return;
        }

        skip = ngx_min((size_t) n, conn->skip);
        conn->skip -= skip;

        if (skip) {
            conn->heard = ngx_current_msec;
        }

        if (redisReaderFeed(conn->reader, (char *) buf + skip, n - skip)
            != REDIS_OK)
        {
            conn->lost(conn, 0, "no memory for a reply");
            return;
        }

        if (ngx_http_approval_redis_conn_parse(conn) != NGX_OK) {
            return;
        }

    } while (rev->ready);

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        conn->lost(conn, 0, "cannot wait for replies");
    }
}


static ngx_int_t
ngx_http_approval_redis_conn_parse(ngx_http_approval_redis_conn_t *conn)
{
    void              *reply;
    redisReader       *reader;
    ngx_connection_t  *c;

    c = conn->connection;
    reader = conn->reader;

    for ( ;; ) {
        reply = NULL;

        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            conn->lost(conn, 0, "it does not speak the Redis protocol");
            return NGX_ERROR;
        }

        if (reply == NULL) {

            if (ngx_http_approval_redis_conn_oversize(conn)) {
                continue;
            }

            break;
        }

        conn->heard = ngx_current_msec;
        conn->kept = 0;
        conn->reply(conn, reply);

        if (!conn->kept) {
            freeReplyObject(reply);
        }

        if (conn->connection != c) {
            return NGX_ERROR;
        }
    }

    if (reader->len > NGX_HTTP_APPROVAL_REDIS_REPLY_MAX) {
        conn->lost(conn, 0, "a reply is too large");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Skips a value that is larger than any that the gateway stores, and replaces
 * it by nil.  It is not kept in memory, and the rest of the reply is read as
 * usual.  If the reader stops after a line with a number, it waits for the rest
 * of a value.
 */

static ngx_uint_t
ngx_http_approval_redis_conn_oversize(ngx_http_approval_redis_conn_t *conn)
{
    u_char       *p, *last;
    uint64_t      size;
    redisReader  *reader;

    reader = conn->reader;

    p = (u_char *) reader->buf + reader->pos;
    last = (u_char *) reader->buf + reader->len;

    for (size = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        size = size * 10 + (*p - '0');

        if (size > UINT32_MAX) {
            return 0;
        }
    }

    if (last - p < 2 || p[0] != CR || p[1] != LF
        || size <= NGX_HTTP_APPROVAL_REDIS_VALUE_MAX
        || size + 4 <= (uint64_t) (last - p))
    {
        return 0;
    }

    ngx_log_error(NGX_LOG_ERR, conn->connection->log, 0,
                  "a value of %uL bytes in Redis is ignored, because the "
                  "gateway stores at most %d bytes in a value",
                  size, NGX_HTTP_APPROVAL_REDIS_VALUE_MAX);

    conn->skip = (size_t) (size + 4 - (last - p));

    ngx_memcpy(last - 4, "-1\r\n", 4);
    reader->pos = reader->len - 4;

    return 1;
}


static void
ngx_http_approval_redis_conn_write_handler(ngx_event_t *wev)
{
    ngx_connection_t                *c;
    ngx_http_approval_redis_conn_t  *conn;

    c = wev->data;
    conn = c->data;

    if (!conn->established) {
        ngx_http_approval_redis_conn_test(conn);
        return;
    }

    ngx_http_approval_redis_conn_write(conn);
}


void
ngx_http_approval_redis_conn_flush(ngx_http_approval_redis_conn_t *conn)
{
    ngx_post_event(&conn->flush, &ngx_posted_events);
}


static void
ngx_http_approval_redis_conn_flush_handler(ngx_event_t *ev)
{
    ngx_http_approval_redis_conn_t  *conn;

    conn = ev->data;

    if (conn->connection && conn->established) {
        ngx_http_approval_redis_conn_write(conn);
    }
}


static void
ngx_http_approval_redis_conn_write(ngx_http_approval_redis_conn_t *conn)
{
    ssize_t                         n;
    ngx_connection_t               *c;
    ngx_http_approval_redis_out_t  *out;

    c = conn->connection;
    out = &conn->out;

    while (out->pos < out->len && c->write->ready) {
        n = c->send(c, out->data + out->pos, out->len - out->pos);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {

            /* Redis may have sent the reason before it closed the connection */

            ngx_http_approval_redis_conn_read(conn);

            if (conn->connection == c) {
                conn->lost(conn, 0, "send() failed");
            }

            return;
        }

        out->pos += n;
    }

    if (out->pos == out->len) {
        out->pos = 0;
        out->len = 0;

        if (out->size > NGX_HTTP_APPROVAL_REDIS_IDLE_BUFFER) {
            ngx_http_approval_redis_out_free(out);
        }
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        conn->lost(conn, 0, "cannot wait for room to send");
    }
}
