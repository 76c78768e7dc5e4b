
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Unit tests: how many secrets of t/redact/planted.txt are shown, how many
 * texts of t/redact/ordinary.txt are masked, and how long it takes.
 *
 * A sample is a line "=== KIND ARGUMENT" and the text below it: a body of that
 * content type, a target, a text, or the value of a named header.  In planted
 * ones secrets stand between U+00AB and U+00BB, and U+00A7 is taken out: it
 * keeps scanners of repositories from finding what looks like tokens.
 */


#include "test.h"

#include "core/redact.h"

#include <stdlib.h>
#include <time.h>


#define SECRETS_MAX  16
#define PIECE        8                 /* bytes of a secret that give it away */
#define MEGABYTE     (1024 * 1024)
#define HOSTILE      (128 * 1024)


typedef struct {
    char               *kind;
    char               *argument;
    char               *text;
    char               *secrets[SECRETS_MAX];
    size_t              nsecrets;
} sample_t;


static char *slurp(const char *name);
static char *sample(char *p, sample_t *s);
static void sample_show(const approval_redact_t *r, sample_t *s,
    approval_buf_t *out);
static int sample_leaks(sample_t *s, approval_buf_t *out);
static void sample_free(sample_t *s);
static size_t corpus(const char *name, int planted, size_t *failed);
static double seconds(const approval_redact_t *r, const char *type,
    approval_str_t text);
static void test_rates(void);
static void test_time(void);
static void test_hostile(void);


int
main(void)
{
    test_rates();
    test_time();
    test_hostile();

    return test_done();
}


static char *
slurp(const char *name)
{
    char    *text;
    FILE    *f;
    size_t   len;

    f = fopen(name, "rb");

    if (f == NULL) {
        printf("Bail out! %s cannot be read: start this in the tree's root\n",
               name);
        exit(1);
    }

    (void) fseek(f, 0, SEEK_END);
    len = (size_t) ftell(f);
    rewind(f);

    text = malloc(len + 1);
    text[fread(text, 1, len, f)] = '\0';

    (void) fclose(f);

    return text;
}


/* Reads the sample at p, and returns where the next one is, or NULL. */

static char *
sample(char *p, sample_t *s)
{
    char    *next, *from, *to;
    size_t   len;

    memset(s, 0, sizeof(sample_t));

    next = strstr(p, "\n=== ");

    if (next) {
        *next++ = '\0';
    }

    s->kind = p + 4;
    s->text = strchr(p, '\n');
    *s->text++ = '\0';

    s->argument = strchr(s->kind, ' ');

    if (s->argument) {
        *s->argument++ = '\0';
    }

    for (from = s->text, to = s->text; *from; /* void */ ) {

        if (strncmp(from, "\xc2\xa7", 2) == 0) {
            from += 2;

        } else if (strncmp(from, "\xc2\xab", 2) == 0) {
            s->secrets[s->nsecrets] = to;
            from += 2;

        } else if (strncmp(from, "\xc2\xbb", 2) == 0) {
            len = (size_t) (to - s->secrets[s->nsecrets]);
            s->secrets[s->nsecrets] = strndup(s->secrets[s->nsecrets], len);
            s->nsecrets++;
            from += 2;

        } else {
            *to++ = *from++;
        }
    }

    *to = '\0';

    return next;
}


static void
sample_show(const approval_redact_t *r, sample_t *s, approval_buf_t *out)
{
    approval_str_t  text;

    text = approval_str(s->text);

    if (strcmp(s->kind, "body") == 0) {
        (void) approval_redact_body(r, approval_str(s->argument), text, out);

    } else if (strcmp(s->kind, "target") == 0) {
        (void) approval_redact_target(r, text, out);

    } else if (strcmp(s->kind, "named") == 0) {
        (void) approval_redact_named(r, approval_str(s->argument), text, out);

    } else {
        (void) approval_redact_text(r, text, out);
    }
}


static int
sample_leaks(sample_t *s, approval_buf_t *out)
{
    size_t  i, k, len, piece;

    for (i = 0; i < s->nsecrets; i++) {
        len = strlen(s->secrets[i]);
        piece = len < PIECE ? len : PIECE;

        for (k = 0; k + piece <= len; k++) {
            if (memmem(out->data, out->len, s->secrets[i] + k, piece)) {
                return 1;
            }
        }
    }

    return 0;
}


