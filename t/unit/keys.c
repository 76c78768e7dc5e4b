
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Keys: known answers, rotation, and what must not open.
 */


#include "core/keys.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>


#define SECRET_A  "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
#define SECRET_B  "62626262626262626262626262626262"                          \
                  "62626262626262626262626262626262"
#define SECRET_C  "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M="


static approval_str_t
bytes(const void *data, size_t len)
{
    approval_str_t  s;

    s.data = data;
    s.len = len;

    return s;
}


static void
unhex(unsigned char *dst, const char *hex)
{
    (void) approval_hex_decode(dst, approval_str(hex));
}


static int
hex_is(const unsigned char *data, size_t len, const char *want)
{
    char  text[512];

    (void) approval_hex_encode((unsigned char *) text, data, len);

    return strlen(want) == 2 * len && memcmp(text, want, 2 * len) == 0;
}


static approval_keyring_t *
ring(const char *text)
{
    unsigned     line;
    const char  *err;

    return approval_keyring_parse(approval_str(text), &err, &line);
}


/* HKDF-SHA256 by hand (RFC 5869), so that libcrypto's is not its own judge. */

static void
hkdf(approval_str_t secret, approval_str_t salt, approval_str_t info,
    unsigned char *okm, size_t len)
{
    unsigned        n;
    unsigned char   prk[32], t[32], text[256], i;
    size_t          have, part;

    HMAC(EVP_sha256(), salt.data, (int) salt.len, secret.data, secret.len,
         prk, &n);

    have = 0;

    for (i = 1; len > 0; i++) {
        memcpy(text, t, have);
        memcpy(text + have, info.data, info.len);
        text[have + info.len] = i;

        HMAC(EVP_sha256(), prk, 32, text, have + info.len + 1, t, &n);

        have = 32;
        part = len < 32 ? len : 32;
        memcpy(okm, t, part);
        okm += part;
        len -= part;
    }
}


