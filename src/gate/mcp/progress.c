
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Progress of held MCP calls: if the client wants it, an event stream is opened
 * and kept alive until the answer, since clients end calls that are silent for
 * long.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/stream.h"

#include "event/suspend.h"
#include "model/problem.h"


#define NGX_HTTP_APPROVAL_PROGRESS_FIRST   1000     /* ms */
#define NGX_HTTP_APPROVAL_PROGRESS_TOKENS  1024     /* bytes, in total */


static ngx_int_t ngx_http_approval_progress_tokens(
    ngx_http_approval_hold_t *hold, ngx_str_t *tokens);
static void ngx_http_approval_progress_token(json_t *tokens, json_t *message);
static void ngx_http_approval_progress_tick(ngx_event_t *ev);
static void ngx_http_approval_progress_next(
    ngx_http_approval_stream_t *stream);
static ngx_int_t ngx_http_approval_progress_open(
    ngx_http_approval_stream_t *stream);
static ngx_int_t ngx_http_approval_progress_header(ngx_http_request_t *r,
    ngx_http_approval_stream_t *stream);
static ngx_int_t ngx_http_approval_progress_send(
    ngx_http_approval_stream_t *stream);
static ngx_int_t ngx_http_approval_progress_fill(
    ngx_http_approval_stream_t *stream);
static void ngx_http_approval_progress_writer(ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_progress_written(ngx_http_request_t *r,
    ngx_int_t rc);


ngx_uint_t  ngx_http_approval_streams;


/*
 * Runs before the body is freed.  Creates the stream's state if the call asks
 * for progress and the client accepts events.
 */

ngx_int_t
ngx_http_approval_progress_wanted(ngx_http_approval_hold_t *hold)
{
    ngx_int_t                    rc;
    ngx_str_t                    tokens;
    ngx_http_request_t          *r;
    ngx_http_approval_stream_t  *stream;

    r = hold->request;

    if (hold->stream || hold->rpc == NULL || !hold->rpc->tool
        || hold->lcf->progress == 0
        || r->headers_in.upgrade
        || !ngx_http_approval_accepts(r, "text/event-stream"))
    {
        return NGX_OK;
    }

    rc = ngx_http_approval_progress_tokens(hold, &tokens);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    stream = ngx_pcalloc(r->pool, sizeof(ngx_http_approval_stream_t));
    if (stream == NULL) {
        return NGX_ERROR;
    }

    stream->hold = hold;
    stream->rpc = hold->rpc;
    stream->tokens = tokens;

    /*
     * Cancelable: the timer of the hold's deadline keeps the worker alive.
     * nginx's debug log takes ev->data for a connection: the fd that it logs is
     * meaningless, but is read from within the stream.
     */

    stream->tick.handler = ngx_http_approval_progress_tick;
    stream->tick.data = stream;
    stream->tick.log = r->connection->log;
    stream->tick.cancelable = 1;

    approval_buf_init(&stream->body);

    hold->stream = stream;

    return NGX_OK;
}


/* NGX_DECLINED: there are no tokens, or too many to repeat. */

static ngx_int_t
ngx_http_approval_progress_tokens(ngx_http_approval_hold_t *hold,
    ngx_str_t *text)
{
    char       *dump;
    size_t      i;
    json_t     *json, *tokens, *message;
    ngx_int_t   rc;

    json = hold->body ? hold->body->json : NULL;
    tokens = json_array();

    if (json_is_array(json)) {
        json_array_foreach(json, i, message) {
            ngx_http_approval_progress_token(tokens, message);
        }

    } else {
        ngx_http_approval_progress_token(tokens, json);
    }

    if (json_array_size(tokens) == 0) {
        json_decref(tokens);
        return NGX_DECLINED;
    }

    dump = json_dumps(tokens, JSON_COMPACT);

    json_decref(tokens);

    if (dump == NULL) {
        return NGX_ERROR;
    }

    text->data = (u_char *) dump;
    text->len = ngx_strlen(dump);

    if (text->len > NGX_HTTP_APPROVAL_PROGRESS_TOKENS) {
        rc = NGX_DECLINED;

    } else {
        text->data = ngx_pstrdup(hold->request->pool, text);
        rc = text->data ? NGX_OK : NGX_ERROR;
    }

    free(dump);

    return rc;
}


static void
ngx_http_approval_progress_token(json_t *tokens, json_t *message)
{
    json_t          *meta, *token;
    approval_str_t   digits;

    if (!ngx_http_approval_mcp_call(message)) {
        return;
    }

    meta = json_object_get(json_object_get(message, "params"), "_meta");
    token = json_object_get(meta, "progressToken");

    if ((json_is_string(token) && !approval_json_wide(token, &digits))
        || json_is_integer(token))
    {
        json_array_append(tokens, token);
    }
}


/* After a redirect to another rule, the new hold takes over the stream. */

void
ngx_http_approval_progress_inherit(ngx_http_approval_hold_t *hold)
{
    if (hold->next && hold->next->stream) {
        hold->stream = hold->next->stream;
        hold->stream->hold = hold;
        hold->rpc = hold->stream->rpc;
    }
}


/* Starts progress, unless the client has sent Prefer. */

void
ngx_http_approval_progress_start(ngx_http_approval_hold_t *hold)
{
    if (hold->stream && hold->prefer_wait == NGX_ERROR && !hold->prefer_async)
    {
        ngx_http_approval_progress_next(hold->stream);
    }
}


/*
 * The gap grows with the time held, so that impatient clients, and people who
 * watch them, see the first notification soon.
 */

static void
ngx_http_approval_progress_next(ngx_http_approval_stream_t *stream)
{
    ngx_msec_t                 gap;
    ngx_http_approval_hold_t  *hold;

    hold = stream->hold;

    gap = (ngx_current_msec - hold->started) / 8;
    gap = ngx_max(gap, NGX_HTTP_APPROVAL_PROGRESS_FIRST);

    ngx_add_timer(&stream->tick, ngx_min(gap, hold->lcf->progress));
}


static void
ngx_http_approval_progress_tick(ngx_event_t *ev)
{
    ngx_connection_t            *c;
    ngx_http_request_t          *r;
    ngx_http_approval_stream_t  *stream;

    stream = ev->data;
    r = stream->hold->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ev->timedout = 0;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "approval progress, stream: %d", (int) stream->state);

    if (ngx_http_approval_progress_open(stream) != NGX_OK
        || ngx_http_approval_progress_send(stream) == NGX_ERROR)
    {
        ngx_http_finalize_request(r, NGX_ERROR);

    } else {
        ngx_http_approval_progress_next(stream);
    }

    ngx_http_run_posted_requests(c);
}


