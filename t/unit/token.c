
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Links, sessions, nonces.
 */


#include "core/identity.h"
#include "core/token.h"
#include "test.h"


#define NOW  1800000000


static approval_keyring_t  *k, *rotated, *foreign;


static approval_keyring_t *
ring(const char *text)
{
    unsigned     line;
    const char  *err;

    return approval_keyring_parse(approval_str(text), &err, &line);
}


static void
subject(approval_token_t *t)
{
    t->action = approval_str("0123456789abcdef0123456789abcdef");
    t->digest = approval_str("sha256:aa");
    t->approver = approval_str("alice@example.com");
    t->expires = NOW + 60;
}


static int
reads(approval_keyring_t *ring, const char *purpose, approval_str_t token,
    const char *action, const char *digest, int64_t now)
{
    int               rc;
    approval_buf_t    approver;
    approval_token_t  t;

    subject(&t);
    t.approver = approval_str("untouched");
    t.expires = 7;

    if (action) {
        t.action = approval_str(action);
    }

    if (digest) {
        t.digest = approval_str(digest);
    }

    approval_buf_init(&approver);

    rc = approval_token_read(ring, purpose, token, &t, &approver, now);

    if (rc != APPROVAL_OK
        && (t.expires != 7 || t.approver.len != 9 || approver.len != 0))
    {
        rc = 12345;
    }

    if (rc == APPROVAL_OK
        && (t.expires != NOW + 60
            || !approval_str_eq(t.approver, approval_str("alice@example.com"))
            || t.approver.data != approver.data))
    {
        rc = 12346;
    }

    approval_buf_free(&approver);

    return rc;
}


static void
test_read(void)
{
    approval_buf_t    b;
    approval_str_t    s;
    approval_token_t  t;

    subject(&t);
    approval_buf_init(&b);

    is_int(approval_token_make(k, "link", &t, &b), APPROVAL_OK, "made");
    s = approval_buf_str(&b);

    ok(s.len > 12 && memcmp(s.data, "1.6b49d23c.YWxpY2VAZXhhbXBsZS5jb20.", 35)
       == 0, "version, expiry and approver can be read");

    is_int(reads(k, "link", s, NULL, NULL, NOW), APPROVAL_OK, "reads");
    is_int(reads(rotated, "link", s, NULL, NULL, NOW), APPROVAL_OK,
           "reads after a rotation");
    is_int(reads(foreign, "link", s, NULL, NULL, NOW), APPROVAL_DECLINED,
           "not by another ring");
    is_int(reads(k, "link", s, NULL, NULL, NOW + 59), APPROVAL_OK,
           "one second before its end");
    is_int(reads(k, "link", s, NULL, NULL, NOW + 60), APPROVAL_ERROR,
           "expired");
    is_int(reads(k, "session", s, NULL, NULL, NOW), APPROVAL_DECLINED,
           "a link is not a session");
    is_int(reads(k, "nonce", s, NULL, NULL, NOW), APPROVAL_DECLINED,
           "nor a nonce");
    is_int(reads(k, "link", s, "0123456789abcdef0123456789abcdee", NULL, NOW),
           APPROVAL_DECLINED, "not for another action");
    is_int(reads(k, "link", s, "0123456789ABCDEF0123456789ABCDEF", NULL, NOW),
           APPROVAL_DECLINED, "not for what is no id");
    is_int(reads(k, "link", s, NULL, "sha256:ab", NOW), APPROVAL_DECLINED,
           "not for another digest");
    is_int(reads(k, "link", s, NULL, "", NOW), APPROVAL_DECLINED,
           "not for no digest");

    approval_buf_free(&b);
}


