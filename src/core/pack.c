
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A packed text is the byte PACK_FORMAT and a sequence of
 *
 *   20 - 7f       this byte
 *   80 - ff       a phrase, by its number
 *   HEX n ...     n bytes, which represent twice as many lower-case digits
 *   RAW n ...     n bytes, unchanged
 *   BACK n lo hi  the n bytes that are hi * 256 + lo bytes back
 */


#include "core/pack.h"

#include <string.h>


#define PACK_FORMAT     0x01

#define PACK_HEX        0x01
#define PACK_RAW        0x02
#define PACK_BACK       0x03
#define PACK_PHRASE     0x80

#define PACK_HEX_MIN    8              /* digits worth a token            */
#define PACK_BACK_MIN   6              /* bytes                           */
#define PACK_COUNT_MAX  255
#define PACK_BACK_MAX   65535

#define PACK_SLOTS      512            /* places that are remembered      */


#define PACK_SHORT      109              /* phrases of that number and more */
#define PHRASE(s)       { s, sizeof(s) - 1 }


typedef struct {
    const char           *text;
    size_t                len;
} pack_phrase_t;


typedef struct {
    const unsigned char  *start;
    const unsigned char  *p;
    const unsigned char  *last;
    approval_buf_t       *out;
    unsigned char         first[256];     /* phrases, by four bytes           */
    unsigned char         next[128];
    uint32_t              seen[PACK_SLOTS];
} pack_t;


static void pack_index(pack_t *w);
static int pack_phrase(pack_t *w);
static int pack_hex(pack_t *w);
static int pack_back(pack_t *w);
static void pack_raw(pack_t *w);
static inline uint32_t pack_word(const unsigned char *p);
static inline int pack_digit(unsigned char c);
static int unpack_token(const unsigned char **p, const unsigned char *last,
    size_t start, approval_buf_t *out);


/*
 * The longer phrases come first.  Stored texts contain the phrases' numbers: a
 * changed list needs another PACK_FORMAT.
 */

static const pack_phrase_t  pack_phrases[] = {
    PHRASE(",\"body_hidden\":0,\"content_type\":\"application/json\""),
    PHRASE("body_bytes\":0,\"deny_after\":1,\"digest\":\"sha256:"),
    PHRASE("\",\"content_type\":\"application/json\""),
    PHRASE("\",\"require\":[{\"count\":1,\"groups\":[\""),
    PHRASE(",\"execute_within\":300,\"headers\":{\""),
    PHRASE(",\"deny_after\":1,\"digest\":\"sha256:"),
    PHRASE("application/x-www-form-urlencoded"),
    PHRASE("\",\"matched\":{\"$request_method\":\""),
    PHRASE("\"]}],\"risk\":\"critical\",\"rule\":\""),
    PHRASE("content-type\":\"application/json"),
    PHRASE("\"]}],\"risk\":\"medium\",\"rule\":\""),
    PHRASE("\",\"risk\":\"critical\",\"rule\":\""),
    PHRASE("\"]}],\"risk\":\"high\",\"rule\":\""),
    PHRASE("\",\"policy_digest\":\"sha256:"),
    PHRASE("\",\"risk\":\"medium\",\"rule\":\""),
    PHRASE("\"]}],\"risk\":\"low\",\"rule\":\""),
    PHRASE("\\\"method\\\":\\\"tools/call\\\""),
    PHRASE("\",\"risk\":\"high\",\"rule\":\""),
    PHRASE("\",\"risk\":\"low\",\"rule\":\""),
    PHRASE("\",\"show\":{},\"summary\":\""),
    PHRASE("\",\"on_behalf_person\":\""),
    PHRASE("\",\"require\":[{\"count\":"),
    PHRASE(",\"headers\":{},\"host\":\""),
    PHRASE("\",\"matched\":{\"$uri\":\""), PHRASE("\",\"digest\":\"sha256:"),
    PHRASE("\"},\"method\":\"DELETE"), PHRASE("\\\"jsonrpc\\\":\\\"2.0\\\""),
    PHRASE("\",\"content_type\":\""), PHRASE("\",\"on_behalf_of\":\""),
    PHRASE("\"},\"method\":\"PATCH"), PHRASE(",\"digest\":\"sha256:"),
    PHRASE(",\"execute_within\":"), PHRASE("\",\"remote_addr\":\""),
    PHRASE("\"},\"method\":\"POST"), PHRASE("\",\"body_hidden\":"),
    PHRASE("\",\"user-agent\":\""), PHRASE("\"},\"method\":\"PUT"),
    PHRASE("python-requests/"), PHRASE("\",\"requester\":\""),
    PHRASE("\",\"body_bytes\":"), PHRASE(",\"body_hidden\":"),
    PHRASE("content-type\":\""), PHRASE("\\\"arguments\\\":{"),
    PHRASE("\",\"matched\":{\""), PHRASE("\"},\"summary\":\""),
    PHRASE(",\"body_bytes\":"), PHRASE(",\"deny_after\":"),
    PHRASE("break_glass\":\""), PHRASE("\",\"summary\":\""),
    PHRASE("\",\"notify\":[\""), PHRASE("\"},\"method\":\""),
    PHRASE("\"],\"person\":\""), PHRASE("\"]},{\"count\":"),
    PHRASE("\",\"groups\":[\""), PHRASE(",\"headers\":{\""),
    PHRASE("user-agent\":\""), PHRASE("\",\"reason\":\""),
    PHRASE("\",\"person\":\""), PHRASE("\",\"policy\":\""),
    PHRASE("\",\"method\":\""), PHRASE("\",\"target\":\""),
    PHRASE("\",\"timeout\":"), PHRASE(",\"groups\":[\""),
    PHRASE("accept\":\"*/*"), PHRASE("application/"),
    PHRASE("\\\"params\\\":{"), PHRASE(".example.com"),
    PHRASE("\",\"show\":{\""), PHRASE("\"},\"host\":\""),
    PHRASE(",\"timeout\":"), PHRASE(",\"seconds\":"), PHRASE("{\"action\":\""),
    PHRASE("remember\":{"), PHRASE("ignored\":[\""),
    PHRASE("\\\"name\\\":\\\""), PHRASE("\",\"risk\":\""),
    PHRASE("\",\"rule\":\""), PHRASE("\",\"host\":\""),
    PHRASE("\",\"$uri\":\""), PHRASE("[redacted]"), PHRASE("\",\"uri\":\""),
    PHRASE("localhost"), PHRASE("127.0.0.1"), PHRASE("\",\"id\":\""),
    PHRASE(",\"uri\":\""), PHRASE(",\"uses\":"), PHRASE("{\"per\":\""),
    PHRASE("https://"), PHRASE(",\"v\":1}"), PHRASE("body\":\""),
    PHRASE("http://"), PHRASE("\\\"},\\\""), PHRASE("\\\":{\\\""),
    PHRASE("DELETE"), PHRASE("/api/v"), PHRASE("curl/"), PHRASE("\\\":\\\""),
    PHRASE("\\\",\\\""), PHRASE("PATCH"), PHRASE("admin"), PHRASE("false"),
    PHRASE("\":{\""), PHRASE("\":[\""), PHRASE("\"},\""), PHRASE("\"],\""),
    PHRASE("node"), PHRASE("POST"), PHRASE("true"), PHRASE("null"),
    PHRASE("\",\""), PHRASE("\":\""), PHRASE("\\\":"), PHRASE("\"}"),
    PHRASE("\"]"), PHRASE("\":"), PHRASE(",\""), PHRASE("{\""), PHRASE("\\\"")
};

