
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Assertions of a software key: what holds, and each byte that must.
 */


#include "test.h"

#include "core/passkey.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include <dlfcn.h>
#include <fido.h>
#include <stdlib.h>


#define ORIGIN  "https://gw.example.com"
#define UP      0x01
#define UV      0x04
#define AT      0x40


static EVP_PKEY  *key;
static unsigned char  point[65];
static unsigned  parsed;

static const unsigned char  credential[] = "credential 1";


static void
put(approval_buf_t *out, const void *data, size_t len)
{
    unsigned char  text[2 * APPROVAL_PASSKEY_PART_MAX];

    approval_buf_add(out, text, approval_base64url_encode(text, data, len));
}


static void
client_data(approval_buf_t *out, const char *type, const char *origin,
    const unsigned char *challenge, const char *more)
{
    size_t         len;
    unsigned char  text[64];

    len = approval_base64url_encode(text, challenge, APPROVAL_SHA256_LEN);

    approval_buf_printf(out, "{\"type\":\"%s\",\"challenge\":\"%.*s\","
                        "\"origin\":\"%s\"%s}", type, (int) len, text, origin,
                        more);
}


static void
auth_data(approval_buf_t *out, const char *rp, unsigned flags, unsigned count)
{
    unsigned char  md[APPROVAL_SHA256_LEN], tail[5];

    approval_sha256(approval_str(rp), md);
    approval_buf_add(out, md, sizeof(md));

    tail[0] = (unsigned char) flags;
    tail[1] = (unsigned char) (count >> 24);
    tail[2] = (unsigned char) (count >> 16);
    tail[3] = (unsigned char) (count >> 8);
    tail[4] = (unsigned char) count;

    approval_buf_add(out, tail, sizeof(tail));
}


/* A credential's id and its key, as COSE has it. */

static void
attested(approval_buf_t *out)
{
    unsigned char  aaguid[16];

    memset(aaguid, 0, sizeof(aaguid));

    approval_buf_add(out, aaguid, sizeof(aaguid));
    approval_buf_addc(out, 0);
    approval_buf_addc(out, sizeof(credential) - 1);
    approval_buf_add(out, credential, sizeof(credential) - 1);
    approval_buf_add(out, "\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", 10);
    approval_buf_add(out, point + 1, 32);
    approval_buf_add(out, "\x22\x58\x20", 3);
    approval_buf_add(out, point + 33, 32);
}


static void
assertion(approval_buf_t *out, approval_buf_t *client, approval_buf_t *auth)
{
    size_t          len;
    EVP_MD_CTX     *ctx;
    unsigned char   md[APPROVAL_SHA256_LEN], sig[128];

    approval_sha256(approval_buf_str(client), md);

    ctx = EVP_MD_CTX_new();
    len = sizeof(sig);

    if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1
        || EVP_DigestSignUpdate(ctx, auth->data, auth->len) != 1
        || EVP_DigestSignUpdate(ctx, md, sizeof(md)) != 1
        || EVP_DigestSignFinal(ctx, sig, &len) != 1)
    {
        abort();
    }

    EVP_MD_CTX_free(ctx);

    put(out, credential, sizeof(credential) - 1);
    approval_buf_addc(out, '.');
    put(out, client->data, client->len);
    approval_buf_addc(out, '.');
    put(out, auth->data, auth->len);
    approval_buf_addc(out, '.');
    put(out, sig, len);
}


/* What becomes of an assertion of these parts; *count is set. */

static int
judged(const char *type, const char *origin, const unsigned char *signed_for,
    const char *more, const char *rp, unsigned flags, const char **err)
{
    int                       rc;
    uint32_t                  count;
    approval_buf_t            client, auth, text;
    unsigned char             challenge[APPROVAL_SHA256_LEN];
    approval_passkey_key_t    k;
    approval_passkey_proof_t  proof;

    approval_buf_init(&client);
    approval_buf_init(&auth);
    approval_buf_init(&text);

    memset(challenge, 7, sizeof(challenge));

    client_data(&client, type, origin, signed_for, more);
    auth_data(&auth, rp, flags, 9);
    assertion(&text, &client, &auth);

    k.alg = -7;
    k.len = 64;
    memcpy(k.raw, point + 1, 64);

    *err = "not read";
    count = 0;

    rc = approval_passkey_read(approval_buf_str(&text), &proof);

    if (rc == APPROVAL_OK) {
        rc = approval_passkey_verify(&proof, approval_str(ORIGIN), challenge,
                                     &k, &count, err);
        approval_passkey_free(&proof);
    }

    if (rc == APPROVAL_OK && count != 9) {
        rc = APPROVAL_ERROR;
    }

    approval_buf_free(&client);
    approval_buf_free(&auth);
    approval_buf_free(&text);

    return rc;
}


