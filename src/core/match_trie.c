
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The radix tree of one subject, built once from sorted keys.  match_exec.c
 * walks it with each request's value, eight bytes per step.
 */


#include "core/match_internal.h"

#include <stdlib.h>
#include <string.h>


/* A node while its tree is built, when its arrays may still move. */

typedef struct {
    size_t    first;                       /* its keys, those of kids too */
    size_t    last;
    size_t    depth;                       /* bytes that they share */
    size_t    lists;                       /* on the way to it */
    size_t    parent;
    uint32_t  kids;
    uint32_t  prefix;
    uint32_t  exact;
} approval_match_span_t;


typedef struct {
    const approval_match_entry_t  *entries;
    approval_match_trie_t         *trie;
    approval_match_span_t         *spans;
    uint32_t                      *kids;
    size_t                         nnodes;
    size_t                         nkids;
    size_t                         nlists;
    size_t                         anodes;
    size_t                         aspans;
    size_t                         akids;
    size_t                         alists;
} approval_match_work_t;


static int approval_match_trie_grow(approval_match_work_t *w);
static int approval_match_trie_push(approval_match_work_t *w,
    const approval_match_span_t *span);
static int approval_match_trie_node(approval_match_work_t *w, size_t i);
static int approval_match_trie_list(approval_match_work_t *w, size_t first,
    size_t last, uint32_t *offset);
static int approval_match_trie_kids(approval_match_work_t *w, size_t i);
static size_t approval_match_trie_common(const approval_match_entry_t *a,
    const approval_match_entry_t *b, size_t depth);
static int approval_match_trie_add(approval_match_work_t *w, uint32_t rule);
static int approval_match_trie_finish(approval_match_work_t *w);


int
approval_match_trie_build(approval_match_trie_t *t,
    const approval_match_entry_t *entries, size_t n)
{
    int                    rc;
    approval_match_span_t  all;
    approval_match_work_t  w;

    memset(&all, 0, sizeof(approval_match_span_t));
    memset(&w, 0, sizeof(approval_match_work_t));

    w.trie = t;
    w.entries = entries;
    all.last = n;

    /*
     * node 0 is the target of bytes without a kid: its label is longer than
     * any value
     */

    rc = approval_match_trie_push(&w, &all);

    if (rc == APPROVAL_OK) {
        t->nodes[0].len = SIZE_MAX / 2;
        rc = approval_match_trie_push(&w, &all);
    }

    /* a list's offset 0 means that there is none */

    if (rc == APPROVAL_OK) {
        rc = approval_match_trie_add(&w, APPROVAL_MATCH_END);
    }

    if (rc == APPROVAL_OK) {
        rc = approval_match_trie_grow(&w);
    }

    if (rc == APPROVAL_OK) {
        rc = approval_match_trie_finish(&w);
    }

    free(w.spans);
    free(w.kids);

    return rc;
}


void
approval_match_trie_free(approval_match_trie_t *t)
{
    free(t->nodes);
    free(t->kids);
    free(t->lists);
}


/* Breadth first: the nodes are the queue of the remaining work. */

static int
approval_match_trie_grow(approval_match_work_t *w)
{
    size_t  i;

    for (i = 1; i < w->nnodes; i++) {
        if (approval_match_trie_node(w, i) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }
    }

    return APPROVAL_OK;
}


/* Adds the node of the keys in span, which are alike up to its depth. */

