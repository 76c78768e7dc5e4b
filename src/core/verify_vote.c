
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Votes: who voted how on which request, and whether the votes were enough.
 */


#include "core/verify_internal.h"
#include "core/escape.h"

#include <stdlib.h>
#include <string.h>


static int approval_verify_vote_holds(approval_act_t *a, json_t *event,
    json_t *claims);
static int approval_verify_vote_keep(approval_verify_t *v,
    approval_act_t *a, const approval_ballot_t *ballot, json_t *groups);
static int approval_verify_voters(approval_verify_t *v, approval_act_t *a,
    json_t *by, char act, const approval_place_t *place);
static unsigned approval_verify_count(approval_verify_t *v, approval_act_t *a,
    json_t *by, char act, approval_vote_t votes[APPROVAL_QUORUM_VOTES],
    size_t *n, unsigned *glass);
static const approval_ballot_t *approval_verify_ballot(approval_verify_t *v,
    approval_act_t *a, char act, json_t *name, uint32_t *lines,
    unsigned *glass);
static uint32_t approval_verify_lines(approval_verify_t *v,
    approval_act_t *a, const char *groups, unsigned *glass);
static int approval_verify_unsigned(json_t *by);


int
approval_verify_voted(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, json_t *event)
{
    int                 rc;
    json_t             *claims;
    const char         *err, *text;
    approval_ballot_t   b;

    claims = approval_verify_jws(v, "approval-vote+jwt",
                                 json_object_get(event, "vote"), &err);
    if (claims == NULL) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the vote on action %s is invalid: %s",
                              a->id, err);
        return APPROVAL_OK;
    }

    if (!approval_verify_vote_holds(a, event, claims)) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the vote on action %s differs from the "
                              "recorded one", a->id);
        json_decref(claims);
        return APPROVAL_OK;
    }

    memset(&b, 0, sizeof(b));

    b.place = *place;
    b.act = json_string_value(json_object_get(claims, "act"))[0];
    b.glass = json_is_true(json_object_get(claims, "bg"));

    text = json_string_value(json_object_get(claims, "cmt"));
    b.signed_by = json_object_get(claims, "psk") ? claims : NULL;
    b.blank = (text == NULL || approval_blank(approval_str(text)));

    rc = approval_verify_hashed(v, json_object_get(claims, "sub"), &b.person);

    if (rc == APPROVAL_OK) {
        rc = approval_verify_hashed(v, json_object_get(claims, "dig"),
                                    &b.digest);
    }

    if (rc == APPROVAL_OK) {
        rc = approval_verify_vote_keep(v, a, &b,
                                       json_object_get(claims, "grp"));
    }

    json_decref(claims);

    return rc;
}


/* A repeated vote takes no memory, because a person may comment without end. */

static int
approval_verify_vote_keep(approval_verify_t *v, approval_act_t *a,
    const approval_ballot_t *ballot, json_t *groups)
{
    size_t              i;
    const char         *text;
    approval_ballot_t  *b;

    text = json_string_value(groups);
    text = text ? text : "";

    for (i = 0; i < a->nballots; i++) {
        b = &a->ballots[i];

        if (b->act == ballot->act && b->glass == ballot->glass
            && b->blank == ballot->blank
            && json_equal(json_object_get(b->signed_by, "psk"),
                          json_object_get(ballot->signed_by, "psk"))
            && approval_hashed_eq(&b->person, &ballot->person)
            && approval_hashed_eq(&b->digest, &ballot->digest)
            && strcmp(b->groups, text) == 0)
        {
            return APPROVAL_OK;
        }
    }

    b = realloc(a->ballots, (a->nballots + 1) * sizeof(*b));

    if (b == NULL) {
        v->failed = 1;
        return APPROVAL_ERROR;
    }

    a->ballots = b;
    b += a->nballots;

    *b = *ballot;
    b->groups = strdup(text);
    json_incref(b->signed_by);

    if (b->groups == NULL) {
        v->failed = 1;
        return APPROVAL_ERROR;
    }

    a->nballots++;

    return APPROVAL_OK;
}


