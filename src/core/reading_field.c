
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The readings of named values that may be repeated: arguments, form fields
 * and cookies.
 */


#include "core/reading.h"

#include <string.h>


/* Some readers ignore the fields after this number of them. */
#define FIELDS_MAX  1000


/* The wanted name, and what was found. */

typedef struct {
    approval_readings_t  *rs;
    approval_str_t        name;
    unsigned              flags;
    unsigned              cookie:1;
    unsigned              json:1;        /* as Express parts cookies    */
    unsigned              same;          /* fields of exactly this name */
    approval_buf_t        joined;        /* their values                */
} field_t;


static void field_finish(field_t *f, unsigned same);
static unsigned field_has(approval_str_t s, unsigned char c);
static void field_walk(field_t *f, approval_str_t s, const char *ends,
    unsigned quotes);
static approval_name_e field_name(field_t *f, approval_str_t raw);
static void field_value(field_t *f, approval_str_t raw);
static void field_add(field_t *f, approval_str_t text);
static void cookie_value(field_t *f, approval_str_t value);
static void cookie_take(field_t *f, approval_str_t value);
static void cookie_json(field_t *f, json_t *value);
static void cookie_unescaped(field_t *f, approval_str_t value);
static approval_str_t field_split(approval_str_t *s, const char *ends,
    unsigned quotes);
static size_t field_quoted(approval_str_t s);
static void field_decode(approval_buf_t *out, approval_str_t s,
    unsigned char plus);
static int field_hex(unsigned char c);
static int name_folded(approval_str_t name, approval_str_t want,
    unsigned brackets);
static approval_str_t name_trim(approval_str_t name, unsigned brackets);
static unsigned char name_char(unsigned char c);


void
approval_read_field(approval_readings_t *rs, approval_str_t query,
    approval_str_t name, unsigned flags)
{
    size_t    start;
    field_t   f = { .rs = rs, .name = name, .flags = flags };
    unsigned  same;

    field_walk(&f, query, "&", 0);

    same = f.same;

    /* some readers take all copies as one list */

    if (same > 1) {
        start = rs->buf.len;
        approval_buf_add(&rs->buf, f.joined.data, f.joined.len);
        approval_readings_take(rs, APPROVAL_READING_TEXT, start);
    }

    /* for some readers ";" ends a field */

    if (field_has(query, ';')) {
        field_walk(&f, query, "&;", 0);
    }

    field_finish(&f, same);
}


void
approval_read_cookie(approval_readings_t *rs, approval_str_t header,
    approval_str_t name)
{
    field_t   f = { .rs = rs, .name = name, .cookie = 1, .json = 1 };
    unsigned  same;

    field_walk(&f, header, ";", 0);

    f.json = 0;
    same = f.same;

    /* some readers end no cookie inside quotes, some also at a comma */

    if (field_has(header, '"')) {
        f.same = 0;
        field_walk(&f, header, ";", 1);
        same = same && f.same;
    }

    if (field_has(header, ',')) {
        field_walk(&f, header, ";,", 0);
    }

    field_finish(&f, same);
}


static void
field_finish(field_t *f, unsigned same)
{
    if (same == 0) {
        approval_readings_add(f->rs, APPROVAL_READING_ABSENT,
                              approval_str(""));
    }

    f->rs->failed |= (f->joined.failed != 0);

    approval_buf_free(&f->joined);
}


static unsigned
field_has(approval_str_t s, unsigned char c)
{
    return s.len && memchr(s.data, c, s.len) != NULL;
}


