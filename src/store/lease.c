
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Actions that this worker took and forwards.  Their leases are renewed until
 * they are finished.  If Redis is unavailable then, their outcomes are stored
 * later.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "store/internal.h"


#define NGX_HTTP_APPROVAL_RENEW  15000


/*
 * Owned by the store, from consume until finish is acknowledged.  sn.str is
 * the id; outcome is set as soon as the action is finished.
 */

struct ngx_http_approval_lease_s {
    ngx_str_node_t                  sn;
    u_char                          id[APPROVAL_ID_LEN];
    ngx_http_approval_state_e       state;
    ngx_str_t                       outcome;
    ngx_http_approval_again_e       again;
    ngx_msec_t                      end;         /* of attempts to store it */

    unsigned                        finished:1;
    unsigned                        sending:1;
};


static ngx_http_approval_lease_t *ngx_http_approval_lease_find(
    ngx_http_approval_store_t *store, u_char *id);
static void ngx_http_approval_lease_del(ngx_http_approval_store_t *store,
    ngx_http_approval_lease_t *lease);
static ngx_http_approval_op_t *ngx_http_approval_lease_finish(
    ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_state_e state, ngx_str_t *outcome,
    ngx_http_approval_again_e again, ngx_http_approval_store_pt handler,
    void *data);
static void ngx_http_approval_lease_finished(ngx_http_approval_op_t *op,
    redisReply *reply);
static void ngx_http_approval_renew_handler(ngx_event_t *ev);
static void ngx_http_approval_renew_send(ngx_http_approval_store_t *store,
    u_char *id);
static void ngx_http_approval_renew_done(ngx_http_approval_op_t *op,
    redisReply *reply);


void
ngx_http_approval_lease_init(ngx_http_approval_store_t *store)
{
    ngx_rbtree_init(&store->leases, &store->leases_sentinel,
                    ngx_str_rbtree_insert_value);

    store->renew.handler = ngx_http_approval_renew_handler;
    store->renew.data = store;
    store->renew.log = store->log;
    store->renew.cancelable = 1;
}


void
ngx_http_approval_lease_done(ngx_http_approval_store_t *store)
{
    ngx_rbtree_node_t  *node;

    if (store->renew.timer_set) {
        ngx_del_timer(&store->renew);
    }

    while (store->leases.root != store->leases.sentinel) {
        node = store->leases.root;
        ngx_http_approval_lease_del(store, (ngx_http_approval_lease_t *) node);
    }
}


void
ngx_http_approval_lease_add(ngx_http_approval_store_t *store, u_char *id)
{
    ngx_http_approval_lease_t  *lease;

    if (ngx_http_approval_lease_find(store, id)) {
        return;
    }

    lease = ngx_calloc(sizeof(ngx_http_approval_lease_t), store->log);
    if (lease == NULL) {
        return;
    }

    ngx_memcpy(lease->id, id, APPROVAL_ID_LEN);

    lease->sn.str.data = lease->id;
    lease->sn.str.len = APPROVAL_ID_LEN;
    lease->sn.node.key = ngx_crc32_short(id, APPROVAL_ID_LEN);

    ngx_rbtree_insert(&store->leases, &lease->sn.node);

    if (!store->renew.timer_set) {
        ngx_add_timer(&store->renew, NGX_HTTP_APPROVAL_RENEW);
    }
}


static ngx_http_approval_lease_t *
ngx_http_approval_lease_find(ngx_http_approval_store_t *store, u_char *id)
{
    ngx_str_t  name;

    name.data = id;
    name.len = APPROVAL_ID_LEN;

    return (ngx_http_approval_lease_t *)
               ngx_str_rbtree_lookup(&store->leases, &name,
                                     ngx_crc32_short(id, APPROVAL_ID_LEN));
}


static void
ngx_http_approval_lease_del(ngx_http_approval_store_t *store,
    ngx_http_approval_lease_t *lease)
{
    ngx_rbtree_delete(&store->leases, &lease->sn.node);

    if (lease->outcome.data) {
        ngx_free(lease->outcome.data);
    }

    ngx_free(lease);
}


ngx_http_approval_op_t *
ngx_http_approval_store_finish(ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_state_e state, ngx_str_t *outcome,
    ngx_http_approval_again_e again, ngx_http_approval_store_pt handler,
    void *data)
{
    ngx_http_approval_op_t     *op;
    ngx_http_approval_lease_t  *lease;

    lease = ngx_http_approval_lease_find(store, id);

    if (lease && !lease->finished) {
        lease->outcome.data = ngx_alloc(outcome->len + 1, store->log);

        if (lease->outcome.data) {
            ngx_memcpy(lease->outcome.data, outcome->data, outcome->len);
            lease->outcome.len = outcome->len;
            lease->state = state;
            lease->again = again;
            lease->end = ngx_current_msec + store->conf->retention;
            lease->finished = 1;

        } else {
            ngx_http_approval_lease_del(store, lease);
            lease = NULL;
        }
    }

    op = ngx_http_approval_lease_finish(store, id, state, outcome, again,
                                        handler, data);

    if (lease) {
        lease->sending = (op != NULL);
    }

    return op;
}


