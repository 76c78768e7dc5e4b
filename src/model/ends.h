
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The memory of ends: what this gateway has seen end, whatever Redis says
 * later.  Redis may forget by a failover or an eviction, and who can write to
 * it may put back what was there before; neither brings an end back to life.
 *
 *   ACTION   by its id: executed, denied or cancelled
 *   GRANT    by its hash: which uses were made, or that it was revoked
 *   FREEZE   by the hash of a requester or a policy: that it is frozen, or that
 *            this was lifted
 *   PASSKEY  by its name: that what was enrolled before was revoked
 *
 * Of all but an action the latest counts, by "since".  An end is remembered
 * until it could not matter any more, by Redis' clock: all workers of a gateway
 * share it, a reload keeps it.  Over a restart, and to other gateways, ends are
 * carried by statements in Redis that are sealed or signed: the end's own
 * document, or the decision on an action.
 *
 * There is room for 131072.  When it is full, cancellations,
 * which requesters cause, are forgotten first.  If there are none, whatever is
 * new is refused until the end that found no room would have been forgotten.
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
    uint32_t                   use;          /* of a grant: the last, and    */
    uint64_t                   uses;         /* bit n: use - n was made      */
} ngx_http_approval_end_t;


/* The zone has no name in nginx.conf. */
ngx_int_t ngx_http_approval_ends_zone(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf);


/*
 * All: now is Redis' clock.  NGX_ERROR: it cannot be told or remembered, as
 * there was no room; the caller refuses.
 *
 * add():   NGX_OK: it is known by now; NGX_DECLINED: a later one is.
 * take():  an action, or the use of a grant, that nobody may take again:
 *          NGX_DECLINED: it was taken before, or the grant is not in force.
 * find():  NGX_DECLINED: it is not known.
 */
ngx_int_t ngx_http_approval_end_add(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_end_t *end, int64_t now);
ngx_int_t ngx_http_approval_end_take(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_end_t *end, int64_t now);
ngx_int_t ngx_http_approval_end_find(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_end_t *end, int64_t now);

/* One of these hashes is frozen: NGX_OK. */
ngx_int_t ngx_http_approval_end_frozen(ngx_http_approval_main_conf_t *mcf,
    const ngx_str_t *hashes, int64_t now);

/* Of an action that ended so, for the trail. */
const char *ngx_http_approval_end_name(ngx_http_approval_state_e state);

/*
 * What ends now could not be approved and used after this: no vote is taken
 * past the deadline.  rule: NULL, there is none any more.
 */
int64_t ngx_http_approval_end_until(ngx_http_approval_rule_t *rule,
    int64_t now);

/* A decision that was verified, or made and stored: DENIED or CANCELLED. */
void ngx_http_approval_end_decided(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id,
    ngx_http_approval_state_e state, int64_t now);


/* The statement of a grant's or freeze's end, sealed for its place. */
ngx_int_t ngx_http_approval_end_seal(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_end_t *end, json_t *doc, approval_buf_t *out);

/* Adds what stands in Redis: kind, id and statement of each, as they came with
 * a script's answer.  What does not verify is ignored. */
void ngx_http_approval_ends_learn(ngx_http_approval_main_conf_t *mcf,
    const ngx_str_t *said, ngx_uint_t n, int64_t now);


#endif /* NGX_HTTP_APPROVAL_ENDS_H */