static void
sample_free(sample_t *s)
{
    while (s->nsecrets) {
        free(s->secrets[--s->nsecrets]);
    }
}


static size_t
corpus(const char *name, int planted, size_t *failed)
{
    char               *text, *p;
    size_t              n;
    sample_t            s;
    approval_buf_t      out;
    approval_redact_t  *r;

    r = approval_redact_create(NULL);
    text = slurp(name);

    for (p = text, n = 0, *failed = 0; p; n++) {
        p = sample(p, &s);

        approval_buf_init(&out);
        sample_show(r, &s, &out);

        if (planted ? sample_leaks(&s, &out)
                    : (memmem(out.data, out.len, "[redacted", 9)
                       || memmem(out.data, out.len, "not shown", 9)))
        {
            (*failed)++;
            printf("# %s: %s\n# shown as: %.*s\n", planted ? "shown" : "masked",
                   s.text, (int) out.len, (char *) out.data);
        }

        if (planted && s.nsecrets == 0) {
            ok(0, "no secret in \"%s\"", s.text);
        }

        approval_buf_free(&out);
        sample_free(&s);
    }

    free(text);
    approval_redact_destroy(r);

    return n;
}


static void
test_rates(void)
{
    size_t  n, failed;

    n = corpus("t/redact/planted.txt", 1, &failed);

    ok(n >= 300, "%zu secrets were planted", n);
    ok(failed * 100 <= n * 2, "at most 2 %% of them are shown: %zu", failed);

    n = corpus("t/redact/ordinary.txt", 0, &failed);

    ok(n >= 250, "%zu ordinary texts", n);
    ok(failed * 100 <= n, "at most 1 %% of them are masked: %zu", failed);
}


