
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Foreign tokens are refused; our own are read, whatever they are about.
 */


#include "core/identity.h"
#include "core/token.h"

#include <stdlib.h>
#include <string.h>


#define ACTION  "0123456789abcdef0123456789abcdef"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_read(approval_keyring_t *k, approval_str_t s);
static void fuzz_round(approval_keyring_t *k, approval_str_t s);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned                    line;
    const char                 *err;
    approval_str_t              s;
    static approval_keyring_t  *k;

    if (k == NULL) {
        k = approval_keyring_parse(
                approval_str("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="),
                &err, &line);
        if (k == NULL) {
            abort();
        }
    }

    s.data = data;
    s.len = size;

    fuzz_read(k, s);
    fuzz_round(k, s);

    return 0;
}


static void
fuzz_read(approval_keyring_t *k, approval_str_t s)
{
    int               rc;
    approval_buf_t    approver;
    approval_token_t  t;

    memset(&t, 0, sizeof(t));
    t.action = approval_str(ACTION);
    t.digest = approval_str("sha256:aa");

    approval_buf_init(&approver);

    rc = approval_token_read(k, "link", s, &t, &approver, 0);

    /* Whoever finds one has broken HMAC-SHA256, or us. */

    if (rc != APPROVAL_DECLINED || approver.len != 0) {
        abort();
    }

    approval_buf_free(&approver);
}


/* The approver is the input; its first byte is the expiry, too. */

static void
fuzz_round(approval_keyring_t *k, approval_str_t s)
{
    int               rc;
    approval_buf_t    token, approver;
    approval_token_t  t, got;

    memset(&t, 0, sizeof(t));
    t.action = approval_str(ACTION);
    t.digest = s;
    t.approver = s;
    t.expires = s.len ? s.data[0] : 0;

    approval_buf_init(&token);
    approval_buf_init(&approver);

    rc = approval_token_make(k, "link", &t, &token);

    if ((rc == APPROVAL_OK) != (s.len > 0 && s.len <= APPROVAL_IDENTITY_MAX
                                && t.expires > 0))
    {
        abort();
    }

    if (rc == APPROVAL_OK) {
        got = t;

        if (approval_token_read(k, "link", approval_buf_str(&token), &got,
                                &approver, 0)
            != APPROVAL_OK
            || !approval_str_eq(got.approver, s) || got.expires != t.expires
            || approval_token_read(k, "link", approval_buf_str(&token), &got,
                                   &approver, 255)
               != APPROVAL_ERROR)
        {
            abort();
        }
    }

    approval_buf_free(&token);
    approval_buf_free(&approver);
}
