
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Creates an action, or joins an open one.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


#define NGX_HTTP_APPROVAL_HEARD_LEN   16
#define NGX_HTTP_APPROVAL_ASK_OTHERS  4      /* arguments, from the end */
#define NGX_HTTP_APPROVAL_ASK_COUNT   2
#define NGX_HTTP_APPROVAL_ASK_HEARD   1


static ngx_int_t ngx_http_approval_store_count_init(
    ngx_http_approval_op_t *op, ngx_http_approval_cap_e cap,
    const ngx_http_approval_cap_t *limit);
static ngx_http_approval_op_t *ngx_http_approval_store_ask(
    ngx_http_approval_store_t *store, const ngx_http_approval_new_t *action,
    ngx_uint_t apart);
static ngx_int_t ngx_http_approval_store_ask_again(ngx_http_approval_op_t *op,
    ngx_str_t *others);
static void ngx_http_approval_store_heard(ngx_http_approval_store_t *store,
    u_char *p);
static ngx_int_t ngx_http_approval_store_count(ngx_http_approval_op_t *op);
static void ngx_http_approval_store_counted(ngx_http_approval_op_t *count,
    redisReply *reply);
static void ngx_http_approval_store_uncount(ngx_http_approval_op_t *op);
static void ngx_http_approval_store_made(ngx_http_approval_op_t *op,
    redisReply *reply);


/* By ngx_http_approval_cap_e. */

static ngx_http_approval_key_e  ngx_http_approval_store_caps[] = {
    NGX_HTTP_APPROVAL_KEY_PER,
    NGX_HTTP_APPROVAL_KEY_PROMPTS
};


/*
 * The create script counts open actions if the counter is in its shard, which
 * is always the case with shards=1.  Other counters need a script each.  These
 * are sent only when it is known that an action will be created, so requests
 * that join one or use a grant are not counted.
 */

ngx_http_approval_op_t *
ngx_http_approval_store_new(ngx_http_approval_store_t *store,
    const ngx_http_approval_new_t *action, ngx_http_approval_store_pt handler,
    void *data)
{
    ngx_uint_t                      apart;
    ngx_http_approval_op_t         *op;
    const ngx_http_approval_cap_t  *pending, *prompts;

    pending = &action->caps[NGX_HTTP_APPROVAL_CAP_PENDING];
    prompts = &action->caps[NGX_HTTP_APPROVAL_CAP_PROMPTS];

    apart = pending->per.len
            && ngx_memcmp(pending->per.data, action->id,
                          NGX_HTTP_APPROVAL_SHARD_LEN)
               != 0;

    op = ngx_http_approval_store_ask(store, action, apart);
    if (op == NULL) {
        return NULL;
    }

    op->handler = handler;
    op->data = data;

    if ((apart
         && ngx_http_approval_store_count_init(op,
                                               NGX_HTTP_APPROVAL_CAP_PENDING,
                                               pending)
            != NGX_OK)
        || (prompts->per.len
            && ngx_http_approval_store_count_init(op,
                                               NGX_HTTP_APPROVAL_CAP_PROMPTS,
                                               prompts)
               != NGX_OK))
    {
        ngx_http_approval_op_free(op);
        return NULL;
    }

    return ngx_http_approval_op_run(op);
}


