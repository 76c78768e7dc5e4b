
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Operations that are not about one action: grants (remembered approvals),
 * freezes, calls that are given up, and the number of a requester's requests.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


#define NGX_HTTP_APPROVAL_GRANTS_LIMIT  1000
#define NGX_HTTP_APPROVAL_GIVEN_UP      5000     /* ms, for calls that have
                                                    not arrived yet          */


/*
 * op->work of an operation in every shard.  missed: the names of the shards
 * that failed, separated by spaces.
 */

typedef struct {
    ngx_uint_t  done;
    ngx_uint_t  declined;
    ngx_uint_t  lost;                         /* without a reply          */
    int64_t     now;                          /* the latest of all shards */
    size_t      len;
    u_char      missed[NGX_HTTP_APPROVAL_SHARDS_MAX
                       * (NGX_HTTP_APPROVAL_SHARD_LEN + 1)];
} ngx_http_approval_everywhere_t;


static void ngx_http_approval_grant_each(ngx_http_approval_op_t *op,
    u_char *shard, ngx_str_t *hash);
static void ngx_http_approval_grant_entry(ngx_http_approval_op_t *part,
    redisReply *reply);
static void ngx_http_approval_grants_done(ngx_http_approval_op_t *op,
    redisReply *reply);
static void ngx_http_approval_grant_statement(ngx_http_approval_op_t *op,
    const ngx_http_approval_statement_t *statement);
static ngx_http_approval_op_t *ngx_http_approval_everywhere(
    ngx_http_approval_store_t *store, ngx_http_approval_script_e script,
    ngx_http_approval_op_pt part, ngx_uint_t nargs, ngx_str_t *args,
    ngx_http_approval_store_pt handler, void *data);
static void ngx_http_approval_everywhere_run(ngx_http_approval_op_t *op,
    ngx_http_approval_op_pt done, ngx_uint_t nargs, ngx_str_t *args);
static void ngx_http_approval_everywhere_missed(ngx_http_approval_op_t *op,
    u_char *shard);
static void ngx_http_approval_everywhere_part(ngx_http_approval_op_t *part,
    redisReply *reply);
static void ngx_http_approval_everywhere_done(ngx_http_approval_op_t *op,
    redisReply *reply);
static void ngx_http_approval_frozen_part(ngx_http_approval_op_t *part,
    redisReply *reply);


ngx_http_approval_op_t *
ngx_http_approval_store_grants(ngx_http_approval_store_t *store,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_GRANT,
                                     NULL, handler, data);

    ngx_http_approval_op_then(op, ngx_http_approval_grants_done);

    return ngx_http_approval_scan(op, NGX_HTTP_APPROVAL_KEY_GRANTS,
                                  NGX_HTTP_APPROVAL_SCAN_AHEAD,
                                  NGX_HTTP_APPROVAL_GRANTS_LIMIT,
                                  ngx_http_approval_grant_each);
}


static void
ngx_http_approval_grant_each(ngx_http_approval_op_t *op, u_char *shard,
    ngx_str_t *hash)
{
    ngx_http_approval_op_t  *part;

    if (hash->len != APPROVAL_ID_LEN) {
        ngx_http_approval_store_remove(op->store, "ZREM",
                                       NGX_HTTP_APPROVAL_KEY_GRANTS,
                                       shard, NULL, hash);
        return;
    }

    part = ngx_http_approval_op_part(op, NGX_HTTP_APPROVAL_SCRIPT_GRANT, NULL,
                                     ngx_http_approval_grant_entry);

    ngx_http_approval_op_shard(part, shard);

    ngx_http_approval_op_keys(part, NGX_HTTP_APPROVAL_KEY_GRANT, hash);
    ngx_http_approval_op_key(part, NGX_HTTP_APPROVAL_KEY_GRANTS, NULL, 0);
    ngx_http_approval_op_arg(part, hash);

    ngx_http_approval_op_part_run(part);
}


