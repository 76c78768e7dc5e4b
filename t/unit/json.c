
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Unit tests: strict JSON, pointers, canonical output.
 */


#include "test.h"

#include "core/json.h"

#include <stdint.h>
#include <stdlib.h>


#define COUNT(a)  (sizeof(a) / sizeof(a[0]))


static void good(const char *text, const char *canonical);
static void bad(approval_str_t text, const char *reason, const char *name);
static char *nested(size_t depth, const char *open, const char *close);
static int collect(void *data, json_t *value);
static int stop(void *data, json_t *value);
static void pointer(const char *text, const char *doc, const char *want);
static void mask(const char *text, const char *doc, int n, const char *want);
static void test_parse(void);
static void test_refuse(void);
static void test_wide(void);
static void test_depth(void);
static void test_pointer(void);
static void test_pointer_errors(void);
static void test_mask(void);
static void test_text(void);
static void test_numbers(void);
static void test_canonical(void);
static void test_items(void);
static void test_raw(void);


int
main(void)
{
    test_parse();
    test_refuse();
    test_wide();
    test_depth();
    test_pointer();
    test_pointer_errors();
    test_mask();
    test_text();
    test_numbers();
    test_canonical();
    test_items();
    test_raw();

    return test_done();
}


static void
good(const char *text, const char *canonical)
{
    json_t          *json;
    const char      *err;
    approval_buf_t   out;

    approval_buf_init(&out);

    json = approval_json_parse(approval_str(text), &err);

    if (ok(json != NULL, "parses: %s", text)) {
        ok(approval_json_canonical(json, &out) == APPROVAL_OK, "is written");
        is_str(approval_buf_str(&out), canonical, "canonical");

    } else {
        printf("#   %s\n", err);
    }

    json_decref(json);
    approval_buf_free(&out);
}


static void
bad(approval_str_t text, const char *reason, const char *name)
{
    json_t      *json;
    const char  *err;

    err = NULL;
    json = approval_json_parse(text, &err);

    ok(json == NULL, "refused: %s", name);
    is_str(approval_str(err), reason, reason);

    json_decref(json);
}


static void
test_parse(void)
{
    json_t      *json;
    const char  *err;

    json = approval_json_parse(approval_str("\r\n[\r1\n]\n"), &err);
    ok(json != NULL, "line ends around tokens");
    json_decref(json);

    good("{}", "{}");
    good("[]", "[]");
    good(" \t{ \"a\" : [ 1 , 2 ] } ", "{\"a\":[1,2]}");
    good("null", "null");
    good("true", "true");
    good("false", "false");
    good("\"x\"", "\"x\"");
    good("0", "0");
    good("-0", "0");
    good("9223372036854775807", "9223372036854775807");
    good("-9223372036854775808", "-9223372036854775808");
    good("9007199254740993", "9007199254740993");
    good("\"\\u00e9\\ud83d\\ude00\\/\"", "\"\xc3\xa9\xf0\x9f\x98\x80/\"");
    good("{\"\":1}", "{\"\":1}");
    good("{\"a\":1,\"A\":2}", "{\"A\":2,\"a\":1}");
    good("[\"[[[[\",\"\\\"{{\"]", "[\"[[[[\",\"\\\"{{\"]");
}


