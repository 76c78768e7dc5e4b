
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Removes the parts of a request that an approval is not bound to.
 */


#include "core/ignore.h"

#include <stdlib.h>
#include <string.h>


#define IGNORE_PARTS  32


typedef enum {
    IGNORE_JSON = 0,
    IGNORE_ARG,
    IGNORE_HEADER,
    IGNORE_METHOD
} ignore_e;


typedef struct {
    ignore_e                  kind;
    char                     *text;     /* as configured, owned */
    approval_str_t            name;     /* points into text     */
    approval_json_pointer_t  *pointer;
} ignore_part_t;


struct approval_ignore_s {
    size_t                    n;
    ignore_part_t             parts[IGNORE_PARTS];
};


static int ignore_parse(ignore_part_t *part, size_t len, const char **err);
static int ignore_arg(const approval_ignore_t *ignore, approval_str_t piece);
static int ignore_media(approval_str_t type);


/* Headers that say where the request goes, or how its body is read. */

static const approval_str_t  ignore_never[] = {
    approval_string("host"),
    approval_string("content_type"),
    approval_string("content_encoding"),
    approval_string("content_length"),
    approval_string("transfer_encoding")
};


approval_ignore_t *
approval_ignore_create(void)
{
    return calloc(1, sizeof(approval_ignore_t));
}


void
approval_ignore_destroy(approval_ignore_t *ignore)
{
    size_t  i;

    if (ignore == NULL) {
        return;
    }

    for (i = 0; i < ignore->n; i++) {
        approval_json_pointer_free(ignore->parts[i].pointer);
        free(ignore->parts[i].text);
    }

    free(ignore);
}


int
approval_ignore_add(approval_ignore_t *ignore, approval_str_t what,
    const char **err)
{
    size_t          i;
    ignore_part_t  *part;

    for (i = 0; i < ignore->n; i++) {
        if (approval_str_eq(approval_str(ignore->parts[i].text), what)) {
            *err = "it is listed twice";
            return APPROVAL_DECLINED;
        }
    }

    if (ignore->n == IGNORE_PARTS) {
        *err = "more than 32 parts are listed";
        return APPROVAL_ERROR;
    }

    part = &ignore->parts[ignore->n];

    memset(part, 0, sizeof(ignore_part_t));

    part->text = malloc(what.len + 1);
    if (part->text == NULL) {
        *err = "no memory";
        return APPROVAL_ERROR;
    }

    memcpy(part->text, what.data, what.len);
    part->text[what.len] = '\0';

    if (ignore_parse(part, what.len, err) != APPROVAL_OK) {
        free(part->text);
        return APPROVAL_ERROR;
    }

    ignore->n++;

    return APPROVAL_OK;
}


static int
ignore_parse(ignore_part_t *part, size_t len, const char **err)
{
    size_t  i, skip;

    if (len == 5 && strncmp(part->text, "json:", 5) == 0) {
        *err = "it is the whole body: ignore single members";
        return APPROVAL_ERROR;
    }

    if (len > 5 && strncmp(part->text, "json:", 5) == 0) {
        part->kind = IGNORE_JSON;
        skip = 5;

    } else if (len > 5 && strncmp(part->text, "$arg_", 5) == 0) {
        part->kind = IGNORE_ARG;
        skip = 5;

    } else if (len > 6 && strncmp(part->text, "$http_", 6) == 0) {
        part->kind = IGNORE_HEADER;
        skip = 6;

    } else if (strcmp(part->text, "$request_method") == 0) {
        part->kind = IGNORE_METHOD;
        skip = 1;

    } else {
        *err = "use \"json:/pointer\", \"$arg_name\", \"$http_name\" or "
               "\"$request_method\"";
        return APPROVAL_ERROR;
    }

    part->name.data = (unsigned char *) part->text + skip;
    part->name.len = len - skip;

    if (part->kind == IGNORE_JSON) {
        part->pointer = approval_json_pointer_compile(part->name, err);
        return part->pointer ? APPROVAL_OK : APPROVAL_ERROR;
    }

    if (part->kind == IGNORE_HEADER) {
        for (i = 0; i < sizeof(ignore_never) / sizeof(ignore_never[0]); i++) {
            if (approval_str_eq_nocase(part->name, ignore_never[i])) {
                *err = "it determines where the request goes or how its body "
                       "is read, and must stay bound";
                return APPROVAL_ERROR;
            }
        }
    }

    return APPROVAL_OK;
}


