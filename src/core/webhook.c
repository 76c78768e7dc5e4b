
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/webhook.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>


int
approval_webhook_id(approval_str_t action, approval_str_t channel,
    approval_str_t approver, unsigned char dst[APPROVAL_WEBHOOK_ID_LEN])
{
    int             rc;
    unsigned char   md[APPROVAL_SHA256_LEN];
    approval_buf_t  buf;

    rc = APPROVAL_ERROR;

    approval_buf_init(&buf);

    /* The lengths keep "a" + "bc" and "ab" + "c" apart. */

    approval_buf_printf(&buf, "approval-webhook-v1 %zu %zu %zu ", action.len,
                        channel.len, approver.len);
    approval_buf_add(&buf, action.data, action.len);
    approval_buf_add(&buf, channel.data, channel.len);
    approval_buf_add(&buf, approver.data, approver.len);

    if (!buf.failed
        && approval_sha256(approval_buf_str(&buf), md) == APPROVAL_OK)
    {
        memcpy(dst, "msg_", 4);
        approval_hex_encode(dst + 4, md, (APPROVAL_WEBHOOK_ID_LEN - 4) / 2);

        rc = APPROVAL_OK;
    }

    approval_buf_free(&buf);

    return rc;
}


int
approval_webhook_sign(approval_str_t secret, approval_str_t id,
    int64_t timestamp, approval_str_t body, approval_buf_t *out)
{
    int             rc;
    size_t          n;
    unsigned        len;
    unsigned char   mac[APPROVAL_MAC_LEN];
    unsigned char   text[approval_base64_size(APPROVAL_MAC_LEN)];
    approval_buf_t  buf;

    if (secret.len == 0 || secret.len > INT_MAX) {
        return APPROVAL_ERROR;
    }

    rc = APPROVAL_ERROR;

    approval_buf_init(&buf);

    approval_buf_add(&buf, id.data, id.len);
    approval_buf_printf(&buf, ".%" PRId64 ".", timestamp);
    approval_buf_add(&buf, body.data, body.len);

    if (buf.failed) {
        goto done;
    }

    if (HMAC(EVP_sha256(), secret.data, (int) secret.len, buf.data, buf.len,
             mac, &len)
        == NULL
        || len != APPROVAL_MAC_LEN)
    {
        ERR_clear_error();
        goto done;
    }

    n = approval_base64_encode(text, mac, APPROVAL_MAC_LEN);

    if (out->len) {
        approval_buf_addc(out, ' ');
    }

    approval_buf_adds(out, "v1,");
    approval_buf_add(out, text, n);

    rc = out->failed ? APPROVAL_ERROR : APPROVAL_OK;

done:

    approval_buf_free(&buf);

    return rc;
}
