
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Sends mails.  curl connects to an address that is already resolved, speaks
 * TLS, sends EHLO and authenticates, all on the event loop.  This file sends
 * the four commands of the mail itself over curl's connection, because curl's
 * own upload would block the worker until the server has replied to the
 * message.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http/call.h"

#include <openssl/err.h>


#define NGX_HTTP_APPROVAL_SMTP_ADDRESS   320
#define NGX_HTTP_APPROVAL_SMTP_SESSIONS  4     /* per server             */


typedef enum {
    NGX_HTTP_APPROVAL_SMTP_FROM = 0,
    NGX_HTTP_APPROVAL_SMTP_TO,
    NGX_HTTP_APPROVAL_SMTP_DATA,
    NGX_HTTP_APPROVAL_SMTP_BODY,
    NGX_HTTP_APPROVAL_SMTP_STEPS
} ngx_http_approval_smtp_step_e;


/*
 * "out" contains the commands of all steps, and "end" where each step ends.  A
 * step is sent, then its reply is read.  Before that the mail may wait until a
 * session with its server ends; this counts towards its timeout.
 */

struct ngx_http_approval_smtp_s {
    ngx_http_approval_call_t    *call;
    ngx_http_approval_sock_t    *sock;
    ngx_event_t                  timer;
    u_char                      *out;
    u_char                      *pos;
    u_char                      *end[NGX_HTTP_APPROVAL_SMTP_STEPS];
    ngx_uint_t                   step;
    size_t                       nline;       /* of the reply's line        */
    u_char                       line[4];     /* its beginning              */
    unsigned                     waiting:1;
};


/* For each step: the expected first digit, and the error for any other. */

static const struct {
    u_char                       digit;
    const char                  *error;
} ngx_http_approval_smtp_steps[] = {
    { '2', "the mail server refused the sender" },
    { '2', "the mail server refused the recipient" },
    { '3', "the mail server accepts no messages" },
    { '2', "the mail server refused the message" }
};


static ngx_uint_t ngx_http_approval_smtp_busy(ngx_http_approval_call_t *call);
static void ngx_http_approval_smtp_next(ngx_http_approval_call_t *call);
static ngx_int_t ngx_http_approval_smtp_options(
    ngx_http_approval_call_t *call);
static ngx_int_t ngx_http_approval_smtp_write(ngx_http_approval_smtp_t *smtp,
    ngx_str_t *from, ngx_str_t *to, ngx_str_t *body);
static u_char *ngx_http_approval_smtp_stuff(u_char *p, ngx_str_t *body);
static void ngx_http_approval_smtp_event(void *data);
static void ngx_http_approval_smtp_timeout(ngx_event_t *ev);
static ngx_int_t ngx_http_approval_smtp_flush(ngx_http_approval_smtp_t *smtp);
static ngx_int_t ngx_http_approval_smtp_read(ngx_http_approval_smtp_t *smtp);
static ngx_int_t ngx_http_approval_smtp_replies(
    ngx_http_approval_smtp_t *smtp, u_char *p, u_char *last);
static ngx_int_t ngx_http_approval_smtp_reply(ngx_http_approval_smtp_t *smtp);
static ngx_int_t ngx_http_approval_smtp_end(ngx_http_approval_smtp_t *smtp,
    const char *error);


ngx_http_approval_call_t *
ngx_http_approval_smtp_send(ngx_http_approval_http_t *http,
    ngx_http_approval_target_t *target, ngx_str_t *from, ngx_str_t *to,
    ngx_str_t *body, ngx_msec_t timeout, ngx_http_approval_answer_pt handler,
    void *data)
{
    ngx_http_approval_call_t  *call;
    ngx_http_approval_smtp_t  *smtp;

    call = ngx_http_approval_call_create(http, target, timeout, handler, data);
    if (call == NULL) {
        return NULL;
    }

    smtp = ngx_calloc(sizeof(ngx_http_approval_smtp_t), http->log);

    if (smtp) {
        call->smtp = smtp;
        smtp->call = call;

        smtp->timer.handler = ngx_http_approval_smtp_timeout;
        smtp->timer.data = smtp;
        smtp->timer.log = http->log;
    }

    if (smtp == NULL || ngx_http_approval_smtp_options(call) != NGX_OK
        || ngx_http_approval_smtp_write(smtp, from, to, body) != NGX_OK)
    {
        ngx_http_approval_call_free(call);
        ERR_clear_error();
        return NULL;
    }

    if (ngx_http_approval_smtp_busy(call)) {
        smtp->waiting = 1;
        ngx_add_timer(&smtp->timer, timeout);
        return call;
    }

    return ngx_http_approval_call_start(call) == NGX_OK ? call : NULL;
}


