
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The tree has one watch for each action; other watches for the same action are
 * linked to it by its queue.  A read keeps only ids.  The watches are looked up
 * when the reply arrives, because any of them may be gone by then.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "store/internal.h"


#define NGX_HTTP_APPROVAL_SWEEP        5000
#define NGX_HTTP_APPROVAL_SWEEP_POLL   250     /* without pushes          */
#define NGX_HTTP_APPROVAL_SWEEP_NEXT   10      /* between slices          */
#define NGX_HTTP_APPROVAL_SWEEP_SLICE  500     /* actions                 */


/* ids that one MGET, or one EXISTS, asks for */

typedef struct {
    ngx_http_approval_store_t      *store;
    ngx_uint_t                      n;
    ngx_uint_t                      check;
    u_char                          ids[][APPROVAL_ID_LEN];
} ngx_http_approval_watch_read_t;


typedef enum {
    NGX_HTTP_APPROVAL_VISIT_READ = 0,    /* in the key, or it is gone     */
    NGX_HTTP_APPROVAL_VISIT_TOLD
} ngx_http_approval_visit_e;


static void ngx_http_approval_watch_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_http_approval_watch_t *ngx_http_approval_watch_find(
    ngx_http_approval_watches_t *ws, u_char *id);
static ngx_http_approval_watch_t *ngx_http_approval_watch_after(
    ngx_http_approval_watches_t *ws, u_char *id);
static void ngx_http_approval_watch_want(ngx_http_approval_store_t *store,
    ngx_http_approval_watch_t *watch, ngx_uint_t check);
static void ngx_http_approval_watch_flush_handler(ngx_event_t *ev);
static void ngx_http_approval_watch_flush(ngx_http_approval_store_t *store);
static ngx_http_approval_watch_read_t *ngx_http_approval_watch_read_create(
    ngx_http_approval_store_t *store, ngx_uint_t n,
    u_char (*ids)[APPROVAL_ID_LEN], ngx_uint_t check);
static ngx_int_t ngx_http_approval_watch_send(
    ngx_http_approval_watch_read_t *read, const char *command,
    ngx_http_approval_key_e key, ngx_http_approval_redis_reply_pt handler);
static void ngx_http_approval_watch_read_handler(void *data,
    redisReply *reply);
static ngx_int_t ngx_http_approval_watch_value(
    ngx_http_approval_store_t *store, u_char *id, redisReply *value);
static void ngx_http_approval_watch_failed(ngx_http_approval_store_t *store,
    ngx_uint_t n, u_char (*ids)[APPROVAL_ID_LEN]);
static void ngx_http_approval_watch_exists(ngx_http_approval_store_t *store,
    ngx_uint_t n, u_char (*ids)[APPROVAL_ID_LEN]);
static void ngx_http_approval_watch_exists_handler(void *data,
    redisReply *reply);
static void ngx_http_approval_watch_unwant(ngx_http_approval_watches_t *ws,
    ngx_http_approval_watch_t *watch);
static ngx_int_t ngx_http_approval_watch_visit(
    ngx_http_approval_store_t *store, u_char *id, ngx_str_t *decision,
    ngx_http_approval_visit_e how);
static void ngx_http_approval_watch_sweep_handler(ngx_event_t *ev);
static void ngx_http_approval_watch_sweep_later(
    ngx_http_approval_store_t *store);


void
ngx_http_approval_watches_init(ngx_http_approval_store_t *store)
{
    ngx_http_approval_watches_t  *ws;

    ws = &store->watches;

    ngx_rbtree_init(&ws->tree, &ws->sentinel, ngx_http_approval_watch_insert);

    ws->flush.handler = ngx_http_approval_watch_flush_handler;
    ws->flush.data = store;
    ws->flush.log = store->log;

    ws->sweep.handler = ngx_http_approval_watch_sweep_handler;
    ws->sweep.data = store;
    ws->sweep.log = store->log;
    ws->sweep.cancelable = 1;
}


