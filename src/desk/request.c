
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"
#include "desk/page.h"


static void ngx_http_approval_desk_cleanup(void *data);
static void ngx_http_approval_desk_mask(u_char *p, u_char *last);
static ngx_uint_t ngx_http_approval_desk_wants_page(ngx_http_request_t *r);


ngx_http_approval_desk_t *
ngx_http_approval_desk_create(ngx_http_request_t *r)
{
    ngx_http_cleanup_t        *cln;
    ngx_http_approval_desk_t  *d;

    d = ngx_pcalloc(r->pool, sizeof(ngx_http_approval_desk_t));
    if (d == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_approval_desk_cleanup;
    cln->data = d;

    d->request = r;
    d->mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);
    d->lcf = ngx_http_get_module_loc_conf(r, ngx_http_approval_module);
    d->root = "";
    d->html = ngx_http_approval_desk_wants_page(r);

    return d;
}


static void
ngx_http_approval_desk_cleanup(void *data)
{
    ngx_http_approval_desk_t  *d = data;

    ngx_http_approval_audit_cancel(&d->sync);

    if (d->op) {
        ngx_http_approval_store_forget(d->op);
        d->op = NULL;
    }
}


ngx_http_approval_desk_t *
ngx_http_approval_desk_find(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    for (cln = r->main->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_approval_desk_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


void *
ngx_http_approval_desk_work(ngx_http_approval_desk_t *d, size_t size,
    ngx_pool_cleanup_pt cleanup)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(d->request->pool, size);
    if (cln == NULL) {
        return NULL;
    }

    ngx_memzero(cln->data, size);

    cln->handler = cleanup;
    d->work = cln->data;

    return d->work;
}


ngx_int_t
ngx_http_approval_desk_load(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_step_pt step)
{
    if (ngx_http_approval_desk_ask(d, step) == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    return ngx_http_approval_desk_unavailable(d);
}


ngx_int_t
ngx_http_approval_desk_ask(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_step_pt step)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_store_load(d->mcf->worker->store, d->id,
                                      ngx_http_approval_desk_answer, d);
    if (op == NULL) {
        return NGX_DECLINED;
    }

    return ngx_http_approval_desk_wait(d, op, step);
}


ngx_int_t
ngx_http_approval_desk_wait(ngx_http_approval_desk_t *d,
    ngx_http_approval_op_t *op, ngx_http_approval_desk_step_pt step)
{
    if (op == NULL) {
        return ngx_http_approval_desk_unavailable(d);
    }

    d->op = op;
    d->step = step;
    d->request->connection->log->action = "asking redis about an approval";

    return NGX_AGAIN;
}


void
ngx_http_approval_desk_answer(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_approval_op_t    *op;
    ngx_http_approval_desk_t  *d = data;

    r = d->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);
    c->log->action = "answering an approver";

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "approval desk: store answered: %i", reply->rc);

    /* a step with more replies to come returns NGX_BUSY: see list.c */

    op = d->op;
    d->op = NULL;

    rc = d->step(d, reply);

    if (rc == NGX_BUSY) {
        d->op = op;
        return;
    }

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


/*
 * Masks the token in place, in all three copies that nginx has.  With HTTP/1,
 * args and unparsed_uri are parts of request_line; with HTTP/2 they are not.
 */

void
ngx_http_approval_desk_hide(ngx_http_request_t *r)
{
    ngx_http_approval_desk_mask(r->args.data, r->args.data + r->args.len);
    ngx_http_approval_desk_mask(r->unparsed_uri.data,
                                r->unparsed_uri.data + r->unparsed_uri.len);
    ngx_http_approval_desk_mask(r->request_line.data,
                                r->request_line.data + r->request_line.len);
}


/* Masks the value of each argument "t", also if it is spelled "%74". */

static void
ngx_http_approval_desk_mask(u_char *p, u_char *last)
{
    ngx_uint_t  first, mask;

    first = 1;
    mask = 0;

    for ( /* void */ ; p < last; p++) {

        if (*p == '?' || *p == '&' || *p == ' ') {
            first = 1;
            mask = 0;

        } else if (mask) {
            *p = '*';

        } else if (first && last - p > 1 && p[0] == 't' && p[1] == '=') {
            mask = 1;
            p++;

        } else if (first && last - p > 3 && ngx_strncmp(p, "%74=", 4) == 0) {
            mask = 1;
            p += 3;

        } else {
            first = 0;
        }
    }
}


/*
 * Only clients that name text/html, with at least the quality of JSON, get a
 * page: scripts get JSON by default.
 */

static ngx_uint_t
ngx_http_approval_desk_wants_page(ngx_http_request_t *r)
{
    ngx_int_t  html, json, problem;

    html = ngx_http_approval_accepts(r, "text/html");
    json = ngx_http_approval_accepts(r, "application/json");
    problem = ngx_http_approval_accepts(r, "application/problem+json");

    return html > 0 && html >= ngx_max(json, problem);
}