static void
test_forged(void)
{
    int               good;
    size_t            i, j, n;
    unsigned char     copy[512];
    approval_buf_t    b;
    approval_str_t    s;
    approval_token_t  t;
    const char       *bad[] = {
        "", ".", "..", "...", "1...", "1.6b49d23c..", "1.0.YQ.", "2.1.YQ.",
        "1.6b49d23c.YWxpY2VAZXhhbXBsZS5jb20.", "1.6b49d23c"
    };

    subject(&t);
    approval_buf_init(&b);
    (void) approval_token_make(k, "link", &t, &b);

    n = b.len;
    s.data = copy;
    s.len = n;
    good = 1;

    for (i = 0; i < n; i++) {
        for (j = 0; j < 256; j++) {
            memcpy(copy, b.data, n);

            if (copy[i] != j) {
                copy[i] = (unsigned char) j;
                good &= reads(k, "link", s, NULL, NULL, NOW)
                        == APPROVAL_DECLINED;
            }
        }
    }

    ok(good, "no byte can be another: %d tokens refused", (int) n * 255);

    for (good = 1, i = 0; i < n; i++) {
        s.data = b.data;
        s.len = i;
        good &= reads(k, "link", s, NULL, NULL, NOW) == APPROVAL_DECLINED;
    }

    ok(good, "not cut anywhere");

    for (good = 1, i = 0; i <= n; i++) {
        memcpy(copy, b.data, i);
        copy[i] = '0';
        memcpy(copy + i + 1, b.data + i, n - i);
        s.data = copy;
        s.len = n + 1;
        good &= reads(k, "link", s, NULL, NULL, NOW) == APPROVAL_DECLINED;
    }

    ok(good, "nor longer anywhere");

    for (good = 1, i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        good &= reads(k, "link", approval_str(bad[i]), NULL, NULL, NOW)
                == APPROVAL_DECLINED;
    }

    ok(good, "nor anything else");

    approval_buf_free(&b);
}


static void
test_make(void)
{
    char              name[APPROVAL_IDENTITY_MAX + 1];
    approval_buf_t    b, approver;
    approval_token_t  t, got;

    approval_buf_init(&b);
    approval_buf_init(&approver);

    subject(&t);
    t.action = approval_str("0123");
    is_int(approval_token_make(k, "link", &t, &b), APPROVAL_ERROR,
           "no token for what is no id");

    subject(&t);
    t.approver = approval_str("");
    is_int(approval_token_make(k, "link", &t, &b), APPROVAL_ERROR,
           "none for nobody");

    subject(&t);
    t.expires = 0;
    is_int(approval_token_make(k, "link", &t, &b), APPROVAL_ERROR,
           "none without an end");
    t.expires = (int64_t) 1 << 60;
    is_int(approval_token_make(k, "link", &t, &b), APPROVAL_ERROR,
           "none for ever");

    memset(name, 'n', sizeof(name));
    subject(&t);
    t.approver.data = (unsigned char *) name;
    t.approver.len = sizeof(name);
    is_int(approval_token_make(k, "link", &t, &b), APPROVAL_ERROR,
           "an approver too long");
    is_int(b.len, 0, "nothing was written");

    t.approver.len = APPROVAL_IDENTITY_MAX;
    t.expires = ((int64_t) 1 << 60) - 1;
    is_int(approval_token_make(k, "link", &t, &b), APPROVAL_OK,
           "the longest there can be");

    subject(&got);
    approval_buf_adds(&approver, "before");
    ok(approval_token_read(k, "link", approval_buf_str(&b), &got, &approver,
                           NOW) == APPROVAL_OK
       && approval_str_eq(got.approver, t.approver)
       && got.expires == t.expires
       && approver.len == 6 + APPROVAL_IDENTITY_MAX, "reads, and is appended");

    approval_buf_free(&b);
    approval_buf_free(&approver);
}


int
main(void)
{
    k = ring("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=");
    foreign = ring("YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=");
    rotated = ring("YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=\n"
                   "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=");

    if (ok(k && foreign && rotated, "three rings")) {
        test_read();
        test_forged();
        test_make();
    }

    approval_keyring_destroy(k);
    approval_keyring_destroy(foreign);
    approval_keyring_destroy(rotated);

    return test_done();
}
