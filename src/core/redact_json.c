
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * JSON with its secrets masked, at any depth and in strings that hold JSON.
 */


#include "core/redact.h"
#include "core/redact_internal.h"

#include <string.h>


#define NESTING_MAX   4                /* JSON in strings of JSON */
#define NAME_MAX_LEN  256


typedef enum {
    PAIR_NONE,
    PAIR_LABEL,                        /* pair_plain is hidden              */
    PAIR_NAME                          /* pair_values, too                  */
} pair_e;


static int redact_walk(const approval_redact_t *r, json_t *value,
    unsigned nesting, size_t *masked);
static int redact_object(const approval_redact_t *r, json_t *object,
    unsigned nesting, size_t *masked);
static int redact_array(const approval_redact_t *r, json_t *array,
    unsigned nesting, size_t *masked);
static int redact_string(const approval_redact_t *r, json_t *value,
    unsigned nesting, size_t *masked);
static pair_e redact_pair(const approval_redact_t *r, json_t *object);
static int redact_pair_key(pair_e pair, approval_str_t key);
static int redact_patch(const approval_redact_t *r, json_t *object);
static int redact_key_in(approval_str_t key, const char *const *list);
static int redact_secret(const approval_redact_t *r, const char *name);
static int redact_name_of(const approval_redact_t *r, json_t *value);
static json_t *redact_masked(void);


/* {"name": "DB_PASSWORD", "value": "..."} */

static const char *const  pair_names[] = {
    "name", "key", "field", "header", "param", "parameter", "variable", NULL
};
static const char *const  pair_values[] = {
    "value", "values", "val", "content", "data", "default", NULL
};

/* {"id": "password", "value": "..."}: what has an id has other content, too */

static const char *const  pair_labels[] = {
    "id", "k", "label", "property", "attribute", NULL
};
static const char *const  pair_plain[] = {
    "value", "values", "val", "v", NULL
};


int
approval_redact_looks_json(approval_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] != ' ' && s.data[i] != '\t' && s.data[i] != '\r'
            && s.data[i] != '\n')
        {
            return s.data[i] == '{' || s.data[i] == '[';
        }
    }

    return 0;
}


int
approval_redact_json(const approval_redact_t *r, json_t *root)
{
    size_t  i, masked;

    for (i = 0; i < r->npointers; i++) {
        (void) approval_json_pointer_mask(r->pointers[i], root,
                                          APPROVAL_REDACTED);
    }

    masked = 0;

    return redact_walk(r, root, 0, &masked);
}


