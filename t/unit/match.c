
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What patterns mean: the truth table of docs/directives, line by line; then
 * what rules, the body, errors, captures and evidence are.
 */


#include "core/match.h"

#include "test.h"

#include <stdlib.h>


#define ABSENT  NULL

#define MAX_SUBJECTS  8


typedef struct {
    const char              *values[MAX_SUBJECTS];
    unsigned                 asked[MAX_SUBJECTS];
    int                      fails;
} vars_t;


typedef struct {
    approval_match_t        *m;
    vars_t                   vars;
    approval_match_input_t   in;
    const char              *err;
    int                      rule;
    char                     errstr[512];
} set_t;


typedef struct {
    const char              *value;
    const char              *pattern;
    int                      holds;
} row_t;


typedef struct {
    char                     text[1024];
    int                      stop;
} seen_t;


static void set_open(set_t *s);
static void set_close(set_t *s);
static void set_json(set_t *s, const char *text);
static int set_subject(set_t *s, approval_subject_e kind, const char *name);
static int set_condition(set_t *s, int subject, const char *patterns);
static void set_rule(set_t *s, int subject, const char *patterns);
static void set_compile(set_t *s);
static approval_match_e set_exec(set_t *s);
static int vars_value(void *data, unsigned subject, approval_str_t *value);
static int seen_visit(void *data, approval_str_t name, approval_str_t value);


#define exec_is(s, want, name)  is_int(set_exec(s), want, name)


/* value, pattern, holds; body values are JSON */

static const row_t  text_rows[] = {
    { "prod", "prod", 1 },
    { "prod", "pro", 0 },
    { "prod", "prods", 0 },
    { "Prod", "prod", 0 },
    { "", "prod", 0 },
    { "", "", 1 },
    { "x", "", 0 },
    { "prod", "!prod", 0 },
    { "test", "!prod", 1 },
    { "", "!prod", 1 },
    { "", "!", 0 },
    { "x", "!", 1 },

    { "prod", "^pr", 1 },
    { "prod", "^prod", 1 },
    { "pr", "^prod", 0 },
    { "xprod", "^prod", 0 },
    { "prod", "^", 1 },
    { "", "^", 1 },
    { "prod", "!^pr", 0 },
    { "test", "!^pr", 1 },
    { "", "!^", 0 },

    { "prod-7", "~^prod-\\d$", 1 },
    { "prod-77", "~^prod-\\d$", 0 },
    { "prod-7\n", "~^prod-\\d$", 0 },
    { "a prod b", "~prod", 1 },
    { "PROD", "~prod", 0 },
    { "", "~^$", 1 },
    { "a\nb", "~^b", 0 },
    { "prod", "!~^pr", 0 },
    { "test", "!~^pr", 1 },
    { "PROD", "~*prod", 1 },
    { "test", "~*prod", 0 },
    { "PROD", "!~*prod", 0 },
    { "test", "!~*prod", 1 },
    { "\xff\xfe", "~^\\xff", 1 },
    { "\xc3\xa4", "~^..$", 1 },

    /* what a literal start must not be taken from */
    { "PROD", "~*^prod", 1 },
    { "b", "~^a|b$", 1 },
    { "b", "~^(?:a)|b$", 1 },
    { "b", "~^a[^]|]x|b$", 1 },
    { "ax", "~^a(?:b|x)$", 1 },
    { "a", "~^ab?$", 1 },
    { "a", "~^ab*$", 1 },
    { "a", "~^ab{0,1}$", 1 },
    { "abb", "~^ab+$", 1 },
    { "a.b", "~^a\\.b$", 1 },
    { "axb", "~^a\\.b$", 0 },
    { "a.", "~^a\\.\\.?$", 1 },
    { "a|b", "~^\\Qa|b\\E$", 1 },
    { "AB", "~^(?i)ab$", 1 },
    { "ab", "~^(?x)a b$", 1 },
    { "ab", "~^(?#|)ab$", 1 },
    { "a", "~\\Aa\\z", 1 },
    { "ba", "~\\Ab?a\\z", 1 },
    { "a\nb", "~(?m)^b", 1 },
    { "a\n", "~^a$", 0 },
    { "a$", "~^a\\$$", 1 },
    { "ab", "~^a$|b", 1 },
    { "xa", "~^(*ACCEPT)a", 1 },

    { "99", "<100", 1 },
    { "100", "<100", 0 },
    { "101", "<100", 0 },
    { "101", ">100", 1 },
    { "100", ">100", 0 },
    { "100.0", ">100", 0 },
    { "100.000001", ">100", 1 },
    { "1e2", ">99.9", 1 },
    { "1E+2", "<100.1", 1 },
    { "1000e-1", ">100", 0 },
    { "-1", "<0", 1 },
    { "-0", "<0", 0 },
    { "-0", ">0", 0 },
    { "0.0e9", ">-1", 1 },
    { "-5", "<-4.5", 1 },
    { "-5", ">-4.5", 0 },
    { "0.00001", "<1e-4", 1 },
    { "1e-999999999999999999999", ">0", 1 },
    { "0e999999999999999999999", "<1", 1 },
    { "9007199254740992", ">9007199254740991", 1 },
    { "99", "!<100", 0 },
    { "100", "!<100", 1 },
    { "101", "!>100", 0 },
    { "100", "!>100", 1 },
    { "abc", "<100", 0 },
    { "abc", ">100", 0 },
    { "abc", "!<100", 1 },
    { "abc", "!>100", 1 },
    { "", "<100", 0 },
    { "", "!<100", 1 },
    { "1 ", "<100", 0 },
    { " 1", "<100", 0 },
    { "+1", "<100", 0 },
    { "01", "<100", 0 },
    { "1.", "<100", 0 },
    { ".5", "<100", 0 },
    { "-", "<100", 0 },
    { "1e", "<100", 0 },
    { "1e+", "<100", 0 },
    { "0x10", "<100", 0 },
    { "inf", ">100", 0 },
    { "NaN", "<100", 0 },
    { "1,5", "<100", 0 },

    { "~x", "\\~x", 1 },
    { "^x", "\\^x", 1 },
    { "<5", "\\<5", 1 },
    { ">x", "\\>x", 1 },
    { "!x", "\\!x", 1 },
    { "\\x", "\\\\x", 1 },
    { "x", "\\x", 1 },
    { "", "\\", 1 },
    { "~x", "!\\~x", 0 },
    { "y", "!\\~x", 1 },
    { "!x", "!\\!x", 0 },
    { "a!x", "a!x", 1 },

    /* ";" parts patterns in these tests */
    { "b", "a;b", 1 },
    { "c", "a;b", 0 },
    { "c", "a;!b", 1 },
    { "b", "a;!b", 0 },
    { "120", "<10;>100", 1 },
    { "50", "<10;>100", 0 },
    { "xprod", "^a;~prod$", 1 },
};


