
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A page of actions.  Each shard's index returns the newest ones.  These are
 * read one by one, so Redis can serve other clients between them.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


#define NGX_HTTP_APPROVAL_LIST_PART   100     /* actions per part            */
#define NGX_HTTP_APPROVAL_LIST_STAMP  13      /* digits of a time            */
#define NGX_HTTP_APPROVAL_LIST_REST   (APPROVAL_ID_LEN                        \
                                       - NGX_HTTP_APPROVAL_SHARD_LEN)
#define NGX_HTTP_APPROVAL_LIST_ENTRY  (NGX_HTTP_APPROVAL_LIST_STAMP           \
                                       + NGX_HTTP_APPROVAL_LIST_REST)
#define NGX_HTTP_APPROVAL_LIST_FOUND  (NGX_HTTP_APPROVAL_LIST_ENTRY           \
                                       + NGX_HTTP_APPROVAL_SHARD_LEN)
#define NGX_HTTP_APPROVAL_LIST_CLASS  8       /* of its hash, in the index   */


/* op->work; a position is a time and the rest of an id, as in the index. */

typedef struct {
    ngx_uint_t  left;
    ngx_uint_t  all;                          /* all open, readable actions  */
    size_t      nbegins;
    u_char     *begins;                       /* each 1 + ..._LIST_CLASS     */
    size_t      nhashes;
    u_char     *hashes;                       /* of a requester, separated
                                                 by spaces                   */
    u_char      shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    u_char      since[NGX_HTTP_APPROVAL_LIST_STAMP + 1];
    u_char      before[NGX_HTTP_APPROVAL_LIST_ENTRY + 1];
    ngx_uint_t  n;
    u_char    (*found)[NGX_HTTP_APPROVAL_LIST_FOUND];
} ngx_http_approval_list_t;


static u_char *ngx_http_approval_list_stamp(u_char *p, int64_t ms);
static ngx_http_approval_list_t *ngx_http_approval_list_create(
    ngx_http_approval_store_t *store,
    const ngx_http_approval_filter_t *filter);
static void ngx_http_approval_list_begins(ngx_http_approval_list_t *list,
    const ngx_http_approval_filter_t *filter);
static ngx_int_t ngx_http_approval_list_send(ngx_http_approval_op_t *op);
static void ngx_http_approval_list_ask(ngx_http_approval_op_t *op,
    u_char *shard);
static void ngx_http_approval_list_found(ngx_http_approval_op_t *part,
    redisReply *reply);
static ngx_int_t ngx_http_approval_list_add(ngx_http_approval_op_t *part,
    redisReply *reply);
static void ngx_http_approval_list_load(ngx_http_approval_op_t *op,
    redisReply *reply);
static int ngx_libc_cdecl ngx_http_approval_list_cmp(const void *one,
    const void *two);
static void ngx_http_approval_list_entry(ngx_http_approval_op_t *part,
    redisReply *reply);
static void ngx_http_approval_list_next(ngx_http_approval_op_t *op,
    redisReply *reply);
static void ngx_http_approval_list_end(ngx_http_approval_op_t *op,
    ngx_int_t rc);
static void ngx_http_approval_open_part(ngx_http_approval_op_t *part,
    redisReply *reply);
static void ngx_http_approval_open_list(ngx_http_approval_op_t *op,
    redisReply *reply);
static ngx_http_approval_op_t *ngx_http_approval_classes_ask(
    ngx_http_approval_store_t *store, ngx_http_approval_op_pt each,
    ngx_http_approval_op_pt done, ngx_http_approval_store_pt handler,
    void *data);
static void ngx_http_approval_classes_part(ngx_http_approval_op_t *part,
    redisReply *reply);
static void ngx_http_approval_classes_done(ngx_http_approval_op_t *op,
    redisReply *reply);


