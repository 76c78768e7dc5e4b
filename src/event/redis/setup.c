
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Makes a link ready: the commands that are sent on a new connection.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "event/redis/link.h"


static void ngx_http_approval_redis_auth(ngx_http_approval_redis_t *redis,
    ngx_http_approval_redis_conn_t *conn);
static void ngx_http_approval_redis_setup_command(
    ngx_http_approval_redis_t *redis);
static void ngx_http_approval_redis_setup_push(
    ngx_http_approval_redis_t *redis);
static void ngx_http_approval_redis_setup_tracking(
    ngx_http_approval_redis_t *redis);
static void ngx_http_approval_redis_name_handler(void *data,
    redisReply *reply);
static ngx_uint_t ngx_http_approval_redis_refuses(redisReply *reply);
static ngx_uint_t ngx_http_approval_redis_forbids(redisReply *reply);
static void ngx_http_approval_redis_auth_handler(void *data,
    redisReply *reply);
static void ngx_http_approval_redis_select_handler(void *data,
    redisReply *reply);
static void ngx_http_approval_redis_role_handler(void *data,
    redisReply *reply);
static void ngx_http_approval_redis_id_handler(void *data, redisReply *reply);
static void ngx_http_approval_redis_channel_handler(void *data,
    redisReply *reply);
static void ngx_http_approval_redis_subscribe_handler(void *data,
    redisReply *reply);
static void ngx_http_approval_redis_tracking_handler(void *data,
    redisReply *reply);
static void ngx_http_approval_redis_ready_handler(void *data,
    redisReply *reply);
static void ngx_http_approval_redis_untracked(ngx_http_approval_redis_t *redis,
    redisReply *reply);


void
ngx_http_approval_redis_connected(ngx_http_approval_redis_conn_t *conn)
{
    ngx_http_approval_redis_t  *redis;

    redis = conn->data;

    redis->state = NGX_HTTP_APPROVAL_REDIS_SETUP;

    ngx_http_approval_redis_auth(redis, conn);

    if (conn == &redis->push) {
        ngx_http_approval_redis_setup_push(redis);

    } else {
        ngx_http_approval_redis_setup_command(redis);
    }
}


static void
ngx_http_approval_redis_auth(ngx_http_approval_redis_t *redis,
    ngx_http_approval_redis_conn_t *conn)
{
    ngx_uint_t  argc;
    ngx_str_t   argv[3];

    static ngx_str_t  name[] = {
        ngx_http_approval_redis_word("CLIENT"),
        ngx_http_approval_redis_word("SETNAME"),
        ngx_http_approval_redis_word("ngx-approval")
    };

    if (redis->conf->password.len) {
        argc = 0;

        ngx_str_set(&argv[argc], "AUTH");
        argc++;

        if (redis->conf->user.len) {
            argv[argc++] = redis->conf->user;
        }

        argv[argc++] = redis->conf->password;

        ngx_http_approval_redis_send(redis, conn, argc, argv,
                                     ngx_http_approval_redis_auth_handler);
    }

    ngx_http_approval_redis_send(redis, conn, 3, name,
                                 ngx_http_approval_redis_name_handler);
}


static void
ngx_http_approval_redis_setup_command(ngx_http_approval_redis_t *redis)
{
    u_char     db[NGX_INT_T_LEN];
    ngx_str_t  argv[2];

    static ngx_str_t  role = ngx_http_approval_redis_word("ROLE");

    if (redis->conf->db) {
        ngx_str_set(&argv[0], "SELECT");
        argv[1].data = db;
        argv[1].len = ngx_sprintf(db, "%ui", redis->conf->db) - db;

        ngx_http_approval_redis_send(redis, &redis->command, 2, argv,
                                     ngx_http_approval_redis_select_handler);
    }

    ngx_http_approval_redis_send(redis, &redis->command, 1, &role,
                                 ngx_http_approval_redis_role_handler);
}


