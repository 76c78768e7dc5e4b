
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The types of channels: how a message is written for each.  What carries it
 * knows nothing of this, and a type nothing of what carries it.
 */


#ifndef NGX_HTTP_APPROVAL_CHANNEL_H
#define NGX_HTTP_APPROVAL_CHANNEL_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/message.h"
#include "model/action.h"


/* What is said, and to whom. */

typedef struct {
    approval_message_t             message;
    ngx_http_approval_channel_t   *channel;
    ngx_str_t                      message_id;
    ngx_str_t                      thread_id;   /* of the first message       */
    ngx_str_t                      to;          /* of mail                    */
    ngx_str_t                      reply;       /* to the first message       */
} ngx_http_approval_content_t;


/*
 * body:     appends the message's body; made once for all attempts.
 * headers:  pushes the attempt's headers (ngx_keyval_t, from the pool), but
 *           for Content-Type and Content-Length.  NULL: there are none.
 * refused:  why a response of 2xx still is none of success, or NULL; where
 *           there is such a check.
 * uri:      appends the URI that the message goes to, or nothing: that of the
 *           channel; where it may be another.
 */

typedef struct {
    ngx_str_t                      content_type;

    ngx_int_t                    (*body)(
                                       const ngx_http_approval_content_t *c,
                                       approval_buf_t *out);
    ngx_int_t                    (*headers)(ngx_pool_t *pool,
                                       ngx_http_approval_channel_t *channel,
                                       ngx_str_t *message_id, ngx_str_t *body,
                                       time_t now, ngx_array_t *headers);
    const char                  *(*refused)(ngx_str_t *body);
    ngx_int_t                    (*uri)(
                                       const ngx_http_approval_content_t *c,
                                       approval_buf_t *out);
} ngx_http_approval_format_t;


/* The row of a type, or NULL. */
const ngx_http_approval_format_t *ngx_http_approval_format(ngx_uint_t type);

/* Has the type a message for the event? */
ngx_uint_t ngx_http_approval_told_of(ngx_http_approval_channel_t *channel,
    approval_event_e event);

/* Content-Type of what an event's message is. */
ngx_str_t *ngx_http_approval_content_type(
    ngx_http_approval_channel_t *channel, approval_event_e event);


/*
 * The message of an event for a channel, to everyone (approver len 0) or to
 * one.  base: what links start with, or len 0.  code and link are added.
 * uri may be NULL.
 */

typedef struct {
    approval_event_e               event;
    ngx_http_approval_channel_t   *channel;
    json_t                        *doc;
    json_t                        *facts;       /* of an outcome, or NULL   */
    u_char                        *id;
    int64_t                        created;     /* ms */
    int64_t                        expires;     /* ms */
    int64_t                        told;        /* ms, of a later event     */
    ngx_uint_t                     recent;
    ngx_str_t                      approver;
    ngx_str_t                      base;
    ngx_str_t                      message_id;
    ngx_str_t                      thread_id;
    ngx_str_t                      to;          /* of mail                    */
    ngx_str_t                      reply;       /* to the first message       */
} ngx_http_approval_told_t;

ngx_int_t ngx_http_approval_render(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_told_t *told, approval_buf_t *out,
    approval_buf_t *uri);


/* chat.c */
ngx_int_t ngx_http_approval_slack_body(const ngx_http_approval_content_t *c,
    approval_buf_t *out);
ngx_int_t ngx_http_approval_teams_body(const ngx_http_approval_content_t *c,
    approval_buf_t *out);
const char *ngx_http_approval_teams_refused(ngx_str_t *body);


/* mail.c */

/* To whom; NGX_DECLINED: of the approver no address is known. */
ngx_int_t ngx_http_approval_mail_to(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_channel_t *channel, ngx_str_t *approver,
    ngx_pool_t *pool, ngx_str_t *to);
ngx_int_t ngx_http_approval_mail_body(const ngx_http_approval_content_t *c,
    approval_buf_t *out);


/* template.c */

/* What an event's message is made of; NULL: the channel is not told of it. */
ngx_http_approval_template_t *ngx_http_approval_template_find(
    ngx_http_approval_channel_t *channel, approval_event_e event);

/* All that a template may name, a new reference; NULL: no memory. */
json_t *ngx_http_approval_template_data(const ngx_http_approval_content_t *c);

ngx_int_t ngx_http_approval_template_body(
    const ngx_http_approval_content_t *c, approval_buf_t *out);
ngx_int_t ngx_http_approval_template_uri(
    const ngx_http_approval_content_t *c, approval_buf_t *out);
ngx_int_t ngx_http_approval_template_headers(ngx_pool_t *pool,
    ngx_http_approval_channel_t *channel, ngx_str_t *message_id,
    ngx_str_t *body, time_t now, ngx_array_t *headers);

/* What later messages call {{reply}}; NGX_DECLINED: it is not there. */
ngx_int_t ngx_http_approval_template_reply(
    ngx_http_approval_channel_t *channel, ngx_str_t *response,
    approval_buf_t *out);


/* webhook.c */
ngx_int_t ngx_http_approval_webhook_body(const ngx_http_approval_content_t *c,
    approval_buf_t *out);
ngx_int_t ngx_http_approval_webhook_headers(ngx_pool_t *pool,
    ngx_http_approval_channel_t *channel, ngx_str_t *message_id,
    ngx_str_t *body, time_t now, ngx_array_t *headers);


#endif /* NGX_HTTP_APPROVAL_CHANNEL_H */
