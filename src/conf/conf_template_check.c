
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Checks that a channel of "type template" is complete, and that its templates
 * produce what their formats require.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"

#include "core/template.h"
#include "notify/channel.h"


static ngx_int_t ngx_http_approval_template_foreign(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);
static ngx_int_t ngx_http_approval_template_whole(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);
static ngx_int_t ngx_http_approval_template_types(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);
static ngx_int_t ngx_http_approval_template_try(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel, ngx_http_approval_template_t *body);
static ngx_int_t ngx_http_approval_template_marks(ngx_conf_t *cf,
    ngx_http_approval_template_t *body, const char *what, ngx_str_t *text,
    json_t *data);
static ngx_int_t ngx_http_approval_template_json(ngx_conf_t *cf,
    ngx_http_approval_template_t *body, json_t *data, approval_event_e event);


ngx_int_t
ngx_http_approval_conf_template_finish(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    ngx_uint_t                     i;
    ngx_http_approval_template_t  *body;

    if (channel->type != NGX_HTTP_APPROVAL_CHANNEL_TEMPLATE) {
        return ngx_http_approval_template_foreign(cf, channel);
    }

    if (ngx_http_approval_template_whole(cf, channel) != NGX_OK
        || ngx_http_approval_template_types(cf, channel) != NGX_OK)
    {
        return NGX_ERROR;
    }

    body = channel->bodies->elts;

    for (i = 0; i < channel->bodies->nelts; i++) {
        if (ngx_http_approval_template_try(cf, channel, &body[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_template_foreign(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    const char  *name;

    name = channel->bodies ? "body"
           : channel->headers ? "header"
           : channel->values ? "value"
           : channel->reply ? "reply" : NULL;

    if (name == NULL) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%s\" of channel \"%V\" has no effect without \"type "
                       "template\": remove one or add the other", name,
                       &channel->name);

    return NGX_ERROR;
}


/*
 * Approvers must be notified, and {{reply}} must exist when a later message
 * uses it.
 */

static ngx_int_t
ngx_http_approval_template_whole(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    ngx_uint_t                     i, open;
    const char                    *err;
    ngx_http_approval_template_t  *body;

    err = NULL;
    open = (1 << APPROVAL_EVENT_REQUESTED) | (1 << APPROVAL_EVENT_REMINDER)
           | (1 << APPROVAL_EVENT_ESCALATED);

    if (!ngx_http_approval_told_of(channel, APPROVAL_EVENT_REQUESTED)
        || !ngx_http_approval_told_of(channel, APPROVAL_EVENT_ESCALATED))
    {
        err = "has no \"body\" for the events requested and escalated: add "
              "\"body FILE;\", or \"on=open\" to one of them";
        goto failed;
    }

    body = channel->bodies->elts;

    for (i = 0; i < channel->bodies->nelts; i++) {

        if (channel->url == NULL
            && (body[i].uri.len || body[i].method.len || channel->reply))
        {
            err = "has \"uri=\", \"method=\" or \"reply\", which work only "
                  "with \"url\": remove them, or use \"url\" instead of "
                  "\"pass\"";
            goto failed;
        }

        if (body[i].replied && channel->reply == NULL) {
            err = "has a \"body\" with {{reply}}, but no \"reply\" that takes "
                  "it from the response: add \"reply json:/POINTER;\"";
            goto failed;
        }

        if (body[i].replied
            && (body[i].events == 0 || (body[i].events & open)))
        {
            err = "has a \"body\" with {{reply}} for events before the first "
                  "response, so there is no reply yet: add \"on=closed\" to "
                  "it";
            goto failed;
        }
    }

    return NGX_OK;

failed:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "channel \"%V\" %s",
                       &channel->name, err);

    return NGX_ERROR;
}


/* "header Content-Type" applies to all bodies, and must be sent only once. */

static ngx_int_t
ngx_http_approval_template_types(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    ngx_uint_t                     i, n;
    ngx_keyval_t                  *kv;
    ngx_http_approval_template_t  *body;

    if (channel->headers == NULL) {
        return NGX_OK;
    }

    kv = channel->headers->elts;
    body = channel->bodies->elts;

    for (i = 0; i < channel->headers->nelts; i++) {

        if (kv[i].key.len != 12
            || ngx_strncasecmp(kv[i].key.data, (u_char *) "Content-Type", 12)
               != 0)
        {
            continue;
        }

        for (n = 0; n < channel->bodies->nelts; n++) {
            body[n].content_type = kv[i].value;
        }

        channel->headers->nelts--;

        for ( /* void */ ; i < channel->headers->nelts; i++) {
            kv[i] = kv[i + 1];
        }
    }

    return NGX_OK;
}


/* Renders each event and each risk, with values that need escaping. */

static ngx_int_t
ngx_http_approval_template_try(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel, ngx_http_approval_template_t *body)
{
    json_t                       *data;
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    approval_event_e              event;
    ngx_http_approval_content_t   content;

    static const char  *risks[] = { "low", "medium", "high", "critical" };

    ngx_memzero(&content, sizeof(ngx_http_approval_content_t));

    content.channel = channel;
    ngx_str_set(&content.reply, "ID-1");

    for (event = 0; event < APPROVAL_EVENTS; event++) {

        if (ngx_http_approval_template_find(channel, event) != body) {
            continue;
        }

        for (i = 0; i < sizeof(risks) / sizeof(risks[0]); i++) {

            if (approval_message_sample(&content.message, event, risks[i])
                != APPROVAL_OK)
            {
                return NGX_ERROR;
            }

            rc = NGX_ERROR;
            data = ngx_http_approval_template_data(&content);

            if (data
                && ngx_http_approval_template_marks(cf, body, "body",
                                                    &body->text, data)
                   == NGX_OK
                && (body->uri.len == 0
                    || ngx_http_approval_template_marks(cf, body, "uri=",
                                                        &body->uri, data)
                       == NGX_OK)
                && (!body->json
                    || ngx_http_approval_template_json(cf, body, data, event)
                       == NGX_OK))
            {
                rc = NGX_OK;
            }

            json_decref(data);
            json_decref(content.message.doc);
            json_decref(content.message.facts);

            if (rc != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_template_marks(ngx_conf_t *cf,
    ngx_http_approval_template_t *body, const char *what, ngx_str_t *text,
    json_t *data)
{
    int             rc;
    ngx_str_t       name;
    approval_str_t  mark;

    rc = approval_template_check((char *) text->data, data, &mark);

    if (rc == APPROVAL_OK) {
        return NGX_OK;
    }

    if (rc == APPROVAL_DECLINED) {
        name.data = (u_char *) mark.data;
        name.len = mark.len;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"{{%V}}\" in \"%s\" of template \"%V\" is "
                           "unknown or not closed: use the names and filters "
                           "of docs/channels.md", &name, what, &body->file);
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_template_json(ngx_conf_t *cf,
    ngx_http_approval_template_t *body, json_t *data, approval_event_e event)
{
    json_t          *json;
    ngx_int_t        rc;
    const char      *err;
    approval_buf_t   text;

    rc = NGX_ERROR;

    approval_buf_init(&text);

    if (approval_template((char *) body->text.data, data, body->escape, NULL,
                          &text)
        == APPROVAL_OK)
    {
        json = approval_json_parse(approval_buf_str(&text), &err);

        if (json) {
            json_decref(json);
            rc = NGX_OK;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "template \"%V\" makes invalid JSON of the "
                               "event %s: %s. Put texts in quotes, and commas "
                               "only between members",
                               &body->file, approval_event_name(event), err);
        }
    }

    approval_buf_free(&text);

    return rc;
}
