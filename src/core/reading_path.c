
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The readings of a path.  Servers differ in a handful of steps, each of which
 * a server takes or omits.  All combinations are tried, and equal results
 * become one reading.
 */


#include "core/reading.h"

#include <string.h>


#define PATH_PARAMS      0x01        /* ";..." of a segment is dropped    */
#define PATH_BACKSLASH   0x02        /* "\" is "/"                        */
#define PATH_LOOKALIKE   0x04        /* so are what normalization and old
                                        decoders make "/", "." or "%" of  */
#define PATH_CUT         0x08        /* a reader cuts at "?" and "#"      */
#define PATH_RESOLVE     0x10        /* ".", ".." and "//" are resolved   */
#define PATH_NETWORK     0x20        /* "//host" before it is dropped     */
#define PATH_STEPS       0x3f

#define PATH_DECODED     2           /* times */


static unsigned path_steps(approval_str_t path);
static unsigned path_harmless(approval_str_t path);
static void path_unreserved(approval_buf_t *out, approval_str_t path);
static void path_read(approval_readings_t *rs, approval_str_t path,
    unsigned steps, unsigned decoded);
static void path_take(approval_readings_t *rs, size_t start);
static size_t path_network(unsigned char *p, size_t len);
static size_t path_params(unsigned char *p, size_t len);
static size_t path_decode(unsigned char *p, size_t len);
static size_t path_lookalikes(unsigned char *p, size_t len);
static unsigned char path_lookalike(uint32_t c);
static size_t path_resolve(unsigned char *p, size_t len);
static int path_hex(const unsigned char *p, const unsigned char *last);


void
approval_read_path(approval_readings_t *rs, approval_str_t path)
{
    unsigned        steps, able, decoded, escaped, harmless;
    approval_buf_t  plain;
    approval_str_t  s;

    if (path.len == 0) {
        approval_readings_add(rs, APPROVAL_READING_TEXT, path);
        return;
    }

    approval_buf_init(&plain);

    path_unreserved(&plain, path);

    s = approval_buf_str(&plain);
    able = path_steps(s);
    escaped = plain.len && memchr(plain.data, '%', plain.len) ? PATH_DECODED
                                                            : 0;
    harmless = path_harmless(s);

    for (decoded = 0; decoded <= escaped; decoded++) {
        for (steps = 0; steps <= PATH_STEPS; steps++) {

            if ((steps & ~able) == 0) {
                rs->spelling = escaped && decoded == 0 && harmless
                               ? APPROVAL_SPELLED : APPROVAL_ANOTHER;
                path_read(rs, s, steps, decoded);
            }
        }
    }

    rs->spelling = APPROVAL_ANOTHER;

    if (plain.failed) {
        rs->failed = 1;
    }

    approval_buf_free(&plain);
}


/* The steps that could make a difference.  Without "%", nothing is escaped. */

static unsigned
path_steps(approval_str_t path)
{
    size_t         i;
    unsigned       steps;
    unsigned char  c;

    steps = 0;

    for (i = 0; i < path.len; i++) {
        c = path.data[i];

        switch (c) {

        case '%':
            return PATH_STEPS;                          /* it may be any byte */

        case ';':
            steps |= PATH_PARAMS|PATH_RESOLVE;
            break;

        case '\\':
            steps |= PATH_BACKSLASH|PATH_RESOLVE|PATH_NETWORK;
            break;

        case '?':
        case '#':
            steps |= PATH_CUT;
            break;

        case '/':
            if (i && (path.data[i - 1] == '/' || path.data[i - 1] == '.')) {
                steps |= PATH_RESOLVE|PATH_NETWORK;
            }

            break;

        default:
            if (c >= 0x80) {
                return PATH_STEPS;
            }

            break;
        }
    }

    if (path.len && path.data[path.len - 1] == '.') {
        steps |= PATH_RESOLVE;
    }

    return steps;
}


/*
 * A reader that does not decode such escapes still sees the same path as
 * others.
 */

static unsigned
path_harmless(approval_str_t path)
{
    int                   c;
    const unsigned char  *p, *last;

    last = path.data + path.len;

    for (p = path.data; p < last; p++) {

        if (*p != '%') {
            continue;
        }

        c = path_hex(p, last);

        if (c <= 0x20 || c == 0x7f || strchr("/\\;?#%.", c)) {
            if (c != ' ') {
                return 0;
            }
        }
    }

    return 1;
}


/* RFC 3986, 6.2.2.2: these escapes mean the same to everyone. */

static void
path_unreserved(approval_buf_t *out, approval_str_t path)
{
    int                   c;
    const unsigned char  *p, *last;

    last = path.data + path.len;

    for (p = path.data; p < last; p++) {

        c = (*p == '%') ? path_hex(p, last) : -1;

        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
            || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'
            || c == '~')
        {
            approval_buf_addc(out, (unsigned char) c);
            p += 2;
            continue;
        }

        approval_buf_addc(out, *p);
    }
}


static void
path_read(approval_readings_t *rs, approval_str_t path, unsigned steps,
    unsigned decoded)
{
    size_t          len, start, i;
    unsigned        n;
    unsigned char  *p;

    start = rs->buf.len;

    approval_buf_add(&rs->buf, path.data, path.len);

    if (rs->buf.failed) {
        rs->failed = 1;
        return;
    }

    p = rs->buf.data + start;
    len = path.len;

    for (n = 0; n <= decoded; n++) {

        if (n) {
            len = path_decode(p, len);
        }

        if (steps & PATH_LOOKALIKE) {
            len = path_lookalikes(p, len);
        }

        if (steps & PATH_PARAMS) {
            len = path_params(p, len);
        }
    }

    for (i = 0; i < len; i++) {

        if ((steps & PATH_CUT) && (p[i] == '?' || p[i] == '#')) {
            len = i;

        } else if ((steps & PATH_BACKSLASH) && p[i] == '\\') {
            p[i] = '/';
        }
    }

    if (steps & PATH_NETWORK) {
        len = path_network(p, len);
    }

    if (steps & PATH_RESOLVE) {
        len = path_resolve(p, len);
    }

    rs->buf.len = start + len;

    path_take(rs, start);
}


