
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Ed25519 signatures of the gateway.
 */


#include "core/keys.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>


#define APPROVAL_ED25519_LEN   32
#define APPROVAL_SIG_LEN       64

#define APPROVAL_JWK_BEGIN     "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\""
#define APPROVAL_JWK_END       "\"}"


/*
 * Each direction has a context of its own, made once, because its key never
 * changes and another init only resets it.
 */

struct approval_signer_s {
    approval_signer_t    *next;
    EVP_PKEY             *pkey;
    EVP_MD_CTX           *sign;        /* NULL: a public key only */
    EVP_MD_CTX           *verify;
    unsigned char         raw[APPROVAL_ED25519_LEN];
    unsigned char         kid[approval_base64_size(APPROVAL_SHA256_LEN)];
};


typedef enum {
    APPROVAL_SIGNER_PRIVATE,
    APPROVAL_SIGNER_PUBLIC
} approval_signer_e;


static approval_signer_t *approval_signer_read(approval_str_t pem,
    approval_signer_e kind, const char **err);
static const char *approval_signer_check(EVP_PKEY *pkey,
    approval_signer_e kind, unsigned encrypted);
static approval_signer_t *approval_signer_create(EVP_PKEY *pkey,
    approval_signer_e kind);
static approval_signer_t *approval_signer_derive_by(approval_keyring_t *k,
    size_t n);
static int approval_signer_thumbprint(approval_signer_t *s);
static int approval_signer_password(char *buf, int size, int rwflag,
    void *data);


approval_signer_t *
approval_signer_pem(approval_str_t pem, const char **err)
{
    return approval_signer_read(pem, APPROVAL_SIGNER_PRIVATE, err);
}


approval_signer_t *
approval_signer_public_pem(approval_str_t pem, const char **err)
{
    return approval_signer_read(pem, APPROVAL_SIGNER_PUBLIC, err);
}


static approval_signer_t *
approval_signer_read(approval_str_t pem, approval_signer_e kind,
    const char **err)
{
    BIO                *bio;
    EVP_PKEY           *pkey;
    unsigned            encrypted;
    approval_signer_t  *s;

    if (pem.len == 0 || pem.len > INT_MAX) {
        *err = "the key file is empty or too large";
        return NULL;
    }

    bio = BIO_new_mem_buf(pem.data, (int) pem.len);
    if (bio == NULL) {
        ERR_clear_error();
        *err = "no memory for the signing key";
        return NULL;
    }

    encrypted = 0;

    if (kind == APPROVAL_SIGNER_PRIVATE) {
        pkey = PEM_read_bio_PrivateKey(bio, NULL, approval_signer_password,
                                       &encrypted);
    } else {
        pkey = PEM_read_bio_PUBKEY(bio, NULL, approval_signer_password,
                                   &encrypted);
    }

    BIO_free(bio);

    s = NULL;
    *err = approval_signer_check(pkey, kind, encrypted);

    if (*err == NULL) {
        s = approval_signer_create(pkey, kind);
        pkey = NULL;

        if (s == NULL) {
            *err = "no memory for the signing key, or libcrypto has no "
                   "Ed25519";
        }
    }

    EVP_PKEY_free(pkey);
    ERR_clear_error();

    return s;
}


static const char *
approval_signer_check(EVP_PKEY *pkey, approval_signer_e kind,
    unsigned encrypted)
{
    if (pkey == NULL) {

        if (encrypted) {
            return "the key is encrypted, and nginx cannot ask for its "
                   "password: decrypt it with \"openssl pkey\"";
        }

        if (kind == APPROVAL_SIGNER_PUBLIC) {
            return "there is no public key in PEM: extract it with "
                   "\"openssl pkey -pubout\"";
        }

        return "there is no private key in PEM: create one with \"openssl "
               "genpkey -algorithm ed25519\"";
    }

    if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_ED25519) {
        return "the key is not an Ed25519 key: create one with \"openssl "
               "genpkey -algorithm ed25519\"";
    }

    return NULL;
}


/* Never prompts at the terminal: there may be none, or it is the operator's. */

static int
approval_signer_password(char *buf, int size, int rwflag, void *data)
{
    unsigned  *encrypted = data;

    (void) buf;
    (void) size;
    (void) rwflag;

    *encrypted = 1;

    return -1;
}


approval_signer_t *
approval_signer_derive(approval_keyring_t *k)
{
    size_t              i;
    approval_signer_t  *first, *s;

    first = NULL;

    for (i = 0; i < approval_keyring_size(k); i++) {
        s = approval_signer_derive_by(k, i);

        if (s == NULL) {
            approval_signer_destroy(first);
            return NULL;
        }

        if (first == NULL) {
            first = s;

        } else {
            (void) approval_signer_add(first, s);
        }
    }

    return first;
}


static approval_signer_t *
approval_signer_derive_by(approval_keyring_t *k, size_t n)
{
    EVP_PKEY        *pkey;
    approval_str_t   empty;
    unsigned char    seed[APPROVAL_MAC_LEN];

    empty.len = 0;
    empty.data = (const unsigned char *) "";

    if (approval_mac_by(k, n, "ed25519 seed", empty, seed) != APPROVAL_OK) {
        return NULL;
    }

    pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed,
                                        APPROVAL_ED25519_LEN);
    OPENSSL_cleanse(seed, sizeof(seed));

    if (pkey == NULL) {
        ERR_clear_error();
        return NULL;
    }

    return approval_signer_create(pkey, APPROVAL_SIGNER_PRIVATE);
}


