
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The index changes no outcome: random rules and requests, each compared with
 * all rules in turn; then a thousand rules whose outcome is known.
 */


#include "core/match.h"

#include "test.h"
#include "../fuzz/lib/match_gen.h"


#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>

#include <dlfcn.h>


#define SETS      400
#define REQUESTS  25


/*
 * Stands before the library's: so regexes are also tried without JIT, which
 * is not to be had everywhere; and valgrind, which takes JIT's reads of whole
 * aligned words for errors, sees none of them.
 */

static int  jit = 1;


int
pcre2_jit_compile(pcre2_code *code, uint32_t options)
{
    void        *symbol;
    const char  *preload;
    int        (*compile)(pcre2_code *code, uint32_t options);

    preload = getenv("LD_PRELOAD");
    symbol = dlsym(RTLD_NEXT, "pcre2_jit_compile_8");

    if (!jit || symbol == NULL || (preload && strstr(preload, "vgpreload"))) {
        return PCRE2_ERROR_JIT_BADOPTION;
    }

    memcpy(&compile, &symbol, sizeof(symbol));

    return compile(code, options);
}


static void
test_random(int max, uint64_t seed)
{
    int                      i, j, rules, bad, total;
    gen_t                    g;
    gen_found_t              found;
    unsigned                 maybe, holds, body;
    gen_request_t            request;
    approval_match_t        *m;
    approval_match_input_t   in;

    memset(&g, 0, sizeof(gen_t));

    g.seed = seed;
    bad = 0;
    total = 0;
    maybe = 0;
    holds = 0;
    body = 0;

    for (i = 0; i < SETS; i++) {
        m = gen_rules(&g, max, &rules);

        if (m == NULL) {
            bad++;
            break;
        }

        for (j = 0; j < REQUESTS; j++) {
            gen_request(&g, &request, &in);

            bad += !gen_compare(m, rules, &in);

            found.n = 0;
            body += approval_match_exec(m, &in, gen_found, &found)
                    == APPROVAL_MATCH_BODY;
            maybe += found.n && found.holds[0] == APPROVAL_HOLDS_MAYBE;
            holds += found.n && found.holds[found.n - 1] == APPROVAL_HOLDS;
            total++;

            gen_request_end(&request);
        }

        approval_match_destroy(m);
    }

    is_int(bad, 0, "the index agrees with testing each rule");
    is_int(total, SETS * REQUESTS, "in all requests");

    ok(maybe && holds && body, "up to %d rules: %u maybe, %u hold, %u body",
       max, maybe, holds, body);
}


static void
add(approval_match_t *m, int subject, const char *fmt, int i)
{
    char            text[128], errstr[256];
    approval_str_t  pattern;

    snprintf(text, sizeof(text), fmt, i);
    pattern = approval_str(text);

    if (approval_match_condition(m, subject, &pattern, 1, errstr,
                                 sizeof(errstr))
        != APPROVAL_OK)
    {
        ok(0, "%s: %s", text, errstr);
    }
}


/* The one rule that holds, or -1. */

static int
thousand(approval_match_t *m, const char *uri, const char *tool)
{
    int                     rule;
    gen_found_t             found;
    gen_request_t           request;
    approval_match_input_t  in;

    memset(&request, 0, sizeof(request));
    memset(&in, 0, sizeof(in));

    in.read = gen_read;
    in.data = &request;
    found.n = 0;

    approval_readings_add(&request.readings[0], APPROVAL_READING_TEXT,
                          approval_str(uri));
    approval_readings_add(&request.readings[1], APPROVAL_READING_TEXT,
                          approval_str(tool));

    (void) approval_match_exec(m, &in, gen_found, &found);

    rule = found.n == 1 && found.holds[0] == APPROVAL_HOLDS ? found.rule[0]
           : found.n ? -2 : -1;

    approval_readings_free(&request.readings[0]);
    approval_readings_free(&request.readings[1]);

    return rule;
}


static void
test_thousand(void)
{
    int                      i, uri, tool, bad;
    char                     text[128];
    const char              *err;
    approval_match_t        *m;

    m = approval_match_create();

    uri = approval_match_subject(m, APPROVAL_SUBJECT_URI,
                                 approval_str("$uri"), &err);
    tool = approval_match_subject(m, APPROVAL_SUBJECT_VALUE,
                                  approval_str("$arg_tool"), &err);

    for (i = 0; i < 1000; i++) {
        (void) approval_match_rule(m);

        switch (i % 4) {

        case 0:
            add(m, uri, "/things/%d/exact", i);
            break;

        case 1:
            add(m, uri, "^/things/%d/prefix/", i);
            break;

        case 2:
            add(m, uri, "~^/things/%d/regex/\\d+$", i);
            break;

        default:
            add(m, uri, "^/mcp%.0d", 0);
            add(m, tool, "tool-%d", i);
            break;
        }
    }

    is_int(approval_match_compile(m), APPROVAL_OK, "a thousand rules");

    bad = 0;

    for (i = 0; i < 1000; i++) {

        switch (i % 4) {

        case 0:
            snprintf(text, sizeof(text), "/things/%d/exact", i);
            break;

        case 1:
            snprintf(text, sizeof(text), "/things/%d/prefix/x", i);
            break;

        case 2:
            snprintf(text, sizeof(text), "/things/%d/regex/42", i);
            break;

        default:
            snprintf(text, sizeof(text), "tool-%d", i);
            break;
        }

        bad += thousand(m, i % 4 == 3 ? "/mcp" : text, i % 4 == 3 ? text : "")
               != i;

        /* one byte more is another thing */

        strcat(text, i % 4 == 1 ? "" : "x");

        if (i % 4 == 1) {
            *strstr(text, "prefix/") = 'q';
        }

        bad += thousand(m, i % 4 == 3 ? "/mcp" : text, i % 4 == 3 ? text : "")
               != -1;
    }

    is_int(bad, 0, "each is found, and nothing beside it");

    approval_match_destroy(m);
}


int
main(void)
{
    test_random(3, 0x9e3779b97f4a7c15);
    test_random(12, 0x123456789abcdef);
    test_random(60, 0xfeedface);
    test_thousand();

    jit = 0;

    test_random(12, 0xdecafbad);
    test_thousand();

    return test_done();
}
