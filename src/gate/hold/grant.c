
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * remember: an approval for more than one request.  A grant is found by a MAC
 * over everything that it is bound to, and its document is sealed, so somebody
 * who writes to Redis can neither make a grant nor prolong one.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


static json_t *ngx_http_approval_grant_doc(ngx_http_approval_hold_t *hold,
    ngx_str_t *id);
static const char *ngx_http_approval_grant_valid(
    ngx_http_approval_hold_t *hold, json_t *doc,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_grant_receipt(
    ngx_http_approval_hold_t *hold, json_t *doc,
    const ngx_http_approval_reply_t *reply);


/* hold->verdict->remember is the VALUE; there is no grant for an empty one. */

ngx_int_t
ngx_http_approval_grant_hashes(ngx_http_approval_hold_t *hold,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes)
{
    ngx_str_t                  parts[8];
    ngx_http_approval_rule_t  *rule;

    rule = hold->verdict->rule;

    parts[0] = hold->verdict->who.person;
    parts[1] = hold->verdict->who.on_behalf_person;
    parts[2] = rule->policy->name;
    parts[3] = rule->name;
    parts[4] = rule->policy->digest;
    parts[5] = hold->verdict->remember;
    parts[6] = hold->lcf->place;
    parts[7] = hold->request->headers_in.server;

    if (ngx_http_approval_hashes(hold->mcf, "grant", parts, 8, buf, hashes)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_approval_store_place(hashes, hold->action.id);

    return NGX_OK;
}


/* Consumes the approval, and creates the grant in the same operation. */

ngx_http_approval_op_t *
ngx_http_approval_grant_consume(ngx_http_approval_hold_t *hold,
    ngx_http_approval_store_pt handler)
{
    u_char                      hash[NGX_HTTP_APPROVAL_HASHES];
    u_char                      who[NGX_HTTP_APPROVAL_HASHES];
    json_t                     *doc;
    ngx_str_t                   requester, call;
    approval_buf_t              sealed;
    ngx_http_approval_op_t     *op;
    ngx_http_approval_grant_t   grant;

    if (ngx_http_approval_find_requester(hold, who, &requester) != NGX_OK) {
        return NULL;
    }

    ngx_str_null(&call);

    if (hold->wait.call) {
        call.len = NGX_HTTP_APPROVAL_HASH_LEN;
        call.data = hold->wait.call->id;
    }

    doc = NULL;
    op = NULL;
    ngx_str_null(&grant.hash);
    approval_buf_init(&sealed);

    if (hold->verdict->remember.len && !hold->action.single
        && ngx_http_approval_grant_hashes(hold, hash, &grant.hash) == NGX_OK)
    {
        /* a new grant is stored under the first key's hash */

        grant.hash.len = NGX_HTTP_APPROVAL_HASH_LEN;
        doc = ngx_http_approval_grant_doc(hold, &grant.hash);

        if (doc == NULL
            || ngx_http_approval_action_seal(hold->mcf, doc, &sealed)
               != NGX_OK)
        {
            goto done;
        }

        grant.time = hold->verdict->rule->remember;
        grant.uses = hold->verdict->rule->remember_uses;
        grant.doc.data = sealed.data;
        grant.doc.len = sealed.len;
    }

    op = ngx_http_approval_store_consume(hold->mcf->worker->store,
                                         hold->action.id,
                                         &hold->action.decision, &requester,
                                         &hold->verdict->rule->policy->hashes,
                                         &call, doc ? &grant : NULL, handler,
                                         hold);
done:

    approval_buf_free(&sealed);
    json_decref(doc);

    return op;
}


static json_t *
ngx_http_approval_grant_doc(ngx_http_approval_hold_t *hold, ngx_str_t *id)
{
    json_t   *doc;
    int64_t   now;

    now = ngx_http_approval_hold_now(hold);

    doc = ngx_http_approval_facts(hold);

    if (doc == NULL) {
        return NULL;
    }

    if (json_object_set_new(doc, "v", json_integer(1)) != 0
        || json_object_set_new(doc, "kind", json_string("grant")) != 0
        || json_object_set_new(doc, "id", ngx_http_approval_json_str(id)) != 0
        || json_object_set_new(doc, "action_id",
                               json_stringn((char *) hold->action.id,
                                            APPROVAL_ID_LEN))
           != 0
        || json_object_set(doc, "remember", hold->verdict->remembered) != 0
        || json_object_set_new(doc, "require",
                               ngx_http_approval_describe_require(hold))
           != 0
        || json_object_set_new(doc, "granted", json_integer(now)) != 0
        || json_object_set_new(doc, "ends",
                             json_integer(now + hold->verdict->rule->remember))
           != 0)
    {
        json_decref(doc);
        return NULL;
    }

    return doc;
}


/* The store has used a grant: the request passes if the grant verifies. */

void
ngx_http_approval_grant_used(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply)
{
    u_char       buf[NGX_HTTP_APPROVAL_HASHES];
    json_t      *doc;
    ngx_str_t    sealed, asked;
    const char  *err;

    ngx_http_approval_hold_clock(hold, reply);

    if (ngx_http_approval_grant_hashes(hold, buf, &asked) != NGX_OK) {
        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
        return;
    }

    if (!ngx_http_approval_hash_among(&asked, (ngx_str_t *) &reply->grant)) {

        /* it is another requester's grant, so it is not removed */

        ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(hold->request), 0,
                      "Redis returned grant %V, for which this request did "
                      "not ask: the request is refused", &reply->grant);

        ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_LOST);
        return;
    }

    sealed = reply->doc;
    doc = ngx_http_approval_action_open(hold->mcf, reply->grant.data, &sealed);

    err = doc ? ngx_http_approval_grant_valid(hold, doc, reply)
              : "it was not sealed by this gateway";

    if (err == NULL
        && ngx_http_approval_limit_used(hold, doc, reply, &err) == NGX_DECLINED)
    {
        json_decref(doc);
        return;
    }

    if (err == NULL
        && ngx_http_approval_grant_receipt(hold, doc, reply) == NGX_OK)
    {
        json_decref(doc);

        ngx_http_approval_count(hold->verdict->rule,
                                NGX_HTTP_APPROVAL_COUNT_GRANT_USED);

        hold->action.taken = reply->now;
        hold->action.state = NGX_HTTP_APPROVAL_EXECUTING;

        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_CONSUMED);

        return;
    }

    json_decref(doc);

    if (err) {
        ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(hold->request), 0,
                      "grant %V ignored and removed: %s", &reply->grant, err);

        ngx_http_approval_limit_record(hold, (u_char *) reply->id, "grant",
                                       err);

        (void) ngx_http_approval_store_revoke(hold->mcf->worker->store,
                                              reply->grant.data, NULL, NULL,
                                              NULL);
    }

    ngx_http_approval_hold_refuse(hold, err ? NGX_HTTP_APPROVAL_REFUSE_LOST
                                          : NGX_HTTP_APPROVAL_REFUSE_INTERNAL);
}