static void
ngx_http_approval_redis_setup_push(ngx_http_approval_redis_t *redis)
{
    ngx_uint_t  i;
    ngx_str_t   argv[2];

    static ngx_str_t  id[] = {
        ngx_http_approval_redis_word("CLIENT"),
        ngx_http_approval_redis_word("ID")
    };

    static ngx_str_t  subscribe[] = {
        ngx_http_approval_redis_word("SUBSCRIBE"),
        ngx_http_approval_redis_word("__redis__:invalidate")
    };

    ngx_http_approval_redis_send(redis, &redis->push, 2, id,
                                 ngx_http_approval_redis_id_handler);

    /* one command for each channel, so that each has one reply */

    argv[0] = subscribe[0];

    for (i = 0; i < redis->nchannels; i++) {
        argv[1] = redis->channels[i];

        ngx_http_approval_redis_send(redis, &redis->push, 2, argv,
                                     ngx_http_approval_redis_channel_handler);
    }

    ngx_http_approval_redis_send(redis, &redis->push, 2, subscribe,
                                 ngx_http_approval_redis_subscribe_handler);
}


static void
ngx_http_approval_redis_setup_tracking(ngx_http_approval_redis_t *redis)
{
    u_char     id[NGX_INT64_LEN];
    ngx_str_t  argv[6];

    static ngx_str_t  caching[] = {
        ngx_http_approval_redis_word("CLIENT"),
        ngx_http_approval_redis_word("CACHING"),
        ngx_http_approval_redis_word("YES")
    };

    static ngx_str_t  ping = ngx_http_approval_redis_word("PING");

    if (!redis->command_set || !redis->push_set) {
        return;
    }

    if (redis->push_id) {
        redis->tracking = 1;

        ngx_str_set(&argv[0], "CLIENT");
        ngx_str_set(&argv[1], "TRACKING");
        ngx_str_set(&argv[2], "ON");
        ngx_str_set(&argv[3], "REDIRECT");
        argv[4].data = id;
        argv[4].len = ngx_sprintf(id, "%L", (int64_t) redis->push_id) - id;
        ngx_str_set(&argv[5], "OPTIN");

        ngx_http_approval_redis_send(redis, &redis->command, 6, argv,
                                     ngx_http_approval_redis_tracking_handler);

        ngx_http_approval_redis_send(redis, &redis->command, 3, caching,
                                     ngx_http_approval_redis_tracking_handler);
    }

    /* unlike the commands before, PING fails while Redis loads its data */

    ngx_http_approval_redis_send(redis, &redis->command, 1, &ping,
                                 ngx_http_approval_redis_ready_handler);
}


/*
 * An error of CLIENT SETNAME is ignored, because the name is only for people.
 * But this may be the first reply, which can reject the connection.
 */

static void
ngx_http_approval_redis_name_handler(void *data, redisReply *reply)
{
    ngx_http_approval_redis_t  *redis = data;

    if (reply && ngx_http_approval_redis_refuses(reply)) {
        ngx_http_approval_redis_lost(redis, 0,
                                     ngx_http_approval_redis_error(reply)->text);
    }
}


/* Does the error concern the connection, not the command? */

static ngx_uint_t
ngx_http_approval_redis_refuses(redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR
           && (ngx_strncmp(reply->str, "ERR max number of clients", 25) == 0
               || ngx_strncmp(reply->str, "DENIED", 6) == 0);
}


/* Does it concern this command only, so that the link works without it? */

static ngx_uint_t
ngx_http_approval_redis_forbids(redisReply *reply)
{
    return reply->type != REDIS_REPLY_ERROR
           || ngx_strncmp(reply->str, "NOPERM", 6) == 0
           || ngx_strncmp(reply->str, "ERR", 3) == 0;
}


static void
ngx_http_approval_redis_auth_handler(void *data, redisReply *reply)
{
    ngx_http_approval_redis_t  *redis = data;

    const char  *fault;

    if (reply == NULL || reply->type != REDIS_REPLY_ERROR) {
        return;
    }

    fault = ngx_http_approval_redis_error(reply)->text;

    if (ngx_strncmp(reply->str, "ERR", 3) == 0
        && !ngx_http_approval_redis_refuses(reply))
    {
        fault = "it refused AUTH: no password is set in Redis, or it is "
                "older than 6.0 and does not support users";
    }

    ngx_http_approval_redis_lost(redis, 0, fault);
}


static void
ngx_http_approval_redis_select_handler(void *data, redisReply *reply)
{
    ngx_http_approval_redis_t  *redis = data;

    const char  *fault;

    if (reply == NULL || reply->type != REDIS_REPLY_ERROR) {
        return;
    }

    fault = ngx_http_approval_redis_error(reply)->text;

    if (ngx_strncmp(reply->str, "ERR", 3) == 0) {
        fault = "it has no such database: lower the number in approval_redis, "
                "or raise \"databases\" in Redis";
    }

    ngx_http_approval_redis_lost(redis, 0, fault);
}


