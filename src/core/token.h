
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Links, sessions and nonces: short strings that name an action and an
 * approver, and cannot be forged without the key.
 */


#ifndef APPROVAL_TOKEN_H
#define APPROVAL_TOKEN_H


#include "core/keys.h"
#include "core/str.h"


/*
 * "1.EXPIRY.APPROVER.MAC": version, expiry in hex seconds, base64url of the
 * approver's identity, base64url HMAC of version, purpose, action, approver,
 * expiry and the action's digest, each with its length.  Other encodings of
 * the same token are not valid.
 *
 * The purpose distinguishes a link ("link"), the cookie for which it is
 * exchanged ("session"), and a form's nonce ("nonce").
 */

typedef struct {
    approval_str_t        action;      /* APPROVAL_ID_LEN hex digits */
    approval_str_t        digest;
    approval_str_t        approver;
    int64_t               expires;     /* seconds since the epoch    */
} approval_token_t;


int approval_token_make(approval_keyring_t *k, const char *purpose,
    const approval_token_t *t, approval_buf_t *out);

/*
 * The caller provides action and digest (from the URL and the store).  On
 * APPROVAL_OK, approver (appended to "approver") and expires are set.
 * APPROVAL_DECLINED: not valid; APPROVAL_ERROR: expired.
 */
int approval_token_read(approval_keyring_t *k, const char *purpose,
    approval_str_t token, approval_token_t *t, approval_buf_t *approver,
    int64_t now);


#endif /* APPROVAL_TOKEN_H */
