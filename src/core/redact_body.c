
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Masks secrets in targets and bodies.
 */


#include "core/redact_internal.h"
#include "core/escape.h"
#include "core/form.h"
#include "core/media.h"

#include <string.h>


/* State while the fields of a form or a query are visited in order. */

typedef struct {
    redact_writer_t           w;
    const approval_part_t    *part;
    size_t                    name_masks;
    size_t                    value;       /* where it is written            */
    unsigned                  query;
    redact_says_e             pair;        /* for a field "value"            */
} fields_t;


static void redact_path(redact_writer_t *w, approval_str_t path);
static int path_rule(approval_str_t rule, approval_str_t path,
    approval_str_t *part);
static int redact_query(redact_writer_t *w, approval_str_t query);
static int fields_visit(void *data, approval_str_t name,
    approval_str_t value);
static int part_visit(void *data, const approval_part_t *part);
static void part_typed(redact_writer_t *w, const approval_part_t *part);
static void escape_name(approval_str_t name, approval_buf_t *out);
static void escape_line(approval_str_t text, approval_buf_t *out);
static void escape_lines(approval_str_t text, approval_buf_t *out);
static void redact_typed(redact_writer_t *w, approval_str_t content_type,
    approval_str_t body);
static void redact_fields(redact_writer_t *w, approval_str_t content_type,
    approval_str_t body, approval_media_e type);
static void redact_describe(redact_writer_t *w, approval_str_t content_type,
    size_t len, const char *why);


