
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The client's body: read once, judged and digested, forwarded unchanged.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "event/suspend.h"
#include "event/turn.h"


#define NGX_HTTP_APPROVAL_HASH_SLICE  (1024 * 1024)
#define NGX_HTTP_APPROVAL_HASH_BUF    65536


static void ngx_http_approval_body_handler(ngx_http_request_t *r);


/*
 * Follows ngx_http_mirror_module: the body reader holds the request until its
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
     * The settings with which ngx_http_dav_module reads the body of a PUT: it
     * needs a file, but the body is read here first.
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

    ngx_http_approval_body_judge(hold);
}


/*
 * The body was read: runs the phases again, in this turn of the event loop or
 * in a later one, since it takes time to judge and to describe a request.
 */

void
ngx_http_approval_body_judge(ngx_http_approval_hold_t *hold)
{
    ngx_http_request_t  *r;

    r = hold->request;

    if (ngx_http_approval_turn_over()
        && ngx_http_approval_suspend(r, "processing request for approval")
           == NGX_OK)
    {
        ngx_http_approval_turn_next(&hold->wait.event);
        return;
    }

    r->connection->log->action = "processing request for approval";

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


/* Frees the parsed body when it is not needed any more. */

void
ngx_http_approval_body_done(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_body_free(hold->body);
    hold->body = NULL;

    if (hold->hasher) {
        approval_digest_destroy(hold->hasher);
        hold->hasher = NULL;
    }
}


/*
 * Digests at most one slice for each turn of the event loop, so that a large
 * body does not delay other requests.  NGX_AGAIN: there is more.  hold->hasher
 * has digested everything but the body before.
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

            if (ngx_http_approval_body_buf(hold->request, b,
                                           hold->hash_offset, p, size)
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

    approval_digest_text(hold->action.digest, md);

    approval_digest_destroy(hold->hasher);
    hold->hasher = NULL;

    return NGX_OK;
}