static void
test_known(void)
{
    unsigned             n;
    unsigned char        a[96], b[96], md[64], key[32];
    approval_str_t       data;
    approval_keyring_t  *k;

    /* FIPS 180-4 */

    ok(approval_sha256(approval_str("abc"), md) == APPROVAL_OK
       && hex_is(md, 32, "ba7816bf8f01cfea414140de5dae2223"
                         "b00361a396177a9cb410ff61f20015ad"),
       "FIPS 180-4: \"abc\"");
    ok(approval_sha256(approval_str(""), md) == APPROVAL_OK
       && hex_is(md, 32, "e3b0c44298fc1c149afbf4c8996fb924"
                         "27ae41e4649b934ca495991b7852b855"),
       "FIPS 180-4: \"\"");
    ok(approval_sha256(approval_str("abcdbcdecdefdefgefghfghighijhijkijkl"
                                    "jklmklmnlmnomnopnopq"), md)
       == APPROVAL_OK
       && hex_is(md, 32, "248d6a61d20638b8e5c026930c3e6039"
                         "a33ce45964ff2167f6ecedd419db06c1"),
       "FIPS 180-4: two blocks");

    /* RFC 4231, test cases 1 and 2 */

    memset(a, 0x0b, 20);
    HMAC(EVP_sha256(), a, 20, (unsigned char *) "Hi There", 8, md, &n);
    ok(hex_is(md, 32, "b0344c61d8db38535ca8afceaf0bf12b"
                      "881dc200c9833da726e9376c2e32cff7"),
       "RFC 4231: case 1");
    HMAC(EVP_sha256(), "Jefe", 4,
         (unsigned char *) "what do ya want for nothing?", 28, md, &n);
    ok(hex_is(md, 32, "5bdcc146bf60754e6a042426089575c7"
                      "5a003f089d2739839dec58b964ec3843"),
       "RFC 4231: case 2");

    /* RFC 5869, A.1 */

    unhex(a, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    unhex(b, "000102030405060708090a0b0cf0f1f2f3f4f5f6f7f8f9");
    hkdf(bytes(a, 22), bytes(b, 13), bytes(b + 13, 10), md, 42);
    ok(hex_is(md, 42, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d"
                      "56ecc4c5bf34007208d5b887185865"),
       "RFC 5869: A.1");

    /* A MAC is HMAC under HKDF(secret, salt, "m:" purpose). */

    k = ring(SECRET_A);
    if (!ok(k != NULL, "a keyring")) {
        return;
    }

    memset(a, 'a', 32);
    hkdf(bytes(a, 32), approval_str("ngx_http_approval_module v1"),
         approval_str("m:link"), key, 32);
    data = approval_str("what is signed");
    HMAC(EVP_sha256(), key, 32, data.data, data.len, b, &n);
    ok(approval_mac(k, "link", data, md) == APPROVAL_OK
       && memcmp(md, b, 32) == 0, "the MAC is HMAC under HKDF's key");

    approval_keyring_destroy(k);
}


static void
test_parse_one(const char *text, unsigned want, const char *part,
    const char *name)
{
    unsigned             line;
    const char          *err;
    approval_keyring_t  *k;

    err = "";
    line = 99;

    k = approval_keyring_parse(approval_str(text), &err, &line);

    ok(k == NULL && line == want && strstr(err, part), "refused: %s", name);
    approval_keyring_destroy(k);
}


static void
test_parse(void)
{
    size_t               i;
    char                 text[17 * 65 + 1];
    unsigned             line;
    const char          *err;
    unsigned char        m1[32], m2[32];
    approval_str_t       data;
    approval_keyring_t  *k, *k2;

    test_parse_one("", 1, "no secret", "an empty file");
    test_parse_one("# c\n\n  \n", 3, "no secret", "only comments");
    test_parse_one("# c\nc2hvcnQ=\n", 2, "fewer than 32", "a short secret");
    test_parse_one(SECRET_A "\n\nabc!\n", 3, "neither base64", "garbage");
    test_parse_one("62626262626262626262626262626262", 1, "fewer than 32",
                   "16 bytes in hex, though 24 in base64");
    test_parse_one("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE", 1,
                   "neither base64", "missing padding");
    test_parse_one("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWF=", 1,
                   "neither base64", "stray bits");
    test_parse_one(SECRET_A " " SECRET_C, 1, "neither base64",
                   "two on a line");
    test_parse_one(SECRET_A "\n"
                   "6161616161616161616161616161616161616161616161616161616161"
                   "616161\n", 2, "occurs twice", "the same secret twice");

    k = ring("# head\r\n\r\n \t" SECRET_A " \t\r\n" SECRET_B);
    ok(k != NULL, "blanks, comments, CR LF, no LF at the end");
    k2 = ring(SECRET_A "\n" SECRET_B "\n");

    data = approval_str("x");
    ok(k && k2 && approval_mac(k, "p", data, m1) == APPROVAL_OK
       && approval_mac(k2, "p", data, m2) == APPROVAL_OK
       && memcmp(m1, m2, 32) == 0, "the same keys");
    ok(k && approval_mac_by(k, 0, "p", data, m2) == APPROVAL_OK
       && memcmp(m1, m2, 32) == 0, "the first key by its number");

    approval_keyring_destroy(k2);
    k2 = ring(SECRET_B "\n");

    ok(k && k2 && approval_mac_by(k, 1, "p", data, m1) == APPROVAL_OK
       && approval_mac(k2, "p", data, m2) == APPROVAL_OK
       && memcmp(m1, m2, 32) == 0, "the second");
    ok(k && approval_mac_by(k, 2, "p", data, m1) == APPROVAL_DECLINED
       && approval_keyring_size(k) == 2, "there is no third");

    approval_keyring_destroy(k);
    approval_keyring_destroy(k2);

    k = ring("0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"
             "0123456789ABCDEF");
    k2 = ring("0123456789abcdef0123456789abcdef0123456789abcdef"
              "0123456789abcdef");
    ok(k && k2 && approval_mac(k, "p", data, m1) == APPROVAL_OK
       && approval_mac(k2, "p", data, m2) == APPROVAL_OK
       && memcmp(m1, m2, 32) == 0, "hex in upper case is hex");
    approval_keyring_destroy(k);
    approval_keyring_destroy(k2);

    for (i = 0; i < 17; i++) {
        snprintf(text + 65 * i, sizeof(text) - 65 * i, "%064zx\n", i + 1);
    }

    test_parse_one(text, 17, "more than 16", "17 secrets");
    text[65 * 16] = '\0';
    k = approval_keyring_parse(approval_str(text), &err, &line);
    ok(k != NULL, "16 secrets");
    approval_keyring_destroy(k);
    approval_keyring_destroy(NULL);
}


static void
test_mac(void)
{
    int                  good;
    size_t               i;
    unsigned char        mac[32], other[32];
    approval_str_t       data;
    approval_keyring_t  *old, *both, *new;

    old = ring(SECRET_A);
    both = ring(SECRET_B "\n" SECRET_A);
    new = ring(SECRET_B);

    if (!ok(old && both && new, "three rings")) {
        return;
    }

    data = approval_str("data");

    ok(approval_mac(old, "link", data, mac) == APPROVAL_OK, "made");
    is_int(approval_mac_verify(old, "link", data, bytes(mac, 32)),
           APPROVAL_OK, "verifies");
    is_int(approval_mac_verify(both, "link", data, bytes(mac, 32)),
           APPROVAL_OK, "verifies by a key that is not the first");
    is_int(approval_mac_verify(new, "link", data, bytes(mac, 32)),
           APPROVAL_DECLINED, "not by a ring without its key");
    is_int(approval_mac_verify(old, "nonce", data, bytes(mac, 32)),
           APPROVAL_DECLINED, "not for another purpose");
    is_int(approval_mac_verify(old, "link", approval_str("Data"),
                               bytes(mac, 32)),
           APPROVAL_DECLINED, "not for other data");
    is_int(approval_mac_verify(old, "link", data, bytes(mac, 31)),
           APPROVAL_DECLINED, "not cut");
    is_int(approval_mac_verify(old, "link", data, bytes(mac, 0)),
           APPROVAL_DECLINED, "not empty");

    good = 1;

    for (i = 0; i < 256; i++) {
        memcpy(other, mac, 32);
        other[i / 8] ^= (unsigned char) (1 << (i % 8));
        good &= approval_mac_verify(old, "link", data, bytes(other, 32))
                == APPROVAL_DECLINED;
    }

    ok(good, "not with any bit flipped");

    ok(approval_mac(both, "link", data, other) == APPROVAL_OK
       && approval_mac_verify(new, "link", data, bytes(other, 32))
          == APPROVAL_OK, "the first key signs");

    is_int(approval_mac(old, "a purpose whose name is longer than what any "
                        "purpose of the code will ever be", data, mac),
           APPROVAL_ERROR, "a purpose too long");

    ok(approval_mac(old, "link", bytes(NULL, 0), mac) == APPROVAL_OK
       && approval_mac_verify(old, "link", bytes(NULL, 0), bytes(mac, 32))
          == APPROVAL_OK, "no data at all");

    approval_keyring_destroy(old);
    approval_keyring_destroy(both);
    approval_keyring_destroy(new);
}


static void
test_seal(void)
{
    int                  good;
    size_t               i;
    unsigned char       *copy;
    approval_str_t       id, plain, s;
    approval_buf_t       sealed, again, out;
    approval_keyring_t  *old, *both, *new;

    old = ring(SECRET_A);
    both = ring(SECRET_B "\n" SECRET_A);
    new = ring(SECRET_B);

    if (!ok(old && both && new, "three rings")) {
        return;
    }

    approval_buf_init(&sealed);
    approval_buf_init(&again);
    approval_buf_init(&out);

    id = approval_str("0123456789abcdef0123456789abcdef");
    plain = approval_str("{\"who\":\"agent\"}");

    approval_buf_adds(&sealed, "head");
    ok(approval_seal(old, "doc", id, plain, &sealed) == APPROVAL_OK
       && sealed.len == 4 + plain.len + APPROVAL_SEAL_EXTRA
       && memcmp(sealed.data, "head", 4) == 0, "sealed, appended");
    s = bytes(sealed.data + 4, sealed.len - 4);

    approval_buf_adds(&out, "head");
    is_int(approval_open(old, "doc", id, s, &out), APPROVAL_OK, "opens");
    is_str(approval_buf_str(&out), "head{\"who\":\"agent\"}", "appended");

    approval_buf_reset(&out);
    is_int(approval_open(both, "doc", id, s, &out), APPROVAL_OK,
           "opens by a key that is not the first");
    is_int(approval_open(new, "doc", id, s, &out), APPROVAL_DECLINED,
           "not without its key");
    is_int(approval_open(old, "docs", id, s, &out), APPROVAL_DECLINED,
           "not for another purpose");
    is_int(approval_open(old, "doc", approval_str("0123456789abcdef01234567"
                                                  "89abcdee"), s, &out),
           APPROVAL_DECLINED, "not for another action");
    is_int(approval_open(old, "doc", bytes(NULL, 0), s, &out),
           APPROVAL_DECLINED, "not for none");
    is_int(out.len, plain.len, "what fails appends nothing");

    approval_buf_reset(&out);
    good = 1;
    copy = malloc(s.len);

    for (i = 0; copy && i < 8 * s.len; i++) {
        memcpy(copy, s.data, s.len);
        copy[i / 8] ^= (unsigned char) (1 << (i % 8));
        good &= approval_open(old, "doc", id, bytes(copy, s.len), &out)
                == APPROVAL_DECLINED;
    }

    ok(copy && good && out.len == 0, "not with any bit flipped");

    for (good = 1, i = 0; i < s.len; i++) {
        good &= approval_open(old, "doc", id, bytes(s.data, i), &out)
                == APPROVAL_DECLINED;
    }

    ok(good, "not cut anywhere");
    free(copy);

    ok(approval_seal(old, "doc", id, plain, &again) == APPROVAL_OK
       && memcmp(again.data, s.data, again.len) != 0
       && memcmp(again.data + 5, s.data + 5, 12) != 0, "every iv is another");

    approval_buf_reset(&again);
    approval_buf_reset(&out);
    ok(approval_seal(both, "doc", bytes(NULL, 0), bytes(NULL, 0), &again)
       == APPROVAL_OK && again.len == APPROVAL_SEAL_EXTRA
       && approval_open(new, "doc", bytes(NULL, 0), approval_buf_str(&again),
                        &out) == APPROVAL_OK && out.len == 0,
       "nothing, sealed by the first key");

    out.failed = 1;
    is_int(approval_open(old, "doc", id, s, &out), APPROVAL_ERROR,
           "a buffer that failed");
    is_int(approval_seal(old, "doc", id, plain, &out), APPROVAL_ERROR,
           "a buffer that failed, sealing");

    approval_buf_free(&sealed);
    approval_buf_free(&again);
    approval_buf_wipe(&out);

    approval_keyring_destroy(old);
    approval_keyring_destroy(both);
    approval_keyring_destroy(new);
}


/* A child of a fork uses what its parent made, and has its own randomness. */

static void
test_fork(void)
{
    int                  fd[2], status;
    pid_t                pid;
    ssize_t              n;
    unsigned char        mac[32], got[64], mine[32];
    approval_keyring_t  *k;

    k = ring(SECRET_A);

    if (k == NULL || approval_mac(k, "link", approval_str("x"), mac)
        || approval_random(mine, 32) || pipe(fd) == -1)
    {
        ok(0, "preparing a fork");
        return;
    }

    fflush(stdout);
    pid = fork();

    if (pid == 0) {
        n = -1;

        if (approval_mac(k, "link", approval_str("x"), got) == APPROVAL_OK
            && approval_random(got + 32, 32) == APPROVAL_OK)
        {
            n = write(fd[1], got, 64);
        }

        approval_keyring_destroy(k);
        _exit(n == 64 ? 0 : 1);
    }

    n = read(fd[0], got, 64);
    waitpid(pid, &status, 0);
    (void) approval_random(mine, 32);

    ok(n == 64 && status == 0 && memcmp(got, mac, 32) == 0,
       "the keys survive a fork");
    ok(n == 64 && memcmp(got + 32, mine, 32) != 0,
       "parent and child draw other numbers");

    close(fd[0]);
    close(fd[1]);
    approval_keyring_destroy(k);
}


static void
test_ids(void)
{
    char  a[APPROVAL_ID_LEN], b[APPROVAL_ID_LEN];

    ok(approval_id(a) == APPROVAL_OK && approval_id(b) == APPROVAL_OK
       && memcmp(a, b, sizeof(a)) != 0, "two ids");
    ok(approval_id_valid(bytes(a, 32)), "an id is valid");
    ok(!approval_id_valid(bytes(a, 31)), "not cut");
    ok(!approval_id_valid(bytes(NULL, 0)), "not empty");
    ok(!approval_id_valid(approval_str("0123456789ABCDEF0123456789abcdef")),
       "not in upper case");
    ok(!approval_id_valid(approval_str("0123456789abcdef0123456789abcdeg")),
       "not other letters");
}


/* The raw keys of RFC 8032, as PEM. */

static approval_signer_t *
signer(const char *seed)
{
    BIO                *bio;
    long                len;
    char               *pem;
    EVP_PKEY           *pkey;
    const char         *err;
    approval_signer_t  *s;
    unsigned char       raw[32];

    unhex(raw, seed);
    pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, 32);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
    len = BIO_get_mem_data(bio, &pem);

    s = approval_signer_pem(bytes(pem, len), &err);

    BIO_free(bio);
    EVP_PKEY_free(pkey);

    return s;
}


