
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * application/x-www-form-urlencoded bodies and query strings, read strictly.
 */


#include "core/form.h"


/* What form_next() returns beside a byte. */

#define FORM_END     -1
#define FORM_ESCAPE  -2
#define FORM_NUL     -3


typedef enum {
    FORM_OTHER,
    FORM_SAME,
    FORM_SPELLING,
    FORM_MALFORMED
} form_name_e;


static const char *form_foreign(approval_str_t body);
static int form_next(approval_str_t *s);
static int form_hex(unsigned char c);
static approval_str_t form_split(approval_str_t *s, unsigned char c);
static int form_decode(approval_str_t s, approval_buf_t *out,
    const char **err);
static int form_check(approval_str_t s, const char **err);
static form_name_e form_name(approval_str_t raw, approval_str_t name);
static int form_hidden(approval_str_t field, approval_str_t name);
static const char *form_error(int c);


static const char  form_twice[] = "form field stands twice";


int
approval_form_get(approval_str_t body, approval_str_t name,
    approval_buf_t *out, const char **err)
{
    size_t          start;
    unsigned        found;
    approval_str_t  field, value, raw;

    start = out->len;
    found = 0;

    *err = form_foreign(body);

    if (*err) {
        goto failed;
    }

    while (body.len) {
        field = form_split(&body, '&');

        if (form_check(field, err) != APPROVAL_OK) {
            goto failed;
        }

        if (form_hidden(field, name)) {
            *err = "form field stands after \";\", which some servers read "
                   "as \"&\"";
            goto failed;
        }

        if (field.len == 0) {
            continue;
        }

        value = field;
        raw = form_split(&value, '=');

        switch (form_name(raw, name)) {

        case FORM_OTHER:
            continue;

        case FORM_SPELLING:
            *err = "form field stands under a second spelling of its name";
            goto failed;

        case FORM_MALFORMED:
            *err = "malformed escape in form";
            goto failed;

        case FORM_SAME:
            break;
        }

        if (found) {
            *err = form_twice;
            goto failed;
        }

        found = 1;

        if (form_decode(value, out, err) != APPROVAL_OK) {
            goto failed;
        }
    }

    return found ? APPROVAL_OK : APPROVAL_DECLINED;

failed:

    out->len = start;

    return APPROVAL_ERROR;
}


int
approval_form_each(approval_str_t body, approval_form_visit_pt visit,
    void *data, const char **err)
{
    int             rc;
    approval_str_t  field, raw;
    approval_buf_t  name, value;

    approval_buf_init(&name);
    approval_buf_init(&value);

    rc = APPROVAL_OK;

    while (body.len && rc == APPROVAL_OK) {
        field = form_split(&body, '&');

        if (field.len == 0) {
            continue;
        }

        approval_buf_reset(&name);
        approval_buf_reset(&value);

        raw = form_split(&field, '=');

        rc = form_decode(raw, &name, err);

        if (rc == APPROVAL_OK) {
            rc = form_decode(field, &value, err);
        }

        if (rc == APPROVAL_OK) {
            rc = visit(data, approval_buf_str(&name),
                       approval_buf_str(&value));
        }
    }

    approval_buf_wipe(&name);
    approval_buf_wipe(&value);

    return rc;
}


/*
 * A server that goes by the Content-Type finds the same fields in a multipart
 * or JSON body, where we would call them absent.
 */

static const char *
form_foreign(approval_str_t body)
{
    size_t  i;

    i = 0;

    if (body.len >= 3 && body.data[0] == 0xef && body.data[1] == 0xbb
        && body.data[2] == 0xbf)
    {
        return "byte order mark before form";
    }

    while (i < body.len && body.data[i] == ' ') {
        i++;
    }

    if (i < body.len
        && (body.data[i] == '{' || body.data[i] == '['
            || body.data[i] == '<' || body.data[i] == '"'))
    {
        return "JSON or XML where a form is read";
    }

    for ( /* void */ ; i < body.len; i++) {
        if (body.data[i] && (body.data[i] < 0x20 || body.data[i] == 0x7f)) {
            return "line or control character in form: is it multipart?";
        }
    }

    return NULL;
}


