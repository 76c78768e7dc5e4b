
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Votes, decisions and receipts as JWS.
 */


#include "core/jws.h"
#include "test.h"

#include <stdlib.h>


#define TYP      "approval-vote+jwt"

/* The key of RFC 8037, A.1, as PKCS #8 (it is RFC 8032's test 1, too). */
#define RFC8037  "-----BEGIN PRIVATE KEY-----\n"                              \
                 "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7"   \
                 "rAMcrn9g\n"                                                 \
                 "-----END PRIVATE KEY-----\n"


static approval_signer_t  *signer;
static approval_signer_t  *foreign;


static json_t *
claims(void)
{
    return json_pack("{s:s, s:i, s:s}", "vote", "approve", "iat", 1,
                     "action", "0123456789abcdef0123456789abcdef");
}


/* A token of these three parts, its signature by s over the first two. */

static void
forge(approval_signer_t *s, const char *header, approval_str_t payload,
    approval_buf_t *out)
{
    size_t           n;
    unsigned char    sig[64], *text;
    approval_str_t   h;

    h = approval_str(header);
    text = malloc(approval_base64_size(payload.len + h.len + 64));

    approval_buf_reset(out);

    n = approval_base64url_encode(text, h.data, h.len);
    approval_buf_add(out, text, n);
    approval_buf_addc(out, '.');

    n = approval_base64url_encode(text, payload.data, payload.len);
    approval_buf_add(out, text, n);

    (void) approval_sign(s, approval_buf_str(out), sig);

    approval_buf_addc(out, '.');
    n = approval_base64url_encode(text, sig, 64);
    approval_buf_add(out, text, n);

    free(text);
}


static void
header_of(const char *alg, approval_str_t kid, const char *typ, char *dst,
    size_t size)
{
    snprintf(dst, size, "{\"alg\":\"%s\",\"kid\":\"%.*s\",\"typ\":\"%s\"}",
             alg, (int) kid.len, (const char *) kid.data, typ);
}


static void
refused(approval_str_t token, const char *why, const char *name)
{
    json_t      *value;
    const char  *err;

    err = "";
    value = approval_jws_verify(signer, TYP, token, &err);

    ok(value == NULL && strstr(err, why) != NULL, "refused: %s", name);

    if (value == NULL && strstr(err, why) == NULL) {
        printf("#   because: %s\n", err);
    }

    json_decref(value);
}


/* RFC 8037, A.4: its signing input and its signature. */

static void
test_rfc8037(void)
{
    size_t          n;
    unsigned char   sig[64], text[88];
    approval_str_t  got;

    ok(approval_sign(signer,
                     approval_str("eyJhbGciOiJFZERTQSJ9."
                                  "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
                     sig)
       == APPROVAL_OK, "signed");

    n = approval_base64url_encode(text, sig, 64);
    got.data = text;
    got.len = n;

    is_str(got, "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylG"
           "jg5BhVsPt9g7sVvpAr_MuM0KAg", "RFC 8037: A.4");
}


static void
test_round(void)
{
    char             header[256];
    json_t          *in, *value;
    const char      *err;
    approval_buf_t   out, twin;
    approval_str_t   s;

    approval_buf_init(&out);
    approval_buf_init(&twin);

    in = claims();

    approval_buf_adds(&out, "head");
    is_int(approval_jws_make(signer, TYP, in, &out), APPROVAL_OK, "made");
    s.data = out.data + 4;
    s.len = out.len - 4;

    value = approval_jws_verify(signer, TYP, s, &err);
    ok(value != NULL && json_equal(value, in), "verified, the same claims");
    json_decref(value);

    header_of("EdDSA", approval_signer_kid(signer), TYP, header,
              sizeof(header));
    forge(signer, header,
          approval_str("{\"action\":\"0123456789abcdef0123456789abcdef\","
                       "\"iat\":1,\"vote\":\"approve\"}"), &twin);
    ok(approval_str_eq(s, approval_buf_str(&twin)),
       "header and claims are canonical");

    value = approval_jws_verify(foreign, TYP, s, &err);
    ok(value == NULL && strstr(err, "another key"), "not by another key");
    value = approval_jws_verify(signer, "approval-decision+jwt", s, &err);
    ok(value == NULL && strstr(err, "another purpose"),
       "a vote is not a decision");

    approval_buf_reset(&out);
    is_int(approval_jws_make(signer, "a\"b", in, &out), APPROVAL_ERROR,
           "no typ that would have to be escaped");
    json_decref(in);

    in = json_array();
    is_int(approval_jws_make(signer, TYP, in, &out), APPROVAL_ERROR,
           "claims are an object");
    is_int(out.len, 0, "what fails writes nothing");
    json_decref(in);

    approval_buf_free(&out);
    approval_buf_free(&twin);
}


static void
test_headers(void)
{
    size_t           i;
    char             header[256];
    approval_buf_t   out;
    approval_str_t   payload, kid;
    const char      *algs[] = { "none", "HS256", "ES256", "Ed25519", "eddsa",
                                "" };

    approval_buf_init(&out);
    payload = approval_str("{\"a\":1}");
    kid = approval_signer_kid(signer);

    for (i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
        header_of(algs[i], kid, TYP, header, sizeof(header));
        forge(signer, header, payload, &out);
        refused(approval_buf_str(&out), "another key", algs[i]);
    }

    header_of("EdDSA", approval_signer_kid(foreign), TYP, header,
              sizeof(header));
    forge(signer, header, payload, &out);
    refused(approval_buf_str(&out), "another key", "another kid");

    header_of("EdDSA", kid, TYP, header, sizeof(header));
    forge(foreign, header, payload, &out);
    refused(approval_buf_str(&out), "signature", "our kid, their signature");

    header_of("EdDSA", kid, "JWT", header, sizeof(header));
    forge(signer, header, payload, &out);
    refused(approval_buf_str(&out), "another", "another typ");

    forge(signer, "{\"alg\":\"EdDSA\"}", payload, &out);
    refused(approval_buf_str(&out), "another", "no kid, no typ");

    forge(signer, "", payload, &out);
    refused(approval_buf_str(&out), "another", "no header");

    header_of("EdDSA", kid, TYP "\",\"crit\":[\"x\"],\"x\":\"", header,
              sizeof(header));
    forge(signer, header, payload, &out);
    refused(approval_buf_str(&out), "another", "an extended header");

    approval_buf_free(&out);
}


static void
test_claims(void)
{
    size_t           i;
    char             header[256];
    approval_buf_t   out;
    const char      *bad[] = { "", "[]", "1", "null", "{\"a\":1,\"a\":2}",
                               "{\"a\":\"\xff\"}", "{}x", "{" };

    approval_buf_init(&out);
    header_of("EdDSA", approval_signer_kid(signer), TYP, header,
              sizeof(header));

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        forge(signer, header, approval_str(bad[i]), &out);
        refused(approval_buf_str(&out), "", "signed, but no claims");
    }

    approval_buf_free(&out);
}