/* Servers reject clients that open many connections at once. */

static ngx_uint_t
ngx_http_approval_smtp_busy(ngx_http_approval_call_t *call)
{
    ngx_uint_t                 n;
    ngx_queue_t               *q, *calls;
    ngx_http_approval_call_t  *other;

    n = 0;
    calls = &call->http->calls;

    for (q = ngx_queue_head(calls); q != ngx_queue_sentinel(calls);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_http_approval_call_t, queue);

        n += (other != call && other->smtp && !other->smtp->waiting
              && other->target == call->target);
    }

    return n >= NGX_HTTP_APPROVAL_SMTP_SESSIONS;
}


/* Starts the first mail that waits for the server of the ending call. */

static void
ngx_http_approval_smtp_next(ngx_http_approval_call_t *call)
{
    ngx_queue_t               *q, *calls;
    ngx_http_approval_call_t  *other;

    calls = &call->http->calls;

    for (q = ngx_queue_head(calls); q != ngx_queue_sentinel(calls);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_http_approval_call_t, queue);

        if (other->smtp && other->smtp->waiting
            && other->target == call->target)
        {
            other->smtp->waiting = 0;
            ngx_del_timer(&other->smtp->timer);

            if (ngx_http_approval_call_connect(other) != NGX_OK) {
                ngx_http_approval_call_end(other, "the attempt could not be "
                                                  "started");
            }

            return;
        }
    }
}


/*
 * Allows only the mechanisms that need nothing but the password, because others
 * may look up names or read files.  TLS keeps the password secret.
 */

