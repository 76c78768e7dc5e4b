
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * POST /actions/ID/decision: reads it, judges it, and gives it to the store.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_DECISION_H
#define NGX_HTTP_APPROVAL_DESK_DECISION_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/votes.h"


/*
 * What was posted, and what becomes of it: d->work.  The vote is signed once,
 * however often the store says that it is to be judged again.
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
    ngx_uint_t                  seen;      /* votes, when it was judged */
    unsigned                    glass:1;   /* break_glass is asked for */
    unsigned                    audited:1; /* "voted" is in the trail */
    unsigned                    settled:1; /* the store says: too late */
    unsigned                    several:1; /* one of several: several.c */
    unsigned                    unseen:1;  /* where it was cast there was no
                                              such button */
} ngx_http_approval_decision_t;


/* decision.c: for the content handler; answers when the body is there. */
ngx_int_t ngx_http_approval_decision_read_body(ngx_http_approval_desk_t *d);

/* Judges what load() gave. */
ngx_int_t ngx_http_approval_decision_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);

/* 200, with the action. */
ngx_int_t ngx_http_approval_decision_reply(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes);


/* decision_body.c: of a type that is read?  Sets how answers look. */
ngx_int_t ngx_http_approval_decision_type(ngx_http_approval_desk_t *d);

/* From a form or JSON; other than NGX_OK: answered. */
ngx_int_t ngx_http_approval_decision_parse(ngx_http_approval_desk_t *d,
    ngx_http_approval_decision_t *dec, ngx_str_t *body, ngx_int_t *rc);

/* What is wrong with a decision that was read; NULL: nothing. */
const char *ngx_http_approval_decision_check(
    ngx_http_approval_decision_t *dec);

/* Browsers send the lines of a text with CR LF. */
void ngx_http_approval_decision_lines(ngx_str_t *s);


/* vote.c: signs, records and stores it, with the decision it makes. */
ngx_int_t ngx_http_approval_vote_cast(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes);

/* For the trail: "refused", why. */
void ngx_http_approval_vote_refused(ngx_http_approval_desk_t *d,
    const char *why);


#endif /* NGX_HTTP_APPROVAL_DESK_DECISION_H */