ngx_http_approval_op_t *
ngx_http_approval_store_list(ngx_http_approval_store_t *store,
    const ngx_http_approval_filter_t *filter, int64_t before,
    u_char *before_id, ngx_uint_t limit, ngx_http_approval_store_pt handler,
    void *data)
{
    ngx_http_approval_op_t    *op;
    ngx_http_approval_list_t  *list;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_LIST,
                                     NULL, handler, data);
    if (op == NULL) {
        return NULL;
    }

    list = ngx_http_approval_list_create(store, filter);

    if (list == NULL) {
        ngx_http_approval_op_free(op);
        return NULL;
    }

    op->work = list;

    list->left = limit ? limit : 1;

    if (before) {
        (void) ngx_cpymem(ngx_http_approval_list_stamp(list->before, before),
                          before_id + NGX_HTTP_APPROVAL_SHARD_LEN,
                          NGX_HTTP_APPROVAL_LIST_REST);
    }

    if (ngx_http_approval_list_send(op) != NGX_OK) {
        ngx_http_approval_op_free(op);
        return NULL;
    }

    return op;
}


/* A client may send a time with more digits than those in an index. */

static u_char *
ngx_http_approval_list_stamp(u_char *p, int64_t ms)
{
    ms = ngx_max(0, ngx_min(ms, 9999999999999));

    return ngx_sprintf(p, "%013L", ms);
}


static ngx_http_approval_list_t *
ngx_http_approval_list_create(ngx_http_approval_store_t *store,
    const ngx_http_approval_filter_t *filter)
{
    size_t                     len, begins;
    ngx_http_approval_list_t  *list;

    begins = filter->requester.len
             ? 0 : filter->nclasses * (sizeof("oxfdec") - 1);

    len = sizeof(ngx_http_approval_list_t)
          + begins * (1 + NGX_HTTP_APPROVAL_LIST_CLASS)
          + filter->requester.len
          + store->conf->shards * NGX_HTTP_APPROVAL_LIST_PART
            * NGX_HTTP_APPROVAL_LIST_FOUND;

    list = ngx_calloc(len, store->log);
    if (list == NULL) {
        return NULL;
    }

    list->begins = (u_char *) list + sizeof(ngx_http_approval_list_t);
    list->hashes = list->begins + begins * (1 + NGX_HTTP_APPROVAL_LIST_CLASS);
    list->found = (void *) (list->hashes + filter->requester.len);

    (void) ngx_http_approval_list_stamp(list->since, filter->since);

    if (filter->requester.len) {
        list->nhashes = filter->requester.len;
        ngx_memcpy(list->hashes, filter->requester.data, list->nhashes);
        ngx_memcpy(list->shard, filter->shard, NGX_HTTP_APPROVAL_SHARD_LEN);

    } else {
        ngx_http_approval_list_begins(list, filter);
    }

    return list;
}


/*
 * The beginnings of index members of these states and classes, see action.lua.
 * States that share a place are added once.
 */

static void
ngx_http_approval_list_begins(ngx_http_approval_list_t *list,
    const ngx_http_approval_filter_t *filter)
{
    u_char                     *p, place, last;
    ngx_uint_t                  n;
    ngx_http_approval_state_e   state;

    last = '\0';
    p = list->begins;

    for (state = 0; state < NGX_HTTP_APPROVAL_UNKNOWN; state++) {

        place = ngx_http_approval_state_place(state);

        if (place == last
            || (filter->states && !(filter->states & (1 << state))))
        {
            continue;
        }

        last = place;

        for (n = 0; n < filter->nclasses; n++) {
            *p++ = place;
            p = ngx_cpymem(p, filter->classes[n],
                           NGX_HTTP_APPROVAL_LIST_CLASS);
            list->nbegins++;
        }
    }
}