static void
test_rfc8032(const char *seed, const char *public, const char *message,
    const char *sig, const char *name)
{
    size_t              len;
    unsigned char       raw[32], data[64], got[64];
    approval_signer_t  *s;

    s = signer(seed);
    len = strlen(message) / 2;
    unhex(data, message);

    ok(s != NULL && approval_signer_public(s, raw) == APPROVAL_OK
       && hex_is(raw, 32, public), "RFC 8032 %s: public key", name);
    ok(s != NULL && approval_sign(s, bytes(data, len), got) == APPROVAL_OK
       && hex_is(got, 64, sig), "RFC 8032 %s: signature", name);
    ok(s != NULL && approval_verify(s, bytes(data, len), bytes(got, 64))
       == APPROVAL_OK, "RFC 8032 %s: verifies", name);

    approval_signer_destroy(s);
}


static void
test_sign(void)
{
    int                 good;
    size_t              i;
    unsigned            carry;
    approval_str_t      data;
    unsigned char       sig[64], bad[64], order[32];
    approval_signer_t  *s;

    test_rfc8032("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031c"
                 "ae7f60",
                 "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f7"
                 "07511a", "",
                 "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522"
                 "4901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246551"
                 "41438e7a100b", "test 1");
    test_rfc8032("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4f"
                 "b8a6fb",
                 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12a"
                 "f4660c", "72",
                 "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223eb"
                 "db69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d"
                 "291612bb0c00", "test 2");

    s = signer("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8"
               "a6fb");
    data = approval_str("data");

    if (!ok(s && approval_sign(s, data, sig) == APPROVAL_OK, "signed")) {
        return;
    }

    good = 1;

    for (i = 0; i < 512; i++) {
        memcpy(bad, sig, 64);
        bad[i / 8] ^= (unsigned char) (1 << (i % 8));
        good &= approval_verify(s, data, bytes(bad, 64)) == APPROVAL_DECLINED;
    }

    ok(good, "no signature with a bit flipped");

    is_int(approval_verify(s, approval_str("Data"), bytes(sig, 64)),
           APPROVAL_DECLINED, "not for other data");
    is_int(approval_verify(s, data, bytes(sig, 63)), APPROVAL_DECLINED,
           "not cut");

    /* S + L would verify where nobody looks: the malleable twin. */

    unhex(order, "edd3f55c1a631258d69cf7a2def9de14"
                 "00000000000000000000000000000010");
    memcpy(bad, sig, 64);

    for (carry = 0, i = 0; i < 32; i++) {
        carry += bad[32 + i] + order[i];
        bad[32 + i] = (unsigned char) carry;
        carry >>= 8;
    }

    is_int(approval_verify(s, data, bytes(bad, 64)), APPROVAL_DECLINED,
           "not the malleable twin");
    is_int(approval_verify(s, data, bytes(sig, 64)), APPROVAL_OK,
           "after all of these, the true one verifies");
    is_int(ERR_peek_error(), 0, "no error is left in libcrypto's queue");

    approval_signer_destroy(s);
    approval_signer_destroy(NULL);
}


