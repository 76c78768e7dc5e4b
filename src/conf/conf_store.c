
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_redis.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"

#include "store/store.h"


#define NGX_HTTP_APPROVAL_PASSWORD_FILE_MAX  4096


static ngx_int_t ngx_http_approval_redis_url(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis, ngx_str_t *url);
static ngx_int_t ngx_http_approval_redis_servers(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis);
static ngx_int_t ngx_http_approval_redis_userinfo(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis, ngx_str_t *rest);
static ngx_int_t ngx_http_approval_redis_address(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis, ngx_str_t *address,
    in_port_t port);
static ngx_int_t ngx_http_approval_redis_unescape(ngx_conf_t *cf,
    ngx_str_t *s);
static char *ngx_http_approval_redis_option(ngx_conf_t *cf,
    ngx_http_approval_store_conf_t *conf, ngx_str_t *option);
static ngx_uint_t ngx_http_approval_redis_is_name(ngx_str_t *name);
static char *ngx_http_approval_redis_password(ngx_conf_t *cf,
    ngx_str_t *file, ngx_str_t *password);
static char *ngx_http_approval_redis_sentinel(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis);
static ngx_int_t ngx_http_approval_redis_ssl(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis, ngx_str_t *trusted);


/*
 * approval_redis URL [sentinel=] [prefix=] [shards=] [replicas=] [timeout=]
 *                    [retention=] [password_file=] [sentinel_password_file=]
 *                    [trusted_certificate=];
 */

