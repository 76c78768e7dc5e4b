
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Masks secrets in JSON, at any depth and in strings that contain JSON.
 */


#include "core/redact_internal.h"

#include <string.h>


typedef struct {
    const approval_redact_t  *redact;
    unsigned                  nesting;
    size_t                    masks;
    unsigned                  failed;
} walk_t;


/* How secret an object's other members make its members with certain roles. */

typedef struct {
    unsigned                  roles;
    redact_says_e             says;
    unsigned                  typed;       /* Kubernetes' Secret             */
    json_t                   *columns;     /* a list of names                */
} pair_t;


static json_t *walk(walk_t *w, redact_says_e says, json_t *value);
static void walk_object(walk_t *w, unsigned inside, json_t *object);
static redact_says_e walk_member(walk_t *w, unsigned inside,
    const char *key, const pair_t *pair);
static void walk_array(walk_t *w, redact_says_e says, json_t *array);
static void walk_arguments(walk_t *w, json_t *array);
static void walk_columns(walk_t *w, json_t *rows, json_t *columns);
static json_t *walk_string(walk_t *w, redact_says_e says, json_t *value);
static json_t *walk_mask(walk_t *w, json_t *value);
static json_t *walk_replace(void *data, json_t *value);
static pair_t pair_of(walk_t *w, json_t *object);
static redact_says_e name_of(const approval_redact_t *r, json_t *value);


int
approval_redact_json(const approval_redact_t *r, json_t *root)
{
    size_t  i;
    walk_t  w;

    memset(&w, 0, sizeof(walk_t));
    w.redact = r;

    for (i = 0; i < r->npointers; i++) {
        (void) approval_json_pointer_replace(r->pointers[i], root,
                                             walk_replace, &w);
    }

    /* the root itself cannot be replaced, and need not be: it has no name */

    json_decref(walk(&w, REDACT_OPEN, root));

    return w.failed ? APPROVAL_ERROR : APPROVAL_OK;
}


int
redact_looks_json(approval_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len && s.data[i] <= ' '; i++) { /* void */ }

    return i < s.len && (s.data[i] == '{' || s.data[i] == '[');
}


