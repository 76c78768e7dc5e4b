
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What a requester is told when its request is refused (RFC 9457).
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "model/link.h"
#include "model/status.h"


static ngx_uint_t ngx_http_approval_refuse_told(
    ngx_http_approval_refusal_e which);
static ngx_int_t ngx_http_approval_refuse_mcp(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const ngx_http_approval_refusal_t *refusal,
    const char *detail);
static void ngx_http_approval_refuse_record(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const ngx_http_approval_refusal_t *refusal,
    const char *detail, const char *mode);
static json_t *ngx_http_approval_refuse_extra(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_refuse_headers(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold,
    const ngx_http_approval_refusal_t *refusal);


ngx_int_t
ngx_http_approval_refuse(ngx_http_request_t *r, ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e which, const char *detail)
{
    const ngx_http_approval_refusal_t  *refusal;

    refusal = &ngx_http_approval_refusals[which];

    hold->state = NGX_HTTP_APPROVAL_HOLD_REFUSED;
    hold->refusal = which;
    hold->resumed = ngx_current_msec;

    ngx_http_approval_hold_leave(hold);

    if (hold->wait.event.timer_set) {
        ngx_del_timer(&hold->wait.event);
    }

    ngx_http_approval_hold_unwatch(hold);

    if (detail == NULL && which == NGX_HTTP_APPROVAL_REFUSE_POLICY
        && hold->rule && hold->rule->why.len)
    {
        detail = (char *) hold->rule->why.data;
    }

    if (!hold->stored) {
        ngx_http_approval_refuse_record(r, hold, refusal, detail, NULL);
    }

    ngx_http_approval_count_refused(hold->mcf, which);

    if (ngx_http_approval_refuse_headers(r, hold, refusal) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (refusal->http == 413) {
        r->keepalive = 0;
    }

    /* after an error_page it would be sent instead of ours */

    r->err_status = 0;

    if (ngx_http_approval_refuse_told(which)
        && ngx_http_approval_mcp_ids(hold) == NGX_OK && hold->mcp_ids.len)
    {
        return ngx_http_approval_refuse_mcp(r, hold, refusal, detail);
    }

    return ngx_http_approval_problem(r, refusal->http, refusal->type,
                                     refusal->title,
                                     detail ? detail : refusal->next,
                                     hold->stored ? hold->action.id : NULL,
                                     ngx_http_approval_refuse_extra(hold));
}


/* What a model can adapt to; all else is the transport's or the client's. */

static ngx_uint_t
ngx_http_approval_refuse_told(ngx_http_approval_refusal_e which)
{
    switch (which) {

    case NGX_HTTP_APPROVAL_REFUSE_DENIED:
    case NGX_HTTP_APPROVAL_REFUSE_POLICY:
    case NGX_HTTP_APPROVAL_REFUSE_EXPIRED:
    case NGX_HTTP_APPROVAL_REFUSE_CANCELLED:
    case NGX_HTTP_APPROVAL_REFUSE_CONSUMED:
    case NGX_HTTP_APPROVAL_REFUSE_MANY:
    case NGX_HTTP_APPROVAL_REFUSE_PROMPTS:
    case NGX_HTTP_APPROVAL_REFUSE_FAILED:
    case NGX_HTTP_APPROVAL_REFUSE_REPEATED:
    case NGX_HTTP_APPROVAL_REFUSE_FROZEN:
    case NGX_HTTP_APPROVAL_REFUSE_REASON:
    case NGX_HTTP_APPROVAL_REFUSE_BATCH:
        return 1;

    default:
        return 0;
    }
}


static ngx_int_t
ngx_http_approval_refuse_mcp(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const ngx_http_approval_refusal_t *refusal,
    const char *detail)
{
    json_t          *meta;
    ngx_int_t        rc;
    approval_buf_t   text;

    meta = ngx_http_approval_refuse_extra(hold);

    if (meta == NULL
        || json_object_set_new(meta, "type",
                               json_sprintf("urn:approval:%s", refusal->type))
           != 0
        || (hold->stored
            && json_object_set_new(meta, "id",
                                   json_stringn((char *) hold->action.id,
                                                APPROVAL_ID_LEN))
               != 0))
    {
        json_decref(meta);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    approval_buf_init(&text);
    approval_buf_printf(&text, "%s", refusal->title);

    if (hold->action.approvers.len) {
        approval_buf_printf(&text, " (%.*s)", (int) hold->action.approvers.len,
                            hold->action.approvers.data);
    }

    if (hold->answered) {
        approval_buf_printf(&text, " (the answer was %d)",
                            (int) hold->answered);
    }

    approval_buf_adds(&text, ". ");

    if (hold->action.detail.len) {
        approval_buf_printf(&text, "Comment: %.*s ",
                            (int) hold->action.detail.len,
                            hold->action.detail.data);
    }

    approval_buf_adds(&text, detail ? detail : refusal->next);
    approval_buf_addc(&text, '\0');

    if (text.failed) {
        json_decref(meta);
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        rc = ngx_http_approval_mcp_refuse(r, hold, (char *) text.data, meta);
    }

    approval_buf_free(&text);

    return rc;
}


/*
 * 202: the action is open, and the connection is not. The status URL is a
 * ticket to look with; it decides nothing.
 */

ngx_int_t
ngx_http_approval_accept(ngx_http_request_t *r, ngx_http_approval_hold_t *hold)
{
    ngx_int_t        rc;
    approval_buf_t   buf;

    hold->resumed = ngx_current_msec;
    hold->state = NGX_HTTP_APPROVAL_HOLD_REFUSED;

    ngx_http_approval_count(hold->rule, NGX_HTTP_APPROVAL_COUNT_ACCEPTED);

    ngx_http_approval_hold_unwatch(hold);

    if (ngx_http_approval_progress_opened(hold)) {
        return ngx_http_approval_mcp_refuse(r, hold,
                   "Nobody has decided yet, and the call was not executed. "
                   "Make the same call again to go on waiting.",
                   ngx_http_approval_status_document(hold->action.id,
                                         hold->action.state,
                                         hold->action.created,
                                         hold->action.expires));
    }

    approval_buf_init(&buf);

    rc = ngx_http_approval_link(r, hold->mcf, NGX_HTTP_APPROVAL_LINK_STATUS,
                                hold->action.id, &buf);

    if (rc == NGX_OK) {
        rc = ngx_http_approval_header(r, "Location", approval_buf_str(&buf));
    }

    if (rc != NGX_ERROR && (hold->prefer_async || hold->prefer_wait >= 0)) {

        approval_buf_reset(&buf);

        if (hold->prefer_async) {
            approval_buf_adds(&buf, "respond-async");
        }

        if (hold->prefer_wait >= 0) {
            approval_buf_printf(&buf, "%swait=%ld", buf.len ? ", " : "",
                                (long) hold->prefer_wait);
        }

        rc = buf.failed ? NGX_ERROR
                        : ngx_http_approval_header(r, "Preference-Applied",
                                                   approval_buf_str(&buf));
    }

    approval_buf_free(&buf);

    if (rc == NGX_ERROR
        || ngx_http_approval_header_int(r, "Retry-After",
                                        NGX_HTTP_APPROVAL_STATUS_RETRY)
           != NGX_OK
        || ngx_http_approval_refuse_headers(r, hold, NULL) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_send_json(r, NGX_HTTP_ACCEPTED,
                                       "application/json",
                             ngx_http_approval_status_document(hold->action.id,
                                         hold->action.state,
                                         hold->action.created,
                                         hold->action.expires));
}


void
ngx_http_approval_refuse_shadow(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, ngx_http_approval_refusal_e which,
    const char *detail)
{
    ngx_http_approval_count(hold->rule, NGX_HTTP_APPROVAL_COUNT_SHADOW);

    ngx_http_approval_refuse_record(r, hold, &ngx_http_approval_refusals[which],
                                    detail, "shadow");
}


/* Refused before there was an action: the trail knows of it all the same. */

static void
ngx_http_approval_refuse_record(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const ngx_http_approval_refusal_t *refusal,
    const char *detail, const char *mode)
{
    json_t                    *facts;
    ngx_http_approval_look_t   look;

    ngx_log_error(NGX_LOG_INFO, ngx_http_approval_log(r), 0,
                  "request refused by approval policy \"%V\"%s: %s%s%s",
                  &hold->lcf->policy->name, mode ? ", in shadow" : "",
                  refusal->title, detail ? ": " : "", detail ? detail : "");

    /* who it was is told as well as can be, also where nobody was to ask */

    if (hold->requester.len == 0 && hold->lcf->requester) {
        ngx_http_approval_look(&look, r, hold->body, hold->captures);

        if (ngx_http_approval_read_text(&look, hold->lcf->requester,
                                        &hold->requester)
            != NGX_OK)
        {
            ngx_str_null(&hold->requester);
        }
    }

    facts = ngx_http_approval_facts(hold);
    if (facts == NULL) {
        return;
    }

    if (ngx_http_approval_facts_brief(r, hold->lcf, hold->rule, facts)
        != NGX_OK
        || json_object_set_new(facts, "refusal",
                            json_sprintf("urn:approval:%s", refusal->type))
        != 0
        || json_object_set_new(facts, "why",
                               json_string(detail ? detail : refusal->title))
           != 0
        || (mode && json_object_set_new(facts, "mode", json_string(mode)) != 0))
    {
        json_decref(facts);
        return;
    }

    (void) ngx_http_approval_audit_often(hold->mcf, APPROVAL_RECORD_REFUSED,
                                         NULL, facts);
}


static ngx_int_t
ngx_http_approval_refuse_headers(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const ngx_http_approval_refusal_t *refusal)
{
    ngx_int_t  after;

    after = (hold->retry_after || refusal == NULL)
            ? (ngx_int_t) hold->retry_after : refusal->retry;

    if (refusal && after > 0
        && ngx_http_approval_header_int(r, "Retry-After", after) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_approval_hold_headers(r, hold);
}


ngx_int_t
ngx_http_approval_hold_headers(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold)
{
    approval_str_t  id;

    if (!hold->stored) {
        return NGX_OK;
    }

    id.data = hold->action.id;
    id.len = APPROVAL_ID_LEN;

    if (ngx_http_approval_header(r, "Approval-Id", id) != NGX_OK
        || ngx_http_approval_header(r, "Approval-Status",
                 ngx_http_approval_core_str(
                            ngx_http_approval_state_name(hold->action.state)))
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
                            ngx_http_approval_state_name(hold->action.state)));

    if (hold->action.detail.len) {
        json_object_set_new(extra, "comment",
                            ngx_http_approval_json_str(&hold->action.detail));
    }

    if (hold->answered) {
        json_object_set_new(extra, "outcome",
                            json_pack("{s:i}", "status",
                                      (int) hold->answered));
    }

    if (hold->action.approvers.len) {
        json_object_set_new(extra, "decided_by",
                            ngx_http_approval_json_str(&hold->action.approvers));
    }

    return extra;
}
