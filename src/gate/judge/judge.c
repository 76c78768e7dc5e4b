
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Judges a request by its policy.  Each condition is evaluated over all
 * readings of its own value, so combinations of readings are never enumerated.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/judge/internal.h"


/* Elements are judged one by one, so larger batches would take too long. */
#define NGX_HTTP_APPROVAL_BATCH_MAX  1000


/* The results of the rules so far. */

typedef struct {
    ngx_http_approval_look_t    *look;
    ngx_http_approval_policy_t  *policy;
    ngx_http_approval_rule_t    *holds;
    ngx_http_approval_rule_t    *denies;
    ngx_http_approval_rule_t    *shadow;
    ngx_http_approval_rule_t    *doubtful;   /* first one in doubt, by "fact" */
    ngx_http_approval_fact_t    *fact;
    unsigned                     passes:1;
    unsigned                     denied:1;
    unsigned                     several:1;  /* rules that require approvals */
    unsigned                     certain:1;
    unsigned                     limit:1;
    char                         why[512];
} ngx_http_approval_judge_t;


static void ngx_http_approval_judge_rules(ngx_http_approval_look_t *look,
    ngx_http_approval_policy_t *policy, ngx_uint_t sparse,
    ngx_http_approval_verdict_t *verdict);
static approval_readings_t *ngx_http_approval_judge_read(void *data,
    unsigned subject);
static int ngx_http_approval_judge_found(void *data,
    const approval_match_found_t *found);
static void ngx_http_approval_judge_doubt(ngx_http_approval_judge_t *judge,
    ngx_http_approval_rule_t *rule, const approval_match_found_t *found);
static void ngx_http_approval_judge_say(ngx_http_approval_judge_t *judge,
    ngx_http_approval_verdict_t *verdict);
static void ngx_http_approval_judge_decide(ngx_http_approval_judge_t *judge,
    ngx_http_approval_verdict_t *verdict);
static void ngx_http_approval_judge_unclear(ngx_http_approval_judge_t *judge,
    ngx_http_approval_verdict_t *verdict);
static void ngx_http_approval_judge_host(ngx_http_approval_judge_t *judge,
    ngx_http_approval_verdict_t *verdict);
static void ngx_http_approval_judge_batch(ngx_http_approval_look_t *look,
    ngx_http_approval_policy_t *policy, ngx_http_approval_verdict_t *verdict);
static ngx_uint_t ngx_http_approval_is_batch(json_t *json);
static ngx_uint_t ngx_http_approval_judge_known(ngx_http_request_t *r,
    ngx_http_approval_rule_t *rule);
static int ngx_http_approval_capture(void *data, approval_str_t name,
    approval_str_t value);


ngx_int_t
ngx_http_approval_verdict_create(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_verdict_t  *verdict;

    verdict = ngx_pcalloc(hold->request->pool,
                          sizeof(ngx_http_approval_verdict_t));
    if (verdict == NULL) {
        return NGX_ERROR;
    }

    verdict->method = hold->request->method_name;
    hold->verdict = verdict;

    return NGX_OK;
}


ngx_http_approval_verdict_t *
ngx_http_approval_verdict(ngx_http_approval_hold_t *hold)
{
    return (ngx_http_approval_verdict_t *) hold->verdict;
}


void
ngx_http_approval_verdict_rule(ngx_http_approval_hold_t *hold,
    ngx_http_approval_rule_t *rule, ngx_http_approval_rule_t *shadow)
{
    ngx_http_approval_verdict_t  *verdict;

    verdict = ngx_http_approval_verdict(hold);

    verdict->rule = rule ? rule : verdict->rule;
    verdict->shadow = shadow ? shadow : verdict->shadow;
}


void
ngx_http_approval_verdict_done(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_verdict_t  *verdict;

    verdict = ngx_http_approval_verdict(hold);

    json_decref(verdict->remembered);
    verdict->remembered = NULL;
}


