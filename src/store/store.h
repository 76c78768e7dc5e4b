
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Actions in Redis.  Only this room knows the keys and the scripts.
 */


#ifndef NGX_HTTP_APPROVAL_STORE_H
#define NGX_HTTP_APPROVAL_STORE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/keys.h"
#include "event/redis/redis.h"
#include "model/state.h"


#define NGX_HTTP_APPROVAL_SHARD_LEN   2      /* hex: the first of an id     */
#define NGX_HTTP_APPROVAL_SHARDS_MAX  256
#define NGX_HTTP_APPROVAL_REPLICAS_MAX  16


struct ngx_http_approval_store_conf_s {
    ngx_http_approval_redis_conf_t  redis;
    ngx_str_t                       prefix;      /* "approval:"          */
    ngx_msec_t                      retention;   /* of decided actions   */
    ngx_uint_t                      shards;
    ngx_uint_t                      replicas;    /* that must acknowledge the
                                                    use of an approval    */
};

typedef struct ngx_http_approval_store_conf_s  ngx_http_approval_store_conf_t;


typedef struct ngx_http_approval_store_s  ngx_http_approval_store_t;
typedef struct ngx_http_approval_op_s     ngx_http_approval_op_t;


/*
 * The result of an operation.  Its strings are valid only during the handler's
 * call.
 *
 *   NGX_OK        done; state is set, and so are the fields that the comment of
 *                 the operation lists
 *   NGX_DECLINED  not done: the action is unknown or in another state, which is
 *                 set.  EXPIRED without a decision: the action is overdue and
 *                 has not been settled yet
 *   NGX_AGAIN     not done: try again as the operation's comment says
 *   NGX_BUSY      a limit is reached (create: caps)
 *   NGX_ERROR     the store is unavailable or replied with an error, or its
 *                 data is invalid; logged
 */

typedef struct {
    ngx_int_t                       rc;
    ngx_uint_t                      answered;    /* Redis replied        */
    ngx_http_approval_state_e       state;
    ngx_http_approval_cause_e       cause;       /* why it was refused   */
    u_char                          id[APPROVAL_ID_LEN];
    int64_t                         now;         /* Redis' clock, ms     */
    int64_t                         created;     /* ms                   */
    int64_t                         expires;     /* ms                   */
    int64_t                         decided;     /* ms, 0: not yet       */
    ngx_str_t                       doc;         /* sealed               */
    ngx_str_t                       decision;    /* len 0: none          */
    ngx_str_t                       outcome;     /* JSON, len 0: none    */
    ngx_str_t                       missed;      /* freeze, thaw: shards that
                                                    did not reply, separated
                                                    by spaces            */
    ngx_str_t                       per;         /* its counter's hash   */
    ngx_str_t                       others;      /* for the store only   */
    ngx_str_t                       grant;       /* its id, len 0: none  */
    ngx_uint_t                      used;        /* uses of the grant    */
    ngx_uint_t                      cap;         /* create: which is
                                                    reached              */
    ngx_str_t                      *votes;       /* JWS each             */
    ngx_uint_t                      nvotes;
    ngx_str_t                      *ends;        /* kind, id and statement of
                                                    each: model/ends.h   */
    ngx_uint_t                      nends;
    ngx_uint_t                      recent;      /* requests by the
                                                    requester, 10 min    */
    ngx_uint_t                      told;        /* messages sent        */
    ngx_uint_t                      untold;      /* messages given up    */
    unsigned                        joined:1;    /* create: it existed   */
    unsigned                        unannounced:1;  /* ... and may not be on
                                                    record: see announce()  */
    unsigned                        absent:1;    /* nobody waits for it  */
    unsigned                        unreplicated:1;  /* consume, create with
                                                    a grant: it was used, but
                                                    a failover may undo that */
} ngx_http_approval_reply_t;

typedef void (*ngx_http_approval_store_pt)(void *data,
    const ngx_http_approval_reply_t *reply);


/*
 * Owned by the worker.  overdue() gets each action that is past its deadline
 * and was not settled because its holder is gone; the callee settles it.
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

/* Pending operations end without a call of their handlers. */
void ngx_http_approval_store_destroy(ngx_http_approval_store_t *store);