static void
ngx_http_approval_grant_entry(ngx_http_approval_op_t *part, redisReply *reply)
{
    ngx_http_approval_op_t     *op;
    ngx_http_approval_reply_t   r;

    op = part->whole;

    ngx_http_approval_reply_parse(part, reply, &r);

    if (r.rc == NGX_OK && op->handler) {
        op->handler(op->data, &r);

    } else if (r.rc == NGX_ERROR) {
        op->missed++;
    }

    ngx_http_approval_reply_free(&r);
    ngx_http_approval_op_part_end(part);
}


static void
ngx_http_approval_grants_done(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_reply_t  r;

    ngx_memzero(&r, sizeof(ngx_http_approval_reply_t));

    r.rc = op->missed ? NGX_ERROR : NGX_DONE;
    r.state = NGX_HTTP_APPROVAL_UNKNOWN;

    ngx_http_approval_op_end(op, &r);
}


ngx_http_approval_op_t *
ngx_http_approval_store_revoke(ngx_http_approval_store_t *store, u_char *grant,
    const ngx_http_approval_statement_t *statement,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_str_t                hash;
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_REVOKE,
                                     NULL, handler, data);

    hash.data = grant;
    hash.len = APPROVAL_ID_LEN;

    ngx_http_approval_op_shard(op, grant);

    ngx_http_approval_op_keys(op, NGX_HTTP_APPROVAL_KEY_GRANT, &hash);
    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_GRANTS, NULL, 0);
    ngx_http_approval_op_keys(op, NGX_HTTP_APPROVAL_KEY_END, &hash);
    ngx_http_approval_op_arg(op, &hash);

    if (statement) {
        ngx_http_approval_grant_statement(op, statement);

    } else {
        ngx_http_approval_op_text(op, "");
    }

    return ngx_http_approval_op_run(op);
}


ngx_http_approval_op_t *
ngx_http_approval_store_end(ngx_http_approval_store_t *store, u_char *grant,
    const ngx_http_approval_statement_t *statement,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_STATEMENT,
                                     NULL, handler, data);

    ngx_http_approval_op_shard(op, grant);

    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_END, grant,
                             APPROVAL_ID_LEN);
    ngx_http_approval_grant_statement(op, statement);

    return ngx_http_approval_op_run(op);
}


/* Adds the statement's order, which sorts as text, its text and its TTL. */

static void
ngx_http_approval_grant_statement(ngx_http_approval_op_t *op,
    const ngx_http_approval_statement_t *statement)
{
    u_char  order[NGX_INT64_LEN * 2], *last;

    last = ngx_sprintf(order, "%016L%010uD", statement->since, statement->use);

    ngx_http_approval_op_bytes(op, order, last - order);
    ngx_http_approval_op_arg(op, &statement->doc);
    ngx_http_approval_op_number(op, ngx_max(statement->time, 1000));
}


/*
 * Every shard has all freezes.  A requester is in one shard only, but a policy
 * has requesters in all, and a new number of shards must not lift a freeze.
 */

ngx_http_approval_op_t *
ngx_http_approval_store_freeze(ngx_http_approval_store_t *store,
    ngx_str_t *hashes, ngx_http_approval_freeze_e how, int64_t until,
    ngx_str_t *doc, ngx_http_approval_store_pt handler, void *data)
{
    u_char     end[NGX_INT64_LEN];
    ngx_str_t  args[4];

    args[0] = *hashes;
    args[1].data = end;
    args[1].len = ngx_sprintf(end, "%L", until) - end;
    args[2] = *doc;

    if (how == NGX_HTTP_APPROVAL_FREEZE_NEW) {
        ngx_str_set(&args[3], "");

    } else if (store->conf->shards == 1) {
        ngx_str_set(&args[3], "carry");

    } else {
        ngx_str_set(&args[3], "spread");
    }

    return ngx_http_approval_everywhere(store,
                                        NGX_HTTP_APPROVAL_SCRIPT_FREEZE,
                                        ngx_http_approval_everywhere_part, 4,
                                        args, handler, data);
}


