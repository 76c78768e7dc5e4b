
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * POST /actions/ID/decision: reads a decision, judges it, and stores it.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_DECISION_H
#define NGX_HTTP_APPROVAL_DESK_DECISION_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/votes.h"


/*
 * d->work: what was posted, and its result.  The vote is signed only once,
 * even if the store requires that it is judged again.
 */

typedef struct {
    ngx_str_t                   act;       /* approve, deny, comment  */
    ngx_str_t                   comment;
    ngx_str_t                   code;
    ngx_str_t                   nonce;     /* a page's                */
    ngx_str_t                   challenge; /* a page's, for a passkey */
    ngx_str_t                   assertion; /* the passkey's           */

    ngx_str_t                   groups;    /* that let one vote       */
    ngx_str_t                   vote;      /* JWS                     */
    ngx_str_t                   decision;  /* JWS, len 0: undecided   */
    ngx_http_approval_state_e   state;     /* PENDING: undecided      */
    json_t                     *by;        /* who decided             */
    json_t                     *psk;       /* the passkey that signed */
    ngx_http_approval_rule_t   *rule;      /* to count it; or NULL    */
    ngx_uint_t                  tries;
    ngx_uint_t                  drops;     /* foreign decisions       */
    ngx_uint_t                  seen;      /* votes when it was judged */
    unsigned                    glass:1;   /* break_glass is requested */
    unsigned                    audited:1; /* "voted" is in the trail */
    unsigned                    settled:1; /* the store says: too late */
    unsigned                    several:1; /* one of several: several.c */
    unsigned                    unseen:1;  /* the message had no such
                                              button */
} ngx_http_approval_decision_t;


/* decision.c: for the content handler; answers when the body was read. */
ngx_int_t ngx_http_approval_decision_read_body(ngx_http_approval_desk_t *d);

/* Judges the posted decision on the action that load() read. */
ngx_int_t ngx_http_approval_decision_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);

/* Answers 200 with the action. */
ngx_int_t ngx_http_approval_decision_reply(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes);


/* decision_body.c: can this type be read?  Sets how to answer. */
ngx_int_t ngx_http_approval_decision_type(ngx_http_approval_desk_t *d);

/* Parses a form or JSON; other than NGX_OK: answered. */
ngx_int_t ngx_http_approval_decision_parse(ngx_http_approval_desk_t *d,
    ngx_http_approval_decision_t *dec, ngx_str_t *body, ngx_int_t *rc);

/* Returns what is wrong with the parsed decision, or NULL. */
const char *ngx_http_approval_decision_check(
    ngx_http_approval_decision_t *dec);

/* Replaces CR LF, which browsers send at the ends of lines, by LF. */
void ngx_http_approval_decision_lines(ngx_str_t *s);


/* vote.c: signs, records and stores the vote, and the decision it completes. */
ngx_int_t ngx_http_approval_vote_cast(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes);

/* Records "refused" in the trail, with the reason. */
void ngx_http_approval_vote_refused(ngx_http_approval_desk_t *d,
    const char *why);


#endif /* NGX_HTTP_APPROVAL_DESK_DECISION_H */