ngx_uint_t ngx_http_approval_store_ready(ngx_http_approval_store_t *store);

/* Redis cannot be reached: not only out of memory, or of room for output. */
ngx_uint_t ngx_http_approval_store_down(ngx_http_approval_store_t *store);

/* Connected, and Redis accepts writes; for the metrics. */
ngx_uint_t ngx_http_approval_store_usable(ngx_http_approval_store_t *store);

ngx_http_approval_redis_t *ngx_http_approval_store_redis(
    ngx_http_approval_store_t *store);

/* The number of error, missing and invalid replies so far; for the metrics. */
ngx_uint_t ngx_http_approval_store_errors(ngx_http_approval_store_t *store);


/*
 * Every operation is asynchronous.  It returns a handle, or NULL if the store
 * is known to be down; the handler is not called in this case.  Otherwise the
 * handler is called once, within the link's timeout.  It may be NULL.
 *
 * If the caller goes away first, it must call forget(): the operation continues
 * and the handler is not called.  The handle is valid until the handler is
 * called or forget() returns.
 */
void ngx_http_approval_store_forget(ngx_http_approval_op_t *op);

/*
 * The keeper gets the last reply before the handler does, also if the operation
 * was forgotten.  It is not called if the store is destroyed first.
 */
void ngx_http_approval_store_keep(ngx_http_approval_op_t *op,
    ngx_http_approval_store_pt keeper, void *data);


/*
 * The shard of a value.  Everything about a requester is in the requester's
 * shard, and the ids of its actions begin with the shard's name.  Counters of
 * another value are in the shard of that value; _place() writes the shard to
 * the beginning of each of their hashes.
 */
ngx_int_t ngx_http_approval_store_shard(ngx_http_approval_store_t *store,
    const ngx_str_t *value, u_char shard[NGX_HTTP_APPROVAL_SHARD_LEN]);
void ngx_http_approval_store_place(ngx_str_t *hashes,
    u_char shard[NGX_HTTP_APPROVAL_SHARD_LEN]);


/*
 * Creates a pending action, or joins the open one (pending or approved) under
 * the same join hash.
 *
 *   NGX_OK        id, state, created, expires, recent, joined, unannounced.
 *                 If grant.len is not 0, the grant was used once and no action
 *                 was created: id is the action whose approval created the
 *                 grant, and doc is the grant's document
 *   NGX_BUSY      "cap" is reached; that of prompts until "expires"
 *   NGX_DECLINED  by cause:
 *     AGAIN       the action "id" ended as "state" or is executing; no other is
 *                 created under its join hash until "expires"
 *     FROZEN      the requester or the policy is frozen
 *     UNFROZEN    neither is frozen, but "frozen" says that the gateway has
 *                 seen a freeze; ends contains what Redis stores about it
 *     GIVEN_UP    the call was given up before it arrived
 *     ENDED       the ticket is an action under this join hash, but not open
 *
 * Redis never sees names or values, only hashes: MACs in hex, separated by
 * spaces.  The first is by the gateway's first key and is used for storing.
 * The others are by the other keys; older data may be stored under them.
 */

typedef enum {
    NGX_HTTP_APPROVAL_CAP_PENDING = 0,           /* open actions          */
    NGX_HTTP_APPROVAL_CAP_PROMPTS,               /* recent actions        */
    NGX_HTTP_APPROVAL_CAPS
} ngx_http_approval_cap_e;

typedef struct {
    ngx_str_t                       per;         /* hashes, len 0: no cap */
    ngx_uint_t                      max;
    ngx_msec_t                      time;        /* how long one counts  */
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
    ngx_uint_t                      frozen;      /* the memory of ends has
                                                    a freeze             */
} ngx_http_approval_new_t;

ngx_http_approval_op_t *ngx_http_approval_store_new(
    ngx_http_approval_store_t *store, const ngx_http_approval_new_t *action,
    ngx_http_approval_store_pt handler, void *data);


