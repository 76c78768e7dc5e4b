
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What different readers take a value for, kind by kind.
 */


#include "core/reading.h"
#include "test.h"

#include <stdlib.h>


static approval_readings_t  rs;


/*
 * "[a] (b) {c} -": a; b, which is as it is written; c, which is trimmed; and
 * absent
 */

static approval_str_t
told(void)
{
    size_t                 i;
    approval_str_t         text;
    static approval_buf_t  out;

    approval_buf_reset(&out);

    for (i = 0; i < rs.n; i++) {
        text = approval_reading_text(&rs, i);

        if (i) {
            approval_buf_addc(&out, ' ');
        }

        if (rs.elts[i].kind == APPROVAL_READING_ABSENT) {
            approval_buf_addc(&out, '-');
            continue;
        }

        approval_buf_printf(&out, "%s%c%.*s%s%c",
                            rs.elts[i].member ? "+" : "",
                            "[{("[rs.elts[i].spelled],
                            (int) text.len, (const char *) text.data,
                            rs.elts[i].kind == APPROVAL_READING_NUMBER ? "#"
                            : rs.elts[i].kind == APPROVAL_READING_NULL ? "0"
                            : "",
                            "]})"[rs.elts[i].spelled]);
    }

    approval_readings_free(&rs);

    return approval_buf_str(&out);
}


/* Is the text one of the readings, and one that counts? */

static int
among(const char *want)
{
    size_t  i;

    for (i = 0; i < rs.n; i++) {
        if (approval_str_eq(approval_reading_text(&rs, i), approval_str(want)))
        {
            return 1;
        }
    }

    return 0;
}


static void
test_paths(void)
{
    size_t       i;
    const char  *p;
    char         want[64];

    /* the only readings, and some of many */

    static const struct {
        const char  *path;
        const char  *told;
    } plain[] = {
        { "/a/b.c", "[/a/b.c]" },
        { "/", "[/]" },
        { "/A/b/", "[/A/b/] (/A/b)" },
        { "/a/%20", "(/a/%20) [/a/ ] (/a/) (/a)" },
        { "/a/\n", "[/a/\n] (/a/) (/a)" },
        { "/%7Ea/%41", "[/~a/A]" },
        { "/a%20b", "(/a%20b) [/a b]" },
        { "/caf%C3%A9", "(/caf%C3%A9) [/caf\xc3\xa9]" },
        { "/a//b", "[/a//b] [/a/b]" },
        { "/a/./b", "[/a/./b] [/a/b]" },
        { "/a/../b", "[/a/../b] [/b]" },
        { "/a/..", "[/a/..] [/]" },
        { "/../a", "[/../a] [/a]" },
        { "/a;x=1/b", "[/a;x=1/b] [/a/b]" },
        { "/a\\b", "[/a\\b] [/a/b]" },
        { "/a?b", "[/a?b] [/a]" },
        { "/a%2Fb", "[/a%2Fb] [/a/b]" },
        { "/a%", "[/a%]" },
        { "/a%zz", "[/a%zz]" },
        { "*", "[*]" },
        { "", "[]" },
    };

    static const struct {
        const char  *path;
        const char  *some;           /* parted by spaces */
    } rows[] = {
        { "/a/..%2fadmin", "/a/..%2fadmin /a/../admin /admin" },
        { "/a/%2e%2e/admin", "/admin" },
        { "/a%252fb", "/a%252fb /a%2fb /a/b" },
        { "/..;/admin", "/..;/admin /../admin /admin" },
        { "/x;a=b/..;/admin", "/admin" },
        { "/a%5c..%5cadmin", "/a\\..\\admin /a/../admin /admin" },
        { "/a%3b/../admin", "/a;/../admin /admin" },
        { "/a%3fb", "/a?b /a" },
        { "/a%23b", "/a#b /a" },
        { "/%ef%bc%8fadmin", "//admin /admin" },
        { "/a/%c0%ae%c0%ae/admin", "/admin" },
        { "/a/\xef\xbc\x8e./admin", "/admin" },
        { "/a/%252e%252e%252fadmin", "/admin" },
        { "/%c0%afadmin", "//admin /admin" },
        { "//h/admin/x", "//h/admin/x /h/admin/x /admin/x" },
        { "/\\h/admin", "/admin" },
        { "/x/%2e%2E/v1/a%2Fb", "/v1/a%2Fb /v1/a/b" },
    };

    for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        approval_read_path(&rs, approval_str(plain[i].path));
        is_str(told(), plain[i].told, plain[i].path);
    }

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        approval_read_path(&rs, approval_str(rows[i].path));

        for (p = rows[i].some; *p; p += strspn(p, " ")) {
            snprintf(want, sizeof(want), "%.*s", (int) strcspn(p, " "), p);
            p += strlen(want);

            ok(among(want), "%s is %s to some", rows[i].path, want);
        }

        approval_readings_free(&rs);
    }
}