void
ngx_http_approval_judge(ngx_http_approval_look_t *look,
    ngx_http_approval_policy_t *policy, ngx_http_approval_verdict_t *verdict)
{
    const char  *why;

    if (look->body
        && ngx_http_approval_body_json(look->request, look->body, &why)
           == NGX_HTTP_APPROVAL_BODY_READ
        && ngx_http_approval_is_batch(look->body->json))
    {
        ngx_http_approval_judge_batch(look, policy, verdict);

    } else {
        ngx_http_approval_judge_rules(look, policy, 0, verdict);
    }

    if (verdict->shadow
        && ngx_http_approval_judge_known(look->request, verdict->shadow))
    {
        verdict->shadow = NULL;
    }
}


static void
ngx_http_approval_judge_rules(ngx_http_approval_look_t *look,
    ngx_http_approval_policy_t *policy, ngx_uint_t sparse,
    ngx_http_approval_verdict_t *verdict)
{
    approval_match_input_t     in;
    ngx_http_approval_judge_t  judge;

    ngx_memzero(verdict, sizeof(ngx_http_approval_verdict_t));
    ngx_memzero(&judge, offsetof(ngx_http_approval_judge_t, why));

    judge.look = look;
    judge.policy = policy;

    in.read = ngx_http_approval_judge_read;
    in.data = &judge;
    in.body = (look->body != NULL);
    in.sparse = sparse;

    switch (approval_match_exec(policy->match, &in,
                                ngx_http_approval_judge_found, &judge))
    {

    case APPROVAL_MATCH_DONE:
        break;

    case APPROVAL_MATCH_BODY:
        verdict->what = NGX_HTTP_APPROVAL_VERDICT_BODY;
        return;

    default:
        verdict->what = NGX_HTTP_APPROVAL_VERDICT_REFUSE;
        verdict->refusal = NGX_HTTP_APPROVAL_REFUSE_INTERNAL;
        return;
    }

    if (!judge.certain) {
        judge.passes |= (policy->def == NGX_HTTP_APPROVAL_ALLOW);
        judge.denied |= (policy->def == NGX_HTTP_APPROVAL_DENY);
    }

    ngx_http_approval_judge_say(&judge, verdict);
}


static approval_readings_t *
ngx_http_approval_judge_read(void *data, unsigned subject)
{
    ngx_http_approval_judge_t *judge = data;

    ngx_http_approval_fact_t  **facts;

    facts = judge->policy->subjects.elts;

    return ngx_http_approval_read(judge->look, facts[subject]);
}


/* The walk ends with the first rule that matches in all readings. */

static int
ngx_http_approval_judge_found(void *data, const approval_match_found_t *found)
{
    ngx_http_approval_judge_t *judge = data;

    ngx_http_approval_rule_t  *rule, **rules;

    rules = judge->policy->rules.elts;
    rule = rules[found->rule];

    /*
     * A rule in shadow mode decides nothing, and the next rules are judged.  If
     * the whole policy is in shadow mode, the walk goes on as if it decided, to
     * record what would be refused.
     */

    if (rule->mode == NGX_HTTP_APPROVAL_SHADOW
        && rule->outcome != NGX_HTTP_APPROVAL_ALLOW)
    {
        judge->shadow = judge->shadow ? judge->shadow : rule;

        if (!judge->policy->shadow) {
            return APPROVAL_OK;
        }
    }

    if (rule->outcome == NGX_HTTP_APPROVAL_DENY) {
        judge->denied = 1;
        judge->denies = judge->denies ? judge->denies : rule;

    } else if (rule->outcome == NGX_HTTP_APPROVAL_ALLOW
               || ngx_http_approval_judge_known(judge->look->request, rule))
    {
        judge->passes = 1;

    } else {
        judge->several |= (judge->holds != NULL);
        judge->holds = judge->holds ? judge->holds : rule;
    }

    if (found->holds == APPROVAL_HOLDS) {
        judge->certain = 1;
        return APPROVAL_DECLINED;
    }

    ngx_http_approval_judge_doubt(judge, rule, found);

    return APPROVAL_OK;
}


/*
 * Remembers the fact to report: the first one, but a limit comes before unknown
 * readings, and these before differing ones.
 */

