
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_channel: url and what belongs to it, signing_secret.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"

#include "model/link.h"


#define NGX_HTTP_APPROVAL_URL_MAX  4096
#define NGX_HTTP_APPROVAL_PEM_MAX  (1024 * 1024)


static size_t ngx_http_approval_conf_team_valid(ngx_str_t *id);
static ngx_int_t ngx_http_approval_conf_team_add(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel, ngx_str_t *id);
static ngx_int_t ngx_http_approval_conf_team_webhook(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);
static ngx_uint_t ngx_http_approval_conf_resolves(ngx_resolver_t *resolver);


/* approval_base_url URL; with variables, it is checked at each request. */

char *
ngx_http_approval_conf_base_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    char                        *rv;
    ngx_str_t                   *url;
    const char                  *err;
    ngx_http_approval_target_t   target;

    rv = ngx_http_set_complex_value_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    ngx_http_approval_conf_keep_at(cf, &mcf->base_url_at);

    if (mcf->base_url->lengths) {
        return ngx_http_approval_conf_variables(cf, &mcf->base_url->value)
               == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    url = &mcf->base_url->value;

    ngx_memzero(&target, sizeof(ngx_http_approval_target_t));

    err = ngx_http_approval_target_parse(&target, url);

    if (err == NULL && !ngx_http_approval_link_plain(url)) {
        err = "it has a character that links cannot contain";
    }

    if (err) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"approval_base_url %V\" is not a URL that links "
                           "can start with: %s", url, err);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * url https://... | smtps://... | file:PATH; errors never quote it, because it
 * usually contains a secret.
 */

char *
ngx_http_approval_conf_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    ngx_str_t   *value, url;
    const char  *err;

    if (channel->url) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_approval_conf_value(cf, &value[1], &url) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    channel->url = ngx_pcalloc(cf->pool, sizeof(ngx_http_approval_target_t));
    if (channel->url == NULL) {
        return NGX_CONF_ERROR;
    }

    err = (ngx_http_approval_starts(&url, "smtp:")
           || ngx_http_approval_starts(&url, "smtps:"))
          ? ngx_http_approval_target_mail(channel->url, &url)
          : ngx_http_approval_target_parse(channel->url, &url);

    if (err) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"url\" of channel \"%V\": %s",
                           &channel->name, err);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * trusted_certificate, certificate, certificate_key FILE; read now: workers may
 * lack the permission, and must not wait for a disk.
 */

char *
ngx_http_approval_conf_pem(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    ngx_str_t   *value, *pem;
    const char  *what;

    pem = (ngx_str_t *) ((char *) conf + cmd->offset);

    if (pem->data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_approval_conf_read_file(cf, &value[1],
                                         NGX_HTTP_APPROVAL_PEM_MAX, pem)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    what = (pem == &channel->certificate_key) ? "PRIVATE KEY" : "CERTIFICATE";

    if (ngx_strstr(pem->data, what) == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" has no %s in PEM: check the path",
                           &value[1], &value[0], what);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* signing_secret SECRET | file:PATH; all of them verify, for rotation. */

char *
ngx_http_approval_conf_signing_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    ngx_str_t  *value, *secret;

    value = cf->args->elts;

    secret = ngx_http_approval_conf_push(cf, &channel->signing_secrets,
                                         sizeof(ngx_str_t));
    if (secret == NULL
        || ngx_http_approval_conf_value(cf, &value[1], secret) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (secret->len == 0) {
        return "is empty";
    }

    if (secret->len < 16) {
        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_SHORT_SECRET,
                               ngx_http_approval_here(cf),
                               "\"signing_secret\" of channel \"%V\" is "
                               "shorter than 16 characters and can be "
                               "guessed: copy it from \"Basic Information\" "
                               "of the Slack app", &channel->name);
    }

    if (value[1].data[0] == '/') {
        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_NO_FILE_PREFIX,
                               ngx_http_approval_here(cf),
                               "\"signing_secret\" of channel \"%V\" looks "
                               "like a path, but is taken as the secret "
                               "itself: write \"file:\" before "
                               "it", &channel->name);
    }

    return NGX_CONF_OK;
}


/* team ID...; workspaces for whose people the signing secret is valid. */

char *
ngx_http_approval_conf_team(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (channel->teams) {
        return "is duplicate: list all ids in one directive";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_approval_conf_team_valid(&value[i]) != value[i].len) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" in \"team\" of channel \"%V\" is not "
                               "the id of a Slack workspace: use the \"T...\" "
                               "in the address of its web client",
                               &value[i], &channel->name);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_approval_conf_team_add(cf, channel, &value[i]) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* Returns the length of the id at the beginning, 0 if there is none. */

static size_t
ngx_http_approval_conf_team_valid(ngx_str_t *id)
{
    size_t  i;

    if (id->len < 3 || id->data[0] != 'T') {
        return 0;
    }

    for (i = 1; i < id->len; i++) {
        if ((id->data[i] < 'A' || id->data[i] > 'Z')
            && (id->data[i] < '0' || id->data[i] > '9'))
        {
            break;
        }
    }

    return i;
}


