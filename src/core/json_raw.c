
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Finds the original text of JSON values.  A parser keeps the value of "1e3",
 * but not its spelling.
 */


#include "core/json.h"

#include <string.h>


static const unsigned char *raw_space(const unsigned char *p,
    const unsigned char *last);
static const unsigned char *raw_value(const unsigned char *p,
    const unsigned char *last);
static const unsigned char *raw_string(const unsigned char *p,
    const unsigned char *last);
static int raw_named(approval_str_t quoted, const char *name);


int
approval_json_raw_element(approval_str_t *rest, approval_str_t *value)
{
    const unsigned char  *p, *last;

    last = rest->data + rest->len;
    p = raw_space(rest->data, last);

    if (p < last && (*p == '[' || *p == ',')) {
        p = raw_space(p + 1, last);
    }

    if (p == last || *p == ']') {
        return APPROVAL_DECLINED;
    }

    value->data = p;
    p = raw_value(p, last);
    value->len = (size_t) (p - value->data);

    rest->data = p;
    rest->len = (size_t) (last - p);

    return APPROVAL_OK;
}


int
approval_json_raw_member(approval_str_t object, const char *name,
    approval_str_t *value)
{
    approval_str_t        key;
    const unsigned char  *p, *last;

    last = object.data + object.len;
    p = raw_space(object.data, last);

    if (p == last || *p != '{') {
        return APPROVAL_DECLINED;
    }

    for ( ;; ) {
        p = raw_space(p + 1, last);

        if (p == last || *p != '"') {
            return APPROVAL_DECLINED;
        }

        key.data = p;
        p = raw_string(p, last);
        key.len = (size_t) (p - key.data);

        p = raw_space(p, last);

        if (p == last || *p != ':') {
            return APPROVAL_DECLINED;
        }

        p = raw_space(p + 1, last);

        value->data = p;
        p = raw_value(p, last);
        value->len = (size_t) (p - value->data);

        if (raw_named(key, name)) {
            return APPROVAL_OK;
        }

        p = raw_space(p, last);

        if (p == last || *p != ',') {
            return APPROVAL_DECLINED;
        }
    }
}


static const unsigned char *
raw_space(const unsigned char *p, const unsigned char *last)
{
    while (p < last && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) {
        p++;
    }

    return p;
}


/* Returns the end of the value that begins at p. */

static const unsigned char *
raw_value(const unsigned char *p, const unsigned char *last)
{
    unsigned  depth;

    depth = 0;

    while (p < last) {

        if (*p == '"') {
            p = raw_string(p, last);

        } else if (*p == '[' || *p == '{') {
            depth++;
            p++;
            continue;

        } else if (*p == ']' || *p == '}') {
            depth--;
            p++;

        } else if (depth) {
            p++;
            continue;

        } else {
            while (p < last && !strchr(",]} \t\r\n", *p)) {
                p++;
            }
        }

        if (depth == 0) {
            break;
        }
    }

    return p;
}


static const unsigned char *
raw_string(const unsigned char *p, const unsigned char *last)
{
    for (p++; p < last && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < last) {
            p++;
        }
    }

    return p < last ? p + 1 : p;
}


static int
raw_named(approval_str_t quoted, const char *name)
{
    int      same;
    json_t  *decoded;

    if (memchr(quoted.data, '\\', quoted.len) == NULL) {
        return quoted.len == strlen(name) + 2
               && memcmp(quoted.data + 1, name, quoted.len - 2) == 0;
    }

    decoded = json_loadb((const char *) quoted.data, quoted.len,
                         JSON_DECODE_ANY, NULL);

    same = decoded && strcmp(json_string_value(decoded), name) == 0;

    json_decref(decoded);

    return same;
}
