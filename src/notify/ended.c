
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


/* An action that no request here holds; lives until the store has replied. */

typedef struct {
    ngx_http_approval_main_conf_t   *mcf;
    json_t                          *doc;
    const char                      *why;
    ngx_http_approval_state_e        state;
    u_char                           id[APPROVAL_ID_LEN];
} ngx_http_approval_ending_t;


static void ngx_http_approval_end_settled(void *data,
    const ngx_http_approval_reply_t *reply);
static ngx_uint_t ngx_http_approval_end_executed(
    ngx_http_approval_main_conf_t *mcf, u_char *id, int64_t now);
static void ngx_http_approval_end_lost(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_http_approval_state_e state, json_t *facts);


ngx_int_t
ngx_http_approval_end(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_reply_t *reply, json_t *doc,
    ngx_http_approval_state_e state, const char *why)
{
    time_t                       now;
    ngx_str_t                    value;
    approval_buf_t               decision;
    ngx_http_approval_op_t      *op;
    ngx_http_approval_ending_t  *end;

    end = ngx_alloc(sizeof(ngx_http_approval_ending_t), ngx_cycle->log);
    if (end == NULL) {
        json_decref(doc);
        return NGX_ERROR;
    }

    end->mcf = mcf;
    end->doc = doc;
    end->why = why;
    end->state = state;

    ngx_memcpy(end->id, reply->id, APPROVAL_ID_LEN);

    now = (time_t) (reply->now / 1000);
    op = NULL;

    approval_buf_init(&decision);

    if (ngx_http_approval_decision_make(mcf, doc, state, NULL, now,
                                        now + mcf->store_conf->retention
                                              / 1000,
                                        &decision)
        == NGX_OK)
    {
        value.data = decision.data;
        value.len = decision.len;

        op = ngx_http_approval_store_settle(mcf->worker->store, end->id, state,
                                            &value,
                                            ngx_http_approval_end_settled, end);
    }

    approval_buf_free(&decision);

    if (op == NULL) {
        json_decref(doc);
        ngx_free(end);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* If another gateway or worker ended the action first, that one records it. */

static void
ngx_http_approval_end_settled(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_ending_t *end = data;

    if (reply->rc == NGX_OK) {
        json_object_set_new(end->doc, "why", json_string(end->why));

        (void) ngx_http_approval_ended(end->mcf, NULL, end->id, end->state, 0,
                                       end->doc);
    } else {
        json_decref(end->doc);
    }

    ngx_free(end);
}


ngx_int_t
ngx_http_approval_ended(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id,
    ngx_http_approval_state_e state, int64_t waited, json_t *facts)
{
    int64_t                          now;
    ngx_str_t                        policy, name;
    const ngx_http_approval_move_t  *move;

    now = ngx_http_approval_store_now(mcf->worker->store);

    if (state != NGX_HTTP_APPROVAL_EXECUTED
        && state != NGX_HTTP_APPROVAL_FAILED
        && ngx_http_approval_end_executed(mcf, id, now))
    {
        ngx_http_approval_end_lost(mcf, id, state, facts);
        return NGX_DECLINED;
    }

    if (rule == NULL) {
        policy = ngx_http_approval_json_get(facts, "policy");
        name = ngx_http_approval_json_get(facts, "rule");

        rule = ngx_http_approval_count_rule(mcf, &policy, &name);
    }

    move = ngx_http_approval_move(NGX_HTTP_APPROVAL_UNKNOWN, state);

    if (state == NGX_HTTP_APPROVAL_DENIED) {
        ngx_http_approval_count_decision(rule, move->counter, waited);

    } else {
        ngx_http_approval_count(rule, move->counter);
    }

    ngx_http_approval_end_decided(mcf, rule, id, state, now);

    ngx_http_approval_notify_outcome(mcf, id, state, facts);

    if (facts == NULL
        || ngx_http_approval_audit(mcf, move->record, id, facts) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "the end of action %*s (%V) is not in the audit trail",
                      (size_t) APPROVAL_ID_LEN, id,
                      ngx_http_approval_state_name(state));
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_approval_end_executed(ngx_http_approval_main_conf_t *mcf, u_char *id,
    int64_t now)
{
    ngx_http_approval_end_t  end;

    end.kind = NGX_HTTP_APPROVAL_END_ACTION;
    ngx_memcpy(end.id, id, APPROVAL_ID_LEN);

    return ngx_http_approval_end_find(mcf, &end, now) == NGX_OK
           && end.state != NGX_HTTP_APPROVAL_DENIED
           && end.state != NGX_HTTP_APPROVAL_CANCELLED;
}


static void
ngx_http_approval_end_lost(ngx_http_approval_main_conf_t *mcf, u_char *id,
    ngx_http_approval_state_e state, json_t *facts)
{
    ngx_str_t  *name;

    name = ngx_http_approval_state_name(state);

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "action %*s was executed before: the store had lost that, "
                  "and says that it is %V",
                  (size_t) APPROVAL_ID_LEN, id, name);

    if (facts) {
        json_object_set_new(facts, "limit", json_string("execution"));
        json_object_set_new(facts, "why",
                            json_sprintf("executed before: the store had lost "
                                         "that, and says that it is %.*s",
                                         (int) name->len, name->data));
    }

    (void) ngx_http_approval_audit_often(mcf, APPROVAL_RECORD_FAULT, id, facts);
}
