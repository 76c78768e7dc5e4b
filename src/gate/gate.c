
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The phase handlers.  The access phase holds, after nginx's own access
 * control; the precontent phase does the same for whatever did not come
 * through it ("satisfy any"), and refuses subrequests without a verdict.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "notify/notify.h"


static ngx_inline ngx_int_t ngx_http_approval_gate(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf);
static ngx_int_t ngx_http_approval_guard(ngx_http_request_t *r)
    __attribute__((noinline));
static ngx_int_t ngx_http_approval_gate_held(ngx_http_approval_hold_t *hold)
    __attribute__((noinline));
static ngx_int_t ngx_http_approval_gate_judge(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf) __attribute__((noinline));
static ngx_int_t ngx_http_approval_gate_verdict(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_hold_t *hold,
    ngx_http_approval_verdict_t *verdict);
static ngx_int_t ngx_http_approval_gate_body(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_gate_subrequest(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf);
static ngx_int_t ngx_http_approval_gate_subrequest_stop(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_verdict_t *verdict);
static void ngx_http_approval_gate_subrequest_body(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_verdict_t *verdict);
static ngx_int_t ngx_http_approval_gate_refuse(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_hold_t *hold,
    ngx_http_approval_rule_t *rule, ngx_http_approval_refusal_e refusal,
    const char *detail);
static ngx_uint_t ngx_http_approval_passed_rule(ngx_http_request_t *r,
    ngx_http_approval_rule_t *rule);


ngx_http_approval_hold_t  ngx_http_approval_passed;


ngx_int_t
ngx_http_approval_access_handler(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_approval_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_approval_module);

    if (lcf->policy == NULL) {
        return NGX_DECLINED;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /*
     * Under "satisfy any" nothing is settled before the access phase is over:
     * a refusal would be forgotten, and a hold would wait for somebody whom
     * nginx is about to turn away.
     */

    if (clcf->satisfy == NGX_HTTP_SATISFY_ANY) {
        return NGX_DECLINED;
    }

    return ngx_http_approval_gate(r, lcf);
}


ngx_int_t
ngx_http_approval_precontent_handler(ngx_http_request_t *r)
{
    if (ngx_http_get_module_ctx(r, ngx_http_approval_module)
        == &ngx_http_approval_passed)
    {
        return NGX_DECLINED;
    }

    return ngx_http_approval_guard(r);
}


static ngx_int_t
ngx_http_approval_guard(ngx_http_request_t *r)
{
    ngx_http_approval_loc_conf_t  *lcf;

    if (r != r->main && ngx_http_approval_notify_guard(r) != NGX_DECLINED) {
        return NGX_HTTP_NOT_FOUND;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_approval_module);

    if (lcf->policy == NULL) {
        return NGX_DECLINED;
    }

    if (r != r->main) {
        return ngx_http_approval_gate_subrequest(r, lcf);
    }

    return ngx_http_approval_gate(r, lcf);
}


static ngx_inline ngx_int_t
ngx_http_approval_gate(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf)
{
    ngx_http_approval_hold_t  *hold;

    hold = ngx_http_get_module_ctx(r, ngx_http_approval_module);

    if (hold) {
        return (hold == &ngx_http_approval_passed)
               ? NGX_DECLINED : ngx_http_approval_gate_held(hold);
    }

    if (ngx_http_approval_unconcerned(r, lcf->policy)) {
        ngx_http_set_ctx(r, &ngx_http_approval_passed,
                         ngx_http_approval_module);
        return NGX_DECLINED;
    }

    return ngx_http_approval_gate_judge(r, lcf);
}


static ngx_int_t
ngx_http_approval_gate_held(ngx_http_approval_hold_t *hold)
{
    switch (hold->state) {

    case NGX_HTTP_APPROVAL_HOLD_PASSED:
        return NGX_DECLINED;

    case NGX_HTTP_APPROVAL_HOLD_READ:
        return ngx_http_approval_gate_body(hold);

    case NGX_HTTP_APPROVAL_HOLD_REFUSED:
        return NGX_DONE;

    default:
        return NGX_AGAIN;
    }
}


static ngx_int_t
ngx_http_approval_gate_judge(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf)
{
    const char                   *detail;
    ngx_http_approval_refusal_e   refusal;
    ngx_http_approval_verdict_t   verdict;

    if (ngx_http_approval_strict(r, lcf->policy, &refusal, &detail) != NGX_OK) {
        return ngx_http_approval_gate_refuse(r, lcf, NULL, NULL, refusal,
                                             detail);
    }

    ngx_http_approval_judge(r, lcf->policy, NULL, &verdict);

    return ngx_http_approval_gate_verdict(r, lcf, NULL, &verdict);
}


static ngx_int_t
ngx_http_approval_gate_verdict(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_hold_t *hold,
    ngx_http_approval_verdict_t *verdict)
{
    switch (verdict->match) {

    case APPROVAL_MATCH_NONE:
    case APPROVAL_MATCH_RULE:
        break;

    case APPROVAL_MATCH_BODY:
        goto body;

    case APPROVAL_MATCH_UNREADABLE:
        return ngx_http_approval_gate_refuse(r, lcf, hold, verdict->rule,
                                             verdict->batch
                                             ? NGX_HTTP_APPROVAL_REFUSE_BATCH
                                             : NGX_HTTP_APPROVAL_REFUSE_BODY,
                                             verdict->err);

    case APPROVAL_MATCH_LIMIT:
        return ngx_http_approval_gate_refuse(r, lcf, hold, verdict->rule,
                                             NGX_HTTP_APPROVAL_REFUSE_LIMIT,
                                             verdict->err);

    default:
        return ngx_http_approval_gate_refuse(r, lcf, hold, verdict->rule,
                                             NGX_HTTP_APPROVAL_REFUSE_INTERNAL,
                                             NULL);
    }

    if (verdict->outcome == NGX_HTTP_APPROVAL_ALLOW
        || (verdict->rule && ngx_http_approval_passed_rule(r, verdict->rule)))
    {
        goto pass;
    }

    if (verdict->rule && verdict->rule->mode == NGX_HTTP_APPROVAL_SHADOW) {
        ngx_http_approval_shadow(r, lcf, verdict->rule);

        /* a redirect must not count it twice */

        if (hold == NULL) {
            hold = ngx_http_approval_hold_create(r, lcf);
            if (hold == NULL) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }
        }

        hold->rule = verdict->rule;

        goto pass;
    }

    if (verdict->outcome == NGX_HTTP_APPROVAL_DENY) {
        return ngx_http_approval_gate_refuse(r, lcf, hold, verdict->rule,
                                             NGX_HTTP_APPROVAL_REFUSE_POLICY,
                                             NULL);
    }

body:

    if (hold == NULL) {

        /* An answer under way, or one after it, cannot wait for people. */

        if (r->header_sent || r->post_action) {
            return ngx_http_approval_gate_refuse(r, lcf, NULL, verdict->rule,
                                             NGX_HTTP_APPROVAL_REFUSE_BODY,
                                             "the answer was sent before");
        }

        hold = ngx_http_approval_hold_create(r, lcf);
        if (hold == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    hold->rule = verdict->rule;

    if (hold->state == NGX_HTTP_APPROVAL_HOLD_NEW) {
        return ngx_http_approval_body_read(hold);
    }

    return ngx_http_approval_hold_start(hold);

pass:

    if (hold) {
        hold->state = NGX_HTTP_APPROVAL_HOLD_PASSED;
        ngx_http_approval_body_free(hold);

    } else {
        ngx_http_set_ctx(r, &ngx_http_approval_passed,
                         ngx_http_approval_module);
    }

    return NGX_DECLINED;
}


/* The body is there: judge what waited for it, or start what needs it. */

static ngx_int_t
ngx_http_approval_gate_body(ngx_http_approval_hold_t *hold)
{
    ngx_int_t                     rc;
    ngx_http_request_t           *r;
    ngx_http_approval_verdict_t   verdict;

    r = hold->request;

    rc = ngx_http_approval_body_load(hold);

    if (rc != NGX_OK) {
        return ngx_http_approval_gate_refuse(r, hold->lcf, hold, hold->rule,
                                             NGX_HTTP_APPROVAL_REFUSE_INTERNAL,
                                             NULL);
    }

    if (hold->rule) {
        return ngx_http_approval_hold_start(hold);
    }

    if (hold->body->data == NULL && hold->body->size) {
        return ngx_http_approval_gate_refuse(r, hold->lcf, hold, NULL,
                                          NGX_HTTP_APPROVAL_REFUSE_BODY_LARGE,
                                          NULL);
    }

    if (ngx_http_approval_encoded(r)) {
        return ngx_http_approval_gate_refuse(r, hold->lcf, hold, NULL,
                                             NGX_HTTP_APPROVAL_REFUSE_ENCODING,
                                             NULL);
    }

    ngx_http_approval_body_parse(hold->body);

    if (ngx_http_approval_mcp_headers(hold) != NGX_OK) {
        return ngx_http_approval_gate_refuse(r, hold->lcf, hold, NULL,
                                             NGX_HTTP_APPROVAL_REFUSE_HEADERS,
                                             NULL);
    }

    ngx_http_approval_call_cancelled(hold);

    ngx_http_approval_judge(r, hold->lcf->policy, hold->body, &verdict);

    return ngx_http_approval_gate_verdict(r, hold->lcf, hold, &verdict);
}


/*
 * A subrequest (SSI, mirror, slice, auth_request, addition) is never held. It
 * passes where no rule concerns it, or where its main request already has
 * this rule's approval.
 */

static ngx_int_t
ngx_http_approval_gate_subrequest(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf)
{
    ngx_http_approval_verdict_t  verdict;

    if (ngx_http_approval_notify_own(r)) {
        return NGX_DECLINED;
    }

    /* the client's copies, where the main request was in no gate */

    if (ngx_http_approval_hold_of(r) == NULL
        && ngx_http_approval_strip(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_approval_judge(r, lcf->policy, NULL, &verdict);

    if (verdict.match == APPROVAL_MATCH_BODY) {
        ngx_http_approval_gate_subrequest_body(r, lcf, &verdict);
    }

    if ((verdict.match == APPROVAL_MATCH_NONE
         || verdict.match == APPROVAL_MATCH_RULE)
        && (verdict.outcome == NGX_HTTP_APPROVAL_ALLOW
            || (verdict.rule
                && ngx_http_approval_passed_rule(r, verdict.rule))))
    {
        return NGX_DECLINED;
    }

    return ngx_http_approval_gate_subrequest_stop(r, lcf, &verdict);
}


/* Refuses it, or in shadow says that it would be refused. */

static ngx_int_t
ngx_http_approval_gate_subrequest_stop(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_verdict_t *verdict)
{
    const char  *what, *why;
    ngx_uint_t   shadow;

    shadow = lcf->policy->shadow;

    switch (verdict->match) {

    case APPROVAL_MATCH_NONE:
    case APPROVAL_MATCH_RULE:
        why = "its main request has no approval for it";
        shadow |= (verdict->rule
                   && verdict->rule->mode == NGX_HTTP_APPROVAL_SHADOW);
        break;

    case APPROVAL_MATCH_BODY:
        why = "its body was not read, or cannot be";
        break;

    default:
        why = verdict->err ? verdict->err : "it cannot be judged";
        break;
    }

    what = shadow ? "passed, in shadow" : "refused";

    if (verdict->rule) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "subrequest \"%V\" %s: rule \"%V\" of policy \"%V\" "
                      "concerns it, and %s",
                      &r->uri, what, &verdict->rule->name, &lcf->policy->name,
                      why);
    } else {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "subrequest \"%V\" %s: policy \"%V\" concerns it, and %s",
                      &r->uri, what, &lcf->policy->name, why);
    }

    if (!shadow) {
        return NGX_HTTP_FORBIDDEN;
    }

    ngx_http_approval_count(verdict->rule, NGX_HTTP_APPROVAL_COUNT_SHADOW);

    return NGX_DECLINED;
}


/* A mirror has its main request's body; where none was read, it is refused. */

static void
ngx_http_approval_gate_subrequest_body(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_verdict_t *verdict)
{
    ngx_http_approval_hold_t  hold;

    if (r->request_body == NULL || ngx_http_approval_encoded(r)) {
        return;
    }

    ngx_memzero(&hold, sizeof(ngx_http_approval_hold_t));

    hold.request = r;
    hold.lcf = lcf;

    if (ngx_http_approval_body_load(&hold) == NGX_OK
        && (hold.body->data || hold.body->size == 0))
    {
        ngx_http_approval_body_parse(hold.body);
        ngx_http_approval_judge(r, lcf->policy, hold.body, verdict);
    }

    ngx_http_approval_body_free(&hold);
}


/* Has the main request this rule's verdict?  Never ask twice for one rule. */

static ngx_uint_t
ngx_http_approval_passed_rule(ngx_http_request_t *r,
    ngx_http_approval_rule_t *rule)
{
    ngx_http_approval_hold_t  *hold;

    if (!r->internal && r == r->main) {
        return 0;
    }

    for (hold = ngx_http_approval_hold_of(r); hold; hold = hold->next) {
        if (hold->rule == rule
            && hold->state == NGX_HTTP_APPROVAL_HOLD_PASSED)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * Refuses from within a phase, and leaves a hold behind for the variables.  A
 * policy that enforces nothing stops nothing.
 */

static ngx_int_t
ngx_http_approval_gate_refuse(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_hold_t *hold,
    ngx_http_approval_rule_t *rule, ngx_http_approval_refusal_e refusal,
    const char *detail)
{
    ngx_uint_t  shadow;

    shadow = lcf->policy->shadow
             && refusal != NGX_HTTP_APPROVAL_REFUSE_INTERNAL;

    if (!shadow && (r->header_sent || r->post_action)) {
        return NGX_HTTP_FORBIDDEN;
    }

    if (hold == NULL) {
        hold = ngx_http_approval_hold_create(r, lcf);
        if (hold == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (hold->rule == NULL) {
        hold->rule = rule;
    }

    if (shadow) {
        ngx_http_approval_refuse_shadow(r, hold, refusal, detail);

        hold->state = NGX_HTTP_APPROVAL_HOLD_PASSED;
        ngx_http_approval_body_free(hold);

        return NGX_DECLINED;
    }

    ngx_http_finalize_request(r, ngx_http_approval_refuse(r, hold, refusal,
                                                          detail));
    return NGX_DONE;
}
