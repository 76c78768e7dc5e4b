
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * "pass": a message as the body of a background subrequest.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/deliver.h"


static ngx_int_t ngx_http_approval_pass_request(ngx_http_request_t *sr,
    ngx_http_approval_delivery_t *d, ngx_array_t *headers);
static ngx_int_t ngx_http_approval_pass_headers(ngx_http_request_t *sr,
    ngx_http_approval_delivery_t *d, ngx_array_t *headers);
static ngx_int_t ngx_http_approval_pass_body(ngx_http_request_t *sr,
    ngx_str_t *body);
static ngx_table_elt_t *ngx_http_approval_pass_header(ngx_http_request_t *sr,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_approval_pass_done(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static ngx_msec_t ngx_http_approval_pass_retry_after(ngx_http_request_t *sr);
static void ngx_http_approval_pass_skip(ngx_http_request_t *sr);


/* The context of our subrequests: only its address matters. */
static ngx_uint_t  ngx_http_approval_pass_marker;


static ngx_str_t  ngx_http_approval_pass_method = ngx_string("POST");
static ngx_str_t  ngx_http_approval_pass_agent = ngx_string("nginx-approval");
static ngx_str_t  ngx_http_approval_pass_type = ngx_string("Content-Type");
static ngx_str_t  ngx_http_approval_pass_length = ngx_string("Content-Length");
static ngx_str_t  ngx_http_approval_pass_user_agent = ngx_string("User-Agent");


ngx_int_t
ngx_http_approval_pass_send(ngx_http_approval_delivery_t *d)
{
    u_char                            *p;
    ngx_str_t                          uri, args;
    ngx_uint_t                         count;
    ngx_array_t                        headers;
    ngx_http_request_t                *r, *sr;
    ngx_http_post_subrequest_t        *ps;
    const ngx_http_approval_format_t  *format;

    r = d->outbox->request;

    format = ngx_http_approval_format(d->channel->type);

    if (ngx_array_init(&headers, r->pool, 4, sizeof(ngx_keyval_t)) != NGX_OK
        || (format->headers
            && format->headers(r->pool, d->channel, &d->message_id, &d->body,
                               ngx_time(), &headers)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    if (ps == NULL) {
        return NGX_ERROR;
    }

    ps->handler = ngx_http_approval_pass_done;
    ps->data = d;

    uri = d->channel->pass;
    ngx_str_null(&args);

    p = ngx_strlchr(uri.data, uri.data + uri.len, '?');

    if (p) {
        args.data = p + 1;
        args.len = uri.data + uri.len - args.data;
        uri.len = p - uri.data;
    }

    count = r->main->count;

    if (ngx_http_subrequest(r, &uri, &args, &sr, ps,
                            NGX_HTTP_SUBREQUEST_BACKGROUND)
        != NGX_OK)
    {
        /* counted, but not posted, so nginx would never decrement the count */
        r->main->count = count;
        return NGX_ERROR;
    }

    if (ngx_http_approval_pass_request(sr, d, &headers) != NGX_OK) {

        /* already posted, and may still have the client's headers or body */

        sr->post_subrequest = NULL;
        ngx_http_approval_pass_abort(sr);
        return NGX_ERROR;
    }

    d->sr = sr;

    return NGX_OK;
}


/*
 * A subrequest starts with its parent's headers, body and variables.  A channel
 * must see none of them, and values that are evaluated for the channel must not
 * remain in the parent's variables.
 */

static ngx_int_t
ngx_http_approval_pass_request(ngx_http_request_t *sr,
    ngx_http_approval_delivery_t *d, ngx_array_t *headers)
{
    ngx_http_core_main_conf_t  *cmcf;
    ngx_http_variable_value_t  *variables;

    cmcf = ngx_http_get_module_main_conf(sr, ngx_http_core_module);

    variables = ngx_pcalloc(sr->pool, cmcf->variables.nelts
                                      * sizeof(ngx_http_variable_value_t));
    if (variables == NULL
        || ngx_http_approval_pass_headers(sr, d, headers) != NGX_OK
        || ngx_http_approval_pass_body(sr, &d->body) != NGX_OK)
    {
        return NGX_ERROR;
    }

    sr->variables = variables;
    sr->header_only = 1;
    sr->discard_body = 0;
    sr->method = NGX_HTTP_POST;
    sr->method_name = ngx_http_approval_pass_method;
    sr->unparsed_uri = d->channel->pass;

    ngx_http_set_ctx(sr, &ngx_http_approval_pass_marker,
                     ngx_http_approval_module);

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_pass_headers(ngx_http_request_t *sr,
    ngx_http_approval_delivery_t *d, ngx_array_t *headers)
{
    u_char                 *p;
    ngx_str_t              *type, length;
    ngx_uint_t              i;
    ngx_keyval_t           *kv;
    ngx_http_headers_in_t  *in;

    in = &sr->headers_in;

    ngx_memzero(in, sizeof(ngx_http_headers_in_t));

    in->content_length_n = d->body.len;
    in->keep_alive_n = -1;

    p = ngx_pnalloc(sr->pool, NGX_SIZE_T_LEN);

    if (p == NULL
        || ngx_list_init(&in->headers, sr->pool, 8, sizeof(ngx_table_elt_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    length.data = p;
    length.len = ngx_sprintf(p, "%uz", d->body.len) - p;

    type = ngx_http_approval_content_type(d->channel, d->event);

    in->content_length = ngx_http_approval_pass_header(sr,
                                          &ngx_http_approval_pass_length,
                                          &length);
    in->content_type = ngx_http_approval_pass_header(sr,
                                          &ngx_http_approval_pass_type,
                                          type);
    in->user_agent = ngx_http_approval_pass_header(sr,
                                          &ngx_http_approval_pass_user_agent,
                                          &ngx_http_approval_pass_agent);

    if (in->content_length == NULL || in->content_type == NULL
        || in->user_agent == NULL)
    {
        return NGX_ERROR;
    }

    kv = headers->elts;

    for (i = 0; i < headers->nelts; i++) {
        if (ngx_http_approval_pass_header(sr, &kv[i].key, &kv[i].value)
            == NULL)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_pass_body(ngx_http_request_t *sr, ngx_str_t *body)
{
    ngx_buf_t                *b;
    ngx_chain_t              *cl;
    ngx_http_request_body_t  *rb;

    rb = ngx_pcalloc(sr->pool, sizeof(ngx_http_request_body_t));
    b = ngx_calloc_buf(sr->pool);
    cl = ngx_alloc_chain_link(sr->pool);

    if (rb == NULL || b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    b->start = body->data;
    b->pos = body->data;
    b->last = body->data + body->len;
    b->end = b->last;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    cl->buf = b;
    cl->next = NULL;

    rb->bufs = cl;

    sr->request_body = rb;

    return NGX_OK;
}


static ngx_table_elt_t *
ngx_http_approval_pass_header(ngx_http_request_t *sr, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&sr->headers_in.headers);
    if (h == NULL) {
        return NULL;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->lowcase_key = ngx_pnalloc(sr->pool, name->len);
    if (h->lowcase_key == NULL) {
        return NULL;
    }

    h->hash = ngx_hash_strlow(h->lowcase_key, name->data, name->len);
    h->key = *name;
    h->value = *value;

    return h;
}


/*
 * Always returns NGX_OK, so that the response of a channel neither terminates
 * the held request nor replaces its response (header_only: nothing is sent).
 */

static ngx_int_t
ngx_http_approval_pass_done(ngx_http_request_t *sr, void *data,
    ngx_int_t rc)
{
    ngx_http_approval_delivery_t *d = data;

    ngx_connection_t             *c;
    ngx_http_approval_outbox_t   *outbox;
    ngx_http_approval_attempt_t   a;

    if (d->sr != sr) {
        /* the attempt was given up before */
        return NGX_OK;
    }

    outbox = d->outbox;
    c = sr->connection;

    ngx_memzero(&a, sizeof(ngx_http_approval_attempt_t));

    if (rc == NGX_OK) {
        a.status = sr->headers_out.status;

    } else if (rc > NGX_OK) {
        a.status = rc;
    }

    if (a.status == 0) {
        a.error = "there was no response";
    }

    a.retry_after = ngx_http_approval_pass_retry_after(sr);

    ngx_http_approval_deliver_ended(d, &a);

    if (!outbox->stopped) {

        /* the client does not wait for the channel */

        ngx_http_set_log_request(c->log, outbox->request);
        c->log->action = "waiting for approval";
    }

    return NGX_OK;
}


static ngx_msec_t
ngx_http_approval_pass_retry_after(ngx_http_request_t *sr)
{
    time_t            when;
    ngx_int_t         sec;
    ngx_list_t       *headers;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("Retry-After");

    /* "proxy_intercept_errors on" leaves no headers in headers_out */

    headers = &sr->headers_out.headers;

    if (sr->upstream && sr->upstream->headers_in.headers.part.elts) {
        headers = &sr->upstream->headers_in.headers;
    }

    part = &headers->part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return 0;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].hash == 0
            || h[i].key.len != name.len
            || ngx_strncasecmp(h[i].key.data, name.data, name.len) != 0)
        {
            continue;
        }

        sec = ngx_atoi(h[i].value.data, h[i].value.len);

        if (sec == NGX_ERROR) {
            when = ngx_parse_http_time(h[i].value.data, h[i].value.len);

            if (when == (time_t) NGX_ERROR) {
                return 0;
            }

            sec = when - ngx_time();
        }

        if (sec <= 0) {
            return 0;
        }

        return (ngx_msec_t) ngx_min(sec, 86400) * 1000;
    }
}


/*
 * Does what nginx does to an upstream request whose client has closed the
 * connection.  Other content handlers cannot be aborted: they run to their end,
 * and the result is ignored.
 */

void
ngx_http_approval_pass_abort(ngx_http_request_t *sr)
{
    if (sr->write_event_handler == ngx_http_handler) {
        /* posted, but not run yet */
        sr->write_event_handler = ngx_http_approval_pass_skip;
        return;
    }

    if (sr->upstream && sr->upstream->cleanup) {
        sr->write_event_handler = ngx_http_request_empty_handler;
        (*sr->upstream->cleanup)(sr);
    }
}


static void
ngx_http_approval_pass_skip(ngx_http_request_t *sr)
{
    sr->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_finalize_request(sr, NGX_OK);
}


ngx_http_approval_delivery_t *
ngx_http_approval_pass_find(ngx_http_request_t *r)
{
    if (r == r->main
        || r->post_subrequest == NULL
        || r->post_subrequest->handler != ngx_http_approval_pass_done)
    {
        return NULL;
    }

    return r->post_subrequest->data;
}


ngx_uint_t
ngx_http_approval_pass_own(ngx_http_request_t *r)
{
    return r != r->main
           && ngx_http_get_module_ctx(r, ngx_http_approval_module)
              == &ngx_http_approval_pass_marker;
}
