
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Makes and verifies compact JWS.
 */


#include "core/jws.h"
#include "core/readable.h"

#include <stdlib.h>
#include <string.h>


#define APPROVAL_JWS_MAX      (64 * 1024)  /* bytes of a token */
#define APPROVAL_JWS_SIG_LEN  64
#define APPROVAL_JWS_SIG_B64  86


static int approval_jws_header(approval_signer_t *s, const char *typ,
    approval_buf_t *out);
static void approval_jws_encode(approval_buf_t *out, approval_str_t s);
static int approval_jws_check(approval_signer_t *s, const char *typ,
    approval_str_t header);
static int approval_jws_signed(approval_signer_t *s, approval_str_t signing,
    approval_str_t sig);
static json_t *approval_jws_claims(approval_str_t payload, const char **err);


int
approval_jws_make(approval_signer_t *s, const char *typ, json_t *claims,
    approval_buf_t *out)
{
    int             rc;
    size_t          start;
    unsigned char   sig[APPROVAL_JWS_SIG_LEN];
    approval_str_t  str;
    approval_buf_t  text;

    if (!json_is_object(claims) || !approval_json_readable(claims)) {
        return APPROVAL_ERROR;
    }

    start = out->len;

    approval_buf_init(&text);

    rc = approval_json_canonical(claims, &text);

    if (rc == APPROVAL_OK) {
        rc = approval_jws_header(s, typ, out);
    }

    if (rc == APPROVAL_OK) {
        approval_buf_addc(out, '.');
        approval_jws_encode(out, approval_buf_str(&text));
        rc = (text.failed || out->failed) ? APPROVAL_ERROR : APPROVAL_OK;
    }

    approval_buf_free(&text);

    if (rc != APPROVAL_OK
        || out->len - start + 1 + APPROVAL_JWS_SIG_B64 > APPROVAL_JWS_MAX)
    {
        goto failed;
    }

    str.data = out->data + start;
    str.len = out->len - start;

    if (approval_sign(s, str, sig) != APPROVAL_OK) {
        goto failed;
    }

    str.data = sig;
    str.len = APPROVAL_JWS_SIG_LEN;

    approval_buf_addc(out, '.');
    approval_jws_encode(out, str);

    if (out->failed) {
        goto failed;
    }

    return APPROVAL_OK;

failed:

    out->len = start;

    return APPROVAL_ERROR;
}


/*
 * typ is a media type, always a literal in the code.  A typ that JSON would
 * have to escape is an error.
 */

static int
approval_jws_header(approval_signer_t *s, const char *typ, approval_buf_t *out)
{
    approval_str_t  kid;
    approval_buf_t  text;

    if (typ[strcspn(typ, "\"\\")] != '\0') {
        return APPROVAL_ERROR;
    }

    kid = approval_signer_kid(s);

    approval_buf_init(&text);
    approval_buf_adds(&text, "{\"alg\":\"EdDSA\",\"kid\":\"");
    approval_buf_add(&text, kid.data, kid.len);
    approval_buf_adds(&text, "\",\"typ\":\"");
    approval_buf_adds(&text, typ);
    approval_buf_adds(&text, "\"}");

    approval_jws_encode(out, approval_buf_str(&text));

    if (text.failed) {
        out->failed = 1;
    }

    approval_buf_free(&text);

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static void
approval_jws_encode(approval_buf_t *out, approval_str_t s)
{
    size_t         n;
    unsigned char  text[approval_base64_size(768)];

    /* slices of a multiple of three bytes need no padding between them */

    while (s.len) {
        n = s.len < 768 ? s.len : 768;

        approval_buf_add(out, text,
                         approval_base64url_encode(text, s.data, n));
        s.data += n;
        s.len -= n;
    }
}


json_t *
approval_jws_verify(approval_signer_t *s, const char *typ,
    approval_str_t token, const char **err)
{
    approval_str_t        header, payload, sig, signing;
    const unsigned char  *dot, *last;

    if (token.len == 0 || token.len > APPROVAL_JWS_MAX) {
        *err = "the JWS is empty or longer than 64 KiB";
        return NULL;
    }

    last = token.data + token.len;

    dot = memchr(token.data, '.', token.len);
    if (dot == NULL) {
        *err = "not a compact JWS";
        return NULL;
    }

    header.data = token.data;
    header.len = dot - token.data;
    payload.data = dot + 1;

    dot = memchr(payload.data, '.', last - payload.data);
    if (dot == NULL) {
        *err = "not a compact JWS";
        return NULL;
    }

    payload.len = dot - payload.data;
    signing.data = token.data;
    signing.len = dot - token.data;
    sig.data = dot + 1;
    sig.len = last - sig.data;

    while (s && approval_jws_check(s, typ, header) != APPROVAL_OK) {
        s = approval_signer_next(s);
    }

    if (s == NULL) {
        *err = "the JWS was signed by another key, or for another purpose";
        return NULL;
    }

    if (approval_jws_signed(s, signing, sig) != APPROVAL_OK) {
        *err = "the signature of the JWS is invalid";
        return NULL;
    }

    return approval_jws_claims(payload, err);
}


/*
 * A signer and a typ allow exactly one header.  So the header is compared and
 * never parsed, and the sender of a token cannot choose the algorithm.
 */

static int
approval_jws_check(approval_signer_t *s, const char *typ,
    approval_str_t header)
{
    int             rc;
    approval_buf_t  want;

    approval_buf_init(&want);

    rc = approval_jws_header(s, typ, &want);

    if (rc == APPROVAL_OK
        && !approval_str_eq(approval_buf_str(&want), header))
    {
        rc = APPROVAL_DECLINED;
    }

    approval_buf_free(&want);

    return rc;
}


static int
approval_jws_signed(approval_signer_t *s, approval_str_t signing,
    approval_str_t sig)
{
    unsigned char   raw[approval_base64_size(APPROVAL_JWS_SIG_LEN)];
    approval_str_t  str;

    if (sig.len != APPROVAL_JWS_SIG_B64
        || approval_base64url_decode(raw, sig) != APPROVAL_JWS_SIG_LEN)
    {
        return APPROVAL_DECLINED;
    }

    str.data = raw;
    str.len = APPROVAL_JWS_SIG_LEN;

    return approval_verify(s, signing, str);
}


static json_t *
approval_jws_claims(approval_str_t payload, const char **err)
{
    json_t          *claims;
    unsigned char   *text;
    approval_str_t   s;

    text = malloc(approval_base64_size(payload.len) + 1);
    if (text == NULL) {
        *err = "no memory for the claims of the JWS";
        return NULL;
    }

    s.data = text;
    s.len = approval_base64url_decode(text, payload);

    if (s.len == (size_t) -1) {
        free(text);
        *err = "the claims of the JWS are not base64url";
        return NULL;
    }

    claims = approval_json_parse(s, err);

    free(text);

    if (claims != NULL && !json_is_object(claims)) {
        json_decref(claims);
        *err = "the claims of the JWS are not an object";
        return NULL;
    }

    return claims;
}