static const row_t  json_rows[] = {
    { "{}", "prod", 0 },
    { "{}", "!prod", 1 },
    { "{}", "", 0 },
    { "{}", "!", 1 },
    { "{}", "^", 0 },
    { "{}", "!^", 1 },
    { "{}", "~.", 0 },
    { "{}", "~^", 0 },
    { "{}", "!~.", 1 },
    { "{}", "~*.", 0 },
    { "{}", "!~*.", 1 },
    { "{}", "<1", 0 },
    { "{}", ">1", 0 },
    { "{}", "!<1", 1 },
    { "{}", "!>1", 1 },
    { "{}", "a;b", 0 },
    { "{}", "a;!b", 1 },

    { "{\"v\":null}", "null", 1 },
    { "{\"v\":null}", "", 0 },
    { "{\"v\":null}", "!", 1 },
    { "{\"v\":null}", "!null", 0 },
    { "{\"v\":null}", "^", 1 },
    { "{\"v\":null}", "<1", 0 },
    { "{\"v\":null}", "!<1", 1 },
    { "{\"v\":\"null\"}", "null", 1 },

    { "{\"v\":\"\"}", "", 1 },
    { "{\"v\":\"\"}", "!", 0 },
    { "{\"v\":\"\"}", "^", 1 },
    { "{\"v\":\"\"}", "!prod", 1 },
    { "{\"v\":\"prod\"}", "prod", 1 },
    { "{\"v\":\"prod\"}", "!prod", 0 },
    { "{\"v\":\"\\u0070rod\"}", "prod", 1 },
    { "{\"v\":\"prod\"}", "^pr", 1 },
    { "{\"v\":\"prod\"}", "~od$", 1 },
    { "{\"v\":\"prod\"}", "~*OD$", 1 },
    { "{\"v\":\"101\"}", ">100", 1 },

    { "{\"v\":101}", ">100", 1 },
    { "{\"v\":101}", "<100", 0 },
    { "{\"v\":101}", "101", 1 },
    { "{\"v\":1.5}", "1.5", 1 },
    { "{\"v\":1e2}", ">99", 1 },
    { "{\"v\":-3}", "<-2", 1 },

    { "{\"v\":true}", "true", 1 },
    { "{\"v\":true}", "false", 0 },
    { "{\"v\":true}", "!false", 1 },
    { "{\"v\":false}", "false", 1 },
    { "{\"v\":true}", "<2", 0 },
    { "{\"v\":true}", "!<2", 1 },

    { "{\"v\":[]}", "[]", 1 },
    { "{\"v\":[]}", "!", 1 },
    { "{\"v\":[1, \"a\"]}", "[1,\"a\"]", 1 },
    { "{\"v\":[1, \"a\"]}", "~\"a\"", 1 },
    { "{\"v\":[500]}", ">100", 0 },
    { "{\"v\":{\"b\": 1, \"a\": 2}}", "{\"a\":2,\"b\":1}", 1 },
    { "{\"v\":{}}", "^{", 1 },
    { "{\"v\":{}}", "!prod", 1 },
    { "[]", "!prod", 1 },
    { "\"v\"", "prod", 0 },
};


