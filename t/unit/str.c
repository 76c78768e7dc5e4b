
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Unit tests: strings, buffers, encodings, times.
 */


#include "test.h"

#include <stdlib.h>


#define BAD  ((size_t) -1)


static void test_strings(void);
static void test_buffers(void);
static void test_base64(void);
static void test_hex(void);
static void test_utf8(void);
static void test_time_format(void);
static void test_time_parse(void);
static size_t decode(size_t (*f)(unsigned char *, approval_str_t),
    const char *text, unsigned char *dst);


int
main(void)
{
    test_strings();
    test_buffers();
    test_base64();
    test_hex();
    test_utf8();
    test_time_format();
    test_time_parse();

    return test_done();
}


static void
test_strings(void)
{
    char            text[64];
    size_t          i;
    approval_str_t  null = { 0, NULL };

    static const char  *blanks[] = {
        "\n", "\xc2\x85", "\xc2\xa0", "\xc2\xad", "\xcd\x8f", "\xd8\x9c",
        "\xe1\x85\x9f", "\xe1\x9e\xb5", "\xe1\xa0\x8e", "\xe2\x80\x8b",
        "\xe2\x81\xa0", "\xe2\x81\xaf", "\xe2\xa0\x80", "\xe3\x80\x80",
        "\xe3\x85\xa4", "\xef\xbb\xbf", "\xef\xbe\xa0",
        "\xf0\x9d\x85\x99", "\xf0\x9d\x85\xba", "\xf3\xa0\x80\xa0"
    };

    is_int(approval_str("abc").len, 3, "length of a C string");
    is_int(approval_str(NULL).len, 0, "no C string is an empty one");

    ok(approval_str_eq(approval_str("abc"), approval_str("abc")), "equal");
    ok(!approval_str_eq(approval_str("abc"), approval_str("abC")),
       "case differs");
    ok(!approval_str_eq(approval_str("abc"), approval_str("ab")),
       "length differs");
    ok(approval_str_eq(null, approval_str("")), "empty and null are equal");

    ok(approval_str_eq_nocase(approval_str("aBz@"), approval_str("AbZ@")),
       "equal without case");
    ok(!approval_str_eq_nocase(approval_str("@"), approval_str("`")),
       "only letters have case");
    ok(!approval_str_eq_nocase(approval_str("ab"), approval_str("abc")),
       "length differs without case");

    ok(approval_str_eq_secret(approval_str("s3cret"), approval_str("s3cret")),
       "secrets are equal");
    ok(!approval_str_eq_secret(approval_str("s3cret"),
                               approval_str("s3creT")),
       "secrets differ");
    ok(!approval_str_eq_secret(approval_str("s3cret"), approval_str("s3cre")),
       "secrets differ in length");
    ok(approval_str_eq_secret(null, null), "empty secrets are equal");

    is_str(approval_str_trim(null), "", "an empty text is trimmed");
    is_str(approval_str_trim(approval_str(" \t")), "", "blanks are trimmed");

    for (i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++) {
        snprintf(text, sizeof(text), "%s%s a b %s", blanks[i], blanks[i],
                 blanks[i]);
        is_str(approval_str_trim(approval_str(text)), "a b", blanks[i]);
    }

    is_str(approval_str_trim(approval_str("\xf0\x9f\x98\x80")),
           "\xf0\x9f\x98\x80", "four bytes that are not blank");
}


static void
test_buffers(void)
{
    size_t          i;
    approval_buf_t  b;

    approval_buf_init(&b);

    is_str(approval_buf_str(&b), "", "new buffer is empty");

    approval_buf_add(&b, NULL, 0);
    approval_buf_adds(&b, "one ");
    approval_buf_addc(&b, 't');
    approval_buf_add(&b, "wo", 2);
    approval_buf_printf(&b, " %s %d", "three", 4);

    is_str(approval_buf_str(&b), "one two three 4", "appends");

    approval_buf_reset(&b);
    is_int(b.len, 0, "reset empties");
    ok(b.size > 0, "reset keeps the memory");

    for (i = 0; i < 1000; i++) {
        approval_buf_printf(&b, "%03d", (int) i);
    }

    is_int(b.len, 3000, "growing buffer");
    ok(memcmp(b.data + 2997, "999", 3) == 0, "end of a grown buffer");
    ok(memcmp(b.data, "000001", 6) == 0, "start of a grown buffer");

    approval_buf_add(&b, "x", SIZE_MAX - 10);
    ok(b.failed, "too large an append fails");
    is_int(b.len, 3000, "a failed append changes nothing");

    approval_buf_adds(&b, "more");
    approval_buf_addc(&b, 'x');
    approval_buf_printf(&b, "%d", 1);
    is_int(b.len, 3000, "appends after a failure do nothing");

    approval_buf_reset(&b);
    ok(!b.failed, "reset forgives");

    approval_buf_adds(&b, "key");
    approval_buf_wipe(&b);
    ok(b.data == NULL && b.len == 0 && b.size == 0, "wiped");

    approval_buf_wipe(&b);
    approval_buf_free(&b);
    ok(b.data == NULL, "freed twice");
}