ngx_http_approval_op_t *
ngx_http_approval_store_thaw(ngx_http_approval_store_t *store,
    ngx_str_t *hashes, ngx_str_t *doc, ngx_uint_t known,
    ngx_http_approval_store_pt handler, void *data)
{
    u_char     kept[NGX_INT64_LEN];
    ngx_str_t  args[4];

    args[0] = *hashes;
    args[1] = *doc;
    args[2].data = kept;
    args[2].len = ngx_sprintf(kept, "%M", store->conf->retention) - kept;

    if (known) {
        ngx_str_set(&args[3], "known");

    } else {
        ngx_str_set(&args[3], "");
    }

    return ngx_http_approval_everywhere(store,
                                        NGX_HTTP_APPROVAL_SCRIPT_THAW,
                                        ngx_http_approval_everywhere_part, 4,
                                        args, handler, data);
}


ngx_http_approval_op_t *
ngx_http_approval_store_frozen(ngx_http_approval_store_t *store,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_everywhere(store, NGX_HTTP_APPROVAL_SCRIPT_FROZEN,
                                      ngx_http_approval_frozen_part, 0, NULL,
                                      handler, data);
    ngx_http_approval_op_then(op, ngx_http_approval_grants_done);

    return op;
}


/* Sends the script to all shards; no reply arrives before this returns. */

static ngx_http_approval_op_t *
ngx_http_approval_everywhere(ngx_http_approval_store_t *store,
    ngx_http_approval_script_e script, ngx_http_approval_op_pt part,
    ngx_uint_t nargs, ngx_str_t *args, ngx_http_approval_store_pt handler,
    void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, script, NULL, handler, data);
    if (op == NULL) {
        return NULL;
    }

    op->done = ngx_http_approval_everywhere_done;
    op->work = ngx_calloc(sizeof(ngx_http_approval_everywhere_t), store->log);

    if (op->work) {
        ngx_http_approval_everywhere_run(op, part, nargs, args);
    }

    if (op->parts) {
        return op;
    }

    ngx_http_approval_op_free(op);

    return NULL;
}


static void
ngx_http_approval_everywhere_run(ngx_http_approval_op_t *op,
    ngx_http_approval_op_pt done, ngx_uint_t nargs, ngx_str_t *args)
{
    u_char                   shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    ngx_uint_t               i, n, missed;
    ngx_http_approval_op_t  *part;

    for (i = 0; i < op->store->conf->shards; i++) {
        ngx_http_approval_shard_name(shard, i);

        missed = op->missed;
        part = ngx_http_approval_op_part(op, op->script, NULL, done);

        ngx_http_approval_op_shard(part, shard);
        ngx_http_approval_op_key(part, NGX_HTTP_APPROVAL_KEY_FROZEN, NULL, 0);

        for (n = 0; n < nargs; n++) {
            ngx_http_approval_op_arg(part, &args[n]);
        }

        ngx_http_approval_op_part_run(part);

        if (op->missed != missed) {
            ngx_http_approval_everywhere_missed(op, shard);
        }
    }
}


static void
ngx_http_approval_everywhere_missed(ngx_http_approval_op_t *op, u_char *shard)
{
    u_char                          *p;
    ngx_http_approval_everywhere_t  *all;

    all = op->work;
    p = all->missed + all->len;

    if (all->len) {
        *p++ = ' ';
    }

    p = ngx_cpymem(p, shard, NGX_HTTP_APPROVAL_SHARD_LEN);

    all->len = p - all->missed;
}


static void
ngx_http_approval_everywhere_part(ngx_http_approval_op_t *part,
    redisReply *reply)
{
    ngx_http_approval_reply_t        r;
    ngx_http_approval_everywhere_t  *all;

    all = part->whole->work;

    ngx_http_approval_reply_parse(part, reply, &r);

    all->now = ngx_max(all->now, r.now);
    all->lost += !r.answered;

    if (r.rc == NGX_OK) {
        all->done++;

    } else if (r.rc == NGX_DECLINED) {
        all->declined++;

    } else {
        ngx_http_approval_everywhere_missed(part->whole, part->shard);
    }

    ngx_http_approval_reply_free(&r);
    ngx_http_approval_op_part_end(part);
}


