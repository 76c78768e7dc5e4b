
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Which rules may hold.  The rules that the index leaves are tested in their
 * order, so that the outcome is the same as without the index.
 */


#include "core/match_internal.h"

#include <stdlib.h>
#include <string.h>


/* Keeps code that few requests need out of the way of the others. */
#define approval_match_noinline  __attribute__((noinline))


/* One execution; the methods are a bit for each reading of the method. */

typedef struct {
    approval_match_t              *m;
    const approval_match_input_t  *in;
    uint64_t                       methods;
    unsigned                       failed:1;
    unsigned                       body:1;
} approval_match_run_t;


static int approval_match_visit(approval_match_run_t *run, uint32_t rule,
    approval_match_found_pt found, void *data);
static approval_readings_t *approval_match_read(approval_match_run_t *run,
    unsigned subject);
static uint64_t approval_match_methods_of(approval_match_run_t *run);
static size_t approval_match_candidates(approval_match_run_t *run);
static size_t approval_match_look_up(approval_match_run_t *run,
    approval_match_subject_t *s, size_t n);
static size_t approval_match_look_up_text(approval_match_run_t *run,
    approval_match_subject_t *s, approval_str_t text, size_t n);
static int approval_match_room(approval_match_t *m, size_t n);
static uint32_t approval_match_next(approval_match_t *m, size_t n);
static approval_holds_e approval_match_rule_holds(approval_match_run_t *run,
    const approval_match_rule_t *r, approval_match_found_t *found);
static unsigned approval_match_sparse(approval_match_run_t *run,
    const approval_match_rule_t *r);
static approval_holds_e approval_match_condition_holds(approval_match_t *m,
    const approval_match_condition_t *c, const approval_readings_t *rs);
static approval_holds_e approval_match_reading_holds(approval_match_t *m,
    const approval_match_condition_t *c, const approval_readings_t *rs,
    size_t i);
static inline size_t approval_match_walk(const approval_match_trie_t *t,
    approval_str_t value, const uint32_t **cursors, size_t n);
static approval_match_noinline int approval_match_none_of(
    const approval_match_t *m, approval_str_t method, approval_str_t uri);
static inline int approval_match_walk_none(const approval_match_node_t *node,
    approval_str_t value);
static inline int approval_match_label(const approval_match_node_t *node,
    approval_str_t *value);
static inline uint64_t approval_match_load(const unsigned char *p);
static inline uint64_t approval_match_load_half(const unsigned char *p);
static inline uint64_t approval_match_load_few(approval_str_t value);
static inline uint64_t approval_match_method_bit(const approval_match_t *m,
    approval_str_t name);
static approval_match_noinline uint64_t approval_match_method_find(
    const approval_match_t *m, approval_str_t name);


approval_match_e
approval_match_exec(approval_match_t *m, const approval_match_input_t *in,
    approval_match_found_pt found, void *data)
{
    int                   rc;
    size_t                n;
    uint32_t              next;
    approval_match_run_t  run;

    if (!m->compiled) {
        return APPROVAL_MATCH_FAILED;
    }

    run.m = m;
    run.in = in;
    run.failed = 0;
    run.body = 0;
    run.methods = approval_match_methods_of(&run);

    n = approval_match_candidates(&run);

    while (!run.failed) {
        next = approval_match_next(m, n);

        if (next == APPROVAL_MATCH_END) {
            return APPROVAL_MATCH_DONE;
        }

        rc = approval_match_visit(&run, next, found, data);

        if (rc != APPROVAL_OK) {
            break;
        }
    }

    return run.failed ? APPROVAL_MATCH_FAILED
           : run.body ? APPROVAL_MATCH_BODY : APPROVAL_MATCH_DONE;
}


approval_match_e
approval_match_test(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_found_pt found,
    void *data)
{
    approval_match_run_t  run;

    run.m = m;
    run.in = in;
    run.failed = 0;
    run.body = 0;
    run.methods = approval_match_methods_of(&run);

    (void) approval_match_visit(&run, (uint32_t) rule, found, data);

    return run.failed ? APPROVAL_MATCH_FAILED
           : run.body ? APPROVAL_MATCH_BODY : APPROVAL_MATCH_DONE;
}


static int
approval_match_visit(approval_match_run_t *run, uint32_t rule,
    approval_match_found_pt found, void *data)
{
    approval_match_found_t  f;

    memset(&f, 0, sizeof(approval_match_found_t));

    f.rule = (int) rule;
    f.holds = approval_match_rule_holds(run, &run->m->rules[rule], &f);

    if (run->failed || f.holds == APPROVAL_HOLDS_NOT) {
        return APPROVAL_OK;
    }

    return run->body ? APPROVAL_DECLINED : found(data, &f);
}


