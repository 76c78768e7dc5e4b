
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A request that waits for its approval: from the creation of its action to its
 * outcome, or to an end without an execution.
 */


#ifndef NGX_HTTP_APPROVAL_HOLD_H
#define NGX_HTTP_APPROVAL_HOLD_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/audit.h"
#include "core/jws.h"
#include "gate/judge/judge.h"
#include "model/class.h"
#include "model/counters.h"
#include "model/ends.h"
#include "model/hash.h"
#include "store/store.h"
#include "store/watch.h"


/*
 * The state of a hold.  In the states from STORE to SETTLE it waits for Redis
 * or for people; the wake event starts the next step.
 */

typedef enum {
    NGX_HTTP_APPROVAL_HOLD_NEW = 0,
    NGX_HTTP_APPROVAL_HOLD_BODY,         /* the client's body is being read   */
    NGX_HTTP_APPROVAL_HOLD_READ,         /* body complete: judge              */
    NGX_HTTP_APPROVAL_HOLD_HASH,         /* a large body is being digested    */
    NGX_HTTP_APPROVAL_HOLD_STORE,        /* the action is being stored        */
    NGX_HTTP_APPROVAL_HOLD_JOINED,       /* ... by another worker: it may not
                                            be on record                      */
    NGX_HTTP_APPROVAL_HOLD_STORED,       /* action stored: record it          */
    NGX_HTTP_APPROVAL_HOLD_REQUESTED,    /* its record is being made durable  */
    NGX_HTTP_APPROVAL_HOLD_RECORDED,     /* record durable: notify, watch     */
    NGX_HTTP_APPROVAL_HOLD_WAIT,         /* for the decision                  */
    NGX_HTTP_APPROVAL_HOLD_TOLD,         /* a decision was published: verify  */
    NGX_HTTP_APPROVAL_HOLD_DECIDED,      /* the key was read: verify          */
    NGX_HTTP_APPROVAL_HOLD_CONSUME,      /* the approval is being consumed    */
    NGX_HTTP_APPROVAL_HOLD_CONSUMED,     /* by this hold: record it           */
    NGX_HTTP_APPROVAL_HOLD_APPROVED,     /* its record is being made durable  */
    NGX_HTTP_APPROVAL_HOLD_FORWARD,      /* record durable: resume            */
    NGX_HTTP_APPROVAL_HOLD_SETTLE,       /* its end without execution is
                                            stored                            */
    NGX_HTTP_APPROVAL_HOLD_EXPLAIN,      /* votes, outcome are being read     */
    NGX_HTTP_APPROVAL_HOLD_REFUSE,       /* answer with hold->refusal         */
    NGX_HTTP_APPROVAL_HOLD_GIVEN_UP,     /* ... the client cancelled the call */
    NGX_HTTP_APPROVAL_HOLD_ACCEPT,       /* answer with a ticket (202)        */
    NGX_HTTP_APPROVAL_HOLD_PASSED,
    NGX_HTTP_APPROVAL_HOLD_REFUSED
} ngx_http_approval_hold_state_e;


/* The JSON-RPC requests of a body: the client waits for an answer to each. */

typedef struct {
    ngx_str_t                        id;         /* as it was sent            */
    unsigned                         tool:1;     /* a tools/call              */
} ngx_http_approval_rpc_id_t;


typedef struct {
    ngx_array_t                      ids;        /* of ..._rpc_id_t           */
    unsigned                         batch:1;
    unsigned                         tool:1;     /* one of them is            */
} ngx_http_approval_rpc_t;


typedef struct ngx_http_approval_stream_s  ngx_http_approval_stream_t;
typedef struct ngx_http_approval_once_s    ngx_http_approval_once_t;


/* What the store knows of an action; from MADE on, its id and times are set. */

typedef enum {
    NGX_HTTP_APPROVAL_ACTION_NONE = 0,
    NGX_HTTP_APPROVAL_ACTION_UNSTORED,   /* nothing: passed by store_failure  */
    NGX_HTTP_APPROVAL_ACTION_MADE,       /* by this hold, or by another one
                                            that did not record it            */
    NGX_HTTP_APPROVAL_ACTION_JOINED      /* existed before                    */
} ngx_http_approval_origin_e;


