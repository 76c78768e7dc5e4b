
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Records the outcomes of approved requests.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"
#include "notify/notify.h"


static ngx_uint_t ngx_http_approval_answered(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);
static ngx_http_approval_again_e ngx_http_approval_outcome_again(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_approval_outcome_whole(ngx_http_request_t *r);
static json_t *ngx_http_approval_outcome_json(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);


/*
 * Runs at the end of the request, before the log phase, so that the access log
 * has $approval_status.
 */

void
ngx_http_approval_outcome(ngx_http_approval_hold_t *hold)
{
    char                       *text;
    json_t                     *outcome, *facts;
    ngx_str_t                   s;
    ngx_http_request_t         *r;
    ngx_http_approval_state_e   state;

    if (!ngx_http_approval_hold_executes(hold)) {
        return;
    }

    /* neither the request nor a subrequest has reached a content handler */

    if (hold->once == NULL) {
        ngx_http_approval_forward_fail(hold, "not forwarded: the request ended "
                                             "before it was executed");
        return;
    }

    r = hold->request;

    state = ngx_http_approval_answered(r, hold) ? NGX_HTTP_APPROVAL_EXECUTED
                                                : NGX_HTTP_APPROVAL_FAILED;

    hold->action.state = state;

    outcome = ngx_http_approval_outcome_json(r, hold);
    text = outcome ? json_dumps(outcome, JSON_COMPACT) : NULL;

    /* without memory the action ends without details */

    s.data = (u_char *) (text ? text : "{}");
    s.len = ngx_strlen(s.data);

    if (hold->mcf->worker->store && hold->grant.len == 0) {
        (void) ngx_http_approval_store_finish(hold->mcf->worker->store,
                                              hold->action.id, state, &s,
                                           ngx_http_approval_outcome_again(r),
                                              NULL, NULL);
    }

    free(text);

    facts = ngx_http_approval_facts(hold);

    if (facts && outcome) {
        json_object_set(facts, "outcome", outcome);
    }

    json_decref(outcome);

    ngx_http_approval_hold_ended(hold, facts);
}


/*
 * Records that the execution has ended; takes the reference to facts.  With a
 * grant the action has already ended, and only this use is recorded.
 */

void
ngx_http_approval_hold_ended(ngx_http_approval_hold_t *hold, json_t *facts)
{
    const ngx_http_approval_move_t  *move;

    if (hold->grant.len == 0) {
        ngx_http_approval_ended(hold->mcf, hold->verdict->rule,
                                hold->action.id, hold->action.state, 0, facts);
        return;
    }

    move = ngx_http_approval_move(NGX_HTTP_APPROVAL_EXECUTING,
                                  hold->action.state);

    if (facts == NULL
        || ngx_http_approval_audit(hold->mcf, move->record, hold->action.id,
                                   facts)
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(hold->request), 0,
                      "the outcome of action %*s could not be written to "
                      "the audit trail",
                      (size_t) APPROVAL_ID_LEN, hold->action.id);
    }
}


/* False if there is no answer of the upstream: its effect is then unknown. */

static ngx_uint_t
ngx_http_approval_answered(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold)
{
    ngx_int_t  status;

    status = ngx_http_approval_once_status(hold);

    if (status != NGX_DECLINED) {
        return status != 0;
    }

    status = ngx_http_approval_progress_status(hold);

    return status != 0 && status != NGX_HTTP_CLIENT_CLOSED_REQUEST;
}


/*
 * REPEAT if the client will probably retry, because it got no complete answer,
 * or because it sent an Idempotency-Key, which is bound.
 */

static ngx_http_approval_again_e
ngx_http_approval_outcome_again(ngx_http_request_t *r)
{
    ngx_str_t  key;

    return !r->request_complete || r->connection->error
           || !ngx_http_approval_outcome_whole(r)
           || ngx_http_approval_header_find(r, "idempotency-key", &key)
           ? NGX_HTTP_APPROVAL_AGAIN_REPEAT : NGX_HTTP_APPROVAL_AGAIN_ANEW;
}


/* False if the upstream's answer ended early; to nginx the request is done. */

static ngx_uint_t
ngx_http_approval_outcome_whole(ngx_http_request_t *r)
{
    ngx_event_pipe_t     *p;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u == NULL || !u->header_sent || u->upgrade || r->header_only) {
        return 1;
    }

    if (!u->buffering) {
        return u->length <= 0;
    }

    p = u->pipe;

    return p->upstream_done || (p->upstream_eof && p->length == -1);
}


static json_t *
ngx_http_approval_outcome_json(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold)
{
    ngx_int_t                   status;
    ngx_uint_t                  i;
    ngx_msec_int_t              ms;
    ngx_http_upstream_state_t  *state;

    status = ngx_http_approval_once_status(hold);
    ms = ngx_max((ngx_msec_int_t) (ngx_current_msec - hold->resumed), 0);

    if (status <= 0) {
        status = ngx_http_approval_progress_status(hold);
    }

    if (status == 0) {
        status = NGX_HTTP_CLIENT_CLOSED_REQUEST;
    }

    if (r->upstream_states == NULL || r->upstream_states->nelts == 0) {
        return json_pack("{s:i, s:I, s:I}", "status", (int) status,
                         "bytes", (json_int_t) r->connection->sent,
                         "ms", (json_int_t) ms);
    }

    /* the last try that chose a server: one that was refused chose none */

    state = r->upstream_states->elts;

    for (i = r->upstream_states->nelts - 1; i && !state[i].peer; i--) {
        /* void */
    }

    state = &state[i];

    return json_pack("{s:i, s:I, s:I, s:o}", "status", (int) status,
                     "bytes", (json_int_t) state->bytes_received,
                     "ms", (json_int_t) ms,
                     "upstream", state->peer
                                 ? ngx_http_approval_json_str(state->peer)
                                 : json_null());
}
