
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Masks secrets in JSON, at any depth and in strings that contain JSON, while
 * it is written anew.
 */


#include "core/redact_internal.h"
#include "core/escape.h"

#include <string.h>


typedef struct {
    redact_writer_t           w;
    approval_json_item_t     *list;
    unsigned                  pretty;
} walk_t;


/* How secret an object's other members make its members with certain roles. */

typedef struct {
    unsigned                  roles;
    redact_says_e             says;
    unsigned                  typed;       /* roles, by the object's type    */
    redact_says_e             type_says;
    size_t                    columns;     /* a list of names, or 0          */
} pair_t;


static void walk(walk_t *j, redact_says_e says, size_t i, unsigned depth,
    size_t columns);
static void walk_object(walk_t *j, redact_says_e says, size_t i,
    unsigned depth);
static int walk_number(walk_t *j, redact_says_e says, approval_str_t text);
static redact_says_e walk_member(walk_t *j, redact_says_e object,
    approval_str_t name, const pair_t *pair);
static void walk_array(walk_t *j, redact_says_e says, size_t i,
    unsigned depth, size_t columns);
static unsigned walk_arguments(walk_t *j, size_t array, approval_buf_t *shown);
static void walk_string(walk_t *j, redact_says_e says, approval_str_t text);
static void walk_line(walk_t *j, unsigned comma, unsigned depth);
static pair_t pair_of(walk_t *j, size_t object);
static redact_says_e name_of(walk_t *j, size_t i);


int
redact_json(redact_writer_t *w, approval_str_t text, unsigned pretty,
    const char **err)
{
    size_t                 i;
    walk_t                 j;
    approval_json_items_t  items;

    if (approval_json_items(text, &items, err) != APPROVAL_OK) {
        return APPROVAL_DECLINED;
    }

    for (i = 0; pretty && i < w->redact->npointers; i++) {
        approval_json_items_mark(&items, w->redact->pointers[i]);
    }

    j.w = *w;
    j.w.escape = approval_escape_json;
    j.list = items.list;
    j.pretty = pretty;

    walk(&j, REDACT_OPEN, 0, 0, 0);

    w->masks = j.w.masks;

    approval_json_items_free(&items);

    return APPROVAL_OK;
}


int
redact_looks_json(approval_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len && s.data[i] <= ' '; i++) { /* void */ }

    return i < s.len && (s.data[i] == '{' || s.data[i] == '[');
}


void
redact_value(redact_writer_t *w, redact_says_e says, approval_str_t value)
{
    const char             *err;
    approval_buf_t          json;
    redact_writer_t         inner;
    approval_json_items_t   items;

    if (says == REDACT_REVEALED) {
        w->escape(value, w->out);
        return;
    }

    if (redact_secret(w->redact, says, value)) {
        redact_mask(w, value);
        return;
    }

    if (!redact_looks_json(value)) {
        redact_text(w, value, REDACT_TEXT);
        return;
    }

    if (w->nesting >= REDACT_NESTING) {

        if (approval_json_items(value, &items, &err) == APPROVAL_OK) {
            approval_json_items_free(&items);
            redact_mask(w, value);

        } else {
            redact_text(w, value, REDACT_TEXT);
        }

        return;
    }

    approval_buf_init(&json);

    inner = *w;
    inner.out = &json;
    inner.masks = 0;
    inner.nesting++;

    if (redact_json(&inner, value, 0, &err) != APPROVAL_OK) {
        redact_text(w, value, REDACT_TEXT);

    } else {
        w->escape(inner.masks ? approval_buf_str(&json) : value, w->out);
        w->out->failed |= json.failed;
        w->masks += inner.masks;
    }

    approval_buf_wipe(&json);
}


/* "columns" names what is in arrays of as many elements. */

static void
walk(walk_t *j, redact_says_e says, size_t i, unsigned depth, size_t columns)
{
    approval_str_t               text;
    const approval_json_item_t  *item;

    item = &j->list[i];
    text = item->text;

    if (item->marked) {
        says = REDACT_RULE;
    }

    if (item->type == '"') {
        walk_string(j, says, text);
        return;
    }

    if (item->type == '{' && says != REDACT_RULE) {
        walk_object(j, says, i, depth + 1);
        return;
    }

    if (item->type == '[' && says != REDACT_RULE) {
        walk_array(j, says, i, depth + 1, columns);
        return;
    }

    if (says == REDACT_RULE
        || (item->type == '0' && walk_number(j, says, text)))
    {
        approval_buf_addc(j->w.out, '"');
        redact_mask(&j->w, text);
        approval_buf_addc(j->w.out, '"');

    } else {
        approval_buf_add(j->w.out, text.data, text.len);
    }
}


