
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Comparing rules by their patterns alone: does one hold whenever another
 * does?  "No" means that this is not known.
 */


#include "core/match_internal.h"

#include <string.h>


static int approval_cover(approval_match_t *m, int by, int rule,
    unsigned absent);
static int approval_cover_condition(approval_match_t *m,
    const approval_match_condition_t *by, const approval_match_rule_t *r,
    unsigned absent);
static int approval_cover_always(const approval_match_t *m,
    const approval_match_condition_t *c);
static int approval_cover_compares(const approval_match_condition_t *c);
static int approval_cover_implied(approval_match_t *m,
    const approval_match_condition_t *by, const approval_match_condition_t *c);
static int approval_cover_pattern(approval_match_t *m, unsigned subject,
    const approval_match_pattern_t *q, const approval_match_pattern_t *p);
static int approval_cover_positive(approval_match_t *m, unsigned subject,
    const approval_match_pattern_t *q, const approval_match_pattern_t *p);
static int approval_cover_regex(approval_match_t *m, unsigned subject,
    const approval_match_pattern_t *q, approval_str_t value);
static int approval_cover_prefix(const approval_match_pattern_t *p,
    approval_str_t *prefix);
static int approval_cover_starts(const approval_match_pattern_t *p,
    approval_str_t prefix);
static int approval_cover_caseless(const approval_match_pattern_t *p);


int
approval_match_covers(approval_match_t *m, int by, int rule)
{
    return approval_cover(m, by, rule, 0);
}


int
approval_match_covers_absent(approval_match_t *m, int by, int rule)
{
    return approval_cover(m, by, rule, 1);
}


int
approval_match_compares(const approval_match_t *m, int rule)
{
    size_t                        i;
    const approval_match_rule_t  *r;

    r = &m->rules[rule];

    for (i = 0; i < r->n; i++) {
        if (approval_cover_compares(&m->conditions[r->first + i])) {
            return (int) i;
        }
    }

    return -1;
}


static int
approval_cover(approval_match_t *m, int by, int rule, unsigned absent)
{
    size_t                        i;
    const approval_match_rule_t  *r;

    r = &m->rules[by];

    /* the indexed condition distinguishes most pairs */

    if (r->primary != -1
        && !approval_cover_condition(m, &m->conditions[r->primary],
                                     &m->rules[rule], absent))
    {
        return 0;
    }

    for (i = 0; i < r->n; i++) {
        if (!approval_cover_condition(m, &m->conditions[r->first + i],
                                      &m->rules[rule], absent))
        {
            return 0;
        }
    }

    return 1;
}


/*
 * If the values that the rule compares are absent, its comparisons imply
 * nothing.
 */

static int
approval_cover_condition(approval_match_t *m,
    const approval_match_condition_t *by, const approval_match_rule_t *r,
    unsigned absent)
{
    size_t                             i, j;
    const approval_match_pattern_t    *q;
    const approval_match_condition_t  *c;

    if (approval_cover_always(m, by)) {
        return 1;
    }

    for (i = 0; i < r->n; i++) {
        c = &m->conditions[r->first + i];

        if (c->subject != by->subject) {
            continue;
        }

        if (!absent || !approval_cover_compares(c)) {

            if (approval_cover_implied(m, by, c)) {
                return 1;
            }

            continue;
        }

        for (j = 0; j < by->npatterns; j++) {
            q = &by->patterns[j];

            if (q->negated && (q->op == APPROVAL_MATCH_OP_LESS
                               || q->op == APPROVAL_MATCH_OP_GREATER))
            {
                return 1;
            }
        }
    }

    return 0;
}


static int
approval_cover_always(const approval_match_t *m,
    const approval_match_condition_t *c)
{
    size_t               i;
    approval_str_t       prefix;
    approval_subject_e   kind;

    kind = m->subjects[c->subject].kind;

    if (kind == APPROVAL_SUBJECT_MEMBER) {
        return 0;
    }

    for (i = 0; i < c->npatterns; i++) {

        if (!c->patterns[i].negated
            && approval_cover_prefix(&c->patterns[i], &prefix)
            && (prefix.len == 0
                || (kind == APPROVAL_SUBJECT_URI && prefix.len == 1
                    && *prefix.data == '/')))
        {
            return 1;
        }
    }

    return 0;
}


static int
approval_cover_compares(const approval_match_condition_t *c)
{
    int     compares;
    size_t  i;

    compares = 0;

    for (i = 0; i < c->npatterns; i++) {

        if (c->patterns[i].negated) {
            return 0;
        }

        compares |= (c->patterns[i].op == APPROVAL_MATCH_OP_LESS
                     || c->patterns[i].op == APPROVAL_MATCH_OP_GREATER);
    }

    return compares;
}


