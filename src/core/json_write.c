
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Writes JSON as text: canonical (RFC 8785), and for patterns.
 */


#include "core/json.h"
#include "core/escape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define JSON_DIGITS     17             /* enough for every double */

/* The module's own documents may contain a parsed one, but are not deeper. */
#define JSON_OUT_DEPTH  (2 * APPROVAL_JSON_MAX_DEPTH)

/* Up to so many members of an object are sorted on the stack. */
#define JSON_FEW        32


typedef struct {
    const char               *key;
    json_t                   *value;
} json_member_t;


static int json_write(json_t *value, unsigned depth, approval_buf_t *out);
static int json_write_array(json_t *array, unsigned depth,
    approval_buf_t *out);
static int json_write_object(json_t *object, unsigned depth,
    approval_buf_t *out);
static int json_write_member(const char *key, json_t *value,
    unsigned depth, approval_buf_t *out);
static void json_sort(json_member_t *members, size_t n);
static int json_key_cmp(const void *one, const void *two);
static int json_write_real(double d, approval_buf_t *out);
static int json_digits(double d, int len, char digits[JSON_DIGITS + 1]);
static int json_digits_up(char *digits);
static double json_digits_value(const char *digits, int n);


int
approval_json_text(json_t *value, approval_buf_t *out)
{
    approval_str_t  digits;

    if (!json_is_string(value) || approval_json_wide(value, &digits)) {
        return approval_json_canonical(value, out);
    }

    approval_buf_add(out, json_string_value(value),
                     json_string_length(value));

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


int
approval_json_canonical(json_t *value, approval_buf_t *out)
{
    return json_write(value, 0, out);
}


static int
json_write(json_t *value, unsigned depth, approval_buf_t *out)
{
    approval_str_t  s;

    if (value == NULL || depth > JSON_OUT_DEPTH) {
        return APPROVAL_ERROR;
    }

    switch (json_typeof(value)) {

    case JSON_OBJECT:
        return json_write_object(value, depth + 1, out);

    case JSON_ARRAY:
        return json_write_array(value, depth + 1, out);

    case JSON_STRING:
        if (approval_json_wide(value, &s)) {
            approval_buf_add(out, s.data, s.len);
            break;
        }

        s.data = (const unsigned char *) json_string_value(value);
        s.len = json_string_length(value);

        approval_buf_addc(out, '"');
        approval_escape_json(s, out);
        approval_buf_addc(out, '"');
        break;

    case JSON_INTEGER:
        approval_buf_addi(out, json_integer_value(value));
        break;

    case JSON_REAL:
        return json_write_real(json_real_value(value), out);

    case JSON_TRUE:
        approval_buf_adds(out, "true");
        break;

    case JSON_FALSE:
        approval_buf_adds(out, "false");
        break;

    case JSON_NULL:
        approval_buf_adds(out, "null");
        break;
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
json_write_array(json_t *array, unsigned depth, approval_buf_t *out)
{
    size_t  i, n;

    n = json_array_size(array);

    approval_buf_addc(out, '[');

    for (i = 0; i < n; i++) {
        if (i) {
            approval_buf_addc(out, ',');
        }

        if (json_write(json_array_get(array, i), depth, out) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }
    }

    approval_buf_addc(out, ']');

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
json_write_object(json_t *object, unsigned depth, approval_buf_t *out)
{
    int             rc;
    void           *iter;
    size_t          i, n;
    json_member_t  *members, few[JSON_FEW];

    n = json_object_size(object);

    if (n == 0) {
        approval_buf_adds(out, "{}");
        return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    members = (n > JSON_FEW) ? malloc(n * sizeof(json_member_t)) : few;
    if (members == NULL) {
        out->failed = 1;
        return APPROVAL_ERROR;
    }

    for (i = 0, iter = json_object_iter(object);
         i < n && iter;
         i++, iter = json_object_iter_next(object, iter))
    {
        members[i].key = json_object_iter_key(iter);
        members[i].value = json_object_iter_value(iter);
    }

    n = i;

    json_sort(members, n);

    rc = APPROVAL_OK;

    approval_buf_addc(out, '{');

    for (i = 0; i < n && rc == APPROVAL_OK; i++) {
        if (i) {
            approval_buf_addc(out, ',');
        }

        rc = json_write_member(members[i].key, members[i].value, depth, out);
    }

    approval_buf_addc(out, '}');

    if (members != few) {
        free(members);
    }

    return out->failed ? APPROVAL_ERROR : rc;
}


static int
json_write_member(const char *key, json_t *value,
    unsigned depth, approval_buf_t *out)
{
    approval_buf_addc(out, '"');
    approval_escape_json(approval_str(key), out);
    approval_buf_adds(out, "\":");

    return json_write(value, depth, out);
}


/* Insertion sort: most objects have few members, often sorted already. */

static void
json_sort(json_member_t *members, size_t n)
{
    size_t         i, j;
    json_member_t  member;

    if (n > JSON_FEW) {
        qsort(members, n, sizeof(json_member_t), json_key_cmp);
        return;
    }

    for (i = 1; i < n; i++) {
        member = members[i];

        for (j = i; j && json_key_cmp(&members[j - 1], &member) > 0; j--) {
            members[j] = members[j - 1];
        }

        members[j] = member;
    }
}


/*
 * RFC 8785 sorts by UTF-16 code units.  That is the order of UTF-8 bytes with
 * one exception: characters above U+FFFF (lead bytes from F0) are surrogates in
 * UTF-16 and sort before U+E000 to U+FFFF (lead bytes EE and EF).
 */

static int
json_key_cmp(const void *one, const void *two)
{
    const unsigned char  *a, *b;

    a = (const unsigned char *) ((const json_member_t *) one)->key;
    b = (const unsigned char *) ((const json_member_t *) two)->key;

    while (*a && *a == *b) {
        a++;
        b++;
    }

    if (*a >= 0xee && *b >= 0xee && (*a >= 0xf0) != (*b >= 0xf0)) {
        return *a >= 0xf0 ? -1 : 1;
    }

    return (int) *a - (int) *b;
}


/* ECMAScript's Number::toString, as RFC 8785 requires. */

static int
json_write_real(double d, approval_buf_t *out)
{
    int   i, k, n;
    char  digits[JSON_DIGITS + 1];

    if (!isfinite(d)) {
        return APPROVAL_ERROR;
    }

    if (d == 0) {
        approval_buf_addc(out, '0');
        return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    if (d < 0) {
        approval_buf_addc(out, '-');
        d = -d;
    }

    /*
     * A double keeps any 15 digits, so the search begins there.  Only the
     * smallest numbers keep fewer digits.
     */

    i = d < 1e-300 ? 1 : 15;

    do {
        n = json_digits(d, i, digits);
    } while (json_digits_value(digits, n) != d && ++i <= JSON_DIGITS);

    for (k = (int) strlen(digits); k > 1 && digits[k - 1] == '0'; k--) {
        digits[k - 1] = '\0';
    }

    /* the value is 0.DIGITS * 10^n */

    if (k <= n && n <= 21) {
        approval_buf_adds(out, digits);

        for (i = k; i < n; i++) {
            approval_buf_addc(out, '0');
        }

    } else if (0 < n && n <= 21) {
        approval_buf_add(out, digits, (size_t) n);
        approval_buf_addc(out, '.');
        approval_buf_adds(out, digits + n);

    } else if (-6 < n && n <= 0) {
        approval_buf_adds(out, "0.");

        for (i = n; i < 0; i++) {
            approval_buf_addc(out, '0');
        }

        approval_buf_adds(out, digits);

    } else {
        approval_buf_addc(out, (unsigned char) digits[0]);

        if (k > 1) {
            approval_buf_addc(out, '.');
            approval_buf_adds(out, digits + 1);
        }

        approval_buf_printf(out, "e%+d", n - 1);
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/*
 * Writes the first len digits of d, rounded, and returns the exponent n of
 * 0.DIGITS * 10^n.  Doubles below a power of two are closer together than those
 * above it.  There the nearest decimal may read back as another double, while
 * the next greater decimal reads back as d.
 */

static int
json_digits(double d, int len, char digits[JSON_DIGITS + 1])
{
    int          i, n, up;
    char         text[JSON_DIGITS + 16], next[JSON_DIGITS + 1];
    const char  *p;

    /* the decimal point depends on the locale, but is never a digit */

    (void) snprintf(text, sizeof(text), "%.*e", len - 1, d);

    i = 0;

    for (p = text; *p && *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9' && i < JSON_DIGITS) {
            digits[i++] = *p;
        }
    }

    digits[i] = '\0';

    n = *p ? atoi(p + 1) + 1 : 1;

    if (len < 16 || len == JSON_DIGITS || json_digits_value(digits, n) == d) {
        return n;
    }

    memcpy(next, digits, sizeof(next));
    up = json_digits_up(next);

    if (json_digits_value(next, n + up) == d) {
        memcpy(digits, next, sizeof(next));
        return n + up;
    }

    return n;
}


/* Adds one to the last digit.  Returns 1 if 99... became 10... */

static int
json_digits_up(char *digits)
{
    size_t  i;

    for (i = strlen(digits); i > 0; i--) {
        if (digits[i - 1] != '9') {
            digits[i - 1]++;
            return 0;
        }

        digits[i - 1] = '0';
    }

    digits[0] = '1';

    return 1;
}


static double
json_digits_value(const char *digits, int n)
{
    char  text[JSON_DIGITS + 16];

    /* without a decimal point the locale does not matter */

    (void) snprintf(text, sizeof(text), "%se%d", digits,
                    n - (int) strlen(digits));

    return strtod(text, NULL);
}
