
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Strings and growable buffers of the core, which does not depend on nginx.
 */


#include "core/str.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>


#define BUF_MIN        256

#define MS_A_DAY       86400000LL

/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z */
#define TIME_FIRST     -62167219200000LL
#define TIME_LAST      253402300799999LL


static int str_blank(uint32_t c);
static inline int buf_reserve(approval_buf_t *b, size_t len);
static int buf_grow(approval_buf_t *b, size_t len);
static size_t base64_encode(unsigned char *dst, const unsigned char *src,
    size_t len, const char *alphabet);
static size_t base64_decode(unsigned char *dst, approval_str_t src,
    const char *alphabet);
static int base64_value(unsigned char c, const char *alphabet);
static int hex_value(unsigned char c);
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d);
static void civil_from_days(int64_t days, int64_t *y, unsigned *m,
    unsigned *d);
static int time_digits(const unsigned char *p, size_t n, unsigned *value);


static const char  base64_std[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char  base64_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char  hex_digits[] = "0123456789abcdef";


approval_str_t
approval_str(const char *s)
{
    approval_str_t  str;

    str.data = (const unsigned char *) s;
    str.len = s ? strlen(s) : 0;

    return str;
}


int
approval_str_eq(approval_str_t a, approval_str_t b)
{
    if (a.len != b.len) {
        return 0;
    }

    return a.len == 0 || memcmp(a.data, b.data, a.len) == 0;
}


int
approval_str_eq_nocase(approval_str_t a, approval_str_t b)
{
    size_t         i;
    unsigned char  x, y;

    if (a.len != b.len) {
        return 0;
    }

    for (i = 0; i < a.len; i++) {
        x = a.data[i];
        y = b.data[i];

        if (x >= 'A' && x <= 'Z') {
            x |= 0x20;
        }

        if (y >= 'A' && y <= 'Z') {
            y |= 0x20;
        }

        if (x != y) {
            return 0;
        }
    }

    return 1;
}


approval_str_t
approval_str_trim(approval_str_t s)
{
    size_t                n;
    const unsigned char  *p, *last;

    if (s.len == 0) {
        return s;
    }

    p = s.data;
    last = s.data + s.len;

    while (p < last && str_blank(approval_utf8_next(&p, last))) {
        s.data = p;
    }

    s.len = last - s.data;

    /* the last character has up to four bytes */

    for (n = 1; n <= 4 && n <= s.len; n++) {
        p = last - n;

        if (str_blank(approval_utf8_next(&p, last)) && p == last) {
            last -= n;
            s.len -= n;
            n = 0;
        }
    }

    return s;
}


static int
str_blank(uint32_t c)
{
    size_t  i;

    /* what servers trim; the invisible characters are those of Laravel */

    static const struct {
        uint32_t  first;
        uint32_t  last;
    } blanks[] = {
        { 0x00, 0x20 }, { 0x85, 0x85 }, { 0xa0, 0xa0 }, { 0xad, 0xad },
        { 0x034f, 0x034f }, { 0x061c, 0x061c }, { 0x115f, 0x1160 },
        { 0x1680, 0x1680 }, { 0x17b4, 0x17b5 }, { 0x180e, 0x180e },
        { 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x2065 },
        { 0x206a, 0x206f }, { 0x2800, 0x2800 }, { 0x3000, 0x3000 },
        { 0x3164, 0x3164 }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 },
        { 0x1d159, 0x1d159 }, { 0x1d173, 0x1d17a }, { 0xe0020, 0xe0020 }
    };

    for (i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++) {
        if (c <= blanks[i].last) {
            return c >= blanks[i].first;
        }
    }

    return 0;
}


approval_str_t
approval_str_sub(approval_str_t s, size_t from, size_t to)
{
    approval_str_t  sub;

    sub.data = from ? s.data + from : s.data;
    sub.len = to - from;

    return sub;
}


size_t
approval_str_find(approval_str_t s, size_t i, const char *set)
{
    while (i < s.len && (s.data[i] == '\0' || !strchr(set, s.data[i]))) {
        i++;
    }

    return i;
}


int
approval_str_eq_secret(approval_str_t a, approval_str_t b)
{
    if (a.len != b.len) {
        return 0;
    }

    return a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0;
}


