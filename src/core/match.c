
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Building a set of rules, and queries about it.
 */


#include "core/match_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static int approval_match_subject_init(approval_match_subject_t *s,
    approval_subject_e kind, approval_str_t name);
static void approval_match_condition_free(approval_match_condition_t *c);
static int approval_match_condition_check(const approval_match_t *m,
    int subject, size_t n, char *errstr, size_t errlen);
static int approval_match_condition_names(const approval_match_t *m,
    const approval_match_condition_t *c, char *errstr, size_t errlen);
static const approval_match_pattern_t *approval_match_name_find(
    const approval_match_condition_t *c, approval_str_t name);
static void approval_match_condition_note(approval_match_t *m,
    const approval_match_condition_t *c);
static void approval_match_methods(approval_match_t *m,
    approval_match_rule_t *r);
static int approval_match_method_mask(approval_match_t *m,
    const approval_match_condition_t *c, uint64_t *mask);
static int approval_match_order(approval_match_t *m);
static int approval_match_regexes(approval_match_t *m);


approval_match_t *
approval_match_create(void)
{
    approval_match_t  *m;

    m = calloc(1, sizeof(approval_match_t));

    if (m != NULL) {
        m->method = -1;
        m->current = -1;

        approval_buf_init(&m->folded);
    }

    return m;
}


void
approval_match_destroy(approval_match_t *m)
{
    size_t  i;

    if (m == NULL) {
        return;
    }

    approval_match_index_free(m);

    for (i = 0; i < m->nsubjects; i++) {
        free(m->subjects[i].name);
    }

    for (i = 0; i < m->nconditions; i++) {
        approval_match_condition_free(&m->conditions[i]);
    }

    pcre2_match_data_free(m->match_data);
    pcre2_match_context_free(m->match_context);
    pcre2_jit_stack_free(m->jit_stack);

    approval_buf_free(&m->folded);

    free(m->order);
    free(m->subjects);
    free(m->conditions);
    free(m->rules);
    free(m);
}


int
approval_match_subject(approval_match_t *m, approval_subject_e kind,
    approval_str_t name, const char **err)
{
    size_t                     i;
    approval_str_t             known;
    approval_match_subject_t  *s;

    for (i = 0; i < m->nsubjects; i++) {
        s = &m->subjects[i];

        known.data = s->name;
        known.len = s->len;

        if (s->kind == kind && approval_str_eq(known, name)) {
            return (int) i;
        }
    }

    if (m->compiled) {
        *err = "the rules are compiled already";
        return -1;
    }

    if (approval_match_grow(&m->subjects, m->nsubjects, &m->asubjects,
                            sizeof(approval_match_subject_t))
        != APPROVAL_OK)
    {
        *err = "out of memory";
        return -1;
    }

    s = &m->subjects[m->nsubjects];

    if (approval_match_subject_init(s, kind, name) != APPROVAL_OK) {
        *err = "out of memory";
        return -1;
    }

    s->number = (unsigned) m->nsubjects;

    if (kind == APPROVAL_SUBJECT_METHOD && m->method == -1) {
        m->method = (int) m->nsubjects;
    }

    return (int) m->nsubjects++;
}


int
approval_match_rule(approval_match_t *m)
{
    approval_match_rule_t  *r;

    if (m->compiled
        || m->nrules >= INT32_MAX
        || approval_match_grow(&m->rules, m->nrules, &m->arules,
                               sizeof(approval_match_rule_t))
           != APPROVAL_OK)
    {
        return -1;
    }

    r = &m->rules[m->nrules];

    memset(r, 0, sizeof(approval_match_rule_t));

    r->first = (uint32_t) m->nconditions;
    r->primary = -1;
    r->methods = APPROVAL_MATCH_METHOD_ANY;

    return (int) m->nrules++;
}


