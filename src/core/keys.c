
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Parses symmetric keys, derives keys for each purpose, and uses them.
 */


#include "core/keys.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>


#define APPROVAL_KEY_MAX       1024    /* bytes of a secret, decoded */
#define APPROVAL_KEY_LINE_MAX  (2 * APPROVAL_KEY_MAX)
#define APPROVAL_KEY_ID_LEN    4
#define APPROVAL_KEY_LEN       32      /* of every derived key */
#define APPROVAL_SEAL_VERSION  1
#define APPROVAL_SEAL_IV_LEN   12
#define APPROVAL_SEAL_TAG_LEN  16
#define APPROVAL_SEAL_HEAD     (1 + APPROVAL_KEY_ID_LEN + APPROVAL_SEAL_IV_LEN)
#define APPROVAL_PURPOSE_MAX   64

#define APPROVAL_KEY_SALT      "ngx_http_approval_module v1"


/*
 * The first letter of the info for HKDF.  It separates keys for MACs from keys
 * for sealing, even if both have the same purpose.
 */

typedef enum {
    APPROVAL_USE_ID = 'i',
    APPROVAL_USE_MAC = 'm',
    APPROVAL_USE_SEAL = 's'
} approval_use_e;


typedef struct {
    unsigned char         prk[APPROVAL_KEY_LEN];     /* HKDF-Extract */
    unsigned char         id[APPROVAL_KEY_ID_LEN];
} approval_secret_t;


/* Derived on first use and kept: there are few purposes, all literals. */

typedef struct approval_purpose_s  approval_purpose_t;

struct approval_purpose_s {
    approval_purpose_t   *next;
    approval_use_e        use;
    char                  name[APPROVAL_PURPOSE_MAX];
    unsigned char         keys[APPROVAL_KEYS_MAX][APPROVAL_KEY_LEN];
};


struct approval_keyring_s {
    EVP_KDF              *hkdf;
    EVP_MAC_CTX          *mac;
    EVP_CIPHER_CTX       *seal;
    EVP_CIPHER_CTX       *open;
    approval_purpose_t   *purposes;
    size_t                n;
    approval_secret_t     secrets[APPROVAL_KEYS_MAX];
};


static approval_keyring_t *approval_keyring_create(void);
static const char *approval_keyring_add(approval_keyring_t *k,
    approval_str_t line);
static const char *approval_keyring_decode(approval_str_t line,
    unsigned char *secret, size_t *len);
static int approval_hkdf_extract(approval_keyring_t *k,
    const unsigned char *secret, size_t len, approval_secret_t *s);
static int approval_hkdf_expand(approval_keyring_t *k,
    const approval_secret_t *s, approval_use_e use, const char *purpose,
    unsigned char *dst, size_t len);
static int approval_hkdf(approval_keyring_t *k, OSSL_PARAM *params,
    unsigned char *dst, size_t len);
static approval_purpose_t *approval_purpose(approval_keyring_t *k,
    approval_use_e use, const char *name);
static int approval_hmac(approval_keyring_t *k, const unsigned char *key,
    approval_str_t data, unsigned char mac[APPROVAL_MAC_LEN]);
static int approval_seal_with(approval_keyring_t *k, const unsigned char *key,
    approval_str_t aad, approval_str_t plain, unsigned char *dst);
static int approval_open_with(approval_keyring_t *k, const unsigned char *key,
    approval_str_t aad, approval_str_t sealed, unsigned char *dst);


approval_keyring_t *
approval_keyring_parse(approval_str_t text, const char **err, unsigned *line)
{
    const unsigned char  *p, *last, *lf;
    approval_str_t        s;
    approval_keyring_t   *k;

    *line = 1;

    k = approval_keyring_create();
    if (k == NULL) {
        *err = "no memory for the keys, or libcrypto has no HKDF-SHA256, HMAC "
               "or AES-256-GCM";
        return NULL;
    }

    p = text.data;
    last = p + text.len;

    for (*line = 0; p < last; p = lf + 1) {
        lf = memchr(p, '\n', last - p);
        if (lf == NULL) {
            lf = last;
        }

        (*line)++;

        s.data = p;
        s.len = lf - p;
        s = approval_str_trim(s);

        if (s.len == 0 || s.data[0] == '#') {
            continue;
        }

        *err = approval_keyring_add(k, s);
        if (*err != NULL) {
            approval_keyring_destroy(k);
            return NULL;
        }
    }

    if (k->n == 0) {
        *line = *line ? *line : 1;
        *err = "the file contains no secret: create one with \"openssl rand "
               "-base64 32\"";
        approval_keyring_destroy(k);
        return NULL;
    }

    return k;
}


