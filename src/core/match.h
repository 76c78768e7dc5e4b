
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Rules: an ordered set of conditions, compiled so that a request that no
 * rule concerns costs one look-up a subject, whatever the number of rules.
 *
 * Building allocates and may fail; executing allocates nothing.
 */


#ifndef APPROVAL_MATCH_H
#define APPROVAL_MATCH_H


#include "core/reading.h"
#include "core/str.h"


typedef struct approval_match_s  approval_match_t;


/*
 * METHOD and URI are values too, told apart so that the index prefers them; of
 * a URI, literals and prefixes hold for some readers without letter case and
 * with or without a slash at the end.  A VALUE that is absent is "", a MEMBER
 * of the body that is absent is none of all texts.
 */

typedef enum {
    APPROVAL_SUBJECT_METHOD,
    APPROVAL_SUBJECT_URI,
    APPROVAL_SUBJECT_VALUE,
    APPROVAL_SUBJECT_MEMBER
} approval_subject_e;


/* Does it hold in no reading, in some, or in all of them? */

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
 * What is judged.  read() gives the readings of subject "subject" (the number
 * that approval_match_subject() returned), valid until the execution ends; or
 * NULL where it fails.  It is asked for a MEMBER only if there is a body.
 * sparse: a rule that reads the body holds only if it finds something there.
 */

typedef struct {
    approval_readings_t  *(*read)(void *data, unsigned subject);
    void                   *data;
    unsigned                body:1;
    unsigned                sparse:1;
} approval_match_input_t;


/*
 * A rule that holds, or may.  Where it only may, "subject" is the one whose
 * readings it depends on.  limit: a regex gave up, and nobody knows: "why" says
 * which, until the set is used again.
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
 * The number of a subject, the same for the same kind and name; or -1 with
 * *err.  "name" is any text that tells subjects apart.
 */
int approval_match_subject(approval_match_t *m, approval_subject_e kind,
    approval_str_t name, const char **err);

/* Starts the next rule and returns its number, counted from 0; -1: memory. */
int approval_match_rule(approval_match_t *m);

/*
 * Adds a condition to the last rule: it holds in a reading if any of the
 * patterns holds for its value (where its reader finds several: for any of
 * them).  Patterns as in nginx's map: exact text, "~regex", "~*regex",
 * "^prefix", "<N", ">N", "!" before any of them; a leading "\" (after the "!")
 * makes the rest literal.  On APPROVAL_ERROR errstr (of errlen bytes) says what
 * to change.
 *
 * JSON null is the text "null", and no number.  "<N" and ">N" compare JSON's
 * numbers and plain decimal text exactly, and do not hold for what is absent;
 * for all else that is there, and numbers beyond +-2^53, they may hold or not.
 */
int approval_match_condition(approval_match_t *m, int subject,
    const approval_str_t *patterns, size_t n, char *errstr, size_t errlen);

/* Freezes the set and builds its index.  No rules may be added after it. */
int approval_match_compile(approval_match_t *m);

/* Literals and prefixes of the URI hold for nginx's spelling only. */
void approval_match_literal(approval_match_t *m);

/* Does the rule look at the body, or at a subject? */
int approval_match_rule_reads_body(const approval_match_t *m, int rule);
int approval_match_rule_reads(const approval_match_t *m, int rule,
    unsigned subject);

/*
 * What the rule's regex that has a group of this name looks at, as written;
 * APPROVAL_DECLINED: no regex of the rule has one.  Rules in the making count.
 */
int approval_match_capture_subject(const approval_match_t *m, int rule,
    approval_str_t name, approval_str_t *subject);

/*
 * Visits the rules that may hold, in their order.  The set holds scratch memory
 * of its own: one execution at a time.
 */
approval_match_e approval_match_exec(approval_match_t *m,
    const approval_match_input_t *in, approval_match_found_pt found,
    void *data);

/* The same of one rule, without the index. */
approval_match_e approval_match_test(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_found_pt found,
    void *data);

/*
 * Can no rule hold, whatever the values are that no rule hangs on, and where
 * all that rules hang on is absent but the URI?  0: one may.  The URI has one
 * reading, and no letters in upper case.  approval_match_hangs(): does a rule
 * hang on the subject, and may it hold where that is absent?
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
 * Named captures of a rule that may hold: what its regexes' named groups
 * captured, each value of each reading.  visit() gets bytes that are valid
 * during the call only.
 */
typedef int (*approval_match_visit_pt)(void *data, approval_str_t name,
    approval_str_t value);

int approval_match_captures(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_visit_pt visit,
    void *data);

/*
 * What made a rule hold, for the approver and the trail: each condition's
 * subject with each value that a pattern of its holds for.
 *
 * Both return what visit() did if that is not APPROVAL_OK; APPROVAL_ERROR if
 * read() fails.
 */
typedef int (*approval_match_evidence_pt)(void *data, unsigned subject,
    approval_str_t value);

int approval_match_evidence(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_evidence_pt visit,
    void *data);

/*
 * A rule as it is written: visit() gets each condition's subject with each of
 * its patterns.
 */
int approval_match_written(const approval_match_t *m, int rule,
    approval_match_visit_pt visit, void *data);

/*
 * For the configuration's checks.  Does rule "by" hold wherever "rule" does?
 * The second one asks the same where what "rule" compares with numbers is
 * absent, and so does not hold.  0: not as far as patterns tell.  The set is
 * compiled.
 */
int approval_match_covers(approval_match_t *m, int by, int rule);
int approval_match_covers_absent(approval_match_t *m, int by, int rule);

/*
 * Which of the rule's conditions, counted from 0, compares with numbers, and
 * does not hold for what is absent?  -1: none.
 */
int approval_match_compares(const approval_match_t *m, int rule);

/*
 * All capture names of all rules, for the configuration's checks; those that
 * several rules have are visited several times.
 */
int approval_match_capture_names(const approval_match_t *m,
    approval_match_visit_pt visit, void *data);


#endif /* APPROVAL_MATCH_H */