/* the pointer is "/v" with a "*" below it */

static const row_t  star_rows[] = {
    { "{\"v\":[\"test\",\"prod\"]}", "prod", 1 },
    { "{\"v\":[\"test\",\"dev\"]}", "prod", 0 },
    { "{\"v\":[\"prod\",\"prod\"]}", "!prod", 0 },
    { "{\"v\":[\"prod\",\"dev\"]}", "!prod", 1 },
    { "{\"v\":[]}", "prod", 0 },
    { "{\"v\":[]}", "!prod", 1 },
    { "{\"v\":[]}", "^", 0 },
    { "{}", "prod", 0 },
    { "{}", "!prod", 1 },
    { "{\"v\":\"prod\"}", "prod", 0 },
    { "{\"v\":{\"a\":1,\"b\":\"prod\"}}", "prod", 1 },
    { "{\"v\":[1,200,3]}", ">100", 1 },
    { "{\"v\":[1,2,3]}", ">100", 0 },
    { "{\"v\":[null]}", "null", 1 },
    { "{\"v\":[\"\"]}", "", 1 },
    { "{\"v\":[[1],2]}", "[1]", 1 },
};


static const row_t  form_rows[] = {
    { "v=prod", "prod", 1 },
    { "a=1&v=prod&b=2", "prod", 1 },
    { "v=pr%6fd", "prod", 1 },
    { "v=a+b", "a b", 1 },
    { "a=1", "prod", 0 },
    { "a=1", "!prod", 1 },
    { "a=1", "", 0 },
    { "", "", 0 },
    { "", "!", 1 },
    { "v=", "", 1 },
    { "v", "", 1 },
    { "v=", "!prod", 1 },
    { "v=", "!", 0 },
    { "v=150", ">100", 1 },
    { "v=150", "!>100", 0 },
    { "a=1", "<100", 0 },
};


static const char  *bad_patterns[] = {
    "~(", "~", "~*", "!~", "<", ">", "<x", ">1x", "<01", "< 1", "<1e400",
    ">9007199254740993", "<-9007199254740993", "!!x", "!!",
    "~(?J)(?<a>x)(?<a>y)", "~(?<a>x)(?<b>y)(?<A>z)", "~[[:x:]]", "~(*UTF)a",
};


static void
test_table(approval_subject_e kind, const char *name, const row_t *rows,
    size_t n)
{
    int           subject;
    size_t        i;
    set_t         s;
    const row_t  *row;

    for (i = 0; i < n; i++) {
        row = &rows[i];

        set_open(&s);
        subject = set_subject(&s, kind, name);
        set_rule(&s, subject, row->pattern);
        set_compile(&s);

        switch (kind) {

        case APPROVAL_SUBJECT_JSON:
            set_json(&s, row->value);
            break;

        case APPROVAL_SUBJECT_FORM:
            s.in.body_read = 1;
            s.in.form = approval_str(row->value);
            break;

        default:
            s.vars.values[subject] = row->value;
            break;
        }

        ok(set_exec(&s) == (row->holds ? APPROVAL_MATCH_RULE
                                       : APPROVAL_MATCH_NONE),
           "%s: %s is %s\"%s\"", name,
           strchr(row->value, '\n') ? "(two lines)" : row->value,
           row->holds ? "" : "not ", row->pattern);

        ok(approval_match_test(s.m, 0, &s.in, &s.err)
           == (row->holds ? APPROVAL_MATCH_RULE : APPROVAL_MATCH_NONE),
           "%s: tested alone", name);

        set_close(&s);
    }
}


