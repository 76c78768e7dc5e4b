
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What a requester is told when its request is refused (RFC 9457).
 */


#include "gate/gate.h"

#include "model/problem.h"


typedef struct {
    ngx_uint_t   status;
    ngx_uint_t   retry_after;
    const char  *type;
    const char  *title;
    const char  *detail;
} ngx_http_approval_refusal_t;


static void ngx_http_approval_refuse_record(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const ngx_http_approval_refusal_t *refusal,
    const char *detail);
static json_t *ngx_http_approval_refuse_extra(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_refuse_headers(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold,
    const ngx_http_approval_refusal_t *refusal);


/* By ngx_http_approval_refusal_e. */

static const ngx_http_approval_refusal_t  ngx_http_approval_refusals[] = {

    { 403, 0, "denied", "An approver denied this request",
      "It was not forwarded. Do not repeat it unchanged: read the comment, "
      "and ask for something else or ask the approver." },

    { 403, 0, "denied", "The gateway's policy denies this request",
      "It was not forwarded, and no approver can allow it: a rule denies "
      "it." },

    { 403, 0, "expired", "Nobody decided in time",
      "It was neither approved nor denied, and was not forwarded. Send it "
      "again to ask again." },

    { 403, 0, "cancelled", "This request was cancelled",
      "It was not forwarded. Send it again to ask again." },

    { 409, 0, "already-executed", "The approval has been used",
      "An approval is good for one execution, and another connection with the "
      "same request took it. Look up the action's outcome instead of "
      "repeating it." },

    { 503, 1, "action-lost", "The pending action is gone from the store",
      "It was not forwarded. Send the request again to ask again." },

    { 503, 1, "store-unavailable", "The approval store is unavailable",
      "The request needs an approval, which cannot be asked for or checked "
      "now. It was not forwarded. Try again later." },

    { 503, 1, "audit-unavailable", "The audit trail cannot be written",
      "The request needs an approval that cannot be recorded now. It was not "
      "forwarded. Try again later." },

    { 429, 30, "too-many-pending", "Too many requests wait for approval",
      "It was not forwarded, and nobody was asked. Wait until some are "
      "decided." },

    { 413, 0, "body-too-large", "The body is too large to be judged",
      "A rule needs to read the body, and it is larger than the policy's "
      "body_limit." },

    { 400, 0, "body-unreadable", "The body cannot be judged",
      "A rule needs to read the body, and it is not valid." },

    { 415, 0, "body-unreadable", "An encoded body cannot be judged",
      "A rule needs to read the body. Send it without Content-Encoding." },

    { 400, 0, "ambiguous-path", "The request's path can be read in two ways",
      "Send the path in its plain, normalized form." },

    { 400, 0, "override-header", "A header asks for another method or path",
      "Send the request with the method and path that it means, without "
      "the header." },

    { 400, 0, "reason-required", "A reason is required",
      "Say why the request is needed, for example in the X-Approval-Reason "
      "header." },

    { 403, 0, "identity-required", "The requester is not identified",
      "A request that needs an approval needs a verified identity." },

    { 400, 0, "match-limit", "The request is too expensive to judge",
      "A rule's pattern reached its limit on this request. It was not "
      "forwarded." },

    { 400, 0, "mixed-batch", "The batch falls under several rules",
      "Send its elements one by one." },

    { 500, 0, "internal", "The gateway failed to judge this request",
      "It was not forwarded. The gateway's error log says more." }
};


ngx_int_t
ngx_http_approval_refuse(ngx_http_request_t *r, ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e which, const char *detail)
{
    const ngx_http_approval_refusal_t  *refusal;

    refusal = &ngx_http_approval_refusals[which];

    hold->state = NGX_HTTP_APPROVAL_HOLD_REFUSED;
    hold->refusal = which;
    hold->resumed = ngx_current_msec;
    hold->waiting = 0;

    if (hold->wake.timer_set) {
        ngx_del_timer(&hold->wake);
    }

    if (hold->watch.active) {
        ngx_http_approval_watch_del(hold->mcf->store, &hold->watch);
    }

    if (detail == NULL && which == NGX_HTTP_APPROVAL_REFUSE_POLICY
        && hold->rule && hold->rule->why.len)
    {
        detail = (char *) hold->rule->why.data;
    }

    if (!hold->stored) {
        ngx_http_approval_refuse_record(r, hold, refusal, detail);
    }

    if (ngx_http_approval_refuse_headers(r, hold, refusal) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (refusal->status == 413) {
        r->keepalive = 0;
    }

    /* after an error_page it would be sent instead of ours */

    r->err_status = 0;

    return ngx_http_approval_problem(r, refusal->status, refusal->type,
                                     refusal->title,
                                     detail ? detail : refusal->detail,
                                     hold->stored ? hold->id : NULL,
                                     ngx_http_approval_refuse_extra(hold));
}


/* Refused before there was an action: the trail knows of it all the same. */

static void
ngx_http_approval_refuse_record(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const ngx_http_approval_refusal_t *refusal,
    const char *detail)
{
    json_t  *facts;

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "request refused by approval policy \"%V\": %s%s%s",
                  &hold->lcf->policy->name, refusal->title,
                  detail ? ": " : "", detail ? detail : "");

    facts = ngx_http_approval_facts(hold);
    if (facts == NULL) {
        return;
    }

    if (json_object_set_new(facts, "refusal",
                            json_sprintf("urn:approval:%s", refusal->type))
        != 0
        || json_object_set_new(facts, "why",
                               json_string(detail ? detail : refusal->title))
           != 0)
    {
        json_decref(facts);
        return;
    }

    (void) ngx_http_approval_audit(hold->mcf, "refused", NULL, facts);
}


static ngx_int_t
ngx_http_approval_refuse_headers(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const ngx_http_approval_refusal_t *refusal)
{
    approval_str_t  id;

    if (refusal->retry_after
        && ngx_http_approval_header_int(r, "Retry-After",
                                        refusal->retry_after)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!hold->stored) {
        return NGX_OK;
    }

    id.data = hold->id;
    id.len = APPROVAL_ID_LEN;

    if (ngx_http_approval_header(r, "Approval-Id", id) != NGX_OK
        || ngx_http_approval_header(r, "Approval-Status",
                 ngx_http_approval_core_str(
                            ngx_http_approval_state_name(hold->action_state)))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The approver's comment, who it was, and where the action stands. */

static json_t *
ngx_http_approval_refuse_extra(ngx_http_approval_hold_t *hold)
{
    json_t  *extra;

    extra = json_object();
    if (extra == NULL) {
        return NULL;
    }

    if (hold->rule) {
        json_object_set_new(extra, "rule",
                            ngx_http_approval_json_str(&hold->rule->name));
    }

    if (!hold->stored) {
        return extra;
    }

    json_object_set_new(extra, "state",
             ngx_http_approval_json_str(
                            ngx_http_approval_state_name(hold->action_state)));

    if (hold->detail.len) {
        json_object_set_new(extra, "comment",
                            ngx_http_approval_json_str(&hold->detail));
    }

    if (hold->approvers.len) {
        json_object_set_new(extra, "decided_by",
                            ngx_http_approval_json_str(&hold->approvers));
    }

    return extra;
}