void
ngx_http_approval_watches_done(ngx_http_approval_store_t *store)
{
    if (store->watches.sweep.timer_set) {
        ngx_del_timer(&store->watches.sweep);
    }

    if (store->watches.flush.posted) {
        ngx_delete_posted_event(&store->watches.flush);
    }
}


void
ngx_http_approval_watch_add(ngx_http_approval_store_t *store,
    ngx_http_approval_watch_t *watch)
{
    ngx_http_approval_watch_t    *first;
    ngx_http_approval_watches_t  *ws;

    ws = &store->watches;

    watch->active = 1;
    watch->reading = 0;
    watch->dirty = 0;
    watch->looking = 0;

    first = ngx_http_approval_watch_find(ws, watch->id);

    if (first) {
        ngx_queue_insert_tail(&first->queue, &watch->queue);

    } else {
        ngx_queue_init(&watch->queue);
        ngx_rbtree_insert(&ws->tree, &watch->node);
        first = watch;
    }

    if (!ws->sweep.timer_set) {
        ngx_http_approval_watch_sweep_later(store);
    }

    ngx_http_approval_watch_want(store, first, 0);
}


void
ngx_http_approval_watch_del(ngx_http_approval_store_t *store,
    ngx_http_approval_watch_t *watch)
{
    ngx_http_approval_watch_t    *next, *prev;
    ngx_http_approval_watches_t  *ws;

    if (!watch->active) {
        return;
    }

    watch->active = 0;

    ws = &store->watches;

    next = ngx_queue_data(ngx_queue_next(&watch->queue),
                          ngx_http_approval_watch_t, queue);
    prev = ngx_queue_data(ngx_queue_prev(&watch->queue),
                          ngx_http_approval_watch_t, queue);

    if (watch == ws->visit) {
        ws->visit = (watch == ws->visit_last) ? NULL : next;
    }

    if (watch == ws->visit_last) {
        ws->visit_last = prev;
    }

    if (ngx_http_approval_watch_find(ws, watch->id) == watch) {
        ngx_rbtree_delete(&ws->tree, &watch->node);

        if (next != watch) {
            next->reading = watch->reading;
            next->dirty = watch->dirty;

            ngx_rbtree_insert(&ws->tree, &next->node);
        }
    }

    ngx_queue_remove(&watch->queue);
}