static void
test_bad_patterns(void)
{
    int     subject;
    size_t  i;
    set_t   s;

    set_open(&s);
    subject = set_subject(&s, APPROVAL_SUBJECT_VARIABLE, "$x");

    ok(set_condition(&s, subject, "a") == APPROVAL_ERROR,
       "a condition without a rule is refused");

    (void) approval_match_rule(s.m);

    for (i = 0; i < sizeof(bad_patterns) / sizeof(bad_patterns[0]); i++) {
        s.errstr[0] = '\0';

        ok(set_condition(&s, subject, bad_patterns[i]) == APPROVAL_ERROR
           && s.errstr[0] != '\0', "\"%s\" is refused: %s", bad_patterns[i],
           s.errstr);
    }

    ok(strstr(s.errstr, "~(*UTF)a") != NULL, "the message names the pattern");

    ok(set_condition(&s, subject, "~^(?<id>a);~^(?<Id>b)") == APPROVAL_OK,
       "a named group is accepted, in each pattern of a condition");
    ok(set_condition(&s, subject, "~(?<ID>b)") == APPROVAL_ERROR,
       "the same name in another condition of the rule is refused");

    (void) approval_match_rule(s.m);

    ok(set_condition(&s, subject, "~(?<id>b)") == APPROVAL_OK,
       "the same name in another rule is accepted");
    ok(set_condition(&s, 99, "b") == APPROVAL_ERROR,
       "an unknown subject is refused");
    ok(approval_match_condition(s.m, subject, NULL, 0, s.errstr,
                                sizeof(s.errstr))
       == APPROVAL_ERROR, "no patterns are refused: %s", s.errstr);
    is_int(approval_match_subject(s.m, APPROVAL_SUBJECT_JSON,
                                  approval_str("no-slash"), &s.err),
           -1, "a bad pointer is refused");
    ok(s.err != NULL && strlen(s.err) > 0, "and the reason is: %s", s.err);

    ok(approval_match_exec(s.m, &s.in, &s.rule, &s.err)
       == APPROVAL_MATCH_FAILED, "rules that are not compiled do not pass");

    set_compile(&s);

    ok(approval_match_rule(s.m) == -1, "no rule is added after compile");
    ok(set_condition(&s, subject, "b") == APPROVAL_ERROR,
       "nor a condition");
    ok(approval_match_compile(s.m) == APPROVAL_ERROR, "nor compiled twice");
    ok(approval_match_test(s.m, 2, &s.in, &s.err) == APPROVAL_MATCH_FAILED,
       "a rule that is not there");

    set_close(&s);
}


static void
test_rules(void)
{
    int    method, uri, env;
    set_t  s;

    set_open(&s);

    method = set_subject(&s, APPROVAL_SUBJECT_METHOD, "$request_method");
    uri = set_subject(&s, APPROVAL_SUBJECT_URI, "$uri");
    env = set_subject(&s, APPROVAL_SUBJECT_VARIABLE, "$http_x_env");

    is_int(set_subject(&s, APPROVAL_SUBJECT_URI, "$uri"), uri,
           "a subject has one number");
    ok(set_subject(&s, APPROVAL_SUBJECT_VARIABLE, "$uri") != uri,
       "another kind has another");

    /* 0 */ set_rule(&s, method, "DELETE");
            (void) set_condition(&s, uri, "^/db/");
            (void) set_condition(&s, env, "prod");
    /* 1 */ set_rule(&s, method, "DELETE;PUT");
            (void) set_condition(&s, uri, "^/db/");
    /* 2 */ set_rule(&s, uri, "~^/db/(\\d+)/drop$");
    /* 3 */ set_rule(&s, method, "!GET");
            (void) set_condition(&s, env, "prod");
    /* 4 */ set_rule(&s, method, "~^PRO");
    /* 5 */ set_rule(&s, uri, "/db/x;^/db/x;~^/db/x");
            (void) set_condition(&s, env, "!^s");
    /* 6 */ set_rule(&s, method, "GET");
            (void) set_condition(&s, method, "PUT");
    set_compile(&s);

    is_int(approval_match_subjects(s.m), 4, "four subjects");
    is_int(approval_match_rule_reads_uri(s.m, 0), 1, "rule 0 reads the URI");
    is_int(approval_match_rule_reads_uri(s.m, 3), 0, "rule 3 does not");
    is_int(approval_match_rule_reads_body(s.m, 0), 0, "nor a body");

    s.vars.values[method] = "DELETE";
    s.vars.values[uri] = "/db/7/drop";
    s.vars.values[env] = "prod";
    exec_is(&s, APPROVAL_MATCH_RULE, "all conditions hold");
    is_int(s.rule, 0, "the first rule wins");
    ok(s.vars.asked[method] <= 1 && s.vars.asked[uri] <= 1
       && s.vars.asked[env] <= 1, "no variable is asked twice");

    s.vars.values[env] = "staging";
    exec_is(&s, APPROVAL_MATCH_RULE, "one does not");
    is_int(s.rule, 1, "the second rule wins");

    s.vars.values[method] = "GET";
    exec_is(&s, APPROVAL_MATCH_RULE, "another method");
    is_int(s.rule, 2, "the regex wins");

    s.vars.values[uri] = "/db/7/drop/";
    exec_is(&s, APPROVAL_MATCH_NONE, "no rule holds");

    s.vars.values[method] = "POST";
    s.vars.values[env] = "prod";
    exec_is(&s, APPROVAL_MATCH_RULE, "not GET");
    is_int(s.rule, 3, "a method that no rule names is not GET");

    s.vars.values[method] = "PROPFIND";
    s.vars.values[env] = "";
    exec_is(&s, APPROVAL_MATCH_RULE, "a regex for methods");
    is_int(s.rule, 4, "holds");

    s.vars.values[method] = "get";
    s.vars.values[uri] = "/db/x";
    exec_is(&s, APPROVAL_MATCH_RULE, "three keys of one rule");
    is_int(s.rule, 5, "are one rule; absent is not ^s");

    s.vars.values[uri] = "";
    exec_is(&s, APPROVAL_MATCH_NONE, "an empty URI concerns no rule");

    s.vars.fails = uri;
    exec_is(&s, APPROVAL_MATCH_FAILED, "a variable that fails");
    s.vars.fails = method;
    exec_is(&s, APPROVAL_MATCH_FAILED, "a method that fails");

    set_close(&s);
}


