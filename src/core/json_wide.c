
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Integers of more than 64 bits, which jansson does not support.  Each is kept
 * as a string that begins with a NUL.  Strings that were sent cannot contain a
 * NUL.
 */


#include "core/json_internal.h"

#include <string.h>


/* No integer of so many digits is out of a double's range. */
#define JSON_WIDE_DIGITS  308


static int json_wide_mark(approval_str_t text, approval_buf_t *out,
    const char **err);
static const unsigned char *json_wide_string(const unsigned char *p,
    const unsigned char *last, const char **err);
static const unsigned char *json_wide_number(const unsigned char *p,
    const unsigned char *last, int *wide);


json_t *
approval_json_parse_wide(approval_str_t text, const char **err)
{
    json_t          *value;
    approval_buf_t   marked;

    value = approval_json_parse(text, err);

    if (value || *err != approval_json_range) {
        return value;
    }

    *err = NULL;

    approval_buf_init(&marked);

    if (json_wide_mark(text, &marked, err) == APPROVAL_OK) {
        value = approval_json_load(approval_buf_str(&marked), JSON_ALLOW_NUL,
                                   err);
    }

    approval_buf_wipe(&marked);

    return value;
}


int
approval_json_wide(json_t *value, approval_str_t *digits)
{
    const char  *text;

    text = json_string_value(value);

    if (text == NULL || json_string_length(value) == 0 || *text != '\0') {
        return 0;
    }

    digits->data = (const unsigned char *) text + 1;
    digits->len = json_string_length(value) - 1;

    return 1;
}


static int
json_wide_mark(approval_str_t text, approval_buf_t *out, const char **err)
{
    int                   wide;
    const unsigned char  *p, *end, *last;

    last = text.data + text.len;

    for (p = text.data; p < last; p = end) {
        wide = 0;

        if (*p == '"') {
            end = json_wide_string(p, last, err);

            if (end == NULL) {
                return APPROVAL_ERROR;
            }

        } else if (*p == '-' || (*p >= '0' && *p <= '9')) {
            end = json_wide_number(p, last, &wide);

        } else {
            end = p + 1;
        }

        approval_buf_adds(out, wide ? "\"\\u0000" : "");
        approval_buf_add(out, p, (size_t) (end - p));
        approval_buf_adds(out, wide ? "\"" : "");
    }

    if (out->failed) {
        *err = "out of memory";
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


/* Returns the end of the string; NULL if it contains a NUL. */

static const unsigned char *
json_wide_string(const unsigned char *p, const unsigned char *last,
    const char **err)
{
    for (p++; p < last && *p != '"'; p++) {

        if (*p != '\\') {
            continue;
        }

        if (last - p >= 6 && memcmp(p, "\\u0000", 6) == 0) {
            *err = "NUL in JSON";
            return NULL;
        }

        if (last - p > 1) {
            p++;
        }
    }

    return p < last ? p + 1 : p;
}


static const unsigned char *
json_wide_number(const unsigned char *p, const unsigned char *last, int *wide)
{
    size_t                n;
    const char           *limit;
    const unsigned char  *digits, *end;

    limit = (*p == '-') ? "9223372036854775808" : "9223372036854775807";
    digits = p + (*p == '-');

    for (end = digits; end < last && *end >= '0' && *end <= '9'; end++) {
        /* void */
    }

    n = (size_t) (end - digits);

    *wide = n && *digits != '0' && n <= JSON_WIDE_DIGITS
            && (n > strlen(limit)
                || (n == strlen(limit) && memcmp(digits, limit, n) > 0));

    if (end == last || strchr(".eE+-", *end) == NULL) {
        return end > p ? end : p + 1;
    }

    *wide = 0;

    while (end < last && strchr("0123456789.eE+-", *end)) {
        end++;
    }

    return end;
}