static void
ngx_http_approval_watch_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t          **p;
    ngx_http_approval_watch_t   *watch, *other;

    watch = ngx_rbtree_data(node, ngx_http_approval_watch_t, node);

    for ( ;; ) {
        other = ngx_rbtree_data(temp, ngx_http_approval_watch_t, node);

        p = (ngx_memcmp(watch->id, other->id, APPROVAL_ID_LEN) < 0)
            ? &temp->left : &temp->right;

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


static ngx_http_approval_watch_t *
ngx_http_approval_watch_find(ngx_http_approval_watches_t *ws, u_char *id)
{
    ngx_int_t                   rc;
    ngx_rbtree_node_t          *node;
    ngx_http_approval_watch_t  *watch;

    node = ws->tree.root;

    while (node != ws->tree.sentinel) {
        watch = ngx_rbtree_data(node, ngx_http_approval_watch_t, node);

        rc = ngx_memcmp(id, watch->id, APPROVAL_ID_LEN);

        if (rc == 0) {
            return watch;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


static ngx_http_approval_watch_t *
ngx_http_approval_watch_after(ngx_http_approval_watches_t *ws, u_char *id)
{
    ngx_rbtree_node_t          *node;
    ngx_http_approval_watch_t  *watch, *found;

    node = ws->tree.root;
    found = NULL;

    while (node != ws->tree.sentinel) {
        watch = ngx_rbtree_data(node, ngx_http_approval_watch_t, node);

        if (ngx_memcmp(id, watch->id, APPROVAL_ID_LEN) < 0) {
            found = watch;
            node = node->left;

        } else {
            node = node->right;
        }
    }

    return found;
}


void
ngx_http_approval_watches_push(ngx_http_approval_store_t *store,
    ngx_str_t *key)
{
    u_char                     *id;
    ngx_http_approval_watch_t  *watch;

    id = ngx_http_approval_key_decided(store, key);

    if (id == NULL) {
        return;
    }

    watch = ngx_http_approval_watch_find(&store->watches, id);

    if (watch && !watch->looking) {
        ngx_http_approval_watch_want(store, watch, 1);
    }
}


/*
 * The key's invalidation arrives just before the published decision, or just
 * after it if this worker stored the vote.  The watches check the decision, and
 * the key is read only if it is not the one they wait for.
 */

void
ngx_http_approval_watches_told(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *decision)
{
    ngx_int_t                   rc;
    ngx_http_approval_watch_t  *watch;

    watch = ngx_http_approval_watch_find(&store->watches, id);

    if (watch == NULL) {
        return;
    }

    ngx_http_approval_watch_unwant(&store->watches, watch);

    rc = ngx_http_approval_watch_visit(store, id, decision,
                                       NGX_HTTP_APPROVAL_VISIT_TOLD);

    watch = ngx_http_approval_watch_find(&store->watches, id);

    if (watch && rc == NGX_OK) {
        watch->looking = 1;

    } else if (watch) {
        ngx_http_approval_watch_want(store, watch, 1);
    }
}


void
ngx_http_approval_watch_read(ngx_http_approval_store_t *store,
    ngx_http_approval_watch_t *watch)
{
    watch = ngx_http_approval_watch_find(&store->watches, watch->id);

    if (watch) {
        ngx_http_approval_watch_want(store, watch, 1);
    }
}


/* Restarts the sweep from the first watch, in the next turn of the loop. */

void
ngx_http_approval_watches_reread(ngx_http_approval_store_t *store)
{
    ngx_http_approval_watches_t  *ws;

    ws = &store->watches;

    ws->sweeping = 0;

    if (ws->sweep.timer_set) {
        ngx_del_timer(&ws->sweep);
    }

    if (ws->tree.root != ws->tree.sentinel) {
        ngx_add_timer(&ws->sweep, 0);
    }
}


/*
 * One command reads all keys that are wanted in one turn of the event loop.  If
 * a push arrives during the read, the value may be older than the push, so the
 * key is read again.
 */

static void
ngx_http_approval_watch_want(ngx_http_approval_store_t *store,
    ngx_http_approval_watch_t *watch, ngx_uint_t check)
{
    ngx_http_approval_watches_t  *ws;

    ws = &store->watches;

    watch->looking = 0;

    if (watch->reading) {
        watch->dirty = 1;
        return;
    }

    if (store->closing || !ngx_http_approval_store_ready(store)) {
        return;
    }

    watch->reading = 1;

    /* one command reads in one shard */

    if (ws->nbatch && ngx_memcmp(ws->batch[0], watch->id,
                                 NGX_HTTP_APPROVAL_SHARD_LEN)
                      != 0)
    {
        ngx_http_approval_watch_flush(store);
    }

    ngx_memcpy(ws->batch[ws->nbatch++], watch->id, APPROVAL_ID_LEN);

    if (check) {
        ws->check = 1;
    }

    if (ws->nbatch == NGX_HTTP_APPROVAL_WATCH_BATCH) {
        ngx_http_approval_watch_flush(store);
        return;
    }

    ngx_post_event(&ws->flush, &ngx_posted_events);
}


/* Removes the key from the batch, if that has not been sent yet. */

static void
ngx_http_approval_watch_unwant(ngx_http_approval_watches_t *ws,
    ngx_http_approval_watch_t *watch)
{
    ngx_uint_t  i;

    for (i = 0; watch->reading && i < ws->nbatch; i++) {

        if (ngx_memcmp(ws->batch[i], watch->id, APPROVAL_ID_LEN) == 0) {
            ws->nbatch--;
            ngx_memcpy(ws->batch[i], ws->batch[ws->nbatch], APPROVAL_ID_LEN);

            watch->reading = 0;
        }
    }
}


static void
ngx_http_approval_watch_flush_handler(ngx_event_t *ev)
{
    ngx_http_approval_watch_flush(ev->data);
}


static void
ngx_http_approval_watch_flush(ngx_http_approval_store_t *store)
{
    ngx_uint_t                       n;
    ngx_http_approval_watches_t     *ws;
    ngx_http_approval_watch_read_t  *read;

    static ngx_str_t  caching[] = {
        ngx_string("CLIENT"),
        ngx_string("CACHING"),
        ngx_string("YES")
    };

    ws = &store->watches;

    n = ws->nbatch;
    ws->nbatch = 0;

    if (n == 0) {
        return;
    }

    read = ngx_http_approval_watch_read_create(store, n, ws->batch, ws->check);

    ws->check = 0;

    if (read == NULL) {
        ngx_http_approval_watch_failed(store, n, ws->batch);
        return;
    }

    if (ngx_http_approval_redis_tracking(store->redis)) {
        (void) ngx_http_approval_redis_command(store->redis, 3, caching, NULL,
                                               NULL);
    }

    if (ngx_http_approval_watch_send(read, "MGET",
                                     NGX_HTTP_APPROVAL_KEY_DECISION,
                                     ngx_http_approval_watch_read_handler)
        != NGX_OK)
    {
        ngx_http_approval_watch_failed(store, n, read->ids);
        ngx_free(read);
    }
}


static ngx_http_approval_watch_read_t *
ngx_http_approval_watch_read_create(ngx_http_approval_store_t *store,
    ngx_uint_t n, u_char (*ids)[APPROVAL_ID_LEN], ngx_uint_t check)
{
    ngx_http_approval_watch_read_t  *read;

    read = ngx_alloc(sizeof(ngx_http_approval_watch_read_t)
                     + n * APPROVAL_ID_LEN, store->log);
    if (read == NULL) {
        return NULL;
    }

    read->store = store;
    read->n = n;
    read->check = check;
    ngx_memcpy(read->ids, ids, n * APPROVAL_ID_LEN);

    return read;
}


static ngx_int_t
ngx_http_approval_watch_send(ngx_http_approval_watch_read_t *read,
    const char *command, ngx_http_approval_key_e key,
    ngx_http_approval_redis_reply_pt handler)
{
    size_t                      len;
    ngx_int_t                   rc;
    ngx_str_t                   argv[NGX_HTTP_APPROVAL_WATCH_BATCH + 1];
    ngx_uint_t                  i;
    approval_buf_t              keys;
    ngx_http_approval_store_t  *store;

    store = read->store;

    argv[0].data = (u_char *) command;
    argv[0].len = ngx_strlen(command);

    approval_buf_init(&keys);

    for (i = 0; i < read->n; i++) {
        ngx_http_approval_key(store, &keys, key, read->ids[i], read->ids[i],
                              APPROVAL_ID_LEN);
    }

    /* they are all of the same length */

    len = keys.len / read->n;

    for (i = 0; i < read->n; i++) {
        argv[i + 1].data = keys.data + i * len;
        argv[i + 1].len = len;
    }

    rc = keys.failed ? NGX_ERROR
                     : ngx_http_approval_redis_command(store->redis,
                                                       read->n + 1, argv,
                                                       handler, read);
    approval_buf_free(&keys);

    return rc;
}


static void
ngx_http_approval_watch_read_handler(void *data, redisReply *reply)
{
    u_char                           missing[NGX_HTTP_APPROVAL_WATCH_BATCH]
                                            [APPROVAL_ID_LEN];
    ngx_uint_t                       i, n;
    ngx_http_approval_store_t       *store;
    ngx_http_approval_watch_read_t  *read;

    read = data;
    store = read->store;

    if (store->closing) {
        ngx_free(read);
        return;
    }

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != read->n)
    {
        if (reply && reply->type == REDIS_REPLY_ERROR) {
            ngx_http_approval_reply_error(store, "watch", reply);
        }

        /* read again when the link is ready, or by the sweep */

        ngx_http_approval_watch_failed(store, read->n, read->ids);
        ngx_free(read);

        return;
    }

    n = 0;

    for (i = 0; i < read->n; i++) {
        if (ngx_http_approval_watch_value(store, read->ids[i],
                                          reply->element[i])
            == NGX_DECLINED
            && read->check)
        {
            ngx_memcpy(missing[n++], read->ids[i], APPROVAL_ID_LEN);
        }
    }

    ngx_free(read);

    if (n) {
        ngx_http_approval_watch_exists(store, n, missing);
    }
}


/* NGX_DECLINED: the action is watched and has no decision. */

static ngx_int_t
ngx_http_approval_watch_value(ngx_http_approval_store_t *store, u_char *id,
    redisReply *value)
{
    ngx_str_t                   decision;
    ngx_http_approval_watch_t  *watch;

    watch = ngx_http_approval_watch_find(&store->watches, id);

    if (watch == NULL) {
        return NGX_OK;
    }

    watch->reading = 0;

    if (watch->dirty) {
        watch->dirty = 0;
        ngx_http_approval_watch_want(store, watch, 1);
    }

    if (value->type != REDIS_REPLY_STRING) {
        return NGX_DECLINED;
    }

    decision.data = (u_char *) value->str;
    decision.len = value->len;

    if (decision.len == 0) {

        /* an empty value decides nothing, but no vote is accepted with it */

        (void) ngx_http_approval_store_drop(store, id, &decision, NULL, NULL);
        return NGX_OK;
    }

    (void) ngx_http_approval_watch_visit(store, id, &decision,
                                         NGX_HTTP_APPROVAL_VISIT_READ);

    return NGX_OK;
}


static void
ngx_http_approval_watch_failed(ngx_http_approval_store_t *store, ngx_uint_t n,
    u_char (*ids)[APPROVAL_ID_LEN])
{
    ngx_uint_t                  i;
    ngx_http_approval_watch_t  *watch;

    for (i = 0; i < n; i++) {
        watch = ngx_http_approval_watch_find(&store->watches, ids[i]);

        if (watch) {
            watch->reading = 0;
            watch->dirty = 0;
        }
    }
}


/* Asks for all undecided actions at once; if some are gone, for halves. */

static void
ngx_http_approval_watch_exists(ngx_http_approval_store_t *store, ngx_uint_t n,
    u_char (*ids)[APPROVAL_ID_LEN])
{
    ngx_http_approval_watch_read_t  *read;

    read = ngx_http_approval_watch_read_create(store, n, ids, 0);
    if (read == NULL) {
        return;
    }

    if (ngx_http_approval_watch_send(read, "EXISTS",
                                     NGX_HTTP_APPROVAL_KEY_ACTION,
                                     ngx_http_approval_watch_exists_handler)
        != NGX_OK)
    {
        ngx_free(read);
    }
}


static void
ngx_http_approval_watch_exists_handler(void *data, redisReply *reply)
{
    ngx_str_t                        none;
    ngx_uint_t                       i, half;
    ngx_http_approval_store_t       *store;
    ngx_http_approval_watch_read_t  *read;

    read = data;
    store = read->store;

    if (store->closing || reply == NULL) {
        goto done;
    }

    if (reply->type != REDIS_REPLY_INTEGER) {
        if (reply->type == REDIS_REPLY_ERROR) {
            ngx_http_approval_reply_error(store, "watch", reply);
        }

        goto done;
    }

    if (reply->integer >= (long long) read->n) {
        goto done;
    }

    if (reply->integer <= 0) {
        ngx_str_null(&none);

        for (i = 0; i < read->n; i++) {
            (void) ngx_http_approval_watch_visit(store, read->ids[i], &none,
                                                 NGX_HTTP_APPROVAL_VISIT_READ);
        }

        goto done;
    }

    /* some of them are not */

    half = read->n / 2;

    ngx_http_approval_watch_exists(store, half, read->ids);
    ngx_http_approval_watch_exists(store, read->n - half, read->ids + half);

done:

    ngx_free(read);
}


/*
 * Handlers may delete any watch.  They may also add new ones, which are not
 * visited now because each new watch reads its key.  NGX_DECLINED: a watch that
 * got the published decision wants to read the key.
 */

static ngx_int_t
ngx_http_approval_watch_visit(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *decision, ngx_http_approval_visit_e how)
{
    ngx_int_t                     rc;
    ngx_http_approval_watch_t    *watch;
    ngx_http_approval_watches_t  *ws;

    ws = &store->watches;
    rc = NGX_OK;

    watch = ngx_http_approval_watch_find(ws, id);
    if (watch == NULL) {
        return NGX_OK;
    }

    ws->visit_last = ngx_queue_data(ngx_queue_prev(&watch->queue),
                                    ngx_http_approval_watch_t, queue);

    while (watch) {
        ws->visit = (watch == ws->visit_last)
                    ? NULL
                    : ngx_queue_data(ngx_queue_next(&watch->queue),
                                     ngx_http_approval_watch_t, queue);

        if (how == NGX_HTTP_APPROVAL_VISIT_READ) {
            watch->handler(watch, decision);

        } else if (watch->told == NULL
                   || watch->told(watch, decision) != NGX_OK)
        {
            rc = NGX_DECLINED;
        }

        watch = ws->visit;
    }

    ws->visit_last = NULL;

    return rc;
}


static void
ngx_http_approval_watch_sweep_handler(ngx_event_t *ev)
{
    ngx_uint_t                    n;
    ngx_http_approval_store_t    *store;
    ngx_http_approval_watch_t    *watch;
    ngx_http_approval_watches_t  *ws;

    store = ev->data;
    ws = &store->watches;

    if (!ws->sweeping) {
        ngx_memzero(ws->cursor, APPROVAL_ID_LEN);
        ws->sweeping = 1;
    }

    watch = NULL;

    if (ngx_http_approval_store_ready(store)) {

        for (n = 0; n < NGX_HTTP_APPROVAL_SWEEP_SLICE; n++) {
            watch = ngx_http_approval_watch_after(ws, ws->cursor);

            if (watch == NULL) {
                break;
            }

            ngx_memcpy(ws->cursor, watch->id, APPROVAL_ID_LEN);

            ngx_http_approval_watch_want(store, watch, 1);
        }
    }

    if (watch) {
        ngx_add_timer(ev, NGX_HTTP_APPROVAL_SWEEP_NEXT);
        return;
    }

    ws->sweeping = 0;

    if (ws->tree.root != ws->tree.sentinel) {
        ngx_http_approval_watch_sweep_later(store);
    }
}


static void
ngx_http_approval_watch_sweep_later(ngx_http_approval_store_t *store)
{
    ngx_msec_t  delay;

    delay = NGX_HTTP_APPROVAL_SWEEP;

    if (ngx_http_approval_store_ready(store)
        && !ngx_http_approval_redis_tracking(store->redis))
    {
        delay = NGX_HTTP_APPROVAL_SWEEP_POLL;
    }

    ngx_add_timer(&store->watches.sweep,
                  delay * 3 / 4 + (ngx_msec_t) ngx_random() % (delay / 2));
}