static ngx_int_t
ngx_http_approval_smtp_options(ngx_http_approval_call_t *call)
{
    CURL  *easy = call->easy;

    if (curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_USE_SSL,
                            call->target->starttls ? (long) CURLUSESSL_ALL
                                                   : (long) CURLUSESSL_NONE)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_LOGIN_OPTIONS,
                            "AUTH=PLAIN;AUTH=LOGIN") != CURLE_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_smtp_write(ngx_http_approval_smtp_t *smtp, ngx_str_t *from,
    ngx_str_t *to, ngx_str_t *body)
{
    u_char      *p;
    size_t       i, len;
    ngx_str_t   *address[2];
    ngx_uint_t   n;

    static const char  *commands[] = { "MAIL FROM:<", "RCPT TO:<" };

    address[NGX_HTTP_APPROVAL_SMTP_FROM] = from;
    address[NGX_HTTP_APPROVAL_SMTP_TO] = to;

    len = 2 * body->len + sizeof("MAIL FROM:<>\r\nRCPT TO:<>\r\nDATA\r\n\r\n.\r\n")
          + from->len + to->len;

    p = ngx_alloc(len, smtp->call->http->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    smtp->out = p;
    smtp->pos = p;

    for (n = NGX_HTTP_APPROVAL_SMTP_FROM; n <= NGX_HTTP_APPROVAL_SMTP_TO; n++) {

        if (address[n]->len > NGX_HTTP_APPROVAL_SMTP_ADDRESS) {
            return NGX_ERROR;
        }

        /* the caller has checked the addresses; do not rely on it here */

        for (i = 0; i < address[n]->len; i++) {
            if (address[n]->data[i] <= ' ' || address[n]->data[i] >= 0x7f
                || address[n]->data[i] == '<' || address[n]->data[i] == '>')
            {
                return NGX_ERROR;
            }
        }

        p = ngx_sprintf(p, "%s%V>\r\n", commands[n], address[n]);
        smtp->end[n] = p;
    }

    p = ngx_sprintf(p, "DATA\r\n");
    smtp->end[NGX_HTTP_APPROVAL_SMTP_DATA] = p;

    p = ngx_http_approval_smtp_stuff(p, body);
    smtp->end[NGX_HTTP_APPROVAL_SMTP_BODY] = p;

    return NGX_OK;
}


/*
 * RFC 5321, 4.5.2: a line that starts with a dot gets another one, and a line
 * with only a dot ends the message.
 */

static u_char *
ngx_http_approval_smtp_stuff(u_char *p, ngx_str_t *body)
{
    size_t  i;

    for (i = 0; i < body->len; i++) {

        if (body->data[i] == '.' && (i == 0 || body->data[i - 1] == '\n')) {
            *p++ = '.';
        }

        *p++ = body->data[i];
    }

    if (body->len == 0 || body->data[body->len - 1] != '\n') {
        *p++ = '\r';
        *p++ = '\n';
    }

    return ngx_cpymem(p, ".\r\n", 3);
}


void
ngx_http_approval_smtp_begin(ngx_http_approval_call_t *call)
{
    ngx_msec_int_t             left;
    curl_socket_t              s;
    ngx_http_approval_smtp_t  *smtp;

    smtp = call->smtp;
    s = CURL_SOCKET_BAD;

    curl_easy_getinfo(call->easy, CURLINFO_ACTIVESOCKET, &s);

    if (s == CURL_SOCKET_BAD) {
        ngx_http_approval_call_end(call, "the connection was lost");
        return;
    }

    smtp->sock = ngx_http_approval_sock_watch(call->http, s);

    if (smtp->sock == NULL) {
        ngx_http_approval_call_end(call, "worker_connections are not enough");
        return;
    }

    smtp->sock->handler = ngx_http_approval_smtp_event;
    smtp->sock->data = smtp;
    smtp->sock->owner = &smtp->sock;

    left = (ngx_msec_int_t) (call->end - ngx_current_msec);

    ngx_add_timer(&smtp->timer, (ngx_msec_t) ngx_max(left, 1));

    ngx_http_approval_smtp_event(smtp);
}


static void
ngx_http_approval_smtp_event(void *data)
{
    ngx_http_approval_smtp_t *smtp = data;

    ngx_connection_t  *c;

    if (ngx_http_approval_smtp_flush(smtp) != NGX_OK
        || ngx_http_approval_smtp_read(smtp) != NGX_OK)
    {
        return;
    }

    if (smtp->sock == NULL) {
        (void) ngx_http_approval_smtp_end(smtp, "the connection was lost");
        return;
    }

    c = smtp->sock->connection;

    if (ngx_http_approval_sock_want(c->read, NGX_READ_EVENT, 1) != NGX_OK
        || ngx_http_approval_sock_want(c->write, NGX_WRITE_EVENT,
                                       smtp->pos < smtp->end[smtp->step])
           != NGX_OK)
    {
        (void) ngx_http_approval_smtp_end(smtp, "its socket cannot be "
                                                "watched");
    }
}


static void
ngx_http_approval_smtp_timeout(ngx_event_t *ev)
{
    ngx_http_approval_smtp_t *smtp = ev->data;

    (void) ngx_http_approval_smtp_end(smtp, smtp->waiting
                           ? "the mail server was busy until the \"timeout\""
                           : "it took longer than the \"timeout\"");
}


/* NGX_DONE: the call has ended. */

static ngx_int_t
ngx_http_approval_smtp_flush(ngx_http_approval_smtp_t *smtp)
{
    size_t    n, len;
    CURLcode  code;

    while (smtp->pos < smtp->end[smtp->step]) {
        n = 0;
        len = smtp->end[smtp->step] - smtp->pos;

        code = curl_easy_send(smtp->call->easy, smtp->pos, len, &n);

        if (code == CURLE_AGAIN) {
            return NGX_OK;
        }

        if (code != CURLE_OK) {
            return ngx_http_approval_smtp_end(smtp, "the connection was lost");
        }

        smtp->pos += n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_smtp_read(ngx_http_approval_smtp_t *smtp)
{
    size_t                     n;
    u_char                     buf[1024];
    CURLcode                   code;
    ngx_int_t                  rc;
    ngx_http_approval_call_t  *call;

    call = smtp->call;

    for ( ;; ) {
        n = 0;

        code = curl_easy_recv(call->easy, buf, sizeof(buf), &n);

        if (code == CURLE_AGAIN) {
            return NGX_OK;
        }

        if (code != CURLE_OK || n == 0) {
            return ngx_http_approval_smtp_end(smtp, "the connection was lost");
        }

        call->nread += n;

        if (call->nread > NGX_HTTP_APPROVAL_HTTP_READ) {
            return ngx_http_approval_smtp_end(smtp, "the mail server's reply "
                                                    "is too long");
        }

        rc = ngx_http_approval_smtp_replies(smtp, buf, buf + n);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


/* Nothing may follow a reply before the next command is sent. */

static ngx_int_t
ngx_http_approval_smtp_replies(ngx_http_approval_smtp_t *smtp, u_char *p,
    u_char *last)
{
    u_char     *line;
    size_t      n;
    ngx_int_t   rc;

    line = smtp->line;

    for ( /* void */ ; p < last; p++) {

        if (*p != '\n') {

            if (smtp->nline < sizeof(smtp->line)) {
                line[smtp->nline++] = *p;
            }

            continue;
        }

        n = smtp->nline;
        smtp->nline = 0;

        if (n < 3 || line[0] < '2' || line[0] > '5'
            || line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9'
            || (n > 3 && line[3] != ' ' && line[3] != '-' && line[3] != '\r'))
        {
            return ngx_http_approval_smtp_end(smtp, "the reply of the mail "
                                                    "server is not SMTP");
        }

        if (n > 3 && line[3] == '-') {
            continue;
        }

        if (p + 1 < last) {
            return ngx_http_approval_smtp_end(smtp, "the mail server replied "
                                                    "too early");
        }

        rc = ngx_http_approval_smtp_reply(smtp);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_smtp_reply(ngx_http_approval_smtp_t *smtp)
{
    ngx_http_approval_call_t  *call;

    call = smtp->call;
    call->status = (ngx_uint_t) ngx_atoi(smtp->line, 3);

    if (smtp->line[0] != ngx_http_approval_smtp_steps[smtp->step].digit) {
        return ngx_http_approval_smtp_end(smtp,
                               ngx_http_approval_smtp_steps[smtp->step].error);
    }

    if (smtp->pos < smtp->end[smtp->step]) {
        return ngx_http_approval_smtp_end(smtp, "the mail server replied too "
                                                "early");
    }

    if (smtp->step == NGX_HTTP_APPROVAL_SMTP_BODY) {
        return ngx_http_approval_smtp_end(smtp, NULL);
    }

    call->status = 0;
    smtp->step++;

    return ngx_http_approval_smtp_flush(smtp);
}


/* Sends QUIT if possible, and ignores the reply. */

static ngx_int_t
ngx_http_approval_smtp_end(ngx_http_approval_smtp_t *smtp, const char *error)
{
    size_t                     n;
    ngx_http_approval_call_t  *call;

    call = smtp->call;

    if (smtp->sock && smtp->pos == smtp->end[smtp->step] && call->status) {
        (void) curl_easy_send(call->easy, "QUIT\r\n", 6, &n);
    }

    if (smtp->timer.timer_set) {
        ngx_del_timer(&smtp->timer);
    }

    if (smtp->sock) {
        ngx_http_approval_sock_forget(smtp->sock);
    }

    ngx_http_approval_call_end(call, error);

    return NGX_DONE;
}


void
ngx_http_approval_smtp_free(ngx_http_approval_smtp_t *smtp)
{
    if (!smtp->waiting && !smtp->call->http->closing) {
        ngx_http_approval_smtp_next(smtp->call);
    }

    if (smtp->timer.timer_set) {
        ngx_del_timer(&smtp->timer);
    }

    if (smtp->sock) {
        ngx_http_approval_sock_forget(smtp->sock);
    }

    ngx_free(smtp->out);
    ngx_free(smtp);
}
