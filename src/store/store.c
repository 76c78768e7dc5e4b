
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The operations on actions.  Only the scripts decide which transitions are
 * possible, and when, by Redis' clock: see action.lua.  If an operation is
 * refused because the action is overdue but not settled yet, the state is
 * EXPIRED.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


static void ngx_http_approval_store_link(void *data);
static void ngx_http_approval_store_push(void *data, ngx_str_t *key);
static void ngx_http_approval_store_info(ngx_http_approval_store_t *store);
static void ngx_http_approval_store_informed(void *data, redisReply *reply);
static void ngx_http_approval_store_version(ngx_http_approval_store_t *store,
    char *info);
static void ngx_http_approval_store_cluster(ngx_http_approval_store_t *store,
    char *info);
static void ngx_http_approval_store_memory(ngx_http_approval_store_t *store,
    char *info);
static u_char *ngx_http_approval_store_field(char *info, const char *name,
    size_t *len);
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

    if (ngx_http_approval_push_init(store) != NGX_OK
        || ngx_http_approval_replicas_init(store) != NGX_OK)
    {
        store->closing = 1;
        ngx_http_approval_redis_destroy(store->redis);
        ngx_http_approval_push_done(store);
        goto failed;
    }

    ngx_http_approval_watches_init(store);
    ngx_http_approval_news_init(store);
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

    ngx_http_approval_replicas_done(store);
    ngx_http_approval_push_done(store);
    ngx_http_approval_watches_done(store);
    ngx_http_approval_news_done(store);
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


ngx_uint_t
ngx_http_approval_store_down(ngx_http_approval_store_t *store)
{
    return ngx_http_approval_redis_down(store->redis);
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

    store->usable = 0;

    if (ready) {
        ngx_http_approval_scripts_load(store);
        ngx_http_approval_usable_probe(store);
        ngx_http_approval_store_info(store);
        ngx_http_approval_watches_reread(store);
        ngx_http_approval_news_push(store, NULL);
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
        ngx_http_approval_news_push(store, key);

    } else {
        ngx_http_approval_watches_reread(store);
        ngx_http_approval_news_push(store, NULL);
    }
}


static void
ngx_http_approval_store_info(ngx_http_approval_store_t *store)
{
    static ngx_str_t  info = ngx_string("INFO");

    (void) ngx_http_approval_redis_command(store->redis, 1, &info,
                                           ngx_http_approval_store_informed,
                                           store);
}


/* An ACL may forbid the command; this is not logged. */

static void
ngx_http_approval_store_informed(void *data, redisReply *reply)
{
    ngx_http_approval_store_t *store = data;

    if (store->closing || reply == NULL || reply->type != REDIS_REPLY_STRING) {
        return;
    }

    ngx_http_approval_store_version(store, reply->str);
    ngx_http_approval_store_cluster(store, reply->str);
    ngx_http_approval_store_memory(store, reply->str);
}


/* The scripts need HRANDFIELD.  Valkey says which Redis it can replace. */

static void
ngx_http_approval_store_version(ngx_http_approval_store_t *store, char *info)
{
    size_t      len;
    u_char     *version;
    ngx_int_t   major;

    version = ngx_http_approval_store_field(info, "redis_version:", &len);

    if (version == NULL || len < 3) {
        return;
    }

    major = ngx_strlchr(version, version + len, '.') == version + 1
            ? version[0] - '0' : 10;

    if (major > 6 || (major == 6 && version[2] >= '2')) {
        store->old = 0;
        return;
    }

    if (store->old) {
        return;
    }

    store->old = 1;

    ngx_log_error(NGX_LOG_WARN, store->log, 0,
                  "approval_redis \"%V\" is Redis %*s; it has to be 6.2 or "
                  "later: upgrade it",
                  &store->conf->redis.name, len, version);
}


/* A node answers until a key is needed that another one has. */

static void
ngx_http_approval_store_cluster(ngx_http_approval_store_t *store, char *info)
{
    size_t   len;
    u_char  *enabled;

    enabled = ngx_http_approval_store_field(info, "cluster_enabled:", &len);

    if (enabled == NULL || enabled[0] != '1') {
        store->cluster = 0;
        return;
    }

    if (store->cluster) {
        return;
    }

    store->cluster = 1;

    ngx_log_error(NGX_LOG_ERR, store->log, 0,
                  "approval_redis \"%V\" is a node of a Redis Cluster, which is "
                  "not supported: use one Redis, or a primary with replicas "
                  "that Sentinel watches (\"sentinel=\")",
                  &store->conf->redis.name);
}


/* All keys have a TTL, so any policy except noeviction may evict them. */

static void
ngx_http_approval_store_memory(ngx_http_approval_store_t *store, char *info)
{
    size_t   len, n;
    u_char  *limit, *policy;

    limit = ngx_http_approval_store_field(info, "maxmemory:", &n);
    policy = ngx_http_approval_store_field(info, "maxmemory_policy:", &len);

    if (limit == NULL || policy == NULL) {
        return;
    }

    if (limit[0] == '0' || ngx_strncmp(policy, "noeviction", 10) == 0) {
        store->evicts = 0;
        return;
    }

    if (store->evicts) {
        return;
    }

    store->evicts = 1;

    ngx_log_error(NGX_LOG_WARN, store->log, 0,
                  "approval_redis \"%V\" may evict the gateway's data "
                  "(maxmemory-policy %*s): held requests would then be "
                  "refused, and frozen requesters no longer be frozen; set "
                  "\"maxmemory-policy noeviction\"",
                  &store->conf->redis.name, len, policy);
}


