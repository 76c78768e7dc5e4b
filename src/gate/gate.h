
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The gate: from the request's arrival to its resumption, refusal or end.
 */


#ifndef NGX_HTTP_APPROVAL_GATE_H
#define NGX_HTTP_APPROVAL_GATE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/audit.h"
#include "core/digest.h"
#include "core/jws.h"
#include "model/action.h"
#include "model/class.h"
#include "model/counters.h"
#include "model/hash.h"
#include "model/problem.h"
#include "store/store.h"
#include "store/watch.h"


/*
 * Where a hold stands.  Everything from STORE to SETTLE waits for Redis or
 * for people; the wake event moves it on.
 */

typedef enum {
    NGX_HTTP_APPROVAL_HOLD_NEW = 0,
    NGX_HTTP_APPROVAL_HOLD_BODY,         /* the client's body is being read   */
    NGX_HTTP_APPROVAL_HOLD_READ,         /* it has been: judge                */
    NGX_HTTP_APPROVAL_HOLD_HASH,         /* a large body is being digested    */
    NGX_HTTP_APPROVAL_HOLD_STORE,        /* the action is being stored        */
    NGX_HTTP_APPROVAL_HOLD_STORED,       /* it is: record                     */
    NGX_HTTP_APPROVAL_HOLD_SYNC,         /* the record is being made durable  */
    NGX_HTTP_APPROVAL_HOLD_RECORDED,     /* the request's is: notify, watch   */
    NGX_HTTP_APPROVAL_HOLD_WAIT,         /* for the decision                  */
    NGX_HTTP_APPROVAL_HOLD_DECIDED,      /* a decision was read: verify it    */
    NGX_HTTP_APPROVAL_HOLD_CONSUME,      /* the approval is being consumed    */
    NGX_HTTP_APPROVAL_HOLD_CONSUMED,     /* it is ours: record                */
    NGX_HTTP_APPROVAL_HOLD_FORWARD,      /* the approval's is durable: resume */
    NGX_HTTP_APPROVAL_HOLD_SETTLE,       /* its end without execution is
                                            stored                            */
    NGX_HTTP_APPROVAL_HOLD_EXPLAIN,      /* why was it denied? votes are read */
    NGX_HTTP_APPROVAL_HOLD_REFUSE,       /* say no, with hold->refusal        */
    NGX_HTTP_APPROVAL_HOLD_ACCEPT,       /* say 202: ask later                */
    NGX_HTTP_APPROVAL_HOLD_PASSED,
    NGX_HTTP_APPROVAL_HOLD_REFUSED
} ngx_http_approval_hold_state_e;


typedef struct ngx_http_approval_hold_s    ngx_http_approval_hold_t;
typedef struct ngx_http_approval_stream_s  ngx_http_approval_stream_t;
typedef struct ngx_http_approval_once_s    ngx_http_approval_once_t;


/*
 * One rule's grip on one main request.  Allocated from the request's pool and
 * found through a pool cleanup, since internal redirects clear the context;
 * detached from Redis, timers and posted events by a request cleanup, which
 * runs first.  A request that meets a second rule after a redirect gets a
 * second hold; "next" is the one before it.
 */

struct ngx_http_approval_hold_s {
    ngx_http_request_t              *request;
    ngx_http_approval_main_conf_t   *mcf;
    ngx_http_approval_loc_conf_t    *lcf;
    ngx_http_approval_rule_t        *rule;       /* NULL: not known yet       */
    ngx_http_approval_rule_t        *shadow;     /* was recorded before it    */

    ngx_http_approval_hold_t        *next;
    ngx_queue_t                      queue;      /* while it is suspended     */

    ngx_event_t                      wake;       /* posted, and deadline      */
    ngx_http_approval_watch_t        watch;
    ngx_http_approval_watch_t       *call;       /* NULL: it has no name by
                                                    which to give it up       */
    ngx_http_approval_op_t          *op;         /* what we wait for in Redis */
    ngx_http_approval_audit_wait_t   sync;       /* ... and for the disk      */
    ngx_http_approval_hold_state_e   synced;     /* the state after it        */

