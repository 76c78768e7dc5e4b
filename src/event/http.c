
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http.h"
#include "event/http_sock.h"

#include <openssl/err.h>


#define NGX_HTTP_APPROVAL_HTTP_TOTAL  256     /* connections            */
#define NGX_HTTP_APPROVAL_HTTP_HOST   64      /* of them to one host    */
#define NGX_HTTP_APPROVAL_HTTP_IDLE   8       /* kept open              */


/*
 * One request.  It is being resolved (ctx), or curl's (added), or its "done"
 * event is posted.  Freed after the handler's call, or by a cancel.
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
    ngx_msec_t                   end;

    ngx_event_t                  done;
    ngx_uint_t                   status;
    const char                  *error;
    size_t                       nread;
    size_t                       nbody;
    u_char                       body[NGX_HTTP_APPROVAL_HTTP_KEEP];

    unsigned                     added:1;
};


static ngx_int_t ngx_http_approval_call_options(
    ngx_http_approval_call_t *call, ngx_str_t *body);
static ngx_int_t ngx_http_approval_call_tls(ngx_http_approval_call_t *call);
static ngx_int_t ngx_http_approval_call_pem(CURL *easy, CURLoption option,
    ngx_str_t *pem);
static ngx_int_t ngx_http_approval_call_headers(
    ngx_http_approval_call_t *call, ngx_str_t *content_type,
    ngx_array_t *headers);
static ngx_int_t ngx_http_approval_call_header(
    ngx_http_approval_call_t *call, ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_approval_call_resolve(
    ngx_http_approval_call_t *call);
static void ngx_http_approval_call_resolved(ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_http_approval_call_addresses(
    ngx_http_approval_call_t *call, ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_http_approval_call_add(ngx_http_approval_call_t *call);
static size_t ngx_http_approval_call_read(char *data, size_t size, size_t n,
    void *userdata);
static void ngx_http_approval_call_fail(ngx_http_approval_call_t *call,
    const char *error);
static void ngx_http_approval_call_done(ngx_event_t *ev);
static void ngx_http_approval_call_free(ngx_http_approval_call_t *call);


static ngx_str_t  ngx_http_approval_call_type = ngx_string("Content-Type");


ngx_http_approval_http_t *
ngx_http_approval_http_create(ngx_resolver_t *resolver,
    ngx_msec_t resolver_timeout, ngx_log_t *log)
{
    ngx_http_approval_http_t  *http;

    http = ngx_calloc(sizeof(ngx_http_approval_http_t), log);
    if (http == NULL) {
        return NULL;
    }

    http->log = log;
    http->resolver = resolver;
    http->resolver_timeout = resolver_timeout;

    ngx_queue_init(&http->calls);
    ngx_queue_init(&http->socks);

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "approval: curl_global_init() "
                      "failed");
        ngx_free(http);
        return NULL;
    }

    http->multi = curl_multi_init();

    if (http->multi == NULL) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "approval: curl_multi_init() "
                      "failed");
        curl_global_cleanup();
        ngx_free(http);
        return NULL;
    }

    curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                      (long) NGX_HTTP_APPROVAL_HTTP_TOTAL);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      (long) NGX_HTTP_APPROVAL_HTTP_HOST);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS,
                      (long) NGX_HTTP_APPROVAL_HTTP_IDLE);

    ngx_http_approval_socks_init(http);

    ERR_clear_error();

    return http;
}


void
ngx_http_approval_http_destroy(ngx_http_approval_http_t *http)
{
    ngx_queue_t               *q;
    ngx_http_approval_call_t  *call;

    while (!ngx_queue_empty(&http->calls)) {
        q = ngx_queue_head(&http->calls);
        call = ngx_queue_data(q, ngx_http_approval_call_t, queue);

        ngx_http_approval_call_free(call);
    }

    curl_multi_cleanup(http->multi);

    ngx_http_approval_socks_done(http);

    curl_global_cleanup();
    ERR_clear_error();

    ngx_free(http);
}


ngx_http_approval_call_t *
ngx_http_approval_http_post(ngx_http_approval_http_t *http,
    ngx_http_approval_target_t *target, ngx_str_t *content_type,
    ngx_array_t *headers, ngx_str_t *body, ngx_msec_t timeout,
    ngx_http_approval_answer_pt handler, void *data)
{
    ngx_int_t                  rc;
    ngx_http_approval_call_t  *call;

    call = ngx_calloc(sizeof(ngx_http_approval_call_t), http->log);
    if (call == NULL) {
        return NULL;
    }

    ngx_queue_insert_tail(&http->calls, &call->queue);

    call->http = http;
    call->target = target;
    call->handler = handler;
    call->data = data;
    call->end = ngx_current_msec + timeout;

    call->done.handler = ngx_http_approval_call_done;
    call->done.data = call;
    call->done.log = http->log;

    call->easy = curl_easy_init();

    if (call->easy == NULL
        || ngx_http_approval_call_headers(call, content_type, headers)
           != NGX_OK
        || ngx_http_approval_call_options(call, body) != NGX_OK)
    {
        ngx_http_approval_call_free(call);
        ERR_clear_error();
        return NULL;
    }

    if (target->numeric || target->local) {
        rc = ngx_http_approval_call_add(call);

    } else {
        rc = ngx_http_approval_call_resolve(call);
    }

    ERR_clear_error();

    if (rc != NGX_OK) {
        ngx_http_approval_call_free(call);
        return NULL;
    }

    return call;
}


void
ngx_http_approval_http_cancel(ngx_http_approval_call_t *call)
{
    ngx_http_approval_call_free(call);
    ERR_clear_error();
}


/*
 * Signals would hit nginx' own handlers; proxies of the environment are not
 * the configuration's; where a redirect leads nobody configured.
 */

