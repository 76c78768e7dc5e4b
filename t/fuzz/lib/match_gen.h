
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Random rules and requests, made of few words so that they meet, and the
 * comparison that must hold for all: the index changes no outcome, whatever the
 * readings are.  Choices are drawn from bytes (fuzzing) or, where there are
 * none, from a seed.
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
    approval_readings_t   readings[GEN_SUBJECTS];
} gen_request_t;


/* What an execution visited. */

typedef struct {
    size_t                n;
    int                   rule[128];
    approval_holds_e      holds[128];
} gen_found_t;


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
        { APPROVAL_SUBJECT_VALUE, "$a" },
        { APPROVAL_SUBJECT_VALUE, "$b" },
        { APPROVAL_SUBJECT_MEMBER, "json:/v" },
        { APPROVAL_SUBJECT_MEMBER, "json:/w/*" },
        { APPROVAL_SUBJECT_MEMBER, "form:v" }
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


static approval_readings_t *
gen_read(void *data, unsigned subject)
{
    gen_request_t  *request = data;

    return &request->readings[subject];
}


static void
gen_request(gen_t *g, gen_request_t *request, approval_match_input_t *in)
{
    size_t                    start;
    unsigned                  i, n, kind;
    unsigned char             text[GEN_TEXT], *exact;
    approval_str_t            s;
    approval_readings_t      *rs;

    memset(in, 0, sizeof(approval_match_input_t));

    in->read = gen_read;
    in->data = request;
    in->body = gen_choose(g, 2);
    in->sparse = gen_choose(g, 2);

    for (i = 0; i < GEN_SUBJECTS; i++) {
        rs = &request->readings[i];
        approval_readings_init(rs);

        for (n = gen_choose(g, 8) / 3 + 1; n; n--) {
            kind = gen_choose(g, 12);

            if (i == 0) {
                s = approval_str(gen_words[12 + gen_choose(g, 4)]);

            } else {
                s = gen_text(g, text, i == 1 ? "/" : "", GEN_PLAIN, 4);
            }

            /* what is read behind a value is found by the sanitizer */

            if (kind == 0) {
                approval_readings_unknown(rs, 1, "unknown");

            } else if (kind == 1 && i > 1) {
                approval_readings_add(rs, APPROVAL_READING_ABSENT,
                                      approval_str(""));
            } else {
                start = rs->buf.len;
                approval_buf_add(&rs->buf, s.data, s.len);
                approval_readings_take(rs, kind == 2 ? APPROVAL_READING_NUMBER
                                                     : APPROVAL_READING_TEXT,
                                       start);
            }
        }

        exact = malloc(rs->buf.len ? rs->buf.len : 1);

        if (exact == NULL) {
            abort();
        }

        if (rs->buf.len) {
            memcpy(exact, rs->buf.data, rs->buf.len);
        }

        free(rs->buf.data);

        rs->buf.data = exact;
        rs->buf.size = rs->buf.len;
    }
}


static void
gen_request_end(gen_request_t *request)
{
    unsigned  i;

    for (i = 0; i < GEN_SUBJECTS; i++) {
        approval_readings_free(&request->readings[i]);
    }
}


static int
gen_found(void *data, const approval_match_found_t *found)
{
    gen_found_t  *f = data;

    f->rule[f->n] = found->rule;
    f->holds[f->n++] = found->holds;

    return found->holds == APPROVAL_HOLDS ? APPROVAL_DECLINED : APPROVAL_OK;
}


/* The outcome in order, one rule after the other, is that of the index. */

static int
gen_compare(approval_match_t *m, int rules, const approval_match_input_t *in)
{
    int               i;
    size_t            n;
    gen_found_t       got, want;
    approval_match_e  rc, rc2;

    got.n = 0;
    want.n = 0;

    rc = approval_match_exec(m, in, gen_found, &got);
    rc2 = APPROVAL_MATCH_DONE;

    for (i = 0; i < rules; i++) {
        n = want.n;
        rc2 = approval_match_test(m, i, in, gen_found, &want);

        if (rc2 != APPROVAL_MATCH_DONE
            || (want.n > n && want.holds[n] == APPROVAL_HOLDS))
        {
            break;
        }
    }

    if (rc != rc2 || got.n != want.n) {
        printf("# got %d after %zu rules, want %d after %zu\n", rc, got.n, rc2,
               want.n);
        return 0;
    }

    for (n = 0; n < got.n; n++) {
        if (got.rule[n] != want.rule[n] || got.holds[n] != want.holds[n]) {
            printf("# got rule %d (%d), want rule %d (%d)\n", got.rule[n],
                   got.holds[n], want.rule[n], want.holds[n]);
            return 0;
        }
    }

    return 1;
}


#endif /* APPROVAL_MATCH_GEN_H */
