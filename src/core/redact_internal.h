
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Shared by the files of redaction.
 */


#ifndef APPROVAL_REDACT_INTERNAL_H
#define APPROVAL_REDACT_INTERNAL_H


#include "core/redact.h"

#define PCRE2_CODE_UNIT_WIDTH  8
#include <openssl/evp.h>
#include <pcre2.h>
#include <string.h>
#include <strings.h>


#define REDACT_NAME_MAX   256
#define REDACT_NESTING    3            /* an encoding in an encoding       */
#define REDACT_SLOTS      4096
#define REDACT_ENTRIES    512
#define REDACT_ENTRY_MAX  64           /* bytes                            */
#define REDACT_SEEN       256
#define REDACT_SEEN_MAX   28
#define REDACT_WORK       16           /* bytes to look at, per byte        */


/* How secret a name makes its value; see secret_names.def. */

typedef enum {
    REDACT_OPEN,
    REDACT_LIKELY,
    REDACT_MANY,
    REDACT_SECRET,
    REDACT_RULE,                       /* a rule masks it, always           */
    REDACT_REVEALED                    /* a rule shows it, always           */
} redact_says_e;


/* The kinds of secret_names.def; from NAME_TAIL on they are roles, too. */

typedef enum {
    NAME_PLAIN,
    NAME_PART,
    NAME_MANY,
    NAME_WORD,
    NAME_LIKELY,
    NAME_TAIL,
    NAME_NAMING,
    NAME_LABEL,
    NAME_VALUE,
    NAME_CONTENT,
    NAME_DATA,
    NAME_PRIVATE,
    NAME_COLUMNS
} redact_name_e;


/* The kinds of secret_shapes.def, of one regex each. */

typedef enum {
    SHAPE_TOKEN,
    SHAPE_LOOKS,
    SHAPE_PAIR,
    SHAPE_COOKIE,
    SHAPE_CRUMB,
    SHAPE_COLUMNS,
    SHAPE_CELL,
    SHAPE_FIELD,
    SHAPE_USER,
    SHAPE_LINE,
    SHAPE_ASSIGNED,
    SHAPE_LIKELY,
    SHAPE_OPTION,
    SHAPE_TAG,
    SHAPE_SEGMENT,
    SHAPE_FOLLOWS,
    SHAPE_PLAIN,
    SHAPE_CODE,
    SHAPE_BLOCK,
    SHAPE_TYPED,
    SHAPE_KINDS
} redact_shape_e;


/* Names or prefixes, found by their first two bytes. */

typedef struct {
    struct {
        unsigned char         kind;
        unsigned char         len;
        unsigned short        next;        /* that starts alike, or 0        */
        unsigned char         text[REDACT_ENTRY_MAX];
    }                         entries[REDACT_ENTRIES];

    unsigned                  n;
    unsigned short            head[REDACT_SLOTS];
    uint32_t                  third[REDACT_SLOTS];   /* bytes of an entry    */
} redact_index_t;


/* The compiled tables, of all objects that were made from one. */

typedef struct {
    unsigned                  uses;
    redact_index_t            names;
    redact_index_t            prefixes;
    pcre2_code               *code[SHAPE_KINDS];
    pcre2_match_context      *context;
    pcre2_match_data         *match;
    pcre2_jit_stack          *stack;
    EVP_MAC                  *hmac;
    size_t                    work;        /* left for the current text      */
    unsigned                  failed;      /* to scan it                     */
} redact_tables_t;


/* How a name was judged: most occur again. */

typedef struct {
    unsigned char             len;         /* 0: none                        */
    unsigned char             says;
    unsigned short            roles;
    unsigned char             name[REDACT_SEEN_MAX];
} redact_seen_t;


struct approval_redact_s {
    redact_tables_t          *tables;
    approval_json_pointer_t **pointers;
    size_t                    npointers;
    approval_buf_t            fields;      /* names, folded, with NULs       */
    approval_buf_t            reveals;
    approval_buf_t            paths;
    redact_seen_t            *seen;
    EVP_MAC_CTX              *mac;         /* of the tags                    */
    unsigned                  keyed;
};


/* What a regex found. */

typedef struct {
    approval_str_t            name;        /* the first group, or all        */
    approval_str_t            value;       /* the last one, or all           */
    size_t                    end;
    unsigned                  named;       /* the first group took part      */
    unsigned                  groups;
} redact_found_t;


/* The slot by which two bytes are looked up, ignoring case. */

#define redact_slot(a, b)                                                     \
    (((((unsigned) (a) | 0x20) << 5) ^ ((unsigned) (b) | 0x20))               \
     & (REDACT_SLOTS - 1))

/*
 * The first entry that may start at p, or 0, and whether one does, ignoring
 * case.  Four bytes must be readable there.
 */

static inline size_t
redact_first(const redact_index_t *t, const unsigned char *p)
{
    size_t  slot;

    slot = redact_slot(p[0], p[1]);

    return t->third[slot] >> (p[2] & 0x1f) & 1 ? t->head[slot] : 0;
}


static inline int
redact_at(const redact_index_t *t, size_t e, const unsigned char *p,
    size_t len)
{
    return t->entries[e].len <= len
           && strncasecmp((const char *) p, (const char *) t->entries[e].text,
                          t->entries[e].len) == 0;
}


#define redact_role(kind)  (1u << (kind))


/* redact_table.c */

redact_tables_t *redact_tables_create(void);
void redact_tables_destroy(redact_tables_t *t);

int redact_listed(const approval_buf_t *list, const unsigned char *name,
    size_t len);

/*
 * How secret a name makes its value, and the roles of its last word.  Only
 * words that reach beyond "from" count.
 */
redact_says_e redact_name(const approval_redact_t *r, approval_str_t name,
    size_t from, unsigned *roles);

/* Must a value under such a name be masked? */
int redact_secret(const approval_redact_t *r, redact_says_e says,
    approval_str_t value);

/*
 * Does the kind match at "from", or anywhere (TYPED)?  If a regex reaches its
 * limits, or all of them together look at too much of the text, "failed" is
 * set.
 */
unsigned redact_match(const approval_redact_t *r, unsigned kind,
    approval_str_t text, size_t from, redact_found_t *found);


/* redact.c */

/* Where a text is written with its secrets masked, and how many were. */

typedef struct {
    const approval_redact_t  *redact;
    approval_buf_t           *out;
    void                    (*escape)(approval_str_t s, approval_buf_t *out);
    size_t                    masks;
    unsigned                  nesting;
    unsigned                  arguments;   /* separated by tabs              */
} redact_writer_t;

void redact_mask(redact_writer_t *w, approval_str_t value);


/* redact_text.c */

typedef enum {
    REDACT_TEXT,
    REDACT_PATH,                       /* values end at "/" and ";"         */
    REDACT_CSV                         /* the first line names columns      */
} redact_how_e;

/* Any text.  If it cannot be scanned, it is masked as a whole. */
void redact_text(redact_writer_t *w, approval_str_t text, redact_how_e how);

/* 1 if the base64 decodes to text. */
int redact_base64(approval_str_t code, approval_buf_t *out);


/* redact_json.c */

/* Does the text begin like a JSON object or array? */
int redact_looks_json(approval_str_t s);

/* A named value: text, JSON in it, or a mask. */
void redact_value(redact_writer_t *w, redact_says_e says,
    approval_str_t value);

/* APPROVAL_DECLINED if it is not JSON; only a pretty body's pointers count. */
int redact_json(redact_writer_t *w, approval_str_t text, unsigned pretty,
    const char **err);


#endif /* APPROVAL_REDACT_INTERNAL_H */
