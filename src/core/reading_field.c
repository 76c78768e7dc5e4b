
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The readings of named values that may be repeated: arguments, form fields
 * and cookies.
 */


#include "core/reading.h"

#include <string.h>


/* The wanted name, and what was found. */

typedef struct {
    approval_readings_t  *rs;
    approval_str_t        name;
    unsigned              flags;
    unsigned              same;          /* fields of exactly this name */
    approval_buf_t        joined;        /* their values            */
} field_t;


typedef void (*field_pt)(field_t *f, approval_str_t value);


static void field_read(approval_readings_t *rs, approval_str_t s,
    approval_str_t name, unsigned flags, const char *ends, field_pt value);
static void field_walk(field_t *f, approval_str_t s, const char *ends,
    field_pt value);
static approval_name_e field_name(field_t *f, approval_str_t raw);
static void field_value(field_t *f, approval_str_t raw);
static void cookie_value(field_t *f, approval_str_t value);
static void cookie_take(field_t *f, approval_str_t value);
static void cookie_unescaped(field_t *f, approval_str_t value);
static approval_str_t field_split(approval_str_t *s, const char *ends);
static int field_hex(unsigned char c);
static int name_folded(approval_str_t name, approval_str_t want,
    unsigned brackets);
static approval_str_t name_trim(approval_str_t name, unsigned brackets);
static unsigned char name_char(unsigned char c);


void
approval_read_field(approval_readings_t *rs, approval_str_t query,
    approval_str_t name, unsigned flags)
{
    field_read(rs, query, name, flags, "&;", field_value);
}


void
approval_read_cookie(approval_readings_t *rs, approval_str_t header,
    approval_str_t name)
{
    field_read(rs, header, name, 0, ";,", cookie_value);
}


/* The first of "ends" ends a field for all readers, the other for some. */

static void
field_read(approval_readings_t *rs, approval_str_t s, approval_str_t name,
    unsigned flags, const char *ends, field_pt value)
{
    char      first[] = { ends[0], '\0' };
    size_t    start;
    field_t   f;
    unsigned  same;

    f.rs = rs;
    f.name = name;
    f.flags = flags;
    f.same = 0;

    approval_buf_init(&f.joined);

    field_walk(&f, s, first, value);

    /* some readers take all copies as one list */

    if (f.same > 1 && value == field_value) {
        start = rs->buf.len;
        approval_buf_add(&rs->buf, f.joined.data, f.joined.len);
        approval_readings_take(rs, APPROVAL_READING_TEXT, start);
    }

    same = f.same;

    if (s.len && memchr(s.data, ends[1], s.len)) {
        field_walk(&f, s, ends, value);
    }

    if (same == 0) {
        approval_readings_add(rs, APPROVAL_READING_ABSENT, approval_str(""));
    }

    rs->failed |= (f.joined.failed != 0);

    approval_buf_free(&f.joined);
}


static void
field_walk(field_t *f, approval_str_t s, const char *ends, field_pt value)
{
    approval_str_t  piece, name;

    while (s.len) {
        piece = field_split(&s, ends);

        while (piece.len && (*piece.data == ' ' || *piece.data == '\t')) {
            piece.data++;
            piece.len--;
        }

        if (piece.len == 0) {
            continue;
        }

        name = field_split(&piece, "=");

        switch (field_name(f, name)) {

        case APPROVAL_NAME_SAME:
            f->same++;
            value(f, piece);

            if (f->same > 1) {
                approval_buf_addc(&f->joined, ',');
            }

            approval_read_decode(&f->joined, piece);
            break;

        case APPROVAL_NAME_SPELLING:
            value(f, piece);
            break;

        default:
            break;
        }
    }
}


/* A name that has to be decoded is the same only for readers that decode it. */

static approval_name_e
field_name(field_t *f, approval_str_t raw)
{
    approval_buf_t   name;
    approval_name_e  as;

    if (approval_str_eq(raw, f->name)) {
        return APPROVAL_NAME_SAME;
    }

    approval_buf_init(&name);
    approval_read_decode(&name, approval_str_trim(raw));

    as = approval_name_read(approval_buf_str(&name), f->name);

    if (name.failed) {
        f->rs->failed = 1;
    }

    approval_buf_free(&name);

    return as == APPROVAL_NAME_OTHER ? as : APPROVAL_NAME_SPELLING;
}


static void
field_value(field_t *f, approval_str_t raw)
{
    size_t  start;

    start = f->rs->buf.len;
    approval_read_decode(&f->rs->buf, raw);
    approval_readings_take(f->rs, APPROVAL_READING_TEXT, start);

    if (f->flags & APPROVAL_READ_RAW) {
        approval_readings_spelled(f->rs, raw);
    }
}


/*
 * Some readers decode the value, and some strip the blanks and quotes around
 * it, and resolve escapes inside the quotes.  One reader takes "j:" for JSON.
 */

