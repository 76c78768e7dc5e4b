
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Replies of scripts: {code, now, name, value, ...}, see common.lua.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


static ngx_int_t ngx_http_approval_reply_code(redisReply *reply,
    ngx_http_approval_reply_t *r);
static ngx_int_t ngx_http_approval_reply_pairs(redisReply *reply, size_t i,
    ngx_http_approval_reply_t *r);
static ngx_int_t ngx_http_approval_reply_pair(int name, redisReply *value,
    ngx_http_approval_reply_t *r);
static ngx_int_t ngx_http_approval_reply_list(redisReply *value,
    ngx_str_t **list, ngx_uint_t *n);
static void ngx_http_approval_reply_clear(ngx_http_approval_op_t *op,
    ngx_http_approval_reply_t *r);
static void ngx_http_approval_reply_invalid(ngx_http_approval_op_t *op,
    ngx_http_approval_reply_t *r);
static void ngx_http_approval_reply_refused(ngx_http_approval_op_t *op,
    redisReply *reply);


static struct {
    const char  *code;
    ngx_int_t    rc;
} ngx_http_approval_reply_codes[] = {
    { "ok", NGX_OK },
    { "no", NGX_DECLINED },
    { "again", NGX_AGAIN },
    { "busy", NGX_BUSY },
    { NULL, 0 }
};


void
ngx_http_approval_reply_parse(ngx_http_approval_op_t *op, redisReply *reply,
    ngx_http_approval_reply_t *r)
{
    ngx_http_approval_reply_clear(op, r);

    if (reply == NULL) {
        op->store->errors++;
        return;
    }

    r->answered = 1;

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_http_approval_reply_refused(op, reply);
        return;
    }

    if (ngx_http_approval_reply_code(reply, r) != NGX_OK
        || ngx_http_approval_reply_pairs(reply, 2, r) != NGX_OK
        || (r->rc == NGX_OK && r->state == NGX_HTTP_APPROVAL_UNKNOWN))
    {
        ngx_http_approval_reply_invalid(op, r);
        return;
    }

    ngx_http_approval_reply_clock(op->store, r->now);
}


/*
 * A reply is as old as its way was long, so the largest difference is the most
 * accurate.  Smaller ones have a small weight, to follow a clock that was set
 * back.
 */

void
ngx_http_approval_reply_clock(ngx_http_approval_store_t *store, int64_t now)
{
    int64_t  clock;

    clock = now - (int64_t) ngx_current_msec;

    if (store->clock == 0 || clock > store->clock) {
        store->clock = clock;

    } else {
        store->clock -= (store->clock - clock) / 64;
    }
}


