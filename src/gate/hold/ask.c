
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The request becomes an action: identify, digest, describe, store, tell.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "notify/notify.h"


#define NGX_HTTP_APPROVAL_ASK_SLACK  5       /* operations that wait in turn */


/* By what the store finds things; kept until it was asked. */

typedef struct {
    u_char  join[NGX_HTTP_APPROVAL_HASHES];
    u_char  requester[NGX_HTTP_APPROVAL_HASHES];
    u_char  caps[NGX_HTTP_APPROVAL_CAPS][NGX_HTTP_APPROVAL_HASHES];
    u_char  grant[NGX_HTTP_APPROVAL_HASHES];
    u_char  call[NGX_HTTP_APPROVAL_HASHES];
} ngx_http_approval_ask_hashes_t;


static ngx_int_t ngx_http_approval_ask_identify(
    ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_ask_known(ngx_http_approval_hold_t *hold,
    ngx_http_approval_look_t *look);
static ngx_int_t ngx_http_approval_ask_store(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_ask_id(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_ask_deadline(
    ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_ask_hash(ngx_http_approval_hold_t *hold,
    ngx_http_approval_ask_hashes_t *hashes, ngx_http_approval_new_t *new);
static ngx_int_t ngx_http_approval_ask_cap(ngx_http_approval_hold_t *hold,
    ngx_http_approval_limit_t *limit, const char *purpose,
    u_char hashes[NGX_HTTP_APPROVAL_HASHES], ngx_http_approval_cap_t *cap);
static ngx_int_t ngx_http_approval_ask_no_store(
    ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_ask_end(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal);
static void ngx_http_approval_ask_lifted(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_ask_declined(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);


/*
 * The rule requires approvals, and the body was read: identify, digest,
 * describe, store.
 */

ngx_int_t
ngx_http_approval_hold_start(ngx_http_approval_hold_t *hold)
{
    ngx_int_t                    rc;
    ngx_http_approval_refusal_e  refusal;

    rc = ngx_http_approval_ask_identify(hold);

    if (rc != NGX_OK) {
        refusal = (rc == NGX_DECLINED) ? hold->refusal
                                       : NGX_HTTP_APPROVAL_REFUSE_INTERNAL;
        return ngx_http_approval_ask_end(hold, refusal);
    }

    rc = ngx_http_approval_bind(hold);

    if (rc == NGX_OK) {
        rc = ngx_http_approval_ask_store(hold);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_approval_ask_no_store(hold);
    }

    if (rc == NGX_ERROR) {
        return ngx_http_approval_ask_end(hold,
                                          NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
    }

    if (ngx_http_approval_hold_suspend(hold) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_AGAIN;
}


/* NGX_DECLINED: hold->refusal says why not. */

static ngx_int_t
ngx_http_approval_ask_identify(ngx_http_approval_hold_t *hold)
{
    ngx_int_t                     rc;
    ngx_str_t                     per;
    ngx_http_approval_look_t      look;
    ngx_http_approval_identity_t  identity;

    if (ngx_http_approval_captures(hold) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_approval_look(&look, hold->request, hold->body, hold->captures);

    rc = ngx_http_approval_identify(&look, hold->lcf, hold->rule, &identity);

    hold->requester = identity.requester;
    hold->on_behalf = identity.on_behalf;
    hold->reason = identity.reason;
    hold->refusal = identity.refusal;
    hold->why = identity.why;

    if (rc != NGX_OK) {
        return rc;
    }

    /* a grant is good for what all read alike, and a limit counts it */

    if (hold->rule->remember) {
        rc = ngx_http_approval_identify_one(&look, hold->rule,
                                            hold->rule->remember_per,
                                            &hold->remember, &identity);
    }

    if (rc == NGX_OK && hold->lcf->max_pending.per) {
        rc = ngx_http_approval_identify_one(&look, hold->rule,
                                            hold->lcf->max_pending.per, &per,
                                            &identity);
    }

    if (rc == NGX_OK && hold->lcf->max_prompts.per) {
        rc = ngx_http_approval_identify_one(&look, hold->rule,
                                            hold->lcf->max_prompts.per, &per,
                                            &identity);
    }

    hold->refusal = identity.refusal;
    hold->why = identity.why;

    return (rc == NGX_OK) ? ngx_http_approval_ask_known(hold, &look) : rc;
}


/* What can be read in ways that nobody knows can be neither shown nor bound. */

static ngx_int_t
ngx_http_approval_ask_known(ngx_http_approval_hold_t *hold,
    ngx_http_approval_look_t *look)
{
    ngx_uint_t                  i;
    approval_readings_t        *rs;
    ngx_http_approval_fact_t  **facts;

    facts = hold->rule->facts.elts;

    for (i = 0; i < hold->rule->facts.nelts; i++) {

        if (facts[i]->inputs) {
            continue;
        }

        rs = ngx_http_approval_read(look, facts[i]);

        if (rs == NULL) {
            return NGX_ERROR;
        }

        if (approval_readings_doubt(rs) == NULL
            || rs->code == NGX_HTTP_APPROVAL_BODY_LARGE
            || (rs->code == NGX_HTTP_APPROVAL_BODY_INVALID
                && ngx_http_approval_body_foreign(hold->request, hold->body)))
        {
            continue;
        }

        hold->refusal = ngx_http_approval_judge_unread(facts[i]);
        hold->why = ngx_http_approval_tell_readings(look, hold->rule,
                                                    facts[i]);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* More of a large body was digested; with the last of it the hold goes on. */

void
ngx_http_approval_ask_digest(ngx_http_approval_hold_t *hold)
{
    ngx_int_t  rc;

    rc = ngx_http_approval_body_digest(hold);

    if (rc == NGX_AGAIN) {
        ngx_post_event(&hold->wait.event, &ngx_posted_next_events);
        return;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_approval_ask_store(hold);
    }

    if (rc == NGX_DECLINED) {
        (void) ngx_http_approval_ask_no_store(hold);

    } else if (rc == NGX_ERROR) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
    }
}


/*
 * NGX_OK, or NGX_DECLINED where the store is down.  The document is sealed
 * here and kept until the store has answered.
 */

static ngx_int_t
ngx_http_approval_ask_store(ngx_http_approval_hold_t *hold)
{
    ngx_int_t                         rc;
    approval_buf_t                    doc;
    ngx_http_approval_new_t           new;
    ngx_http_approval_ask_hashes_t    hashes;

    if (ngx_http_approval_ask_id(hold) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&new, sizeof(ngx_http_approval_new_t));

    if (hold->remember.len
        && ngx_http_approval_grant_hashes(hold, hashes.grant, &new.grant)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_approval_hold_recorded(hold);
    hold->action.doc = ngx_http_approval_describe(hold);

    if (hold->action.doc == NULL
        || ngx_http_approval_ask_deadline(hold) != NGX_OK
        || ngx_http_approval_ask_hash(hold, &hashes, &new) != NGX_OK
        || ngx_http_approval_ask_cap(hold, &hold->lcf->max_pending, "per",
                             hashes.caps[NGX_HTTP_APPROVAL_CAP_PENDING],
                             &new.caps[NGX_HTTP_APPROVAL_CAP_PENDING])
           != NGX_OK
        || ngx_http_approval_ask_cap(hold, &hold->lcf->max_prompts, "prompts",
                             hashes.caps[NGX_HTTP_APPROVAL_CAP_PROMPTS],
                             &new.caps[NGX_HTTP_APPROVAL_CAP_PROMPTS])
           != NGX_OK
        || ngx_http_approval_rpc_keep(hold) != NGX_OK
        || ngx_http_approval_call_name(hold, hashes.call, &new.call) != NGX_OK
        || ngx_http_approval_progress_wanted(hold) != NGX_OK)
    {
        return NGX_ERROR;
    }

    approval_buf_init(&doc);

    rc = ngx_http_approval_action_seal(hold->mcf, hold->action.doc, &doc);

    if (rc == NGX_OK) {
        new.id = hold->action.id;
        new.doc.data = doc.data;
        new.doc.len = doc.len;
        new.timeout = hold->rule->timeout;
        new.execute_within = hold->rule->execute_within;
        new.repeat = hold->lcf->repeat;
        new.ticket = ngx_http_approval_ticket(hold->request);
        new.class = hold->rule->class;
        new.class_doc = hold->rule->class_doc;

        new.frozen = ngx_http_approval_limit_frozen(hold, &new.requester,
                                                    &new.policy);

        /* it may be asked for once more */

        if (!new.frozen) {
            ngx_http_approval_body_done(hold);
        }

        hold->state = NGX_HTTP_APPROVAL_HOLD_STORE;

        hold->wait.op = hold->mcf->store
                   ? ngx_http_approval_store_new(hold->mcf->store, &new,
                                                 ngx_http_approval_hold_reply,
                                                 hold)
                   : NULL;

        rc = hold->wait.op ? NGX_OK : NGX_DECLINED;
    }

    approval_buf_free(&doc);

    return rc;
}


/* An id begins with the shard of whoever asks. */

static ngx_int_t
ngx_http_approval_ask_id(ngx_http_approval_hold_t *hold)
{
    if (approval_id((char *) hold->action.id) != APPROVAL_OK) {
        return NGX_ERROR;
    }

    return ngx_http_approval_ask_shard(hold, &hold->requester, hold->action.id);
}


/*
 * All names of one person are in one shard; what names nobody is in that of its
 * text.  No store, no shard.
 */

ngx_int_t
ngx_http_approval_ask_shard(ngx_http_approval_hold_t *hold, ngx_str_t *name,
    u_char *shard)
{
    ngx_int_t        rc;
    ngx_str_t        value;
    const char      *err;
    approval_buf_t   person;

    if (hold->mcf->store == NULL) {
        ngx_memcpy(shard, "00", NGX_HTTP_APPROVAL_SHARD_LEN);
        return NGX_OK;
    }

    approval_buf_init(&person);

    rc = approval_people_person(hold->mcf->people,
                                ngx_http_approval_core_str(name), &person,
                                &err);
    if (rc != APPROVAL_ERROR) {
        value = *name;

        if (rc == APPROVAL_OK) {
            value.data = person.data;
            value.len = person.len;
        }

        rc = ngx_http_approval_store_shard(hold->mcf->store, &value, shard);
    }

    approval_buf_free(&person);

    return rc == NGX_OK ? NGX_OK : NGX_ERROR;
}


/*
 * Sealed, by what is known of Redis' clock: the store's own comes before it by
 * the time that an operation may take, and is the one that counts unless
 * somebody moves it.
 */

static ngx_int_t
ngx_http_approval_ask_deadline(ngx_http_approval_hold_t *hold)
{
    int64_t                          now;
    ngx_http_approval_store_conf_t  *conf;

    conf = hold->mcf->store_conf;
    now = hold->mcf->store ? ngx_http_approval_store_now(hold->mcf->store) : 0;

    if (now == 0) {
        return NGX_OK;
    }

    now += (int64_t) hold->rule->timeout
           + NGX_HTTP_APPROVAL_ASK_SLACK * (int64_t) conf->redis.timeout;

    return json_object_set_new(hold->action.doc, "deadline",
                               ngx_http_approval_json_time(now));
}


/* What finds the action again, and what could be frozen. */

static ngx_int_t
ngx_http_approval_ask_hash(ngx_http_approval_hold_t *hold,
    ngx_http_approval_ask_hashes_t *hashes, ngx_http_approval_new_t *new)
{
    ngx_str_t                       parts[5];
    ngx_http_approval_rule_t       *rule;
    ngx_http_approval_main_conf_t  *mcf;

    mcf = hold->mcf;
    rule = hold->rule;

    parts[0] = ngx_http_approval_json_get(hold->action.doc, "person");
    parts[1] = rule->policy->name;
    parts[2] = rule->name;
    parts[3].len = APPROVAL_DIGEST_LEN;
    parts[3].data = (u_char *) hold->action.digest;

    parts[4] = rule->policy->digest;

    if (ngx_http_approval_hashes(mcf, "join", parts, 5, hashes->join,
                                 &new->join)
        != NGX_OK
        || ngx_http_approval_hashes(mcf, NGX_HTTP_APPROVAL_HASH_REQUESTER,
                                    &parts[0], 1, hashes->requester,
                                    &new->requester)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    new->policy = rule->policy->hashes;

    /* the decision will say it, too: the store may lead us to another's */

    hold->action.joins.data = ngx_pstrdup(hold->request->pool, &new->join);
    hold->action.joins.len = new->join.len;

    if (hold->action.joins.data == NULL
        || json_object_set_new(hold->action.doc, "join",
                               json_stringn((char *) hold->action.joins.data,
                                            NGX_HTTP_APPROVAL_HASH_LEN))
           != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* An open action counts as long as it can be open. */

static ngx_int_t
ngx_http_approval_ask_cap(ngx_http_approval_hold_t *hold,
    ngx_http_approval_limit_t *limit, const char *purpose,
    u_char hashes[NGX_HTTP_APPROVAL_HASHES], ngx_http_approval_cap_t *cap)
{
    u_char                    shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    ngx_str_t                 parts[2];
    ngx_http_approval_look_t  look;

    if (limit->n == 0) {
        return NGX_OK;
    }

    ngx_str_set(&parts[0], "");
    parts[1] = hold->rule->policy->name;

    if (limit->per) {
        ngx_http_approval_look(&look, hold->request, hold->body,
                               hold->captures);

        if (ngx_http_approval_read_text(&look, limit->per, &parts[0])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_http_approval_hashes(hold->mcf, purpose, parts, 2, hashes,
                                 &cap->per)
        != NGX_OK
        || ngx_http_approval_ask_shard(hold, parts[0].len ? &parts[0]
                                                          : &parts[1], shard)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* counted in the shard of the value: not all have the same requester */

    ngx_http_approval_store_place(&cap->per, shard);

    cap->max = limit->n;
    cap->time = limit->time ? limit->time
                            : hold->rule->timeout + hold->rule->execute_within;

    return NGX_OK;
}


/* Redis is away: 503, or on, recorded, where the operator said so. */

static ngx_int_t
ngx_http_approval_ask_no_store(ngx_http_approval_hold_t *hold)
{
    json_t  *facts;

    if (hold->lcf->store_failure != NGX_HTTP_APPROVAL_STORE_ALLOW) {
        return ngx_http_approval_ask_end(hold,
                                          NGX_HTTP_APPROVAL_REFUSE_STORE);
    }

    ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(hold->request), 0,
                  "request passed without approval: the store is unavailable "
                  "and \"approval_store_failure\" is \"allow\"");

    facts = ngx_http_approval_facts(hold);

    if (facts) {
        (void) ngx_http_approval_facts_brief(hold->request, hold->lcf,
                                             hold->rule, facts);
        json_object_set_new(facts, "why",
                            json_string("store unavailable, passed by "
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

    ngx_http_approval_count(hold->rule, NGX_HTTP_APPROVAL_COUNT_UNSTORED);

    if (hold->queue.next) {
        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_PASSED);
        return NGX_OK;
    }

    hold->state = NGX_HTTP_APPROVAL_HOLD_PASSED;

    return NGX_DECLINED;
}


/* Refuses from the phase handler, or from an event by the wake event. */

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


void
ngx_http_approval_ask_new(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    if (reply->rc == NGX_BUSY
        && reply->cap == NGX_HTTP_APPROVAL_CAP_PROMPTS)
    {
        hold->retry_after = (time_t) ((reply->expires - reply->now + 999)
                                      / 1000);
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_PROMPTS);
        return;
    }

    if (reply->rc == NGX_BUSY) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_MANY);
        return;
    }

    if (reply->rc == NGX_DECLINED) {
        ngx_http_approval_ask_declined(hold, reply);
        return;
    }

    /* an answer that says no, as OOM, may be the requester's own doing */

    if (reply->rc != NGX_OK && reply->answered) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE);
        return;
    }

    if (reply->rc != NGX_OK) {
        (void) ngx_http_approval_ask_no_store(hold);
        return;
    }

    if (reply->grant.len) {
        ngx_http_approval_grant_used(hold, reply);
        return;
    }

    ngx_memcpy(hold->action.id, reply->id, APPROVAL_ID_LEN);

    hold->action.created = reply->created;
    hold->action.expires = reply->expires;
    ngx_http_approval_hold_clock(hold, reply);
    hold->action.recent = (uint16_t) ngx_min(reply->recent, 65535);
    hold->action.origin = reply->joined ? NGX_HTTP_APPROVAL_ACTION_JOINED
                                        : NGX_HTTP_APPROVAL_ACTION_MADE;
    hold->action.state = reply->state;

    if (hold->action.doc && !reply->joined) {
        json_object_set_new(hold->action.doc, "store_time",
                            ngx_http_approval_json_time(reply->created));
    }

    if (reply->joined
        && ngx_http_approval_limit_joined(hold, reply) != NGX_OK)
    {
        return;
    }

    ngx_http_approval_count(hold->rule, reply->joined
                                        ? NGX_HTTP_APPROVAL_COUNT_JOINED
                                        : NGX_HTTP_APPROVAL_COUNT_CREATED);

    ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_STORED);
}


/* Another gateway has lifted a freeze that this one had seen, or nobody has. */

static void
ngx_http_approval_ask_lifted(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    ngx_int_t  rc;

    if (ngx_http_approval_limit_unfrozen(hold, reply) != NGX_OK) {
        return;
    }

    rc = ngx_http_approval_ask_store(hold);

    if (rc == NGX_DECLINED) {
        (void) ngx_http_approval_ask_no_store(hold);

    } else if (rc == NGX_ERROR) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
    }
}


/* No action is made: the one that has ended, or is named, stands for it. */

static void
ngx_http_approval_ask_declined(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    if (reply->cause == NGX_HTTP_APPROVAL_CAUSE_FROZEN) {
        ngx_http_approval_ends_learn(hold->mcf, reply->ends, reply->nends,
                                     reply->now);
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_FROZEN);
        return;
    }

    if (reply->cause == NGX_HTTP_APPROVAL_CAUSE_UNFROZEN) {
        ngx_http_approval_ask_lifted(hold, reply);
        return;
    }

    if (reply->cause == NGX_HTTP_APPROVAL_CAUSE_GIVEN_UP) {
        ngx_http_approval_call_over(hold);
        return;
    }

    ngx_memcpy(hold->action.id, reply->id, APPROVAL_ID_LEN);

    hold->action.origin = NGX_HTTP_APPROVAL_ACTION_JOINED;
    hold->action.state = reply->state;

    if (reply->cause == NGX_HTTP_APPROVAL_CAUSE_ENDED) {
        ngx_http_approval_ticket_ended(hold);
        return;
    }

    hold->retry_after = (time_t) ((reply->expires - reply->now + 999) / 1000);

    ngx_http_approval_ticket_ended(hold);
}


/*
 * The action is in Redis.  Its intent is durably on record before anybody is
 * told of it; one who joins is on record too, and tells nobody again.
 */

void
ngx_http_approval_ask_stored(ngx_http_approval_hold_t *hold)
{
    json_t      *event;
    ngx_int_t    rc;
    ngx_uint_t   joined;

    joined = (hold->action.origin == NGX_HTTP_APPROVAL_ACTION_JOINED);

    event = joined
            ? ngx_http_approval_facts(hold)
            : ngx_http_approval_action_disclose(hold->action.doc,
                                        NGX_HTTP_APPROVAL_DISCLOSE_DECLARED);

    rc = event ? ngx_http_approval_audit(hold->mcf,
                                         joined ? APPROVAL_RECORD_JOINED
                                                : APPROVAL_RECORD_REQUESTED,
                                         hold->action.id, event)
               : NGX_ERROR;

    if (rc != NGX_OK) {
        if (rc != NGX_ERROR) {
            ngx_http_approval_hold_recorded(hold);
        }

        ngx_http_approval_hold_withdraw(hold);
        return;
    }

    ngx_http_approval_hold_sync(hold, NGX_HTTP_APPROVAL_HOLD_REQUESTED);
}


void
ngx_http_approval_ask_synced(ngx_http_approval_hold_t *hold, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_RECORDED);
        return;
    }

    ngx_http_approval_hold_recorded(hold);
    ngx_http_approval_hold_withdraw(hold);
}


void
ngx_http_approval_ask_recorded(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_message_t  message;

    if (hold->action.origin == NGX_HTTP_APPROVAL_ACTION_MADE
        && (hold->rule->notify || hold->rule->escalate))
    {
        message.rule = hold->rule;
        message.doc = hold->action.doc;
        message.id = hold->action.id;
        message.created = hold->action.created;
        message.expires = hold->action.expires;
        message.recent = hold->action.recent;

        (void) ngx_http_approval_notify(hold->request, hold->mcf, &message);
    }

    ngx_http_approval_hold_recorded(hold);

    ngx_http_approval_prefer(hold);
    ngx_http_approval_progress_start(hold);

    ngx_http_approval_hold_wait(hold, hold->action.expires
                                      - ngx_http_approval_hold_now(hold));

    ngx_http_approval_hold_watch(hold);
}