void
approval_buf_init(approval_buf_t *b)
{
    b->data = NULL;
    b->len = 0;
    b->size = 0;
    b->failed = 0;
}


void
approval_buf_free(approval_buf_t *b)
{
    free(b->data);
    approval_buf_init(b);
}


void
approval_buf_wipe(approval_buf_t *b)
{
    if (b->data) {
        OPENSSL_cleanse(b->data, b->size);
    }

    approval_buf_free(b);
}


void
approval_buf_reset(approval_buf_t *b)
{
    b->len = 0;
    b->failed = 0;
}


static inline int
buf_reserve(approval_buf_t *b, size_t len)
{
    if (len <= b->size - b->len && !b->failed) {
        return APPROVAL_OK;
    }

    return buf_grow(b, len);
}


static int
buf_grow(approval_buf_t *b, size_t len)
{
    size_t          size;
    unsigned char  *data;

    if (b->failed) {
        return APPROVAL_ERROR;
    }

    if (len > SIZE_MAX / 2 - b->len) {
        b->failed = 1;
        return APPROVAL_ERROR;
    }

    size = b->size ? b->size * 2 : BUF_MIN;

    if (size < b->len + len) {
        size = b->len + len;
    }

    /* not realloc(): it could leave a copy of a key behind */

    data = malloc(size);
    if (data == NULL) {
        b->failed = 1;
        return APPROVAL_ERROR;
    }

    if (b->data) {
        memcpy(data, b->data, b->len);
        OPENSSL_cleanse(b->data, b->len);
        free(b->data);
    }

    b->data = data;
    b->size = size;

    return APPROVAL_OK;
}


void
approval_buf_add(approval_buf_t *b, const void *data, size_t len)
{
    if (len == 0 || buf_reserve(b, len) != APPROVAL_OK) {
        return;
    }

    memcpy(b->data + b->len, data, len);
    b->len += len;
}


void
approval_buf_adds(approval_buf_t *b, const char *s)
{
    approval_buf_add(b, s, strlen(s));
}


void
approval_buf_addc(approval_buf_t *b, unsigned char c)
{
    if (buf_reserve(b, 1) != APPROVAL_OK) {
        return;
    }

    b->data[b->len++] = c;
}


void
approval_buf_addi(approval_buf_t *b, long long n)
{
    char                 digits[20], *p;
    unsigned long long   rest;

    /* the lowest number has no positive counterpart */

    rest = (n < 0) ? 0 - (unsigned long long) n : (unsigned long long) n;
    p = digits + sizeof(digits);

    do {
        *--p = (char) ('0' + rest % 10);
        rest /= 10;
    } while (rest);

    if (n < 0) {
        approval_buf_addc(b, '-');
    }

    approval_buf_add(b, p, (size_t) (digits + sizeof(digits) - p));
}


void
approval_buf_printf(approval_buf_t *b, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    approval_buf_vprintf(b, fmt, args);
    va_end(args);
}


void
approval_buf_vprintf(approval_buf_t *b, const char *fmt, va_list args)
{
    int      n;
    va_list  again;

    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);

    if (n < 0 || n == INT_MAX) {
        b->failed = 1;
        return;
    }

    /* vsnprintf() writes a NUL after the text */

    if (buf_reserve(b, (size_t) n + 1) != APPROVAL_OK) {
        return;
    }

    n = vsnprintf((char *) b->data + b->len, (size_t) n + 1, fmt, args);

    if (n < 0) {
        b->failed = 1;
        return;
    }

    b->len += (size_t) n;
}


approval_str_t
approval_buf_str(const approval_buf_t *b)
{
    approval_str_t  s;

    s.data = b->data;
    s.len = b->len;

    return s;
}


static size_t
base64_encode(unsigned char *dst, const unsigned char *src, size_t len,
    const char *alphabet)
{
    uint32_t        v;
    unsigned char  *p;

    p = dst;

    while (len > 2) {
        v = (uint32_t) src[0] << 16 | (uint32_t) src[1] << 8 | src[2];

        *p++ = alphabet[v >> 18];
        *p++ = alphabet[v >> 12 & 0x3f];
        *p++ = alphabet[v >> 6 & 0x3f];
        *p++ = alphabet[v & 0x3f];

        src += 3;
        len -= 3;
    }

    if (len == 0) {
        return (size_t) (p - dst);
    }

    v = (uint32_t) src[0] << 16 | (len == 2 ? (uint32_t) src[1] << 8 : 0);

    *p++ = alphabet[v >> 18];
    *p++ = alphabet[v >> 12 & 0x3f];

    if (len == 2) {
        *p++ = alphabet[v >> 6 & 0x3f];
    }

    return (size_t) (p - dst);
}