static void
test_refuse(void)
{
    size_t          i;
    approval_str_t  nul = approval_string("{\"a\":1}\0");
    approval_str_t  nul_string = approval_string("\"a\0b\"");
    approval_str_t  nul_escape = approval_string("\"\\\0\"");

    static const char  malformed[] = "malformed JSON";
    static const char  early[] = "JSON ends too early";
    static const char  after[] = "there is text after the JSON value";
    static const char  utf8[] = "JSON is not valid UTF-8";
    static const char  twice[] = "JSON object has the same member twice";
    static const char  surrogate[] = "lone surrogate in JSON";
    static const char  range[] = "JSON number out of range";

    static const char *const  texts[][2] = {
        { "", "empty text is not JSON" },
        { " ", NULL },
        { "\xef\xbb\xbf{}", "byte order mark before JSON" },
        { "\"\xff\"", utf8 },
        { "\"\xc0\x80\"", utf8 },
        { "\"\xed\xa0\x80\"", utf8 },
        { "{\"\xc3\":1}", utf8 },
        { "\xa0{}", utf8 },
        { "\xc2\xa0{}", malformed },
        { "\"\\ud800\"", surrogate },
        { "\"\\udc00\"", surrogate },
        { "\"\\ud800x\"", surrogate },
        { "\"\\ud800\\u0041\"", surrogate },
        { "{\"\\ude00\":1}", surrogate },
        { "\"\\u0000\"", "NUL in JSON" },
        { "{\"a\\u0000\":1}", "NUL in JSON" },
        { "{\"a\":1,\"a\":1}", twice },
        { "{\"a\":1,\"\\u0061\":2}", twice },
        { "{\"x\":{\"\\u00e9\":1,\"\xc3\xa9\":2}}", twice },
        { "{} {}", after },
        { "{}x", NULL },
        { "1 2", after },
        { "[1,]", malformed },
        { "{\"a\":1,}", malformed },
        { "{a:1}", malformed },
        { "{'a':1}", malformed },
        { "[1", NULL },
        { "{\"a\":", NULL },
        { "\"abc", early },
        { "//x", malformed },
        { "{}//", NULL },
        { "/* x */ 1", malformed },
        { "NaN", malformed },
        { "Infinity", malformed },
        { "-Infinity", malformed },
        { "+1", malformed },
        { "01", malformed },
        { "-01", malformed },
        { "1.", malformed },
        { ".5", malformed },
        { "0x10", NULL },
        { "1e", malformed },
        { "--1", malformed },
        { "TRUE", malformed },
        { "nul", malformed },
        { "truefalse", malformed },
        { "\"\t\"", malformed },
        { "\"\\x41\"", malformed },
        { "\"\\u12\"", malformed },
        { "\"\\", NULL },
        { "\f{}", malformed },
        { "9223372036854775808", range },
        { "-9223372036854775809", range },
        { "1e400", range },
        { "]", malformed },
        { "[}", malformed },
        { ":", malformed }
    };

    for (i = 0; i < COUNT(texts); i++) {
        if (texts[i][1]) {
            bad(approval_str(texts[i][0]), texts[i][1], texts[i][0]);

        } else {
            const char  *err = NULL;

            ok(approval_json_parse(approval_str(texts[i][0]), &err) == NULL
               && err != NULL,
               "refused: %s (%s)", texts[i][0], err ? err : "no reason");
        }
    }

    bad(nul, "NUL in JSON", "NUL after the value");
    bad(nul_string, "NUL in JSON", "NUL in a string");
    bad(nul_escape, "NUL in JSON", "NUL after a backslash");
    bad((approval_str_t) { 0, NULL }, "empty text is not JSON", "no text");
}


