
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The client's body: read once, judged and digested, forwarded as it is.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


#define NGX_HTTP_APPROVAL_HASH_SLICE  (1024 * 1024)
#define NGX_HTTP_APPROVAL_HASH_BUF    65536


static void ngx_http_approval_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_body_copy(ngx_http_approval_hold_t *hold,
    ngx_http_approval_body_t *body);
static ssize_t ngx_http_approval_body_buf(ngx_http_approval_hold_t *hold,
    ngx_buf_t *b, off_t offset, u_char *dst, size_t size);


/*
 * The pattern of ngx_http_mirror_module: the reader owns the request until its
 * handler runs the phases again.
 */

ngx_int_t
ngx_http_approval_body_read(ngx_http_approval_hold_t *hold)
{
    ngx_int_t                  rc;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = hold->request;

    hold->state = NGX_HTTP_APPROVAL_HOLD_BODY;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /*
     * What ngx_http_dav_module asks for before it reads a PUT: it takes the
     * body as a file, and by then the body has been read.
     */

    if (r->method == NGX_HTTP_PUT && clcf->handler == NULL) {
        r->request_body_in_file_only = 1;
        r->request_body_in_persistent_file = 1;
        r->request_body_in_clean_file = 1;
        r->request_body_file_group_access = 1;
        r->request_body_file_log_level = 0;
    }

    r->connection->log->action = "reading client request body for approval";

    rc = ngx_http_read_client_request_body(r, ngx_http_approval_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


static void
ngx_http_approval_body_handler(ngx_http_request_t *r)
{
    ngx_http_approval_hold_t  *hold;

    hold = ngx_http_get_module_ctx(r, ngx_http_approval_module);

    hold->state = NGX_HTTP_APPROVAL_HOLD_READ;

    r->preserve_body = 1;
    r->connection->log->action = "processing request for approval";

    r->write_event_handler = ngx_http_core_run_phases;
    ngx_http_core_run_phases(r);
}


/* An encoded body is opaque: a rule that reads it cannot judge it. */

ngx_uint_t
ngx_http_approval_encoded(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("content-encoding") - 1
                && ngx_memcmp(h[i].lowcase_key, "content-encoding",
                              sizeof("content-encoding") - 1)
                   == 0
                && !(h[i].value.len == 8
                     && ngx_strncasecmp(h[i].value.data,
                                        (u_char *) "identity", 8)
                        == 0))
            {
                return 1;
            }
        }
    }

    return 0;
}


/* One view of the whole body, where it is not larger than body_limit. */

ngx_int_t
ngx_http_approval_body_load(ngx_http_approval_hold_t *hold)
{
    ngx_chain_t               *cl;
    ngx_http_request_t        *r;
    ngx_http_approval_body_t  *body;

    if (hold->body) {
        return NGX_OK;
    }

    r = hold->request;

    body = ngx_calloc(sizeof(ngx_http_approval_body_t), r->connection->log);
    if (body == NULL) {
        return NGX_ERROR;
    }

    hold->body = body;

    body->none = (r->headers_in.content_length == NULL
                  && !r->headers_in.chunked);

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        body->size += ngx_buf_size(cl->buf);
    }

    if (body->size == 0
        || body->size > (off_t) hold->lcf->policy->body_limit)
    {
        return NGX_OK;
    }

    cl = r->request_body->bufs;

    if (cl->next == NULL && ngx_buf_in_memory(cl->buf)) {
        body->data = cl->buf->pos;
        return NGX_OK;
    }

    return ngx_http_approval_body_copy(hold, body);
}


