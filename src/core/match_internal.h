
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Shared by the files of core/match only.
 *
 *   match.c          building a set
 *   match_pattern.c  one pattern: its syntax, its literal key, its test
 *   match_number.c   decimal numbers, compared exactly
 *   match_index.c    the literal that each rule is indexed by
 *   match_trie.c     the tree of a subject's literals
 *   match_exec.c     which rule holds
 *   match_explain.c  why it holds
 *   match_cover.c    which rules hide others
 */


#ifndef APPROVAL_MATCH_INTERNAL_H
#define APPROVAL_MATCH_INTERNAL_H


#include "core/match.h"


#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>


#define APPROVAL_MATCH_LIMIT_CALLS  10000
#define APPROVAL_MATCH_LIMIT_DEPTH  10000
#define APPROVAL_MATCH_LIMIT_HEAP   4096            /* KiB */
#define APPROVAL_MATCH_JIT_STACK    (512 * 1024)

/* Bit 63 stands for every method that no rule names. */
#define APPROVAL_MATCH_METHODS      63
#define APPROVAL_MATCH_METHOD_OTHER ((uint64_t) 1 << 63)
#define APPROVAL_MATCH_METHOD_ANY   (~(uint64_t) 0)

/* Ends a list of rule numbers. */
#define APPROVAL_MATCH_END          0xffffffffu


/* +-0.d1d2d3... * 10^(top + 1), d1 != 0; a "." between digits is skipped. */

typedef struct {
    int                    sign;           /* 0: the number is zero */
    int64_t                top;            /* power of ten of the first digit */
    const unsigned char   *digits;
    const unsigned char   *last;
} approval_number_t;


typedef enum {
    APPROVAL_MATCH_OP_EXACT,
    APPROVAL_MATCH_OP_PREFIX,
    APPROVAL_MATCH_OP_REGEX,
    APPROVAL_MATCH_OP_LESS,
    APPROVAL_MATCH_OP_GREATER
} approval_match_op_e;


typedef struct {
    approval_str_t         name;           /* in lower case, in names' block */
    uint32_t               group;
} approval_match_name_t;


/*
 * key: each value that the pattern matches starts with it (or equals it, if
 * key_exact is set); meaningful if keyed is set.
 */

typedef struct {
    approval_match_op_e    op;
    unsigned               negated:1;
    unsigned               keyed:1;
    unsigned               key_exact:1;

    unsigned char         *written;        /* owned: as configured, and NUL */
    approval_str_t         text;           /* its operand, inside written */

    approval_str_t         key;
    unsigned char         *key_owned;      /* a regex's literal, unescaped */

    approval_number_t      number;

    pcre2_code            *regex;
    approval_match_name_t *names;
    uint32_t               nnames;
} approval_match_pattern_t;


typedef struct {
    unsigned                   subject;
    unsigned                   masked:1;   /* became the rule's methods */
    unsigned                   keyed:1;    /* all its patterns have keys */
    uint32_t                   crowd;      /* rules that share its worst key */
    approval_match_pattern_t  *patterns;
    size_t                     npatterns;
} approval_match_condition_t;


/*
 * Conditions are not evaluated in the order of writing: the indexed one comes
 * first (so that a rule that the index skips is a rule that does not hold),
 * then variables, then the body.
 */

typedef struct {
    uint64_t               methods;
    uint32_t               first;          /* its conditions */
    uint32_t               n;
    uint32_t               order;          /* in approval_match_s.order */
    uint32_t               norder;
    int                    primary;        /* the indexed condition or -1 */
    unsigned               reads_body:1;
} approval_match_rule_t;


/*
 * A radix tree.  A node's label is the part of its keys that follows its
 * parent's: at most 8 bytes, so that it is compared in one step.  kids[]
 * starts with the kid for the byte "low"; prefix and exact are NULL if there
 * is none.
 */

typedef struct approval_match_node_s  approval_match_node_t;

struct approval_match_node_s {
    uint64_t                 word;
    uint64_t                 mask;
    size_t                   len;
    uint32_t                 low;
    uint32_t                 nkids;
    approval_match_node_t  **kids;
    const uint32_t          *prefix;
    const uint32_t          *exact;
    approval_match_node_t   *lists;        /* nearest with prefix: itself */
    approval_match_node_t   *up;           /* nearest with prefix: above */
};


/* A key by which a rule may be indexed. */

typedef struct {
    approval_str_t         key;
    uint32_t               subject;
    uint32_t               rule;
    uint32_t               condition;
    unsigned               exact;
} approval_match_entry_t;


