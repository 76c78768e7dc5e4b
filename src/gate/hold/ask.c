
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Makes an action of the request: identify, digest, describe, store.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "event/turn.h"


#define NGX_HTTP_APPROVAL_ASK_SLACK  5       /* operations that may queue */


static ngx_int_t ngx_http_approval_ask_describe(
    ngx_http_approval_hold_t *hold, ngx_http_approval_find_t *find,
    ngx_http_approval_new_t *new);
static ngx_int_t ngx_http_approval_ask_deadline(
    ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_ask_end(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal);


/* Called when a rule requires approvals and the body was read. */

ngx_int_t
ngx_http_approval_hold_start(ngx_http_approval_hold_t *hold)
{
    ngx_int_t  rc;

    rc = ngx_http_approval_identify_hold(hold);

    if (rc == NGX_DECLINED) {
        hold->why = hold->verdict->why;
        return ngx_http_approval_ask_end(hold, hold->verdict->refusal);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_approval_bind(hold);
    }

    if (rc == NGX_ERROR) {
        return ngx_http_approval_ask_end(hold,
                                         NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_approval_ask_store(hold);

        if (rc != NGX_AGAIN) {
            return rc;
        }
    }

    return (ngx_http_approval_hold_suspend(hold) == NGX_OK)
           ? NGX_AGAIN : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* Digests the next slice of a large body; after the last one, stores. */

void
ngx_http_approval_ask_digest(ngx_http_approval_hold_t *hold)
{
    ngx_int_t  rc;

    rc = ngx_http_approval_turn_over() ? NGX_AGAIN
                                       : ngx_http_approval_body_digest(hold);

    if (rc == NGX_AGAIN) {
        ngx_http_approval_turn_next(&hold->wait.event);

    } else if (rc == NGX_OK) {
        (void) ngx_http_approval_ask_store(hold);

    } else {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
    }
}


/*
 * Returns NGX_AGAIN, or the phase handler's return code if the request is not
 * stored.  The document is sealed here and kept until the store has answered.
 */

ngx_int_t
ngx_http_approval_ask_store(ngx_http_approval_hold_t *hold)
{
    int64_t                     now;
    approval_buf_t              doc;
    ngx_http_approval_new_t     new;
    ngx_http_approval_find_t    find;
    ngx_http_approval_store_t  *store;

    store = hold->mcf->worker->store;
    now = store ? ngx_http_approval_store_now(store) : 0;

    ngx_memzero(&new, sizeof(ngx_http_approval_new_t));
    approval_buf_init(&doc);

    if (ngx_http_approval_ask_describe(hold, &find, &new) != NGX_OK
        || ngx_http_approval_action_seal(hold->mcf, hold->action.doc, &doc)
           != NGX_OK)
    {
        approval_buf_free(&doc);
        return ngx_http_approval_ask_end(hold,
                                         NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
    }

    if (new.grant.len
        && ngx_http_approval_limit_room(hold, NGX_HTTP_APPROVAL_END_GRANT,
                                        &new.grant, now)
           != NGX_OK)
    {
        approval_buf_free(&doc);
        return ngx_http_approval_ask_end(hold,
                                         NGX_HTTP_APPROVAL_REFUSE_STORE);
    }

    new.doc.data = doc.data;
    new.doc.len = doc.len;
    new.frozen = ngx_http_approval_limit_frozen(hold, now);

    /* if frozen, the body is kept: this may have to be done again */

    if (!new.frozen) {
        ngx_http_approval_body_done(hold);
    }

    hold->state = NGX_HTTP_APPROVAL_HOLD_STORE;

    hold->wait.op = store ? ngx_http_approval_store_new(store, &new,
                                           ngx_http_approval_hold_reply, hold)
                          : NULL;

    approval_buf_free(&doc);

    if (hold->wait.op) {
        return NGX_AGAIN;
    }

    /* clients can use up memory, or the room for output to Redis */

    if (store && !ngx_http_approval_store_down(store)) {
        return ngx_http_approval_ask_end(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
    }

    return ngx_http_approval_ask_no_store(hold);
}


static ngx_int_t
ngx_http_approval_ask_describe(ngx_http_approval_hold_t *hold,
    ngx_http_approval_find_t *find, ngx_http_approval_new_t *new)
{
    if (ngx_http_approval_find_id(hold) != NGX_OK
        || (hold->verdict->remember.len
            && ngx_http_approval_grant_hashes(hold, find->grant, &new->grant)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    ngx_http_approval_hold_recorded(hold);
    hold->action.doc = ngx_http_approval_describe(hold);

    if (hold->action.doc == NULL
        || ngx_http_approval_ask_deadline(hold) != NGX_OK
        || ngx_http_approval_find_new(hold, find, new) != NGX_OK
        || ngx_http_approval_rpc_keep(hold) != NGX_OK
        || ngx_http_approval_call_name(hold, find->call, &new->call) != NGX_OK
        || ngx_http_approval_progress_wanted(hold) != NGX_OK)
    {
        return NGX_ERROR;
    }

    new->id = hold->action.id;
    new->timeout = hold->verdict->rule->timeout;
    new->execute_within = hold->verdict->rule->execute_within;
    new->repeat = hold->lcf->repeat;
    new->ticket = ngx_http_approval_ticket(hold->request);
    new->class = hold->verdict->rule->class;
    new->class_doc = hold->verdict->rule->class_doc;

    return NGX_OK;
}


/*
 * Adds a deadline, by the last known time of Redis, to the document that is
 * sealed.  The store's own deadline is earlier, by as long as an operation may
 * take, and is the one that counts, unless somebody changes it in Redis.
 */

static ngx_int_t
ngx_http_approval_ask_deadline(ngx_http_approval_hold_t *hold)
{
    int64_t                          now;
    ngx_http_approval_store_t       *store;
    ngx_http_approval_store_conf_t  *conf;

    conf = hold->mcf->store_conf;
    store = hold->mcf->worker->store;
    now = store ? ngx_http_approval_store_now(store) : 0;

    if (now == 0) {
        return NGX_OK;
    }

    now += (int64_t) hold->verdict->rule->timeout
           + NGX_HTTP_APPROVAL_ASK_SLACK * (int64_t) conf->redis.timeout;

    return json_object_set_new(hold->action.doc, "deadline",
                               ngx_http_approval_json_time(now));
}


/*
 * Redis is unavailable: refuses with 503, or records the request and passes it
 * if approval_store_failure is "allow".
 */

ngx_int_t
ngx_http_approval_ask_no_store(ngx_http_approval_hold_t *hold)
{
    json_t  *facts;

    if (hold->lcf->store_failure != NGX_HTTP_APPROVAL_STORE_ALLOW) {
        return ngx_http_approval_ask_end(hold,
                                          NGX_HTTP_APPROVAL_REFUSE_STORE);
    }

    ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(hold->request), 0,
                  "request passed without approval, because the store is "
                  "unavailable and \"approval_store_failure\" is \"allow\"");

    facts = ngx_http_approval_facts(hold);

    if (facts) {
        (void) ngx_http_approval_facts_brief(hold->request, hold->lcf,
                                             hold->verdict->rule, facts);
        json_object_set_new(facts, "why",
                            json_string("the store is unavailable: passed by "
                                        "approval_store_failure"));
    }

    if (facts == NULL
        || ngx_http_approval_audit(hold->mcf, APPROVAL_RECORD_FAULT, NULL,
                                   facts)
           != NGX_OK)
    {
        return ngx_http_approval_ask_end(hold,
                                          NGX_HTTP_APPROVAL_REFUSE_AUDIT);
    }

    hold->action.origin = NGX_HTTP_APPROVAL_ACTION_UNSTORED;

    ngx_http_approval_count(hold->verdict->rule,
                            NGX_HTTP_APPROVAL_COUNT_UNSTORED);

    if (hold->queue.next) {
        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_PASSED);
        return NGX_OK;
    }

    hold->state = NGX_HTTP_APPROVAL_HOLD_PASSED;

    return NGX_DECLINED;
}


/* Refuses: at once in a phase handler, by the wake event if suspended. */

static ngx_int_t
ngx_http_approval_ask_end(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal)
{
    if (hold->queue.next) {
        ngx_http_approval_hold_refuse(hold, refusal);
        return NGX_OK;
    }

    ngx_http_finalize_request(hold->request,
                              ngx_http_approval_refuse(hold->request, hold,
                                                       refusal, hold->why));
    return NGX_DONE;
}