/* The value in the reply of INFO; name ends with a colon. */

static u_char *
ngx_http_approval_store_field(char *info, const char *name, size_t *len)
{
    u_char  *value, *end;

    value = (u_char *) ngx_strstr(info, name);

    if (value == NULL) {
        return NULL;
    }

    value += ngx_strlen(name);

    for (end = value; *end > ' '; end++) { /* void */ }

    *len = end - value;

    return value;
}


int64_t
ngx_http_approval_store_now(ngx_http_approval_store_t *store)
{
    return store->clock ? store->clock + (int64_t) ngx_current_msec : 0;
}


ngx_http_approval_op_t *
ngx_http_approval_store_load(ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_LOAD, id,
                                     handler, data);

    return ngx_http_approval_op_run(op);
}


ngx_http_approval_op_t *
ngx_http_approval_store_vote(ngx_http_approval_store_t *store, u_char *id,
    ngx_uint_t seen, ngx_str_t *vote, ngx_http_approval_state_e state,
    ngx_str_t *decision, ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_VOTE, id,
                                     handler, data);

    ngx_http_approval_op_number(op, seen);
    ngx_http_approval_op_arg(op, vote);
    ngx_http_approval_op_arg(op, ngx_http_approval_state_name(state));
    ngx_http_approval_op_arg(op, decision);
    ngx_http_approval_op_number(op, store->conf->retention);
    ngx_http_approval_push_channel(op);

    return ngx_http_approval_op_run(op);
}


ngx_http_approval_op_t *
ngx_http_approval_store_settle(ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_state_e state, ngx_str_t *decision,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_SETTLE,
                                     id, handler, data);

    ngx_http_approval_op_arg(op, ngx_http_approval_state_name(state));
    ngx_http_approval_op_arg(op, decision);
    ngx_http_approval_op_number(op, store->conf->retention);

    return ngx_http_approval_op_run(op);
}


ngx_http_approval_op_t *
ngx_http_approval_store_consume(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *decision, ngx_str_t *requester, const ngx_str_t *policy,
    ngx_str_t *call, const ngx_http_approval_grant_t *grant,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_CONSUME,
                                     id, handler, data);
    if (op == NULL) {
        return NULL;
    }

    op->done = ngx_http_approval_store_consumed;
    op->uses = 1;

    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_FROZEN, NULL, 0);
    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_GRANTS, NULL, 0);
    ngx_http_approval_op_keys(op, NGX_HTTP_APPROVAL_KEY_DECISION, call);

    if (grant) {
        ngx_http_approval_op_keys(op, NGX_HTTP_APPROVAL_KEY_GRANT,
                                  &grant->hash);
    }

    ngx_http_approval_op_arg(op, decision);
    ngx_http_approval_op_number(op, NGX_HTTP_APPROVAL_LEASE);
    ngx_http_approval_op_number(op, store->conf->retention);
    ngx_http_approval_op_arg(op, requester);
    ngx_http_approval_op_arg(op, policy);
    ngx_http_approval_op_arg(op, call);

    if (grant) {
        ngx_http_approval_op_arg(op, &grant->hash);
        ngx_http_approval_op_number(op, grant->time);
        ngx_http_approval_op_number(op, grant->uses);
        ngx_http_approval_op_arg(op, &grant->doc);
    } else {
        ngx_http_approval_op_text(op, "");
    }

    return ngx_http_approval_op_run(op);
}


/*
 * If the caller has gone, nobody forwards the request.  No lease is added then,
 * so the action is settled as failed when the lease of the script ends.
 */

static void
ngx_http_approval_store_consumed(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_int_t                  rc;
    ngx_http_approval_reply_t  r;

    ngx_http_approval_reply_parse(op, reply, &r);

    rc = (r.rc == NGX_OK) ? ngx_http_approval_replicas_have(op, reply) : NGX_OK;

    if (rc == NGX_AGAIN) {
        ngx_http_approval_reply_free(&r);
        return;
    }

    if (r.rc == NGX_OK && op->handler) {
        ngx_http_approval_lease_add(op->store, op->id);
    }

    if (rc != NGX_OK) {
        r.rc = NGX_ERROR;
        r.unreplicated = 1;
    }

    ngx_http_approval_op_release(op, NGX_HTTP_APPROVAL_KEY_PER, &r.per,
                                 op->id);
    ngx_http_approval_op_end(op, &r);

    ngx_http_approval_reply_free(&r);
}


ngx_http_approval_op_t *
ngx_http_approval_store_leave(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *decision, ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_LEAVE, id,
                                     handler, data);

    ngx_http_approval_op_arg(op, decision);
    ngx_http_approval_op_number(op, store->conf->retention);
    ngx_http_approval_op_text(op, "");

    return ngx_http_approval_op_run(op);
}


ngx_http_approval_op_t *
ngx_http_approval_store_ticket(ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_LEAVE, id,
                                     handler, data);

    ngx_http_approval_op_text(op, "");
    ngx_http_approval_op_text(op, "0");
    ngx_http_approval_op_text(op, "1");

    return ngx_http_approval_op_run(op);
}


ngx_http_approval_op_t *
ngx_http_approval_store_drop(ngx_http_approval_store_t *store, u_char *id,
    ngx_str_t *decision, ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_DROP, id,
                                     handler, data);

    ngx_http_approval_op_arg(op, decision);

    return ngx_http_approval_op_run(op);
}
