
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The operations on actions.  What leads from which state to which, and when,
 * is decided by the scripts alone, by Redis' clock:
 *
 *   from       to         operation  when
 *   -          pending    new        nothing open under the same join hash
 *   pending    approved   vote       no decision yet, before "expires"
 *   pending    denied     vote       no decision yet, before "expires"
 *   pending    denied     settle     before "expires"
 *   pending    cancelled  settle     before "expires"
 *   pending    expired    settle     from "expires" on
 *   pending    executing  consume    before "expires", decision unchanged
 *   approved   executing  consume    before it lapses, decision unchanged
 *   approved   expired    settle     from when it lapses on
 *   executing  executed   finish
 *   executing  failed     finish
 *   executing  failed     settle     from the end of its lease on
 *
 * An action that is overdue but was not settled yet is reported as EXPIRED
 * where an operation is refused for this reason.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


#define NGX_HTTP_APPROVAL_HEARD_LEN  16


static void ngx_http_approval_store_link(void *data);
static void ngx_http_approval_store_push(void *data, ngx_str_t *key);
static void ngx_http_approval_store_memory(ngx_http_approval_store_t *store);
static void ngx_http_approval_store_evicts(void *data, redisReply *reply);
static ngx_http_approval_op_t *ngx_http_approval_store_run(
    ngx_http_approval_op_t *op, ngx_uint_t nargs, ngx_str_t *args);
static void ngx_http_approval_store_heard(ngx_http_approval_store_t *store,
    u_char *p);
static void ngx_http_approval_store_made(ngx_http_approval_op_t *op,
    redisReply *reply);
static void ngx_http_approval_store_consumed(ngx_http_approval_op_t *op,
    redisReply *reply);


ngx_http_approval_store_t *
ngx_http_approval_store_create(ngx_http_approval_store_conf_t *conf,
    ngx_log_t *log, const ngx_http_approval_store_events_t *events)
{
    ngx_http_approval_store_t  *store;

    store = ngx_calloc(sizeof(ngx_http_approval_store_t), log);
    if (store == NULL) {
        return NULL;
    }

    store->conf = conf;
    store->log = log;
    store->events = *events;

    if (ngx_http_approval_scripts_init(store) != NGX_OK) {
        goto failed;
    }

    store->redis = ngx_http_approval_redis_create(&conf->redis, log,
                                                 ngx_http_approval_store_link,
                                                 ngx_http_approval_store_push,
                                                 store);
    if (store->redis == NULL) {
        goto failed;
    }

    ngx_http_approval_watches_init(store);
    ngx_http_approval_lease_init(store);
    ngx_http_approval_overdue_init(store);

    return store;

failed:

    ngx_http_approval_scripts_done(store);
    ngx_free(store);

    return NULL;
}


void
ngx_http_approval_store_destroy(ngx_http_approval_store_t *store)
{
    store->closing = 1;

    ngx_http_approval_redis_destroy(store->redis);

    ngx_http_approval_watches_done(store);
    ngx_http_approval_lease_done(store);
    ngx_http_approval_overdue_done(store);
    ngx_http_approval_scripts_done(store);

    ngx_free(store);
}


ngx_uint_t
ngx_http_approval_store_ready(ngx_http_approval_store_t *store)
{
    return ngx_http_approval_redis_state(store->redis)
           == NGX_HTTP_APPROVAL_REDIS_READY;
}


ngx_http_approval_redis_t *
ngx_http_approval_store_redis(ngx_http_approval_store_t *store)
{
    return store->redis;
}


ngx_uint_t
ngx_http_approval_store_errors(ngx_http_approval_store_t *store)
{
    return store->errors;
}


static void
ngx_http_approval_store_link(void *data)
{
    ngx_uint_t                  ready;
    ngx_http_approval_store_t  *store;

    store = data;
    ready = ngx_http_approval_store_ready(store);

    if (ready) {
        ngx_http_approval_scripts_load(store);
        ngx_http_approval_store_memory(store);
        ngx_http_approval_watches_reread(store);
        ngx_http_approval_lease_ready(store);
    }

    if (store->events.link) {
        store->events.link(store->events.data, ready);
    }
}


static void
ngx_http_approval_store_push(void *data, ngx_str_t *key)
{
    ngx_http_approval_store_t *store = data;

    if (key->data) {
        ngx_http_approval_watches_push(store, key);

    } else {
        ngx_http_approval_watches_reread(store);
    }
}


/* All keys have a TTL: any policy but one may take them. */

static void
ngx_http_approval_store_memory(ngx_http_approval_store_t *store)
{
    static ngx_str_t  info[] = {
        ngx_string("INFO"),
        ngx_string("memory")
    };

    (void) ngx_http_approval_redis_command(store->redis, 2, info,
                                           ngx_http_approval_store_evicts,
                                           store);
}


