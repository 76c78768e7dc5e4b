
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The answer to a call whose stream is open: its header is not sent, and its
 * body becomes events of the stream.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/stream.h"


#define NGX_HTTP_APPROVAL_STREAM_BODY_MAX  65536


static ngx_int_t ngx_http_approval_stream_header_filter(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_stream_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);

static ngx_http_approval_stream_t *ngx_http_approval_stream_of(
    ngx_http_request_t *r);
static ngx_http_approval_stream_state_e ngx_http_approval_stream_kind(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_approval_stream_type(ngx_http_request_t *r,
    const char *type);
static ngx_int_t ngx_http_approval_stream_json(ngx_http_request_t *r,
    ngx_http_approval_stream_t *stream, ngx_chain_t *in);
static ngx_int_t ngx_http_approval_stream_line(ngx_http_request_t *r,
    ngx_buf_t *b);
static ngx_int_t ngx_http_approval_stream_other(ngx_http_request_t *r,
    ngx_http_approval_stream_t *stream, ngx_chain_t *in);
static ngx_int_t ngx_http_approval_stream_fail(ngx_http_request_t *r,
    ngx_http_approval_stream_t *stream);
static ngx_int_t ngx_http_approval_stream_end(ngx_http_request_t *r,
    approval_str_t text);
static ngx_buf_t *ngx_http_approval_stream_buf(ngx_http_request_t *r,
    approval_str_t text);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_int_t
ngx_http_approval_stream_filters(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_approval_stream_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_approval_stream_body_filter;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_stream_header_filter(ngx_http_request_t *r)
{
    ngx_http_approval_stream_t  *stream;

    if (ngx_http_approval_streams == 0
        || (stream = ngx_http_approval_stream_of(r)) == NULL)
    {
        return ngx_http_next_header_filter(r);
    }

    stream->status = r->headers_out.status;
    stream->state = ngx_http_approval_stream_kind(r);
    stream->json = ngx_http_approval_stream_type(r, "application/json")
                   || ngx_http_approval_stream_type(r,
                                                 "application/problem+json");

    /* the access log gets the status that the client got */

    r->header_sent = 1;

    ngx_http_approval_stream_described(r);

    ngx_http_approval_stream_restore(r, stream);

    return NGX_OK;
}


void
ngx_http_approval_stream_described(ngx_http_request_t *r)
{
    r->err_status = 0;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.status_line.len = 0;

    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
}


/*
 * A redirect clears all contexts, but the following filters (chunked, gzip)
 * need theirs, which belong to the header that was sent.
 */

void
ngx_http_approval_stream_restore(ngx_http_request_t *r,
    ngx_http_approval_stream_t *stream)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_http_max_module; i++) {
        if (r->ctx[i] == NULL) {
            r->ctx[i] = stream->ctx[i];
        }
    }
}


/* The open stream of a main request, even after a redirect; or NULL. */

static ngx_http_approval_stream_t *
ngx_http_approval_stream_of(ngx_http_request_t *r)
{
    ngx_http_approval_hold_t  *hold;

    if (r != r->main || r->post_action) {
        return NULL;
    }

    hold = ngx_http_approval_hold_of(r);

    if (hold == NULL || !ngx_http_approval_progress_opened(hold)) {
        return NULL;
    }

    return hold->stream;
}


static ngx_http_approval_stream_state_e
ngx_http_approval_stream_kind(ngx_http_request_t *r)
{
    ngx_table_elt_t  *encoding;

    encoding = r->headers_out.content_encoding;

    if (r->headers_out.status < NGX_HTTP_OK
        || r->headers_out.status >= NGX_HTTP_SPECIAL_RESPONSE
        || (encoding && encoding->hash && encoding->value.len))
    {
        return NGX_HTTP_APPROVAL_STREAM_OTHER;
    }

    if (ngx_http_approval_stream_type(r, "text/event-stream")) {
        return NGX_HTTP_APPROVAL_STREAM_EVENTS;
    }

    return ngx_http_approval_stream_type(r, "application/json")
           ? NGX_HTTP_APPROVAL_STREAM_JSON : NGX_HTTP_APPROVAL_STREAM_OTHER;
}


/* Compares the Content-Type, with or without parameters. */

static ngx_uint_t
ngx_http_approval_stream_type(ngx_http_request_t *r, const char *type)
{
    size_t      len;
    ngx_str_t  *value;

    value = &r->headers_out.content_type;
    len = ngx_strlen(type);

    return value->len >= len
           && ngx_strncasecmp(value->data, (u_char *) type, len) == 0
           && (value->len == len || value->data[len] == ';'
               || value->data[len] == ' ');
}


