
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Tables of ranges of characters.
 */


#ifndef APPROVAL_RANGE_H
#define APPROVAL_RANGE_H


#include <stddef.h>
#include <stdint.h>


typedef struct {
    uint32_t              first;
    uint32_t              last;
} approval_range_t;


/*
 * The element of an array that contains c, or NULL.  An element begins like
 * approval_range_t; the ranges ascend, and do not overlap.
 */
#define approval_range_in(c, table)                                           \
    approval_range_find(c, table, sizeof(table) / sizeof((table)[0]),         \
                        sizeof((table)[0]))

const void *approval_range_find(uint32_t c, const void *table, size_t n,
    size_t size);


#endif /* APPROVAL_RANGE_H */