static void
cookie_value(field_t *f, approval_str_t value)
{
    unsigned  quoted;

    for (quoted = 0; quoted < 2; quoted++) {
        cookie_take(f, value);

        value = approval_str_trim(value);
        cookie_take(f, value);

        if (value.len > 1 && value.data[0] == 'j' && value.data[1] == ':') {
            value.data += 2;
            value.len -= 2;
            cookie_take(f, value);
        }

        if (value.len < 2 || value.data[0] != '"'
            || value.data[value.len - 1] != '"')
        {
            break;
        }

        value.data++;
        value.len -= 2;

        cookie_unescaped(f, value);
    }
}


static void
cookie_take(field_t *f, approval_str_t value)
{
    size_t  start;

    start = f->rs->buf.len;
    approval_buf_add(&f->rs->buf, value.data, value.len);
    approval_readings_take(f->rs, APPROVAL_READING_TEXT, start);

    start = f->rs->buf.len;
    approval_read_decode(&f->rs->buf, value);
    approval_readings_take(f->rs, APPROVAL_READING_TEXT, start);
}


/* "\144" and "\d" */

static void
cookie_unescaped(field_t *f, approval_str_t value)
{
    size_t                i, start;
    const unsigned char  *p;

    start = f->rs->buf.len;

    for (i = 0; i < value.len; i++) {
        p = value.data + i;

        if (*p == '\\' && value.len - i > 3
            && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7'
            && p[3] >= '0' && p[3] <= '7')
        {
            approval_buf_addc(&f->rs->buf, (unsigned char)
                              ((p[1] - '0') << 6 | (p[2] - '0') << 3
                               | (p[3] - '0')));
            i += 3;
            continue;
        }

        if (*p == '\\' && value.len - i > 1) {
            p++;
            i++;
        }

        approval_buf_addc(&f->rs->buf, *p);
    }

    approval_readings_take(f->rs, APPROVAL_READING_TEXT, start);
}


/* The part before one of these bytes; *s continues after it. */

static approval_str_t
field_split(approval_str_t *s, const char *ends)
{
    size_t          i;
    approval_str_t  part;

    for (i = 0; i < s->len; i++) {
        if (s->data[i] == ends[0] || (ends[1] && s->data[i] == ends[1])) {
            break;
        }
    }

    part = approval_str_sub(*s, 0, i);
    *s = approval_str_sub(*s, i + (i < s->len), s->len);

    return part;
}


void
approval_read_decode(approval_buf_t *out, approval_str_t s)
{
    int     high, low;
    size_t  i;

    for (i = 0; i < s.len; i++) {

        if (s.data[i] == '+') {
            approval_buf_addc(out, ' ');
            continue;
        }

        if (s.data[i] == '%' && s.len - i > 2) {
            high = field_hex(s.data[i + 1]);
            low = field_hex(s.data[i + 2]);

            if (high >= 0 && low >= 0) {
                approval_buf_addc(out, (unsigned char) (high << 4 | low));
                i += 2;
                continue;
            }
        }

        approval_buf_addc(out, s.data[i]);
    }
}


static int
field_hex(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


approval_name_e
approval_name_read(approval_str_t name, approval_str_t want)
{
    if (approval_str_eq(name, want)) {
        return APPROVAL_NAME_SAME;
    }

    return name_folded(name, want, 1) || name_folded(name, want, 0)
           ? APPROVAL_NAME_SPELLING : APPROVAL_NAME_OTHER;
}


static int
name_folded(approval_str_t name, approval_str_t want, unsigned brackets)
{
    size_t          i;
    approval_str_t  a, b;

    a = name_trim(name, brackets);
    b = name_trim(want, brackets);

    if (a.len != b.len) {
        return 0;
    }

    for (i = 0; i < a.len; i++) {
        if (name_char(a.data[i]) != name_char(b.data[i])) {
            return 0;
        }
    }

    return 1;
}


/*
 * Removes leading characters that readers ignore, and cuts at a NUL.
 * brackets: "a[b" and "[a]" belong to "a"; otherwise "[" is a letter too,
 * equal to "_".
 */

static approval_str_t
name_trim(approval_str_t name, unsigned brackets)
{
    size_t  i;

    while (name.len
           && (*name.data == ' ' || *name.data == '?'
               || (brackets && (*name.data == '[' || *name.data == ']'))))
    {
        name.data++;
        name.len--;
    }

    for (i = 0; i < name.len; i++) {
        if (name.data[i] == '\0'
            || (brackets && (name.data[i] == '[' || name.data[i] == ']')))
        {
            break;
        }
    }

    name.len = i;

    return name;
}


static unsigned char
name_char(unsigned char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c | 0x20;
    }

    return c == '.' || c == '-' || c == ' ' || c == '[' ? '_' : c;
}
