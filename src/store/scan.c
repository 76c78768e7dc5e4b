
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Finds the members that are due in all shards.  Another script, whose keys are
 * known then, is run for each of them.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


#define NGX_HTTP_APPROVAL_SCAN_MEMBER  64


typedef struct {
    int64_t     score;
    u_char      shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    size_t      len;
    u_char      name[NGX_HTTP_APPROVAL_SCAN_MEMBER];
} ngx_http_approval_scanned_t;


/* op->work */

typedef struct {
    ngx_http_approval_op_pt      done;       /* op's own                  */
    ngx_http_approval_scan_pt    each;
    ngx_http_approval_key_e      key;
    ngx_uint_t                   limit;
    ngx_uint_t                   room;
    ngx_uint_t                   n;
    ngx_http_approval_scanned_t  found[];
} ngx_http_approval_scan_t;


static void ngx_http_approval_scan_part(ngx_http_approval_op_t *part,
    redisReply *reply);
static ngx_int_t ngx_http_approval_scan_add(ngx_http_approval_op_t *part,
    redisReply *reply);
static void ngx_http_approval_scan_each(ngx_http_approval_op_t *op,
    redisReply *reply);
static int ngx_libc_cdecl ngx_http_approval_scan_cmp(const void *one,
    const void *two);


ngx_http_approval_op_t *
ngx_http_approval_scan(ngx_http_approval_op_t *op, ngx_http_approval_key_e key,
    ngx_http_approval_scan_e what, ngx_uint_t limit,
    ngx_http_approval_scan_pt each)
{
    u_char                     shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    ngx_uint_t                 i, room;
    ngx_http_approval_op_t    *part;
    ngx_http_approval_scan_t  *scan;

    if (op == NULL) {
        return NULL;
    }

    room = limit * op->store->conf->shards;

    scan = ngx_alloc(sizeof(ngx_http_approval_scan_t)
                     + room * sizeof(ngx_http_approval_scanned_t),
                     op->store->log);
    if (scan == NULL) {
        goto failed;
    }

    scan->done = op->done;
    scan->each = each;
    scan->key = key;
    scan->limit = limit;
    scan->room = room;
    scan->n = 0;

    op->work = scan;
    op->done = ngx_http_approval_scan_each;

    for (i = 0; i < op->store->conf->shards; i++) {
        part = ngx_http_approval_op_part(op, NGX_HTTP_APPROVAL_SCRIPT_SCAN,
                                         NULL, ngx_http_approval_scan_part);

        ngx_http_approval_shard_name(shard, i);
        ngx_http_approval_op_shard(part, shard);

        ngx_http_approval_op_key(part, key, NULL, 0);
        ngx_http_approval_op_number(part, limit);
        ngx_http_approval_op_text(part, what == NGX_HTTP_APPROVAL_SCAN_AHEAD
                                        ? "ahead" : "due");

        ngx_http_approval_op_part_run(part);
    }

    if (op->parts) {
        return op;
    }

failed:

    ngx_http_approval_op_free(op);

    return NULL;
}


static void
ngx_http_approval_scan_part(ngx_http_approval_op_t *part, redisReply *reply)
{
    if (ngx_http_approval_scan_add(part, reply) != NGX_OK) {
        part->whole->missed++;
    }

    ngx_http_approval_op_part_end(part);
}


/* {"ok", now, {member, score, ...}} */

static ngx_int_t
ngx_http_approval_scan_add(ngx_http_approval_op_t *part, redisReply *reply)
{
    size_t                        i;
    redisReply                   *list, *name, *score;
    ngx_http_approval_scan_t     *scan;
    ngx_http_approval_scanned_t  *found;

    scan = part->whole->work;

    list = ngx_http_approval_reply_inner(part, reply);
    if (list == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i + 1 < list->elements && scan->n < scan->room; i += 2) {
        name = list->element[i];
        score = list->element[i + 1];

        if (name->type != REDIS_REPLY_STRING
            || score->type != REDIS_REPLY_STRING)
        {
            return NGX_ERROR;
        }

        found = &scan->found[scan->n];

        ngx_memcpy(found->shard, part->shard, NGX_HTTP_APPROVAL_SHARD_LEN);

        found->len = name->len;

        if (found->len > NGX_HTTP_APPROVAL_SCAN_MEMBER) {
            ngx_str_t  member;

            member.data = (u_char *) name->str;
            member.len = name->len;

            ngx_http_approval_store_remove(part->store, "ZREM", scan->key,
                                           part->shard, NULL, &member);
            continue;
        }

        ngx_memcpy(found->name, name->str, name->len);
        found->score = ngx_max(ngx_atoof((u_char *) score->str, score->len),
                               0);
        scan->n++;
    }

    return NGX_OK;
}


static void
ngx_http_approval_scan_each(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_str_t                     member;
    ngx_uint_t                    i;
    ngx_http_approval_scan_t     *scan;
    ngx_http_approval_scanned_t  *found;

    scan = op->work;
    op->done = scan->done;

    ngx_qsort(scan->found, scan->n, sizeof(ngx_http_approval_scanned_t),
              ngx_http_approval_scan_cmp);

    for (i = 0; i < scan->n && i < scan->limit; i++) {
        found = &scan->found[i];

        member.data = found->name;
        member.len = found->len;

        scan->each(op, found->shard, &member);
    }

    if (op->parts == 0) {
        op->done(op, NULL);
    }
}


/* Scores that are not integers count as 0, so they come first. */

static int ngx_libc_cdecl
ngx_http_approval_scan_cmp(const void *one, const void *two)
{
    const ngx_http_approval_scanned_t *a = one, *b = two;

    return (a->score > b->score) - (a->score < b->score);
}


ngx_uint_t
ngx_http_approval_scan_found(ngx_http_approval_op_t *op)
{
    ngx_http_approval_scan_t  *scan;

    scan = op->work;

    return scan ? scan->n : 0;
}
