
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Unit tests: ambiguous request targets.
 */


#include "test.h"

#include "core/path.h"


int
main(void)
{
    size_t          i;
    const char     *reason;
    approval_str_t  nul = approval_string("/a\0b");

    static const char *const  good[] = {
        "/", "/a", "/a/", "/a/b/c", "/A/b", "/~user/x", "/a?b=c",
        "/a/?x=//../%2f;y\\", "/?", "/a%20b", "/%C3%A9t%c3%a9",
        "/%E2%82%AC/%F0%9F%98%80", "/a.b/c..d/.well-known/...", "/a-b_c",
        "/a:b@c,d+e=f$g&h!(i)*'", "/arn%3Aaws/u%40x", "/a%2Bb%2Cc%3D",
        "/%22%3C%3E", "/a?b=%00", "/..a/a..", "/a?b?c=\xff",
        "/api/v1/namespaces/default/pods/web-0"
    };

    static const char *const  bad[][2] = {
        { "", "empty target" },
        { "*", "target in absolute form" },
        { "http://h/admin", "target in absolute form" },
        { "admin", "target in absolute form" },
        { "//admin//del", "empty path segment" },
        { "//admin", "empty path segment" },
        { "/admin//", "empty path segment" },
        { "/a//b", "empty path segment" },
        { "/./admin", "dot segment in path" },
        { "/a/../admin", "dot segment in path" },
        { "/a/..", "dot segment in path" },
        { "/a/.", "dot segment in path" },
        { "/.", "dot segment in path" },
        { "/..?x", "dot segment in path" },
        { "/a/..%2fadmin", "encoded slash in path" },
        { "/admin%2fdel", "encoded slash in path" },
        { "/admin%2Fdel", "encoded slash in path" },
        { "/admin%5cdel", "encoded backslash in path" },
        { "/%61dmin", "encoded unreserved character in path" },
        { "/%7euser", "encoded unreserved character in path" },
        { "/%2d", "encoded unreserved character in path" },
        { "/%5F", "encoded unreserved character in path" },
        { "/%30", "encoded unreserved character in path" },
        { "/%5A", "encoded unreserved character in path" },
        { "/%2e%2e/admin", "encoded dot in path" },
        { "/.%2E/admin", "encoded dot in path" },
        { "/admin;x=1/del", "path parameter" },
        { "/..;/admin", "path parameter" },
        { "/admin%3bx", "encoded semicolon in path" },
        { "/a\\b", "backslash in path" },
        { "/a%252fb", "encoded percent sign in path" },
        { "/a%25", "encoded percent sign in path" },
        { "/a%3fb", "encoded question mark in path" },
        { "/a%23b", "encoded \"#\" in path" },
        { "/a%00", "encoded NUL in path" },
        { "/a%0d%0ab", "encoded control character in path" },
        { "/a%09", "encoded control character in path" },
        { "/a%7f", "encoded control character in path" },
        { "/a%c2%85", "encoded control character in path" },
        { "/a\tb", "control character in path" },
        { "/a\x7f", "control character in path" },
        { "/a b", "space in path" },
        { "/a#b", "\"#\" in target" },
        { "/a?b#c", "\"#\" in target" },
        { "/a?b\r\nc", "control character or space in query" },
        { "/a?b c", "control character or space in query" },
        { "/a?b\x7f", "control character or space in query" },
        { "/\xc3\xa9", "unescaped byte outside ASCII in path" },
        { "/\xff", "unescaped byte outside ASCII in path" },
        { "/%ff", "encoded bytes in path that are not UTF-8" },
        { "/%c0%af", "encoded bytes in path that are not UTF-8" },
        { "/%c3", "encoded bytes in path that are not UTF-8" },
        { "/%c3x%a9", "encoded bytes in path that are not UTF-8" },
        { "/%e2%82", "encoded bytes in path that are not UTF-8" },
        { "/%ed%a0%80", "encoded bytes in path that are not UTF-8" },
        { "/%a9", "encoded bytes in path that are not UTF-8" },
        { "/%ef%bc%8f",
          "look-alike of a slash, dot or percent sign in path" },
        { "/%EF%BC%8E%EF%BC%8E/",
          "look-alike of a slash, dot or percent sign in path" },
        { "/%e2%88%95",
          "look-alike of a slash, dot or percent sign in path" },
        { "/a%", "malformed escape in path" },
        { "/a%2", "malformed escape in path" },
        { "/a%2/b", "malformed escape in path" },
        { "/a%zz", "malformed escape in path" },
        { "/a%2?f", "malformed escape in path" },
        { "/a%u002f", "malformed escape in path" }
    };

    static const struct {
        const char  *query;
        int          refused;
    } queries[] = {
        { "", 0 }, { "a=1&b", 0 }, { "a=%20%2f%2F%7e%e2%82%ac%00", 0 },
        { "a=%", 0 }, { "a=%4", 0 }, { "a=%zz", 0 }, { "%", 0 },
        { "a=%41", 1 }, { "%7a", 1 }, { "a=1&%5f=2", 1 }, { "a=%2e", 1 },
        { "a=%2D", 1 }, { "a=%30", 1 }, { "%%39", 1 }
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        reason = approval_path_ambiguous(approval_str(good[i]));
        ok(reason == NULL, "not ambiguous: target %zu%s%s", i,
           reason ? ", " : "", reason ? reason : "");
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        reason = approval_path_ambiguous(approval_str(bad[i][0]));
        is_str(approval_str(reason), bad[i][1], bad[i][1]);
    }

    is_str(approval_str(approval_path_ambiguous(nul)),
           "control character in path", "NUL in path");
    is_str(approval_str(approval_path_ambiguous((approval_str_t) { 0, NULL })),
           "empty target", "no target");

    for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        reason = approval_path_query_escapes(approval_str(queries[i].query));
        is_int(reason != NULL, queries[i].refused, queries[i].query);
    }

    return test_done();
}
