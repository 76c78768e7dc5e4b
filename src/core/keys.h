
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The keys of approval_key and approval_signing_key, and their use for MACs,
 * sealing and signing.  Uses only libcrypto; the caller reads the files.
 */


#ifndef APPROVAL_KEYS_H
#define APPROVAL_KEYS_H


#include "core/str.h"


#define APPROVAL_KEY_MIN      32       /* bytes of a secret       */
#define APPROVAL_KEYS_MAX     16       /* secrets in a file       */
#define APPROVAL_MAC_LEN      32       /* HMAC-SHA256             */
#define APPROVAL_SHA256_LEN   32
#define APPROVAL_ID_LEN       32       /* hex of 128 random bits  */
#define APPROVAL_SEAL_EXTRA   (1 + 4 + 12 + 16)  /* version, key id, iv, tag */


typedef struct approval_keyring_s  approval_keyring_t;   /* symmetric */
typedef struct approval_signer_s   approval_signer_t;    /* Ed25519   */


/*
 * Parses one secret per line, in base64 or hex, at least APPROVAL_KEY_MIN bytes
 * decoded.  Blank lines and lines that start with "#" are ignored.  The first
 * secret signs and seals, all verify and open.  Returns NULL with *err and
 * *line (from 1) on errors.
 */
approval_keyring_t *approval_keyring_parse(approval_str_t text,
    const char **err, unsigned *line);
void approval_keyring_destroy(approval_keyring_t *k);

/*
 * HMAC-SHA256 with a key that HKDF-SHA256 derives from the first secret for the
 * purpose: a key for "link" never verifies a MAC for "nonce".  Verification
 * accepts any secret of the ring and compares in constant time.
 */
int approval_mac(approval_keyring_t *k, const char *purpose,
    approval_str_t data, unsigned char mac[APPROVAL_MAC_LEN]);
int approval_mac_verify(approval_keyring_t *k, const char *purpose,
    approval_str_t data, approval_str_t mac);

/*
 * The same with secret n (from 0); APPROVAL_DECLINED if there are fewer.
 */
int approval_mac_by(approval_keyring_t *k, size_t n, const char *purpose,
    approval_str_t data, unsigned char mac[APPROVAL_MAC_LEN]);

size_t approval_keyring_size(const approval_keyring_t *k);

/*
 * AES-256-GCM with a derived key.  approval_seal() appends a version byte, the
 * key's id (4 bytes), the IV (12 random bytes), the ciphertext and the tag.
 * aad (the action's id) prevents the use of the result for another action.
 */
int approval_seal(approval_keyring_t *k, const char *purpose,
    approval_str_t aad, approval_str_t plain, approval_buf_t *out);
int approval_open(approval_keyring_t *k, const char *purpose,
    approval_str_t aad, approval_str_t sealed, approval_buf_t *out);

/*
 * Ed25519 signers are read from PEM (PKCS #8 private key) or, if no signing key
 * is configured, derived from the keyring.  The kid is the public key's
 * thumbprint (RFC 7638) in base64url.
 *
 * Other signers may be added to a signer.  The first signs, and all of them
 * verify.
 */
#define APPROVAL_KID_LEN      43

approval_signer_t *approval_signer_pem(approval_str_t pem, const char **err);
approval_signer_t *approval_signer_derive(approval_keyring_t *k);
approval_signer_t *approval_signer_public_pem(approval_str_t pem,
    const char **err);

/*
 * Adds "last" to s and takes ownership of it.  If the key is there already,
 * destroys "last" and returns APPROVAL_DECLINED.
 */
int approval_signer_add(approval_signer_t *s, approval_signer_t *last);
approval_signer_t *approval_signer_next(const approval_signer_t *s);

/* Copies all public keys for another thread; NULL if there is no memory. */
approval_signer_t *approval_signer_verifier(const approval_signer_t *s);

/* Destroys s and all signers added to it. */
void approval_signer_destroy(approval_signer_t *s);
approval_str_t approval_signer_kid(const approval_signer_t *s);
int approval_signer_public(const approval_signer_t *s, unsigned char raw[32]);
int approval_sign(approval_signer_t *s, approval_str_t data,
    unsigned char sig[64]);

/* Verifies with the key of s only, not with those added to it. */
int approval_verify(approval_signer_t *s, approval_str_t data,
    approval_str_t sig);

/* Return APPROVAL_ERROR if the random generator fails. */
int approval_random(unsigned char *dst, size_t len);
int approval_id(char dst[APPROVAL_ID_LEN]);
int approval_id_valid(approval_str_t id);

int approval_sha256(approval_str_t data, unsigned char md[APPROVAL_SHA256_LEN]);


#endif /* APPROVAL_KEYS_H */
