
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Redis is transport, not authority: what it allows is compared with the memory
 * of ends.  If they contradict, the request is refused, and a "fault" with a
 * "limit" is recorded.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


static const char  ngx_http_approval_limit_full[] =
    "the memory of ends is full";
static const char  ngx_http_approval_limit_freeze[] =
    "the requester or the policy is frozen, but Redis has lost that";

static void ngx_http_approval_limit_state(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_end_t *end, int64_t now);
static void ngx_http_approval_limit_ended(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state);
static void ngx_http_approval_limit_say(ngx_http_approval_hold_t *hold,
    const char *limit, const char *why);


/*
 * Before the store is asked for the use of an approval or a grant: a use that
 * could not be remembered would be refused, and it would be used up for
 * nothing.  NGX_DECLINED: this is recorded, and the caller must refuse with
 * 503.  "ids" are separated by spaces.
 */

ngx_int_t
ngx_http_approval_limit_room(ngx_http_approval_hold_t *hold,
    ngx_http_approval_end_e kind, const ngx_str_t *ids, int64_t now)
{
    size_t                   i;
    ngx_http_approval_end_t  end;

    end.kind = kind;

    for (i = 0; i + APPROVAL_ID_LEN <= ids->len; i += APPROVAL_ID_LEN + 1) {
        ngx_memcpy(end.id, ids->data + i, APPROVAL_ID_LEN);

        if (ngx_http_approval_end_room(hold->mcf, &end, now) == NGX_OK) {
            return NGX_OK;
        }
    }

    ngx_http_approval_limit_say(hold, "memory", ngx_http_approval_limit_full);

    return NGX_DECLINED;
}


/* The store has handed out the approval: refuses if the action had ended. */

ngx_int_t
ngx_http_approval_limit_taken(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    ngx_int_t                rc;
    const char              *why;
    ngx_http_approval_end_t  end;

    ngx_http_approval_ends_learn(hold->mcf, reply->ends, reply->nends,
                                 reply->now);

    rc = ngx_http_approval_limit_take(hold->mcf, hold->verdict->rule,
                                      hold->action.id, reply->now, &end);

    if (rc == NGX_ERROR) {
        why = "not forwarded: the memory of ends is full";

        ngx_http_approval_limit_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE,
                                       "memory",
                                       ngx_http_approval_limit_full);

    } else if (rc == NGX_DECLINED) {
        why = "not forwarded: the action had ended before";

        ngx_http_approval_limit_ended(hold, end.state);

    } else if (ngx_http_approval_limit_frozen(hold, reply->now)) {
        why = "not forwarded: the requester or the policy is frozen";

        ngx_http_approval_limit_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_FROZEN,
                                       "freeze",
                                       ngx_http_approval_limit_freeze);
    } else {
        return NGX_OK;
    }

    ngx_http_approval_forward_close(hold, why);

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_approval_limit_take(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id, int64_t now,
    ngx_http_approval_end_t *end)
{
    ngx_memzero(end, sizeof(ngx_http_approval_end_t));

    end->kind = NGX_HTTP_APPROVAL_END_ACTION;
    end->state = NGX_HTTP_APPROVAL_EXECUTED;
    end->until = ngx_http_approval_end_until(rule, now);
    ngx_memcpy(end->id, id, APPROVAL_ID_LEN);

    return ngx_http_approval_end_take(mcf, end, now);
}


/* A pending action was joined: refuses if it is known to have ended. */

ngx_int_t
ngx_http_approval_limit_joined(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_end_t  end;

    end.kind = NGX_HTTP_APPROVAL_END_ACTION;
    ngx_memcpy(end.id, hold->action.id, APPROVAL_ID_LEN);

    if (reply->state != NGX_HTTP_APPROVAL_PENDING
        || ngx_http_approval_end_find(hold->mcf, &end, reply->now) != NGX_OK)
    {
        return NGX_OK;
    }

    ngx_http_approval_limit_ended(hold, end.state);

    return NGX_DECLINED;
}


/* The store knows no freeze, but this gateway has seen one: refuses. */

ngx_int_t
ngx_http_approval_limit_unfrozen(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_ends_learn(hold->mcf, reply->ends, reply->nends,
                                 reply->now);

    if (!ngx_http_approval_limit_frozen(hold, reply->now)) {
        return NGX_OK;
    }

    ngx_http_approval_limit_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_FROZEN,
                                   "freeze",
                                   ngx_http_approval_limit_freeze);

    return NGX_DECLINED;
}


/* NGX_OK: the grant's document and the memory of ends permit this use. */

