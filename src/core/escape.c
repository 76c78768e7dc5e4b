
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Escapes untrusted text for the place where it is shown.
 */


#include "core/escape.h"
#include "core/range.h"

#include <string.h>


static const unsigned char *escape_json_plain(const unsigned char *p,
    const unsigned char *last);
static int invisible(uint32_t cp);


/*
 * Characters that are invisible or move their neighbours: C1 controls,
 * bidirectional formatting, joiners, fillers, variation selectors, tags, line
 * and paragraph separators, noncharacters.  In ascending order.
 */

static const approval_range_t  hidden[] = {
    { 0x0080, 0x009f }, { 0x00ad, 0x00ad }, { 0x034f, 0x034f },
    { 0x061c, 0x061c }, { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 },
    { 0x180b, 0x180f }, { 0x200b, 0x200f }, { 0x2028, 0x202e },
    { 0x2060, 0x206f }, { 0x2800, 0x2800 }, { 0x3164, 0x3164 },
    { 0xfdd0, 0xfdef }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff },
    { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb }, { 0xfffe, 0xffff },
    { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff }
};


static int
invisible(uint32_t cp)
{
    return (cp & 0xfffe) == 0xfffe || approval_range_in(cp, hidden) != NULL;
}


void
approval_escape_visible(approval_str_t s, approval_visible_e mode,
    approval_buf_t *out)
{
    uint32_t              cp;
    const unsigned char  *p, *last, *start;

    if (s.len == 0) {
        return;
    }

    p = s.data;
    last = s.data + s.len;

    while (p < last) {
        start = p;
        cp = approval_utf8_next(&p, last);

        if (cp == 0xffffffff) {
            approval_buf_printf(out, "<0x%02X>", (unsigned) *start);
            continue;
        }

        if (cp < 0x20 || cp == 0x7f) {
            if (mode == APPROVAL_VISIBLE_TEXT && (cp == '\n' || cp == '\t')) {
                approval_buf_addc(out, (unsigned char) cp);
                continue;
            }

        } else if (cp < 0x80 || !invisible(cp)) {
            approval_buf_add(out, start, (size_t) (p - start));
            continue;
        }

        approval_buf_printf(out, "<U+%04X>", (unsigned) cp);
    }
}


int
approval_blank(approval_str_t s)
{
    uint32_t              cp;
    const unsigned char  *p, *last;

    if (s.len == 0) {
        return 1;
    }

    p = s.data;
    last = s.data + s.len;

    while (p < last) {
        cp = approval_utf8_next(&p, last);

        if (cp == 0xffffffff
            || (cp > 0x20 && cp != 0x7f && cp != 0xa0 && cp != 0x1680
                && (cp < 0x2000 || cp > 0x200a) && cp != 0x202f
                && cp != 0x205f && cp != 0x3000 && !invisible(cp)))
        {
            return 0;
        }
    }

    return 1;
}


void
approval_escape_none(approval_str_t s, approval_buf_t *out)
{
    approval_buf_add(out, s.data, s.len);
}


/* Writes the characters as references, and all others as they are. */

static void
escape_references(approval_str_t s, const char *chars, approval_buf_t *out)
{
    size_t       i;
    const char  *c;

    static const char  *references[] = {
        "&amp;", "&lt;", "&gt;", "&quot;", "&#39;"
    };

    for (i = 0; i < s.len; i++) {
        c = s.data[i] ? strchr(chars, s.data[i]) : NULL;

        if (c) {
            approval_buf_adds(out, references[c - chars]);

        } else {
            approval_buf_addc(out, s.data[i]);
        }
    }
}


void
approval_escape_html(approval_str_t s, approval_buf_t *out)
{
    escape_references(s, "&<>\"'", out);
}


void
approval_escape_slack(approval_str_t s, approval_buf_t *out)
{
    escape_references(s, "&<>", out);
}


void
approval_escape_markdown(approval_str_t s, approval_buf_t *out)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] && strchr("\\`*_{}[]()<>#+-.!|~&=:@", s.data[i])) {
            approval_buf_addc(out, '\\');
        }

        approval_buf_addc(out, s.data[i]);
    }
}


/*
 * Skips ASCII that needs no escape.  Eight bytes are tested at once: the top
 * bit becomes set in a byte that is below 0x20, a quote, a backslash or not
 * ASCII.  A borrow may set it in another byte too, so the second loop tests
 * byte by byte.
 */

static const unsigned char *
escape_json_plain(const unsigned char *p, const unsigned char *last)
{
    uint64_t  x, quote, backslash;

    for ( /* void */ ; last - p >= 8; p += 8) {
        memcpy(&x, p, 8);

        quote = x ^ 0x2222222222222222;
        backslash = x ^ 0x5c5c5c5c5c5c5c5c;

        if ((x | (x - 0x2020202020202020)
             | (quote - 0x0101010101010101)
             | (backslash - 0x0101010101010101))
            & 0x8080808080808080)
        {
            break;
        }
    }

    while (p < last && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') {
        p++;
    }

    return p;
}


/* Writes exactly the escapes of RFC 8785, as canonical JSON requires. */

void
approval_escape_json(approval_str_t s, approval_buf_t *out)
{
    const char           *c;
    const unsigned char  *p, *last, *start;

    static const char  plain[] = "\"\\\b\f\n\r\t";
    static const char  letters[] = "\"\\bfnrt";

    if (s.len == 0) {
        return;
    }

    p = s.data;
    last = s.data + s.len;

    while (p < last) {
        start = p;
        p = escape_json_plain(p, last);

        if (p > start) {
            approval_buf_add(out, start, (size_t) (p - start));
            continue;
        }

        c = *p ? strchr(plain, *p) : NULL;

        if (c) {
            approval_buf_addc(out, '\\');
            approval_buf_addc(out, letters[c - plain]);
            p++;

        } else if (*p < 0x20) {
            approval_buf_printf(out, "\\u%04x", (unsigned) *p);
            p++;

        } else if (approval_utf8_next(&p, last) == 0xffffffff) {

            /* the output must be valid JSON even if the input is not UTF-8 */

            approval_buf_adds(out, "\xef\xbf\xbd");

        } else {
            approval_buf_add(out, start, (size_t) (p - start));
        }
    }
}


void
approval_escape_uri(approval_str_t s, approval_buf_t *out)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < s.len; i++) {
        c = s.data[i];

        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
            || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'
            || c == '~')
        {
            approval_buf_addc(out, c);

        } else {
            approval_buf_printf(out, "%%%02X", (unsigned) c);
        }
    }
}


size_t
approval_cut(approval_str_t *s, size_t max)
{
    size_t  n, left, back;

    if (s->len <= max) {
        return 0;
    }

    n = max;

    for (back = 0; back < 3 && n > 0 && (s->data[n] & 0xc0) == 0x80; back++) {
        n--;
    }

    /* more continuation bytes than a character has: not UTF-8 */

    if ((s->data[n] & 0xc0) == 0x80) {
        n = max;
    }

    left = s->len - n;
    s->len = n;

    return left;
}