typedef struct {
    approval_match_node_t  *nodes;         /* nodes[1] is the root */
    approval_match_node_t **kids;
    uint32_t               *lists;
    size_t                  depth;         /* most lists on one way */
} approval_match_trie_t;


typedef struct {
    approval_subject_e       kind;
    unsigned                 number;
    unsigned char           *name;         /* owned */
    size_t                   len;

    uint64_t                 methods;      /* of the rules in the trie */
    uint32_t                 popularity;
    approval_match_trie_t    trie;
    uint32_t                *all;          /* its rules, for unknown values */
} approval_match_subject_t;


struct approval_match_s {
    approval_match_subject_t    *subjects;
    approval_match_rule_t       *rules;
    approval_match_condition_t  *conditions;
    size_t                       nsubjects;
    size_t                       nrules;
    size_t                       nconditions;
    size_t                       asubjects;
    size_t                       arules;
    size_t                       aconditions;

    unsigned                     compiled:1;
    unsigned                     literal:1;

    /* methods that rules name */
    int                          method;   /* subject or -1 */
    size_t                       nmethods;
    approval_str_t               method_names[APPROVAL_MATCH_METHODS];
    uint64_t                     method_filter;

    /* the index */
    uint64_t                     methods;
    uint64_t                     always_methods;
    uint32_t                    *always;
    approval_match_subject_t   **indexed;
    size_t                       nindexed;
    const approval_match_node_t *uris;     /* root of the URI's, or NULL */
    const approval_match_node_t *only;     /* the same if no method matters */
    uint32_t                    *order;

    /* scratch of an execution */
    const uint32_t             **cursors;
    size_t                       acursors;
    approval_buf_t               folded;
    int                          current;
    const approval_match_pattern_t  *hit;  /* of the last value */
    unsigned                     limited:1;  /* a regex gave up: error */
    uint32_t                     ngroups;
    unsigned                     regexes;
    pcre2_match_context         *match_context;
    pcre2_match_data            *match_data;
    pcre2_jit_stack             *jit_stack;
    char                         error[512];
};


/*
 * match_number.c: JSON's grammar; APPROVAL_DECLINED for anything else.  plain:
 * all readers of decimal text agree on it.
 */

int approval_match_number(approval_str_t s, approval_number_t *n);
int approval_match_number_cmp(const approval_number_t *a,
    const approval_number_t *b);
int approval_match_number_exact(const approval_number_t *n);
int approval_match_number_plain(approval_str_t s);
approval_number_t approval_match_number_whole(const approval_number_t *n);

/* match_pattern.c */

int approval_match_pattern_init(approval_match_pattern_t *p,
    approval_str_t written, char *errstr, size_t errlen);
void approval_match_pattern_free(approval_match_pattern_t *p);

/* Makes its key the one by which URIs are looked up. */
int approval_match_pattern_fold(approval_match_pattern_t *p);

/* Applies negation.  If a regex gives up, it may hold: sets m->limited. */
approval_holds_e approval_match_pattern_test(approval_match_t *m,
    const approval_match_pattern_t *p, const approval_match_subject_t *s,
    approval_reading_e kind, approval_str_t value);

/* match_index.c */

int approval_match_index_build(approval_match_t *m);
void approval_match_index_free(approval_match_t *m);

/* match_trie.c: of sorted entries */

int approval_match_trie_build(approval_match_trie_t *t,
    const approval_match_entry_t *entries, size_t n);
void approval_match_trie_free(approval_match_trie_t *t);

/* match_exec.c: one value of a subject's readings */

approval_holds_e approval_match_value_holds(approval_match_t *m,
    const approval_match_condition_t *c, const approval_readings_t *rs,
    size_t i);

/* match.c: a key, or a URI to look up: lower case, no trailing slashes */

size_t approval_match_fold_uri(unsigned char *dst, approval_str_t uri);

/* match.c: room for one more in an array of elements of size bytes */

int approval_match_grow(void *array, size_t n, size_t *alloc, size_t size);


/* One of 64 bits; the usual methods have one each. */

static inline uint64_t
approval_match_method_hash(approval_str_t name)
{
    if (name.len == 0) {
        return 1;
    }

    return (uint64_t) 1 << ((name.data[0] ^ (name.len << 3)) & 63);
}


/* Removes all trailing slashes: "^/a//" must be found for "/a/" too. */

static inline approval_str_t
approval_match_trim_uri(approval_str_t uri)
{
    while (uri.len && uri.data[uri.len - 1] == '/') {
        uri.len--;
    }

    return uri;
}


#endif /* APPROVAL_MATCH_INTERNAL_H */
