
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Whatever a browser posts: no assertion holds that the key did not make, and
 * nothing is enrolled for another challenge.  The first byte says which.
 */


#include "core/passkey.h"

#include <stdlib.h>
#include <string.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t                  count;
    const char               *err;
    approval_str_t            text, origin;
    unsigned char             challenge[APPROVAL_SHA256_LEN];
    approval_passkey_key_t    key;
    approval_passkey_proof_t  proof;

    if (size == 0) {
        return 0;
    }

    text.data = data + 1;
    text.len = size - 1;

    if (data[0] & 1
        && approval_passkey_origin(text, &err) == APPROVAL_OK
        && (approval_passkey_rp(text).len == 0
            || memchr(approval_passkey_rp(text).data, '/',
                      approval_passkey_rp(text).len)))
    {
        abort();
    }

    if (approval_passkey_read(text, &proof) != APPROVAL_OK) {
        return 0;
    }

    origin = approval_str("https://gw.example.com");
    memset(challenge, 0x5a, sizeof(challenge));

    memset(&key, 0, sizeof(key));
    key.alg = data[0] & 2 ? -7 : data[0] & 4 ? -8 : -257;
    key.len = data[0] & 2 ? 64 : data[0] & 4 ? 32 : 259;

    if (approval_passkey_verify(&proof, origin, challenge, &key, &count, &err)
        == APPROVAL_OK)
    {
        abort();
    }

    (void) approval_passkey_enrol(&proof, origin, challenge, &key, &count,
                                  &err);

    approval_passkey_free(&proof);

    return 0;
}