approval_str_t
approval_ignore_text(const approval_ignore_t *ignore, size_t n)
{
    return approval_str(n < ignore->n ? ignore->parts[n].text : "");
}


int
approval_ignore_target(const approval_ignore_t *ignore, approval_str_t target,
    approval_buf_t *out)
{
    approval_str_t        piece;
    unsigned              n;
    const unsigned char  *p, *last, *end;

    last = target.data + target.len;
    p = target.len ? memchr(target.data, '?', target.len) : NULL;

    if (p == NULL) {
        p = last;
    }

    approval_buf_add(out, target.data, (size_t) (p - target.data));

    n = 0;

    while (p < last) {
        piece.data = ++p;

        end = (p < last) ? memchr(p, '&', (size_t) (last - p)) : NULL;
        if (end == NULL) {
            end = last;
        }

        piece.len = (size_t) (end - p);
        p = end;

        if (ignore_arg(ignore, piece)) {
            continue;
        }

        approval_buf_addc(out, n++ ? '&' : '?');
        approval_buf_add(out, piece.data, piece.len);
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
ignore_arg(const approval_ignore_t *ignore, approval_str_t piece)
{
    size_t                i;
    const ignore_part_t  *part;

    if (piece.len == 0 || memchr(piece.data, ';', piece.len)) {
        return 0;
    }

    for (i = 0; i < ignore->n; i++) {
        part = &ignore->parts[i];

        if (part->kind == IGNORE_ARG
            && piece.len >= part->name.len
            && memcmp(piece.data, part->name.data, part->name.len) == 0
            && (piece.len == part->name.len
                || piece.data[part->name.len] == '='))
        {
            return 1;
        }
    }

    return 0;
}


int
approval_ignore_json(const approval_ignore_t *ignore,
    approval_str_t content_type, json_t *root)
{
    size_t    i;
    unsigned  named;

    if (!ignore_media(content_type)) {
        return APPROVAL_DECLINED;
    }

    named = 0;

    for (i = 0; i < ignore->n; i++) {
        if (ignore->parts[i].kind == IGNORE_JSON) {
            named = 1;
            (void) approval_json_pointer_remove(ignore->parts[i].pointer,
                                                root);
        }
    }

    return named ? APPROVAL_OK : APPROVAL_DECLINED;
}


/* application/json or application/...+json; parameters are ignored. */

static int
ignore_media(approval_str_t type)
{
    size_t          i;
    approval_str_t  head, tail;

    static const approval_str_t  application = approval_string("application/");
    static const approval_str_t  json = approval_string("json");
    static const approval_str_t  suffix = approval_string("+json");

    for (i = 0; i < type.len; i++) {
        if (type.data[i] == ';' || type.data[i] == ' '
            || type.data[i] == '\t')
        {
            break;
        }
    }

    type.len = i;

    if (type.len <= application.len) {
        return 0;
    }

    head.data = type.data;
    head.len = application.len;

    tail.data = type.data + application.len;
    tail.len = type.len - application.len;

    if (!approval_str_eq_nocase(head, application)) {
        return 0;
    }

    if (approval_str_eq_nocase(tail, json)) {
        return 1;
    }

    if (tail.len <= suffix.len) {
        return 0;
    }

    tail.data += tail.len - suffix.len;
    tail.len = suffix.len;

    return approval_str_eq_nocase(tail, suffix);
}