    ngx_http_approval_hold_state_e   state;
    ngx_http_approval_refusal_e      refusal;
    ngx_http_approval_state_e        action_state;
    ngx_http_approval_state_e        settling;

    ngx_http_approval_body_t        *body;       /* until it is stored        */
    json_t                          *doc;        /* until it is recorded      */
    json_t                          *remembered; /* what a grant says of the
                                                    VALUE: told while there is
                                                    a body                    */
    ngx_array_t                     *captures;   /* of ..._capture_t          */
    approval_digest_t               *hasher;     /* while digesting           */
    ngx_chain_t                     *hash_next;
    off_t                            hash_offset;

    ngx_str_t                        decision;   /* as read from Redis        */
    ngx_str_t                        receipt;    /* signed: verified, or ours */
    ngx_str_t                        approvers;
    ngx_str_t                        requester;
    ngx_str_t                        on_behalf;
    ngx_str_t                        method;     /* error_page changes it     */
    ngx_str_t                        reason;
    ngx_str_t                        detail;     /* the denier's comment      */
    const char                      *why;        /* of a refusal, or NULL     */
    ngx_str_t                        joins;      /* MACs over what was shown  */
    ngx_str_t                        remember;   /* evaluated VALUE           */
    ngx_str_t                        grant;      /* that was used: its id     */
    ngx_uint_t                       used;
    ngx_str_t                        mcp_ids;    /* JSON; len 0: no tools/call*/
    ngx_http_approval_stream_t      *stream;     /* NULL: it asks for none    */
    ngx_http_approval_once_t        *once;       /* NULL: not handled yet     */

    int64_t                          created;    /* ms, Redis' clock          */
    int64_t                          expires;
    int64_t                          taken;      /* the approval, of that
                                                    clock                     */
    int64_t                          clock;      /* Redis' clock minus
                                                    ngx_current_msec          */
    ngx_msec_t                       patience;   /* how long to hold, ms      */
    ngx_int_t                        prefer_wait;    /* s; NGX_ERROR: none    */
    time_t                           retry_after;    /* s, 0: as usual        */
    ngx_msec_t                       started;    /* ngx_current_msec          */
    ngx_msec_t                       resumed;

    u_char                           id[APPROVAL_ID_LEN];
    char                             digest[APPROVAL_DIGEST_LEN];
    u_char                           route[APPROVAL_SHA256_LEN];

    uint16_t                         recent;
    uint16_t                         room;       /* at decision.data          */
    uint16_t                         answered;   /* the upstream's status, as
                                                    Redis has it; 0: unknown  */
    unsigned                         stored:1;   /* id and times are known    */
    unsigned                         joined:1;
    unsigned                         unrecorded:1;  /* "requested" is not on
                                                       record                 */
    unsigned                         waiting:1;  /* the request is suspended  */
    unsigned                         prefer_async:1;
    unsigned                         bare:1;     /* the decision, unsigned    */
    unsigned                         told:1;     /* it was published, and not
                                                    read from the key         */
    unsigned                         frozen:1;   /* why it was cancelled      */
    unsigned                         alone:1;    /* approved by break_glass   */
    unsigned                         given_up:1; /* by that name              */
    unsigned                         consumed:1;
    unsigned                         unstored:1; /* passed by store_failure   */
};


/* gate.c */
ngx_int_t ngx_http_approval_access_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_approval_precontent_handler(ngx_http_request_t *r);
ngx_http_approval_hold_t *ngx_http_approval_hold_of(ngx_http_request_t *r);

/* The context of a request that was judged and that no rule holds. */
extern ngx_http_approval_hold_t  ngx_http_approval_passed;

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
 * bind.c: the digest, hold->digest, and hold->route, what of it a redirect
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
typedef struct {
    ngx_http_approval_look_t        *look;
    ngx_http_approval_rule_t        *rule;
    json_t                          *masked;     /* the body, or NULL         */
} ngx_http_approval_tell_t;

json_t *ngx_http_approval_tell(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, size_t max);
json_t *ngx_http_approval_tell_body(ngx_http_approval_rule_t *rule,
    ngx_http_approval_body_t *body);