/* Takes ownership of pkey, also on failure. */

static approval_signer_t *
approval_signer_create(EVP_PKEY *pkey, approval_signer_e kind)
{
    size_t              len;
    approval_signer_t  *s;

    s = calloc(1, sizeof(approval_signer_t));
    if (s == NULL) {
        EVP_PKEY_free(pkey);
        return NULL;
    }

    s->pkey = pkey;

    len = APPROVAL_ED25519_LEN;

    if (EVP_PKEY_get_raw_public_key(pkey, s->raw, &len) != 1
        || len != APPROVAL_ED25519_LEN)
    {
        goto failed;
    }

    if (approval_signer_thumbprint(s) != APPROVAL_OK) {
        goto failed;
    }

    s->verify = EVP_MD_CTX_new();

    if (s->verify == NULL
        || EVP_DigestVerifyInit(s->verify, NULL, NULL, NULL, pkey) != 1)
    {
        goto failed;
    }

    if (kind == APPROVAL_SIGNER_PUBLIC) {
        return s;
    }

    s->sign = EVP_MD_CTX_new();

    if (s->sign == NULL
        || EVP_DigestSignInit(s->sign, NULL, NULL, NULL, pkey) != 1)
    {
        goto failed;
    }

    return s;

failed:

    ERR_clear_error();
    approval_signer_destroy(s);

    return NULL;
}


/* RFC 7638, 3.2: the required members of a key of this kind, in order. */

static int
approval_signer_thumbprint(approval_signer_t *s)
{
    unsigned char   jwk[sizeof(APPROVAL_JWK_BEGIN) + sizeof(APPROVAL_JWK_END)
                        + approval_base64_size(APPROVAL_ED25519_LEN)];
    unsigned char   md[APPROVAL_SHA256_LEN];
    approval_str_t  text;

    text.data = jwk;
    text.len = sizeof(APPROVAL_JWK_BEGIN) - 1;

    memcpy(jwk, APPROVAL_JWK_BEGIN, text.len);

    text.len += approval_base64url_encode(jwk + text.len, s->raw,
                                          APPROVAL_ED25519_LEN);

    memcpy(jwk + text.len, APPROVAL_JWK_END, sizeof(APPROVAL_JWK_END) - 1);
    text.len += sizeof(APPROVAL_JWK_END) - 1;

    if (approval_sha256(text, md) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    (void) approval_base64url_encode(s->kid, md, sizeof(md));

    return APPROVAL_OK;
}


int
approval_signer_add(approval_signer_t *s, approval_signer_t *last)
{
    for ( ;; ) {
        if (memcmp(s->raw, last->raw, APPROVAL_ED25519_LEN) == 0) {
            approval_signer_destroy(last);
            return APPROVAL_DECLINED;
        }

        if (s->next == NULL) {
            break;
        }

        s = s->next;
    }

    s->next = last;

    return APPROVAL_OK;
}


approval_signer_t *
approval_signer_next(const approval_signer_t *s)
{
    return s->next;
}


approval_signer_t *
approval_signer_verifier(const approval_signer_t *s)
{
    EVP_PKEY           *pkey;
    approval_signer_t  *first, **p;

    first = NULL;

    for (p = &first; s; s = s->next) {
        pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, s->raw,
                                           APPROVAL_ED25519_LEN);

        *p = pkey ? approval_signer_create(pkey, APPROVAL_SIGNER_PUBLIC)
                  : NULL;

        if (*p == NULL) {
            ERR_clear_error();
            approval_signer_destroy(first);
            return NULL;
        }

        p = &(*p)->next;
    }

    return first;
}


void
approval_signer_destroy(approval_signer_t *s)
{
    approval_signer_t  *next;

    for ( /* void */ ; s; s = next) {
        next = s->next;

        EVP_MD_CTX_free(s->sign);
        EVP_MD_CTX_free(s->verify);
        EVP_PKEY_free(s->pkey);

        free(s);
    }
}


approval_str_t
approval_signer_kid(const approval_signer_t *s)
{
    approval_str_t  kid;

    kid.data = s->kid;
    kid.len = APPROVAL_KID_LEN;

    return kid;
}


int
approval_signer_public(const approval_signer_t *s, unsigned char raw[32])
{
    memcpy(raw, s->raw, APPROVAL_ED25519_LEN);

    return APPROVAL_OK;
}


int
approval_sign(approval_signer_t *s, approval_str_t data, unsigned char sig[64])
{
    size_t  len;

    if (s->sign == NULL) {
        return APPROVAL_ERROR;
    }

    len = APPROVAL_SIG_LEN;

    if (EVP_DigestSignInit(s->sign, NULL, NULL, NULL, s->pkey) != 1
        || EVP_DigestSign(s->sign, sig, &len, data.data, data.len) != 1
        || len != APPROVAL_SIG_LEN)
    {
        ERR_clear_error();
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


int
approval_verify(approval_signer_t *s, approval_str_t data, approval_str_t sig)
{
    if (sig.len != APPROVAL_SIG_LEN) {
        return APPROVAL_DECLINED;
    }

    if (EVP_DigestVerifyInit(s->verify, NULL, NULL, NULL, s->pkey) != 1) {
        ERR_clear_error();
        return APPROVAL_ERROR;
    }

    if (EVP_DigestVerify(s->verify, sig.data, sig.len, data.data, data.len)
        != 1)
    {
        ERR_clear_error();
        return APPROVAL_DECLINED;
    }

    return APPROVAL_OK;
}
