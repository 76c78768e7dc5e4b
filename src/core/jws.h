
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Compact JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037): votes, decisions
 * and receipts.
 */


#ifndef APPROVAL_JWS_H
#define APPROVAL_JWS_H


#include "core/json.h"
#include "core/keys.h"


/*
 * Appends a token with the header {"alg":"EdDSA","kid":KID,"typ":TYP} and the
 * claims as canonical JSON.
 */
int approval_jws_make(approval_signer_t *s, const char *typ, json_t *claims,
    approval_buf_t *out);

/*
 * Accepts only EdDSA, this typ, canonical base64url, and the kid of s or of a
 * signer added to s.  Returns the claims (a new reference), or NULL with *err.
 */
json_t *approval_jws_verify(approval_signer_t *s, const char *typ,
    approval_str_t token, const char **err);


#endif /* APPROVAL_JWS_H */