static void
test_wide(void)
{
    size_t           i;
    json_t          *json;
    char             most[2 * 309 + 8];
    const char      *err;
    approval_str_t   digits;
    approval_buf_t   out;

    static const char *const  good[][2] = {
        { "9223372036854775808", "9223372036854775808" },
        { "-9223372036854775809", "-9223372036854775809" },
        { " [ 9223372036854775807, 9223372036854775808 ] ",
          "[9223372036854775807,9223372036854775808]" },
        { "{\"a\":99999999999999999999,\"b\":-99999999999999999998}",
          "{\"a\":99999999999999999999,\"b\":-99999999999999999998}" },
        { "[99999999999999999999,\"99999999999999999999\\\"1\",1.5,-2e3]",
          "[99999999999999999999,\"99999999999999999999\\\"1\",1.5,-2000]" },
        { "{\"\\u0061\":99999999999999999999}",
          "{\"a\":99999999999999999999}" }
    };

    static const char *const  bad[] = {
        "{99999999999999999999:1}", "[99999999999999999999 1]",
        "[-99999999999999999999-]", "[099999999999999999999]",
        "[99999999999999999999,1e400]", "99999999999999999999x",
        "[99999999999999999999,\"\\u0000\"]",
        "[99999999999999999999,\"\\\\\\u00001\"]",
        "{\"a\":99999999999999999999,\"a\":1}", "\"a\"99999999999999999999",
        "[99999999999999999999", "[+99999999999999999999]"
    };

    approval_buf_init(&out);

    for (i = 0; i < COUNT(good); i++) {
        approval_buf_reset(&out);
        err = NULL;
        json = approval_json_parse_wide(approval_str(good[i][0]), &err);
        ok(json != NULL && err == NULL
           && approval_json_canonical(json, &out) == APPROVAL_OK,
           "wide: %s", good[i][0]);
        is_str(approval_buf_str(&out), good[i][1], "as it was sent");
        json_decref(json);
    }

    for (i = 0; i < COUNT(bad); i++) {
        err = NULL;
        ok(approval_json_parse_wide(approval_str(bad[i]), &err) == NULL
           && err != NULL,
           "refused: %s (%s)", bad[i], err ? err : "no reason");
    }

    json = approval_json_parse_wide(approval_str("-99999999999999999999"),
                                    &err);
    ok(approval_json_wide(json, &digits), "a wide integer");
    is_str(digits, "-99999999999999999999", "its digits");
    approval_buf_reset(&out);
    ok(approval_json_text(json, &out) == APPROVAL_OK, "its text");
    is_str(approval_buf_str(&out), "-99999999999999999999", "is the same");
    json_decref(json);

    json = approval_json_parse_wide(approval_str("\"99999999999999999999\""),
                                    &err);
    ok(json != NULL && !approval_json_wide(json, &digits), "a string is none");
    json_decref(json);

    memset(most, '9', sizeof(most));
    most[308] = '\0';
    json = approval_json_parse_wide(approval_str(most), &err);
    ok(json != NULL, "as many digits as a double holds");
    json_decref(json);

    most[308] = '9';
    most[309] = '\0';
    ok(approval_json_parse_wide(approval_str(most), &err) == NULL,
       "and no more");

    approval_buf_free(&out);
}


static char *
nested(size_t depth, const char *open, const char *close)
{
    char    *text;
    size_t   i;

    text = calloc(depth, strlen(open) + strlen(close) + 1);
    if (text == NULL) {
        abort();
    }

    for (i = 0; i < depth; i++) {
        strcat(text, open);
    }

    for (i = 0; i < depth; i++) {
        strcat(text, close);
    }

    return text;
}


static void
test_depth(void)
{
    char        *text;
    size_t       i;
    json_t      *json;
    const char  *err;

    static const char *const  forms[][2] = {
        { "[", "]" }, { "{\"a\":[", "]}" }
    };

    for (i = 0; i < COUNT(forms); i++) {
        text = nested(64 / (i + 1), forms[i][0], forms[i][1]);
        json = approval_json_parse(approval_str(text), &err);
        ok(json != NULL, "64 levels, form %zu", i);
        json_decref(json);
        free(text);

        text = nested(64 / (i + 1) + 1, forms[i][0], forms[i][1]);
        bad(approval_str(text), "JSON is nested deeper than 64 levels",
            "more levels");
        free(text);
    }

    text = nested(10000, "[", "]");
    bad(approval_str(text), "JSON is nested deeper than 64 levels",
        "10000 levels");
    free(text);

    json = approval_json_parse(approval_str("[[],[],{},[[]],\"[[[[\\\"[[\"]"),
                               &err);
    ok(json != NULL, "brackets that are closed, or in strings, do not count");
    json_decref(json);
}


static int
collect(void *data, json_t *value)
{
    approval_buf_t  *out = data;

    approval_buf_addc(out, '<');
    (void) approval_json_text(value, out);
    approval_buf_addc(out, '>');

    return APPROVAL_OK;
}


static int
stop(void *data, json_t *value)
{
    (void) value;

    return ++*(int *) data == 2 ? 42 : APPROVAL_OK;
}


