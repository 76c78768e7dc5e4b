
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Votes that a passkey signs, and the page of the passkeys.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_PASSKEY_H
#define NGX_HTTP_APPROVAL_DESK_PASSKEY_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/passkey.h"
#include "desk/request.h"


/* passkey.c */

/* Does the vote in d->work need one?  A comment does not. */
ngx_uint_t ngx_http_approval_passkey_wanted(ngx_http_approval_desk_t *d,
    json_t *doc);

/*
 * Checks the assertion that was posted with it; then the action is judged
 * anew, with "psk" set.
 */
ngx_int_t ngx_http_approval_passkey_ask(ngx_http_approval_desk_t *d,
    json_t *doc);

/* What the page of an action needs to have a vote signed. */
ngx_int_t ngx_http_approval_passkey_page(ngx_http_approval_desk_t *d,
    json_t *doc, json_t *data);

/*
 * A challenge's nonce for a form: good for ten minutes, for this person and
 * what "digest" is of.  "id" is an action's, or NULL.
 */
ngx_int_t ngx_http_approval_passkey_nonce(ngx_http_approval_desk_t *d,
    u_char *id, ngx_str_t *digest, u_char nonce[APPROVAL_PASSKEY_NONCE_LEN],
    json_t *data);
ngx_uint_t ngx_http_approval_passkey_nonce_valid(ngx_http_approval_desk_t *d,
    u_char *id, ngx_str_t *digest, ngx_str_t *text);

/*
 * The claims of a record as the store has it, a new reference; NULL: it is not
 * the gateway's, or was revoked, which "ended" or the gateway's memory says.
 */
json_t *ngx_http_approval_passkey_open(ngx_http_approval_desk_t *d,
    ngx_str_t *name, ngx_str_t *record, ngx_str_t *ended, int64_t now,
    const char **why);

/* passkeys.c: GET and POST /passkeys; GET /passkey.js */
ngx_int_t ngx_http_approval_passkeys(ngx_http_approval_desk_t *d);
ngx_int_t ngx_http_approval_passkey_script(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_PASSKEY_H */
