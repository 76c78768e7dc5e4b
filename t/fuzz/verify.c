
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Whatever stands in records, the verifier judges it, and with a stranger's
 * checkpoint never says that all is well covered.
 */


#include "core/jws.h"
#include "core/verify.h"

#include <stdlib.h>
#include <string.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_found(void *data, approval_found_e what,
    const approval_place_t *place, const char *why);
static void fuzz_line(approval_verify_t *v, approval_chain_t *c,
    approval_place_t *place, approval_str_t line);
static void fuzz_sign(json_t *event, const char *member, const char *typ);


/* Of nobody: it was made for this file. */

static const char  *fuzz_pem =
"-----BEGIN PRIVATE KEY-----\n"
"MC4CAQAwBQYDK2VwBCIEIMfv/qOhi7X6F0hiLctW4pceC9bVQxES9YJjmngKzzDb\n"
"-----END PRIVATE KEY-----\n";

static approval_signer_t  *fuzz_signer;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char         *err;
    const uint8_t      *lf, *last;
    approval_str_t      line;
    approval_chain_t    c;
    approval_place_t    place;
    approval_verify_t  *v;

    memset(&c, 0, sizeof(c));
    memset(c.writer, 'a', sizeof(c.writer));
    c.seq = 1;

    place.file = "fuzz";
    place.line = 0;

    if (fuzz_signer == NULL) {
        fuzz_signer = approval_signer_pem(approval_str(fuzz_pem), &err);

        if (fuzz_signer == NULL) {
            abort();
        }
    }

    v = approval_verify_create(fuzz_signer, fuzz_found, &place);
    if (v == NULL) {
        return 0;
    }

    line.data = data;
    line.len = size;

    (void) approval_verify_head(v, &place, line, &err);

    last = data + size;

    while (data < last) {
        lf = memchr(data, '\n', last - data);

        line.data = data;
        line.len = (lf ? lf : last) - data;
        data += line.len + 1;

        place.line++;
        fuzz_line(v, &c, &place, line);
    }

    (void) approval_verify_end(v);

    if (approval_verify_stats(v)->checkpoints != 0) {
        abort();
    }

    approval_verify_destroy(v);

    return 0;
}


static void
fuzz_found(void *data, approval_found_e what, const approval_place_t *place,
    const char *why)
{
    if (why[0] == '\0' || what > APPROVAL_FOUND_TAMPERED || place == NULL) {
        abort();
    }
}


/* The fuzzer cannot find hashes, nor sign: it writes what is. */

static void
fuzz_line(approval_verify_t *v, approval_chain_t *c, approval_place_t *place,
    approval_str_t line)
{
    json_t          *event, *seq;
    const char      *err;
    unsigned char    hash[APPROVAL_SHA256_LEN];
    approval_buf_t   out;

    event = approval_json_parse(line, &err);

    if (!json_is_object(event)) {
        json_decref(event);
        return;
    }

    /* another place in the chain, or another chain */

    seq = json_object_get(event, "seq");

    if (json_is_integer(seq) && json_integer_value(seq) > 0
        && json_integer_value(seq) < 1000)
    {
        c->seq = (uint64_t) json_integer_value(seq);
    }

    if (json_is_true(json_object_get(event, "writer"))) {
        c->writer[0] = c->writer[0] == 'a' ? 'b' : 'a';
    }

    fuzz_sign(event, "vote", "approval-vote+jwt");
    fuzz_sign(event, "decision", "approval-decision+jwt");
    fuzz_sign(event, "receipt", "approval-decision+jwt");

    approval_buf_init(&out);

    if (approval_chain_append(c, event, hash, &out) == APPROVAL_OK) {
        approval_chain_commit(c, hash);
        json_decref(event);

        if (approval_record_read(approval_buf_str(&out), &event, hash, &err)
            != APPROVAL_OK)
        {
            abort();
        }

        (void) approval_verify_expects(v, event);

        if (approval_verify_record(v, place, event, hash) != APPROVAL_OK) {
            abort();
        }
    }

    json_decref(event);
    approval_buf_free(&out);
}


static void
fuzz_sign(json_t *event, const char *member, const char *typ)
{
    json_t          *claims;
    approval_buf_t   out;

    claims = json_object_get(event, member);

    if (!json_is_object(claims)) {
        return;
    }

    approval_buf_init(&out);

    if (approval_jws_make(fuzz_signer, typ, claims, &out) == APPROVAL_OK) {
        json_object_set_new(event, member,
                            json_stringn((char *) out.data, out.len));
    }

    approval_buf_free(&out);
}
