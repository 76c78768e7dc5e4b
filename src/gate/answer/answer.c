
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Answers a request that is not forwarded, in the form that its client reads,
 * and records and counts it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/form.h"

#include "model/link.h"
#include "model/status.h"


static ngx_int_t ngx_http_approval_answer(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, ngx_http_approval_refusal_e which,
    const char *detail);
static ngx_http_approval_refuse_pt ngx_http_approval_answer_protocol(
    ngx_http_request_t *r, ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_answer_headers(
    ngx_http_approval_refuse_t *answer);
static void ngx_http_approval_answer_sentence(ngx_str_t *text,
    approval_buf_t *out);
static ngx_int_t ngx_http_approval_accept_pending(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_accept_location(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_accept_preference(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);
static void ngx_http_approval_refuse_record(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const ngx_http_approval_refusal_t *refusal,
    const char *detail, const char *mode);


/* by approval_refusals */

static const ngx_http_approval_refuse_pt  ngx_http_approval_answer_forms[] = {
    [NGX_HTTP_APPROVAL_FORM_PROBLEM] = ngx_http_approval_answer_problem,
    [NGX_HTTP_APPROVAL_FORM_KUBERNETES] = ngx_http_approval_answer_kubernetes,
    [NGX_HTTP_APPROVAL_FORM_OPENAI] = ngx_http_approval_answer_openai,
    [NGX_HTTP_APPROVAL_FORM_ANTHROPIC] = ngx_http_approval_answer_anthropic,
    [NGX_HTTP_APPROVAL_FORM_OCI] = ngx_http_approval_answer_oci
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

    ngx_http_approval_hold_leave(hold);

    if (hold->wait.event.timer_set) {
        ngx_del_timer(&hold->wait.event);
    }

    ngx_http_approval_hold_unwatch(hold);

    if (detail == NULL && which == NGX_HTTP_APPROVAL_REFUSE_POLICY
        && hold->verdict->rule && hold->verdict->rule->why.len)
    {
        detail = (char *) hold->verdict->rule->why.data;
    }

    if (!ngx_http_approval_hold_stored(hold)) {
        ngx_http_approval_refuse_record(r, hold, refusal, detail, NULL);
    }

    ngx_http_approval_count_refused(hold->mcf, which);

    return ngx_http_approval_answer(r, hold, which, detail);
}


static ngx_int_t
ngx_http_approval_answer(ngx_http_request_t *r, ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e which, const char *detail)
{
    ngx_http_approval_refuse_t   answer;
    ngx_http_approval_refuse_pt  form;

    answer.request = r;
    answer.hold = hold;
    answer.refusal = &ngx_http_approval_refusals[which];
    answer.status = (which == NGX_HTTP_APPROVAL_REFUSE_PENDING)
                    ? hold->verdict->rule->hold_status : answer.refusal->http;
    answer.retry = answer.refusal->retry;

    if (answer.retry != NGX_HTTP_APPROVAL_FINAL && hold->retry_after) {
        answer.retry = (ngx_int_t) hold->retry_after;
    }

    answer.detail = detail;

    if (ngx_http_approval_rpc_keep(hold) != NGX_OK
        || ngx_http_approval_answer_headers(&answer) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    form = ngx_http_approval_answer_protocol(r, hold);

    if (form == NULL) {
        form = ngx_http_approval_answer_forms[hold->lcf->refusals];
    }

    if (answer.status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        r->keepalive = 0;
    }

    /* a status left by error_page would be sent instead of ours */

    r->err_status = 0;

    return form(&answer);
}


/* The form by the request's protocol; NULL: use the configured one. */

static ngx_http_approval_refuse_pt
ngx_http_approval_answer_protocol(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold)
{
    return hold->rpc ? ngx_http_approval_answer_jsonrpc
           : ngx_http_approval_answer_is_grpc(r) ? ngx_http_approval_answer_grpc
           : ngx_http_approval_answer_is_git(r) ? ngx_http_approval_answer_git
                                                : NULL;
}


static ngx_int_t
ngx_http_approval_answer_headers(ngx_http_approval_refuse_t *answer)
{
    ngx_int_t            after;
    ngx_http_request_t  *r;

    r = answer->request;

    after = answer->hold->retry_after ? (ngx_int_t) answer->hold->retry_after
                                      : answer->retry;

    /*
     * Some clients send a request again after any 409, at the time that is
     * given: just when approvers would be asked again.
     */

    if (answer->retry == NGX_HTTP_APPROVAL_FINAL
        && answer->status == NGX_HTTP_CONFLICT)
    {
        after = 0;
    }

    if (after > 0
        && ngx_http_approval_header_int(r, "Retry-After", after) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* LLM SDKs retry some statuses unless this header forbids it */

    if (answer->retry == NGX_HTTP_APPROVAL_FINAL
        && ngx_http_approval_header(r, "x-should-retry",
                                    approval_str("false"))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_approval_hold_headers(r, answer->hold);
}


void
ngx_http_approval_answer_text(ngx_http_approval_refuse_t *answer,
    approval_buf_t *out)
{
    ngx_str_t                  detail;
    ngx_http_approval_hold_t  *hold;

    hold = answer->hold;

    approval_buf_printf(out, "%s", answer->refusal->title);

    if (hold->action.approvers.len) {
        approval_buf_printf(out, " (%.*s)", (int) hold->action.approvers.len,
                            hold->action.approvers.data);
    }

    if (hold->answered) {
        approval_buf_printf(out, " (the response was %d)",
                            (int) hold->answered);
    }

    approval_buf_adds(out, ". ");

    if (hold->action.detail.len) {
        approval_buf_adds(out, "Comment: ");
        ngx_http_approval_answer_sentence(&hold->action.detail, out);
    }

    if (answer->detail && answer->detail[0]) {
        detail.data = (u_char *) answer->detail;
        detail.len = ngx_strlen(answer->detail);

        ngx_http_approval_answer_sentence(&detail, out);
    }

    approval_buf_adds(out, answer->refusal->next);
}


json_t *
ngx_http_approval_answer_message(ngx_http_approval_refuse_t *answer)
{
    json_t          *message;
    approval_buf_t   text;

    approval_buf_init(&text);

    ngx_http_approval_answer_text(answer, &text);

    message = text.failed ? NULL : json_stringn((char *) text.data, text.len);

    approval_buf_free(&text);

    return message;
}


static void
ngx_http_approval_answer_sentence(ngx_str_t *text, approval_buf_t *out)
{
    approval_buf_add(out, text->data, text->len);
    approval_buf_adds(out, ngx_strchr(".!?", text->data[text->len - 1])
                           ? " " : ". ");
}


/*
 * Answers a client whose patience is over while the action is open.  Only
 * clients that sent Prefer get 202, since others would take it for success.
 * The status URL shows the action, but cannot decide it.
 */

ngx_int_t
ngx_http_approval_accept(ngx_http_request_t *r, ngx_http_approval_hold_t *hold)
{
    hold->resumed = ngx_current_msec;
    hold->state = NGX_HTTP_APPROVAL_HOLD_REFUSED;

    ngx_http_approval_hold_unwatch(hold);

    if (ngx_http_approval_accept_location(r, hold) != NGX_OK
        || ngx_http_approval_accept_preference(r, hold) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if ((!hold->prefer_async && hold->prefer_wait < 0)
        || ngx_http_approval_answer_protocol(r, hold))
    {
        return ngx_http_approval_accept_pending(r, hold);
    }

    ngx_http_approval_count(hold->verdict->rule,
                            NGX_HTTP_APPROVAL_COUNT_ACCEPTED);

    if (ngx_http_approval_header_int(r, "Retry-After",
                                     NGX_HTTP_APPROVAL_STATUS_RETRY)
        != NGX_OK
        || ngx_http_approval_hold_headers(r, hold) != NGX_OK)
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


static ngx_int_t
ngx_http_approval_accept_pending(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold)
{
    ngx_msec_t  waited;

    hold->refusal = NGX_HTTP_APPROVAL_REFUSE_PENDING;

    ngx_http_approval_count(hold->verdict->rule,
                            NGX_HTTP_APPROVAL_COUNT_PENDING);

    waited = ngx_current_msec - hold->started;

    ngx_log_error(NGX_LOG_NOTICE, ngx_http_approval_log(r), 0,
                  "action %*s is still pending after %M.%M s: the requester "
                  "must send the request again to continue to wait",
                  (size_t) APPROVAL_ID_LEN, hold->action.id,
                  waited / 1000, waited % 1000 / 100);

    return ngx_http_approval_answer(r, hold, hold->refusal, NULL);
}


static ngx_int_t
ngx_http_approval_accept_location(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold)
{
    ngx_int_t       rc;
    approval_buf_t  url;

    approval_buf_init(&url);

    rc = ngx_http_approval_link(r, hold->mcf, NGX_HTTP_APPROVAL_LINK_STATUS,
                                hold->action.id, &url);

    if (rc == NGX_OK) {
        rc = ngx_http_approval_header(r, "Location", approval_buf_str(&url));
    }

    approval_buf_free(&url);

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_approval_accept_preference(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold)
{
    u_char          buf[sizeof("respond-async, wait=") + NGX_INT_T_LEN], *p;
    approval_str_t  applied;

    p = buf;

    if (hold->prefer_async) {
        p = ngx_cpymem(p, "respond-async", sizeof("respond-async") - 1);
    }

    if (hold->prefer_wait >= 0) {
        p = ngx_sprintf(p, "%swait=%i", p == buf ? "" : ", ",
                        hold->prefer_wait);
    }

    applied.data = buf;
    applied.len = p - buf;

    return applied.len
           ? ngx_http_approval_header(r, "Preference-Applied", applied)
           : NGX_OK;
}


void
ngx_http_approval_refuse_shadow(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, ngx_http_approval_refusal_e which,
    const char *detail)
{
    hold->refusal = which;

    ngx_http_approval_count(hold->verdict->rule,
                            NGX_HTTP_APPROVAL_COUNT_SHADOW);

    ngx_http_approval_refuse_record(r, hold, &ngx_http_approval_refusals[which],
                                    detail, "shadow");
}


/* Records a refusal without an action. */

static void
ngx_http_approval_refuse_record(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const ngx_http_approval_refusal_t *refusal,
    const char *detail, const char *mode)
{
    json_t  *facts;

    ngx_log_error(NGX_LOG_INFO, ngx_http_approval_log(r), 0,
                  "request refused by approval policy \"%V\"%s: %s%s%s",
                  &hold->lcf->policy->name,
                  mode ? " (in shadow mode only)" : "",
                  refusal->title, detail ? ": " : "", detail ? detail : "");

    ngx_http_approval_identify_record(hold);

    facts = ngx_http_approval_facts(hold);
    if (facts == NULL) {
        return;
    }

    if (ngx_http_approval_facts_brief(r, hold->lcf, hold->verdict->rule, facts)
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


ngx_int_t
ngx_http_approval_hold_headers(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold)
{
    approval_str_t  id;

    if (!ngx_http_approval_hold_stored(hold)) {
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


json_t *
ngx_http_approval_answer_facts(ngx_http_approval_refuse_t *answer)
{
    json_t                    *facts;
    ngx_http_approval_hold_t  *hold;

    hold = answer->hold;

    facts = (hold->refusal == NGX_HTTP_APPROVAL_REFUSE_PENDING)
            ? ngx_http_approval_status_document(hold->action.id,
                                                hold->action.state,
                                                hold->action.created,
                                                hold->action.expires)
            : json_object();

    if (facts == NULL) {
        return NULL;
    }

    if (hold->verdict->rule) {
        json_object_set_new(facts, "rule",
                      ngx_http_approval_json_str(&hold->verdict->rule->name));
    }

    if (!ngx_http_approval_hold_stored(hold)) {
        return facts;
    }

    json_object_set_new(facts, "state",
             ngx_http_approval_json_str(
                            ngx_http_approval_state_name(hold->action.state)));

    if (hold->action.detail.len) {
        json_object_set_new(facts, "comment",
                            ngx_http_approval_json_str(&hold->action.detail));
    }

    if (hold->answered) {
        json_object_set_new(facts, "outcome",
                            json_pack("{s:i}", "status",
                                      (int) hold->answered));
    }

    if (hold->action.approvers.len) {
        json_object_set_new(facts, "decided_by",
                     ngx_http_approval_json_str(&hold->action.approvers));
    }

    return facts;
}