int
redact_value(const approval_redact_t *r, redact_says_e says,
    approval_str_t value, unsigned nesting, approval_buf_t *out, size_t *masks)
{
    walk_t       w;
    json_t      *json;
    const char  *err;

    if (says == REDACT_REVEALED) {
        approval_buf_add(out, value.data, value.len);
        return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    if (redact_secret(r, says, value)) {
        approval_redact_mask(r, value, out);
        (*masks)++;
        return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    json = redact_looks_json(value) ? approval_json_parse_wide(value, &err)
                                    : NULL;

    if (json == NULL) {
        return redact_text(r, value, REDACT_TEXT, nesting, out, masks);
    }

    memset(&w, 0, sizeof(walk_t));
    w.redact = r;
    w.nesting = nesting + 1;

    if (nesting == REDACT_NESTING) {
        approval_redact_mask(r, value, out);
        w.masks = 1;

    } else {
        json_decref(walk(&w, REDACT_OPEN, json));

        if (w.masks) {
            w.failed |= approval_json_canonical(json, out) != APPROVAL_OK;

        } else {
            approval_buf_add(out, value.data, value.len);
        }
    }

    json_decref(json);

    *masks += w.masks;

    return out->failed || w.failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/* Returns the replacement of the value, or NULL. */

static json_t *
walk(walk_t *w, redact_says_e says, json_t *value)
{
    char            text[320];         /* DBL_MAX has 309 digits */
    approval_str_t  number;

    if (says == REDACT_RULE) {
        return walk_mask(w, value);
    }

    switch (json_typeof(value)) {

    case JSON_OBJECT:
        walk_object(w, says > REDACT_LIKELY && says < REDACT_REVEALED, value);
        return NULL;

    case JSON_ARRAY:
        walk_array(w, says, value);
        return NULL;

    case JSON_STRING:
        if (!approval_json_wide(value, &number)) {
            return walk_string(w, says, value);
        }

        break;

    case JSON_INTEGER:
    case JSON_REAL:
        number.data = (unsigned char *) text;
        number.len = (size_t) snprintf(text, sizeof(text), "%.0f",
                                       json_number_value(value));
        break;

    default:
        return NULL;
    }

    return redact_secret(w->redact, says, number) ? walk_mask(w, value) : NULL;
}


/* An object is "inside" if it is itself a secret. */

static void
walk_object(walk_t *w, unsigned inside, json_t *object)
{
    void           *iter;
    json_t         *put, *value;
    pair_t          pair;
    const char     *key;
    redact_says_e   says;

    pair = pair_of(w, object);
    json_incref(pair.columns);          /* masking may free it            */

    for (iter = json_object_iter(object);
         iter;
         iter = json_object_iter_next(object, iter))
    {
        key = json_object_iter_key(iter);
        value = json_object_iter_value(iter);
        says = walk_member(w, inside, key, &pair);

        if (pair.columns && json_is_array(value) && value != pair.columns) {
            walk_columns(w, value, pair.columns);
        }

        put = walk(w, says, value);

        if (put) {
            (void) json_object_iter_set_new(object, iter, put);
        }
    }

    json_decref(pair.columns);
}


static redact_says_e
walk_member(walk_t *w, unsigned inside, const char *key, const pair_t *pair)
{
    unsigned       roles;
    redact_says_e  says;

    says = redact_name(w->redact, approval_str(key), 0, &roles);

    if (says >= REDACT_SECRET) {
        return says;
    }

    if (pair->typed && (strcmp(key, "data") == 0
                        || strcmp(key, "stringData") == 0))
    {
        return REDACT_RULE;
    }

    if (pair->roles & roles) {
        return pair->says;
    }

    /* "secret": {"name": ...} is a "secret_name" */

    return !inside || roles & redact_role(NAME_TAIL) ? says : REDACT_MANY;
}


static void
walk_array(walk_t *w, redact_says_e says, json_t *array)
{
    size_t         i, n;
    json_t        *put, *value;
    const char    *text;
    redact_says_e  next, named;

    n = json_array_size(array);
    named = REDACT_OPEN;

    for (i = 0; i < n && says == REDACT_OPEN; i++) {
        text = json_string_value(json_array_get(array, i));

        if (text && *text == '-') {
            walk_arguments(w, array);
            break;
        }
    }

    for (i = 0; i < n; i++) {
        value = json_array_get(array, i);
        text = json_string_value(value);

        /* ["--password", "..."], or exactly ["password", "..."] */

        next = text && !strchr(text, '=') && (*text == '-' || n == 2)
               ? name_of(w->redact, value) : REDACT_OPEN;

        put = walk(w, named && !json_is_array(value) ? named : says, value);
        named = next;

        if (put) {
            (void) json_array_set_new(array, i, put);
        }
    }
}


/* ["mysql", "-pSECRET"] is scanned as the corresponding command line. */

static void
walk_arguments(walk_t *w, json_t *array)
{
    size_t           i, n, end, masks;
    const char      *text;
    approval_buf_t   line, shown;
    approval_str_t   all, part;

    approval_buf_init(&line);
    approval_buf_init(&shown);

    n = json_array_size(array);
    masks = 0;

    for (i = 0; i < n; i++) {
        text = json_string_value(json_array_get(array, i));
        text = text && !strchr(text, '\t') ? text : "";

        approval_buf_adds(&line, text);
        approval_buf_addc(&line, '\t');
    }

    w->failed |= redact_text(w->redact, approval_buf_str(&line), REDACT_TEXT,
                             w->nesting, &shown, &masks)
                 != APPROVAL_OK;
    w->masks += masks;

    all = approval_buf_str(&shown);

    for (i = 0, end = 0; masks && i < n && end < all.len; i++, end++) {
        part = all;
        part.data += end;
        end = approval_str_find(all, end, "\t");
        part.len = (size_t) (all.data + end - part.data);

        if (part.len && json_is_string(json_array_get(array, i))) {
            w->failed |= json_string_setn(json_array_get(array, i),
                                          (const char *) part.data, part.len)
                         != 0;
        }
    }

    approval_buf_wipe(&line);
    approval_buf_wipe(&shown);
}


/* {"columns": ["id", {"name": "password"}], "rows": [[1, "..."]]} */

static void
walk_columns(walk_t *w, json_t *rows, json_t *columns)
{
    size_t         i;
    json_t        *column, *put, *row;
    redact_says_e  says;

    json_array_foreach(rows, i, row) {
        if (json_is_array(row)) {
            walk_columns(w, row, columns);
        }
    }

    if (json_array_size(rows) != json_array_size(columns)) {
        return;
    }

    json_array_foreach(columns, i, column) {
        row = json_array_get(rows, i);
        says = name_of(w->redact, json_is_object(column)
                                  ? json_object_get(column, "name") : column);

        put = json_is_array(row) ? NULL : walk(w, says, row);

        if (put) {
            (void) json_array_set_new(rows, i, put);
        }
    }
}


static json_t *
walk_string(walk_t *w, redact_says_e says, json_t *value)
{
    size_t          masks;
    approval_str_t  text;
    approval_buf_t  out;

    text.data = (const unsigned char *) json_string_value(value);
    text.len = json_string_length(value);

    if (says == REDACT_OPEN && !redact_looks_json(text)
        && redact_scan(w->redact, text, REDACT_TEXT, w->nesting, NULL, NULL)
           == 0)
    {
        return NULL;
    }

    approval_buf_init(&out);

    masks = 0;

    if (redact_value(w->redact, says, text, w->nesting, &out, &masks)
        != APPROVAL_OK
        || (masks && json_string_setn(value, (char *) out.data, out.len) != 0))
    {
        w->failed = 1;
    }

    approval_buf_wipe(&out);

    w->masks += masks;

    return NULL;
}


/* null needs no memory, so masking never fails. */

static json_t *
walk_mask(walk_t *w, json_t *value)
{
    json_t          *put;
    approval_buf_t   text, mask;

    approval_buf_init(&text);
    approval_buf_init(&mask);

    put = NULL;

    if (approval_json_text(value, &text) == APPROVAL_OK) {
        approval_redact_mask(w->redact, approval_buf_str(&text), &mask);

        put = mask.failed ? NULL : json_stringn((char *) mask.data, mask.len);
    }

    approval_buf_wipe(&text);
    approval_buf_free(&mask);

    w->masks++;

    return put ? put : json_null();
}


static json_t *
walk_replace(void *data, json_t *value)
{
    return walk_mask(data, value);
}


static pair_t
pair_of(walk_t *w, json_t *object)
{
    pair_t          pair;
    json_t         *value;
    unsigned        roles;
    const char     *key, *text;
    redact_says_e   says;

    memset(&pair, 0, sizeof(pair_t));

    json_object_foreach(object, key, value) {
        (void) redact_name(w->redact, approval_str(key), 0, &roles);

        if (json_is_array(value) && (roles & redact_role(NAME_COLUMNS))) {
            pair.columns = value;
        }

        text = json_string_value(value);

        if (text == NULL) {
            continue;
        }

        if (strcmp(text, "SecureString") == 0) {
            pair.roles = redact_role(NAME_VALUE);
            pair.says = REDACT_SECRET;
            break;
        }

        pair.typed |= strcmp(key, "kind") == 0 && strcmp(text, "Secret") == 0;

        roles &= redact_role(NAME_NAMING)|redact_role(NAME_LABEL);
        says = roles ? name_of(w->redact, value) : REDACT_OPEN;

        if (says > pair.says) {
            pair.says = says;
            pair.roles = redact_role(NAME_VALUE)
                         | (roles & redact_role(NAME_NAMING)
                            ? redact_role(NAME_CONTENT) : 0);
        }
    }

    return pair;
}


/* Is the value itself the name of a secret? */

static redact_says_e
name_of(const approval_redact_t *r, json_t *value)
{
    redact_says_e   says;
    approval_str_t  name;

    if (!json_is_string(value)
        || json_string_length(value) > REDACT_NAME_MAX / 2)
    {
        return REDACT_OPEN;
    }

    name = approval_str(json_string_value(value));
    says = redact_name(r, name, 0, NULL);

    return says == REDACT_REVEALED ? REDACT_OPEN : says;
}
