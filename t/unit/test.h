
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The unit tests' TAP: ok(condition, name), is_str(), is_int(), done().
 */


#ifndef APPROVAL_TEST_H
#define APPROVAL_TEST_H


#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/str.h"


static int  test_count;
static int  test_failed;


__attribute__((format(printf, 4, 5)))
static inline int
test_report(int good, const char *file, int line, const char *fmt, ...)
{
    va_list  args;

    test_count++;

    printf("%sok %d - ", good ? "" : "not ", test_count);

    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);

    printf("\n");

    if (!good) {
        test_failed++;
        printf("#   failed at %s line %d\n", file, line);
    }

    return good;
}


static inline int
test_bytes(approval_str_t got, approval_str_t want, const char *file, int line,
    const char *name)
{
    int  good;

    good = got.len == want.len
           && (got.len == 0 || memcmp(got.data, want.data, got.len) == 0);

    test_report(good, file, line, "%s", name);

    if (!good) {
        printf("#   got  \"%.*s\"\n#   want \"%.*s\"\n",
               (int) got.len, got.data ? (const char *) got.data : "",
               (int) want.len, want.data ? (const char *) want.data : "");
    }

    return good;
}


static inline int
test_int(long long got, long long want, const char *file, int line,
    const char *name)
{
    test_report(got == want, file, line, "%s", name);

    if (got != want) {
        printf("#   got %lld, want %lld\n", got, want);
    }

    return got == want;
}


#define ok(cond, ...)                                                         \
    test_report((cond) ? 1 : 0, __FILE__, __LINE__, __VA_ARGS__)

/* got: approval_str_t, want: a C string */
#define is_str(got, want, name)                                               \
    test_bytes(got, approval_str(want), __FILE__, __LINE__, name)

#define is_int(got, want, name)                                               \
    test_int((long long) (got), (long long) (want), __FILE__, __LINE__, name)


static inline int
test_done(void)
{
    printf("1..%d\n", test_count);

    return test_failed ? 1 : 0;
}


#endif /* APPROVAL_TEST_H */