ngx_uint_t
ngx_http_approval_desk_type(ngx_http_request_t *r, const char *name)
{
    size_t     len;
    ngx_str_t  type, encoding;

    len = ngx_strlen(name);

    return ngx_http_approval_header_find(r, "content-type", &type) == 1
           && !ngx_http_approval_header_find(r, "content-encoding", &encoding)
           && type.len >= len
           && ngx_strncasecmp(type.data, (u_char *) name, len) == 0
           && (type.len == len || type.data[len] == ';'
               || type.data[len] == ' ');
}


ngx_int_t
ngx_http_approval_desk_body(ngx_http_request_t *r, off_t max,
    ngx_str_t *body)
{
    ngx_int_t                  rc;
    approval_str_t             data;
    ngx_http_approval_body_t  *read;

    read = ngx_http_approval_body_load(r, (size_t) max);

    if (read == NULL) {
        return NGX_ERROR;
    }

    data.data = read->data;
    data.len = read->data ? (size_t) read->size : 0;

    rc = (read->size > max) ? NGX_DECLINED
                            : ngx_http_approval_desk_copy(r->pool, data, body);

    ngx_http_approval_body_free(read);

    return rc;
}


ngx_int_t
ngx_http_approval_desk_copy(ngx_pool_t *pool, approval_str_t from,
    ngx_str_t *to)
{
    to->data = ngx_pnalloc(pool, from.len ? from.len : 1);
    if (to->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(to->data, from.data, from.len);
    to->len = from.len;

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_desk_refuse(ngx_http_approval_desk_t *d, ngx_uint_t status,
    const char *type, const char *title, const char *detail, json_t *extra)
{
    u_char     *id;
    json_t     *problem;
    ngx_int_t   rc;

    if (d->reply) {
        rc = d->reply(d, status, title, detail, extra);
        json_decref(extra);
        return rc;
    }

    if (status == NGX_HTTP_UNAUTHORIZED
        && ngx_http_approval_header(d->request, "WWW-Authenticate",
                                    approval_str("Approval-Link"))
           != NGX_OK)
    {
        json_decref(extra);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    id = d->id_valid ? d->id : NULL;

    if (!d->html) {
        return ngx_http_approval_problem(d->request, status, type, title,
                                         detail, id, extra);
    }

    problem = ngx_http_approval_problem_json(status, type, title, detail, id,
                                             extra);

    return ngx_http_approval_page_result(d, status, problem);
}


/* The same answer for actions that never existed, are gone, or are not ours. */

ngx_int_t
ngx_http_approval_desk_not_found(ngx_http_approval_desk_t *d)
{
    d->id_valid = 0;

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_NOT_FOUND, "not-found",
               "Not found",
               "There is no such action here. Actions are kept for a limited "
               "time after they end.", NULL);
}


ngx_int_t
ngx_http_approval_desk_unavailable(ngx_http_approval_desk_t *d)
{
    if (d->reply == NULL
        && ngx_http_approval_header_int(d->request, "Retry-After", 2)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_SERVICE_UNAVAILABLE,
               "store-unavailable", "Store unavailable",
               "The gateway cannot reach its store of actions. Nothing was "
               "changed; try again shortly.", NULL);
}


ngx_int_t
ngx_http_approval_desk_bad_body(ngx_http_approval_desk_t *d, const char *err)
{
    return ngx_http_approval_desk_refuse(d, NGX_HTTP_BAD_REQUEST,
               "body-unreadable", "Not understood", err, NULL);
}


ngx_int_t
ngx_http_approval_desk_bad_argument(ngx_http_approval_desk_t *d,
    const char *err, json_t *name)
{
    return ngx_http_approval_desk_refuse(d, NGX_HTTP_BAD_REQUEST,
               "bad-argument", "Not understood", err,
               json_pack("{s:o}", "argument", name));
}


ngx_int_t
ngx_http_approval_desk_large(ngx_http_approval_desk_t *d)
{
    return ngx_http_approval_desk_refuse(d, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
               "body-too-large", "Too large",
               "This path accepts at most 16 KiB.", NULL);
}


ngx_int_t
ngx_http_approval_desk_unread(ngx_http_approval_desk_t *d)
{
    return ngx_http_approval_desk_refuse(d, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
               "unsupported-media-type", "Unsupported media type",
               "Send one Content-Type, application/json, without "
               "Content-Encoding.", NULL);
}


ngx_int_t
ngx_http_approval_desk_open(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply, json_t **doc, ngx_int_t *rc)
{
    ngx_str_t  sealed;

    *doc = NULL;

    if (reply->rc == NGX_DECLINED) {
        *rc = ngx_http_approval_desk_not_found(d);
        return NGX_DECLINED;
    }

    if (reply->rc != NGX_OK) {
        *rc = ngx_http_approval_desk_unavailable(d);
        return NGX_DECLINED;
    }

    sealed = reply->doc;
    *doc = ngx_http_approval_action_open(d->mcf, d->id, &sealed);

    if (*doc) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(d->request), 0,
                  "approval action \"%*s\" does not open with the keys of "
                  "approval_key: it belongs to another gateway, is damaged, "
                  "or was sealed with a key that was removed",
                  (size_t) APPROVAL_ID_LEN, d->id);

    *rc = ngx_http_approval_desk_not_found(d);

    return NGX_DECLINED;
}
