
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Votes signed by a passkey: the key must have been enrolled and confirmed when
 * Redis took its signature, and have signed exactly what was requested.  Redis
 * takes none after a revocation, so their times can be compared exactly.
 */


#include "core/verify_internal.h"
#include "core/passkey.h"

#include <stdlib.h>
#include <string.h>


#define APPROVAL_ENROLLED_MAX    16384


typedef struct approval_enrolled_s  approval_enrolled_t;

struct approval_enrolled_s {
    char                    name[APPROVAL_ID_LEN + 1];
    json_t                 *claims;       /* of its enrolment           */
    json_t                 *said;         /* who confirmed, on record   */
    approval_hashed_t       owner;
    approval_passkey_key_t  key;
    int64_t                 from;         /* 0: not confirmed           */
    int64_t                 until;        /* 0: not revoked             */
    int64_t                 used;         /* with the highest counter   */
    uint32_t                count;
};


static const char *approval_passkey_event(approval_verify_t *v, json_t *event,
    json_t *claims, const char *name, const char *state);
static approval_enrolled_t *approval_enrolled_find(approval_verify_t *v,
    const char *name);
static const char *approval_enrolled_add(approval_verify_t *v,
    json_t *claims, const char *name);
static void approval_enrolled_revoke(approval_enrolled_t *e, json_t *claims);
static const char *approval_enrolled_confirm(approval_verify_t *v,
    approval_enrolled_t *e, json_t *claims, const char *person);
static int approval_enrolled_same(json_t *one, json_t *two);
static const char *approval_passkey_signed(approval_act_t *a,
    const approval_ballot_t *b, approval_enrolled_t *e, uint32_t *count);
static int64_t approval_passkey_taken(const approval_ballot_t *b);
static const char *approval_passkey_counted(approval_enrolled_t *e,
    uint32_t count, int64_t time);
static approval_str_t approval_passkey_text(json_t *object, const char *name);


void
approval_verify_passkey_config(approval_verify_t *v,
    const approval_place_t *place, json_t *event)
{
    json_t      *claims;
    const char  *err, *what, *name;

    what = json_string_value(json_object_get(event, "what"))
           + sizeof("passkey ") - 1;

    claims = approval_verify_jws(v, APPROVAL_PASSKEY_TYP,
                                 json_object_get(event, "passkey"), &err);
    name = json_string_value(json_object_get(claims, "jti"));

    if (claims && (name == NULL || !approval_id_valid(approval_str(name)))) {
        err = "it has no name";

    } else if (claims) {
        err = approval_passkey_event(v, event, claims, name, what);
    }

    if (err) {
        approval_verify_found(v, (v->partial && claims)
                                 ? APPROVAL_FOUND_INCOMPLETE
                                 : APPROVAL_FOUND_TAMPERED, place,
                              "the record of a passkey is invalid: %s", err);
    }

    json_decref(claims);
}


/* NULL: the record holds. */

static const char *
approval_passkey_event(approval_verify_t *v, json_t *event, json_t *claims,
    const char *name, const char *state)
{
    const char           *person, *err;
    approval_enrolled_t  *e;

    e = approval_enrolled_find(v, name);

    /* an operator may revoke by the name alone, even what is not on record */

    if (strcmp(state, "revoked") == 0
        && approval_verify_claim(claims, "sta", state)
        && json_object_get(claims, "sub") == NULL)
    {
        approval_enrolled_revoke(e, claims);
        return NULL;
    }

    person = json_string_value(json_object_get(event, "person"));

    if (person == NULL || !approval_verify_claim(claims, "sta", state)
        || !approval_verify_same(claims, "sub", event, "owner"))
    {
        return "it differs from what was signed";
    }

    if (strcmp(state, "enrolled") == 0) {

        if (!approval_verify_claim(claims, "sub", person)) {
            return "somebody else than its owner enrolled it";
        }

        if (e && !approval_enrolled_same(e->claims, claims)) {
            return "another passkey of this name is enrolled";
        }

        err = e ? NULL : approval_enrolled_add(v, claims, name);

    } else if (e == NULL) {
        err = "it was never enrolled";

    } else if (!approval_enrolled_same(e->claims, claims)) {
        err = "it differs from the enrolled one";

    } else if (strcmp(state, "confirmed") == 0) {
        err = approval_enrolled_confirm(v, e, claims, person);

    } else if (strcmp(state, "revoked") == 0) {
        approval_enrolled_revoke(e, claims);
        err = NULL;

    } else {
        err = "it is neither an enrolment nor a confirmation nor a revocation";
    }

    return err;
}


