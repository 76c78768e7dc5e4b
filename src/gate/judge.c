
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the policy says of a request.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


#define NGX_HTTP_APPROVAL_SHOWN_MATCH  512


typedef struct {
    ngx_http_request_t          *r;
    ngx_http_approval_policy_t  *policy;
} ngx_http_approval_judge_ctx_t;


typedef struct {
    ngx_http_approval_hold_t    *hold;
    json_t                      *masked;
    json_t                      *found;
} ngx_http_approval_evidence_ctx_t;


static void ngx_http_approval_judge_one(ngx_http_approval_policy_t *policy,
    approval_match_input_t *in, ngx_http_approval_verdict_t *verdict);
static void ngx_http_approval_judge_batch(ngx_http_approval_policy_t *policy,
    approval_match_input_t *in, ngx_http_approval_verdict_t *verdict);
static ngx_uint_t ngx_http_approval_judge_worse(
    ngx_http_approval_verdict_t *worst, ngx_http_approval_verdict_t *one);
static ngx_uint_t ngx_http_approval_judge_whole(
    ngx_http_approval_policy_t *policy, approval_match_input_t *in,
    ngx_http_approval_verdict_t *verdict);
static int ngx_http_approval_judge_found(void *data, approval_str_t name,
    approval_str_t value);
static ngx_uint_t ngx_http_approval_is_batch(json_t *json);
static int ngx_http_approval_judge_value(void *data, unsigned subject,
    approval_str_t *value);
static int ngx_http_approval_judge_variable(ngx_http_request_t *r,
    ngx_http_approval_subject_t *subject, approval_str_t *value);
static void ngx_http_approval_judge_input(ngx_http_approval_judge_ctx_t *ctx,
    ngx_http_request_t *r, ngx_http_approval_policy_t *policy,
    ngx_http_approval_body_t *body, approval_match_input_t *in);
static json_t *ngx_http_approval_judge_element(
    ngx_http_approval_hold_t *hold, approval_match_input_t *in);
static int ngx_http_approval_capture(void *data, approval_str_t name,
    approval_str_t value);
static int ngx_http_approval_evidence_visit(void *data, approval_str_t name,
    approval_str_t value);
static int ngx_http_approval_evidence_shown(void *data, json_t *value);


void
ngx_http_approval_judge(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy, ngx_http_approval_body_t *body,
    ngx_http_approval_verdict_t *verdict)
{
    approval_match_input_t         in;
    ngx_http_approval_judge_ctx_t  ctx;

    ngx_http_approval_judge_input(&ctx, r, policy, body, &in);

    if (body && ngx_http_approval_is_batch(body->json)) {
        ngx_http_approval_judge_batch(policy, &in, verdict);
        return;
    }

    ngx_http_approval_judge_one(policy, &in, verdict);
}


/* Does no rule hold, whatever is in the body? */

ngx_uint_t
ngx_http_approval_judge_none(ngx_http_request_t *r,
    ngx_http_approval_policy_t *policy)
{
    int                            rule;
    const char                    *err;
    approval_match_input_t         in;
    ngx_http_approval_judge_ctx_t  ctx;

    ctx.r = r;
    ctx.policy = policy;

    in.value = ngx_http_approval_judge_value;
    in.data = &ctx;
    in.body_read = 0;

    return approval_match_exec(policy->match, &in, &rule, &err)
           == APPROVAL_MATCH_NONE;
}


static void
ngx_http_approval_judge_input(ngx_http_approval_judge_ctx_t *ctx,
    ngx_http_request_t *r, ngx_http_approval_policy_t *policy,
    ngx_http_approval_body_t *body, approval_match_input_t *in)
{
    ctx->r = r;
    ctx->policy = policy;

    in->value = ngx_http_approval_judge_value;
    in->data = ctx;

    if (body == NULL) {
        in->body_read = 0;
        return;
    }

    in->body_read = 1;
    in->json = body->json;
    in->json_error = body->json_error;
    in->form.data = body->data;
    in->form.len = body->data ? (size_t) body->size : 0;
}