static void
pointer(const char *text, const char *doc, const char *want)
{
    int                       rc;
    json_t                   *json;
    const char               *err;
    approval_buf_t            out;
    approval_json_pointer_t  *p;

    approval_buf_init(&out);

    json = approval_json_parse(approval_str(doc), &err);
    p = approval_json_pointer_compile(approval_str(text), &err);

    if (ok(json != NULL && p != NULL, "pointer \"%s\" into %s", text, doc)) {
        rc = approval_json_pointer_each(p, json, collect, &out);
        is_int(rc, *want ? APPROVAL_OK : APPROVAL_DECLINED, "return value");
        is_str(approval_buf_str(&out), want, "what it names");
    }

    approval_json_pointer_free(p);
    json_decref(json);
    approval_buf_free(&out);
}


static void
test_pointer(void)
{
    int                       n;
    size_t                    i;
    json_t                   *json;
    const char               *err;
    approval_json_pointer_t  *p;

    static const char  rfc[] =
        "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
        "\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}";

    static const char *const  rfc_pointers[][2] = {
        { "/foo", "<[\"bar\",\"baz\"]>" }, { "/foo/0", "<bar>" },
        { "/", "<0>" }, { "/a~1b", "<1>" }, { "/c%d", "<2>" },
        { "/e^f", "<3>" }, { "/g|h", "<4>" }, { "/i\\j", "<5>" },
        { "/k\"l", "<6>" }, { "/ ", "<7>" }, { "/m~0n", "<8>" }
    };

    for (i = 0; i < COUNT(rfc_pointers); i++) {
        pointer(rfc_pointers[i][0], rfc, rfc_pointers[i][1]);
    }

    pointer("", "[1,2]", "<[1,2]>");
    pointer("", "\"x\"", "<x>");
    pointer("/a", "1", "");
    pointer("/a", "{\"b\":1}", "");
    pointer("/a", "{\"a\":null}", "<null>");
    pointer("/a", "{\"a\":\"\"}", "<>");
    pointer("/a/b/c", "{\"a\":{\"b\":{\"c\":true}}}", "<true>");
    pointer("/a/b", "{\"a\":1}", "");
    pointer("/1", "[1,2]", "<2>");
    pointer("/2", "[1,2]", "");
    pointer("/01", "[1,2]", "");
    pointer("/-", "[1,2]", "");
    pointer("/-1", "[1,2]", "");
    pointer("/+1", "[1,2]", "");
    pointer("/", "[1,2]", "");
    pointer("/99999999999999999999", "[1,2]", "");
    pointer("/18446744073709551616", "[1,2]", "");
    pointer("/0", "{\"0\":\"member\"}", "<member>");
    pointer("/01", "{\"01\":\"member\"}", "<member>");
    pointer("/*", "[1,\"a\",{}]", "<1><a><{}>");
    pointer("/*", "{\"b\":1,\"a\":2}", "<1><2>");
    pointer("/*", "[]", "");
    pointer("/*", "1", "");
    pointer("/*/a", "[{\"a\":1},{\"b\":2},3,{\"a\":4}]", "<1><4>");
    pointer("/x/*/*", "{\"x\":[[1,2],{\"y\":3},4]}", "<1><2><3>");
    pointer("/**", "{\"**\":1,\"a\":2}", "<1>");
    pointer("/*a", "{\"*a\":1,\"a\":2}", "<1>");
    pointer("/~0*", "{\"~*\":1}", "<1>");
    pointer("/~01", "{\"~1\":1,\"/\":2}", "<1>");
    pointer("/\xc3\xa9", "{\"\\u00e9\":1}", "<1>");
    pointer("/a", "{\"\\u0061\":1}", "<1>");

    json = approval_json_parse(approval_str("[1,2,3,4]"), &err);
    p = approval_json_pointer_compile(approval_str("/*"), &err);

    n = 0;
    is_int(approval_json_pointer_each(p, json, stop, &n), 42, "stopped");
    is_int(n, 2, "at the second");

    approval_json_pointer_free(p);
    approval_json_pointer_free(NULL);
    json_decref(json);
}