/* Only the integer of a number counts, and its digits if it has an exponent. */

static int
walk_number(walk_t *j, redact_says_e says, approval_str_t text)
{
    size_t  point, exponent;

    point = approval_str_find(text, 0, ".eE");
    exponent = approval_str_find(text, point, "eE");

    return redact_secret(j->w.redact, says,
                         approval_str_sub(text, 0,
                                          exponent < text.len ? exponent
                                                              : point));
}


static void
walk_object(walk_t *j, redact_says_e says, size_t i, unsigned depth)
{
    size_t                 k;
    pair_t                 pair;
    approval_json_item_t  *list;

    list = j->list;
    pair = pair_of(j, i);

    approval_buf_addc(j->w.out, '{');

    for (k = i + 1; k < list[i].next; k = list[k + 1].next) {
        walk_line(j, k > i + 1, depth);

        approval_buf_addc(j->w.out, '"');
        approval_escape_json(list[k].text, j->w.out);
        approval_buf_adds(j->w.out, j->pretty ? "\": " : "\":");

        walk(j, walk_member(j, says, list[k].text, &pair), k + 1, depth,
             k + 1 == pair.columns ? 0 : pair.columns);
    }

    if (list[i].size) {
        walk_line(j, 0, depth - 1);
    }

    approval_buf_addc(j->w.out, '}');
}


static redact_says_e
walk_member(walk_t *j, redact_says_e object, approval_str_t name,
    const pair_t *pair)
{
    unsigned       roles;
    redact_says_e  says, paired;

    says = redact_name(j->w.redact, name, 0, &roles);

    if (says >= REDACT_SECRET) {
        return says;
    }

    paired = pair->roles & roles ? pair->says : REDACT_OPEN;

    if (pair->typed & roles && pair->type_says > paired) {
        paired = pair->type_says;
    }

    if (paired) {
        return paired;
    }

    /* in a secret, but "secret": {"name": ...} is a "secret_name" */

    return object > REDACT_LIKELY && object < REDACT_REVEALED
           && !(roles & redact_role(NAME_TAIL)) ? REDACT_MANY : says;
}


static void
walk_array(walk_t *j, redact_says_e says, size_t i, unsigned depth,
    size_t columns)
{
    size_t                 k, c;
    size_t                 from;
    unsigned               masked;
    redact_says_e          named, here;
    approval_buf_t         shown;
    approval_str_t         text, part, all;
    approval_json_item_t  *list;

    approval_buf_init(&shown);

    list = j->list;
    named = REDACT_OPEN;
    from = 0;
    c = columns && list[columns].size == list[i].size ? columns + 1 : 0;

    masked = says == REDACT_OPEN && walk_arguments(j, i, &shown);
    all = approval_buf_str(&shown);

    approval_buf_addc(j->w.out, '[');

    for (k = i + 1; k < list[i].next; k = list[k].next) {
        walk_line(j, k > i + 1, depth);

        here = c && list[k].type != '[' ? name_of(j, c) : REDACT_OPEN;

        if (here == REDACT_OPEN) {
            here = named && list[k].type != '[' ? named : says;

        } else if (here < says && says != REDACT_REVEALED) {
            here = says;
        }

        c = c ? list[c].next : 0;

        /* only for now: other arrays may have this one's names as columns */

        text = list[k].text;

        if (masked) {
            part = approval_str_sub(all, from,
                                    approval_str_find(all, from, "\t"));
            from += part.len + 1;

            if (list[k].type == '"' && part.len) {
                list[k].text = part;
            }
        }

        /* ["--password", "..."], or exactly ["password", "..."] */

        named = list[k].type == '"' && !memchr(text.data, '=', text.len)
                && (list[i].size == 2 || (text.len && *text.data == '-'))
                ? name_of(j, k) : REDACT_OPEN;

        walk(j, here, k, depth, columns);

        list[k].text = text;
    }

    if (list[i].size) {
        walk_line(j, 0, depth - 1);
    }

    approval_buf_addc(j->w.out, ']');
    approval_buf_wipe(&shown);
}


