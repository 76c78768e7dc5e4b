
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_channel: body, header, value and reply of "type template".
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"

#include "core/template.h"
#include "notify/channel.h"


#define NGX_HTTP_APPROVAL_TEMPLATE_MAX  65536


/* The suffix of the file says how values are escaped. */

static const struct {
    const char            *suffix;
    const char            *type;
    approval_escape_pt     escape;
    unsigned               json:1;
    unsigned               joined:1;        /* without line breaks */
} ngx_http_approval_template_formats[] = {
    { ".json", "application/json", approval_escape_json, 1, 0 },
    { ".form", "application/x-www-form-urlencoded", approval_escape_uri, 0,
      1 },
    { ".xml", "application/xml; charset=utf-8", approval_escape_html, 0, 0 },
    { ".txt", "text/plain; charset=utf-8", approval_escape_none, 0, 0 }
};


static char *ngx_http_approval_template_parameters(ngx_conf_t *cf,
    ngx_http_approval_template_t *body);
static char *ngx_http_approval_template_events(ngx_conf_t *cf,
    ngx_str_t *list, ngx_uint_t *events);
static ngx_uint_t ngx_http_approval_template_event(ngx_str_t *name);
static char *ngx_http_approval_template_file(ngx_conf_t *cf,
    ngx_http_approval_template_t *body);
static void ngx_http_approval_template_join(ngx_str_t *text);
static char *ngx_http_approval_template_pair(ngx_conf_t *cf,
    ngx_array_t **list);
static void ngx_http_approval_template_free(void *data);


/* body FILE [on=EVENT,...] [uri=URI] [method=NAME]; */

char *
ngx_http_approval_conf_body(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    char                          *rv;
    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_approval_template_t  *body, *other;

    value = cf->args->elts;

    body = ngx_http_approval_conf_push(cf, &channel->bodies,
                                       sizeof(ngx_http_approval_template_t));
    if (body == NULL) {
        return NGX_CONF_ERROR;
    }

    body->file = value[1];

    rv = ngx_http_approval_template_parameters(cf, body);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    other = channel->bodies->elts;

    for (i = 0; i + 1 < channel->bodies->nelts; i++) {
        if ((other[i].events & body->events)
            || (other[i].events == 0 && body->events == 0))
        {
            return "is duplicate: use \"on=\" to give each one its own events";
        }
    }

    return ngx_http_approval_template_file(cf, body);
}


static char *
ngx_http_approval_template_parameters(ngx_conf_t *cf,
    ngx_http_approval_template_t *body)
{
    char        *rv;
    size_t       n;
    ngx_str_t   *value, list;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_approval_conf_after(&value[i], "on=", &list)) {
            rv = ngx_http_approval_template_events(cf, &list, &body->events);

            if (rv != NGX_CONF_OK) {
                return rv;
            }

            continue;
        }

        if (ngx_http_approval_conf_after(&value[i], "method=", &body->method))
        {
            if (ngx_strcmp(body->method.data, "POST") != 0
                && ngx_strcmp(body->method.data, "PUT") != 0
                && ngx_strcmp(body->method.data, "PATCH") != 0)
            {
                return "has an invalid \"method=\": use POST, PUT or PATCH";
            }

            continue;
        }

        if (ngx_http_approval_conf_after(&value[i], "uri=", &body->uri)) {
            for (n = 0; n < body->uri.len; n++) {
                if (body->uri.data[n] <= ' ' || body->uri.data[n] >= 0x7f
                    || body->uri.data[n] == '#')
                {
                    break;
                }
            }

            if (body->uri.len < 2 || body->uri.data[0] != '/'
                || n < body->uri.len)
            {
                return "has an invalid \"uri=\": start it with \"/\", and "
                       "write characters that are not allowed in a URI as %XX";
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of \"body\": use \"on=\", "
                           "\"uri=\" or \"method=\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_approval_template_events(ngx_conf_t *cf, ngx_str_t *list,
    ngx_uint_t *events)
{
    u_char      *p, *last;
    ngx_str_t    name;
    ngx_uint_t   bits;

    last = list->data + list->len;

    for (p = list->data; p <= last; p = name.data + name.len + 1) {

        name.data = p;
        p = ngx_strlchr(p, last, ',');
        name.len = (p ? p : last) - name.data;

        bits = ngx_http_approval_template_event(&name);

        if (bits == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown event \"%V\" in \"on=\": use "
                               "requested, reminder, escalated (\"open\" for "
                               "all three), approved, denied, expired, "
                               "cancelled, executed, failed (\"closed\" for "
                               "these)",
                               &name);
            return NGX_CONF_ERROR;
        }

        *events |= bits;
    }

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_approval_template_event(ngx_str_t *name)
{
    const char        *text;
    ngx_uint_t         bits;
    approval_event_e   event;

    bits = 0;

    for (event = 0; event < APPROVAL_EVENTS; event++) {

        text = approval_event_name(event);

        if ((name->len == ngx_strlen(text)
             && ngx_strncmp(name->data, text, name->len) == 0)
            || (name->len == 4 && ngx_strncmp(name->data, "open", 4) == 0
                && approval_event_open(event))
            || (name->len == 6 && ngx_strncmp(name->data, "closed", 6) == 0
                && !approval_event_open(event)))
        {
            bits |= (ngx_uint_t) 1 << event;
        }
    }

    return bits;
}


static char *
ngx_http_approval_template_file(ngx_conf_t *cf,
    ngx_http_approval_template_t *body)
{
    size_t       len;
    ngx_uint_t   i, n;
    const char  *suffix;

    n = sizeof(ngx_http_approval_template_formats)
        / sizeof(ngx_http_approval_template_formats[0]);

    for (i = 0; i < n; i++) {
        suffix = ngx_http_approval_template_formats[i].suffix;
        len = ngx_strlen(suffix);

        if (body->file.len > len
            && ngx_strcmp(body->file.data + body->file.len - len, suffix) == 0)
        {
            break;
        }
    }

    if (i == n) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" does not say how to escape values: use a "
                           "name that ends with .json, .form, .xml or "
                           ".txt", &body->file);
        return NGX_CONF_ERROR;
    }

    body->escape = ngx_http_approval_template_formats[i].escape;
    body->json = ngx_http_approval_template_formats[i].json;
    body->content_type.data =
                       (u_char *) ngx_http_approval_template_formats[i].type;
    body->content_type.len = ngx_strlen(body->content_type.data);

    if (ngx_http_approval_conf_read_file(cf, &body->file,
                                         NGX_HTTP_APPROVAL_TEMPLATE_MAX,
                                         &body->text)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_strlen(body->text.data) != body->text.len
        || !approval_utf8_valid(ngx_http_approval_core_str(&body->text)))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is not valid "
                                                 "UTF-8", &body->file);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_approval_template_formats[i].joined) {
        ngx_http_approval_template_join(&body->text);
    }

    body->replied = ngx_strstr(body->text.data, "{{reply") != NULL
                    || (body->uri.len
                        && ngx_strstr(body->uri.data, "{{reply") != NULL);

    return NGX_CONF_OK;
}


