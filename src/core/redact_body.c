
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


#define BODY_NESTING   4               /* multipart in multipart           */


/* State while the fields of a form or a query are visited in order. */

typedef struct {
    const approval_redact_t  *redact;
    approval_buf_t           *out;
    approval_buf_t            name;        /* masked, to be shown            */
    approval_buf_t            value;
    size_t                    name_masks;
    size_t                    value_masks;
    redact_says_e             pair;        /* for a field "value"            */
    unsigned                  nesting;     /* of multipart                   */
    unsigned                  lines;       /* values may have lines          */
    unsigned                  query;       /* shown undecoded                */
} fields_t;


static void redact_path(const approval_redact_t *r, approval_str_t path,
    approval_buf_t *out);
static int path_rule(approval_str_t rule, approval_str_t path,
    redact_part_t *part);
static int redact_query(const approval_redact_t *r, approval_str_t query,
    approval_buf_t *out);
static void fields_init(fields_t *f, const approval_redact_t *r,
    approval_buf_t *out);
static void fields_free(fields_t *f);
static int fields_visit(void *data, approval_str_t name,
    approval_str_t value);
static int form_visit(void *data, approval_str_t name, approval_str_t value);
static void form_field(fields_t *f, approval_str_t name);
static void form_name(approval_str_t name, approval_buf_t *out);
static int redact_typed(const approval_redact_t *r,
    approval_str_t content_type, approval_str_t body, unsigned nesting,
    approval_buf_t *out);
static int part_visit(void *data, const approval_part_t *part);
static int redact_describe(approval_str_t content_type, size_t len,
    const char *why, approval_buf_t *out);


