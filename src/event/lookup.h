
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Looks up a host's addresses with the system's resolver, as nginx does when it
 * reads the configuration.  So /etc/hosts, search domains and the resolver's
 * other settings apply.  It blocks, so it is called in a thread.
 */


#ifndef NGX_HTTP_APPROVAL_LOOKUP_H
#define NGX_HTTP_APPROVAL_LOOKUP_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <netdb.h>


typedef struct ngx_http_approval_lookup_s  ngx_http_approval_lookup_t;

/*
 * found is valid only within the handler.  If it is NULL, no address was found,
 * and error says why.
 */
typedef void (*ngx_http_approval_lookup_pt)(void *data,
    struct addrinfo *found, const char *error);


/*
 * Calls the handler once, from the event loop, when the resolver returns; that
 * may take a minute.  NULL: the lookup could not be started.
 */
ngx_http_approval_lookup_t *ngx_http_approval_lookup(ngx_str_t *host,
    ngx_log_t *log, ngx_http_approval_lookup_pt handler, void *data);

/*
 * The handler will not be called.  The thread ends when the resolver returns,
 * or with the process.
 */
void ngx_http_approval_lookup_forget(ngx_http_approval_lookup_t *lookup);


#endif /* NGX_HTTP_APPROVAL_LOOKUP_H */
