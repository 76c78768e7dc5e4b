
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/webhook.h"

#include "test.h"


/* The specification's own example. */

static const char  *known_secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
static const char  *known_id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
static const char  *known_body = "{\"test\": 2432232314}";
static const char  *known_signature =
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";


static approval_str_t
secret_of(unsigned char *buf, const char *text)
{
    approval_str_t  secret;

    secret.data = buf;
    secret.len = approval_base64_decode(buf, approval_str(text));

    return secret;
}


static void
test_sign(void)
{
    approval_buf_t  out;
    approval_str_t  secret, other, none;
    unsigned char   a[64], b[64];
    size_t          len;

    secret = secret_of(a, known_secret);
    other = secret_of(b, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");

    is_int(secret.len, 24, "the secret decodes");

    approval_buf_init(&out);

    is_int(approval_webhook_sign(secret, approval_str(known_id), 1614265330,
                                 approval_str(known_body), &out),
           APPROVAL_OK, "signed");
    is_str(approval_buf_str(&out), known_signature, "the known answer");

    len = out.len;

    is_int(approval_webhook_sign(other, approval_str(known_id), 1614265330,
                                 approval_str(known_body), &out),
           APPROVAL_OK, "signed by a second secret");
    ok(out.len == 2 * len + 1 && out.data[len] == ' '
       && memcmp(out.data + len + 1, "v1,", 3) == 0,
       "two signatures, one space");
    ok(memcmp(out.data, out.data + len + 1, len) != 0,
       "the second is another one");

    approval_buf_reset(&out);

    (void) approval_webhook_sign(secret, approval_str(known_id), 1614265331,
                                 approval_str(known_body), &out);
    ok(out.len == len && memcmp(out.data, known_signature, len) != 0,
       "the timestamp is signed");

    approval_buf_reset(&out);

    (void) approval_webhook_sign(secret, approval_str("msg_"), 1614265330,
                                 approval_str(known_body), &out);
    ok(out.len == len && memcmp(out.data, known_signature, len) != 0,
       "the id is signed");

    approval_buf_reset(&out);

    none.len = 0;
    none.data = NULL;

    is_int(approval_webhook_sign(secret, approval_str(known_id), 0, none,
                                 &out),
           APPROVAL_OK, "an empty body");
    is_int(approval_webhook_sign(none, approval_str(known_id), 0, none, &out),
           APPROVAL_ERROR, "no empty secret");
    is_int(out.len, len, "an error appends nothing");

    approval_buf_free(&out);
}


static void
test_id(void)
{
    approval_str_t  action;
    unsigned char   a[APPROVAL_WEBHOOK_ID_LEN], b[APPROVAL_WEBHOOK_ID_LEN];
    size_t          i, good;

    action = approval_str("0123456789abcdef0123456789abcdef");

    is_int(approval_webhook_id(action, approval_str("ops"), approval_str("al"),
                               a),
           APPROVAL_OK, "an id");

    good = 0;

    for (i = 4; i < APPROVAL_WEBHOOK_ID_LEN; i++) {
        good += (a[i] >= '0' && a[i] <= '9') || (a[i] >= 'a' && a[i] <= 'f');
    }

    ok(memcmp(a, "msg_", 4) == 0 && good == 32, "msg_ and hex digits");

    (void) approval_webhook_id(action, approval_str("ops"), approval_str("al"),
                               b);
    ok(memcmp(a, b, APPROVAL_WEBHOOK_ID_LEN) == 0, "the same again");

    (void) approval_webhook_id(action, approval_str("opsa"), approval_str("l"),
                               b);
    ok(memcmp(a, b, APPROVAL_WEBHOOK_ID_LEN) != 0, "parts do not run together");

    (void) approval_webhook_id(action, approval_str("ops"), approval_str(""),
                               b);
    ok(memcmp(a, b, APPROVAL_WEBHOOK_ID_LEN) != 0, "each approver's own");

    (void) approval_webhook_id(approval_str("1123456789abcdef0123456789abcdef"),
                               approval_str("ops"), approval_str("al"), b);
    ok(memcmp(a, b, APPROVAL_WEBHOOK_ID_LEN) != 0, "each action's own");
}


int
main(void)
{
    test_sign();
    test_id();

    return test_done();
}
