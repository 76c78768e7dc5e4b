
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Each rule is indexed by one literal: that of its condition whose literal the
 * fewest other rules share.  Values are looked up in one radix tree per
 * subject, which returns the rules that they can match; rules without a
 * literal are always tested.
 */


#include "core/match_internal.h"

#include <stdlib.h>
#include <string.h>


/* If no more rules than this share a key, other criteria matter more. */
#define APPROVAL_MATCH_CROWD  16


static size_t approval_match_index_entries(const approval_match_t *m,
    approval_match_entry_t *entries);
static int approval_match_entry_cmp(const void *one, const void *two);
static int approval_match_key_cmp(const approval_match_entry_t *a,
    const approval_match_entry_t *b);
static void approval_match_index_count(approval_match_t *m,
    const approval_match_entry_t *entries, size_t n);
static void approval_match_index_choose(approval_match_t *m,
    approval_match_rule_t *r);
static int approval_match_index_better(const approval_match_t *m,
    const approval_match_condition_t *a, const approval_match_condition_t *b);
static unsigned approval_match_index_crowd(uint32_t crowd);
static size_t approval_match_index_weakest(
    const approval_match_condition_t *c);
static int approval_match_index_trees(approval_match_t *m,
    approval_match_entry_t *entries, size_t n);
static uint32_t *approval_match_index_all(
    const approval_match_entry_t *entries, size_t n);
static int approval_match_rule_cmp(const void *one, const void *two);
static int approval_match_index_always(approval_match_t *m);


int
approval_match_index_build(approval_match_t *m)
{
    int                      rc;
    size_t                   i, j, n;
    approval_match_entry_t  *entries;

    n = 0;

    for (i = 0; i < m->nconditions; i++) {
        n += m->conditions[i].npatterns;
    }

    entries = malloc((n + 1) * sizeof(approval_match_entry_t));
    if (entries == NULL) {
        return APPROVAL_ERROR;
    }

    n = approval_match_index_entries(m, entries);

    qsort(entries, n, sizeof(approval_match_entry_t), approval_match_entry_cmp);

    approval_match_index_count(m, entries, n);

    for (i = 0; i < m->nrules; i++) {
        approval_match_index_choose(m, &m->rules[i]);
    }

    for (i = 0, j = 0; i < n; i++) {
        if (m->rules[entries[i].rule].primary == (int) entries[i].condition) {
            entries[j++] = entries[i];
        }
    }

    rc = approval_match_index_trees(m, entries, j);

    free(entries);

    if (rc != APPROVAL_OK) {
        return rc;
    }

    return approval_match_index_always(m);
}


void
approval_match_index_free(approval_match_t *m)
{
    size_t  i;

    for (i = 0; i < m->nsubjects; i++) {
        approval_match_trie_free(&m->subjects[i].trie);
        free(m->subjects[i].all);
    }

    free(m->always);
    free(m->indexed);
    free(m->cursors);
}


/*
 * All keys by which rules could be indexed.  The method is none of them: a
 * mask is faster.
 */

static size_t
approval_match_index_entries(const approval_match_t *m,
    approval_match_entry_t *entries)
{
    size_t                             i, j, k, n;
    approval_subject_e                 kind;
    const approval_match_rule_t       *r;
    const approval_match_condition_t  *c;

    n = 0;

    for (i = 0; i < m->nrules; i++) {
        r = &m->rules[i];

        for (j = r->first; j < r->first + r->n; j++) {
            c = &m->conditions[j];
            kind = m->subjects[c->subject].kind;

            if (!c->keyed
                || (kind != APPROVAL_SUBJECT_URI
                    && kind != APPROVAL_SUBJECT_VALUE))
            {
                continue;
            }

            for (k = 0; k < c->npatterns; k++) {
                entries[n].key = c->patterns[k].key;
                entries[n].exact = c->patterns[k].key_exact;
                entries[n].subject = c->subject;
                entries[n].condition = (uint32_t) j;
                entries[n].rule = (uint32_t) i;
                n++;
            }
        }
    }

    return n;
}


static int
approval_match_entry_cmp(const void *one, const void *two)
{
    int                            rc;
    const approval_match_entry_t  *a, *b;

    a = one;
    b = two;

    rc = approval_match_key_cmp(a, b);

    if (rc == 0) {
        rc = (a->exact > b->exact) - (a->exact < b->exact);
    }

    if (rc == 0) {
        rc = (a->rule > b->rule) - (a->rule < b->rule);
    }

    return rc;
}


static int
approval_match_key_cmp(const approval_match_entry_t *a,
    const approval_match_entry_t *b)
{
    int     rc;
    size_t  n;

    if (a->subject != b->subject) {
        return a->subject < b->subject ? -1 : 1;
    }

    n = a->key.len < b->key.len ? a->key.len : b->key.len;

    rc = n ? memcmp(a->key.data, b->key.data, n) : 0;

    if (rc == 0) {
        rc = (a->key.len > b->key.len) - (a->key.len < b->key.len);
    }

    return rc;
}


/* Counts the rules that would share each key, and each subject. */

