
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Connects curl's sockets and timer to nginx's events.
 *
 * curl owns the sockets: it opens and closes them, and keeps idle ones that
 * nobody watches.  A socket has an nginx connection only while curl wants its
 * events.  The events are level-triggered, because curl reads only once for
 * each event.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http/sock.h"

#include <openssl/err.h>


static int ngx_http_approval_sock(CURL *easy, curl_socket_t s, int what,
    void *data, void *assigned);
static void ngx_http_approval_sock_event(ngx_event_t *ev);
static int ngx_http_approval_sock_timer(CURLM *multi, long ms, void *data);
static void ngx_http_approval_sock_timeout(ngx_event_t *ev);
static void ngx_http_approval_sock_action(ngx_http_approval_http_t *http,
    curl_socket_t s, int bits);


void
ngx_http_approval_socks_init(ngx_http_approval_http_t *http)
{
    http->timer.handler = ngx_http_approval_sock_timeout;
    http->timer.data = http;
    http->timer.log = http->log;

    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION,
                      ngx_http_approval_sock);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION,
                      ngx_http_approval_sock_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
}


void
ngx_http_approval_socks_done(ngx_http_approval_http_t *http)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&http->socks)) {
        q = ngx_queue_head(&http->socks);

        ngx_http_approval_sock_forget(
                       ngx_queue_data(q, ngx_http_approval_sock_t, queue));
    }

    if (http->timer.timer_set) {
        ngx_del_timer(&http->timer);
    }
}


static int
ngx_http_approval_sock(CURL *easy, curl_socket_t s, int what, void *data,
    void *assigned)
{
    ngx_connection_t          *c;
    ngx_http_approval_http_t  *http = data;
    ngx_http_approval_sock_t  *sock = assigned;

    if (what == CURL_POLL_REMOVE) {

        if (sock) {
            ngx_http_approval_sock_forget(sock);
            curl_multi_assign(http->multi, s, NULL);
        }

        return 0;
    }

    if (sock == NULL) {
        sock = ngx_http_approval_sock_watch(http, s);

        if (sock == NULL) {
            ngx_http_approval_http_stuck(easy);
            return 0;
        }

        curl_multi_assign(http->multi, s, sock);
    }

    c = sock->connection;

    if (ngx_http_approval_sock_want(c->read, NGX_READ_EVENT,
                                    what & CURL_POLL_IN)
        != NGX_OK
        || ngx_http_approval_sock_want(c->write, NGX_WRITE_EVENT,
                                       what & CURL_POLL_OUT)
           != NGX_OK)
    {
        ngx_http_approval_http_stuck(easy);
    }

    return 0;
}


ngx_http_approval_sock_t *
ngx_http_approval_sock_watch(ngx_http_approval_http_t *http, curl_socket_t s)
{
    ngx_connection_t          *c;
    ngx_http_approval_sock_t  *sock;

    sock = ngx_calloc(sizeof(ngx_http_approval_sock_t), http->log);
    if (sock == NULL) {
        return NULL;
    }

    c = ngx_get_connection(s, http->log);
    if (c == NULL) {
        ngx_free(sock);
        return NULL;
    }

    c->data = sock;
    c->log = http->log;
    c->read->log = http->log;
    c->write->log = http->log;
    c->read->handler = ngx_http_approval_sock_event;
    c->write->handler = ngx_http_approval_sock_event;

    sock->http = http;
    sock->connection = c;

    ngx_queue_insert_tail(&http->socks, &sock->queue);

    return sock;
}


ngx_int_t
ngx_http_approval_sock_want(ngx_event_t *ev, ngx_int_t event, ngx_uint_t want)
{
    if (want && !ev->active) {
        return ngx_add_event(ev, event, NGX_LEVEL_EVENT);
    }

    if (!want && ev->active) {
        return ngx_del_event(ev, event, NGX_LEVEL_EVENT);
    }

    return NGX_OK;
}


/*
 * Stops watching the socket and leaves it open.  If curl gives up while it
 * connects, it closes the socket before it calls us; epoll has then removed the
 * descriptor already, so no event is deleted.
 */

void
ngx_http_approval_sock_forget(ngx_http_approval_sock_t *sock)
{
    ngx_connection_t  *c;

    c = sock->connection;

    if (fcntl(c->fd, F_GETFD) == -1) {
        c->read->active = 0;
        c->write->active = 0;
    }

    (void) ngx_http_approval_sock_want(c->read, NGX_READ_EVENT, 0);
    (void) ngx_http_approval_sock_want(c->write, NGX_WRITE_EVENT, 0);

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    c->read->closed = 1;
    c->write->closed = 1;

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;

    if (sock->owner) {
        *sock->owner = NULL;
    }

    ngx_queue_remove(&sock->queue);
    ngx_free(sock);
}


/* curl may close a socket without reporting CURL_POLL_REMOVE first. */

int
ngx_http_approval_sock_close(void *data, curl_socket_t s)
{
    ngx_queue_t               *q;
    ngx_http_approval_http_t  *http = data;
    ngx_http_approval_sock_t  *sock;

    for (q = ngx_queue_head(&http->socks);
         q != ngx_queue_sentinel(&http->socks);
         q = ngx_queue_next(q))
    {
        sock = ngx_queue_data(q, ngx_http_approval_sock_t, queue);

        if (sock->connection->fd == s) {
            curl_multi_assign(http->multi, s, NULL);
            ngx_http_approval_sock_forget(sock);
            break;
        }
    }

    return ngx_close_socket(s);
}


static void
ngx_http_approval_sock_event(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_approval_sock_t  *sock;

    c = ev->data;
    sock = c->data;

    if (sock->handler) {
        sock->handler(sock->data);
        ERR_clear_error();
        return;
    }

    ngx_http_approval_sock_action(sock->http, c->fd,
                                  ev->write ? CURL_CSELECT_OUT
                                            : CURL_CSELECT_IN);
}


/* Called by curl, so it must not call back into curl. */

static int
ngx_http_approval_sock_timer(CURLM *multi, long ms, void *data)
{
    ngx_http_approval_http_t  *http = data;

    if (http->timer.timer_set) {
        ngx_del_timer(&http->timer);
    }

    if (ms >= 0) {
        ngx_add_timer(&http->timer, (ngx_msec_t) ngx_max(ms, 1));
    }

    return 0;
}


static void
ngx_http_approval_sock_timeout(ngx_event_t *ev)
{
    ngx_http_approval_sock_action(ev->data, CURL_SOCKET_TIMEOUT, 0);
}


static void
ngx_http_approval_sock_action(ngx_http_approval_http_t *http, curl_socket_t s,
    int bits)
{
    int       n;
    CURLMsg  *msg;

    (void) curl_multi_socket_action(http->multi, s, bits, &n);

    while ((msg = curl_multi_info_read(http->multi, &n)) != NULL) {
        if (msg->msg == CURLMSG_DONE) {
            ngx_http_approval_http_ended(msg->easy_handle, msg->data.result);
        }
    }

    ERR_clear_error();
}
