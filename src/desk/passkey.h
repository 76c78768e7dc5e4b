
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Votes signed by passkeys, and the page for managing passkeys.
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
 * Checks the assertion that was posted with the vote; then the action is
 * judged again, with "psk" set.
 */
ngx_int_t ngx_http_approval_passkey_ask(ngx_http_approval_desk_t *d,
    json_t *doc);

/* What an action's page needs so that a passkey can sign the vote. */
ngx_int_t ngx_http_approval_passkey_page(ngx_http_approval_desk_t *d,
    json_t *doc, json_t *data);

/*
 * A nonce for the challenge of a form.  It is valid for ten minutes, for this
 * person and for the content of "digest".  "id" is an action's, or NULL.
 */
ngx_int_t ngx_http_approval_passkey_nonce(ngx_http_approval_desk_t *d,
    u_char *id, ngx_str_t *digest, u_char nonce[APPROVAL_PASSKEY_NONCE_LEN],
    json_t *data);
ngx_uint_t ngx_http_approval_passkey_nonce_valid(ngx_http_approval_desk_t *d,
    u_char *id, ngx_str_t *digest, ngx_str_t *text);

/*
 * Returns the claims of a stored record, as a new reference.  NULL: the record
 * is not the gateway's, or the passkey was revoked, according to "ended" or to
 * the gateway's memory.
 */
json_t *ngx_http_approval_passkey_open(ngx_http_approval_desk_t *d,
    ngx_str_t *name, ngx_str_t *record, ngx_str_t *ended, int64_t now,
    const char **why);

/* passkeys.c: GET and POST /passkeys; GET /passkey.js */
ngx_int_t ngx_http_approval_passkeys(ngx_http_approval_desk_t *d);
ngx_int_t ngx_http_approval_passkey_script(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_PASSKEY_H */