/*
 * An action is announced when its request is on record and its approvers are
 * notified.  The worker that created it does this and then calls announced().
 * It may be killed before, so a worker that joins an action that is not
 * announced calls announce():
 *
 *   NGX_OK        doc.len is 0: it is announced, or has ended.  Otherwise the
 *                 caller must announce it, from doc, and then call announced()
 *   NGX_AGAIN     another worker is about to announce it: call again later
 *   NGX_DECLINED  the action is unknown
 *
 * If a worker is very slow, or is killed just before announced(), two workers
 * announce the same action, with the same record.
 */
ngx_http_approval_op_t *ngx_http_approval_store_announce(
    ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_store_pt handler, void *data);
void ngx_http_approval_store_announced(ngx_http_approval_store_t *store,
    u_char *id);


/* NGX_OK: all fields except recent.  NGX_DECLINED: the action is unknown. */
ngx_http_approval_op_t *ngx_http_approval_store_load(
    ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_store_pt handler, void *data);


/* NGX_OK: recent.  hashes: those of the action's requester. */
ngx_http_approval_op_t *ngx_http_approval_store_recent(
    ngx_http_approval_store_t *store, u_char *id, ngx_str_t *hashes,
    ngx_http_approval_store_pt handler, void *data);


/*
 * Adds a vote (or a comment) to a pending action that has "seen" votes.  If
 * decision.len is not 0, it also settles the action in the same step (state:
 * APPROVED or DENIED).  The caller has read the list and refuses second votes
 * of the same person; "seen" guarantees that the list has not changed since.
 *
 *   NGX_OK        stored
 *   NGX_AGAIN     the number of votes is not "seen": load, judge, vote again
 *   NGX_DECLINED  decided, expired, or unknown: state, decision
 */
ngx_http_approval_op_t *ngx_http_approval_store_vote(
    ngx_http_approval_store_t *store, u_char *id, ngx_uint_t seen,
    ngx_str_t *vote, ngx_http_approval_state_e state, ngx_str_t *decision,
    ngx_http_approval_store_pt handler, void *data);


/*
 * Ends an open action without votes:
 *
 *   EXPIRED    from pending after expires, or from approved after
 *              execute_within, by Redis' clock; before that NGX_AGAIN with now
 *              and expires
 *   CANCELLED  from pending
 *   DENIED     from pending, for a bare "deny" that the gate accepts
 *   FAILED     from executing, after its lease
 *
 * Writes decision into the decision key, which wakes all holders.  NGX_OK: this
 * call ended the action, and its caller must write the record.
 */
ngx_http_approval_op_t *ngx_http_approval_store_settle(
    ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_state_e state, ngx_str_t *decision,
    ngx_http_approval_store_pt handler, void *data);


/*
 * Takes an approval: open -> executing.  It succeeds only while the decision
 * key still contains exactly "decision", which the caller has verified, and
 * before the approval has lapsed.  If grant is not NULL, it is created in the
 * same step.
 *
 *   NGX_OK        only this caller may forward the request.  The store renews
 *                 the lease until this worker calls finish() for the same id
 *   NGX_ERROR     with "unreplicated": the approval was taken, but fewer
 *                 replicas than configured acknowledged it.  Nobody may forward
 *                 the request, and the caller must call finish()
 *   NGX_DECLINED  cause FROZEN: the requester or the policy (hashes) is frozen;
 *                 GIVEN_UP: the call (one hash, or empty) was given up
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
 * freeze: freezes the requester or the policy with these hashes in all shards,
 * until "until" (ms), or for ever (0).  NGX_OK: missed lists the shards that
 * did not reply; the reply's state has no meaning.  With CARRY it copies a
 * freeze that is stored under another key's hash, or in another shard only, to
 * the first key's hash in all shards; NGX_DECLINED: it is there already.
 *
 * thaw: lifts a freeze; doc, which states that, replaces the freeze.
 * NGX_DECLINED: it was not frozen and "known" is 0.
 *
 * frozen: lists freezes as grants() lists grants: id (the hash), expires, doc;
 * state EXPIRED: the freeze was lifted.
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


/* Redis' clock in ms, as known from its replies; 0: not known yet. */
int64_t ngx_http_approval_store_now(ngx_http_approval_store_t *store);