#define PACK_PHRASES  (sizeof(pack_phrases) / sizeof(pack_phrases[0]))


int
approval_pack(approval_str_t text, approval_buf_t *out)
{
    size_t  start;
    pack_t  w;

    start = out->len;

    w.start = text.data;
    w.p = text.data;
    w.last = text.data + text.len;
    w.out = out;

    pack_index(&w);

    approval_buf_addc(out, PACK_FORMAT);

    while (w.p < w.last && !out->failed) {

        if (pack_phrase(&w) || pack_hex(&w) || pack_back(&w)) {
            continue;
        }

        if (*w.p < 0x20 || *w.p >= PACK_PHRASE) {
            pack_raw(&w);
            continue;
        }

        approval_buf_addc(out, *w.p++);
    }

    if (!out->failed && out->len - start >= text.len) {
        out->len = start;
        approval_buf_add(out, text.data, text.len);
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/* Chains of the phrases' numbers, from 1, the longest phrase first. */

static void
pack_index(pack_t *w)
{
    unsigned   i;
    uint32_t   slot;

    memset(w->first, 0, sizeof(w->first));
    memset(w->seen, 0, sizeof(w->seen));

    for (i = PACK_SHORT; i; i--) {
        slot = pack_word((const unsigned char *) pack_phrases[i - 1].text)
               >> 24;

        w->next[i - 1] = w->first[slot];
        w->first[slot] = (unsigned char) i;
    }
}


static int
pack_phrase(pack_t *w)
{
    size_t    i, rest;

    rest = (size_t) (w->last - w->p);
    i = (rest >= 4) ? w->first[pack_word(w->p) >> 24] : 0;

    for ( /* void */ ; i; i = w->next[i - 1]) {
        if (pack_phrases[i - 1].len <= rest
            && memcmp(w->p, pack_phrases[i - 1].text, pack_phrases[i - 1].len)
               == 0)
        {
            i--;
            goto found;
        }
    }

    if (*w->p != '"' && *w->p != ',' && *w->p != '{' && *w->p != '\\') {
        return 0;
    }

    for (i = PACK_SHORT; i < PACK_PHRASES; i++) {
        if (pack_phrases[i].len <= rest
            && memcmp(w->p, pack_phrases[i].text, pack_phrases[i].len) == 0)
        {
            goto found;
        }
    }

    return 0;

found:

    approval_buf_addc(w->out, (unsigned char) (PACK_PHRASE + i));
    w->p += pack_phrases[i].len;

    return 1;
}


static int
pack_hex(pack_t *w)
{
    size_t                i, n;
    const unsigned char  *p;

    for (p = w->p; p < w->last && pack_digit(*p) >= 0; p++) {
        if (p - w->p == 2 * PACK_COUNT_MAX) {
            break;
        }
    }

    n = (size_t) (p - w->p) / 2;

    if (n < PACK_HEX_MIN / 2) {
        return 0;
    }

    approval_buf_addc(w->out, PACK_HEX);
    approval_buf_addc(w->out, (unsigned char) n);

    for (i = 0; i < n; i++) {
        approval_buf_addc(w->out, (unsigned char)
                                  (pack_digit(w->p[2 * i]) << 4
                                   | pack_digit(w->p[2 * i + 1])));
    }

    w->p += 2 * n;

    return 1;
}


/* Remembers this place, and refers back if the same bytes occurred before. */

static int
pack_back(pack_t *w)
{
    size_t                n, most, back;
    uint32_t             *seen;
    const unsigned char  *then;

    most = (size_t) (w->last - w->p);

    if (most < PACK_BACK_MIN) {
        return 0;
    }

    seen = &w->seen[pack_word(w->p) % PACK_SLOTS];
    then = w->start + *seen;
    back = (size_t) (w->p - then);

    *seen = (uint32_t) (w->p - w->start);

    if (back == 0 || back > PACK_BACK_MAX) {
        return 0;
    }

    if (most > PACK_COUNT_MAX) {
        most = PACK_COUNT_MAX;
    }

    for (n = 0; n < most && then[n] == w->p[n]; n++) { /* void */ }

    if (n < PACK_BACK_MIN) {
        return 0;
    }

    approval_buf_addc(w->out, PACK_BACK);
    approval_buf_addc(w->out, (unsigned char) n);
    approval_buf_addc(w->out, (unsigned char) (back & 0xff));
    approval_buf_addc(w->out, (unsigned char) (back >> 8));

    w->p += n;

    return 1;
}


static void
pack_raw(pack_t *w)
{
    const unsigned char  *p;

    for (p = w->p; p < w->last && p - w->p < PACK_COUNT_MAX; p++) {
        if (*p >= 0x20 && *p < PACK_PHRASE) {
            break;
        }
    }

    approval_buf_addc(w->out, PACK_RAW);
    approval_buf_addc(w->out, (unsigned char) (p - w->p));
    approval_buf_add(w->out, w->p, (size_t) (p - w->p));

    w->p = p;
}


/* A hash of four bytes. */

static inline uint32_t
pack_word(const unsigned char *p)
{
    uint32_t  word;

    memcpy(&word, p, 4);

    return word * 2654435761u;
}


static inline int
pack_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}


int
approval_unpack(approval_str_t packed, size_t max, approval_buf_t *out)
{
    size_t                start;
    const unsigned char  *p, *last;

    if (packed.len == 0 || packed.data[0] != PACK_FORMAT) {
        approval_buf_add(out, packed.data, packed.len);
        return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    p = packed.data + 1;
    last = packed.data + packed.len;
    start = out->len;

    while (p < last && !out->failed) {

        if (unpack_token(&p, last, start, out) != APPROVAL_OK
            || out->len - start > max)
        {
            out->len = start;
            return APPROVAL_DECLINED;
        }
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
unpack_token(const unsigned char **pp, const unsigned char *last,
    size_t start, approval_buf_t *out)
{
    size_t                i, n, back;
    const unsigned char  *p;

    static const char  digits[] = "0123456789abcdef";

    p = *pp;

    if (*p >= PACK_PHRASE) {
        i = *p - PACK_PHRASE;

        if (i >= PACK_PHRASES) {
            return APPROVAL_DECLINED;
        }

        approval_buf_add(out, pack_phrases[i].text, pack_phrases[i].len);
        *pp = p + 1;

        return APPROVAL_OK;
    }

    if (*p >= 0x20) {
        approval_buf_addc(out, *p);
        *pp = p + 1;

        return APPROVAL_OK;
    }

    if (last - p < 2) {
        return APPROVAL_DECLINED;
    }

    n = p[1];
    *pp = p + 2 + ((*p == PACK_BACK) ? 2 : n);

    if (n == 0 || *pp > last) {
        return APPROVAL_DECLINED;
    }

    switch (*p) {

    case PACK_HEX:
        for (p += 2; p < *pp; p++) {
            approval_buf_addc(out, (unsigned char) digits[*p >> 4]);
            approval_buf_addc(out, (unsigned char) digits[*p & 15]);
        }

        return APPROVAL_OK;

    case PACK_RAW:
        approval_buf_add(out, p + 2, n);
        return APPROVAL_OK;

    case PACK_BACK:
        back = (size_t) p[2] | (size_t) p[3] << 8;

        if (back == 0 || back > out->len - start) {
            return APPROVAL_DECLINED;
        }

        /* the source may overlap the result, and the buffer moves */

        for (i = 0; i < n && !out->failed; i++) {
            approval_buf_addc(out, out->data[out->len - back]);
        }

        return APPROVAL_OK;
    }

    return APPROVAL_DECLINED;
}
