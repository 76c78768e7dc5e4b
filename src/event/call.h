
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * One call of the gateway's own, HTTP or SMTP: what the files of the transport
 * share.
 */


#ifndef NGX_HTTP_APPROVAL_CALL_H
#define NGX_HTTP_APPROVAL_CALL_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http.h"
#include "event/http_sock.h"


typedef struct ngx_http_approval_smtp_s  ngx_http_approval_smtp_t;


/*
 * It is being resolved (ctx), or curl's (added), or in the dialog of SMTP
 * (smtp, and added), or waits for its turn there, or its "done" event is posted.  Freed after the handler's
 * call, or by a cancel.
 */

struct ngx_http_approval_call_s {
    ngx_queue_t                  queue;
    ngx_http_approval_http_t    *http;
    ngx_http_approval_target_t  *target;
    ngx_http_approval_answer_pt  handler;
    void                        *data;

    ngx_resolver_ctx_t          *ctx;
    CURL                        *easy;
    struct curl_slist           *headers;
    struct curl_slist           *resolve;
    ngx_http_approval_smtp_t    *smtp;        /* or NULL: HTTP              */
    ngx_msec_t                   end;

    ngx_event_t                  done;
    ngx_uint_t                   status;
    const char                  *error;
    size_t                       nread;
    size_t                       nbody;
    u_char                       body[NGX_HTTP_APPROVAL_HTTP_KEEP];

    unsigned                     added:1;
};


/* call.c */

/* With all options that are not the protocol's own; NULL: no memory. */
ngx_http_approval_call_t *ngx_http_approval_call_create(
    ngx_http_approval_http_t *http, ngx_http_approval_target_t *target,
    ngx_msec_t timeout, ngx_http_approval_answer_pt handler, void *data);

/* Resolves the target, then connects. */
ngx_int_t ngx_http_approval_call_connect(ngx_http_approval_call_t *call);

/* The same; it is freed where it fails. */
ngx_int_t ngx_http_approval_call_start(ngx_http_approval_call_t *call);

/* It is over: the handler is called later.  error NULL: it went well. */
void ngx_http_approval_call_end(ngx_http_approval_call_t *call,
    const char *error);

void ngx_http_approval_call_free(ngx_http_approval_call_t *call);


/* call_resolve.c */

ngx_int_t ngx_http_approval_call_resolve(ngx_http_approval_call_t *call);

/* Hands the call to curl. */
ngx_int_t ngx_http_approval_call_add(ngx_http_approval_call_t *call);


/* smtp.c */

/* The connection stands, authenticated. */
void ngx_http_approval_smtp_begin(ngx_http_approval_call_t *call);
void ngx_http_approval_smtp_free(ngx_http_approval_smtp_t *smtp);


#endif /* NGX_HTTP_APPROVAL_CALL_H */