static void
ngx_http_approval_judge_one(ngx_http_approval_policy_t *policy,
    approval_match_input_t *in, ngx_http_approval_verdict_t *verdict)
{
    int                         rule;
    ngx_http_approval_rule_t  **rules;

    verdict->rule = NULL;
    verdict->outcome = policy->def;
    verdict->err = NULL;
    verdict->batch = 0;

    rule = -1;

    verdict->match = approval_match_exec(policy->match, in, &rule,
                                         &verdict->err);

    if (verdict->match == APPROVAL_MATCH_RULE) {
        rules = policy->rules.elts;

        verdict->rule = rules[rule];
        verdict->outcome = rules[rule]->outcome;
    }
}


/*
 * A JSON-RPC batch, judged element by element, all or nothing: what denies
 * one denies all, what requires approvals for one does for all. Elements that
 * two different rules hold cannot be shown as one action: they are to be sent
 * one by one.
 */

static void
ngx_http_approval_judge_batch(ngx_http_approval_policy_t *policy,
    approval_match_input_t *in, ngx_http_approval_verdict_t *verdict)
{
    size_t                       i;
    json_t                      *batch;
    ngx_http_approval_verdict_t  one, worst;

    batch = in->json;

    ngx_memzero(&worst, sizeof(ngx_http_approval_verdict_t));
    worst.match = APPROVAL_MATCH_NONE;
    worst.outcome = NGX_HTTP_APPROVAL_ALLOW;

    if (ngx_http_approval_judge_whole(policy, in, &one)
        && ngx_http_approval_judge_worse(&worst, &one))
    {
        *verdict = worst;
        return;
    }

    for (i = 0; i < json_array_size(batch); i++) {

        in->json = json_array_get(batch, i);

        if (!json_is_object(in->json)) {
            worst.match = APPROVAL_MATCH_UNREADABLE;
            worst.err = "an element of the JSON-RPC batch is not an object";
            break;
        }

        ngx_http_approval_judge_one(policy, in, &one);

        if (ngx_http_approval_judge_worse(&worst, &one)) {
            break;
        }
    }

    in->json = batch;
    *verdict = worst;
}


/* Is it as bad as can be? */

static ngx_uint_t
ngx_http_approval_judge_worse(ngx_http_approval_verdict_t *worst,
    ngx_http_approval_verdict_t *one)
{
    if (one->match != APPROVAL_MATCH_NONE && one->match != APPROVAL_MATCH_RULE)
    {
        *worst = *one;
        return 1;
    }

    /* in shadow it stops nothing: it stands where no other rule does */

    if (one->rule && one->rule->mode == NGX_HTTP_APPROVAL_SHADOW
        && one->outcome != NGX_HTTP_APPROVAL_ALLOW)
    {
        if (worst->rule == NULL) {
            *worst = *one;
        }

        return 0;
    }

    if (one->outcome == NGX_HTTP_APPROVAL_DENY) {
        *worst = *one;
        return 1;
    }

    if (one->outcome != NGX_HTTP_APPROVAL_REQUIRE) {
        return 0;
    }

    if (worst->rule && worst->rule != one->rule
        && worst->rule->mode != NGX_HTTP_APPROVAL_SHADOW)
    {
        worst->match = APPROVAL_MATCH_UNREADABLE;
        worst->batch = 1;
        worst->err = "elements of the JSON-RPC batch fall under different "
                     "rules: send them one by one";
        return 1;
    }

    *worst = *one;

    return 0;
}


/*
 * Rules may look at the array itself, as at "json:/0/op": an element that looks
 * like a call must not put them out of action.  What they do not find in an
 * array says nothing.
 */

static ngx_uint_t
ngx_http_approval_judge_whole(ngx_http_approval_policy_t *policy,
    approval_match_input_t *in, ngx_http_approval_verdict_t *verdict)
{
    ngx_uint_t  found;

    ngx_http_approval_judge_one(policy, in, verdict);

    if (verdict->match != APPROVAL_MATCH_RULE) {
        return verdict->match != APPROVAL_MATCH_NONE;
    }

    found = 0;

    (void) approval_match_evidence(policy->match, verdict->rule->number, in,
                                   ngx_http_approval_judge_found, &found);
    return found;
}


