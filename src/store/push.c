
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Published votes: for each one vote.lua publishes the action's id, and after
 * it the decision if the vote completes it, on the channel of the shard.  Any
 * client with permission to publish can send anything there, so a message is
 * only a hint that its recipients verify.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


static void ngx_http_approval_push_message(void *data, ngx_str_t *message);


ngx_int_t
ngx_http_approval_push_init(ngx_http_approval_store_t *store)
{
    size_t          len;
    u_char         *p, shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    ngx_uint_t      i, n;
    approval_buf_t  names;

    n = store->conf->shards;

    approval_buf_init(&names);

    for (i = 0; i < n; i++) {
        ngx_http_approval_shard_name(shard, i);
        ngx_http_approval_key(store, &names, NGX_HTTP_APPROVAL_KEY_DECISIONS,
                              shard, NULL, 0);
    }

    if (!names.failed) {
        store->channels = ngx_alloc(n * sizeof(ngx_str_t) + names.len,
                                    store->log);
    }

    if (store->channels == NULL) {
        approval_buf_free(&names);
        return NGX_ERROR;
    }

    p = (u_char *) &store->channels[n];
    ngx_memcpy(p, names.data, names.len);

    /* they are all of the same length */

    len = names.len / n;

    for (i = 0; i < n; i++) {
        store->channels[i].data = p + i * len;
        store->channels[i].len = len;
    }

    approval_buf_free(&names);

    ngx_http_approval_redis_subscribe(store->redis, store->channels, n,
                                      ngx_http_approval_push_message);

    return NGX_OK;
}


void
ngx_http_approval_push_done(ngx_http_approval_store_t *store)
{
    if (store->channels) {
        ngx_free(store->channels);
    }
}


/* Adds the argument with the channel of the operation's action. */

void
ngx_http_approval_push_channel(ngx_http_approval_op_t *op)
{
    approval_buf_t  channel;

    if (op == NULL) {
        return;
    }

    approval_buf_init(&channel);

    ngx_http_approval_key(op->store, &channel, NGX_HTTP_APPROVAL_KEY_DECISIONS,
                          op->shard, NULL, 0);

    /* without a channel nothing is published, and holders read the key */

    ngx_http_approval_op_bytes(op, channel.data,
                               channel.failed ? 0 : channel.len);

    approval_buf_free(&channel);
}


static void
ngx_http_approval_push_message(void *data, ngx_str_t *message)
{
    ngx_http_approval_store_t *store = data;

    ngx_str_t  decision;

    if (store->closing || message->len < APPROVAL_ID_LEN + 1
        || message->data[APPROVAL_ID_LEN] != ' ')
    {
        return;
    }

    decision.data = message->data + APPROVAL_ID_LEN + 1;
    decision.len = message->len - APPROVAL_ID_LEN - 1;

    if (decision.len == 0) {
        ngx_http_approval_news_voted(store, message->data);
        return;
    }

    ngx_http_approval_watches_told(store, message->data, &decision);
}
