
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Quorums, by example and against brute force.
 */


#include "core/quorum.h"
#include "test.h"


#define A  1u
#define B  2u
#define C  4u


static approval_vote_t
vote(const char *person, uint32_t lines, unsigned approve)
{
    approval_vote_t  v;

    v.person = approval_str(person);
    v.lines = lines;
    v.approve = approve;

    return v;
}


static void
test_examples(void)
{
    unsigned         one[] = { 1 }, two[] = { 2 }, both[] = { 1, 1 };
    unsigned         mixed[] = { 2, 1 }, three[] = { 1, 1, 1 };
    unsigned         zero[] = { 0, 0 }, missing[3];
    approval_vote_t  v[6];

    is_int(approval_quorum(one, 1, 1, NULL, 0, missing),
           APPROVAL_QUORUM_OPEN, "no votes");
    is_int(missing[0], 1, "one is missing");

    v[0] = vote("alice", A, 1);
    is_int(approval_quorum(one, 1, 1, v, 1, missing),
           APPROVAL_QUORUM_APPROVED, "one of one");
    is_int(missing[0], 0, "none is missing");
    is_int(approval_quorum(two, 1, 1, v, 1, missing),
           APPROVAL_QUORUM_OPEN, "one of two");
    is_int(missing[0], 1, "one is missing");

    v[1] = vote("alice", A, 1);
    is_int(approval_quorum(two, 1, 1, v, 2, NULL), APPROVAL_QUORUM_OPEN,
           "a person counts once");
    v[1] = vote("bob", A, 1);
    is_int(approval_quorum(two, 1, 1, v, 2, NULL), APPROVAL_QUORUM_APPROVED,
           "two of two");
    v[1] = vote("mallory", 0, 1);
    is_int(approval_quorum(two, 1, 1, v, 2, NULL), APPROVAL_QUORUM_OPEN,
           "a stranger does not count");
    v[1] = vote("mallory", B, 1);
    is_int(approval_quorum(two, 1, 1, v, 2, NULL), APPROVAL_QUORUM_OPEN,
           "nor one of a line that is not there");
    v[1] = vote("", A, 1);
    is_int(approval_quorum(two, 1, 1, v, 2, NULL), APPROVAL_QUORUM_OPEN,
           "nor nobody");

    /* One person in two groups counts for one line. */

    v[0] = vote("alice", A | B, 1);
    is_int(approval_quorum(both, 2, 1, v, 1, missing), APPROVAL_QUORUM_OPEN,
           "one person in both groups does not fill both");
    is_int(missing[0] + missing[1], 1, "one is missing");
    v[1] = vote("bob", A, 1);
    is_int(approval_quorum(both, 2, 1, v, 2, NULL), APPROVAL_QUORUM_APPROVED,
           "she moves to the other line for one who cannot");

    /* Two of one group and one of another, overlapping. */

    v[0] = vote("alice", A | B, 1);
    v[1] = vote("bob", A | B, 1);
    is_int(approval_quorum(mixed, 2, 1, v, 2, NULL), APPROVAL_QUORUM_OPEN,
           "2 + 1 by two persons");
    v[2] = vote("carol", A, 1);
    is_int(approval_quorum(mixed, 2, 1, v, 3, NULL),
           APPROVAL_QUORUM_APPROVED, "2 + 1 by three");
    v[0] = vote("alice", A, 1);
    v[1] = vote("bob", A, 1);
    is_int(approval_quorum(mixed, 2, 1, v, 3, missing), APPROVAL_QUORUM_OPEN,
           "three of one group, none of the other");
    ok(missing[0] == 0 && missing[1] == 1, "the other line lacks one");

    /* A chain of moves: carol fits only where alice went first. */

    v[0] = vote("alice", A | B, 1);
    v[1] = vote("bob", B | C, 1);
    v[2] = vote("carol", A, 1);
    is_int(approval_quorum(three, 3, 1, v, 3, NULL),
           APPROVAL_QUORUM_APPROVED, "a chain of moves");

    /* Denials. */

    v[0] = vote("alice", A, 1);
    v[1] = vote("bob", A, 0);
    is_int(approval_quorum(one, 1, 1, v, 2, NULL), APPROVAL_QUORUM_DENIED,
           "deny beats approve");
    is_int(approval_quorum(one, 1, 2, v, 2, NULL), APPROVAL_QUORUM_APPROVED,
           "one of two denials");
    is_int(approval_quorum(two, 1, 0, v + 1, 1, NULL),
           APPROVAL_QUORUM_DENIED, "deny_after 0: the first");
    is_int(approval_quorum(one, 1, 0, v, 1, NULL), APPROVAL_QUORUM_APPROVED,
           "deny_after 0, no denial");
    v[2] = vote("bob", A, 0);
    is_int(approval_quorum(two, 1, 2, v, 3, NULL), APPROVAL_QUORUM_OPEN,
           "a person denies once");
    v[1] = vote("mallory", 0, 0);
    is_int(approval_quorum(two, 1, 1, v, 2, NULL), APPROVAL_QUORUM_OPEN,
           "a stranger's denial does not count");
    v[1] = vote("alice", A, 0);
    is_int(approval_quorum(one, 1, 1, v, 2, NULL), APPROVAL_QUORUM_APPROVED,
           "who approved does not deny");

    /* What nobody has to approve is not approved. */

    v[0] = vote("alice", A | B, 1);
    is_int(approval_quorum(one, 0, 1, v, 1, NULL), APPROVAL_QUORUM_OPEN,
           "no lines");
    is_int(approval_quorum(zero, 2, 1, v, 1, NULL), APPROVAL_QUORUM_OPEN,
           "lines that ask for nobody");
}


