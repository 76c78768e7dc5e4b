
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http/call.h"

#include <openssl/err.h>


static ngx_int_t ngx_http_approval_call_options(
    ngx_http_approval_call_t *call);
static ngx_int_t ngx_http_approval_call_tls(ngx_http_approval_call_t *call);
static ngx_int_t ngx_http_approval_call_pem(CURL *easy, CURLoption option,
    ngx_str_t *pem);
static const char *ngx_http_approval_call_why(ngx_http_approval_call_t *call,
    CURLcode code);
static void ngx_http_approval_call_done(ngx_event_t *ev);


ngx_http_approval_call_t *
ngx_http_approval_call_create(ngx_http_approval_http_t *http,
    ngx_http_approval_target_t *target, ngx_msec_t timeout,
    ngx_http_approval_answer_pt handler, void *data)
{
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

    if (call->easy == NULL || ngx_http_approval_call_options(call) != NGX_OK) {
        ngx_http_approval_call_free(call);
        ERR_clear_error();
        return NULL;
    }

    return call;
}


ngx_int_t
ngx_http_approval_call_start(ngx_http_approval_call_t *call)
{
    ngx_int_t  rc;

    rc = ngx_http_approval_call_connect(call);

    if (rc != NGX_OK) {
        ngx_http_approval_call_free(call);
    }

    return rc;
}


ngx_int_t
ngx_http_approval_call_connect(ngx_http_approval_call_t *call)
{
    ngx_int_t  rc;

    if (call->target->numeric || call->target->local) {
        rc = ngx_http_approval_call_add(call);

    } else {
        rc = ngx_http_approval_call_resolve(call);
    }

    ERR_clear_error();

    return rc;
}


void
ngx_http_approval_http_cancel(ngx_http_approval_call_t *call)
{
    ngx_http_approval_call_free(call);
    ERR_clear_error();
}


/*
 * CURLOPT_NOSIGNAL, because curl's signals would reach nginx's handlers.  An
 * empty CURLOPT_PROXY, because only the configuration chooses where to connect,
 * not the environment.
 */

static ngx_int_t
ngx_http_approval_call_options(ngx_http_approval_call_t *call)
{
    CURL                        *easy;
    ngx_http_approval_target_t  *target;

    easy = call->easy;
    target = call->target;

    if (curl_easy_setopt(easy, CURLOPT_PRIVATE, call) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
                            target->mail ? "smtp,smtps" : "http,https")
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_URL, target->url.data) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION,
                            ngx_http_approval_sock_close) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, call->http)
           != CURLE_OK)
    {
        return NGX_ERROR;
    }

    return (target->secure || target->starttls)
           ? ngx_http_approval_call_tls(call) : NGX_OK;
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

    if (call->smtp) {

        if (code == CURLE_OK) {
            ngx_http_approval_smtp_begin(call);
            return;
        }

        call->status = (status >= 400) ? (ngx_uint_t) status : 0;

    } else if (code == CURLE_OK
               || (code == CURLE_WRITE_ERROR
                   && call->nread > NGX_HTTP_APPROVAL_HTTP_READ))
    {
        call->status = (ngx_uint_t) status;
        ngx_http_approval_call_end(call, NULL);
        return;
    }

    ngx_http_approval_call_end(call, ngx_http_approval_call_why(call, code));
}


static const char *
ngx_http_approval_call_why(ngx_http_approval_call_t *call, CURLcode code)
{
    switch (code) {

    case CURLE_OPERATION_TIMEDOUT:
        return "it took longer than the \"timeout\"";

    case CURLE_LOGIN_DENIED:
        return "the server refused the user and the password";

    case CURLE_WEIRD_SERVER_REPLY:
        return call->smtp ? "the mail server refused the connection"
                          : curl_easy_strerror(code);

    case CURLE_USE_SSL_FAILED:
        return "the server offers no STARTTLS";

    default:
        return curl_easy_strerror(code);
    }
}


void
ngx_http_approval_http_stuck(CURL *easy)
{
    ngx_http_approval_call_t  *call;

    call = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &call);

    if (call) {
        ngx_http_approval_call_end(call, "worker_connections are not enough");
    }
}


/*
 * Posts an event, because the call must not be freed within a callback of curl
 * or of the resolver.
 */

void
ngx_http_approval_call_end(ngx_http_approval_call_t *call,
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


void
ngx_http_approval_call_free(ngx_http_approval_call_t *call)
{
    ngx_queue_remove(&call->queue);

    if (call->done.posted) {
        ngx_delete_posted_event(&call->done);
    }

    if (call->ctx) {
        ngx_resolve_name_done(call->ctx);
    }

    if (call->smtp) {
        ngx_http_approval_smtp_free(call->smtp);
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
