
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/passkey.h"

#include <fido.h>
#include <fido/eddsa.h>
#include <fido/es256.h>
#include <fido/rs256.h>

#include <stdlib.h>
#include <string.h>


static int passkey_part(approval_str_t text, size_t *at, approval_buf_t *out);
static int passkey_digest(approval_buf_t *text,
    unsigned char md[APPROVAL_SHA256_LEN]);
static int passkey_client(approval_str_t client, const char *type,
    approval_str_t origin, const unsigned char challenge[APPROVAL_SHA256_LEN],
    const char **err);
static int passkey_is(json_t *client, const char *name, approval_str_t value);
static fido_cred_t *passkey_credential(const approval_passkey_proof_t *p,
    int *alg);
static int passkey_alg(const approval_passkey_proof_t *p);
static int passkey_assertion(const approval_passkey_proof_t *p,
    const char *rp, const approval_passkey_key_t *key, uint32_t *count,
    const char **err);
static int passkey_check(const fido_assert_t *assertion,
    const approval_passkey_key_t *key);


/* Authenticator data: a hash of the site, flags, a counter, then the rest. */
#define PASSKEY_FLAGS  APPROVAL_SHA256_LEN
#define PASSKEY_FIXED  (APPROVAL_SHA256_LEN + 1 + 4)
#define PASSKEY_ID     (PASSKEY_FIXED + 16 + 2)


/*
 * The encoding of public keys in authenticator data: CBOR in CTAP2's canonical
 * form, the only one that WebAuthn allows.  libfido2 never gets any other
 * form, because libcbor allocates and fills as much as a list claims to have.
 */

static const struct {
    int          alg;
    size_t       len;
    const char  *head;
    size_t       head_len;
    size_t       at;                     /* offset of "between" */
    const char  *between;
    size_t       between_len;
} passkey_forms[] = {

    { COSE_ES256, 77, "\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", 10,
      42, "\x22\x58\x20", 3 },

    { COSE_EDDSA, 42, "\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20", 10,
      0, "", 0 },

    { COSE_RS256, 272, "\xa4\x01\x03\x03\x39\x01\x00\x20\x59\x01\x00", 11,
      267, "\x21\x43", 2 }
};


int
approval_passkey_read(approval_str_t text, approval_passkey_proof_t *p)
{
    size_t  at;

    approval_buf_init(&p->id);
    approval_buf_init(&p->client);
    approval_buf_init(&p->auth);
    approval_buf_init(&p->signature);

    at = 0;

    if (passkey_part(text, &at, &p->id) == APPROVAL_OK
        && passkey_part(text, &at, &p->client) == APPROVAL_OK
        && passkey_part(text, &at, &p->auth) == APPROVAL_OK
        && (at > text.len
            || passkey_part(text, &at, &p->signature) == APPROVAL_OK)
        && at > text.len)
    {
        return APPROVAL_OK;
    }

    approval_passkey_free(p);

    return APPROVAL_DECLINED;
}


/* After the last part, "at" is beyond the end of the text. */

static int
passkey_part(approval_str_t text, size_t *at, approval_buf_t *out)
{
    size_t          end, len;
    unsigned char   raw[APPROVAL_PASSKEY_PART_MAX];
    approval_str_t  part;

    if (*at > text.len) {
        return APPROVAL_DECLINED;
    }

    end = approval_str_find(text, *at, ".");
    part = approval_str_sub(text, *at, end);

    *at = end + 1;

    if (part.len == 0 || part.len > sizeof(raw)) {
        return APPROVAL_DECLINED;
    }

    len = approval_base64url_decode(raw, part);

    if (len == (size_t) -1) {
        return APPROVAL_DECLINED;
    }

    approval_buf_add(out, raw, len);

    return out->failed ? APPROVAL_DECLINED : APPROVAL_OK;
}


void
approval_passkey_free(approval_passkey_proof_t *p)
{
    approval_buf_free(&p->id);
    approval_buf_free(&p->client);
    approval_buf_free(&p->auth);
    approval_buf_free(&p->signature);
}


