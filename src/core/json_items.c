
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Reads JSON into a list of items that refer to the text.  That is several
 * times faster than building values, and keeps how numbers are spelt.
 */


#include "core/json_internal.h"

#include <stdlib.h>
#include <string.h>


/* Numbers are in range if neither their text nor their exponent is longer. */
#define ITEM_NUMBER    200
#define ITEM_EXPONENT  2

/* So few names are compared with each other; more are sorted. */
#define ITEM_FEW       8


typedef struct {
    approval_json_items_t    *items;
    size_t                    size;        /* of the list                    */
    approval_str_t            text;
    const unsigned char      *p;
    const unsigned char      *last;
    unsigned char            *to;          /* end of the unescaped strings   */
    approval_str_t           *names;       /* of one object                  */
    size_t                    nnames;
} json_reader_t;


static void item_mark(approval_json_item_t *list,
    const approval_json_pointer_t *p, size_t n, size_t i);
static int item_value(json_reader_t *r, unsigned depth);
static int item_members(json_reader_t *r, unsigned depth);
static int item_twice(json_reader_t *r, const approval_json_item_t *object);
static int item_name_cmp(const void *one, const void *two);
static int item_string(json_reader_t *r);
static int item_escape(json_reader_t *r);
static int item_hex(json_reader_t *r, uint32_t *c);
static int item_number(json_reader_t *r);
static size_t item_digits(json_reader_t *r);
static int item_add(json_reader_t *r, unsigned char type,
    const unsigned char *start, const unsigned char *end);
static int item_peek(json_reader_t *r);
static int item_next(json_reader_t *r, int c);


int
approval_json_items(approval_str_t text, approval_json_items_t *items,
    const char **err)
{
    int            read;
    json_reader_t  r;

    memset(items, 0, sizeof(approval_json_items_t));
    memset(&r, 0, sizeof(json_reader_t));

    r.items = items;
    r.text = text;
    r.p = text.data;
    r.last = text.data + text.len;

    read = text.len && text.len < UINT32_MAX && approval_utf8_valid(text)
           && item_value(&r, 0) == APPROVAL_OK && item_peek(&r) == -1;

    free(r.names);

    if (read) {
        return APPROVAL_OK;
    }

    approval_json_items_free(items);

    /* the parser rejects the same texts, and knows why */

    json_decref(approval_json_parse_wide(text, err));

    *err = *err ? *err : "out of memory";

    return APPROVAL_ERROR;
}


void
approval_json_items_free(approval_json_items_t *items)
{
    free(items->list);
    free(items->plain);
    memset(items, 0, sizeof(approval_json_items_t));
}


void
approval_json_items_mark(approval_json_items_t *items,
    const approval_json_pointer_t *p)
{
    item_mark(items->list, p, 0, 0);
}


static void
item_mark(approval_json_item_t *list, const approval_json_pointer_t *p,
    size_t n, size_t i)
{
    size_t                 k, index;
    unsigned               object;
    const json_segment_t  *s;

    if (n == p->n) {
        list[i].marked = 1;
        return;
    }

    s = &p->segments[n];
    object = list[i].type == '{';

    for (k = i + 1, index = 0; k < list[i].next; k = list[k].next, index++) {
        k += object;

        if (s->any
            || (object ? approval_str_eq(list[k - 1].text, approval_str(s->key))
                       : s->number && s->index == index))
        {
            item_mark(list, p, n + 1, k);
        }
    }
}


static int
item_value(json_reader_t *r, unsigned depth)
{
    size_t                len;
    const unsigned char  *start;

    switch (item_peek(r)) {

    case '{':
    case '[':
        return depth < APPROVAL_JSON_MAX_DEPTH ? item_members(r, depth + 1)
                                               : APPROVAL_ERROR;

    case '"':
        return item_string(r);

    case 't':
    case 'n':
        len = 4;
        break;

    case 'f':
        len = 5;
        break;

    default:
        return item_number(r);
    }

    start = r->p;

    if ((size_t) (r->last - start) < len
        || memcmp(start, *start == 't' ? "true" : *start == 'f' ? "false"
                                                                : "null", len)
           != 0)
    {
        return APPROVAL_ERROR;
    }

    r->p += len;

    return item_add(r, *start, start, r->p);
}