/*
 * For many servers a trailing slash makes no difference, nor do blanks and line
 * breaks for some; they never make another path.
 */

static void
path_take(approval_readings_t *rs, size_t start)
{
    approval_buf_t  path;
    approval_str_t  rest;

    approval_buf_init(&path);
    approval_buf_add(&path, rs->buf.data + start, rs->buf.len - start);

    approval_readings_take(rs, APPROVAL_READING_TEXT, start);

    rest = approval_str_trim(approval_buf_str(&path));

    if (rest.len < path.len) {
        approval_readings_copy(rs, rest, APPROVAL_SPELLED);
    }

    if (rest.len > 1 && rest.data[rest.len - 1] == '/') {
        rest.len--;
        approval_readings_copy(rs, rest, APPROVAL_SPELLED);
    }

    rs->failed |= (path.failed != 0);

    approval_buf_free(&path);
}


static size_t
path_params(unsigned char *p, size_t len)
{
    size_t    i, n;
    unsigned  skip;

    skip = 0;

    for (i = 0, n = 0; i < len; i++) {

        if (p[i] == ';') {
            skip = 1;

        } else if (p[i] == '/') {
            skip = 0;
        }

        if (!skip) {
            p[n++] = p[i];
        }
    }

    return n;
}


static size_t
path_decode(unsigned char *p, size_t len)
{
    int     c;
    size_t  i, n;

    for (i = 0, n = 0; i < len; i++) {

        c = (p[i] == '%') ? path_hex(p + i, p + len) : -1;

        if (c >= 0) {
            p[n++] = (unsigned char) c;
            i += 2;

        } else {
            p[n++] = p[i];
        }
    }

    return n;
}


static size_t
path_lookalikes(unsigned char *p, size_t len)
{
    size_t                n;
    uint32_t              c;
    unsigned char         ascii;
    const unsigned char  *s, *next, *last;

    n = 0;
    last = p + len;

    for (s = p; s < last; s = next) {
        next = s;
        c = approval_utf8_next(&next, last);

        /* an overlong form of one byte: "/" as C0 AF */

        if (c == 0xffffffff && (*s == 0xc0 || *s == 0xc1)
            && last - s > 1 && (s[1] & 0xc0) == 0x80)
        {
            c = (uint32_t) (*s & 0x1f) << 6 | (s[1] & 0x3f);
            p[n++] = (unsigned char) c;
            next = s + 2;
            continue;
        }

        ascii = path_lookalike(c);

        if (ascii) {
            p[n++] = ascii;
            continue;
        }

        while (s < next) {
            p[n++] = *s++;
        }
    }

    return n;
}


static unsigned char
path_lookalike(uint32_t c)
{
    switch (c) {

    case 0x2044:
    case 0x2215:
    case 0xff0f:
        return '/';

    case 0x2216:
    case 0xfe68:
    case 0xff3c:
        return '\\';

    case 0x2024:
    case 0xfe52:
    case 0xff0e:
        return '.';

    case 0xfe54:
    case 0xff1b:
        return ';';

    case 0xfe6a:
    case 0xff05:
        return '%';
    }

    return 0;
}


/*
 * "//host/path" is a reference to another host, but some readers take the
 * path.
 */

static size_t
path_network(unsigned char *p, size_t len)
{
    size_t  i;

    if (len < 2 || p[0] != '/' || p[1] != '/') {
        return len;
    }

    for (i = 2; i < len && p[i] != '/'; i++) { /* void */ }

    memmove(p, p + i, len - i);

    return len - i;
}


/* RFC 3986, 5.2.4; empty segments are removed as by nginx's merge_slashes. */

static size_t
path_resolve(unsigned char *p, size_t len)
{
    size_t  i, n, end, size;

    if (len == 0 || p[0] != '/') {
        return len;
    }

    n = 0;

    for (i = 0; i < len; i = end) {

        /* i is at a slash, end at the next one */

        for (end = i + 1; end < len && p[end] != '/'; end++) { /* void */ }

        size = end - i - 1;

        if (size == 0 || (size == 1 && p[i + 1] == '.')) {

            if (end == len) {
                p[n++] = '/';
            }

            continue;
        }

        if (size == 2 && p[i + 1] == '.' && p[i + 2] == '.') {

            while (n && p[--n] != '/') { /* void */ }

            if (end == len) {
                p[n++] = '/';
            }

            continue;
        }

        memmove(p + n, p + i, end - i);
        n += end - i;
    }

    return n;
}


static int
path_hex(const unsigned char *p, const unsigned char *last)
{
    int            i, value;
    unsigned char  c;

    if (last - p < 3) {
        return -1;
    }

    value = 0;

    for (i = 1; i <= 2; i++) {
        c = p[i];

        if (c >= '0' && c <= '9') {
            value = value * 16 + (c - '0');
            continue;
        }

        c |= 0x20;

        if (c < 'a' || c > 'f') {
            return -1;
        }

        value = value * 16 + (c - 'a' + 10);
    }

    return value;
}