int
approval_passkey_shown(const approval_passkey_shown_t *s,
    char out[APPROVAL_PASSKEY_SHOWN_LEN])
{
    approval_buf_t  text;
    unsigned char   md[APPROVAL_SHA256_LEN], hex[2 * APPROVAL_SHA256_LEN];

    approval_buf_init(&text);
    approval_buf_adds(&text, "approval-vote 1\n");
    approval_buf_add(&text, s->action.data, s->action.len);
    approval_buf_addc(&text, '\n');
    approval_buf_add(&text, s->digest.data, s->digest.len);
    approval_buf_addc(&text, '\n');
    approval_buf_add(&text, hex, approval_hex_encode(hex, s->facts,
                                                     APPROVAL_SHA256_LEN));
    approval_buf_addc(&text, '\n');
    approval_buf_add(&text, s->nonce.data, s->nonce.len);
    approval_buf_addc(&text, '\n');
    approval_buf_add(&text, s->approver.data, s->approver.len);

    if (passkey_digest(&text, md) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    approval_hex_encode((unsigned char *) out, md, sizeof(md));

    return APPROVAL_OK;
}


static int
passkey_digest(approval_buf_t *text, unsigned char md[APPROVAL_SHA256_LEN])
{
    int  rc;

    rc = text->failed ? APPROVAL_ERROR
                      : approval_sha256(approval_buf_str(text), md);
    approval_buf_free(text);

    return rc;
}


int
approval_passkey_facts(json_t *doc, unsigned char md[APPROVAL_SHA256_LEN])
{
    int              rc;
    size_t           i;
    json_t          *facts, *value;
    approval_buf_t   text;

    static const char  *names[] = {
        "policy", "rule", "action", "risk", "summary", "requester",
        "on_behalf_of", "reason", "method", "host", "matched", "show",
        "require", "remember"
    };

    facts = json_object();
    rc = facts ? 0 : -1;

    for (i = 0; rc == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        value = json_object_get(doc, names[i]);

        if (value) {
            rc = json_object_set(facts, names[i], value);
        }
    }

    approval_buf_init(&text);

    if (rc == 0) {
        rc = approval_json_canonical(facts, &text);
    }

    json_decref(facts);

    if (rc != APPROVAL_OK) {
        approval_buf_free(&text);
        return APPROVAL_ERROR;
    }

    return passkey_digest(&text, md);
}


int
approval_passkey_challenge(approval_str_t shown, approval_str_t decision,
    approval_str_t comment, unsigned char md[APPROVAL_SHA256_LEN])
{
    approval_buf_t  text;
    unsigned char   hex[2 * APPROVAL_SHA256_LEN];

    if (approval_sha256(comment, md) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    approval_buf_init(&text);
    approval_buf_add(&text, shown.data, shown.len);
    approval_buf_addc(&text, '\n');
    approval_buf_add(&text, decision.data, decision.len);
    approval_buf_addc(&text, '\n');
    approval_buf_add(&text, hex,
                     approval_hex_encode(hex, md, APPROVAL_SHA256_LEN));

    return passkey_digest(&text, md);
}


int
approval_passkey_enrol_challenge(approval_str_t person, approval_str_t nonce,
    unsigned char md[APPROVAL_SHA256_LEN])
{
    approval_buf_t  text;

    approval_buf_init(&text);
    approval_buf_adds(&text, "approval-passkey 1\n");
    approval_buf_add(&text, nonce.data, nonce.len);
    approval_buf_addc(&text, '\n');
    approval_buf_add(&text, person.data, person.len);

    return passkey_digest(&text, md);
}


static int
passkey_client(approval_str_t client, const char *type,
    approval_str_t origin, const unsigned char challenge[APPROVAL_SHA256_LEN],
    const char **err)
{
    int              rc;
    json_t          *json, *cross;
    approval_str_t   text;
    unsigned char    encoded[approval_base64_size(APPROVAL_SHA256_LEN)];

    *err = "its client data cannot be read";

    json = approval_json_parse(client, err);

    text.data = encoded;
    text.len = approval_base64url_encode(encoded, challenge,
                                         APPROVAL_SHA256_LEN);

    cross = json_object_get(json, "crossOrigin");
    rc = APPROVAL_DECLINED;

    if (!json_is_object(json)) {
        *err = "its client data is not a JSON object";

    } else if (!passkey_is(json, "type", approval_str(type))) {
        *err = "its client data has another type";

    } else if (!passkey_is(json, "origin", origin)
               || (cross && !json_is_false(cross))
               || json_object_get(json, "topOrigin"))
    {
        *err = "it was created on a page of another origin";

    } else if (!passkey_is(json, "challenge", text)) {
        *err = "it was created for another vote";

    } else {
        rc = APPROVAL_OK;
    }

    json_decref(json);

    return rc;
}


static int
passkey_is(json_t *client, const char *name, approval_str_t value)
{
    json_t          *member;
    approval_str_t   text;

    member = json_object_get(client, name);

    if (!json_is_string(member)) {
        return 0;
    }

    text.data = (const unsigned char *) json_string_value(member);
    text.len = json_string_length(member);

    return approval_str_eq(text, value);
}


int
approval_passkey_enrol(const approval_passkey_proof_t *p,
    approval_str_t origin, const unsigned char challenge[APPROVAL_SHA256_LEN],
    approval_passkey_key_t *key, uint32_t *count, const char **err)
{
    int             rc;
    fido_cred_t    *cred;
    unsigned char   md[APPROVAL_SHA256_LEN];

    if (passkey_client(approval_buf_str(&p->client), "webauthn.create",
                       origin, challenge, err)
        != APPROVAL_OK)
    {
        return APPROVAL_DECLINED;
    }

    cred = passkey_credential(p, &key->alg);

    *err = "its authenticator data has no ES256, EdDSA or RS256 key";
    rc = APPROVAL_DECLINED;

    if (cred == NULL
        || fido_cred_pubkey_ptr(cred) == NULL
        || fido_cred_pubkey_len(cred) > sizeof(key->raw)
        || fido_cred_id_len(cred) != p->id.len
        || memcmp(fido_cred_id_ptr(cred), p->id.data, p->id.len) != 0)
    {
        goto done;
    }

    *err = "it is for another site";

    if (approval_sha256(approval_passkey_rp(origin), md) != APPROVAL_OK
        || p->auth.len < sizeof(md)
        || memcmp(p->auth.data, md, sizeof(md)) != 0)
    {
        goto done;
    }

    *err = "its authenticator did not verify the user";

    if (!(fido_cred_flags(cred) & CTAP_AUTHDATA_USER_VERIFIED)
        || !(fido_cred_flags(cred) & CTAP_AUTHDATA_USER_PRESENT))
    {
        goto done;
    }

    key->len = fido_cred_pubkey_len(cred);
    memcpy(key->raw, fido_cred_pubkey_ptr(cred), key->len);
    *count = fido_cred_sigcount(cred);

    rc = APPROVAL_OK;

done:

    fido_cred_free(&cred);

    return rc;
}


/* NULL: the data contain no key that we can use. */

static fido_cred_t *
passkey_credential(const approval_passkey_proof_t *p, int *alg)
{
    fido_cred_t  *cred;

    *alg = passkey_alg(p);

    if (*alg == 0) {
        return NULL;
    }

    cred = fido_cred_new();

    if (cred
        && (fido_cred_set_type(cred, *alg) != FIDO_OK
            || fido_cred_set_authdata_raw(cred, p->auth.data, p->auth.len)
               != FIDO_OK))
    {
        fido_cred_free(&cred);
    }

    return cred;
}


/* libfido2 looks for the key behind as long an id as the data say. */

static int
passkey_alg(const approval_passkey_proof_t *p)
{
    size_t                i, at, rest;
    const unsigned char  *cbor;

    at = PASSKEY_ID + p->id.len;

    if (p->auth.len <= at
        || !(p->auth.data[PASSKEY_FLAGS] & CTAP_AUTHDATA_ATT_CRED)
        || (p->auth.data[PASSKEY_FLAGS] & CTAP_AUTHDATA_EXT_DATA)
        || ((size_t) p->auth.data[PASSKEY_ID - 2] << 8
            | p->auth.data[PASSKEY_ID - 1]) != p->id.len)
    {
        return 0;
    }

    cbor = p->auth.data + at;
    rest = p->auth.len - at;

    for (i = 0; i < sizeof(passkey_forms) / sizeof(passkey_forms[0]); i++) {
        if (rest == passkey_forms[i].len
            && memcmp(cbor, passkey_forms[i].head, passkey_forms[i].head_len)
               == 0
            && memcmp(cbor + passkey_forms[i].at, passkey_forms[i].between,
                      passkey_forms[i].between_len)
               == 0)
        {
            return passkey_forms[i].alg;
        }
    }

    return 0;
}


int
approval_passkey_verify(const approval_passkey_proof_t *p,
    approval_str_t origin, const unsigned char challenge[APPROVAL_SHA256_LEN],
    const approval_passkey_key_t *key, uint32_t *count, const char **err)
{
    char            name[254];
    approval_str_t  rp;

    rp = approval_passkey_rp(origin);

    if (rp.len >= sizeof(name)) {
        *err = "the origin has no host";
        return APPROVAL_DECLINED;
    }

    memcpy(name, rp.data, rp.len);
    name[rp.len] = '\0';

    if (passkey_client(approval_buf_str(&p->client), "webauthn.get", origin,
                       challenge, err)
        != APPROVAL_OK)
    {
        return APPROVAL_DECLINED;
    }

    return passkey_assertion(p, name, key, count, err);
}


/* Checks the site, the flags, and the signature over both parts. */

static int
passkey_assertion(const approval_passkey_proof_t *p, const char *rp,
    const approval_passkey_key_t *key, uint32_t *count, const char **err)
{
    int             rc;
    fido_assert_t  *assertion;

    *err = "its authenticator data or signature cannot be read";
    rc = APPROVAL_DECLINED;

    /* no extension is requested, and none is accepted */

    if (p->auth.len != PASSKEY_FIXED) {
        return rc;
    }

    assertion = fido_assert_new();

    if (assertion == NULL
        || fido_assert_set_rp(assertion, rp) != FIDO_OK
        || fido_assert_set_clientdata(assertion, p->client.data, p->client.len)
           != FIDO_OK
        || fido_assert_set_count(assertion, 1) != FIDO_OK
        || fido_assert_set_authdata_raw(assertion, 0, p->auth.data,
                                        p->auth.len)
           != FIDO_OK
        || fido_assert_set_sig(assertion, 0, p->signature.data,
                               p->signature.len)
           != FIDO_OK
        || fido_assert_set_up(assertion, FIDO_OPT_TRUE) != FIDO_OK
        || fido_assert_set_uv(assertion, FIDO_OPT_TRUE) != FIDO_OK)
    {
        goto done;
    }

    *err = "its authenticator did not verify the user";

    if (!(fido_assert_flags(assertion, 0) & CTAP_AUTHDATA_USER_VERIFIED)) {
        goto done;
    }

    *err = "its signature was made by another key, or for another site";

    if (passkey_check(assertion, key) != FIDO_OK) {
        goto done;
    }

    *count = fido_assert_sigcount(assertion, 0);
    rc = APPROVAL_OK;

done:

    fido_assert_free(&assertion);

    return rc;
}


static int
passkey_check(const fido_assert_t *assertion,
    const approval_passkey_key_t *key)
{
    int          rc;
    es256_pk_t  *es256;
    eddsa_pk_t  *eddsa;
    rs256_pk_t  *rs256;

    rc = FIDO_ERR_INVALID_ARGUMENT;

    switch (key->alg) {

    case COSE_ES256:
        es256 = es256_pk_new();

        if (es256 && es256_pk_from_ptr(es256, key->raw, key->len) == FIDO_OK) {
            rc = fido_assert_verify(assertion, 0, COSE_ES256, es256);
        }

        es256_pk_free(&es256);
        break;

    case COSE_EDDSA:
        eddsa = eddsa_pk_new();

        if (eddsa && eddsa_pk_from_ptr(eddsa, key->raw, key->len) == FIDO_OK) {
            rc = fido_assert_verify(assertion, 0, COSE_EDDSA, eddsa);
        }

        eddsa_pk_free(&eddsa);
        break;

    case COSE_RS256:
        rs256 = rs256_pk_new();

        if (rs256 && rs256_pk_from_ptr(rs256, key->raw, key->len) == FIDO_OK) {
            rc = fido_assert_verify(assertion, 0, COSE_RS256, rs256);
        }

        rs256_pk_free(&rs256);
        break;
    }

    return rc;
}