size_t
approval_base64_encode(unsigned char *dst, const unsigned char *src,
    size_t len)
{
    size_t  n;

    n = base64_encode(dst, src, len, base64_std);

    while (n % 4) {
        dst[n++] = '=';
    }

    return n;
}


size_t
approval_base64url_encode(unsigned char *dst, const unsigned char *src,
    size_t len)
{
    return base64_encode(dst, src, len, base64_url);
}


static int
base64_value(unsigned char c, const char *alphabet)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    if (c == (unsigned char) alphabet[62]) {
        return 62;
    }

    return c == (unsigned char) alphabet[63] ? 63 : -1;
}


static size_t
base64_decode(unsigned char *dst, approval_str_t src, const char *alphabet)
{
    int             c;
    size_t          i;
    uint32_t        v;
    unsigned        bits;
    unsigned char  *p;

    if (src.len % 4 == 1) {
        return (size_t) -1;
    }

    p = dst;
    v = 0;
    bits = 0;

    for (i = 0; i < src.len; i++) {
        c = base64_value(src.data[i], alphabet);
        if (c < 0) {
            return (size_t) -1;
        }

        v = (v << 6 | (uint32_t) c) & 0xffff;
        bits += 6;

        if (bits >= 8) {
            bits -= 8;
            *p++ = (unsigned char) (v >> bits);
        }
    }

    /* the remaining bits, which do not fill a byte */

    if (v & ((1u << bits) - 1)) {
        return (size_t) -1;
    }

    return (size_t) (p - dst);
}


size_t
approval_base64_decode(unsigned char *dst, approval_str_t src)
{
    if (src.len % 4) {
        return (size_t) -1;
    }

    if (src.len && src.data[src.len - 1] == '=') {
        src.len--;

        if (src.data[src.len - 1] == '=') {
            src.len--;
        }
    }

    return base64_decode(dst, src, base64_std);
}


size_t
approval_base64url_decode(unsigned char *dst, approval_str_t src)
{
    return base64_decode(dst, src, base64_url);
}


size_t
approval_hex_encode(unsigned char *dst, const unsigned char *src, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        dst[2 * i] = hex_digits[src[i] >> 4];
        dst[2 * i + 1] = hex_digits[src[i] & 0xf];
    }

    return 2 * len;
}


static int
hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


size_t
approval_hex_decode(unsigned char *dst, approval_str_t src)
{
    int     high, low;
    size_t  i;

    if (src.len % 2) {
        return (size_t) -1;
    }

    for (i = 0; i < src.len / 2; i++) {
        high = hex_value(src.data[2 * i]);
        low = hex_value(src.data[2 * i + 1]);

        if (high < 0 || low < 0) {
            return (size_t) -1;
        }

        dst[i] = (unsigned char) (high << 4 | low);
    }

    return src.len / 2;
}


int
approval_plain(approval_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] < 0x20 || s.data[i] == 0x7f) {
            return 0;
        }
    }

    return approval_utf8_valid(s);
}


int
approval_utf8_valid(approval_str_t s)
{
    const unsigned char  *p, *last;

    if (s.len == 0) {
        return 1;
    }

    p = s.data;
    last = s.data + s.len;

    while (p < last) {
        if (*p < 0x80) {
            p++;
            continue;
        }

        if (approval_utf8_next(&p, last) == 0xffffffff) {
            return 0;
        }
    }

    return 1;
}


uint32_t
approval_utf8_next(const unsigned char **p, const unsigned char *last)
{
    size_t                i, n;
    uint32_t              cp, least;
    const unsigned char  *s;

    s = *p;
    *p = s + 1;

    if (s[0] < 0x80) {
        return s[0];
    }

    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        n = 1;
        cp = s[0] & 0x1f;
        least = 0x80;

    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        n = 2;
        cp = s[0] & 0x0f;
        least = 0x800;

    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        n = 3;
        cp = s[0] & 0x07;
        least = 0x10000;

    } else {
        return 0xffffffff;
    }

    if ((size_t) (last - s) <= n) {
        return 0xffffffff;
    }

    for (i = 1; i <= n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0xffffffff;
        }

        cp = cp << 6 | (s[i] & 0x3f);
    }

    if (cp < least || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) {
        return 0xffffffff;
    }

    *p = s + n + 1;

    return cp;
}


