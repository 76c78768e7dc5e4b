
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The types of channels: how a message is written for each.  The types do not
 * depend on how messages are carried, and the carriers not on the types.
 */


#ifndef NGX_HTTP_APPROVAL_CHANNEL_H
#define NGX_HTTP_APPROVAL_CHANNEL_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/message.h"
#include "model/action.h"


/* A message and its recipient. */

typedef struct {
    approval_message_t             message;
    ngx_http_approval_channel_t   *channel;
    ngx_str_t                      message_id;
    ngx_str_t                      thread_id;   /* of the first message       */
    ngx_str_t                      to;          /* mail: the addresses        */
    ngx_str_t                      reply;       /* to the first message       */
} ngx_http_approval_content_t;


/*
 * body:     appends the message's body; called once for all attempts.
 * headers:  pushes the attempt's headers (ngx_keyval_t, from the pool), except
 *           Content-Type and Content-Length.  May be NULL.
 * refused:  returns why a 2xx response is a failure nevertheless, or NULL.
 *           The callback may be NULL.
 * uri:      appends the message's URI, or nothing to use the channel's.  May be
 *           NULL.
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


/* The format of a type, or NULL. */
const ngx_http_approval_format_t *ngx_http_approval_format(ngx_uint_t type);

/* Whether the channel's type has a message for the event. */
ngx_uint_t ngx_http_approval_told_of(ngx_http_approval_channel_t *channel,
    approval_event_e event);

/* The Content-Type of the message about an event. */
ngx_str_t *ngx_http_approval_content_type(
    ngx_http_approval_channel_t *channel, approval_event_e event);


/*
 * Renders the message about an event for a channel: for one approver, or for
 * everyone if approver.len is 0.  Links start with base; without a base there
 * are none.  The code and the link are added.  uri may be NULL.
 */

typedef struct {
    approval_event_e               event;
    ngx_http_approval_channel_t   *channel;
    json_t                        *doc;
    json_t                        *facts;       /* outcomes only, or NULL   */
    u_char                        *id;
    int64_t                        created;     /* ms */
    int64_t                        expires;     /* ms */
    int64_t                        told;        /* ms; of a later event     */
    ngx_uint_t                     recent;
    ngx_str_t                      approver;
    ngx_str_t                      base;
    ngx_str_t                      message_id;
    ngx_str_t                      thread_id;
    ngx_str_t                      to;          /* mail: the addresses        */
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

/* Sets the addresses; NGX_DECLINED: the approver has no known address. */
ngx_int_t ngx_http_approval_mail_to(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_channel_t *channel, ngx_str_t *approver,
    ngx_pool_t *pool, ngx_str_t *to);
ngx_int_t ngx_http_approval_mail_body(const ngx_http_approval_content_t *c,
    approval_buf_t *out);


/* template.c */

/* The template of the event; NULL: the channel gets no message about it. */
ngx_http_approval_template_t *ngx_http_approval_template_find(
    ngx_http_approval_channel_t *channel, approval_event_e event);

/* The values that templates may use, a new reference; NULL: no memory. */
json_t *ngx_http_approval_template_data(const ngx_http_approval_content_t *c);

ngx_int_t ngx_http_approval_template_body(
    const ngx_http_approval_content_t *c, approval_buf_t *out);
ngx_int_t ngx_http_approval_template_uri(
    const ngx_http_approval_content_t *c, approval_buf_t *out);
ngx_int_t ngx_http_approval_template_headers(ngx_pool_t *pool,
    ngx_http_approval_channel_t *channel, ngx_str_t *message_id,
    ngx_str_t *body, time_t now, ngx_array_t *headers);

/* Extracts {{reply}} of later messages; NGX_DECLINED: it is missing. */
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
