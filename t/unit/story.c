
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What people are told of the trail: stories, which action is meant, and the
 * cells of a spreadsheet.
 */


#include "core/csv.h"
#include "core/find.h"
#include "core/story.h"
#include "test.h"


#define ID     "0123456789abcdef0123456789abcdef"
#define GRANT  "ffffffffffffffffffffffffffffffff"
#define DIGEST "sha256:1111111111111111111111111111111111111111111111111111" \
               "111111111111"


static json_t *
parse(const char *text)
{
    json_t      *value;
    const char  *err;

    value = approval_json_parse(approval_str(text), &err);
    ok(value != NULL, "%s", text);

    return value;
}


static void
told(const char *record, const char *want)
{
    json_t          *event;
    approval_buf_t   out;

    event = parse(record);

    approval_buf_init(&out);
    approval_story_record(event, &out);
    is_str(approval_buf_str(&out), want, want);
    approval_buf_free(&out);

    json_decref(event);
}


static void
test_records(void)
{
    told("{\"type\":\"voted\",\"identity\":\"T01:U0ALICE\","
         "\"person\":\"alice\",\"decision\":\"approve\",\"how\":\"slack\","
         "\"comment\":\"ok\",\"remote_addr\":\"192.0.2.1\"}",
         "T01:U0ALICE, who is alice: approve (slack) \"ok\" from 192.0.2.1");
    told("{\"type\":\"voted\",\"identity\":\"bob\",\"person\":\"bob\","
         "\"decision\":\"approve\",\"how\":\"link\",\"break_glass\":true,"
         "\"passkey\":\"" ID "\"}",
         "bob: approve (link) alone, by break_glass, signed by passkey " ID);
    told("{\"type\":\"denied\",\"by\":[\"alice\",\"bob\"]}", "by alice, bob");
    told("{\"type\":\"notified\",\"event\":\"reminder\",\"channel\":\"ops\","
         "\"status\":200,\"approver\":\"bob\"}",
         "reminder ops status 200 to bob");
    told("{\"type\":\"fault\",\"limit\":\"passkey\",\"why\":\"again\"}",
         " again (limit: passkey)");
    told("{\"type\":\"refused\",\"requester\":\"x\\u202ey\\n\","
         "\"refusal\":\"frozen\"}", "by x<U+202E>y<U+000A> frozen");
    told("{\"type\":7}", "");
}


static void
fact(void *data, const char *name, approval_str_t text)
{
    approval_buf_t  *out = data;

    approval_buf_adds(out, name);
    approval_buf_adds(out, "=");
    approval_buf_add(out, text.data, text.len);
    approval_buf_adds(out, "\n");
}


static void
test_request(void)
{
    json_t          *event;
    approval_buf_t   out;

    event = parse("{\"type\":\"requested\",\"summary\":\"Drop it\","
                  "\"method\":\"POST\",\"host\":\"db\",\"target\":\"/drop\","
                  "\"query_hidden\":0,\"show\":{\"table\":\"a\\nb\","
                  "\"more\":[1,2]},\"require\":[{\"count\":2,"
                  "\"groups\":[\"dba\",\"ops\"]}]}");

    approval_buf_init(&out);
    is_int(approval_story_request(event, fact, &out), APPROVAL_OK, "told");
    is_str(approval_buf_str(&out),
           "summary=Drop it\nrequest=POST db/drop\nshown=table: a<U+000A>b\n"
           "shown=more: [1,2]\nrequires=2 of dba ops\n",
           "each field that was shown");
    approval_buf_free(&out);
    json_decref(event);

    event = parse("{\"type\":\"voted\"}");
    is_int(approval_story_request(event, fact, NULL), APPROVAL_DECLINED,
           "another record is no request");
    json_decref(event);
}


