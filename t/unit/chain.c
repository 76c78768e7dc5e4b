
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A chain of a thousand records, and what may not be done to it unseen.
 */


#include "core/record.h"
#include "test.h"

#include <stdlib.h>


#define RECORDS  1000
#define FLIPS    200


static approval_buf_t  file;
static unsigned char   heads[RECORDS][APPROVAL_SHA256_LEN];


static int
build(void)
{
    int                rc;
    size_t             i;
    json_t            *event;
    approval_chain_t   c;

    if (approval_chain_init(&c) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    for (i = 0; i < RECORDS; i++) {
        event = json_pack("{s:s, s:s, s:i, s:{s:s}}", "type",
                          i % 2 ? "voted" : "requested", "time",
                          "2026-01-02T03:04:05.678Z", "n", (int) i, "who",
                          "requester", "agent \xc3\xa9");

        rc = approval_chain_append(&c, event, heads[i], &file);
        json_decref(event);

        if (rc != APPROVAL_OK) {
            return rc;
        }

        approval_chain_commit(&c, heads[i]);
    }

    return file.failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/*
 * What a verifier does: every line holds by itself and follows the one before
 * it.  The number of records is returned, or -1.
 */

static int
follow(const unsigned char *p, size_t len)
{
    int                   n;
    char                  prev[2 * APPROVAL_SHA256_LEN + 1], writer[33];
    json_t               *event;
    const char           *err, *s;
    approval_str_t        line;
    const unsigned char  *last, *lf;
    unsigned char         hash[APPROVAL_SHA256_LEN];

    memset(prev, '0', sizeof(prev));
    prev[2 * APPROVAL_SHA256_LEN] = '\0';
    writer[0] = '\0';

    last = p + len;

    for (n = 0; p < last; n++, p = lf + 1) {
        lf = memchr(p, '\n', last - p);
        if (lf == NULL) {
            return -1;
        }

        line.data = p;
        line.len = lf - p;

        if (approval_record_read(line, &event, hash, &err) != APPROVAL_OK) {
            return -1;
        }

        s = json_string_value(json_object_get(event, "writer"));

        if (json_integer_value(json_object_get(event, "seq")) != n + 1
            || strcmp(json_string_value(json_object_get(event, "prev")), prev)
            || (n != 0 && strcmp(s, writer) != 0))
        {
            json_decref(event);
            return -1;
        }

        memcpy(writer, s, sizeof(writer));
        json_decref(event);

        (void) approval_hex_encode((unsigned char *) prev, hash,
                                   APPROVAL_SHA256_LEN);
    }

    return n;
}


/* Where record i begins. */

static size_t
at(size_t i)
{
    const unsigned char  *p;

    for (p = file.data; i > 0; i--) {
        p = memchr(p, '\n', file.data + file.len - p);
        p++;
    }

    return p - file.data;
}


static void
test_flips(void)
{
    int       found, bit;
    size_t    i, pos;
    uint64_t  state;

    found = 0;
    state = 20260102;

    for (i = 0; i < FLIPS; i++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        pos = (size_t) (state >> 20) % file.len;
        bit = (int) (i % 8);

        file.data[pos] ^= (unsigned char) (1 << bit);
        found += follow(file.data, file.len) != RECORDS;
        file.data[pos] ^= (unsigned char) (1 << bit);
    }

    is_int(found, FLIPS, "every flipped bit is found");
    is_int(follow(file.data, file.len), RECORDS, "the chain is as it was");
}


static void
test_edits(void)
{
    size_t           a, b, c, rest;
    approval_buf_t   copy;

    approval_buf_init(&copy);

    a = at(500);
    b = at(501);
    c = at(502);
    rest = file.len - c;

    approval_buf_add(&copy, file.data, a);
    approval_buf_add(&copy, file.data + b, file.len - b);
    is_int(follow(copy.data, copy.len), -1, "a record taken out is found");

    approval_buf_reset(&copy);
    approval_buf_add(&copy, file.data, b);
    approval_buf_add(&copy, file.data + a, file.len - a);
    is_int(follow(copy.data, copy.len), -1, "a record told twice is found");

    approval_buf_reset(&copy);
    approval_buf_add(&copy, file.data, a);
    approval_buf_add(&copy, file.data + b, c - b);
    approval_buf_add(&copy, file.data + a, b - a);
    approval_buf_add(&copy, file.data + c, rest);
    is_int(follow(copy.data, copy.len), -1, "two exchanged are found");

    approval_buf_reset(&copy);
    approval_buf_add(&copy, file.data + a, file.len - a);
    is_int(follow(copy.data, copy.len), -1, "a head cut off is found");

    is_int(follow(file.data, file.len - 1), -1, "half a line is found");
    is_int(follow(file.data, a), 500,
           "a tail cut off is not: checkpoints are for that");

    approval_buf_free(&copy);
}


/* One who has the file, but no other copy, makes the record's hash anew. */

static void
test_rewritten(void)
{
    json_t            *event;
    const char        *err;
    unsigned char      hash[32], head[32];
    approval_buf_t     copy;
    approval_str_t     line;
    approval_chain_t   c;

    approval_buf_init(&copy);

    line.data = file.data + at(500);
    line.len = at(501) - at(500);

    if (!ok(approval_record_read(line, &event, hash, &err) == APPROVAL_OK
            && memcmp(hash, heads[500], 32) == 0, "record 500 reads"))
    {
        return;
    }

    memcpy(c.writer, json_string_value(json_object_get(event, "writer")), 32);
    memcpy(c.prev, heads[499], 32);
    c.seq = 501;

    json_object_set_new(event, "n", json_integer(7));

    approval_buf_add(&copy, file.data, at(500));
    ok(approval_chain_append(&c, event, head, &copy) == APPROVAL_OK
       && follow(copy.data, copy.len) == 501,
       "rewritten, it holds up to there");

    approval_buf_add(&copy, file.data + at(501), file.len - at(501));
    is_int(follow(copy.data, copy.len), -1, "but not what follows it");

    json_decref(event);
    approval_buf_free(&copy);
}


int
main(void)
{
    approval_buf_init(&file);

    if (ok(build() == APPROVAL_OK, "a chain is built")) {
        is_int(follow(file.data, file.len), RECORDS, "and followed");
        test_flips();
        test_edits();
        test_rewritten();
    }

    approval_buf_free(&file);

    return test_done();
}