static ngx_int_t
ngx_http_approval_store_count_init(ngx_http_approval_op_t *op,
    ngx_http_approval_cap_e cap, const ngx_http_approval_cap_t *limit)
{
    ngx_http_approval_op_t  *count;

    count = ngx_http_approval_op_create(op->store,
                                        NGX_HTTP_APPROVAL_SCRIPT_RESERVE, NULL,
                                        NULL, NULL);
    if (count == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(count->id, op->id, APPROVAL_ID_LEN);
    ngx_http_approval_op_shard(count, limit->per.data);

    count->done = ngx_http_approval_store_counted;
    count->cap = cap;

    ngx_http_approval_op_keys(count, ngx_http_approval_store_caps[cap],
                              &limit->per);
    ngx_http_approval_op_number(count, limit->time);
    ngx_http_approval_op_number(count, limit->max);

    op->counts[cap].op = count;
    ngx_memcpy(op->counts[cap].hash, limit->per.data, APPROVAL_ID_LEN);

    return NGX_OK;
}


static ngx_http_approval_op_t *
ngx_http_approval_store_ask(ngx_http_approval_store_t *store,
    const ngx_http_approval_new_t *action, ngx_uint_t apart)
{
    u_char                   heard[NGX_HTTP_APPROVAL_HEARD_LEN + 1];
    ngx_str_t                per, counted, ticket;
    ngx_uint_t               uncounted;
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_CREATE,
                                     action->id, NULL, NULL);
    if (op == NULL) {
        return NULL;
    }

    op->done = ngx_http_approval_store_made;
    op->uses = (action->grant.len != 0);

    per = action->caps[NGX_HTTP_APPROVAL_CAP_PENDING].per;
    uncounted = apart
                || action->caps[NGX_HTTP_APPROVAL_CAP_PROMPTS].per.len != 0;

    ngx_str_null(&counted);

    if (apart) {
        counted = per;
        counted.len = APPROVAL_ID_LEN;
        per.len = 0;
    }

    /* a ticket of another shard belongs to another requester */

    ticket = action->ticket;

    if (ticket.len != APPROVAL_ID_LEN
        || ngx_memcmp(ticket.data, action->id, NGX_HTTP_APPROVAL_SHARD_LEN)
           != 0)
    {
        ticket.len = 0;
    }

    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_FROZEN, NULL, 0);
    ngx_http_approval_op_key(op, NGX_HTTP_APPROVAL_KEY_GRANTS, NULL, 0);
    ngx_http_approval_op_keys(op, NGX_HTTP_APPROVAL_KEY_BY,
                              &action->requester);
    ngx_http_approval_op_keys(op, NGX_HTTP_APPROVAL_KEY_JOIN,
                              &action->join);
    ngx_http_approval_op_keys(op, NGX_HTTP_APPROVAL_KEY_PER, &per);
    ngx_http_approval_op_pairs(op, &action->grant, NGX_HTTP_APPROVAL_KEY_GRANT,
                               NGX_HTTP_APPROVAL_KEY_END);
    ngx_http_approval_op_pairs(op, &action->call, NGX_HTTP_APPROVAL_KEY_ACTION,
                               NGX_HTTP_APPROVAL_KEY_DECISION);
    ngx_http_approval_op_keys(op, NGX_HTTP_APPROVAL_KEY_ACTION, &ticket);

    op->known = op->nkeys;

    ngx_http_approval_op_arg(op, &action->join);
    ngx_http_approval_op_arg(op, &action->requester);
    ngx_http_approval_op_arg(op, &per);
    ngx_http_approval_op_number(op,
                             action->caps[NGX_HTTP_APPROVAL_CAP_PENDING].max);
    ngx_http_approval_op_arg(op, &action->doc);
    ngx_http_approval_op_number(op, action->timeout);
    ngx_http_approval_op_number(op, action->execute_within);
    ngx_http_approval_op_number(op, store->conf->retention);
    ngx_http_approval_op_number(op, action->repeat);
    ngx_http_approval_op_arg(op, &action->grant);
    ngx_http_approval_op_arg(op, &action->policy);
    ngx_http_approval_op_arg(op, &ticket);
    ngx_http_approval_op_arg(op, &action->call);
    ngx_http_approval_op_arg(op, &action->class);
    ngx_http_approval_op_arg(op, &action->class_doc);
    ngx_http_approval_op_text(op, action->frozen ? "frozen" : "");
    ngx_http_approval_op_text(op, "");
    ngx_http_approval_op_arg(op, &counted);
    ngx_http_approval_op_number(op, uncounted);

    ngx_http_approval_store_heard(store, heard);
    ngx_http_approval_op_bytes(op, heard, NGX_HTTP_APPROVAL_HEARD_LEN);

    return op;
}


/*
 * A script's keys must be named in advance, but only Redis knows the ids under
 * the join hashes.  So the script is sent again with the keys of the ids that
 * it returned, and again if they have changed by then.  If "others" is NULL,
 * they have not changed, and everything is counted.
 */

static ngx_int_t
ngx_http_approval_store_ask_again(ngx_http_approval_op_t *op,
    ngx_str_t *others)
{
    u_char          *p, heard[NGX_HTTP_APPROVAL_HEARD_LEN + 1];
    uint32_t         len;
    ngx_int_t        rc;
    ngx_str_t        word;
    ngx_uint_t       i, nkeys, nwords;
    approval_buf_t   words;

    words = op->words;
    nkeys = op->nkeys;
    nwords = op->nwords;

    approval_buf_init(&op->words);
    op->nkeys = 0;
    op->nwords = 0;

    p = words.data;

    for (i = 0; i < nwords; i++) {
        ngx_memcpy(&len, p, sizeof(uint32_t));

        word.data = p + sizeof(uint32_t);
        word.len = len;
        p = word.data + len;

        if (i < op->known || (others == NULL && i < nkeys)) {
            ngx_http_approval_op_arg(op, &word);
            op->nkeys++;
            continue;
        }

        if (i < nkeys) {
            continue;
        }

        if (i == nkeys && others) {
            ngx_http_approval_op_pairs(op, others,
                                       NGX_HTTP_APPROVAL_KEY_ACTION,
                                       NGX_HTTP_APPROVAL_KEY_DECISION);
        }

        if (i == nwords - NGX_HTTP_APPROVAL_ASK_OTHERS && others) {
            word = *others;

        } else if (i == nwords - NGX_HTTP_APPROVAL_ASK_COUNT && !others) {
            ngx_str_set(&word, "0");

        } else if (i == nwords - NGX_HTTP_APPROVAL_ASK_HEARD) {
            word.data = heard;
            ngx_http_approval_store_heard(op->store, heard);
        }

        ngx_http_approval_op_arg(op, &word);
    }

    rc = ngx_http_approval_op_start(op);

    approval_buf_free(&words);

    return rc;
}