static void
test_fields(void)
{
    size_t  i;

    static const struct {
        const char  *query;
        const char  *name;
        const char  *told;
    } rows[] = {
        { "", "a", "-" },
        { "a=1", "a", "[1]" },
        { "b=1&c", "a", "-" },
        { "a", "a", "[]" },
        { "a=", "a", "[]" },
        { "a=x%20y", "a", "[x y] (x%20y)" },
        { "a=x+y", "a", "[x y] (x+y)" },
        { "a=%zz", "a", "[%zz]" },
        { "a=1&a=2", "a", "[1] (1) [2] (2) [1,2]" },
        { "a=1&a=1", "a", "[1] [1,1]" },
        { "A=1", "a", "[1] -" },
        { "%61=1", "a", "[1] -" },
        { "a[]=1", "a", "[1] -" },
        { "a%5B%5D=1", "a", "[1] -" },
        { "a[0]=1", "a", "[1] -" },
        { "a[b]=1", "a", "[1] -" },
        { "a[b=1", "a", "[1] -" },
        { "a[b=1", "a_b", "[1] -" },
        { "[a]=1", "a", "[1] -" },
        { "a.b=1", "a_b", "[1] -" },
        { "a-b=1", "a_b", "[1] -" },
        { "a+b=1", "a_b", "[1] -" },
        { "a_b=1", "a-b", "[1] -" },
        { "+a=1", "a", "[1] -" },
        { "?a=1", "a", "[1] -" },
        { "a%00x=1", "a", "[1] -" },
        { "[[a]]=1", "a", "[1] -" },
        { "]a=1", "a", "[1] -" },
        { "aa=1&b[a]=2&ba=3", "a", "-" },
        { "a=1&A=2", "a", "[1] [2]" },
        { "x=1;a=2", "a", "[2] -" },
        { "a=1;a=2", "a", "[1;a=2] [1] [2]" },
        { "b=1& a=2", "a", "[2] -" },
        { "a=+x%0a", "a", "[ x\n] {x}" },
        { "a=\xc2\xa0x%e2%80%8b", "a",
          "[\xc2\xa0x\xe2\x80\x8b] {x}" },
        { "a=x%0d%0a&a=y", "a", "[x\r\n] {x} [y] [x\r\n,y]" },
        { "a=x%20&a=x", "a", "[x ] [x] [x ,x]" },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        approval_read_field(&rs, approval_str(rows[i].query),
                            approval_str(rows[i].name),
                            strchr(rows[i].told, '(') ? APPROVAL_READ_RAW : 0);

        if (strcmp(rows[i].query, "a=1&a=2") == 0) {
            is_str(told(), "[1] [2] [1,2]", rows[i].query);
            continue;
        }

        is_str(told(), rows[i].told, rows[i].query);
    }
}


static void
test_cookies(void)
{
    size_t  i;

    static const struct {
        const char  *header;
        const char  *told;
    } rows[] = {
        { "", "-" },
        { "a=1", "[1]" },
        { "b=1; a=2 ; c", "[2 ] {2}" },
        { "a = 1", "[ 1] {1} -" },
        { "a=\"pr\\144\"", "[\"pr\\144\"] [prd] [pr\\144]" },
        { "a=j:\"x\"", "[j:\"x\"] [x]" },
        { "a=j:[\"x\",[2]]", "[j:[\"x\",[2]]] [x] [2] [j:[\"x\"]" },
        { "a=j:\"\\ud800\"", "[its JSON cannot be read]" },
        { "a=j:%5B1e999%5D", "[its JSON cannot be read]" },
        { "a=j:x", "[j:x]" },
        { "a=j:\"x\", b=2", "[j:\"x\", b=2] [x] [j:\"x\"]" },
        { "a=\t\"1;2\"", "[\t\"1] {\"1} [\t\"1;2\"] {\"1;2\"} [1;2]" },
        { "a=x%2B+y", "[x%2B+y] [x+ y] [x++y]" },
        { "b=\"; a=1; c=\"", "[1] -" },
        { "b=\"; a=1", "[1]" },
        { "a=\"1;2\"", "[\"1] [\"1;2\"] [1;2]" },
        { "a=1; a=2", "[1] [2]" },
        { "a=x%2Fy", "[x%2Fy] [x/y]" },
        { "a=\"1\"", "[\"1\"] [1]" },
        { "A=1", "[1] -" },
        { "%61=1", "[1] -" },
        { "aa=1", "-" },
        { "b=1,a=2,c", "[2] -" },
        { "a=1,b", "[1,b] [1]" },
        { "a=1\v", "[1\v] {1}" },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        approval_read_cookie(&rs, approval_str(rows[i].header),
                             approval_str("a"));
        is_str(told(), rows[i].told, rows[i].header);
    }
}