static ngx_int_t
ngx_http_approval_list_send(ngx_http_approval_op_t *op)
{
    u_char                     shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    ngx_uint_t                 i;
    ngx_http_approval_list_t  *list;

    list = op->work;

    list->n = 0;
    op->done = ngx_http_approval_list_load;

    if (list->nhashes) {
        ngx_http_approval_list_ask(op, list->shard);

    } else {
        for (i = 0; i < op->store->conf->shards; i++) {
            ngx_http_approval_shard_name(shard, i);
            ngx_http_approval_list_ask(op, shard);
        }
    }

    return op->parts ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_approval_list_ask(ngx_http_approval_op_t *op, u_char *shard)
{
    size_t                     i;
    ngx_str_t                  arg;
    ngx_http_approval_op_t    *part;
    ngx_http_approval_list_t  *list;

    list = op->work;

    part = ngx_http_approval_op_part(op, list->nhashes
                                         ? NGX_HTTP_APPROVAL_SCRIPT_BY
                                         : NGX_HTTP_APPROVAL_SCRIPT_LIST,
                                     NULL, ngx_http_approval_list_found);

    ngx_http_approval_op_shard(part, shard);

    if (list->nhashes) {
        arg.data = list->hashes;
        arg.len = list->nhashes;
        ngx_http_approval_op_keys(part, NGX_HTTP_APPROVAL_KEY_BY, &arg);

    } else {
        ngx_http_approval_op_key(part, NGX_HTTP_APPROVAL_KEY_INDEX, NULL, 0);

        if (list->all) {
            ngx_http_approval_op_key(part, NGX_HTTP_APPROVAL_KEY_PENDING, NULL,
                                     0);
        }
    }

    ngx_http_approval_op_text(part, (char *) list->since);
    ngx_http_approval_op_text(part, (char *) list->before);
    ngx_http_approval_op_number(part, ngx_min(list->left,
                                              NGX_HTTP_APPROVAL_LIST_PART));

    arg.len = 1 + NGX_HTTP_APPROVAL_LIST_CLASS;

    for (i = 0; i < list->nbegins; i++) {
        arg.data = list->begins + i * arg.len;
        ngx_http_approval_op_arg(part, &arg);
    }

    ngx_http_approval_op_part_run(part);
}


static void
ngx_http_approval_list_found(ngx_http_approval_op_t *part, redisReply *reply)
{
    ngx_http_approval_op_t  *op;

    op = part->whole;

    if (ngx_http_approval_list_add(part, reply) != NGX_OK) {
        op->missed++;
    }

    ngx_http_approval_op_part_end(part);
}


/* {"ok", now, {entry...}} */

static ngx_int_t
ngx_http_approval_list_add(ngx_http_approval_op_t *part, redisReply *reply)
{
    size_t                     i;
    u_char                    *p;
    ngx_uint_t                 room;
    redisReply                *found, *entry;
    ngx_http_approval_list_t  *list;

    list = part->whole->work;
    room = part->store->conf->shards * NGX_HTTP_APPROVAL_LIST_PART;

    found = ngx_http_approval_reply_inner(part, reply);
    if (found == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < found->elements && list->n < room; i++) {
        entry = found->element[i];

        if (entry->type != REDIS_REPLY_STRING
            || entry->len != NGX_HTTP_APPROVAL_LIST_ENTRY)
        {
            continue;
        }

        p = ngx_cpymem(list->found[list->n++], entry->str, entry->len);
        ngx_memcpy(p, part->shard, NGX_HTTP_APPROVAL_SHARD_LEN);
    }

    return NGX_OK;
}


/* Reads the newest actions of all shards; replies come in the same order. */

static void
ngx_http_approval_list_load(ngx_http_approval_op_t *op, redisReply *reply)
{
    u_char                     id[APPROVAL_ID_LEN], *p;
    ngx_uint_t                 i, most;
    ngx_http_approval_op_t    *part;
    ngx_http_approval_list_t  *list;

    list = op->work;

    if ((op->missed && !list->all) || list->n == 0 || op->handler == NULL) {
        ngx_http_approval_list_end(op, op->missed ? NGX_ERROR : NGX_DONE);
        return;
    }

    ngx_qsort(list->found, list->n, NGX_HTTP_APPROVAL_LIST_FOUND,
              ngx_http_approval_list_cmp);

    most = ngx_min(list->left, NGX_HTTP_APPROVAL_LIST_PART);

    if (list->n > most) {
        list->n = most;
    }

    op->done = ngx_http_approval_list_next;

    for (i = 0; i < list->n; i++) {
        p = ngx_cpymem(id, list->found[i] + NGX_HTTP_APPROVAL_LIST_ENTRY,
                       NGX_HTTP_APPROVAL_SHARD_LEN);
        ngx_memcpy(p, list->found[i] + NGX_HTTP_APPROVAL_LIST_STAMP,
                   NGX_HTTP_APPROVAL_LIST_REST);

        part = ngx_http_approval_op_part(op, NGX_HTTP_APPROVAL_SCRIPT_LOAD, id,
                                         ngx_http_approval_list_entry);
        ngx_http_approval_op_part_run(part);
    }

    ngx_memcpy(list->before, list->found[list->n - 1],
               NGX_HTTP_APPROVAL_LIST_ENTRY);

    if (op->parts == 0) {
        ngx_http_approval_list_end(op, NGX_ERROR);
    }
}


static int ngx_libc_cdecl
ngx_http_approval_list_cmp(const void *one, const void *two)
{
    return ngx_memcmp(two, one, NGX_HTTP_APPROVAL_LIST_ENTRY);
}


/* Actions that are gone are skipped. */

static void
ngx_http_approval_list_entry(ngx_http_approval_op_t *part, redisReply *reply)
{
    ngx_http_approval_op_t     *op;
    ngx_http_approval_list_t   *list;
    ngx_http_approval_reply_t   r;

    op = part->whole;
    list = op->work;

    ngx_http_approval_reply_parse(part, reply, &r);

    if (reply == NULL) {
        op->missed++;

    } else if (r.rc == NGX_OK && list->left) {
        list->left--;

        if (op->handler) {
            op->handler(op->data, &r);
        }
    }

    ngx_http_approval_reply_free(&r);
    ngx_http_approval_op_part_end(part);
}


static void
ngx_http_approval_list_next(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_list_t  *list;

    list = op->work;

    if ((op->missed && !list->all) || list->left == 0 || op->handler == NULL) {
        ngx_http_approval_list_end(op, op->missed ? NGX_ERROR : NGX_DONE);
        return;
    }

    if (ngx_http_approval_list_send(op) != NGX_OK) {
        ngx_http_approval_list_end(op, NGX_ERROR);
    }
}


static void
ngx_http_approval_list_end(ngx_http_approval_op_t *op, ngx_int_t rc)
{
    ngx_http_approval_reply_t  r;

    ngx_memzero(&r, sizeof(ngx_http_approval_reply_t));

    r.rc = rc;
    r.state = NGX_HTTP_APPROVAL_UNKNOWN;

    ngx_http_approval_op_end(op, &r);
}


/*
 * Reads the classes of all shards first, because the index may be needed, and
 * then the open actions.  A shard may know its open actions without classes.
 */

ngx_http_approval_op_t *
ngx_http_approval_store_open(ngx_http_approval_store_t *store,
    ngx_http_approval_store_pt handler, void *data)
{
    return ngx_http_approval_classes_ask(store, ngx_http_approval_open_part,
                                         ngx_http_approval_open_list, handler,
                                         data);
}


static void
ngx_http_approval_open_part(ngx_http_approval_op_t *part, redisReply *reply)
{
    size_t       i;
    redisReply  *list, *hash;

    list = ngx_http_approval_reply_inner(part, reply);

    if (reply == NULL) {
        part->whole->missed++;
    }

    for (i = 0; list && i + 1 < list->elements; i += 2) {
        hash = list->element[i];

        if (hash->type == REDIS_REPLY_STRING && hash->len == APPROVAL_ID_LEN
            && !ngx_http_approval_op_seen(part->whole, (u_char *) hash->str))
        {
            approval_buf_add(&part->whole->words, hash->str, hash->len);
        }
    }

    ngx_http_approval_op_part_end(part);
}


static void
ngx_http_approval_open_list(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_list_t    *list;
    ngx_http_approval_filter_t   filter;

    ngx_memzero(&filter, sizeof(ngx_http_approval_filter_t));

    filter.states = NGX_HTTP_APPROVAL_STATES_OPEN;
    filter.classes = (void *) op->words.data;
    filter.nclasses = op->words.len / APPROVAL_ID_LEN;

    list = ngx_http_approval_list_create(op->store, &filter);

    if (list) {
        list->left = (ngx_uint_t) -1;
        list->all = 1;
        op->work = list;
    }

    if (list == NULL || ngx_http_approval_list_send(op) != NGX_OK) {
        ngx_http_approval_list_end(op, NGX_ERROR);
    }
}


ngx_http_approval_op_t *
ngx_http_approval_store_classes(ngx_http_approval_store_t *store,
    ngx_http_approval_store_pt handler, void *data)
{
    return ngx_http_approval_classes_ask(store, ngx_http_approval_classes_part,
                                         ngx_http_approval_classes_done,
                                         handler, data);
}


static ngx_http_approval_op_t *
ngx_http_approval_classes_ask(ngx_http_approval_store_t *store,
    ngx_http_approval_op_pt each, ngx_http_approval_op_pt done,
    ngx_http_approval_store_pt handler, void *data)
{
    u_char                   shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    ngx_uint_t               i;
    ngx_http_approval_op_t  *op, *part;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_CLASSES,
                                     NULL, handler, data);
    if (op == NULL) {
        return NULL;
    }

    op->done = done;

    for (i = 0; i < op->store->conf->shards; i++) {
        part = ngx_http_approval_op_part(op, NGX_HTTP_APPROVAL_SCRIPT_CLASSES,
                                         NULL, each);

        ngx_http_approval_shard_name(shard, i);
        ngx_http_approval_op_shard(part, shard);
        ngx_http_approval_op_key(part, NGX_HTTP_APPROVAL_KEY_CLASSES, NULL, 0);
        ngx_http_approval_op_part_run(part);
    }

    if (op->parts == 0) {
        ngx_http_approval_op_free(op);
        return NULL;
    }

    return op;
}