static void
test_verify(void)
{
    const char     *err;
    unsigned char   good[APPROVAL_SHA256_LEN], other[APPROVAL_SHA256_LEN];

    memset(good, 7, sizeof(good));
    memset(other, 8, sizeof(other));

    is_int(judged("webauthn.get", ORIGIN, good, "", "gw.example.com", UP | UV,
                  &err), APPROVAL_OK, "an assertion holds");
    is_int(judged("webauthn.get", ORIGIN, good, ",\"crossOrigin\":false,"
                  "\"other\":1", "gw.example.com", UP | UV, &err),
           APPROVAL_OK, "with members that browsers add");

    is_int(judged("webauthn.create", ORIGIN, good, "", "gw.example.com",
                  UP | UV, &err), APPROVAL_DECLINED, "another type");
    is_str(approval_str(err), "its client data has another type", "and why");

    is_int(judged("webauthn.get", "https://gw.example.com:8443", good, "",
                  "gw.example.com", UP | UV, &err), APPROVAL_DECLINED,
           "another port");
    is_str(approval_str(err), "it was created on a page of another origin",
           "and why");
    is_int(judged("webauthn.get", ORIGIN, good, ",\"crossOrigin\":true",
                  "gw.example.com", UP | UV, &err), APPROVAL_DECLINED,
           "in a frame of another site");
    is_int(judged("webauthn.get", ORIGIN, good, ",\"topOrigin\":\"https://x\"",
                  "gw.example.com", UP | UV, &err), APPROVAL_DECLINED,
           "and in whose");

    is_int(judged("webauthn.get", ORIGIN, other, "", "gw.example.com", UP | UV,
                  &err), APPROVAL_DECLINED, "another challenge");
    is_str(approval_str(err), "it was created for another vote",
           "and why");

    is_int(judged("webauthn.get", ORIGIN, good, "", "example.com", UP | UV,
                  &err), APPROVAL_DECLINED, "another relying party");
    is_int(judged("webauthn.get", ORIGIN, good, "", "gw.example.com", UP,
                  &err), APPROVAL_DECLINED, "a user who was not verified");
    is_str(approval_str(err), "its authenticator did not verify the user",
           "and why");
    is_int(judged("webauthn.get", ORIGIN, good, "", "gw.example.com", UV,
                  &err), APPROVAL_DECLINED, "a user who was not present");
    is_int(judged("webauthn.get", ORIGIN, good, ",\"type\":\"webauthn.get\"",
                  "gw.example.com", UP | UV, &err), APPROVAL_DECLINED,
           "a member twice");
}


static void
test_enrol(void)
{
    unsigned                  flags;
    uint32_t                  count;
    const char               *err;
    approval_buf_t            client, auth, text;
    unsigned char             challenge[APPROVAL_SHA256_LEN];
    approval_passkey_key_t    k;
    approval_passkey_proof_t  proof;

    approval_passkey_enrol_challenge(approval_str("alice"),
                                     approval_str("nonce"), challenge);

    for (flags = UP | UV | AT; ; flags &= ~UV) {
        approval_buf_init(&client);
        approval_buf_init(&auth);
        approval_buf_init(&text);

        client_data(&client, "webauthn.create", ORIGIN, challenge, "");
        auth_data(&auth, "gw.example.com", flags, 3);
        attested(&auth);

        put(&text, credential, sizeof(credential) - 1);
        approval_buf_addc(&text, '.');
        put(&text, client.data, client.len);
        approval_buf_addc(&text, '.');
        put(&text, auth.data, auth.len);

        ok(approval_passkey_read(approval_buf_str(&text), &proof)
           == APPROVAL_OK, "enrol: read");

        if (flags & UV) {
            is_int(approval_passkey_enrol(&proof, approval_str(ORIGIN),
                                          challenge, &k, &count, &err),
                   APPROVAL_OK, "enrol: a key of ES256");
            is_int(k.alg, -7, "its algorithm");
            is_int(k.len, 64, "its length");
            ok(memcmp(k.raw, point + 1, 64) == 0, "the key itself");
            is_int(count, 3, "its counter");
            is_int(approval_passkey_enrol(&proof,
                                          approval_str("https://example.com"),
                                          challenge, &k, &count, &err),
                   APPROVAL_DECLINED, "enrol: another origin");

            proof.id.data[0] ^= 1;
            is_int(approval_passkey_enrol(&proof, approval_str(ORIGIN),
                                          challenge, &k, &count, &err),
                   APPROVAL_DECLINED, "enrol: another id");
            proof.id.data[0] ^= 1;
            proof.auth.data[0] ^= 1;
            is_int(approval_passkey_enrol(&proof, approval_str(ORIGIN),
                                          challenge, &k, &count, &err),
                   APPROVAL_DECLINED, "enrol: another relying party");

        } else {
            is_int(approval_passkey_enrol(&proof, approval_str(ORIGIN),
                                          challenge, &k, &count, &err),
                   APPROVAL_DECLINED, "enrol: a user who was not verified");
        }

        approval_passkey_free(&proof);
        approval_buf_free(&client);
        approval_buf_free(&auth);
        approval_buf_free(&text);

        if (!(flags & UV)) {
            break;
        }
    }
}