/*
 * The deadline of the reply, by Redis' clock.  The script must not create an
 * action after it, because no client would learn about it.  A quarter of the
 * timeout is left for the errors of the clock and of nginx's cached time, and
 * for the way of the reply.
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


/* Sends the next count; after the last one the action is created. */

static ngx_int_t
ngx_http_approval_store_count(ngx_http_approval_op_t *op)
{
    ngx_uint_t               i;
    ngx_http_approval_op_t  *count;

    for (i = 0; i < NGX_HTTP_APPROVAL_CAPS; i++) {

        count = op->counts[i].op;

        if (count == NULL) {
            continue;
        }

        op->counts[i].op = NULL;

        if (ngx_http_approval_op_start(count) != NGX_OK) {
            ngx_http_approval_op_free(count);
            return NGX_ERROR;
        }

        count->next = op;

        return NGX_OK;
    }

    return ngx_http_approval_store_ask_again(op, NULL);
}


static void
ngx_http_approval_store_counted(ngx_http_approval_op_t *count,
    redisReply *reply)
{
    ngx_http_approval_op_t     *op;
    ngx_http_approval_reply_t   r;

    op = count->next;
    count->next = NULL;

    ngx_http_approval_reply_parse(count, reply, &r);

    r.cap = count->cap;
    op->counts[count->cap].counted = (r.rc == NGX_OK);

    if (r.rc == NGX_OK && op->handler
        && ngx_http_approval_store_count(op) == NGX_OK)
    {
        op = NULL;

    } else if (r.rc == NGX_OK) {
        r.rc = NGX_ERROR;
    }

    if (op) {
        ngx_http_approval_store_uncount(op);
        ngx_http_approval_op_end(op, &r);
    }

    ngx_http_approval_reply_free(&r);
    ngx_http_approval_op_free(count);
}


static void
ngx_http_approval_store_uncount(ngx_http_approval_op_t *op)
{
    ngx_str_t   per;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_APPROVAL_CAPS; i++) {

        if (!op->counts[i].counted) {
            continue;
        }

        per.data = op->counts[i].hash;
        per.len = APPROVAL_ID_LEN;

        ngx_http_approval_op_release(op, ngx_http_approval_store_caps[i], &per,
                                     op->id);
    }
}


/*
 * If the reply "late" arrives in time, our estimate of Redis' clock was wrong;
 * the reply has corrected it.
 */

static void
ngx_http_approval_store_made(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_int_t                  rc;
    ngx_uint_t                 late, known, made;
    ngx_http_approval_reply_t  r;

    ngx_http_approval_reply_parse(op, reply, &r);

    if (r.rc == NGX_AGAIN && r.cause == NGX_HTTP_APPROVAL_CAUSE_UNCOUNTED
        && op->handler && ngx_http_approval_store_count(op) == NGX_OK)
    {
        ngx_http_approval_reply_free(&r);
        return;
    }

    late = (r.rc == NGX_DECLINED && r.cause == NGX_HTTP_APPROVAL_CAUSE_LATE);

    if ((late || (r.rc == NGX_AGAIN
                  && r.cause != NGX_HTTP_APPROVAL_CAUSE_UNCOUNTED))
        && op->handler
        && op->tries++ < NGX_HTTP_APPROVAL_STORE_TRIES
        && ngx_http_approval_store_ask_again(op, &r.others) == NGX_OK)
    {
        ngx_http_approval_reply_free(&r);
        return;
    }

    known = (reply && r.rc != NGX_ERROR);

    if (late || r.rc == NGX_AGAIN) {
        r.rc = NGX_ERROR;
    }

    rc = (r.rc == NGX_OK && r.grant.len)
         ? ngx_http_approval_replicas_have(op, reply) : NGX_OK;

    if (rc == NGX_AGAIN) {
        ngx_http_approval_reply_free(&r);
        return;
    }

    /* if the result is unknown, the count ends when its time is over */

    made = (r.rc == NGX_OK && !r.joined && r.grant.len == 0);

    if (known && !made) {
        ngx_http_approval_store_uncount(op);
    }

    if (rc != NGX_OK) {
        r.rc = NGX_ERROR;
        r.unreplicated = 1;
    }

    ngx_http_approval_op_end(op, &r);
    ngx_http_approval_reply_free(&r);
}


ngx_http_approval_op_t *
ngx_http_approval_store_announce(ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_store_pt handler, void *data)
{
    return ngx_http_approval_op_run(
               ngx_http_approval_op_create(store,
                                           NGX_HTTP_APPROVAL_SCRIPT_ANNOUNCE,
                                           id, handler, data));
}


/* The reply is ignored: if the command is lost, a joiner announces it again. */

void
ngx_http_approval_store_announced(ngx_http_approval_store_t *store,
    u_char *id)
{
    ngx_str_t  mark = ngx_string("u");

    ngx_http_approval_store_remove(store, "HDEL", NGX_HTTP_APPROVAL_KEY_ACTION,
                                   id, id, &mark);
}
