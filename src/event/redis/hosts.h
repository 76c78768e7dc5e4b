
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The hosts of a link, which are tried in turn with all their addresses.  A
 * name is looked up each time that its host's turn comes.  Used by the files of
 * the link only.
 */


#ifndef NGX_HTTP_APPROVAL_REDIS_HOSTS_H
#define NGX_HTTP_APPROVAL_REDIS_HOSTS_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "event/lookup.h"
#include "event/redis/redis.h"


typedef struct {
    ngx_sockaddr_t                    sockaddr;
    socklen_t                         socklen;
} ngx_http_approval_redis_addr_t;


typedef struct ngx_http_approval_redis_hosts_s
    ngx_http_approval_redis_hosts_t;


/*
 * addrs: the addresses that the last lookup found; before the first one, those
 * found when the configuration was read.
 */

typedef struct {
    ngx_str_t                         name;
    in_port_t                         port;
    ngx_http_approval_redis_addr_t   *addrs;
    ngx_uint_t                        naddrs;
    ngx_http_approval_lookup_t       *lookup;
    ngx_http_approval_redis_hosts_t  *hosts;

    unsigned                          numeric:1;
    unsigned                          warned:1;
} ngx_http_approval_redis_host_t;


/*
 * host, addr  indices of the current host and address
 * fresh       the current host has been looked up in this turn
 * waits       the owner waits for found()
 * found       called when a lookup has ended; error is NULL if there is an
 *             address
 */

struct ngx_http_approval_redis_hosts_s {
    ngx_http_approval_redis_host_t   *elts;
    ngx_uint_t                        nelts;
    ngx_uint_t                        host;
    ngx_uint_t                        addr;

    ngx_event_t                       patience;
    ngx_http_approval_redis_conf_t   *conf;
    ngx_log_t                        *log;

    void                            (*found)(void *data, const char *error);
    void                             *data;

    unsigned                          fresh:1;
    unsigned                          waits:1;
};


/*
 * Takes n servers from the configuration.  If servers is NULL, ..._hosts_set()
 * names the only host later.
 */
ngx_int_t ngx_http_approval_redis_hosts_init(
    ngx_http_approval_redis_hosts_t *hosts,
    ngx_http_approval_redis_conf_t *conf,
    ngx_http_approval_redis_server_t *servers, ngx_uint_t n, ngx_log_t *log);
void ngx_http_approval_redis_hosts_done(
    ngx_http_approval_redis_hosts_t *hosts);

/* Replaces the only host.  The name is copied. */
ngx_int_t ngx_http_approval_redis_hosts_set(
    ngx_http_approval_redis_hosts_t *hosts, ngx_str_t *name, in_port_t port);

ngx_uint_t ngx_http_approval_redis_hosts_is(
    ngx_http_approval_redis_hosts_t *hosts, ngx_str_t *name, in_port_t port);

/*
 * Calls found() when the lookup ends, maybe before this function returns.  If
 * the host already has addresses, it is called after half of the timeout at the
 * latest.  Otherwise the owner's deadline limits the wait.
 */
void ngx_http_approval_redis_hosts_find(
    ngx_http_approval_redis_hosts_t *hosts);

/* found() will not be called. */
void ngx_http_approval_redis_hosts_leave(
    ngx_http_approval_redis_hosts_t *hosts);

/* Moves on to the next address of the host, or to the next host. */
void ngx_http_approval_redis_hosts_next(
    ngx_http_approval_redis_hosts_t *hosts);

/* The number of addresses to try. */
ngx_uint_t ngx_http_approval_redis_hosts_count(
    ngx_http_approval_redis_hosts_t *hosts);


#endif /* NGX_HTTP_APPROVAL_REDIS_HOSTS_H */
