
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * One HTTP or SMTP call that the gateway itself makes.  Shared by the files of
 * the transport.
 */


#ifndef NGX_HTTP_APPROVAL_CALL_H
#define NGX_HTTP_APPROVAL_CALL_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http/http.h"
#include "event/http/sock.h"


typedef struct ngx_http_approval_smtp_s  ngx_http_approval_smtp_t;


/*
 * A call is in one of these states: its host is being resolved (ctx), curl
 * handles it (added), it sends a mail (smtp and added), it waits for an SMTP
 * session to end (smtp->waiting), or its "done" event is posted.  It is freed
 * after the handler has been called, or when it is cancelled.
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
    ngx_http_approval_smtp_t    *smtp;        /* NULL: HTTP                 */
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

/* Sets the options that both protocols share.  NULL: no memory. */
ngx_http_approval_call_t *ngx_http_approval_call_create(
    ngx_http_approval_http_t *http, ngx_http_approval_target_t *target,
    ngx_msec_t timeout, ngx_http_approval_answer_pt handler, void *data);

/* Resolves the target, then connects. */
ngx_int_t ngx_http_approval_call_connect(ngx_http_approval_call_t *call);

/* The same, but frees the call if it fails. */
ngx_int_t ngx_http_approval_call_start(ngx_http_approval_call_t *call);

/* Ends the call; the handler is called later.  error is NULL on success. */
void ngx_http_approval_call_end(ngx_http_approval_call_t *call,
    const char *error);

void ngx_http_approval_call_free(ngx_http_approval_call_t *call);


/* resolve.c */

ngx_int_t ngx_http_approval_call_resolve(ngx_http_approval_call_t *call);

/* Hands the call to curl. */
ngx_int_t ngx_http_approval_call_add(ngx_http_approval_call_t *call);


/* smtp.c */

/* Called when curl has connected and authenticated. */
void ngx_http_approval_smtp_begin(ngx_http_approval_call_t *call);
void ngx_http_approval_smtp_free(ngx_http_approval_smtp_t *smtp);


#endif /* NGX_HTTP_APPROVAL_CALL_H */