/*
 * ["mysql", "-pSECRET"] is scanned as the corresponding command line.  If it
 * has a secret, its parts are shown instead of the items.
 */

static unsigned
walk_arguments(walk_t *j, size_t array, approval_buf_t *shown)
{
    size_t                  i;
    unsigned                options, masked;
    redact_writer_t         w;
    approval_buf_t          line;
    approval_str_t          text;
    approval_json_item_t   *list;

    approval_buf_init(&line);

    list = j->list;

    for (i = array + 1, options = 0; i < list[array].next; i = list[i].next) {
        text = list[i].text;

        if (list[i].type == '"' && !memchr(text.data, '\t', text.len)) {
            approval_buf_add(&line, text.data, text.len);
            options |= text.len && *text.data == '-';
        }

        approval_buf_addc(&line, '\t');
    }

    w = j->w;
    w.out = shown;
    w.escape = approval_escape_none;
    w.arguments = 1;

    if (options) {
        redact_text(&w, approval_buf_str(&line), REDACT_TEXT);
    }

    masked = w.masks > j->w.masks;

    j->w.masks = w.masks;
    j->w.out->failed |= line.failed | shown->failed;

    approval_buf_wipe(&line);

    return masked;
}


static void
walk_string(walk_t *j, redact_says_e says, approval_str_t text)
{
    approval_buf_addc(j->w.out, '"');

    if (says == REDACT_RULE) {
        redact_mask(&j->w, text);

    } else {
        redact_value(&j->w, says, text);
    }

    approval_buf_addc(j->w.out, '"');
}


static void
walk_line(walk_t *j, unsigned comma, unsigned depth)
{
    if (comma) {
        approval_buf_addc(j->w.out, ',');
    }

    if (j->pretty) {
        approval_buf_addc(j->w.out, '\n');

        while (depth--) {
            approval_buf_adds(j->w.out, "  ");
        }
    }
}


static pair_t
pair_of(walk_t *j, size_t object)
{
    size_t                       i;
    pair_t                       pair;
    unsigned                     roles, typed;
    redact_says_e                says;
    const approval_json_item_t  *name, *value;

    memset(&pair, 0, sizeof(pair_t));

    for (i = object + 1; i < j->list[object].next; i = value->next) {
        name = &j->list[i];
        value = name + 1;

        if (value->type != '"' && value->type != '[') {
            continue;
        }

        (void) redact_name(j->w.redact, name->text, 0, &roles);

        if (value->type == '[') {
            pair.columns = roles & redact_role(NAME_COLUMNS) ? i + 1
                                                             : pair.columns;
            continue;
        }

        typed = approval_str_eq(name->text, approval_str("kty"))
                ? NAME_PRIVATE
                : approval_str_eq(value->text, approval_str("SecureString"))
                ? NAME_VALUE
                : approval_str_eq(name->text, approval_str("kind"))
                  && approval_str_eq(value->text, approval_str("Secret"))
                ? NAME_DATA : 0;

        if (typed) {
            says = typed == NAME_DATA ? REDACT_RULE : REDACT_SECRET;

            pair.typed |= redact_role(typed);
            pair.type_says = says > pair.type_says ? says : pair.type_says;
            continue;
        }

        roles &= redact_role(NAME_NAMING)|redact_role(NAME_LABEL);
        says = roles ? name_of(j, i + 1) : REDACT_OPEN;

        if (says > pair.says) {
            pair.says = says;
            pair.roles = redact_role(NAME_VALUE)
                         | (roles & redact_role(NAME_NAMING)
                            ? redact_role(NAME_CONTENT) : 0);
        }
    }

    return pair;
}


/* Is it the name of a secret, or {"name": ...} with one? */

static redact_says_e
name_of(walk_t *j, size_t i)
{
    size_t         k;
    redact_says_e  says;

    for (k = i + 1; j->list[i].type == '{' && k < j->list[i].next;
         k = j->list[k + 1].next)
    {
        if (approval_str_eq(j->list[k].text, approval_str("name"))) {
            i = k + 1;
        }
    }

    if (j->list[i].type != '"' || j->list[i].text.len > REDACT_NAME_MAX / 2) {
        return REDACT_OPEN;
    }

    says = redact_name(j->w.redact, j->list[i].text, 0, NULL);

    return says == REDACT_REVEALED ? REDACT_OPEN : says;
}