/* Checks that the record says exactly what was signed. */

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
           && approval_verify_same(json_object_get(claims, "psk"), "key",
                                   event, "passkey")
           && json_is_true(json_object_get(claims, "bg"))
              == json_is_true(json_object_get(event, "break_glass"));
}


/*
 * Called at the end, because votes that another host recorded may precede the
 * request in the trail.
 */

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

        if (!approval_hashed_eq(&b->digest, &a->digest)) {
            approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &b->place,
                                  "the vote is not for action %s as it was "
                                  "requested", a->id);
        }

        if (a->passkey && b->act != 'c') {
            approval_verify_passkey_vote(v, a, b);
        }

        if (b->blank
            && ((b->act == 'd' && a->say_deny)
                || (b->act == 'a' && a->say_all)))
        {
            approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &b->place,
                                  "the vote on action %s has no comment, but "
                                  "its rule requires one", a->id);
        }

        if (b->act != 'c'
            && (approval_hashed_eq(&b->person, &a->person)
                || (a->behalf_of
                    && approval_hashed_eq(&b->person, &a->behalf))))
        {
            approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &b->place,
                                  "the requester of action %s voted on it",
                                  a->id);
        }
    }
}


/*
 * Checks that the decision is for the request, and that its voters are enough.
 */

void
approval_verify_quorum(approval_verify_t *v, approval_act_t *a)
{
    size_t            i, n;
    unsigned          glass, need, persons;
    approval_vote_t   votes[APPROVAL_QUORUM_VOTES];

    if (approval_verify_unsigned(a->by)) {
        approval_verify_found(v, APPROVAL_FOUND_NOTE, &a->use.at,
                              "action %s is approved by an unsigned decision",
                              a->id);
        return;
    }

    if (!approval_hashed_eq(&a->asked, &a->decided)) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->use.at,
                              "the decision on action %s is for another "
                              "request, requester, policy, rule or action, or "
                              "for values that were not shown", a->id);
    }

    if (!approval_verify_voters(v, a, a->by, 'a', &a->use.at)) {
        return;
    }

    persons = approval_verify_count(v, a, a->by, 'a', votes, &n, &glass);

    if (approval_quorum(a->need, a->nlines, 1, votes, n, NULL)
        == APPROVAL_QUORUM_APPROVED)
    {
        return;
    }

    if (glass) {
        approval_verify_found(v, APPROVAL_FOUND_NOTE, &a->use.at,
                              "action %s is approved by one person alone "
                              "(break_glass)",
                              a->id);
        return;
    }

    need = 0;

    for (i = 0; i < a->nlines; i++) {
        need += a->need[i];
    }

    if (need && persons >= need) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->use.at,
                              "the approvers of action %s do not cover all "
                              "the groups that it requires", a->id);
        return;
    }

    approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->use.at,
                          "action %s is approved by %u of %u persons", a->id,
                          persons, need);
}


/* Checks that the persons whom a denial names did deny. */

void
approval_verify_refusal(approval_verify_t *v, approval_act_t *a)
{
    size_t            n;
    unsigned          glass, persons;
    approval_vote_t   votes[APPROVAL_QUORUM_VOTES];

    if (a->requested && !approval_hashed_eq(&a->asked, &a->refused)) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->denied_at,
                              "the denial of action %s is for another "
                              "request, requester, policy, rule or action, or "
                              "for values that were not shown", a->id);
    }

    if (!approval_verify_voters(v, a, a->denied_by, 'd', &a->denied_at)
        || !a->requested)
    {
        return;
    }

    persons = approval_verify_count(v, a, a->denied_by, 'd', votes, &n,
                                    &glass);

    if (persons < a->deny_after) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->denied_at,
                              "action %s is denied by %u of %u persons", a->id,
                              persons, a->deny_after);
    }
}


/* Checks that all votes are on record. */