static void
found(const char *text, int other)
{
    size_t            i;
    json_t           *event;
    approval_find_t  *f;

    static const struct {
        const char  *record;
        int          grant;
    } records[] = {
        { "{\"action_id\":\"" ID "\",\"digest\":\"" DIGEST "\"}", 0 },
        { "{\"action_id\":\"" ID "\",\"type\":\"executed\"}", 0 },
        { "{\"action_id\":null,\"grant\":\"" GRANT "\"}", -1 },
        { "{\"action_id\":\"00000000000000000000000000000000\","
          "\"grant\":\"" GRANT "\"}", 1 },
        { "{\"action_id\":\"22222222222222222222222222222222\"}", -1 }
    };

    f = approval_find_create(approval_str(text));

    for (i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        event = parse(records[i].record);
        is_int(approval_find_record(f, event), records[i].grant == other,
               text);
        json_decref(event);
    }

    is_int(json_array_size(approval_find_ids(f)), 1,
           "one action is meant");

    approval_find_destroy(f);
}


static void
test_find(void)
{
    approval_find_t  *f;

    found(ID, 0);
    found(DIGEST, 0);
    found("https://gw.example/_approval/actions/" ID "?t=1.a", 0);
    found("eyJhbGciOiJFZERTQSJ9.eyJqdGkiOiIwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4"
          "OWFiY2RlZiJ9.x", 0);
    found(GRANT, 1);

    f = approval_find_create(approval_str("eyJ.x"));
    is_int(json_array_size(approval_find_ids(f)), 0, "nothing is meant");
    approval_find_destroy(f);
}


static void
cell(const char *comment, const char *want)
{
    json_t          *event;
    const char      *p;
    approval_buf_t   out;

    event = json_pack("{s:s}", "comment", comment);

    approval_buf_init(&out);
    approval_csv_record(event, &out);

    /* all others are empty */

    for (p = (char *) out.data; p[0] == '"' && p[1] == '"' && p[2] == ',';
         p += 3)
    {
        /* void */
    }

    ok(strncmp(p, want, strlen(want)) == 0,
       "a cell of %lu bytes", (unsigned long) strlen(want));

    approval_buf_free(&out);
    json_decref(event);
}


static void
test_csv(void)
{
    json_t          *note;
    approval_buf_t   out, path;

    cell("fine", "\"fine\",");
    cell("a \"b\"", "\"a \"\"b\"\"\",");
    cell("=1+1", "\"'=1+1\",");
    cell("\xef\xbc\x9d" "1", "\"'\xef\xbc\x9d" "1\",");
    cell("a;=1+1", "\"a;'=1+1\",");
    cell("a;\"=1+1", "\"a;\"\"'=1+1\",");
    cell("a\n@x", "\"a\n'@x\",");
    cell("\t=x", "\"'\t'=x\",");
    cell("1-2", "\"1-2\",");

    note = json_string("w\n1\n\n\xe2\x80\x94 w x\n");

    approval_buf_init(&out);
    approval_buf_init(&path);
    approval_buf_adds(&path, "ab");
    approval_csv_proof(7, &path, note, &out);
    is_str(approval_buf_str(&out),
           "signed,7,ab,\"w\\n1\\n\\n\xe2\x80\x94 w x\\n\"\n",
           "a checkpoint stays in its line");
    approval_buf_free(&out);

    approval_buf_init(&out);
    approval_csv_proof(0, NULL, note, &out);
    approval_csv_proof(0, NULL, NULL, &out);
    is_str(approval_buf_str(&out),
           "signed,,,\"w\\n1\\n\\n\xe2\x80\x94 w x\\n\"\n"
           "unauthenticated,,,\n",
           "one that is its own proof, and a record without any");
    approval_buf_free(&out);
    approval_buf_free(&path);
    json_decref(note);

    approval_buf_init(&out);
    approval_csv_head(&out);
    ok(approval_csv_is_head(approval_buf_str(&out)), "its own head");
    ok(!approval_csv_is_head(approval_str("{\"proof\":null}")), "no head");
    approval_buf_free(&out);
}


int
main(void)
{
    test_records();
    test_request();
    test_find();
    test_csv();

    return test_done();
}
