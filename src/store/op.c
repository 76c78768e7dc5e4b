
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Operations: one run of a script each.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>

#include "store/internal.h"

#include "approval/common.lua.h"
#include "approval/create.lua.h"
#include "approval/load.lua.h"
#include "approval/recent.lua.h"
#include "approval/vote.lua.h"
#include "approval/settle.lua.h"
#include "approval/consume.lua.h"
#include "approval/finish.lua.h"
#include "approval/drop.lua.h"
#include "approval/overdue.lua.h"
#include "approval/renew.lua.h"
#include "approval/list.lua.h"
#include "approval/shadow.lua.h"
#include "approval/leave.lua.h"
#include "approval/give_up.lua.h"
#include "approval/grants.lua.h"
#include "approval/revoke.lua.h"
#include "approval/freeze.lua.h"
#include "approval/thaw.lua.h"
#include "approval/frozen.lua.h"
#include "approval/queue_add.lua.h"
#include "approval/queue_claim.lua.h"
#include "approval/queue_keep.lua.h"
#include "approval/queue_done.lua.h"
#include "approval/queue_outcome.lua.h"
#include "approval/once.lua.h"


static void ngx_http_approval_op_handler(void *data, redisReply *reply);
static void ngx_http_approval_op_done(ngx_http_approval_op_t *op,
    redisReply *reply);


/* by ngx_http_approval_script_e */

static struct {
    const char  *name;
    const char  *text;
} ngx_http_approval_scripts[] = {
    { "create", ngx_http_approval_create_lua },
    { "load", ngx_http_approval_load_lua },
    { "recent", ngx_http_approval_recent_lua },
    { "vote", ngx_http_approval_vote_lua },
    { "settle", ngx_http_approval_settle_lua },
    { "consume", ngx_http_approval_consume_lua },
    { "finish", ngx_http_approval_finish_lua },
    { "drop", ngx_http_approval_drop_lua },
    { "overdue", ngx_http_approval_overdue_lua },
    { "renew", ngx_http_approval_renew_lua },
    { "list", ngx_http_approval_list_lua },
    { "shadow", ngx_http_approval_shadow_lua },
    { "leave", ngx_http_approval_leave_lua },
    { "give_up", ngx_http_approval_give_up_lua },
    { "grants", ngx_http_approval_grants_lua },
    { "revoke", ngx_http_approval_revoke_lua },
    { "freeze", ngx_http_approval_freeze_lua },
    { "thaw", ngx_http_approval_thaw_lua },
    { "frozen", ngx_http_approval_frozen_lua },
    { "queue_add", ngx_http_approval_queue_add_lua },
    { "queue_claim", ngx_http_approval_queue_claim_lua },
    { "queue_keep", ngx_http_approval_queue_keep_lua },
    { "queue_done", ngx_http_approval_queue_done_lua },
    { "queue_outcome", ngx_http_approval_queue_outcome_lua },
    { "once", ngx_http_approval_once_lua }
};


ngx_int_t
ngx_http_approval_scripts_init(ngx_http_approval_store_t *store)
{
    size_t                       len;
    u_char                      *p, sum[20];
    ngx_sha1_t                   sha1;
    ngx_uint_t                   i;
    ngx_http_approval_script_t  *script;

    for (i = 0; i < NGX_HTTP_APPROVAL_SCRIPT_N; i++) {
        script = &store->scripts[i];

        len = ngx_strlen(ngx_http_approval_scripts[i].text);

        p = ngx_alloc(sizeof(ngx_http_approval_common_lua) + len, store->log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        script->name = ngx_http_approval_scripts[i].name;
        script->text.data = p;

        p = ngx_cpymem(p, ngx_http_approval_common_lua,
                       sizeof(ngx_http_approval_common_lua) - 1);
        p = ngx_cpymem(p, ngx_http_approval_scripts[i].text, len);

        script->text.len = p - script->text.data;

        ngx_sha1_init(&sha1);
        ngx_sha1_update(&sha1, script->text.data, script->text.len);
        ngx_sha1_final(sum, &sha1);

        ngx_hex_dump(script->sha1, sum, 20);
    }

    return NGX_OK;
}


void
ngx_http_approval_scripts_done(ngx_http_approval_store_t *store)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_APPROVAL_SCRIPT_N; i++) {
        if (store->scripts[i].text.data) {
            ngx_free(store->scripts[i].text.data);
        }
    }
}


/* Saves the first callers a round trip; NOSCRIPT is provided for anyway. */

void
ngx_http_approval_scripts_load(ngx_http_approval_store_t *store)
{
    ngx_str_t   argv[3];
    ngx_uint_t  i;

    ngx_str_set(&argv[0], "SCRIPT");
    ngx_str_set(&argv[1], "LOAD");

    for (i = 0; i < NGX_HTTP_APPROVAL_SCRIPT_N; i++) {
        argv[2] = store->scripts[i].text;

        (void) ngx_http_approval_redis_command(store->redis, 3, argv, NULL,
                                               NULL);
    }
}