static int
ngx_http_approval_judge_found(void *data, approval_str_t name,
    approval_str_t value)
{
    ngx_uint_t *found = data;

    if (value.len && name.len >= 5 && ngx_strncmp(name.data, "json:", 5) == 0) {
        *found = 1;
    }

    return APPROVAL_OK;
}


static ngx_uint_t
ngx_http_approval_is_batch(json_t *json)
{
    size_t   i;
    json_t  *element;

    json_array_foreach(json, i, element) {
        if (json_object_get(element, "jsonrpc")
            || json_object_get(element, "method"))
        {
            return 1;
        }
    }

    return 0;
}


static int
ngx_http_approval_judge_value(void *data, unsigned subject,
    approval_str_t *value)
{
    ngx_http_approval_judge_ctx_t *ctx = data;

    ngx_http_request_t           *r;
    ngx_http_approval_subject_t  *subjects;

    r = ctx->r;
    subjects = ctx->policy->subjects.elts;

    switch (subjects[subject].kind) {

    case APPROVAL_SUBJECT_METHOD:
        value->data = r->method_name.data;
        value->len = r->method_name.len;
        return APPROVAL_OK;

    case APPROVAL_SUBJECT_URI:
        value->data = r->uri.data;
        value->len = r->uri.len;
        return APPROVAL_OK;

    default:
        return ngx_http_approval_judge_variable(r, &subjects[subject], value);
    }
}


static int
ngx_http_approval_judge_variable(ngx_http_request_t *r,
    ngx_http_approval_subject_t *subject, approval_str_t *value)
{
    ngx_str_t                   s;
    ngx_http_variable_value_t  *vv;

    if (subject->index != NGX_ERROR) {
        vv = ngx_http_get_flushed_variable(r, subject->index);

        if (vv == NULL) {
            return APPROVAL_ERROR;
        }

        value->data = vv->data;
        value->len = vv->not_found ? 0 : vv->len;

        return APPROVAL_OK;
    }

    if (ngx_http_complex_value(r, subject->value, &s) != NGX_OK) {
        return APPROVAL_ERROR;
    }

    value->data = s.data;
    value->len = s.len;

    return APPROVAL_OK;
}


/*
 * For what follows a verdict: in a batch, "the body" is the first element that
 * the rule holds.
 */

static json_t *
ngx_http_approval_judge_element(ngx_http_approval_hold_t *hold,
    approval_match_input_t *in)
{
    size_t       i;
    json_t      *batch;
    const char  *err;

    batch = in->json;

    if (!ngx_http_approval_is_batch(batch)) {
        return batch;
    }

    for (i = 0; i < json_array_size(batch); i++) {
        in->json = json_array_get(batch, i);

        if (approval_match_test(hold->rule->policy->match, hold->rule->number,
                                in, &err)
            == APPROVAL_MATCH_RULE)
        {
            return in->json;
        }
    }

    return batch;
}


/* The same element of the masked body: what the rule saw, without secrets. */

json_t *
ngx_http_approval_judged(ngx_http_approval_hold_t *hold, json_t *masked)
{
    size_t                         i;
    json_t                        *element;
    approval_match_input_t         in;
    ngx_http_approval_judge_ctx_t  ctx;

    ngx_http_approval_judge_input(&ctx, hold->request, hold->rule->policy,
                                  hold->body, &in);

    in.json = ngx_http_approval_judge_element(hold, &in);

    if (in.json != hold->body->json) {
        json_array_foreach(hold->body->json, i, element) {
            if (element == in.json) {
                return json_array_get(masked, i);
            }
        }
    }

    return masked;
}


