
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * One rule covers another: what was said to hold wherever the other does must
 * hold there for each value that is tried, whatever the patterns.
 */


#include "core/match.h"

#include "test.h"

#include <stdlib.h>


#define N(a)  (sizeof(a) / sizeof((a)[0]))


/* Conditions on a variable, a method and a path; each pair of them is tried. */

static const char  *patterns[] = {
    "", "!", "a", "!a", "ab", "!ab", "^", "^a", "!^a", "^ab", "!^ab",
    "~^a", "~^ab", "~^ab.*", "~^ab?c", "~^a|b", "~^(a|b)$", "~a", "~*^a",
    "~*^A", "!~^a", "~^a\\.b", "^a.b", "~^ab*", "~^ab{0,1}", "~^ab+", "~.*",
    "~^.*", "~^", "<5", "!<5", "<50", ">5", ">50", "!>50", "<5.5", "7", "70",
    "a ab", "^a ^b", "!a !b", "~^a ~^b", "~^a/ b", "^a/", "a/b", "~^a/.*$"
};

static const char  *values[] = {
    "", "a", "b", "c", "ab", "ac", "abc", "abb", "A", "AB", "a.b", "a/b", "a/",
    "a/b/c", "xa", "4", "5", "5.2", "7", "49", "50", "51", "70", "-1", "ab\n"
};


typedef struct {
    approval_str_t       value;
    approval_readings_t  readings;
    approval_holds_e     holds;
} input_t;


static void pair(approval_subject_e kind, const char *by, const char *rule,
    unsigned *covered);
static void condition(approval_match_t *m, int subject, const char *written);
static approval_holds_e holds(approval_match_t *m, int rule,
    const char *value);
static approval_readings_t *value_read(void *data, unsigned subject);
static int value_found(void *data, const approval_match_found_t *found);
static void absent(void);
static int rules(const char *by, const char *rule, int no_number);


int
main(void)
{
    size_t    i, j, k;
    unsigned  covered;

    static const approval_subject_e  kinds[] = {
        APPROVAL_SUBJECT_VALUE, APPROVAL_SUBJECT_METHOD,
        APPROVAL_SUBJECT_MEMBER
    };

    for (k = 0; k < N(kinds); k++) {
        covered = 0;

        for (i = 0; i < N(patterns); i++) {
            for (j = 0; j < N(patterns); j++) {
                pair(kinds[k], patterns[i], patterns[j], &covered);
            }
        }

        ok(covered > N(patterns), "kind %d: %u pairs cover each other",
           (int) kinds[k], covered);
    }

    absent();

    return test_done();
}


static void
pair(approval_subject_e kind, const char *by, const char *rule,
    unsigned *covered)
{
    int                subject;
    size_t             i;
    const char        *err;
    approval_match_t  *m;

    m = approval_match_create();
    subject = approval_match_subject(m, kind, approval_str("x"), &err);

    approval_match_rule(m);
    condition(m, subject, by);
    approval_match_rule(m);
    condition(m, subject, rule);
    approval_match_compile(m);

    if (approval_match_covers(m, 0, 1)) {

        ++*covered;

        for (i = 0; i < N(values); i++) {
            if (holds(m, 1, values[i]) > holds(m, 0, values[i])) {
                ok(0, "kind %d: \"%s\" covers \"%s\", but for \"%s\"",
                   (int) kind, by, rule, values[i]);
            }
        }

    } else if (strcmp(by, rule) == 0) {
        ok(0, "kind %d: \"%s\" covers itself", (int) kind, by);
    }

    approval_match_destroy(m);
}


/* Several patterns are parted by blanks. */

static void
condition(approval_match_t *m, int subject, const char *written)
{
    char             errstr[256];
    size_t           n, len;
    approval_str_t   list[4];

    for (n = 0; n < N(list); n++) {
        len = strcspn(written, " ");

        list[n].data = (const unsigned char *) written;
        list[n].len = len;

        written += len;

        if (*written++ == '\0') {
            n++;
            break;
        }
    }

    if (approval_match_condition(m, subject, list, n, errstr, sizeof(errstr))
        != APPROVAL_OK)
    {
        ok(0, "%s", errstr);
    }
}


static approval_holds_e
holds(approval_match_t *m, int rule, const char *value)
{
    input_t                 input;
    approval_match_input_t  in;

    memset(&in, 0, sizeof(approval_match_input_t));
    approval_readings_init(&input.readings);

    input.value = approval_str(value);
    input.holds = APPROVAL_HOLDS_NOT;

    in.read = value_read;
    in.data = &input;
    in.body = 1;

    approval_match_test(m, rule, &in, value_found, &input);
    approval_readings_free(&input.readings);

    return input.holds;
}


static approval_readings_t *
value_read(void *data, unsigned subject)
{
    input_t *input = data;

    (void) subject;

    approval_readings_reset(&input->readings);
    approval_readings_add(&input->readings,
                          input->value.len ? APPROVAL_READING_TEXT
                                           : APPROVAL_READING_ABSENT,
                          input->value);

    return &input->readings;
}


static int
value_found(void *data, const approval_match_found_t *found)
{
    input_t *input = data;

    input->holds = found->holds;

    return APPROVAL_OK;
}


static void
absent(void)
{
    ok(rules("", ">5", 1) == 1, "a rule without conditions");
    ok(rules("!<5", ">5", 1) == 1, "what holds for what is absent");
    ok(rules(">1", ">5", 1) == 0, "what does not");
    ok(rules(">1", ">5", 0) == 1, "but for what is there");
    ok(rules("!x", "x", 1) == 0, "where nothing is compared");
}


/* Does the first one cover the second one, where its number is absent? */

static int
rules(const char *by, const char *rule, int no_number)
{
    int                subject, covers, compares;
    const char        *err;
    approval_match_t  *m;

    m = approval_match_create();
    subject = approval_match_subject(m, APPROVAL_SUBJECT_MEMBER,
                                     approval_str("n"), &err);

    approval_match_rule(m);

    if (*by) {
        condition(m, subject, by);
    }

    approval_match_rule(m);
    condition(m, subject, rule);
    approval_match_compile(m);

    compares = approval_match_compares(m, 1);

    covers = no_number ? approval_match_covers_absent(m, 0, 1)
                       : approval_match_covers(m, 0, 1);

    ok(compares == (strpbrk(rule, "<>") ? 0 : -1), "\"%s\" compares: %d", rule,
       compares);

    approval_match_destroy(m);

    return covers;
}
