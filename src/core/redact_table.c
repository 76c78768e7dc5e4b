
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The compiled tables of names and shapes, and queries on them.
 */


#include "core/redact_internal.h"
#include "core/fold.h"

#include <stdlib.h>
#include <string.h>


#define MATCH_WINDOW  512              /* bytes                            */
#define MATCH_STEPS   8                /* per byte of a larger window      */
#define MATCH_CALLS   200000
#define MATCH_STACK   (512 * 1024)

#define RANDOM_MIN    16               /* bytes                            */
#define NUMBER_MIN    3                /* digits: a CVV has three          */
#define PLAIN_MAX     256              /* longer values are not plain      */


typedef struct {
    unsigned                  kind;
    const char               *list;        /* of names or prefixes           */
    const char               *regex;
} table_row_t;


/* The state of the match of a name. */

typedef struct {
    redact_says_e             says;
    size_t                    start;
    size_t                    end;         /* of the secret words            */
    size_t                    plain;
    unsigned                  tail;
    unsigned                  roles;
} name_match_t;


static int table_index(redact_index_t *t, const table_row_t *rows, size_t n,
    unsigned folded);
static int table_compile(redact_tables_t *t, unsigned kind);
static void table_possessive(approval_buf_t *out, const char *regex);
static redact_says_e name_judge(const approval_redact_t *r,
    approval_str_t name, size_t from, unsigned *roles);
static void name_at(name_match_t *m, unsigned kind, size_t i, size_t end,
    size_t len, const unsigned char *words);
static int value_number(approval_str_t value);
static int value_random(approval_str_t value);
static int value_basic(approval_str_t value);


#define NAMES(kind, list)          { NAME_##kind, list, NULL },
#define SHAPE(kind, list, regex)   { SHAPE_##kind, list, regex },

static const table_row_t  names[] = {
#include "core/secret_names.def"
};

static const table_row_t  shapes[] = {
#include "core/secret_shapes.def"
};

#define NROWS(rows)  (sizeof(rows) / sizeof(rows[0]))


redact_tables_t *
redact_tables_create(void)
{
    unsigned          kind;
    redact_tables_t  *t;

    t = calloc(1, sizeof(redact_tables_t));
    if (t == NULL) {
        return NULL;
    }

    t->uses = 1;
    t->context = pcre2_match_context_create(NULL);
    t->match = pcre2_match_data_create(32, NULL);
    t->stack = pcre2_jit_stack_create(32 * 1024, MATCH_STACK, NULL);

    /* fetching is slow in OpenSSL 3, so it is done only once, here */

    t->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    if (t->context == NULL || t->match == NULL || t->stack == NULL
        || t->hmac == NULL
        || table_index(&t->names, names, NROWS(names), 1) != APPROVAL_OK
        || table_index(&t->prefixes, shapes, NROWS(shapes), 0) != APPROVAL_OK)
    {
        goto failed;
    }

    pcre2_jit_stack_assign(t->context, NULL, t->stack);

    for (kind = 0; kind < SHAPE_KINDS; kind++) {
        if (table_compile(t, kind) != APPROVAL_OK) {
            goto failed;
        }
    }

    return t;

failed:

    redact_tables_destroy(t);

    return NULL;
}


void
redact_tables_destroy(redact_tables_t *t)
{
    unsigned  kind;

    if (t == NULL || --t->uses) {
        return;
    }

    for (kind = 0; kind < SHAPE_KINDS; kind++) {
        pcre2_code_free(t->code[kind]);
    }

    pcre2_match_data_free(t->match);
    pcre2_match_context_free(t->context);
    pcre2_jit_stack_free(t->stack);
    EVP_MAC_free(t->hmac);
    free(t);
}


/* Entries that start alike keep the table's order. */