/* Called instead of libfido2's: counts what it is given to parse. */

int
fido_cred_set_authdata_raw(fido_cred_t *cred, const unsigned char *data,
    size_t len)
{
    int  (*set)(fido_cred_t *, const unsigned char *, size_t);

    parsed++;
    *(void **) &set = dlsym(RTLD_NEXT, "fido_cred_set_authdata_raw");

    return set(cred, data, len);
}


/*
 * The data's own length of the id says where libfido2 looks for the key: there
 * must be no list that claims to have 4 million members.
 */

static void
test_lengths(void)
{
    size_t                    i;
    uint32_t                  count;
    const char               *err;
    unsigned char             challenge[APPROVAL_SHA256_LEN];
    approval_buf_t            client, auth, text;
    approval_passkey_key_t    k;
    approval_passkey_proof_t  proof;

    memset(challenge, 7, sizeof(challenge));

    for (i = 0; i < sizeof(credential) + 1; i++) {
        approval_buf_init(&client);
        approval_buf_init(&auth);
        approval_buf_init(&text);

        client_data(&client, "webauthn.create", ORIGIN, challenge, "");
        auth_data(&auth, "gw.example.com", UP | UV | AT, 3);
        attested(&auth);

        auth.data[54] = (unsigned char) i;
        memcpy(auth.data + 56, "\x9b\0\0\0\0\0\x40\0\0", 9);

        put(&text, auth.data + 55, sizeof(credential) - 1);
        approval_buf_addc(&text, '.');
        put(&text, client.data, client.len);
        approval_buf_addc(&text, '.');
        put(&text, auth.data, auth.len);

        ok(approval_passkey_read(approval_buf_str(&text), &proof)
           == APPROVAL_OK, "an id of %d bytes: read", (int) i);

        parsed = 0;
        is_int(approval_passkey_enrol(&proof, approval_str(ORIGIN), challenge,
                                      &k, &count, &err),
               i == sizeof(credential) - 1 ? APPROVAL_OK : APPROVAL_DECLINED,
               "enrolled only with the length of the posted one");
        is_int(parsed, i == sizeof(credential) - 1,
               "libfido2 parses no other");

        approval_passkey_free(&proof);
        approval_buf_free(&client);
        approval_buf_free(&auth);
        approval_buf_free(&text);
    }
}


static void
test_origin(void)
{
    size_t       i;
    const char  *err;

    static const char  *good[] = {
        "https://gw.example.com", "https://gw.example.com:8443", "https://gw",
        "https://a-b.c1", "http://localhost", "http://localhost:8080",
        "https://localhost", "https://1.2.3.4.example"
    };
    static const char  *bad[] = {
        "", "https://", "gw.example.com", "http://gw.example.com",
        "https://GW.example.com", "https://gw.example.com/",
        "https://gw.example.com:", "https://gw.example.com:443",
        "https://gw.example.com:0443", "https://gw.example.com:123456",
        "https://gw.example.com:8a", "https://10.0.0.1", "https://[::1]",
        "https://gw..example", "https://.gw", "https://gw.",
        "https://u@gw.example", "http://localhost:80", "http://localhost.evil",
        "http://localhostx", "https://gw.example.com?x", "https://g w"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ok(approval_passkey_origin(approval_str(good[i]), &err)
           == APPROVAL_OK, "an origin: %s", good[i]);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(approval_passkey_origin(approval_str(bad[i]), &err)
           == APPROVAL_DECLINED, "no origin: %s", bad[i]);
    }

    is_str(approval_passkey_rp(approval_str("https://gw.example:8443")),
           "gw.example", "its host");
    is_str(approval_passkey_rp(approval_str("http://localhost")), "localhost",
           "its host, without TLS");
}


/* Each of the parts changes it. */

