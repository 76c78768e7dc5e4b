
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * One audit record.
 */


#include "core/record.h"
#include "test.h"


#define ZEROS  "00000000000000000000000000000000"                             \
               "00000000000000000000000000000000"
#define WRITER "0123456789abcdef0123456789abcdef"


static void
chain(approval_chain_t *c)
{
    memset(c, 0, sizeof(approval_chain_t));
    memcpy(c->writer, WRITER, APPROVAL_WRITER_LEN);
    c->seq = 1;
}


/* The definition, written out: what is hashed, and where the hash goes. */

static void
test_definition(void)
{
    char               want[1024], hex[65];
    json_t            *event;
    unsigned char      hash[32], md[32];
    approval_buf_t     out;
    approval_chain_t   c;

    chain(&c);
    approval_buf_init(&out);

    event = json_pack("{s:s, s:s, s:{s:s, s:[s]}, s:s}",
                      "type", "requested", "time", "2026-01-02T03:04:05.678Z",
                      "a", "hash", "in \"hash\":\"here\" {[", "z", "hash",
                      "action_id", WRITER);

    is_int(approval_chain_append(&c, event, hash, &out), APPROVAL_OK, "made");

    (void) approval_sha256(approval_str(
        "approval-record-v1\n{\"a\":{\"hash\":\"in \\\"hash\\\":\\\"here\\\" "
        "{[\",\"z\":[\"hash\"]},\"action_id\":\"" WRITER "\",\"prev\":\"" ZEROS
        "\",\"seq\":1,\"time\":\"2026-01-02T03:04:05.678Z\","
        "\"type\":\"requested\",\"writer\":\"" WRITER "\"}"), md);
    ok(memcmp(md, hash, 32) == 0, "the hash is what record.h says");

    (void) approval_hex_encode((unsigned char *) hex, md, 32);
    hex[64] = '\0';
    snprintf(want, sizeof(want),
        "{\"a\":{\"hash\":\"in \\\"hash\\\":\\\"here\\\" {[\",\"z\":"
        "[\"hash\"]},\"action_id\":\"" WRITER "\",\"hash\":\"%s\",\"prev\":\""
        ZEROS "\",\"seq\":1,\"time\":\"2026-01-02T03:04:05.678Z\","
        "\"type\":\"requested\",\"writer\":\"" WRITER "\"}\n", hex);
    is_str(approval_buf_str(&out), want, "the line is canonical, with it");

    ok(strcmp(json_string_value(json_object_get(event, "hash")), hex) == 0,
       "the event has it, too");

    json_decref(event);
    approval_buf_free(&out);
}


static void
test_chain(void)
{
    json_t            *event, *read;
    const char        *err;
    unsigned char      hash[32], got[32];
    approval_buf_t     out;
    approval_str_t     s;
    approval_chain_t   c;

    ok(approval_chain_init(&c) == APPROVAL_OK && c.seq == 1, "a chain");
    s.data = (unsigned char *) c.writer;
    s.len = APPROVAL_WRITER_LEN;
    ok(approval_id_valid(s), "its writer");

    approval_buf_init(&out);
    event = json_pack("{s:s}", "type", "config");

    (void) approval_chain_append(&c, event, hash, &out);
    is_int(c.seq, 1, "appending does not advance");

    /* The same event again, as after a failed write. */

    approval_buf_reset(&out);
    is_int(approval_chain_append(&c, event, got, &out), APPROVAL_OK, "again");
    ok(memcmp(hash, got, 32) == 0, "it is the same record");

    approval_chain_commit(&c, hash);
    ok(c.seq == 2 && memcmp(c.prev, hash, 32) == 0, "committing does");

    approval_buf_reset(&out);
    (void) approval_chain_append(&c, event, hash, &out);
    is_int(approval_record_read(approval_buf_str(&out), &read, got, &err),
           APPROVAL_OK, "reads, with its LF");
    ok(memcmp(hash, got, 32) == 0
       && json_integer_value(json_object_get(read, "seq")) == 2
       && json_equal(read, event), "the second record");
    json_decref(read);

    s = approval_buf_str(&out);
    s.len--;
    is_int(approval_record_read(s, &read, got, &err), APPROVAL_OK,
           "reads, without it");
    json_decref(read);
    json_decref(event);

    event = json_array();
    approval_buf_reset(&out);
    approval_buf_adds(&out, "head");
    is_int(approval_chain_append(&c, event, hash, &out), APPROVAL_ERROR,
           "an event is an object");
    json_decref(event);

    event = json_object();
    out.failed = 1;
    is_int(approval_chain_append(&c, event, hash, &out), APPROVAL_ERROR,
           "a buffer that failed");
    json_decref(event);

    approval_buf_free(&out);
}


static void
refused(approval_str_t line, const char *why, const char *name)
{
    int             rc;
    json_t         *event;
    const char     *err;
    unsigned char   hash[32];

    err = "";
    rc = approval_record_read(line, &event, hash, &err);

    ok(rc == APPROVAL_DECLINED && event == NULL && strstr(err, why),
       "refused: %s", name);
}


