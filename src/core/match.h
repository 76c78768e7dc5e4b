
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


#include "core/json.h"
#include "core/str.h"


typedef struct approval_match_s  approval_match_t;


/*
 * VARIABLE: a string that the caller supplies on demand, at most once for
 *           each execution; METHOD and URI are variables too, told apart so
 *           that the index prefers them.
 * JSON:     a pointer into the body;  FORM: a field of the body.
 */

typedef enum {
    APPROVAL_SUBJECT_METHOD,
    APPROVAL_SUBJECT_URI,
    APPROVAL_SUBJECT_VARIABLE,
    APPROVAL_SUBJECT_JSON,
    APPROVAL_SUBJECT_FORM
} approval_subject_e;


/*
 * Outcome of approval_match_exec().  From RULE to LIMIT *rule is the rule that
 * it is about.  *err lasts until the set is used again.
 */

typedef enum {
    APPROVAL_MATCH_NONE,        /* no rule holds                              */
    APPROVAL_MATCH_RULE,        /* *rule is the first that holds              */
    APPROVAL_MATCH_BODY,        /* undecided: a candidate rule reads the body */
    APPROVAL_MATCH_UNREADABLE,  /* the body cannot be judged: *err says why   */
    APPROVAL_MATCH_LIMIT,       /* a regex hit its limit: *err names the rule */
    APPROVAL_MATCH_FAILED       /* out of memory, or value() failed: *err     */
} approval_match_e;


/*
 * What is judged.  value() gives variable "subject" (the number that
 * approval_match_subject() returned), valid until the execution ends; it
 * returns APPROVAL_OK or APPROVAL_ERROR.  An absent variable is "".
 *
 * body_read says whether the body is at hand.  Where it is, "json" is its
 * parsed form, or NULL with json_error, or NULL without one where there is no
 * body: then every pointer names nothing.  "form" is the raw body.
 */

typedef struct {
    int                 (*value)(void *data, unsigned subject,
                                 approval_str_t *value);
    void                 *data;
    unsigned              body_read;
    json_t               *json;
    const char           *json_error;
    approval_str_t        form;
} approval_match_input_t;


approval_match_t *approval_match_create(void);
void approval_match_destroy(approval_match_t *m);

/*
 * The number of a subject, the same for the same kind and name; or -1 with
 * *err.  "name" is the pointer (JSON), the field (FORM), else any text that
 * tells variables apart.
 */
int approval_match_subject(approval_match_t *m, approval_subject_e kind,
    approval_str_t name, const char **err);

/* Starts the next rule and returns its number, counted from 0; -1: memory. */
int approval_match_rule(approval_match_t *m);

/*
 * Adds a condition to the last rule: it holds if any of the patterns holds
 * for the subject's value (for JSON pointers with "*": for any of the
 * values).  Patterns as in nginx's map: exact text, "~regex", "~*regex",
 * "^prefix", "<N", ">N", "!" before any of them; a leading "\" (after the "!")
 * makes the rest literal.  On APPROVAL_ERROR errstr (of errlen bytes) names
 * the mend.
 *
 * An absent member or field is none of the values: "!x" holds, all others do
 * not.  JSON null is the text "null".  What is no number in JSON's grammar is
 * neither "<N" nor ">N", and both negated; a number beyond +-2^53 cannot be
 * compared: UNREADABLE.
 */
int approval_match_condition(approval_match_t *m, int subject,
    const approval_str_t *patterns, size_t n, char *errstr, size_t errlen);

/* Freezes the set and builds its index.  No rules may be added after it. */
int approval_match_compile(approval_match_t *m);

/* What the compiled set looks at. */
unsigned approval_match_subjects(const approval_match_t *m);
int approval_match_rule_reads_body(const approval_match_t *m, int rule);
int approval_match_rule_reads_json(const approval_match_t *m, int rule);
int approval_match_rule_reads_uri(const approval_match_t *m, int rule);

/*
 * What the rule's regex that has a group of this name looks at, as written;
 * APPROVAL_DECLINED: no regex of the rule has one.  Rules in the making count.
 */
int approval_match_capture_subject(const approval_match_t *m, int rule,
    approval_str_t name, approval_str_t *subject);

/*
 * The first rule, in order, all of whose conditions hold.  The set holds its
 * own scratch memory: one execution at a time.
 */
approval_match_e approval_match_exec(approval_match_t *m,
    const approval_match_input_t *in, int *rule, const char **err);

/*
 * Of a set whose rules all hang on the URI (approval_match_by_uri()): can none
 * of them hold, whatever else they ask?  0: one may.
 */
int approval_match_by_uri(const approval_match_t *m);
int approval_match_none(const approval_match_t *m, approval_str_t method,
    approval_str_t uri);

/* Is rule "rule" one that holds?  (NONE or RULE; otherwise as above.) */
approval_match_e approval_match_test(approval_match_t *m, int rule,
    const approval_match_input_t *in, const char **err);

/*
 * Named captures of a rule that holds, as its regexes' named groups captured
 * them (first condition and first pattern that matched win).  visit() gets
 * bytes that are valid during the call only.
 */
typedef int (*approval_match_visit_pt)(void *data, approval_str_t name,
    approval_str_t value);

int approval_match_captures(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_visit_pt visit,
    void *data);

/*
 * What made a rule hold, for the approver and the trail: each condition's
 * subject ("json:/pointer", "form:field", or the variable's text) and the
 * value that matched, "" where there is none.
 *
 * Both return what visit() did if that is not APPROVAL_OK; APPROVAL_DECLINED
 * if the rule does not hold; APPROVAL_ERROR if that cannot be told.
 */
int approval_match_evidence(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_visit_pt visit,
    void *data);

/*
 * A rule as it is written: visit() gets each condition's subject with each of
 * its patterns.
 */
int approval_match_written(const approval_match_t *m, int rule,
    approval_match_visit_pt visit, void *data);

/*
 * All capture names of all rules, for the configuration's checks; those that
 * several rules have are visited several times.
 */
int approval_match_capture_names(const approval_match_t *m,
    approval_match_visit_pt visit, void *data);


#endif /* APPROVAL_MATCH_H */
