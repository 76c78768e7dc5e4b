
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Operations.  Each one runs a script.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>

#include "store/internal.h"

#include "approval/common.lua.h"
#include "approval/action.lua.h"
#include "approval/create.lua.h"
#include "approval/load.lua.h"
#include "approval/vote.lua.h"
#include "approval/settle.lua.h"
#include "approval/consume.lua.h"
#include "approval/announce.lua.h"
#include "approval/finish.lua.h"
#include "approval/drop.lua.h"
#include "approval/leave.lua.h"
#include "approval/overdue.lua.h"
#include "approval/renew.lua.h"
#include "approval/queue_add.lua.h"
#include "approval/queue_claim.lua.h"
#include "approval/queue_keep.lua.h"
#include "approval/queue_done.lua.h"
#include "approval/queue_outcome.lua.h"
#include "approval/scan.lua.h"
#include "approval/list.lua.h"
#include "approval/by.lua.h"
#include "approval/classes.lua.h"
#include "approval/recent.lua.h"
#include "approval/reserve.lua.h"
#include "approval/give_up.lua.h"
#include "approval/grant.lua.h"
#include "approval/end.lua.h"
#include "approval/revoke.lua.h"
#include "approval/freeze.lua.h"
#include "approval/thaw.lua.h"
#include "approval/frozen.lua.h"
#include "approval/shadow.lua.h"
#include "approval/once.lua.h"
#include "approval/passkey.lua.h"


static void ngx_http_approval_script_life(approval_buf_t *out,
    const char *name);
static void ngx_http_approval_op_handler(void *data, redisReply *reply);
static ngx_int_t ngx_http_approval_op_send(ngx_http_approval_op_t *op);
static void ngx_http_approval_op_close(ngx_http_approval_op_t *op);
static void ngx_http_approval_op_done(ngx_http_approval_op_t *op,
    redisReply *reply);


/* by ngx_http_approval_script_e */

static struct {
    const char  *name;
    const char  *text;
} ngx_http_approval_scripts[] = {
    { "load", ngx_http_approval_load_lua },
    { "vote", ngx_http_approval_vote_lua },
    { "settle", ngx_http_approval_settle_lua },
    { "consume", ngx_http_approval_consume_lua },
    { "leave", ngx_http_approval_leave_lua },
    { "create", ngx_http_approval_create_lua },
    { "announce", ngx_http_approval_announce_lua },
    { "finish", ngx_http_approval_finish_lua },
    { "drop", ngx_http_approval_drop_lua },
    { "overdue", ngx_http_approval_overdue_lua },
    { "renew", ngx_http_approval_renew_lua },
    { "queue_add", ngx_http_approval_queue_add_lua },
    { "queue_claim", ngx_http_approval_queue_claim_lua },
    { "queue_keep", ngx_http_approval_queue_keep_lua },
    { "queue_done", ngx_http_approval_queue_done_lua },
    { "queue_outcome", ngx_http_approval_queue_outcome_lua },
    { "scan", ngx_http_approval_scan_lua },
    { "list", ngx_http_approval_list_lua },
    { "by", ngx_http_approval_by_lua },
    { "classes", ngx_http_approval_classes_lua },
    { "recent", ngx_http_approval_recent_lua },
    { "reserve", ngx_http_approval_reserve_lua },
    { "give_up", ngx_http_approval_give_up_lua },
    { "grant", ngx_http_approval_grant_lua },
    { "end", ngx_http_approval_end_lua },
    { "revoke", ngx_http_approval_revoke_lua },
    { "freeze", ngx_http_approval_freeze_lua },
    { "thaw", ngx_http_approval_thaw_lua },
    { "frozen", ngx_http_approval_frozen_lua },
    { "shadow", ngx_http_approval_shadow_lua },
    { "once", ngx_http_approval_once_lua },
    { "passkey", ngx_http_approval_passkey_lua }
};