ngx_int_t
ngx_http_approval_captures(ngx_http_approval_hold_t *hold)
{
    approval_match_input_t         in;
    ngx_http_approval_judge_ctx_t  ctx;

    ngx_http_approval_judge_input(&ctx, hold->request, hold->rule->policy,
                                  hold->body, &in);

    if (in.body_read) {
        in.json = ngx_http_approval_judge_element(hold, &in);
    }

    if (approval_match_captures(hold->rule->policy->match, hold->rule->number,
                                &in, ngx_http_approval_capture, hold)
        == APPROVAL_ERROR)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static int
ngx_http_approval_capture(void *data, approval_str_t name,
    approval_str_t value)
{
    ngx_http_approval_hold_t *hold = data;

    u_char                       *p;
    ngx_http_approval_capture_t  *capture;

    if (hold->captures == NULL) {
        hold->captures = ngx_array_create(hold->request->pool, 2,
                                          sizeof(ngx_http_approval_capture_t));
        if (hold->captures == NULL) {
            return APPROVAL_ERROR;
        }
    }

    capture = ngx_array_push(hold->captures);
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


/*
 * What made the rule hold, by subject. A value of the body is shown only if
 * it stands in the masked body too; a variable only if its name is no
 * secret's.
 */

json_t *
ngx_http_approval_evidence(ngx_http_approval_hold_t *hold, json_t *masked)
{
    approval_match_input_t            in;
    ngx_http_approval_judge_ctx_t     judge;
    ngx_http_approval_evidence_ctx_t  ctx;

    ctx.hold = hold;
    ctx.masked = masked;
    ctx.found = json_object();

    if (ctx.found == NULL) {
        return NULL;
    }

    ngx_http_approval_judge_input(&judge, hold->request, hold->rule->policy,
                                  hold->body, &in);

    if (in.body_read) {
        in.json = ngx_http_approval_judge_element(hold, &in);
    }

    if (approval_match_evidence(hold->rule->policy->match, hold->rule->number,
                                &in, ngx_http_approval_evidence_visit, &ctx)
        == APPROVAL_ERROR)
    {
        json_decref(ctx.found);
        return NULL;
    }

    return ctx.found;
}


static int
ngx_http_approval_evidence_visit(void *data, approval_str_t name,
    approval_str_t value)
{
    ngx_http_approval_evidence_ctx_t *ctx = data;

    int                       rc;
    ngx_str_t                 text, subject;
    const char               *err;
    ngx_uint_t                shown;
    approval_buf_t            key;
    approval_str_t            part;
    approval_json_pointer_t  *pointer;

    subject.len = name.len;
    subject.data = (u_char *) name.data;

    text.len = value.len;
    text.data = (u_char *) value.data;

    approval_buf_init(&key);

    if (name.len > 5 && ngx_strncmp(name.data, "json:", 5) == 0) {

        part.data = name.data + 5;
        part.len = name.len - 5;

        shown = 0;
        pointer = approval_json_pointer_compile(part, &err);

        if (pointer) {
            shown = ctx->masked
                    && approval_json_pointer_each(pointer, ctx->masked,
                                              ngx_http_approval_evidence_shown,
                                              &value)
                       == APPROVAL_ERROR;

            approval_json_pointer_free(pointer);
        }

    } else if (name.len > 5 && ngx_strncmp(name.data, "form:", 5) == 0) {

        part.data = name.data + 5;
        part.len = name.len - 5;

        shown = !approval_redact_field(ctx->hold->rule->redact, part);

    } else {
        shown = !ngx_http_approval_secret_text(ctx->hold, &subject);
    }

    approval_buf_add(&key, name.data, name.len);
    approval_buf_addc(&key, '\0');

    if (!shown) {
        ngx_str_set(&text, APPROVAL_REDACTED);
    }

    rc = key.failed ? -1
                    : json_object_set_new(ctx->found, (char *) key.data,
                                 ngx_http_approval_describe_seen(ctx->hold,
                                     &text, NGX_HTTP_APPROVAL_SHOWN_MATCH));

    approval_buf_free(&key);

    return (rc == 0) ? APPROVAL_OK : APPROVAL_ERROR;
}


/* APPROVAL_ERROR ends the walk: this is the value that is looked for. */

static int
ngx_http_approval_evidence_shown(void *data, json_t *value)
{
    approval_str_t *want = data;

    int             same;
    approval_buf_t  text;

    approval_buf_init(&text);

    same = approval_json_text(value, &text) == APPROVAL_OK
           && approval_str_eq(approval_buf_str(&text), *want);

    approval_buf_free(&text);

    return same ? APPROVAL_ERROR : APPROVAL_OK;
}
