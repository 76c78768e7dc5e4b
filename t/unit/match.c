
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


/* Values are texts; several readings are parted by "|". */

typedef struct {
    const char               *values[MAX_SUBJECTS];
    approval_json_pointer_t  *pointers[MAX_SUBJECTS];
    const char               *fields[MAX_SUBJECTS];
    approval_readings_t       readings[MAX_SUBJECTS];
    unsigned                  asked[MAX_SUBJECTS];
    int                       fails;
    const char               *form;
    json_t                   *json;
    const char               *unknown;
} vars_t;


typedef struct {
    approval_match_t         *m;
    vars_t                    vars;
    approval_match_input_t    in;
    const char               *err;

    /* of an execution: the rules that may hold, and how */
    char                      rules[256];
    approval_match_found_t    last;
    unsigned                  nfound;
    unsigned                  stop;

    char                      errstr[512];
} set_t;


typedef struct {
    const char               *value;
    const char               *pattern;
    int                       holds;
} row_t;


typedef struct {
    char                      text[1024];
    int                       stop;
} seen_t;


#define NOT    APPROVAL_HOLDS_NOT
#define MAYBE  APPROVAL_HOLDS_MAYBE
#define HOLDS  APPROVAL_HOLDS


static void set_open(set_t *s);
static void set_close(set_t *s);
static void set_json(set_t *s, const char *text);
static int set_subject(set_t *s, approval_subject_e kind, const char *name);
static int set_condition(set_t *s, int subject, const char *patterns);
static void set_rule(set_t *s, int subject, const char *patterns);
static void set_compile(set_t *s);
static approval_match_e set_exec(set_t *s);
static int set_found(void *data, const approval_match_found_t *found);
static approval_readings_t *vars_read(void *data, unsigned subject);
static int seen_visit(void *data, approval_str_t name, approval_str_t value);
static int seen_evidence(void *data, unsigned subject, approval_str_t value);


/* the rules that were visited: "0? 2!" may hold and does */

#define exec_is(s, want, name)                                                \
    is_int(set_exec(s), APPROVAL_MATCH_DONE, name);                           \
    is_str(approval_str((s)->rules), want, name)


/* value, pattern, holds; body values are JSON */