static void
test_refused(void)
{
    int                good;
    char               text[1024];
    size_t             i, n;
    json_t            *event, *read;
    const char        *err;
    unsigned char      hash[32], copy[1024];
    approval_buf_t     out;
    approval_str_t     s;
    approval_chain_t   c;

    refused(approval_str(""), "", "nothing");
    refused(approval_str("\n"), "", "an empty line");
    refused(approval_str("[]"), "not a JSON object", "an array");
    refused(approval_str("{}"), "\"hash\"", "no members");
    refused(approval_str("{\"hash\":\"" ZEROS "\"}"), "\"prev\"",
            "only a hash");
    refused(approval_str("{\"hash\":\"" ZEROS "\",\"prev\":\"" ZEROS "\"}"),
            "\"writer\"", "no writer");
    refused(approval_str("{\"hash\":\"" ZEROS "\",\"prev\":\"" ZEROS
                         "\",\"seq\":0,\"writer\":\"" WRITER "\"}"),
            "\"seq\"", "seq 0");
    refused(approval_str("{\"hash\":\"" ZEROS "\",\"prev\":\"" ZEROS
                         "\",\"seq\":1,\"writer\":\"" WRITER "\"}"),
            "does not match", "a hash that does not hold");

    chain(&c);
    approval_buf_init(&out);
    event = json_pack("{s:s, s:s}", "type", "voted", "who", "\xc3\xa9\n\"");
    (void) approval_chain_append(&c, event, hash, &out);
    json_decref(event);

    n = out.len;
    s.data = copy;

    for (good = 1, i = 0; i < 8 * (n - 1); i++) {
        memcpy(copy, out.data, n);
        copy[i / 8] ^= (unsigned char) (1 << (i % 8));
        s.len = n;
        good &= approval_record_read(s, &read, hash, &err)
                == APPROVAL_DECLINED && read == NULL;
    }

    ok(good, "no bit can be another");

    for (good = 1, i = 0; i < n - 1; i++) {
        memcpy(copy, out.data, n);
        s.len = i;
        good &= approval_record_read(s, &read, hash, &err)
                == APPROVAL_DECLINED;
    }

    ok(good, "not cut anywhere");

    snprintf(text, sizeof(text), "%.*s\n", (int) out.len,
             (char *) out.data);
    refused(approval_str(text), "", "two line ends");
    snprintf(text, sizeof(text), " %.*s", (int) out.len, (char *) out.data);
    refused(approval_str(text), "canonical", "white space before it");

    approval_buf_free(&out);
}


/* What would be written, but not read again, is not written. */

static int
appends(json_t *value)
{
    int                rc;
    json_t            *event, *read;
    const char        *err;
    unsigned char      hash[32];
    approval_buf_t     out;
    approval_chain_t   c;

    chain(&c);
    approval_buf_init(&out);

    event = json_object();
    json_object_set_new(event, "value", value);

    rc = approval_chain_append(&c, event, hash, &out);

    if (rc == APPROVAL_OK) {
        rc = approval_record_read(approval_buf_str(&out), &read, hash, &err);
        json_decref(read);

    } else if (out.len != 0) {
        rc = 12345;
    }

    json_decref(event);
    approval_buf_free(&out);

    return rc;
}


static void
test_readable(void)
{
    size_t   i;
    json_t  *value;

    is_int(appends(json_stringn("a\0b", 3)), APPROVAL_ERROR, "NUL");
    is_int(appends(json_stringn("", 0)), APPROVAL_OK, "no bytes");
    is_int(appends(json_real(9999999900520689653.05)), APPROVAL_ERROR,
           "a real that is written as too large an integer");
    is_int(appends(json_real(9007199254740992.0)), APPROVAL_ERROR, "2^53");
    is_int(appends(json_real(-9007199254740991.0)), APPROVAL_OK,
           "-(2^53 - 1), a real");
    is_int(appends(json_real(1e300)), APPROVAL_ERROR, "1e300");
    is_int(appends(json_real(-0.0)), APPROVAL_OK, "-0");
    is_int(appends(json_real(0.1)), APPROVAL_OK, "0.1");
    is_int(appends(json_real(5e-324)), APPROVAL_OK, "the smallest number");
    is_int(appends(json_integer(INT64_MAX)), APPROVAL_OK, "INT64_MAX");
    is_int(appends(json_integer(INT64_MIN)), APPROVAL_OK, "INT64_MIN");

    value = json_array();

    for (i = 2; i < APPROVAL_JSON_MAX_DEPTH; i++) {
        value = json_pack("[o]", value);
    }

    is_int(appends(json_incref(value)), APPROVAL_OK, "64 levels");
    is_int(appends(json_pack("[o]", value)), APPROVAL_ERROR, "65 levels");
}


int
main(void)
{
    test_definition();
    test_chain();
    test_refused();
    test_readable();

    return test_done();
}
