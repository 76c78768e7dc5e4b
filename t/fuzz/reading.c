
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The first line is a name, the rest a path, a query and a cookie in turn: the
 * readings are bounded, each there once, and what is read plainly is among
 * them.
 */


#include "core/reading.h"

#include "fuzz.h"


static void check(approval_readings_t *rs);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t               n;
    approval_str_t       name, text;
    approval_readings_t  rs;

    text = fuzz_str(data, size);
    name = fuzz_line(&text);

    approval_readings_init(&rs);

    approval_read_path(&rs, text);
    check(&rs);

    if (rs.elts[0].kind == APPROVAL_READING_TEXT) {
        n = rs.n;
        approval_read_path(&rs, text);
        must(rs.n == n);
    }

    approval_readings_reset(&rs);
    approval_read_field(&rs, text, name, APPROVAL_READ_RAW);
    check(&rs);

    approval_readings_reset(&rs);
    approval_read_cookie(&rs, text, name);
    check(&rs);

    must(approval_name_read(name, name) == APPROVAL_NAME_SAME);
    must((approval_name_read(name, text) == APPROVAL_NAME_OTHER)
         == (approval_name_read(text, name) == APPROVAL_NAME_OTHER));

    approval_readings_free(&rs);

    return 0;
}


static void
check(approval_readings_t *rs)
{
    size_t  i, k;

    must(!rs->failed);
    must(rs->n > 0);
    must(approval_readings_count(rs) <= APPROVAL_READINGS_MAX);
    must(!approval_readings_doubt(rs) || rs->n == 1);

    for (i = 0; i < rs->n; i++) {
        for (k = 0; k < i; k++) {
            must(rs->elts[i].kind != rs->elts[k].kind
                 || rs->elts[i].spelled || rs->elts[k].spelled
                 || !approval_str_eq(approval_reading_text(rs, i),
                                     approval_reading_text(rs, k)));
        }
    }
}