static ngx_http_approval_op_t *
ngx_http_approval_lease_finish(ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_state_e state, ngx_str_t *outcome,
    ngx_http_approval_again_e again, ngx_http_approval_store_pt handler,
    void *data)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_FINISH,
                                     id, handler, data);

    ngx_http_approval_op_then(op, ngx_http_approval_lease_finished);

    ngx_http_approval_op_arg(op, ngx_http_approval_state_name(state));
    ngx_http_approval_op_arg(op, outcome);
    ngx_http_approval_op_number(op, store->conf->retention);
    ngx_http_approval_op_number(op, again);

    return ngx_http_approval_op_run(op);
}


static void
ngx_http_approval_lease_finished(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_lease_t  *lease;
    ngx_http_approval_reply_t   r;

    ngx_http_approval_reply_parse(op, reply, &r);

    lease = ngx_http_approval_lease_find(op->store, op->id);

    if (lease) {
        lease->sending = 0;

        if (r.rc != NGX_ERROR) {
            ngx_http_approval_lease_del(op->store, lease);
        }
    }

    ngx_http_approval_op_end(op, &r);

    ngx_http_approval_reply_free(&r);
}


void
ngx_http_approval_lease_ready(ngx_http_approval_store_t *store)
{
    ngx_rbtree_node_t          *node, *next;
    ngx_http_approval_op_t     *op;
    ngx_http_approval_lease_t  *lease;

    if (store->leases.root == store->leases.sentinel) {
        return;
    }

    for (node = ngx_rbtree_min(store->leases.root, store->leases.sentinel);
         node;
         node = next)
    {
        next = ngx_rbtree_next(&store->leases, node);
        lease = (ngx_http_approval_lease_t *) node;

        if (!lease->finished || lease->sending) {
            continue;
        }

        if ((ngx_msec_int_t) (lease->end - ngx_current_msec) <= 0) {
            ngx_http_approval_lease_del(store, lease);
            continue;
        }

        op = ngx_http_approval_lease_finish(store, lease->id, lease->state,
                                            &lease->outcome, lease->again,
                                            NULL, NULL);
        if (op == NULL) {
            return;
        }

        lease->sending = 1;
    }
}


static void
ngx_http_approval_renew_handler(ngx_event_t *ev)
{
    ngx_rbtree_node_t          *node;
    ngx_http_approval_lease_t  *lease;
    ngx_http_approval_store_t  *store;

    store = ev->data;

    /* no timer in an idle worker: each one slows down all requests */

    if (store->leases.root == store->leases.sentinel) {
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_APPROVAL_RENEW);

    if (!ngx_http_approval_store_ready(store)) {
        return;
    }

    ngx_http_approval_lease_ready(store);

    if (store->leases.root == store->leases.sentinel) {
        return;
    }

    for (node = ngx_rbtree_min(store->leases.root, store->leases.sentinel);
         node;
         node = ngx_rbtree_next(&store->leases, node))
    {
        lease = (ngx_http_approval_lease_t *) node;

        if (!lease->finished) {
            ngx_http_approval_renew_send(store, lease->id);
        }
    }
}


static void
ngx_http_approval_renew_send(ngx_http_approval_store_t *store, u_char *id)
{
    ngx_http_approval_op_t  *op;

    op = ngx_http_approval_op_create(store, NGX_HTTP_APPROVAL_SCRIPT_RENEW,
                                     id, NULL, NULL);

    ngx_http_approval_op_then(op, ngx_http_approval_renew_done);

    ngx_http_approval_op_number(op, NGX_HTTP_APPROVAL_LEASE);
    ngx_http_approval_op_number(op, store->conf->retention);

    (void) ngx_http_approval_op_run(op);
}


static void
ngx_http_approval_renew_done(ngx_http_approval_op_t *op, redisReply *reply)
{
    ngx_http_approval_lease_t  *lease;
    ngx_http_approval_reply_t   r;

    ngx_http_approval_reply_parse(op, reply, &r);

    lease = (r.rc == NGX_DECLINED)
            ? ngx_http_approval_lease_find(op->store, op->id) : NULL;

    if (lease && !lease->finished) {
        ngx_log_error(NGX_LOG_WARN, op->store->log, 0,
                      "the request of action %*s is still running, but Redis "
                      "has lost its "
                      "lease", (size_t) APPROVAL_ID_LEN, lease->id);

        ngx_http_approval_lease_del(op->store, lease);
    }

    ngx_http_approval_reply_free(&r);
    ngx_http_approval_op_free(op);
}