static ngx_int_t
ngx_http_approval_call_options(ngx_http_approval_call_t *call,
    ngx_str_t *body)
{
    CURL  *easy = call->easy;

    if (curl_easy_setopt(easy, CURLOPT_PRIVATE, call) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https")
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                            (long) CURL_HTTP_VERSION_1_1) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_USERAGENT, "nginx-approval")
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_URL, call->target->url.data)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t) body->len) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body->data) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION,
                            ngx_http_approval_call_read) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION,
                            ngx_http_approval_sock_close) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, call->http)
           != CURLE_OK)
    {
        return NGX_ERROR;
    }

    return call->target->secure ? ngx_http_approval_call_tls(call) : NGX_OK;
}


static ngx_int_t
ngx_http_approval_call_tls(ngx_http_approval_call_t *call)
{
    CURL                        *easy;
    ngx_http_approval_target_t  *target;

    easy = call->easy;
    target = call->target;

    if (curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                            (long) CURL_SSLVERSION_TLSv1_2) != CURLE_OK)
    {
        return NGX_ERROR;
    }

    if (target->trusted.len
        && (ngx_http_approval_call_pem(easy, CURLOPT_CAINFO_BLOB,
                                       &target->trusted)
            != NGX_OK
            || curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK))
    {
        return NGX_ERROR;
    }

    if (target->certificate.len
        && (ngx_http_approval_call_pem(easy, CURLOPT_SSLCERT_BLOB,
                                       &target->certificate)
            != NGX_OK
            || ngx_http_approval_call_pem(easy, CURLOPT_SSLKEY_BLOB,
                                          &target->key)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_call_pem(CURL *easy, CURLoption option, ngx_str_t *pem)
{
    struct curl_blob  blob;

    blob.data = pem->data;
    blob.len = pem->len;
    blob.flags = CURL_BLOB_NOCOPY;

    return curl_easy_setopt(easy, option, &blob) == CURLE_OK ? NGX_OK
                                                             : NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_call_headers(ngx_http_approval_call_t *call,
    ngx_str_t *content_type, ngx_array_t *headers)
{
    ngx_str_t      name, none;
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    /* a large body is not announced, and asked for, first */

    ngx_str_set(&name, "Expect");
    ngx_str_null(&none);

    if (ngx_http_approval_call_header(call, &name, &none) != NGX_OK
        || ngx_http_approval_call_header(call, &ngx_http_approval_call_type,
                                         content_type)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (headers == NULL) {
        return NGX_OK;
    }

    kv = headers->elts;

    for (i = 0; i < headers->nelts; i++) {
        if (ngx_http_approval_call_header(call, &kv[i].key, &kv[i].value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_call_header(ngx_http_approval_call_t *call,
    ngx_str_t *name, ngx_str_t *value)
{
    u_char             *line, *p;
    struct curl_slist  *list;

    line = ngx_alloc(name->len + value->len + sizeof(": "), call->http->log);
    if (line == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(line, name->data, name->len);
    *p++ = ':';

    if (value->len) {
        *p++ = ' ';
        p = ngx_cpymem(p, value->data, value->len);
    }

    *p = '\0';

    list = curl_slist_append(call->headers, (char *) line);

    ngx_free(line);

    if (list == NULL) {
        return NGX_ERROR;
    }

    call->headers = list;

    return NGX_OK;
}


/* curl's own way to resolve blocks, if not the loop then its cleanup. */

static ngx_int_t
ngx_http_approval_call_resolve(ngx_http_approval_call_t *call)
{
    ngx_msec_t           left;
    ngx_resolver_ctx_t  *ctx, temp;

    if (call->http->resolver == NULL) {
        ngx_http_approval_call_fail(call, "there is no \"resolver\"");
        return NGX_OK;
    }

    temp.name = call->target->host;

    ctx = ngx_resolve_start(call->http->resolver, &temp);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx == NGX_NO_RESOLVER) {
        ngx_http_approval_call_fail(call, "there is no \"resolver\"");
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
        ngx_http_approval_call_fail(call, error);
    }

    ERR_clear_error();
}


/* "HOST:PORT:ADDRESS,ADDRESS": it replaces what the last call gave. */

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


static ngx_int_t
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


/* A receiver has little to say; from one that says more we hang up. */

static size_t
ngx_http_approval_call_read(char *data, size_t size, size_t n, void *userdata)
{
    size_t                     len;
    ngx_http_approval_call_t  *call = userdata;

    n *= size;
    call->nread += n;

    len = ngx_min(n, NGX_HTTP_APPROVAL_HTTP_KEEP - call->nbody);

    ngx_memcpy(call->body + call->nbody, data, len);
    call->nbody += len;

    return call->nread > NGX_HTTP_APPROVAL_HTTP_READ ? 0 : n;
}


void
ngx_http_approval_http_ended(CURL *easy, CURLcode code)
{
    long                       status;
    ngx_http_approval_call_t  *call;

    call = NULL;
    status = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &call);

    if (call == NULL) {
        return;
    }

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);

    if (code == CURLE_OK
        || (code == CURLE_WRITE_ERROR
            && call->nread > NGX_HTTP_APPROVAL_HTTP_READ))
    {
        call->status = (ngx_uint_t) status;
        ngx_http_approval_call_fail(call, NULL);
        return;
    }

    ngx_http_approval_call_fail(call,
                                code == CURLE_OPERATION_TIMEDOUT
                                ? "it took longer than the \"timeout\""
                                : curl_easy_strerror(code));
}


void
ngx_http_approval_http_stuck(CURL *easy)
{
    ngx_http_approval_call_t  *call;

    call = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &call);

    if (call) {
        ngx_http_approval_call_fail(call, "worker_connections are not enough");
    }
}


/* Out of curl's and the resolver's callbacks first. */

static void
ngx_http_approval_call_fail(ngx_http_approval_call_t *call,
    const char *error)
{
    call->error = error;

    ngx_post_event(&call->done, &ngx_posted_events);
}


static void
ngx_http_approval_call_done(ngx_event_t *ev)
{
    void                         *data;
    u_char                        body[NGX_HTTP_APPROVAL_HTTP_KEEP];
    curl_off_t                    retry;
    ngx_http_approval_call_t     *call;
    ngx_http_approval_answer_t    answer;
    ngx_http_approval_answer_pt   handler;

    call = ev->data;
    retry = 0;

    ngx_memzero(&answer, sizeof(ngx_http_approval_answer_t));

    answer.status = call->status;
    answer.error = call->error;

    if (answer.status == 0 && answer.error == NULL) {
        answer.error = "there was no response";
    }

    if (answer.status) {
        curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry);

        if (retry > 0) {
            answer.retry_after = (ngx_msec_t) ngx_min(retry, 86400) * 1000;
        }
    }

    ngx_memcpy(body, call->body, call->nbody);
    answer.body.data = body;
    answer.body.len = call->nbody;

    handler = call->handler;
    data = call->data;

    ngx_http_approval_call_free(call);
    ERR_clear_error();

    handler(data, &answer);
}


static void
ngx_http_approval_call_free(ngx_http_approval_call_t *call)
{
    ngx_queue_remove(&call->queue);

    if (call->done.posted) {
        ngx_delete_posted_event(&call->done);
    }

    if (call->ctx) {
        ngx_resolve_name_done(call->ctx);
    }

    if (call->added) {
        curl_multi_remove_handle(call->http->multi, call->easy);
    }

    if (call->easy) {
        curl_easy_cleanup(call->easy);
    }

    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->resolve);

    ngx_free(call);
}