ngx_int_t
ngx_http_approval_limit_used(ngx_http_approval_hold_t *hold, json_t *doc,
    const ngx_http_approval_reply_t *reply, const char **err)
{
    int64_t                  most;
    ngx_int_t                rc;
    ngx_http_approval_end_t  end;

    ngx_http_approval_ends_learn(hold->mcf, reply->ends, reply->nends,
                                 reply->now);

    most = json_integer_value(json_object_get(json_object_get(doc, "remember"),
                                              "uses"));

    ngx_memzero(&end, sizeof(ngx_http_approval_end_t));

    end.kind = NGX_HTTP_APPROVAL_END_GRANT;
    end.since = json_integer_value(json_object_get(doc, "granted"));
    end.until = json_integer_value(json_object_get(doc, "ends"));
    ngx_memcpy(end.id, reply->grant.data, APPROVAL_ID_LEN);

    if (most) {
        end.use = (uint32_t) reply->used;
        end.uses = 1;
    }

    if (reply->used == 0 || (most && (int64_t) reply->used > most)) {
        *err = "it has no uses left";
        return NGX_ERROR;
    }

    rc = ngx_http_approval_end_take(hold->mcf, &end, reply->now);

    if (rc == NGX_ERROR) {
        ngx_http_approval_limit_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_STORE,
                                       "memory",
                                       ngx_http_approval_limit_full);
        return NGX_DECLINED;
    }

    if (rc == NGX_DECLINED) {
        *err = end.over ? "it was revoked or replaced"
                        : "this use of it was already made";
        return NGX_ERROR;
    }

    if (most) {
        ngx_http_approval_limit_state(hold, &end, reply->now);
    }

    return NGX_OK;
}


/*
 * Stores a statement of the use for other gateways, and for this one after a
 * restart, without waiting for the reply.
 */

static void
ngx_http_approval_limit_state(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_end_t *end, int64_t now)
{
    json_t                         *doc;
    approval_buf_t                  sealed;
    ngx_http_approval_statement_t   statement;

    doc = json_object();

    approval_buf_init(&sealed);

    if (doc && ngx_http_approval_end_seal(hold->mcf, end, doc, &sealed)
               == NGX_OK)
    {
        statement.doc.data = sealed.data;
        statement.doc.len = sealed.len;
        statement.since = end->since;
        statement.use = end->use;
        statement.time = (ngx_msec_t) ngx_max(end->until - now, 0);

        (void) ngx_http_approval_store_end(hold->mcf->worker->store,
                                           (u_char *) end->id, &statement,
                                           NULL, NULL);
    }

    approval_buf_free(&sealed);
    json_decref(doc);
}


/* Remembers a verified decision. */

void
ngx_http_approval_limit_decided(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state)
{
    ngx_http_approval_end_decided(hold->mcf, hold->verdict->rule,
                                  hold->action.id, state,
                                  ngx_http_approval_hold_now(hold));
}


/* True if this gateway knows a freeze of the requester or the policy. */

ngx_uint_t
ngx_http_approval_limit_frozen(ngx_http_approval_hold_t *hold, int64_t now)
{
    u_char     buf[NGX_HTTP_APPROVAL_HASHES];
    ngx_str_t  requester;

    return ngx_http_approval_find_requester(hold, buf, &requester) != NGX_OK
           || ngx_http_approval_end_frozen(hold->mcf, &requester, now)
              == NGX_OK
           || ngx_http_approval_end_frozen(hold->mcf,
                                        &hold->verdict->rule->policy->hashes,
                                           now)
              == NGX_OK;
}


static void
ngx_http_approval_limit_ended(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state)
{
    const char  *name, *why;

    name = ngx_http_approval_end_name(state, &why);

    /* what Redis said of another gateway's execution is an approval */

    if (state == NGX_HTTP_APPROVAL_APPROVED) {
        state = NGX_HTTP_APPROVAL_EXECUTED;
    }

    ngx_http_approval_limit_refuse(hold, ngx_http_approval_hold_refusal(state),
                                   name, why);
}


void
ngx_http_approval_limit_refuse(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal, const char *limit, const char *why)
{
    ngx_http_approval_limit_say(hold, limit, why);
    ngx_http_approval_hold_refuse(hold, refusal);
}


static void
ngx_http_approval_limit_say(ngx_http_approval_hold_t *hold, const char *limit,
    const char *why)
{
    ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(hold->request), 0,
                  "action %*s is refused: %s",
                  (size_t) APPROVAL_ID_LEN, hold->action.id, why);

    ngx_http_approval_limit_record(hold, ngx_http_approval_hold_stored(hold)
                                         ? hold->action.id : NULL,
                                   limit, why);
}


void
ngx_http_approval_limit_record(ngx_http_approval_hold_t *hold, u_char *id,
    const char *limit, const char *why)
{
    json_t  *facts;

    facts = ngx_http_approval_facts(hold);

    if (facts) {
        json_object_set_new(facts, "limit", json_string(limit));
        json_object_set_new(facts, "why", json_string(why));

        (void) ngx_http_approval_audit_often(hold->mcf, APPROVAL_RECORD_FAULT,
                                             id, facts);
    }
}