int
approval_redact_value(const approval_redact_t *r, approval_str_t value,
    unsigned nesting, approval_buf_t *out, size_t *masked)
{
    int          rc;
    size_t       n;
    json_t      *json;
    const char  *err;

    json = approval_redact_looks_json(value)
           ? approval_json_parse(value, &err) : NULL;

    if (json == NULL) {
        *masked += approval_redact_text(r, value, out);
        return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    n = 0;
    rc = APPROVAL_OK;

    if (nesting == NESTING_MAX) {
        approval_buf_adds(out, APPROVAL_REDACTED);
        n = 1;

    } else {
        rc = redact_walk(r, json, nesting + 1, &n);

        if (rc == APPROVAL_OK && n) {
            rc = approval_json_canonical(json, out);

        } else if (rc == APPROVAL_OK) {
            approval_buf_add(out, value.data, value.len);
        }
    }

    json_decref(json);

    *masked += n;

    return out->failed ? APPROVAL_ERROR : rc;
}


static int
redact_walk(const approval_redact_t *r, json_t *value, unsigned nesting,
    size_t *masked)
{
    switch (json_typeof(value)) {

    case JSON_OBJECT:
        return redact_object(r, value, nesting, masked);

    case JSON_ARRAY:
        return redact_array(r, value, nesting, masked);

    case JSON_STRING:
        return redact_string(r, value, nesting, masked);

    default:
        return APPROVAL_OK;
    }
}


static int
redact_object(const approval_redact_t *r, json_t *object, unsigned nesting,
    size_t *masked)
{
    void        *iter;
    pair_e       pair;
    const char  *key;

    pair = redact_pair(r, object);

    for (iter = json_object_iter(object);
         iter;
         iter = json_object_iter_next(object, iter))
    {
        key = json_object_iter_key(iter);

        if (redact_secret(r, key)
            || redact_pair_key(pair, approval_str(key)))
        {
            (void) json_object_iter_set_new(object, iter, redact_masked());
            (*masked)++;
            continue;
        }

        if (redact_walk(r, json_object_iter_value(iter), nesting, masked)
            != APPROVAL_OK)
        {
            return APPROVAL_ERROR;
        }
    }

    return APPROVAL_OK;
}


/* The element after "--password" is masked, too, and of ["password", "..."]. */

static int
redact_array(const approval_redact_t *r, json_t *array, unsigned nesting,
    size_t *masked)
{
    size_t       i, n;
    json_t      *value;
    unsigned     option;
    const char  *text;

    n = json_array_size(array);
    option = 0;

    for (i = 0; i < n; i++) {
        value = json_array_get(array, i);

        if (option && !json_is_array(value) && !json_is_object(value)) {
            (void) json_array_set_new(array, i, redact_masked());
            (*masked)++;
            option = 0;
            continue;
        }

        text = json_string_value(value);

        if (n == 2 && i == 0) {
            option = redact_name_of(r, value);

        } else {
            option = text && text[0] == '-' && redact_name_of(r, value);
        }

        option &= text && !strchr(text, '=');

        if (redact_walk(r, value, nesting, masked) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }
    }

    return APPROVAL_OK;
}


static int
redact_string(const approval_redact_t *r, json_t *value, unsigned nesting,
    size_t *masked)
{
    int             rc;
    size_t          n;
    approval_str_t  text;
    approval_buf_t  out;

    approval_buf_init(&out);

    text.data = (const unsigned char *) json_string_value(value);
    text.len = json_string_length(value);

    n = 0;
    rc = approval_redact_value(r, text, nesting, &out, &n);

    if (rc == APPROVAL_OK && n
        && json_string_setn(value, (const char *) out.data, out.len) != 0)
    {
        rc = APPROVAL_ERROR;
    }

    approval_buf_wipe(&out);

    *masked += n;

    return rc;
}


static pair_e
redact_pair(const approval_redact_t *r, json_t *object)
{
    void            *iter;
    pair_e           pair;
    json_t          *value;
    approval_str_t   key;

    pair = redact_patch(r, object) ? PAIR_LABEL : PAIR_NONE;

    for (iter = json_object_iter(object);
         iter;
         iter = json_object_iter_next(object, iter))
    {
        key = approval_str(json_object_iter_key(iter));
        value = json_object_iter_value(iter);

        if (redact_key_in(key, pair_names) && redact_name_of(r, value)) {
            return PAIR_NAME;
        }

        if (redact_key_in(key, pair_labels) && redact_name_of(r, value)) {
            pair = PAIR_LABEL;
        }
    }

    return pair;
}


static int
redact_pair_key(pair_e pair, approval_str_t key)
{
    switch (pair) {

    case PAIR_NAME:
        return approval_redact_pair_value(key);

    case PAIR_LABEL:
        return redact_key_in(key, pair_plain);

    default:
        return 0;
    }
}


/* {"op": "replace", "path": "/spec/password", "value": "..."}, RFC 6902 */

static int
redact_patch(const approval_redact_t *r, json_t *object)
{
    const char      *path, *p;
    approval_str_t   name;

    path = json_string_value(json_object_get(object, "path"));

    if (path == NULL || !json_is_string(json_object_get(object, "op"))) {
        return 0;
    }

    while (*path) {
        path++;

        for (p = path; *p && *p != '/'; p++) { /* void */ }

        name.data = (const unsigned char *) path;
        name.len = (size_t) (p - path);

        if (approval_redact_field(r, name)) {
            return 1;
        }

        path = p;
    }

    return 0;
}


int
approval_redact_pair_name(approval_str_t key)
{
    return redact_key_in(key, pair_names);
}


int
approval_redact_pair_value(approval_str_t key)
{
    return redact_key_in(key, pair_values);
}


static int
redact_key_in(approval_str_t key, const char *const *list)
{
    for ( /* void */ ; *list; list++) {
        if (approval_str_eq_nocase(key, approval_str(*list))) {
            return 1;
        }
    }

    return 0;
}


/* Is the value itself a secret's, or a secret header's, name? */

static int
redact_name_of(const approval_redact_t *r, json_t *value)
{
    const char  *name;

    name = json_string_value(value);

    return name && json_string_length(value) < NAME_MAX_LEN
           && (redact_secret(r, name)
               || approval_redact_header(r, approval_str(name)));
}


static int
redact_secret(const approval_redact_t *r, const char *name)
{
    return approval_redact_field(r, approval_str(name));
}


/* null needs no memory: what is to be hidden is hidden without any. */

static json_t *
redact_masked(void)
{
    json_t  *value;

    value = json_string(APPROVAL_REDACTED);

    return value ? value : json_null();
}
