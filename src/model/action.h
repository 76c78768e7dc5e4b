
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The action document describes one held request, for approvers and for the
 * trail.  It is a JSON object, canonical and sealed when stored.
 *
 * Members (those in brackets may be absent):
 *
 *   v 1, id, policy, policy_digest, rule, action, risk, summary,
 *   requester (identity as given), person (canonical), [on_behalf_of],
 *   [on_behalf_person], [reason], method, host, target (redacted, and without
 *   a query that the rule does not declare), query_hidden (bytes of that
 *   query), uri, remote_addr, [tls_client {subject, verify}] (its certificate),
 *   [traceparent] (W3C Trace Context), digest, body_bytes, body_hidden (the
 *   same), [content_type], [body_declared] (a part of the body is in summary,
 *   show or matched), show {name: value}, matched {subject: value} (all
 *   redacted), require [{count, groups:[name]}],
 *   deny_after, execute_within (s), timeout (s), [deadline] (RFC 3339, by
 *   Redis' clock: no vote counts from then on), notify [channel name],
 *   [unsigned_decisions true]: a bare decision counts,
 *   [vote "passkey"]: only votes that a passkey signed count,
 *   [comment_required "deny" or "always"]: votes without a comment are refused
 *
 * and, redacted, the parts that the rule does not declare.  They are for the
 * action's page, not for messages or the trail:
 *
 *   request {[target], [query_hidden 0], headers {name: value} (an allow-list),
 *   [body] (text), [body_hidden] (bytes of the text that were omitted)}
 *
 * The store, not the document, contains the state, votes and all other times.
 */


#ifndef NGX_HTTP_APPROVAL_ACTION_H
#define NGX_HTTP_APPROVAL_ACTION_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/json.h"
#include "model/policy.h"
#include "model/state.h"


/*
 * Claims of a vote, a JWS in the store (typ "approval-vote+jwt"):
 *   jti action id, dig digest, sub person, idn identity as authenticated,
 *   how "link" | "idp" | "slack", act "approve" | "deny" | "comment",
 *   grp the groups that let this person vote, separated by spaces,
 *   [cmt] comment, [psk {key, non, prf}] passkey, nonce and assertion,
 *   iat seconds, iatms milliseconds
 * Which "require" lines a vote counts for is judged from the present groups.
 */

#define NGX_HTTP_APPROVAL_VOTE_TYP      "approval-vote+jwt"

/*
 * Claims of a decision, which is also the receipt, in the decision key (typ
 * "approval-decision+jwt"): jti action id, dig digest, sta state name,
 * sub requester, by [identities that approved or denied], iat, exp (seconds),
 * pol policy, rul rule, act action type, [vot "passkey"].
 */

#define NGX_HTTP_APPROVAL_DECISION_TYP  "approval-decision+jwt"


ngx_str_t *ngx_http_approval_risk_name(ngx_uint_t risk);

json_t *ngx_http_approval_json_str(const ngx_str_t *s);   /* escapes invalid
                                                        UTF-8; NULL only if
                                                        out of memory */
/* The same for at most max bytes; appends the number of hidden bytes. */
json_t *ngx_http_approval_json_cut(ngx_str_t *s, size_t max);
/*
 * The key that signs an action's decisions: the one under which it was created,
 * because all gateways that wait for the action know it.  NULL: this gateway
 * does not have the key.
 */
approval_signer_t *ngx_http_approval_action_signer(
    ngx_http_approval_main_conf_t *mcf, json_t *doc);
json_t *ngx_http_approval_action_key(ngx_http_approval_main_conf_t *mcf);

int64_t ngx_http_approval_now(void);

/* A time in ms in the format of RFC 3339; JSON null if it is 0. */
json_t *ngx_http_approval_json_time(int64_t ms);

/*
 * json_cut() of the redacted text.  name: of the header or field, or NULL for
 * other texts.
 */
json_t *ngx_http_approval_json_shown(approval_redact_t *redact,
    ngx_str_t *name, ngx_str_t *s, size_t max);

/* A member's text; "" if it is absent or not a string. */
ngx_str_t ngx_http_approval_json_get(json_t *doc, const char *name);

/* The action's deadline from the sealed document, in ms; 0: none. */
int64_t ngx_http_approval_action_deadline(json_t *doc);

/*
 * Converts the document to its stored form and back.  _open() returns a new
 * reference, or NULL if the text is damaged or sealed by an unknown key.
 */
ngx_int_t ngx_http_approval_action_seal(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, approval_buf_t *out);
json_t *ngx_http_approval_action_open(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_str_t *sealed);

/*
 * The part of the document that a recipient gets, a new reference.  DECLARED,
 * for messages and the trail: identities, reason, times, digests, and values
 * that the rule matches and shows.  REQUEST, for pages: also the redacted
 * request, the member "request".
 */
json_t *ngx_http_approval_action_disclose(json_t *doc, ngx_uint_t what);

/*
 * Makes a signed decision for a terminal state or APPROVED.  "by" is an array
 * of identities, or NULL.  exp: until when the decision is valid, in seconds.
 */
ngx_int_t ngx_http_approval_decision_make(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, ngx_http_approval_state_e state, json_t *by, time_t now,
    time_t exp, approval_buf_t *out);

/*
 * Reads a bare "approve" or "deny" that a person has set manually, with or
 * without a trailing newline.  NGX_DECLINED: it is something else.  The caller
 * decides whether a bare decision counts.
 */
ngx_int_t ngx_http_approval_decision_bare(ngx_str_t *decision,
    ngx_http_approval_state_e *state);

/*
 * Verifies a decision for this action and digest.  NGX_DECLINED with *err: not
 * a decision, an invalid signature, for another action, or expired.  If claims
 * is not NULL, it is set to a new reference.
 */
ngx_int_t ngx_http_approval_decision_read(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_str_t *digest, ngx_str_t *decision, time_t now,
    ngx_http_approval_state_e *state, json_t **claims, const char **err);

#endif /* NGX_HTTP_APPROVAL_ACTION_H */