static void
test_many(void)
{
    int              good;
    size_t           i;
    char             names[300][8];
    unsigned         need[APPROVAL_QUORUM_LINES + 1];
    unsigned         many[] = { 256 };
    approval_vote_t  v[300];

    for (i = 0; i < 300; i++) {
        snprintf(names[i], sizeof(names[i]), "p%d", (int) i);
        v[i] = vote(names[i], 0xffffffff, 1);
    }

    is_int(approval_quorum(many, 1, 1, v, 255, NULL), APPROVAL_QUORUM_OPEN,
           "255 of 256");
    is_int(approval_quorum(many, 1, 1, v, 256, NULL),
           APPROVAL_QUORUM_APPROVED, "256 of 256");

    many[0] = 257;
    is_int(approval_quorum(many, 1, 1, v, 300, NULL), APPROVAL_QUORUM_OPEN,
           "approvals over the limit are not seen");
    v[299].approve = 0;
    is_int(approval_quorum(many, 1, 1, v, 300, NULL),
           APPROVAL_QUORUM_DENIED, "denials over the limit are");

    for (i = 0; i <= APPROVAL_QUORUM_LINES; i++) {
        need[i] = 16;
    }

    is_int(approval_quorum(need, APPROVAL_QUORUM_LINES, 1, v, 256, NULL),
           APPROVAL_QUORUM_APPROVED, "16 lines of 16");
    is_int(approval_quorum(need, APPROVAL_QUORUM_LINES + 1, 1, v, 256, NULL),
           APPROVAL_QUORUM_OPEN, "a line too many is never filled");

    /* Votes that must all make room: line i takes persons of i and i + 1. */

    for (i = 0; i < 16; i++) {
        need[i] = 1;
        v[i] = vote(names[i], i ? (3u << (i - 1)) : 1u << 15, 1);
    }

    for (good = 1, i = 1; i < 16; i++) {
        good &= approval_quorum(need, 16, 1, v, i, NULL)
                == APPROVAL_QUORUM_OPEN;
    }

    ok(good && approval_quorum(need, 16, 1, v, 16, NULL)
       == APPROVAL_QUORUM_APPROVED, "16 lines by 16 persons in a chain");
}


/* The best that any assignment fills: each person goes to a line, or none. */

static unsigned
brute(const unsigned *need, size_t nlines, const approval_vote_t *v, size_t n,
    unsigned *filled)
{
    size_t    i;
    unsigned  best, got;

    if (n == 0) {
        return 0;
    }

    best = brute(need, nlines, v + 1, n - 1, filled);

    for (i = 0; v->approve && i < nlines; i++) {
        if ((v->lines & (1u << i)) && filled[i] < need[i]) {
            filled[i]++;
            got = 1 + brute(need, nlines, v + 1, n - 1, filled);
            filled[i]--;

            if (got > best) {
                best = got;
            }
        }
    }

    return best;
}


static unsigned
draw(uint64_t *state, unsigned n)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;

    return (unsigned) (*state >> 33) % n;
}


static void
test_brute(void)
{
    int                good;
    size_t             i, j, n, nlines, approved;
    uint64_t           state;
    unsigned           need[4], filled[4], missing[4];
    unsigned           total, lack, best, denies, after;
    approval_vote_t    v[6];
    approval_quorum_e  got, want;
    const char        *names[] = { "a", "b", "c", "d", "e", "f" };

    good = 1;
    state = 20260102;
    approved = 0;

    for (i = 0; i < 20000 && good; i++) {
        nlines = 1 + draw(&state, 4);
        n = draw(&state, 7);
        after = 1 + draw(&state, 3);
        total = 0;
        denies = 0;

        for (j = 0; j < nlines; j++) {
            need[j] = 1 + draw(&state, 2);
            filled[j] = 0;
            total += need[j];
        }

        for (j = 0; j < n; j++) {
            v[j] = vote(names[j], draw(&state, 1u << nlines),
                        draw(&state, 8) != 0);
            denies += !v[j].approve && v[j].lines != 0;
        }

        best = brute(need, nlines, v, n, filled);

        want = denies >= after ? APPROVAL_QUORUM_DENIED
                               : best == total ? APPROVAL_QUORUM_APPROVED
                                               : APPROVAL_QUORUM_OPEN;

        got = approval_quorum(need, nlines, after, v, n, missing);

        for (lack = 0, j = 0; j < nlines; j++) {
            lack += missing[j];
        }

        good = got == want && lack == total - best;
        approved += got == APPROVAL_QUORUM_APPROVED;
    }

    ok(good, "20,000 random cases agree with brute force");
    ok(approved > 1000, "of which %d were approved", (int) approved);
}


int
main(void)
{
    test_examples();
    test_many();
    test_brute();

    return test_done();
}