static void
test_altered(void)
{
    int              good;
    size_t           i, n;
    json_t          *in, *value;
    const char      *err;
    approval_buf_t   out;
    approval_str_t   s;
    unsigned char   *copy;

    approval_buf_init(&out);
    in = claims();
    (void) approval_jws_make(signer, TYP, in, &out);
    json_decref(in);

    n = out.len;
    copy = calloc(1, 64 * 1024 + 1);

    if (!ok(copy != NULL && n > 100, "a token")) {
        approval_buf_free(&out);
        return;
    }

    for (good = 1, i = 0; i < 8 * n; i++) {
        memcpy(copy, out.data, n);
        copy[i / 8] ^= (unsigned char) (1 << (i % 8));
        s.data = copy;
        s.len = n;
        value = approval_jws_verify(signer, TYP, s, &err);
        good &= value == NULL;
        json_decref(value);
    }

    ok(good, "no bit can be another");

    for (good = 1, i = 0; i < n; i++) {
        s.data = out.data;
        s.len = i;
        value = approval_jws_verify(signer, TYP, s, &err);
        good &= value == NULL;
        json_decref(value);
    }

    ok(good, "not cut anywhere");

    memcpy(copy, out.data, n);
    s.data = copy;

    copy[n] = '=';
    s.len = n + 1;
    refused(s, "signature", "padding");
    copy[n] = '.';
    refused(s, "signature", "a fourth part");
    copy[n] = '\n';
    refused(s, "signature", "a line's end");

    s.len = 64 * 1024 + 1;
    refused(s, "longer than", "too long");

    free(copy);
    approval_buf_free(&out);
}


static void
test_size(void)
{
    char            *big;
    json_t          *in, *value;
    const char      *err;
    approval_buf_t   out;

    big = malloc(65536);
    memset(big, 'x', 65536);

    approval_buf_init(&out);

    in = json_object();
    json_object_set_new(in, "comment", json_stringn(big, 48000));
    ok(approval_jws_make(signer, TYP, in, &out) == APPROVAL_OK,
       "48,000 bytes of a comment");
    value = approval_jws_verify(signer, TYP, approval_buf_str(&out), &err);
    ok(value != NULL && json_equal(value, in), "verify");
    json_decref(value);

    approval_buf_reset(&out);
    json_object_set_new(in, "comment", json_stringn(big, 65536));
    ok(approval_jws_make(signer, TYP, in, &out) == APPROVAL_ERROR
       && out.len == 0, "no token is made that would not verify");

    json_decref(in);
    free(big);
    approval_buf_free(&out);
}


int
main(void)
{
    unsigned             line;
    const char          *err;
    approval_keyring_t  *k;

    k = approval_keyring_parse(
            approval_str("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="),
            &err, &line);

    signer = approval_signer_pem(approval_str(RFC8037), &err);
    foreign = k ? approval_signer_derive(k) : NULL;

    if (ok(signer != NULL && foreign != NULL, "two signers")) {
        test_rfc8037();
        test_round();
        test_headers();
        test_claims();
        test_altered();
        test_size();
    }

    approval_signer_destroy(signer);
    approval_signer_destroy(foreign);
    approval_keyring_destroy(k);

    return test_done();
}
