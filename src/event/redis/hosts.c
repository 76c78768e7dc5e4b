
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "event/redis/hosts.h"


static ngx_int_t ngx_http_approval_redis_host_init(
    ngx_http_approval_redis_host_t *host,
    ngx_http_approval_redis_server_t *server, ngx_log_t *log);
static void ngx_http_approval_redis_host_done(
    ngx_http_approval_redis_host_t *host);
static ngx_int_t ngx_http_approval_redis_host_name(
    ngx_http_approval_redis_host_t *host, ngx_str_t *name, ngx_log_t *log);
static ngx_http_approval_redis_addr_t *ngx_http_approval_redis_host_room(
    ngx_http_approval_redis_host_t *host, ngx_uint_t n, ngx_log_t *log);
static ngx_int_t ngx_http_approval_redis_host_literal(
    ngx_http_approval_redis_host_t *host, ngx_log_t *log);
static void ngx_http_approval_redis_host_looked_up(void *data,
    struct addrinfo *found, const char *error);
static ngx_int_t ngx_http_approval_redis_host_keep(
    ngx_http_approval_redis_host_t *host, struct addrinfo *found,
    ngx_log_t *log);
static void ngx_http_approval_redis_host_warn(
    ngx_http_approval_redis_host_t *host, const char *why);
static void ngx_http_approval_redis_hosts_end(
    ngx_http_approval_redis_hosts_t *hosts);
static void ngx_http_approval_redis_hosts_patience_handler(ngx_event_t *ev);


