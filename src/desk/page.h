
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The pages: what fills the templates, and the headers they go out with.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_PAGE_H
#define NGX_HTTP_APPROVAL_DESK_PAGE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/votes.h"


#define NGX_HTTP_APPROVAL_PAGE_SEVERAL  50   /* decided at once, at most */


/* All take over the reference to the JSON value and return a final code. */

ngx_int_t ngx_http_approval_page_action(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes, json_t *view);

/* "data" is {"actions": [...], ...}: see list.c */
ngx_int_t ngx_http_approval_page_inbox(ngx_http_approval_desk_t *d,
    json_t *data);

/* "data" is {"grants": [...]}, {"frozen": [...], "policies": [...]} */
ngx_int_t ngx_http_approval_page_grants(ngx_http_approval_desk_t *d,
    json_t *data);
ngx_int_t ngx_http_approval_page_freeze(ngx_http_approval_desk_t *d,
    json_t *data);

/* "data" is {"passkeys": [...], "signing": true, ...}: see passkeys.c */
ngx_int_t ngx_http_approval_page_passkeys(ngx_http_approval_desk_t *d,
    json_t *data);

/* "data" is {"actions": [...], ...}: see story.c */
ngx_int_t ngx_http_approval_page_story(ngx_http_approval_desk_t *d,
    json_t *data);

/* "problem" is a refusal, or reports in title and detail what was done. */
ngx_int_t ngx_http_approval_page_result(ngx_http_approval_desk_t *d,
    ngx_uint_t status, json_t *problem);

/* page_fill.c: what a template needs besides the action's JSON. */

ngx_int_t ngx_http_approval_page_whole(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes, json_t *view);

/* ... in a list of actions. */
ngx_int_t ngx_http_approval_page_card(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes, json_t *view);

/* The time left until "expires", as text for people. */
json_t *ngx_http_approval_page_left(int64_t now, int64_t expires);


#endif /* NGX_HTTP_APPROVAL_DESK_PAGE_H */