static void
test_method_only(void)
{
    int    method, uri;
    set_t  s;

    set_open(&s);
    method = set_subject(&s, APPROVAL_SUBJECT_METHOD, "$request_method");
    uri = set_subject(&s, APPROVAL_SUBJECT_URI, "$uri");
    set_rule(&s, method, "DELETE;PUT");
    (void) set_condition(&s, uri, "^/");
    set_rule(&s, method, "POST");
    set_compile(&s);

    s.vars.values[uri] = "/";
    s.vars.values[method] = "GET";
    exec_is(&s, APPROVAL_MATCH_NONE, "a method that no rule is for");
    is_int(s.vars.asked[uri], 0, "does not even ask for the URI");

    s.vars.values[method] = "PUT";
    exec_is(&s, APPROVAL_MATCH_RULE, "one of the methods");
    s.vars.values[method] = "POST";
    exec_is(&s, APPROVAL_MATCH_RULE, "the other rule");
    is_int(s.rule, 1, "is number 1");

    set_close(&s);

    set_open(&s);
    set_compile(&s);
    exec_is(&s, APPROVAL_MATCH_NONE, "an empty set");
    set_close(&s);

    set_open(&s);
    (void) approval_match_rule(s.m);
    set_compile(&s);
    exec_is(&s, APPROVAL_MATCH_RULE, "a rule without conditions holds");
    set_close(&s);
}


static void
test_many_methods(void)
{
    int    i, method;
    char   name[16];
    set_t  s;

    set_open(&s);
    method = set_subject(&s, APPROVAL_SUBJECT_METHOD, "$request_method");

    for (i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "M%d", i);
        set_rule(&s, method, name);
    }

    set_compile(&s);

    s.vars.values[method] = "M3";
    exec_is(&s, APPROVAL_MATCH_RULE, "of 100 methods the fourth");
    is_int(s.rule, 3, "is number 3");
    s.vars.values[method] = "M99";
    exec_is(&s, APPROVAL_MATCH_RULE, "the last");
    is_int(s.rule, 99, "is number 99");
    s.vars.values[method] = "M100";
    exec_is(&s, APPROVAL_MATCH_NONE, "none of them");

    set_close(&s);
}