static const row_t  text_rows[] = {
    { "prod", "prod", HOLDS },
    { "prod", "pro", NOT },
    { "prod", "prods", NOT },
    { "Prod", "prod", NOT },
    { "", "prod", NOT },
    { "", "", HOLDS },
    { "x", "", NOT },
    { "prod", "!prod", NOT },
    { "test", "!prod", HOLDS },
    { "", "!prod", HOLDS },
    { "", "!", NOT },
    { "x", "!", HOLDS },

    { "prod", "^pr", HOLDS },
    { "prod", "^prod", HOLDS },
    { "pr", "^prod", NOT },
    { "xprod", "^prod", NOT },
    { "prod", "^", HOLDS },
    { "", "^", HOLDS },
    { "prod", "!^pr", NOT },
    { "test", "!^pr", HOLDS },
    { "", "!^", NOT },

    { "prod-7", "~^prod-\\d$", HOLDS },
    { "prod-77", "~^prod-\\d$", NOT },
    { "prod-7\n", "~^prod-\\d$", NOT },
    { "a prod b", "~prod", HOLDS },
    { "PROD", "~prod", NOT },
    { "", "~^$", HOLDS },
    { "a\nb", "~^b", NOT },
    { "prod", "!~^pr", NOT },
    { "test", "!~^pr", HOLDS },
    { "PROD", "~*prod", HOLDS },
    { "test", "~*prod", NOT },
    { "PROD", "!~*prod", NOT },
    { "test", "!~*prod", HOLDS },
    { "\xff\xfe", "~^\\xff", HOLDS },
    { "\xc3\xa4", "~^..$", HOLDS },

    /* what a literal start must not be taken from */
    { "PROD", "~*^prod", HOLDS },
    { "b", "~^a|b$", HOLDS },
    { "b", "~^(?:a)|b$", HOLDS },
    { "b", "~^a[^]|]x|b$", HOLDS },
    { "ax", "~^a(?:b|x)$", HOLDS },
    { "a", "~^ab?$", HOLDS },
    { "a", "~^ab*$", HOLDS },
    { "a", "~^ab{0,1}$", HOLDS },
    { "abb", "~^ab+$", HOLDS },
    { "a.b", "~^a\\.b$", HOLDS },
    { "axb", "~^a\\.b$", NOT },
    { "a.", "~^a\\.\\.?$", HOLDS },
    { "a.b", "~^\\Qa.b\\E$", HOLDS },
    { "AB", "~^(?i)ab$", HOLDS },
    { "ab", "~^(?x)a b$", HOLDS },
    { "ab", "~^(?#|)ab$", HOLDS },
    { "a", "~\\Aa\\z", HOLDS },
    { "ba", "~\\Ab?a\\z", HOLDS },
    { "a\nb", "~(?m)^b", HOLDS },
    { "a\n", "~^a$", NOT },
    { "a$", "~^a\\$$", HOLDS },
    { "ab", "~^a$|b", HOLDS },
    { "xa", "~^(*ACCEPT)a", HOLDS },

    { "99", "<100", HOLDS },
    { "100", "<100", NOT },
    { "101", "<100", NOT },
    { "101", ">100", HOLDS },
    { "100", ">100", NOT },
    { "100.0", ">100", NOT },
    { "100.000001", ">100", MAYBE },
    { "1e2", ">99.9", MAYBE },
    { "1E+2", "<100.1", MAYBE },
    { "1000e-1", ">100", MAYBE },
    { "-1", "<0", HOLDS },
    { "-0", "<0", NOT },
    { "-0", ">0", NOT },
    { "0.0e9", ">-1", MAYBE },
    { "-5", "<-4.5", HOLDS },
    { "-5", ">-4.5", NOT },
    { "0.00001", "<1e-4", HOLDS },
    { "1e-999999999999999999999", ">0", MAYBE },
    { "0e999999999999999999999", "<1", MAYBE },
    { "9007199254740992", ">9007199254740991", HOLDS },
    { "99", "!<100", NOT },
    { "100", "!<100", HOLDS },
    { "101", "!>100", NOT },
    { "100", "!>100", HOLDS },
    { "abc", "<100", MAYBE },
    { "abc", ">100", MAYBE },
    { "abc", "!<100", MAYBE },
    { "abc", "!>100", MAYBE },
    { "", "<100", NOT },
    { "", "!<100", HOLDS },
    { "1 ", "<100", MAYBE },
    { " 1", "<100", MAYBE },
    { "+1", "<100", MAYBE },
    { "01", "<100", MAYBE },
    { "1.", "<100", MAYBE },
    { ".5", "<100", MAYBE },
    { "-", "<100", MAYBE },
    { "1e", "<100", MAYBE },
    { "1e+", "<100", MAYBE },
    { "0x10", "<100", MAYBE },
    { "inf", ">100", MAYBE },
    { "NaN", "<100", MAYBE },
    { "1,5", "<100", MAYBE },

    { "~x", "\\~x", HOLDS },
    { "^x", "\\^x", HOLDS },
    { "<5", "\\<5", HOLDS },
    { ">x", "\\>x", HOLDS },
    { "!x", "\\!x", HOLDS },
    { "\\x", "\\\\x", HOLDS },
    { "x", "\\x", HOLDS },
    { "", "\\", HOLDS },
    { "~x", "!\\~x", NOT },
    { "y", "!\\~x", HOLDS },
    { "!x", "!\\!x", NOT },
    { "a!x", "a!x", HOLDS },

    /* ";" parts patterns in these tests */
    { "b", "a;b", HOLDS },
    { "c", "a;b", NOT },
    { "c", "a;!b", HOLDS },
    { "b", "a;!b", NOT },
    { "120", "<10;>100", HOLDS },
    { "50", "<10;>100", NOT },
    { "xprod", "^a;~prod$", HOLDS },
};