static void
ngx_http_approval_judge_doubt(ngx_http_approval_judge_t *judge,
    ngx_http_approval_rule_t *rule, const approval_match_found_t *found)
{
    ngx_http_approval_fact_t  *fact, **facts;

    facts = judge->policy->subjects.elts;
    fact = facts[found->subject];

    if (found->limit && !judge->limit) {
        judge->limit = 1;
        judge->doubtful = rule;
        judge->fact = fact;

        (void) ngx_cpystrn((u_char *) judge->why, (u_char *) found->why,
                           sizeof(judge->why));
        return;
    }

    if (judge->fact == NULL
        || (!judge->limit && approval_readings_doubt(&fact->readings)
            && !approval_readings_doubt(&judge->fact->readings)))
    {
        judge->doubtful = rule;
        judge->fact = fact;
    }
}


static void
ngx_http_approval_judge_say(ngx_http_approval_judge_t *judge,
    ngx_http_approval_verdict_t *verdict)
{
    ngx_http_approval_judge_decide(judge, verdict);

    if (!judge->policy->shadow) {
        verdict->shadow = judge->shadow;

    } else if (verdict->what != NGX_HTTP_APPROVAL_VERDICT_REFUSE) {
        verdict->shadow = judge->shadow;
        verdict->rule = NULL;
        verdict->what = NGX_HTTP_APPROVAL_VERDICT_PASS;
    }
}


static void
ngx_http_approval_judge_decide(ngx_http_approval_judge_t *judge,
    ngx_http_approval_verdict_t *verdict)
{
    if (!judge->denied && judge->holds == NULL) {
        verdict->what = NGX_HTTP_APPROVAL_VERDICT_PASS;
        return;
    }

    if (judge->fact
        && (judge->limit || approval_readings_doubt(&judge->fact->readings)))
    {
        ngx_http_approval_judge_unclear(judge, verdict);
        return;
    }

    if (judge->denied && !judge->passes && judge->holds == NULL) {
        verdict->what = NGX_HTTP_APPROVAL_VERDICT_DENY;
        verdict->rule = judge->denies;
        return;
    }

    if (judge->denied || judge->several) {
        ngx_http_approval_judge_unclear(judge, verdict);
        return;
    }

    verdict->what = NGX_HTTP_APPROVAL_VERDICT_HOLD;
    verdict->rule = judge->holds;

    ngx_http_approval_judge_host(judge, verdict);
}


/* Refuses, since readings lead to different verdicts, and names the value. */

static void
ngx_http_approval_judge_unclear(ngx_http_approval_judge_t *judge,
    ngx_http_approval_verdict_t *verdict)
{
    ngx_http_approval_fact_t  *fact, *input;

    fact = judge->fact;
    input = ngx_http_approval_read_differs(judge->look, fact);

    verdict->what = NGX_HTTP_APPROVAL_VERDICT_REFUSE;
    verdict->rule = judge->doubtful;
    verdict->refusal = ngx_http_approval_judge_refusal(input ? input : fact);

    if (judge->limit) {
        verdict->refusal = NGX_HTTP_APPROVAL_REFUSE_LIMIT;
        verdict->why = (char *) ngx_pnalloc(judge->look->request->pool,
                                            sizeof(judge->why));
        if (verdict->why) {
            ngx_memcpy((char *) verdict->why, judge->why, sizeof(judge->why));
        }

        return;
    }

    if (fact->readings.code) {
        verdict->refusal = ngx_http_approval_judge_unread(fact);
    }

    if (verdict->refusal == NGX_HTTP_APPROVAL_REFUSE_BODY_LARGE
        || verdict->refusal == NGX_HTTP_APPROVAL_REFUSE_ENCODING)
    {
        return;
    }

    verdict->why = ngx_http_approval_tell_readings(judge->look,
                                                   judge->doubtful, fact);
}


/* The host of the target, or of HTTP/2, must be the one of the header. */

