
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/channel.h"

#include "audit/audit.h"

#include "model/code.h"
#include "model/link.h"


static ngx_int_t ngx_http_approval_render_url(
    ngx_http_approval_main_conf_t *mcf, const ngx_http_approval_told_t *told,
    approval_buf_t *out);
static ngx_int_t ngx_http_approval_render_code(
    ngx_http_approval_main_conf_t *mcf, const ngx_http_approval_told_t *told,
    u_char *code, approval_str_t *text);


/* In the order of ngx_http_approval_channel_type_e. */

static const ngx_http_approval_format_t  ngx_http_approval_formats[] = {

    { ngx_string("application/json"),
      ngx_http_approval_webhook_body,
      ngx_http_approval_webhook_headers,
      NULL,
      NULL },

    { ngx_string("application/json"),
      ngx_http_approval_slack_body,
      NULL,
      NULL,
      NULL },

    { ngx_string("application/json"),
      ngx_http_approval_teams_body,
      NULL,
      ngx_http_approval_teams_refused,
      NULL },

    { ngx_null_string,
      ngx_http_approval_mail_body,
      NULL,
      NULL,
      NULL },

    { ngx_null_string,
      ngx_http_approval_template_body,
      ngx_http_approval_template_headers,
      NULL,
      ngx_http_approval_template_uri }
};


const ngx_http_approval_format_t *
ngx_http_approval_format(ngx_uint_t type)
{
    if (type >= sizeof(ngx_http_approval_formats)
                / sizeof(ngx_http_approval_formats[0]))
    {
        return NULL;
    }

    return &ngx_http_approval_formats[type];
}


ngx_uint_t
ngx_http_approval_told_of(ngx_http_approval_channel_t *channel,
    approval_event_e event)
{
    return channel->type != NGX_HTTP_APPROVAL_CHANNEL_TEMPLATE
           || ngx_http_approval_template_find(channel, event) != NULL;
}


ngx_str_t *
ngx_http_approval_content_type(ngx_http_approval_channel_t *channel,
    approval_event_e event)
{
    ngx_http_approval_template_t  *body;

    body = ngx_http_approval_template_find(channel, event);

    return body ? &body->content_type
                : (ngx_str_t *)
                  &ngx_http_approval_formats[channel->type].content_type;
}


ngx_int_t
ngx_http_approval_render(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_told_t *told, approval_buf_t *out,
    approval_buf_t *uri)
{
    u_char                             code[NGX_HTTP_APPROVAL_CODE_LEN];
    u_char                             head[APPROVAL_HEAD_LEN + 1];
    ngx_int_t                          rc;
    approval_buf_t                     url;
    approval_message_t                *m;
    ngx_http_approval_content_t        content;
    const ngx_http_approval_format_t  *format;

    format = ngx_http_approval_format(told->channel->type);
    if (format == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&content, sizeof(ngx_http_approval_content_t));

    content.channel = told->channel;
    content.message_id = told->message_id;
    content.thread_id = told->thread_id;
    content.to = told->to;
    content.reply = told->reply;

    m = &content.message;
    m->event = told->event;
    m->doc = ngx_http_approval_action_disclose(told->doc,
                                               told->channel->disclose);
    m->facts = told->facts;
    m->id.data = told->id;
    m->id.len = APPROVAL_ID_LEN;
    m->approver.data = told->approver.data;
    m->approver.len = told->approver.len;
    m->created = told->created;
    m->expires = told->expires;
    m->told = told->told;
    m->recent = told->recent;
    m->buttons = (told->channel->signing_secrets != NULL);
    m->head.data = head;
    m->head.len = ngx_http_approval_audit_head(mcf->worker->audit, head);

    rc = NGX_ERROR;

    approval_buf_init(&url);

    if (m->doc
        && ngx_http_approval_render_url(mcf, told, &url) == NGX_OK
        && ngx_http_approval_render_code(mcf, told, code, &m->code) == NGX_OK)
    {
        m->url = approval_buf_str(&url);
        rc = format->body(&content, out);

        if (rc == NGX_OK && uri && format->uri) {
            rc = format->uri(&content, uri);
        }
    }

    approval_buf_wipe(&url);
    json_decref(m->doc);

    return rc;
}


/* Personal links are only for messages about open actions. */

static ngx_int_t
ngx_http_approval_render_url(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_told_t *told, approval_buf_t *out)
{
    ngx_str_t  base, digest;

    if (told->base.len == 0) {
        return NGX_OK;
    }

    base = told->base;

    if (told->approver.len == 0 || !approval_event_open(told->event)) {
        return ngx_http_approval_link_at(&base, NGX_HTTP_APPROVAL_LINK_ACTION,
                                         told->id, out);
    }

    digest = ngx_http_approval_json_get(told->doc, "digest");

    return ngx_http_approval_link_personal_at(&base, mcf, told->id, &digest,
                                 ngx_http_approval_core_str(
                                              (ngx_str_t *) &told->approver),
                                 (time_t) (told->expires / 1000), out);
}


static ngx_int_t
ngx_http_approval_render_code(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_told_t *told, u_char *code, approval_str_t *text)
{
    ngx_str_t  digest, risk;

    risk = ngx_http_approval_json_get(told->doc, "risk");

    if (!approval_event_open(told->event)
        || !approval_str_eq(ngx_http_approval_core_str(&risk),
                            approval_str("critical")))
    {
        return NGX_OK;
    }

    digest = ngx_http_approval_json_get(told->doc, "digest");

    if (ngx_http_approval_code(mcf, told->id, &digest, code) != NGX_OK) {
        return NGX_ERROR;
    }

    text->data = code;
    text->len = NGX_HTTP_APPROVAL_CODE_LEN;

    return NGX_OK;
}
