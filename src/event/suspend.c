
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <poll.h>

#include "event/suspend.h"

#include "request/request.h"


static void ngx_http_approval_suspend_read_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_suspend_test(ngx_http_request_t *r);
#if (NGX_HTTP_SSL)
static ngx_uint_t ngx_http_approval_client_notified(ngx_connection_t *c);
#endif


/*
 * Works like the delay of ngx_http_limit_req_module, except for how it detects
 * that the client has left.
 */

ngx_int_t
ngx_http_approval_suspend(ngx_http_request_t *r, char *action)
{
    ngx_connection_t  *c;

    c = r->connection;

    /* data that has arrived may include the end, and causes no new event */

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_approval_suspend_read_handler;

    /* an HTTP/3 client that stops reading causes a write event */

    r->write_event_handler = ngx_http_approval_suspend_writer;

    c->log->action = action;

    return NGX_OK;
}


static void
ngx_http_approval_suspend_read_handler(ngx_http_request_t *r)
{
    if (ngx_http_approval_suspend_test(r) == NGX_OK) {
        ngx_http_test_reading(r);
    }
}


void
ngx_http_approval_suspend_writer(ngx_http_request_t *r)
{
    (void) ngx_http_approval_suspend_test(r);
}


/* Ends the request if its client has left. */

static ngx_int_t
ngx_http_approval_suspend_test(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    if (!ngx_http_approval_client_gone(r)) {
        return NGX_OK;
    }

    c = r->connection;
    c->error = 1;

#if (NGX_HTTP_SSL)
    if (c->ssl) {
        c->ssl->no_send_shutdown = 1;
    }
#endif

    ngx_log_error(NGX_LOG_INFO, ngx_http_approval_log(r), 0,
                  "client prematurely closed connection");

    ngx_http_finalize_request(r, NGX_HTTP_CLIENT_CLOSED_REQUEST);

    return NGX_DONE;
}


ngx_uint_t
ngx_http_approval_client_gone(ngx_http_request_t *r)
{
    struct pollfd      fd;
    ngx_connection_t  *c;

    c = r->connection;

    if (c->error || c->read->error) {
        return 1;
    }

#ifdef NGX_HTTP_VERSION_30

    /* the end of the client's stream is only the end of the request */

    if (r->http_version == NGX_HTTP_VERSION_30) {
        return c->write->error;
    }

#endif

    if (c->read->eof || c->read->pending_eof) {
        return 1;
    }

    /* noticed even if data that nobody reads now is still queued */

    fd.fd = c->fd;
    fd.events = POLLRDHUP;
    fd.revents = 0;

    if (poll(&fd, 1, 0) == 1) {
        return 1;
    }

#if (NGX_HTTP_SSL)
    if (c->ssl && r->http_version < NGX_HTTP_VERSION_20) {
        return ngx_http_approval_client_notified(c);
    }
#endif

    return 0;
}


#if (NGX_HTTP_SSL)

/* A TLS close_notify may come before the end of TCP, or without it. */

static ngx_uint_t
ngx_http_approval_client_notified(ngx_connection_t *c)
{
    int    n;
    SSL   *ssl;
    char   byte;

    ssl = c->ssl->connection;

    /* leave the handshake to nginx */

    if (!c->ssl->handshaked || c->ssl->in_early) {
        return 0;
    }

    ERR_clear_error();

    n = SSL_peek(ssl, &byte, 1);

    if (n > 0) {

        /* a pipelined request: epoll does not report data inside OpenSSL */

        c->read->ready = 1;
        return 0;
    }

    n = SSL_get_error(ssl, n);

    ERR_clear_error();

    return n == SSL_ERROR_ZERO_RETURN || n == SSL_ERROR_SYSCALL
           || n == SSL_ERROR_SSL;
}

#endif
