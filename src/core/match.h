
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Rules: an ordered set of conditions, compiled so that a request to which no
 * rule applies costs one look-up per subject, however many rules there are.
 *
 * Building allocates and may fail; executing allocates nothing.
 */


#ifndef APPROVAL_MATCH_H
#define APPROVAL_MATCH_H


#include "core/reading.h"
#include "core/str.h"


typedef struct approval_match_s  approval_match_t;


/*
 * METHOD and URI are values too.  They are kinds of their own because the
 * index prefers them.  Literals and prefixes of a URI may match regardless of
 * letter case and of a trailing slash, as they do for some readers.  An absent
 * VALUE is ""; an absent MEMBER of the body is not a text at all.
 */

typedef enum {
    APPROVAL_SUBJECT_METHOD,
    APPROVAL_SUBJECT_URI,
    APPROVAL_SUBJECT_VALUE,
    APPROVAL_SUBJECT_MEMBER
} approval_subject_e;


/* Does the condition hold in no reading, in some, or in all of them? */

typedef enum {
    APPROVAL_HOLDS_NOT = 0,
    APPROVAL_HOLDS_MAYBE,
    APPROVAL_HOLDS
} approval_holds_e;


typedef enum {
    APPROVAL_MATCH_DONE,        /* every rule that may hold was visited       */
    APPROVAL_MATCH_BODY,        /* the next one that may hold reads the body  */
    APPROVAL_MATCH_FAILED       /* out of memory, or read() failed            */
} approval_match_e;


/*
 * The request to judge.  read() returns the readings of the subject with the
 * number that approval_match_subject() returned; they must stay valid until
 * the execution ends.  It returns NULL on failure.  It is called for a MEMBER
 * only if there is a body.  sparse: a rule that reads the body holds only if
 * it finds something there.
 */

typedef struct {
    approval_readings_t  *(*read)(void *data, unsigned subject);
    void                   *data;
    unsigned                body:1;
    unsigned                sparse:1;
} approval_match_input_t;


/*
 * A rule that holds, or may hold; if it only may, "subject" is the one whose
 * readings it depends on.  limit: a regex reached a limit, so the result is
 * unknown; "why" names the limit, and is valid until the set is used again.
 */

typedef struct {
    int                     rule;
    approval_holds_e        holds;
    unsigned                subject;
    unsigned                limit:1;
    const char             *why;
} approval_match_found_t;


/* Anything but APPROVAL_OK ends the execution. */

typedef int (*approval_match_found_pt)(void *data,
    const approval_match_found_t *found);


approval_match_t *approval_match_create(void);
void approval_match_destroy(approval_match_t *m);

/*
 * Returns the subject's number, which is the same for the same kind and name,
 * or -1 with *err.  "name" is any text that distinguishes subjects.
 */
int approval_match_subject(approval_match_t *m, approval_subject_e kind,
    approval_str_t name, const char **err);

/* Starts the next rule; returns its number, from 0, or -1: no memory. */
int approval_match_rule(approval_match_t *m);

/*
 * Adds a condition to the last rule.  It holds in a reading if any pattern
 * matches its value, or, if its reader finds several values, any of them.
 * Patterns are as in nginx's map: exact text, "~regex", "~*regex", "^prefix",
 * "<N", ">N", "!" before any of them; a leading "\" (after the "!") makes the
 * rest literal.  On APPROVAL_ERROR errstr (of errlen bytes) says what to
 * change.
 *
 * JSON null is the text "null", and not a number.  "<N" and ">N" compare JSON
 * numbers and plain decimal text exactly, and do not hold for absent values.
 * For any other value, and for numbers beyond +-2^53, they may or may not
 * hold.
 */
int approval_match_condition(approval_match_t *m, int subject,
    const approval_str_t *patterns, size_t n, char *errstr, size_t errlen);

/* Freezes the set and builds its index.  No rules may be added after this. */
int approval_match_compile(approval_match_t *m);

/* Makes literals and prefixes of the URI match nginx's spelling only. */
void approval_match_literal(approval_match_t *m);

/* Does the rule read the subject? */
int approval_match_rule_reads(const approval_match_t *m, int rule,
    unsigned subject);

/*
 * The subject, as written, of the rule's regex that has a group of this name.
 * APPROVAL_DECLINED: no regex of the rule has one.  Works for rules that are
 * still being built.
 */
int approval_match_capture_subject(const approval_match_t *m, int rule,
    approval_str_t name, approval_str_t *subject);

/*
 * Visits the rules that may hold, in their order.  The set owns the scratch
 * memory: one execution at a time.
 */
approval_match_e approval_match_exec(approval_match_t *m,
    const approval_match_input_t *in, approval_match_found_pt found,
    void *data);

/* The same for one rule, without the index. */
approval_match_e approval_match_test(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_found_pt found,
    void *data);

/*
 * Returns 1 if no rule can hold, whatever the values of subjects that no rule
 * is indexed by, when all indexed subjects except the URI are absent; 0 if one
 * may.  The URI must have one reading and no upper-case letters.
 * approval_match_hangs() tells whether a rule is indexed by the subject, and
 * whether it may hold if that is absent.
 */

typedef enum {
    APPROVAL_HANGS_NOT = 0,
    APPROVAL_HANGS,
    APPROVAL_HANGS_ABSENT
} approval_hangs_e;

approval_hangs_e approval_match_hangs(const approval_match_t *m,
    unsigned subject);
int approval_match_none(const approval_match_t *m, approval_str_t method,
    approval_str_t uri);

/*
 * Visits the named captures of a rule that may hold: each value of each
 * reading.  The bytes that visit() gets are valid during the call only.
 */
typedef int (*approval_match_visit_pt)(void *data, approval_str_t name,
    approval_str_t value);

int approval_match_captures(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_visit_pt visit,
    void *data);

/*
 * Visits what made a rule hold, for approvers and the audit trail: the subject
 * of each condition with each value that one of its patterns matches.
 *
 * Both return what visit() returned if that is not APPROVAL_OK, and
 * APPROVAL_ERROR if read() fails.
 */
typedef int (*approval_match_evidence_pt)(void *data, unsigned subject,
    approval_str_t value);

int approval_match_evidence(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_evidence_pt visit,
    void *data);

/*
 * Visits a rule as it is written: the subject of each condition with each of
 * its patterns.
 */
int approval_match_written(const approval_match_t *m, int rule,
    approval_match_visit_pt visit, void *data);

/*
 * For the configuration's checks.  Does rule "by" hold whenever "rule" does?
 * approval_match_covers_absent() asks the same when the values that "rule"
 * compares with numbers are absent, so that it does not hold.  0: no, or the
 * patterns alone do not tell.  The set must be compiled.
 */
int approval_match_covers(approval_match_t *m, int by, int rule);
int approval_match_covers_absent(approval_match_t *m, int by, int rule);

/*
 * The index, from 0, of the rule's condition that compares with numbers, and
 * so does not hold for absent values.  -1: none.
 */
int approval_match_compares(const approval_match_t *m, int rule);


#endif /* APPROVAL_MATCH_H */