static void
ngx_http_approval_judge_host(ngx_http_approval_judge_t *judge,
    ngx_http_approval_verdict_t *verdict)
{
    approval_readings_t       *rs;
    ngx_http_approval_fact_t  *host;

    host = judge->policy->host;
    rs = ngx_http_approval_read(judge->look, host);

    if (rs && approval_readings_count(rs) == 1) {
        return;
    }

    verdict->what = NGX_HTTP_APPROVAL_VERDICT_REFUSE;
    verdict->refusal = rs ? NGX_HTTP_APPROVAL_REFUSE_HOST
                          : NGX_HTTP_APPROVAL_REFUSE_INTERNAL;

    if (rs) {
        verdict->why = ngx_http_approval_tell_readings(judge->look,
                                                       verdict->rule, host);
    }
}


/* The refusal for a fact whose readings are unknown. */

ngx_http_approval_refusal_e
ngx_http_approval_judge_unread(ngx_http_approval_fact_t *fact)
{
    switch (fact->readings.code) {

    case NGX_HTTP_APPROVAL_BODY_LARGE:
        return NGX_HTTP_APPROVAL_REFUSE_BODY_LARGE;

    case NGX_HTTP_APPROVAL_BODY_ENCODED:
        return NGX_HTTP_APPROVAL_REFUSE_ENCODING;

    case NGX_HTTP_APPROVAL_BODY_INVALID:
        return NGX_HTTP_APPROVAL_REFUSE_BODY;

    default:
        return ngx_http_approval_judge_refusal(fact);
    }
}


ngx_http_approval_refusal_e
ngx_http_approval_judge_refusal(ngx_http_approval_fact_t *fact)
{
    switch (fact->kind) {

    case NGX_HTTP_APPROVAL_FACT_METHOD:
        return NGX_HTTP_APPROVAL_REFUSE_METHOD;

    case NGX_HTTP_APPROVAL_FACT_PATH:
    case NGX_HTTP_APPROVAL_FACT_TARGET:
        return NGX_HTTP_APPROVAL_REFUSE_PATH;

    case NGX_HTTP_APPROVAL_FACT_QUERY:
    case NGX_HTTP_APPROVAL_FACT_ARGUMENT:
        return NGX_HTTP_APPROVAL_REFUSE_QUERY;

    case NGX_HTTP_APPROVAL_FACT_HOST:
        return NGX_HTTP_APPROVAL_REFUSE_HOST;

    case NGX_HTTP_APPROVAL_FACT_MEMBER:
    case NGX_HTTP_APPROVAL_FACT_FIELD:
        return NGX_HTTP_APPROVAL_REFUSE_FIELD;

    default:
        return NGX_HTTP_APPROVAL_REFUSE_HEADER;
    }
}


/*
 * A JSON-RPC batch is refused as a whole unless each element passes.  Rules may
 * also read the array itself, as in "json:/0/op"; for these, only values that
 * exist count.
 */

static void
ngx_http_approval_judge_batch(ngx_http_approval_look_t *look,
    ngx_http_approval_policy_t *policy, ngx_http_approval_verdict_t *verdict)
{
    size_t                     i;
    json_t                    *element;
    ngx_http_approval_rule_t  *shadow;

    ngx_http_approval_judge_rules(look, policy, 1, verdict);

    shadow = verdict->shadow;

    if (json_array_size(look->body->json) > NGX_HTTP_APPROVAL_BATCH_MAX
        && verdict->what == NGX_HTTP_APPROVAL_VERDICT_PASS)
    {
        verdict->what = NGX_HTTP_APPROVAL_VERDICT_REFUSE;
        verdict->refusal = NGX_HTTP_APPROVAL_REFUSE_BATCH;
        return;
    }

    json_array_foreach(look->body->json, i, element) {

        if (verdict->what != NGX_HTTP_APPROVAL_VERDICT_PASS) {
            break;
        }

        ngx_http_approval_look_root(look, element);
        ngx_http_approval_judge_rules(look, policy, 0, verdict);

        shadow = shadow ? shadow : verdict->shadow;
    }

    ngx_http_approval_look_root(look, NULL);

    verdict->shadow = shadow;

    if (verdict->what != NGX_HTTP_APPROVAL_VERDICT_PASS
        && verdict->refusal != NGX_HTTP_APPROVAL_REFUSE_INTERNAL)
    {
        verdict->what = NGX_HTTP_APPROVAL_VERDICT_REFUSE;
        verdict->refusal = NGX_HTTP_APPROVAL_REFUSE_BATCH;
        verdict->why = NULL;
    }
}


