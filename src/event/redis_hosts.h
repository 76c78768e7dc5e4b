
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The hosts of a link, tried in turn with all their addresses.  Names are
 * looked up each time that their host's turn comes.  Known to the files of the
 * link only.
 */


#ifndef NGX_HTTP_APPROVAL_REDIS_HOSTS_H
#define NGX_HTTP_APPROVAL_REDIS_HOSTS_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "event/lookup.h"
#include "event/redis.h"


typedef struct {
    ngx_sockaddr_t                    sockaddr;
    socklen_t                         socklen;
} ngx_http_approval_redis_addr_t;


typedef struct ngx_http_approval_redis_hosts_s
    ngx_http_approval_redis_hosts_t;


/* addrs: what the last lookup found, at first the configuration. */

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
 * host and addr: whose turn it is.  fresh: its host was looked up when its turn
 * came.  The owner of "found" waits for a lookup; then there is an address, or
 * the error says why there is none.
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


/* n servers of the configuration, or room for one that is named later. */
ngx_int_t ngx_http_approval_redis_hosts_init(
    ngx_http_approval_redis_hosts_t *hosts,
    ngx_http_approval_redis_conf_t *conf,
    ngx_http_approval_redis_server_t *servers, ngx_uint_t n, ngx_log_t *log);
void ngx_http_approval_redis_hosts_done(
    ngx_http_approval_redis_hosts_t *hosts);

/* Of one host: it is this one from now on.  The name is copied. */
ngx_int_t ngx_http_approval_redis_hosts_set(
    ngx_http_approval_redis_hosts_t *hosts, ngx_str_t *name, in_port_t port);

ngx_uint_t ngx_http_approval_redis_hosts_is(
    ngx_http_approval_redis_hosts_t *hosts, ngx_str_t *name, in_port_t port);

/*
 * Calls found(), maybe before it returns: when the lookup ends, or when it has
 * taken half of the timeout and the host had addresses before.  A host that has
 * none yet is waited for; the owner has a deadline.
 */
void ngx_http_approval_redis_hosts_find(
    ngx_http_approval_redis_hosts_t *hosts);

/* found() will not be called. */
void ngx_http_approval_redis_hosts_leave(
    ngx_http_approval_redis_hosts_t *hosts);

/* The turn goes to the next address, or else to the next host. */
void ngx_http_approval_redis_hosts_next(
    ngx_http_approval_redis_hosts_t *hosts);

/* As many tries as there are addresses. */
ngx_uint_t ngx_http_approval_redis_hosts_count(
    ngx_http_approval_redis_hosts_t *hosts);


#endif /* NGX_HTTP_APPROVAL_REDIS_HOSTS_H */
