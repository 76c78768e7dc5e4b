
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Votes signed by a person's own key (WebAuthn): what is signed, and its
 * verification.  libfido2 handles CBOR and signatures.
 */


#ifndef APPROVAL_PASSKEY_H
#define APPROVAL_PASSKEY_H


#include "core/json.h"
#include "core/keys.h"


#define APPROVAL_PASSKEY_TYP         "approval-passkey+jwt"

#define APPROVAL_PASSKEY_PART_MAX    4096    /* bytes, of a decoded part     */
#define APPROVAL_PASSKEY_KEY_MAX     512     /* bytes, in libfido2's form    */
#define APPROVAL_PASSKEY_NONCE_LEN   32      /* hex digits                   */
#define APPROVAL_PASSKEY_SHOWN_LEN   (2 * APPROVAL_SHA256_LEN)


/*
 * "ID.CLIENT.AUTH.SIGNATURE", each in base64url; an enrolment has no
 * signature.
 */

typedef struct {
    approval_buf_t        id;
    approval_buf_t        client;      /* clientDataJSON               */
    approval_buf_t        auth;        /* authenticator data           */
    approval_buf_t        signature;
} approval_passkey_proof_t;


typedef struct {
    int                   alg;         /* COSE's                       */
    size_t                len;
    unsigned char         raw[APPROVAL_PASSKEY_KEY_MAX];
} approval_passkey_key_t;


/* What a voter was shown, in hex digits. */

typedef struct {
    approval_str_t        action;
    approval_str_t        digest;      /* of the request               */
    approval_str_t        approver;    /* the person                   */
    approval_str_t        nonce;
    const unsigned char  *facts;       /* a hash, see below            */
} approval_passkey_shown_t;


/* "https://host[:port]", as browsers write it, or "http://localhost[:port]". */
int approval_passkey_origin(approval_str_t origin, const char **err);

/* Its host, which is the relying party's id. */
approval_str_t approval_passkey_rp(approval_str_t origin);

/* APPROVAL_DECLINED: the text has another form. */
int approval_passkey_read(approval_str_t text, approval_passkey_proof_t *p);
void approval_passkey_free(approval_passkey_proof_t *p);

/*
 * The challenge of a vote is a hash of what was shown, the decision
 * ("approve", "deny", "break_glass") and the comment.  The challenge of an
 * enrolment is a hash of the person and the nonce.  The facts are those that
 * both an action and the record of its request contain.
 */
int approval_passkey_facts(json_t *doc, unsigned char md[APPROVAL_SHA256_LEN]);
int approval_passkey_shown(const approval_passkey_shown_t *s,
    char out[APPROVAL_PASSKEY_SHOWN_LEN]);
int approval_passkey_challenge(approval_str_t shown, approval_str_t decision,
    approval_str_t comment, unsigned char md[APPROVAL_SHA256_LEN]);
int approval_passkey_enrol_challenge(approval_str_t person,
    approval_str_t nonce, unsigned char md[APPROVAL_SHA256_LEN]);

/*
 * enrol: returns the new key, if its authenticator verified the user.  Both
 * functions return APPROVAL_DECLINED and *err if the proof does not hold.
 */
int approval_passkey_enrol(const approval_passkey_proof_t *p,
    approval_str_t origin, const unsigned char challenge[APPROVAL_SHA256_LEN],
    approval_passkey_key_t *key, uint32_t *count, const char **err);

int approval_passkey_verify(const approval_passkey_proof_t *p,
    approval_str_t origin, const unsigned char challenge[APPROVAL_SHA256_LEN],
    const approval_passkey_key_t *key, uint32_t *count, const char **err);

/* The name of a credential: hex digits of a hash of its id. */
int approval_passkey_name(approval_str_t id, char name[APPROVAL_ID_LEN]);

/* The key and the id that a record's claims contain. */
int approval_passkey_claims(json_t *claims, approval_passkey_key_t *key);

/*
 * Did enough people confirm it?  One operator is enough, or two members of one
 * of the owner's groups; the owner never counts.
 */
int approval_passkey_confirmed(json_t *claims);


#endif /* APPROVAL_PASSKEY_H */
