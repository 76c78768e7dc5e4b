
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the fuzz targets share.
 */


#ifndef APPROVAL_FUZZ_H
#define APPROVAL_FUZZ_H


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/str.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


#define must(cond)                                                            \
    do {                                                                      \
        if (!(cond)) {                                                        \
            fprintf(stderr, "%s:%d: must(%s)\n", __FILE__, __LINE__, #cond);  \
            abort();                                                          \
        }                                                                     \
    } while (0)


static inline approval_str_t
fuzz_str(const uint8_t *data, size_t size)
{
    approval_str_t  s;

    s.data = data;
    s.len = size;

    return s;
}


/* The input up to the first LF, and what follows it. */

static inline approval_str_t
fuzz_line(approval_str_t *s)
{
    size_t          i;
    approval_str_t  line;

    for (i = 0; i < s->len && s->data[i] != '\n'; i++) { /* void */ }

    line = fuzz_str(s->data, i);

    if (i < s->len) {
        i++;
    }

    *s = fuzz_str(i ? s->data + i : s->data, s->len - i);

    return line;
}


static inline int
fuzz_has(approval_str_t s, const char *what)
{
    return s.len && memmem(s.data, s.len, what, strlen(what)) != NULL;
}


#endif /* APPROVAL_FUZZ_H */
