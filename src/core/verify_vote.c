
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Votes: who said what of which request, and whether they were enough.
 */


#include "core/verify_internal.h"

#include <stdlib.h>
#include <string.h>


#define APPROVAL_PERSONS_MAX  256


static int approval_verify_vote_holds(approval_act_t *a, json_t *event,
    json_t *claims);
static const approval_ballot_t *approval_verify_ballot(approval_act_t *a,
    const char *identity);
static int approval_verify_unsigned(json_t *by);


int
approval_verify_voted(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, json_t *event)
{
    json_t             *claims;
    const char         *err;
    approval_ballot_t  *b;

    claims = approval_verify_jws(v, "approval-vote+jwt",
                                 json_object_get(event, "vote"), &err);
    if (claims == NULL) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the vote on action %s does not verify: %s",
                              a->id, err);
        return APPROVAL_OK;
    }

    if (!approval_verify_vote_holds(a, event, claims)) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the vote on action %s is another than what is "
                              "on record of it", a->id);
        json_decref(claims);
        return APPROVAL_OK;
    }

    b = realloc(a->ballots, (a->nballots + 1) * sizeof(*b));

    if (b == NULL) {
        v->failed = 1;
        json_decref(claims);
        return APPROVAL_ERROR;
    }

    a->ballots = b;
    b += a->nballots++;

    b->person = approval_verify_copy(v, json_object_get(claims, "sub"));
    b->identity = approval_verify_copy(v, json_object_get(claims, "idn"));
    b->digest = approval_verify_copy(v, json_object_get(claims, "dig"));
    b->place = *place;
    b->act = json_string_value(json_object_get(claims, "act"))[0];
    b->glass = json_is_true(json_object_get(claims, "bg"));

    json_decref(claims);

    return v->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/* The record says what was signed, and no other thing. */

static int
approval_verify_vote_holds(approval_act_t *a, json_t *event, json_t *claims)
{
    const char  *act;

    act = json_string_value(json_object_get(claims, "act"));

    return act
           && (strcmp(act, "approve") == 0 || strcmp(act, "deny") == 0
               || strcmp(act, "comment") == 0)
           && approval_verify_claim(claims, "jti", a->id)
           && json_is_string(json_object_get(claims, "sub"))
           && json_is_string(json_object_get(claims, "idn"))
           && json_is_string(json_object_get(claims, "dig"))
           && approval_verify_same(claims, "act", event, "decision")
           && approval_verify_same(claims, "sub", event, "person")
           && approval_verify_same(claims, "idn", event, "identity")
           && approval_verify_same(claims, "how", event, "how")
           && approval_verify_same(claims, "grp", event, "groups")
           && approval_verify_same(claims, "cmt", event, "comment")
           && approval_verify_same(claims, "dig", event, "digest")
           && json_is_true(json_object_get(claims, "bg"))
              == json_is_true(json_object_get(event, "break_glass"));
}


/* At the end: another host's records of the votes may stand before it. */

void
approval_verify_ballots(approval_verify_t *v, approval_act_t *a)
{
    size_t                    i;
    const approval_ballot_t  *b;

    if (!a->requested) {
        return;
    }

    for (i = 0; i < a->nballots; i++) {
        b = &a->ballots[i];

        if (a->digest == NULL || strcmp(b->digest, a->digest) != 0) {
            approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &b->place,
                                  "the vote is not one on action %s as it was "
                                  "requested", a->id);
        }

        if (b->act != 'c'
            && ((a->person && strcmp(b->person, a->person) == 0)
                || (a->behalf && strcmp(b->person, a->behalf) == 0)))
        {
            approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &b->place,
                                  "the requester of action %s voted on it",
                                  a->id);
        }
    }
}


/* The decision's, for the request: do those whom it names suffice? */

void
approval_verify_quorum(approval_verify_t *v, approval_act_t *a)
{
    size_t                    i, k, n;
    json_t                   *name;
    unsigned                  glass;
    const char               *seen[APPROVAL_PERSONS_MAX];
    const approval_ballot_t  *b;

    if (approval_verify_unsigned(a->by)) {
        approval_verify_found(v, APPROVAL_FOUND_NOTE, &a->approved_at,
                              "action %s is approved by an unsigned decision",
                              a->id);
        return;
    }

    if (memcmp(a->asked, a->decided, APPROVAL_SHA256_LEN) != 0) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->approved_at,
                              "the decision on action %s is for another "
                              "request, requester, policy, rule or action",
                              a->id);
    }

    n = 0;
    glass = 0;

    json_array_foreach(a->by, i, name) {
        b = approval_verify_ballot(a, json_string_value(name));

        if (b == NULL) {
            approval_verify_found(v, v->partial ? APPROVAL_FOUND_INCOMPLETE
                                                : APPROVAL_FOUND_TAMPERED,
                                  &a->approved_at,
                                  "action %s is approved by \"%s\", whose vote "
                                  "is not on record", a->id,
                                  json_is_string(name)
                                  ? json_string_value(name) : "");
            return;
        }

        glass |= (b->glass && a->glass);

        for (k = 0; k < n && strcmp(seen[k], b->person) != 0; k++) {
            /* void */
        }

        if (k == n && n < APPROVAL_PERSONS_MAX) {
            seen[n++] = b->person;
        }
    }

    if (n >= a->need && a->need) {
        return;
    }

    if (glass) {
        approval_verify_found(v, APPROVAL_FOUND_NOTE, &a->approved_at,
                              "action %s is approved alone, by break_glass",
                              a->id);
        return;
    }

    approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->approved_at,
                          "action %s is approved by %lu of %u persons", a->id,
                          (unsigned long) n, a->need);
}


/* The approval of that identity; of two the one that broke the glass. */

static const approval_ballot_t *
approval_verify_ballot(approval_act_t *a, const char *identity)
{
    size_t                    i;
    const approval_ballot_t  *b, *found;

    found = NULL;

    for (i = 0; identity && i < a->nballots; i++) {
        b = &a->ballots[i];

        if (b->act == 'a' && strcmp(b->identity, identity) == 0
            && (found == NULL || b->glass))
        {
            found = b;
        }
    }

    return found;
}


static int
approval_verify_unsigned(json_t *by)
{
    const char  *name;

    name = json_string_value(json_array_get(by, 0));

    return json_array_size(by) == 1 && name && strcmp(name, "unsigned") == 0;
}


void
approval_verify_ballots_free(approval_act_t *a)
{
    size_t  i;

    for (i = 0; i < a->nballots; i++) {
        free(a->ballots[i].person);
        free(a->ballots[i].identity);
        free(a->ballots[i].digest);
    }

    free(a->ballots);
}


/* "approvers" of the record: those of "by", as the upstream is told. */

int
approval_verify_names(json_t *event, json_t *claims)
{
    int              rc;
    size_t           i;
    json_t          *name, *approvers;
    approval_buf_t   buf;
    approval_str_t   text;

    approval_buf_init(&buf);

    json_array_foreach(json_object_get(claims, "by"), i, name) {
        approval_buf_adds(&buf, i ? ", " : "");
        approval_buf_add(&buf, json_string_value(name),
                         json_string_length(name));
    }

    approvers = json_object_get(event, "approvers");

    text.data = (const unsigned char *) json_string_value(approvers);
    text.len = json_string_length(approvers);

    rc = !buf.failed && approval_str_eq(text, approval_buf_str(&buf));

    approval_buf_free(&buf);

    return rc;
}
