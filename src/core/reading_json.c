
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The readings of members of a JSON body.  In RFC 8259 names that differ in
 * case are different members; for some readers (Go's encoding/json among them)
 * they are the same.
 */


#include "core/reading.h"

#include "core/fold.h"
#include "core/json_internal.h"

#include <stdlib.h>
#include <string.h>


/* Beyond this, a double cannot represent every integer. */
#define JSON_EXACT  ((json_int_t) 1 << 53)


typedef struct {
    approval_readings_t  *rs;
    unsigned              spelling:1;    /* look for other readers' values */
    unsigned              trimming:1;    /* add the trimmed texts          */
    size_t                found;
} json_walk_t;


static void json_walk(json_walk_t *w, const approval_json_pointer_t *p,
    json_t *value, size_t i, unsigned respelled);
static void json_read(json_walk_t *w, json_t *value);
static void json_trim(json_walk_t *w, json_t *value);
static approval_reading_e json_kind(json_t *value);
static int json_same_folded(const char *one, const char *two);


void
approval_read_json(approval_readings_t *rs, const approval_json_pointer_t *p,
    json_t *root)
{
    json_walk_t  w;

    w.rs = rs;
    w.spelling = 0;
    w.trimming = 0;
    w.found = 0;

    if (root == NULL) {
        approval_readings_add(rs, APPROVAL_READING_ABSENT, approval_str(""));
        return;
    }

    json_walk(&w, p, root, 0, 0);

    if (w.found == 0) {
        approval_readings_add(rs, APPROVAL_READING_ABSENT, approval_str(""));
    }

    w.trimming = 1;

    json_walk(&w, p, root, 0, 0);

    w.trimming = 0;
    w.spelling = 1;

    json_walk(&w, p, root, 0, 0);
}


/* Visits all values with exactly these names, or each of the others. */

static void
json_walk(json_walk_t *w, const approval_json_pointer_t *p, json_t *value,
    size_t i, unsigned respelled)
{
    size_t                 k;
    json_t                *kid;
    const char            *name;
    const json_segment_t  *s;

    if (i == p->n) {
        if (w->trimming) {
            json_trim(w, value);

        } else if (respelled == w->spelling) {
            json_read(w, value);
        }

        return;
    }

    s = &p->segments[i];

    if (json_is_array(value)) {

        json_array_foreach(value, k, kid) {
            if (s->any || (s->number && s->index == k)) {
                json_walk(w, p, kid, i + 1, respelled);
            }
        }

        return;
    }

    json_object_foreach(value, name, kid) {

        if (s->any || strcmp(name, s->key) == 0) {
            json_walk(w, p, kid, i + 1, respelled);

        } else if (w->spelling && json_same_folded(name, s->key)) {
            json_walk(w, p, kid, i + 1, 1);
        }
    }
}


static void
json_read(json_walk_t *w, json_t *value)
{
    size_t                start;
    double                d;
    json_int_t            n;
    approval_str_t        text, digits;
    approval_reading_t   *e;
    approval_readings_t  *rs;

    rs = w->rs;

    if (rs->n && rs->elts[0].kind == APPROVAL_READING_UNKNOWN) {
        return;
    }

    if (w->spelling || w->found++ == 0) {

        if (json_kind(value) == APPROVAL_READING_TEXT && json_is_string(value))
        {
            text.data = (const unsigned char *) json_string_value(value);
            text.len = json_string_length(value);

            approval_readings_add(rs, APPROVAL_READING_TEXT, text);

            if (w->spelling) {
                json_trim(w, value);
            }

            return;
        }

        start = rs->buf.len;

        if (approval_json_text(value, &rs->buf) != APPROVAL_OK) {
            rs->failed = 1;
            return;
        }

        approval_readings_take(rs, json_kind(value), start);

    } else {

        e = approval_readings_member(rs);
        start = rs->buf.len;

        if (e == NULL || approval_json_text(value, &rs->buf) != APPROVAL_OK) {
            rs->failed = 1;
            return;
        }

        e->kind = json_kind(value);
        e->offset = start;
        e->len = rs->buf.len - start;
    }

    n = json_integer_value(value);

    if (approval_json_wide(value, &digits)) {
        d = strtod((const char *) digits.data, NULL);

    } else if (n > JSON_EXACT || n < -JSON_EXACT) {
        d = (double) n;

    } else {
        return;
    }

    start = rs->buf.len;
    approval_buf_printf(&rs->buf, "%.0f", d);
    approval_readings_take(rs, APPROVAL_READING_NUMBER, start);
}


/*
 * A reader that trims one of several texts finds the others as well: it is not
 * a value that all conditions hold for.
 */

static void
json_trim(json_walk_t *w, json_t *value)
{
    approval_str_t  text, rest;

    if (json_kind(value) != APPROVAL_READING_TEXT || !json_is_string(value)) {
        return;
    }

    text.data = (const unsigned char *) json_string_value(value);
    text.len = json_string_length(value);
    rest = approval_str_trim(text);

    if (rest.len < text.len) {
        approval_readings_copy(w->rs, rest, w->found > 1 ? APPROVAL_SPELLED
                                                         : APPROVAL_TRIMMED);
    }
}


static approval_reading_e
json_kind(json_t *value)
{
    approval_str_t  digits;

    return json_is_number(value) || approval_json_wide(value, &digits)
           ? APPROVAL_READING_NUMBER
           : json_is_null(value) ? APPROVAL_READING_NULL
                                 : APPROVAL_READING_TEXT;
}


/* Both names are valid UTF-8. */

static int
json_same_folded(const char *one, const char *two)
{
    const unsigned char  *p, *q, *plast, *qlast;

    p = (const unsigned char *) one;
    q = (const unsigned char *) two;
    plast = p + strlen(one);
    qlast = q + strlen(two);

    while (p < plast && q < qlast) {
        if (approval_fold(approval_utf8_next(&p, plast))
            != approval_fold(approval_utf8_next(&q, qlast)))
        {
            return 0;
        }
    }

    return p == plast && q == qlast;
}