static int
approval_verify_voters(approval_verify_t *v, approval_act_t *a, json_t *by,
    char act, const approval_place_t *place)
{
    size_t     i;
    json_t    *name;
    unsigned   glass;
    uint32_t   lines;

    json_array_foreach(by, i, name) {
        if (approval_verify_ballot(v, a, act, name, &lines, &glass)) {
            continue;
        }

        approval_verify_found(v, (v->partial || v->forgot)
                                 ? APPROVAL_FOUND_INCOMPLETE
                                 : APPROVAL_FOUND_TAMPERED,
                              place,
                              "action %s is %s by \"%s\", whose vote is not "
                              "recorded", a->id,
                              act == 'a' ? "approved" : "denied",
                              json_is_string(name)
                              ? json_string_value(name) : "");
        return 0;
    }

    return 1;
}


/*
 * Collects the votes of the named persons; returns the number of these
 * persons.
 */

static unsigned
approval_verify_count(approval_verify_t *v, approval_act_t *a, json_t *by,
    char act, approval_vote_t votes[APPROVAL_QUORUM_VOTES], size_t *n,
    unsigned *glass)
{
    size_t                    i, k;
    json_t                   *name;
    unsigned                  broken, persons;
    uint32_t                  lines;
    const approval_ballot_t  *b;

    *n = 0;
    *glass = 0;
    persons = 0;

    json_array_foreach(by, i, name) {
        b = approval_verify_ballot(v, a, act, name, &lines, &broken);

        if (b == NULL || *n == APPROVAL_QUORUM_VOTES) {
            continue;
        }

        *glass |= broken;

        votes[*n].person.data = b->person.md;
        votes[*n].person.len = sizeof(b->person.md);
        votes[*n].lines = lines;
        votes[*n].approve = 1;

        for (k = 0; k < *n && !approval_str_eq(votes[k].person,
                                               votes[*n].person);
             k++)
        {
            /* void */
        }

        persons += (k == *n);
        (*n)++;
    }

    return persons;
}


/*
 * The person's first vote, and the lines for which any of the votes may count.
 */

static const approval_ballot_t *
approval_verify_ballot(approval_verify_t *v, approval_act_t *a, char act,
    json_t *name, uint32_t *lines, unsigned *glass)
{
    size_t                    i;
    unsigned                  broken;
    approval_hashed_t         person;
    const approval_ballot_t  *b, *found;

    *lines = 0;
    *glass = 0;

    if (!json_is_string(name)
        || approval_verify_hashed(v, name, &person) != APPROVAL_OK)
    {
        return NULL;
    }

    found = NULL;

    for (i = 0; i < a->nballots; i++) {
        b = &a->ballots[i];

        if (b->act == act && approval_hashed_eq(&b->person, &person)) {
            found = found ? found : b;
            *lines |= approval_verify_lines(v, a, b->groups, &broken);
            *glass |= (b->glass && broken);
        }
    }

    return found;
}


/*
 * The lines that one of these groups may fill, and whether one may break the
 * glass.
 */

static uint32_t
approval_verify_lines(approval_verify_t *v, approval_act_t *a,
    const char *groups, unsigned *glass)
{
    size_t             i, len;
    uint32_t           lines;
    approval_hashed_t  group;

    lines = a->crowded ? UINT32_MAX : 0;
    *glass = 0;

    for ( /* void */ ; *groups; groups += len + (groups[len] == ' ')) {
        len = strcspn(groups, " ");

        if (approval_verify_hash(v, groups, len, &group) != APPROVAL_OK) {
            return 0;
        }

        *glass |= (a->glass && approval_hashed_eq(&a->glass_group, &group));

        for (i = 0; i < a->nseats; i++) {
            if (approval_hashed_eq(&a->seats[i].group, &group)) {
                lines |= (uint32_t) 1 << a->seats[i].line;
            }
        }
    }

    return lines;
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
        free(a->ballots[i].groups);
        json_decref(a->ballots[i].signed_by);
    }

    free(a->ballots);
}