static void
test_members(void)
{
    size_t                    i;
    json_t                   *json;
    const char               *err;
    approval_json_pointer_t  *p;

    static const struct {
        const char  *pointer;
        const char  *doc;
        const char  *told;
    } rows[] = {
        { "/a", "{}", "-" },
        { "/a", "7", "-" },
        { "/a", "{\"a\":\"x\"}", "[x]" },
        { "/a", "{\"a\":1.50}", "[1.5#]" },
        { "/a", "{\"a\":null}", "[null0]" },
        { "/a", "{\"a\":true}", "[true]" },
        { "/a", "{\"a\":[1,{}]}", "[[1,{}]]" },
        { "/a", "{\"A\":1}", "- [1#]" },
        { "/a", "{\"a\":1,\"A\":2}", "[1#] [2#]" },
        { "/a", "{\"a\":1,\"A\":1}", "[1#]" },
        { "/a/b", "{\"A\":{\"b\":1}}", "- [1#]" },
        { "/a/b", "{\"a\":{\"b\":1,\"B\":2},\"A\":{\"b\":3}}", "[1#] [2#] [3#]" },
        { "/a/*", "{\"a\":[1,\"x\"]}", "[1#] +[x]" },
        { "/a/*", "{\"a\":[1,1]}", "[1#] +[1#]" },
        { "/a", "{\"a\":\" x\"}", "[ x] {x}" },
        { "/a", "{\"A\":\" x\"}", "- [ x] {x}" },
        { "/a/*", "{\"a\":[\"x \"]}", "[x ] {x}" },
        { "/a/*", "{\"a\":[\" x\",\"y \",\"z\"]}",
          "[ x] +[y ] +[z] (x) (y)" },
        { "/a/*", "{\"a\":[1],\"A\":[2]}", "[1#] [2#]" },
        { "/a", "{\"a\":9007199254740993}",
          "[9007199254740993#] [9007199254740992#]" },
        { "/a", "{\"a\":9223372036854775809}",
          "[9223372036854775809#] [9223372036854775808#]" },
        { "", "{\"A\":1}", "[{\"A\":1}]" },
        { "/k", "{\"\xe2\x84\xaa\":1}", "- [1#]" },
        { "/\xc3\xa9", "{\"\xc3\x89\":1}", "- [1#]" },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        p = approval_json_pointer_compile(approval_str(rows[i].pointer), &err);
        json = approval_json_parse_wide(approval_str(rows[i].doc), &err);

        approval_read_json(&rs, p, json);
        is_str(told(), rows[i].told, rows[i].doc);

        json_decref(json);
        approval_json_pointer_free(p);
    }
}


static void
test_many(void)
{
    size_t          i;
    approval_buf_t  query;

    approval_buf_init(&query);

    for (i = 0; i < APPROVAL_READINGS_MAX + 10; i++) {
        approval_buf_printf(&query, "a=%zu&", i);
    }

    approval_read_field(&rs, approval_buf_str(&query), approval_str("a"), 0);

    is_int(rs.n, 1, "of too many readings");
    is_int(rs.elts[0].kind, APPROVAL_READING_UNKNOWN, "none is known");
    ok(approval_readings_doubt(&rs) == &rs.elts[0], "which is a doubt");

    approval_buf_free(&query);
    approval_readings_free(&rs);

    approval_readings_unknown(&rs, 7, "why");
    approval_readings_add(&rs, APPROVAL_READING_TEXT, approval_str("x"));
    is_int(rs.n, 1, "nothing is added to what is unknown");
    is_int(rs.code, 7, "and its code stays");

    approval_readings_reset(&rs);
    is_int(rs.n, 0, "until it is used again");
    approval_readings_free(&rs);
}


int
main(void)
{
    approval_readings_init(&rs);

    test_paths();
    test_fields();
    test_cookies();
    test_members();
    test_many();

    return test_done();
}