static void
test_challenge(void)
{
    char                      shown[2][APPROVAL_PASSKEY_SHOWN_LEN];
    size_t                    i;
    json_t                   *doc;
    unsigned char             facts[APPROVAL_SHA256_LEN];
    unsigned char             md[4][APPROVAL_SHA256_LEN];
    approval_str_t            s;
    approval_passkey_shown_t  v, w;

    doc = json_pack("{s:s, s:s, s:{s:s}}", "rule", "r", "summary", "Drop a",
                    "show", "table", "a");
    approval_passkey_facts(doc, facts);

    v.action = approval_str("0123456789abcdef0123456789abcdef");
    v.digest = approval_str("sha256:00");
    v.approver = approval_str("alice");
    v.nonce = approval_str("n");
    v.facts = facts;

    approval_passkey_shown(&v, shown[0]);

    for (i = 0; i < 5; i++) {
        w = v;

        switch (i) {
        case 0: w.action = approval_str("1123456789abcdef0123456789abcdef");
                break;
        case 1: w.digest = approval_str("sha256:01"); break;
        case 2: w.approver = approval_str("bob"); break;
        case 3: w.nonce = approval_str("m"); break;
        case 4:
            json_object_set_new(json_object_get(doc, "show"), "table",
                                json_string("b"));
            approval_passkey_facts(doc, facts);
            break;
        }

        approval_passkey_shown(&w, shown[1]);
        ok(memcmp(shown[0], shown[1], sizeof(shown[0])) != 0,
           "what was shown has part %d", (int) i);
    }

    json_decref(doc);

    s.data = (unsigned char *) shown[0];
    s.len = sizeof(shown[0]);

    approval_passkey_challenge(s, approval_str("approve"), approval_str("c"),
                               md[0]);
    approval_passkey_challenge(s, approval_str("deny"), approval_str("c"),
                               md[1]);
    approval_passkey_challenge(s, approval_str("approve"), approval_str("d"),
                               md[2]);
    approval_passkey_challenge(s, approval_str("approve"), approval_str("c"),
                               md[3]);

    ok(memcmp(md[0], md[1], sizeof(md[0])) != 0, "a challenge: the decision");
    ok(memcmp(md[0], md[2], sizeof(md[0])) != 0, "and the comment");
    ok(memcmp(md[0], md[3], sizeof(md[0])) == 0, "and nothing else");
}


static void
test_confirmed(void)
{
    json_t      *claims;
    size_t       i;
    const char  *err;

    static const struct {
        int          good;
        const char  *cnf;
        const char  *name;
    } cases[] = {
        { 0, "[]", "nobody" },
        { 1, "[{\"sub\":\"o\",\"grp\":\"\",\"opr\":true}]", "an operator" },
        { 0, "[{\"sub\":\"b\",\"grp\":\"g\",\"opr\":false}]", "one member" },
        { 1, "[{\"sub\":\"b\",\"grp\":\"x g\"},{\"sub\":\"c\",\"grp\":\"g\"}]",
          "two of one group" },
        { 0, "[{\"sub\":\"b\",\"grp\":\"x\"},{\"sub\":\"c\",\"grp\":\"xy\"}]",
          "two of two groups" },
        { 0, "[{\"sub\":\"b\",\"grp\":\"g\"},{\"sub\":\"b\",\"grp\":\"g\"}]",
          "one twice" },
        { 0, "[{\"sub\":\"b\",\"grp\":\"\"},{\"sub\":\"c\",\"grp\":\"\"}]",
          "two of none" },
        { 0, "[{\"sub\":\"a\",\"grp\":\"g\"},{\"sub\":\"c\",\"grp\":\"g\"}]",
          "the owner" },
        { 0, "[{\"sub\":\"a\",\"opr\":true}]", "the owner, an operator" },
        { 0, "[{\"grp\":\"g\"},{\"sub\":\"c\",\"grp\":\"g\"}]", "no name" },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        claims = json_pack("{s:s, s:o}", "sub", "a", "cnf",
                           approval_json_parse(approval_str(cases[i].cnf),
                                               &err));

        is_int(approval_passkey_confirmed(claims), cases[i].good,
               cases[i].name);
        json_decref(claims);
    }
}


int
main(void)
{
    size_t  len;

    key = EVP_EC_gen("P-256");

    if (key == NULL
        || EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
                                           sizeof(point), &len)
           != 1
        || len != sizeof(point))
    {
        abort();
    }

    test_verify();
    test_enrol();
    test_lengths();
    test_origin();
    test_challenge();
    test_confirmed();

    EVP_PKEY_free(key);

    return test_done();
}