/* Proleptic Gregorian; years that start in March put the leap day last. */

static int64_t
days_from_civil(int64_t y, unsigned m, unsigned d)
{
    int64_t   era;
    unsigned  year, day;

    if (m <= 2) {
        y--;
    }

    era = (y >= 0 ? y : y - 399) / 400;
    year = (unsigned) (y - era * 400);
    day = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;

    return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}


static void
civil_from_days(int64_t days, int64_t *y, unsigned *m, unsigned *d)
{
    int64_t   era;
    unsigned  day, year, month;

    days += 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    day = (unsigned) (days - era * 146097);
    year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= year * 365 + year / 4 - year / 100;
    month = (5 * day + 2) / 153;

    *d = day - (153 * month + 2) / 5 + 1;
    *m = month < 10 ? month + 3 : month - 9;
    *y = era * 400 + year + (*m <= 2);
}


void
approval_time_format(char dst[APPROVAL_TIME_LEN + 1], int64_t ms)
{
    char      text[64];
    int64_t   days, y;
    unsigned  m, d, rest;

    if (ms < TIME_FIRST) {
        ms = TIME_FIRST;
    }

    if (ms > TIME_LAST) {
        ms = TIME_LAST;
    }

    days = ms / MS_A_DAY;

    if (ms % MS_A_DAY < 0) {
        days--;
    }

    rest = (unsigned) (ms - days * MS_A_DAY);

    civil_from_days(days, &y, &m, &d);

    (void) snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                    (unsigned) y, m, d, rest / 3600000, rest / 60000 % 60,
                    rest / 1000 % 60, rest % 1000);

    memcpy(dst, text, APPROVAL_TIME_LEN);
    dst[APPROVAL_TIME_LEN] = '\0';
}


static int
time_digits(const unsigned char *p, size_t n, unsigned *value)
{
    size_t  i;

    *value = 0;

    for (i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return APPROVAL_ERROR;
        }

        *value = *value * 10 + (p[i] - '0');
    }

    return APPROVAL_OK;
}


/* The fraction is optional; more than three digits are refused. */

int
approval_time_parse(approval_str_t s, int64_t *ms)
{
    size_t                n;
    int64_t               day_y;
    unsigned              y, m, d, hour, min, sec, frac, day_m, day_d;
    const unsigned char  *p;

    p = s.data;

    if (s.len < 20 || s.len > APPROVAL_TIME_LEN || p[s.len - 1] != 'Z') {
        return APPROVAL_ERROR;
    }

    if (p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':'
        || p[16] != ':')
    {
        return APPROVAL_ERROR;
    }

    if (time_digits(p, 4, &y) != APPROVAL_OK
        || time_digits(p + 5, 2, &m) != APPROVAL_OK
        || time_digits(p + 8, 2, &d) != APPROVAL_OK
        || time_digits(p + 11, 2, &hour) != APPROVAL_OK
        || time_digits(p + 14, 2, &min) != APPROVAL_OK
        || time_digits(p + 17, 2, &sec) != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    frac = 0;

    if (s.len > 20) {
        n = s.len - 21;

        if (n == 0 || p[19] != '.'
            || time_digits(p + 20, n, &frac) != APPROVAL_OK)
        {
            return APPROVAL_ERROR;
        }

        while (n++ < 3) {
            frac *= 10;
        }
    }

    if (m < 1 || m > 12 || d < 1 || d > 31 || hour > 23 || min > 59
        || sec > 59)
    {
        return APPROVAL_ERROR;
    }

    /* for example, the 30th of February converts back to another day */

    civil_from_days(days_from_civil(y, m, d), &day_y, &day_m, &day_d);

    if (day_y != (int64_t) y || day_m != m || day_d != d) {
        return APPROVAL_ERROR;
    }

    *ms = days_from_civil(y, m, d) * MS_A_DAY
          + ((int64_t) hour * 3600 + min * 60 + sec) * 1000 + frac;

    return APPROVAL_OK;
}