static size_t
decode(size_t (*f)(unsigned char *, approval_str_t), const char *text,
    unsigned char *dst)
{
    return f(dst, approval_str(text));
}


static void
test_base64(void)
{
    size_t          i, n, len;
    unsigned        good;
    unsigned char   src[64], dst[128], back[128];

    static const char *const  vectors[][3] = {
        { "", "", "" },
        { "f", "Zg==", "Zg" },
        { "fo", "Zm8=", "Zm8" },
        { "foo", "Zm9v", "Zm9v" },
        { "foob", "Zm9vYg==", "Zm9vYg" },
        { "fooba", "Zm9vYmE=", "Zm9vYmE" },
        { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
        { "\xfb\xff\xfe", "+//+", "-__-" }
    };

    static const char *const  bad[] = {
        "Zg", "Zg=", "Zg===", "Z", "Zh==", "Zm9=", "Zg==Zg==", "Zg= =",
        "Zm9v\n", " Zm9v", "====", "=", "Zm9-", "Z===", "Zm=v"
    };

    static const char *const  bad_url[] = {
        "Zg==", "Z", "Zh", "Zm9", "Zm9vY", "Zm+v", "Zm/v", "Zm 9", "Zm8="
    };

    for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        n = strlen(vectors[i][0]);

        len = approval_base64_encode(dst, (const void *) vectors[i][0], n);
        ok(len == strlen(vectors[i][1]) && !memcmp(dst, vectors[i][1], len),
           "base64 of vector %zu", i);

        len = approval_base64url_encode(dst, (const void *) vectors[i][0], n);
        ok(len == strlen(vectors[i][2]) && !memcmp(dst, vectors[i][2], len),
           "base64url of vector %zu", i);

        len = decode(approval_base64_decode, vectors[i][1], dst);
        ok(len == n && !memcmp(dst, vectors[i][0], n),
           "base64 decoding of vector %zu", i);

        len = decode(approval_base64url_decode, vectors[i][2], dst);
        ok(len == n && !memcmp(dst, vectors[i][0], n),
           "base64url decoding of vector %zu", i);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(decode(approval_base64_decode, bad[i], dst) == BAD,
           "not canonical base64: %zu", i);
    }

    for (i = 0; i < sizeof(bad_url) / sizeof(bad_url[0]); i++) {
        ok(decode(approval_base64url_decode, bad_url[i], dst) == BAD,
           "not canonical base64url: %zu", i);
    }

    good = 1;

    for (n = 0; n <= sizeof(src); n++) {
        for (i = 0; i < n; i++) {
            src[i] = (unsigned char) (i * 37 + n * 101);
        }

        len = approval_base64_encode(dst, src, n);
        good &= len == approval_base64_size(n);
        good &= approval_base64_decode(back, (approval_str_t) { len, dst })
                == n;
        good &= memcmp(back, src, n) == 0;

        len = approval_base64url_encode(dst, src, n);
        good &= approval_base64url_decode(back, (approval_str_t) { len, dst })
                == n;
        good &= memcmp(back, src, n) == 0;
    }

    ok(good, "base64 of all lengths and back");
}


static void
test_hex(void)
{
    size_t         n;
    unsigned char  dst[32], back[16];

    n = approval_hex_encode(dst, (const void *) "\x00\x1f\xa0\xff", 4);
    is_str(((approval_str_t) { n, dst }), "001fa0ff", "hex");

    n = approval_hex_decode(back, (approval_str_t) { n, dst });
    ok(n == 4 && !memcmp(back, "\x00\x1f\xa0\xff", 4), "hex decoding");

    ok(decode(approval_hex_decode, "", back) == 0, "empty hex");
    ok(decode(approval_hex_decode, "0", back) == BAD, "odd hex");
    ok(decode(approval_hex_decode, "0g", back) == BAD, "no hex digit");
    ok(decode(approval_hex_decode, "FF", back) == BAD,
       "upper case is not canonical");
}


