
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Actions in Redis.  The only room that knows keys and scripts.
 */


#ifndef NGX_HTTP_APPROVAL_STORE_H
#define NGX_HTTP_APPROVAL_STORE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/keys.h"
#include "event/redis.h"
#include "model/state.h"


#define NGX_HTTP_APPROVAL_SHARD_LEN   2      /* hex: the first of an id     */
#define NGX_HTTP_APPROVAL_SHARDS_MAX  256
#define NGX_HTTP_APPROVAL_REPLICAS_MAX  16


struct ngx_http_approval_store_conf_s {
    ngx_http_approval_redis_conf_t  redis;
    ngx_str_t                       prefix;      /* "approval:"          */
    ngx_msec_t                      retention;   /* of decided actions   */
    ngx_uint_t                      shards;
    ngx_uint_t                      replicas;    /* that have what is used */
};

typedef struct ngx_http_approval_store_conf_s  ngx_http_approval_store_conf_t;


typedef struct ngx_http_approval_store_s  ngx_http_approval_store_t;
typedef struct ngx_http_approval_op_s     ngx_http_approval_op_t;


/*
 * What came back.  Strings end with the call that gets them.
 *
 *   NGX_OK        done; state and what the operation's comment names are set
 *   NGX_DECLINED  not done: the action is in another state (set), or unknown;
 *                 EXPIRED without a decision: it is overdue, nobody settled it
 *   NGX_AGAIN     not done, try again as the operation's comment says
 *   NGX_BUSY      a limit of the store's is reached (create: caps)
 *   NGX_ERROR     the store is unavailable, answered with an error, or what it
 *                 holds makes no sense; logged
 */

typedef struct {
    ngx_int_t                       rc;
    ngx_uint_t                      answered;   /* Redis was reached          */
    ngx_http_approval_state_e       state;
    ngx_http_approval_cause_e       cause;       /* ... of a refusal     */
    u_char                          id[APPROVAL_ID_LEN];
    int64_t                         now;         /* Redis' clock, ms     */
    int64_t                         created;     /* ms                   */
    int64_t                         expires;     /* ms                   */
    int64_t                         decided;     /* ms, 0: not yet       */
    ngx_str_t                       doc;         /* sealed               */
    ngx_str_t                       decision;    /* len 0: none          */
    ngx_str_t                       outcome;     /* JSON, len 0: none    */
    ngx_str_t                       missed;      /* freeze, thaw: shards that
                                                    did not answer, by
                                                    spaces               */
    ngx_str_t                       per;         /* where it counted     */
    ngx_str_t                       others;      /* the store's own      */
    ngx_str_t                       grant;       /* its id, len 0: none  */
    ngx_uint_t                      used;        /* ... so many times    */
    ngx_uint_t                      cap;         /* create: what is busy */
    ngx_str_t                      *votes;       /* JWS each             */
    ngx_uint_t                      nvotes;
    ngx_str_t                      *ends;        /* model/ends.h: kind, id and
                                                    statement of each    */
    ngx_uint_t                      nends;
    ngx_uint_t                      recent;      /* requests by the
                                                    requester, 10 min    */
    ngx_uint_t                      told;        /* messages sent        */
    ngx_uint_t                      untold;      /* given up             */
    unsigned                        joined:1;    /* create: it was there */
    unsigned                        absent:1;    /* nobody waits for it  */
    unsigned                        unreplicated:1;  /* consume, create with
                                                    a grant: it was used, and
                                                    a failover may undo that */
} ngx_http_approval_reply_t;

typedef void (*ngx_http_approval_store_pt)(void *data,
    const ngx_http_approval_reply_t *reply);


/*
 * Owned by the worker.  overdue() is told of actions past their deadline that
 * nobody settled (their holder is gone): the caller settles them.
 */

typedef struct {
    void                          (*overdue)(void *data,
                                       const ngx_http_approval_reply_t *reply);
    void                          (*link)(void *data, ngx_uint_t ready);
    void                           *data;
} ngx_http_approval_store_events_t;

ngx_http_approval_store_t *ngx_http_approval_store_create(
    ngx_http_approval_store_conf_t *conf, ngx_log_t *log,
    const ngx_http_approval_store_events_t *events);

/* Handlers of operations under way are not called any more. */
void ngx_http_approval_store_destroy(ngx_http_approval_store_t *store);

ngx_uint_t ngx_http_approval_store_ready(ngx_http_approval_store_t *store);

/* Ready, and what is written is not refused: for the metrics. */
ngx_uint_t ngx_http_approval_store_usable(ngx_http_approval_store_t *store);

ngx_http_approval_redis_t *ngx_http_approval_store_redis(
    ngx_http_approval_store_t *store);

