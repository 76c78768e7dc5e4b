
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The stream of checkpoints.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"
#include "store/stream.h"


#define NGX_HTTP_APPROVAL_STREAM_KEY    "audit"
#define NGX_HTTP_APPROVAL_STREAM_MAX    "10000"
#define NGX_HTTP_APPROVAL_STREAM_BATCH  "256"
#define NGX_HTTP_APPROVAL_STREAM_TTL    "2592000"    /* s: thirty days */


/* Owned by the link while it waits for the reply. */

struct ngx_http_approval_stream_s {
    ngx_http_approval_stream_pt         handler;     /* NULL: forgotten */
    void                               *data;
    ngx_http_approval_store_t          *store;
};


static ngx_int_t ngx_http_approval_stream_key(
    ngx_http_approval_store_t *store, ngx_str_t *key);
static void ngx_http_approval_stream_added(void *data, redisReply *reply);
static void ngx_http_approval_stream_reply(void *data, redisReply *reply);
static void ngx_http_approval_stream_entries(
    ngx_http_approval_stream_t *stream, redisReply *list);
static void ngx_http_approval_stream_entry(ngx_http_approval_stream_t *stream,
    redisReply *entry);


ngx_int_t
ngx_http_approval_stream_add(ngx_http_approval_store_t *store,
    ngx_str_t *state, ngx_str_t *note, ngx_str_t *head)
{
    ngx_int_t  rc;
    ngx_str_t  key, argv[12];

    if (ngx_http_approval_stream_key(store, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_set(&argv[0], "XADD");
    argv[1] = key;
    ngx_str_set(&argv[2], "MAXLEN");
    ngx_str_set(&argv[3], "~");
    ngx_str_set(&argv[4], NGX_HTTP_APPROVAL_STREAM_MAX);
    ngx_str_set(&argv[5], "*");
    ngx_str_set(&argv[6], "state");
    argv[7] = *state;
    ngx_str_set(&argv[8], "checkpoint");
    argv[9] = *note;
    ngx_str_set(&argv[10], "head");
    argv[11] = *head;

    rc = ngx_http_approval_redis_command(store->redis, 12, argv,
                                         ngx_http_approval_stream_added,
                                         store);

    if (rc == NGX_OK) {
        ngx_str_set(&argv[0], "EXPIRE");
        ngx_str_set(&argv[2], NGX_HTTP_APPROVAL_STREAM_TTL);

        rc = ngx_http_approval_redis_command(store->redis, 3, argv, NULL,
                                             NULL);
    }

    ngx_free(key.data);

    return rc;
}


static ngx_int_t
ngx_http_approval_stream_key(ngx_http_approval_store_t *store, ngx_str_t *key)
{
    u_char  *p;

    key->len = store->conf->prefix.len
               + sizeof(NGX_HTTP_APPROVAL_STREAM_KEY) - 1;

    key->data = ngx_alloc(key->len, store->log);
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(key->data, store->conf->prefix.data,
                   store->conf->prefix.len);
    ngx_memcpy(p, NGX_HTTP_APPROVAL_STREAM_KEY,
               sizeof(NGX_HTTP_APPROVAL_STREAM_KEY) - 1);

    return NGX_OK;
}


static void
ngx_http_approval_stream_added(void *data, redisReply *reply)
{
    ngx_http_approval_store_t *store = data;

    if (reply && reply->type == REDIS_REPLY_ERROR && !store->closing) {
        ngx_http_approval_reply_error(store, "audit", reply);
    }
}


ngx_http_approval_stream_t *
ngx_http_approval_stream_read(ngx_http_approval_store_t *store,
    ngx_str_t *after, ngx_http_approval_stream_pt handler, void *data)
{
    ngx_int_t                    rc;
    ngx_str_t                    key, argv[6];
    ngx_http_approval_stream_t  *stream;

    if (!ngx_http_approval_store_ready(store)
        || ngx_http_approval_stream_key(store, &key) != NGX_OK)
    {
        return NULL;
    }

    stream = ngx_alloc(sizeof(ngx_http_approval_stream_t), store->log);

    if (stream == NULL) {
        ngx_free(key.data);
        return NULL;
    }

    stream->handler = handler;
    stream->data = data;
    stream->store = store;

    ngx_str_set(&argv[0], "XREAD");
    ngx_str_set(&argv[1], "COUNT");
    ngx_str_set(&argv[2], NGX_HTTP_APPROVAL_STREAM_BATCH);
    ngx_str_set(&argv[3], "STREAMS");
    argv[4] = key;
    argv[5] = *after;

    rc = ngx_http_approval_redis_command(store->redis, 6, argv,
                                         ngx_http_approval_stream_reply,
                                         stream);
    ngx_free(key.data);

    if (rc != NGX_OK) {
        ngx_free(stream);
        return NULL;
    }

    return stream;
}


void
ngx_http_approval_stream_forget(ngx_http_approval_stream_t *stream)
{
    stream->handler = NULL;
}


/* [[key, [[id, [field, value, ...]], ...]]], or nil */

static void
ngx_http_approval_stream_reply(void *data, redisReply *reply)
{
    redisReply                  *one;
    ngx_http_approval_stream_t  *stream = data;

    if (stream->handler == NULL) {
        ngx_free(stream);
        return;
    }

    if (reply && reply->type == REDIS_REPLY_ERROR) {
        ngx_http_approval_reply_error(stream->store, "audit", reply);

    } else if (reply && reply->type == REDIS_REPLY_ARRAY
               && reply->elements == 1)
    {
        one = reply->element[0];

        if (one->type == REDIS_REPLY_ARRAY && one->elements == 2
            && one->element[1]->type == REDIS_REPLY_ARRAY)
        {
            ngx_http_approval_stream_entries(stream, one->element[1]);
        }
    }

    stream->handler(stream->data, NULL, NULL);

    ngx_free(stream);
}


static void
ngx_http_approval_stream_entries(ngx_http_approval_stream_t *stream,
    redisReply *list)
{
    size_t       i;
    redisReply  *entry;

    for (i = list->elements; i > 0; i--) {
        entry = list->element[i - 1];

        if (entry->type == REDIS_REPLY_ARRAY && entry->elements == 2
            && entry->element[0]->type == REDIS_REPLY_STRING
            && entry->element[1]->type == REDIS_REPLY_ARRAY)
        {
            ngx_http_approval_stream_entry(stream, entry);
        }
    }
}


static void
ngx_http_approval_stream_entry(ngx_http_approval_stream_t *stream,
    redisReply *entry)
{
    size_t       i;
    ngx_str_t    id, note;
    redisReply  *name, *value, *fields;

    id.data = (u_char *) entry->element[0]->str;
    id.len = entry->element[0]->len;

    fields = entry->element[1];

    for (i = 0; i + 1 < fields->elements; i += 2) {
        name = fields->element[i];
        value = fields->element[i + 1];

        if (name->type == REDIS_REPLY_STRING
            && value->type == REDIS_REPLY_STRING
            && name->len == sizeof("checkpoint") - 1
            && ngx_strncmp(name->str, "checkpoint", name->len) == 0)
        {
            note.data = (u_char *) value->str;
            note.len = value->len;

            stream->handler(stream->data, &id, &note);
        }
    }
}
