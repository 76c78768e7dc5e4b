
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A strict layer over jansson: RFC 8259 without extensions, RFC 6901 pointers
 * with "*" for every element, RFC 8785 canonical output.
 */


#include "core/json_internal.h"

#include <stdlib.h>
#include <string.h>


/* A walk visits or removes the values that a pointer names. */

typedef struct {
    const approval_json_pointer_t  *pointer;
    approval_json_visit_pt          visit;
    void                           *data;
    size_t                          found;
    unsigned                        remove;
} json_walk_t;


const char  approval_json_range[] = "JSON number out of range";


static const char *json_scan(approval_str_t text);
static const char *json_error(const json_error_t *error);
static int json_segment(json_segment_t *s, const unsigned char *p,
    const unsigned char *last, const char **err);
static void json_segment_index(json_segment_t *s, size_t len);
static int json_walk(json_walk_t *w, json_t *value, size_t i);
static int json_walk_object(json_walk_t *w, json_t *object, size_t i);
static int json_walk_array(json_walk_t *w, json_t *array, size_t i);


json_t *
approval_json_parse(approval_str_t text, const char **err)
{
    *err = json_scan(text);

    return *err ? NULL : approval_json_load(text, 0, err);
}


json_t *
approval_json_load(approval_str_t text, size_t flags, const char **err)
{
    json_t        *value;
    json_error_t   error;

    value = json_loadb((const char *) text.data, text.len,
                       JSON_REJECT_DUPLICATES|JSON_DECODE_ANY|flags, &error);
    if (value == NULL) {
        *err = json_error(&error);
    }

    return value;
}


/* Finds errors that jansson ignores, reports unclearly or finds too late. */

static const char *
json_scan(approval_str_t text)
{
    unsigned              depth, string;
    const unsigned char  *p, *last;

    if (text.len == 0) {
        return "empty text is not JSON";
    }

    p = text.data;
    last = text.data + text.len;

    if (text.len >= 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf) {
        return "byte order mark before JSON";
    }

    if (!approval_utf8_valid(text)) {
        return "JSON is not valid UTF-8";
    }

    depth = 0;
    string = 0;

    for ( /* void */ ; p < last; p++) {

        if (*p == '\0') {
            return "NUL in JSON";
        }

        if (string) {
            if (*p == '\\' && last - p > 1 && p[1] != '\0') {
                p++;

            } else if (*p == '"') {
                string = 0;
            }

            continue;
        }

        switch (*p) {

        case '"':
            string = 1;
            break;

        case '[':
        case '{':
            if (++depth > APPROVAL_JSON_MAX_DEPTH) {
                return "JSON is nested deeper than 64 levels";
            }

            break;

        case ']':
        case '}':
            if (depth) {
                depth--;
            }

            break;
        }
    }

    return NULL;
}


static const char *
json_error(const json_error_t *error)
{
    switch (json_error_code(error)) {

    case json_error_out_of_memory:
        return "out of memory";

    case json_error_stack_overflow:
        return "JSON is nested deeper than 64 levels";

    case json_error_invalid_utf8:
        return "JSON is not valid UTF-8";

    case json_error_premature_end_of_input:
        return "JSON ends too early";

    case json_error_end_of_input_expected:
        return "there is text after the JSON value";

    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "NUL in JSON";

    case json_error_duplicate_key:
        return "JSON object has the same member twice";

    case json_error_numeric_overflow:
        return approval_json_range;

    default:
        if (strncmp(error->text, "invalid Unicode", 15) == 0) {
            return "lone surrogate in JSON";
        }

        return "malformed JSON";
    }
}


approval_json_pointer_t *
approval_json_pointer_compile(approval_str_t text, const char **err)
{
    size_t                    i, n;
    const unsigned char      *p, *last, *end;
    approval_json_pointer_t  *pointer;

    if (text.len && text.data[0] != '/') {
        *err = "JSON pointer must be empty or start with \"/\"";
        return NULL;
    }

    if (!approval_utf8_valid(text)) {
        *err = "JSON pointer is not valid UTF-8";
        return NULL;
    }

    for (i = 0, n = 0; i < text.len; i++) {
        if (text.data[i] == '\0') {
            *err = "NUL in JSON pointer";
            return NULL;
        }

        if (text.data[i] == '/') {
            n++;
        }
    }

    if (n > APPROVAL_JSON_MAX_DEPTH) {
        *err = "JSON pointer has more than 64 segments, but no deeper JSON is "
               "read";
        return NULL;
    }

    pointer = calloc(1, sizeof(approval_json_pointer_t)
                        + n * sizeof(json_segment_t));
    if (pointer == NULL) {
        *err = "out of memory";
        return NULL;
    }

    pointer->n = n;

    p = text.data;
    last = n ? p + text.len : p;

    for (i = 0; i < n; i++) {
        p++;

        for (end = p; end < last && *end != '/'; end++) { /* void */ }

        if (json_segment(&pointer->segments[i], p, end, err) != APPROVAL_OK) {
            approval_json_pointer_free(pointer);
            return NULL;
        }

        p = end;
    }

    return pointer;
}