static void
field_walk(field_t *f, approval_str_t s, const char *ends, unsigned quotes)
{
    unsigned         n;
    approval_str_t   piece, name;
    approval_name_e  as;

    for (n = 0; s.len; n++) {
        piece = field_split(&s, ends, quotes);

        while (f->cookie && piece.len && *piece.data == ' ') {
            piece = approval_str_sub(piece, 1, piece.len);
        }

        name = field_split(&piece, "=", 0);
        as = field_name(f, name);

        if (as == APPROVAL_NAME_OTHER) {
            continue;
        }

        f->cookie ? cookie_value(f, piece) : field_value(f, piece);

        if (as == APPROVAL_NAME_SAME && n < FIELDS_MAX) {

            if (f->same++) {
                approval_buf_addc(&f->joined, ',');
            }

            approval_read_decode(&f->joined, piece);
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
    approval_buf_t  text;

    approval_buf_init(&text);
    approval_read_decode(&text, raw);

    field_add(f, approval_buf_str(&text));

    if (f->flags & APPROVAL_READ_RAW) {
        approval_readings_copy(f->rs, raw, APPROVAL_SPELLED);
    }

    f->rs->failed |= (text.failed != 0);

    approval_buf_free(&text);
}


/* Adds a copy of the text, and one as frameworks trim it. */

static void
field_add(field_t *f, approval_str_t text)
{
    approval_readings_copy(f->rs, text, APPROVAL_ANOTHER);
    approval_readings_copy(f->rs, approval_str_trim(text), APPROVAL_TRIMMED);
}


/*
 * Some readers strip the quotes around the value, and resolve escapes inside
 * the quotes.
 */

static void
cookie_value(field_t *f, approval_str_t value)
{
    unsigned  quoted;

    for (quoted = 0; quoted < 2; quoted++) {
        cookie_take(f, value);

        value = approval_str_trim(value);

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


/* Some readers decode the value, and for some of these "+" is a blank. */

static void
cookie_take(field_t *f, approval_str_t value)
{
    json_t          *json;
    const char      *plus;
    approval_str_t   s;
    approval_buf_t   text;

    field_add(f, value);

    approval_buf_init(&text);

    for (plus = " +"; *plus; plus++) {
        approval_buf_reset(&text);
        field_decode(&text, value, *plus);

        field_add(f, approval_buf_str(&text));
    }

    /* Express' cookie-parser reads JSON after "j:" */

    s = approval_str_trim(approval_buf_str(&text));

    if (f->json && s.len > 2 && memcmp(s.data, "j:", 2) == 0) {

        /* two headers may be joined: what follows a value is none of it */

        json = json_loadb((const char *) s.data + 2, s.len - 2,
                          JSON_DECODE_ANY|JSON_DISABLE_EOF_CHECK, NULL);
        cookie_json(f, json);

        /* JavaScript reads "\ud800" and large numbers, too */

        if (json == NULL && strchr("{[\"-0123456789", s.data[2])) {
            approval_readings_unknown(f->rs, 0, "its JSON cannot be read");
        }

        json_decref(json);
    }

    f->rs->failed |= (text.failed != 0);

    approval_buf_free(&text);
}


/* A list with one element is like the element to many who compare it. */

static void
cookie_json(field_t *f, json_t *value)
{
    size_t           i;
    json_t          *kid;
    approval_buf_t   text;

    if (json_is_array(value)) {
        json_array_foreach(value, i, kid) {
            cookie_json(f, kid);
        }

        return;
    }

    if (json_is_string(value)) {
        field_add(f, approval_str(json_string_value(value)));

    } else if (value) {
        approval_buf_init(&text);

        if (approval_json_text(value, &text) == APPROVAL_OK) {
            field_add(f, approval_buf_str(&text));

        } else {
            f->rs->failed = 1;
        }

        approval_buf_free(&text);
    }
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


/*
 * The part before one of these bytes; *s continues after it.  quotes: not those
 * in quotes that begin after a "=".
 */

static approval_str_t
field_split(approval_str_t *s, const char *ends, unsigned quotes)
{
    size_t          i;
    unsigned char   before;
    approval_str_t  part;

    before = 0;

    for (i = 0; i < s->len; i++) {

        if (quotes && s->data[i] == '"' && before == '=') {
            i += field_quoted(approval_str_sub(*s, i, s->len));
        }

        if (s->data[i] != ' ' && s->data[i] != '\t') {
            before = s->data[i];
        }

        if (s->data[i] == ends[0] || (ends[1] && s->data[i] == ends[1])) {
            break;
        }
    }

    part = approval_str_sub(*s, 0, i);
    *s = approval_str_sub(*s, i + (i < s->len), s->len);

    return part;
}


/* From the first quote to the one that ends it, or 0. */

static size_t
field_quoted(approval_str_t s)
{
    size_t  i;

    for (i = 1; i < s.len; i++) {
        if (s.data[i] == '"') {
            return i;
        }

        i += (s.data[i] == '\\');
    }

    return 0;
}


void
approval_read_decode(approval_buf_t *out, approval_str_t s)
{
    field_decode(out, s, ' ');
}


/* plus: what "+" means. */

static void
field_decode(approval_buf_t *out, approval_str_t s, unsigned char plus)
{
    int     high, low;
    size_t  i;

    for (i = 0; i < s.len; i++) {

        if (s.data[i] == '+') {
            approval_buf_addc(out, plus);
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