static int
item_members(json_reader_t *r, unsigned depth)
{
    int                    rc;
    size_t                 i, n;
    unsigned char          open;
    approval_json_item_t  *item;
    const unsigned char   *start;

    i = r->items->n;
    start = r->p;
    open = *r->p++;

    rc = item_add(r, open, start, r->p);

    for (n = 0; rc == APPROVAL_OK && !item_next(r, open + 2); n++) {

        if ((n && !item_next(r, ','))
            || (open == '{' && (item_peek(r) != '"'
                                || item_string(r) != APPROVAL_OK
                                || !item_next(r, ':'))))
        {
            return APPROVAL_ERROR;
        }

        rc = item_value(r, depth);
    }

    if (rc != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    item = &r->items->list[i];

    item->text.len = (size_t) (r->p - start);
    item->next = (uint32_t) r->items->n;
    item->size = (uint32_t) n;

    return open == '{' && n > 1 ? item_twice(r, item) : APPROVAL_OK;
}


/* APPROVAL_ERROR if the object has a member twice. */

static int
item_twice(json_reader_t *r, const approval_json_item_t *object)
{
    size_t                       i, k;
    approval_str_t              *names;
    const approval_json_item_t  *item;

    if (object->size > r->nnames) {
        names = realloc(r->names, object->size * sizeof(approval_str_t));
        if (names == NULL) {
            return APPROVAL_ERROR;
        }

        r->names = names;
        r->nnames = object->size;
    }

    names = r->names;

    for (i = 0, item = object + 1; i < object->size; i++) {
        names[i] = item->text;
        item = r->items->list + item[1].next;
    }

    if (object->size > ITEM_FEW) {
        qsort(names, object->size, sizeof(approval_str_t), item_name_cmp);
    }

    for (i = 1; i < object->size; i++) {
        for (k = object->size > ITEM_FEW ? i - 1 : 0; k < i; k++) {
            if (approval_str_eq(names[k], names[i])) {
                return APPROVAL_ERROR;
            }
        }
    }

    return APPROVAL_OK;
}


static int
item_name_cmp(const void *one, const void *two)
{
    const approval_str_t *a = one;
    const approval_str_t *b = two;

    if (a->len != b->len) {
        return a->len < b->len ? -1 : 1;
    }

    return memcmp(a->data, b->data, a->len);
}


static int
item_string(json_reader_t *r)
{
    const unsigned char  *start, *run, *plain;

    start = ++r->p;
    plain = NULL;

    for (run = start; /* void */ ; run = r->p) {

        while (r->p < r->last && *r->p >= ' ' && *r->p != '"'
               && *r->p != '\\')
        {
            r->p++;
        }

        if (r->p == r->last || *r->p < ' ') {
            return APPROVAL_ERROR;
        }

        if (*r->p == '"' && plain == NULL) {
            return item_add(r, '"', start, r->p++);
        }

        if (r->to == NULL) {
            r->to = r->items->plain = malloc(r->text.len);

            if (r->to == NULL) {
                return APPROVAL_ERROR;
            }
        }

        plain = plain ? plain : r->to;

        memcpy(r->to, run, (size_t) (r->p - run));
        r->to += r->p - run;

        if (*r->p++ == '"') {
            return item_add(r, '"', plain, r->to);
        }

        if (item_escape(r) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }
    }
}


/* What follows a backslash; its UTF-8 never is longer. */

static int
item_escape(json_reader_t *r)
{
    uint32_t     c, low;
    const char  *found;

    static const char  codes[] = "\"\\/bfnrt";
    static const char  chars[] = "\"\\/\b\f\n\r\t";

    if (r->p == r->last) {
        return APPROVAL_ERROR;
    }

    if (*r->p != 'u') {
        found = memchr(codes, *r->p++, sizeof(codes) - 1);
        if (found == NULL) {
            return APPROVAL_ERROR;
        }

        *r->to++ = (unsigned char) chars[found - codes];

        return APPROVAL_OK;
    }

    if (item_hex(r, &c) != APPROVAL_OK || c == 0) {
        return APPROVAL_ERROR;
    }

    if (c >= 0xd800 && c < 0xe000) {

        if (c >= 0xdc00 || r->last - r->p < 2 || *r->p++ != '\\'
            || item_hex(r, &low) != APPROVAL_OK || low < 0xdc00
            || low >= 0xe000)
        {
            return APPROVAL_ERROR;
        }

        c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
    }

    if (c < 0x80) {
        *r->to++ = (unsigned char) c;
        return APPROVAL_OK;
    }

    if (c < 0x800) {
        *r->to++ = (unsigned char) (0xc0 | c >> 6);

    } else {

        if (c < 0x10000) {
            *r->to++ = (unsigned char) (0xe0 | c >> 12);

        } else {
            *r->to++ = (unsigned char) (0xf0 | c >> 18);
            *r->to++ = (unsigned char) (0x80 | (c >> 12 & 0x3f));
        }

        *r->to++ = (unsigned char) (0x80 | (c >> 6 & 0x3f));
    }

    *r->to++ = (unsigned char) (0x80 | (c & 0x3f));

    return APPROVAL_OK;
}


/* "u" and four digits */

static int
item_hex(json_reader_t *r, uint32_t *c)
{
    unsigned       i;
    unsigned char  d;

    if (r->last - r->p < 5 || *r->p != 'u') {
        return APPROVAL_ERROR;
    }

    for (i = 1, *c = 0; i < 5; i++) {
        d = r->p[i];

        if (d >= 'A' && d <= 'F') {
            d |= 0x20;
        }

        if ((d < '0' || d > '9') && (d < 'a' || d > 'f')) {
            return APPROVAL_ERROR;
        }

        *c = *c << 4 | (uint32_t) (d <= '9' ? d - '0' : d - 'a' + 10);
    }

    r->p += 5;

    return APPROVAL_OK;
}


static int
item_number(json_reader_t *r)
{
    size_t                exponent;
    json_t               *value;
    const char           *err;
    approval_str_t        text;
    const unsigned char  *start;

    start = r->p;
    exponent = 0;

    r->p += r->p < r->last && *r->p == '-';

    if (r->p < r->last && *r->p == '0') {
        r->p++;

    } else if (item_digits(r) == 0) {
        return APPROVAL_ERROR;
    }

    if (r->p < r->last && *r->p == '.') {
        r->p++;

        if (item_digits(r) == 0) {
            return APPROVAL_ERROR;
        }
    }

    if (r->p < r->last && (*r->p == 'e' || *r->p == 'E')) {
        r->p++;
        r->p += r->p < r->last && (*r->p == '+' || *r->p == '-');

        exponent = item_digits(r);

        if (exponent == 0) {
            return APPROVAL_ERROR;
        }
    }

    text.data = start;
    text.len = (size_t) (r->p - start);

    if (exponent > ITEM_EXPONENT || text.len > ITEM_NUMBER) {
        value = approval_json_parse_wide(text, &err);
        if (value == NULL) {
            return APPROVAL_ERROR;
        }

        json_decref(value);
    }

    return item_add(r, '0', start, r->p);
}


static size_t
item_digits(json_reader_t *r)
{
    const unsigned char  *start;

    for (start = r->p; r->p < r->last && *r->p >= '0' && *r->p <= '9';
         r->p++)
    {
        /* void */
    }

    return (size_t) (r->p - start);
}


static int
item_add(json_reader_t *r, unsigned char type, const unsigned char *start,
    const unsigned char *end)
{
    size_t                  size;
    approval_json_item_t   *item;
    approval_json_items_t  *items;

    items = r->items;

    if (items->n == r->size) {

        /* that is enough for most texts */

        size = r->size ? 2 * r->size : 8 + r->text.len / 10;
        item = realloc(items->list, size * sizeof(approval_json_item_t));

        if (item == NULL) {
            return APPROVAL_ERROR;
        }

        items->list = item;
        r->size = size;
    }

    item = &items->list[items->n++];

    item->text.data = start;
    item->text.len = (size_t) (end - start);
    item->next = (uint32_t) items->n;
    item->size = 0;
    item->type = type;
    item->marked = 0;

    return APPROVAL_OK;
}


/* The first byte that is not blank, or -1 at the end. */

static int
item_peek(json_reader_t *r)
{
    while (r->p < r->last && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t'
                              || *r->p == '\r'))
    {
        r->p++;
    }

    return r->p < r->last ? *r->p : -1;
}


static int
item_next(json_reader_t *r, int c)
{
    if (item_peek(r) != c) {
        return 0;
    }

    r->p++;

    return 1;
}