/*
 * Lists the grants in force.  The handler is called for each grant (rc NGX_OK;
 * grant, id, expires, doc, used), and finally with rc NGX_DONE or NGX_ERROR.
 */
ngx_http_approval_op_t *ngx_http_approval_store_grants(
    ngx_http_approval_store_t *store, ngx_http_approval_store_pt handler,
    void *data);

/*
 * A sealed statement about a grant's uses or end, for other gateways.  If there
 * are several, Redis keeps the one with the greatest since and use.
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

/*
 * NGX_OK: the grant ended; id.  NGX_DECLINED: there is no such grant.
 * statement may be NULL.
 */
ngx_http_approval_op_t *ngx_http_approval_store_revoke(
    ngx_http_approval_store_t *store, u_char *grant,
    const ngx_http_approval_statement_t *statement,
    ngx_http_approval_store_pt handler, void *data);


/*
 * executing -> EXECUTED or FAILED, with the outcome (JSON).  If this worker
 * consumed the action and the outcome cannot be stored now (NULL, NGX_ERROR),
 * the store keeps it and stores it as soon as Redis is back.
 *
 * Identical requests that follow soon (see "repeat" in ngx_http_approval_new_t)
 * get the same end if the action failed, if others requested the same while it
 * was executed, or if "again" is REPEAT.
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
 * leave: a connection no longer waits for an open action.  With a decision the
 * action is CANCELLED if this was the last connection, no ticket was issued and
 * the action is still pending: NGX_OK, state.
 *
 * ticket: the connection got a ticket instead, and its requester may return.
 */
ngx_http_approval_op_t *ngx_http_approval_store_leave(
    ngx_http_approval_store_t *store, u_char *id, ngx_str_t *decision,
    ngx_http_approval_store_pt handler, void *data);
ngx_http_approval_op_t *ngx_http_approval_store_ticket(
    ngx_http_approval_store_t *store, u_char *id,
    ngx_http_approval_store_pt handler, void *data);


/*
 * Gives up the call with these hashes: the watch of its hash is called, the
 * call is never consumed, and if it is not held yet, it will not be.
 */
ngx_http_approval_op_t *ngx_http_approval_store_give_up(
    ngx_http_approval_store_t *store, ngx_str_t *hashes,
    ngx_http_approval_store_pt handler, void *data);


/* Removes a decision that did not verify, if it has not changed since. */
ngx_http_approval_op_t *ngx_http_approval_store_drop(
    ngx_http_approval_store_t *store, u_char *id, ngx_str_t *decision,
    ngx_http_approval_store_pt handler, void *data);


/*
 * Selects actions by their places in an index, so no other action is read:
 * either those of one requester, in all states, or those of these states and
 * classes.  A class is a rule with the approvers that it had when it created
 * its actions.  All open states share one place: a caller that wants only one
 * of them filters the result.
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

/*
 * The handler is called for each class (id, doc), more than once if several
 * shards have it, and finally with rc NGX_DONE or NGX_ERROR.
 */
ngx_http_approval_op_t *ngx_http_approval_store_classes(
    ngx_http_approval_store_t *store, ngx_http_approval_store_pt handler,
    void *data);

/*
 * A page of actions, newest first, that were created before "before" (ms; 0:
 * from the newest); before_id breaks ties.  The handler is called once for each
 * action (rc NGX_OK, all fields as in load), and finally with rc NGX_DONE or
 * NGX_ERROR.
 */
ngx_http_approval_op_t *ngx_http_approval_store_list(
    ngx_http_approval_store_t *store,
    const ngx_http_approval_filter_t *filter, int64_t before,
    u_char *before_id, ngx_uint_t limit,
    ngx_http_approval_store_pt handler, void *data);

/* All open actions of the shards that reply.  NGX_ERROR: some did not. */
ngx_http_approval_op_t *ngx_http_approval_store_open(
    ngx_http_approval_store_t *store, ngx_http_approval_store_pt handler,
    void *data);


#endif /* NGX_HTTP_APPROVAL_STORE_H */
