
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Sends HTTP requests and mails on nginx's event loop.
 *
 * libcurl speaks HTTP, TLS and the beginning of SMTP; nginx's resolver looks up
 * the addresses, and nginx's event methods watch the sockets.  A call does not
 * depend on a client's request, so it may outlive the request that caused it.
 */


#ifndef NGX_HTTP_APPROVAL_HTTP_H
#define NGX_HTTP_APPROVAL_HTTP_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* How many bytes of a response's body are kept, and how many are read. */

#define NGX_HTTP_APPROVAL_HTTP_KEEP  1024
#define NGX_HTTP_APPROVAL_HTTP_READ  65536


/*
 * The receiver of a call.  Lives in the configuration's pool, or as long as the
 * call.  The URL is never logged, because it is usually a secret.  PEM files
 * are read with the configuration, so that a call does not read from disk.
 */

typedef struct {
    ngx_str_t                    url;         /* NUL-terminated             */
    ngx_str_t                    host;        /* of the URL, without []     */
    ngx_str_t                    method;      /* NUL-terminated; none: POST */
    in_port_t                    port;
    ngx_str_t                    trusted;     /* PEM, len 0: the system's   */
    ngx_str_t                    certificate; /* PEM, len 0: none           */
    ngx_str_t                    key;         /* PEM                        */
    unsigned                     secure:1;    /* https, smtps               */
    unsigned                     mail:1;      /* smtp, smtps                */
    unsigned                     starttls:1;  /* STARTTLS is required       */
    unsigned                     user:1;      /* the URL contains a user    */
    unsigned                     numeric:1;   /* the host is an address     */
    unsigned                     local:1;     /* "localhost"                */
    unsigned                     loopback:1;  /* this host                  */
} ngx_http_approval_target_t;

/*
 * Parses the URL and sets all fields except the PEMs and starttls.  Returns
 * NULL, or what is wrong with the URL.  The first function accepts http and
 * https only; the second one smtp and smtps, with "USER:PASSWORD@" and, as the
 * path, a name for EHLO.
 */
const char *ngx_http_approval_target_parse(ngx_http_approval_target_t *target,
    ngx_str_t *url);
const char *ngx_http_approval_target_mail(ngx_http_approval_target_t *target,
    ngx_str_t *url);


/* The result of a call.  Its strings are valid only within the handler. */

typedef struct {
    ngx_uint_t                   status;      /* 0: see "error"             */
    const char                  *error;
    ngx_msec_t                   retry_after; /* 0: not given               */
    ngx_str_t                    body;        /* its beginning              */
} ngx_http_approval_answer_t;


typedef struct ngx_http_approval_http_s  ngx_http_approval_http_t;
typedef struct ngx_http_approval_call_s  ngx_http_approval_call_t;

typedef void (*ngx_http_approval_answer_pt)(void *data,
    const ngx_http_approval_answer_t *answer);


/* Owned by the worker process.  resolver may be NULL. */
ngx_http_approval_http_t *ngx_http_approval_http_create(
    ngx_resolver_t *resolver, ngx_msec_t resolver_timeout, ngx_log_t *log);
void ngx_http_approval_http_destroy(ngx_http_approval_http_t *http);

/*
 * Sends the body.  body and target must stay valid until the handler has been
 * called; headers (of ngx_keyval_t) need not.  The handler is called once,
 * never from within this function, and not after a cancel.  NULL: the call was
 * not started.
 */
ngx_http_approval_call_t *ngx_http_approval_http_post(
    ngx_http_approval_http_t *http, ngx_http_approval_target_t *target,
    ngx_str_t *content_type, ngx_array_t *headers, ngx_str_t *body,
    ngx_msec_t timeout, ngx_http_approval_answer_pt handler, void *data);

/*
 * Sends a mail.  from and to are addresses that approval_mail_address()
 * accepts; body is a message with CRLF line ends.  The status of the answer is
 * the SMTP code; 250 is success.  Otherwise as above.
 */
ngx_http_approval_call_t *ngx_http_approval_smtp_send(
    ngx_http_approval_http_t *http, ngx_http_approval_target_t *target,
    ngx_str_t *from, ngx_str_t *to, ngx_str_t *body, ngx_msec_t timeout,
    ngx_http_approval_answer_pt handler, void *data);

void ngx_http_approval_http_cancel(ngx_http_approval_call_t *call);


#endif /* NGX_HTTP_APPROVAL_HTTP_H */