/* For the metrics: refused, unanswered or senseless replies so far. */
ngx_uint_t ngx_http_approval_store_errors(ngx_http_approval_store_t *store);


/*
 * Every operation is asynchronous: it returns a handle, or NULL where the
 * store is known to be down (the handler is not called then).  The handler is
 * called once, within the link's timeout; where it is NULL, nobody waits.  A
 * caller that goes away first calls forget(): the operation runs on, the
 * handler is not called.  The handle ends with the handler's call or with
 * forget().
 */
void ngx_http_approval_store_forget(ngx_http_approval_op_t *op);

/* Or somebody who lives longer takes its place. */
void ngx_http_approval_store_inherit(ngx_http_approval_op_t *op,
    ngx_http_approval_store_pt handler, void *data);


/*
 * The shard of a value: all that is about a requester is in the requester's,
 * which an id begins with.  What has a value of its own is in that value's, and
 * _place() puts it at the beginning of its hashes.
 */
ngx_int_t ngx_http_approval_store_shard(ngx_http_approval_store_t *store,
    ngx_str_t *value, u_char shard[NGX_HTTP_APPROVAL_SHARD_LEN]);
void ngx_http_approval_store_place(ngx_str_t *hashes,
    u_char shard[NGX_HTTP_APPROVAL_SHARD_LEN]);


/*
 * Makes a pending action, or joins the one that is open (pending or approved)
 * under the same join hash.  NGX_OK: id, state, created, expires, recent,
 * joined.  NGX_BUSY: a cap is reached, "cap"; that of prompts until "expires".
 * NGX_DECLINED, cause AGAIN: the action "id" ended as "state", or is executing,
 * and no other is made under its join hash until "expires".  FROZEN: requester
 * or policy is.  UNFROZEN: neither is, and "frozen" says that one was seen to
 * be; ends has what stands in Redis of that.  GIVEN_UP: the call was, before it
 * came.  ENDED: the ticket is an action under this join hash, and not open.
 * grant.len != 0: that grant was used, once; id is the action whose approval
 * made it, and doc is the grant's.
 * Redis never sees who or what.  Instead there are hashes, hex of a MAC: by the
 * first of the gateway's keys, under which it is stored, and after a space each
 * by those of the others, under which it may have been.
 */

typedef enum {
    NGX_HTTP_APPROVAL_CAP_PENDING = 0,           /* actions that are open */
    NGX_HTTP_APPROVAL_CAP_PROMPTS,               /* that were made lately */
    NGX_HTTP_APPROVAL_CAPS
} ngx_http_approval_cap_e;

typedef struct {
    ngx_str_t                       per;         /* hashes, 0: no cap    */
    ngx_uint_t                      max;
    ngx_msec_t                      time;        /* for which one counts */
} ngx_http_approval_cap_t;

typedef struct {
    u_char                         *id;          /* APPROVAL_ID_LEN      */
    ngx_str_t                       join;        /* hashes               */
    ngx_str_t                       requester;   /* hashes, for "recent" */
    ngx_http_approval_cap_t         caps[NGX_HTTP_APPROVAL_CAPS];
    ngx_str_t                       doc;         /* sealed               */
    ngx_msec_t                      timeout;
    ngx_msec_t                      execute_within;
    ngx_msec_t                      repeat;      /* of an end, 0: never  */
    ngx_str_t                       grant;       /* hashes, len 0: none  */
    ngx_str_t                       policy;      /* hashes, for "frozen" */
    ngx_str_t                       ticket;      /* id, len 0: none      */
    ngx_str_t                       call;        /* hashes, len 0: none  */
    ngx_str_t                       class;       /* a hash               */
    ngx_str_t                       class_doc;   /* sealed               */
    ngx_uint_t                      frozen;      /* by the memory of ends */
} ngx_http_approval_new_t;

ngx_http_approval_op_t *ngx_http_approval_store_new(
    ngx_http_approval_store_t *store, const ngx_http_approval_new_t *action,
    ngx_http_approval_store_pt handler, void *data);


/* NGX_OK: everything but recent; NGX_DECLINED: unknown. */
ngx_http_approval_op_t *ngx_http_approval_store_load(
    ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_store_pt handler, void *data);


/* NGX_OK: recent, of the action's requester, with these hashes. */
ngx_http_approval_op_t *ngx_http_approval_store_recent(
    ngx_http_approval_store_t *store, u_char *id, ngx_str_t *hashes,
    ngx_http_approval_store_pt handler, void *data);


/*
 * Adds a vote (or a comment) to a pending action that has "seen" votes, and in
 * the same step settles it where decision.len != 0 (state: APPROVED or
 * DENIED).  A voter who stands in the list already is refused by the caller,
 * who has read it: "seen" makes that safe.
 *
 *   NGX_OK        recorded
 *   NGX_AGAIN     there are other votes than "seen": load, judge, vote again
 *   NGX_DECLINED  decided, expired, or unknown: state, decision
 */
