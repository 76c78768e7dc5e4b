
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Random rules and requests, made of few words so that they meet, and the
 * comparison that must hold for all: the index changes no outcome.  Choices
 * are drawn from bytes (fuzzing) or, where there are none, from a seed.
 */


#ifndef APPROVAL_MATCH_GEN_H
#define APPROVAL_MATCH_GEN_H


#include "core/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define GEN_SUBJECTS  7
#define GEN_TEXT      64


typedef struct {
    const unsigned char  *data;
    size_t                len;
    uint64_t              seed;        /* 0: choices end with the bytes */
} gen_t;


typedef struct {
    approval_str_t        values[GEN_SUBJECTS];
    unsigned char         text[GEN_SUBJECTS][GEN_TEXT];
    unsigned              asked[GEN_SUBJECTS];
} gen_request_t;


static const char  *gen_words[] = {
    "/", "api", "/api/", "v1", "a", "b", "/adm", "in", "/admin/users/del",
    "prod", "", "5", "GET", "POST", "DELETE", "x", "\xc3\xa4", "\n",
    "/aaaaaaaabbbbbbbb", "aaaaaaaa", "-10", "1e3", "/API/", "A",
    ".", "|", "$", "(", ")",
    "?", "*", "+", "[", "]", "{2}", "^", "\\", "\\d", "\\.", "\\Q", "\\E",
    "(?i)", "(?:", "[^]|]", "a|b", "(?x)", "\\K", "(?=", "\\A", "#"
};


#define GEN_PLAIN  24
#define GEN_WORDS  (sizeof(gen_words) / sizeof(gen_words[0]))


static unsigned
gen_choose(gen_t *g, unsigned n)
{
    unsigned  c;

    if (g->len) {
        c = *g->data++;
        g->len--;

        return c % n;
    }

    if (g->seed == 0) {
        return 0;
    }

    g->seed ^= g->seed << 13;
    g->seed ^= g->seed >> 7;
    g->seed ^= g->seed << 17;

    return (unsigned) (g->seed >> 33) % n;
}


static approval_str_t
gen_text(gen_t *g, unsigned char *dst, const char *start, unsigned words,
    unsigned max)
{
    size_t          len;
    unsigned        n;
    const char     *word;
    approval_str_t  s;

    s.data = dst;
    s.len = 0;
    word = start;

    for (n = gen_choose(g, max + 1); /* void */ ; n--) {
        len = strlen(word);

        if (s.len + len > GEN_TEXT) {
            break;
        }

        memcpy(dst + s.len, word, len);
        s.len += len;

        if (n == 0) {
            break;
        }

        word = gen_words[gen_choose(g, words)];
    }

    return s;
}


static approval_str_t
gen_pattern(gen_t *g, unsigned char *dst)
{
    unsigned  n;

    static const char  *starts[] = {
        "", "", "^", "~^", "~^/", "~", "~*^", "<", ">", "!", "!^", "!~^", "!~",
        "\\", "~\\A/", "~^/api/", "~*^/aPi", "~*^/a"
    };

    n = gen_choose(g, sizeof(starts) / sizeof(starts[0]));

    return gen_text(g, dst, starts[n], strchr(starts[n], '~') ? GEN_WORDS
                                                              : GEN_PLAIN,
                    strchr(starts[n], '~') ? 6 : 3);
}


