
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/respond.h"


/* Lives in its own pool until the response has arrived. */

typedef struct {
    ngx_pool_t                    *pool;
    ngx_http_approval_sender_t    *sender;
    ngx_http_approval_channel_t   *channel;
    ngx_http_approval_target_t     target;
    ngx_str_t                      body;
    u_char                         id[APPROVAL_ID_LEN];
} ngx_http_approval_respond_t;


static ngx_int_t ngx_http_approval_respond_target(
    ngx_http_approval_respond_t *re, ngx_str_t *url);
static void ngx_http_approval_responded(void *data,
    const ngx_http_approval_answer_t *answer);


static ngx_str_t  ngx_http_approval_respond_host =
    ngx_string("hooks.slack.com");


void
ngx_http_approval_respond(ngx_http_approval_sender_t *sender,
    ngx_http_approval_channel_t *channel, ngx_str_t *url, u_char *id,
    approval_buf_t *body)
{
    ngx_str_t                     type;
    ngx_pool_t                   *pool;
    ngx_http_approval_answer_t    answer;
    ngx_http_approval_respond_t  *re;

    pool = ngx_create_pool(1024, sender->log);
    if (pool == NULL) {
        return;
    }

    re = ngx_pcalloc(pool, sizeof(ngx_http_approval_respond_t));
    if (re == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    re->pool = pool;
    re->sender = sender;
    re->channel = channel;
    ngx_memcpy(re->id, id, APPROVAL_ID_LEN);

    ngx_memzero(&answer, sizeof(ngx_http_approval_answer_t));
    answer.error = "no memory";

    re->body.len = body->len;
    re->body.data = ngx_pnalloc(pool, body->len + 1);

    if (re->body.data == NULL) {
        ngx_http_approval_responded(re, &answer);
        return;
    }

    ngx_memcpy(re->body.data, body->data, body->len);

    if (ngx_http_approval_respond_target(re, url) != NGX_OK) {
        answer.error = "its response_url does not belong to Slack";
        ngx_http_approval_responded(re, &answer);
        return;
    }

    ngx_str_set(&type, "application/json");

    if (ngx_http_approval_http_post(sender->http, &re->target, &type, NULL,
                                    &re->body, channel->timeout,
                                    ngx_http_approval_responded, re)
        == NULL)
    {
        ngx_http_approval_responded(re, &answer);
    }
}


static ngx_int_t
ngx_http_approval_respond_target(ngx_http_approval_respond_t *re,
    ngx_str_t *url)
{
    u_char                      *p;
    ngx_str_t                    copy;
    ngx_http_approval_target_t  *own, *target;

    copy.len = url->len;
    copy.data = ngx_pnalloc(re->pool, url->len + 1);

    if (copy.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(copy.data, url->data, url->len);
    *p = '\0';

    target = &re->target;
    own = re->channel->url;

    if (ngx_http_approval_target_parse(target, &copy) != NULL) {
        return NGX_ERROR;
    }

    if (own && own->secure == target->secure && own->port == target->port
        && own->host.len == target->host.len
        && ngx_strncasecmp(own->host.data, target->host.data, own->host.len)
           == 0)
    {
        target->trusted = own->trusted;
        target->certificate = own->certificate;
        target->key = own->key;

        return NGX_OK;
    }

    if (target->secure && target->port == 443
        && target->host.len == ngx_http_approval_respond_host.len
        && ngx_strncasecmp(target->host.data,
                           ngx_http_approval_respond_host.data,
                           target->host.len)
           == 0)
    {
        return NGX_OK;
    }

    return NGX_ERROR;
}


static void
ngx_http_approval_responded(void *data,
    const ngx_http_approval_answer_t *answer)
{
    ngx_http_approval_respond_t *re = data;

    if (answer->error || answer->status < 200 || answer->status >= 300) {
        ngx_log_error(NGX_LOG_WARN, re->sender->log, 0,
                      "approval: the message of action %*s in channel \"%V\" "
                      "could not be updated: %s, status %ui",
                      (size_t) APPROVAL_ID_LEN, re->id, &re->channel->name,
                      answer->error ? answer->error : "refused",
                      answer->status);
    }

    ngx_destroy_pool(re->pool);
}
