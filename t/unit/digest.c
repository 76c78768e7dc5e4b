
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The digest of a request.
 */


#include "core/digest.h"
#include "test.h"


static approval_digest_t  *d;


static approval_str_t
text(const unsigned char md[32])
{
    static char     buf[APPROVAL_DIGEST_LEN];
    approval_str_t  s;

    approval_digest_text(buf, md);

    s.data = (unsigned char *) buf;
    s.len = APPROVAL_DIGEST_LEN;

    return s;
}


/* One request with one header, its body in slices of n bytes. */

static int
digest(const char *method, const char *target, const char *name,
    const char *value, const char *body, size_t n, unsigned char md[32])
{
    size_t  i, len, part;

    len = strlen(body);

    if (approval_digest_init(d)
        || approval_digest_part(d, 'm', approval_str(method))
        || approval_digest_part(d, 't', approval_str(target))
        || (name && approval_digest_part(d, 'h', approval_str(name)))
        || (name && approval_digest_part(d, 'v', approval_str(value)))
        || approval_digest_body(d, len))
    {
        return APPROVAL_ERROR;
    }

    for (i = 0; i < len; i += part) {
        part = len - i < n ? len - i : n;

        if (approval_digest_update(d, body + i, part)) {
            return APPROVAL_ERROR;
        }
    }

    return approval_digest_final(d, md);
}


/* The definition, written out. */

static void
test_definition(void)
{
    unsigned char  md[32], want[32];
    approval_str_t s = approval_string(
        "approval-digest-v2"
        "m\0\0\0\0\0\0\0\4" "POST"
        "t\0\0\0\0\0\0\0\4" "/a?b"
        "h\0\0\0\0\0\0\0\5" "x-env"
        "v\0\0\0\0\0\0\0\4" "Prod"
        "b\0\0\0\0\0\0\0\5" "hello");

    ok(digest("POST", "/a?b", "x-env", "Prod", "hello", 99, md) == APPROVAL_OK
       && approval_sha256(s, want) == APPROVAL_OK
       && memcmp(md, want, 32) == 0, "the digest is what digest.h says");

    memset(md, 0xab, 32);
    is_str(text(md), "sha256:abababababababababababababababababababababababab"
           "abababababababab", "its text");
}


static void
test_differs(void)
{
    size_t         i, j, n;
    unsigned char  md[8][32];

    n = 0;

    (void) digest("POST", "/a", "x", "1", "body", 99, md[n++]);
    (void) digest("PUT", "/a", "x", "1", "body", 99, md[n++]);
    (void) digest("POST", "/b", "x", "1", "body", 99, md[n++]);
    (void) digest("POST", "/a", "y", "1", "body", 99, md[n++]);
    (void) digest("POST", "/a", "x", "2", "body", 99, md[n++]);
    (void) digest("POST", "/a", "x", "1", "bodY", 99, md[n++]);
    (void) digest("POST", "/a", NULL, NULL, "body", 99, md[n++]);
    (void) digest("POST/", "a", "x", "1", "body", 99, md[n++]);

    for (i = 0; i < n; i++) {
        for (j = 0; j < i; j++) {
            ok(memcmp(md[i], md[j], 32) != 0, "request %d is not request %d",
               (int) i, (int) j);
        }
    }
}


static void
test_slices(void)
{
    int            good;
    size_t         i;
    char           body[300];
    unsigned char  a[32], b[32];

    memset(body, 'x', sizeof(body));
    body[299] = '\0';

    (void) digest("POST", "/", NULL, NULL, body, 999, a);

    for (good = 1, i = 1; i < 70; i++) {
        good &= digest("POST", "/", NULL, NULL, body, i, b) == APPROVAL_OK
                && memcmp(a, b, 32) == 0;
    }

    ok(good, "slices do not matter");

    for (good = 1, i = 0; i < 20000; i++) {
        good &= digest("GET", "/", "a", "v", "b", 1, b) == APPROVAL_OK;
    }

    ok(good, "one object, many thousand times");
}


static void
test_refused(void)
{
    unsigned char   md[32];
    approval_str_t  a = approval_string("a");

    ok(approval_digest_update(d, "x", 1) == APPROVAL_ERROR, "no init");
    ok(approval_digest_final(d, md) == APPROVAL_ERROR, "no init, final");

    approval_digest_init(d);
    ok(approval_digest_final(d, md) == APPROVAL_ERROR, "no body announced");

    approval_digest_init(d);
    ok(approval_digest_update(d, "x", 1) == APPROVAL_ERROR,
       "a body that was not announced");
    ok(approval_digest_body(d, 0) == APPROVAL_ERROR
       && approval_digest_final(d, md) == APPROVAL_ERROR,
       "an error is not forgotten");

    approval_digest_init(d);
    approval_digest_body(d, 3);
    approval_digest_update(d, "xy", 2);
    ok(approval_digest_final(d, md) == APPROVAL_ERROR, "a body too short");

    approval_digest_init(d);
    approval_digest_body(d, 3);
    ok(approval_digest_update(d, "wxyz", 4) == APPROVAL_ERROR
       && approval_digest_update(d, "xyz", 3) == APPROVAL_ERROR
       && approval_digest_final(d, md) == APPROVAL_ERROR, "a body too long");

    approval_digest_init(d);
    approval_digest_body(d, 0);
    ok(approval_digest_part(d, 'h', a) == APPROVAL_ERROR,
       "a header after the body");

    approval_digest_init(d);
    approval_digest_body(d, 0);
    ok(approval_digest_body(d, 0) == APPROVAL_ERROR, "two bodies");

    approval_digest_init(d);
    approval_digest_body(d, 0);
    ok(approval_digest_final(d, md) == APPROVAL_OK
       && approval_digest_final(d, md) == APPROVAL_ERROR, "final is final");
}


int
main(void)
{
    d = approval_digest_create();

    if (ok(d != NULL, "created")) {
        test_refused();
        test_definition();
        test_differs();
        test_slices();
    }

    approval_digest_destroy(d);
    approval_digest_destroy(NULL);

    return test_done();
}
