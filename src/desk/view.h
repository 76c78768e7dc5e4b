
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * An action as approvers see it, and its page.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_VIEW_H
#define NGX_HTTP_APPROVAL_DESK_VIEW_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/votes.h"


typedef enum {
    NGX_HTTP_APPROVAL_VIEW_WHOLE,
    NGX_HTTP_APPROVAL_VIEW_LIST       /* without headers and body */
} ngx_http_approval_view_e;


/* "expired" after the deadline, even if nobody has recorded that yet. */
ngx_http_approval_state_e ngx_http_approval_view_state(json_t *doc,
    const ngx_http_approval_reply_t *reply);

/* The summary, or the action's type if the rule has none.  No new reference. */
json_t *ngx_http_approval_view_title(json_t *doc);

/* The store's deadline, or the sealed one if that is earlier. */
int64_t ngx_http_approval_view_expires(json_t *doc,
    const ngx_http_approval_reply_t *reply);

/* A new reference, or NULL: no memory. */
json_t *ngx_http_approval_view(json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes,
    ngx_http_approval_view_e how);

/* One action, as a page or JSON, and its state for the frame in that page. */
ngx_int_t ngx_http_approval_view_action(ngx_http_approval_desk_t *d);
ngx_int_t ngx_http_approval_view_frame(ngx_http_approval_desk_t *d);

/* Loads the action if the client claims an identity. */
ngx_int_t ngx_http_approval_view_load(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_step_pt step);

/* May the person see it?  Other than NGX_OK: answered. */
ngx_int_t ngx_http_approval_view_may(ngx_http_approval_desk_t *d, json_t *doc,
    ngx_int_t *rc);

/* The step that shows one action, and the function that sends it. */
ngx_int_t ngx_http_approval_view_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
ngx_int_t ngx_http_approval_view_send(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes);


#endif /* NGX_HTTP_APPROVAL_DESK_VIEW_H */