/* {"ok", now, {hash, document, ...}} */

static void
ngx_http_approval_classes_part(ngx_http_approval_op_t *part,
    redisReply *reply)
{
    size_t                      i;
    redisReply                 *list, *hash, *doc;
    ngx_http_approval_op_t     *op;
    ngx_http_approval_reply_t   r;

    op = part->whole;
    list = ngx_http_approval_reply_inner(part, reply);

    if (list == NULL) {
        op->missed++;
    }

    ngx_memzero(&r, sizeof(ngx_http_approval_reply_t));

    r.rc = NGX_OK;
    r.state = NGX_HTTP_APPROVAL_UNKNOWN;

    for (i = 0; list && i + 1 < list->elements && op->handler; i += 2) {
        hash = list->element[i];
        doc = list->element[i + 1];

        if (hash->type == REDIS_REPLY_STRING && hash->len == APPROVAL_ID_LEN
            && doc->type == REDIS_REPLY_STRING
            && !ngx_http_approval_op_seen(op, (u_char *) hash->str))
        {
            ngx_memcpy(r.id, hash->str, APPROVAL_ID_LEN);
            r.doc.data = (u_char *) doc->str;
            r.doc.len = doc->len;

            op->handler(op->data, &r);
        }
    }

    ngx_http_approval_op_part_end(part);
}


static void
ngx_http_approval_classes_done(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_list_end(op, op->missed ? NGX_ERROR : NGX_DONE);
}