/* Succeeds if one shard did; "missed" names those that did not. */

static void
ngx_http_approval_everywhere_done(ngx_http_approval_op_t *op,
    redisReply *reply)
{
    ngx_http_approval_reply_t        r;
    ngx_http_approval_everywhere_t  *all;

    all = op->work;

    ngx_memzero(&r, sizeof(ngx_http_approval_reply_t));

    r.state = NGX_HTTP_APPROVAL_UNKNOWN;
    r.now = all->now;
    r.missed.data = all->missed;
    r.missed.len = all->len;
    r.answered = (all->lost == 0);

    if (all->done) {
        r.rc = NGX_OK;

    } else {
        r.rc = (all->len || all->declined == 0) ? NGX_ERROR : NGX_DECLINED;
    }

    ngx_http_approval_op_end(op, &r);
}


/* {"ok", now, entry...}; an entry that several shards have is passed once */

static void
ngx_http_approval_frozen_part(ngx_http_approval_op_t *part, redisReply *reply)
{
    size_t                      i;
    int64_t                     now;
    ngx_http_approval_op_t     *op;
    ngx_http_approval_reply_t   r;

    op = part->whole;

    if (ngx_http_approval_reply_ok(part, reply) != NGX_OK) {
        op->missed++;
        ngx_http_approval_op_part_end(part);
        return;
    }

    now = reply->element[1]->integer;
    ngx_http_approval_reply_clock(part->store, now);

    for (i = 2; i < reply->elements; i++) {
        if (ngx_http_approval_reply_entry(part, reply->element[i], now, &r)
            == NGX_OK
            && !ngx_http_approval_op_seen(op, r.id)
            && op->handler)
        {
            op->handler(op->data, &r);
        }

        ngx_http_approval_reply_free(&r);
    }

    ngx_http_approval_op_part_end(part);
}


ngx_http_approval_op_t *
ngx_http_approval_store_give_up(ngx_http_approval_store_t *store,
    ngx_str_t *hashes, ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_GIVE_UP,
                                     NULL, handler, data);

    ngx_http_approval_op_shard(op, hashes->data);

    ngx_http_approval_op_pairs(op, hashes, NGX_HTTP_APPROVAL_KEY_ACTION,
                               NGX_HTTP_APPROVAL_KEY_DECISION);

    ngx_http_approval_op_number(op, NGX_HTTP_APPROVAL_GIVEN_UP);

    return ngx_http_approval_op_run(op);
}


ngx_http_approval_op_t *
ngx_http_approval_store_recent(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *hashes, ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_RECENT,
                                     NULL, handler, data);

    ngx_http_approval_op_shard(op, id);

    ngx_http_approval_op_keys(op, NGX_HTTP_APPROVAL_KEY_BY, hashes);

    return ngx_http_approval_op_run(op);
}


/* The mark has a shard of its own, as its requester is not known yet. */

ngx_http_approval_op_t *
ngx_http_approval_store_once(ngx_http_approval_store_t *store, u_char *mark,
    ngx_msec_t ms, ngx_http_approval_store_pt handler, void *data)
{
    u_char                   shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    ngx_str_t                value;
    ngx_http_approval_op_t  *op;

    value.data = mark;
    value.len = APPROVAL_ID_LEN;

    if (ngx_http_approval_store_shard(store, &value, shard) != NGX_OK) {
        return NULL;
    }

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_ONCE,
                                     NULL, handler, data);

    ngx_http_approval_op_shard(op, shard);
    ngx_http_approval_op_keys(op, NGX_HTTP_APPROVAL_KEY_ONCE, &value);
    ngx_http_approval_op_number(op, ms);

    return ngx_http_approval_op_run(op);
}