static double
seconds(const approval_redact_t *r, const char *type, approval_str_t text)
{
    double           best, spent;
    unsigned         i;
    const char      *err;
    approval_buf_t   out;
    struct timespec  from, to;

    for (best = 0, i = 0; i < 3; i++) {
        approval_buf_init(&out);
        (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);

        if (type) {
            (void) approval_redact_body(r, approval_str(type), text, &out);

        } else {
            json_decref(approval_json_parse(text, &err));
        }

        (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
        approval_buf_free(&out);

        spent = (double) (to.tv_sec - from.tv_sec)
                + (double) (to.tv_nsec - from.tv_nsec) / 1e9;
        best = i == 0 || spent < best ? spent : best;
    }

    return best;
}


/*
 * A megabyte of the ordinary corpus, in the time of jansson's parser, which is
 * not built with sanitizers: they make this here some times slower.
 */

static void
test_time(void)
{
    char               *text, *p;
    double              parse, json, plain;
    sample_t            s;
    approval_buf_t      array, prose;
    approval_redact_t  *r;

    r = approval_redact_create(NULL);

    approval_buf_init(&array);
    approval_buf_init(&prose);
    approval_buf_addc(&array, '[');

    while (array.len < MEGABYTE || prose.len < MEGABYTE) {
        text = slurp("t/redact/ordinary.txt");

        for (p = text; p; sample_free(&s)) {
            p = sample(p, &s);

            approval_buf_adds(&prose, s.text);
            approval_buf_addc(&prose, '\n');

            if (s.argument && strcmp(s.argument, "application/json") == 0) {
                approval_buf_adds(&array, array.len > 1 ? "," : "");
                approval_buf_adds(&array, s.text);
            }
        }

        free(text);
    }

    approval_buf_addc(&array, ']');

    parse = seconds(r, NULL, approval_buf_str(&array))
            * MEGABYTE / (double) array.len;
    json = seconds(r, "application/json", approval_buf_str(&array))
           * MEGABYTE / (double) array.len;
    plain = seconds(r, "text/plain", approval_buf_str(&prose))
            * MEGABYTE / (double) prose.len;

    printf("# 1 MB: JSON parsed in %.1f ms, redacted in %.1f ms, "
           "text redacted in %.1f ms\n", parse * 1e3, json * 1e3, plain * 1e3);

    ok(parse > 0 && json < 6 * parse, "JSON is redacted as fast as it should");
    ok(parse > 0 && plain < 6 * parse, "text is redacted as fast as it should");

    approval_buf_free(&array);
    approval_buf_free(&prose);
    approval_redact_destroy(r);
}


/* Texts made to be slow, in the time that prose of the same length takes. */

static void
test_hostile(void)
{
    char               *text;
    size_t              i, k, len;
    double              prose, spent;
    approval_str_t      all;
    approval_redact_t  *r;

    static const char *const  units[] = {
        "token='", "token=\"\\\"", "<token>", "<token ", "token=[", "token:",
        "://", "://a@", "://a:", "://a:b@", "-----BEGIN PRIVATE KEY",
        "-----BEGIN PRIVATE KEY-----\n", "a:", "token:\n", "   ", "token:\n ",
        "token: |\n", "- token:\n  - ", "bearer ", "--token ", "token (",
        "eyJ.", "eyJaaaaaaaa.", "a.", "\\\"token\\\":", "<token></",
        "token: |\n\n", "token=f(", "token=f('", "token=N'", "token={",
        "token=[{", "token=[[[[[", "token=\"\"\"", "identified by a ",
        "identified by '", "password for ", "-u a:", "-u 'a:", "mysql ",
        "mysql -", "login ", "curl -u ", "echo a:", "vault write ",
        "password $a$ ", "token $", "name: token ", "name: token value:",
        "name=x ", "name=password a=b ", "id: a ", "key:key:",
        "<a name=token>", "<key>a</key>", "<key>password</key><string>",
        "name:'\"", "\ntoken = (", "\ntoken = a", "insert into x (",
        "insert into x (a) values (", "insert into x (password) values ('",
        "insert into x (a,password) values (1,2),(", "Cookie: a=",
        "Cookie: a=b; ", "cookie:", "%41", "%2525", "QUFB", "a b c d token ",
        "Authorization: ", "authorization: a ", "/token/", "/a/", "a@b:",
        "a:b@", "a:b@c:", "ghp_", "ghp_aaaaaaaaaaaaaaaaaaaaaaaaa+", "sk-",
        "sk-a", "discord.com/api/webhooks/", "/webhook/", "/webhooks/1",
        "hooks.slack.com/services/", "Private-Lines: ", "$2a$",
        "kind: Secret\ndata:\n  a: b\n", "data:\n", "data: x\n---\n",
        "machine a login ", "machine a login b password ",
        "put-parameter SecureString ", "put-parameter --value",
        "secret generic --from-literal=", "{\"a\":", "[", "((((", "a,b,", "\"",
        "'", "password is ", "password a1", "key a1a1a1a1a1a1a1a1 ",
        "access_token=", "variable \"a\" {", "mot de passe ", "api key:",
        "\xc3\xa9", "\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c:",
        "password=a ", "password: a\n", "AUTH ", "'','", "key=[", "key=[{",
        "name: a value: [", "name: a value: f(", "token=getX(", "-eyJaaaaaaaa",
        "name=\"a\" ", "keys: \"a\" ", "key for a=[", "tokens=[", "<key>",
        "<key ", "secret:\n name: |\n  a\n", "  secret:\n    name: a\n",
        "basic Aa", "insert into x (password) values (",
        "set password for 'x' ", "password=crypt('a','b'),", "sk-a.", "fw_",
        "ssh-keygen -", "openssl -k ", "echo a | ", "setuser a ", "{ssha}",
        "pgp_sym_a(a,", "pragma key=", "define('a',", "set('", "ENV a ",
        "log in as a / ", "7z -p", "-a a:", "1),(", "insert into x (a) values (1)"
    };

    text = malloc(HOSTILE);
    r = approval_redact_create(NULL);

    all.data = (unsigned char *) text;
    all.len = HOSTILE;

    for (k = 0; k < HOSTILE; k++) {
        text[k] = "see the 5 pages of it, or ask: x=1 "[k % 35];
    }

    prose = seconds(r, "text/plain", all);

    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        len = strlen(units[i]);

        for (k = 0; k < HOSTILE; k++) {
            text[k] = units[i][k % len];
        }

        spent = seconds(r, "text/plain", all);

        if (!ok(spent < 100 * prose, "no long time: %zu", i)) {
            printf("# \"%s\" takes %.0f times as long as prose\n", units[i],
                   spent / prose);
        }

        approval_buf_t  out;

        approval_buf_init(&out);
        (void) approval_redact_target(r, all, &out);
        approval_buf_free(&out);
    }

    approval_redact_destroy(r);
    free(text);
}