static approval_keyring_t *
approval_keyring_create(void)
{
    EVP_MAC             *mac;
    EVP_CIPHER          *gcm;
    OSSL_PARAM           params[2];
    approval_keyring_t  *k;

    k = calloc(1, sizeof(approval_keyring_t));
    if (k == NULL) {
        return NULL;
    }

    /* fetching is slow in OpenSSL 3, so it is done only once, here */

    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);

    k->hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    k->mac = mac ? EVP_MAC_CTX_new(mac) : NULL;
    k->seal = EVP_CIPHER_CTX_new();
    k->open = EVP_CIPHER_CTX_new();

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    if (k->hkdf == NULL || k->mac == NULL || gcm == NULL || k->seal == NULL
        || k->open == NULL || EVP_MAC_CTX_set_params(k->mac, params) != 1
        || EVP_EncryptInit_ex2(k->seal, gcm, NULL, NULL, NULL) != 1
        || EVP_DecryptInit_ex2(k->open, gcm, NULL, NULL, NULL) != 1)
    {
        ERR_clear_error();
        approval_keyring_destroy(k);
        k = NULL;
    }

    /* the contexts hold their own references */

    EVP_MAC_free(mac);
    EVP_CIPHER_free(gcm);

    return k;
}


void
approval_keyring_destroy(approval_keyring_t *k)
{
    approval_purpose_t  *p, *next;

    if (k == NULL) {
        return;
    }

    for (p = k->purposes; p; p = next) {
        next = p->next;
        OPENSSL_cleanse(p, sizeof(approval_purpose_t));
        free(p);
    }

    EVP_KDF_free(k->hkdf);
    EVP_MAC_CTX_free(k->mac);
    EVP_CIPHER_CTX_free(k->seal);
    EVP_CIPHER_CTX_free(k->open);

    OPENSSL_cleanse(k, sizeof(approval_keyring_t));
    free(k);
}


static const char *
approval_keyring_add(approval_keyring_t *k, approval_str_t line)
{
    int                 rc;
    size_t              i, len;
    const char         *err;
    unsigned char       secret[APPROVAL_KEY_LINE_MAX];
    approval_secret_t  *s;

    if (k->n == APPROVAL_KEYS_MAX) {
        return "more than 16 secrets: remove the oldest ones, at the end of "
               "the file";
    }

    len = 0;
    s = &k->secrets[k->n];

    err = approval_keyring_decode(line, secret, &len);

    if (err == NULL) {
        rc = approval_hkdf_extract(k, secret, len, s);
        err = (rc == APPROVAL_OK) ? NULL : "libcrypto failed to derive a key";
    }

    OPENSSL_cleanse(secret, sizeof(secret));

    if (err != NULL) {
        return err;
    }

    for (i = 0; i < k->n; i++) {
        if (CRYPTO_memcmp(k->secrets[i].prk, s->prk, APPROVAL_KEY_LEN) == 0) {
            return "the same secret occurs twice: remove one of the lines";
        }
    }

    k->n++;

    return NULL;
}


/*
 * A line that consists only of hex digits is hex.  Read as base64, it would
 * give another secret than intended.  "secret" must have room for
 * APPROVAL_KEY_LINE_MAX bytes.
 */