static void
test_body(void)
{
    int    uri, env, amount, field;
    set_t  s;

    set_open(&s);
    uri = set_subject(&s, APPROVAL_SUBJECT_URI, "$uri");
    env = set_subject(&s, APPROVAL_SUBJECT_VARIABLE, "$env");
    amount = set_subject(&s, APPROVAL_SUBJECT_JSON, "/amount");
    field = set_subject(&s, APPROVAL_SUBJECT_FORM, "amount");

    /* 0 */ set_rule(&s, uri, "/early");
    /* 1 */ set_rule(&s, amount, ">100");
            (void) set_condition(&s, uri, "^/pay");
            (void) set_condition(&s, env, "prod");
    /* 2 */ set_rule(&s, uri, "^/form");
            (void) set_condition(&s, field, ">100");
    /* 3 */ set_rule(&s, uri, "^/pay");
            (void) set_condition(&s, env, "late");
    set_compile(&s);

    is_int(approval_match_rule_reads_body(s.m, 1), 1, "rule 1 reads a body");
    is_int(approval_match_rule_reads_json(s.m, 1), 1, "which is JSON");
    is_int(approval_match_rule_reads_body(s.m, 2), 1, "rule 2 reads a body");
    is_int(approval_match_rule_reads_json(s.m, 2), 0, "which is a form");

    s.vars.values[env] = "prod";
    s.vars.values[uri] = "/other";
    exec_is(&s, APPROVAL_MATCH_NONE, "no candidate: the body is not read");

    s.vars.values[uri] = "/early";
    exec_is(&s, APPROVAL_MATCH_RULE, "an earlier rule holds without it");

    s.vars.values[uri] = "/pay/1";
    exec_is(&s, APPROVAL_MATCH_BODY, "a candidate: it is needed");
    is_int(s.rule, 1, "by rule 1");

    s.vars.values[env] = "test";
    exec_is(&s, APPROVAL_MATCH_NONE,
            "variables come first, also those written last");

    s.vars.values[env] = "late";
    exec_is(&s, APPROVAL_MATCH_RULE, "so that a later rule can hold");
    is_int(s.rule, 3, "without the body");

    s.vars.values[env] = "prod";
    s.in.body_read = 1;
    s.in.json_error = "it is no JSON";
    exec_is(&s, APPROVAL_MATCH_UNREADABLE, "a body that cannot be read");
    is_str(approval_str(s.err), "it is no JSON", "says why");
    is_int(s.rule, 1, "for rule 1");

    set_json(&s, "{\"amount\":101}");
    exec_is(&s, APPROVAL_MATCH_RULE, "amount is over 100");
    set_json(&s, "{\"amount\":100}");
    exec_is(&s, APPROVAL_MATCH_NONE, "amount is not");
    set_json(&s, "{\"amount\":\"150\"}");
    exec_is(&s, APPROVAL_MATCH_RULE, "amount as text");
    set_json(&s, "{\"amount\":9007199254740993}");
    exec_is(&s, APPROVAL_MATCH_UNREADABLE, "amount is beyond 2^53");
    ok(strstr(s.err, "number out of range") && strstr(s.err, "json:/amount"),
       "and the message says so: %s", s.err);
    set_json(&s, "{\"amount\":-1e300}");
    exec_is(&s, APPROVAL_MATCH_UNREADABLE, "amount is below -2^53");
    set_json(&s, "{\"amount\":\"1e99999\"}");
    exec_is(&s, APPROVAL_MATCH_UNREADABLE, "amount is not finite");

    s.vars.values[uri] = "/form";
    s.in.form = approval_str("amount=200");
    exec_is(&s, APPROVAL_MATCH_RULE, "the field is over 100");
    s.in.form = approval_str("amount=200&amount=1");
    exec_is(&s, APPROVAL_MATCH_UNREADABLE, "the field stands twice");
    s.in.form = approval_str("amount=%zz");
    exec_is(&s, APPROVAL_MATCH_UNREADABLE, "the form is malformed");
    s.in.form = approval_str("amount=9007199254740993");
    exec_is(&s, APPROVAL_MATCH_UNREADABLE, "the field is beyond 2^53");
    s.in.form = approval_str("b=1&b=2");
    exec_is(&s, APPROVAL_MATCH_NONE, "a field that no rule reads is twice");

    set_close(&s);
}


static void
test_range(void)
{
    int    x;
    set_t  s;

    set_open(&s);
    x = set_subject(&s, APPROVAL_SUBJECT_VARIABLE, "$x");
    set_rule(&s, x, "!<5");
    set_compile(&s);

    s.vars.values[x] = "9007199254740992.1";
    exec_is(&s, APPROVAL_MATCH_UNREADABLE, "a variable beyond 2^53");
    s.vars.values[x] = "-9007199254740992";
    exec_is(&s, APPROVAL_MATCH_NONE, "-2^53 is compared");
    s.vars.values[x] = "9007199254740992.0";
    exec_is(&s, APPROVAL_MATCH_RULE, "2^53 is compared");

    set_close(&s);
}


static void
test_limit(void)
{
    int     x;
    char   *text;
    set_t   s;

    text = calloc(1, 100001);
    if (text == NULL) {
        return;
    }

    set_open(&s);
    x = set_subject(&s, APPROVAL_SUBJECT_VARIABLE, "$x");
    set_rule(&s, x, "never");
    set_rule(&s, x, "!~^(a+)+$");
    set_compile(&s);

    memset(text, 'a', 64);
    text[63] = 'b';
    s.vars.values[x] = text;
    exec_is(&s, APPROVAL_MATCH_LIMIT, "a regex that explodes is no answer");
    is_int(s.rule, 1, "rule 1");
    ok(strstr(s.err, "rule 1") && strstr(s.err, "(a+)+"),
       "the message names it: %s", s.err);

    s.vars.values[x] = "aaaa";
    exec_is(&s, APPROVAL_MATCH_NONE, "the same regex on other text");
    set_close(&s);

    set_open(&s);
    x = set_subject(&s, APPROVAL_SUBJECT_VARIABLE, "$x");
    set_rule(&s, x, "~^[ab]*c$");
    set_compile(&s);
    memset(text, 'a', 100000);
    text[99999] = 'c';
    s.vars.values[x] = text;
    exec_is(&s, APPROVAL_MATCH_RULE, "a simple regex on long text");
    set_close(&s);

    free(text);
}


