
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A record that reads is canonical; an event that is an object becomes a
 * record that reads.
 */


#include "core/record.h"

#include <stdlib.h>
#include <string.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_read(approval_str_t line);
static void fuzz_append(approval_str_t text);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    approval_str_t  s;

    s.data = data;
    s.len = size;

    fuzz_read(s);
    fuzz_append(s);

    return 0;
}


static void
fuzz_read(approval_str_t line)
{
    int              rc;
    json_t          *event;
    const char      *err;
    unsigned char    hash[APPROVAL_SHA256_LEN];
    approval_buf_t   text;

    err = NULL;
    rc = approval_record_read(line, &event, hash, &err);

    if ((rc == APPROVAL_OK) != (event != NULL)
        || (rc == APPROVAL_OK) != (err == NULL))
    {
        abort();
    }

    if (rc != APPROVAL_OK) {
        return;
    }

    approval_buf_init(&text);

    if (approval_json_canonical(event, &text) != APPROVAL_OK
        || text.len > line.len || memcmp(text.data, line.data, text.len) != 0)
    {
        abort();
    }

    approval_buf_free(&text);
    json_decref(event);
}


static void
fuzz_append(approval_str_t text)
{
    json_t            *event, *read;
    const char        *err;
    approval_buf_t     out;
    approval_chain_t   c;
    unsigned char      hash[APPROVAL_SHA256_LEN], got[APPROVAL_SHA256_LEN];

    event = approval_json_parse(text, &err);
    if (event == NULL) {
        return;
    }

    memset(&c, 0, sizeof(c));
    memset(c.writer, 'a', sizeof(c.writer));
    c.seq = 1;

    approval_buf_init(&out);

    if (approval_chain_append(&c, event, hash, &out) == APPROVAL_OK) {

        if (!json_is_object(event)
            || approval_record_read(approval_buf_str(&out), &read, got, &err)
               != APPROVAL_OK
            || memcmp(hash, got, sizeof(hash)) != 0)
        {
            abort();
        }

        json_decref(read);

    } else if (out.len != 0) {
        abort();
    }

    approval_buf_free(&out);
    json_decref(event);
}