/*
 * If an ACL forbids ROLE, the link continues; a replica then rejects the first
 * write.
 */

static void
ngx_http_approval_redis_role_handler(void *data, redisReply *reply)
{
    ngx_http_approval_redis_t  *redis = data;

    const char  *fault;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        fault = ngx_http_approval_redis_error(reply)->text;

        if (ngx_strncmp(reply->str, "NOPERM", 6) != 0
            && ngx_strncmp(reply->str, "ERR", 3) != 0)
        {
            ngx_http_approval_redis_lost(redis, 0, fault);
            return;
        }

    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements
               && reply->element[0]->type == REDIS_REPLY_STRING
               && ngx_strcmp(reply->element[0]->str, "master") != 0)
    {
        ngx_http_approval_redis_lost(redis, 0, "READONLY: it is a replica, "
                                               "but approval_redis must be "
                                               "the primary");
        return;
    }

    redis->command_set = 1;

    ngx_http_approval_redis_setup_tracking(redis);
}


static void
ngx_http_approval_redis_id_handler(void *data, redisReply *reply)
{
    ngx_http_approval_redis_t  *redis = data;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_INTEGER) {
        redis->push_id = reply->integer;
        return;
    }

    ngx_http_approval_redis_untracked(redis, reply);
}


static void
ngx_http_approval_redis_channel_handler(void *data, redisReply *reply)
{
    ngx_http_approval_redis_t  *redis = data;

    const char  *fault;

    if (reply == NULL || reply->type == REDIS_REPLY_ARRAY) {
        return;
    }

    fault = ngx_http_approval_redis_error(reply)->text;

    if (!ngx_http_approval_redis_forbids(reply)) {
        ngx_http_approval_redis_lost(redis, 0, fault);
        return;
    }

    if (redis->warned_channel) {
        return;
    }

    redis->warned_channel = 1;

    ngx_log_error(NGX_LOG_WARN, redis->log, 0,
                  "approval_redis \"%V\" refuses a subscription to \"%V\" "
                  "(%s): each decision takes one more round trip; to avoid "
                  "it, give the ACL user the channels \"&PREFIX*\"",
                  &redis->conf->name, &redis->channels[0], fault);
}


static void
ngx_http_approval_redis_subscribe_handler(void *data, redisReply *reply)
{
    ngx_http_approval_redis_t  *redis = data;

    if (reply == NULL) {
        return;
    }

    if (reply->type != REDIS_REPLY_ARRAY) {
        redis->push_id = 0;
        ngx_http_approval_redis_untracked(redis, reply);

        if (redis->state == NGX_HTTP_APPROVAL_REDIS_DOWN) {
            return;
        }
    }

    redis->push_set = 1;

    ngx_http_approval_redis_setup_tracking(redis);
}


static void
ngx_http_approval_redis_tracking_handler(void *data, redisReply *reply)
{
    ngx_http_approval_redis_t  *redis = data;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        redis->tracking = 0;
        ngx_http_approval_redis_untracked(redis, reply);
    }
}


static void
ngx_http_approval_redis_ready_handler(void *data, redisReply *reply)
{
    ngx_http_approval_redis_t  *redis = data;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR
        && ngx_strncmp(reply->str, "NOPERM", 6) != 0)
    {
        ngx_http_approval_redis_lost(redis, 0,
                                     ngx_http_approval_redis_error(reply)->text);
        return;
    }

    if (redis->tracking) {
        redis->warned = 0;
    }

    ngx_http_approval_redis_ready(redis);
}


static void
ngx_http_approval_redis_untracked(ngx_http_approval_redis_t *redis,
    redisReply *reply)
{
    const char  *fault;

    fault = ngx_http_approval_redis_error(reply)->text;

    if (!ngx_http_approval_redis_forbids(reply)) {
        ngx_http_approval_redis_lost(redis, 0, fault);
        return;
    }

    if (redis->warned) {
        return;
    }

    redis->warned = 1;

    ngx_log_error(NGX_LOG_WARN, redis->log, 0,
                  "approval_redis \"%V\" refuses client tracking (%s): the "
                  "gateway polls for decisions; tracking needs Redis 6.2 or "
                  "later, and an ACL user with +client +subscribe "
                  "&__redis__:invalidate", &redis->conf->name, fault);
}