/* An ACL may forbid it: then nobody is told. */

static void
ngx_http_approval_store_evicts(void *data, redisReply *reply)
{
    ngx_http_approval_store_t *store = data;

    u_char  *limit, *policy, *end;

    static char  name[] = "maxmemory_policy:";

    if (store->closing || reply == NULL || reply->type != REDIS_REPLY_STRING) {
        return;
    }

    limit = (u_char *) ngx_strstr(reply->str, "maxmemory:");
    policy = (u_char *) ngx_strstr(reply->str, name);

    if (limit == NULL || policy == NULL) {
        return;
    }

    policy += sizeof(name) - 1;

    if (limit[sizeof("maxmemory:") - 1] == '0'
        || ngx_strncmp(policy, "noeviction", 10) == 0)
    {
        store->evicts = 0;
        return;
    }

    if (store->evicts) {
        return;
    }

    store->evicts = 1;

    for (end = policy; *end > ' '; end++) { /* void */ }

    ngx_log_error(NGX_LOG_WARN, store->log, 0,
                  "approval_redis \"%V\" may evict what it was given "
                  "(maxmemory-policy %*s): requests that are held are refused "
                  "then, and what is frozen is so no more; set "
                  "\"maxmemory-policy noeviction\"",
                  &store->conf->redis.name, (size_t) (end - policy), policy);
}


ngx_http_approval_op_t *
ngx_http_approval_store_new(ngx_http_approval_store_t *store,
    const ngx_http_approval_new_t *action, ngx_http_approval_store_pt handler,
    void *data)
{
    u_char                   max[NGX_INT64_LEN], timeout[NGX_INT64_LEN],
                             within[NGX_INT64_LEN], retention[NGX_INT64_LEN];
    u_char                   cool[NGX_INT64_LEN], heard[NGX_INT64_LEN];
    ngx_str_t                args[15];
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_CREATE,
                                     action->id, handler, data);
    if (op == NULL) {
        return NULL;
    }

    op->done = ngx_http_approval_store_made;

    args[0] = action->join;
    args[1] = action->requester;
    args[2] = action->per;
    ngx_http_approval_number(&args[3], max, action->max_pending);
    args[4] = action->digest;
    args[5] = action->doc;
    ngx_http_approval_number(&args[6], timeout, action->timeout);
    ngx_http_approval_number(&args[7], within, action->execute_within);
    ngx_http_approval_number(&args[8], retention, store->conf->retention);
    ngx_http_approval_number(&args[9], cool, action->cool_down);
    args[10] = action->grant;
    args[11] = action->policy;
    args[12] = action->ticket;
    args[13] = action->call;

    args[14].data = heard;
    args[14].len = NGX_HTTP_APPROVAL_HEARD_LEN;
    ngx_http_approval_store_heard(store, heard);

    return ngx_http_approval_store_run(op, 15, args);
}


int64_t
ngx_http_approval_store_now(ngx_http_approval_store_t *store)
{
    return store->clock ? store->clock + (int64_t) ngx_current_msec : 0;
}


/*
 * Until when the answer is waited for, by Redis' clock: what it does later than
 * that nobody hears of.  A quarter is kept for what is not known exactly: the
 * clock, nginx's cached time, and how long the answer is on its way.
 */

static void
ngx_http_approval_store_heard(ngx_http_approval_store_t *store, u_char *p)
{
    int64_t  end;

    end = ngx_http_approval_store_now(store);

    if (end) {
        end += (int64_t) (store->conf->redis.timeout * 3 / 4);
    }

    (void) ngx_sprintf(p, "%016L", end);
}


/*
 * Too late, and heard of nevertheless: what is known of Redis' clock was wrong,
 * and is not any more.
 */

static void
ngx_http_approval_store_made(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_reply_t  r;

    ngx_memcpy(r.id, op->id, APPROVAL_ID_LEN);

    ngx_http_approval_reply_parse(op->store, "create", reply, &r);

    if (r.rc == NGX_DECLINED && r.why.len == 4
        && ngx_memcmp(r.why.data, "late", 4) == 0)
    {
        ngx_http_approval_store_heard(op->store, op->argv[op->argc - 1].data);

        if (!op->again && op->handler) {
            op->again = 1;

            if (ngx_http_approval_op_again(op) == NGX_OK) {
                ngx_http_approval_reply_free(&r);
                return;
            }
        }

        r.rc = NGX_ERROR;
    }

    ngx_http_approval_op_end(op, &r);
    ngx_http_approval_reply_free(&r);
}


ngx_http_approval_op_t *
ngx_http_approval_store_load(ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_LOAD, id,
                                     handler, data);
    if (op == NULL) {
        return NULL;
    }

    return ngx_http_approval_store_run(op, 0, NULL);
}


