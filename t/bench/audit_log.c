
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Writes a log of N records of four writers, as a gateway would, for
 * measuring approval-audit:
 *
 *     audit_log KEY.pem N [LIFE] > audit.jsonl
 *
 * Six records make an action: requested, notified, viewed, voted, approved,
 * executed; each vote and each decision is signed, and each hundred records of
 * a writer are.  After LIFE records a writer ends, and another one begins.
 */


#include "core/checkpoint.h"
#include "core/jws.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define WRITERS  4


typedef struct {
    approval_chain_t    chain;
    approval_merkle_t   tree;
    uint64_t            covered;
} writer_t;


static approval_signer_t      *key;
static writer_t                writers[WRITERS];
static approval_checkpoint_t   cp;
static char                    now[APPROVAL_TIME_LEN + 1];
static char                    digest[] = "sha256:"
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";


static void
must(int good)
{
    if (!good) {
        fputs("audit_log: failed\n", stderr);
        exit(1);
    }
}


static void
put(writer_t *w, json_t *event)
{
    unsigned char          hash[APPROVAL_SHA256_LEN];
    static approval_buf_t  line;

    must(event != NULL);

    approval_buf_reset(&line);
    must(approval_chain_append(&w->chain, event, hash, &line) == APPROVAL_OK);
    approval_chain_commit(&w->chain, hash);
    must(approval_merkle_add(&w->tree, hash) == APPROVAL_OK);
    must(fwrite(line.data, 1, line.len, stdout) == line.len);

    json_decref(event);
}


static void
checkpoint(writer_t *w)
{
    approval_buf_t  note;

    memcpy(cp.head.writer, w->chain.writer, APPROVAL_WRITER_LEN);
    memcpy(cp.head.hash, w->chain.prev, APPROVAL_SHA256_LEN);
    cp.head.seq = w->chain.seq - 1;
    memcpy(cp.time, now, sizeof(now));

    approval_buf_init(&note);

    must(approval_merkle_root(&w->tree, cp.root) == APPROVAL_OK
         && approval_checkpoint_make(key, &cp, &note) == APPROVAL_OK);

    put(w, json_pack("{s:s, s:s, s:n, s:s%}", "type", "checkpoint", "time",
                     now, "action_id", "checkpoint", note.data, note.len));

    approval_buf_free(&note);

    w->covered = w->chain.seq - 1;
}


static json_t *
jws(const char *typ, json_t *claims)
{
    json_t          *token;
    approval_buf_t   out;

    approval_buf_init(&out);

    must(approval_jws_make(key, typ, claims, &out) == APPROVAL_OK);
    token = json_stringn((char *) out.data, out.len);

    approval_buf_free(&out);
    json_decref(claims);

    return token;
}


static json_t *
record(const char *type, const char *id)
{
    return json_pack("{s:s, s:s, s:i, s:s%}", "type", type, "time", now,
                     "mono", 12345678, "action_id", id, APPROVAL_ID_LEN);
}


static json_t *facts(void);


static void
action(writer_t *w, unsigned long n)
{
    char     id[APPROVAL_ID_LEN], target[64];
    json_t  *r;

    must(approval_id(id) == APPROVAL_OK);
    snprintf(target, sizeof(target), "/v1/databases/%lu", n);

    r = record("requested", id);
    must(json_object_update_new(r, json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s,"
        " s:[{s:i, s:[s]}], s:i}",
        "policy", "database", "rule", "drop", "action", "db.drop",
        "requester", "agent-7", "person", "agent-7", "method", "DELETE",
        "host", "db.example.com", "target", target, "digest", digest,
        "remote_addr", "192.0.2.1", "summary", "drop a database",
        "require", "count", 1, "groups", "admins", "deny_after", 1)) == 0);
    put(w, r);

    r = record("notified", id);
    must(json_object_update_new(r, json_pack("{s:s, s:i}", "channel", "ops",
                                             "status", 200)) == 0);
    put(w, r);

    r = record("viewed", id);
    must(json_object_update_new(r, json_pack("{s:s, s:s}", "identity",
                                             "alice", "person", "alice"))
         == 0);
    put(w, r);

    r = record("voted", id);
    must(json_object_update_new(r, json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "identity", "alice", "person",
        "alice", "how", "idp", "groups", "admins", "decision", "approve",
        "digest", digest, "vote",
        jws("approval-vote+jwt", json_pack(
            "{s:s%, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "jti", id,
            APPROVAL_ID_LEN, "dig", digest, "sub", "alice", "idn", "alice",
            "how", "idp", "grp", "admins", "act", "approve", "iat", (json_int_t) 1700000000)))) == 0);
    put(w, r);

    r = record("approved", id);
    must(json_object_update_new(r, facts()) == 0
         && json_object_set_new(r, "decision",
        jws("approval-decision+jwt", json_pack(
            "{s:s%, s:s, s:s, s:s, s:s, s:s, s:s, s:[s], s:I}", "jti", id,
            APPROVAL_ID_LEN, "dig", digest, "sta", "approved", "sub",
            "agent-7", "pol", "database", "rul", "drop", "act", "db.drop",
            "by", "alice", "iat", (json_int_t) 1700000000))) == 0);
    put(w, r);

    r = record("executed", id);
    must(json_object_update_new(r, facts()) == 0
         && json_object_set_new(r, "outcome", json_pack(
                "{s:i, s:i, s:i}", "status", 200, "bytes", 512, "ms", 12))
            == 0);
    put(w, r);
}


static json_t *
facts(void)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}",
                     "policy", "database", "rule", "drop", "action", "db.drop",
                     "requester", "agent-7", "method", "DELETE", "digest",
                     digest, "approvers", "alice");
}


static void
begin(writer_t *w)
{
    approval_str_t  kid;

    kid = approval_signer_kid(key);

    must(approval_chain_init(&w->chain) == APPROVAL_OK);
    approval_merkle_init(&w->tree);
    w->covered = 0;

    put(w, json_pack("{s:s, s:s, s:n, s:s%}", "type", "open", "time", now,
                     "action_id", "key", kid.data, kid.len));
}


static void
end(writer_t *w)
{
    put(w, json_pack("{s:s, s:s, s:n}", "type", "close", "time", now,
                     "action_id"));
    checkpoint(w);
}


int
main(int argc, char **argv)
{
    char            pem[4096];
    FILE           *file;
    size_t          i, len;
    writer_t       *w;
    const char     *err;
    unsigned long   n, count, life;
    approval_str_t  text;

    must(argc == 3 || argc == 4);

    file = fopen(argv[1], "rb");
    must(file != NULL);
    len = fread(pem, 1, sizeof(pem), file);
    fclose(file);

    text.data = (unsigned char *) pem;
    text.len = len;
    key = approval_signer_pem(text, &err);
    must(key != NULL);

    count = strtoul(argv[2], NULL, 10);
    life = argc == 4 ? strtoul(argv[3], NULL, 10) : ULONG_MAX;

    approval_time_format(now, 1700000000000);

    for (i = 0; i < WRITERS; i++) {
        begin(&writers[i]);
    }

    for (n = WRITERS; n < count; n += 6) {
        w = &writers[n / 6 % WRITERS];

        approval_time_format(now, 1700000000000 + (int64_t) n);
        action(w, n);

        if (w->chain.seq - w->covered > 100) {
            checkpoint(w);
            n++;
        }

        if (w->chain.seq > life) {
            end(w);
            begin(w);
            n += 3;
        }
    }

    for (i = 0; i < WRITERS; i++) {
        end(&writers[i]);
    }

    approval_signer_destroy(key);

    return fflush(stdout) == 0 ? 0 : 1;
}