static const char *
approval_keyring_decode(approval_str_t line, unsigned char *secret,
    size_t *len)
{
    size_t          i;
    unsigned        hex;
    unsigned char   c;
    unsigned char   lower[APPROVAL_KEY_LINE_MAX];
    approval_str_t  s;

    if (line.len > APPROVAL_KEY_LINE_MAX) {
        return "a secret is longer than 1024 bytes";
    }

    hex = 1;

    for (i = 0; i < line.len && hex; i++) {
        c = line.data[i];
        lower[i] = (c >= 'A' && c <= 'F') ? (c | 0x20) : c;
        hex = (c >= '0' && c <= '9')
              || (lower[i] >= 'a' && lower[i] <= 'f');
    }

    if (hex) {
        s.data = lower;
        s.len = line.len;
        *len = approval_hex_decode(secret, s);

    } else {
        *len = approval_base64_decode(secret, line);
    }

    OPENSSL_cleanse(lower, sizeof(lower));

    if (*len == (size_t) -1) {
        return "a secret is neither base64 (with its padding) nor hex: create "
               "one with \"openssl rand -base64 32\"";
    }

    if (*len < APPROVAL_KEY_MIN) {
        return "a secret has fewer than 32 bytes: create one with \"openssl "
               "rand -base64 32\"";
    }

    if (*len > APPROVAL_KEY_MAX) {
        return "a secret is longer than 1024 bytes";
    }

    return NULL;
}


static int
approval_hkdf_extract(approval_keyring_t *k, const unsigned char *secret,
    size_t len, approval_secret_t *s)
{
    int         mode;
    OSSL_PARAM  params[5];

    mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                                 "SHA256", 0);
    params[1] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
                                                  (void *) secret, len);
    params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
                                                  APPROVAL_KEY_SALT,
                                           sizeof(APPROVAL_KEY_SALT) - 1);
    params[4] = OSSL_PARAM_construct_end();

    if (approval_hkdf(k, params, s->prk, APPROVAL_KEY_LEN) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    return approval_hkdf_expand(k, s, APPROVAL_USE_ID, "", s->id,
                                APPROVAL_KEY_ID_LEN);
}


static int
approval_hkdf_expand(approval_keyring_t *k, const approval_secret_t *s,
    approval_use_e use, const char *purpose, unsigned char *dst, size_t len)
{
    int            mode;
    size_t         n;
    OSSL_PARAM     params[5];
    unsigned char  info[2 + APPROVAL_PURPOSE_MAX];

    n = strlen(purpose);
    if (n >= APPROVAL_PURPOSE_MAX) {
        return APPROVAL_ERROR;
    }

    info[0] = (unsigned char) use;
    info[1] = ':';
    memcpy(info + 2, purpose, n);

    mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                                 "SHA256", 0);
    params[1] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
                                                  (void *) s->prk,
                                                  APPROVAL_KEY_LEN);
    params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info,
                                                  2 + n);
    params[4] = OSSL_PARAM_construct_end();

    return approval_hkdf(k, params, dst, len);
}


static int
approval_hkdf(approval_keyring_t *k, OSSL_PARAM *params, unsigned char *dst,
    size_t len)
{
    int           rc;
    EVP_KDF_CTX  *ctx;

    ctx = EVP_KDF_CTX_new(k->hkdf);

    rc = (ctx && EVP_KDF_derive(ctx, dst, len, params) == 1) ? APPROVAL_OK
                                                             : APPROVAL_ERROR;
    EVP_KDF_CTX_free(ctx);

    if (rc != APPROVAL_OK) {
        OPENSSL_cleanse(dst, len);
        ERR_clear_error();
    }

    return rc;
}


static approval_purpose_t *
approval_purpose(approval_keyring_t *k, approval_use_e use, const char *name)
{
    size_t               i;
    approval_purpose_t  *p;

    for (p = k->purposes; p; p = p->next) {
        if (p->use == use && strcmp(p->name, name) == 0) {
            return p;
        }
    }

    if (strlen(name) >= APPROVAL_PURPOSE_MAX) {
        return NULL;
    }

    p = calloc(1, sizeof(approval_purpose_t));
    if (p == NULL) {
        return NULL;
    }

    for (i = 0; i < k->n; i++) {
        if (approval_hkdf_expand(k, &k->secrets[i], use, name, p->keys[i],
                                 APPROVAL_KEY_LEN)
            != APPROVAL_OK)
        {
            OPENSSL_cleanse(p, sizeof(approval_purpose_t));
            free(p);
            return NULL;
        }
    }

    p->use = use;
    strcpy(p->name, name);

    p->next = k->purposes;
    k->purposes = p;

    return p;
}


