
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * "type template": messages for any API, from templates in the configuration.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/channel.h"

#include "core/template.h"


#define NGX_HTTP_APPROVAL_REPLY_MAX  256


static ngx_int_t ngx_http_approval_template_values(json_t *data,
    ngx_http_approval_channel_t *channel);
static ngx_int_t ngx_http_approval_template_path(approval_str_t uri);
static int ngx_http_approval_template_first(void *data, json_t *value);


ngx_http_approval_template_t *
ngx_http_approval_template_find(ngx_http_approval_channel_t *channel,
    approval_event_e event)
{
    ngx_uint_t                 i;
    ngx_http_approval_template_t  *body, *rest;

    if (channel->bodies == NULL) {
        return NULL;
    }

    rest = NULL;
    body = channel->bodies->elts;

    for (i = 0; i < channel->bodies->nelts; i++) {

        if (body[i].events & ((ngx_uint_t) 1 << event)) {
            return &body[i];
        }

        if (body[i].events == 0) {
            rest = &body[i];
        }
    }

    return rest;
}


json_t *
ngx_http_approval_template_data(const ngx_http_approval_content_t *c)
{
    json_t  *data;

    data = approval_message_data(&c->message);

    if (data == NULL
        || json_object_set_new(data, "channel",
                    ngx_http_approval_json_str((ngx_str_t *)
                                               &c->channel->name))
           != 0
        || json_object_set_new(data, "message_id",
                    ngx_http_approval_json_str((ngx_str_t *) &c->message_id))
           != 0
        || json_object_set_new(data, "thread_id",
                    ngx_http_approval_json_str((ngx_str_t *) &c->thread_id))
           != 0
        || json_object_set_new(data, "reply",
                    ngx_http_approval_json_str((ngx_str_t *) &c->reply))
           != 0
        || ngx_http_approval_template_values(data, c->channel) != NGX_OK)
    {
        json_decref(data);
        return NULL;
    }

    return data;
}


static ngx_int_t
ngx_http_approval_template_values(json_t *data,
    ngx_http_approval_channel_t *channel)
{
    ngx_uint_t      i;
    ngx_keyval_t   *kv;
    approval_buf_t  name;

    if (channel->values == NULL) {
        return NGX_OK;
    }

    kv = channel->values->elts;

    for (i = 0; i < channel->values->nelts; i++) {

        approval_buf_init(&name);
        approval_buf_printf(&name, "value.");
        approval_buf_add(&name, kv[i].key.data, kv[i].key.len);
        approval_buf_addc(&name, '\0');

        if (name.failed
            || json_object_set_new(data, (char *) name.data,
                                   ngx_http_approval_json_str(&kv[i].value))
               != 0)
        {
            approval_buf_free(&name);
            return NGX_ERROR;
        }

        approval_buf_free(&name);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_template_body(const ngx_http_approval_content_t *c,
    approval_buf_t *out)
{
    int                        rc;
    json_t                    *data;
    ngx_http_approval_template_t  *body;

    body = ngx_http_approval_template_find(c->channel, c->message.event);

    data = body ? ngx_http_approval_template_data(c) : NULL;
    if (data == NULL) {
        return NGX_ERROR;
    }

    rc = approval_template((char *) body->text.data, data, body->escape, NULL,
                           out);
    json_decref(data);

    return rc == APPROVAL_OK ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_approval_template_uri(const ngx_http_approval_content_t *c,
    approval_buf_t *out)
{
    int                        rc;
    json_t                    *data;
    ngx_http_approval_template_t  *body;

    body = ngx_http_approval_template_find(c->channel, c->message.event);

    if (body == NULL || body->uri.len == 0) {
        return NGX_OK;
    }

    data = ngx_http_approval_template_data(c);
    if (data == NULL) {
        return NGX_ERROR;
    }

    rc = approval_template((char *) body->uri.data, data, approval_escape_uri,
                           NULL, out);
    json_decref(data);

    return rc == APPROVAL_OK
           ? ngx_http_approval_template_path(approval_buf_str(out))
           : NGX_ERROR;
}


/* A value must not change the path by "..", "." or an empty segment. */

static ngx_int_t
ngx_http_approval_template_path(approval_str_t uri)
{
    size_t                i, start, len;
    const unsigned char  *p;

    p = uri.data;
    start = 1;

    for (i = 1; i <= uri.len; i++) {

        if (i < uri.len && p[i] != '/' && p[i] != '?') {
            continue;
        }

        len = i - start;

        if (len == 0 || (len == 1 && p[start] == '.')
            || (len == 2 && p[start] == '.' && p[start + 1] == '.'))
        {
            return NGX_DECLINED;
        }

        if (i < uri.len && p[i] == '?') {
            break;
        }

        start = i + 1;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_template_headers(ngx_pool_t *pool,
    ngx_http_approval_channel_t *channel, ngx_str_t *message_id,
    ngx_str_t *body, time_t now, ngx_array_t *headers)
{
    ngx_uint_t     i;
    ngx_keyval_t  *kv, *header;

    if (channel->headers == NULL) {
        return NGX_OK;
    }

    kv = channel->headers->elts;

    for (i = 0; i < channel->headers->nelts; i++) {
        header = ngx_array_push(headers);
        if (header == NULL) {
            return NGX_ERROR;
        }

        *header = kv[i];
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_template_reply(ngx_http_approval_channel_t *channel,
    ngx_str_t *response, approval_buf_t *out)
{
    json_t      *json;
    const char  *err;

    json = approval_json_parse(ngx_http_approval_core_str(response), &err);

    if (json) {
        (void) approval_json_pointer_each(channel->reply, json,
                                          ngx_http_approval_template_first,
                                          out);
        json_decref(json);
    }

    return (out->len && out->len <= NGX_HTTP_APPROVAL_REPLY_MAX && !out->failed)
           ? NGX_OK : NGX_DECLINED;
}


static int
ngx_http_approval_template_first(void *data, json_t *value)
{
    approval_buf_t *out = data;

    if (json_is_string(value) || json_is_integer(value)) {
        (void) approval_json_text(value, out);
    }

    return APPROVAL_DECLINED;
}