/* All methods if no rule depends on the method. */

static uint64_t
approval_match_methods_of(approval_match_run_t *run)
{
    size_t                i;
    uint64_t              bits;
    approval_match_t     *m;
    approval_readings_t  *rs;

    m = run->m;

    if (m->method == -1) {
        return APPROVAL_MATCH_METHOD_ANY;
    }

    rs = approval_match_read(run, (unsigned) m->method);
    if (rs == NULL) {
        return 0;
    }

    bits = 0;

    for (i = 0; i < rs->n; i++) {
        bits |= (rs->elts[i].kind == APPROVAL_READING_UNKNOWN)
                ? APPROVAL_MATCH_METHOD_ANY
                : approval_match_method_bit(m, approval_reading_text(rs, i));
    }

    return bits;
}


static approval_readings_t *
approval_match_read(approval_match_run_t *run, unsigned subject)
{
    approval_readings_t  *rs;

    rs = run->in->read(run->in->data, subject);

    if (rs == NULL || rs->failed) {
        run->failed = 1;
        return NULL;
    }

    return rs;
}


static size_t
approval_match_candidates(approval_match_run_t *run)
{
    size_t                     n;
    approval_match_t          *m;
    approval_match_subject_t **s;

    m = run->m;
    n = 0;

    if (m->always_methods & run->methods) {
        m->cursors[n++] = m->always;
    }

    for (s = m->indexed; *s && !run->failed; s++) {
        if ((*s)->methods & run->methods) {
            n = approval_match_look_up(run, *s, n);
        }
    }

    return n;
}


static size_t
approval_match_look_up(approval_match_run_t *run, approval_match_subject_t *s,
    size_t n)
{
    size_t                i;
    approval_readings_t  *rs;

    rs = approval_match_read(run, s->number);
    if (rs == NULL) {
        return n;
    }

    for (i = 0; i < rs->n && !run->failed; i++) {

        if (approval_match_room(run->m, n + s->trie.depth + 1)
            != APPROVAL_OK)
        {
            run->failed = 1;
            break;
        }

        if (rs->elts[i].kind == APPROVAL_READING_UNKNOWN) {
            run->m->cursors[n++] = s->all;

        } else {
            n = approval_match_look_up_text(run, s,
                                            approval_reading_text(rs, i), n);
        }
    }

    return n;
}


static size_t
approval_match_look_up_text(approval_match_run_t *run,
    approval_match_subject_t *s, approval_str_t text, size_t n)
{
    approval_buf_t  *folded;

    if (s->kind == APPROVAL_SUBJECT_URI) {
        folded = &run->m->folded;

        approval_buf_reset(folded);
        approval_buf_add(folded, text.data, text.len);

        if (folded->failed) {
            run->failed = 1;
            return n;
        }

        text.len = approval_match_fold_uri(folded->data, text);
        text.data = folded->data;
    }

    return approval_match_walk(&s->trie, text, run->m->cursors, n);
}


/* The room for what one value can find is allocated in advance. */

static int
approval_match_room(approval_match_t *m, size_t n)
{
    const uint32_t  **cursors;

    if (n <= m->acursors) {
        return APPROVAL_OK;
    }

    cursors = realloc(m->cursors, 2 * n * sizeof(uint32_t *));
    if (cursors == NULL) {
        return APPROVAL_ERROR;
    }

    m->cursors = cursors;
    m->acursors = 2 * n;

    return APPROVAL_OK;
}


/* Merges the n sorted lists in cursors. */

static uint32_t
approval_match_next(approval_match_t *m, size_t n)
{
    size_t    i;
    uint32_t  next;

    next = APPROVAL_MATCH_END;

    for (i = 0; i < n; i++) {
        if (*m->cursors[i] < next) {
            next = *m->cursors[i];
        }
    }

    for (i = 0; i < n && next != APPROVAL_MATCH_END; i++) {
        if (*m->cursors[i] == next) {
            m->cursors[i]++;
        }
    }

    return next;
}


