
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The phase handlers.  The access phase holds requests, after nginx's own
 * access control.  The precontent phase does the same for requests that were
 * not judged there ("satisfy any"), and refuses subrequests that a rule
 * concerns.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "notify/notify.h"


static ngx_int_t ngx_http_approval_access_checker(ngx_http_request_t *r,
    ngx_http_phase_handler_t *ph);
static ngx_int_t ngx_http_approval_gate(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf);
static ngx_uint_t ngx_http_approval_gate_followed(ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_gate_again(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_gate_judged(ngx_http_approval_hold_t *hold,
    ngx_http_approval_verdict_t *verdict);
static ngx_inline ngx_uint_t ngx_http_approval_gate_none(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy);
static ngx_int_t ngx_http_approval_guard(ngx_http_request_t *r)
    __attribute__((noinline));
static ngx_int_t ngx_http_approval_gate_held(ngx_http_approval_hold_t *hold)
    __attribute__((noinline));
static ngx_int_t ngx_http_approval_gate_judge(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf) __attribute__((noinline));
static ngx_int_t ngx_http_approval_gate_verdict(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_hold_t *hold,
    ngx_http_approval_verdict_t *verdict);
static ngx_uint_t ngx_http_approval_gate_asks(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_verdict_t *verdict);
static ngx_int_t ngx_http_approval_gate_body(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_gate_start(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_gate_subrequest(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf);
static ngx_int_t ngx_http_approval_gate_subrequest_stop(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_verdict_t *verdict);
static ngx_int_t ngx_http_approval_gate_refuse(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_hold_t *hold,
    ngx_http_approval_rule_t *rule, ngx_http_approval_refusal_e refusal,
    const char *detail);


ngx_http_approval_hold_t  ngx_http_approval_passed;


/*
 * Puts a checker in front of nginx's own: for most requests nothing else of the
 * module needs to run.
 */

void
ngx_http_approval_phases_init(ngx_cycle_t *cycle)
{
    ngx_http_phase_handler_t   *ph;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module);

    if (cmcf == NULL) {
        return;
    }

    for (ph = cmcf->phase_engine.handlers; ph->checker; ph++) {
        if (ph->handler == ngx_http_approval_access_handler) {
            ph->checker = ngx_http_approval_access_checker;
        }
    }
}


/*
 * If no rule concerns the request, goes on behind the precontent handler, which
 * would find the same, and lets the location's own handler run.  Lua moves its
 * access handler behind this one: then nothing is skipped.
 */

static ngx_int_t
ngx_http_approval_access_checker(ngx_http_request_t *r,
    ngx_http_phase_handler_t *ph)
{
    ngx_http_approval_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_approval_module);

    if (lcf->quick
        && ngx_http_get_module_ctx(r, ngx_http_approval_module) == NULL
        && ph[2].handler == ngx_http_approval_precontent_handler
        && ngx_http_approval_gate_none(r, lcf->quick))
    {
        if (r->content_handler == ngx_http_approval_once_handler
            && lcf->content)
        {
            r->content_handler = lcf->content;
        }

        r->phase_handler += 3;

        return NGX_AGAIN;
    }

    return ngx_http_core_access_phase(r, ph);
}


ngx_int_t
ngx_http_approval_access_handler(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_approval_hold_t      *hold;
    ngx_http_approval_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_approval_module);

    if (lcf->policy == NULL) {
        return NGX_DECLINED;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /*
     * With "satisfy any" another access handler may override a refusal, and a
     * request might be held that nginx then rejects, so the precontent phase
     * judges it.
     */

    if (clcf->satisfy == NGX_HTTP_SATISFY_ANY) {
        return NGX_DECLINED;
    }

    rc = ngx_http_approval_gate(r, lcf);

    if (rc != NGX_DECLINED || !ngx_http_approval_gate_followed(r)) {
        return rc;
    }

    /*
     * What runs now may change the request, or a variable: the precontent phase
     * judges it again, unless shadow mode has already recorded a refusal.
     */

    hold = ngx_http_get_module_ctx(r, ngx_http_approval_module);

    if (ngx_http_approval_hold_executes(hold)) {
        hold->again = 1;

    } else if (hold->refusal == 0) {
        ngx_http_set_ctx(r, NULL, ngx_http_approval_module);
    }

    return NGX_DECLINED;
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


static ngx_int_t
ngx_http_approval_gate(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf)
{
    ngx_http_approval_hold_t  *hold;

    hold = ngx_http_get_module_ctx(r, ngx_http_approval_module);

    if (hold && hold->again) {
        return ngx_http_approval_gate_again(hold);
    }

    if (hold) {
        return (hold == &ngx_http_approval_passed)
               ? NGX_DECLINED : ngx_http_approval_gate_held(hold);
    }

    if (lcf->policy->quick && ngx_http_approval_gate_none(r, lcf->policy)) {
        ngx_http_set_ctx(r, &ngx_http_approval_passed,
                         ngx_http_approval_module);
        return NGX_DECLINED;
    }

    return ngx_http_approval_gate_judge(r, lcf);
}


/* Does another module's access handler run after this one, such as Lua's? */

static ngx_uint_t
ngx_http_approval_gate_followed(ngx_http_request_t *r)
{
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    return cmcf->phase_engine.handlers[r->phase_handler + 2].handler
           != ngx_http_approval_precontent_handler;
}


/* Can no rule of a quick policy hold? */

static ngx_inline ngx_uint_t
ngx_http_approval_gate_none(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy)
{
    return approval_match_none(policy->match,
                               ngx_http_approval_core_str(&r->method_name),
                               ngx_http_approval_core_str(&r->uri))
           && ngx_http_approval_plain(r, &policy->plain);
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
    ngx_http_approval_look_t     look;
    ngx_http_approval_verdict_t  verdict;

    /* after a hold, Approval-* headers are the gateway's own */

    if (ngx_http_approval_hold_of(r) == NULL
        && ngx_http_approval_strip(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_approval_look(&look, r, NULL, NULL);
    ngx_http_approval_judge(&look, lcf->policy, &verdict);

    return ngx_http_approval_gate_verdict(r, lcf, NULL, &verdict);
}


static ngx_int_t
ngx_http_approval_gate_verdict(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_hold_t *hold,
    ngx_http_approval_verdict_t *verdict)
{
    /* an answer to JSON-RPC needs the id, which is in the body */

    if (hold == NULL && ngx_http_approval_gate_asks(r, lcf, verdict)) {
        verdict->what = NGX_HTTP_APPROVAL_VERDICT_BODY;
        verdict->rule = NULL;
    }

    if (verdict->shadow && verdict->what != NGX_HTTP_APPROVAL_VERDICT_BODY) {

        ngx_http_approval_shadow(r, lcf, verdict->shadow);

        /* a redirect must not count it twice */

        if (hold == NULL) {
            hold = ngx_http_approval_hold_create(r, lcf);
            if (hold == NULL) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }
        }

        ngx_http_approval_verdict_rule(hold, NULL, verdict->shadow);
    }

    switch (verdict->what) {

    case NGX_HTTP_APPROVAL_VERDICT_PASS:

        if (hold == NULL) {
            ngx_http_set_ctx(r, &ngx_http_approval_passed,
                             ngx_http_approval_module);
            return NGX_DECLINED;
        }

        hold->state = NGX_HTTP_APPROVAL_HOLD_PASSED;
        ngx_http_approval_body_done(hold);

        return NGX_DECLINED;

    case NGX_HTTP_APPROVAL_VERDICT_DENY:
        return ngx_http_approval_gate_refuse(r, lcf, hold, verdict->rule,
                                             NGX_HTTP_APPROVAL_REFUSE_POLICY,
                                             NULL);

    case NGX_HTTP_APPROVAL_VERDICT_REFUSE:
        return ngx_http_approval_gate_refuse(r, lcf, hold, verdict->rule,
                                             verdict->refusal, verdict->why);

    default: /* HOLD, BODY */
        break;
    }

    /* a request whose answer was sent, or a post_action, cannot wait */

    if (r->header_sent || r->post_action) {
        return ngx_http_approval_gate_refuse(r, lcf, hold, verdict->rule,
                                             NGX_HTTP_APPROVAL_REFUSE_BODY,
                                             "the upstream's response was "
                                             "sent before");
    }

    if (hold == NULL) {
        hold = ngx_http_approval_hold_create(r, lcf);
        if (hold == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ngx_http_approval_verdict_rule(hold, verdict->rule, NULL);

    if (hold->state == NGX_HTTP_APPROVAL_HOLD_NEW) {
        return ngx_http_approval_body_read(hold);
    }

    return ngx_http_approval_gate_start(hold);
}


static ngx_uint_t
ngx_http_approval_gate_asks(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_verdict_t *verdict)
{
    return (verdict->what == NGX_HTTP_APPROVAL_VERDICT_DENY
            || verdict->what == NGX_HTTP_APPROVAL_VERDICT_REFUSE)
           && !lcf->policy->shadow && !r->header_sent && !r->post_action
           && r->headers_in.content_length_n <= (off_t) lcf->policy->body_limit
           && ngx_http_approval_rpc_likely(r);
}


/*
 * The body was read: judges the request if necessary, or starts the hold.  Or
 * the request is approved, and is judged again.
 */

static ngx_int_t
ngx_http_approval_gate_body(ngx_http_approval_hold_t *hold)
{
    ngx_http_request_t           *r;
    ngx_http_approval_look_t      look;
    ngx_http_approval_verdict_t   verdict;

    r = hold->request;

    if (hold->body == NULL) {
        hold->body = ngx_http_approval_body_load(r,
                                              hold->lcf->policy->body_limit);
    }

    if (hold->body == NULL) {
        return ngx_http_approval_gate_refuse(r, hold->lcf, hold,
                                             hold->verdict->rule,
                                             NGX_HTTP_APPROVAL_REFUSE_INTERNAL,
                                             NULL);
    }

    if (!hold->body->encoded
        && (hold->verdict->rule == NULL || hold->lcf->policy->mcp))
    {
        ngx_http_approval_body_parse(hold->body);

        if (ngx_http_approval_mcp_headers(hold) != NGX_OK) {
            return ngx_http_approval_gate_refuse(r, hold->lcf,
                                             hold->again ? NULL : hold, NULL,
                                             NGX_HTTP_APPROVAL_REFUSE_HEADERS,
                                             NULL);
        }
    }

    if (hold->verdict->rule && !hold->again) {
        return ngx_http_approval_gate_start(hold);
    }

    if (!hold->body->encoded) {
        ngx_http_approval_call_cancelled(hold);
    }

    ngx_http_approval_look(&look, r, hold->body, NULL);
    ngx_http_approval_judge(&look, hold->lcf->policy, &verdict);

    return ngx_http_approval_gate_judged(hold, &verdict);
}


/* The request is approved, and may have changed since. */

static ngx_int_t
ngx_http_approval_gate_again(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_look_t     look;
    ngx_http_approval_verdict_t  verdict;

    ngx_http_approval_look(&look, hold->request, NULL, NULL);
    ngx_http_approval_judge(&look, hold->lcf->policy, &verdict);

    return (verdict.what == NGX_HTTP_APPROVAL_VERDICT_BODY)
           ? ngx_http_approval_gate_body(hold)
           : ngx_http_approval_gate_judged(hold, &verdict);
}


/* What else an approved request needs is another hold's. */

static ngx_int_t
ngx_http_approval_gate_judged(ngx_http_approval_hold_t *hold,
    ngx_http_approval_verdict_t *verdict)
{
    ngx_http_approval_hold_t  *same;

    same = hold;

    if (hold->again && verdict->what != NGX_HTTP_APPROVAL_VERDICT_PASS) {
        ngx_http_approval_body_done(hold);
        same = NULL;
    }

    return ngx_http_approval_gate_verdict(hold->request, hold->lcf, same,
                                          verdict);
}


/* Starts the hold, unless headers contradict the arguments that they repeat. */

static ngx_int_t
ngx_http_approval_gate_start(ngx_http_approval_hold_t *hold)
{
    if (ngx_http_approval_mcp_params(hold) != NGX_OK) {
        return ngx_http_approval_gate_refuse(hold->request, hold->lcf, hold,
                                             NULL,
                                             NGX_HTTP_APPROVAL_REFUSE_HEADERS,
                                             NULL);
    }

    return ngx_http_approval_hold_start(hold);
}


/*
 * A subrequest (SSI, mirror, slice, auth_request, addition) is never held.  It
 * passes if no rule concerns it, or if its main request already has the rule's
 * approval.
 */

static ngx_int_t
ngx_http_approval_gate_subrequest(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf)
{
    ngx_int_t                     rc;
    ngx_http_approval_look_t      look;
    ngx_http_approval_body_t     *body;
    ngx_http_approval_verdict_t   verdict;

    if (ngx_http_approval_notify_own(r)) {
        return NGX_DECLINED;
    }

    /* the main request may have passed no gate that strips these headers */

    if (ngx_http_approval_hold_of(r) == NULL
        && ngx_http_approval_strip(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body = NULL;

    ngx_http_approval_look(&look, r, NULL, NULL);
    ngx_http_approval_judge(&look, lcf->policy, &verdict);

    /* subrequests share the main request's body, if that was read */

    if (verdict.what == NGX_HTTP_APPROVAL_VERDICT_BODY && r->request_body) {
        body = ngx_http_approval_body_load(r, lcf->policy->body_limit);

        if (body) {
            ngx_http_approval_look(&look, r, body, NULL);
            ngx_http_approval_judge(&look, lcf->policy, &verdict);
        }
    }

    rc = (verdict.what == NGX_HTTP_APPROVAL_VERDICT_PASS
          && verdict.shadow == NULL)
         ? NGX_DECLINED
         : ngx_http_approval_gate_subrequest_stop(r, lcf, &verdict);

    ngx_http_approval_body_free(body);

    return rc;
}


/* Refuses the subrequest, or logs in shadow mode that it would be refused. */

static ngx_int_t
ngx_http_approval_gate_subrequest_stop(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_verdict_t *verdict)
{
    ngx_uint_t                 shadow;
    const char                *what, *why;
    ngx_http_approval_rule_t  *rule;

    rule = verdict->rule ? verdict->rule : verdict->shadow;
    shadow = lcf->policy->shadow
             || verdict->what == NGX_HTTP_APPROVAL_VERDICT_PASS;
    what = shadow ? "is forwarded (shadow mode)" : "is refused";

    why = verdict->why ? verdict->why
          : (verdict->what == NGX_HTTP_APPROVAL_VERDICT_BODY)
            ? "its body was not read"
            : "its main request has no approval for it";

    if (rule) {
        ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(r), 0,
                      "subrequest \"%V\" %s: rule \"%V\" of policy \"%V\" "
                      "applies to it, and %s",
                      &r->uri, what, &rule->name, &lcf->policy->name, why);
    } else {
        ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(r), 0,
                      "subrequest \"%V\" %s: policy \"%V\" applies to it, and "
                      "%s",
                      &r->uri, what, &lcf->policy->name, why);
    }

    if (!shadow) {
        return NGX_HTTP_FORBIDDEN;
    }

    ngx_http_approval_count(rule, NGX_HTTP_APPROVAL_COUNT_SHADOW);

    return NGX_DECLINED;
}


/*
 * Refuses in a phase handler, and keeps a hold for the variables.  In shadow
 * mode the refusal is only recorded.
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

    if (hold->verdict->rule == NULL) {
        ngx_http_approval_verdict_rule(hold, rule, NULL);
    }

    if (shadow) {
        ngx_http_approval_refuse_shadow(r, hold, refusal, detail);

        hold->state = NGX_HTTP_APPROVAL_HOLD_PASSED;
        ngx_http_approval_body_done(hold);

        return NGX_DECLINED;
    }

    ngx_http_finalize_request(r, ngx_http_approval_refuse(r, hold, refusal,
                                                          detail));
    return NGX_DONE;
}
