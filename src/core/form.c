
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * application/x-www-form-urlencoded bodies and query strings, read strictly.
 */


#include "core/form.h"


/* form_next() returns a byte or one of these. */

#define FORM_END     -1
#define FORM_ESCAPE  -2
#define FORM_NUL     -3


/* The field that approval_form_get() looks up. */

typedef struct {
    approval_str_t   name;
    approval_buf_t  *out;
    unsigned         found;
} form_get_t;


static int form_visit(void *data, approval_str_t name, approval_str_t value);
static int form_next(approval_str_t *s);
static int form_hex(unsigned char c);
static approval_str_t form_split(approval_str_t *s, unsigned char c);
static int form_decode(approval_str_t s, approval_buf_t *out,
    const char **err);
static const char *form_error(int c);


int
approval_form_get(approval_str_t body, approval_str_t name,
    approval_buf_t *out, const char **err)
{
    int         rc;
    size_t      start;
    form_get_t  get;

    start = out->len;

    get.name = name;
    get.out = out;
    get.found = 0;

    *err = NULL;

    rc = approval_form_each(body, form_visit, &get, err);

    if (rc == APPROVAL_OK) {
        return get.found ? APPROVAL_OK : APPROVAL_DECLINED;
    }

    if (*err == NULL) {
        *err = "the form has the same field twice";
    }

    out->len = start;

    return APPROVAL_ERROR;
}


static int
form_visit(void *data, approval_str_t name, approval_str_t value)
{
    form_get_t *get = data;

    if (!approval_str_eq(name, get->name)) {
        return APPROVAL_OK;
    }

    approval_buf_add(get->out, value.data, value.len);

    return get->found++ ? APPROVAL_ERROR : APPROVAL_OK;
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


const char *
approval_form_foreign(approval_str_t body)
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
        return "JSON or XML instead of a form";
    }

    for ( /* void */ ; i < body.len; i++) {
        if (body.data[i] && (body.data[i] < 0x20 || body.data[i] == 0x7f)) {
            return "a line break or control character in the form: is it "
                   "multipart?";
        }
    }

    return NULL;
}


/* Returns the part before the first c, and moves *s behind that c. */

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