static int
approval_cover_implied(approval_match_t *m,
    const approval_match_condition_t *by, const approval_match_condition_t *c)
{
    size_t  i, j;

    for (i = 0; i < c->npatterns; i++) {

        for (j = 0; j < by->npatterns; j++) {
            if (approval_cover_pattern(m, c->subject, &by->patterns[j],
                                       &c->patterns[i]))
            {
                break;
            }
        }

        if (j == by->npatterns) {
            return 0;
        }
    }

    return 1;
}


/* Does "q" match all values that "p" matches? */

static int
approval_cover_pattern(approval_match_t *m, unsigned subject,
    const approval_match_pattern_t *q, const approval_match_pattern_t *p)
{
    if (strcmp((char *) p->written, (char *) q->written) == 0) {
        return 1;
    }

    if (p->negated) {
        return q->negated && approval_cover_positive(m, subject, p, q);
    }

    if (q->negated) {
        return m->subjects[subject].kind == APPROVAL_SUBJECT_METHOD
               && p->op == APPROVAL_MATCH_OP_EXACT
               && q->op == APPROVAL_MATCH_OP_EXACT
               && !approval_str_eq(p->text, q->text);
    }

    return approval_cover_positive(m, subject, q, p);
}


static int
approval_cover_positive(approval_match_t *m, unsigned subject,
    const approval_match_pattern_t *q, const approval_match_pattern_t *p)
{
    int             cmp;
    approval_str_t  prefix;

    switch (q->op) {

    case APPROVAL_MATCH_OP_EXACT:
        return p->op == APPROVAL_MATCH_OP_EXACT
               && approval_str_eq(p->text, q->text);

    case APPROVAL_MATCH_OP_LESS:
    case APPROVAL_MATCH_OP_GREATER:

        if (p->op != q->op) {
            return 0;
        }

        cmp = approval_match_number_cmp(&p->number, &q->number);

        return (q->op == APPROVAL_MATCH_OP_LESS) ? cmp <= 0 : cmp >= 0;

    default:
        break;
    }

    if (approval_cover_prefix(q, &prefix) && approval_cover_starts(p, prefix))
    {
        return 1;
    }

    return p->op == APPROVAL_MATCH_OP_EXACT
           && approval_cover_regex(m, subject, q, p->text);
}


static int
approval_cover_regex(approval_match_t *m, unsigned subject,
    const approval_match_pattern_t *q, approval_str_t value)
{
    int                       covers;
    approval_match_pattern_t  positive;

    if (q->op != APPROVAL_MATCH_OP_REGEX) {
        return 0;
    }

    positive = *q;
    positive.negated = 0;

    covers = (approval_match_pattern_test(m, &positive, &m->subjects[subject],
                                          APPROVAL_READING_TEXT, value)
              == APPROVAL_HOLDS);

    m->limited = 0;

    return covers;
}


/* The pattern requires this beginning and nothing else. */

static int
approval_cover_prefix(const approval_match_pattern_t *p,
    approval_str_t *prefix)
{
    size_t  n;

    *prefix = p->text;

    if (p->op == APPROVAL_MATCH_OP_PREFIX) {
        return 1;
    }

    if (p->op != APPROVAL_MATCH_OP_REGEX || approval_cover_caseless(p)
        || prefix->len == 0 || *prefix->data != '^')
    {
        return 0;
    }

    prefix->data++;
    prefix->len--;

    n = strcspn((char *) prefix->data, "\\^$.[]|()?*+{}");

    if (n != prefix->len && strcmp((char *) prefix->data + n, ".*") != 0) {
        return 0;
    }

    prefix->len = n;

    return 1;
}


/* Do all values that the pattern matches start with the prefix? */

static int
approval_cover_starts(const approval_match_pattern_t *p, approval_str_t prefix)
{
    size_t                i;
    const unsigned char  *s;

    s = p->text.data;

    switch (p->op) {

    case APPROVAL_MATCH_OP_EXACT:
    case APPROVAL_MATCH_OP_PREFIX:
        return p->text.len >= prefix.len
               && memcmp(s, prefix.data, prefix.len) == 0;

    case APPROVAL_MATCH_OP_REGEX:
        break;

    default:
        return 0;
    }

    if (approval_cover_caseless(p) || *s++ != '^' || strchr((char *) s, '|')) {
        return 0;
    }

    for (i = 0; i < prefix.len; i++, s++) {

        if (*s == '\\' && s[1] && strchr("^$.[]|()?*+{}\\-/", s[1])) {
            s++;

        } else if (*s == '\0' || strchr("\\^$.[]|()?*+{}", *s)) {
            return 0;
        }

        if (*s != prefix.data[i] || (s[1] && strchr("?*{", s[1]))) {
            return 0;
        }
    }

    return 1;
}


static int
approval_cover_caseless(const approval_match_pattern_t *p)
{
    return p->op == APPROVAL_MATCH_OP_REGEX && p->text.data[-1] == '*';
}
