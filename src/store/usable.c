
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Checks whether Redis accepts writes.  The link may work while all writes are
 * refused, because the memory or the disk is full, replicas are missing or the
 * ACL was changed.  A script that writes a key for a millisecond detects this
 * before a request fails.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


/*
 * The probe can succeed while another script lacks a permission.  So the store
 * counts as unusable for this long after a script was refused by an ACL.
 */

#define NGX_HTTP_APPROVAL_USABLE_FORBIDDEN  30      /* s */


static void ngx_http_approval_usable_done(ngx_http_approval_op_t *op,
    redisReply *reply);


void
ngx_http_approval_usable_probe(ngx_http_approval_store_t *store)
{
    ngx_http_approval_op_t  *op;

    if (store->probing) {
        return;
    }

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_ONCE,
                                     NULL, NULL, NULL);

    ngx_http_approval_op_then(op, ngx_http_approval_usable_done);

    ngx_http_approval_op_shard(op, (u_char *) "00");
    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_ONCE,
                             (u_char *) "probe", 5);
    ngx_http_approval_op_number(op, 1);

    store->probing = (ngx_http_approval_op_run(op) != NULL);
}


static void
ngx_http_approval_usable_done(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_uint_t                  usable;
    ngx_http_approval_store_t  *store;

    store = op->store;

    usable = (reply && reply->type != REDIS_REPLY_ERROR);

    if (reply && !usable && !store->refused) {
        store->refused = 1;
        ngx_http_approval_reply_error(store, "once", reply);
    }

    if (usable && store->refused) {
        store->refused = 0;
        ngx_log_error(NGX_LOG_NOTICE, store->log, 0,
                      "approval_redis \"%V\" accepts writes again",
                      &store->conf->redis.name);
    }

    store->probing = 0;
    store->usable = usable;

    ngx_http_approval_op_free(op);
}


ngx_uint_t
ngx_http_approval_store_usable(ngx_http_approval_store_t *store)
{
    return ngx_http_approval_store_ready(store) && store->usable
           && ngx_time() - store->forbidden
              >= NGX_HTTP_APPROVAL_USABLE_FORBIDDEN;
}
