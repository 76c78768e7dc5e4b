
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http/call.h"

#include <openssl/err.h>


#define NGX_HTTP_APPROVAL_HTTP_TOTAL  256     /* connections            */
#define NGX_HTTP_APPROVAL_HTTP_HOST   64      /* per host               */
#define NGX_HTTP_APPROVAL_HTTP_IDLE   8       /* kept open              */


static ngx_int_t ngx_http_approval_http_options(
    ngx_http_approval_call_t *call, ngx_str_t *body);
static ngx_int_t ngx_http_approval_http_headers(
    ngx_http_approval_call_t *call, ngx_str_t *content_type,
    ngx_array_t *headers);
static ngx_int_t ngx_http_approval_http_header(
    ngx_http_approval_call_t *call, ngx_str_t *name, ngx_str_t *value);
static size_t ngx_http_approval_http_read(char *data, size_t size, size_t n,
    void *userdata);


static ngx_str_t  ngx_http_approval_http_type = ngx_string("Content-Type");


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

    http->closing = 1;

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
    ngx_http_approval_call_t  *call;

    call = ngx_http_approval_call_create(http, target, timeout, handler, data);
    if (call == NULL) {
        return NULL;
    }

    if (ngx_http_approval_http_headers(call, content_type, headers) != NGX_OK
        || ngx_http_approval_http_options(call, body) != NGX_OK)
    {
        ngx_http_approval_call_free(call);
        ERR_clear_error();
        return NULL;
    }

    return ngx_http_approval_call_start(call) == NGX_OK ? call : NULL;
}


/*
 * Redirects are not followed, because they could lead to a host that nobody
 * configured.
 */

static ngx_int_t
ngx_http_approval_http_options(ngx_http_approval_call_t *call,
    ngx_str_t *body)
{
    CURL  *easy = call->easy;

    if (curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                            (long) CURL_HTTP_VERSION_1_1) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_USERAGENT, "nginx-approval")
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t) body->len) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body->data) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION,
                            ngx_http_approval_http_read) != CURLE_OK
        || (call->target->method.len
            && curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
                                call->target->method.data) != CURLE_OK)
        || curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) != CURLE_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_http_headers(ngx_http_approval_call_t *call,
    ngx_str_t *content_type, ngx_array_t *headers)
{
    ngx_str_t      name, none;
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    /* no "Expect: 100-continue": send a large body at once */

    ngx_str_set(&name, "Expect");
    ngx_str_null(&none);

    if (ngx_http_approval_http_header(call, &name, &none) != NGX_OK
        || ngx_http_approval_http_header(call, &ngx_http_approval_http_type,
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
        if (ngx_http_approval_http_header(call, &kv[i].key, &kv[i].value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_http_header(ngx_http_approval_call_t *call,
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


/* Keeps the beginning of the response and aborts one that is too long. */

static size_t
ngx_http_approval_http_read(char *data, size_t size, size_t n, void *userdata)
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
