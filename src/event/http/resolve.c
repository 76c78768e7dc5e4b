
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http/call.h"

#include <openssl/err.h>


static void ngx_http_approval_call_resolved(ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_http_approval_call_addresses(
    ngx_http_approval_call_t *call, ngx_resolver_ctx_t *ctx);


/*
 * curl's own resolver would block the event loop, or at least the cleanup of
 * the transfer.
 */

ngx_int_t
ngx_http_approval_call_resolve(ngx_http_approval_call_t *call)
{
    ngx_msec_t           left;
    ngx_resolver_ctx_t  *ctx, temp;

    if (call->http->resolver == NULL) {
        ngx_http_approval_call_end(call, "there is no \"resolver\"");
        return NGX_OK;
    }

    temp.name = call->target->host;

    ctx = ngx_resolve_start(call->http->resolver, &temp);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx == NGX_NO_RESOLVER) {
        ngx_http_approval_call_end(call, "there is no \"resolver\"");
        return NGX_OK;
    }

    left = call->end - ngx_current_msec;

    ctx->name = call->target->host;
    ctx->handler = ngx_http_approval_call_resolved;
    ctx->data = call;
    ctx->timeout = ngx_min(left, call->http->resolver_timeout);

    call->ctx = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        call->ctx = NULL;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_approval_call_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_int_t                  rc;
    const char                *error;
    ngx_http_approval_call_t  *call;

    call = ctx->data;
    error = NULL;
    rc = NGX_OK;

    if (ctx->state) {
        error = (ctx->state == NGX_RESOLVE_TIMEDOUT)
                ? "the resolver did not answer" : "its host was not found";

    } else {
        rc = ngx_http_approval_call_addresses(call, ctx);
    }

    call->ctx = NULL;
    ngx_resolve_name_done(ctx);

    if (error == NULL
        && (rc != NGX_OK || ngx_http_approval_call_add(call) != NGX_OK))
    {
        error = "no memory";
    }

    if (error) {
        ngx_http_approval_call_end(call, error);
    }

    ERR_clear_error();
}


/*
 * Gives curl the addresses as "HOST:PORT:ADDRESS,ADDRESS".  They replace those
 * of the previous call.
 */

static ngx_int_t
ngx_http_approval_call_addresses(ngx_http_approval_call_t *call,
    ngx_resolver_ctx_t *ctx)
{
    u_char                      *p, *text;
    size_t                       len;
    ngx_uint_t                   i;
    ngx_http_approval_target_t  *target;

    target = call->target;

    len = target->host.len + sizeof("::65535:")
          + ctx->naddrs * (NGX_SOCKADDR_STRLEN + 3);

    text = ngx_alloc(len, call->http->log);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(text, "%V:%d:", &target->host, (int) target->port);

    for (i = 0; i < ctx->naddrs; i++) {
        if (i) {
            *p++ = ',';
        }

        if (ctx->addrs[i].sockaddr->sa_family == AF_INET6) {
            *p++ = '[';
        }

        p += ngx_sock_ntop(ctx->addrs[i].sockaddr, ctx->addrs[i].socklen, p,
                           NGX_SOCKADDR_STRLEN, 0);

        if (ctx->addrs[i].sockaddr->sa_family == AF_INET6) {
            *p++ = ']';
        }
    }

    *p = '\0';

    call->resolve = curl_slist_append(NULL, (char *) text);

    ngx_free(text);

    if (call->resolve == NULL
        || curl_easy_setopt(call->easy, CURLOPT_RESOLVE, call->resolve)
           != CURLE_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_call_add(ngx_http_approval_call_t *call)
{
    long            left;
    ngx_msec_int_t  ms;

    ms = (ngx_msec_int_t) (call->end - ngx_current_msec);
    left = (ms > 0) ? (long) ms : 1;

    if (curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, left) != CURLE_OK
        || curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, left)
           != CURLE_OK
        || curl_multi_add_handle(call->http->multi, call->easy) != CURLM_OK)
    {
        return NGX_ERROR;
    }

    call->added = 1;

    return NGX_OK;
}