int
approval_redact_target(const approval_redact_t *r, approval_str_t target,
    approval_buf_t *out)
{
    size_t          i, start;
    approval_str_t  query;

    i = approval_str_find(target, 0, "?#");

    redact_path(r, approval_str_sub(target, 0, i), out);

    if (i < target.len) {
        approval_buf_addc(out, target.data[i]);

        start = out->len;
        query = approval_str_sub(target, i + 1, target.len);

        if (redact_query(r, query, out) != APPROVAL_OK && !out->failed) {
            out->len = start;
            approval_redact_mask(r, query, out);
        }
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static void
redact_path(const approval_redact_t *r, approval_str_t path,
    approval_buf_t *out)
{
    size_t          i, from, masks;
    redact_part_t   part, found;
    approval_str_t  rule;

    masks = 0;

    /*
     * from left to right: segments that rules name, and the text between them
     */

    for (from = 0; from < path.len; from = found.end) {
        found.start = path.len;
        found.end = path.len;

        for (i = 0; i < r->paths.len; i += rule.len + 1) {
            rule = approval_str((const char *) r->paths.data + i);

            if (path_rule(rule, path, &part) && part.start >= from
                && part.start < found.start)
            {
                found = part;
            }
        }

        (void) redact_text(r, approval_str_sub(path, from, found.start),
                           REDACT_PATH, 0, out, &masks);

        if (found.start < found.end) {
            approval_redact_mask(r, redact_part(path, found), out);
        }
    }
}


/* The segment that the rule hides. */

static int
path_rule(approval_str_t rule, approval_str_t path, redact_part_t *part)
{
    size_t          i, k, end;
    approval_str_t  segment;

    part->end = 0;

    for (k = 0; k < rule.len; k = end) {
        end = approval_str_find(rule, ++k, "/");
        segment = approval_str_sub(rule, k, end);

        for (i = part->end; i < path.len && path.data[i] == '/'; i++) {
            /* void */
        }

        part->start = i;
        part->end = approval_str_find(path, i, "/");

        if (part->start == part->end
            || (!approval_str_eq(segment, approval_str("*"))
                && !approval_str_eq_nocase(segment,
                                           redact_part(path, *part))))
        {
            return 0;
        }
    }

    return 1;
}


static int
redact_query(const approval_redact_t *r, approval_str_t query,
    approval_buf_t *out)
{
    int              rc;
    size_t           i, end, name;
    fields_t         f;
    const char      *err;
    approval_str_t   part;

    fields_init(&f, r, out);
    f.query = 1;

    rc = APPROVAL_OK;

    /*
     * split at more separators than any server does, so that none hides a
     * secret
     */

    for (i = 0; i < query.len && rc == APPROVAL_OK; i = end) {

        end = approval_str_find(query, i, "&;?#");

        if (end == i) {
            approval_buf_addc(out, query.data[end++]);
            continue;
        }

        part = approval_str_sub(query, i, end);
        name = approval_str_find(part, 0, "=");

        rc = approval_form_each(part, fields_visit, &f, &err);

        if (f.name_masks) {
            approval_redact_mask(r, part, out);

        } else if (f.value_masks && name < part.len) {
            approval_buf_add(out, part.data, name + 1);
            approval_buf_add(out, f.value.data, f.value.len);

        } else {
            approval_buf_add(out, part.data, part.len);
        }
    }

    fields_free(&f);

    return out->failed ? APPROVAL_ERROR : rc;
}


static void
fields_init(fields_t *f, const approval_redact_t *r, approval_buf_t *out)
{
    memset(f, 0, sizeof(fields_t));

    f->redact = r;
    f->out = out;

    approval_buf_init(&f->name);
    approval_buf_init(&f->value);
}


static void
fields_free(fields_t *f)
{
    approval_buf_wipe(&f->name);
    approval_buf_wipe(&f->value);
}


static int
fields_visit(void *data, approval_str_t name, approval_str_t value)
{
    fields_t *f = data;

    unsigned       roles;
    redact_says_e  says;

    approval_buf_reset(&f->name);
    approval_buf_reset(&f->value);

    f->name_masks = 0;
    f->value_masks = 0;

    says = redact_name(f->redact, name, 0, &roles);

    /* name=password&value=... */

    if (says == REDACT_OPEN && (roles & redact_role(NAME_VALUE))) {
        says = f->pair;
        f->pair = REDACT_OPEN;
    }

    if (roles & redact_role(NAME_NAMING)) {
        f->pair = redact_name(f->redact, value, 0, NULL);
    }

    if (redact_value(f->redact, REDACT_OPEN, name, 0, &f->name,
                     &f->name_masks)
        != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    if (redact_value(f->redact, says, value, 0, &f->value, &f->value_masks)
        != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    /*
     * if shown decoded, a value could be mistaken for further parts of the
     * query
     */

    if (f->query && f->value_masks) {
        approval_buf_reset(&f->value);
        approval_redact_mask(f->redact, value, &f->value);
    }

    return APPROVAL_OK;
}


/*
 * One field per line.  A "=" in a name is escaped, so the first "=" ends the
 * name.
 */

static int
form_visit(void *data, approval_str_t name, approval_str_t value)
{
    fields_t *f = data;

    if (fields_visit(f, name, value) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    form_field(f, name);

    return f->out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static void
form_field(fields_t *f, approval_str_t name)
{
    if (f->name_masks) {
        approval_redact_mask(f->redact, name, f->out);

    } else {
        form_name(name, f->out);
    }

    approval_buf_addc(f->out, '=');
    approval_escape_visible(approval_buf_str(&f->value),
                            f->lines ? APPROVAL_VISIBLE_TEXT
                                     : APPROVAL_VISIBLE_LINE, f->out);
    approval_buf_addc(f->out, '\n');
}


static void
form_name(approval_str_t name, approval_buf_t *out)
{
    size_t  i, from;

    for (from = 0; from < name.len; from = i + 1) {
        i = approval_str_find(name, from, "=%");

        approval_escape_visible(approval_str_sub(name, from, i),
                                APPROVAL_VISIBLE_LINE, out);

        if (i < name.len) {
            approval_buf_adds(out, name.data[i] == '=' ? "%3D" : "%25");
        }
    }
}


int
approval_redact_text(const approval_redact_t *r, approval_str_t text,
    approval_buf_t *out)
{
    size_t  masks;

    masks = 0;

    return redact_value(r, REDACT_OPEN, text, 0, out, &masks);
}


/*
 * A secret header is scanned as a line, so that its harmless parts stay
 * visible.
 */

int
approval_redact_named(const approval_redact_t *r, approval_str_t name,
    approval_str_t value, approval_buf_t *out)
{
    size_t          masks, skip;
    redact_says_e   says;
    approval_buf_t  line, shown;

    masks = 0;
    skip = name.len + 2;
    says = redact_name(r, name, 0, NULL);

    approval_buf_init(&line);
    approval_buf_init(&shown);

    if (says == REDACT_SECRET) {
        approval_buf_add(&line, name.data, name.len);
        approval_buf_adds(&line, ": ");
        approval_buf_add(&line, value.data, value.len);

        out->failed |= redact_text(r, approval_buf_str(&line), REDACT_TEXT, 0,
                                   &shown, &masks) != APPROVAL_OK;
    }

    if (masks && shown.len > skip && shown.data[shown.len - 1] == ']') {
        approval_buf_add(out, shown.data + skip, shown.len - skip);

    } else {
        (void) redact_value(r, says, value, 0, out, &masks);
    }

    approval_buf_wipe(&line);
    approval_buf_free(&shown);

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


int
approval_redact_body(const approval_redact_t *r, approval_str_t content_type,
    approval_str_t body, approval_buf_t *out)
{
    return redact_typed(r, content_type, body, 0, out);
}


static int
redact_typed(const approval_redact_t *r, approval_str_t content_type,
    approval_str_t body, unsigned nesting, approval_buf_t *out)
{
    int          rc;
    size_t       start, masks;
    approval_media_e  type;
    json_t      *json;
    fields_t     f;
    const char  *err;

    if (body.len == 0) {
        return APPROVAL_OK;
    }

    type = approval_media(content_type);
    start = out->len;
    json = NULL;
    err = NULL;

    /* a form or text may really be JSON, and an upstream may read it as JSON */

    if (type == APPROVAL_MEDIA_JSON
        || (type < APPROVAL_MEDIA_PARTS && redact_looks_json(body)))
    {
        json = approval_json_parse_wide(body, &err);

        if (json == NULL && type <= APPROVAL_MEDIA_FORM) {
            return redact_describe(content_type, body.len, err, out);
        }
    }

    if (json) {
        rc = approval_redact_json(r, json);

        if (rc == APPROVAL_OK) {
            rc = approval_json_pretty(json, out);
        }

        json_decref(json);

    } else if (type == APPROVAL_MEDIA_FORM || type == APPROVAL_MEDIA_PARTS) {
        fields_init(&f, r, out);
        f.nesting = nesting;
        f.lines = type == APPROVAL_MEDIA_PARTS;

        err = "out of memory";

        rc = type == APPROVAL_MEDIA_FORM
             ? approval_form_each(body, form_visit, &f, &err)
             : nesting < BODY_NESTING
               ? approval_parts_each(content_type, body, part_visit, &f)
               : APPROVAL_ERROR;

        fields_free(&f);

        if (rc != APPROVAL_OK && !out->failed) {
            out->len = start;
            return redact_describe(content_type, body.len,
                                   type == APPROVAL_MEDIA_FORM ? err : NULL, out);
        }

    } else if (type == APPROVAL_MEDIA_OTHER) {
        return redact_describe(content_type, body.len, NULL, out);

    } else if (!approval_utf8_valid(body)
               || memchr(body.data, '\0', body.len))
    {
        return redact_describe(content_type, body.len, "not UTF-8 text", out);

    } else {
        masks = 0;
        rc = redact_text(r, body, type == APPROVAL_MEDIA_CSV ? REDACT_CSV
                                                             : REDACT_TEXT,
                         0, out, &masks);
    }

    if (rc != APPROVAL_OK) {
        out->len = start;
    }

    return out->failed ? APPROVAL_ERROR : rc;
}


/* A field of a multipart form; a file, or a field with a type, by its type. */

static int
part_visit(void *data, const approval_part_t *part)
{
    fields_t *f = data;

    if (fields_visit(f, part->name, part->file.len || part->type.len
                                    ? part->type : part->body)
        != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    if (part->file.len == 0 && part->type.len == 0) {
        form_field(f, part->name);
        return APPROVAL_OK;
    }

    approval_buf_reset(&f->value);

    if (redact_secret(f->redact, redact_name(f->redact, part->name, 0, NULL),
                      part->body))
    {
        approval_redact_mask(f->redact, part->body, &f->value);

    } else if (redact_typed(f->redact, part->type, part->body, f->nesting + 1,
                            &f->value)
               != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    form_field(f, part->name);

    return APPROVAL_OK;
}


static int
redact_describe(approval_str_t content_type, size_t len, const char *why,
    approval_buf_t *out)
{
    approval_str_t  type;

    type = approval_media_type(content_type);

    approval_buf_printf(out, "[%.*s, %llu bytes, not shown%s%s]",
                        (int) type.len, (const char *) type.data,
                        (unsigned long long) len, why ? ": " : "",
                        why ? why : "");

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}