ngx_int_t
ngx_http_approval_scripts_init(ngx_http_approval_store_t *store)
{
    u_char                       sum[20];
    ngx_sha1_t                   sha1;
    ngx_uint_t                   i;
    approval_buf_t               text;
    ngx_http_approval_script_t  *script;

    for (i = 0; i < NGX_HTTP_APPROVAL_SCRIPT_N; i++) {
        script = &store->scripts[i];
        script->name = ngx_http_approval_scripts[i].name;

        approval_buf_init(&text);
        approval_buf_adds(&text, ngx_http_approval_common_lua);

        if (i < NGX_HTTP_APPROVAL_SCRIPT_ACTION) {
            ngx_http_approval_script_life(&text, script->name);
            approval_buf_adds(&text, ngx_http_approval_action_lua);
        }

        approval_buf_adds(&text, ngx_http_approval_scripts[i].text);

        if (text.failed) {
            approval_buf_free(&text);
            return NGX_ERROR;
        }

        script->text.data = text.data;
        script->text.len = text.len;

        ngx_sha1_init(&sha1);
        ngx_sha1_update(&sha1, script->text.data, script->text.len);
        ngx_sha1_final(sum, &sha1);

        ngx_hex_dump(script->sha1, sum, 20);
    }

    return NGX_OK;
}


/* model/life.def as Lua tables, with only this script's transitions. */

static void
ngx_http_approval_script_life(approval_buf_t *out, const char *name)
{
    ngx_str_t                       *text;
    ngx_http_approval_state_e        state;
    ngx_http_approval_cause_e        cause;
    const ngx_http_approval_move_t  *move;

    approval_buf_adds(out, "local PLACE = {");

    for (state = 0; state < NGX_HTTP_APPROVAL_UNKNOWN; state++) {
        text = ngx_http_approval_state_name(state);

        approval_buf_printf(out, " %s = '%c',", (char *) text->data,
                            ngx_http_approval_state_place(state));
    }

    approval_buf_adds(out, " }\nlocal LIFE = {");

    for (move = ngx_http_approval_moves; move->by; move++) {
        if (ngx_strcmp(move->by, name) == 0) {
            text = ngx_http_approval_state_name(move->from);

            approval_buf_printf(out, " ['%s %s'] = '%s',",
                       (char *) text->data,
                       (char *) ngx_http_approval_state_name(move->to)->data,
                       move->when);
        }
    }

    approval_buf_adds(out, " }\nlocal WHY = {");

    for (cause = 1; cause < NGX_HTTP_APPROVAL_CAUSES; cause++) {
        approval_buf_printf(out, " %s = %d,",
                            ngx_http_approval_cause_name(cause), (int) cause);
    }

    approval_buf_adds(out, " }\n\n");
}


void
ngx_http_approval_scripts_done(ngx_http_approval_store_t *store)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_APPROVAL_SCRIPT_N; i++) {
        if (store->scripts[i].text.data) {
            free(store->scripts[i].text.data);
        }
    }
}


/* Saves the first callers a round trip; NOSCRIPT is handled anyway. */

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
    ngx_uint_t               i;
    ngx_http_approval_op_t  *op;

    static ngx_http_approval_key_e  keys[] = {
        NGX_HTTP_APPROVAL_KEY_ACTION,
        NGX_HTTP_APPROVAL_KEY_DECISION,
        NGX_HTTP_APPROVAL_KEY_VOTES,
        NGX_HTTP_APPROVAL_KEY_PENDING,
        NGX_HTTP_APPROVAL_KEY_INDEX,
        NGX_HTTP_APPROVAL_KEY_CLASSES
    };

    op = ngx_calloc(sizeof(ngx_http_approval_op_t), store->log);
    if (op == NULL) {
        return NULL;
    }

    op->store = store;
    op->handler = handler;
    op->data = data;
    op->done = ngx_http_approval_op_done;
    op->script = script;

    approval_buf_init(&op->words);

    if (id) {
        ngx_memcpy(op->id, id, APPROVAL_ID_LEN);
        ngx_memcpy(op->shard, id, NGX_HTTP_APPROVAL_SHARD_LEN);
    }

    if (id && script < NGX_HTTP_APPROVAL_SCRIPT_ACTION) {
        for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            ngx_http_approval_op_key(op, keys[i], id, APPROVAL_ID_LEN);
        }

        if (script < NGX_HTTP_APPROVAL_SCRIPT_END) {
            ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_END, id,
                                     APPROVAL_ID_LEN);
        }
    }

    return op;
}


