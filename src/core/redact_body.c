
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Targets and bodies with their secrets masked.
 */


#include "core/redact.h"
#include "core/redact_internal.h"
#include "core/escape.h"
#include "core/form.h"

#include <string.h>


#define TYPE_MAX_LEN  64


typedef enum {
    BODY_JSON,
    BODY_FORM,
    BODY_TEXT,
    BODY_OTHER
} body_e;


/* One field of a form or of a query. */

typedef struct {
    const approval_redact_t  *redact;
    approval_buf_t           *out;
    unsigned                  hide;    /* the value                     */
    unsigned                  hide_name;
} field_t;


static void redact_path(const approval_redact_t *r, approval_str_t path,
    approval_buf_t *out);
static int redact_query(const approval_redact_t *r, approval_str_t query,
    approval_buf_t *out);
static int redact_query_field(void *data, approval_str_t name,
    approval_str_t value);
static size_t redact_find(approval_str_t s, size_t i, const char *set);
static approval_str_t redact_sub(approval_str_t s, size_t from, size_t to);
static body_e redact_type(approval_str_t content_type);
static int redact_type_utf8(approval_str_t parameters);
static int redact_type_is(approval_str_t type, const char *tail);
static int redact_describe(approval_str_t content_type, size_t len,
    const char *why, approval_buf_t *out);
static int redact_form(const approval_redact_t *r, approval_str_t body,
    approval_buf_t *out, const char **err);
static int redact_form_field(void *data, approval_str_t name,
    approval_str_t value);