static approval_holds_e
approval_match_rule_holds(approval_match_run_t *run,
    const approval_match_rule_t *r, approval_match_found_t *found)
{
    size_t                       i;
    approval_match_t            *m;
    approval_holds_e             holds, one;
    approval_readings_t         *rs;
    approval_match_condition_t  *c;

    m = run->m;
    m->current = found->rule;
    holds = APPROVAL_HOLDS;

    if (run->methods & ~r->methods) {

        if (!(run->methods & r->methods)) {
            return APPROVAL_HOLDS_NOT;
        }

        holds = APPROVAL_HOLDS_MAYBE;
        found->subject = (unsigned) m->method;
    }

    for (i = 0; i < r->norder; i++) {
        c = &m->conditions[m->order[r->order + i]];

        if (m->subjects[c->subject].kind == APPROVAL_SUBJECT_MEMBER
            && !run->in->body)
        {
            run->body = 1;
            return APPROVAL_HOLDS_MAYBE;
        }

        rs = approval_match_read(run, c->subject);
        if (rs == NULL) {
            return APPROVAL_HOLDS_NOT;
        }

        m->limited = 0;
        one = approval_match_condition_holds(m, c, rs);

        if (one == APPROVAL_HOLDS_NOT) {
            return one;
        }

        if (m->limited) {
            found->limit = 1;
            found->why = m->error;
        }

        if (one == APPROVAL_HOLDS_MAYBE
            && (holds == APPROVAL_HOLDS || approval_readings_doubt(rs)))
        {
            holds = one;
            found->subject = c->subject;
        }
    }

    return run->in->sparse && approval_match_sparse(run, r)
           ? APPROVAL_HOLDS_NOT : holds;
}


/* Are all members of the body that the rule reads absent? */

static unsigned
approval_match_sparse(approval_match_run_t *run,
    const approval_match_rule_t *r)
{
    size_t                       i;
    approval_readings_t         *rs;
    approval_match_condition_t  *c;

    for (i = r->first; r->reads_body && i < r->first + r->n; i++) {
        c = &run->m->conditions[i];

        if (run->m->subjects[c->subject].kind != APPROVAL_SUBJECT_MEMBER) {
            continue;
        }

        rs = approval_match_read(run, c->subject);

        if (rs && (rs->n > 1 || rs->elts[0].kind != APPROVAL_READING_ABSENT)) {
            return 0;
        }
    }

    return r->reads_body;
}


static approval_holds_e
approval_match_condition_holds(approval_match_t *m,
    const approval_match_condition_t *c, const approval_readings_t *rs)
{
    size_t            i;
    unsigned          some, all;
    approval_holds_e  holds;

    some = 0;
    all = 1;

    for (i = 0; i < rs->n; i++) {

        if (rs->elts[i].member) {
            continue;
        }

        holds = approval_match_reading_holds(m, c, rs, i);

        some |= (holds != APPROVAL_HOLDS_NOT);

        if (rs->elts[i].spelled != APPROVAL_SPELLED) {
            all &= (holds == APPROVAL_HOLDS);
        }
    }

    return !some ? APPROVAL_HOLDS_NOT
                 : all ? APPROVAL_HOLDS : APPROVAL_HOLDS_MAYBE;
}


/*
 * A reading holds if one of its values does; only the first can have several.
 */

static approval_holds_e
approval_match_reading_holds(approval_match_t *m,
    const approval_match_condition_t *c, const approval_readings_t *rs,
    size_t i)
{
    size_t            k;
    approval_holds_e  holds, one;

    holds = approval_match_value_holds(m, c, rs, i);

    for (k = 1; i == 0 && k < rs->n && holds != APPROVAL_HOLDS; k++) {

        if (rs->elts[k].member) {
            one = approval_match_value_holds(m, c, rs, k);
            holds = one > holds ? one : holds;
        }
    }

    return holds;
}


/* The best result of the patterns; m->hit is the first that holds, or may. */

approval_holds_e
approval_match_value_holds(approval_match_t *m,
    const approval_match_condition_t *c, const approval_readings_t *rs,
    size_t i)
{
    size_t            k;
    approval_str_t    text;
    approval_holds_e  holds, one;

    if (rs->elts[i].kind == APPROVAL_READING_UNKNOWN) {
        m->hit = NULL;
        return APPROVAL_HOLDS_MAYBE;
    }

    m->hit = NULL;
    holds = APPROVAL_HOLDS_NOT;
    text = approval_reading_text(rs, i);

    for (k = 0; k < c->npatterns && holds != APPROVAL_HOLDS; k++) {
        one = approval_match_pattern_test(m, &c->patterns[k],
                                          &m->subjects[c->subject],
                                          rs->elts[i].kind, text);
        if (one > holds) {
            holds = one;
            m->hit = &c->patterns[k];
        }
    }

    return holds;
}


approval_hangs_e
approval_match_hangs(const approval_match_t *m, unsigned subject)
{
    size_t                           i;
    const approval_match_node_t     *root;
    const approval_match_subject_t  *s;

    for (i = 0; i < m->nindexed; i++) {
        s = m->indexed[i];

        if (s->number == subject) {
            root = &s->trie.nodes[1];

            return root->len == 0 && (root->prefix || root->exact)
                   ? APPROVAL_HANGS_ABSENT : APPROVAL_HANGS;
        }
    }

    return APPROVAL_HANGS_NOT;
}