/* A word is its length and its bytes. */

void
ngx_http_approval_op_bytes(ngx_http_approval_op_t *op, const void *data,
    size_t len)
{
    uint32_t  n;

    if (op == NULL) {
        return;
    }

    n = (uint32_t) len;

    approval_buf_add(&op->words, &n, sizeof(uint32_t));
    approval_buf_add(&op->words, data, len);

    op->nwords++;
}


void
ngx_http_approval_op_then(ngx_http_approval_op_t *op,
    ngx_http_approval_op_pt done)
{
    if (op) {
        op->done = done;
    }
}


void
ngx_http_approval_op_shard(ngx_http_approval_op_t *op, const u_char *shard)
{
    if (op) {
        ngx_memcpy(op->shard, shard, NGX_HTTP_APPROVAL_SHARD_LEN);
    }
}


void
ngx_http_approval_op_key(ngx_http_approval_op_t *op,
    ngx_http_approval_key_e key, u_char *name, size_t len)
{
    size_t    at;
    uint32_t  n;

    if (op == NULL) {
        return;
    }

    at = op->words.len;

    ngx_http_approval_op_bytes(op, NULL, 0);
    ngx_http_approval_key(op->store, &op->words, key, op->shard, name, len);

    op->nkeys++;

    if (!op->words.failed) {
        n = (uint32_t) (op->words.len - at - sizeof(uint32_t));
        ngx_memcpy(op->words.data + at, &n, sizeof(uint32_t));
    }
}


void
ngx_http_approval_op_keys(ngx_http_approval_op_t *op,
    ngx_http_approval_key_e key, const ngx_str_t *hashes)
{
    size_t  i;

    for (i = 0; i + APPROVAL_ID_LEN <= hashes->len; i += APPROVAL_ID_LEN + 1) {
        ngx_http_approval_op_key(op, key, hashes->data + i, APPROVAL_ID_LEN);
    }
}


void
ngx_http_approval_op_arg(ngx_http_approval_op_t *op, const ngx_str_t *arg)
{
    ngx_http_approval_op_bytes(op, arg->data, arg->len);
}


void
ngx_http_approval_op_text(ngx_http_approval_op_t *op, const char *arg)
{
    ngx_http_approval_op_bytes(op, arg, ngx_strlen(arg));
}


void
ngx_http_approval_op_number(ngx_http_approval_op_t *op, int64_t n)
{
    u_char  buf[NGX_INT64_LEN];

    ngx_http_approval_op_bytes(op, buf, ngx_sprintf(buf, "%L", n) - buf);
}


/* EVALSHA sha1 numkeys key... id arg... */

ngx_int_t
ngx_http_approval_op_start(ngx_http_approval_op_t *op)
{
    u_char                      *p;
    uint32_t                     len;
    ngx_str_t                   *arg;
    ngx_uint_t                   i;
    ngx_http_approval_script_t  *script;

    script = &op->store->scripts[op->script];

    if (op->argv) {
        ngx_free(op->argv);
    }

    op->argc = op->nwords + 4;
    op->argv = op->words.failed ? NULL
                                : ngx_alloc(op->argc * sizeof(ngx_str_t)
                                            + NGX_INT_T_LEN, op->store->log);
    if (op->argv == NULL) {
        return NGX_ERROR;
    }

    arg = op->argv;

    ngx_str_set(&arg[0], "EVALSHA");
    arg[1].data = script->sha1;
    arg[1].len = sizeof(script->sha1);
    arg[2].data = (u_char *) &op->argv[op->argc];
    arg[2].len = ngx_sprintf(arg[2].data, "%ui", op->nkeys) - arg[2].data;

    arg += 3;
    p = op->words.data;

    for (i = 0; i <= op->nwords; i++) {

        if (i == op->nkeys) {
            arg->data = op->id;
            arg->len = op->id[0] ? APPROVAL_ID_LEN : 0;
            arg++;
        }

        if (i == op->nwords) {
            break;
        }

        ngx_memcpy(&len, p, sizeof(uint32_t));

        arg->data = p + sizeof(uint32_t);
        arg->len = len;
        arg++;

        p += sizeof(uint32_t) + len;
    }

    return ngx_http_approval_op_again(op);
}


