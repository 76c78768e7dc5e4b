
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/change.h"


static void ngx_http_approval_change_done(void *data,
    const ngx_http_approval_reply_t *reply);
static ngx_uint_t ngx_http_approval_change_made(
    ngx_http_approval_change_t *change,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_change_known(ngx_http_approval_change_t *change,
    int64_t now);
static void ngx_http_approval_change_lost(ngx_http_approval_change_t *change,
    const char *why);
static void ngx_http_approval_change_record(ngx_http_approval_change_t *change,
    approval_record_e type, int64_t now);
static void ngx_http_approval_change_free(ngx_http_approval_change_t *change);


void
ngx_http_approval_changes_start(ngx_http_approval_main_conf_t *mcf)
{
    ngx_queue_init(&mcf->worker->changes);
}


void
ngx_http_approval_changes_stop(ngx_http_approval_main_conf_t *mcf)
{
    ngx_queue_t                 *q;
    ngx_http_approval_change_t  *change;

    while (!ngx_queue_empty(&mcf->worker->changes)) {
        q = ngx_queue_head(&mcf->worker->changes);
        change = ngx_queue_data(q, ngx_http_approval_change_t, queue);

        ngx_http_approval_change_lost(change, "the worker was stopped before "
                                              "redis answered whether this "
                                              "is in force");
        ngx_http_approval_change_free(change);
    }
}


ngx_http_approval_change_t *
ngx_http_approval_change(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_end_t *end, const ngx_str_t *ids, json_t *facts)
{
    ngx_http_approval_change_t  *change;

    change = (ids->len <= sizeof(change->ids))
             ? ngx_calloc(sizeof(ngx_http_approval_change_t), ngx_cycle->log)
             : NULL;
    if (change == NULL) {
        json_decref(facts);
        return NULL;
    }

    change->mcf = mcf;
    change->end = *end;
    change->facts = facts;
    change->len = ids->len;

    ngx_memcpy(change->ids, ids->data, ids->len);

    ngx_queue_insert_tail(&mcf->worker->changes, &change->queue);

    return change;
}


ngx_http_approval_op_t *
ngx_http_approval_change_keep(ngx_http_approval_change_t *change,
    ngx_http_approval_op_t *op)
{
    if (op) {
        ngx_http_approval_store_keep(op, ngx_http_approval_change_done, change);

    } else {
        ngx_http_approval_change_free(change);
    }

    return op;
}


static void
ngx_http_approval_change_done(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_change_t *change = data;

    if (ngx_http_approval_change_made(change, reply)) {
        ngx_http_approval_change_known(change, reply->now);
        ngx_http_approval_change_record(change, APPROVAL_RECORD_CONFIG,
                                        reply->now);

    } else if (reply->rc == NGX_ERROR && !reply->answered) {
        ngx_http_approval_change_lost(change, "redis did not answer whether "
                                              "this is in force");
    }

    ngx_http_approval_change_free(change);
}


/* A grant that is gone was ended, too.  A passkey's script says a word. */

static ngx_uint_t
ngx_http_approval_change_made(ngx_http_approval_change_t *change,
    const ngx_http_approval_reply_t *reply)
{
    if (change->end.kind == NGX_HTTP_APPROVAL_END_PASSKEY) {
        return reply->rc == NGX_OK && reply->nvotes == 1
               && approval_str_eq(ngx_http_approval_core_str(&reply->votes[0]),
                                  approval_str("ok"));
    }

    return reply->rc == NGX_OK
           || (reply->rc == NGX_DECLINED
               && change->end.kind == NGX_HTTP_APPROVAL_END_GRANT);
}


static void
ngx_http_approval_change_known(ngx_http_approval_change_t *change, int64_t now)
{
    size_t  i;

    for (i = 0; i + APPROVAL_ID_LEN <= change->len; i += APPROVAL_ID_LEN + 1) {
        ngx_memcpy(change->end.id, change->ids + i, APPROVAL_ID_LEN);

        (void) ngx_http_approval_end_add(change->mcf, &change->end, now);
    }
}


/*
 * Redis may have it.  A revocation stands on this gateway in any case.  Freezes
 * are read again from time to time.
 */

static void
ngx_http_approval_change_lost(ngx_http_approval_change_t *change,
    const char *why)
{
    int64_t  now;

    if (change->facts == NULL) {
        return;
    }

    now = ngx_http_approval_store_now(change->mcf->worker->store);

    if (change->end.kind != NGX_HTTP_APPROVAL_END_FREEZE) {
        ngx_http_approval_change_known(change, now);
    }

    (void) json_object_set_new(change->facts, "why", json_string(why));

    ngx_http_approval_change_record(change, APPROVAL_RECORD_FAULT, now);
}


/* Stopping does not wait for the trail. */

static void
ngx_http_approval_change_record(ngx_http_approval_change_t *change,
    approval_record_e type, int64_t now)
{
    if (change->facts == NULL) {
        return;
    }

    if (json_object_get(change->facts, "store_time") == NULL) {
        (void) json_object_set_new(change->facts, "store_time",
                                   ngx_http_approval_json_time(now));
    }

    ngx_http_approval_audit_late(change->mcf, type, NULL,
                                 json_incref(change->facts));
}


static void
ngx_http_approval_change_free(ngx_http_approval_change_t *change)
{
    ngx_queue_remove(&change->queue);

    json_decref(change->facts);
    ngx_free(change);
}
