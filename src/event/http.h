
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * HTTP requests and mails of the gateway's own, on nginx's event loop.
 *
 * libcurl speaks HTTP, TLS and the beginning of SMTP, nginx' resolver finds the addresses and nginx'
 * event methods tell of the sockets.  No request of a client is needed, so
 * what is sent this way may outlive it.
 */


#ifndef NGX_HTTP_APPROVAL_HTTP_H
#define NGX_HTTP_APPROVAL_HTTP_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* As much of a response's body is kept, and as much is read. */

#define NGX_HTTP_APPROVAL_HTTP_KEEP  1024
#define NGX_HTTP_APPROVAL_HTTP_READ  65536


/*
 * Where to.  Lives in the configuration's pool, or as long as the call.  A
 * URL is a secret as a rule, so it is never logged.  What is in PEM was read
 * with the configuration: no disk is touched by a call.
 */

typedef struct {
    ngx_str_t                    url;         /* NUL-terminated             */
    ngx_str_t                    host;        /* of it, without []          */
    ngx_str_t                    method;      /* NUL-terminated; none: POST */
    in_port_t                    port;
    ngx_str_t                    trusted;     /* PEM, len 0: the system's   */
    ngx_str_t                    certificate; /* PEM, len 0: none           */
    ngx_str_t                    key;         /* PEM                        */
    unsigned                     secure:1;    /* https, smtps               */
    unsigned                     mail:1;      /* smtp, smtps                */
    unsigned                     starttls:1;  /* of smtp: without it no mail */
    unsigned                     user:1;      /* the URL has one            */
    unsigned                     numeric:1;   /* nothing to resolve         */
    unsigned                     local:1;     /* "localhost"                */
    unsigned                     loopback:1;  /* this host                  */
} ngx_http_approval_target_t;

/*
 * Sets all but the PEMs and starttls from the URL; NULL, or what is wrong with
 * it.  The first one takes http and https only, the other one smtp and smtps,
 * with "USER:PASSWORD@" and, as the path, a name for EHLO.
 */
const char *ngx_http_approval_target_parse(ngx_http_approval_target_t *target,
    ngx_str_t *url);
const char *ngx_http_approval_target_mail(ngx_http_approval_target_t *target,
    ngx_str_t *url);


/* How it went; strings end with the call. */

typedef struct {
    ngx_uint_t                   status;      /* 0: "error" says why        */
    const char                  *error;
    ngx_msec_t                   retry_after; /* 0: not said                */
    ngx_str_t                    body;        /* its beginning              */
} ngx_http_approval_answer_t;


typedef struct ngx_http_approval_http_s  ngx_http_approval_http_t;
typedef struct ngx_http_approval_call_s  ngx_http_approval_call_t;

typedef void (*ngx_http_approval_answer_pt)(void *data,
    const ngx_http_approval_answer_t *answer);


/* Owned by the worker process; resolver may be NULL. */
ngx_http_approval_http_t *ngx_http_approval_http_create(
    ngx_resolver_t *resolver, ngx_msec_t resolver_timeout, ngx_log_t *log);
void ngx_http_approval_http_destroy(ngx_http_approval_http_t *http);

/*
 * POSTs.  body and target must stay until the handler was called; headers (of
 * ngx_keyval_t) need not.  The handler is called once, never from within this
 * call, and not after a cancel; NULL: nothing was started.
 */
ngx_http_approval_call_t *ngx_http_approval_http_post(
    ngx_http_approval_http_t *http, ngx_http_approval_target_t *target,
    ngx_str_t *content_type, ngx_array_t *headers, ngx_str_t *body,
    ngx_msec_t timeout, ngx_http_approval_answer_pt handler, void *data);

/*
 * Mails.  from and to are addresses that approval_mail_address() takes, body
 * is a message with CRLF lines.  The answer's status is that of SMTP: 250.  All
 * else is as above.
 */
ngx_http_approval_call_t *ngx_http_approval_smtp_send(
    ngx_http_approval_http_t *http, ngx_http_approval_target_t *target,
    ngx_str_t *from, ngx_str_t *to, ngx_str_t *body, ngx_msec_t timeout,
    ngx_http_approval_answer_pt handler, void *data);

void ngx_http_approval_http_cancel(ngx_http_approval_call_t *call);


#endif /* NGX_HTTP_APPROVAL_HTTP_H */
