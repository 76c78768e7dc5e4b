
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Unit tests: how much work a text can make for the regexes of
 * secret_shapes.def.  PCRE2 counts it: between all parts of a regex it calls
 * out, also for each repetition that it tries again with less.
 */


#include "test.h"

#include "core/redact.h"

#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>

#include <dlfcn.h>
#include <stdlib.h>


#define LENGTH     8192
#define TRY        1024                /* length, to find the worst text   */
#define STEPS_MAX  320                 /* for each byte                    */
#define HEADS_MAX  2                   /* prefixes of a row                */
#define WORDS_MAX  4                   /* of its regex                     */


static const struct {
    const char  *prefixes;
    const char  *regex;
} rows[] = {
#define SHAPE(kind, list, regex)  { list, regex },
#include "core/secret_shapes.def"
#undef SHAPE
};


typedef struct {
    char         head[128];
    char         word[64];
    const char  *filler;
    size_t       often;
} text_t;


static size_t       steps;
static const char  *instead;           /* of the regex of LOOKS            */


static int
count(pcre2_callout_block *block, void *data)
{
    steps++;

    return 0;
}


/* Called instead of PCRE2's. */

pcre2_code *
pcre2_compile(PCRE2_SPTR regex, PCRE2_SIZE len, uint32_t options, int *code,
    PCRE2_SIZE *at, pcre2_compile_context *context)
{
    pcre2_code  *(*compile)(PCRE2_SPTR, PCRE2_SIZE, uint32_t, int *,
                            PCRE2_SIZE *, pcre2_compile_context *);

    *(void **) &compile = dlsym(RTLD_NEXT, "pcre2_compile_8");

    if (instead && memmem(regex, len, "htpasswd", sizeof("htpasswd") - 1)) {
        regex = (PCRE2_SPTR) instead;
        len = strlen(instead);
    }

    return compile(regex, len, options|PCRE2_AUTO_CALLOUT, code, at, context);
}


int
pcre2_jit_compile(pcre2_code *code, uint32_t options)
{
    return 0;
}


pcre2_match_context *
pcre2_match_context_create(pcre2_general_context *general)
{
    pcre2_match_context  *context;
    pcre2_match_context  *(*create)(pcre2_general_context *);

    *(void **) &create = dlsym(RTLD_NEXT, "pcre2_match_context_create_8");

    context = create(general);
    pcre2_set_callout(context, count, NULL);

    return context;
}


/* The head, and the filler up to the end: once, or again and again. */

static size_t
work(const approval_redact_t *r, const text_t *t, size_t len,
    approval_buf_t *out)
{
    size_t          i, k, n, part_len;
    unsigned char   text[LENGTH];
    approval_str_t  s = { len, text };
    const char     *parts[3] = { t->head, t->word, t->filler };

    for (i = 0; i + 64 <= len; /* void */ ) {

        for (k = 0; k < 3; k++) {
            part_len = strlen(parts[k]);

            for (n = 0; n < (k < 2 ? 1 : t->often) && part_len
                 && i + part_len <= len; n++)
            {
                memcpy(text + i, parts[k], part_len);
                i += part_len;
            }
        }
    }

    memset(text + i, '!', len - i);

    out->len = 0;
    steps = 0;

    (void) approval_redact_text(r, s, out);

    return steps;
}


/* The next word of a regex that is made of letters. */

static const char *
literal(const char *regex, char *word, size_t size)
{
    size_t  n;

    while (*regex) {

        if (*regex == '\\' && regex[1]) {
            regex += 2;
            continue;
        }

        n = strspn(regex, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                   "-_");

        if (n > 2 && n < size) {
            memcpy(word, regex, n);
            word[n] = '\0';
            return regex + n;
        }

        regex += n ? n : 1;
    }

    return NULL;
}


/* The text of a row that takes most steps. */