static int
approval_hmac(approval_keyring_t *k, const unsigned char *key,
    approval_str_t data, unsigned char mac[APPROVAL_MAC_LEN])
{
    size_t  len;

    if (EVP_MAC_init(k->mac, key, APPROVAL_KEY_LEN, NULL) != 1
        || EVP_MAC_update(k->mac, data.data, data.len) != 1
        || EVP_MAC_final(k->mac, mac, &len, APPROVAL_MAC_LEN) != 1
        || len != APPROVAL_MAC_LEN)
    {
        ERR_clear_error();
        OPENSSL_cleanse(mac, APPROVAL_MAC_LEN);
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


int
approval_mac(approval_keyring_t *k, const char *purpose, approval_str_t data,
    unsigned char mac[APPROVAL_MAC_LEN])
{
    return approval_mac_by(k, 0, purpose, data, mac);
}


int
approval_mac_by(approval_keyring_t *k, size_t n, const char *purpose,
    approval_str_t data, unsigned char mac[APPROVAL_MAC_LEN])
{
    approval_purpose_t  *p;

    if (n >= k->n) {
        return APPROVAL_DECLINED;
    }

    p = approval_purpose(k, APPROVAL_USE_MAC, purpose);
    if (p == NULL) {
        return APPROVAL_ERROR;
    }

    return approval_hmac(k, p->keys[n], data, mac);
}


size_t
approval_keyring_size(const approval_keyring_t *k)
{
    return k->n;
}


int
approval_mac_verify(approval_keyring_t *k, const char *purpose,
    approval_str_t data, approval_str_t mac)
{
    int                  rc;
    size_t               i;
    unsigned char        want[APPROVAL_MAC_LEN];
    approval_purpose_t  *p;

    if (mac.len != APPROVAL_MAC_LEN) {
        return APPROVAL_DECLINED;
    }

    p = approval_purpose(k, APPROVAL_USE_MAC, purpose);
    if (p == NULL) {
        return APPROVAL_ERROR;
    }

    rc = APPROVAL_DECLINED;

    for (i = 0; i < k->n && rc == APPROVAL_DECLINED; i++) {
        rc = approval_hmac(k, p->keys[i], data, want);

        if (rc == APPROVAL_OK
            && CRYPTO_memcmp(want, mac.data, APPROVAL_MAC_LEN) != 0)
        {
            rc = APPROVAL_DECLINED;
        }
    }

    OPENSSL_cleanse(want, sizeof(want));

    return rc;
}


/*
 * Each aad (each action) has its own key.  With a common key, random 96-bit IVs
 * could repeat, which would limit the number of actions that one secret may
 * seal.
 */

int
approval_seal(approval_keyring_t *k, const char *purpose, approval_str_t aad,
    approval_str_t plain, approval_buf_t *out)
{
    int                  rc;
    unsigned char       *dst, key[APPROVAL_KEY_LEN];
    approval_purpose_t  *p;

    if (plain.len > INT_MAX - APPROVAL_SEAL_EXTRA || aad.len > INT_MAX) {
        return APPROVAL_ERROR;
    }

    p = approval_purpose(k, APPROVAL_USE_SEAL, purpose);
    if (p == NULL) {
        return APPROVAL_ERROR;
    }

    dst = malloc(plain.len + APPROVAL_SEAL_EXTRA);
    if (dst == NULL) {
        return APPROVAL_ERROR;
    }

    dst[0] = APPROVAL_SEAL_VERSION;
    memcpy(dst + 1, k->secrets[0].id, APPROVAL_KEY_ID_LEN);

    rc = approval_random(dst + 1 + APPROVAL_KEY_ID_LEN, APPROVAL_SEAL_IV_LEN);

    if (rc == APPROVAL_OK) {
        rc = approval_hmac(k, p->keys[0], aad, key);
    }

    if (rc == APPROVAL_OK) {
        rc = approval_seal_with(k, key, aad, plain, dst);
        OPENSSL_cleanse(key, sizeof(key));
    }

    if (rc == APPROVAL_OK) {
        approval_buf_add(out, dst, plain.len + APPROVAL_SEAL_EXTRA);
        rc = out->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    free(dst);

    return rc;
}


/* Appends ciphertext and tag to the head, which is in dst already. */

static int
approval_seal_with(approval_keyring_t *k, const unsigned char *key,
    approval_str_t aad, approval_str_t plain, unsigned char *dst)
{
    int             n;
    unsigned char  *iv, *p;

    iv = dst + 1 + APPROVAL_KEY_ID_LEN;
    p = dst + APPROVAL_SEAL_HEAD;

    if (EVP_EncryptInit_ex2(k->seal, NULL, key, iv, NULL) != 1
        || (aad.len && EVP_EncryptUpdate(k->seal, NULL, &n, aad.data,
                                         (int) aad.len) != 1)
        || (plain.len && EVP_EncryptUpdate(k->seal, p, &n, plain.data,
                                           (int) plain.len) != 1)
        || EVP_EncryptFinal_ex(k->seal, p + plain.len, &n) != 1
        || EVP_CIPHER_CTX_ctrl(k->seal, EVP_CTRL_AEAD_GET_TAG,
                               APPROVAL_SEAL_TAG_LEN, p + plain.len) != 1)
    {
        ERR_clear_error();
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


int
approval_open(approval_keyring_t *k, const char *purpose, approval_str_t aad,
    approval_str_t sealed, approval_buf_t *out)
{
    int                  rc;
    size_t               i, len;
    unsigned char       *dst, key[APPROVAL_KEY_LEN];
    approval_purpose_t  *p;

    if (sealed.len < APPROVAL_SEAL_EXTRA || sealed.len > INT_MAX
        || aad.len > INT_MAX || sealed.data[0] != APPROVAL_SEAL_VERSION)
    {
        return APPROVAL_DECLINED;
    }

    p = approval_purpose(k, APPROVAL_USE_SEAL, purpose);
    if (p == NULL) {
        return APPROVAL_ERROR;
    }

    len = sealed.len - APPROVAL_SEAL_EXTRA;

    dst = malloc(len + 1);
    if (dst == NULL) {
        return APPROVAL_ERROR;
    }

    rc = APPROVAL_DECLINED;

    for (i = 0; i < k->n && rc == APPROVAL_DECLINED; i++) {

        if (memcmp(sealed.data + 1, k->secrets[i].id, APPROVAL_KEY_ID_LEN)
            != 0)
        {
            continue;
        }

        rc = approval_hmac(k, p->keys[i], aad, key);
        if (rc == APPROVAL_OK) {
            rc = approval_open_with(k, key, aad, sealed, dst);
            OPENSSL_cleanse(key, sizeof(key));
        }
    }

    if (rc == APPROVAL_OK) {
        approval_buf_add(out, dst, len);
        rc = out->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    OPENSSL_cleanse(dst, len);
    free(dst);

    return rc;
}


static int
approval_open_with(approval_keyring_t *k, const unsigned char *key,
    approval_str_t aad, approval_str_t sealed, unsigned char *dst)
{
    int                   n;
    size_t                len;
    const unsigned char  *iv, *p;

    len = sealed.len - APPROVAL_SEAL_EXTRA;
    iv = sealed.data + 1 + APPROVAL_KEY_ID_LEN;
    p = sealed.data + APPROVAL_SEAL_HEAD;

    if (EVP_DecryptInit_ex2(k->open, NULL, key, iv, NULL) != 1
        || (aad.len && EVP_DecryptUpdate(k->open, NULL, &n, aad.data,
                                         (int) aad.len) != 1)
        || (len && EVP_DecryptUpdate(k->open, dst, &n, p, (int) len) != 1)
        || EVP_CIPHER_CTX_ctrl(k->open, EVP_CTRL_AEAD_SET_TAG,
                               APPROVAL_SEAL_TAG_LEN, (void *) (p + len)) != 1)
    {
        ERR_clear_error();
        return APPROVAL_ERROR;
    }

    if (EVP_DecryptFinal_ex(k->open, dst + len, &n) != 1) {
        ERR_clear_error();
        return APPROVAL_DECLINED;
    }

    return APPROVAL_OK;
}