static int
table_index(redact_index_t *t, const table_row_t *rows, size_t n,
    unsigned folded)
{
    int              len;
    size_t           i, from, to, slot;
    approval_str_t   list, word;
    unsigned char    text[REDACT_NAME_MAX];
    unsigned short  *next;

    for (i = 0; i < n; i++) {
        list = approval_str(rows[i].list);

        for (from = 0; from < list.len; from = to + 1) {
            to = approval_str_find(list, from, " ");
            word = approval_str_sub(list, from, to);

            if (folded) {
                len = approval_fold_name(word, REDACT_NAME_MAX, text, NULL);
                word.data = text;
                word.len = (size_t) len;
            }

            if (++t->n == REDACT_ENTRIES || word.len > REDACT_ENTRY_MAX) {
                return APPROVAL_ERROR;
            }

            memcpy(t->entries[t->n].text, word.data, word.len);
            t->entries[t->n].kind = (unsigned char) rows[i].kind;
            t->entries[t->n].len = (unsigned char) word.len;

            slot = redact_slot(t->entries[t->n].text[0],
                               t->entries[t->n].text[1]);

            t->third[slot] |= word.len < 3 ? 0xffffffff
                              : 1u << (t->entries[t->n].text[2] & 0x1f);

            for (next = &t->head[slot]; *next; next = &t->entries[*next].next) {
                /* void */
            }

            *next = (unsigned short) t->n;
        }
    }

    return APPROVAL_OK;
}


static int
table_compile(redact_tables_t *t, unsigned kind)
{
    int             code;
    size_t          i, at;
    uint32_t        options;
    approval_buf_t  regex;

    approval_buf_init(&regex);

    if (kind >= SHAPE_LINE && kind <= SHAPE_FOLLOWS) {
        approval_buf_adds(&regex, "([\\w.\\x80-\\xff-]++)");
    }

    approval_buf_adds(&regex, "(?|(?!)");

    for (i = 0; i < NROWS(shapes); i++) {
        if (shapes[i].kind == kind) {
            approval_buf_adds(&regex, "|(?:");
            table_possessive(&regex, shapes[i].regex);
            approval_buf_addc(&regex, ')');
        }
    }

    approval_buf_addc(&regex, ')');

    options = PCRE2_DOLLAR_ENDONLY|PCRE2_NEVER_UTF|PCRE2_NEVER_UCP;

    if (kind == SHAPE_PLAIN || kind == SHAPE_CODE) {
        options |= PCRE2_ENDANCHORED;
    }

    if (kind != SHAPE_TYPED) {
        options |= PCRE2_ANCHORED;
    }

    if (!regex.failed) {
        t->code[kind] = pcre2_compile(regex.data, regex.len, options, &code,
                                      &at, NULL);
    }

    approval_buf_free(&regex);

    if (t->code[kind] == NULL) {
        return APPROVAL_ERROR;
    }

    /* without JIT it is only slower */

    (void) pcre2_jit_compile(t->code[kind],
                             PCRE2_JIT_COMPLETE|PCRE2_JIT_PARTIAL_HARD);

    return APPROVAL_OK;
}


/*
 * Makes each repetition without a limit possessive, so that none is tried with
 * less than it took.  A lazy one, as "*?", becomes an error.
 */

static void
table_possessive(approval_buf_t *out, const char *p)
{
    size_t    n;
    unsigned  class, repeats, endless;

    for (class = 0; *p; p += n) {
        n = 1;
        repeats = 0;
        endless = 0;

        if (*p == '\\') {
            n = 2;

        } else if (class) {
            class = *p != ']';

        } else if (*p == '[') {
            class = 1;
            n += p[n] == '^';
            n += p[n] == ']';

        } else if (*p == '{' && p[1] >= '0' && p[1] <= '9') {
            n = strcspn(p, "}") + 1;
            repeats = 1;
            endless = p[n - 2] == ',';

        } else if (strchr("*+?", *p)) {
            repeats = 1;
            endless = *p != '?';
        }

        approval_buf_add(out, p, n);

        if (endless || (repeats && p[n] == '+')) {
            approval_buf_addc(out, '+');
            n += p[n] == '+';
        }
    }
}


/*
 * Most matches end within a small window.  Whatever needs a larger one takes
 * from the text's budget and runs without JIT, which does not count the steps
 * within a repetition.
 */