static void
test_pem_one(EVP_PKEY *pkey, int kind, const char *password, const char *part,
    const char *name)
{
    BIO                *bio;
    char               *pem;
    long                len;
    const char         *err;
    approval_signer_t  *s;

    bio = BIO_new(BIO_s_mem());

    if (kind == 0) {
        PEM_write_bio_PUBKEY(bio, pkey);
    } else {
        PEM_write_bio_PKCS8PrivateKey(bio, pkey,
                                      password ? EVP_aes_256_cbc() : NULL,
                                      password,
                                      password ? (int) strlen(password) : 0,
                                      NULL, NULL);
    }

    len = BIO_get_mem_data(bio, &pem);

    err = "";
    s = approval_signer_pem(bytes(pem, len), &err);
    ok(s == NULL && strstr(err, part), "as signing key, %s: refused", name);
    approval_signer_destroy(s);

    BIO_free(bio);
}


static void
test_pem(void)
{
    BIO                *bio;
    char               *pem;
    long                len;
    EVP_PKEY           *ed, *ec;
    const char         *err;
    unsigned char       sig[64], raw[32], raw2[32];
    approval_str_t      data;
    approval_signer_t  *s, *pub;
    approval_keyring_t *k;

    ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    ec = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

    test_pem_one(ed, 0, NULL, "no private key", "a public key");
    test_pem_one(ed, 1, "secret", "encrypted", "an encrypted key");
    test_pem_one(ec, 1, NULL, "not an Ed25519", "an EC key");

    s = approval_signer_pem(approval_str(""), &err);
    ok(s == NULL && strstr(err, "empty"), "an empty file");
    s = approval_signer_pem(approval_str("hello"), &err);
    ok(s == NULL && strstr(err, "no private key"), "no PEM");
    s = approval_signer_public_pem(approval_str("hello"), &err);
    ok(s == NULL && strstr(err, "no public key"), "no PEM, public");

    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(bio, ed, NULL, NULL, 0, NULL, NULL);
    len = BIO_get_mem_data(bio, &pem);
    s = approval_signer_pem(bytes(pem, len), &err);
    BIO_free(bio);

    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, ed);
    len = BIO_get_mem_data(bio, &pem);
    pub = approval_signer_public_pem(bytes(pem, len), &err);
    BIO_free(bio);

    data = approval_str("data");

    ok(s && pub && approval_str_eq(approval_signer_kid(s),
                                   approval_signer_kid(pub))
       && approval_signer_kid(s).len == APPROVAL_KID_LEN,
       "the kid is the public key's");
    ok(s && pub && approval_sign(s, data, sig) == APPROVAL_OK
       && approval_verify(pub, data, bytes(sig, 64)) == APPROVAL_OK,
       "the public half verifies");
    is_int(approval_sign(pub, data, sig), APPROVAL_ERROR,
           "the public half does not sign");

    approval_signer_destroy(s);
    approval_signer_destroy(pub);

    k = ring(SECRET_A "\n" SECRET_B);
    s = approval_signer_derive(k);
    approval_keyring_destroy(k);
    k = ring(SECRET_A);
    pub = approval_signer_derive(k);
    approval_keyring_destroy(k);

    ok(s && pub && approval_signer_public(s, raw) == APPROVAL_OK
       && approval_signer_public(pub, raw2) == APPROVAL_OK
       && memcmp(raw, raw2, 32) == 0
       && approval_sign(s, data, sig) == APPROVAL_OK
       && approval_verify(pub, data, bytes(sig, 64)) == APPROVAL_OK,
       "derived from the first secret, always the same");
    ok(s && pub && approval_signer_next(s) && approval_signer_next(pub) == NULL,
       "and one from each other");

    /* the same key twice is one; its copy verifies, and does not sign */

    ok(s && pub && approval_signer_add(s, pub) == APPROVAL_DECLINED,
       "a key is there once");
    pub = approval_signer_verifier(s);
    ok(pub && approval_signer_next(pub)
       && approval_signer_next(approval_signer_next(pub)) == NULL
       && approval_verify(pub, data, bytes(sig, 64)) == APPROVAL_OK
       && approval_verify(approval_signer_next(pub), data, bytes(sig, 64))
          != APPROVAL_OK
       && approval_sign(pub, data, sig) != APPROVAL_OK,
       "public copies of all");

    approval_signer_destroy(s);
    approval_signer_destroy(pub);

    /* RFC 8037, A.3 */

    s = signer("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    ok(s && approval_str_eq(approval_signer_kid(s), approval_str(
               "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")),
       "the kid is the thumbprint of RFC 7638");
    approval_signer_destroy(s);
    EVP_PKEY_free(ed);
    EVP_PKEY_free(ec);
}


int
main(void)
{
    test_known();
    test_parse();
    test_mac();
    test_seal();
    test_fork();
    test_ids();
    test_sign();
    test_pem();

    return test_done();
}