static approval_match_t *
gen_rules(gen_t *g, int max, int *rules)
{
    int                n, r, subject;
    char               errstr[512];
    unsigned           i, j, accepted, conditions, patterns;
    const char        *err;
    approval_str_t     list[3];
    approval_match_t  *m;
    unsigned char      text[3][GEN_TEXT];

    static const struct {
        approval_subject_e  kind;
        const char         *name;
    } subjects[GEN_SUBJECTS] = {
        { APPROVAL_SUBJECT_METHOD, "$request_method" },
        { APPROVAL_SUBJECT_URI, "$uri" },
        { APPROVAL_SUBJECT_VARIABLE, "$a" },
        { APPROVAL_SUBJECT_VARIABLE, "$b" },
        { APPROVAL_SUBJECT_JSON, "/v" },
        { APPROVAL_SUBJECT_JSON, "/w/*" },
        { APPROVAL_SUBJECT_FORM, "v" }
    };

    m = approval_match_create();
    if (m == NULL) {
        return NULL;
    }

    for (i = 0; i < GEN_SUBJECTS; i++) {
        if (approval_match_subject(m, subjects[i].kind,
                                   approval_str(subjects[i].name), &err)
            != (int) i)
        {
            abort();
        }
    }

    n = (int) gen_choose(g, (unsigned) max + 1);

    for (r = 0; r < n; r++) {

        if (approval_match_rule(m) != r) {
            abort();
        }

        accepted = 0;
        conditions = 1 + gen_choose(g, 3);

        for (i = 0; i < conditions; i++) {

            /* more often variables than the body */

            subject = (int) gen_choose(g, GEN_SUBJECTS + 4);

            if (subject >= GEN_SUBJECTS) {
                subject = 1 + (subject & 1);
            }

            patterns = 1 + gen_choose(g, 3);

            for (j = 0; j < patterns; j++) {
                list[j] = gen_pattern(g, text[j]);
            }

            if (approval_match_condition(m, subject, list, patterns, errstr,
                                         sizeof(errstr))
                == APPROVAL_OK)
            {
                accepted++;
            }
        }

        /* a rule whose patterns are all refused would hold always */

        if (accepted == 0) {
            list[0] = approval_str("/api/");
            (void) approval_match_condition(m, 1, list, 1, errstr,
                                            sizeof(errstr));
        }
    }

    *rules = n;

    if (approval_match_compile(m) != APPROVAL_OK) {
        abort();
    }

    return m;
}


static int
gen_value(void *data, unsigned subject, approval_str_t *value)
{
    gen_request_t  *request = data;

    request->asked[subject]++;
    *value = request->values[subject];

    return APPROVAL_OK;
}


static void
gen_request(gen_t *g, gen_request_t *request, approval_match_input_t *in)
{
    unsigned  i, body;

    static const char  *bodies[] = {
        "{}", "{\"v\":\"a\"}", "{\"v\":5,\"w\":[1,\"prod\",\"a\"]}",
        "{\"v\":null,\"w\":{}}", "{\"w\":[9007199254740993,\"a\"]}",
        "{\"v\":\"\",\"w\":[[],{\"a\":1.5}]}", "[1]", "no JSON"
    };

    static const char  *forms[] = {
        "", "v=a", "v=5&w=6", "v=a&v=b", "v=%zz", "v=", "w=1", "v=prod"
    };

    memset(in, 0, sizeof(approval_match_input_t));

    request->values[0] = approval_str(gen_words[12 + gen_choose(g, 4)]);

    for (i = 1; i < 4; i++) {
        request->values[i] = gen_text(g, request->text[i],
                                      i == 1 ? "/" : "", GEN_PLAIN, 4);
    }

    /* what is read behind a value is found by the sanitizer */

    for (i = 0; i < 4; i++) {
        unsigned char  *exact;

        exact = malloc(request->values[i].len);

        if (request->values[i].len) {
            if (exact == NULL) {
                abort();
            }

            memcpy(exact, request->values[i].data, request->values[i].len);
        }

        request->values[i].data = exact;
    }

    in->value = gen_value;
    in->data = request;

    body = gen_choose(g, 9);

    if (body < 8) {
        in->body_read = 1;
        in->form = approval_str(forms[gen_choose(g, 8)]);
        in->json = approval_json_parse(approval_str(bodies[body]),
                                       &in->json_error);
    }
}


static void
gen_request_end(gen_request_t *request, approval_match_input_t *in)
{
    unsigned  i;

    for (i = 0; i < 4; i++) {
        free((void *) (uintptr_t) request->values[i].data);
    }

    json_decref(in->json);
}


/* The outcome in order, one rule after the other, is that of the index. */

static int
gen_compare(approval_match_t *m, int rules, gen_request_t *request,
    const approval_match_input_t *in)
{
    int               i, rule, want_rule;
    const char       *err;
    approval_match_e  got, want;

    want = APPROVAL_MATCH_NONE;
    want_rule = -1;

    for (i = 0; i < rules; i++) {
        want = approval_match_test(m, i, in, &err);

        if (want != APPROVAL_MATCH_NONE) {
            want_rule = i;
            break;
        }
    }

    memset(request->asked, 0, sizeof(request->asked));
    rule = -1;

    got = approval_match_exec(m, in, &rule, &err);

    if (got != want || rule != want_rule) {
        printf("# got outcome %d, rule %d; want outcome %d, rule %d\n",
               got, rule, want, want_rule);
        return 0;
    }

    for (i = 0; i < GEN_SUBJECTS; i++) {
        if (request->asked[i] > 1) {
            printf("# subject %d asked %u times\n", i, request->asked[i]);
            return 0;
        }
    }

    return 1;
}


#endif /* APPROVAL_MATCH_GEN_H */
