
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The hold: suspend, store, wake, let go.
 */


#include "gate/gate.h"

#include "notify/notify.h"


static void ngx_http_approval_hold_cleanup(void *data);
static void ngx_http_approval_hold_pool_cleanup(void *data);
static void ngx_http_approval_hold_handler(ngx_event_t *ev);
static void ngx_http_approval_hold_resume(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_hold_identify(
    ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_hold_store(ngx_http_approval_hold_t *hold);
static void ngx_http_approval_hold_new(void *data,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_hold_declined(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_hold_stored(ngx_http_approval_hold_t *hold);
static void ngx_http_approval_hold_sync(ngx_http_approval_hold_t *hold,
    ngx_http_approval_hold_state_e next);
static void ngx_http_approval_hold_synced(void *data, ngx_int_t rc);
static void ngx_http_approval_hold_recorded(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_hold_suspend(
    ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_hold_no_store(
    ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_hold_end(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal);


ngx_http_approval_hold_t *
ngx_http_approval_hold_create(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf)
{
    ngx_http_cleanup_t        *cln;
    ngx_pool_cleanup_t        *pool_cln;
    ngx_http_approval_hold_t  *hold;

    hold = ngx_pcalloc(r->pool, sizeof(ngx_http_approval_hold_t));
    if (hold == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    pool_cln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL || pool_cln == NULL) {
        return NULL;
    }

    hold->request = r;
    hold->lcf = lcf;
    hold->mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);
    hold->next = ngx_http_approval_hold_of(r);
    hold->started = ngx_current_msec;
    hold->action_state = NGX_HTTP_APPROVAL_UNKNOWN;

    hold->wake.handler = ngx_http_approval_hold_handler;
    hold->wake.data = hold;
    hold->wake.log = r->connection->log;

    cln->handler = ngx_http_approval_hold_cleanup;
    cln->data = hold;

    pool_cln->handler = ngx_http_approval_hold_pool_cleanup;
    pool_cln->data = hold;

    ngx_http_set_ctx(r, hold, ngx_http_approval_module);

    return hold;
}


/* The newest hold of r's main request, also where a redirect lost the context. */

ngx_http_approval_hold_t *
ngx_http_approval_hold_of(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_approval_hold_pool_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


/* Finds the hold, and frees what a request that dies at once left behind. */

static void
ngx_http_approval_hold_pool_cleanup(void *data)
{
    ngx_http_approval_hold_t *hold = data;

    ngx_http_approval_body_free(hold);
    json_decref(hold->doc);
    hold->doc = NULL;
}


/*
 * Runs before the request's memory goes, whoever ends it: the client, an
 * error, the worker's shutdown, or a response that is complete.
 */

static void
ngx_http_approval_hold_cleanup(void *data)
{
    ngx_http_approval_hold_t *hold = data;

    if (hold->op) {
        if (hold->state == NGX_HTTP_APPROVAL_HOLD_STORE) {
            ngx_http_approval_hold_orphan(hold);

        } else {
            ngx_http_approval_store_forget(hold->op);
        }

        hold->op = NULL;
    }

    ngx_http_approval_audit_cancel(&hold->sync);

    if (hold->watch.active) {
        ngx_http_approval_watch_del(hold->mcf->store, &hold->watch);
    }

    if (hold->wake.timer_set) {
        ngx_del_timer(&hold->wake);
    }

    if (hold->wake.posted) {
        ngx_delete_posted_event(&hold->wake);
    }

    if (hold->waiting) {
        ngx_http_approval_hold_leave(hold);
        ngx_http_approval_hold_left(hold);
    }

    ngx_http_approval_body_free(hold);
    json_decref(hold->doc);
    hold->doc = NULL;
}


/*
 * The rule requires approvals, and the body was read: identify, digest,
 * describe, store.
 */

ngx_int_t
ngx_http_approval_hold_start(ngx_http_approval_hold_t *hold)
{
    ngx_int_t                    rc;
    ngx_http_approval_refusal_e  refusal;

    rc = ngx_http_approval_hold_identify(hold);

    if (rc != NGX_OK) {
        refusal = (rc == NGX_DECLINED) ? hold->refusal
                                       : NGX_HTTP_APPROVAL_REFUSE_INTERNAL;
        return ngx_http_approval_hold_end(hold, refusal);
    }

    rc = ngx_http_approval_bind(hold);

    if (rc == NGX_OK) {
        rc = ngx_http_approval_hold_store(hold);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_approval_hold_no_store(hold);
    }

    if (rc == NGX_ERROR) {
        return ngx_http_approval_hold_end(hold,
                                          NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
    }

    if (ngx_http_approval_hold_suspend(hold) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_AGAIN;
}


/* NGX_DECLINED: hold->refusal says why not. */

static ngx_int_t
ngx_http_approval_hold_identify(ngx_http_approval_hold_t *hold)
{
    ngx_int_t  rc;

    rc = ngx_http_approval_identify(hold->request, hold->lcf, hold->rule,
                                    &hold->requester, &hold->reason,
                                    &hold->refusal);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_approval_captures(hold);
}


/*
 * NGX_OK, or NGX_DECLINED where the store is down.  The document is sealed
 * here and kept until the store has answered.
 */

static ngx_int_t
ngx_http_approval_hold_store(ngx_http_approval_hold_t *hold)
{
    u_char                    join[NGX_HTTP_APPROVAL_HASH_HEX];
    u_char                    from[NGX_HTTP_APPROVAL_HASH_HEX];
    u_char                    per[NGX_HTTP_APPROVAL_HASH_HEX];
    u_char                    grant[NGX_HTTP_APPROVAL_HASH_HEX];
    u_char                    policy[NGX_HTTP_APPROVAL_HASH_HEX];
    ngx_int_t                 rc;
    ngx_str_t                 parts[5], person;
    approval_buf_t            doc, shown;
    ngx_http_approval_new_t   new;
    ngx_http_approval_rule_t *rule;

    rule = hold->rule;

    if (approval_id((char *) hold->id) != APPROVAL_OK) {
        return NGX_ERROR;
    }

    if (rule->remember
        && ngx_http_approval_grant_hash(hold, grant) != NGX_OK)
    {
        return NGX_ERROR;
    }

    hold->doc = ngx_http_approval_describe(hold);
    if (hold->doc == NULL) {
        return NGX_ERROR;
    }

    person = ngx_http_approval_json_get(hold->doc, "person");

    ngx_memzero(&new, sizeof(ngx_http_approval_new_t));

    parts[0] = person;
    parts[1] = rule->policy->name;
    parts[2] = rule->name;
    parts[3].len = APPROVAL_DIGEST_LEN;
    parts[3].data = (u_char *) hold->digest;

    /*
     * An approval is for what was shown: a retry whose shown values differ,
     * though none of its digest's parts does, is another action.
     */

    approval_buf_init(&shown);

    rc = ngx_http_approval_describe_bound(hold->doc, &shown);

    if (rc == NGX_OK) {
        parts[4].data = shown.data;
        parts[4].len = shown.len;

        rc = ngx_http_approval_hash(hold->mcf, "join", parts, 5, join);
    }

    approval_buf_free(&shown);

    if (rc != NGX_OK
        || ngx_http_approval_hash(hold->mcf, NGX_HTTP_APPROVAL_HASH_REQUESTER,
                                  parts, 1, from)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_approval_hash(hold->mcf, NGX_HTTP_APPROVAL_HASH_POLICY,
                               &parts[1], 1, policy)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (hold->lcf->max_pending) {

        ngx_str_set(&parts[0], "");

        if (hold->lcf->max_pending_per
            && ngx_http_complex_value(hold->request,
                                      hold->lcf->max_pending_per, &parts[0])
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_http_approval_hash(hold->mcf, "per", parts, 2, per) != NGX_OK)
        {
            return NGX_ERROR;
        }

        new.per.data = per;
        new.per.len = sizeof(per);
        new.max_pending = hold->lcf->max_pending;
    }

    approval_buf_init(&doc);

    if (ngx_http_approval_action_seal(hold->mcf, hold->doc, &doc) != NGX_OK) {
        approval_buf_free(&doc);
        return NGX_ERROR;
    }

    new.id = hold->id;
    new.join.data = join;
    new.join.len = sizeof(join);
    new.requester.data = from;
    new.requester.len = sizeof(from);
    new.digest.data = (u_char *) hold->digest;
    new.digest.len = APPROVAL_DIGEST_LEN;
    new.doc.data = doc.data;
    new.doc.len = doc.len;
    new.timeout = rule->timeout;
    new.execute_within = rule->execute_within;
    new.cool_down = rule->cool_down;
    new.policy.data = policy;
    new.policy.len = sizeof(policy);

    if (rule->remember) {
        new.grant.data = grant;
        new.grant.len = hold->remember.len ? sizeof(grant) : 0;
    }

    if (ngx_http_approval_mcp_ids(hold) != NGX_OK) {
        approval_buf_free(&doc);
        return NGX_ERROR;
    }

    ngx_http_approval_body_free(hold);

    hold->state = NGX_HTTP_APPROVAL_HOLD_STORE;

    hold->op = hold->mcf->store
               ? ngx_http_approval_store_new(hold->mcf->store, &new,
                                             ngx_http_approval_hold_new, hold)
               : NULL;

    approval_buf_free(&doc);

    return hold->op ? NGX_OK : NGX_DECLINED;
}


/* As ngx_http_limit_req_module suspends; the deadline is a timer of our own. */

static ngx_int_t
ngx_http_approval_hold_suspend(ngx_http_approval_hold_t *hold)
{
    ngx_http_request_t  *r;

    r = hold->request;

    ngx_http_approval_hold_enter(hold);

    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    r->connection->log->action = "waiting for approval";

    if (hold->hasher) {
        ngx_post_event(&hold->wake, &ngx_posted_next_events);
    }

    return NGX_OK;
}


/* Redis is away: 503, or on, recorded, where the operator said so. */

static ngx_int_t
ngx_http_approval_hold_no_store(ngx_http_approval_hold_t *hold)
{
    json_t  *facts;

    if (hold->lcf->store_failure != NGX_HTTP_APPROVAL_STORE_ALLOW) {
        return ngx_http_approval_hold_end(hold,
                                          NGX_HTTP_APPROVAL_REFUSE_STORE);
    }

    ngx_log_error(NGX_LOG_WARN, hold->request->connection->log, 0,
                  "request passed without approval: the store is unavailable "
                  "and \"approval_store_failure\" is \"allow\"");

    facts = ngx_http_approval_facts(hold);

    if (facts) {
        json_object_set_new(facts, "why",
                            json_string("store unavailable, passed by "
                                        "approval_store_failure"));
    }

    if (facts == NULL
        || ngx_http_approval_audit(hold->mcf, "fault", NULL, facts) != NGX_OK)
    {
        return ngx_http_approval_hold_end(hold,
                                          NGX_HTTP_APPROVAL_REFUSE_AUDIT);
    }

    hold->unstored = 1;

    ngx_http_approval_count(hold->rule, NGX_HTTP_APPROVAL_COUNT_UNSTORED);

    if (hold->waiting) {
        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_PASSED);
        return NGX_OK;
    }

    hold->state = NGX_HTTP_APPROVAL_HOLD_PASSED;

    return NGX_DECLINED;
}


/* Refuses from the phase handler, or from an event by the wake event. */

static ngx_int_t
ngx_http_approval_hold_end(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal)
{
    if (hold->waiting) {
        ngx_http_approval_hold_refuse(hold, refusal);
        return NGX_OK;
    }

    ngx_http_finalize_request(hold->request,
                              ngx_http_approval_refuse(hold->request, hold,
                                                       refusal, NULL));
    return NGX_DONE;
}


static void
ngx_http_approval_hold_new(void *data, const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_hold_t *hold = data;

    hold->op = NULL;

    if (reply->rc == NGX_BUSY) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_PENDING);
        return;
    }

    if (reply->rc == NGX_DECLINED) {
        ngx_http_approval_hold_declined(hold, reply);
        return;
    }

    if (reply->rc != NGX_OK) {
        (void) ngx_http_approval_hold_no_store(hold);
        return;
    }

    if (reply->grant.len) {
        ngx_http_approval_grant_used(hold, reply);
        return;
    }

    ngx_memcpy(hold->id, reply->id, APPROVAL_ID_LEN);

    hold->created = reply->created;
    hold->expires = reply->expires;
    hold->clock = reply->now - ngx_http_approval_now();
    hold->recent = (uint16_t) ngx_min(reply->recent, 65535);
    hold->joined = reply->joined;
    hold->stored = 1;
    hold->action_state = reply->state;

    ngx_http_approval_count(hold->rule, hold->joined
                                        ? NGX_HTTP_APPROVAL_COUNT_JOINED
                                        : NGX_HTTP_APPROVAL_COUNT_CREATED);

    ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_STORED);
}


/* No action is made: the one that was denied stands for it. */

static void
ngx_http_approval_hold_declined(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    json_t  *facts;

    if (ngx_http_approval_hold_frozen(reply)) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_FROZEN);
        return;
    }

    ngx_memcpy(hold->id, reply->id, APPROVAL_ID_LEN);

    hold->stored = 1;
    hold->joined = 1;
    hold->action_state = reply->state;
    hold->retry_after = (time_t) ((reply->expires - reply->now + 999) / 1000);

    facts = ngx_http_approval_facts(hold);

    if (facts) {
        json_object_set_new(facts, "refusal",
                            json_string("urn:approval:denied"));
        json_object_set_new(facts, "why",
                            json_string("denied before, and not asked for "
                                        "again until the cool-down ends"));
        (void) ngx_http_approval_audit(hold->mcf, "refused", hold->id, facts);
    }

    ngx_http_approval_hold_denied(hold, NGX_HTTP_APPROVAL_REFUSE_COOLING);
}


/* Milliseconds since the epoch by our clock, as the event loop knows it. */

int64_t
ngx_http_approval_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


/* Nothing is done to a request within another event's callback. */

void
ngx_http_approval_hold_wake(ngx_http_approval_hold_t *hold,
    ngx_http_approval_hold_state_e state)
{
    hold->state = state;

    ngx_post_event(&hold->wake, &ngx_posted_events);
}


void
ngx_http_approval_hold_refuse(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal)
{
    hold->refusal = refusal;

    ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_REFUSE);
}


static void
ngx_http_approval_hold_handler(ngx_event_t *ev)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_approval_hold_t  *hold;

    hold = ev->data;
    r = hold->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "approval wake, state: %d, timer: %d",
                   (int) hold->state, (int) ev->timedout);

    ev->timedout = 0;

    switch (hold->state) {

    case NGX_HTTP_APPROVAL_HOLD_HASH:
        rc = ngx_http_approval_body_digest(hold);

        if (rc == NGX_AGAIN) {
            ngx_post_event(&hold->wake, &ngx_posted_next_events);
            return;
        }

        if (rc == NGX_OK) {
            rc = ngx_http_approval_hold_store(hold);
        }

        if (rc == NGX_DECLINED) {
            (void) ngx_http_approval_hold_no_store(hold);

        } else if (rc == NGX_ERROR) {
            ngx_http_approval_hold_refuse(hold,
                                          NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
        }

        break;

    case NGX_HTTP_APPROVAL_HOLD_STORED:
        ngx_http_approval_hold_stored(hold);
        break;

    case NGX_HTTP_APPROVAL_HOLD_RECORDED:
        ngx_http_approval_hold_recorded(hold);
        break;

    case NGX_HTTP_APPROVAL_HOLD_WAIT:
        ngx_http_approval_hold_overdue(hold);
        break;

    case NGX_HTTP_APPROVAL_HOLD_DECIDED:
        ngx_http_approval_hold_decided(hold);
        break;

    case NGX_HTTP_APPROVAL_HOLD_CONSUMED:
        if (ngx_http_approval_forward_record(hold) == NGX_OK) {
            ngx_http_approval_hold_sync(hold, NGX_HTTP_APPROVAL_HOLD_FORWARD);

        } else {
            ngx_http_approval_hold_refuse(hold,
                                          NGX_HTTP_APPROVAL_REFUSE_AUDIT);
        }

        break;

    case NGX_HTTP_APPROVAL_HOLD_FORWARD:
        if (ngx_http_approval_forward(hold) == NGX_OK) {
            ngx_http_approval_hold_resume(hold);
            break;
        }

        ngx_http_approval_forward_fail(hold);
        hold->refusal = NGX_HTTP_APPROVAL_REFUSE_INTERNAL;

        /* fall through */

    case NGX_HTTP_APPROVAL_HOLD_REFUSE:
        ngx_http_approval_hold_leave(hold);
        ngx_http_approval_hold_left(hold);
        ngx_http_approval_notify_stop(r);
        ngx_http_finalize_request(r, ngx_http_approval_refuse(r, hold,
                                                              hold->refusal,
                                                              NULL));
        break;

    case NGX_HTTP_APPROVAL_HOLD_ACCEPT:
        ngx_http_approval_hold_leave(hold);
        ngx_http_finalize_request(r, ngx_http_approval_accept(r, hold));
        break;

    case NGX_HTTP_APPROVAL_HOLD_PASSED:
        ngx_http_approval_hold_resume(hold);
        break;

    default:
        break;
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_approval_hold_resume(ngx_http_approval_hold_t *hold)
{
    ngx_http_request_t  *r;

    r = hold->request;

    ngx_http_approval_hold_leave(hold);
    hold->resumed = ngx_current_msec;
    hold->state = NGX_HTTP_APPROVAL_HOLD_PASSED;

    ngx_http_approval_notify_stop(r);

    r->connection->log->action = "processing approved request";

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


/*
 * The action is in Redis.  Its intent is durably on record before anybody is
 * told of it; one who joins is on record too, and tells nobody again.
 */

static void
ngx_http_approval_hold_stored(ngx_http_approval_hold_t *hold)
{
    json_t  *event;

    event = hold->joined ? ngx_http_approval_facts(hold)
                         : json_incref(hold->doc);

    if (event == NULL
        || ngx_http_approval_audit(hold->mcf,
                                   hold->joined ? "joined" : "requested",
                                   hold->id, json_copy(event))
           != NGX_OK)
    {
        json_decref(event);
        ngx_http_approval_hold_withdraw(hold, "the audit trail failed");
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_AUDIT);
        return;
    }

    json_decref(event);

    ngx_http_approval_hold_sync(hold, NGX_HTTP_APPROVAL_HOLD_RECORDED);
}


/* What was recorded so far is durable before "next". */

static void
ngx_http_approval_hold_sync(ngx_http_approval_hold_t *hold,
    ngx_http_approval_hold_state_e next)
{
    ngx_int_t  rc;

    hold->state = NGX_HTTP_APPROVAL_HOLD_SYNC;
    hold->synced = next;

    hold->sync.handler = ngx_http_approval_hold_synced;
    hold->sync.data = hold;

    rc = ngx_http_approval_audit_sync(hold->mcf, &hold->sync);

    if (rc != NGX_AGAIN) {
        ngx_http_approval_hold_synced(hold, rc);
    }
}


static void
ngx_http_approval_hold_synced(void *data, ngx_int_t rc)
{
    ngx_http_approval_hold_t *hold = data;

    if (rc == NGX_OK) {
        ngx_http_approval_hold_wake(hold, hold->synced);
        return;
    }

    if (hold->synced == NGX_HTTP_APPROVAL_HOLD_FORWARD) {
        ngx_http_approval_forward_fail(hold);

    } else {
        ngx_http_approval_hold_withdraw(hold, "the audit trail failed");
    }

    ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_AUDIT);
}


static void
ngx_http_approval_hold_recorded(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_message_t  message;

    if (!hold->joined && (hold->rule->notify || hold->rule->escalate)) {
        message.rule = hold->rule;
        message.doc = hold->doc;
        message.id = hold->id;
        message.created = hold->created;
        message.expires = hold->expires;
        message.recent = hold->recent;

        (void) ngx_http_approval_notify(hold->request, hold->mcf, &message);
    }

    json_decref(hold->doc);
    hold->doc = NULL;

    ngx_http_approval_prefer(hold);

    ngx_http_approval_hold_wait(hold, hold->expires - hold->clock
                                      - ngx_http_approval_now());

    ngx_memcpy(hold->watch.id, hold->id, APPROVAL_ID_LEN);
    hold->watch.handler = ngx_http_approval_hold_watch;
    hold->watch.data = hold;

    ngx_http_approval_watch_add(hold->mcf->store, &hold->watch);
}