static approval_enrolled_t *
approval_enrolled_find(approval_verify_t *v, const char *name)
{
    size_t  i;

    for (i = 0; i < v->nenrolled; i++) {
        if (strcmp(v->enrolled[i].name, name) == 0) {
            return &v->enrolled[i];
        }
    }

    return NULL;
}


static const char *
approval_enrolled_add(approval_verify_t *v, json_t *claims, const char *name)
{
    approval_enrolled_t  *e;

    if (v->nenrolled == APPROVAL_ENROLLED_MAX) {
        v->forgot = 1;
        return NULL;
    }

    e = realloc(v->enrolled, (v->nenrolled + 1) * sizeof(*e));

    if (e == NULL) {
        v->failed = 1;
        return NULL;
    }

    v->enrolled = e;
    e += v->nenrolled;

    memset(e, 0, sizeof(*e));
    memcpy(e->name, name, APPROVAL_ID_LEN);

    if (approval_passkey_claims(claims, &e->key) != APPROVAL_OK) {
        return "it has no key";
    }

    e->said = json_object();

    if (e->said == NULL
        || approval_verify_hashed(v, json_object_get(claims, "sub"), &e->owner)
           != APPROVAL_OK)
    {
        v->failed = 1;
        json_decref(e->said);
        return NULL;
    }

    e->claims = json_incref(claims);
    e->count = (uint32_t) json_integer_value(json_object_get(claims, "cnt"));

    v->nenrolled++;

    return NULL;
}


/*
 * Everybody who confirmed it must be on record; two may confirm at the same
 * time.
 */

static const char *
approval_enrolled_confirm(approval_verify_t *v, approval_enrolled_t *e,
    json_t *claims, const char *person)
{
    size_t       i;
    json_t      *list, *item;
    const char  *name;

    list = json_object_get(claims, "cnf");

    if (!approval_verify_claim(json_array_get(list, json_array_size(list) - 1),
                               "sub", person))
    {
        return "the person who confirmed it is not the recorded one";
    }

    if (json_object_set_new(e->said, person, json_true()) != 0) {
        v->failed = 1;
        return NULL;
    }

    json_array_foreach(list, i, item) {
        name = json_string_value(json_object_get(item, "sub"));

        if (name == NULL || approval_verify_claim(claims, "sub", name)) {
            return "its owner confirmed it";
        }

        if (json_object_get(e->said, name) == NULL) {
            return "the person who confirmed it is not recorded";
        }
    }

    if (approval_passkey_confirmed(claims) && e->from == 0) {
        e->from = json_integer_value(json_object_get(claims, "iatms"));
    }

    return NULL;
}


/* The first revocation is the end. */

static void
approval_enrolled_revoke(approval_enrolled_t *e, json_t *claims)
{
    if (e && e->until == 0) {
        e->until = json_integer_value(json_object_get(claims, "iatms"));
    }
}


static int
approval_enrolled_same(json_t *one, json_t *two)
{
    size_t              i;
    static const char  *names[] = { "sub", "alg", "pub", "org", "cnt" };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!json_equal(json_object_get(one, names[i]),
                        json_object_get(two, names[i])))
        {
            return 0;
        }
    }

    return 1;
}


void
approval_verify_passkey_vote(approval_verify_t *v, approval_act_t *a,
    const approval_ballot_t *b)
{
    uint32_t              count;
    const char           *name, *err;
    approval_found_e      what;
    approval_enrolled_t  *e;

    what = APPROVAL_FOUND_TAMPERED;

    name = json_string_value(json_object_get(json_object_get(b->signed_by,
                                                             "psk"), "key"));
    e = name ? approval_enrolled_find(v, name) : NULL;

    if (name == NULL) {
        err = "its rule accepts only votes that a passkey signed";

    } else if (e == NULL) {
        err = "its passkey is not recorded";

        if (v->partial || v->forgot || v->dropped) {
            what = APPROVAL_FOUND_INCOMPLETE;
        }

    } else {
        err = approval_passkey_signed(a, b, e, &count);

        if (err == NULL) {
            err = approval_passkey_counted(e, count,
                                           approval_passkey_taken(b));
        }
    }

    if (err) {
        approval_verify_found(v, what, &b->place,
                              "the vote on action %s is not signed by its "
                              "approver: %s", a->id, err);
    }
}


