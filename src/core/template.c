
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/template.h"

#include "core/message.h"

#include <string.h>


#define TEMPLATE_DEPTH  16
#define TEMPLATE_LEAST  64
#define TEMPLATE_MOST   65536


/* check: each section is entered once, and all names must exist. */

typedef struct {
    json_t                *stack[TEMPLATE_DEPTH];
    unsigned               depth;
    approval_escape_pt     escape;
    approval_template_pt   part;
    approval_buf_t        *out;
    int                    check;
    approval_str_t         bad;
} template_t;


/* One mark: its kind and its name. */

typedef struct {
    char                   kind;            /* 0: a value */
    approval_str_t         name;
    const char            *end;             /* after its "}}" */
} template_mark_t;


/* What happens to a value before it is escaped. */

typedef struct {
    approval_visible_e     mode;
    size_t                 max;             /* 0: all of it */
    int                    quote;
    int                    time;
    approval_escape_pt     inner;           /* before the format's */
} template_filter_t;


static int template_render(template_t *t, const char *p, const char *last);
static int template_bad(template_t *t, approval_str_t name);
static int template_section(template_t *t, const template_mark_t *mark,
    const char *body, const char *last);
static int template_push(template_t *t, json_t *value, const char *p,
    const char *last);
static int template_part(template_t *t, const template_mark_t *mark);
static int template_value(template_t *t, approval_str_t name);
static void template_add(template_t *t, approval_str_t text,
    const template_filter_t *filter);
static int template_filters(approval_str_t *name, template_filter_t *filter);
static int template_filter(approval_str_t name, template_filter_t *filter);
static void template_code(approval_str_t s, approval_buf_t *out);
static int template_max(approval_str_t name, size_t *max);
static void template_time(approval_buf_t *text);
static const char *template_mark(const char *p, const char *last,
    template_mark_t *mark);
static const char *template_pair(const char *p, const char *last, char c);
static const char *template_close(const char *p, const char *last,
    approval_str_t name, const char **end);
static json_t *template_find(template_t *t, approval_str_t name);
static int template_known(approval_str_t name, json_t *value);
static int template_true(json_t *value);


