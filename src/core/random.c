
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Random bytes, and ids made from them.
 */


#include "core/keys.h"

#include <limits.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>


/* Not batched: libcrypto's generator reseeds itself after a fork. */

int
approval_random(unsigned char *dst, size_t len)
{
    if (len > INT_MAX || RAND_bytes(dst, (int) len) != 1) {
        ERR_clear_error();
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


int
approval_id(char dst[APPROVAL_ID_LEN])
{
    unsigned char  raw[APPROVAL_ID_LEN / 2];

    if (approval_random(raw, sizeof(raw)) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    (void) approval_hex_encode((unsigned char *) dst, raw, sizeof(raw));

    return APPROVAL_OK;
}


int
approval_id_valid(approval_str_t id)
{
    size_t         i;
    unsigned char  c;

    if (id.len != APPROVAL_ID_LEN) {
        return 0;
    }

    for (i = 0; i < id.len; i++) {
        c = id.data[i];

        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return 0;
        }
    }

    return 1;
}
