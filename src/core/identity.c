
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Computes the canonical form of an identity.
 */


#include "core/fold.h"
#include "core/identity.h"
#include "core/nfkc.h"
#include "core/range.h"

#include <string.h>


static approval_str_t approval_identity_trim(approval_str_t s);
static int approval_identity_space(uint32_t c);
static int approval_identity_unseen(uint32_t c);
static size_t approval_identity_put(unsigned char *dst, uint32_t c);


static const approval_range_t  approval_spaces[] = {
    { 0x0009, 0x000d }, { 0x0020, 0x0020 }, { 0x0085, 0x0085 },
    { 0x00a0, 0x00a0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200a },
    { 0x2028, 0x2029 }, { 0x202f, 0x202f }, { 0x205f, 0x205f },
    { 0x3000, 0x3000 }
};


/*
 * Characters that are not allowed: controls, white space other than U+0020,
 * bidirectional formatting, default-ignorable and blank characters, private use
 * and noncharacters.
 */

static const approval_range_t  approval_unseen[] = {
    { 0x0000, 0x001f },     { 0x007f, 0x00a0 },     { 0x00ad, 0x00ad },
    { 0x034f, 0x034f },     { 0x061c, 0x061c },     { 0x115f, 0x1160 },
    { 0x1680, 0x1680 },     { 0x17b4, 0x17b5 },     { 0x180b, 0x180f },
    { 0x2000, 0x200f },     { 0x2028, 0x202f },     { 0x205f, 0x206f },
    { 0x2800, 0x2800 },     { 0x3000, 0x3000 },     { 0x3164, 0x3164 },
    { 0xe000, 0xf8ff },     { 0xfdd0, 0xfdef },     { 0xfe00, 0xfe0f },
    { 0xfeff, 0xfeff },     { 0xffa0, 0xffa0 },     { 0xfff0, 0xffff },
    { 0x13430, 0x1343f },   { 0x1bca0, 0x1bca3 },   { 0x1d173, 0x1d17a },
    { 0xe0000, 0xe0fff },   { 0xf0000, 0x10ffff }
};


const char *
approval_identity_fold(approval_str_t identity, approval_canonical_t *c)
{
    size_t                n;
    uint32_t              ch, before;
    unsigned char         utf8[4];
    const unsigned char  *p, *last;

    if (!approval_utf8_valid(identity)) {
        return "the identity is not UTF-8";
    }

    identity = approval_identity_trim(identity);

    if (identity.len == 0) {
        return "the identity is empty";
    }

    if (identity.len > APPROVAL_IDENTITY_MAX) {
        return "the identity is longer than 256 bytes";
    }

    c->len = 0;
    before = 0;

    p = identity.data;
    last = p + identity.len;

    while (p < last) {
        ch = approval_utf8_next(&p, last);

        if (approval_identity_unseen(ch)) {
            return "the identity contains a control, formatting or other "
                   "invisible character";
        }

        ch = approval_fold(ch);

        if (ch >= 0x80 && !approval_nfkc_follows(before, ch)) {
            return "the identity is not in NFKC: it contains a character that "
                   "stands for others, or an accent separate from its letter";
        }

        /* directories treat several spaces like one */

        if (ch == ' ' && before == ' ') {
            continue;
        }

        n = approval_identity_put(utf8, ch);

        /* sharp s: the only letter in use whose upper case is two letters */

        if (ch == 0x00df) {
            utf8[0] = 's';
            utf8[1] = 's';
            ch = 's';
        }

        before = ch;

        /* folding may make the text longer */

        if (n > APPROVAL_IDENTITY_MAX - c->len) {
            return "the identity is longer than 256 bytes";
        }

        memcpy(c->data + c->len, utf8, n);
        c->len += n;
    }

    return NULL;
}


static approval_str_t
approval_identity_trim(approval_str_t s)
{
    uint32_t              ch;
    const unsigned char  *p, *next, *last, *end;

    p = s.data;
    last = p + s.len;

    while (p < last) {
        next = p;
        ch = approval_utf8_next(&next, last);

        if (!approval_identity_space(ch)) {
            break;
        }

        p = next;
    }

    s.data = p;
    end = p;

    while (p < last) {
        ch = approval_utf8_next(&p, last);

        if (!approval_identity_space(ch)) {
            end = p;
        }
    }

    s.len = end - s.data;

    return s;
}


static int
approval_identity_space(uint32_t c)
{
    return approval_range_in(c, approval_spaces) != NULL;
}


static int
approval_identity_unseen(uint32_t c)
{
    return (c & 0xfffe) == 0xfffe
           || approval_range_in(c, approval_unseen) != NULL;
}


static size_t
approval_identity_put(unsigned char *dst, uint32_t c)
{
    if (c < 0x80) {
        dst[0] = (unsigned char) c;
        return 1;
    }

    if (c < 0x800) {
        dst[0] = (unsigned char) (0xc0 | (c >> 6));
        dst[1] = (unsigned char) (0x80 | (c & 0x3f));
        return 2;
    }

    if (c < 0x10000) {
        dst[0] = (unsigned char) (0xe0 | (c >> 12));
        dst[1] = (unsigned char) (0x80 | ((c >> 6) & 0x3f));
        dst[2] = (unsigned char) (0x80 | (c & 0x3f));
        return 3;
    }

    dst[0] = (unsigned char) (0xf0 | (c >> 18));
    dst[1] = (unsigned char) (0x80 | ((c >> 12) & 0x3f));
    dst[2] = (unsigned char) (0x80 | ((c >> 6) & 0x3f));
    dst[3] = (unsigned char) (0x80 | (c & 0x3f));

    return 4;
}