/*
 * The action and its decision.  The members are set when the store has
 * answered, except digest and route, which are set before.
 */

typedef struct {
    ngx_http_approval_origin_e       origin;
    ngx_http_approval_state_e        state;
    json_t                          *doc;        /* NULL once recorded        */
    ngx_str_t                        joins;      /* MACs over what was shown  */
    ngx_str_t                        decision;   /* as read from Redis        */
    ngx_str_t                        receipt;    /* signed: verified, or ours */
    ngx_str_t                        approvers;
    ngx_str_t                        detail;     /* the denier's comment      */

    int64_t                          created;    /* ms, Redis' clock          */
    int64_t                          expires;
    int64_t                          taken;      /* when this hold consumed the
                                                    approval; 0: it did not   */

    u_char                           id[APPROVAL_ID_LEN];
    char                             digest[APPROVAL_DIGEST_LEN];
    u_char                           route[APPROVAL_SHA256_LEN];

    uint16_t                         room;       /* bytes at decision.data    */
    uint16_t                         recent;     /* requests by the requester */
    unsigned                         single:1;   /* its approval makes no grant */
} ngx_http_approval_held_t;


/*
 * What a hold waits for.  The hold's cleanup runs before anything is freed and
 * detaches all of these, so that none of them calls the hold afterwards.
 */

typedef struct {
    ngx_event_t                      event;      /* posted, and deadline      */
    ngx_http_approval_watch_t        watch;
    ngx_http_approval_watch_t       *call;       /* NULL: not a call that the
                                                    client can cancel by id   */
    ngx_http_approval_op_t          *op;         /* in Redis                  */
    ngx_http_approval_state_e        settling;   /* the end that op stores    */
    ngx_uint_t                       asked;      /* ... whether it is on record */
    ngx_http_approval_audit_wait_t   sync;       /* durability of records     */
} ngx_http_approval_wait_t;


/*
 * The hold of one main request by one rule.  It is allocated from the request's
 * pool and found through a pool cleanup, since internal redirects clear the
 * context.  A request cleanup, which runs before that, detaches it from Redis,
 * timers and posted events.  A request that matches a second rule after a
 * redirect gets a second hold, whose "next" is the previous one.
 */

struct ngx_http_approval_hold_s {
    ngx_http_request_t              *request;
    ngx_http_approval_main_conf_t   *mcf;
    ngx_http_approval_loc_conf_t    *lcf;

    ngx_http_approval_hold_t        *next;
    ngx_queue_t                      queue;      /* queue.next is NULL unless
                                                    it is suspended           */

    const ngx_http_approval_verdict_t  *verdict;
    ngx_http_approval_held_t         action;
    ngx_http_approval_wait_t         wait;

    ngx_http_approval_hold_state_e   state;
    ngx_http_approval_refusal_e      refusal;

    ngx_http_approval_body_t        *body;       /* until action is stored    */
    approval_digest_t               *hasher;     /* while digesting           */
    ngx_chain_t                     *hash_next;
    off_t                            hash_offset;

    const char                      *why;        /* of a refusal, or NULL     */
    ngx_str_t                        grant;      /* id of the grant used      */
    ngx_uint_t                       used;
    ngx_http_approval_rpc_t         *rpc;        /* NULL: no JSON-RPC request */
    ngx_http_approval_stream_t      *stream;     /* NULL: none requested      */
    ngx_http_approval_once_t        *once;       /* NULL: not handled yet     */

    int64_t                          clock;      /* Redis' clock minus
                                                    ngx_current_msec          */
    ngx_msec_t                       patience;   /* how long to hold, ms      */
    ngx_int_t                        prefer_wait;    /* s; NGX_ERROR: none    */
    time_t                           retry_after;    /* s; 0: the default     */
    ngx_msec_t                       started;    /* ngx_current_msec          */
    ngx_msec_t                       resumed;

    uint64_t                         content;    /* tells whether the body that
                                                    is bound was replaced     */

