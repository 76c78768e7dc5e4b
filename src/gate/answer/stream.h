
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * An MCP call that is kept alive while it is held: progress notifications, and
 * at last the answer, in one stream of events.
 */


#ifndef NGX_HTTP_APPROVAL_STREAM_H
#define NGX_HTTP_APPROVAL_STREAM_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "core/json.h"


/*
 * What the client has, and what the body filter does.  After OPEN the answer
 * has begun: its header was kept back, since the client has had one, and said
 * in which of the three ways its body becomes events.
 */

typedef enum {
    NGX_HTTP_APPROVAL_STREAM_NONE = 0,   /* nothing was sent yet              */
    NGX_HTTP_APPROVAL_STREAM_OPEN,       /* the header, and progress          */
    NGX_HTTP_APPROVAL_STREAM_EVENTS,     /* the answer is events: as it is    */
    NGX_HTTP_APPROVAL_STREAM_JSON,       /* JSON: it becomes one event        */
    NGX_HTTP_APPROVAL_STREAM_OTHER,      /* it becomes a JSON-RPC error       */
    NGX_HTTP_APPROVAL_STREAM_DONE
} ngx_http_approval_stream_state_e;


/*
 * Allocated from the request's pool, for a call that asks for progress; the
 * request's, like the response it stands for: a hold that a redirect leads to
 * takes it over.
 */

struct ngx_http_approval_stream_s {
    ngx_http_approval_hold_t          *hold;     /* whose progress it tells   */
    ngx_event_t                        tick;
    ngx_http_approval_stream_state_e   state;
    ngx_http_approval_rpc_t           *rpc;      /* the calls' ids            */
    ngx_str_t                          tokens;   /* a JSON array              */
    ngx_buf_t                         *event;    /* the progress that was
                                                    sent last                 */
    void                             **ctx;      /* what other filters noted
                                                    when the header passed    */
    ngx_uint_t                         status;   /* the answer's own          */
    approval_buf_t                     body;     /* OTHER: what it says       */
    unsigned                           begun:1;  /* JSON: some of it was sent */
    unsigned                           json:1;   /* OTHER: it says it in JSON */
};


/* How many of the worker's requests have one that is open. */

extern ngx_uint_t  ngx_http_approval_streams;


/* stream.c: the two filters' place in the chain */
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
