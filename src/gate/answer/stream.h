
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The event stream of a held MCP call: progress notifications, and at the end
 * the answer.
 */


#ifndef NGX_HTTP_APPROVAL_STREAM_H
#define NGX_HTTP_APPROVAL_STREAM_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "core/json.h"


/*
 * What the client has got, and what the body filter does.  The states after
 * OPEN begin with the answer's header.  It is not sent, since the client
 * already has one; it determines how the body becomes events.
 */

typedef enum {
    NGX_HTTP_APPROVAL_STREAM_NONE = 0,   /* nothing was sent yet              */
    NGX_HTTP_APPROVAL_STREAM_OPEN,       /* the header, and progress          */
    NGX_HTTP_APPROVAL_STREAM_EVENTS,     /* answer of events: unchanged       */
    NGX_HTTP_APPROVAL_STREAM_JSON,       /* answer in JSON: one event         */
    NGX_HTTP_APPROVAL_STREAM_OTHER,      /* other answer: a JSON-RPC error    */
    NGX_HTTP_APPROVAL_STREAM_DONE
} ngx_http_approval_stream_state_e;


/*
 * Allocated from the request's pool, for a call that asks for progress.  It
 * belongs to the request, like the response: after a redirect to another rule,
 * the new hold takes it over.
 */

struct ngx_http_approval_stream_s {
    ngx_http_approval_hold_t          *hold;     /* the newest                */
    ngx_event_t                        tick;
    ngx_http_approval_stream_state_e   state;
    ngx_http_approval_rpc_t           *rpc;      /* the calls' ids            */
    ngx_str_t                          tokens;   /* a JSON array              */
    ngx_buf_t                         *event;    /* the last progress sent    */
    void                             **ctx;      /* other filters' contexts,
                                                    set by the sent header    */
    ngx_uint_t                         status;   /* of the answer             */
    approval_buf_t                     body;     /* OTHER: of the answer      */
    unsigned                           begun:1;  /* JSON: partly sent         */
    unsigned                           json:1;   /* OTHER: body is JSON       */
};


/* The number of open streams in this worker. */

extern ngx_uint_t  ngx_http_approval_streams;


/* stream.c: the header filter and the body filter */
ngx_int_t ngx_http_approval_stream_filters(ngx_conf_t *cf);

void ngx_http_approval_stream_described(ngx_http_request_t *r);
void ngx_http_approval_stream_restore(ngx_http_request_t *r,
    ngx_http_approval_stream_t *stream);

/* answer/jsonrpc.c: "name" is "result" or "error" */
void ngx_http_approval_rpc_message(approval_buf_t *out, ngx_str_t *id,
    const char *name, json_t *value);

/* stream_event.c: events as text */
void ngx_http_approval_stream_event(approval_buf_t *out, json_t *message);
ngx_int_t ngx_http_approval_stream_progress(
    ngx_http_approval_stream_t *stream, approval_buf_t *out);
ngx_int_t ngx_http_approval_stream_error(ngx_http_approval_stream_t *stream,
    approval_buf_t *out);


#endif /* NGX_HTTP_APPROVAL_STREAM_H */
