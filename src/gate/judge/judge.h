
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What a request is: by which rule it is judged and how, who sent it, what it is
 * bound to, and what people and the trail are told of it.
 */


#ifndef NGX_HTTP_APPROVAL_JUDGE_H
#define NGX_HTTP_APPROVAL_JUDGE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/digest.h"
#include "model/action.h"
#include "model/problem.h"


typedef struct ngx_http_approval_hold_s  ngx_http_approval_hold_t;


/* judge.c */

typedef enum {
    NGX_HTTP_APPROVAL_VERDICT_PASS = 0,
    NGX_HTTP_APPROVAL_VERDICT_HOLD,      /* rule requires approvals           */
    NGX_HTTP_APPROVAL_VERDICT_DENY,      /* rule, or the policy's default     */
    NGX_HTTP_APPROVAL_VERDICT_REFUSE,    /* refusal, and why if not NULL      */
    NGX_HTTP_APPROVAL_VERDICT_BODY       /* it cannot be said without it      */
} ngx_http_approval_verdict_e;


typedef struct {
    ngx_http_approval_verdict_e      what;
    ngx_http_approval_rule_t        *rule;
    ngx_http_approval_rule_t        *shadow;     /* would have decided        */
    ngx_http_approval_refusal_e      refusal;
    const char                      *why;        /* in the request's pool     */
} ngx_http_approval_verdict_t;

void ngx_http_approval_judge(ngx_http_approval_look_t *look,
    ngx_http_approval_policy_t *policy, ngx_http_approval_verdict_t *verdict);
ngx_http_approval_refusal_e ngx_http_approval_judge_refusal(
    ngx_http_approval_fact_t *fact);
ngx_http_approval_refusal_e ngx_http_approval_judge_unread(
    ngx_http_approval_fact_t *fact);
int ngx_http_approval_evidence(ngx_http_approval_look_t *look,
    ngx_http_approval_rule_t *rule, approval_match_evidence_pt visit,
    void *data);
ngx_int_t ngx_http_approval_captures(ngx_http_approval_hold_t *hold);

/* body.c */
ngx_int_t ngx_http_approval_body_read(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_body_digest(ngx_http_approval_hold_t *hold);
void ngx_http_approval_body_done(ngx_http_approval_hold_t *hold);

/*
 * bind.c: the digest, hold->action.digest, and hold->action.route, what of it a redirect
 * must leave as it is.  NGX_AGAIN: the body is not digested as a whole yet.
 */
ngx_int_t ngx_http_approval_bind(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_bind_describe(ngx_http_approval_hold_t *hold,
    json_t *doc);
ngx_uint_t ngx_http_approval_bind_same(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);

/* describe.c */
json_t *ngx_http_approval_describe(ngx_http_approval_hold_t *hold);
json_t *ngx_http_approval_describe_require(ngx_http_approval_hold_t *hold);

/* tell.c: facts, as approvers and requesters may see them */

#define NGX_HTTP_APPROVAL_TELL_VALUE  1024       /* bytes of one value        */

typedef struct {
    ngx_http_approval_look_t        *look;
    ngx_http_approval_rule_t        *rule;
    json_t                          *masked;     /* the body, or NULL         */
    unsigned                         body:1;     /* some of it was told       */
    unsigned                         query:1;    /* all of it was             */
} ngx_http_approval_tell_t;

/* tell->masked is the caller's */
void ngx_http_approval_tell_init(ngx_http_approval_tell_t *tell,
    ngx_http_approval_look_t *look, ngx_http_approval_rule_t *rule);
json_t *ngx_http_approval_tell(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, size_t max);

/* declare.c: "summary", "show" and "matched" of the document */
ngx_int_t ngx_http_approval_declare(ngx_http_approval_tell_t *tell,
    json_t *doc);

/* of a fact that can be read in several ways; NULL: no memory */
const char *ngx_http_approval_tell_readings(ngx_http_approval_look_t *look,
    ngx_http_approval_rule_t *rule, ngx_http_approval_fact_t *fact);

/* shadow.c */
void ngx_http_approval_shadow(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule);

/*
 * identify.c: NGX_DECLINED: refusal, and why if not NULL, say why not.  The
 * persons are canonical: all names of one person are one.
 */
typedef struct {
    ngx_str_t                        requester;
    ngx_str_t                        person;
    ngx_str_t                        on_behalf;
    ngx_str_t                        on_behalf_person;
    ngx_str_t                        reason;
    ngx_http_approval_refusal_e      refusal;
    const char                      *why;
} ngx_http_approval_identity_t;

ngx_int_t ngx_http_approval_identify(ngx_http_approval_look_t *look,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule,
    ngx_http_approval_identity_t *identity);

/* NGX_DECLINED: it names nobody. */
ngx_int_t ngx_http_approval_identify_person(ngx_http_request_t *r,
    ngx_str_t *identity, ngx_str_t *person);

/* the one reading that an identity, a grant or a limit needs */
ngx_int_t ngx_http_approval_identify_one(ngx_http_approval_look_t *look,
    ngx_http_approval_rule_t *rule, ngx_http_approval_fact_t *fact,
    ngx_str_t *value, ngx_http_approval_identity_t *identity);

/* facts.c */
json_t *ngx_http_approval_facts(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_facts_tls(ngx_http_request_t *r, json_t *doc);
json_t *ngx_http_approval_facts_target(approval_redact_t *redact,
    ngx_str_t *target);
ngx_int_t ngx_http_approval_facts_where(ngx_http_request_t *r,
    approval_redact_t *redact, ngx_uint_t query, json_t *doc);

/* of a request without an action of its own, whose document would tell it */
ngx_int_t ngx_http_approval_facts_brief(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule,
    json_t *doc);


#endif /* NGX_HTTP_APPROVAL_JUDGE_H */