char *
ngx_http_approval_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    char                            *rv;
    ngx_str_t                       *value, trusted;
    ngx_uint_t                       i, tls;
    ngx_http_approval_store_conf_t  *scf;

    if (mcf->store_conf) {
        return "is duplicate";
    }

    scf = ngx_pcalloc(cf->pool, sizeof(ngx_http_approval_store_conf_t));
    if (scf == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_str_set(&scf->prefix, "approval:");
    scf->retention = (ngx_msec_t) 7 * 24 * 3600 * 1000;
    scf->redis.timeout = 1000;
    scf->shards = 1;

    ngx_str_null(&trusted);

    value = cf->args->elts;
    tls = ngx_http_approval_starts(&value[1], "rediss://");

    if (ngx_http_approval_redis_url(cf, &scf->redis, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_approval_conf_after(&value[i], "trusted_certificate=",
                                         &trusted))
        {
            continue;
        }

        rv = ngx_http_approval_redis_option(cf, scf, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (trusted.len && !tls) {
        return "has \"trusted_certificate=\", but not a \"rediss://\" URL";
    }

    if (scf->redis.user.len && scf->redis.password.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"approval_redis\" has user \"%V\", but no "
                           "password: add \"password_file=PATH\"",
                           &scf->redis.user);
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_approval_redis_sentinel(cf, &scf->redis);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_http_approval_redis_servers(cf, &scf->redis) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (tls && ngx_http_approval_redis_ssl(cf, &scf->redis, &trusted)
               != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    mcf->store_conf = scf;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_approval_redis_url(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis, ngx_str_t *url)
{
    u_char     *p;
    ngx_int_t   db;
    ngx_str_t   rest, number;

    ngx_str_null(&number);

    if (ngx_http_approval_starts(url, "unix:")) {

        rest = *url;

        p = ngx_strlchr(rest.data + 5, rest.data + rest.len, ':');

        if (p) {
            number.data = p + 1;
            number.len = rest.data + rest.len - number.data;
            rest.len = p - rest.data;
        }

    } else if (ngx_http_approval_starts(url, "redis://")
               || ngx_http_approval_starts(url, "rediss://"))
    {
        p = (u_char *) ngx_strstr(url->data, "://") + 3;

        rest.data = p;
        rest.len = url->data + url->len - p;

        if (ngx_http_approval_redis_userinfo(cf, redis, &rest) != NGX_OK) {
            return NGX_ERROR;
        }

        p = ngx_strlchr(rest.data, rest.data + rest.len, '/');

        if (p) {
            number.data = p + 1;
            number.len = rest.data + rest.len - number.data;
            rest.len = p - rest.data;
        }

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid Redis URL: use \"redis://host:port/db\", "
                           "\"rediss://host:port/db\" or \"unix:/path:db\"");
        return NGX_ERROR;
    }

    if (number.len) {
        db = ngx_atoi(number.data, number.len);

        if (db == NGX_ERROR || db > 65535) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid Redis database \"%V\": use a number",
                               &number);
            return NGX_ERROR;
        }

        redis->db = db;
    }

    redis->hosts = rest;
    redis->name = rest;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_redis_servers(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis)
{
    u_char     *p, *last;
    in_port_t   port;
    ngx_str_t   host;

    if (ngx_array_init(&redis->servers, cf->pool, 1,
                       sizeof(ngx_http_approval_redis_server_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_approval_starts(&redis->hosts, "unix:")) {
        return ngx_http_approval_redis_address(cf, redis, &redis->hosts, 0);
    }

    port = redis->sentinel.len ? 26379 : 6379;
    host.data = redis->hosts.data;
    last = redis->hosts.data + redis->hosts.len;

    for ( ;; ) {
        p = ngx_strlchr(host.data, last, ',');
        host.len = (p ? p : last) - host.data;

        if (ngx_http_approval_redis_address(cf, redis, &host, port) != NGX_OK) {
            return NGX_ERROR;
        }

        if (p == NULL) {
            return NGX_OK;
        }

        host.data = p + 1;
    }
}


/* user:password@; it is never logged. */

static ngx_int_t
ngx_http_approval_redis_userinfo(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis, ngx_str_t *rest)
{
    u_char  *at, *colon, *p, *last;

    at = NULL;
    last = rest->data + rest->len;

    for (p = rest->data; p < last && *p != '/'; p++) {
        if (*p == '@') {
            at = p;
        }
    }

    if (at == NULL) {
        return NGX_OK;
    }

    colon = ngx_strlchr(rest->data, at, ':');

    redis->user.data = rest->data;
    redis->user.len = (colon ? colon : at) - rest->data;

    if (colon) {
        redis->password.data = colon + 1;
        redis->password.len = at - colon - 1;
    }

    rest->len = last - (at + 1);
    rest->data = at + 1;

    if (ngx_http_approval_redis_unescape(cf, &redis->user) != NGX_OK
        || ngx_http_approval_redis_unescape(cf, &redis->password) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_redis_unescape(ngx_conf_t *cf, ngx_str_t *s)
{
    u_char  *dst, *src;

    if (s->len == 0) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(cf->pool, s->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    src = s->data;
    s->data = dst;

    ngx_unescape_uri(&dst, &src, s->len, 0);

    s->len = dst - s->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_redis_address(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis, ngx_str_t *address,
    in_port_t port)
{
    ngx_url_t                          u;
    ngx_http_approval_redis_server_t  *server;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *address;
    u.default_port = port;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s in the Redis address \"%V\"",
                           u.err ? u.err : "error", address);
        return NGX_ERROR;
    }

    server = ngx_array_push(&redis->servers);
    if (server == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(server, sizeof(ngx_http_approval_redis_server_t));

    server->addrs = u.addrs;
    server->naddrs = u.naddrs;
    server->numeric = 1;

    if (port == 0) {
        return NGX_OK;
    }

    server->host = u.host;
    server->port = u.port;

    if (u.host.data[0] == '[') {
        server->host.data++;
        server->host.len -= 2;

    } else {
        server->numeric = ngx_inet_addr(u.host.data, u.host.len)
                          != INADDR_NONE;
    }

    return NGX_OK;
}


static char *
ngx_http_approval_redis_option(ngx_conf_t *cf,
    ngx_http_approval_store_conf_t *scf, ngx_str_t *option)
{
    ngx_int_t  ms, n;
    ngx_str_t  s;

    if (ngx_http_approval_conf_after(option, "prefix=", &scf->prefix)) {
        if (scf->prefix.len == 0
            || ngx_strlchr(scf->prefix.data, scf->prefix.data + scf->prefix.len,
                           '{')
            || ngx_strlchr(scf->prefix.data, scf->prefix.data + scf->prefix.len,
                           '}'))
        {
            return "invalid prefix: it must not be empty or contain \"{\" or "
                   "\"}\"";
        }

        return NGX_CONF_OK;
    }

    if (ngx_http_approval_conf_after(option, "timeout=", &s)) {
        ms = ngx_parse_time(&s, 0);

        if (ms == NGX_ERROR || ms == 0) {
            return "invalid timeout: use a time greater than 0, for example "
                   "\"timeout=1s\"";
        }

        scf->redis.timeout = (ngx_msec_t) ms;

        return NGX_CONF_OK;
    }

    if (ngx_http_approval_conf_after(option, "retention=", &s)) {
        ms = ngx_parse_time(&s, 0);

        if (ms == NGX_ERROR || ms < 1000) {
            return "invalid retention: use a time of at least one second, for "
                   "example \"retention=7d\"";
        }

        scf->retention = (ngx_msec_t) ms;

        return NGX_CONF_OK;
    }

    if (ngx_http_approval_conf_after(option, "shards=", &s)) {
        n = ngx_atoi(s.data, s.len);

        if (n < 1 || n > NGX_HTTP_APPROVAL_SHARDS_MAX) {
            return "invalid number of shards: use 1 to 256, for example "
                   "\"shards=16\"";
        }

        scf->shards = n;

        return NGX_CONF_OK;
    }

    if (ngx_http_approval_conf_after(option, "replicas=", &s)) {
        n = ngx_atoi(s.data, s.len);

        if (n == NGX_ERROR || n > NGX_HTTP_APPROVAL_REPLICAS_MAX) {
            return "invalid number of replicas: use 0 to 16, but not more "
                   "than can become the primary, for example \"replicas=1\"";
        }

        scf->replicas = n;

        return NGX_CONF_OK;
    }

    if (ngx_http_approval_conf_after(option, "password_file=", &s)) {
        if (scf->redis.password.len) {
            return "has two passwords: remove the one in the URL, or "
                   "\"password_file=\"";
        }

        return ngx_http_approval_redis_password(cf, &s, &scf->redis.password);
    }

    if (ngx_http_approval_conf_after(option, "sentinel_password_file=", &s)) {
        return ngx_http_approval_redis_password(cf, &s,
                                                &scf->redis.sentinel_password);
    }

    if (ngx_http_approval_conf_after(option, "sentinel=",
                                     &scf->redis.sentinel))
    {
        if (!ngx_http_approval_redis_is_name(&scf->redis.sentinel)) {
            return "invalid sentinel name: use the name that \"sentinel "
                   "monitor\" gives the primary, for example "
                   "\"sentinel=mymaster\"";
        }

        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown parameter \"%V\": use \"sentinel=\", "
                       "\"prefix=\", \"shards=\", \"replicas=\", "
                       "\"timeout=\", \"retention=\", \"password_file=\", "
                       "\"sentinel_password_file=\" or "
                       "\"trusted_certificate=\"", option);
    return NGX_CONF_ERROR;
}


static char *
ngx_http_approval_redis_password(ngx_conf_t *cf, ngx_str_t *file,
    ngx_str_t *password)
{
    if (ngx_http_approval_conf_read_file(cf, file,
                                         NGX_HTTP_APPROVAL_PASSWORD_FILE_MAX,
                                         password)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    while (password->len
           && (password->data[password->len - 1] == LF
               || password->data[password->len - 1] == CR))
    {
        password->len--;
    }

    if (password->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" contains no password",
                           file);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* The characters that Sentinel allows; in messages, a space ends the name. */

static ngx_uint_t
ngx_http_approval_redis_is_name(ngx_str_t *name)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            && c != '.' && c != '-' && c != '_')
        {
            return 0;
        }
    }

    return name->len != 0;
}


static char *
ngx_http_approval_redis_sentinel(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis)
{
    u_char  *p;

    if (redis->sentinel.len == 0) {
        return redis->sentinel_password.len
               ? "has \"sentinel_password_file=\", but not \"sentinel=NAME\""
               : NGX_CONF_OK;
    }

    if (ngx_http_approval_starts(&redis->hosts, "unix:")) {
        return "has \"sentinel=\", but its URL is a unix socket: list the "
               "sentinels, as \"redis://host:port,host:port\" or "
               "\"rediss://...\"";
    }

    redis->name.len = redis->hosts.len + sizeof(" sentinel=") - 1
                      + redis->sentinel.len;

    p = ngx_pnalloc(cf->pool, redis->name.len);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    redis->name.data = p;

    ngx_sprintf(p, "%V sentinel=%V", &redis->hosts, &redis->sentinel);

    return NGX_CONF_OK;
}


/* Certificates are always verified, by default with the system's CAs. */

static ngx_int_t
ngx_http_approval_redis_ssl(ngx_conf_t *cf,
    ngx_http_approval_redis_conf_t *redis, ngx_str_t *trusted)
{
    ngx_pool_cleanup_t  *cln;

    redis->ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (redis->ssl == NULL) {
        return NGX_ERROR;
    }

    redis->ssl->log = cf->log;

    if (ngx_ssl_create(redis->ssl,
                       NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(redis->ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = redis->ssl;

    if (trusted->len) {

        if (ngx_ssl_trusted_certificate(cf, redis->ssl, trusted, 3) == NGX_OK) {
            return NGX_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"approval_redis\" cannot use "
                           "\"trusted_certificate=%V\": use a file with "
                           "certificates in PEM", trusted);
        return NGX_ERROR;
    }

    if (SSL_CTX_set_default_verify_paths(redis->ssl->ctx) != 1) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "the system's certificate authorities could not be "
                      "loaded");
        return NGX_ERROR;
    }

    return NGX_OK;
}
