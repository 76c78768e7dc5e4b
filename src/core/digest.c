
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Computes the digest of a request, part by part.
 */


#include "core/digest.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>


#define APPROVAL_DIGEST_DOMAIN  "approval-digest-v2"


/* Parts must come in this order.  After any error the state is FAILED. */

typedef enum {
    APPROVAL_DIGEST_FAILED = 0,
    APPROVAL_DIGEST_HEAD,
    APPROVAL_DIGEST_BODY
} approval_digest_e;


struct approval_digest_s {
    EVP_MD               *sha256;
    EVP_MD_CTX           *ctx;
    uint64_t              left;        /* bytes of the body still to come */
    approval_digest_e     state;
};


static int approval_digest_begin(approval_digest_t *d, unsigned char tag,
    uint64_t len);
static int approval_digest_tag(approval_digest_t *d, unsigned char tag,
    uint64_t len);
static int approval_digest_add(approval_digest_t *d, const void *data,
    size_t len);


approval_digest_t *
approval_digest_create(void)
{
    approval_digest_t  *d;

    d = calloc(1, sizeof(approval_digest_t));
    if (d == NULL) {
        return NULL;
    }

    d->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    d->ctx = EVP_MD_CTX_new();

    if (d->sha256 == NULL || d->ctx == NULL) {
        ERR_clear_error();
        approval_digest_destroy(d);
        return NULL;
    }

    return d;
}


void
approval_digest_destroy(approval_digest_t *d)
{
    if (d == NULL) {
        return;
    }

    EVP_MD_CTX_free(d->ctx);
    EVP_MD_free(d->sha256);

    free(d);
}


int
approval_digest_init(approval_digest_t *d)
{
    d->left = 0;
    d->state = APPROVAL_DIGEST_FAILED;

    if (EVP_DigestInit_ex2(d->ctx, d->sha256, NULL) != 1) {
        ERR_clear_error();
        return APPROVAL_ERROR;
    }

    d->state = APPROVAL_DIGEST_HEAD;

    return approval_digest_add(d, APPROVAL_DIGEST_DOMAIN,
                               sizeof(APPROVAL_DIGEST_DOMAIN) - 1);
}


int
approval_digest_part(approval_digest_t *d, unsigned char tag, approval_str_t s)
{
    if (d->state != APPROVAL_DIGEST_HEAD) {
        d->state = APPROVAL_DIGEST_FAILED;
        return APPROVAL_ERROR;
    }

    if (approval_digest_tag(d, tag, s.len) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    return approval_digest_add(d, s.data, s.len);
}


int
approval_digest_body(approval_digest_t *d, uint64_t len)
{
    return approval_digest_begin(d, 'b', len);
}


int
approval_digest_canonical(approval_digest_t *d, uint64_t len)
{
    return approval_digest_begin(d, 'c', len);
}


static int
approval_digest_begin(approval_digest_t *d, unsigned char tag, uint64_t len)
{
    if (d->state != APPROVAL_DIGEST_HEAD) {
        d->state = APPROVAL_DIGEST_FAILED;
        return APPROVAL_ERROR;
    }

    if (approval_digest_tag(d, tag, len) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    d->left = len;
    d->state = APPROVAL_DIGEST_BODY;

    return APPROVAL_OK;
}


int
approval_digest_update(approval_digest_t *d, const void *data, size_t len)
{
    if (d->state != APPROVAL_DIGEST_BODY || len > d->left) {
        d->state = APPROVAL_DIGEST_FAILED;
        return APPROVAL_ERROR;
    }

    d->left -= len;

    return approval_digest_add(d, data, len);
}


int
approval_digest_final(approval_digest_t *d,
    unsigned char md[APPROVAL_SHA256_LEN])
{
    unsigned           len;
    approval_digest_e  state;

    state = d->state;
    d->state = APPROVAL_DIGEST_FAILED;

    if (state != APPROVAL_DIGEST_BODY || d->left != 0) {
        return APPROVAL_ERROR;
    }

    if (EVP_DigestFinal_ex(d->ctx, md, &len) != 1
        || len != APPROVAL_SHA256_LEN)
    {
        ERR_clear_error();
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


static int
approval_digest_tag(approval_digest_t *d, unsigned char tag, uint64_t len)
{
    size_t         i;
    unsigned char  head[9];

    head[0] = tag;

    for (i = 8; i > 0; i--) {
        head[i] = (unsigned char) (len & 0xff);
        len >>= 8;
    }

    return approval_digest_add(d, head, sizeof(head));
}


static int
approval_digest_add(approval_digest_t *d, const void *data, size_t len)
{
    if (EVP_DigestUpdate(d->ctx, data, len) != 1) {
        ERR_clear_error();
        d->state = APPROVAL_DIGEST_FAILED;
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


void
approval_digest_text(char dst[APPROVAL_DIGEST_LEN],
    const unsigned char md[APPROVAL_SHA256_LEN])
{
    memcpy(dst, "sha256:", sizeof("sha256:") - 1);

    (void) approval_hex_encode((unsigned char *) dst + sizeof("sha256:") - 1,
                               md, APPROVAL_SHA256_LEN);
}


int
approval_sha256(approval_str_t data, unsigned char md[APPROVAL_SHA256_LEN])
{
    size_t  len;

    if (EVP_Q_digest(NULL, "SHA256", NULL, data.data, data.len, md, &len) != 1
        || len != APPROVAL_SHA256_LEN)
    {
        ERR_clear_error();
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}
