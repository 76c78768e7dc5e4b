
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/range.h"


const void *
approval_range_find(uint32_t c, const void *table, size_t n, size_t size)
{
    size_t           low, high, mid;
    const uint32_t  *r;

    low = 0;
    high = n;

    while (low < high) {
        mid = low + (high - low) / 2;
        r = (const void *) ((const char *) table + mid * size);

        if (c < r[0]) {
            high = mid;

        } else if (c > r[1]) {
            low = mid + 1;

        } else {
            return r;
        }
    }

    return NULL;
}