static ngx_int_t
ngx_http_approval_conf_team_add(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel, ngx_str_t *id)
{
    ngx_str_t  *team;

    team = ngx_http_approval_conf_push(cf, &channel->teams, sizeof(ngx_str_t));
    if (team == NULL) {
        return NGX_ERROR;
    }

    *team = *id;

    return NGX_OK;
}


/*
 * By default, the workspace of the incoming webhook:
 * https://hooks.slack.com/services/T.../B.../...
 */

static ngx_int_t
ngx_http_approval_conf_team_webhook(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    u_char     *p, *last;
    ngx_str_t   team;

    static ngx_str_t  path = ngx_string("/services/");

    if (channel->signing_secrets == NULL || channel->teams
        || channel->url == NULL)
    {
        return NGX_OK;
    }

    last = channel->url->url.data + channel->url->url.len;
    p = ngx_strnstr(channel->url->url.data, (char *) path.data,
                    channel->url->url.len);
    if (p == NULL) {
        return NGX_OK;
    }

    team.data = p + path.len;
    team.len = last - team.data;
    team.len = ngx_http_approval_conf_team_valid(&team);

    if (team.len == 0 || team.data + team.len == last
        || team.data[team.len] != '/')
    {
        return NGX_OK;
    }

    return ngx_http_approval_conf_team_add(cf, channel, &team);
}


ngx_int_t
ngx_http_approval_conf_value(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *text)
{
    ngx_str_t  file, lines;

    if (!ngx_http_approval_conf_after(value, "file:", &file)) {
        *text = *value;
        return NGX_OK;
    }

    if (ngx_http_approval_conf_read_file(cf, &file, NGX_HTTP_APPROVAL_URL_MAX,
                                         &lines)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!ngx_http_approval_conf_line(&lines, text) || text->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the first line of \"%V\" is empty", &file);
        return NGX_ERROR;
    }

    /* arguments of directives end with a NUL, too */

    text->data[text->len] = '\0';

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_conf_url_finish(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    if (channel->signing_secrets
        && channel->type != NGX_HTTP_APPROVAL_CHANNEL_SLACK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"signing_secret\" of channel \"%V\" has no "
                           "effect without \"type slack\": remove one or add "
                           "the other", &channel->name);
        return NGX_ERROR;
    }

    if (channel->teams && channel->signing_secrets == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"team\" of channel \"%V\" has no effect without "
                           "\"signing_secret\": remove one or add the "
                           "other", &channel->name);
        return NGX_ERROR;
    }

    if (ngx_http_approval_conf_team_webhook(cf, channel) != NGX_OK) {
        return NGX_ERROR;
    }

    if (channel->secrets && channel->type != NGX_HTTP_APPROVAL_CHANNEL_JSON) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"secret\" of channel \"%V\" has no effect "
                           "without \"type json\": remove one or add the "
                           "other", &channel->name);
        return NGX_ERROR;
    }

    if ((channel->trusted.len || channel->certificate.len
         || channel->certificate_key.len)
        && (channel->url == NULL
            || !(channel->url->secure || channel->url->starttls)))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the certificates of channel \"%V\" have no effect "
                           "without TLS: use \"url https://...\", or for mail "
                           "\"smtps://...\" or \"starttls on\"",
                           &channel->name);
        return NGX_ERROR;
    }

    if ((channel->certificate.len == 0) != (channel->certificate_key.len == 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "channel \"%V\" has only one of \"certificate\" "
                           "and \"certificate_key\": add the other",
                           &channel->name);
        return NGX_ERROR;
    }

    if (channel->url) {
        channel->url->trusted = channel->trusted;
        channel->url->certificate = channel->certificate;
        channel->url->key = channel->certificate_key;
    }

    return NGX_OK;
}


/* Called when all of http has been read: host names need a resolver. */

char *
ngx_http_approval_conf_resolver(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf)
{
    ngx_uint_t                     i;
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_approval_channel_t  **channel;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    channel = mcf->channels.elts;

    for (i = 0; i < mcf->channels.nelts; i++) {

        if (channel[i]->url == NULL || channel[i]->url->numeric
            || channel[i]->url->local
            || ngx_http_approval_conf_resolves(clcf->resolver))
        {
            continue;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"url\" of channel \"%V\" has a host name, but there "
                      "is no \"resolver\" to look it up: add one to the http "
                      "block in %s:%ui",
                      &channel[i]->name, channel[i]->conf_file,
                      channel[i]->conf_line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * nginx may have set a resolver without servers.  Its list of servers is a
 * different member in nginx and in its forks, so nginx itself has to tell.
 */

static ngx_uint_t
ngx_http_approval_conf_resolves(ngx_resolver_t *resolver)
{
    ngx_resolver_ctx_t  *ctx;

    if (resolver == NULL) {
        return 0;
    }

    ctx = ngx_resolve_start(resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        return 0;
    }

    ngx_resolve_name_done(ctx);

    return 1;
}