ngx_http_approval_op_t *ngx_http_approval_store_vote(
    ngx_http_approval_store_t *store, u_char *id, ngx_uint_t seen,
    ngx_str_t *vote, ngx_http_approval_state_e state, ngx_str_t *decision,
    ngx_http_approval_store_pt handler, void *data);


/*
 * Ends an open action without votes: EXPIRED (only past its deadline by Redis'
 * clock: pending past expires, or approved past execute_within; NGX_AGAIN and
 * now/expires before it), CANCELLED or DENIED (from pending; DENIED is for a
 * bare "deny" that the gate honours), FAILED (from executing, past its lease).
 * Writes decision into the decision key, so that all holders wake.  NGX_OK: this
 * call has ended it, and puts that on record.
 */
ngx_http_approval_op_t *ngx_http_approval_store_settle(
    ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_state_e state, ngx_str_t *decision,
    ngx_http_approval_store_pt handler, void *data);


/*
 * Takes an approval: open -> executing, only while the decision key still holds
 * exactly "decision" (which the caller has verified) and the approval has not
 * lapsed.  NGX_OK: this caller, and nobody else, may forward the request.
 * The lease is renewed by the store until finish() for the same id is called
 * by this worker.  In the same step a grant is made, where it is not NULL.
 * NGX_ERROR, unreplicated: it was taken, but fewer replicas have that than the
 * configuration asks for: nobody may forward it, and the caller finishes it.
 * NGX_DECLINED, cause FROZEN: requester or policy (hashes) is.  GIVEN_UP: the
 * call (one hash, or empty) is.
 */

typedef struct {
    ngx_str_t                       hash;        /* its id               */
    ngx_msec_t                      time;
    ngx_uint_t                      uses;        /* 0: any number        */
    ngx_str_t                       doc;         /* sealed               */
} ngx_http_approval_grant_t;

ngx_http_approval_op_t *ngx_http_approval_store_consume(
    ngx_http_approval_store_t *store, u_char *id, ngx_str_t *decision,
    ngx_str_t *requester, const ngx_str_t *policy, ngx_str_t *call,
    const ngx_http_approval_grant_t *grant,
    ngx_http_approval_store_pt handler, void *data);


/*
 * Freezes what has these hashes (a requester, or a policy), until then in ms,
 * or for ever (0); the reply's state means nothing.  carry: what is frozen
 * under the hash of another key, or in another shard, is stored under the first
 * one's in all shards; NGX_DECLINED, it is there.  All shards are told: NGX_OK,
 * missed: those that did not answer.  thaw: doc says so in the freeze's place;
 * NGX_DECLINED, it was not frozen, nor known to be.
 * frozen: as grants (id the hash, expires, doc; state EXPIRED: it is no more).
 */

typedef enum {
    NGX_HTTP_APPROVAL_FREEZE_NEW = 0,
    NGX_HTTP_APPROVAL_FREEZE_CARRY
} ngx_http_approval_freeze_e;

ngx_http_approval_op_t *ngx_http_approval_store_freeze(
    ngx_http_approval_store_t *store, ngx_str_t *hashes,
    ngx_http_approval_freeze_e how, int64_t until, ngx_str_t *doc,
    ngx_http_approval_store_pt handler, void *data);
ngx_http_approval_op_t *ngx_http_approval_store_thaw(
    ngx_http_approval_store_t *store, ngx_str_t *hashes, ngx_str_t *doc,
    ngx_uint_t known, ngx_http_approval_store_pt handler, void *data);
ngx_http_approval_op_t *ngx_http_approval_store_frozen(
    ngx_http_approval_store_t *store, ngx_http_approval_store_pt handler,
    void *data);


/* Redis' clock by the last answer, in ms; 0: there was none yet. */
int64_t ngx_http_approval_store_now(ngx_http_approval_store_t *store);


/*
 * The grants in force: the handler is called for each (grant, id, expires,
 * doc, used; rc NGX_OK), and at last with NGX_DONE, or NGX_ERROR.
 */
ngx_http_approval_op_t *ngx_http_approval_store_grants(
    ngx_http_approval_store_t *store, ngx_http_approval_store_pt handler,
    void *data);

/*
 * A statement about a grant's end, sealed, for other gateways; of several the
 * one with the greatest since and use stands.
 */

typedef struct {
    ngx_str_t                       doc;
    int64_t                         since;       /* ms                   */
    uint32_t                        use;
    ngx_msec_t                      time;
} ngx_http_approval_statement_t;

