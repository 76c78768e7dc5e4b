
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Foreign JWS are refused; signed claims are an object or refused.
 */


#include "core/jws.h"

#include <stdlib.h>


#define TYP  "approval-vote+jwt"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static approval_signer_t *fuzz_signer(void);
static void fuzz_foreign(approval_signer_t *s, approval_str_t input);
static void fuzz_claims(approval_signer_t *s, approval_str_t input);
static void fuzz_part(approval_buf_t *out, approval_str_t s);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    approval_str_t             input;
    static approval_signer_t  *s;

    if (s == NULL) {
        s = fuzz_signer();
        if (s == NULL) {
            abort();
        }
    }

    input.data = data;
    input.len = size;

    fuzz_foreign(s, input);
    fuzz_claims(s, input);

    return 0;
}


static approval_signer_t *
fuzz_signer(void)
{
    unsigned             line;
    const char          *err;
    approval_signer_t   *s;
    approval_keyring_t  *k;

    k = approval_keyring_parse(
            approval_str("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="),
            &err, &line);

    s = k ? approval_signer_derive(k) : NULL;
    approval_keyring_destroy(k);

    return s;
}


static void
fuzz_foreign(approval_signer_t *s, approval_str_t input)
{
    const char  *err;

    err = NULL;

    /* Whoever finds one has broken Ed25519, or us. */

    if (approval_jws_verify(s, TYP, input, &err) != NULL || err == NULL) {
        abort();
    }
}


/* What a signature covers is read as strictly as what none does. */

static void
fuzz_claims(approval_signer_t *s, approval_str_t input)
{
    json_t          *claims, *again;
    const char      *err;
    approval_buf_t   text, token;
    unsigned char    sig[64];
    approval_str_t   kid, str;

    if (input.len > 40000) {
        return;
    }

    approval_buf_init(&text);
    approval_buf_init(&token);

    kid = approval_signer_kid(s);
    approval_buf_printf(&text, "{\"alg\":\"EdDSA\",\"kid\":\"%.*s\","
                        "\"typ\":\"" TYP "\"}", (int) kid.len,
                        (const char *) kid.data);

    fuzz_part(&token, approval_buf_str(&text));
    approval_buf_addc(&token, '.');
    fuzz_part(&token, input);

    if (approval_sign(s, approval_buf_str(&token), sig) != APPROVAL_OK) {
        abort();
    }

    str.data = sig;
    str.len = sizeof(sig);
    approval_buf_addc(&token, '.');
    fuzz_part(&token, str);

    claims = approval_jws_verify(s, TYP, approval_buf_str(&token), &err);

    if (claims != NULL) {
        approval_buf_reset(&token);

        if (!json_is_object(claims)) {
            abort();
        }

        if (approval_jws_make(s, TYP, claims, &token) == APPROVAL_OK) {
            again = approval_jws_verify(s, TYP, approval_buf_str(&token),
                                        &err);
            if (again == NULL) {
                abort();
            }

            json_decref(again);
        }

        json_decref(claims);
    }

    approval_buf_free(&text);
    approval_buf_free(&token);
}


static void
fuzz_part(approval_buf_t *out, approval_str_t s)
{
    size_t          n;
    unsigned char  *text;

    text = malloc(approval_base64_size(s.len) + 1);
    if (text == NULL) {
        abort();
    }

    n = approval_base64url_encode(text, s.data, s.len);
    approval_buf_add(out, text, n);

    free(text);
}
