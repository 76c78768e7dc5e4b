
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/letter.h"

#include "core/webhook.h"


static ngx_uint_t ngx_http_approval_letter_early(
    ngx_http_approval_letter_t *letter);
static ngx_int_t ngx_http_approval_letter_post(
    ngx_http_approval_letter_t *letter, ngx_msec_t timeout);
static ngx_int_t ngx_http_approval_letter_render(
    ngx_http_approval_letter_t *letter);
static ngx_int_t ngx_http_approval_letter_target(
    ngx_http_approval_letter_t *letter, approval_buf_t *uri);
static ngx_int_t ngx_http_approval_letter_name(
    ngx_http_approval_letter_t *letter, approval_event_e event,
    ngx_str_t *dst);


ngx_int_t
ngx_http_approval_letter_start(ngx_http_approval_letter_t *letter)
{
    ngx_int_t                     rc;
    ngx_msec_t                    timeout;
    ngx_http_approval_told_t     *told;
    ngx_http_approval_channel_t  *channel;

    told = &letter->told;
    channel = told->channel;

    if (channel->url->mail && told->to.len == 0) {
        rc = ngx_http_approval_mail_to(letter->sender->mcf, channel,
                                       &told->approver, letter->pool,
                                       &told->to);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ngx_http_approval_letter_early(letter)) {
        letter->stale = 1;
        return NGX_AGAIN;
    }

    rc = letter->body.len ? NGX_OK : ngx_http_approval_letter_render(letter);

    if (rc != NGX_OK) {
        return rc;
    }

    timeout = ngx_min(channel->timeout, letter->deadline - ngx_current_msec);

    if (!channel->url->mail) {
        return ngx_http_approval_letter_post(letter, timeout);
    }

    letter->call = ngx_http_approval_smtp_send(letter->sender->http,
                                               channel->url, &channel->from,
                                               &told->to, &letter->body,
                                               timeout,
                                               ngx_http_approval_letter_answer,
                                               letter);

    return letter->call ? NGX_OK : NGX_ERROR;
}


/* Whether {{reply}} is missing: the first message may still be on its way. */

static ngx_uint_t
ngx_http_approval_letter_early(ngx_http_approval_letter_t *letter)
{
    ngx_http_approval_template_t  *body;

    body = ngx_http_approval_template_find(letter->told.channel,
                                           letter->told.event);

    return body && body->replied && letter->told.reply.len == 0;
}


