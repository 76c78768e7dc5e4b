
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/pack.h"

#include "test.h"

#include <stdlib.h>


/* As an action's document is, in canonical JSON. */

static const char  document[] =
    "{\"action\":\"db.drop\",\"body\":\"{\\\"table\\\":\\\"orders\\\"}\","
    "\"body_bytes\":18,\"body_hidden\":0,\"content_type\":"
    "\"application/json\",\"deny_after\":1,\"digest\":\"sha256:"
    "86bce88671b82a6acb2c6e6d84a2bc7b6a06d1a20f4a1ff4ad6ca6b07ed15f3a\","
    "\"execute_within\":300,\"headers\":{\"accept\":\"*/*\",\"user-agent\":"
    "\"curl/7.88.1\"},\"host\":\"gw.example.com\",\"id\":"
    "\"0001a39348c23ad76317c2ba461f391d\",\"matched\":{\"$uri\":"
    "\"/api/v1/orders/4711\"},\"method\":\"DELETE\",\"person\":\"agent-12\","
    "\"policy\":\"production\",\"policy_digest\":\"sha256:"
    "5bd1a4b4a9a86c6f2e0bb7a9e0c4a4d9e1b7d3c5f60718293a4b5c6d7e8f9012\","
    "\"reason\":\"Aufr\xc3\xa4umen\",\"remote_addr\":\"10.1.2.3\","
    "\"requester\":\"agent-12\",\"require\":[{\"count\":2,\"groups\":"
    "[\"admins\"]}],\"risk\":\"medium\",\"rule\":\"drop\",\"show\":{},"
    "\"summary\":\"drop /api/v1/orders/4711\",\"target\":"
    "\"/api/v1/orders/4711\",\"timeout\":900,\"uri\":"
    "\"/api/v1/orders/4711\",\"v\":1}";


static int
comes_back(approval_str_t text)
{
    int             good;
    approval_buf_t  packed, out;

    approval_buf_init(&packed);
    approval_buf_init(&out);

    approval_buf_adds(&packed, "before");
    approval_buf_adds(&out, "before");

    good = approval_pack(text, &packed) == APPROVAL_OK
           && packed.len <= text.len + 6;

    packed.data += 6;
    packed.len -= 6;

    good = good
           && approval_unpack(approval_buf_str(&packed), text.len, &out)
              == APPROVAL_OK
           && out.len == text.len + 6
           && memcmp(out.data + 6, text.data, text.len) == 0;

    packed.data -= 6;

    approval_buf_free(&packed);
    approval_buf_free(&out);

    return good;
}


static approval_str_t
bytes(const void *data, size_t len)
{
    approval_str_t  s;

    s.data = data;
    s.len = len;

    return s;
}


static void
test_round(void)
{
    int             good;
    size_t          i, n;
    approval_buf_t  packed;
    unsigned char   text[2000];

    ok(comes_back(approval_str(document)), "a document comes back");
    ok(comes_back(approval_str("{}")), "a short text");
    ok(comes_back(approval_str("{\"h\":\"0123456\"}")), "seven digits");
    ok(comes_back(approval_str("{\"h\":\"ABCDEF0123456789\"}")), "capitals");

    approval_buf_init(&packed);

    ok(approval_pack(approval_str(document), &packed) == APPROVAL_OK
       && packed.len < sizeof(document) * 4 / 10,
       "%zu bytes of %zu", packed.len, sizeof(document) - 1);

    approval_buf_free(&packed);

    memset(text, '0', sizeof(text));
    ok(comes_back(bytes(text, sizeof(text))), "digits without end");

    memset(text, 'x', sizeof(text));
    ok(comes_back(bytes(text, sizeof(text))), "what overlaps itself");

    memset(text, 0xc3, sizeof(text));
    text[0] = '"';
    ok(comes_back(bytes(text, sizeof(text))), "bytes outside ASCII");

    for (i = 0; i < sizeof(text); i++) {
        text[i] = (unsigned char) (i ? i * 7 : '"');
    }

    ok(comes_back(bytes(text, sizeof(text))), "all bytes there are");

    good = 1;

    for (i = 1; i < sizeof(document); i++) {
        good &= comes_back(bytes(document, i));
    }

    ok(good, "a document, cut anywhere");

    /* parts of it in any order */

    srand(1);
    good = 1;

    for (i = 0; i < 2000; i++) {
        text[0] = '{';

        for (n = 1; n + 40 < sizeof(text); n += 40) {
            memcpy(text + n, document + rand() % (sizeof(document) - 40), 40);
        }

        good &= comes_back(bytes(text, n));
    }

    ok(good, "parts of it in any order");
}


static void
test_damaged(void)
{
    int             rc, bounded;
    size_t          i, n;
    approval_buf_t  packed, out;
    unsigned char   copy[1024];

    approval_buf_init(&packed);
    approval_buf_init(&out);

    (void) approval_pack(approval_str(document), &packed);

    is_int(approval_unpack(approval_buf_str(&packed), sizeof(document) - 2,
                           &out),
           APPROVAL_DECLINED, "more than may be is refused");
    is_int(out.len, 0, "and leaves nothing behind");

    is_int(approval_unpack(approval_str("\x01\x03\x06\x01"), 100, &out),
           APPROVAL_DECLINED, "half a token");
    is_int(approval_unpack(bytes("\x01{\x03\x06\x02\x00", 6), 100, &out),
           APPROVAL_DECLINED, "before the beginning");
    is_int(approval_unpack(bytes("\x01{\x03\x06\x00\x00", 6), 100, &out),
           APPROVAL_DECLINED, "not back at all");
    is_int(approval_unpack(bytes("\x01\x01\x00", 3), 100, &out),
           APPROVAL_DECLINED, "none of something");
    is_int(approval_unpack(approval_str("\x01\x04\x01x"), 100, &out),
           APPROVAL_DECLINED, "a token that there is not");
    is_int(approval_unpack(approval_str("\x01\xff"), 100, &out),
           APPROVAL_DECLINED, "a phrase that there is not");

    bounded = 1;

    for (i = 0; i < 20000; i++) {
        n = packed.len - (i % 3 ? 0 : (size_t) rand() % packed.len);
        memcpy(copy, packed.data, n);

        if (n > 1) {
            copy[1 + (size_t) rand() % (n - 1)] = (unsigned char) rand();
        }

        approval_buf_reset(&out);

        rc = approval_unpack(bytes(copy, n), 4096, &out);

        bounded &= out.len <= 4096
                   && (rc == APPROVAL_OK
                       || (rc == APPROVAL_DECLINED && out.len == 0));
    }

    ok(bounded, "damage stays within bounds");

    approval_buf_free(&packed);
    approval_buf_free(&out);
}


int
main(void)
{
    test_round();
    test_damaged();

    return test_done();
}
