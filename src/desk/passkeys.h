
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the files of the page for managing passkeys share.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_PASSKEYS_H
#define NGX_HTTP_APPROVAL_DESK_PASSKEYS_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/passkey.h"


/* d->work; "claims" is the record that is made or changed. */

typedef struct {
    json_t      *list;
    json_t      *fields;
    json_t      *claims;
    ngx_str_t    old;                       /* the record that was read */
    ngx_str_t    record;
    u_char       name[APPROVAL_ID_LEN];
    const char  *what;                      /* in the trail             */
    ngx_uint_t   own;                       /* how many the person has  */
    ngx_uint_t   tries;                     /* used while it was revoked */
} ngx_http_approval_passkeys_t;


/* passkeys.c: reads all records, then calls the step. */
ngx_int_t ngx_http_approval_passkeys_read(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_step_pt step);

/* Is it the person's own? */
ngx_uint_t ngx_http_approval_passkeys_own(ngx_http_approval_desk_t *d,
    json_t *claims);

/* Names of the groups that the person shares with the owner, by spaces. */
void ngx_http_approval_passkeys_shared(ngx_http_approval_desk_t *d,
    json_t *claims, approval_buf_t *groups);

/*
 * May the person confirm it?  Not their own, not twice, and not if it is
 * confirmed already.
 */
ngx_uint_t ngx_http_approval_passkeys_confirmable(
    ngx_http_approval_desk_t *d, json_t *claims);

/* passkeys_change.c: a form of the page */
ngx_int_t ngx_http_approval_passkeys_posted(ngx_http_approval_desk_t *d,
    ngx_str_t *body);


#endif /* NGX_HTTP_APPROVAL_DESK_PASSKEYS_H */
