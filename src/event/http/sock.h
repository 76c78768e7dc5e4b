
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Shared by the files of the HTTP transport.
 */


#ifndef NGX_HTTP_APPROVAL_HTTP_SOCK_H
#define NGX_HTTP_APPROVAL_HTTP_SOCK_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http/http.h"

#include <curl/curl.h>


struct ngx_http_approval_http_s {
    ngx_log_t                   *log;
    ngx_resolver_t              *resolver;
    ngx_msec_t                   resolver_timeout;
    CURLM                       *multi;
    ngx_event_t                  timer;       /* curl's                     */
    ngx_queue_t                  calls;       /* of ..._call_t              */
    ngx_queue_t                  socks;       /* watched by nginx           */
    unsigned                     closing:1;
};


/*
 * A curl socket that nginx watches.  Events go to the handler if there is one,
 * because the gateway itself uses the connection, and to curl otherwise.
 */

typedef struct ngx_http_approval_sock_s  ngx_http_approval_sock_t;

typedef void (*ngx_http_approval_sock_pt)(void *data);

struct ngx_http_approval_sock_s {
    ngx_queue_t                  queue;
    ngx_http_approval_http_t    *http;
    ngx_connection_t            *connection;
    ngx_http_approval_sock_pt    handler;     /* NULL: curl's               */
    void                        *data;
    ngx_http_approval_sock_t   **owner;       /* cleared when the watch ends */
};


/* sock.c */

void ngx_http_approval_socks_init(ngx_http_approval_http_t *http);

/* To be called after curl_multi_cleanup(). */
void ngx_http_approval_socks_done(ngx_http_approval_http_t *http);

/* NULL: no free connection, or no memory. */
ngx_http_approval_sock_t *ngx_http_approval_sock_watch(
    ngx_http_approval_http_t *http, curl_socket_t s);
ngx_int_t ngx_http_approval_sock_want(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t want);

/* Stops watching the socket and leaves it open. */
void ngx_http_approval_sock_forget(ngx_http_approval_sock_t *sock);

/* CURLOPT_CLOSESOCKETFUNCTION; data is the transport. */
int ngx_http_approval_sock_close(void *data, curl_socket_t s);


/* call.c */

/* Called when a transfer has ended; its handler is called later. */
void ngx_http_approval_http_ended(CURL *easy, CURLcode code);

/* Called when a transfer's socket cannot be watched. */
void ngx_http_approval_http_stuck(CURL *easy);


#endif /* NGX_HTTP_APPROVAL_HTTP_SOCK_H */