ngx_http_approval_op_t *
ngx_http_approval_store_vote(ngx_http_approval_store_t *store, u_char *id,
    ngx_uint_t seen, ngx_str_t *vote, ngx_http_approval_state_e state,
    ngx_str_t *decision, ngx_http_approval_store_pt handler, void *data)
{
    u_char                   n[NGX_INT64_LEN], retention[NGX_INT64_LEN];
    ngx_str_t                args[5];
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_VOTE, id,
                                     handler, data);
    if (op == NULL) {
        return NULL;
    }

    ngx_http_approval_number(&args[0], n, seen);
    args[1] = *vote;
    args[2] = *ngx_http_approval_state_name(state);
    args[3] = *decision;
    ngx_http_approval_number(&args[4], retention, store->conf->retention);

    return ngx_http_approval_store_run(op, 5, args);
}


ngx_http_approval_op_t *
ngx_http_approval_store_settle(ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_state_e state, ngx_str_t *decision,
    ngx_http_approval_store_pt handler, void *data)
{
    u_char                   retention[NGX_INT64_LEN];
    ngx_str_t                args[3];
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_SETTLE,
                                     id, handler, data);
    if (op == NULL) {
        return NULL;
    }

    args[0] = *ngx_http_approval_state_name(state);
    args[1] = *decision;
    ngx_http_approval_number(&args[2], retention, store->conf->retention);

    return ngx_http_approval_store_run(op, 3, args);
}


ngx_http_approval_op_t *
ngx_http_approval_store_consume(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *decision, ngx_str_t *requester, ngx_str_t *policy,
    ngx_str_t *call, const ngx_http_approval_grant_t *grant,
    ngx_http_approval_store_pt handler, void *data)
{
    u_char                   lease[NGX_INT64_LEN], retention[NGX_INT64_LEN],
                             time[NGX_INT64_LEN], uses[NGX_INT64_LEN];
    ngx_str_t                args[10];
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_CONSUME,
                                     id, handler, data);
    if (op == NULL) {
        return NULL;
    }

    op->done = ngx_http_approval_store_consumed;

    args[0] = *decision;
    ngx_http_approval_number(&args[1], lease, NGX_HTTP_APPROVAL_LEASE);
    ngx_http_approval_number(&args[2], retention, store->conf->retention);

    args[3] = *requester;
    args[4] = *policy;
    args[5] = *call;

    if (grant == NULL) {
        return ngx_http_approval_store_run(op, 6, args);
    }

    args[6] = grant->hash;
    ngx_http_approval_number(&args[7], time, grant->time);
    ngx_http_approval_number(&args[8], uses, grant->uses);
    args[9] = grant->doc;

    return ngx_http_approval_store_run(op, 10, args);
}


/*
 * Nobody forwards a request that was forgotten meanwhile: without a lease its
 * action is settled as failed before long.
 */

static void
ngx_http_approval_store_consumed(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_reply_t  r;

    ngx_memcpy(r.id, op->id, APPROVAL_ID_LEN);

    ngx_http_approval_reply_parse(op->store, "consume", reply, &r);

    if (r.rc == NGX_OK && op->handler) {
        ngx_http_approval_lease_add(op->store, op->id);
    }

    ngx_http_approval_op_end(op, &r);

    ngx_http_approval_reply_free(&r);
}


ngx_http_approval_op_t *
ngx_http_approval_store_leave(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *decision, ngx_http_approval_store_pt handler, void *data)
{
    u_char                   retention[NGX_INT64_LEN];
    ngx_str_t                args[2];
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_LEAVE, id,
                                     handler, data);
    if (op == NULL) {
        return NULL;
    }

    args[0] = *decision;
    ngx_http_approval_number(&args[1], retention, store->conf->retention);

    return ngx_http_approval_store_run(op, 2, args);
}


ngx_http_approval_op_t *
ngx_http_approval_store_ticket(ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_str_t                args[3];
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_LEAVE, id,
                                     handler, data);
    if (op == NULL) {
        return NULL;
    }

    ngx_str_set(&args[0], "");
    ngx_str_set(&args[1], "0");
    ngx_str_set(&args[2], "1");

    return ngx_http_approval_store_run(op, 3, args);
}


ngx_http_approval_op_t *
ngx_http_approval_store_drop(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *decision, ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_DROP, id,
                                     handler, data);
    if (op == NULL) {
        return NULL;
    }

    return ngx_http_approval_store_run(op, 1, decision);
}


static ngx_http_approval_op_t *
ngx_http_approval_store_run(ngx_http_approval_op_t *op, ngx_uint_t nargs,
    ngx_str_t *args)
{
    if (ngx_http_approval_op_send(op, NULL, nargs, args) != NGX_OK) {
        ngx_http_approval_op_free(op);
        return NULL;
    }

    return op;
}