/*
 * Sends the header, and then marks it as not sent: the upstream, an error page
 * or the gate will send another one with the answer, which the header filter
 * drops.
 */

static ngx_int_t
ngx_http_approval_progress_open(ngx_http_approval_stream_t *stream)
{
    ngx_http_request_t  *r;

    if (stream->state != NGX_HTTP_APPROVAL_STREAM_NONE) {
        return NGX_OK;
    }

    r = stream->hold->request;

    if (ngx_http_approval_header(r, "Cache-Control", approval_str("no-store"))
        != NGX_OK
        || ngx_http_approval_header(r, "X-Accel-Buffering", approval_str("no"))
           != NGX_OK
        || ngx_http_approval_hold_headers(r, stream->hold) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_clear_content_length(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    ngx_http_approval_stream_described(r);

    /* our filters read and modify the bytes of the answer */

    r->filter_need_in_memory = 1;
    r->filter_need_temporary = 1;
    r->disable_not_modified = 1;

    if (ngx_http_approval_progress_header(r, stream) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_clean_header(r);
    r->header_sent = 0;

    stream->state = NGX_HTTP_APPROVAL_STREAM_OPEN;

    ngx_http_approval_streams++;

    return NGX_OK;
}


/* Sends the header, and saves the contexts that filters create for it. */

static ngx_int_t
ngx_http_approval_progress_header(ngx_http_request_t *r,
    ngx_http_approval_stream_t *stream)
{
    size_t       size;
    void       **before;
    ngx_int_t    rc;
    ngx_uint_t   i;

    size = ngx_http_max_module * sizeof(void *);

    before = ngx_palloc(r->pool, size);
    stream->ctx = ngx_palloc(r->pool, size);

    if (before == NULL || stream->ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(before, r->ctx, size);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return NGX_ERROR;
    }

    for (i = 0; i < ngx_http_max_module; i++) {
        stream->ctx[i] = before[i] ? NULL : r->ctx[i];
    }

    return NGX_OK;
}


/* Skips a notification while the previous one is unsent: the client is slow. */

static ngx_int_t
ngx_http_approval_progress_send(ngx_http_approval_stream_t *stream)
{
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = stream->hold->request;

    if (r->buffered || r->connection->buffered) {
        return NGX_AGAIN;
    }

    if (ngx_http_approval_progress_fill(stream) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_approval_stream_restore(r, stream);

    out.buf = stream->event;
    out.next = NULL;

    return ngx_http_approval_progress_written(r,
                                            ngx_http_output_filter(r, &out));
}


/* Refills the one buffer; it is free, since nothing is buffered. */

static ngx_int_t
ngx_http_approval_progress_fill(ngx_http_approval_stream_t *stream)
{
    ngx_buf_t           *b;
    ngx_int_t            rc;
    approval_buf_t       text;
    ngx_http_request_t  *r;

    r = stream->hold->request;
    b = stream->event;

    approval_buf_init(&text);

    rc = ngx_http_approval_stream_progress(stream, &text);

    if (rc == NGX_OK && (b == NULL || (size_t) (b->end - b->start) < text.len))
    {
        b = ngx_create_temp_buf(r->pool, text.len + 64);
        rc = b ? NGX_OK : NGX_ERROR;
        stream->event = b;
    }

    if (rc == NGX_OK) {
        b->pos = b->start;
        b->last = ngx_cpymem(b->pos, text.data, text.len);
        b->flush = 1;
    }

    approval_buf_free(&text);

    return rc;
}


static void
ngx_http_approval_progress_writer(ngx_http_request_t *r)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = r->connection;

    if (c->write->timedout) {
        ngx_log_error(NGX_LOG_INFO, ngx_http_approval_log(r), NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    rc = c->write->delayed ? NGX_AGAIN : ngx_http_output_filter(r, NULL);

    if (ngx_http_approval_progress_written(r, rc) == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


/* Like ngx_http_writer(): sends the rest when the client can receive. */

static ngx_int_t
ngx_http_approval_progress_written(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    wev = r->connection->write;

    if (!r->buffered && !r->connection->buffered) {

        if (wev->timer_set && !wev->delayed) {
            ngx_del_timer(wev);
        }

        r->write_event_handler = ngx_http_approval_suspend_writer;

        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    r->write_event_handler = ngx_http_approval_progress_writer;

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat);
}


/*
 * The wait is over.  A last notification restarts the client's timeout, for the
 * time that the upstream takes.  Accept-Encoding is removed, since the stream's
 * header has announced no encoding.
 */

ngx_int_t
ngx_http_approval_progress_resume(ngx_http_approval_hold_t *hold)
{
    ngx_event_t                 *wev;
    ngx_http_request_t          *r;
    ngx_http_approval_stream_t  *stream;

    stream = hold->stream;

    if (stream == NULL || stream->state != NGX_HTTP_APPROVAL_STREAM_OPEN) {
        return NGX_OK;
    }

    r = hold->request;

    if (ngx_http_approval_headers_drop(r, ngx_http_approval_header_encoding)
        != NGX_OK
        || ngx_http_approval_progress_send(stream) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    wev = r->connection->write;

    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    return NGX_OK;
}


/* Stops progress; the stream stays open for the answer. */

void
ngx_http_approval_progress_stop(ngx_http_approval_hold_t *hold)
{
    if (hold->stream && hold->stream->tick.timer_set) {
        ngx_del_timer(&hold->stream->tick);
    }
}


void
ngx_http_approval_progress_cleanup(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_stream_t  *stream;

    stream = hold->stream;

    if (stream == NULL || stream->hold != hold) {
        return;
    }

    ngx_http_approval_progress_stop(hold);

    if (stream->state != NGX_HTTP_APPROVAL_STREAM_NONE) {
        ngx_http_approval_streams--;
    }

    approval_buf_free(&stream->body);

    stream->hold = NULL;
}


/* The status of the answer, even if the client got 200 with the stream. */

ngx_uint_t
ngx_http_approval_progress_status(ngx_http_approval_hold_t *hold)
{
    return ngx_http_approval_progress_opened(hold)
           ? hold->stream->status : hold->request->headers_out.status;
}


ngx_uint_t
ngx_http_approval_progress_opened(ngx_http_approval_hold_t *hold)
{
    return hold->stream
           && hold->stream->state != NGX_HTTP_APPROVAL_STREAM_NONE;
}