unsigned
redact_match(const approval_redact_t *r, unsigned kind, approval_str_t text,
    size_t from, redact_found_t *found)
{
    int               rc;
    size_t            window, cost;
    uint32_t          options;
    PCRE2_SIZE       *v;
    redact_tables_t  *t;

    t = r->tables;
    window = kind == SHAPE_TYPED ? text.len : MATCH_WINDOW;
    options = 0;

    pcre2_set_match_limit(t->context, MATCH_CALLS);

    for ( ;; ) {

        if (window >= text.len - from) {
            window = text.len - from;

        } else {
            options |= PCRE2_PARTIAL_HARD;
        }

        rc = pcre2_match(t->code[kind],
                         text.len ? text.data : (const unsigned char *) "",
                         from + window, from, options, t->match, t->context);

        if (rc != PCRE2_ERROR_PARTIAL) {
            break;
        }

        window *= 4;
        cost = window < text.len - from ? window : text.len - from;

        if (cost > t->work) {
            t->failed = 1;
            return 0;
        }

        t->work -= cost;
        options = PCRE2_NO_JIT;

        pcre2_set_match_limit(t->context, (uint32_t) window * MATCH_STEPS);
    }

    if (rc <= 0) {
        t->failed |= rc != PCRE2_ERROR_NOMATCH;
        return 0;
    }

    v = pcre2_get_ovector_pointer(t->match);

    found->end = v[1];
    found->groups = (unsigned) rc - 1;
    found->value = approval_str_sub(text, v[2 * rc - 2], v[2 * rc - 1]);

    found->named = rc > 1 && v[2] != PCRE2_UNSET;
    v += found->named ? 2 : 0;
    found->name = approval_str_sub(text, v[0], v[1]);

    return 1;
}


redact_says_e
redact_name(const approval_redact_t *r, approval_str_t name, size_t from,
    unsigned *roles)
{
    size_t          i;
    unsigned        hash, found;
    redact_seen_t  *seen;

    if (from || name.len == 0 || name.len > REDACT_SEEN_MAX) {
        return name_judge(r, name, from, roles ? roles : &found);
    }

    for (i = 0, hash = 0; i < name.len; i++) {
        hash = hash * 31 + name.data[i];
    }

    seen = &r->seen[hash % REDACT_SEEN];

    if (seen->len != name.len || memcmp(seen->name, name.data, name.len) != 0) {
        seen->says = (unsigned char) name_judge(r, name, 0, &found);
        seen->roles = (unsigned short) found;
        seen->len = (unsigned char) name.len;
        memcpy(seen->name, name.data, name.len);
    }

    if (roles) {
        *roles = seen->roles;
    }

    return seen->says;
}


static redact_says_e
name_judge(const approval_redact_t *r, approval_str_t name, size_t from,
    unsigned *roles)
{
    int                    n;
    size_t                 i, e, len;
    name_match_t           m;
    unsigned char          text[REDACT_NAME_MAX + 4];
    unsigned char          words[REDACT_NAME_MAX + 1];
    const redact_index_t  *t;

    t = &r->tables->names;

    memset(&m, 0, sizeof(name_match_t));

    if (from) {
        from = (size_t) approval_fold_name(approval_str_sub(name, 0, from),
                                           REDACT_NAME_MAX, text, NULL);
    }

    n = approval_fold_name(name, REDACT_NAME_MAX, text, words);
    len = n > 0 ? (size_t) n : 0;

    memset(text + len, 0, 4);
    words[len] = 1;

    for (i = 0; i < len; i++) {
        for (e = redact_first(t, text + i); e; e = t->entries[e].next) {
            if (redact_at(t, e, text + i, len - i)
                && i + t->entries[e].len > from)
            {
                name_at(&m, t->entries[e].kind, i, i + t->entries[e].len, len,
                        words);
            }
        }
    }

    *roles = m.roles;

    if (from == 0 && redact_listed(&r->reveals, text, len)) {
        return REDACT_REVEALED;
    }

    if (from == 0 && redact_listed(&r->fields, text, len)) {
        return REDACT_RULE;
    }

    /* a name that is too long to be read cannot be honest */

    return n < 0 ? REDACT_SECRET : m.tail ? REDACT_OPEN : m.says;
}


