
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Decimal numbers compared digit by digit: independent of the locale, without
 * rounding, and in linear time whatever the exponent.
 */


#include "core/match_internal.h"

#include <string.h>


/* Far beyond any number of digits in a body, far below overflow. */
#define APPROVAL_NUMBER_EXPONENT_MAX  ((int64_t) 1 << 50)


static const unsigned char *approval_number_digits(const unsigned char *p,
    const unsigned char *last);
static const unsigned char *approval_number_exponent(const unsigned char *p,
    const unsigned char *last, int64_t *exponent);
static int approval_number_cmp_digits(const approval_number_t *a,
    const approval_number_t *b);


int
approval_match_number(approval_str_t s, approval_number_t *n)
{
    int64_t               exponent;
    const unsigned char  *p, *last, *whole, *point, *end;

    if (s.len == 0) {
        return APPROVAL_DECLINED;
    }

    p = s.data;
    last = s.data + s.len;
    n->sign = 1;

    if (*p == '-') {
        n->sign = -1;
        p++;
    }

    whole = p;
    p = approval_number_digits(p, last);

    if (p == whole || (*whole == '0' && p - whole > 1)) {
        return APPROVAL_DECLINED;
    }

    point = p;

    if (p < last && *p == '.') {
        end = approval_number_digits(p + 1, last);

        if (end == p + 1) {
            return APPROVAL_DECLINED;
        }

        p = end;
    }

    end = p;
    exponent = 0;

    if (p < last && (*p == 'e' || *p == 'E')) {
        p = approval_number_exponent(p + 1, last, &exponent);
    }

    if (p != last) {
        return APPROVAL_DECLINED;
    }

    for (p = whole; p < end && (*p == '0' || *p == '.'); p++) { /* void */ }

    if (p == end) {
        n->sign = 0;
        n->top = 0;

    } else {
        n->top = exponent + (p < point ? point - p - 1 : point - p);
    }

    n->digits = p;
    n->last = end;

    return APPROVAL_OK;
}


int
approval_match_number_cmp(const approval_number_t *a,
    const approval_number_t *b)
{
    int  rc;

    if (a->sign != b->sign) {
        return a->sign < b->sign ? -1 : 1;
    }

    if (a->sign == 0) {
        return 0;
    }

    if (a->top != b->top) {
        rc = a->top < b->top ? -1 : 1;

    } else {
        rc = approval_number_cmp_digits(a, b);
    }

    return a->sign < 0 ? -rc : rc;
}


/* Do all readers read the same number: is it within +-2^53? */

int
approval_match_number_exact(const approval_number_t *n)
{
    approval_number_t  abs, max;

    static const approval_str_t  limit = approval_string("9007199254740992");

    (void) approval_match_number(limit, &max);

    abs = *n;

    if (abs.sign < 0) {
        abs.sign = 1;
    }

    return approval_match_number_cmp(&abs, &max) <= 0;
}


/*
 * No "+", no blank, no exponent, no leading zero: readers differ in whether
 * they accept these, and as which number.
 */

int
approval_match_number_plain(approval_str_t s)
{
    approval_number_t  n;

    return approval_match_number(s, &n) == APPROVAL_OK
           && memchr(s.data, 'e', s.len) == NULL
           && memchr(s.data, 'E', s.len) == NULL;
}


/* Some readers expect an integer, and stop at the point. */

approval_number_t
approval_match_number_whole(const approval_number_t *n)
{
    approval_number_t  whole;

    whole = *n;

    if (n->top < 0) {
        whole.sign = 0;
        whole.top = 0;
        whole.last = whole.digits;
        return whole;
    }

    for (whole.last = n->digits; whole.last < n->last; whole.last++) {
        if (*whole.last == '.') {
            break;
        }
    }

    return whole;
}


static const unsigned char *
approval_number_digits(const unsigned char *p, const unsigned char *last)
{
    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}


/* Returns NULL, which is not the end, if there is no digit. */

static const unsigned char *
approval_number_exponent(const unsigned char *p, const unsigned char *last,
    int64_t *exponent)
{
    int64_t               e;
    unsigned              negative;
    const unsigned char  *end;

    negative = 0;

    if (p < last && (*p == '+' || *p == '-')) {
        negative = (*p == '-');
        p++;
    }

    end = approval_number_digits(p, last);

    if (end == p) {
        return NULL;
    }

    for (e = 0; p < end; p++) {
        if (e < APPROVAL_NUMBER_EXPONENT_MAX) {
            e = e * 10 + (*p - '0');
        }
    }

    *exponent = negative ? -e : e;

    return end;
}


static int
approval_number_cmp_digits(const approval_number_t *a,
    const approval_number_t *b)
{
    unsigned char         x, y;
    const unsigned char  *p, *q;

    p = a->digits;
    q = b->digits;

    while (p < a->last || q < b->last) {

        if (p < a->last && *p == '.') {
            p++;
            continue;
        }

        if (q < b->last && *q == '.') {
            q++;
            continue;
        }

        x = p < a->last ? *p++ : '0';
        y = q < b->last ? *q++ : '0';

        if (x != y) {
            return x < y ? -1 : 1;
        }
    }

    return 0;
}