static void
test_captures(void)
{
    int             uri, name, env;
    set_t           s;
    seen_t          seen;
    approval_str_t  subject;

    set_open(&s);
    uri = set_subject(&s, APPROVAL_SUBJECT_URI, "$uri");
    name = set_subject(&s, APPROVAL_SUBJECT_JSON, "/users/*/name");
    env = set_subject(&s, APPROVAL_SUBJECT_VARIABLE, "$env");

    set_rule(&s, name, "~^adm(?<who>.*)$");
    (void) set_condition(&s, uri, "~^/v1/(?<db>\\w+)(?:/(?<table>\\w+))?$"
                                  ";~^/v2/(?<Db>\\w+)");
    (void) set_condition(&s, env, "!~(?<never>x)");
    set_compile(&s);

    memset(&seen, 0, sizeof(seen_t));
    is_int(approval_match_written(s.m, 0, seen_visit, &seen), APPROVAL_OK,
           "a rule as it is written");
    is_str(approval_str(seen.text),
           "json:/users/*/name=~^adm(?<who>.*)$;"
           "$uri=~^/v1/(?<db>\\w+)(?:/(?<table>\\w+))?$;"
           "$uri=~^/v2/(?<Db>\\w+);$env=!~(?<never>x);",
           "each pattern of each condition, in order");
    is_int(approval_match_written(s.m, 1, seen_visit, &seen), APPROVAL_ERROR,
           "of no other rule");

    memset(&seen, 0, sizeof(seen_t));
    is_int(approval_match_capture_names(s.m, seen_visit, &seen), APPROVAL_OK,
           "the names of captures");
    is_str(approval_str(seen.text), "who=;db=;table=;db=;never=;",
           "are these");

    is_int(approval_match_capture_subject(s.m, 0, approval_str("dB"),
                                          &subject),
           APPROVAL_OK, "what a capture is of");
    is_str(subject, "$uri", "is its regex' subject");

    (void) approval_match_capture_subject(s.m, 0, approval_str("who"),
                                          &subject);
    is_str(subject, "json:/users/*/name", "of the body, too");

    is_int(approval_match_capture_subject(s.m, 0, approval_str("nobody"),
                                          &subject),
           APPROVAL_DECLINED, "of no other name");

    is_int(approval_match_capture_subject(s.m, 0, approval_str("never"),
                                          &subject),
           APPROVAL_DECLINED, "nor where nothing can be captured");

    s.vars.values[uri] = "/v1/shop/orders";
    set_json(&s, "{\"users\":[{\"name\":\"bob\"},{\"name\":\"adm-eve\"}]}");
    exec_is(&s, APPROVAL_MATCH_RULE, "the rule holds");

    memset(&seen, 0, sizeof(seen_t));
    is_int(approval_match_captures(s.m, 0, &s.in, seen_visit, &seen),
           APPROVAL_OK, "captures");
    is_str(approval_str(seen.text), "who=-eve;db=shop;table=orders;",
           "are those of what matched, as it is written");

    memset(&seen, 0, sizeof(seen_t));
    is_int(approval_match_evidence(s.m, 0, &s.in, seen_visit, &seen),
           APPROVAL_OK, "evidence");
    is_str(approval_str(seen.text),
           "json:/users/*/name=adm-eve;$uri=/v1/shop/orders;$env=;",
           "is each subject and the value that matched");

    s.vars.values[uri] = "/v1/shop";
    memset(&seen, 0, sizeof(seen_t));
    (void) approval_match_captures(s.m, 0, &s.in, seen_visit, &seen);
    is_str(approval_str(seen.text), "who=-eve;db=shop;",
           "a group that took no part is not there");

    s.vars.values[uri] = "/v2/hr";
    memset(&seen, 0, sizeof(seen_t));
    (void) approval_match_captures(s.m, 0, &s.in, seen_visit, &seen);
    is_str(approval_str(seen.text), "who=-eve;db=hr;",
           "nor are those of another pattern, but what it captured is");

    seen.stop = 7;
    is_int(approval_match_captures(s.m, 0, &s.in, seen_visit, &seen), 7,
           "visit() can stop it");
    is_int(approval_match_evidence(s.m, 0, &s.in, seen_visit, &seen), 7,
           "evidence too");

    s.vars.values[uri] = "/v3";
    is_int(approval_match_captures(s.m, 0, &s.in, seen_visit, &seen),
           7, "before the condition that does not hold");
    seen.stop = 0;
    is_int(approval_match_captures(s.m, 0, &s.in, seen_visit, &seen),
           APPROVAL_DECLINED, "a rule that does not hold has none");
    s.in.body_read = 0;
    is_int(approval_match_evidence(s.m, 0, &s.in, seen_visit, &seen),
           APPROVAL_ERROR, "nor one that cannot be judged");

    set_close(&s);
}


