
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Request targets that two readers could read differently.
 */


#include "core/path.h"

#include <string.h>


/* Bytes of escapes in a row that are looked at as one text. */
#define ESCAPED_MAX  4


static const char *path_segment(const unsigned char *p,
    const unsigned char *last);
static const char *path_byte(unsigned char c);
static const char *path_escape(const unsigned char **p,
    const unsigned char *last);
static const char *path_escaped_byte(unsigned char c);
static const char *path_escaped_text(const unsigned char **p,
    const unsigned char *last);
static const char *path_query(const unsigned char *p,
    const unsigned char *last);
static int path_hex(const unsigned char *p, const unsigned char *last);


const char *
approval_path_ambiguous(approval_str_t target)
{
    const char           *reason;
    const unsigned char  *p, *last, *end;

    if (target.len == 0) {
        return "empty target";
    }

    p = target.data;
    last = target.data + target.len;

    if (*p != '/') {
        return "target in absolute form";
    }

    for (end = p; end < last && *end != '?'; end++) { /* void */ }

    reason = path_query(end, last);
    if (reason) {
        return reason;
    }

    last = end;

    /* p is at the slash before a segment */

    while (p < last) {
        p++;

        for (end = p; end < last && *end != '/'; end++) { /* void */ }

        if (p == end && end < last) {
            return "empty path segment";
        }

        reason = path_segment(p, end);
        if (reason) {
            return reason;
        }

        p = end;
    }

    return NULL;
}


static const char *
path_segment(const unsigned char *p, const unsigned char *last)
{
    const char  *reason;

    if ((last - p == 1 && p[0] == '.')
        || (last - p == 2 && p[0] == '.' && p[1] == '.'))
    {
        return "dot segment in path";
    }

    while (p < last) {
        if (*p == '%') {
            reason = path_escape(&p, last);

        } else {
            reason = path_byte(*p++);
        }

        if (reason) {
            return reason;
        }
    }

    return NULL;
}


static const char *
path_byte(unsigned char c)
{
    if (c < 0x20 || c == 0x7f) {
        return "control character in path";
    }

    /* the same bytes are UTF-8 for one server and ISO 8859-1 for another */

    if (c >= 0x80) {
        return "unescaped byte outside ASCII in path";
    }

    switch (c) {

    case ' ':
        return "space in path";

    case '\\':
        return "backslash in path";

    case ';':
        return "path parameter";

    case '#':
        return "\"#\" in target";
    }

    return NULL;
}


static const char *
path_escape(const unsigned char **p, const unsigned char *last)
{
    int  c;

    c = path_hex(*p, last);

    if (c < 0) {
        return "malformed escape in path";
    }

    if (c >= 0x80) {
        return path_escaped_text(p, last);
    }

    *p += 3;

    return path_escaped_byte((unsigned char) c);
}


static const char *
path_escaped_byte(unsigned char c)
{
    if (c == 0) {
        return "encoded NUL in path";
    }

    if (c < 0x20 || c == 0x7f) {
        return "encoded control character in path";
    }

    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
        || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '~')
    {
        return "encoded unreserved character in path";
    }

    switch (c) {

    case '/':
        return "encoded slash in path";

    case '\\':
        return "encoded backslash in path";

    case '.':
        return "encoded dot in path";

    case '%':
        return "encoded percent sign in path";

    case ';':
        return "encoded semicolon in path";

    case '?':
        return "encoded question mark in path";

    case '#':
        return "encoded \"#\" in path";
    }

    return NULL;
}


/* One character outside ASCII, every byte of it an escape. */

static const char *
path_escaped_text(const unsigned char **p, const unsigned char *last)
{
    int                   c;
    size_t                n;
    uint32_t              cp;
    unsigned char         text[ESCAPED_MAX];
    const unsigned char  *s;

    s = *p;

    for (n = 0; n < ESCAPED_MAX; n++) {
        c = path_hex(s, last);

        if (c < 0x80) {
            break;
        }

        text[n] = (unsigned char) c;
        s += 3;
    }

    s = text;
    cp = approval_utf8_next(&s, text + n);

    if (cp == 0xffffffff) {
        return "encoded bytes in path that are not UTF-8";
    }

    *p += 3 * (s - text);

    if (cp < 0xa0) {
        return "encoded control character in path";
    }

    switch (cp) {

    /* what normalization and best-fit tables turn into . / \ % ; */

    case 0x2024:
    case 0x2025:
    case 0x2044:
    case 0x2215:
    case 0x2216:
    case 0xfe52:
    case 0xfe54:
    case 0xfe68:
    case 0xfe6a:
    case 0xff05:
    case 0xff0e:
    case 0xff0f:
    case 0xff1b:
    case 0xff3c:
        return "look-alike of a slash, dot or percent sign in path";
    }

    return NULL;
}


static const char *
path_query(const unsigned char *p, const unsigned char *last)
{
    for ( /* void */ ; p < last; p++) {
        if (*p <= 0x20 || *p == 0x7f) {
            return "control character or space in query";
        }

        if (*p == '#') {
            return "\"#\" in target";
        }
    }

    return NULL;
}


/* "~" is left out: there are honest clients that escape it. */

const char *
approval_path_query_escapes(approval_str_t query)
{
    int                   c;
    const unsigned char  *p, *last;

    last = query.data + query.len;

    for (p = query.data; p < last; p++) {

        if (*p != '%') {
            continue;
        }

        c = path_hex(p, last);

        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
            || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.')
        {
            return "encoded unreserved character in query";
        }
    }

    return NULL;
}


static int
path_hex(const unsigned char *p, const unsigned char *last)
{
    int            i, value;
    unsigned char  c;

    if (last - p < 3 || p[0] != '%') {
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
