
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Which rule holds.  What the index leaves is asked in the rules' order, so
 * that the outcome is that of asking all of them, one after the other.
 */


#include "core/match_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/* What few requests need is kept out of the way of the others. */
#define approval_match_noinline  __attribute__((noinline))

/* Memory that a large body leaves behind is kept up to this size. */
#define APPROVAL_MATCH_KEEP  (64 * 1024)


typedef struct {
    approval_match_subject_t  *subject;
    unsigned                   failed;
} approval_match_collect_t;


static inline size_t approval_match_walk(const approval_match_trie_t *t,
    approval_str_t value, const uint32_t **cursors, size_t n);
static approval_match_noinline int approval_match_none_of(
    const approval_match_t *m, approval_str_t method, approval_str_t uri);
static inline int approval_match_walk_none(const approval_match_node_t *node,
    approval_str_t value);
static inline uint64_t approval_match_load(const unsigned char *p);
static inline uint64_t approval_match_load_half(const unsigned char *p);
static inline uint64_t approval_match_load_tail(approval_str_t value,
    size_t i);
static approval_match_noinline approval_match_e approval_match_candidates(
    approval_match_t *m, const approval_match_input_t *in, size_t n,
    int *rule, const char **err);
static approval_match_e approval_match_rule_holds(approval_match_t *m,
    const approval_match_rule_t *r, const approval_match_input_t *in,
    const char **err);
static approval_match_e approval_match_value_holds(approval_match_t *m,
    const approval_match_condition_t *c, approval_str_t value,
    const char **err);
static approval_match_e approval_match_absent_holds(approval_match_t *m,
    const approval_match_condition_t *c);
static int approval_match_value(approval_match_t *m,
    approval_match_subject_t *s, const approval_match_input_t *in);
static inline int approval_match_ask(approval_match_t *m,
    approval_match_subject_t *s, const approval_match_input_t *in);
static inline int approval_match_method(approval_match_t *m,
    const approval_match_input_t *in, uint64_t *bit);
static inline uint64_t approval_match_method_bit(const approval_match_t *m,
    approval_str_t name);
static approval_match_noinline uint64_t approval_match_method_find(
    const approval_match_t *m, approval_str_t name);
static approval_match_e approval_match_body(approval_match_t *m,
    approval_match_subject_t *s, const approval_match_input_t *in,
    const char **err);
static approval_match_e approval_match_body_form(approval_match_subject_t *s,
    const approval_match_input_t *in, const char **err);
static approval_match_e approval_match_body_json(approval_match_subject_t *s,
    const approval_match_input_t *in, const char **err);
static int approval_match_collect(void *data, json_t *value);


static const approval_str_t  approval_match_empty = approval_string("");

static const char  approval_match_no_memory[] = "out of memory";
static const char  approval_match_no_value[] =
                                           "a variable could not be evaluated";


approval_match_e
approval_match_exec(approval_match_t *m, const approval_match_input_t *in,
    int *rule, const char **err)
{
    size_t                     n;
    uint64_t                   bit;
    approval_match_subject_t  *s, **p;

    if (!m->compiled) {
        *err = "the rules are not compiled";
        return APPROVAL_MATCH_FAILED;
    }

    m->generation++;

    /* asked now only if there are methods that no rule concerns */

    bit = APPROVAL_MATCH_METHOD_ANY;

    if (m->methods != APPROVAL_MATCH_METHOD_ANY
        && approval_match_method(m, in, &bit) != APPROVAL_OK)
    {
        goto failed;
    }

    n = 0;

    if (m->always_methods & bit) {
        m->cursors[n++] = m->always;
    }

    for (p = m->indexed; *p; p++) {
        s = *p;

        if (!(s->methods & bit)) {
            continue;
        }

        if (approval_match_ask(m, s, in) != APPROVAL_OK) {
            goto failed;
        }

        n = approval_match_walk(&s->trie, s->value, m->cursors, n);
    }

    if (n == 0) {
        return APPROVAL_MATCH_NONE;
    }

    return approval_match_candidates(m, in, n, rule, err);

failed:

    *err = approval_match_no_value;

    return APPROVAL_MATCH_FAILED;
}


int
approval_match_by_uri(const approval_match_t *m)
{
    return m->compiled && m->always_methods == 0 && m->nindexed == 1
           && m->indexed[0]->kind == APPROVAL_SUBJECT_URI;
}