ngx_http_approval_op_t *
ngx_http_approval_op_run(ngx_http_approval_op_t *op)
{
    if (op && ngx_http_approval_op_start(op) != NGX_OK) {
        ngx_http_approval_op_free(op);
        return NULL;
    }

    return op;
}


ngx_int_t
ngx_http_approval_op_again(ngx_http_approval_op_t *op)
{
    op->evaluated = 0;

    return ngx_http_approval_op_send(op);
}


static ngx_int_t
ngx_http_approval_op_send(ngx_http_approval_op_t *op)
{
    return ngx_http_approval_redis_command(ngx_http_approval_replicas_link(op),
                                           op->argc, op->argv,
                                           ngx_http_approval_op_handler, op);
}


static void
ngx_http_approval_op_handler(void *data, redisReply *reply)
{
    ngx_http_approval_op_t *op = data;

    if (op->store->closing) {
        ngx_http_approval_op_close(op);
        return;
    }

    if (reply && reply->type == REDIS_REPLY_ERROR && !op->evaluated
        && ngx_strncmp(reply->str, "NOSCRIPT", 8) == 0)
    {
        op->evaluated = 1;

        ngx_str_set(&op->argv[0], "EVAL");
        op->argv[1] = op->store->scripts[op->script].text;

        if (ngx_http_approval_op_send(op) == NGX_OK) {
            return;
        }
    }

    op->done(op, reply);
}


static void
ngx_http_approval_op_done(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_reply_t  r;

    ngx_http_approval_reply_parse(op, reply, &r);

    ngx_http_approval_op_release(op, NGX_HTTP_APPROVAL_KEY_PER, &r.per,
                                 op->id);

    ngx_http_approval_op_end(op, &r);

    ngx_http_approval_reply_free(&r);
}


void
ngx_http_approval_op_end(ngx_http_approval_op_t *op,
    const ngx_http_approval_reply_t *reply)
{
    if (op->keeper) {
        op->keeper(op->kept_for, reply);
    }

    if (op->handler) {
        op->handler(op->data, reply);
    }

    ngx_http_approval_op_free(op);
}


void
ngx_http_approval_op_free(ngx_http_approval_op_t *op)
{
    ngx_uint_t  i;

    if (op->next) {
        ngx_http_approval_op_free(op->next);
    }

    for (i = 0; i < NGX_HTTP_APPROVAL_CAPS; i++) {
        if (op->counts[i].op) {
            ngx_http_approval_op_free(op->counts[i].op);
        }
    }

    if (op->work) {
        ngx_free(op->work);
    }

    if (op->argv) {
        ngx_free(op->argv);
    }

    approval_buf_free(&op->words);
    json_decref(op->seen);

    ngx_free(op);
}


/* The store is being destroyed, so the handler is not called. */

static void
ngx_http_approval_op_close(ngx_http_approval_op_t *op)
{
    ngx_http_approval_op_t  *whole;

    whole = op->whole;

    ngx_http_approval_op_free(op);

    if (whole && --whole->parts == 0) {
        ngx_http_approval_op_free(whole);
    }
}