ngx_http_approval_op_t *ngx_http_approval_store_end(
    ngx_http_approval_store_t *store, u_char *grant,
    const ngx_http_approval_statement_t *statement,
    ngx_http_approval_store_pt handler, void *data);

/* NGX_OK: it ended, id; NGX_DECLINED: there is none.  statement: or NULL. */
ngx_http_approval_op_t *ngx_http_approval_store_revoke(
    ngx_http_approval_store_t *store, u_char *grant,
    const ngx_http_approval_statement_t *statement,
    ngx_http_approval_store_pt handler, void *data);


/*
 * executing -> EXECUTED or FAILED, with the outcome (JSON).  Of an action that
 * this worker consumed the outcome is kept: where it cannot be recorded now
 * (NULL, NGX_ERROR) the store records it as soon as it is back.
 *
 * What failed is repeated to whoever asks for the same soon after (see
 * ngx_http_approval_new_t), and so is what others asked for meanwhile; what else
 * was executed only where "again" says so.
 */

typedef enum {
    NGX_HTTP_APPROVAL_AGAIN_ANEW = 0,
    NGX_HTTP_APPROVAL_AGAIN_REPEAT
} ngx_http_approval_again_e;

ngx_http_approval_op_t *ngx_http_approval_store_finish(
    ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_state_e state, ngx_str_t *outcome,
    ngx_http_approval_again_e again, ngx_http_approval_store_pt handler,
    void *data);


/*
 * One who waited for an open action left.  With a decision the action is
 * CANCELLED where it was the last one, no ticket is out, and it is still
 * pending: NGX_OK, state.  _ticket(): it has a ticket now, and comes back.
 */
ngx_http_approval_op_t *ngx_http_approval_store_leave(
    ngx_http_approval_store_t *store, u_char *id, ngx_str_t *decision,
    ngx_http_approval_store_pt handler, void *data);
ngx_http_approval_op_t *ngx_http_approval_store_ticket(
    ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_store_pt handler, void *data);


/*
 * The call of these hashes is given up: the watch of its hash is told so, it is
 * not consumed any more, and if it was not held yet, it will not be.
 */
ngx_http_approval_op_t *ngx_http_approval_store_give_up(
    ngx_http_approval_store_t *store, ngx_str_t *hashes,
    ngx_http_approval_store_pt handler, void *data);


/* Removes a decision that did not verify, if it still is this one. */
ngx_http_approval_op_t *ngx_http_approval_store_drop(
    ngx_http_approval_store_t *store, u_char *id, ngx_str_t *decision,
    ngx_http_approval_store_pt handler, void *data);


/*
 * What the lists are read from: places in an index, no action is looked at that
 * is not meant.  Either of one requester, in all states; or of these states and
 * classes.  A class is a rule as it was when it asked: by whom its actions can
 * be decided.  Open states have one place: who wants one of them picks it.
 */

#define NGX_HTTP_APPROVAL_STATES_OPEN                                         \
    (1 << NGX_HTTP_APPROVAL_PENDING | 1 << NGX_HTTP_APPROVAL_APPROVED         \
     | 1 << NGX_HTTP_APPROVAL_EXECUTING)

typedef struct {
    ngx_uint_t                      states;      /* bits; 0: all         */
    int64_t                         since;       /* ms, 0: all           */
    ngx_uint_t                      nclasses;
    u_char                        (*classes)[APPROVAL_ID_LEN];
    ngx_str_t                       requester;   /* hashes, len 0: any   */
    u_char                          shard[NGX_HTTP_APPROVAL_SHARD_LEN];
                                                 /* the requester's      */
} ngx_http_approval_filter_t;

/* The handler is called for each (id, doc; several shards may have the same),
 * and at last with NGX_DONE, or NGX_ERROR. */
ngx_http_approval_op_t *ngx_http_approval_store_classes(
    ngx_http_approval_store_t *store, ngx_http_approval_store_pt handler,
    void *data);

/*
 * A page of actions, newest first, that were created before "before" (ms, with
 * the id that breaks ties; 0: from the newest).  handler is called once for
 * each action (rc NGX_OK, all as in load) and at last with rc NGX_DONE, or
 * NGX_ERROR.
 */
ngx_http_approval_op_t *ngx_http_approval_store_list(
    ngx_http_approval_store_t *store,
    const ngx_http_approval_filter_t *filter, int64_t before,
    u_char *before_id, ngx_uint_t limit,
    ngx_http_approval_store_pt handler, void *data);

/* All that is open, of the shards that answer; NGX_ERROR: some did not. */
ngx_http_approval_op_t *ngx_http_approval_store_open(
    ngx_http_approval_store_t *store, ngx_http_approval_store_pt handler,
    void *data);


#endif /* NGX_HTTP_APPROVAL_STORE_H */
