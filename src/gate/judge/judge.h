
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Judges requests by the rules, identifies the requester, binds the request by
 * a digest, and describes it for approvers and for the audit trail.
 */


#ifndef NGX_HTTP_APPROVAL_JUDGE_H
#define NGX_HTTP_APPROVAL_JUDGE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/digest.h"
#include "model/action.h"
#include "model/problem.h"


typedef struct ngx_http_approval_hold_s     ngx_http_approval_hold_t;
typedef struct ngx_http_approval_verdict_s  ngx_http_approval_verdict_t;


/* judge.c */

typedef enum {
    NGX_HTTP_APPROVAL_VERDICT_PASS = 0,
    NGX_HTTP_APPROVAL_VERDICT_HOLD,      /* rule requires approvals           */
    NGX_HTTP_APPROVAL_VERDICT_DENY,      /* rule, or the policy's default     */
    NGX_HTTP_APPROVAL_VERDICT_REFUSE,    /* refusal, and why if not NULL      */
    NGX_HTTP_APPROVAL_VERDICT_BODY       /* the body must be read first       */
} ngx_http_approval_verdict_e;


/*
 * The requester.  "person" and "on_behalf_person" are canonical, the same for
 * all names of a person.
 */

typedef struct {
    ngx_str_t                        requester;
    ngx_str_t                        person;
    ngx_str_t                        on_behalf;
    ngx_str_t                        on_behalf_person;
    ngx_str_t                        reason;
} ngx_http_approval_identity_t;


/*
 * What was judged.  Only judge/ changes it; a hold has a const pointer to its
 * own.  All of it is in the request's pool, except "remembered".
 */

struct ngx_http_approval_verdict_s {
    ngx_http_approval_verdict_e      what;
    ngx_http_approval_rule_t        *rule;       /* NULL: not known yet       */
    ngx_http_approval_rule_t        *shadow;     /* a rule in shadow mode,
                                                    recorded before "rule"    */
    ngx_http_approval_refusal_e      refusal;
    const char                      *why;        /* ... or NULL               */
    ngx_str_t                        method;     /* error_page changes it     */
    ngx_http_approval_identity_t     who;
    ngx_array_t                     *captures;   /* of ..._capture_t          */
    ngx_str_t                        remember;   /* evaluated VALUE           */
    json_t                          *remembered; /* its description, for a
                                                    grant: made while the body
                                                    exists                    */
};


/* NGX_ERROR: no memory. */
ngx_int_t ngx_http_approval_verdict_create(ngx_http_approval_hold_t *hold);
void ngx_http_approval_verdict_done(ngx_http_approval_hold_t *hold);

/* Sets those that are not NULL. */
void ngx_http_approval_verdict_rule(ngx_http_approval_hold_t *hold,
    ngx_http_approval_rule_t *rule, ngx_http_approval_rule_t *shadow);

void ngx_http_approval_judge(ngx_http_approval_look_t *look,
    ngx_http_approval_policy_t *policy, ngx_http_approval_verdict_t *verdict);
ngx_http_approval_refusal_e ngx_http_approval_judge_refusal(
    ngx_http_approval_fact_t *fact);
ngx_http_approval_refusal_e ngx_http_approval_judge_unread(
    ngx_http_approval_fact_t *fact);
int ngx_http_approval_evidence(ngx_http_approval_look_t *look,
    ngx_http_approval_rule_t *rule, approval_match_evidence_pt visit,
    void *data);

/* body.c */
ngx_int_t ngx_http_approval_body_read(ngx_http_approval_hold_t *hold);
void ngx_http_approval_body_judge(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_body_digest(ngx_http_approval_hold_t *hold);
void ngx_http_approval_body_done(ngx_http_approval_hold_t *hold);

/*
 * bind.c: sets hold->action.digest, and hold->action.route, a hash of those
 * parts that a redirect must not change.  NGX_AGAIN: part of the body has yet
 * to be digested.
 */
ngx_int_t ngx_http_approval_bind(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_bind_describe(ngx_http_approval_hold_t *hold,
    json_t *doc);
ngx_uint_t ngx_http_approval_bind_same(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);
ngx_uint_t ngx_http_approval_bind_same_body(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);

/* describe.c */
json_t *ngx_http_approval_describe(ngx_http_approval_hold_t *hold);
json_t *ngx_http_approval_describe_require(ngx_http_approval_hold_t *hold);

/* tell.c: facts in the form that approvers and requesters may see */

#define NGX_HTTP_APPROVAL_TELL_VALUE  1024       /* bytes of one value        */

typedef struct {
    ngx_http_approval_look_t        *look;
    ngx_http_approval_rule_t        *rule;
    json_t                          *masked;     /* redacted body, or NULL    */
    unsigned                         body:1;     /* part of it was output     */
    unsigned                         query:1;    /* all of it was output      */
} ngx_http_approval_tell_t;

/* the caller must free tell->masked */
void ngx_http_approval_tell_init(ngx_http_approval_tell_t *tell,
    ngx_http_approval_look_t *look, ngx_http_approval_rule_t *rule);
json_t *ngx_http_approval_tell(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, size_t max);

/* declare.c: "summary", "show" and "matched" of the document */
ngx_int_t ngx_http_approval_declare(ngx_http_approval_tell_t *tell,
    json_t *doc);

/* describes a fact that has several readings; NULL: no memory */
const char *ngx_http_approval_tell_readings(ngx_http_approval_look_t *look,
    ngx_http_approval_rule_t *rule, ngx_http_approval_fact_t *fact);

/* shadow.c */
void ngx_http_approval_shadow(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule);

/*
 * identify.c: fills verdict->who.  NGX_DECLINED: verdict->refusal and, if not
 * NULL, verdict->why have the reason.
 */
ngx_int_t ngx_http_approval_identify(ngx_http_approval_look_t *look,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_verdict_t *verdict);

/* The same, with everything else that an action needs to know. */
ngx_int_t ngx_http_approval_identify_hold(ngx_http_approval_hold_t *hold);

/* Reads the requester for a record, although nothing depends on it. */
void ngx_http_approval_identify_record(ngx_http_approval_hold_t *hold);

/* NGX_DECLINED: not a valid identity */
ngx_int_t ngx_http_approval_identify_person(ngx_http_request_t *r,
    ngx_str_t *identity, ngx_str_t *person);

/* facts.c */
json_t *ngx_http_approval_facts(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_facts_tls(ngx_http_request_t *r, json_t *doc);
json_t *ngx_http_approval_facts_target(approval_redact_t *redact,
    ngx_str_t *target);
ngx_int_t ngx_http_approval_facts_where(ngx_http_request_t *r,
    approval_redact_t *redact, ngx_uint_t query, json_t *doc);

/* for a request without an action, and so without a document */
ngx_int_t ngx_http_approval_facts_brief(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule,
    json_t *doc);


#endif /* NGX_HTTP_APPROVAL_JUDGE_H */