static text_t
worst_text(const approval_redact_t *r, size_t row, approval_buf_t *out)
{
    size_t       k, n, h, words, most, spent;
    text_t       t, worst;
    const char  *from, *next;

    static const char *const  names[] = {
        "token", "token=", "token: ", "--token ", "<token>", "/token/", "a:",
        "token for ", "password is ", "key ", "key="
    };
    static const char *const  fillers[] = {
        " ", "\t", "\n", "a", "B", "1", "-", ".", ":", "/", "\"", "'", "\\", "(",
        "[", "{", "<", "$", ",", "%", "*", "aA1", "a ", "a=", "a,", "x=\"", "- "
    };
    static const size_t  often[] = { 2, 32, TRY };

    most = 0;
    memset(&worst, 0, sizeof(text_t));

    from = rows[row].prefixes;

    for (h = 0; *from ? h < HEADS_MAX
         : rows[row].prefixes[0] == '\0'
           && h < sizeof(names) / sizeof(names[0]); h++)
    {
        if (*from) {
            n = strcspn(from, " ");
            snprintf(t.head, sizeof(t.head), "%.*s", (int) n, from);
            from += n + (from[n] == ' ');

        } else {
            strcpy(t.head, names[h]);
        }

        t.word[0] = '\0';
        next = rows[row].regex;

        for (words = 0; next && words < WORDS_MAX; words++) {

            for (k = 0; k < sizeof(fillers) / sizeof(fillers[0]); k++) {
                for (n = 0; n < sizeof(often) / sizeof(often[0]); n++) {
                    t.filler = fillers[k];
                    t.often = often[n];

                    spent = work(r, &t, TRY, out);

                    if (spent > most) {
                        most = spent;
                        worst = t;
                    }
                }
            }

            next = literal(next, t.word + 1, sizeof(t.word) - 2);
            t.word[0] = ' ';

            if (next) {
                strcat(t.word, " ");
            }
        }
    }

    worst.often = worst.often == TRY ? LENGTH : worst.often;

    return worst;
}


static void
test_rows(void)
{
    size_t              i, half, whole;
    text_t              t;
    unsigned            good;
    approval_buf_t      out;
    approval_redact_t  *r;

    r = approval_redact_create(NULL);
    approval_buf_init(&out);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        t = worst_text(r, i, &out);

        half = work(r, &t, LENGTH / 2, &out);
        whole = work(r, &t, LENGTH, &out);

        good = ok(whole > 0 && whole <= STEPS_MAX * LENGTH,
                  "few steps: %.40s", rows[i].regex);
        good &= ok(whole * 10 <= half * 22, "linear: %.40s", rows[i].regex);

        if (!good) {
            printf("#   \"%s%s%s\" x %zu takes %zu steps, then %zu\n", t.head,
                   t.word, t.filler, t.often, half, whole);
        }
    }

    approval_buf_free(&out);
    approval_redact_destroy(r);
}


/* Whatever is added to the table: a text that takes too long is masked. */

static void
test_budget(void)
{
    size_t              i, spent;
    approval_buf_t      out;
    approval_redact_t  *r;

    static const struct {
        const char  *regex;
        text_t       text;
        unsigned     shown;            /* as it cannot match               */
    } bad[] = {
        { "htpasswd(?=[^\\0]*+#)", { "htpasswd", "", "a ", 2 }, 0 },
        { "htpasswd(?=[^\\0]*?#)", { "htpasswd", "", "a ", 2 }, 0 },
        { "htpasswd-?\\w*b\\w*#", { "htpasswd", "", "b", LENGTH }, 1 },
        { "htpasswd(?:\\w*)*#", { "htpasswd", "", "b", LENGTH }, 0 }
    };

    approval_buf_init(&out);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        instead = bad[i].regex;
        r = approval_redact_create(NULL);

        spent = work(r, &bad[i].text, LENGTH, &out);

        ok(spent <= STEPS_MAX * LENGTH, "\"%s\" takes %zu steps a byte",
           bad[i].regex, spent / LENGTH);
        ok((out.len == LENGTH && memcmp(out.data, "htpasswdb", 9) == 0)
           == bad[i].shown
           && approval_str_eq(approval_buf_str(&out),
                              approval_str("[redacted, 8192 bytes]"))
              == !bad[i].shown,
           "and the text is %s", bad[i].shown ? "shown" : "masked as a whole");

        approval_redact_destroy(r);
    }

    approval_buf_free(&out);
}


int
main(void)
{
    test_rows();
    test_budget();

    return test_done();
}
