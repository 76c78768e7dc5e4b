
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * One pattern.  Regexes match bytes: UTF mode would fail on invalid UTF-8.
 * "$" matches only at the very end, because text that ends in a line feed
 * differs from the text without it.
 */


#include "core/match_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static int approval_pattern_parse(approval_match_pattern_t *p, char *errstr,
    size_t errlen);
static int approval_pattern_number(approval_match_pattern_t *p, char *errstr,
    size_t errlen);
static int approval_pattern_regex(approval_match_pattern_t *p,
    uint32_t options, char *errstr, size_t errlen);
static int approval_pattern_names(approval_match_pattern_t *p, char *errstr,
    size_t errlen);
static void approval_pattern_name(unsigned char *dst, PCRE2_SPTR name);
static int approval_pattern_key(approval_match_pattern_t *p);
static size_t approval_pattern_literal(approval_str_t s, unsigned char *dst,
    unsigned *exact);
static int approval_pattern_alternates(approval_str_t s);
static const unsigned char *approval_pattern_class(const unsigned char *p,
    const unsigned char *last);
static approval_holds_e approval_pattern_test_text(approval_match_t *m,
    const approval_match_pattern_t *p, const approval_match_subject_t *s,
    approval_str_t value);
static int approval_pattern_same_uri(approval_str_t text, approval_str_t value,
    unsigned exact);
static approval_holds_e approval_pattern_test_regex(approval_match_t *m,
    const approval_match_pattern_t *p, approval_str_t value);
static int approval_pattern_compares(const approval_match_pattern_t *p,
    const approval_number_t *n);
static approval_holds_e approval_pattern_test_number(
    const approval_match_pattern_t *p, approval_reading_e kind,
    approval_str_t value);