static int
approval_match_trie_push(approval_match_work_t *w,
    const approval_match_span_t *span)
{
    size_t                         i;
    approval_match_node_t         *node;
    const approval_match_entry_t  *first, *last;

    if (w->nnodes >= UINT32_MAX
        || approval_match_grow(&w->trie->nodes, w->nnodes, &w->anodes,
                               sizeof(approval_match_node_t))
           != APPROVAL_OK
        || approval_match_grow(&w->spans, w->nnodes, &w->aspans,
                               sizeof(approval_match_span_t))
           != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    first = &w->entries[span->first];
    last = &w->entries[span->last - 1];

    node = &w->trie->nodes[w->nnodes];
    memset(node, 0, sizeof(approval_match_node_t));

    node->len = approval_match_trie_common(first, last, span->depth);

    for (i = node->len; i; i--) {
        node->word = node->word << 8 | first->key.data[span->depth + i - 1];
        node->mask = node->mask << 8 | 0xff;
    }

    w->spans[w->nnodes] = *span;
    w->spans[w->nnodes].depth += node->len;

    w->nnodes++;

    return APPROVAL_OK;
}


static int
approval_match_trie_node(approval_match_work_t *w, size_t i)
{
    size_t                         first, middle, last;
    approval_match_span_t         *span;
    const approval_match_entry_t  *entries;

    span = &w->spans[i];
    entries = w->entries;

    /* keys that end here sort first, and of those the prefixes */

    first = span->first;

    for (middle = first; middle < span->last; middle++) {
        if (entries[middle].key.len > span->depth || entries[middle].exact) {
            break;
        }
    }

    for (last = middle; last < span->last; last++) {
        if (entries[last].key.len > span->depth) {
            break;
        }
    }

    if (approval_match_trie_list(w, first, middle, &span->prefix)
        != APPROVAL_OK
        || approval_match_trie_list(w, middle, last, &span->exact)
           != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    if (middle > first) {
        span->lists++;
    }

    if (span->lists + (last > middle) > w->trie->depth) {
        w->trie->depth = span->lists + (last > middle);
    }

    span->first = last;

    return approval_match_trie_kids(w, i);
}


static int
approval_match_trie_list(approval_match_work_t *w, size_t first, size_t last,
    uint32_t *offset)
{
    size_t                         i;
    const approval_match_entry_t  *entries;

    if (first == last) {
        *offset = 0;
        return APPROVAL_OK;
    }

    entries = w->entries;
    *offset = (uint32_t) w->nlists;

    for (i = first; i < last; i++) {

        if (i > first && entries[i].rule == entries[i - 1].rule) {
            continue;
        }

        if (approval_match_trie_add(w, entries[i].rule) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }
    }

    return approval_match_trie_add(w, APPROVAL_MATCH_END);
}


/* Adds the kids of node i, by the next byte. */

static int
approval_match_trie_kids(approval_match_work_t *w, size_t i)
{
    size_t                         j, n, base;
    unsigned char                  c, low;
    approval_match_span_t          kid, span;
    const approval_match_entry_t  *entries;

    entries = w->entries;
    span = w->spans[i];

    if (span.first == span.last) {
        return APPROVAL_OK;
    }

    low = entries[span.first].key.data[span.depth];
    n = entries[span.last - 1].key.data[span.depth] - low + 1;
    base = w->nkids;

    for (j = 0; j < n; j++) {
        if (w->nkids >= UINT32_MAX
            || approval_match_grow(&w->kids, w->nkids, &w->akids,
                                   sizeof(uint32_t))
               != APPROVAL_OK)
        {
            return APPROVAL_ERROR;
        }

        w->kids[w->nkids++] = 0;
    }

    w->spans[i].kids = (uint32_t) base;
    w->trie->nodes[i].low = low;
    w->trie->nodes[i].nkids = (uint32_t) n;

    kid = span;
    kid.parent = i;
    kid.prefix = 0;
    kid.exact = 0;

    while (kid.first < span.last) {
        c = entries[kid.first].key.data[span.depth];

        for (kid.last = kid.first; kid.last < span.last; kid.last++) {
            if (entries[kid.last].key.data[span.depth] != c) {
                break;
            }
        }

        w->kids[base + c - low] = (uint32_t) w->nnodes;

        if (approval_match_trie_push(w, &kid) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }

        kid.first = kid.last;
    }

    return APPROVAL_OK;
}


/* The length of a label from depth on: up to 8 bytes that all keys share. */

static size_t
approval_match_trie_common(const approval_match_entry_t *a,
    const approval_match_entry_t *b, size_t depth)
{
    size_t  n;

    for (n = 0; n < 8; n++) {

        if (depth + n >= a->key.len || depth + n >= b->key.len
            || a->key.data[depth + n] != b->key.data[depth + n])
        {
            break;
        }
    }

    return n;
}


static int
approval_match_trie_add(approval_match_work_t *w, uint32_t rule)
{
    if (w->nlists >= UINT32_MAX
        || approval_match_grow(&w->trie->lists, w->nlists, &w->alists,
                               sizeof(uint32_t))
           != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    w->trie->lists[w->nlists++] = rule;

    return APPROVAL_OK;
}


/* The arrays no longer move: numbers become pointers. */

static int
approval_match_trie_finish(approval_match_work_t *w)
{
    size_t                        i;
    approval_match_node_t        *node;
    approval_match_trie_t        *t;
    const approval_match_span_t  *span;

    t = w->trie;

    t->kids = malloc((w->nkids + 1) * sizeof(approval_match_node_t *));
    if (t->kids == NULL) {
        return APPROVAL_ERROR;
    }

    for (i = 0; i < w->nkids; i++) {
        t->kids[i] = &t->nodes[w->kids[i]];
    }

    for (i = 0; i < w->nnodes; i++) {
        node = &t->nodes[i];
        span = &w->spans[i];

        node->kids = t->kids + span->kids;
        node->prefix = span->prefix ? t->lists + span->prefix : NULL;
        node->exact = span->exact ? t->lists + span->exact : NULL;

        /* a parent has a lower number than its kids */

        node->up = i ? t->nodes[span->parent].lists : NULL;
        node->lists = node->prefix ? node : node->up;
    }

    return APPROVAL_OK;
}