static ngx_int_t
ngx_http_approval_letter_post(ngx_http_approval_letter_t *letter,
    ngx_msec_t timeout)
{
    ngx_str_t                         *type;
    ngx_array_t                        headers;
    ngx_http_approval_channel_t       *channel;
    const ngx_http_approval_format_t  *format;

    channel = letter->told.channel;
    format = ngx_http_approval_format(channel->type);

    if (ngx_array_init(&headers, letter->pool, 4, sizeof(ngx_keyval_t))
        != NGX_OK
        || (format->headers
            && format->headers(letter->pool, channel, &letter->told.message_id,
                               &letter->body, ngx_time(), &headers)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    type = ngx_http_approval_content_type(channel, letter->told.event);

    letter->call = ngx_http_approval_http_post(letter->sender->http,
                                               letter->target, type, &headers,
                                               &letter->body, timeout,
                                               ngx_http_approval_letter_answer,
                                               letter);

    return letter->call ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_letter_render(ngx_http_approval_letter_t *letter)
{
    ngx_int_t                  rc;
    approval_buf_t             body, uri;
    ngx_http_approval_told_t  *told;

    told = &letter->told;

    if (ngx_http_approval_letter_name(letter, told->event, &told->message_id)
        != NGX_OK
        || ngx_http_approval_letter_name(letter, APPROVAL_EVENT_REQUESTED,
                                         &told->thread_id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    approval_buf_init(&body);
    approval_buf_init(&uri);

    rc = ngx_http_approval_render(letter->sender->mcf, told, &body, &uri);

    if (rc == NGX_OK) {
        rc = ngx_http_approval_letter_target(letter, &uri);
    }

    if (rc == NGX_OK) {
        letter->body.data = ngx_pnalloc(letter->pool, body.len);

        if (letter->body.data) {
            ngx_memcpy(letter->body.data, body.data, body.len);
            letter->body.len = body.len;

        } else {
            rc = NGX_ERROR;
        }
    }

    approval_buf_wipe(&body);
    approval_buf_free(&uri);

    return rc;
}


/* Replaces the path and the method, but never the host, of the channel. */

static ngx_int_t
ngx_http_approval_letter_target(ngx_http_approval_letter_t *letter,
    approval_buf_t *uri)
{
    u_char                      *p, *last;
    ngx_http_approval_template_t    *body;
    ngx_http_approval_target_t  *target;

    target = letter->told.channel->url;
    body = ngx_http_approval_template_find(letter->told.channel,
                                           letter->told.event);

    if (body == NULL || (uri->len == 0 && body->method.len == 0)) {
        return NGX_OK;
    }

    letter->target = ngx_palloc(letter->pool,
                                sizeof(ngx_http_approval_target_t));
    if (letter->target == NULL) {
        return NGX_ERROR;
    }

    *letter->target = *target;
    letter->target->method = body->method;

    if (uri->len == 0) {
        return NGX_OK;
    }

    /* find the end of the host: the path, or a query without one */

    last = target->url.data + target->url.len;

    for (p = target->host.data + target->host.len; p < last; p++) {
        if (*p == '/' || *p == '?' || *p == '#') {
            break;
        }
    }

    letter->target->url.len = (p - target->url.data) + uri->len;
    letter->target->url.data = ngx_pnalloc(letter->pool,
                                           letter->target->url.len + 1);

    if (letter->target->url.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(letter->target->url.data, target->url.data,
                   p - target->url.data);
    p = ngx_cpymem(p, uri->data, uri->len);
    *p = '\0';

    return NGX_OK;
}


/* The message id: unique, and the same whichever worker sends the message. */

static ngx_int_t
ngx_http_approval_letter_name(ngx_http_approval_letter_t *letter,
    approval_event_e event, ngx_str_t *dst)
{
    ngx_int_t        rc;
    ngx_str_t       *name;
    approval_buf_t   buf;
    approval_str_t   id, channel;

    name = &letter->told.channel->name;
    channel = ngx_http_approval_core_str(name);

    approval_buf_init(&buf);

    if (event != APPROVAL_EVENT_REQUESTED) {
        approval_buf_add(&buf, letter->name.data, letter->name.len);
        approval_buf_printf(&buf, "/%lu/", (unsigned long) letter->again);
        approval_buf_add(&buf, channel.data, channel.len);
        channel = approval_buf_str(&buf);
    }

    id.data = letter->id;
    id.len = APPROVAL_ID_LEN;

    dst->len = APPROVAL_WEBHOOK_ID_LEN;
    dst->data = ngx_pnalloc(letter->pool, APPROVAL_WEBHOOK_ID_LEN);

    rc = NGX_ERROR;

    if (dst->data && !buf.failed
        && approval_webhook_id(id, channel,
                         ngx_http_approval_core_str(&letter->told.approver),
                               dst->data)
           == APPROVAL_OK)
    {
        rc = NGX_OK;
    }

    approval_buf_free(&buf);

    return rc;
}


/* Stores the reply with the message; messages about the outcome use it. */

void
ngx_http_approval_letter_reply(ngx_http_approval_letter_t *letter,
    const ngx_str_t *response)
{
    ngx_str_t                  text;
    approval_buf_t             reply;
    ngx_http_approval_told_t   told;

    text = *response;
    told = letter->told;

    approval_buf_init(&reply);

    if (ngx_http_approval_template_reply(told.channel, &text, &reply)
        == NGX_OK)
    {
        told.reply.data = reply.data;
        told.reply.len = reply.len;

        (void) ngx_http_approval_sender_payload(letter->sender, &told,
                                                letter->interval,
                                                letter->pool,
                                                &letter->payload);

    } else {
        ngx_log_error(NGX_LOG_ERR, letter->sender->log, 0,
                      "approval: channel \"%V\" accepted the message of "
                      "action %*s, but the value that \"reply\" names is not "
                      "in the first %d bytes of its response: later messages "
                      "will not be sent",
                      &told.channel->name, (size_t) APPROVAL_ID_LEN,
                      letter->id, NGX_HTTP_APPROVAL_HTTP_KEEP);
    }

    approval_buf_free(&reply);
}
