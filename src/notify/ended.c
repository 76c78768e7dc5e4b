
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The end of an action: it is counted, the channels that were notified of the
 * action get its outcome, and it is recorded.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/notify.h"

#include "audit/audit.h"
#include "model/counters.h"
#include "model/ends.h"
#include "store/store.h"


static void ngx_http_approval_ending_done(void *data,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_ending_decision(
    ngx_http_approval_ending_t *ending, json_t *by, int64_t now,
    approval_buf_t *out);
static void ngx_http_approval_end_lost(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_http_approval_state_e state, json_t *facts);


void
ngx_http_approval_endings_start(ngx_http_approval_main_conf_t *mcf)
{
    ngx_queue_init(&mcf->worker->endings);
}


/* A worker that quits waits for its replies, one that is stopped does not. */

void
ngx_http_approval_endings_stop(ngx_http_approval_main_conf_t *mcf)
{
    ngx_queue_t                 *q;
    ngx_http_approval_ending_t  *ending;

    while (!ngx_queue_empty(&mcf->worker->endings)) {
        q = ngx_queue_head(&mcf->worker->endings);
        ending = ngx_queue_data(q, ngx_http_approval_ending_t, queue);

        json_object_set_new(ending->facts, "why",
                            json_sprintf("the worker was stopped before redis "
                                         "answered whether it is %s",
                             ngx_http_approval_state_name(ending->state)->data));

        (void) ngx_http_approval_audit(mcf, APPROVAL_RECORD_FAULT, ending->id,
                                       json_incref(ending->facts));

        ngx_http_approval_ending_free(ending);
    }
}


ngx_http_approval_ending_t *
ngx_http_approval_ending(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id,
    ngx_http_approval_state_e state, json_t *facts)
{
    json_t                      *told;
    ngx_http_approval_ending_t  *ending;

    /* the facts may be the whole document, with data that no rule declares */

    told = ngx_http_approval_action_disclose(facts,
                                         NGX_HTTP_APPROVAL_DISCLOSE_DECLARED);
    json_decref(facts);

    ending = told ? ngx_calloc(sizeof(ngx_http_approval_ending_t),
                               ngx_cycle->log)
                  : NULL;
    if (ending == NULL) {
        json_decref(told);
        return NULL;
    }

    ending->mcf = mcf;
    ending->rule = rule;
    ending->state = state;
    ending->facts = told;

    ngx_memcpy(ending->id, id, APPROVAL_ID_LEN);

    ngx_queue_insert_tail(&mcf->worker->endings, &ending->queue);

    return ending;
}


void
ngx_http_approval_ending_free(ngx_http_approval_ending_t *ending)
{
    ngx_queue_remove(&ending->queue);

    json_decref(ending->facts);
    json_decref(ending->doc);
    ngx_free(ending);
}


ngx_http_approval_op_t *
ngx_http_approval_ending_settle(ngx_http_approval_ending_t *ending, json_t *by,
    int64_t now, ngx_http_approval_store_pt handler, void *data)
{
    ngx_str_t                value;
    approval_buf_t           decision;
    ngx_http_approval_op_t  *op;

    op = NULL;
    approval_buf_init(&decision);

    if (ngx_http_approval_ending_decision(ending, by, now, &decision)
        == NGX_OK)
    {
        value.data = decision.data;
        value.len = decision.len;

        op = ngx_http_approval_store_settle(ending->mcf->worker->store,
                                            ending->id, ending->state, &value,
                                            handler, data);
    }

    approval_buf_free(&decision);

    return ngx_http_approval_ending_keep(ending, op);
}


/*
 * An action that no approver was notified of ends with its requester, even with
 * "approval_disconnect keep", since a retry would join it and wait in vain.
 */

void
ngx_http_approval_ending_leave(ngx_http_approval_ending_t *ending)
{
    ngx_int_t                rc;
    ngx_str_t                value;
    approval_buf_t           decision;
    ngx_http_approval_op_t  *op;

    if (ending->doc) {
        rc = ngx_http_approval_audit(ending->mcf, APPROVAL_RECORD_REQUESTED,
                                     ending->id,
                          ngx_http_approval_action_disclose(ending->doc,
                                       NGX_HTTP_APPROVAL_DISCLOSE_DECLARED));

        if (rc != NGX_OK) {
            ending->untold = 1;
        }

        if (rc != NGX_ERROR) {
            json_decref(ending->doc);
            ending->doc = NULL;
        }
    }

    if (ending->unannounced && !ending->untold && !ending->closes) {
        ngx_http_approval_announced(ending->mcf, ending->rule, ending->id);
    }

    ngx_str_null(&value);
    approval_buf_init(&decision);

    if ((ending->closes || ending->untold)
        && ngx_http_approval_ending_decision(ending, NULL,
                                             (int64_t) ngx_time() * 1000,
                                             &decision)
           == NGX_OK)
    {
        value.data = decision.data;
        value.len = decision.len;
    }

    op = ngx_http_approval_store_leave(ending->mcf->worker->store, ending->id,
                                       &value, NULL, NULL);

    approval_buf_free(&decision);

    (void) ngx_http_approval_ending_keep(ending, op);
}


static ngx_int_t
ngx_http_approval_ending_decision(ngx_http_approval_ending_t *ending,
    json_t *by, int64_t now, approval_buf_t *out)
{
    return ngx_http_approval_decision_make(ending->mcf, ending->facts,
                            ending->state, by, (time_t) (now / 1000),
                            (time_t) ((now + (int64_t)
                                       ending->mcf->store_conf->retention)
                                      / 1000),
                            out);
}


ngx_http_approval_op_t *
ngx_http_approval_ending_keep(ngx_http_approval_ending_t *ending,
    ngx_http_approval_op_t *op)
{
    if (op) {
        ngx_http_approval_store_keep(op, ngx_http_approval_ending_done, ending);

    } else {
        ngx_http_approval_ending_open(ending);
        ngx_http_approval_ending_free(ending);
    }

    return op;
}


/* If another gateway or worker ended the action first, that one records it. */

static void
ngx_http_approval_ending_done(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_ending_t *ending = data;

    ngx_http_approval_ends_learn(ending->mcf, reply->ends, reply->nends,
                                 reply->now);

    if (reply->rc == NGX_OK && reply->state == ending->state) {

        if (ending->why) {
            json_object_set_new(ending->facts, "why",
                                json_string(ending->why));
        }

        ngx_http_approval_ended(ending->mcf, ending->rule, ending->id,
                                ending->state, reply->now - reply->created,
                                json_incref(ending->facts));
    } else {
        ngx_http_approval_ending_open(ending);
    }

    ngx_http_approval_ending_free(ending);
}


void
ngx_http_approval_ending_open(ngx_http_approval_ending_t *ending)
{
    if (ending->doc) {
        ngx_http_approval_audit_late(ending->mcf, APPROVAL_RECORD_REQUESTED,
                                     ending->id,
                          ngx_http_approval_action_disclose(ending->doc,
                                       NGX_HTTP_APPROVAL_DISCLOSE_DECLARED));
    }
}


ngx_int_t
ngx_http_approval_end(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_reply_t *reply, json_t *doc,
    ngx_http_approval_state_e state, const char *why)
{
    u_char                       id[APPROVAL_ID_LEN];
    ngx_http_approval_ending_t  *ending;

    ngx_memcpy(id, reply->id, APPROVAL_ID_LEN);

    ending = ngx_http_approval_ending(mcf, NULL, id, state, doc);
    if (ending == NULL) {
        return NGX_ERROR;
    }

    ending->why = why;

    return ngx_http_approval_ending_settle(ending, NULL, reply->now, NULL,
                                           NULL)
           ? NGX_OK : NGX_ERROR;
}


void
ngx_http_approval_announced(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id)
{
    ngx_http_approval_count_move(rule,
                             ngx_http_approval_move(NGX_HTTP_APPROVAL_UNKNOWN,
                                                NGX_HTTP_APPROVAL_PENDING), 0);

    ngx_http_approval_store_announced(mcf->worker->store, id);
}


void
ngx_http_approval_ended(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id,
    ngx_http_approval_state_e state, int64_t waited, json_t *facts)
{
    int64_t                          now;
    ngx_str_t                        policy, name;
    const ngx_http_approval_move_t  *move;

    now = ngx_http_approval_store_now(mcf->worker->store);

    /* an approval may be used before its voter's worker hears of it */

    if (state != NGX_HTTP_APPROVAL_APPROVED
        && state != NGX_HTTP_APPROVAL_EXECUTED
        && state != NGX_HTTP_APPROVAL_FAILED
        && ngx_http_approval_end_executed(mcf, id, now))
    {
        ngx_http_approval_end_lost(mcf, id, state, facts);
        return;
    }

    if (rule == NULL) {
        policy = ngx_http_approval_json_get(facts, "policy");
        name = ngx_http_approval_json_get(facts, "rule");

        rule = ngx_http_approval_count_rule(mcf, &policy, &name);
    }

    move = ngx_http_approval_move(NGX_HTTP_APPROVAL_UNKNOWN, state);

    ngx_http_approval_count_move(rule, move, waited);

    ngx_http_approval_end_decided(mcf, rule, id, state, now);

    ngx_http_approval_notify_outcome(mcf, id, state, facts);

    if (move->record == APPROVAL_RECORD_VOTED) {
        json_decref(facts);
        return;
    }

    if (facts == NULL
        || ngx_http_approval_audit(mcf, move->record, id, facts) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "the end of action %*s (%V) could not be written to the "
                      "audit trail",
                      (size_t) APPROVAL_ID_LEN, id,
                      ngx_http_approval_state_name(state));
    }
}


static void
ngx_http_approval_end_lost(ngx_http_approval_main_conf_t *mcf, u_char *id,
    ngx_http_approval_state_e state, json_t *facts)
{
    ngx_str_t  *name;

    name = ngx_http_approval_state_name(state);

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "action %*s was executed, but Redis has lost that and says "
                  "that it is %V",
                  (size_t) APPROVAL_ID_LEN, id, name);

    if (facts) {
        json_object_set_new(facts, "limit", json_string("execution"));
        json_object_set_new(facts, "why",
                            json_sprintf("it was executed, but Redis has lost "
                                         "that and says that it is %.*s",
                                         (int) name->len, name->data));
    }

    (void) ngx_http_approval_audit_often(mcf, APPROVAL_RECORD_FAULT, id, facts);
}