ngx_int_t
ngx_http_approval_redis_hosts_init(ngx_http_approval_redis_hosts_t *hosts,
    ngx_http_approval_redis_conf_t *conf,
    ngx_http_approval_redis_server_t *servers, ngx_uint_t n, ngx_log_t *log)
{
    ngx_uint_t  i;

    hosts->conf = conf;
    hosts->log = log;

    hosts->patience.handler = ngx_http_approval_redis_hosts_patience_handler;
    hosts->patience.data = hosts;
    hosts->patience.log = log;
    hosts->patience.cancelable = 1;

    hosts->elts = ngx_calloc(n * sizeof(ngx_http_approval_redis_host_t), log);
    if (hosts->elts == NULL) {
        return NGX_ERROR;
    }

    hosts->nelts = n;

    for (i = 0; i < n; i++) {
        hosts->elts[i].hosts = hosts;

        if (servers
            && ngx_http_approval_redis_host_init(&hosts->elts[i], &servers[i],
                                                 log)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_http_approval_redis_hosts_done(ngx_http_approval_redis_hosts_t *hosts)
{
    ngx_uint_t  i;

    ngx_http_approval_redis_hosts_leave(hosts);

    for (i = 0; i < hosts->nelts; i++) {
        ngx_http_approval_redis_host_done(&hosts->elts[i]);
    }

    if (hosts->elts) {
        ngx_free(hosts->elts);
    }
}


static ngx_int_t
ngx_http_approval_redis_host_init(ngx_http_approval_redis_host_t *host,
    ngx_http_approval_redis_server_t *server, ngx_log_t *log)
{
    ngx_uint_t                       i;
    ngx_http_approval_redis_addr_t  *addrs;

    host->port = server->port;
    host->numeric = server->numeric;

    addrs = ngx_http_approval_redis_host_room(host, server->naddrs, log);

    if (addrs == NULL
        || ngx_http_approval_redis_host_name(host, &server->host, log)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < server->naddrs; i++) {
        addrs[i].socklen = server->addrs[i].socklen;
        ngx_memcpy(&addrs[i].sockaddr, server->addrs[i].sockaddr,
                   server->addrs[i].socklen);
    }

    return NGX_OK;
}


static void
ngx_http_approval_redis_host_done(ngx_http_approval_redis_host_t *host)
{
    if (host->lookup) {
        ngx_http_approval_lookup_forget(host->lookup);
        host->lookup = NULL;
    }

    if (host->addrs) {
        ngx_free(host->addrs);
        host->addrs = NULL;
        host->naddrs = 0;
    }

    if (host->name.data) {
        ngx_free(host->name.data);
        ngx_str_null(&host->name);
    }
}


/* Copies the name and terminates it with a null byte. */

static ngx_int_t
ngx_http_approval_redis_host_name(ngx_http_approval_redis_host_t *host,
    ngx_str_t *name, ngx_log_t *log)
{
    host->name.data = ngx_alloc(name->len + 1, log);
    if (host->name.data == NULL) {
        return NGX_ERROR;
    }

    host->name.len = name->len;
    (void) ngx_cpystrn(host->name.data, name->data, name->len + 1);

    return NGX_OK;
}


static ngx_http_approval_redis_addr_t *
ngx_http_approval_redis_host_room(ngx_http_approval_redis_host_t *host,
    ngx_uint_t n, ngx_log_t *log)
{
    ngx_http_approval_redis_addr_t  *addrs;

    addrs = ngx_calloc(n * sizeof(ngx_http_approval_redis_addr_t), log);
    if (addrs == NULL) {
        return NULL;
    }

    if (host->addrs) {
        ngx_free(host->addrs);
    }

    host->addrs = addrs;
    host->naddrs = n;

    return addrs;
}


ngx_int_t
ngx_http_approval_redis_hosts_set(ngx_http_approval_redis_hosts_t *hosts,
    ngx_str_t *name, in_port_t port)
{
    ngx_http_approval_redis_host_t  *host;

    if (ngx_http_approval_redis_hosts_is(hosts, name, port)) {
        return NGX_OK;
    }

    host = &hosts->elts[0];

    ngx_http_approval_redis_host_done(host);

    host->port = port;
    host->numeric = 0;
    host->warned = 0;
    hosts->addr = 0;
    hosts->fresh = 0;

    if (ngx_http_approval_redis_host_name(host, name, hosts->log) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_approval_redis_host_literal(host, hosts->log);
}


ngx_uint_t
ngx_http_approval_redis_hosts_is(ngx_http_approval_redis_hosts_t *hosts,
    ngx_str_t *name, in_port_t port)
{
    ngx_http_approval_redis_host_t  *host;

    host = &hosts->elts[0];

    return host->port == port && host->name.len == name->len
           && ngx_strncmp(host->name.data, name->data, name->len) == 0;
}


/* If the name is an address, no lookup is needed. */

static ngx_int_t
ngx_http_approval_redis_host_literal(ngx_http_approval_redis_host_t *host,
    ngx_log_t *log)
{
    ngx_sockaddr_t                   sa;
    socklen_t                        socklen;
    ngx_http_approval_redis_addr_t  *addrs;

    ngx_memzero(&sa, sizeof(ngx_sockaddr_t));

    sa.sockaddr_in.sin_addr.s_addr = ngx_inet_addr(host->name.data,
                                                   host->name.len);

    if (sa.sockaddr_in.sin_addr.s_addr != INADDR_NONE) {
        sa.sockaddr.sa_family = AF_INET;
        socklen = sizeof(struct sockaddr_in);

    } else {

#if (NGX_HAVE_INET6)

        ngx_memzero(&sa, sizeof(ngx_sockaddr_t));

        if (ngx_inet6_addr(host->name.data, host->name.len,
                           sa.sockaddr_in6.sin6_addr.s6_addr)
            != NGX_OK)
        {
            return NGX_OK;
        }

        sa.sockaddr.sa_family = AF_INET6;
        socklen = sizeof(struct sockaddr_in6);

#else
        return NGX_OK;
#endif
    }

    ngx_inet_set_port(&sa.sockaddr, host->port);

    addrs = ngx_http_approval_redis_host_room(host, 1, log);
    if (addrs == NULL) {
        return NGX_ERROR;
    }

    addrs[0].sockaddr = sa;
    addrs[0].socklen = socklen;
    host->numeric = 1;

    return NGX_OK;
}


void
ngx_http_approval_redis_hosts_find(ngx_http_approval_redis_hosts_t *hosts)
{
    ngx_http_approval_redis_host_t  *host;

    host = &hosts->elts[hosts->host];

    if (host->numeric || hosts->fresh) {
        ngx_http_approval_redis_hosts_end(hosts);
        return;
    }

    hosts->fresh = 1;

    /* do not wait again for a lookup that takes long */

    if (host->lookup && host->naddrs) {
        ngx_http_approval_redis_hosts_end(hosts);
        return;
    }

    if (host->lookup == NULL) {
        host->lookup = ngx_http_approval_lookup(&host->name, hosts->log,
                                        ngx_http_approval_redis_host_looked_up,
                                        host);

        if (host->lookup == NULL) {
            ngx_http_approval_redis_hosts_end(hosts);
            return;
        }
    }

    hosts->waits = 1;

    if (host->naddrs) {
        ngx_add_timer(&hosts->patience, hosts->conf->timeout / 2);
    }
}


void
ngx_http_approval_redis_hosts_leave(ngx_http_approval_redis_hosts_t *hosts)
{
    hosts->waits = 0;

    if (hosts->patience.timer_set) {
        ngx_del_timer(&hosts->patience);
    }
}


void
ngx_http_approval_redis_hosts_next(ngx_http_approval_redis_hosts_t *hosts)
{
    if (hosts->fresh
        && hosts->addr + 1 < hosts->elts[hosts->host].naddrs)
    {
        hosts->addr++;
        return;
    }

    hosts->addr = 0;
    hosts->host = (hosts->host + 1) % hosts->nelts;
    hosts->fresh = 0;
}


ngx_uint_t
ngx_http_approval_redis_hosts_count(ngx_http_approval_redis_hosts_t *hosts)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < hosts->nelts; i++) {
        n += hosts->elts[i].naddrs;
    }

    return n;
}


static void
ngx_http_approval_redis_host_looked_up(void *data, struct addrinfo *found,
    const char *error)
{
    ngx_http_approval_redis_host_t *host = data;

    ngx_http_approval_redis_hosts_t  *hosts;

    hosts = host->hosts;
    host->lookup = NULL;

    if (error == NULL
        && ngx_http_approval_redis_host_keep(host, found, hosts->log)
           != NGX_OK)
    {
        error = "no address";
    }

    if (error) {
        ngx_http_approval_redis_host_warn(host, error);

    } else {
        host->warned = 0;
    }

    if (hosts->waits && host == &hosts->elts[hosts->host]) {
        ngx_http_approval_redis_hosts_leave(hosts);
        ngx_http_approval_redis_hosts_end(hosts);
    }
}


static ngx_int_t
ngx_http_approval_redis_host_keep(ngx_http_approval_redis_host_t *host,
    struct addrinfo *found, ngx_log_t *log)
{
    ngx_uint_t                       n;
    struct addrinfo                 *ai;
    ngx_http_approval_redis_addr_t  *addr;

    n = 0;

    for (ai = found; ai; ai = ai->ai_next) {
        n += (ai->ai_addrlen <= sizeof(ngx_sockaddr_t));
    }

    addr = n ? ngx_http_approval_redis_host_room(host, n, log) : NULL;
    if (addr == NULL) {
        return NGX_ERROR;
    }

    for (ai = found; ai; ai = ai->ai_next) {

        if (ai->ai_addrlen <= sizeof(ngx_sockaddr_t)) {
            addr->socklen = ai->ai_addrlen;
            ngx_memcpy(&addr->sockaddr, ai->ai_addr, ai->ai_addrlen);
            ngx_inet_set_port(&addr->sockaddr.sockaddr, host->port);

            addr++;
        }
    }

    return NGX_OK;
}


/* Warns once, until the name is found again. */

static void
ngx_http_approval_redis_host_warn(ngx_http_approval_redis_host_t *host,
    const char *why)
{
    if (host->warned) {
        return;
    }

    host->warned = 1;

    ngx_log_error(NGX_LOG_WARN, host->hosts->log, 0,
                  "approval_redis \"%V\": the system's resolver does not find "
                  "\"%V\" (%s)%s", &host->hosts->conf->name, &host->name, why,
                  host->naddrs ? "; trying the addresses that it found before"
                               : "");
}


static void
ngx_http_approval_redis_hosts_end(ngx_http_approval_redis_hosts_t *hosts)
{
    ngx_http_approval_redis_host_t  *host;

    host = &hosts->elts[hosts->host];

    if (hosts->addr >= host->naddrs) {
        hosts->addr = 0;
    }

    hosts->found(hosts->data, host->naddrs ? NULL
                                           : "its host name was not found");
}


static void
ngx_http_approval_redis_hosts_patience_handler(ngx_event_t *ev)
{
    ngx_http_approval_redis_hosts_t  *hosts;

    hosts = ev->data;

    ngx_http_approval_redis_host_warn(&hosts->elts[hosts->host],
                                      "no answer yet");

    hosts->waits = 0;

    ngx_http_approval_redis_hosts_end(hosts);
}