int
approval_match_none(const approval_match_t *m, approval_str_t method,
    approval_str_t uri)
{
    if (m->methods != APPROVAL_MATCH_METHOD_ANY) {
        return approval_match_none_of(m, method, uri);
    }

    return approval_match_walk_none(m->uris, uri);
}


static approval_match_noinline int
approval_match_none_of(const approval_match_t *m, approval_str_t method,
    approval_str_t uri)
{
    return !(m->methods & approval_match_method_bit(m, method))
           || approval_match_walk_none(m->uris, uri);
}


/* The same walk as below, up to the first list. */

static inline int
approval_match_walk_none(const approval_match_node_t *node,
    approval_str_t value)
{
    size_t    i, end;
    uint32_t  kid;
    uint64_t  word;

    i = 0;

    for ( ;; ) {
        end = i + node->len;

        if (end > value.len) {
            return 1;
        }

        if (i + 8 <= value.len) {
            word = approval_match_load(value.data + i);

        } else {
            word = approval_match_load_tail(value, i);
        }

        if ((word ^ node->word) & node->mask) {
            return 1;
        }

        if (node->prefix) {
            return 0;
        }

        if (end == value.len) {
            return node->exact == NULL;
        }

        i = end;
        kid = value.data[i] - node->low;

        if (kid >= node->nkids) {
            return 1;
        }

        node = node->kids[kid];
    }
}


approval_match_e
approval_match_test(approval_match_t *m, int rule,
    const approval_match_input_t *in, const char **err)
{
    if (approval_match_start(m, rule) != APPROVAL_OK) {
        *err = "no such rule";
        return APPROVAL_MATCH_FAILED;
    }

    return approval_match_rule_holds(m, &m->rules[rule], in, err);
}


int
approval_match_start(approval_match_t *m, int rule)
{
    if (!m->compiled || rule < 0 || (size_t) rule >= m->nrules) {
        return APPROVAL_ERROR;
    }

    m->generation++;
    m->current = rule;

    return APPROVAL_OK;
}


/*
 * The lists of rules that a value can concern are added to cursors.  Nothing
 * behind the value is read.
 */