int
approval_template(const char *text, json_t *data, approval_escape_pt escape,
    approval_template_pt part, approval_buf_t *out)
{
    template_t  t;

    memset(&t, 0, sizeof(template_t));

    t.stack[0] = data;
    t.depth = 1;
    t.escape = escape;
    t.part = part;
    t.out = out;

    if (template_render(&t, text, text + strlen(text)) != APPROVAL_OK
        || out->failed)
    {
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


int
approval_template_check(const char *text, json_t *data, approval_str_t *mark)
{
    int             rc;
    template_t      t;
    approval_buf_t  out;

    memset(&t, 0, sizeof(template_t));
    approval_buf_init(&out);

    t.stack[0] = data;
    t.depth = 1;
    t.escape = approval_escape_none;
    t.out = &out;
    t.check = 1;

    rc = template_render(&t, text, text + strlen(text));

    if (rc != APPROVAL_OK && !out.failed) {
        *mark = t.bad;
        rc = APPROVAL_DECLINED;
    }

    approval_buf_free(&out);

    return rc;
}


static int
template_render(template_t *t, const char *p, const char *last)
{
    int               rc;
    const char       *open, *close;
    template_mark_t   mark;

    for ( ;; ) {
        open = template_mark(p, last, &mark);

        if (open == NULL) {
            approval_buf_add(t->out, p, (size_t) (last - p));
            return APPROVAL_OK;
        }

        approval_buf_add(t->out, p, (size_t) (open - p));
        p = mark.end;

        switch (mark.kind) {

        case '#':
        case '^':
            close = template_close(p, last, mark.name, &mark.end);
            if (close == NULL) {
                return template_bad(t, mark.name);
            }

            rc = template_section(t, &mark, p, close);
            p = mark.end;
            break;

        case '>':
            rc = template_part(t, &mark);
            break;

        case '/':
            rc = APPROVAL_ERROR;
            break;

        default:
            rc = template_value(t, mark.name);
        }

        if (rc != APPROVAL_OK) {
            return template_bad(t, mark.name);
        }
    }
}


/* The innermost wrong mark, which is reported first. */

static int
template_bad(template_t *t, approval_str_t name)
{
    if (t->bad.data == NULL) {
        t->bad = name;
    }

    return APPROVAL_ERROR;
}


static int
template_section(template_t *t, const template_mark_t *mark, const char *body,
    const char *last)
{
    size_t   i;
    json_t  *value;

    value = template_find(t, mark->name);

    if (t->check) {
        return template_known(mark->name, value)
               ? template_push(t, json_is_array(value)
                                  ? json_array_get(value, 0) : value,
                               body, last)
               : APPROVAL_ERROR;
    }

    if (mark->kind == '^') {
        return template_true(value) ? APPROVAL_OK
                                    : template_render(t, body, last);
    }

    if (!template_true(value)) {
        return APPROVAL_OK;
    }

    if (!json_is_array(value)) {
        return template_push(t, value, body, last);
    }

    for (i = 0; i < json_array_size(value); i++) {
        if (template_push(t, json_array_get(value, i), body, last)
            != APPROVAL_OK)
        {
            return APPROVAL_ERROR;
        }
    }

    return APPROVAL_OK;
}


static int
template_push(template_t *t, json_t *value, const char *p, const char *last)
{
    int  rc;

    if (t->depth == TEMPLATE_DEPTH) {
        return APPROVAL_ERROR;
    }

    t->stack[t->depth++] = value;
    rc = template_render(t, p, last);
    t->depth--;

    return rc;
}


static int
template_part(template_t *t, const template_mark_t *mark)
{
    const char  *text;

    text = t->part ? t->part(mark->name) : NULL;

    if (text == NULL) {
        return APPROVAL_ERROR;
    }

    return template_push(t, json_null(), text, text + strlen(text));
}


static int
template_value(template_t *t, approval_str_t name)
{
    json_t             *value;
    approval_buf_t      text;
    template_filter_t   filter;

    if (template_filters(&name, &filter) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    value = template_find(t, name);

    if (t->check && !template_known(name, value)) {
        return APPROVAL_ERROR;
    }

    if (value == NULL || json_is_null(value)) {
        return APPROVAL_OK;
    }

    approval_buf_init(&text);

    (void) approval_json_text(value, &text);

    if (filter.time) {
        template_time(&text);
    }

    template_add(t, approval_buf_str(&text), &filter);

    if (text.failed) {
        t->out->failed = 1;
    }

    approval_buf_free(&text);

    return t->out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/*
 * Makes text visible, applies the filter, cuts it to what fits, and escapes
 * it.
 */

static void
template_add(template_t *t, approval_str_t text,
    const template_filter_t *filter)
{
    size_t          i, start;
    approval_buf_t  seen, quoted;

    approval_buf_init(&seen);
    approval_buf_init(&quoted);

    if (filter->max) {
        approval_message_fit(text, filter->mode, filter->inner, filter->max, 0,
                             &seen);

    } else {
        approval_escape_visible(text, filter->mode, &quoted);
        filter->inner(approval_buf_str(&quoted), &seen);
        approval_buf_reset(&quoted);
    }

    for (i = 0, start = 0; filter->quote && i < seen.len; i++) {
        if (seen.data[i] == '\n') {
            approval_buf_add(&quoted, seen.data + start, i + 1 - start);
            approval_buf_adds(&quoted, "> ");
            start = i + 1;
        }
    }

    if (start) {
        approval_buf_add(&quoted, seen.data + start, seen.len - start);
    }

    t->escape(approval_buf_str(start ? &quoted : &seen), t->out);

    if (seen.failed || quoted.failed) {
        t->out->failed = 1;
    }

    approval_buf_free(&seen);
    approval_buf_free(&quoted);
}


static int
template_filters(approval_str_t *name, template_filter_t *filter)
{
    approval_str_t        part;
    const unsigned char  *p, *last;

    memset(filter, 0, sizeof(template_filter_t));
    filter->mode = APPROVAL_VISIBLE_LINE;
    filter->inner = approval_escape_none;

    last = name->data + name->len;
    p = memchr(name->data, '|', name->len);

    if (p == NULL) {
        return APPROVAL_OK;
    }

    name->len = (size_t) (p - name->data);

    while (p) {
        part.data = p + 1;
        p = memchr(part.data, '|', (size_t) (last - part.data));
        part.len = (size_t) ((p ? p : last) - part.data);

        if (template_filter(part, filter) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }
    }

    return APPROVAL_OK;
}


static int
template_filter(approval_str_t name, template_filter_t *filter)
{
    if (approval_str_eq(name, approval_str("text"))) {
        filter->mode = APPROVAL_VISIBLE_TEXT;

    } else if (approval_str_eq(name, approval_str("quote"))) {
        filter->mode = APPROVAL_VISIBLE_TEXT;
        filter->quote = 1;

    } else if (approval_str_eq(name, approval_str("time"))) {
        filter->time = 1;

    } else if (approval_str_eq(name, approval_str("markdown"))) {
        filter->inner = approval_escape_markdown;

    } else if (approval_str_eq(name, approval_str("code"))) {
        filter->inner = template_code;

    } else if (approval_str_eq(name, approval_str("slack"))) {
        filter->inner = approval_escape_slack;

    } else {
        return template_max(name, &filter->max);
    }

    return APPROVAL_OK;
}


static void
template_code(approval_str_t s, approval_buf_t *out)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        approval_buf_addc(out, s.data[i] == '`' ? '\'' : s.data[i]);
    }
}


static int
template_max(approval_str_t name, size_t *max)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < name.len; i++) {
        if (name.data[i] < '0' || name.data[i] > '9' || n > TEMPLATE_MOST) {
            return APPROVAL_ERROR;
        }

        n = n * 10 + (size_t) (name.data[i] - '0');
    }

    if (n < TEMPLATE_LEAST || n > TEMPLATE_MOST) {
        return APPROVAL_ERROR;
    }

    *max = n;

    return APPROVAL_OK;
}