static void
test_pointer_errors(void)
{
    char                     *text;
    size_t                    i;
    const char               *err;
    approval_str_t            nul = approval_string("/a\0");
    approval_json_pointer_t  *p;

    static const char *const  texts[] = {
        "a", "a/b", " /a", "#/a", "/~", "/a~", "/~2", "/a~b/c", "/a/b~",
        "/\xff", "/~\xc3\xa9"
    };

    for (i = 0; i < COUNT(texts); i++) {
        err = NULL;
        p = approval_json_pointer_compile(approval_str(texts[i]), &err);
        ok(p == NULL && err != NULL, "no pointer: %s (%s)", texts[i],
           err ? err : "");
    }

    p = approval_json_pointer_compile(nul, &err);
    ok(p == NULL, "NUL in a pointer");

    text = nested(64, "/a", "");
    p = approval_json_pointer_compile(approval_str(text), &err);
    ok(p != NULL, "64 segments");
    approval_json_pointer_free(p);
    free(text);

    text = nested(65, "/a", "");
    p = approval_json_pointer_compile(approval_str(text), &err);
    ok(p == NULL, "65 segments");
    free(text);

    p = approval_json_pointer_compile((approval_str_t) { 0, NULL }, &err);
    ok(p != NULL, "the whole document");
    approval_json_pointer_free(p);
}


static void
mask(const char *text, const char *doc, int n, const char *want)
{
    int                       marked;
    size_t                    i;
    const char               *err;
    approval_buf_t            out;
    approval_json_items_t     items;
    approval_json_pointer_t  *p;

    approval_buf_init(&out);

    p = approval_json_pointer_compile(approval_str(text), &err);

    is_int(approval_json_items(approval_str(doc), &items, &err), APPROVAL_OK,
           doc);
    approval_json_items_mark(&items, p);

    for (i = 0, marked = 0; i < items.n; i++) {
        if (items.list[i].marked) {
            approval_buf_adds(&out, marked++ ? " " : "");
            approval_buf_add(&out, items.list[i].text.data,
                             items.list[i].text.len);
        }
    }

    is_int(marked, n, text);
    is_str(approval_buf_str(&out), want, doc);

    approval_json_pointer_free(p);
    approval_json_items_free(&items);
    approval_buf_free(&out);
}


static void
test_mask(void)
{
    mask("/a", "{\"a\":1,\"b\":2}", 1, "1");
    mask("/a", "{\"a\":{\"x\": [1]}}", 1, "{\"x\": [1]}");
    mask("/c", "{\"a\":1}", 0, "");
    mask("", "{\"a\":1}", 1, "{\"a\":1}");
    mask("/*", "[1,2]", 2, "1 2");
    mask("/*", "{\"a\":1,\"b\":[]}", 2, "1 []");
    mask("/1", "[1,\"\\u0062\"]", 1, "b");
    mask("/2", "[1,2]", 0, "");
    mask("/*/p/*", "[{\"p\":[1,2]},{\"p\":{\"q\":3}},{\"p\":4}]", 3, "1 2 3");
    mask("/a", "1", 0, "");
}


static void
test_text(void)
{
    size_t           i;
    json_t          *json;
    const char      *err;
    approval_buf_t   out;

    static const char *const  texts[][2] = {
        { "\"a\\\"b\\n\"", "a\"b\n" }, { "1", "1" }, { "-7", "-7" },
        { "1.50", "1.5" }, { "1.0", "1" }, { "1e2", "100" },
        { "true", "true" }, { "false", "false" }, { "null", "null" },
        { "\"\"", "" }, { "{\"b\":1,\"a\":\"\\u0062\"}",
                          "{\"a\":\"b\",\"b\":1}" },
        { "[ 1, [] ]", "[1,[]]" }
    };

    for (i = 0; i < COUNT(texts); i++) {
        approval_buf_init(&out);

        json = approval_json_parse(approval_str(texts[i][0]), &err);
        is_int(approval_json_text(json, &out), APPROVAL_OK, texts[i][0]);
        is_str(approval_buf_str(&out), texts[i][1], "its text");

        json_decref(json);
        approval_buf_free(&out);
    }
}


/* The table of RFC 8785, appendix B, and what else is at a border. */