ngx_int_t
ngx_http_approval_reply_entry(ngx_http_approval_op_t *op, redisReply *entry,
    int64_t now, ngx_http_approval_reply_t *r)
{
    ngx_http_approval_reply_clear(op, r);

    ngx_memzero(r->id, APPROVAL_ID_LEN);

    r->rc = NGX_OK;
    r->now = now;

    if (ngx_http_approval_reply_pairs(entry, 0, r) != NGX_OK
        || r->state == NGX_HTTP_APPROVAL_UNKNOWN
        || r->id[0] == '\0')
    {
        ngx_http_approval_reply_invalid(op, r);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_approval_reply_free(ngx_http_approval_reply_t *r)
{
    if (r->votes) {
        ngx_free(r->votes);
        r->votes = NULL;
    }

    if (r->ends) {
        ngx_free(r->ends);
        r->ends = NULL;
    }
}


static void
ngx_http_approval_reply_clear(ngx_http_approval_op_t *op,
    ngx_http_approval_reply_t *r)
{
    ngx_memzero(r, sizeof(ngx_http_approval_reply_t));

    r->rc = NGX_ERROR;
    r->state = NGX_HTTP_APPROVAL_UNKNOWN;
    ngx_memcpy(r->id, op->id, APPROVAL_ID_LEN);
}


static ngx_int_t
ngx_http_approval_reply_code(redisReply *reply, ngx_http_approval_reply_t *r)
{
    ngx_uint_t   i;
    redisReply  *code;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2) {
        return NGX_ERROR;
    }

    code = reply->element[0];

    if (code->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_INTEGER)
    {
        return NGX_ERROR;
    }

    r->now = reply->element[1]->integer;

    for (i = 0; ngx_http_approval_reply_codes[i].code; i++) {
        if (ngx_strcmp(code->str, ngx_http_approval_reply_codes[i].code)
            == 0)
        {
            r->rc = ngx_http_approval_reply_codes[i].rc;
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_reply_pairs(redisReply *reply, size_t i,
    ngx_http_approval_reply_t *r)
{
    redisReply  *name;

    if (reply->type != REDIS_REPLY_ARRAY) {
        return NGX_ERROR;
    }

    for ( /* void */ ; i + 1 < reply->elements; i += 2) {
        name = reply->element[i];

        if (name->type != REDIS_REPLY_STRING || name->len != 1
            || ngx_http_approval_reply_pair(name->str[0],
                                            reply->element[i + 1], r)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_reply_pair(int name, redisReply *value,
    ngx_http_approval_reply_t *r)
{
    int64_t    n;
    ngx_str_t  text;

    n = 0;
    ngx_str_null(&text);

    if (value->type == REDIS_REPLY_STRING) {
        text.data = (u_char *) value->str;
        text.len = value->len;

    } else if (value->type == REDIS_REPLY_INTEGER) {
        n = value->integer;

    } else if (name == 'V') {
        return ngx_http_approval_reply_list(value, &r->votes, &r->nvotes);

    } else if (name == 'L') {
        return ngx_http_approval_reply_list(value, &r->ends, &r->nends);

    } else {
        return NGX_ERROR;
    }

    switch (name) {

    case 's':
        r->state = ngx_http_approval_state_parse(&text);
        break;

    case 'c':
        r->created = n;
        break;

    case 'x':
        r->expires = n;
        break;

    case 'd':
        r->decided = n;
        break;

    case 'r':
        r->recent = (ngx_uint_t) n;
        break;

    case 'j':
        r->joined = (n != 0);
        break;

    case 'a':
        r->unannounced = (n != 0);
        break;

    case 'k':
        r->told = (ngx_uint_t) n;
        break;

    case 'f':
        r->untold = (ngx_uint_t) n;
        break;

    case 'h':
        r->absent = (n < 0);
        break;

    case 'G':
        if (text.len != APPROVAL_ID_LEN) {
            return NGX_ERROR;
        }

        r->grant = text;
        break;

    case 'u':
        r->used = (ngx_uint_t) n;
        break;

    case 'w':
        if (n <= NGX_HTTP_APPROVAL_CAUSE_NONE || n >= NGX_HTTP_APPROVAL_CAUSES)
        {
            return NGX_ERROR;
        }

        r->cause = n;
        break;

    case 'O':
        r->others = text;
        break;

    case 'p':
        r->per = text;
        break;

    case 'b':
        r->doc = text;
        break;

    case 'o':
        r->outcome = text;
        break;

    case 'D':
        r->decision = text;
        break;

    case 'i':
        if (text.len != APPROVAL_ID_LEN) {
            return NGX_ERROR;
        }

        ngx_memcpy(r->id, text.data, APPROVAL_ID_LEN);
        break;

    default:
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_reply_list(redisReply *value, ngx_str_t **list,
    ngx_uint_t *n)
{
    size_t  i;

    if (value->type != REDIS_REPLY_ARRAY || *list) {
        return NGX_ERROR;
    }

    if (value->elements == 0) {
        return NGX_OK;
    }

    *list = ngx_alloc(value->elements * sizeof(ngx_str_t), ngx_cycle->log);
    if (*list == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < value->elements; i++) {
        if (value->element[i]->type != REDIS_REPLY_STRING) {
            return NGX_ERROR;
        }

        (*list)[i].data = (u_char *) value->element[i]->str;
        (*list)[i].len = value->element[i]->len;
    }

    *n = value->elements;

    return NGX_OK;
}


static void
ngx_http_approval_reply_invalid(ngx_http_approval_op_t *op,
    ngx_http_approval_reply_t *r)
{
    ngx_uint_t                  kind;
    ngx_http_approval_store_t  *store;

    kind = NGX_HTTP_APPROVAL_STORE_KINDS - 1;
    store = op->store;
    store->errors++;

    ngx_http_approval_reply_free(r);
    ngx_http_approval_reply_clear(op, r);

    if (store->logged[kind] == ngx_time()) {
        return;
    }

    store->logged[kind] = ngx_time();

    ngx_log_error(NGX_LOG_ERR, store->log, 0,
                  "approval_redis \"%V\": the values that \"%s\" returns are "
                  "not the gateway's: another program writes keys under the "
                  "prefix \"%V\", or gateways of different versions share it",
                  &store->conf->redis.name, store->scripts[op->script].name,
                  &store->conf->prefix);
}


void
ngx_http_approval_reply_texts(ngx_http_approval_op_t *op, redisReply *reply,
    ngx_http_approval_reply_t *r)
{
    ngx_http_approval_reply_clear(op, r);

    r->answered = (reply != NULL);

    if (reply == NULL) {
        op->store->errors++;

    } else if (reply->type == REDIS_REPLY_ERROR) {
        ngx_http_approval_reply_refused(op, reply);

    } else if ((op->handler || op->keeper)
               && ngx_http_approval_reply_list(reply, &r->votes, &r->nvotes)
                  == NGX_OK)
    {
        r->rc = NGX_OK;
    }
}


ngx_int_t
ngx_http_approval_reply_ok(ngx_http_approval_op_t *op, redisReply *reply)
{
    if (reply == NULL) {
        return NGX_ERROR;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_http_approval_reply_refused(op, reply);
        return NGX_ERROR;
    }

    return (reply->type == REDIS_REPLY_ARRAY
            && reply->elements >= 2
            && reply->element[0]->type == REDIS_REPLY_STRING
            && ngx_strcmp(reply->element[0]->str, "ok") == 0
            && reply->element[1]->type == REDIS_REPLY_INTEGER)
           ? NGX_OK : NGX_ERROR;
}


redisReply *
ngx_http_approval_reply_inner(ngx_http_approval_op_t *op, redisReply *reply)
{
    return (ngx_http_approval_reply_ok(op, reply) == NGX_OK
            && reply->elements == 3
            && reply->element[2]->type == REDIS_REPLY_ARRAY)
           ? reply->element[2] : NULL;
}


static void
ngx_http_approval_reply_refused(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_reply_error(op->store,
                                  op->store->scripts[op->script].name, reply);
}


/* Logged once a second for each kind. */

void
ngx_http_approval_reply_error(ngx_http_approval_store_t *store,
    const char *what, redisReply *reply)
{
    size_t                                  len;
    time_t                                 *logged;
    const ngx_http_approval_redis_error_t  *error;

    store->errors++;

    error = ngx_http_approval_redis_error(reply);

    if (error->word && ngx_strcmp(error->word, "NOPERM") == 0) {
        store->forbidden = ngx_time();
    }

    logged = &store->logged[error - ngx_http_approval_redis_errors];

    if (*logged == ngx_time()) {
        return;
    }

    *logged = ngx_time();

    if (error->word) {
        ngx_log_error(NGX_LOG_ERR, store->log, 0,
                      "approval_redis \"%V\" refused \"%s\": %s",
                      &store->conf->redis.name, what, error->text);
        return;
    }

    len = ngx_min(reply->len, 200);

    ngx_log_error(NGX_LOG_ERR, store->log, 0,
                  "approval_redis \"%V\" refused \"%s\": \"%*s\"",
                  &store->conf->redis.name, what, len, reply->str);
}