/* NULL: the owner's key, which was valid at the time, signed this vote. */

static const char *
approval_passkey_signed(approval_act_t *a, const approval_ballot_t *b,
    approval_enrolled_t *e, uint32_t *count)
{
    char                      shown[APPROVAL_PASSKEY_SHOWN_LEN];
    json_t                   *psk;
    int64_t                   time;
    const char               *err;
    approval_str_t            text, act;
    unsigned char             md[APPROVAL_SHA256_LEN];
    char                      name[APPROVAL_ID_LEN];
    approval_passkey_proof_t  proof;
    approval_passkey_shown_t  s;

    time = approval_passkey_taken(b);
    psk = json_object_get(b->signed_by, "psk");

    if (!approval_hashed_eq(&e->owner, &b->person)) {
        return "the passkey belongs to somebody else";
    }

    if (e->from == 0 || time < e->from) {
        return "nobody had confirmed the passkey";
    }

    if (e->until && time > e->until) {
        return "the passkey had been revoked";
    }

    if (approval_passkey_read(approval_passkey_text(psk, "prf"), &proof)
        != APPROVAL_OK)
    {
        return "the assertion cannot be read";
    }

    s.action = approval_str(a->id);
    s.digest = approval_passkey_text(b->signed_by, "dig");
    s.approver = approval_passkey_text(b->signed_by, "sub");
    s.nonce = approval_passkey_text(psk, "non");
    s.facts = a->shown;

    text.data = (unsigned char *) shown;
    text.len = sizeof(shown);
    act = b->glass ? approval_str("break_glass")
                   : approval_passkey_text(b->signed_by, "act");

    err = "no memory";

    if (approval_passkey_shown(&s, shown) == APPROVAL_OK
        && approval_passkey_challenge(text, act,
                           approval_passkey_text(b->signed_by, "cmt"), md)
           == APPROVAL_OK
        && approval_passkey_name(approval_buf_str(&proof.id), name)
           == APPROVAL_OK)
    {
        err = "the assertion belongs to another passkey";

        if (memcmp(name, e->name, APPROVAL_ID_LEN) == 0
            && approval_passkey_verify(&proof,
                                       approval_passkey_text(e->claims, "org"),
                                       md, &e->key, count, &err)
               == APPROVAL_OK)
        {
            err = NULL;
        }
    }

    approval_passkey_free(&proof);

    return err;
}


static int64_t
approval_passkey_taken(const approval_ballot_t *b)
{
    return json_integer_value(json_object_get(
                                  json_object_get(b->signed_by, "psk"), "at"));
}


/*
 * Actions are judged in the order in which they ended, not in that of their
 * votes.
 */

static const char *
approval_passkey_counted(approval_enrolled_t *e, uint32_t count, int64_t time)
{
    if (count == 0 && e->count == 0) {
        return NULL;
    }

    if (time > e->used) {
        if (count <= e->count) {
            return "the passkey's counter did not increase";
        }

        e->used = time;
        e->count = count;

        return NULL;
    }

    return count >= e->count ? "the passkey's counter did not increase" : NULL;
}


static approval_str_t
approval_passkey_text(json_t *object, const char *name)
{
    json_t          *value;
    approval_str_t   text;

    value = json_object_get(object, name);

    text.data = (const unsigned char *) json_string_value(value);
    text.len = json_string_length(value);

    return text;
}


void
approval_verify_passkeys_free(approval_verify_t *v)
{
    size_t  i;

    for (i = 0; i < v->nenrolled; i++) {
        json_decref(v->enrolled[i].claims);
        json_decref(v->enrolled[i].said);
    }

    free(v->enrolled);
}