static ngx_int_t
ngx_http_approval_stream_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_approval_stream_t  *stream;

    if (ngx_http_approval_streams == 0 || in == NULL
        || (stream = ngx_http_approval_stream_of(r)) == NULL)
    {
        return ngx_http_next_body_filter(r, in);
    }

    switch (stream->state) {

    case NGX_HTTP_APPROVAL_STREAM_JSON:
        return ngx_http_approval_stream_json(r, stream, in);

    case NGX_HTTP_APPROVAL_STREAM_OTHER:
        return ngx_http_approval_stream_other(r, stream, in);

    default:
        return ngx_http_next_body_filter(r, in);
    }
}


/*
 * Passes the bytes on unbuffered, between the beginning and the end of an
 * event, so a slow client slows down the upstream as usual.
 */

static ngx_int_t
ngx_http_approval_stream_json(ngx_http_request_t *r,
    ngx_http_approval_stream_t *stream, ngx_chain_t *in)
{
    ngx_int_t     rc;
    ngx_uint_t    last, some;
    ngx_chain_t  *cl, head;

    last = 0;
    some = 0;

    for (cl = in; cl; cl = cl->next) {

        if (ngx_buf_size(cl->buf)) {
            some = 1;

            if (ngx_http_approval_stream_line(r, cl->buf) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        if (cl->buf->last_buf) {
            cl->buf->last_buf = 0;
            cl->buf->last_in_chain = 1;
            cl->buf->sync = 1;
            last = 1;
        }
    }

    if (some && !stream->begun) {
        stream->begun = 1;

        head.buf = ngx_http_approval_stream_buf(r,
                                     approval_str("event: message\ndata: "));
        if (head.buf == NULL) {
            return NGX_ERROR;
        }

        head.next = in;
        in = &head;
    }

    rc = ngx_http_next_body_filter(r, in);

    if (rc == NGX_ERROR || !last) {
        return rc;
    }

    if (!stream->begun) {
        return ngx_http_approval_stream_fail(r, stream);
    }

    stream->state = NGX_HTTP_APPROVAL_STREAM_DONE;

    return ngx_http_approval_stream_end(r, approval_str("\n\n"));
}


/*
 * An event's data is one line, so line breaks become spaces.  JSON permits
 * that: they occur only between tokens, not in strings.
 */

static ngx_int_t
ngx_http_approval_stream_line(ngx_http_request_t *r, ngx_buf_t *b)
{
    u_char  *p;

    if (!b->temporary) {
        ngx_log_error(NGX_LOG_ALERT, ngx_http_approval_log(r), 0,
                      "an answer's bytes are not the filter's to change");
        return NGX_ERROR;
    }

    for (p = b->pos; p < b->last; p++) {
        if (*p == CR || *p == LF) {
            *p = ' ';
        }
    }

    return NGX_OK;
}


/* Collects the body for the error that is sent at the end of the answer. */

static ngx_int_t
ngx_http_approval_stream_other(ngx_http_request_t *r,
    ngx_http_approval_stream_t *stream, ngx_chain_t *in)
{
    ngx_buf_t   *b;
    ngx_uint_t   last;

    last = 0;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        if (stream->json && ngx_buf_in_memory(b)) {

            if (stream->body.len + (b->last - b->pos)
                > NGX_HTTP_APPROVAL_STREAM_BODY_MAX)
            {
                stream->json = 0;

            } else {
                approval_buf_add(&stream->body, b->pos, b->last - b->pos);
            }
        }

        last |= b->last_buf;

        b->pos = b->last;
        b->file_pos = b->file_last;
    }

    return last ? ngx_http_approval_stream_fail(r, stream) : NGX_OK;
}


static ngx_int_t
ngx_http_approval_stream_fail(ngx_http_request_t *r,
    ngx_http_approval_stream_t *stream)
{
    ngx_int_t       rc;
    approval_buf_t  text;

    stream->state = NGX_HTTP_APPROVAL_STREAM_DONE;

    approval_buf_init(&text);

    rc = ngx_http_approval_stream_error(stream, &text);

    if (rc == NGX_OK) {
        rc = ngx_http_approval_stream_end(r, approval_buf_str(&text));
    }

    approval_buf_free(&text);

    return rc;
}


static ngx_int_t
ngx_http_approval_stream_end(ngx_http_request_t *r, approval_str_t text)
{
    ngx_chain_t  out;

    out.buf = ngx_http_approval_stream_buf(r, text);

    if (out.buf == NULL) {
        return NGX_ERROR;
    }

    out.buf->last_buf = 1;
    out.buf->last_in_chain = 1;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}


static ngx_buf_t *
ngx_http_approval_stream_buf(ngx_http_request_t *r, approval_str_t text)
{
    ngx_buf_t  *b;

    b = ngx_create_temp_buf(r->pool, text.len);

    if (b) {
        b->last = ngx_cpymem(b->last, text.data, text.len);
    }

    return b;
}