static inline size_t
approval_match_walk(const approval_match_trie_t *t, approval_str_t value,
    const uint32_t **cursors, size_t n)
{
    size_t                        i, end;
    uint32_t                      kid;
    uint64_t                      word;
    const approval_match_node_t  *node, *lists;

    i = 0;
    lists = NULL;
    node = &t->nodes[1];

    for ( ;; ) {
        end = i + node->len;

        if (end > value.len) {
            break;
        }

        if (i + 8 <= value.len) {
            word = approval_match_load(value.data + i);

        } else {
            word = approval_match_load_tail(value, i);
        }

        if ((word ^ node->word) & node->mask) {
            break;
        }

        i = end;
        lists = node->lists;

        if (i == value.len) {

            if (node->exact) {
                cursors[n++] = node->exact;
            }

            break;
        }

        kid = value.data[i] - node->low;

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


/* Eight bytes, the first one lowest. */

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


static inline uint64_t
approval_match_load_tail(approval_str_t value, size_t i)
{
    size_t                n;
    uint64_t              low, high;
    const unsigned char  *p;

    if (value.len >= 8) {
        return approval_match_load(value.data + value.len - 8)
               >> 8 * (i + 8 - value.len);
    }

    p = value.data + i;
    n = value.len - i;

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


/* Merges the n sorted lists in cursors. */

static approval_match_noinline approval_match_e
approval_match_candidates(approval_match_t *m,
    const approval_match_input_t *in, size_t n, int *rule, const char **err)
{
    size_t            i;
    uint32_t          next;
    approval_match_e  rc;

    for ( ;; ) {
        next = APPROVAL_MATCH_END;

        for (i = 0; i < n; i++) {
            if (*m->cursors[i] < next) {
                next = *m->cursors[i];
            }
        }

        if (next == APPROVAL_MATCH_END) {
            return APPROVAL_MATCH_NONE;
        }

        for (i = 0; i < n; i++) {
            if (*m->cursors[i] == next) {
                m->cursors[i]++;
            }
        }

        rc = approval_match_rule_holds(m, &m->rules[next], in, err);

        if (rc != APPROVAL_MATCH_NONE) {
            *rule = (int) next;
            return rc;
        }
    }
}


static approval_match_e
approval_match_rule_holds(approval_match_t *m, const approval_match_rule_t *r,
    const approval_match_input_t *in, const char **err)
{
    size_t            i;
    uint64_t          bit;
    approval_match_e  rc;

    m->current = (int) (r - m->rules);

    if (r->methods != APPROVAL_MATCH_METHOD_ANY) {

        if (approval_match_method(m, in, &bit) != APPROVAL_OK) {
            *err = approval_match_no_value;
            return APPROVAL_MATCH_FAILED;
        }

        if (!(r->methods & bit)) {
            return APPROVAL_MATCH_NONE;
        }
    }

    for (i = 0; i < r->norder; i++) {
        rc = approval_match_condition_holds(m,
                                     &m->conditions[m->order[r->order + i]],
                                            in, err);

        if (rc != APPROVAL_MATCH_RULE) {
            return rc;
        }
    }

    return APPROVAL_MATCH_RULE;
}


approval_match_e
approval_match_condition_holds(approval_match_t *m,
    const approval_match_condition_t *c, const approval_match_input_t *in,
    const char **err)
{
    size_t                     i;
    approval_match_e           rc;
    approval_match_subject_t  *s;

    s = &m->subjects[c->subject];

    if (s->kind != APPROVAL_SUBJECT_JSON && s->kind != APPROVAL_SUBJECT_FORM) {

        if (approval_match_value(m, s, in) != APPROVAL_OK) {
            *err = approval_match_no_value;
            return APPROVAL_MATCH_FAILED;
        }

        return approval_match_value_holds(m, c, s->value, err);
    }

    rc = approval_match_body(m, s, in, err);

    if (rc != APPROVAL_MATCH_RULE) {
        return rc;
    }

    if (s->ntexts == 0) {
        return approval_match_absent_holds(m, c);
    }

    for (i = 0; i < s->ntexts; i++) {
        rc = approval_match_value_holds(m, c, s->texts[i].text, err);

        if (rc != APPROVAL_MATCH_NONE) {
            return rc;
        }
    }

    return APPROVAL_MATCH_NONE;
}


static approval_match_e
approval_match_value_holds(approval_match_t *m,
    const approval_match_condition_t *c, approval_str_t value,
    const char **err)
{
    size_t            i;
    approval_match_e  rc;

    for (i = 0; i < c->npatterns; i++) {
        rc = approval_match_pattern_test(m, &c->patterns[i], value);

        switch (rc) {

        case APPROVAL_MATCH_NONE:
            continue;

        case APPROVAL_MATCH_RULE:
            m->hit = &c->patterns[i];
            m->hit_value = value.len ? value : approval_match_empty;
            return rc;

        case APPROVAL_MATCH_UNREADABLE:
            snprintf(m->error, sizeof(m->error), "number out of range: "
                     "\"%.256s\" is beyond +-2^53",
                     (char *) m->subjects[c->subject].name);
            break;

        default:
            break;
        }

        *err = m->error;
        return rc;
    }

    return APPROVAL_MATCH_NONE;
}


/* What is not there is like nothing, and unlike everything. */

static approval_match_e
approval_match_absent_holds(approval_match_t *m,
    const approval_match_condition_t *c)
{
    size_t  i;

    for (i = 0; i < c->npatterns; i++) {

        if (c->patterns[i].negated) {
            m->hit = &c->patterns[i];
            m->hit_value = approval_match_empty;
            return APPROVAL_MATCH_RULE;
        }
    }

    return APPROVAL_MATCH_NONE;
}


static int
approval_match_value(approval_match_t *m, approval_match_subject_t *s,
    const approval_match_input_t *in)
{
    if (s->generation == m->generation) {
        return APPROVAL_OK;
    }

    return approval_match_ask(m, s, in);
}


static inline int
approval_match_ask(approval_match_t *m, approval_match_subject_t *s,
    const approval_match_input_t *in)
{
    if (in->value(in->data, s->number, &s->value) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    s->generation = m->generation;

    return APPROVAL_OK;
}


static inline int
approval_match_method(approval_match_t *m, const approval_match_input_t *in,
    uint64_t *bit)
{
    approval_match_subject_t  *s;

    if (m->method_generation != m->generation) {
        s = &m->subjects[m->method];

        if (approval_match_value(m, s, in) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }

        m->method_bit = approval_match_method_bit(m, s->value);
        m->method_generation = m->generation;
    }

    *bit = m->method_bit;

    return APPROVAL_OK;
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


static approval_match_e
approval_match_body(approval_match_t *m, approval_match_subject_t *s,
    const approval_match_input_t *in, const char **err)
{
    approval_match_e  rc;

    if (!in->body_read) {
        return APPROVAL_MATCH_BODY;
    }

    if (s->generation == m->generation) {
        return APPROVAL_MATCH_RULE;
    }

    s->ntexts = 0;

    if (s->buf.size > APPROVAL_MATCH_KEEP || s->buf.failed) {
        approval_buf_free(&s->buf);
        approval_buf_init(&s->buf);

    } else {
        approval_buf_reset(&s->buf);
    }

    if (s->kind == APPROVAL_SUBJECT_FORM) {
        rc = approval_match_body_form(s, in, err);

    } else {
        rc = approval_match_body_json(s, in, err);
    }

    if (rc == APPROVAL_MATCH_RULE) {
        s->generation = m->generation;
    }

    return rc;
}


static approval_match_e
approval_match_body_form(approval_match_subject_t *s,
    const approval_match_input_t *in, const char **err)
{
    int             rc;
    approval_str_t  name;

    if (approval_match_grow(&s->texts, 0, &s->atexts,
                            sizeof(approval_match_text_t))
        != APPROVAL_OK)
    {
        *err = approval_match_no_memory;
        return APPROVAL_MATCH_FAILED;
    }

    name.data = s->name + s->skip;
    name.len = s->len - s->skip;

    rc = approval_form_get(in->form, name, &s->buf, err);

    if (rc == APPROVAL_DECLINED) {
        return APPROVAL_MATCH_RULE;
    }

    if (s->buf.failed) {
        *err = approval_match_no_memory;
        return APPROVAL_MATCH_FAILED;
    }

    if (rc != APPROVAL_OK) {
        return APPROVAL_MATCH_UNREADABLE;
    }

    s->texts[0].text = approval_buf_str(&s->buf);
    s->ntexts = 1;

    return APPROVAL_MATCH_RULE;
}


static approval_match_e
approval_match_body_json(approval_match_subject_t *s,
    const approval_match_input_t *in, const char **err)
{
    int                       rc;
    size_t                    i;
    approval_match_collect_t  c;

    if (in->json == NULL && in->json_error) {
        *err = in->json_error;
        return APPROVAL_MATCH_UNREADABLE;
    }

    if (in->json == NULL) {
        return APPROVAL_MATCH_RULE;
    }

    if (approval_json_pointer_respelled(s->pointer, in->json)) {
        *err = "JSON has a member whose name differs from the rule's in case "
               "only";
        return APPROVAL_MATCH_UNREADABLE;
    }

    if (s->atexts > APPROVAL_MATCH_KEEP / sizeof(approval_match_text_t)) {
        free(s->texts);
        s->texts = NULL;
        s->atexts = 0;
    }

    c.subject = s;
    c.failed = 0;

    rc = approval_json_pointer_each(s->pointer, in->json,
                                    approval_match_collect, &c);

    if ((rc != APPROVAL_OK && rc != APPROVAL_DECLINED)
        || c.failed || s->buf.failed)
    {
        *err = approval_match_no_memory;
        return APPROVAL_MATCH_FAILED;
    }

    /* the buffer moved while it grew */

    for (i = 0; i < s->ntexts; i++) {
        if (s->texts[i].text.data == NULL) {
            s->texts[i].text.data = s->buf.data + s->texts[i].offset;
        }
    }

    return APPROVAL_MATCH_RULE;
}


/* Strings stay where they are; other values are written to the buffer. */

static int
approval_match_collect(void *data, json_t *value)
{
    approval_match_collect_t *c = data;

    approval_match_text_t     *t;
    approval_match_subject_t  *s;

    s = c->subject;

    if (approval_match_grow(&s->texts, s->ntexts, &s->atexts,
                            sizeof(approval_match_text_t))
        != APPROVAL_OK)
    {
        c->failed = 1;
        return APPROVAL_ERROR;
    }

    t = &s->texts[s->ntexts];

    if (json_is_string(value)) {
        t->text.data = (const unsigned char *) json_string_value(value);
        t->text.len = json_string_length(value);

    } else {
        t->text.data = NULL;
        t->offset = s->buf.len;

        if (approval_json_text(value, &s->buf) != APPROVAL_OK) {
            c->failed = 1;
            return APPROVAL_ERROR;
        }

        t->text.len = s->buf.len - t->offset;
    }

    s->ntexts++;

    return APPROVAL_OK;
}