int
approval_redact_target(const approval_redact_t *r, approval_str_t target,
    approval_buf_t *out)
{
    size_t  i, start;

    i = redact_find(target, 0, "?#");

    redact_path(r, redact_sub(target, 0, i), out);

    if (i < target.len) {
        approval_buf_addc(out, target.data[i]);
        start = out->len;

        if (redact_query(r, redact_sub(target, i + 1, target.len), out)
            != APPROVAL_OK)
        {
            if (out->failed) {
                return APPROVAL_ERROR;
            }

            out->len = start;
            approval_buf_adds(out, APPROVAL_REDACTED);
        }
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/* Userinfo, and "name=value" between slashes and semicolons. */

static void
redact_path(const approval_redact_t *r, approval_str_t path,
    approval_buf_t *out)
{
    int              rc;
    size_t           i, end, at, name;
    field_t          f;
    const char      *err;
    approval_str_t   part;

    f.redact = r;
    f.out = NULL;

    for (i = 0; i < path.len; i = end) {

        if (strchr("/;", path.data[i]) && path.data[i]) {
            approval_buf_addc(out, path.data[i]);
            end = i + 1;
            continue;
        }

        end = redact_find(path, i, "/;");
        part = redact_sub(path, i, end);

        /* an authority: "//", or the target's very start */

        if (i == 0 || (i > 1 && path.data[i - 1] == '/'
                       && path.data[i - 2] == '/'))
        {
            end = redact_find(path, i, "/");

            for (at = end; at > i && path.data[at - 1] != '@'; at--) {
                /* void */
            }

            if (at > i) {
                approval_buf_adds(out, APPROVAL_REDACTED);
                end = at - 1;
                approval_buf_addc(out, path.data[end++]);
                continue;
            }

            end = redact_find(path, i, "/;");
        }

        name = redact_find(part, 0, "=");

        if (name < part.len) {
            f.hide = 0;
            f.hide_name = 0;

            rc = approval_form_each(part, redact_query_field, &f, &err);

            if (rc != APPROVAL_OK || f.hide || f.hide_name) {
                approval_buf_add(out, part.data, f.hide_name ? 0 : name + 1);
                approval_buf_adds(out, APPROVAL_REDACTED);
                continue;
            }
        }

        approval_buf_add(out, part.data, part.len);
    }
}


static int
redact_query(const approval_redact_t *r, approval_str_t query,
    approval_buf_t *out)
{
    size_t           i, end, name;
    field_t          f;
    const char      *err;
    approval_str_t   part;

    f.redact = r;
    f.out = NULL;

    /* more separators than any server has: nothing hides behind one */

    for (i = 0; i < query.len; i = end) {

        end = redact_find(query, i, "&;?#");

        if (end == i) {
            approval_buf_addc(out, query.data[end++]);
            continue;
        }

        part = redact_sub(query, i, end);
        name = redact_find(part, 0, "=");

        f.hide = 0;
        f.hide_name = 0;

        if (approval_form_each(part, redact_query_field, &f, &err)
            != APPROVAL_OK)
        {
            return APPROVAL_ERROR;
        }

        if (f.hide_name) {
            approval_buf_adds(out, APPROVAL_REDACTED);

        } else if (f.hide && name < part.len) {
            approval_buf_add(out, part.data, name + 1);
            approval_buf_adds(out, APPROVAL_REDACTED);

        } else {
            approval_buf_add(out, part.data, part.len);
        }
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
redact_query_field(void *data, approval_str_t name, approval_str_t value)
{
    field_t  *f = data;

    int             rc;
    size_t          masked;
    approval_buf_t  text;

    approval_buf_init(&text);

    masked = 0;
    rc = approval_redact_value(f->redact, name, 0, &text, &masked);
    f->hide_name |= masked > 0;

    if (rc == APPROVAL_OK) {
        masked = 0;
        rc = approval_redact_value(f->redact, value, 0, &text, &masked);
        f->hide |= masked > 0 || approval_redact_field(f->redact, name);
    }

    approval_buf_wipe(&text);

    return rc;
}


/* The first of the bytes in set, from i on, or the end. */

static size_t
redact_find(approval_str_t s, size_t i, const char *set)
{
    while (i < s.len && (s.data[i] == '\0' || !strchr(set, s.data[i]))) {
        i++;
    }

    return i;
}


static approval_str_t
redact_sub(approval_str_t s, size_t from, size_t to)
{
    approval_str_t  sub;

    sub.data = from ? s.data + from : s.data;
    sub.len = to - from;

    return sub;
}


int
approval_redact_body(const approval_redact_t *r, approval_str_t content_type,
    approval_str_t body, approval_buf_t *out)
{
    int          rc;
    size_t       start;
    body_e       type;
    json_t      *json;
    const char  *err;

    if (body.len == 0) {
        return APPROVAL_OK;
    }

    type = redact_type(content_type);

    if (type == BODY_OTHER) {
        return redact_describe(content_type, body.len, NULL, out);
    }

    /* a form or text may in truth be JSON, and an upstream may know it */

    json = NULL;
    err = NULL;

    if (type == BODY_JSON || approval_redact_looks_json(body)) {
        json = approval_json_parse(body, &err);

        if (json == NULL && type != BODY_TEXT) {
            return redact_describe(content_type, body.len, err, out);
        }
    }

    if (json) {
        start = out->len;
        rc = approval_redact_json(r, json);

        if (rc == APPROVAL_OK) {
            rc = approval_json_pretty(json, out);
        }

        json_decref(json);

        if (rc != APPROVAL_OK) {
            out->len = start;
        }

        return rc;
    }

    if (type == BODY_FORM) {
        start = out->len;

        if (redact_form(r, body, out, &err) == APPROVAL_OK) {
            return APPROVAL_OK;
        }

        out->len = start;

        return redact_describe(content_type, body.len, err, out);
    }

    if (!approval_utf8_valid(body) || memchr(body.data, '\0', body.len)) {
        return redact_describe(content_type, body.len, "not UTF-8 text", out);
    }

    (void) approval_redact_text(r, body, out);

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static body_e
redact_type(approval_str_t content_type)
{
    size_t          i;
    approval_str_t  type;

    i = redact_find(content_type, 0, ";");

    if (!redact_type_utf8(redact_sub(content_type, i, content_type.len))) {
        return BODY_OTHER;
    }

    while (i > 0 && (content_type.data[i - 1] == ' '
                     || content_type.data[i - 1] == '\t'))
    {
        i--;
    }

    type = redact_sub(content_type, 0, i);

    if (approval_str_eq_nocase(type,
                         approval_str("application/x-www-form-urlencoded")))
    {
        return BODY_FORM;
    }

    if (redact_type_is(type, "/json") || redact_type_is(type, "+json")
        || redact_type_is(type, "/json-rpc")
        || redact_type_is(type, "/jsonrequest"))
    {
        return BODY_JSON;
    }

    if (type.len > 5
        && approval_str_eq_nocase(redact_sub(type, 0, 5),
                                  approval_str("text/")))
    {
        return BODY_TEXT;
    }

    if (redact_type_is(type, "/xml") || redact_type_is(type, "+xml")
        || redact_type_is(type, "/yaml") || redact_type_is(type, "/x-yaml")
        || redact_type_is(type, "+yaml") || redact_type_is(type, "/sql")
        || redact_type_is(type, "/graphql"))
    {
        return BODY_TEXT;
    }

    return BODY_OTHER;
}


/* Another charset would show other text than the upstream reads. */

static int
redact_type_utf8(approval_str_t s)
{
    size_t          i;
    approval_str_t  word;

    for (i = 0; i + 8 <= s.len; i++) {
        if (!approval_str_eq_nocase(redact_sub(s, i, i + 8),
                                    approval_str("charset=")))
        {
            continue;
        }

        i += 8;

        if (i < s.len && s.data[i] == '"') {
            i++;
        }

        word = redact_sub(s, i, redact_find(s, i, "\"; \t,"));

        if (!approval_str_eq_nocase(word, approval_str("utf-8"))
            && !approval_str_eq_nocase(word, approval_str("utf8"))
            && !approval_str_eq_nocase(word, approval_str("us-ascii")))
        {
            return 0;
        }
    }

    return 1;
}


static int
redact_type_is(approval_str_t type, const char *tail)
{
    size_t  len;

    len = strlen(tail);

    return type.len > len
           && approval_str_eq_nocase(redact_sub(type, type.len - len,
                                                type.len),
                                     approval_str(tail));
}


static int
redact_describe(approval_str_t content_type, size_t len, const char *why,
    approval_buf_t *out)
{
    size_t          i, n;
    unsigned char   c;
    approval_str_t  type;

    n = redact_find(content_type, 0, "; \t,");
    type = redact_sub(content_type, 0, n);

    for (i = 0; i < n; i++) {
        c = type.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9')
              || (c && strchr("/+-._", c))))
        {
            n = 0;
        }
    }

    if (n == 0 || n > TYPE_MAX_LEN) {
        type = approval_str("unknown type");
    }

    approval_buf_addc(out, '[');
    approval_buf_add(out, type.data, type.len);
    approval_buf_printf(out, ", %llu bytes, not shown%s%s]",
                        (unsigned long long) len, why ? ": " : "",
                        why ? why : "");

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/* One field a line; a name's own "=" is escaped, so the first one ends it. */

static int
redact_form(const approval_redact_t *r, approval_str_t body,
    approval_buf_t *out, const char **err)
{
    field_t  f;

    memset(&f, 0, sizeof(field_t));

    f.redact = r;
    f.out = out;

    *err = "out of memory";

    return approval_form_each(body, redact_form_field, &f, err);
}


static int
redact_form_field(void *data, approval_str_t name, approval_str_t value)
{
    field_t  *f = data;

    size_t          i, from, masked;
    approval_buf_t  text;

    f->hide = 0;
    f->hide_name = 0;

    if (redact_query_field(f, name, value) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    if (f->hide_name) {
        approval_buf_adds(f->out, APPROVAL_REDACTED "\n");
        return f->out->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    for (from = 0; from < name.len; from = i + 1) {
        i = redact_find(name, from, "=%");

        approval_escape_visible(redact_sub(name, from, i),
                                APPROVAL_VISIBLE_LINE, f->out);

        if (i < name.len) {
            approval_buf_adds(f->out, name.data[i] == '=' ? "%3D" : "%25");
        }
    }

    approval_buf_addc(f->out, '=');

    if (f->hide && approval_redact_field(f->redact, name)) {
        approval_buf_adds(f->out, APPROVAL_REDACTED);

    } else {
        approval_buf_init(&text);
        masked = 0;

        if (approval_redact_value(f->redact, value, 0, &text, &masked)
            != APPROVAL_OK)
        {
            f->out->failed = 1;
        }

        approval_escape_visible(approval_buf_str(&text),
                                APPROVAL_VISIBLE_LINE, f->out);
        approval_buf_wipe(&text);
    }

    approval_buf_addc(f->out, '\n');

    return f->out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}