int
approval_match_condition(approval_match_t *m, int subject,
    const approval_str_t *patterns, size_t n, char *errstr, size_t errlen)
{
    size_t                      i;
    approval_match_condition_t  c;

    if (approval_match_condition_check(m, subject, n, errstr, errlen)
        != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    memset(&c, 0, sizeof(approval_match_condition_t));

    c.subject = (unsigned) subject;
    c.patterns = calloc(n, sizeof(approval_match_pattern_t));

    if (c.patterns == NULL
        || approval_match_grow(&m->conditions, m->nconditions,
                               &m->aconditions,
                               sizeof(approval_match_condition_t))
           != APPROVAL_OK)
    {
        snprintf(errstr, errlen, "out of memory");
        goto failed;
    }

    c.keyed = 1;

    for (i = 0; i < n; i++) {
        if (approval_match_pattern_init(&c.patterns[i], patterns[i], errstr,
                                        errlen)
            != APPROVAL_OK)
        {
            goto failed;
        }

        c.npatterns++;

        if (m->subjects[subject].kind == APPROVAL_SUBJECT_URI
            && approval_match_pattern_fold(&c.patterns[i]) != APPROVAL_OK)
        {
            snprintf(errstr, errlen, "out of memory");
            goto failed;
        }

        c.keyed &= c.patterns[i].keyed;
    }

    if (approval_match_condition_names(m, &c, errstr, errlen) != APPROVAL_OK) {
        goto failed;
    }

    approval_match_condition_note(m, &c);

    m->conditions[m->nconditions++] = c;
    m->rules[m->nrules - 1].n++;

    return APPROVAL_OK;

failed:

    approval_match_condition_free(&c);

    return APPROVAL_ERROR;
}


int
approval_match_compile(approval_match_t *m)
{
    size_t  i;

    if (m->compiled) {
        return APPROVAL_ERROR;
    }

    /* without rules, the method need not be read */

    if (m->nrules == 0) {
        m->methods = APPROVAL_MATCH_METHOD_ANY;
    }

    for (i = 0; i < m->nrules; i++) {
        approval_match_methods(m, &m->rules[i]);
        m->methods |= m->rules[i].methods;
    }

    if (approval_match_index_build(m) != APPROVAL_OK
        || approval_match_order(m) != APPROVAL_OK
        || approval_match_regexes(m) != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    m->compiled = 1;

    for (i = 0; i < m->nindexed; i++) {
        if (m->indexed[i]->kind == APPROVAL_SUBJECT_URI) {
            m->uris = &m->indexed[i]->trie.nodes[1];
        }
    }

    if (m->methods == APPROVAL_MATCH_METHOD_ANY && !m->always_methods) {
        m->only = m->uris;
    }

    return APPROVAL_OK;
}


void
approval_match_literal(approval_match_t *m)
{
    m->literal = 1;
}


int
approval_match_rule_reads(const approval_match_t *m, int rule,
    unsigned subject)
{
    size_t                        i;
    const approval_match_rule_t  *r;

    r = &m->rules[rule];

    for (i = r->first; i < r->first + r->n; i++) {
        if (m->conditions[i].subject == subject) {
            return 1;
        }
    }

    return 0;
}


/* A prefix that consists of slashes becomes empty, and is not a key. */

size_t
approval_match_fold_uri(unsigned char *dst, approval_str_t uri)
{
    size_t         i;
    unsigned char  c;

    uri = approval_match_trim_uri(uri);

    for (i = 0; i < uri.len; i++) {
        c = uri.data[i];
        dst[i] = (c >= 'A' && c <= 'Z') ? (c | 0x20) : c;
    }

    return uri.len;
}


int
approval_match_capture_subject(const approval_match_t *m, int rule,
    approval_str_t name, approval_str_t *subject)
{
    size_t                             i;
    const approval_match_rule_t       *r;
    const approval_match_condition_t  *c;

    r = &m->rules[rule];

    for (i = 0; i < r->n; i++) {
        c = &m->conditions[r->first + i];

        if (approval_match_name_find(c, name)) {
            subject->data = m->subjects[c->subject].name;
            subject->len = m->subjects[c->subject].len;
            return APPROVAL_OK;
        }
    }

    return APPROVAL_DECLINED;
}


int
approval_match_grow(void *array, size_t n, size_t *alloc, size_t size)
{
    void    *data, *old;
    size_t   want;

    if (n < *alloc) {
        return APPROVAL_OK;
    }

    want = *alloc ? *alloc * 2 : 8;

    if (want > SIZE_MAX / 2 / size) {
        return APPROVAL_ERROR;
    }

    /* array is the address of a pointer of any type */

    memcpy(&old, array, sizeof(void *));

    data = realloc(old, want * size);
    if (data == NULL) {
        return APPROVAL_ERROR;
    }

    memcpy(array, &data, sizeof(void *));
    *alloc = want;

    return APPROVAL_OK;
}


static int
approval_match_subject_init(approval_match_subject_t *s,
    approval_subject_e kind, approval_str_t name)
{
    memset(s, 0, sizeof(approval_match_subject_t));

    s->kind = kind;
    s->len = name.len;

    s->name = malloc(name.len + 1);
    if (s->name == NULL) {
        return APPROVAL_ERROR;
    }

    if (name.len) {
        memcpy(s->name, name.data, name.len);
    }

    s->name[name.len] = '\0';

    return APPROVAL_OK;
}


static void
approval_match_condition_free(approval_match_condition_t *c)
{
    size_t  i;

    for (i = 0; i < c->npatterns; i++) {
        approval_match_pattern_free(&c->patterns[i]);
    }

    free(c->patterns);
}


static int
approval_match_condition_check(const approval_match_t *m, int subject,
    size_t n, char *errstr, size_t errlen)
{
    if (m->compiled || m->nrules == 0) {
        snprintf(errstr, errlen, "a condition belongs to a rule, and rules "
                 "come before they are compiled");
        return APPROVAL_ERROR;
    }

    if (subject < 0 || (size_t) subject >= m->nsubjects) {
        snprintf(errstr, errlen, "unknown subject");
        return APPROVAL_ERROR;
    }

    if (n == 0) {
        snprintf(errstr, errlen, "\"%s\" has no pattern: add "
                                 "one", (char *) m->subjects[subject].name);
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


/*
 * Each name has one value: a rule may not give two groups the same name,
 * except in patterns of one condition, of which only one matches.
 */

static int
approval_match_condition_names(const approval_match_t *m,
    const approval_match_condition_t *c, char *errstr, size_t errlen)
{
    size_t                             i, j, k;
    approval_str_t                     name;
    const approval_match_rule_t       *r;
    const approval_match_pattern_t    *p, *other;
    const approval_match_condition_t  *known;

    r = &m->rules[m->nrules - 1];

    for (i = 0; i < c->npatterns; i++) {
        p = &c->patterns[i];

        for (j = 0; j < p->nnames; j++) {
            name = p->names[j].name;
            other = NULL;

            for (k = 0; k < r->n && other == NULL; k++) {
                known = &m->conditions[r->first + k];
                other = approval_match_name_find(known, name);
            }

            /* possible with (?J), or if the names differ in case only */

            for (k = 0; k < j && other == NULL; k++) {
                if (approval_str_eq(p->names[k].name, name)) {
                    other = p;
                }
            }

            if (other) {
                snprintf(errstr, errlen, "regex \"%s\" has a group \"%s\", "
                                         "and so does \"%s\" of this rule: "
                                         "rename one of them",
                         (char *) p->written, (char *) name.data,
                         (char *) other->written);
                return APPROVAL_ERROR;
            }
        }
    }

    return APPROVAL_OK;
}


static const approval_match_pattern_t *
approval_match_name_find(const approval_match_condition_t *c,
    approval_str_t name)
{
    size_t  i, j;

    for (i = 0; i < c->npatterns; i++) {

        /* a negated pattern holds if nothing matched, so it captures nothing */

        if (c->patterns[i].negated) {
            continue;
        }

        for (j = 0; j < c->patterns[i].nnames; j++) {

            if (approval_str_eq_nocase(c->patterns[i].names[j].name, name)) {
                return &c->patterns[i];
            }
        }
    }

    return NULL;
}


/* Updates what the rule and the set know about their conditions. */

static void
approval_match_condition_note(approval_match_t *m,
    const approval_match_condition_t *c)
{
    size_t                  i;
    uint32_t                n;
    approval_match_rule_t  *r;

    r = &m->rules[m->nrules - 1];

    if (m->subjects[c->subject].kind == APPROVAL_SUBJECT_MEMBER) {
        r->reads_body = 1;
    }

    for (i = 0; i < c->npatterns; i++) {

        if (c->patterns[i].regex == NULL) {
            continue;
        }

        m->regexes = 1;

        if (pcre2_pattern_info(c->patterns[i].regex, PCRE2_INFO_CAPTURECOUNT,
                               &n) == 0
            && n > m->ngroups)
        {
            m->ngroups = n;
        }
    }
}


/* Turns exact methods into a mask, which is tested before all else. */

static void
approval_match_methods(approval_match_t *m, approval_match_rule_t *r)
{
    size_t                       i;
    uint64_t                     mask;
    approval_match_condition_t  *c;

    for (i = 0; i < r->n; i++) {
        c = &m->conditions[r->first + i];

        if ((int) c->subject == m->method
            && approval_match_method_mask(m, c, &mask) == APPROVAL_OK)
        {
            c->masked = 1;
            r->methods &= mask;
        }
    }
}


static int
approval_match_method_mask(approval_match_t *m,
    const approval_match_condition_t *c, uint64_t *mask)
{
    size_t                           i, j;
    uint64_t                         bit;
    const approval_match_pattern_t  *p;

    *mask = 0;

    for (i = 0; i < c->npatterns; i++) {

        if (c->patterns[i].op != APPROVAL_MATCH_OP_EXACT) {
            return APPROVAL_DECLINED;
        }
    }

    for (i = 0; i < c->npatterns; i++) {
        p = &c->patterns[i];

        for (j = 0; j < m->nmethods; j++) {
            if (approval_str_eq(m->method_names[j], p->text)) {
                break;
            }
        }

        if (j == m->nmethods) {

            if (j == APPROVAL_MATCH_METHODS) {
                return APPROVAL_DECLINED;
            }

            m->method_names[m->nmethods++] = p->text;
            m->method_filter |= approval_match_method_hash(p->text);
        }

        bit = (uint64_t) 1 << j;
        *mask |= p->negated ? ~bit : bit;
    }

    return APPROVAL_OK;
}


/*
 * The condition that the index chose comes first; the others keep their order.
 */

static int
approval_match_order(approval_match_t *m)
{
    size_t                       i, j, n;
    unsigned                     body, pass;
    approval_match_rule_t       *r;
    approval_match_condition_t  *c;

    m->order = malloc((m->nconditions + 1) * sizeof(uint32_t));
    if (m->order == NULL) {
        return APPROVAL_ERROR;
    }

    n = 0;

    for (i = 0; i < m->nrules; i++) {
        r = &m->rules[i];
        r->order = (uint32_t) n;

        if (r->primary != -1) {
            m->order[n++] = (uint32_t) r->primary;
        }

        for (pass = 0; pass < 2; pass++) {
            for (j = r->first; j < r->first + r->n; j++) {
                c = &m->conditions[j];

                body = (m->subjects[c->subject].kind
                        == APPROVAL_SUBJECT_MEMBER);

                if (body == pass && !c->masked && (int) j != r->primary) {
                    m->order[n++] = (uint32_t) j;
                }
            }
        }

        r->norder = (uint32_t) n - r->order;
    }

    return APPROVAL_OK;
}


/*
 * One context for all regexes.  JIT code that runs out of stack fails as if it
 * had reached a limit; the default of 32K is too small for a long "(a|b)*".
 */

static int
approval_match_regexes(approval_match_t *m)
{
    if (!m->regexes) {
        return APPROVAL_OK;
    }

    m->match_context = pcre2_match_context_create(NULL);
    m->match_data = pcre2_match_data_create(m->ngroups + 1, NULL);

    if (m->match_context == NULL || m->match_data == NULL) {
        return APPROVAL_ERROR;
    }

    pcre2_set_match_limit(m->match_context, APPROVAL_MATCH_LIMIT_CALLS);
    pcre2_set_depth_limit(m->match_context, APPROVAL_MATCH_LIMIT_DEPTH);
    pcre2_set_heap_limit(m->match_context, APPROVAL_MATCH_LIMIT_HEAP);

    m->jit_stack = pcre2_jit_stack_create(32 * 1024, APPROVAL_MATCH_JIT_STACK,
                                          NULL);

    if (m->jit_stack) {
        pcre2_jit_stack_assign(m->match_context, NULL, m->jit_stack);
    }

    return APPROVAL_OK;
}
