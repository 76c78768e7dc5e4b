
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Identifies approvers and decides what they may see and do.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_APPROVER_H
#define NGX_HTTP_APPROVAL_DESK_APPROVER_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


/* Reads the claimed identity: NGX_OK, NGX_DECLINED (none), NGX_ERROR. */
ngx_int_t ngx_http_approval_approver_claims(ngx_http_approval_desk_t *d);

/* Answers 401 to a request without an identity. */
ngx_int_t ngx_http_approval_approver_unknown(ngx_http_approval_desk_t *d);

/* Identifies by d->idp only: for pages that are not about one action. */
ngx_int_t ngx_http_approval_approver_idp(ngx_http_approval_desk_t *d,
    ngx_int_t *rc);

/*
 * The same, but the person must also be in one of these groups (of ngx_int_t;
 * NULL: in any).
 */
ngx_int_t ngx_http_approval_approver_member(ngx_http_approval_desk_t *d,
    ngx_array_t *groups, ngx_int_t *rc);

/*
 * Identifies the person for an action: sets d->who, person and how.  Other
 * than NGX_OK: answered, *rc is the code to finalize the request with.
 */
ngx_int_t ngx_http_approval_approver_identify(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply, ngx_int_t *rc);

/* Is "who" the action's requester, or the person it is done for? */
ngx_uint_t ngx_http_approval_approver_self(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, approval_str_t who);

/* The require lines for which "who" counts, by the present groups. */
uint32_t ngx_http_approval_approver_lines(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, approval_str_t who);

/* May "who" approve alone (break_glass), by the present groups? */
ngx_uint_t ngx_http_approval_approver_glass(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, approval_str_t who);

/* May it be decided together with other actions, from a list? */
ngx_uint_t ngx_http_approval_approver_several(json_t *doc);

/* Is the person in one of these groups (of ngx_int_t; NULL: in any)? */
ngx_uint_t ngx_http_approval_approver_in(ngx_http_approval_desk_t *d,
    ngx_array_t *groups);

/* Is the person in a group of approval_operators? */
ngx_uint_t ngx_http_approval_approver_operator(ngx_http_approval_desk_t *d);

/* ... or of approval_auditors, who may read what others decide? */
ngx_uint_t ngx_http_approval_approver_auditor(ngx_http_approval_desk_t *d);

/* Says who the person is, and that they are no approver; NULL: no memory. */
const char *ngx_http_approval_approver_stranger(ngx_http_approval_desk_t *d);

ngx_int_t ngx_http_approval_approver_refuse(ngx_http_approval_desk_t *d);

/* Turns the link's token into a cookie and redirects to the clean URL. */
ngx_int_t ngx_http_approval_approver_exchange(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply);

/* The nonce of a page's forms. */
ngx_int_t ngx_http_approval_approver_nonce(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply, approval_buf_t *out);
ngx_uint_t ngx_http_approval_approver_nonce_valid(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply, ngx_str_t *nonce);

/* Was it sent by another site's page? */
ngx_uint_t ngx_http_approval_approver_foreign(ngx_http_approval_desk_t *d);

const char *ngx_http_approval_approver_how(ngx_http_approval_desk_t *d);

/* The person's identity, for the trail: a new object, or NULL. */
json_t *ngx_http_approval_approver_facts(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_APPROVER_H */
