
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Telling approvers: messages to the channels of a rule.
 */


#ifndef NGX_HTTP_APPROVAL_NOTIFY_H
#define NGX_HTTP_APPROVAL_NOTIFY_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/action.h"
#include "store/store.h"


/*
 * What a message is about.  The action's document and times; the object lives
 * until ngx_http_approval_notify() returns, which keeps what it needs.
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
 * Starts the delivery to every channel of rule->notify.  To a channel with
 * "url" by the worker's sender, whatever becomes of r, and with the rule's
 * escalations and reminders; to one with "pass" through a background
 * subrequest of r (which is being held) to the channel's internal location,
 * retried with jittered backoff while r is held.  Each attempt's end
 * is audited: "notified", or "notify_failed" with "final": false while there
 * will be another one.
 * NGX_ERROR: nothing could be started (no memory); it is logged.
 *
 * It only posts the first subrequests: a caller that is no phase handler (a
 * timer, the store's answer) runs ngx_http_run_posted_requests() itself.
 * Later attempts are started, and run, by the deliveries' own events.
 *
 * Everything a delivery by "pass" needs is in r->pool; it ends with r, or by
 * ngx_http_approval_notify_stop() when r resumes.
 */
ngx_int_t ngx_http_approval_notify(ngx_http_request_t *r,
    ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_message_t *message);

/*
 * No further attempts for r.  What is under way is cut off in a moment, so
 * that a receiver that stalls does not keep the client's connection.  It may
 * be called in any event of r, and again.
 */
void ngx_http_approval_notify_stop(ngx_http_request_t *r);

/*
 * Tells those channels with "url" that were told of the action what became of
 * it.  facts, as audited (approvers or by, comment, why, outcome), or NULL,
 * remain the caller's.  Once for each state, whoever calls it; without such
 * channels it does nothing.
 */
void ngx_http_approval_notify_outcome(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_http_approval_state_e state, json_t *facts);

/*
 * An action has ended, by whoever calls this: it is counted, told as above, and
 * on record.  rule may be NULL: facts name it, perhaps by a name that it has no
 * more.  waited is the time from the request to a denial in ms.  The reference
 * to facts, which may be NULL (no memory), is taken.
 */
void ngx_http_approval_ended(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id,
    ngx_http_approval_state_e state, int64_t waited, json_t *facts);

/*
 * Ends an action that is not held here: settles it and, when the store has done
 * so, does the above.  It outlives whoever calls it.  reply is how the action
 * was found; the reference to doc is taken; why is a literal.  NGX_ERROR:
 * nothing is under way.
 */
ngx_int_t ngx_http_approval_end(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_reply_t *reply, json_t *doc,
    ngx_http_approval_state_e state, const char *why);

/*
 * Are people told of the action through that channel, at once or, as its rule
 * says now, later?
 */
ngx_uint_t ngx_http_approval_notify_told(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, ngx_http_approval_channel_t *channel);

/*
 * Is r one of our own subrequests?  The gate lets those pass.  It no longer is
 * where an X-Accel-Redirect of the receiver leads it.
 */
ngx_uint_t ngx_http_approval_notify_own(ngx_http_request_t *r);

/*
 * For the precontent guard, of every request, gated or not: NGX_DECLINED, or
 * NGX_HTTP_NOT_FOUND where r is a delivery that is not (or no more) in an
 * internal location: what "pass" misspells must not reach an application.
 */
ngx_int_t ngx_http_approval_notify_guard(ngx_http_request_t *r);


#endif /* NGX_HTTP_APPROVAL_NOTIFY_H */