int
approval_match_pattern_init(approval_match_pattern_t *p,
    approval_str_t written, char *errstr, size_t errlen)
{
    memset(p, 0, sizeof(approval_match_pattern_t));

    p->written = malloc(written.len + 1);
    if (p->written == NULL) {
        snprintf(errstr, errlen, "out of memory");
        return APPROVAL_ERROR;
    }

    if (written.len) {
        memcpy(p->written, written.data, written.len);
    }

    p->written[written.len] = '\0';

    p->text.data = p->written;
    p->text.len = written.len;

    if (approval_pattern_parse(p, errstr, errlen) != APPROVAL_OK) {
        approval_match_pattern_free(p);
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


void
approval_match_pattern_free(approval_match_pattern_t *p)
{
    pcre2_code_free(p->regex);
    free(p->names);
    free(p->key_owned);
    free(p->written);

    memset(p, 0, sizeof(approval_match_pattern_t));
}


static int
approval_pattern_parse(approval_match_pattern_t *p, char *errstr,
    size_t errlen)
{
    size_t           skip;
    uint32_t         options;
    approval_str_t  *text;

    text = &p->text;

    if (text->len && *text->data == '!') {
        p->negated = 1;
        text->data++;
        text->len--;
    }

    p->op = APPROVAL_MATCH_OP_EXACT;
    options = 0;
    skip = text->len ? 1 : 0;

    switch (text->len ? *text->data : 0) {

    case '~':
        p->op = APPROVAL_MATCH_OP_REGEX;

        if (text->len > 1 && text->data[1] == '*') {
            options = PCRE2_CASELESS;
            skip = 2;
        }

        break;

    case '^':
        p->op = APPROVAL_MATCH_OP_PREFIX;
        break;

    case '<':
        p->op = APPROVAL_MATCH_OP_LESS;
        break;

    case '>':
        p->op = APPROVAL_MATCH_OP_GREATER;
        break;

    case '!':
        snprintf(errstr, errlen, "\"%s\" negates twice: write one \"!\", "
                 "or \"!\\!...\" for text that starts with \"!\"",
                 (char *) p->written);
        return APPROVAL_ERROR;

    case '\\':
        break;

    default:
        skip = 0;
        break;
    }

    text->data += skip;
    text->len -= skip;

    switch (p->op) {

    case APPROVAL_MATCH_OP_REGEX:
        return approval_pattern_regex(p, options, errstr, errlen);

    case APPROVAL_MATCH_OP_LESS:
    case APPROVAL_MATCH_OP_GREATER:
        return approval_pattern_number(p, errstr, errlen);

    default:
        p->key = *text;
        p->key_exact = (p->op == APPROVAL_MATCH_OP_EXACT);
        p->keyed = !p->negated && (p->key_exact || text->len);
        return APPROVAL_OK;
    }
}


static int
approval_pattern_number(approval_match_pattern_t *p, char *errstr,
    size_t errlen)
{
    if (approval_match_number(p->text, &p->number) != APPROVAL_OK) {
        snprintf(errstr, errlen, "\"%s\" compares with \"%s\", which is not "
                 "a decimal number: write \"%c100\", or \"\\%s\" for text",
                 (char *) p->written, (char *) p->text.data,
                 p->text.data[-1], (char *) p->text.data - 1);
        return APPROVAL_ERROR;
    }

    if (!approval_match_number_exact(&p->number)) {
        snprintf(errstr, errlen, "\"%s\" compares with a number beyond "
                                 "+-2^53, which some servers do not compare "
                                 "exactly: use a regex", (char *) p->written);
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


static int
approval_pattern_regex(approval_match_pattern_t *p, uint32_t options,
    char *errstr, size_t errlen)
{
    int            code;
    size_t         offset;
    unsigned char  reason[128];

    if (p->text.len == 0) {
        snprintf(errstr, errlen, "\"%s\" has no regex: write it without a "
                 "space before it, \"^\" for any value, or \"\\~\" for text",
                 (char *) p->written);
        return APPROVAL_ERROR;
    }

    p->regex = pcre2_compile(p->text.data, p->text.len,
                             options | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF
                             | PCRE2_NEVER_UCP,
                             &code, &offset, NULL);

    if (p->regex == NULL) {
        if (pcre2_get_error_message(code, reason, sizeof(reason)) < 0) {
            memcpy(reason, "unknown error", sizeof("unknown error"));
        }

        if (offset < p->text.len) {
            snprintf(errstr, errlen, "regex \"%s\" is invalid: %s at \"%s\"",
                     (char *) p->written, (char *) reason,
                     (char *) p->text.data + offset);

        } else {
            snprintf(errstr, errlen, "regex \"%s\" is invalid: %s at its end",
                     (char *) p->written, (char *) reason);
        }

        return APPROVAL_ERROR;
    }

    /* without JIT, e.g. if memory cannot be executable, it is interpreted */

    (void) pcre2_jit_compile(p->regex, PCRE2_JIT_COMPLETE);

    if (approval_pattern_names(p, errstr, errlen) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    if (p->negated || options) {
        return APPROVAL_OK;
    }

    if (approval_pattern_key(p) != APPROVAL_OK) {
        snprintf(errstr, errlen, "out of memory");
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


static int
approval_pattern_names(approval_match_pattern_t *p, char *errstr,
    size_t errlen)
{
    uint32_t        i, n, size;
    unsigned char  *name;
    PCRE2_SPTR      table;

    if (pcre2_pattern_info(p->regex, PCRE2_INFO_NAMECOUNT, &n) != 0
        || pcre2_pattern_info(p->regex, PCRE2_INFO_NAMEENTRYSIZE, &size) != 0
        || pcre2_pattern_info(p->regex, PCRE2_INFO_NAMETABLE, &table) != 0)
    {
        snprintf(errstr, errlen, "regex \"%s\" cannot be inspected",
                 (char *) p->written);
        return APPROVAL_ERROR;
    }

    if (n == 0) {
        return APPROVAL_OK;
    }

    /* each entry of the table is two bytes of number, the name and a NUL */

    p->names = calloc(n, sizeof(approval_match_name_t) + size);
    if (p->names == NULL) {
        snprintf(errstr, errlen, "out of memory");
        return APPROVAL_ERROR;
    }

    name = (unsigned char *) (p->names + n);

    for (i = 0; i < n; i++, table += size, name += size) {

        approval_pattern_name(name, table + 2);

        p->names[i].group = (uint32_t) table[0] << 8 | table[1];
        p->names[i].name = approval_str((char *) name);
    }

    p->nnames = n;

    return APPROVAL_OK;
}


/* Names of nginx's variables have no case: they are stored in lower case. */

static void
approval_pattern_name(unsigned char *dst, PCRE2_SPTR name)
{
    for ( /* void */ ; *name; name++, dst++) {
        *dst = (*name >= 'A' && *name <= 'Z') ? (*name | 0x20) : *name;
    }

    *dst = '\0';
}


/* The literal with which each string that the regex matches starts, if any. */

static int
approval_pattern_key(approval_match_pattern_t *p)
{
    size_t          len;
    unsigned        exact;
    approval_str_t  s;

    s = p->text;

    if (*s.data == '^') {
        s.data++;
        s.len--;

    } else if (s.len >= 2 && s.data[0] == '\\' && s.data[1] == 'A') {
        s.data += 2;
        s.len -= 2;

    } else {
        return APPROVAL_OK;
    }

    if (s.len == 0 || approval_pattern_alternates(s)) {
        return APPROVAL_OK;
    }

    p->key_owned = malloc(s.len);
    if (p->key_owned == NULL) {
        return APPROVAL_ERROR;
    }

    len = approval_pattern_literal(s, p->key_owned, &exact);

    if (len == 0) {
        return APPROVAL_OK;
    }

    p->key.data = p->key_owned;
    p->key.len = len;
    p->key_exact = exact;
    p->keyed = 1;

    return APPROVAL_OK;
}


static size_t
approval_pattern_literal(approval_str_t s, unsigned char *dst, unsigned *exact)
{
    unsigned char        *q;
    const unsigned char  *p, *last;

    q = dst;
    last = s.data + s.len;
    *exact = 0;

    for (p = s.data; p < last; p++) {

        switch (*p) {

        case '*':
        case '?':
        case '{':
            /* the literal before it may be absent */
            return q > dst ? (size_t) (q - dst - 1) : 0;

        case '$':
            *exact = (p + 1 == last);
            return q - dst;

        case '^':
        case '.':
        case '[':
        case '(':
        case ')':
        case '|':
        case '+':
            return q - dst;

        case '\\':
            if (p + 1 == last || (p[1] & 0x80)
                || (p[1] >= '0' && p[1] <= '9')
                || ((p[1] | 0x20) >= 'a' && (p[1] | 0x20) <= 'z'))
            {
                return q - dst;
            }

            p++;
            break;

        default:
            break;
        }

        *q++ = *p;
    }

    return q - dst;
}


/*
 * May the regex match text that does not start with its first literal, because
 * of an alternative at the top level or a construct that changes the meaning
 * of literals?  Unknown constructs count as "yes", which only costs time.
 */

static int
approval_pattern_alternates(approval_str_t s)
{
    size_t                depth;
    const unsigned char  *p, *last;

    depth = 0;
    last = s.data + s.len;

    for (p = s.data; p < last; p++) {

        switch (*p) {

        case '\\':
            p++;

            if (p == last || *p == 'Q' || *p == 'E' || *p == 'c') {
                return 1;
            }

            break;

        case '[':
            p = approval_pattern_class(p, last);

            if (p == NULL) {
                return 1;
            }

            break;

        case '(':
            depth++;

            if (last - p > 1 && p[1] == '*') {
                return 1;
            }

            if (last - p > 1 && p[1] == '?') {

                if (last - p < 3 || strchr(":=!<>P", p[2]) == NULL) {
                    return 1;
                }

                p += 2;
            }

            break;

        case ')':
            if (depth == 0) {
                return 1;
            }

            depth--;
            break;

        case '|':
            if (depth == 0) {
                return 1;
            }

            break;

        default:
            break;
        }
    }

    return depth != 0;
}


/* Skips a class, from "[" to its "]". */

static const unsigned char *
approval_pattern_class(const unsigned char *p, const unsigned char *last)
{
    const unsigned char  *first;

    p++;

    if (p < last && *p == '^') {
        p++;
    }

    for (first = p; p < last; p++) {

        switch (*p) {

        case ']':
            if (p != first) {
                return p;
            }

            break;

        case '\\':
            p++;

            if (p == last || *p == 'Q' || *p == 'E' || *p == 'c') {
                return NULL;
            }

            break;

        case '[':
            if (last - p > 1
                && (p[1] == ':' || p[1] == '.' || p[1] == '='))
            {
                return NULL;
            }

            break;

        default:
            break;
        }
    }

    return NULL;
}


int
approval_match_pattern_fold(approval_match_pattern_t *p)
{
    size_t          len;
    unsigned char  *key;

    if (!p->keyed) {
        return APPROVAL_OK;
    }

    key = malloc(p->key.len + 1);
    if (key == NULL) {
        return APPROVAL_ERROR;
    }

    len = approval_match_fold_uri(key, p->key);

    free(p->key_owned);

    p->key_owned = key;
    p->key.data = key;
    p->key.len = len;
    p->keyed = p->key_exact || len;

    return APPROVAL_OK;
}


approval_holds_e
approval_match_pattern_test(approval_match_t *m,
    const approval_match_pattern_t *p, const approval_match_subject_t *s,
    approval_reading_e kind, approval_str_t value)
{
    approval_holds_e  holds;

    if (kind == APPROVAL_READING_ABSENT
        && (s->kind == APPROVAL_SUBJECT_MEMBER
            || p->op == APPROVAL_MATCH_OP_LESS
            || p->op == APPROVAL_MATCH_OP_GREATER))
    {
        return p->negated ? APPROVAL_HOLDS : APPROVAL_HOLDS_NOT;
    }

    switch (p->op) {

    case APPROVAL_MATCH_OP_EXACT:
    case APPROVAL_MATCH_OP_PREFIX:
        holds = approval_pattern_test_text(m, p, s, value);
        break;

    case APPROVAL_MATCH_OP_REGEX:
        holds = approval_pattern_test_regex(m, p, value);
        break;

    default:
        holds = approval_pattern_test_number(p, kind, value);
        break;
    }

    if (holds == APPROVAL_HOLDS_MAYBE || !p->negated) {
        return holds;
    }

    return (holds == APPROVAL_HOLDS) ? APPROVAL_HOLDS_NOT : APPROVAL_HOLDS;
}


static approval_holds_e
approval_pattern_test_text(approval_match_t *m,
    const approval_match_pattern_t *p, const approval_match_subject_t *s,
    approval_str_t value)
{
    unsigned  exact;

    exact = (p->op == APPROVAL_MATCH_OP_EXACT);

    if (value.len >= p->text.len
        && (!exact || value.len == p->text.len)
        && (p->text.len == 0
            || memcmp(value.data, p->text.data, p->text.len) == 0))
    {
        return APPROVAL_HOLDS;
    }

    return s->kind == APPROVAL_SUBJECT_URI && !m->literal
           && approval_pattern_same_uri(p->text, value, exact)
           ? APPROVAL_HOLDS_MAYBE : APPROVAL_HOLDS_NOT;
}


/* Many routers ignore letter case and a trailing slash. */

static int
approval_pattern_same_uri(approval_str_t text, approval_str_t value,
    unsigned exact)
{
    size_t         i;
    unsigned char  a, b;

    if (exact && text.len && text.data[text.len - 1] == '/') {
        text.len--;
    }

    if (exact && value.len && value.data[value.len - 1] == '/') {
        value.len--;
    }

    if (exact && text.len != value.len) {
        return 0;
    }

    for (i = 0; i < text.len; i++) {

        if (i == value.len) {
            return i + 1 == text.len && text.data[i] == '/';
        }

        a = text.data[i];
        b = value.data[i];

        a = (a >= 'A' && a <= 'Z') ? (a | 0x20) : a;
        b = (b >= 'A' && b <= 'Z') ? (b | 0x20) : b;

        if (a != b) {
            return 0;
        }
    }

    return 1;
}


/*
 * After any error except "no match" the result is unknown: the pattern may
 * hold.
 */

static approval_holds_e
approval_pattern_test_regex(approval_match_t *m,
    const approval_match_pattern_t *p, approval_str_t value)
{
    int            rc;
    unsigned char  reason[128];

    rc = pcre2_match(p->regex, value.len ? value.data : (PCRE2_SPTR) "",
                     value.len, 0, 0, m->match_data, m->match_context);

    if (rc >= 0) {
        return APPROVAL_HOLDS;
    }

    if (rc == PCRE2_ERROR_NOMATCH) {
        return APPROVAL_HOLDS_NOT;
    }

    if (pcre2_get_error_message(rc, reason, sizeof(reason)) < 0) {
        memcpy(reason, "unknown error", sizeof("unknown error"));
    }

    snprintf(m->error, sizeof(m->error), "rule %d: regex \"%.256s\" failed: "
             "%s; make it simpler or anchor it", m->current,
             (char *) p->written, (char *) reason);

    m->limited = 1;

    return APPROVAL_HOLDS_MAYBE;
}


/*
 * All readers agree on a JSON number; a text counts only if all readers take
 * it for the same number.
 */

static approval_holds_e
approval_pattern_test_number(const approval_match_pattern_t *p,
    approval_reading_e kind, approval_str_t value)
{
    int                holds, truncated;
    approval_number_t  n, whole;

    if (kind == APPROVAL_READING_NULL) {
        return APPROVAL_HOLDS_NOT;
    }

    if ((kind == APPROVAL_READING_TEXT && !approval_match_number_plain(value))
        || approval_match_number(value, &n) != APPROVAL_OK
        || !approval_match_number_exact(&n))
    {
        return APPROVAL_HOLDS_MAYBE;
    }

    holds = approval_pattern_compares(p, &n);
    truncated = holds;

    if (kind == APPROVAL_READING_TEXT) {
        whole = approval_match_number_whole(&n);
        truncated = approval_pattern_compares(p, &whole);
    }

    return (holds != truncated) ? APPROVAL_HOLDS_MAYBE
           : holds ? APPROVAL_HOLDS : APPROVAL_HOLDS_NOT;
}


static int
approval_pattern_compares(const approval_match_pattern_t *p,
    const approval_number_t *n)
{
    int  rc;

    rc = approval_match_number_cmp(n, &p->number);

    return p->op == APPROVAL_MATCH_OP_LESS ? rc < 0 : rc > 0;
}
