
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Votes are matched to require lines by augmenting paths.
 */


#include "core/quorum.h"

#include <string.h>


#define APPROVAL_QUORUM_NONE  -1


typedef struct {
    const approval_vote_t  *votes;
    size_t                  nvotes;
    const unsigned         *need;
    size_t                  nlines;
    unsigned                filled[APPROVAL_QUORUM_LINES];
    signed char             line[APPROVAL_QUORUM_VOTES];  /* of each vote */
} approval_matching_t;


static int approval_quorum_counts(const approval_vote_t *votes, size_t i,
    uint32_t all);
static void approval_quorum_match(approval_matching_t *m, uint32_t all);
static int approval_quorum_place(approval_matching_t *m, size_t vote,
    uint32_t *visited);


approval_quorum_e
approval_quorum(const unsigned *need, size_t nlines, unsigned deny_after,
    const approval_vote_t *votes, size_t nvotes, unsigned *missing)
{
    size_t               i, max;
    uint32_t             all;
    unsigned             denies, lacking, counted;
    approval_matching_t  m;

    max = nlines < APPROVAL_QUORUM_LINES ? nlines : APPROVAL_QUORUM_LINES;
    all = ((uint32_t) 1 << max) - 1;

    denies = 0;

    for (i = 0; i < nvotes; i++) {
        if (!votes[i].approve && approval_quorum_counts(votes, i, all)) {
            denies++;
        }
    }

    memset(&m, 0, sizeof(approval_matching_t));

    m.votes = votes;
    m.nvotes = nvotes < APPROVAL_QUORUM_VOTES ? nvotes : APPROVAL_QUORUM_VOTES;
    m.need = need;
    m.nlines = max;

    approval_quorum_match(&m, all);

    lacking = 0;
    counted = 0;

    for (i = 0; i < max; i++) {
        counted += m.filled[i];
        lacking |= (need[i] != m.filled[i]);

        if (missing != NULL) {
            missing[i] = need[i] - m.filled[i];
        }
    }

    if (denies != 0 && denies >= deny_after) {
        return APPROVAL_QUORUM_DENIED;
    }

    /*
     * Without required persons, or with too many lines, nothing is ever
     * approved.
     */

    if (lacking || counted == 0 || nlines > APPROVAL_QUORUM_LINES) {
        return APPROVAL_QUORUM_OPEN;
    }

    return APPROVAL_QUORUM_APPROVED;
}


/* Only a person's first vote counts, and only if it may count for some line. */

static int
approval_quorum_counts(const approval_vote_t *votes, size_t i, uint32_t all)
{
    size_t  j;

    if (votes[i].person.len == 0 || (votes[i].lines & all) == 0) {
        return 0;
    }

    for (j = 0; j < i; j++) {
        if (approval_str_eq(votes[j].person, votes[i].person)
            && (votes[j].lines & all) != 0)
        {
            return 0;
        }
    }

    return 1;
}


static void
approval_quorum_match(approval_matching_t *m, uint32_t all)
{
    size_t    i;
    uint32_t  visited;

    memset(m->line, APPROVAL_QUORUM_NONE, sizeof(m->line));

    for (i = 0; i < m->nvotes; i++) {
        if (!m->votes[i].approve
            || !approval_quorum_counts(m->votes, i, all))
        {
            continue;
        }

        visited = 0;
        (void) approval_quorum_place(m, i, &visited);
    }
}


/*
 * Finds a line for a vote, and moves other votes to other lines if they have
 * any.  Each line is tried once per search, so the recursion is at most as
 * deep as there are lines.
 */

static int
approval_quorum_place(approval_matching_t *m, size_t vote, uint32_t *visited)
{
    size_t    i, j;
    uint32_t  bit;

    for (i = 0; i < m->nlines; i++) {
        bit = (uint32_t) 1 << i;

        if ((m->votes[vote].lines & bit) == 0 || (*visited & bit) != 0) {
            continue;
        }

        *visited |= bit;

        if (m->filled[i] < m->need[i]) {
            m->filled[i]++;
            m->line[vote] = (signed char) i;
            return 1;
        }

        for (j = 0; j < m->nvotes; j++) {
            if (m->line[j] == (signed char) i
                && approval_quorum_place(m, j, visited))
            {
                m->line[vote] = (signed char) i;
                return 1;
            }
        }
    }

    return 0;
}
