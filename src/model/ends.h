
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The memory of ends: what this gateway has seen end, whatever Redis says
 * later.  Redis may lose an end in a failover or by an eviction, and anybody
 * who can write to it may restore old data.  Neither must undo an end.
 *
 *   ACTION   by its id: executed, denied or cancelled
 *   GRANT    by its hash: which uses were made, or that it was revoked
 *   FREEZE   by the hash of a requester or a policy: that it is frozen, or that
 *            the freeze was lifted
 *   PASSKEY  by its name: that it was revoked
 *
 * For all kinds except actions, the latest end counts, by "since".  An end is
 * remembered until it is no longer relevant, by Redis' clock.  All workers of a
 * gateway share the memory, and a reload keeps it.  After a restart, and to
 * other gateways, statements in Redis pass on the ends.  They are sealed or
 * signed: the end's own document, or the decision on an action.
 *
 * There is room for 131072 ends.  If it is full, cancellations are forgotten
 * first, because requesters can cause them.  If there are none, everything new
 * is refused until the end that found no room would have been forgotten.
 */


#ifndef NGX_HTTP_APPROVAL_ENDS_H
#define NGX_HTTP_APPROVAL_ENDS_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/action.h"
#include "model/policy.h"
#include "model/state.h"


typedef enum {
    NGX_HTTP_APPROVAL_END_ACTION = 'a',      /* as scripts name them */
    NGX_HTTP_APPROVAL_END_GRANT = 'g',
    NGX_HTTP_APPROVAL_END_FREEZE = 'f',
    NGX_HTTP_APPROVAL_END_PASSKEY = 'p'
} ngx_http_approval_end_e;


typedef struct {
    ngx_http_approval_end_e    kind;
    u_char                     id[APPROVAL_ID_LEN];
    int64_t                    until;        /* ms; 0: for ever              */
    int64_t                    since;        /* ms: the grant was made, the
                                                freeze began or was lifted,
                                                the passkey was revoked      */
    ngx_http_approval_state_e  state;        /* of an action                 */
    ngx_uint_t                 over;         /* the grant or passkey is
                                                revoked, the freeze lifted   */
    uint32_t                   use;          /* of a grant: the last use     */
    uint64_t                   uses;         /* bit n: use - n was made      */
} ngx_http_approval_end_t;


/* The zone has no name in nginx.conf. */
ngx_int_t ngx_http_approval_ends_zone(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf);


/*
 * now is the time by Redis' clock.  NGX_ERROR: the end is unknown or cannot be
 * remembered because there was no room; the caller must refuse.
 *
 * add():   adds an end.  NGX_OK: it is in the memory.  NGX_DECLINED: a later
 *          one is.
 * take():  takes an action, or one use of a grant, once.  NGX_DECLINED: it was
 *          taken before, or the grant is not in force.
 * find():  NGX_DECLINED: the end is not in the memory.
 * room():  take() can remember the end, unless another worker takes the last
 *          place first.  Ask it before the store is asked.
 */
ngx_int_t ngx_http_approval_end_add(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_end_t *end, int64_t now);
ngx_int_t ngx_http_approval_end_take(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_end_t *end, int64_t now);
ngx_int_t ngx_http_approval_end_find(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_end_t *end, int64_t now);
ngx_int_t ngx_http_approval_end_room(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_end_t *end, int64_t now);

/* NGX_OK: one of these hashes is frozen. */
ngx_int_t ngx_http_approval_end_frozen(ngx_http_approval_main_conf_t *mcf,
    const ngx_str_t *hashes, int64_t now);

/*
 * Whether this gateway has executed the action.  A statement in Redis that the
 * approval was used proves nothing: it is only a copy of the approval.
 */
ngx_uint_t ngx_http_approval_end_executed(ngx_http_approval_main_conf_t *mcf,
    u_char *id, int64_t now);

/* The name of an action's end, and what contradicts it, for the trail. */
const char *ngx_http_approval_end_name(ngx_http_approval_state_e state,
    const char **why);

/*
 * Until when an action that ends now could still be approved and used if its
 * end were lost; no vote is accepted after its deadline.  rule is NULL if the
 * rule no longer exists.
 */
int64_t ngx_http_approval_end_until(ngx_http_approval_rule_t *rule,
    int64_t now);

/* Adds a verified or stored decision, if it is DENIED or CANCELLED. */
void ngx_http_approval_end_decided(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id,
    ngx_http_approval_state_e state, int64_t now);


/* Makes the statement about a grant's or freeze's end, sealed for its place. */
ngx_int_t ngx_http_approval_end_seal(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_end_t *end, json_t *doc, approval_buf_t *out);

/*
 * Adds the statements in a script's reply: kind, id and statement of each.
 * Those that do not verify are ignored.
 */
void ngx_http_approval_ends_learn(ngx_http_approval_main_conf_t *mcf,
    const ngx_str_t *said, ngx_uint_t n, int64_t now);


#endif /* NGX_HTTP_APPROVAL_ENDS_H */