static const char *
ngx_http_approval_grant_valid(ngx_http_approval_hold_t *hold, json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    ngx_str_t  kind, action;

    kind = ngx_http_approval_json_get(doc, "kind");
    action = ngx_http_approval_json_get(doc, "action_id");

    if (kind.len != 5 || ngx_memcmp(kind.data, "grant", 5) != 0) {
        return "it is not a grant";
    }

    if (action.len != APPROVAL_ID_LEN
        || ngx_memcmp(action.data, reply->id, APPROVAL_ID_LEN) != 0)
    {
        return "it belongs to another action";
    }

    if (reply->now >= json_integer_value(json_object_get(doc, "ends"))) {
        return "it has expired";
    }

    return NULL;
}


static ngx_int_t
ngx_http_approval_grant_receipt(ngx_http_approval_hold_t *hold, json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    ngx_str_t    approvers;
    ngx_pool_t  *pool;

    pool = hold->request->pool;

    ngx_memcpy(hold->action.id, reply->id, APPROVAL_ID_LEN);

    hold->action.origin = NGX_HTTP_APPROVAL_ACTION_JOINED;
    hold->used = reply->used;
    hold->action.created = reply->created;
    hold->action.expires = reply->expires;

    approvers = ngx_http_approval_json_get(doc, "approvers");

    hold->grant.len = APPROVAL_ID_LEN;
    hold->grant.data = ngx_pnalloc(pool, APPROVAL_ID_LEN);
    hold->action.approvers.data = ngx_pstrdup(pool, &approvers);

    if (hold->grant.data == NULL || hold->action.approvers.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(hold->grant.data, reply->grant.data, APPROVAL_ID_LEN);
    hold->action.approvers.len = approvers.len;

    return ngx_http_approval_hold_receipt(hold);
}
