
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Parts of a request that are not bound, and the digest of what is left.
 */


#include "core/digest.h"
#include "core/ignore.h"
#include "test.h"


static approval_ignore_t  *ig;


static int
add(const char *what)
{
    const char  *err = "";

    return approval_ignore_add(ig, approval_str(what), &err);
}


static void
test_add(void)
{
    is_int(add("json:/meta/*/at"), APPROVAL_OK, "a pointer");
    is_int(add("$arg_nonce"), APPROVAL_OK, "an argument");
    is_int(add("$http_X_Request_Id"), APPROVAL_OK, "a header");
    is_int(add("json:/ts"), APPROVAL_OK, "another pointer");
    is_int(add("$arg_nonce"), APPROVAL_DECLINED, "twice");
    is_int(add("json:"), APPROVAL_ERROR, "the whole body");
    is_int(add("json:ts"), APPROVAL_ERROR, "no pointer");
    is_int(add("$arg_"), APPROVAL_ERROR, "no name");
    is_int(add("ts"), APPROVAL_ERROR, "nothing known");
    is_int(add("$http_host"), APPROVAL_ERROR, "the host is always bound");
    is_int(add("$http_Content_Type"), APPROVAL_ERROR, "the type is, too");

    is_str(approval_ignore_text(ig, 0), "json:/meta/*/at", "the first text");
    is_str(approval_ignore_text(ig, 3), "json:/ts", "the last text");
    is_str(approval_ignore_text(ig, 4), "", "no more");

    is_int(add("$request_method"), APPROVAL_OK, "the method");
    is_int(add("$request"), APPROVAL_ERROR, "no other variable");
}


static void
test_target(void)
{
    size_t          i;
    approval_buf_t  out;

    static const struct { const char *from, *to; } t[] = {
        { "", "" },
        { "/a", "/a" },
        { "/a?", "/a?" },
        { "/a?nonce=1", "/a" },
        { "/a?nonce", "/a" },
        { "/a?x=1&nonce=1", "/a?x=1" },
        { "/a?nonce=1&x=1", "/a?x=1" },
        { "/a?nonce=1&x=1&nonce=2&y", "/a?x=1&y" },
        { "/a?nonces=1", "/a?nonces=1" },
        { "/a?Nonce=1", "/a?Nonce=1" },
        { "/a?%6eonce=1", "/a?%6eonce=1" },
        { "/a?nonce[]=1", "/a?nonce[]=1" },
        { "/a?nonce=1;drop=1", "/a?nonce=1;drop=1" },
        { "/a?nonce=1&", "/a?" },
        { "/a?&nonce=1", "/a?" },
        { "/a?x?nonce=1", "/a?x?nonce=1" },
        { "/nonce=1", "/nonce=1" }
    };

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        approval_buf_init(&out);
        approval_ignore_target(ig, approval_str(t[i].from), &out);
        is_str(approval_buf_str(&out), t[i].to, t[i].from);
        approval_buf_free(&out);
    }
}


static void
test_json(void)
{
    size_t          i;
    json_t         *root;
    const char     *err;
    approval_buf_t  out;

    static const struct { const char *from, *to; } t[] = {
        { "{\"b\":1,\"ts\":5,\"a\":2}", "{\"a\":2,\"b\":1}" },
        { "{\"ts\":{\"x\":[1]}}", "{}" },
        { "{\"meta\":{\"p\":{\"at\":1,\"b\":2},\"at\":3}}",
          "{\"meta\":{\"at\":3,\"p\":{\"b\":2}}}" },
        { "{\"meta\":[{\"at\":1},{\"b\":2}]}", "{\"meta\":[{},{\"b\":2}]}" },
        { "[{\"ts\":1}]", "[{\"ts\":1}]" },
        { "\"ts\"", "\"ts\"" }
    };

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        root = approval_json_parse(approval_str(t[i].from), &err);
        approval_buf_init(&out);

        is_int(approval_ignore_json(ig, approval_str("Application/JSON; v=1"),
                                    root), APPROVAL_OK, "a JSON body");
        approval_json_canonical(root, &out);
        is_str(approval_buf_str(&out), t[i].to, t[i].from);

        approval_buf_free(&out);
        json_decref(root);
    }

    root = json_pack("{s:i}", "ts", 1);

    is_int(approval_ignore_json(ig, approval_str("text/plain"), root),
           APPROVAL_DECLINED, "not as text");
    is_int(approval_ignore_json(ig, approval_str(""), root),
           APPROVAL_DECLINED, "not without a type");
    is_int(approval_ignore_json(ig, approval_str("application/xjson"), root),
           APPROVAL_DECLINED, "not as another type");
    is_int(json_object_size(root), 1, "and it stays as it is");
    is_int(approval_ignore_json(ig, approval_str("application/a+json"), root),
           APPROVAL_OK, "but as one of its kind");
    is_int(json_object_size(root), 0, "it is removed");

    json_decref(root);
}


/* Elements of arrays keep their places. */

static void
test_array(void)
{
    json_t                   *root;
    const char               *err;
    approval_buf_t            out;
    approval_json_pointer_t  *p;

    p = approval_json_pointer_compile(approval_str("/a/1"), &err);
    root = json_pack("{s:[i,i,i]}", "a", 1, 2, 3);

    is_int(approval_json_pointer_remove(p, root), 1, "one element");

    approval_buf_init(&out);
    approval_json_canonical(root, &out);
    is_str(approval_buf_str(&out), "{\"a\":[1,null,3]}", "becomes null");
    approval_buf_free(&out);

    json_decref(root);
    approval_json_pointer_free(p);

    p = approval_json_pointer_compile(approval_str("/a/*"), &err);
    root = json_pack("{s:{s:i,s:i}}", "a", "x", 1, "y", 2);

    is_int(approval_json_pointer_remove(p, root), 2, "all members");
    is_int(json_object_size(json_object_get(root, "a")), 0, "are gone");

    json_decref(root);
    approval_json_pointer_free(p);

    p = approval_json_pointer_compile(approval_str(""), &err);
    is_int(approval_json_pointer_remove(p, NULL), 0, "never the root");
    approval_json_pointer_free(p);
}


static void
digest(int ignored, int canonical, unsigned char md[32])
{
    approval_digest_t  *d;

    d = approval_digest_create();

    approval_digest_init(d);

    if (ignored) {
        approval_digest_part(d, 'x', approval_str("json:/ts"));
    }

    if (canonical) {
        approval_digest_canonical(d, 2);
    } else {
        approval_digest_body(d, 2);
    }

    approval_digest_update(d, "{}", 2);
    ok(approval_digest_final(d, md) == APPROVAL_OK, "digested");
    approval_digest_destroy(d);
}


static void
test_digest(void)
{
    int            i, k;
    unsigned char  md[4][32];

    for (i = 0; i < 4; i++) {
        digest(i & 1, i & 2, md[i]);
    }

    for (i = 0; i < 4; i++) {
        for (k = 0; k < i; k++) {
            ok(memcmp(md[i], md[k], 32) != 0, "each has its own: %d, %d", i,
               k);
        }
    }
}


int
main(void)
{
    ig = approval_ignore_create();

    if (ok(ig != NULL, "created")) {
        test_add();
        test_target();
        test_json();
        test_array();
        test_digest();
    }

    approval_ignore_destroy(ig);
    approval_ignore_destroy(NULL);

    return test_done();
}