static void
approval_match_index_count(approval_match_t *m,
    const approval_match_entry_t *entries, size_t n)
{
    size_t                       i, j;
    uint32_t                     last;
    approval_match_condition_t  *c;

    for (i = 0; i < n; i = j) {

        for (j = i + 1; j < n; j++) {
            if (approval_match_key_cmp(&entries[i], &entries[j]) != 0) {
                break;
            }
        }

        last = (uint32_t) (j - i);

        for ( /* void */ ; i < j; i++) {
            c = &m->conditions[entries[i].condition];

            if (c->crowd == 0) {
                m->subjects[c->subject].popularity++;
            }

            if (c->crowd < last) {
                c->crowd = last;
            }
        }
    }
}


static void
approval_match_index_choose(approval_match_t *m, approval_match_rule_t *r)
{
    size_t                             i;
    const approval_match_condition_t  *c, *best;

    best = NULL;

    for (i = r->first; i < r->first + r->n; i++) {
        c = &m->conditions[i];

        if (c->crowd == 0) {
            continue;
        }

        if (best == NULL || approval_match_index_better(m, c, best)) {
            best = c;
            r->primary = (int) i;
        }
    }
}


static int
approval_match_index_better(const approval_match_t *m,
    const approval_match_condition_t *a, const approval_match_condition_t *b)
{
    size_t                           x, y;
    const approval_match_subject_t  *s, *t;

    x = approval_match_index_crowd(a->crowd);
    y = approval_match_index_crowd(b->crowd);

    if (x != y) {
        return x < y;
    }

    /* one byte, mostly "/", does not distinguish rules */

    x = approval_match_index_weakest(a);
    y = approval_match_index_weakest(b);

    if ((x < 2) != (y < 2)) {
        return x > y;
    }

    s = &m->subjects[a->subject];
    t = &m->subjects[b->subject];

    if (s->kind != t->kind) {
        return s->kind == APPROVAL_SUBJECT_URI;
    }

    if (s->popularity != t->popularity) {
        return s->popularity > t->popularity;
    }

    return x > y;
}


static unsigned
approval_match_index_crowd(uint32_t crowd)
{
    unsigned  n;

    for (n = 0; crowd > APPROVAL_MATCH_CROWD; n++) {
        crowd >>= 1;
    }

    return n;
}


/* The length of a condition's worst key; exact keys are never bad. */

static size_t
approval_match_index_weakest(const approval_match_condition_t *c)
{
    size_t  i, len, weakest;

    weakest = SIZE_MAX;

    for (i = 0; i < c->npatterns; i++) {
        len = c->patterns[i].key.len;

        if (c->patterns[i].key_exact) {
            len += 1024;
        }

        if (len < weakest) {
            weakest = len;
        }
    }

    return weakest;
}


static int
approval_match_index_trees(approval_match_t *m,
    approval_match_entry_t *entries, size_t n)
{
    size_t                     i, j, lists;
    approval_match_subject_t  *s;

    /* one list holds the rules without a key */

    lists = 1;

    m->indexed = malloc((m->nsubjects + 1)
                        * sizeof(approval_match_subject_t *));
    if (m->indexed == NULL) {
        return APPROVAL_ERROR;
    }

    for (i = 0; i < n; i = j) {
        s = &m->subjects[entries[i].subject];

        for (j = i; j < n && entries[j].subject == entries[i].subject; j++) {
            s->methods |= m->rules[entries[j].rule].methods;
        }

        if (approval_match_trie_build(&s->trie, &entries[i], j - i)
            != APPROVAL_OK)
        {
            return APPROVAL_ERROR;
        }

        s->all = approval_match_index_all(&entries[i], j - i);
        if (s->all == NULL) {
            return APPROVAL_ERROR;
        }

        lists += s->trie.depth + 1;
        m->indexed[m->nindexed++] = s;
    }

    m->indexed[m->nindexed] = NULL;

    m->cursors = malloc(lists * sizeof(uint32_t *));
    m->acursors = lists;

    return m->cursors ? APPROVAL_OK : APPROVAL_ERROR;
}


/* The rules of these entries, in order. */

static uint32_t *
approval_match_index_all(const approval_match_entry_t *entries, size_t n)
{
    size_t     i, k;
    uint32_t  *all;

    all = malloc((n + 1) * sizeof(uint32_t));
    if (all == NULL) {
        return NULL;
    }

    for (i = 0; i < n; i++) {
        all[i] = entries[i].rule;
    }

    qsort(all, n, sizeof(uint32_t), approval_match_rule_cmp);

    for (i = 0, k = 0; i < n; i++) {
        if (k == 0 || all[k - 1] != all[i]) {
            all[k++] = all[i];
        }
    }

    all[k] = APPROVAL_MATCH_END;

    return all;
}


static int
approval_match_rule_cmp(const void *one, const void *two)
{
    uint32_t  a, b;

    a = *(const uint32_t *) one;
    b = *(const uint32_t *) two;

    return (a > b) - (a < b);
}


static int
approval_match_index_always(approval_match_t *m)
{
    size_t  i, n;

    m->always = malloc((m->nrules + 1) * sizeof(uint32_t));
    if (m->always == NULL) {
        return APPROVAL_ERROR;
    }

    n = 0;

    for (i = 0; i < m->nrules; i++) {

        if (m->rules[i].primary == -1) {
            m->always[n++] = (uint32_t) i;
            m->always_methods |= m->rules[i].methods;
        }
    }

    m->always[n] = APPROVAL_MATCH_END;

    return APPROVAL_OK;
}