int
approval_match_none(const approval_match_t *m, approval_str_t method,
    approval_str_t uri)
{
    if (m->only == NULL || uri.len == 0 || uri.data[uri.len - 1] == '/') {
        return approval_match_none_of(m, method, uri);
    }

    return approval_match_walk_none(m->only, uri);
}


static approval_match_noinline int
approval_match_none_of(const approval_match_t *m, approval_str_t method,
    approval_str_t uri)
{
    uint64_t  bit;

    bit = approval_match_method_bit(m, method);

    if (!(m->methods & bit)) {
        return 1;
    }

    return !(m->always_methods & bit)
           && (m->uris == NULL
               || approval_match_walk_none(m->uris,
                                           approval_match_trim_uri(uri)));
}


/* Like approval_match_walk(), but only up to the first list. */

static inline int
approval_match_walk_none(const approval_match_node_t *node,
    approval_str_t value)
{
    uint32_t  kid;

    while (approval_match_label(node, &value)) {

        if (node->prefix) {
            return 0;
        }

        if (value.len == 0) {
            return node->exact == NULL;
        }

        kid = *value.data - node->low;

        if (kid >= node->nkids) {
            break;
        }

        node = node->kids[kid];
    }

    return 1;
}


/*
 * Adds the lists of rules that the value can match to cursors.  Nothing behind
 * the value is read.
 */

static inline size_t
approval_match_walk(const approval_match_trie_t *t, approval_str_t value,
    const uint32_t **cursors, size_t n)
{
    uint32_t                      kid;
    const approval_match_node_t  *node, *lists;

    lists = NULL;
    node = &t->nodes[1];

    while (approval_match_label(node, &value)) {

        lists = node->lists;

        if (value.len == 0) {

            if (node->exact) {
                cursors[n++] = node->exact;
            }

            break;
        }

        kid = *value.data - node->low;

        if (kid >= node->nkids) {
            break;
        }

        node = node->kids[kid];
    }

    for ( /* void */ ; lists; lists = lists->up) {
        cursors[n++] = lists->prefix;
    }

    return n;
}


/* Does the value start with the node's label?  If so, removes it. */

static inline int
approval_match_label(const approval_match_node_t *node, approval_str_t *value)
{
    uint64_t  word;

    if (node->len > value->len) {
        return 0;
    }

    word = (value->len >= 8) ? approval_match_load(value->data)
                             : approval_match_load_few(*value);

    if ((word ^ node->word) & node->mask) {
        return 0;
    }

    value->data += node->len;
    value->len -= node->len;

    return 1;
}


/* Loads eight bytes; the first one becomes the lowest. */

static inline uint64_t
approval_match_load(const unsigned char *p)
{
    uint64_t  word;

    memcpy(&word, p, 8);

#if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
    word = __builtin_bswap64(word);
#endif

    return word;
}


/* The same for fewer than eight bytes. */

static inline uint64_t
approval_match_load_few(approval_str_t value)
{
    size_t                n;
    uint64_t              low, high;
    const unsigned char  *p;

    p = value.data;
    n = value.len;

    if (n >= 4) {

        /* two halves that overlap */

        low = approval_match_load_half(p);
        high = approval_match_load_half(p + n - 4);

        return low | high << 8 * (n - 4);
    }

    if (n == 0) {
        return 0;
    }

    return p[0] | (uint64_t) p[n / 2] << 8 * (n / 2)
           | (uint64_t) p[n - 1] << 8 * (n - 1);
}


static inline uint64_t
approval_match_load_half(const unsigned char *p)
{
    uint32_t  half;

    memcpy(&half, p, 4);

#if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
    half = __builtin_bswap32(half);
#endif

    return half;
}


static inline uint64_t
approval_match_method_bit(const approval_match_t *m, approval_str_t name)
{
    if (m->method_filter & approval_match_method_hash(name)) {
        return approval_match_method_find(m, name);
    }

    return APPROVAL_MATCH_METHOD_OTHER;
}


static approval_match_noinline uint64_t
approval_match_method_find(const approval_match_t *m, approval_str_t name)
{
    size_t  i;

    for (i = 0; i < m->nmethods; i++) {
        if (approval_str_eq(m->method_names[i], name)) {
            return (uint64_t) 1 << i;
        }
    }

    return APPROVAL_MATCH_METHOD_OTHER;
}
