
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/slack.h"
#include "core/keys.h"

#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>


int
approval_slack_verify(approval_str_t secret, approval_str_t timestamp,
    approval_str_t signature, approval_str_t body, int64_t now)
{
    int              ok;
    size_t           i;
    int64_t          when;
    unsigned         len;
    unsigned char    mac[EVP_MAX_MD_SIZE], want[3 + 2 * 32];
    approval_buf_t   text;
    approval_str_t   expected;

    if (secret.len == 0 || secret.len > INT_MAX
        || timestamp.len == 0 || timestamp.len > 12
        || signature.len != sizeof(want)
        || memcmp(signature.data, "v0=", 3) != 0)
    {
        return APPROVAL_DECLINED;
    }

    when = 0;

    for (i = 0; i < timestamp.len; i++) {
        if (timestamp.data[i] < '0' || timestamp.data[i] > '9') {
            return APPROVAL_DECLINED;
        }

        when = when * 10 + (timestamp.data[i] - '0');
    }

    if (when < now - APPROVAL_SLACK_AGE || when > now + APPROVAL_SLACK_AGE) {
        return APPROVAL_DECLINED;
    }

    approval_buf_init(&text);
    approval_buf_adds(&text, "v0:");
    approval_buf_add(&text, timestamp.data, timestamp.len);
    approval_buf_addc(&text, ':');
    approval_buf_add(&text, body.data, body.len);

    ok = !text.failed
         && HMAC(EVP_sha256(), secret.data, (int) secret.len, text.data,
                 text.len, mac, &len)
            != NULL
         && len == 32;

    approval_buf_free(&text);

    if (!ok) {
        ERR_clear_error();
        return APPROVAL_DECLINED;
    }

    memcpy(want, "v0=", 3);

    expected.data = want;
    expected.len = 3 + approval_hex_encode(want + 3, mac, 32);

    return approval_str_eq_secret(expected, signature) ? APPROVAL_OK
                                                       : APPROVAL_DECLINED;
}