/* of a fact that can be read in several ways; NULL: no memory */
const char *ngx_http_approval_tell_readings(ngx_http_approval_look_t *look,
    ngx_http_approval_rule_t *rule, ngx_http_approval_fact_t *fact);

/* shadow.c */
void ngx_http_approval_shadow(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule);

/* identify.c: NGX_DECLINED: *refusal, and *why if not NULL, say why not. */
typedef struct {
    ngx_str_t                        requester;
    ngx_str_t                        on_behalf;
    ngx_str_t                        reason;
    ngx_http_approval_refusal_e      refusal;
    const char                      *why;
} ngx_http_approval_identity_t;

ngx_int_t ngx_http_approval_identify(ngx_http_approval_look_t *look,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule,
    ngx_http_approval_identity_t *identity);

/* the one reading that an identity, a grant or a limit needs */
ngx_int_t ngx_http_approval_identify_one(ngx_http_approval_look_t *look,
    ngx_http_approval_rule_t *rule, ngx_http_approval_fact_t *fact,
    ngx_str_t *value, ngx_http_approval_identity_t *identity);

/* hold.c */
ngx_http_approval_hold_t *ngx_http_approval_hold_create(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf);
ngx_int_t ngx_http_approval_hold_suspend(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_wake(ngx_http_approval_hold_t *hold,
    ngx_http_approval_hold_state_e state);
void ngx_http_approval_hold_refuse(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal);
void ngx_http_approval_hold_sync(ngx_http_approval_hold_t *hold,
    ngx_http_approval_hold_state_e next);

int64_t ngx_http_approval_now(void);
int64_t ngx_http_approval_hold_now(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_clock(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);

/* ask.c */
ngx_int_t ngx_http_approval_hold_start(ngx_http_approval_hold_t *hold);
void ngx_http_approval_ask_digest(ngx_http_approval_hold_t *hold);
void ngx_http_approval_ask_stored(ngx_http_approval_hold_t *hold);
void ngx_http_approval_ask_recorded(ngx_http_approval_hold_t *hold);

/* decide.c */
void ngx_http_approval_hold_wait(ngx_http_approval_hold_t *hold, int64_t left);
void ngx_http_approval_hold_watch(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_unwatch(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_decided(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_hold_approvers(ngx_http_approval_hold_t *hold,
    json_t *claims);

/* consume.c */
void ngx_http_approval_hold_consume(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_elsewhere(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
ngx_http_approval_refusal_e ngx_http_approval_hold_refusal(
    ngx_http_approval_state_e state);

/* settle.c */
void ngx_http_approval_hold_overdue(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_settle(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state);
void ngx_http_approval_hold_withdraw(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_explain(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal);
ngx_int_t ngx_http_approval_hold_decision(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state, approval_buf_t *out);

/* grant.c */
ngx_int_t ngx_http_approval_grant_hashes(ngx_http_approval_hold_t *hold,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes);
ngx_int_t ngx_http_approval_grant_freezer(ngx_http_approval_hold_t *hold,
    u_char who[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *requester,
    u_char which[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *policy);
ngx_http_approval_op_t *ngx_http_approval_grant_consume(
    ngx_http_approval_hold_t *hold, ngx_http_approval_store_pt handler);
void ngx_http_approval_grant_used(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);

/* call.c: an MCP call, and the message that gives it up */
ngx_int_t ngx_http_approval_ask_shard(ngx_http_approval_hold_t *hold,
    ngx_str_t *name, u_char *shard);
ngx_int_t ngx_http_approval_call_name(ngx_http_approval_hold_t *hold,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes);
void ngx_http_approval_call_watch(ngx_http_approval_hold_t *hold);
void ngx_http_approval_call_over(ngx_http_approval_hold_t *hold);
void ngx_http_approval_call_cancelled(ngx_http_approval_hold_t *hold);

/* leave.c */
void ngx_http_approval_hold_left(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_orphan(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_ticket(ngx_http_approval_hold_t *hold);

/* forward.c */
ngx_int_t ngx_http_approval_forward_record(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_forward(ngx_http_approval_hold_t *hold);
void ngx_http_approval_forward_fail(ngx_http_approval_hold_t *hold,
    const char *why);
void ngx_http_approval_forward_close(ngx_http_approval_hold_t *hold,
    const char *why);
ngx_int_t ngx_http_approval_strip(ngx_http_request_t *r);
ngx_uint_t ngx_http_approval_header_encoding(ngx_str_t *name);

/* once.c: around content handlers and upstreams; nothing is sent twice */
ngx_int_t ngx_http_approval_once_location(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *prev, ngx_http_approval_loc_conf_t *conf);
ngx_int_t ngx_http_approval_once_init(ngx_conf_t *cf);
ngx_int_t ngx_http_approval_content_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_approval_once_status(ngx_http_approval_hold_t *hold);

/*
 * spent.c: which approvals were used on this host, whatever Redis says.
 * NGX_DECLINED: this one was.  The zone has no name in nginx.conf.
 */
ngx_int_t ngx_http_approval_spent_zone(ngx_conf_t *cf,
    ngx_http_approval_main_conf_t *mcf);
ngx_int_t ngx_http_approval_spend(ngx_http_approval_main_conf_t *mcf,
    u_char id[APPROVAL_ID_LEN]);

/* shutdown.c */
void ngx_http_approval_shutdown_init(ngx_cycle_t *cycle);
void ngx_http_approval_hold_enter(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_leave(ngx_http_approval_hold_t *hold);

/* ticket.c */
ngx_int_t ngx_http_approval_ticket_keep(ngx_http_request_t *r);
ngx_str_t ngx_http_approval_ticket(ngx_http_request_t *r);
void ngx_http_approval_ticket_ended(ngx_http_approval_hold_t *hold);

/* prefer.c */
void ngx_http_approval_prefer(ngx_http_approval_hold_t *hold);

/* mcp.c */
ngx_int_t ngx_http_approval_mcp_ids(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_mcp_call(json_t *message);
ngx_int_t ngx_http_approval_mcp_headers(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_mcp_refuse(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const char *text, json_t *meta);

/* progress.c: a held call whose client is kept waiting with events */
ngx_int_t ngx_http_approval_progress_wanted(ngx_http_approval_hold_t *hold);
void ngx_http_approval_progress_inherit(ngx_http_approval_hold_t *hold);
void ngx_http_approval_progress_start(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_progress_resume(ngx_http_approval_hold_t *hold);
void ngx_http_approval_progress_stop(ngx_http_approval_hold_t *hold);
void ngx_http_approval_progress_cleanup(ngx_http_approval_hold_t *hold);
ngx_uint_t ngx_http_approval_progress_opened(ngx_http_approval_hold_t *hold);
ngx_uint_t ngx_http_approval_progress_status(ngx_http_approval_hold_t *hold);

/* reply.c: sends the refusal; the rc to finalize the request with */
ngx_int_t ngx_http_approval_refuse(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, ngx_http_approval_refusal_e refusal,
    const char *detail);

/* what would have been refused is only recorded */
void ngx_http_approval_refuse_shadow(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, ngx_http_approval_refusal_e refusal,
    const char *detail);

ngx_int_t ngx_http_approval_accept(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);

/* Approval-Id and Approval-Status, where there is an action */
ngx_int_t ngx_http_approval_hold_headers(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold);

/* outcome.c */
void ngx_http_approval_outcome(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_ended(ngx_http_approval_hold_t *hold,
    json_t *facts);

/* facts.c */
json_t *ngx_http_approval_facts(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_facts_tls(ngx_http_request_t *r, json_t *doc);
ngx_int_t ngx_http_approval_facts_where(ngx_http_request_t *r,
    ngx_http_approval_rule_t *rule, json_t *doc);

/* of a request without an action of its own, whose document would tell it */
ngx_int_t ngx_http_approval_facts_brief(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule,
    json_t *doc);

/* reaper.c */
void ngx_http_approval_reaper(void *data,
    const ngx_http_approval_reply_t *reply);

/* variables.c */
ngx_int_t ngx_http_approval_add_variables(ngx_conf_t *cf);


#endif /* NGX_HTTP_APPROVAL_GATE_H */
