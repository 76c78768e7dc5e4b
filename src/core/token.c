
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Tokens: "1.EXPIRY.APPROVER.MAC".
 */


#include "core/token.h"
#include "core/identity.h"

#include <stdio.h>
#include <string.h>


#define APPROVAL_TOKEN_VERSION     "1"
#define APPROVAL_TOKEN_EXPIRY_MAX  15  /* hex digits: always below 2^63 */
#define APPROVAL_TOKEN_MAC_LEN     43  /* base64url of a MAC            */


/* The three parts of a token's text that follow its version. */

typedef struct {
    approval_str_t        expiry;
    approval_str_t        approver;
    approval_str_t        mac;
} approval_token_parts_t;


static void approval_token_message(const char *purpose,
    const approval_token_t *t, approval_str_t expiry, approval_buf_t *out);
static void approval_token_field(approval_buf_t *out, approval_str_t s);
static int approval_token_split(approval_str_t token,
    approval_token_parts_t *parts);
static int approval_token_next(approval_str_t *rest, approval_str_t *part);
static int approval_token_expiry(approval_str_t s, int64_t *expires);


int
approval_token_make(approval_keyring_t *k, const char *purpose,
    const approval_token_t *t, approval_buf_t *out)
{
    int             rc;
    char            expiry[APPROVAL_TOKEN_EXPIRY_MAX + 2];
    size_t          len;
    approval_str_t  s;
    approval_buf_t  message;
    unsigned char   mac[APPROVAL_MAC_LEN];
    unsigned char   text[approval_base64_size(APPROVAL_IDENTITY_MAX)];

    if (!approval_id_valid(t->action) || t->approver.len == 0
        || t->approver.len > APPROVAL_IDENTITY_MAX || t->expires <= 0
        || t->expires >> (4 * APPROVAL_TOKEN_EXPIRY_MAX) != 0)
    {
        return APPROVAL_ERROR;
    }

    s.data = (unsigned char *) expiry;
    s.len = snprintf(expiry, sizeof(expiry), "%llx",
                     (unsigned long long) t->expires);

    approval_buf_init(&message);
    approval_token_message(purpose, t, s, &message);

    rc = message.failed ? APPROVAL_ERROR
                        : approval_mac(k, purpose, approval_buf_str(&message),
                                       mac);
    approval_buf_free(&message);

    if (rc != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    approval_buf_adds(out, APPROVAL_TOKEN_VERSION ".");
    approval_buf_add(out, s.data, s.len);
    approval_buf_addc(out, '.');

    len = approval_base64url_encode(text, t->approver.data, t->approver.len);
    approval_buf_add(out, text, len);
    approval_buf_addc(out, '.');

    len = approval_base64url_encode(text, mac, sizeof(mac));
    approval_buf_add(out, text, len);

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


int
approval_token_read(approval_keyring_t *k, const char *purpose,
    approval_str_t token, approval_token_t *t, approval_buf_t *approver,
    int64_t now)
{
    int                     rc;
    size_t                  len;
    approval_buf_t          message;
    approval_str_t          s;
    approval_token_t        got;
    approval_token_parts_t  parts;
    unsigned char           mac[approval_base64_size(APPROVAL_MAC_LEN)];
    unsigned char           text[approval_base64_size(APPROVAL_IDENTITY_MAX)];

    got = *t;

    if (!approval_id_valid(t->action)
        || approval_token_split(token, &parts) != APPROVAL_OK
        || approval_token_expiry(parts.expiry, &got.expires) != APPROVAL_OK
        || approval_base64url_decode(mac, parts.mac) != APPROVAL_MAC_LEN)
    {
        return APPROVAL_DECLINED;
    }

    len = approval_base64url_decode(text, parts.approver);
    if (len == (size_t) -1 || len == 0 || len > APPROVAL_IDENTITY_MAX) {
        return APPROVAL_DECLINED;
    }

    got.approver.data = text;
    got.approver.len = len;

    s.data = mac;
    s.len = APPROVAL_MAC_LEN;

    approval_buf_init(&message);
    approval_token_message(purpose, &got, parts.expiry, &message);

    rc = message.failed ? APPROVAL_DECLINED
                        : approval_mac_verify(k, purpose,
                                              approval_buf_str(&message), s);
    approval_buf_free(&message);

    if (rc != APPROVAL_OK) {
        return APPROVAL_DECLINED;
    }

    if (got.expires <= now) {
        return APPROVAL_ERROR;
    }

    approval_buf_add(approver, text, len);
    if (approver->failed) {
        return APPROVAL_DECLINED;
    }

    t->expires = got.expires;
    t->approver.data = approver->data + approver->len - len;
    t->approver.len = len;

    return APPROVAL_OK;
}


static void
approval_token_message(const char *purpose, const approval_token_t *t,
    approval_str_t expiry, approval_buf_t *out)
{
    approval_token_field(out, approval_str(APPROVAL_TOKEN_VERSION));
    approval_token_field(out, approval_str(purpose));
    approval_token_field(out, t->action);
    approval_token_field(out, t->approver);
    approval_token_field(out, expiry);
    approval_token_field(out, t->digest);
}


static void
approval_token_field(approval_buf_t *out, approval_str_t s)
{
    int       shift;
    uint64_t  len;

    len = s.len;

    for (shift = 56; shift >= 0; shift -= 8) {
        approval_buf_addc(out, (unsigned char) (len >> shift));
    }

    approval_buf_add(out, s.data, s.len);
}


/* Limits the lengths before anything is decoded. */

static int
approval_token_split(approval_str_t token, approval_token_parts_t *parts)
{
    approval_str_t  version;

    if (approval_token_next(&token, &version) != APPROVAL_OK
        || !approval_str_eq(version, approval_str(APPROVAL_TOKEN_VERSION))
        || approval_token_next(&token, &parts->expiry) != APPROVAL_OK
        || approval_token_next(&token, &parts->approver) != APPROVAL_OK)
    {
        return APPROVAL_DECLINED;
    }

    parts->mac = token;

    if (parts->approver.len > approval_base64_size(APPROVAL_IDENTITY_MAX)
        || parts->mac.len != APPROVAL_TOKEN_MAC_LEN)
    {
        return APPROVAL_DECLINED;
    }

    return APPROVAL_OK;
}


static int
approval_token_next(approval_str_t *rest, approval_str_t *part)
{
    const unsigned char  *dot;

    if (rest->len == 0) {
        return APPROVAL_DECLINED;
    }

    dot = memchr(rest->data, '.', rest->len);
    if (dot == NULL) {
        return APPROVAL_DECLINED;
    }

    part->data = rest->data;
    part->len = dot - rest->data;

    rest->data += part->len + 1;
    rest->len -= part->len + 1;

    return APPROVAL_OK;
}


static int
approval_token_expiry(approval_str_t s, int64_t *expires)
{
    size_t         i;
    int64_t        n;
    unsigned char  c;

    if (s.len == 0 || s.len > APPROVAL_TOKEN_EXPIRY_MAX || s.data[0] == '0') {
        return APPROVAL_DECLINED;
    }

    n = 0;

    for (i = 0; i < s.len; i++) {
        c = s.data[i];

        if (c >= '0' && c <= '9') {
            n = n * 16 + (c - '0');

        } else if (c >= 'a' && c <= 'f') {
            n = n * 16 + (c - 'a' + 10);

        } else {
            return APPROVAL_DECLINED;
        }
    }

    *expires = n;

    return APPROVAL_OK;
}