static void
test_numbers(void)
{
    size_t           i;
    double           d;
    json_t          *json;
    approval_buf_t   out;

    static const struct {
        uint64_t     bits;
        const char  *text;
    } numbers[] = {
        { 0x0000000000000000, "0" },
        { 0x8000000000000000, "0" },
        { 0x0000000000000001, "5e-324" },
        { 0x8000000000000001, "-5e-324" },
        { 0x7fefffffffffffff, "1.7976931348623157e+308" },
        { 0xffefffffffffffff, "-1.7976931348623157e+308" },
        { 0x4340000000000000, "9007199254740992" },
        { 0xc340000000000000, "-9007199254740992" },
        { 0x4430000000000000, "295147905179352830000" },
        { 0x44b52d02c7e14af5, "9.999999999999997e+22" },
        { 0x44b52d02c7e14af6, "1e+23" },
        { 0x44b52d02c7e14af7, "1.0000000000000001e+23" },
        { 0x444b1ae4d6e2ef4e, "999999999999999700000" },
        { 0x444b1ae4d6e2ef4f, "999999999999999900000" },
        { 0x444b1ae4d6e2ef50, "1e+21" },
        { 0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7" },
        { 0x3eb0c6f7a0b5ed8d, "0.000001" },
        { 0x41b3de4355555553, "333333333.3333332" },
        { 0x41b3de4355555554, "333333333.33333325" },
        { 0x41b3de4355555555, "333333333.3333333" },
        { 0x41b3de4355555556, "333333333.3333334" },
        { 0x41b3de4355555557, "333333333.33333343" },
        { 0xbecbf647612f3696, "-0.0000033333333333333333" },
        { 0x43143ff3c1cb0959, "1424953923781206.2" },
        { 0x3d30000000000000, "5.684341886080802e-14" },
        { 0x0010000000000000, "2.2250738585072014e-308" },
        { 0x000fffffffffffff, "2.225073858507201e-308" },
        { 0x3fb999999999999a, "0.1" },
        { 0x4059000000000000, "100" },
        { 0x3ff8000000000000, "1.5" }
    };

    for (i = 0; i < COUNT(numbers); i++) {
        memcpy(&d, &numbers[i].bits, sizeof(double));

        approval_buf_init(&out);
        json = json_real(d);

        (void) approval_json_canonical(json, &out);
        is_str(approval_buf_str(&out), numbers[i].text, numbers[i].text);

        json_decref(json);
        approval_buf_free(&out);
    }
}


static void
test_canonical(void)
{
    json_t          *json, *inner;
    unsigned         i;
    approval_buf_t   out;

    /* RFC 8785, 3.2.2 and 3.2.3 */

    good("{\"numbers\":[333333333.33333329,1E30,4.50,2e-3,"
         "0.000000000000000000000000001],\"string\":\"\\u20ac$\\u000F"
         "\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\"literals\":"
         "[null,true,false]}",
         "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,"
         "1e+30,4.5,0.002,1e-27],\"string\":\"\xe2\x82\xac$\\u000f\\nA'B"
         "\\\"\\\\\\\\\\\"/\"}");

    good("{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\","
         "\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\",\"1\":\"One\","
         "\"\\ud83d\\ude00\":\"Emoji: Grinning Face\","
         "\"\\u0080\":\"Control\","
         "\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}",
         "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\","
         "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\","
         "\"\xe2\x82\xac\":\"Euro Sign\","
         "\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\","
         "\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}");

    good("{\"ab\":1,\"a\":2,\"\":3,\"b\":4,\"B\":5}",
         "{\"\":3,\"B\":5,\"a\":2,\"ab\":1,\"b\":4}");
    good("{\"x\xef\xbf\xbd\":1,\"x\xf4\x8f\xbf\xbf\":2,\"x\xed\x9f\xbf\":3}",
         "{\"x\xed\x9f\xbf\":3,\"x\xf4\x8f\xbf\xbf\":2,\"x\xef\xbf\xbd\":1}");

    /* deeper than anything that we make */

    json = json_array();

    for (i = 0; i < 300; i++) {
        inner = json;
        json = json_array();
        (void) json_array_append_new(json, inner);
    }

    approval_buf_init(&out);
    is_int(approval_json_canonical(json, &out), APPROVAL_ERROR, "too deep");
    is_int(approval_json_canonical(NULL, &out), APPROVAL_ERROR, "no value");
    approval_buf_free(&out);
    json_decref(json);
}


static void
test_items(void)
{
    size_t                  i;
    char                    text[512];
    const char             *err;
    approval_json_items_t   items;

    static const struct {
        char            type;
        unsigned        next;
        unsigned        size;
        const char     *text;
    } want[] = {
        { '{', 11, 3, NULL }, { '"', 2, 0, "b" },
        { '[', 7, 2, "[1.50, {\"x\":-0}]" }, { '0', 4, 0, "1.50" },
        { '{', 7, 1, "{\"x\":-0}" }, { '"', 6, 0, "x" }, { '0', 7, 0, "-0" },
        { '"', 8, 0, "\xc3\xa4\"" }, { 't', 9, 0, "true" },
        { '"', 10, 0, "" }, { '"', 11, 0, "\xf0\x9f\x98\x80/" }
    };

    (void) snprintf(text, sizeof(text),
                    " {\"b\" : [1.50, {\"x\":-0}], \"\\u00e4\\\"\":true ,"
                    "\"\":\"\\ud83d\\ude00\\/\"}\n");

    is_int(approval_json_items(approval_str(text), &items, &err), APPROVAL_OK,
           "items");
    is_int(items.n, COUNT(want), "all of them");
    is_int(items.list[0].size, 3, "members");
    is_int(items.list[0].next, COUNT(want), "the end");

    for (i = 1; i < items.n && i < COUNT(want); i++) {
        ok(items.list[i].type == want[i].type
           && items.list[i].next == want[i].next, "item %zu", i);
        is_str(items.list[i].text, want[i].text, "its text");
    }

    approval_json_items_free(&items);

    is_int(approval_json_items(approval_str("[1,2"), &items, &err),
           APPROVAL_ERROR, "not JSON");
    ok(strcmp(err, "JSON ends too early") == 0, "and why");
}


static void
raw(const char *text, const char *name, const char *want)
{
    approval_str_t  value;

    if (approval_json_raw_member(approval_str(text), name, &value)
        != APPROVAL_OK)
    {
        ok(want == NULL, "none: %s", text);
        return;
    }

    ok(want && approval_str_eq(value, approval_str(want)), "%s", text);
}


/* As it was sent: neither parsed nor spelt anew. */

static void
test_raw(void)
{
    size_t          n;
    approval_str_t  rest, value;

    static const char  *elements[] = { "1e3", "[ 1, \"]\" ]", "{\"a\":[{}]}",
                                       "\"\\\",\"", "null" };

    raw("{\"id\":1e3}", "id", "1e3");
    raw(" { \"a\" : [1,{\"id\":2}] , \"id\" : -0 } ", "id", "-0");
    raw("{\"a\":{\"id\":2},\"id\":\"x\\\"}\"}", "id", "\"x\\\"}\"");
    raw("{\"\\u0069d\":9223372036854775807}", "id", "9223372036854775807");
    raw("{\"a\":\"id\",\"b\":{\"id\":1}}", "id", NULL);
    raw("{\"id\":{\"a\":[1,2]}}", "id", "{\"a\":[1,2]}");
    raw("{}", "id", NULL);
    raw("[]", "id", NULL);
    raw("7", "id", NULL);

    rest = approval_str("[1e3 ,[ 1, \"]\" ],{\"a\":[{}]}, \"\\\",\" ,null ]");

    for (n = 0; n < COUNT(elements); n++) {
        ok(approval_json_raw_element(&rest, &value) == APPROVAL_OK
           && approval_str_eq(value, approval_str(elements[n])),
           "an element as it was sent");
    }

    ok(approval_json_raw_element(&rest, &value) == APPROVAL_DECLINED,
       "no further element");

    rest = approval_str(" [ ] ");
    ok(approval_json_raw_element(&rest, &value) == APPROVAL_DECLINED,
       "no element");
}