/* "2026-11-21T03:30:57.735Z" for people: "2026-11-21 03:30:57 UTC" */

static void
template_time(approval_buf_t *text)
{
    if (text->failed || text->len != APPROVAL_TIME_LEN
        || text->data[10] != 'T' || text->data[APPROVAL_TIME_LEN - 1] != 'Z')
    {
        return;
    }

    text->data[10] = ' ';
    text->len = sizeof("2026-11-21 03:30:57") - 1;

    approval_buf_adds(text, " UTC");
}


static const char *
template_mark(const char *p, const char *last, template_mark_t *mark)
{
    const char  *open, *end;

    open = template_pair(p, last, '{');
    if (open == NULL) {
        return NULL;
    }

    end = template_pair(open, last, '}');
    if (end == NULL || end == open + 2) {
        return NULL;
    }

    p = open + 2;

    mark->kind = 0;
    mark->end = end + 2;

    if (strchr("#^/>", *p)) {
        mark->kind = *p++;
    }

    mark->name.data = (const unsigned char *) p;
    mark->name.len = (size_t) (end - p);

    return open;
}


static const char *
template_pair(const char *p, const char *last, char c)
{
    while (last - p >= 2) {
        p = memchr(p, c, (size_t) (last - p - 1));

        if (p == NULL || p[1] == c) {
            return p;
        }

        p++;
    }

    return NULL;
}


/*
 * The mark that ends section "name"; sections of the same name may be nested.
 */

static const char *
template_close(const char *p, const char *last, approval_str_t name,
    const char **end)
{
    unsigned          depth;
    const char       *open;
    template_mark_t   mark;

    depth = 1;

    for ( ;; ) {
        open = template_mark(p, last, &mark);

        if (open == NULL) {
            return NULL;
        }

        p = mark.end;

        if (!approval_str_eq(mark.name, name)) {
            continue;
        }

        if (mark.kind == '#' || mark.kind == '^') {
            depth++;

        } else if (mark.kind == '/' && --depth == 0) {
            *end = mark.end;
            return open;
        }
    }
}


static json_t *
template_find(template_t *t, approval_str_t name)
{
    char       key[64];
    json_t    *value;
    unsigned   i;

    if (name.len >= sizeof(key)) {
        return NULL;
    }

    memcpy(key, name.data, name.len);
    key[name.len] = '\0';

    if (strcmp(key, ".") == 0) {
        return t->stack[t->depth - 1];
    }

    for (i = t->depth; i-- > 0; /* void */) {
        value = json_object_get(t->stack[i], key);

        if (value) {
            return value;
        }
    }

    return NULL;
}


/* The names of values that rules show or match come from the configuration. */

static int
template_known(approval_str_t name, json_t *value)
{
    return value
           || (name.len > 5 && memcmp(name.data, "show.", 5) == 0)
           || (name.len > 8 && memcmp(name.data, "matched.", 8) == 0);
}


static int
template_true(json_t *value)
{
    if (value == NULL) {
        return 0;
    }

    switch (json_typeof(value)) {

    case JSON_ARRAY:
        return json_array_size(value) != 0;

    case JSON_STRING:
        return json_string_length(value) != 0;

    case JSON_INTEGER:
        return json_integer_value(value) != 0;

    case JSON_OBJECT:
    case JSON_TRUE:
        return 1;

    default:
        return 0;
    }
}
