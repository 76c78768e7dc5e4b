
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Redis announces only the next change of a key that was read (CLIENT TRACKING,
 * as for watches).  So "pending" of each shard is read by EXISTS, and again
 * after each change, as long as there are listeners.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "store/internal.h"


#define NGX_HTTP_APPROVAL_NEWS_DELAY  1000


static void ngx_http_approval_news_due(ngx_http_approval_store_t *store,
    u_char *id, ngx_uint_t all);
static void ngx_http_approval_news_handler(ngx_event_t *ev);
static void ngx_http_approval_news_read(ngx_http_approval_store_t *store,
    ngx_uint_t shard);


void
ngx_http_approval_news_init(ngx_http_approval_store_t *store)
{
    ngx_queue_init(&store->news.listeners);

    store->news.event.handler = ngx_http_approval_news_handler;
    store->news.event.data = store;
    store->news.event.log = store->log;
    store->news.event.cancelable = 1;
}


void
ngx_http_approval_news_done(ngx_http_approval_store_t *store)
{
    if (store->news.event.timer_set) {
        ngx_del_timer(&store->news.event);
    }
}


void
ngx_http_approval_news_add(ngx_http_approval_store_t *store,
    ngx_http_approval_news_t *news)
{
    ngx_uint_t  i, first;

    /* while only actions' pages were open, changes of the list were not read */

    first = ngx_queue_empty(&store->news.listeners);

    for (i = 0; i < store->conf->shards; i++) {
        if (first || store->news.stale[i]) {
            ngx_http_approval_news_read(store, i);
        }
    }

    news->active = 1;
    news->due = 0;
    ngx_queue_insert_tail(&store->news.listeners, &news->queue);
}


void
ngx_http_approval_news_del(ngx_http_approval_store_t *store,
    ngx_http_approval_news_t *news)
{
    if (news->active) {
        news->active = 0;
        ngx_queue_remove(&news->queue);
    }
}


/* A key has changed, or (NULL) any key may have changed. */

void
ngx_http_approval_news_push(ngx_http_approval_store_t *store, ngx_str_t *key)
{
    u_char          shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    ngx_uint_t      i, found;
    approval_buf_t  name;

    if (ngx_queue_empty(&store->news.listeners)) {
        return;
    }

    found = 0;

    for (i = 0; i < store->conf->shards; i++) {

        ngx_http_approval_shard_name(shard, i);

        approval_buf_init(&name);
        ngx_http_approval_key(store, &name, NGX_HTTP_APPROVAL_KEY_PENDING,
                              shard, NULL, 0);

        if (key == NULL
            || (!name.failed
                && approval_str_eq(approval_buf_str(&name),
                                   (approval_str_t) { key->len, key->data })))
        {
            store->news.stale[i] = 1;
            found = 1;
        }

        approval_buf_free(&name);
    }

    if (found) {
        ngx_http_approval_news_due(store, NULL, key == NULL);
    }
}


void
ngx_http_approval_news_voted(ngx_http_approval_store_t *store, u_char *id)
{
    ngx_http_approval_news_due(store, id, 0);
}


/* Those of the set, those of the action, or after a gap all are due. */

static void
ngx_http_approval_news_due(ngx_http_approval_store_t *store, u_char *id,
    ngx_uint_t all)
{
    ngx_uint_t                 due;
    ngx_queue_t               *q;
    ngx_http_approval_news_t  *news;

    due = 0;

    for (q = ngx_queue_head(&store->news.listeners);
         q != ngx_queue_sentinel(&store->news.listeners);
         q = ngx_queue_next(q))
    {
        news = ngx_queue_data(q, ngx_http_approval_news_t, queue);

        if (all || news->id == NULL
            || (id && ngx_memcmp(news->id, id, APPROVAL_ID_LEN) == 0))
        {
            news->due = 1;
            due = 1;
        }
    }

    if (due && !store->news.event.timer_set) {
        ngx_add_timer(&store->news.event, NGX_HTTP_APPROVAL_NEWS_DELAY);
    }
}


/* Reads the keys first, so that any later change is announced again. */

static void
ngx_http_approval_news_handler(ngx_event_t *ev)
{
    ngx_uint_t                  i;
    ngx_queue_t                *q, *next;
    ngx_http_approval_news_t   *news;
    ngx_http_approval_store_t  *store;

    store = ev->data;

    if (ngx_queue_empty(&store->news.listeners)) {
        return;
    }

    for (i = 0; i < store->conf->shards; i++) {

        if (store->news.stale[i]) {
            ngx_http_approval_news_read(store, i);
        }
    }

    for (q = ngx_queue_head(&store->news.listeners);
         q != ngx_queue_sentinel(&store->news.listeners);
         q = next)
    {
        next = ngx_queue_next(q);

        news = ngx_queue_data(q, ngx_http_approval_news_t, queue);

        if (news->due) {
            news->due = 0;
            news->handler(news);
        }
    }
}


/* If the key cannot be read now, all become stale when the link is back. */

static void
ngx_http_approval_news_read(ngx_http_approval_store_t *store, ngx_uint_t i)
{
    u_char          shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    ngx_str_t       argv[2];
    approval_buf_t  name;

    static ngx_str_t  caching[] = {
        ngx_string("CLIENT"),
        ngx_string("CACHING"),
        ngx_string("YES")
    };

    store->news.stale[i] = 0;

    if (!ngx_http_approval_redis_tracking(store->redis)) {
        return;
    }

    ngx_http_approval_shard_name(shard, i);

    approval_buf_init(&name);
    ngx_http_approval_key(store, &name, NGX_HTTP_APPROVAL_KEY_PENDING, shard,
                          NULL, 0);

    if (!name.failed) {
        ngx_str_set(&argv[0], "EXISTS");
        argv[1].data = name.data;
        argv[1].len = name.len;

        (void) ngx_http_approval_redis_command(store->redis, 3, caching, NULL,
                                               NULL);
        (void) ngx_http_approval_redis_command(store->redis, 2, argv, NULL,
                                               NULL);
    }

    approval_buf_free(&name);
}
