
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_channel blocks.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


#define NGX_HTTP_APPROVAL_SECRET_FILE_MAX  65536


static ngx_int_t ngx_http_approval_channel_finish(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);
static ngx_int_t ngx_http_approval_channel_pass(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);
static ngx_int_t ngx_http_approval_conf_secret_add(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel, ngx_str_t *secret);


char *
ngx_http_approval_conf_channel(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_approval_channel_t   *channel, **slot;

    value = cf->args->elts;
    slot = mcf->channels.elts;

    if (ngx_http_approval_conf_name(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < mcf->channels.nelts; i++) {
        if (ngx_strcmp(slot[i]->name.data, value[1].data) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "channel \"%V\" is declared twice: first in "
                               "%s:%ui", &value[1], slot[i]->conf_file,
                               slot[i]->conf_line);
            return NGX_CONF_ERROR;
        }
    }

    channel = ngx_pcalloc(cf->pool, sizeof(ngx_http_approval_channel_t));
    slot = ngx_array_push(&mcf->channels);

    if (channel == NULL || slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = channel;

    channel->name = value[1];
    channel->type = NGX_CONF_UNSET_UINT;
    channel->disclose = NGX_CONF_UNSET_UINT;
    channel->timeout = NGX_CONF_UNSET_MSEC;
    channel->retries = NGX_CONF_UNSET;
    channel->backoff_min = NGX_CONF_UNSET_MSEC;
    channel->backoff_max = NGX_CONF_UNSET_MSEC;
    channel->per_approver = NGX_CONF_UNSET;
    channel->starttls = NGX_CONF_UNSET;
    channel->conf_file = cf->conf_file->file.name.data;
    channel->conf_line = cf->conf_file->line;

    if (ngx_http_approval_conf_block(cf, NGX_HTTP_APPROVAL_CHANNEL_CONF, NULL,
                                     channel)
        != NGX_OK
        || ngx_http_approval_channel_finish(cf, channel) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_approval_channel_finish(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    if (channel->pass.len == 0 && channel->url == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "channel \"%V\" has neither \"pass\" nor \"url\": "
                           "add an internal location, for example \"pass "
                           "/notify;\", or the receiver's URL",
                           &channel->name);
        return NGX_ERROR;
    }

    if (channel->pass.len && channel->url) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "channel \"%V\" has both \"pass\" and \"url\": "
                           "remove one of them", &channel->name);
        return NGX_ERROR;
    }

    if (channel->pass.len
        && ngx_http_approval_channel_pass(cf, channel) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_conf_init_uint_value(channel->type, NGX_HTTP_APPROVAL_CHANNEL_JSON);
    ngx_conf_init_uint_value(channel->disclose,
                             NGX_HTTP_APPROVAL_DISCLOSE_DECLARED);
    ngx_conf_init_msec_value(channel->timeout,
                             channel->type == NGX_HTTP_APPROVAL_CHANNEL_MAIL
                             ? 30000 : 5000);

    /* a url channel without "retries" retries until the deadline */

    channel->persistent = (channel->url
                           && channel->retries == NGX_CONF_UNSET);

    ngx_conf_init_value(channel->retries, 5);
    ngx_conf_init_msec_value(channel->backoff_min, 1000);
    ngx_conf_init_msec_value(channel->backoff_max, 60000);

    if (ngx_http_approval_conf_mail_finish(cf, channel) != NGX_OK
        || ngx_http_approval_conf_template_finish(cf, channel) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_conf_init_value(channel->per_approver, 0);

    if (ngx_http_approval_conf_url_finish(cf, channel) != NGX_OK) {
        return NGX_ERROR;
    }

    if (channel->timeout == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"timeout\" of channel \"%V\" must be greater than "
                           "0", &channel->name);
        return NGX_ERROR;
    }

    if (channel->backoff_min == 0
        || channel->backoff_min > channel->backoff_max)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"backoff\" of channel \"%V\": the first "
                           "time must be greater than 0, and the second one "
                           "must not be shorter than the first",
                           &channel->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The URI is put into a request line unchanged. */

static ngx_int_t
ngx_http_approval_channel_pass(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    size_t  i;

    if (channel->pass.data[0] != '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"pass %V\" of channel \"%V\" is not the URI of a "
                           "location: start it with \"/\"", &channel->pass,
                           &channel->name);
        return NGX_ERROR;
    }

    for (i = 0; i < channel->pass.len; i++) {

        if (channel->pass.data[i] <= ' ' || channel->pass.data[i] >= 0x7f
            || channel->pass.data[i] == '$' || channel->pass.data[i] == '#')
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"pass\" of channel \"%V\" contains a "
                               "variable, or a character that a URI cannot "
                               "contain: use a fixed location; its "
                               "\"proxy_pass\" may have variables",
                               &channel->name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* pass URI; */

char *
ngx_http_approval_conf_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    ngx_http_approval_conf_keep_at(cf, &channel->pass_at);

    return ngx_conf_set_str_slot(cf, cmd, conf);
}


/* secret whsec_... | file:PATH; all of them sign, for rotation. */

char *
ngx_http_approval_conf_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    ngx_str_t   *value, file, text, line;
    ngx_uint_t   n;

    value = cf->args->elts;

    if (!ngx_http_approval_conf_after(&value[1], "file:", &file)) {
        return (ngx_http_approval_conf_secret_add(cf, channel, &value[1])
                == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_http_approval_conf_read_file(cf, &file,
                                         NGX_HTTP_APPROVAL_SECRET_FILE_MAX,
                                         &text)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    n = 0;

    while (ngx_http_approval_conf_line(&text, &line)) {

        if (line.len == 0) {
            continue;
        }

        if (ngx_http_approval_conf_secret_add(cf, channel, &line) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        n++;
    }

    if (n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" contains no secret: put one on each line, "
                           "as \"whsec_\" and the base64 of 24 to 64 bytes",
                           &file);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* The prefix is optional, as elsewhere.  Errors never quote the secret. */

static ngx_int_t
ngx_http_approval_conf_secret_add(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel, ngx_str_t *secret)
{
    size_t      len;
    ngx_str_t  *slot, text;

    slot = ngx_http_approval_conf_push(cf, &channel->secrets,
                                       sizeof(ngx_str_t));
    if (slot == NULL) {
        return NGX_ERROR;
    }

    if (!ngx_http_approval_conf_after(secret, "whsec_", &text)) {
        text = *secret;
    }

    slot->data = ngx_pnalloc(cf->pool, text.len);
    if (slot->data == NULL) {
        return NGX_ERROR;
    }

    len = approval_base64_decode(slot->data,
                                 ngx_http_approval_core_str(&text));

    if (len == (size_t) -1 || len < 24 || len > 64) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the secret of channel \"%V\" is invalid: use "
                           "\"whsec_\" and the base64 of 24 to 64 "
                           "bytes", &channel->name);
        return NGX_ERROR;
    }

    slot->len = len;

    return NGX_OK;
}


/* backoff MIN MAX; */

char *
ngx_http_approval_conf_backoff(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    ngx_int_t   min, max;
    ngx_str_t  *value;

    if (channel->backoff_min != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    min = ngx_parse_time(&value[1], 0);
    max = ngx_parse_time(&value[2], 0);

    if (min == NGX_ERROR || max == NGX_ERROR) {
        return "invalid value: use two times, for example \"backoff 1s 60s;\"";
    }

    channel->backoff_min = (ngx_msec_t) min;
    channel->backoff_max = (ngx_msec_t) max;

    return NGX_CONF_OK;
}
