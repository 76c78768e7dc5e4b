
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Waiting for decisions.  A push is only a hint; the decision key is
 * authoritative.  It is read when the watch begins, when a push names it, after
 * each reconnect, and by a slow sweep.
 */


#ifndef NGX_HTTP_APPROVAL_WATCH_H
#define NGX_HTTP_APPROVAL_WATCH_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/store.h"


typedef struct ngx_http_approval_watch_s  ngx_http_approval_watch_t;

/*
 * decision.len != 0: the key's value, not verified.
 * decision.len == 0: the action itself is gone (flushed, evicted).
 * May be called again, with the same or another value, until watch_del().
 */
typedef void (*ngx_http_approval_watch_pt)(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision);

/*
 * Gets a decision that was published for the action, not verified; the key may
 * have another value or none.  If it does not return NGX_OK, the key is read.
 */
typedef ngx_int_t (*ngx_http_approval_watch_told_pt)(
    ngx_http_approval_watch_t *watch, ngx_str_t *decision);


/*
 * Embedded in its owner, which must call watch_del() before it goes away.
 * Several owners may watch the same action.
 */

struct ngx_http_approval_watch_s {
    ngx_rbtree_node_t               node;
    ngx_queue_t                     queue;       /* same action, or sweep */
    ngx_http_approval_watch_pt      handler;
    ngx_http_approval_watch_told_pt  told;       /* NULL: read the key    */
    void                           *data;
    u_char                          id[APPROVAL_ID_LEN];
    unsigned                        active:1;
    unsigned                        reading:1;
    unsigned                        dirty:1;     /* pushed while reading  */
    unsigned                        looking:1;   /* all got the published
                                                    decision              */
};


void ngx_http_approval_watch_add(ngx_http_approval_store_t *store,
    ngx_http_approval_watch_t *watch);
void ngx_http_approval_watch_del(ngx_http_approval_store_t *store,
    ngx_http_approval_watch_t *watch);

/* Reads the key again, for all watches of the same action. */
void ngx_http_approval_watch_read(ngx_http_approval_store_t *store,
    ngx_http_approval_watch_t *watch);


#endif /* NGX_HTTP_APPROVAL_WATCH_H */