static ngx_int_t
ngx_http_approval_body_copy(ngx_http_approval_hold_t *hold,
    ngx_http_approval_body_t *body)
{
    u_char       *p;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    body->data = ngx_alloc((size_t) body->size,
                           hold->request->connection->log);
    if (body->data == NULL) {
        return NGX_ERROR;
    }

    body->allocated = 1;
    p = body->data;

    for (cl = hold->request->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;

        n = ngx_http_approval_body_buf(hold, b, 0, p, (size_t) ngx_buf_size(b));

        if (n != (ssize_t) ngx_buf_size(b)) {
            return NGX_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}


/* Bytes of one buffer, from "offset" on; fewer than size only on errors. */

static ssize_t
ngx_http_approval_body_buf(ngx_http_approval_hold_t *hold, ngx_buf_t *b,
    off_t offset, u_char *dst, size_t size)
{
    size_t   done;
    ssize_t  n;

    if (ngx_buf_in_memory(b)) {
        ngx_memcpy(dst, b->pos + offset, size);
        return size;
    }

    if (!b->in_file) {
        return size ? NGX_ERROR : 0;
    }

    for (done = 0; done < size; done += n) {
        n = ngx_read_file(b->file, dst + done, size - done,
                          b->file_pos + offset + done);

        if (n <= 0) {
            ngx_log_error(NGX_LOG_ERR, hold->request->connection->log, 0,
                          "the body of a request that needs approval could "
                          "not be read back from \"%V\"", &b->file->name);
            return NGX_ERROR;
        }
    }

    return done;
}


void
ngx_http_approval_body_parse(ngx_http_approval_body_t *body)
{
    approval_str_t  text;

    if (body->parsed) {
        return;
    }

    body->parsed = 1;

    /* Nothing to be misread: to rules every member of it is absent. */

    if (body->none && body->size == 0) {
        return;
    }

    if (body->data == NULL) {
        body->json_error = body->size ? "the body is too large"
                                      : "the body is empty";
        return;
    }

    text.data = body->data;
    text.len = (size_t) body->size;

    body->json = approval_json_parse(text, &body->json_error);
}


void
ngx_http_approval_body_free(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_body_t  *body;

    body = hold->body;

    if (body) {
        hold->body = NULL;

        json_decref(body->json);

        if (body->allocated) {
            ngx_free(body->data);
        }

        ngx_free(body);
    }

    if (hold->hasher) {
        approval_digest_destroy(hold->hasher);
        hold->hasher = NULL;
    }
}


/*
 * Digests at most a slice a turn, so that a large body delays nobody else:
 * NGX_AGAIN until it is whole. hold->hasher was given all but the body.
 */

ngx_int_t
ngx_http_approval_body_digest(ngx_http_approval_hold_t *hold)
{
    off_t      left;
    size_t     size, slice;
    u_char    *p, md[APPROVAL_SHA256_LEN];
    ngx_buf_t *b;

    static u_char  buf[NGX_HTTP_APPROVAL_HASH_BUF];

    slice = NGX_HTTP_APPROVAL_HASH_SLICE;

    while (hold->hash_next) {

        if (slice == 0) {
            return NGX_AGAIN;
        }

        b = hold->hash_next->buf;
        left = ngx_buf_size(b) - hold->hash_offset;

        if (left == 0) {
            hold->hash_next = hold->hash_next->next;
            hold->hash_offset = 0;
            continue;
        }

        size = (size_t) ngx_min(left, (off_t) slice);

        if (ngx_buf_in_memory(b)) {
            p = b->pos + hold->hash_offset;

        } else {
            p = buf;
            size = ngx_min(size, sizeof(buf));

            if (ngx_http_approval_body_buf(hold, b, hold->hash_offset, p, size)
                != (ssize_t) size)
            {
                return NGX_ERROR;
            }
        }

        if (approval_digest_update(hold->hasher, p, size) != APPROVAL_OK) {
            return NGX_ERROR;
        }

        hold->hash_offset += size;
        slice -= size;
    }

    if (approval_digest_final(hold->hasher, md) != APPROVAL_OK) {
        return NGX_ERROR;
    }

    approval_digest_text(hold->digest, md);

    approval_digest_destroy(hold->hasher);
    hold->hasher = NULL;

    return NGX_OK;
}
