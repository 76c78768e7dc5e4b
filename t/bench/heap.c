
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A heap for counting instructions, preloaded by ungated.pl.  What libc's takes
 * for a block depends on all blocks before it, and so on the configuration;
 * here all blocks of a size cost the same.
 */


#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>


#define HEAP_ARENA   ((size_t) 1 << 32)
#define HEAP_HEAD    16


static char   *heap_next, *heap_end;
static void   *heap_free[64];


void *
malloc(size_t size)
{
    int      class;
    char    *p;
    size_t   full;

    class = 64 - __builtin_clzl(size + HEAP_HEAD - 1);
    p = heap_free[class];

    if (p) {
        heap_free[class] = *(void **) p;
        return p;
    }

    full = (size_t) 1 << class;

    if (heap_next == NULL) {
        heap_next = mmap(NULL, HEAP_ARENA, PROT_READ|PROT_WRITE,
                         MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE, -1, 0);
        heap_end = heap_next + HEAP_ARENA;
    }

    if (heap_next == MAP_FAILED || full > (size_t) (heap_end - heap_next)) {
        errno = ENOMEM;
        return NULL;
    }

    p = heap_next + HEAP_HEAD;
    heap_next += full;

    ((size_t *) p)[-1] = (size_t) class;

    return p;
}


void
free(void *p)
{
    size_t  class;

    if (p) {
        class = ((size_t *) p)[-1];
        *(void **) p = heap_free[class];
        heap_free[class] = p;
    }
}


void *
calloc(size_t n, size_t size)
{
    void    *p;
    size_t   full;

    if (__builtin_mul_overflow(n, size, &full)) {
        return NULL;
    }

    p = malloc(full);

    return p ? memset(p, 0, full) : NULL;
}


void *
realloc(void *old, size_t size)
{
    void    *p;
    size_t   had;

    p = malloc(size);

    if (p && old) {
        had = ((size_t) 1 << ((size_t *) old)[-1]) - HEAP_HEAD;
        memcpy(p, old, had < size ? had : size);
        free(old);
    }

    return p;
}


/* Blocks of a larger alignment than malloc's are never used again: class 0. */

int
posix_memalign(void **where, size_t alignment, size_t size)
{
    char  *p;

    p = malloc(alignment > HEAP_HEAD ? size + alignment + HEAP_HEAD : size);
    if (p == NULL) {
        return ENOMEM;
    }

    if (alignment > HEAP_HEAD) {
        p += alignment + HEAP_HEAD - (uintptr_t) p % alignment;
        ((size_t *) p)[-1] = 0;
    }

    *where = p;

    return 0;
}


void *
memalign(size_t alignment, size_t size)
{
    void  *p;

    return posix_memalign(&p, alignment, size) ? NULL : p;
}


void *
aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}
