
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <string.h>

#include "desk/template.h"
#include "core/escape.h"


#define TEMPLATE_DEPTH  16


typedef struct {
    json_t                         *stack[TEMPLATE_DEPTH];
    unsigned                        depth;
    ngx_http_approval_template_pt   part;
    approval_buf_t                 *out;
} template_t;


/* One mark: what it does, and to which name. */

typedef struct {
    char                            kind;   /* 0: a value */
    approval_str_t                  name;
    const char                     *end;    /* after its "}}" */
} template_mark_t;


static int template_render(template_t *t, const char *p, const char *last);
static int template_section(template_t *t, const template_mark_t *mark,
    const char *body, const char *last);
static int template_push(template_t *t, json_t *value, const char *p,
    const char *last);
static int template_part(template_t *t, const template_mark_t *mark);
static int template_value(template_t *t, approval_str_t name);
static int template_filter(approval_str_t *name, const char *filter);
static void template_time(approval_buf_t *text);
static const char *template_mark(const char *p, const char *last,
    template_mark_t *mark);
static const char *template_pair(const char *p, const char *last, char c);
static const char *template_close(const char *p, const char *last,
    approval_str_t name, const char **end);
static json_t *template_find(template_t *t, approval_str_t name);
static int template_true(json_t *value);


int
ngx_http_approval_template(const char *text, json_t *data,
    ngx_http_approval_template_pt part, approval_buf_t *out)
{
    template_t  t;

    t.stack[0] = data;
    t.depth = 1;
    t.part = part;
    t.out = out;

    if (template_render(&t, text, text + strlen(text)) != APPROVAL_OK
        || out->failed)
    {
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
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
            approval_buf_add(t->out, p, last - p);
            return APPROVAL_OK;
        }

        approval_buf_add(t->out, p, open - p);
        p = mark.end;

        switch (mark.kind) {

        case '#':
        case '^':
            close = template_close(p, last, mark.name, &mark.end);
            if (close == NULL) {
                return APPROVAL_ERROR;
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
            return rc;
        }
    }
}


static int
template_section(template_t *t, const template_mark_t *mark, const char *body,
    const char *last)
{
    size_t   i;
    json_t  *value;

    value = template_find(t, mark->name);

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
    int                  time;
    json_t              *value;
    approval_buf_t       text, visible;
    approval_visible_e   mode;

    time = template_filter(&name, "|time");
    mode = template_filter(&name, "|text") ? APPROVAL_VISIBLE_TEXT
                                           : APPROVAL_VISIBLE_LINE;
    value = template_find(t, name);

    if (value == NULL || json_is_null(value)) {
        return APPROVAL_OK;
    }

    approval_buf_init(&text);
    approval_buf_init(&visible);

    (void) approval_json_text(value, &text);

    if (time) {
        template_time(&text);
    }

    approval_escape_visible(approval_buf_str(&text), mode, &visible);
    approval_escape_html(approval_buf_str(&visible), t->out);

    if (text.failed || visible.failed) {
        t->out->failed = 1;
    }

    approval_buf_free(&text);
    approval_buf_free(&visible);

    return t->out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
template_filter(approval_str_t *name, const char *filter)
{
    size_t  len;

    len = strlen(filter);

    if (name->len <= len
        || memcmp(name->data + name->len - len, filter, len) != 0)
    {
        return 0;
    }

    name->len -= len;

    return 1;
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
    mark->name.len = end - p;

    return open;
}


static const char *
template_pair(const char *p, const char *last, char c)
{
    while (last - p >= 2) {
        p = memchr(p, c, last - p - 1);

        if (p == NULL || p[1] == c) {
            return p;
        }

        p++;
    }

    return NULL;
}


/* The mark that ends section "name"; sections of the same name may nest. */

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