/* The case of the members' names is ignored. */

static ngx_uint_t
ngx_http_approval_is_batch(json_t *json)
{
    size_t       i;
    json_t      *element, *value;
    const char  *name;

    json_array_foreach(json, i, element) {
        json_object_foreach(element, name, value) {
            if (ngx_strcasecmp((u_char *) name, (u_char *) "jsonrpc") == 0
                || ngx_strcasecmp((u_char *) name, (u_char *) "method") == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


/*
 * True if this rule has already passed the main request, so that approvers are
 * not asked twice.  The request must still be the one that they were asked
 * about, but an error page or a redirect by the upstream is an answer to it.
 */

static ngx_uint_t
ngx_http_approval_judge_known(ngx_http_request_t *r,
    ngx_http_approval_rule_t *rule)
{
    ngx_http_approval_hold_t  *hold;

    for (hold = ngx_http_approval_hold_of(r); hold; hold = hold->next) {
        if (hold->state != NGX_HTTP_APPROVAL_HOLD_PASSED) {
            continue;
        }

        if (hold->verdict->shadow == rule) {
            return 1;
        }

        if (hold->verdict->rule == rule
            && (!ngx_http_approval_target_own(r)
                || ngx_http_approval_bind_same(r, hold)))
        {
            return 1;
        }
    }

    return 0;
}


/* Visits the values that matched, for the description of the hold. */

int
ngx_http_approval_evidence(ngx_http_approval_look_t *look,
    ngx_http_approval_rule_t *rule, approval_match_evidence_pt visit,
    void *data)
{
    approval_match_input_t     in;
    ngx_http_approval_judge_t  judge;

    judge.look = look;
    judge.policy = rule->policy;

    in.read = ngx_http_approval_judge_read;
    in.data = &judge;
    in.body = (look->body != NULL);
    in.sparse = 0;

    return approval_match_evidence(rule->policy->match, rule->number, &in,
                                   visit, data);
}


ngx_int_t
ngx_http_approval_captures(ngx_http_approval_hold_t *hold)
{
    approval_match_input_t     in;
    ngx_http_approval_look_t   look;
    ngx_http_approval_judge_t  judge;

    ngx_http_approval_look(&look, hold->request, hold->body, NULL);

    judge.look = &look;
    judge.policy = hold->verdict->rule->policy;

    in.read = ngx_http_approval_judge_read;
    in.data = &judge;
    in.body = 1;
    in.sparse = 0;

    return approval_match_captures(hold->verdict->rule->policy->match,
                                   hold->verdict->rule->number, &in,
                                   ngx_http_approval_capture, hold)
           == APPROVAL_OK ? NGX_OK : NGX_ERROR;
}


static int
ngx_http_approval_capture(void *data, approval_str_t name,
    approval_str_t value)
{
    ngx_http_approval_hold_t *hold = data;

    u_char                       *p;
    ngx_http_approval_capture_t  *capture;
    ngx_http_approval_verdict_t  *verdict;

    verdict = ngx_http_approval_verdict(hold);

    if (verdict->captures == NULL) {
        verdict->captures = ngx_array_create(hold->request->pool, 2,
                                          sizeof(ngx_http_approval_capture_t));
        if (verdict->captures == NULL) {
            return APPROVAL_ERROR;
        }
    }

    capture = ngx_array_push(verdict->captures);
    p = ngx_pnalloc(hold->request->pool, name.len + value.len + 1);

    if (capture == NULL || p == NULL) {
        return APPROVAL_ERROR;
    }

    capture->name.len = name.len;
    capture->name.data = p;
    p = ngx_cpymem(p, name.data, name.len);

    capture->value.len = value.len;
    capture->value.data = p;
    ngx_memcpy(p, value.data, value.len);

    return APPROVAL_OK;
}