/* The part before the first c; *s goes on after it. */

static approval_str_t
form_split(approval_str_t *s, unsigned char c)
{
    size_t          i;
    approval_str_t  part;

    for (i = 0; i < s->len && s->data[i] != c; i++) { /* void */ }

    part.data = s->data;
    part.len = i;

    if (i < s->len) {
        i++;
    }

    s->data = i ? s->data + i : s->data;
    s->len -= i;

    return part;
}


static int
form_next(approval_str_t *s)
{
    int            high, low;
    size_t         n;
    unsigned char  c;

    if (s->len == 0) {
        return FORM_END;
    }

    c = s->data[0];
    n = 1;

    if (c == '+') {
        c = ' ';

    } else if (c == '%') {

        if (s->len < 3) {
            return FORM_ESCAPE;
        }

        high = form_hex(s->data[1]);
        low = form_hex(s->data[2]);

        if (high < 0 || low < 0) {
            return FORM_ESCAPE;
        }

        c = (unsigned char) (high << 4 | low);
        n = 3;
    }

    if (c == '\0') {
        return FORM_NUL;
    }

    s->data += n;
    s->len -= n;

    return c;
}


static int
form_hex(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


static const char *
form_error(int c)
{
    return c == FORM_NUL ? "NUL in form" : "malformed escape in form";
}


static int
form_decode(approval_str_t s, approval_buf_t *out, const char **err)
{
    int  c;

    for ( ;; ) {
        c = form_next(&s);

        if (c < 0) {
            break;
        }

        approval_buf_addc(out, (unsigned char) c);
    }

    if (c != FORM_END) {
        *err = form_error(c);
        return APPROVAL_ERROR;
    }

    if (out->failed) {
        *err = "out of memory";
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


static int
form_check(approval_str_t s, const char **err)
{
    int  c;

    do {
        c = form_next(&s);
    } while (c >= 0);

    if (c == FORM_END) {
        return APPROVAL_OK;
    }

    *err = form_error(c);

    return APPROVAL_ERROR;
}


/*
 * Is this field the one looked for?  Some servers drop spaces before a name,
 * make "_" of "." and " ", and of "name[]" an array "name": they would read
 * a field that we call absent.
 */

static form_name_e
form_name(approval_str_t raw, approval_str_t name)
{
    int       c;
    size_t    i;
    unsigned  same, start;

    i = 0;
    same = 1;
    start = 1;

    for ( ;; ) {
        c = form_next(&raw);

        if (c == FORM_ESCAPE || c == FORM_NUL) {
            return FORM_MALFORMED;
        }

        if (c == FORM_END) {
            break;
        }

        if (i < name.len && name.data[i] == c) {
            start = 0;
            i++;
            continue;
        }

        same = 0;

        if (start && c == ' ') {
            continue;
        }

        start = 0;

        if (i == name.len && i > 0 && c == '[') {
            return FORM_SPELLING;
        }

        if (i < name.len && name.data[i] == '_' && (c == '.' || c == ' ')) {
            i++;
            continue;
        }

        return FORM_OTHER;
    }

    if (i != name.len) {
        return FORM_OTHER;
    }

    return same ? FORM_SAME : FORM_SPELLING;
}


static int
form_hidden(approval_str_t field, approval_str_t name)
{
    approval_str_t  part, raw;

    if (name.len == 0) {
        return 0;
    }

    (void) form_split(&field, ';');

    while (field.len) {
        part = form_split(&field, ';');
        raw = form_split(&part, '=');

        switch (form_name(raw, name)) {

        case FORM_SAME:
        case FORM_SPELLING:
            return 1;

        default:
            break;
        }
    }

    return 0;
}
