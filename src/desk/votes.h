
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The votes on an action.  They are verified, and counted by the groups in
 * which their voters were then and still are.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_VOTES_H
#define NGX_HTTP_APPROVAL_DESK_VOTES_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


/* Strings live in the request's pool. */

typedef struct {
    ngx_str_t           identity;
    ngx_str_t           person;      /* by the present aliases */
    ngx_str_t           name;        /* the person, as signed  */
    ngx_str_t           how;
    ngx_str_t           act;         /* approve, deny, comment */
    ngx_str_t           comment;
    ngx_str_t           groups;      /* at the time, by spaces */
    int64_t             time;        /* ms                     */
    uint32_t            lines;       /* 0: counts for nothing  */
    unsigned            glass:1;     /* ... except break_glass */
    unsigned            passkey:1;   /* signed by one          */
} ngx_http_approval_vote_t;


typedef struct {
    ngx_http_approval_vote_t     *votes;
    ngx_uint_t                    nvotes;
    ngx_uint_t                    nlines;
    unsigned                      need[APPROVAL_QUORUM_LINES];
    unsigned                      missing[APPROVAL_QUORUM_LINES];
    approval_quorum_e             quorum;
    unsigned                      alone:1;    /* by break_glass only */
} ngx_http_approval_votes_t;


/*
 * Reads the votes that this gateway's key signed for this action and digest,
 * and ignores all others.  NULL: no memory.  There is room for one more.
 */
ngx_http_approval_votes_t *ngx_http_approval_votes_read(
    ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply);

/* Counts again, e.g. with a vote that was added at the end. */
ngx_int_t ngx_http_approval_votes_count(ngx_http_approval_desk_t *d,
    json_t *doc, ngx_http_approval_votes_t *votes);

/* A person's comments on an action.  Each takes the place of a vote. */
#define NGX_HTTP_APPROVAL_COMMENTS_MAX  16

ngx_uint_t ngx_http_approval_votes_comments(ngx_http_approval_votes_t *votes,
    ngx_str_t *person);

/* The person's vote to approve or to deny, or NULL. */
ngx_http_approval_vote_t *ngx_http_approval_votes_of(
    ngx_http_approval_votes_t *votes, ngx_str_t *person);

/* The groups that let this person vote, separated by spaces. */
void ngx_http_approval_votes_groups(ngx_http_approval_desk_t *d, json_t *doc,
    approval_buf_t *out);

/* The persons whose votes decided, as named in the votes; a new reference. */
json_t *ngx_http_approval_votes_by(ngx_http_approval_votes_t *votes,
    const char *act);

ngx_uint_t ngx_http_approval_vote_is(ngx_http_approval_vote_t *vote,
    const char *act);


#endif /* NGX_HTTP_APPROVAL_DESK_VOTES_H */