    uint16_t                         answered;   /* the upstream's status, from
                                                    Redis; 0: unknown         */
    unsigned                         prefer_async:1;
    unsigned                         again:1;    /* judge the approved request
                                                    again                     */
};


/* hold.c */
ngx_http_approval_hold_t *ngx_http_approval_hold_create(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf);
ngx_http_approval_hold_t *ngx_http_approval_hold_of(ngx_http_request_t *r);
ngx_int_t ngx_http_approval_hold_suspend(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_wake(ngx_http_approval_hold_t *hold,
    ngx_http_approval_hold_state_e state);
void ngx_http_approval_hold_refuse(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal);
void ngx_http_approval_hold_reply(void *data,
    const ngx_http_approval_reply_t *reply);
void ngx_http_approval_hold_sync(ngx_http_approval_hold_t *hold,
    ngx_http_approval_hold_state_e state);
ngx_uint_t ngx_http_approval_hold_stored(ngx_http_approval_hold_t *hold);
ngx_uint_t ngx_http_approval_hold_executes(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_recorded(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_resume(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_say_no(ngx_http_approval_hold_t *hold);

int64_t ngx_http_approval_hold_now(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_clock(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);

/* ask.c */
ngx_int_t ngx_http_approval_hold_start(ngx_http_approval_hold_t *hold);
void ngx_http_approval_ask_digest(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_ask_store(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_ask_no_store(ngx_http_approval_hold_t *hold);

/*
 * find.c: the MACs by which the store finds things.  Strings made with an
 * ngx_http_approval_find_t point into it, and live as long as it does.
 */

typedef struct {
    u_char  join[NGX_HTTP_APPROVAL_HASHES];
    u_char  requester[NGX_HTTP_APPROVAL_HASHES];
    u_char  caps[NGX_HTTP_APPROVAL_CAPS][NGX_HTTP_APPROVAL_HASHES];
    u_char  grant[NGX_HTTP_APPROVAL_HASHES];
    u_char  call[NGX_HTTP_APPROVAL_HASHES];
} ngx_http_approval_find_t;

ngx_int_t ngx_http_approval_find_id(ngx_http_approval_hold_t *hold);
ngx_int_t ngx_http_approval_find_shard(ngx_http_approval_hold_t *hold,
    const ngx_str_t *person, u_char *shard);
ngx_int_t ngx_http_approval_find_requester(ngx_http_approval_hold_t *hold,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes);
ngx_int_t ngx_http_approval_find_new(ngx_http_approval_hold_t *hold,
    ngx_http_approval_find_t *find, ngx_http_approval_new_t *new);

/* asked.c: the store's answers */
void ngx_http_approval_ask_new(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
void ngx_http_approval_ask_joined(ngx_http_approval_hold_t *hold);
void ngx_http_approval_ask_announce(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
void ngx_http_approval_ask_stored(ngx_http_approval_hold_t *hold);
void ngx_http_approval_ask_synced(ngx_http_approval_hold_t *hold,
    ngx_int_t rc);
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
void ngx_http_approval_hold_consumed(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
void ngx_http_approval_hold_elsewhere(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
ngx_http_approval_refusal_e ngx_http_approval_hold_refusal(
    ngx_http_approval_state_e state);

/* settle.c */
void ngx_http_approval_hold_overdue(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_settle(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state);
void ngx_http_approval_hold_settled(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
void ngx_http_approval_hold_withdraw(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_explain(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal);
void ngx_http_approval_hold_explained(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
ngx_int_t ngx_http_approval_hold_receipt(ngx_http_approval_hold_t *hold);

/* grant.c */
ngx_int_t ngx_http_approval_grant_hashes(ngx_http_approval_hold_t *hold,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes);
ngx_http_approval_op_t *ngx_http_approval_grant_consume(
    ngx_http_approval_hold_t *hold, ngx_http_approval_store_pt handler);
void ngx_http_approval_grant_used(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);

/* call.c: MCP calls, and the messages that cancel them */
ngx_int_t ngx_http_approval_call_name(ngx_http_approval_hold_t *hold,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes);
void ngx_http_approval_call_watch(ngx_http_approval_hold_t *hold);
void ngx_http_approval_call_over(ngx_http_approval_hold_t *hold);
void ngx_http_approval_call_cancelled(ngx_http_approval_hold_t *hold);

/* leave.c */
void ngx_http_approval_hold_left(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_orphan(ngx_http_approval_hold_t *hold,
    ngx_http_approval_store_pt keeper);
void ngx_http_approval_left_new(void *data,
    const ngx_http_approval_reply_t *reply);
void ngx_http_approval_left_consumed(void *data,
    const ngx_http_approval_reply_t *reply);
void ngx_http_approval_hold_ticket(ngx_http_approval_hold_t *hold);

/* forward.c */
void ngx_http_approval_forward_record(ngx_http_approval_hold_t *hold);
/* The record alone: nothing waits for it. */
ngx_int_t ngx_http_approval_forward_write(ngx_http_approval_hold_t *hold);
void ngx_http_approval_forward_synced(ngx_http_approval_hold_t *hold,
    ngx_int_t rc);
void ngx_http_approval_forward(ngx_http_approval_hold_t *hold);
void ngx_http_approval_forward_fail(ngx_http_approval_hold_t *hold,
    const char *why);
void ngx_http_approval_forward_close(ngx_http_approval_hold_t *hold,
    const char *why);
void ngx_http_approval_forward_unsent(json_t *facts, const char *why);
void ngx_http_approval_forward_failed(ngx_http_approval_main_conf_t *mcf,
    u_char *id, const char *why);
ngx_int_t ngx_http_approval_strip(ngx_http_request_t *r);
ngx_uint_t ngx_http_approval_header_encoding(ngx_str_t *name);

/* outcome.c */
void ngx_http_approval_outcome(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_ended(ngx_http_approval_hold_t *hold,
    json_t *facts);

/*
 * limits.c: compares what Redis says with the memory of ends.  NGX_DECLINED:
 * they contradict; this is recorded, and the request is being refused.
 */
ngx_int_t ngx_http_approval_limit_taken(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
ngx_int_t ngx_http_approval_limit_room(ngx_http_approval_hold_t *hold,
    ngx_http_approval_end_e kind, const ngx_str_t *ids, int64_t now);
ngx_int_t ngx_http_approval_limit_take(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id, int64_t now,
    ngx_http_approval_end_t *end);
ngx_int_t ngx_http_approval_limit_joined(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);
ngx_int_t ngx_http_approval_limit_unfrozen(ngx_http_approval_hold_t *hold,
    const ngx_http_approval_reply_t *reply);

/* NGX_ERROR: *err says why the grant cannot be used. */
ngx_int_t ngx_http_approval_limit_used(ngx_http_approval_hold_t *hold,
    json_t *doc, const ngx_http_approval_reply_t *reply, const char **err);

/* "now" is by Redis' clock */
ngx_uint_t ngx_http_approval_limit_frozen(ngx_http_approval_hold_t *hold,
    int64_t now);
void ngx_http_approval_limit_decided(ngx_http_approval_hold_t *hold,
    ngx_http_approval_state_e state);
void ngx_http_approval_limit_refuse(ngx_http_approval_hold_t *hold,
    ngx_http_approval_refusal_e refusal, const char *limit, const char *why);
void ngx_http_approval_limit_record(ngx_http_approval_hold_t *hold, u_char *id,
    const char *limit, const char *why);

/* shutdown.c */
void ngx_http_approval_shutdown_init(ngx_cycle_t *cycle);
void ngx_http_approval_hold_enter(ngx_http_approval_hold_t *hold);
void ngx_http_approval_hold_leave(ngx_http_approval_hold_t *hold);

/* prefer.c */
void ngx_http_approval_prefer(ngx_http_approval_hold_t *hold);

/* ticket.c */
ngx_int_t ngx_http_approval_ticket_keep(ngx_http_request_t *r);
ngx_str_t ngx_http_approval_ticket(ngx_http_request_t *r);
void ngx_http_approval_ticket_ended(ngx_http_approval_hold_t *hold);

/* reaper.c */
void ngx_http_approval_reaper(void *data,
    const ngx_http_approval_reply_t *reply);


#endif /* NGX_HTTP_APPROVAL_HOLD_H */