int
approval_redact_target(const approval_redact_t *r, approval_str_t target,
    approval_buf_t *out)
{
    size_t           i, start;
    approval_str_t   query;
    redact_writer_t  w = {
        .redact = r, .out = out, .escape = approval_escape_none
    };

    i = approval_str_find(target, 0, "?#");

    redact_path(&w, approval_str_sub(target, 0, i));

    if (i < target.len) {
        approval_buf_addc(out, target.data[i]);

        start = out->len;
        query = approval_str_sub(target, i + 1, target.len);

        if (redact_query(&w, query) != APPROVAL_OK && !out->failed) {
            out->len = start;
            redact_mask(&w, query);
        }
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/*
 * From left to right: segments that rules name, and the text between them.
 */

static void
redact_path(redact_writer_t *w, approval_str_t path)
{
    size_t                 i, from, start;
    approval_str_t         rule, part, found;
    const approval_buf_t  *rules;

    rules = &w->redact->paths;

    for (from = 0; from < path.len; from = start + found.len) {
        found = approval_str_sub(path, path.len, path.len);

        for (i = 0; i < rules->len; i += rule.len + 1) {
            rule = approval_str((const char *) rules->data + i);

            if (path_rule(rule, path, &part) && part.data >= path.data + from
                && part.data < found.data)
            {
                found = part;
            }
        }

        start = (size_t) (found.data - path.data);

        redact_text(w, approval_str_sub(path, from, start), REDACT_PATH);

        if (found.len) {
            redact_mask(w, found);
        }
    }
}


/* The segment that the rule hides. */

static int
path_rule(approval_str_t rule, approval_str_t path, approval_str_t *part)
{
    size_t          i, k, end, next;
    approval_str_t  segment;

    for (k = 0, i = 0; k < rule.len; k = end, i = next) {
        end = approval_str_find(rule, ++k, "/");
        segment = approval_str_sub(rule, k, end);

        while (i < path.len && path.data[i] == '/') {
            i++;
        }

        next = approval_str_find(path, i, "/");
        *part = approval_str_sub(path, i, next);

        if (part->len == 0
            || (!approval_str_eq(segment, approval_str("*"))
                && !approval_str_eq_nocase(segment, *part)))
        {
            return 0;
        }
    }

    return 1;
}


static int
redact_query(redact_writer_t *w, approval_str_t query)
{
    int              rc;
    size_t           i, end, name;
    fields_t         f;
    const char      *err;
    approval_buf_t   shown;
    approval_str_t   part;

    approval_buf_init(&shown);

    memset(&f, 0, sizeof(fields_t));
    f.w = *w;
    f.w.out = &shown;
    f.query = 1;

    rc = APPROVAL_OK;

    /*
     * Split at more separators than any server does, so that none hides a
     * secret.
     */

    for (i = 0; i < query.len; i = end) {

        end = approval_str_find(query, i, "&;?#");

        if (end == i) {
            approval_buf_addc(w->out, query.data[end++]);
            continue;
        }

        part = approval_str_sub(query, i, end);
        name = approval_str_find(part, 0, "=");

        approval_buf_reset(&shown);

        rc = approval_form_each(part, fields_visit, &f, &err);

        if (rc != APPROVAL_OK) {
            break;
        }

        if (f.name_masks) {
            redact_mask(w, part);

        } else if (f.w.masks) {
            approval_buf_add(w->out, part.data, name + (name < part.len));
            approval_buf_add(w->out, shown.data + f.value,
                             shown.len - f.value);

        } else {
            approval_buf_add(w->out, part.data, part.len);
        }
    }

    approval_buf_wipe(&shown);

    return w->out->failed || shown.failed ? APPROVAL_ERROR : rc;
}


/* One field per line.  The first "=" ends the name. */

static int
fields_visit(void *data, approval_str_t name, approval_str_t value)
{
    fields_t *f = data;

    size_t          start;
    unsigned        roles;
    redact_says_e   says;

    says = redact_name(f->w.redact, name, 0, &roles);

    /* name=password&value=... */

    if (says == REDACT_OPEN && (roles & redact_role(NAME_VALUE))) {
        says = f->pair;
        f->pair = REDACT_OPEN;
    }

    if (roles & redact_role(NAME_NAMING)) {
        f->pair = redact_name(f->w.redact, value, 0, NULL);
    }

    start = f->w.out->len;

    f->w.masks = 0;
    f->w.escape = escape_name;

    redact_value(&f->w, REDACT_OPEN, name);

    f->name_masks = f->w.masks;

    if (f->name_masks) {
        f->w.out->len = start;
        redact_mask(&f->w, name);
    }

    approval_buf_addc(f->w.out, '=');

    f->value = f->w.out->len;
    f->w.masks = 0;
    f->w.escape = f->part ? escape_lines : escape_line;

    if (f->part && (f->part->file.len || f->part->type.len)
        && !redact_secret(f->w.redact, says, value))
    {
        part_typed(&f->w, f->part);

    } else {
        redact_value(&f->w, says, value);
    }

    if (!f->query) {
        approval_buf_addc(f->w.out, '\n');

    } else if (f->w.masks) {

        /* a decoded value could be mistaken for more of the query */

        f->w.out->len = f->value;
        redact_mask(&f->w, value);
    }

    return f->w.out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
part_visit(void *data, const approval_part_t *part)
{
    fields_t *f = data;

    f->part = part;

    return fields_visit(f, part->name, part->body);
}


static void
part_typed(redact_writer_t *w, const approval_part_t *part)
{
    approval_buf_t   shown;
    redact_writer_t  typed;

    approval_buf_init(&shown);

    typed = *w;
    typed.out = &shown;
    typed.escape = approval_escape_none;

    redact_typed(&typed, part->type, part->body);

    w->escape(approval_buf_str(&shown), w->out);
    w->out->failed |= shown.failed;

    approval_buf_wipe(&shown);
}


static void
escape_name(approval_str_t name, approval_buf_t *out)
{
    size_t  i, from;

    for (from = 0; from < name.len; from = i + 1) {
        i = approval_str_find(name, from, "=%");

        escape_line(approval_str_sub(name, from, i), out);

        if (i < name.len) {
            approval_buf_adds(out, name.data[i] == '=' ? "%3D" : "%25");
        }
    }
}


static void
escape_line(approval_str_t text, approval_buf_t *out)
{
    approval_escape_visible(text, APPROVAL_VISIBLE_LINE, out);
}


static void
escape_lines(approval_str_t text, approval_buf_t *out)
{
    approval_escape_visible(text, APPROVAL_VISIBLE_TEXT, out);
}


int
approval_redact_text(const approval_redact_t *r, approval_str_t text,
    approval_buf_t *out)
{
    redact_writer_t  w = {
        .redact = r, .out = out, .escape = approval_escape_none
    };

    redact_value(&w, REDACT_OPEN, text);

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/*
 * A secret header is scanned as a line, so that its harmless parts stay
 * visible.
 */

int
approval_redact_named(const approval_redact_t *r, approval_str_t name,
    approval_str_t value, approval_buf_t *out)
{
    size_t           skip;
    redact_says_e    says;
    approval_buf_t   line, shown;
    redact_writer_t  w = {
        .redact = r, .out = &shown, .escape = approval_escape_none
    };

    skip = name.len + 2;
    says = redact_name(r, name, 0, NULL);

    approval_buf_init(&line);
    approval_buf_init(&shown);

    if (says == REDACT_SECRET) {
        approval_buf_add(&line, name.data, name.len);
        approval_buf_adds(&line, ": ");
        approval_buf_add(&line, value.data, value.len);

        redact_text(&w, approval_buf_str(&line), REDACT_TEXT);
        out->failed |= line.failed | shown.failed;
    }

    if (w.masks && shown.len > skip && shown.data[shown.len - 1] == ']') {
        approval_buf_add(out, shown.data + skip, shown.len - skip);

    } else {
        w.out = out;
        redact_value(&w, says, value);
    }

    approval_buf_wipe(&line);
    approval_buf_free(&shown);

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


int
approval_redact_body(const approval_redact_t *r, approval_str_t content_type,
    approval_str_t body, approval_buf_t *out)
{
    size_t           start;
    redact_writer_t  w = {
        .redact = r, .out = out, .escape = approval_escape_none
    };

    start = out->len;

    redact_typed(&w, content_type, body);

    if (out->failed) {
        out->len = start;
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


static void
redact_typed(redact_writer_t *w, approval_str_t content_type,
    approval_str_t body)
{
    const char        *err;
    approval_media_e   type;

    if (body.len == 0) {
        return;
    }

    type = approval_media(content_type);

    /* a form or text may really be JSON, and an upstream may read it as JSON */

    if (type == APPROVAL_MEDIA_JSON
        || (type < APPROVAL_MEDIA_PARTS && redact_looks_json(body)))
    {
        if (redact_json(w, body, 1, &err) == APPROVAL_OK) {
            return;
        }

        if (type <= APPROVAL_MEDIA_FORM) {
            redact_describe(w, content_type, body.len, err);
            return;
        }
    }

    if (type == APPROVAL_MEDIA_FORM || type == APPROVAL_MEDIA_PARTS) {
        redact_fields(w, content_type, body, type);

    } else if (type == APPROVAL_MEDIA_OTHER) {
        redact_describe(w, content_type, body.len, NULL);

    } else if (!approval_utf8_valid(body)
               || memchr(body.data, '\0', body.len))
    {
        redact_describe(w, content_type, body.len, "not UTF-8 text");

    } else {
        redact_text(w, body, type == APPROVAL_MEDIA_CSV ? REDACT_CSV
                                                        : REDACT_TEXT);
    }
}


static void
redact_fields(redact_writer_t *w, approval_str_t content_type,
    approval_str_t body, approval_media_e type)
{
    int          rc;
    size_t       start;
    fields_t     f;
    const char  *err;

    memset(&f, 0, sizeof(fields_t));

    f.w = *w;

    err = NULL;
    start = w->out->len;

    if (type == APPROVAL_MEDIA_FORM) {
        rc = approval_form_each(body, fields_visit, &f, &err);

    } else {
        rc = f.w.nesting++ < REDACT_NESTING
             ? approval_parts_each(content_type, body, part_visit, &f)
             : APPROVAL_ERROR;
    }

    if (rc != APPROVAL_OK) {
        w->out->len = start;
        redact_describe(w, content_type, body.len, err);
    }
}


static void
redact_describe(redact_writer_t *w, approval_str_t content_type, size_t len,
    const char *why)
{
    approval_str_t  type;

    type = approval_media_type(content_type);

    approval_buf_printf(w->out, "[%.*s, %llu bytes, not shown%s%s]",
                        (int) type.len, (const char *) type.data,
                        (unsigned long long) len, why ? ": " : "",
                        why ? why : "");
}