static void
name_at(name_match_t *m, unsigned kind, size_t i, size_t end, size_t len,
    const unsigned char *words)
{
    redact_says_e  says;

    if (kind == NAME_PLAIN) {
        m->plain = end;
        return;
    }

    if (kind >= NAME_TAIL) {
        m->roles |= end == len && words[i] ? redact_role(kind) : 0;
        m->tail |= kind == NAME_TAIL && end == len && m->says && i >= m->end
                   && (words[i] || i == m->end);
        return;
    }

    if (end <= m->plain || ((kind == NAME_WORD || kind == NAME_LIKELY)
                            && (!words[i] || !words[end])))
    {
        return;
    }

    says = kind == NAME_LIKELY ? REDACT_LIKELY
           : kind == NAME_MANY ? REDACT_MANY : REDACT_SECRET;

    /* "tokens" says more than "token"; "key" adds nothing to "secret" */

    if (says > m->says || (says == REDACT_MANY && i == m->start)) {
        m->says = says;
        m->start = i;
    }

    m->end = end > m->end ? end : m->end;
}


int
redact_listed(const approval_buf_t *list, const unsigned char *name, size_t len)
{
    size_t                i;
    const unsigned char  *p;

    for (i = 0; i < list->len; i += strlen((const char *) p) + 1) {
        p = list->data + i;

        if (strlen((const char *) p) == len && memcmp(p, name, len) == 0) {
            return 1;
        }
    }

    return 0;
}


int
approval_redact_field(const approval_redact_t *r, approval_str_t name)
{
    redact_says_e  says;

    says = redact_name(r, name, 0, NULL);

    /* an argument "key" rarely is a secret, a header "X-Functions-Key" is */

    return says != REDACT_OPEN && says != REDACT_REVEALED
           && (says != REDACT_LIKELY || name.len > sizeof("keys") - 1
               || approval_str_eq_nocase(name, approval_str("auth"))
               || approval_str_eq_nocase(name, approval_str("sid")));
}


int
redact_secret(const approval_redact_t *r, redact_says_e says,
    approval_str_t value)
{
    redact_found_t  found;

    if (says == REDACT_RULE) {
        return 1;
    }

    if (says == REDACT_OPEN || says == REDACT_REVEALED || value.len == 0) {
        return 0;
    }

    if (value_number(value)) {
        return says == REDACT_SECRET && value.len >= NUMBER_MIN;
    }

    if (value.len <= PLAIN_MAX
        && redact_match(r, SHAPE_PLAIN, value, 0, &found))
    {
        return 0;
    }

    /* instead of a list of secrets, it may be the name of one */

    if (says == REDACT_MANY && value.len < REDACT_NAME_MAX) {
        return redact_name(r, value, 0, NULL) < REDACT_SECRET;
    }

    return says != REDACT_LIKELY || value_random(value) || value_basic(value);
}


static int
value_number(approval_str_t value)
{
    size_t  i;

    for (i = 0; i < value.len; i++) {
        if (value.data[i] != '.'
            && (value.data[i] < '0' || value.data[i] > '9'))
        {
            return 0;
        }
    }

    return 1;
}


/* Long base64 or hex: letters and digits alternate more often than in words. */

static int
value_random(approval_str_t value)
{
    size_t         i, n, turns, digits;
    unsigned       kind, before;
    unsigned char  c;

    n = 0;
    turns = 0;
    digits = 0;
    before = 0;

    for (i = 0; i < value.len; i++) {
        c = value.data[i];

        if (c && strchr("+/=_-", c)) {
            continue;
        }

        kind = c >= '0' && c <= '9' ? 1 : c >= 'a' && c <= 'z' ? 2
               : c >= 'A' && c <= 'Z' ? 3 : 0;

        if (kind == 0) {
            return 0;
        }

        turns += kind != before;
        digits += kind == 1;
        before = kind;
        n++;
    }

    return n >= RANDOM_MIN && digits && digits < n && turns * 10 >= n * 3;
}


/* base64 of "user:password" */

static int
value_basic(approval_str_t value)
{
    int             basic;
    approval_buf_t  plain;

    approval_buf_init(&plain);

    basic = redact_base64(value, &plain) != 0
            && memchr(plain.data, ':', plain.len) != NULL;

    approval_buf_wipe(&plain);

    return basic;
}