ngx_http_approval_op_t *
ngx_http_approval_op_part(ngx_http_approval_op_t *op,
    ngx_http_approval_script_e script, u_char *id,
    ngx_http_approval_op_pt done)
{
    ngx_http_approval_op_t  *part;

    part = ngx_http_approval_op_create(op->store, script, id, NULL, NULL);

    if (part == NULL) {
        op->missed++;
        return NULL;
    }

    part->whole = op;
    part->done = done;

    return part;
}


void
ngx_http_approval_op_part_run(ngx_http_approval_op_t *part)
{
    ngx_http_approval_op_t  *op;

    if (part == NULL) {
        return;
    }

    op = part->whole;

    if (ngx_http_approval_op_run(part)) {
        op->parts++;

    } else {
        op->missed++;
    }
}


void
ngx_http_approval_op_part_end(ngx_http_approval_op_t *part)
{
    ngx_http_approval_op_t  *op;

    op = part->whole;

    ngx_http_approval_op_free(part);

    if (--op->parts == 0) {
        op->done(op, NULL);
    }
}


/*
 * Whether one of the shards has already replied with "id", which Redis may have
 * from anybody: what is no id is never new.
 */

ngx_uint_t
ngx_http_approval_op_seen(ngx_http_approval_op_t *op, u_char *id)
{
    char            key[APPROVAL_ID_LEN + 1];
    approval_str_t  text = { APPROVAL_ID_LEN, id };

    if (op->seen == NULL) {
        op->seen = json_object();
    }

    ngx_memcpy(key, id, APPROVAL_ID_LEN);
    key[APPROVAL_ID_LEN] = '\0';

    return !approval_id_valid(text)
           || json_object_get(op->seen, key) != NULL
           || json_object_set_new(op->seen, key, json_null()) != 0;
}


void
ngx_http_approval_op_pairs(ngx_http_approval_op_t *op,
    const ngx_str_t *ids, ngx_http_approval_key_e one,
    ngx_http_approval_key_e two)
{
    size_t   i;
    u_char  *id;

    for (i = 0; i + APPROVAL_ID_LEN <= ids->len; i += APPROVAL_ID_LEN + 1) {
        id = ids->data + i;

        ngx_http_approval_op_key(op, one, id, APPROVAL_ID_LEN);
        ngx_http_approval_op_key(op, two, id, APPROVAL_ID_LEN);
    }
}


void
ngx_http_approval_store_remove(ngx_http_approval_store_t *store,
    const char *command, ngx_http_approval_key_e which, u_char *shard,
    u_char *id, ngx_str_t *member)
{
    ngx_str_t       argv[3];
    approval_buf_t  key;

    approval_buf_init(&key);

    ngx_http_approval_key(store, &key, which, shard, id,
                          id ? APPROVAL_ID_LEN : 0);

    if (!key.failed) {
        argv[0].data = (u_char *) command;
        argv[0].len = ngx_strlen(command);
        argv[1].data = key.data;
        argv[1].len = key.len;
        argv[2] = *member;

        (void) ngx_http_approval_redis_command(store->redis, 3, argv, NULL,
                                               NULL);
    }

    approval_buf_free(&key);
}


/* If it is lost, the counter drops the action when its time is over. */

void
ngx_http_approval_op_release(ngx_http_approval_op_t *op,
    ngx_http_approval_key_e which, ngx_str_t *per, u_char *id)
{
    ngx_str_t  member;

    if (per->len != APPROVAL_ID_LEN) {
        return;
    }

    member.data = id;
    member.len = APPROVAL_ID_LEN;

    ngx_http_approval_store_remove(op->store, "ZREM", which, per->data,
                                   per->data, &member);
}


void
ngx_http_approval_store_forget(ngx_http_approval_op_t *op)
{
    op->handler = NULL;
}


void
ngx_http_approval_store_keep(ngx_http_approval_op_t *op,
    ngx_http_approval_store_pt keeper, void *data)
{
    op->keeper = keeper;
    op->kept_for = data;
}
