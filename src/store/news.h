
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Notifies listeners, at most once a second, when the set of open actions may
 * have changed, or when a vote was stored that decided nothing.  One read per
 * shard serves all listeners.
 */


#ifndef NGX_HTTP_APPROVAL_NEWS_H
#define NGX_HTTP_APPROVAL_NEWS_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/store.h"


typedef struct ngx_http_approval_news_s  ngx_http_approval_news_t;

typedef void (*ngx_http_approval_news_pt)(ngx_http_approval_news_t *news);

/* Embedded in its owner, which must call news_del() before it goes away. */

struct ngx_http_approval_news_s {
    ngx_queue_t                 queue;
    ngx_http_approval_news_pt   handler;     /* may delete its own only */
    void                       *data;
    u_char                     *id;          /* only this action's votes   */
    unsigned                    active:1;
    unsigned                    due:1;
};


void ngx_http_approval_news_add(ngx_http_approval_store_t *store,
    ngx_http_approval_news_t *news);
void ngx_http_approval_news_del(ngx_http_approval_store_t *store,
    ngx_http_approval_news_t *news);


#endif /* NGX_HTTP_APPROVAL_NEWS_H */