int
main(void)
{
    test_table(APPROVAL_SUBJECT_VARIABLE, "$x", text_rows,
               sizeof(text_rows) / sizeof(row_t));
    test_table(APPROVAL_SUBJECT_URI, "$uri", text_rows,
               sizeof(text_rows) / sizeof(row_t));
    test_table(APPROVAL_SUBJECT_METHOD, "$request_method", text_rows,
               sizeof(text_rows) / sizeof(row_t));
    test_table(APPROVAL_SUBJECT_JSON, "/v", json_rows,
               sizeof(json_rows) / sizeof(row_t));
    test_table(APPROVAL_SUBJECT_JSON, "/v/*", star_rows,
               sizeof(star_rows) / sizeof(row_t));
    test_table(APPROVAL_SUBJECT_FORM, "v", form_rows,
               sizeof(form_rows) / sizeof(row_t));

    test_bad_patterns();
    test_rules();
    test_method_only();
    test_many_methods();
    test_body();
    test_range();
    test_limit();
    test_captures();

    return test_done();
}


static void
set_open(set_t *s)
{
    memset(s, 0, sizeof(set_t));

    s->m = approval_match_create();

    if (s->m == NULL) {
        exit(2);
    }

    s->vars.fails = -1;
    s->in.value = vars_value;
    s->in.data = &s->vars;
}


static void
set_close(set_t *s)
{
    json_decref(s->in.json);
    approval_match_destroy(s->m);
}


static void
set_json(set_t *s, const char *text)
{
    json_decref(s->in.json);

    s->in.body_read = 1;
    s->in.json = approval_json_parse(approval_str(text), &s->in.json_error);

    if (s->in.json == NULL) {
        printf("# \"%s\": %s\n", text, s->in.json_error);
    }
}


static int
set_subject(set_t *s, approval_subject_e kind, const char *name)
{
    return approval_match_subject(s->m, kind, approval_str(name), &s->err);
}


static int
set_condition(set_t *s, int subject, const char *patterns)
{
    size_t          i, n;
    const char     *p;
    approval_str_t  list[4];

    for (n = 0, p = patterns; n < 4; n++) {

        i = strcspn(p, ";");

        list[n].data = (const unsigned char *) p;
        list[n].len = i;

        if (p[i] == '\0') {
            n++;
            break;
        }

        p += i + 1;
    }

    return approval_match_condition(s->m, subject, list, n, s->errstr,
                                    sizeof(s->errstr));
}


static void
set_rule(set_t *s, int subject, const char *patterns)
{
    (void) approval_match_rule(s->m);

    if (set_condition(s, subject, patterns) != APPROVAL_OK) {
        ok(0, "\"%s\" is accepted: %s", patterns, s->errstr);
    }
}


static void
set_compile(set_t *s)
{
    if (approval_match_compile(s->m) != APPROVAL_OK) {
        ok(0, "the set is compiled");
    }
}


static approval_match_e
set_exec(set_t *s)
{
    memset(s->vars.asked, 0, sizeof(s->vars.asked));

    s->rule = -1;
    s->err = "";

    return approval_match_exec(s->m, &s->in, &s->rule, &s->err);
}


static int
vars_value(void *data, unsigned subject, approval_str_t *value)
{
    vars_t  *vars = data;

    if (vars->fails == (int) subject) {
        return APPROVAL_ERROR;
    }

    vars->asked[subject]++;

    if (vars->values[subject] == ABSENT) {
        value->data = NULL;
        value->len = 0;

    } else {
        *value = approval_str(vars->values[subject]);
    }

    return APPROVAL_OK;
}


static int
seen_visit(void *data, approval_str_t name, approval_str_t value)
{
    size_t   len;
    seen_t  *seen = data;

    len = strlen(seen->text);

    snprintf(seen->text + len, sizeof(seen->text) - len, "%.*s=%.*s;",
             (int) name.len, (const char *) name.data, (int) value.len,
             (const char *) value.data);

    return seen->stop;
}