static int
json_segment(json_segment_t *s, const unsigned char *p,
    const unsigned char *last, const char **err)
{
    char  *q;

    s->key = malloc((size_t) (last - p) + 1);
    if (s->key == NULL) {
        *err = "out of memory";
        return APPROVAL_ERROR;
    }

    s->any = last - p == 1 && *p == '*';

    q = s->key;

    while (p < last) {
        if (*p != '~') {
            *q++ = (char) *p++;
            continue;
        }

        if (last - p < 2 || (p[1] != '0' && p[1] != '1')) {
            *err = "\"~\" in a JSON pointer must be \"~0\" (for \"~\") or "
                   "\"~1\" (for \"/\")";
            return APPROVAL_ERROR;
        }

        *q++ = p[1] == '0' ? '~' : '/';
        p += 2;
    }

    *q = '\0';

    json_segment_index(s, (size_t) (q - s->key));

    return APPROVAL_OK;
}


static void
json_segment_index(json_segment_t *s, size_t len)
{
    size_t  i, index;

    /* leading zeros and more than nine digits cannot name an element */

    if (len == 0 || len > 9 || (len > 1 && s->key[0] == '0')) {
        return;
    }

    index = 0;

    for (i = 0; i < len; i++) {
        if (s->key[i] < '0' || s->key[i] > '9') {
            return;
        }

        index = index * 10 + (size_t) (s->key[i] - '0');
    }

    s->index = index;
    s->number = 1;
}


void
approval_json_pointer_free(approval_json_pointer_t *p)
{
    size_t  i;

    if (p == NULL) {
        return;
    }

    for (i = 0; i < p->n; i++) {
        free(p->segments[i].key);
    }

    free(p);
}


int
approval_json_pointer_each(const approval_json_pointer_t *p, json_t *root,
    approval_json_visit_pt visit, void *data)
{
    int          rc;
    json_walk_t  w;

    memset(&w, 0, sizeof(json_walk_t));

    w.pointer = p;
    w.visit = visit;
    w.data = data;

    rc = json_walk(&w, root, 0);

    if (rc != APPROVAL_OK || w.found) {
        return rc;
    }

    return APPROVAL_DECLINED;
}


size_t
approval_json_pointer_remove(const approval_json_pointer_t *p, json_t *root)
{
    json_walk_t  w;

    if (p->n == 0) {
        return 0;
    }

    memset(&w, 0, sizeof(json_walk_t));

    w.pointer = p;
    w.remove = 1;

    (void) json_walk(&w, root, 0);

    return w.found;
}


/* Walks on from value, which the first i segments name. */

static int
json_walk(json_walk_t *w, json_t *value, size_t i)
{
    if (i == w->pointer->n) {
        w->found++;
        return w->visit(w->data, value);
    }

    if (json_is_object(value)) {
        return json_walk_object(w, value, i);
    }

    if (json_is_array(value)) {
        return json_walk_array(w, value, i);
    }

    return APPROVAL_OK;
}


static int
json_walk_object(json_walk_t *w, json_t *object, size_t i)
{
    int                    rc;
    void                  *iter;
    const json_segment_t  *s;

    s = &w->pointer->segments[i];

    if (w->remove && i + 1 == w->pointer->n) {

        if (s->any) {
            w->found += json_object_size(object);
            (void) json_object_clear(object);

        } else if (json_object_del(object, s->key) == 0) {
            w->found++;
        }

        return APPROVAL_OK;
    }

    iter = s->any ? json_object_iter(object)
                  : json_object_iter_at(object, s->key);

    while (iter) {

        rc = json_walk(w, json_object_iter_value(iter), i + 1);
        if (rc != APPROVAL_OK) {
            return rc;
        }

        if (!s->any) {
            break;
        }

        iter = json_object_iter_next(object, iter);
    }

    return APPROVAL_OK;
}


static int
json_walk_array(json_walk_t *w, json_t *array, size_t i)
{
    int                    rc;
    size_t                 k, last;
    const json_segment_t  *s;

    s = &w->pointer->segments[i];

    if (s->any) {
        k = 0;
        last = json_array_size(array);

    } else if (s->number && s->index < json_array_size(array)) {
        k = s->index;
        last = k + 1;

    } else {
        return APPROVAL_OK;
    }

    for ( /* void */ ; k < last; k++) {

        if (w->remove && i + 1 == w->pointer->n) {
            (void) json_array_set_new(array, k, json_null());
            w->found++;
            continue;
        }

        rc = json_walk(w, json_array_get(array, k), i + 1);
        if (rc != APPROVAL_OK) {
            return rc;
        }
    }

    return APPROVAL_OK;
}