/*
 * Removes line breaks and leading blanks, which make a form readable but are
 * not a part of it.
 */

static void
ngx_http_approval_template_join(ngx_str_t *text)
{
    u_char      *dst;
    size_t       i;
    ngx_uint_t   start;

    dst = text->data;
    start = 1;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] == '\n' || text->data[i] == '\r') {
            start = 1;
            continue;
        }

        if (start && (text->data[i] == ' ' || text->data[i] == '\t')) {
            continue;
        }

        start = 0;
        *dst++ = text->data[i];
    }

    *dst = '\0';
    text->len = dst - text->data;
}


/* header NAME VALUE | file:PATH; */

char *
ngx_http_approval_conf_template_header(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    char          *rv;
    size_t         i;
    ngx_uint_t     n;
    ngx_keyval_t  *kv;

    static const char  *ours[] = { "Host", "Content-Length", "Connection",
                                   "Transfer-Encoding", "Expect", "TE",
                                   "Trailer", "Upgrade" };

    rv = ngx_http_approval_template_pair(cf, &channel->headers);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    kv = channel->headers->elts;
    kv += channel->headers->nelts - 1;

    for (i = 0; i < kv->key.len; i++) {
        if (kv->key.data[i] <= ' ' || kv->key.data[i] >= 0x7f
            || ngx_strlchr((u_char *) "()<>@,;:\\\"/[]?={}",
                           (u_char *) "()<>@,;:\\\"/[]?={}" + 17,
                           kv->key.data[i]))
        {
            return "has a name that is not valid for a header";
        }
    }

    for (n = 0; n < sizeof(ours) / sizeof(ours[0]); n++) {
        if (kv->key.len == ngx_strlen(ours[n])
            && ngx_strncasecmp(kv->key.data, (u_char *) ours[n], kv->key.len)
               == 0)
        {
            return "sets a header that the module writes itself: remove it";
        }
    }

    for (i = 0; i < kv->value.len; i++) {
        if ((kv->value.data[i] < ' ' && kv->value.data[i] != '\t')
            || kv->value.data[i] == 0x7f)
        {
            return "has a control character in its value";
        }
    }

    return NGX_CONF_OK;
}


/* value NAME TEXT | file:PATH; */

char *
ngx_http_approval_conf_template_value(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    return ngx_http_approval_template_pair(cf, &channel->values);
}


static char *
ngx_http_approval_template_pair(ngx_conf_t *cf, ngx_array_t **list)
{
    ngx_str_t     *value;
    ngx_uint_t     i;
    ngx_keyval_t  *kv, *other;

    value = cf->args->elts;

    kv = ngx_http_approval_conf_push(cf, list, sizeof(ngx_keyval_t));
    if (kv == NULL) {
        return NGX_CONF_ERROR;
    }

    kv->key = value[1];

    if (ngx_http_approval_conf_value(cf, &value[2], &kv->value) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (kv->key.len == 0 || kv->value.len == 0) {
        return "needs a name and a value";
    }

    if (!approval_utf8_valid(ngx_http_approval_core_str(&kv->value))) {
        return "has a value that is not UTF-8";
    }

    other = (*list)->elts;

    for (i = 0; i + 1 < (*list)->nelts; i++) {
        if (other[i].key.len == kv->key.len
            && ngx_strncasecmp(other[i].key.data, kv->key.data, kv->key.len)
               == 0)
        {
            return "is duplicate";
        }
    }

    return NGX_CONF_OK;
}


/* reply json:/pointer; */

char *
ngx_http_approval_conf_reply(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    ngx_str_t           *value;
    const char          *err;
    approval_str_t       text;
    ngx_pool_cleanup_t  *cln;

    value = cf->args->elts;

    if (channel->reply) {
        return "is duplicate";
    }

    if (!ngx_http_approval_starts(&value[1], "json:/")) {
        return "needs a JSON pointer into the response: use, for example, "
               "\"reply json:/key;\"";
    }

    text = ngx_http_approval_core_str(&value[1]);
    text.data += 5;
    text.len -= 5;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    channel->reply = approval_json_pointer_compile(text, &err);

    if (channel->reply == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid \"reply %V\": %s",
                           &value[1], err);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_approval_template_free;
    cln->data = channel->reply;

    return NGX_CONF_OK;
}


static void
ngx_http_approval_template_free(void *data)
{
    approval_json_pointer_free(data);
}
