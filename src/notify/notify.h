
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Notifies approvers: messages to the channels of a rule.
 */


#ifndef NGX_HTTP_APPROVAL_NOTIFY_H
#define NGX_HTTP_APPROVAL_NOTIFY_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/action.h"
#include "store/store.h"


/*
 * The action that a message is about.  The object needs to live only until
 * ngx_http_approval_notify() returns, which copies or references what it needs.
 */

typedef struct {
    ngx_http_approval_rule_t      *rule;
    json_t                        *doc;
    u_char                        *id;
    int64_t                        created;     /* ms */
    int64_t                        expires;     /* ms */
    ngx_uint_t                     recent;      /* by this requester, 10 min */
} ngx_http_approval_message_t;


/*
 * Starts the delivery to every channel of rule->notify.  The worker's sender
 * delivers to "url" channels, independently of r, including the rule's
 * escalations and reminders.  A "pass" channel gets a background subrequest of
 * r, which is being held, to its internal location; it is retried with jittered
 * backoff while r is held.  Each attempt is recorded when it ends: as
 * "notified", or as "notify_failed" with "final": false if there will be
 * another one.
 * NGX_ERROR: nothing could be started (no memory); it is logged.
 *
 * The function only posts the first subrequests: a caller outside a phase
 * handler (a timer, the store's reply) must run posted requests itself.
 * Later attempts are started and run by the deliveries' own events.
 *
 * Everything that a delivery by "pass" needs is in r->pool.  It ends with r, or
 * when r resumes and calls ngx_http_approval_notify_stop().
 */
ngx_int_t ngx_http_approval_notify(ngx_http_request_t *r,
    ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_message_t *message);

/*
 * Starts no further attempts for r.  Attempts under way are cut off after a
 * moment, so that a stalled receiver does not keep the client's connection
 * open.  May be called in any event of r, and repeatedly.
 */
void ngx_http_approval_notify_stop(ngx_http_request_t *r);

/*
 * Sends the outcome to the "url" channels that were notified of the action,
 * once for each state, however often it is called.  Does nothing if there are
 * no such channels.  facts are those of the record (approvers or by, comment,
 * why, outcome), or NULL; the caller keeps its reference.
 */
void ngx_http_approval_notify_outcome(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_http_approval_state_e state, json_t *facts);

/*
 * What Redis is asked to do to an action, which nobody may forget: its reply
 * decides what must be counted, sent and recorded, whoever still waits for it.
 * Owned by the worker, until the store has replied; at its exit the worker
 * records those without a reply.
 */

typedef struct {
    ngx_queue_t                      queue;
    ngx_http_approval_main_conf_t   *mcf;
    ngx_http_approval_rule_t        *rule;     /* NULL: facts name it          */
    json_t                          *facts;    /* of the record                */
    json_t                          *doc;      /* to be recorded as "requested"
                                                  if it stays open, or NULL    */
    const char                      *why;      /* it ends, or NULL             */
    ngx_http_approval_state_e        state;    /* in which it ends, if the store
                                                  agrees                       */
    u_char                           id[APPROVAL_ID_LEN];
    unsigned                         closes:1; /* it ends with its requester   */
    unsigned                         untold:1; /* nobody was notified          */
    unsigned                         unannounced:1;  /* announced() was not
                                                  called                        */
} ngx_http_approval_ending_t;

void ngx_http_approval_endings_start(ngx_http_approval_main_conf_t *mcf);
void ngx_http_approval_endings_stop(ngx_http_approval_main_conf_t *mcf);

/*
 * Takes the reference to facts.  NULL: no memory, also if facts is NULL.  The
 * other members are set by the caller.
 */
ngx_http_approval_ending_t *ngx_http_approval_ending(
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_rule_t *rule,
    u_char *id, ngx_http_approval_state_e state, json_t *facts);
void ngx_http_approval_ending_free(ngx_http_approval_ending_t *ending);

/*
 * Settles the action in the store, by the signed decision that its facts and
 * "by" make; now is by Redis' clock.  leave() tells the store that a connection
 * waits no more; the action ends only if it was the last one, and ending->closes
 * or untold is set.  Both take the ending over.  NULL: nothing is under way.
 */
ngx_http_approval_op_t *ngx_http_approval_ending_settle(
    ngx_http_approval_ending_t *ending, json_t *by, int64_t now,
    ngx_http_approval_store_pt handler, void *data);
void ngx_http_approval_ending_leave(ngx_http_approval_ending_t *ending);

/* Takes over both; op may be NULL, and is returned. */
ngx_http_approval_op_t *ngx_http_approval_ending_keep(
    ngx_http_approval_ending_t *ending, ngx_http_approval_op_t *op);

/*
 * Records an action that may still be open: another client may execute it.
 */
void ngx_http_approval_ending_open(ngx_http_approval_ending_t *ending);

/*
 * Call it once "requested" is on record and the approvers are notified, or there
 * is nobody to notify: counts the action, and tells the store.
 */
void ngx_http_approval_announced(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id);

/*
 * Call it after the action has changed its state: counts that, sends the
 * outcome as above, and records it, unless its votes did.  rule may be NULL:
 * then facts name it, perhaps by a name that no longer exists.  waited is the
 * time from the request to the decision in ms.  Takes the reference to facts,
 * which may be NULL (no memory).
 *
 * If this gateway has executed the action, and the store, which lost that, has
 * let it end in another way, a "fault" is recorded instead.
 */
void ngx_http_approval_ended(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id,
    ngx_http_approval_state_e state, int64_t waited, json_t *facts);

/*
 * Ends an action that is not held here.  reply is the store's reply with the
 * action.  Takes the reference to doc; why must be a literal.  NGX_ERROR:
 * nothing is under way.
 */
ngx_int_t ngx_http_approval_end(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_reply_t *reply, json_t *doc,
    ngx_http_approval_state_e state, const char *why);

/*
 * Whether the channel is notified of the action, at once or later, according to
 * the current configuration of its rule.
 */
ngx_uint_t ngx_http_approval_notify_told(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, ngx_http_approval_channel_t *channel);

/*
 * Whether r is one of our own subrequests, which the gate lets pass.  It is not
 * any more after an X-Accel-Redirect of the receiver.
 */
ngx_uint_t ngx_http_approval_notify_own(ngx_http_request_t *r);

/*
 * For the precontent guard, which checks every request, gated or not.  Returns
 * NGX_HTTP_NOT_FOUND if r is a delivery outside of an internal location, so
 * that a misspelled "pass" never reaches an application, or NGX_DECLINED.
 */
ngx_int_t ngx_http_approval_notify_guard(ngx_http_request_t *r);


#endif /* NGX_HTTP_APPROVAL_NOTIFY_H */
