
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Fuzz target: any text, packed and unpacked; and any bytes, unpacked.
 */


#include "fuzz.h"

#include "core/pack.h"


#define MOST  (64 * 1024)


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    approval_buf_t  packed, text;
    approval_str_t  s;

    s = fuzz_str(data, size);

    approval_buf_init(&packed);
    approval_buf_init(&text);

    /* damaged or not, it stays within its bounds and adds all or nothing */

    if (approval_unpack(s, MOST, &text) != APPROVAL_OK) {
        must(text.len == 0);
    }

    must(text.len <= MOST || text.len == s.len);

    approval_buf_reset(&text);

    must(approval_pack(s, &packed) == APPROVAL_OK);
    must(packed.len <= s.len);

    /* JSON never begins like a packed text */

    if (s.len == 0 || s.data[0] >= 0x20) {
        must(approval_unpack(approval_buf_str(&packed), s.len, &text)
             == APPROVAL_OK);
        must(approval_str_eq(approval_buf_str(&text), s));
    }

    approval_buf_free(&packed);
    approval_buf_free(&text);

    return 0;
}