ngx_http_approval_op_t *
ngx_http_approval_op_create(ngx_http_approval_store_t *store,
    ngx_http_approval_script_e script, u_char *id,
    ngx_http_approval_store_pt handler, void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_calloc(sizeof(ngx_http_approval_op_t), store->log);
    if (op == NULL) {
        return NULL;
    }

    op->store = store;
    op->handler = handler;
    op->data = data;
    op->done = ngx_http_approval_op_done;
    op->script = script;

    if (id) {
        ngx_memcpy(op->id, id, APPROVAL_ID_LEN);
    }

    return op;
}


ngx_int_t
ngx_http_approval_op_send(ngx_http_approval_op_t *op, const char *shared,
    ngx_uint_t nargs, ngx_str_t *args)
{
    size_t                       len;
    u_char                      *p;
    ngx_str_t                   *argv;
    ngx_uint_t                   i;
    ngx_http_approval_store_t   *store;
    ngx_http_approval_script_t  *script;

    store = op->store;
    script = &store->scripts[op->script];

    /* a copy, for the case that Redis does not know the script */

    len = (nargs + 6) * sizeof(ngx_str_t);

    len += shared ? store->conf->prefix.len + ngx_strlen(shared)
                  : ngx_http_approval_key_len(store, "");

    for (i = 0; i < nargs; i++) {
        len += args[i].len;
    }

    argv = ngx_alloc(len, store->log);
    if (argv == NULL) {
        return NGX_ERROR;
    }

    if (op->argv) {
        ngx_free(op->argv);
    }

    op->argv = argv;
    op->argc = nargs + 6;
    op->evaluated = 0;

    ngx_str_set(&argv[0], "EVALSHA");
    argv[1].data = script->sha1;
    argv[1].len = sizeof(script->sha1);
    ngx_str_set(&argv[2], "1");

    p = (u_char *) &argv[op->argc];

    argv[3].data = p;

    if (shared) {
        p = ngx_cpymem(p, store->conf->prefix.data, store->conf->prefix.len);
        p = ngx_cpymem(p, shared, ngx_strlen(shared));

    } else {
        p = ngx_http_approval_key(store, p, op->id, "");
    }

    argv[3].len = p - argv[3].data;

    argv[4] = store->conf->prefix;
    argv[5].data = op->id;
    argv[5].len = shared ? 0 : APPROVAL_ID_LEN;

    for (i = 0; i < nargs; i++) {
        argv[6 + i].data = p;
        argv[6 + i].len = args[i].len;

        if (args[i].len) {
            p = ngx_cpymem(p, args[i].data, args[i].len);
        }
    }

    return ngx_http_approval_op_again(op);
}


ngx_int_t
ngx_http_approval_op_again(ngx_http_approval_op_t *op)
{
    return ngx_http_approval_redis_command(op->store->redis, op->argc,
                                           op->argv,
                                           ngx_http_approval_op_handler, op);
}


static void
ngx_http_approval_op_handler(void *data, redisReply *reply)
{
    ngx_http_approval_op_t *op = data;

    if (op->store->closing) {
        ngx_http_approval_op_free(op);
        return;
    }

    if (reply && reply->type == REDIS_REPLY_ERROR && !op->evaluated
        && ngx_strncmp(reply->str, "NOSCRIPT", 8) == 0)
    {
        op->evaluated = 1;

        ngx_str_set(&op->argv[0], "EVAL");
        op->argv[1] = op->store->scripts[op->script].text;

        if (ngx_http_approval_op_again(op) == NGX_OK) {
            return;
        }

        reply = NULL;
    }

    op->done(op, reply);
}


static void
ngx_http_approval_op_done(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_reply_t  r;

    ngx_memcpy(r.id, op->id, APPROVAL_ID_LEN);

    ngx_http_approval_reply_parse(op->store,
                                  op->store->scripts[op->script].name, reply,
                                  &r);

    ngx_http_approval_op_end(op, &r);

    ngx_http_approval_reply_free(&r);
}


void
ngx_http_approval_op_end(ngx_http_approval_op_t *op,
    const ngx_http_approval_reply_t *reply)
{
    if (op->handler) {
        op->handler(op->data, reply);
    }

    ngx_http_approval_op_free(op);
}


void
ngx_http_approval_op_free(ngx_http_approval_op_t *op)
{
    if (op->argv) {
        ngx_free(op->argv);
    }

    ngx_free(op);
}


void
ngx_http_approval_store_forget(ngx_http_approval_op_t *op)
{
    op->handler = NULL;
}


void
ngx_http_approval_store_inherit(ngx_http_approval_op_t *op,
    ngx_http_approval_store_pt handler, void *data)
{
    op->handler = handler;
    op->data = data;
}


size_t
ngx_http_approval_key_len(ngx_http_approval_store_t *store, const char *suffix)
{
    return store->conf->prefix.len + APPROVAL_ID_LEN + 2 + ngx_strlen(suffix);
}


u_char *
ngx_http_approval_key(ngx_http_approval_store_t *store, u_char *p, u_char *id,
    const char *suffix)
{
    p = ngx_cpymem(p, store->conf->prefix.data, store->conf->prefix.len);

    *p++ = '{';
    p = ngx_cpymem(p, id, APPROVAL_ID_LEN);
    *p++ = '}';

    return ngx_cpymem(p, suffix, ngx_strlen(suffix));
}


void
ngx_http_approval_number(ngx_str_t *s, u_char *buf, int64_t n)
{
    s->data = buf;
    s->len = ngx_sprintf(buf, "%L", n) - buf;
}
