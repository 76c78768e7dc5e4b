
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The action document: what one intercepted request is, for approvers and for
 * the trail.  A JSON object, canonical and sealed when stored, that all rooms
 * build and read through the names below.
 *
 * Members (those in brackets may be absent):
 *
 *   v 1, id, policy, policy_digest, rule, action, risk, summary,
 *   requester (identity as given), person (canonical), [on_behalf_of],
 *   [on_behalf_person], [reason], method, host, target (redacted, and without
 *   a query that the rule does not declare), query_hidden (its bytes), uri,
 *   remote_addr, [tls_client {subject, verify}] (the client's certificate),
 *   [traceparent] (W3C Trace Context), digest, body_bytes, body_hidden (the
 *   same), [content_type], [body_declared] (something of it is in summary, show
 *   or matched), show {name: value}, matched {subject: value} (all redacted),
 *   require [{count, groups:[name]}],
 *   deny_after, execute_within (s), timeout (s), [deadline] (RFC 3339, of
 *   Redis' clock: no vote counts from then on), notify [channel name],
 *   [unsigned_decisions true]: a bare decision counts,
 *   [vote "passkey"]: only votes that a passkey signed count,
 *   [comment_required "deny" or "always"]: votes without a comment are refused
 *
 * and, redacted, what the rule does not declare, which is for the action's page
 * and neither for messages nor for the trail:
 *
 *   request {[target], [query_hidden 0], headers {name: value} (an allow-list),
 *   [body] (text), [body_hidden] (bytes of the text that were left out)}
 *
 * State, votes and all other times are not in it: they are the store's.
 */


#ifndef NGX_HTTP_APPROVAL_ACTION_H
#define NGX_HTTP_APPROVAL_ACTION_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/json.h"
#include "model/policy.h"
#include "model/state.h"


/*
 * One verified vote, as the JWS in the store says (typ "approval-vote+jwt"):
 *   jti action id, dig digest, sub person, idn identity as authenticated,
 *   how "link" | "idp" | "slack", act "approve" | "deny" | "comment",
 *   grp the groups that let this person vote, by spaces, [cmt] comment,
 *   [psk {key, non, prf}] by which passkey, with which nonce, and the assertion,
 *   iat seconds, iatms milliseconds
 * Lines it counts for are judged anew, from the present groups.
 */

#define NGX_HTTP_APPROVAL_VOTE_TYP      "approval-vote+jwt"

/*
 * A decision, and receipt, in the decision key (typ
 * "approval-decision+jwt"): jti action id, dig digest, sta state name,
 * sub requester, by [identities that approved or denied], iat, exp (seconds),
 * pol policy, rul rule, act action type, [vot "passkey"].
 */

#define NGX_HTTP_APPROVAL_DECISION_TYP  "approval-decision+jwt"


ngx_str_t *ngx_http_approval_risk_name(ngx_uint_t risk);

json_t *ngx_http_approval_json_str(const ngx_str_t *s);   /* invalid UTF-8: made
                                                        visible, never NULL
                                                        but for memory */
/* The same, of at most max bytes and how many more there are. */
json_t *ngx_http_approval_json_cut(ngx_str_t *s, size_t max);
/*
 * The key that signs what is said of an action: the one that it was made
 * under, which all know who wait for it; NULL: this gateway has it not.
 */
approval_signer_t *ngx_http_approval_action_signer(
    ngx_http_approval_main_conf_t *mcf, json_t *doc);
json_t *ngx_http_approval_action_key(ngx_http_approval_main_conf_t *mcf);

/* A time in ms, as RFC 3339 has it; null where it is 0. */
json_t *ngx_http_approval_json_time(int64_t ms);

/* Without its secrets, too; of a header or field with its name, or NULL. */
json_t *ngx_http_approval_json_shown(approval_redact_t *redact,
    ngx_str_t *name, ngx_str_t *s, size_t max);

/* A member's text; "" where it is absent or no string. */
ngx_str_t ngx_http_approval_json_get(json_t *doc, const char *name);

/* Its deadline, as it was sealed, in ms; 0: it has none. */
int64_t ngx_http_approval_action_deadline(json_t *doc);

/* The stored form, and back (new reference, or NULL: foreign or damaged). */
ngx_int_t ngx_http_approval_action_seal(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, approval_buf_t *out);
json_t *ngx_http_approval_action_open(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_str_t *sealed);

/*
 * What of the document goes where, a new reference.  DECLARED: who, why, when,
 * digests and the values that the rule matches and shows: messages and the
 * trail.  REQUEST: the redacted request, too, its member "request": pages.
 */
json_t *ngx_http_approval_action_disclose(json_t *doc, ngx_uint_t what);

/*
 * A decision for an action's terminal state (or APPROVED), signed.  "by" is an
 * array of identities, or NULL.  exp is the state's end of use, in seconds.
 */
ngx_int_t ngx_http_approval_decision_make(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, ngx_http_approval_state_e state, json_t *by, time_t now,
    time_t exp, approval_buf_t *out);

/*
 * A bare "approve" or "deny", as people set it by hand, a line end after it
 * perhaps; NGX_DECLINED: something else.  Whether it counts is the caller's.
 */
ngx_int_t ngx_http_approval_decision_bare(ngx_str_t *decision,
    ngx_http_approval_state_e *state);

/*
 * Verifies a decision for this action and digest; NGX_DECLINED with *err:
 * not a decision, foreign signature, another action's, or past its end.
 * claims is a new reference where not NULL.
 */
ngx_int_t ngx_http_approval_decision_read(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_str_t *digest, ngx_str_t *decision, time_t now,
    ngx_http_approval_state_e *state, json_t **claims, const char **err);

#endif /* NGX_HTTP_APPROVAL_ACTION_H */
