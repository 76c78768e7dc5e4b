
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Fuzz target: a field's name, LF, a form.
 */


#include "fuzz.h"

#include "core/escape.h"
#include "core/form.h"


typedef struct {
    approval_str_t   name;
    approval_buf_t   value;
    approval_buf_t   again;            /* all fields, encoded anew */
    size_t           found;
} seen_t;


static int visit(void *data, approval_str_t name, approval_str_t value);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int             get, each;
    seen_t          seen, twice;
    const char     *err;
    approval_buf_t  out;
    approval_str_t  body, name;

    body = fuzz_str(data, size);
    name = fuzz_line(&body);

    memset(&seen, 0, sizeof(seen_t));
    memset(&twice, 0, sizeof(seen_t));
    approval_buf_init(&out);

    seen.name = name;
    twice.name = name;

    err = NULL;
    (void) approval_form_foreign(body);

    get = approval_form_get(body, name, &out, &err);
    must((get == APPROVAL_ERROR) == (err != NULL));
    must(get == APPROVAL_OK || out.len == 0);

    err = NULL;
    each = approval_form_each(body, visit, &seen, &err);
    must((each == APPROVAL_ERROR) == (err != NULL));

    /* one reader never refuses as malformed what the other reads */

    if (each == APPROVAL_ERROR) {
        must(get == APPROVAL_ERROR);
    }

    if (get == APPROVAL_OK) {
        must(seen.found == 1);
        must(approval_str_eq(approval_buf_str(&out),
                             approval_buf_str(&seen.value)));
    }

    if (get == APPROVAL_DECLINED) {
        must(seen.found == 0);
    }

    if (each == APPROVAL_OK) {
        must(approval_form_each(approval_buf_str(&seen.again), visit, &twice,
                                &err) == APPROVAL_OK);
        must(twice.found == seen.found);
        must(approval_str_eq(approval_buf_str(&seen.again),
                             approval_buf_str(&twice.again)));
        must(approval_str_eq(approval_buf_str(&seen.value),
                             approval_buf_str(&twice.value)));
    }

    approval_buf_free(&seen.value);
    approval_buf_free(&seen.again);
    approval_buf_free(&twice.value);
    approval_buf_free(&twice.again);
    approval_buf_free(&out);

    return 0;
}


static int
visit(void *data, approval_str_t name, approval_str_t value)
{
    seen_t  *seen = data;

    must(name.len == 0 || memchr(name.data, 0, name.len) == NULL);
    must(value.len == 0 || memchr(value.data, 0, value.len) == NULL);

    if (approval_str_eq(name, seen->name)) {
        seen->found++;
        approval_buf_add(&seen->value, value.data, value.len);
    }

    approval_escape_uri(name, &seen->again);
    approval_buf_addc(&seen->again, '=');
    approval_escape_uri(value, &seen->again);
    approval_buf_addc(&seen->again, '&');

    return APPROVAL_OK;
}