static const row_t  json_rows[] = {
    { "{}", "prod", NOT },
    { "{}", "!prod", HOLDS },
    { "{}", "", NOT },
    { "{}", "!", HOLDS },
    { "{}", "^", NOT },
    { "{}", "!^", HOLDS },
    { "{}", "~.", NOT },
    { "{}", "~^", NOT },
    { "{}", "!~.", HOLDS },
    { "{}", "~*.", NOT },
    { "{}", "!~*.", HOLDS },
    { "{}", "<1", NOT },
    { "{}", ">1", NOT },
    { "{}", "!<1", HOLDS },
    { "{}", "!>1", HOLDS },
    { "{}", "a;b", NOT },
    { "{}", "a;!b", HOLDS },

    { "{\"v\":null}", "null", HOLDS },
    { "{\"v\":null}", "", NOT },
    { "{\"v\":null}", "!", HOLDS },
    { "{\"v\":null}", "!null", NOT },
    { "{\"v\":null}", "^", HOLDS },
    { "{\"v\":null}", "<1", NOT },
    { "{\"v\":null}", "!<1", HOLDS },
    { "{\"v\":\"null\"}", "null", HOLDS },

    { "{\"v\":\"\"}", "", HOLDS },
    { "{\"v\":\"\"}", "!", NOT },
    { "{\"v\":\"\"}", "^", HOLDS },
    { "{\"v\":\"\"}", "!prod", HOLDS },
    { "{\"v\":\"prod\"}", "prod", HOLDS },
    { "{\"v\":\"prod\"}", "!prod", NOT },
    { "{\"v\":\"\\u0070rod\"}", "prod", HOLDS },
    { "{\"v\":\"prod\"}", "^pr", HOLDS },
    { "{\"v\":\"prod\"}", "~od$", HOLDS },
    { "{\"v\":\"prod\"}", "~*OD$", HOLDS },
    { "{\"v\":\"101\"}", ">100", HOLDS },

    { "{\"v\":101}", ">100", HOLDS },
    { "{\"v\":101}", "<100", NOT },
    { "{\"v\":101}", "101", HOLDS },
    { "{\"v\":1.5}", "1.5", HOLDS },
    { "{\"v\":1e2}", ">99", HOLDS },
    { "{\"v\":-3}", "<-2", HOLDS },

    { "{\"v\":true}", "true", HOLDS },
    { "{\"v\":true}", "false", NOT },
    { "{\"v\":true}", "!false", HOLDS },
    { "{\"v\":false}", "false", HOLDS },
    { "{\"v\":true}", "<2", MAYBE },
    { "{\"v\":true}", "!<2", MAYBE },

    { "{\"v\":[]}", "[]", HOLDS },
    { "{\"v\":[]}", "!", HOLDS },
    { "{\"v\":[1, \"a\"]}", "[1,\"a\"]", HOLDS },
    { "{\"v\":[1, \"a\"]}", "~\"a\"", HOLDS },
    { "{\"v\":[500]}", ">100", MAYBE },
    { "{\"v\":{\"b\": 1, \"a\": 2}}", "{\"a\":2,\"b\":1}", HOLDS },
    { "{\"v\":{}}", "^{", HOLDS },
    { "{\"v\":{}}", "!prod", HOLDS },
    { "[]", "!prod", HOLDS },
    { "\"v\"", "prod", NOT },
};


/* the pointer is "/v" with a "*" below it */

static const row_t  star_rows[] = {
    { "{\"v\":[\"test\",\"prod\"]}", "prod", HOLDS },
    { "{\"v\":[\"test\",\"dev\"]}", "prod", NOT },
    { "{\"v\":[\"prod\",\"prod\"]}", "!prod", NOT },
    { "{\"v\":[\"prod\",\"dev\"]}", "!prod", HOLDS },
    { "{\"v\":[]}", "prod", NOT },
    { "{\"v\":[]}", "!prod", HOLDS },
    { "{\"v\":[]}", "^", NOT },
    { "{}", "prod", NOT },
    { "{}", "!prod", HOLDS },
    { "{\"v\":\"prod\"}", "prod", NOT },
    { "{\"v\":{\"a\":1,\"b\":\"prod\"}}", "prod", HOLDS },
    { "{\"v\":[1,200,3]}", ">100", HOLDS },
    { "{\"v\":[1,2,3]}", ">100", NOT },
    { "{\"v\":[null]}", "null", HOLDS },
    { "{\"v\":[\"\"]}", "", HOLDS },
    { "{\"v\":[[1],2]}", "[1]", HOLDS },
};


