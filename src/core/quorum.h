
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Do these votes decide?
 */


#ifndef APPROVAL_QUORUM_H
#define APPROVAL_QUORUM_H


#include "core/str.h"


#define APPROVAL_QUORUM_LINES  16      /* require lines in a rule */
#define APPROVAL_QUORUM_VOTES  256     /* votes on an action      */


typedef enum {
    APPROVAL_QUORUM_OPEN,
    APPROVAL_QUORUM_APPROVED,
    APPROVAL_QUORUM_DENIED
} approval_quorum_e;


/*
 * One person's vote.  Bit i of "lines" is set if the person may count for
 * require line i.
 */

typedef struct {
    approval_str_t        person;
    uint32_t              lines;
    unsigned              approve;     /* 1 approve, 0 deny */
} approval_vote_t;


/*
 * need[i] is the number of distinct persons that line i requires.  Each person
 * counts for one line only (a maximum matching finds whether all lines can be
 * filled).  Votes of persons who may count for no line, and second votes of a
 * person, are ignored.  deny_after votes to deny decide, before approvals do.
 * missing[i] (may be NULL) receives what line i still lacks in a best
 * assignment.
 */
approval_quorum_e approval_quorum(const unsigned *need, size_t nlines,
    unsigned deny_after, const approval_vote_t *votes, size_t nvotes,
    unsigned *missing);


#endif /* APPROVAL_QUORUM_H */