static void
test_utf8(void)
{
    size_t                i;
    const unsigned char  *p, *last;

    static const char *const  good[] = {
        "", "ascii", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
        "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf"
    };

    static const char *const  bad[] = {
        "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2" "a",
        "\xe0\x9f\xbf", "\xe0\xa0", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "\xfe", "a\xe2\x82z"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ok(approval_utf8_valid(approval_str(good[i])), "UTF-8 %zu", i);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(!approval_utf8_valid(approval_str(bad[i])), "no UTF-8 %zu", i);
    }

    ok(approval_utf8_valid((approval_str_t) { 0, NULL }), "null is UTF-8");

    p = (const unsigned char *) "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2" "b";
    last = p + strlen((const char *) p);

    is_int(approval_utf8_next(&p, last), 'a', "one byte");
    is_int(approval_utf8_next(&p, last), 0xe9, "two bytes");
    is_int(approval_utf8_next(&p, last), 0x20ac, "three bytes");
    is_int(approval_utf8_next(&p, last), 0x1f600, "four bytes");
    is_int(approval_utf8_next(&p, last), 0xffffffff, "invalid byte");
    is_int(approval_utf8_next(&p, last), 'b', "what follows it");
    ok(p == last, "all is read");
}


static void
test_time_format(void)
{
    size_t  i;
    char    text[APPROVAL_TIME_LEN + 1];

    static const struct {
        int64_t      ms;
        const char  *text;
    } times[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { 1, "1970-01-01T00:00:00.001Z" },
        { 951782400000, "2000-02-29T00:00:00.000Z" },
        { 1767323045678, "2026-01-02T03:04:05.678Z" },
        { 4107542399999, "2100-02-28T23:59:59.999Z" },
        { 4107542400000, "2100-03-01T00:00:00.000Z" },
        { 253402300799999, "9999-12-31T23:59:59.999Z" },
        { -62167219200000, "0000-01-01T00:00:00.000Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999Z" },
        { INT64_MIN, "0000-01-01T00:00:00.000Z" }
    };

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        approval_time_format(text, times[i].ms);
        is_str(approval_str(text), times[i].text, times[i].text);
    }
}


static void
test_time_parse(void)
{
    char      text[APPROVAL_TIME_LEN + 1];
    size_t    i;
    int64_t   ms, back;
    unsigned  good;

    static const struct {
        const char  *text;
        int64_t      ms;
    } times[] = {
        { "1970-01-01T00:00:00.000Z", 0 },
        { "2026-01-02T03:04:05.678Z", 1767323045678 },
        { "2026-01-02T03:04:05Z", 1767323045000 },
        { "2026-01-02T03:04:05.6Z", 1767323045600 },
        { "2026-01-02T03:04:05.67Z", 1767323045670 },
        { "1969-12-31T23:59:59.999Z", -1 },
        { "2000-02-29T00:00:00.000Z", 951782400000 }
    };

    static const char *const  bad[] = {
        "", "Z", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02t03:04:05Z",
        "2026-01-02T03:04:05z", "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05.6789Z",
        "2026-01-02T03:04:05,678Z", "2026-13-02T03:04:05Z",
        "2026-00-02T03:04:05Z", "2026-02-29T03:04:05Z",
        "2100-02-29T03:04:05Z", "2026-04-31T03:04:05Z",
        "2026-01-00T03:04:05Z", "2026-01-02T24:04:05Z",
        "2026-01-02T03:60:05Z", "2026-01-02T03:04:60Z",
        "2026-01-02T03:04:05+00:00", "+026-01-02T03:04:05Z",
        "2026-01-02T03:04: 5Z", "2026-01-02T03:04:05.678ZZ"
    };

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        ms = 42;
        is_int(approval_time_parse(approval_str(times[i].text), &ms),
               APPROVAL_OK, times[i].text);
        is_int(ms, times[i].ms, "milliseconds");
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(approval_time_parse(approval_str(bad[i]), &ms) == APPROVAL_ERROR,
           "no time: %s", bad[i]);
    }

    good = 1;

    for (ms = -62167219200000; ms < 253402300800000; ms += 86399123457) {
        approval_time_format(text, ms);
        good &= approval_time_parse(approval_str(text), &back) == APPROVAL_OK
                && back == ms;
    }

    ok(good, "times of ten thousand years, there and back");
}