static const row_t  form_rows[] = {
    { "v=prod", "prod", HOLDS },
    { "a=1&v=prod&b=2", "prod", HOLDS },
    { "v=pr%6fd", "prod", HOLDS },
    { "v=a+b", "a b", HOLDS },
    { "a=1", "prod", NOT },
    { "a=1", "!prod", HOLDS },
    { "a=1", "", NOT },
    { "", "", NOT },
    { "", "!", HOLDS },
    { "v=", "", HOLDS },
    { "v", "", HOLDS },
    { "v=", "!prod", HOLDS },
    { "v=", "!", NOT },
    { "v=150", ">100", HOLDS },
    { "v=150", "!>100", NOT },
    { "a=1", "<100", NOT },
};


static const row_t  uri_rows[] = {
    { "/a/b", "/a/b", HOLDS },
    { "/a/b", "/A/b", MAYBE },
    { "/A/B", "/a/b", MAYBE },
    { "/a/b/", "/a/b", MAYBE },
    { "/a/b", "/a/b/", MAYBE },
    { "/a/bc", "/a/b", NOT },
    { "/a/b", "!/a/b", NOT },
    { "/a/B", "!/a/b", MAYBE },
    { "/x", "!/a/b", HOLDS },
    { "/a/b", "^/a/", HOLDS },
    { "/A/b", "^/a/", MAYBE },
    { "/a", "^/a/", MAYBE },
    { "/ab", "^/a/", NOT },
    { "/", "^/", HOLDS },
    { "/", "/", HOLDS },
    { "/A/b", "~^/a/", NOT },
    { "/A/b", "~*^/a/", HOLDS },
    { "/a/B", "~^/a/b$", NOT },
    { "/a/b|/c", "/a/b", MAYBE },
    { "/a/b|/c", "/a/b;/c", HOLDS },
    { "/a/b|/c", "^/a;^/d", MAYBE },
    { "/a/b|/c", "!/x", HOLDS },
    { "/a/b|/c", "/x", NOT },
    { "/c|/A/b", "~^/c", MAYBE },
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

    static const char  *want[] = { "", "0?", "0!" };

    for (i = 0; i < n; i++) {
        row = &rows[i];

        set_open(&s);
        subject = set_subject(&s, kind, name);
        set_rule(&s, subject, row->pattern);
        set_compile(&s);

        if (strncmp(name, "json:", 5) == 0) {
            set_json(&s, row->value);

        } else if (strncmp(name, "form:", 5) == 0) {
            s.in.body = 1;
            s.vars.form = row->value;

        } else {
            s.vars.values[subject] = row->value;
        }

        (void) set_exec(&s);

        ok(strcmp(s.rules, want[row->holds]) == 0,
           "%s: %s is \"%s\": %d, \"%s\"", name,
           strchr(row->value, '\n') ? "(two lines)" : row->value,
           row->pattern, (int) row->holds, s.rules);

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
    subject = set_subject(&s, APPROVAL_SUBJECT_VALUE, "$x");

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
    is_int(set_exec(&s), APPROVAL_MATCH_FAILED,
           "rules that are not compiled do not pass");

    set_compile(&s);

    ok(approval_match_rule(s.m) == -1, "no rule is added after compile");
    ok(set_condition(&s, subject, "b") == APPROVAL_ERROR,
       "nor a condition");
    ok(approval_match_compile(s.m) == APPROVAL_ERROR, "nor compiled twice");

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
    env = set_subject(&s, APPROVAL_SUBJECT_VALUE, "$http_x_env");

    is_int(set_subject(&s, APPROVAL_SUBJECT_URI, "$uri"), uri,
           "a subject has one number");
    ok(set_subject(&s, APPROVAL_SUBJECT_VALUE, "$uri") != uri,
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

    is_int(approval_match_rule_reads(s.m, 0, uri), 1, "rule 0 reads the URI");
    is_int(approval_match_rule_reads(s.m, 3, uri), 0, "rule 3 does not");

    s.vars.values[method] = "DELETE";
    s.vars.values[uri] = "/db/7/drop";
    s.vars.values[env] = "prod";
    exec_is(&s, "0!", "all conditions hold: the first rule ends it");

    s.vars.values[env] = "staging";
    exec_is(&s, "1!", "one does not");

    s.vars.values[method] = "GET";
    exec_is(&s, "2!", "another method: the regex");

    s.vars.values[uri] = "/db/7/drop/";
    exec_is(&s, "", "no rule holds");

    s.vars.values[method] = "POST";
    s.vars.values[env] = "prod";
    exec_is(&s, "3!", "a method that no rule names is not GET");

    s.vars.values[method] = "PROPFIND";
    s.vars.values[env] = "";
    exec_is(&s, "4!", "a regex for methods");

    s.vars.values[method] = "get";
    s.vars.values[uri] = "/db/x";
    exec_is(&s, "5!", "three keys of one rule; absent is not ^s");

    s.vars.values[uri] = "";
    exec_is(&s, "", "an empty URI concerns no rule");

    s.vars.fails = uri;
    is_int(set_exec(&s), APPROVAL_MATCH_FAILED, "a value that fails");
    s.vars.fails = method;
    is_int(set_exec(&s), APPROVAL_MATCH_FAILED, "a method that fails");

    set_close(&s);
}


static void
test_readings(void)
{
    int    method, uri, env;
    set_t  s;

    set_open(&s);

    method = set_subject(&s, APPROVAL_SUBJECT_METHOD, "$request_method");
    uri = set_subject(&s, APPROVAL_SUBJECT_URI, "$uri");
    env = set_subject(&s, APPROVAL_SUBJECT_VALUE, "$http_x_env");

    /* 0 */ set_rule(&s, env, "prod");
    /* 1 */ set_rule(&s, method, "DELETE");
            (void) set_condition(&s, uri, "^/db");
    /* 2 */ set_rule(&s, uri, "/x");
            (void) set_condition(&s, env, "!dev");
    /* 3 */ set_rule(&s, uri, "^/");
    set_compile(&s);

    s.vars.values[method] = "GET";
    s.vars.values[uri] = "/y";
    s.vars.values[env] = "dev|prod";
    exec_is(&s, "0? 3!", "one of two copies");

    s.vars.values[env] = "prod|prod";
    exec_is(&s, "0!", "copies that are alike are one reading");

    s.vars.values[env] = "dev|";
    s.vars.values[method] = "GET|DELETE";
    s.vars.values[uri] = "/db";
    exec_is(&s, "1? 3!", "one of two methods");
    is_int(s.vars.asked[env] > 0, 1, "others are asked");

    s.vars.values[uri] = "/db|/x";
    exec_is(&s, "1? 2? 3!", "both may hold");
    is_int(s.last.rule, 3, "the last one is sure");

    s.vars.values[uri] = "/db|/X/";
    exec_is(&s, "1? 2? 3!", "the index finds other spellings");

    s.stop = 1;
    exec_is(&s, "1?", "visit() can stop it");
    is_int(s.last.subject, method, "it is the first subject that is in doubt");
    s.stop = 0;

    s.vars.unknown = "/why";
    exec_is(&s, "1? 2? 3?", "of what nobody knows all may hold");
    is_int(s.last.subject, uri, "that is what is in doubt");

    set_close(&s);
}


static void
test_none(void)
{
    int             method, uri, env;
    set_t           s;
    approval_str_t  get = approval_string("GET"), put = approval_string("PUT");

    set_open(&s);

    method = set_subject(&s, APPROVAL_SUBJECT_METHOD, "$request_method");
    uri = set_subject(&s, APPROVAL_SUBJECT_URI, "$uri");
    env = set_subject(&s, APPROVAL_SUBJECT_VALUE, "$http_x_env");

    set_rule(&s, uri, "/a/b;^/C/");
    set_rule(&s, env, "prod");
    set_rule(&s, method, "PUT");
    set_compile(&s);

    is_int(approval_match_hangs(s.m, uri), APPROVAL_HANGS, "the URI's");
    is_int(approval_match_hangs(s.m, env), APPROVAL_HANGS, "the header's");
    is_int(approval_match_hangs(s.m, method), APPROVAL_HANGS_NOT,
           "the method is no key");

    is_int(approval_match_none(s.m, get, approval_str("/x")), 1, "another");
    is_int(approval_match_none(s.m, get, approval_str("/a/b")), 0, "the same");
    is_int(approval_match_none(s.m, get, approval_str("/a/b/")), 0,
           "with a slash");
    is_int(approval_match_none(s.m, get, approval_str("/c/x")), 0,
           "in lower case");
    is_int(approval_match_none(s.m, get, approval_str("/c")), 0,
           "without a slash");
    is_int(approval_match_none(s.m, put, approval_str("/x")), 0,
           "a method that is no key");

    set_close(&s);

    set_open(&s);

    uri = set_subject(&s, APPROVAL_SUBJECT_URI, "$uri");
    set_rule(&s, uri, "^/a//");
    set_compile(&s);

    is_int(approval_match_none(s.m, get, approval_str("/a/")), 0,
           "without the second of two slashes");
    is_int(approval_match_none(s.m, get, approval_str("/b/")), 1,
           "another path that ends in a slash");

    s.vars.values[uri] = "/a/";
    exec_is(&s, "0?", "the index finds it, too");

    set_close(&s);

    set_open(&s);
    env = set_subject(&s, APPROVAL_SUBJECT_VALUE, "$http_x_env");
    set_rule(&s, env, "prod;");
    set_compile(&s);
    is_int(approval_match_hangs(s.m, env), APPROVAL_HANGS_ABSENT,
           "what holds where there is none");
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
    (void) set_condition(&s, uri, "^/a");
    set_rule(&s, method, "POST");
    set_compile(&s);

    s.vars.values[uri] = "/a";
    s.vars.values[method] = "GET";
    exec_is(&s, "", "a method that no rule is for");
    is_int(s.vars.asked[uri], 0, "does not even ask for the URI");

    s.vars.values[method] = "PUT";
    exec_is(&s, "0!", "one of the methods");
    s.vars.values[method] = "POST";
    exec_is(&s, "1!", "the other rule");

    set_close(&s);

    set_open(&s);
    set_compile(&s);
    exec_is(&s, "", "an empty set");
    set_close(&s);

    set_open(&s);
    (void) approval_match_rule(s.m);
    set_compile(&s);
    exec_is(&s, "0!", "a rule without conditions holds");
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
    exec_is(&s, "3!", "of 100 methods the fourth");
    s.vars.values[method] = "M99";
    exec_is(&s, "99!", "the last");
    s.vars.values[method] = "M100";
    exec_is(&s, "", "none of them");
    s.vars.values[method] = "M98|M4|M99";
    exec_is(&s, "4? 98? 99?", "several of them");

    set_close(&s);
}


static void
test_body(void)
{
    int    uri, env, amount, field;
    set_t  s;

    set_open(&s);
    uri = set_subject(&s, APPROVAL_SUBJECT_URI, "$uri");
    env = set_subject(&s, APPROVAL_SUBJECT_VALUE, "$env");
    amount = set_subject(&s, APPROVAL_SUBJECT_MEMBER, "json:/amount");
    field = set_subject(&s, APPROVAL_SUBJECT_MEMBER, "form:amount");

    /* 0 */ set_rule(&s, uri, "/early");
    /* 1 */ set_rule(&s, amount, ">100");
            (void) set_condition(&s, uri, "^/pay");
            (void) set_condition(&s, env, "prod");
    /* 2 */ set_rule(&s, uri, "^/form");
            (void) set_condition(&s, field, ">100");
    /* 3 */ set_rule(&s, uri, "^/pay");
            (void) set_condition(&s, env, "late");
    set_compile(&s);

    s.vars.values[env] = "prod";
    s.vars.values[uri] = "/other";
    exec_is(&s, "", "no candidate: the body is not read");

    s.vars.values[uri] = "/early";
    exec_is(&s, "0!", "an earlier rule holds without it");

    s.vars.values[uri] = "/pay/1";
    is_int(set_exec(&s), APPROVAL_MATCH_BODY, "a candidate: it is needed");

    s.vars.values[uri] = "/x|/PAY/1";
    is_int(set_exec(&s), APPROVAL_MATCH_BODY, "or may be");

    s.vars.values[uri] = "/pay/1";
    s.vars.values[env] = "test";
    exec_is(&s, "", "values come first, also those written last");

    s.vars.values[env] = "late";
    exec_is(&s, "3!", "so that a later rule can hold");

    s.vars.values[env] = "prod";

    set_json(&s, "{\"amount\":101}");
    exec_is(&s, "1!", "amount is over 100");
    set_json(&s, "{\"amount\":100}");
    exec_is(&s, "", "amount is not");
    set_json(&s, "{\"amount\":\"150\"}");
    exec_is(&s, "1!", "amount as text");
    set_json(&s, "{\"Amount\":150}");
    exec_is(&s, "1?", "amount in another case");
    set_json(&s, "{\"amount\":9007199254740993}");
    exec_is(&s, "1?", "amount is beyond 2^53");
    set_json(&s, "{\"amount\":-1e300}");
    exec_is(&s, "1?", "amount is below -2^53");
    set_json(&s, "{\"amount\":\"1e99999\"}");
    exec_is(&s, "1?", "amount is not finite");

    s.vars.values[uri] = "/form";
    s.vars.form = "amount=200";
    exec_is(&s, "2!", "the field is over 100");
    s.vars.form = "amount=200&amount=1";
    exec_is(&s, "2?", "the field stands twice");
    s.vars.form = "b=1&b=2";
    exec_is(&s, "", "a field that no rule reads is twice");

    s.in.sparse = 1;
    s.vars.form = "amount=200";
    exec_is(&s, "2!", "sparse: what is found counts");
    set_close(&s);

    set_open(&s);
    amount = set_subject(&s, APPROVAL_SUBJECT_MEMBER, "json:/a");
    set_rule(&s, amount, "!x");
    set_compile(&s);
    set_json(&s, "{}");
    exec_is(&s, "0!", "absent is not x");
    s.in.sparse = 1;
    exec_is(&s, "", "sparse: it is not there");
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
    x = set_subject(&s, APPROVAL_SUBJECT_VALUE, "$x");
    set_rule(&s, x, "never");
    set_rule(&s, x, "!~^(a+)+$");
    set_compile(&s);

    memset(text, 'a', 64);
    text[63] = 'b';
    s.vars.values[x] = text;
    exec_is(&s, "1?", "a regex that explodes may match");
    is_int(s.last.limit, 1, "it gave up");
    ok(strstr(s.last.why, "rule 1") && strstr(s.last.why, "(a+)+"),
       "the message names it: %s", s.last.why);

    s.vars.values[x] = "aaaa";
    exec_is(&s, "", "the same regex on other text");
    set_close(&s);

    set_open(&s);
    x = set_subject(&s, APPROVAL_SUBJECT_VALUE, "$x");
    set_rule(&s, x, "~^[ab]*c$");
    set_compile(&s);
    memset(text, 'a', 100000);
    text[99999] = 'c';
    s.vars.values[x] = text;
    exec_is(&s, "0!", "a simple regex on long text");
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
    name = set_subject(&s, APPROVAL_SUBJECT_MEMBER, "json:/users/*/name");
    env = set_subject(&s, APPROVAL_SUBJECT_VALUE, "$env");

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
    exec_is(&s, "0!", "the rule holds");

    memset(&seen, 0, sizeof(seen_t));
    is_int(approval_match_captures(s.m, 0, &s.in, seen_visit, &seen),
           APPROVAL_OK, "captures");
    is_str(approval_str(seen.text), "who=-eve;db=shop;table=orders;",
           "are those of what matched, as it is written");

    memset(&seen, 0, sizeof(seen_t));
    is_int(approval_match_evidence(s.m, 0, &s.in, seen_evidence, &seen),
           APPROVAL_OK, "evidence");
    is_str(approval_str(seen.text), "1=adm-eve;0=/v1/shop/orders;2=;",
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

    s.vars.values[uri] = "/v2/hr|/v1/a/b|/v3";
    memset(&seen, 0, sizeof(seen_t));
    (void) approval_match_captures(s.m, 0, &s.in, seen_visit, &seen);
    is_str(approval_str(seen.text), "who=-eve;db=hr;db=a;table=b;",
           "each reading has its own");

    seen.stop = 7;
    is_int(approval_match_captures(s.m, 0, &s.in, seen_visit, &seen), 7,
           "visit() can stop it");
    is_int(approval_match_evidence(s.m, 0, &s.in, seen_evidence, &seen), 7,
           "evidence too");

    s.vars.fails = uri;
    seen.stop = 0;
    is_int(approval_match_evidence(s.m, 0, &s.in, seen_evidence, &seen),
           APPROVAL_ERROR, "nor is one that cannot be judged");

    set_close(&s);
}


int
main(void)
{
    test_table(APPROVAL_SUBJECT_VALUE, "$x", text_rows,
               sizeof(text_rows) / sizeof(row_t));
    test_table(APPROVAL_SUBJECT_URI, "$uri", uri_rows,
               sizeof(uri_rows) / sizeof(row_t));
    test_table(APPROVAL_SUBJECT_METHOD, "$request_method", text_rows,
               sizeof(text_rows) / sizeof(row_t));
    test_table(APPROVAL_SUBJECT_MEMBER, "json:/v", json_rows,
               sizeof(json_rows) / sizeof(row_t));
    test_table(APPROVAL_SUBJECT_MEMBER, "json:/v/*", star_rows,
               sizeof(star_rows) / sizeof(row_t));
    test_table(APPROVAL_SUBJECT_MEMBER, "form:v", form_rows,
               sizeof(form_rows) / sizeof(row_t));

    test_bad_patterns();
    test_rules();
    test_readings();
    test_none();
    test_method_only();
    test_many_methods();
    test_body();
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
    s->in.read = vars_read;
    s->in.data = &s->vars;
}


static void
set_close(set_t *s)
{
    size_t  i;

    for (i = 0; i < MAX_SUBJECTS; i++) {
        approval_json_pointer_free(s->vars.pointers[i]);
        approval_readings_free(&s->vars.readings[i]);
    }

    json_decref(s->vars.json);
    approval_match_destroy(s->m);
}


static void
set_json(set_t *s, const char *text)
{
    json_decref(s->vars.json);

    s->in.body = 1;
    s->vars.json = approval_json_parse(approval_str(text), &s->err);

    if (s->vars.json == NULL) {
        printf("# \"%s\": %s\n", text, s->err);
    }
}


static int
set_subject(set_t *s, approval_subject_e kind, const char *name)
{
    int  n;

    n = approval_match_subject(s->m, kind, approval_str(name), &s->err);

    if (n >= 0 && strncmp(name, "json:", 5) == 0) {
        approval_json_pointer_free(s->vars.pointers[n]);
        s->vars.pointers[n] = approval_json_pointer_compile(
                                          approval_str(name + 5), &s->err);
    }

    if (n >= 0 && strncmp(name, "form:", 5) == 0) {
        s->vars.fields[n] = name + 5;
    }

    return n;
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

    s->rules[0] = '\0';
    s->nfound = 0;

    return approval_match_exec(s->m, &s->in, set_found, s);
}


static int
set_found(void *data, const approval_match_found_t *found)
{
    set_t  *s = data;
    size_t  len;

    len = strlen(s->rules);

    snprintf(s->rules + len, sizeof(s->rules) - len, "%s%d%s",
             len ? " " : "", found->rule,
             found->holds == APPROVAL_HOLDS ? "!" : "?");

    s->last = *found;
    s->nfound++;

    return found->holds == APPROVAL_HOLDS || s->nfound == s->stop
           ? APPROVAL_DECLINED : APPROVAL_OK;
}


static approval_readings_t *
vars_read(void *data, unsigned subject)
{
    vars_t               *vars = data;
    const char           *p;
    approval_str_t        text;
    approval_readings_t  *rs;

    if (vars->fails == (int) subject) {
        return NULL;
    }

    vars->asked[subject]++;

    rs = &vars->readings[subject];
    approval_readings_reset(rs);

    if (vars->pointers[subject]) {
        approval_read_json(rs, vars->pointers[subject], vars->json);
        return rs;
    }

    if (vars->fields[subject]) {
        approval_read_field(rs, approval_str(vars->form ? vars->form : ""),
                            approval_str(vars->fields[subject]), 0);
        return rs;
    }

    p = vars->values[subject];

    if (p == ABSENT || *p == '\0') {
        approval_readings_add(rs, APPROVAL_READING_ABSENT, approval_str(""));
        return rs;
    }

    if (vars->unknown && *p == *vars->unknown) {
        approval_readings_unknown(rs, 1, vars->unknown);
        return rs;
    }

    for ( ;; ) {
        text.data = (const unsigned char *) p;
        text.len = strcspn(p, "|");

        approval_readings_add(rs, APPROVAL_READING_TEXT, text);

        if (p[text.len] == '\0') {
            return rs;
        }

        p += text.len + 1;
    }
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


static int
seen_evidence(void *data, unsigned subject, approval_str_t value)
{
    char            name[16];

    snprintf(name, sizeof(name), "%u", subject);

    return seen_visit(data, approval_str(name), value);
}
