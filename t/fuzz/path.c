
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Fuzz target: a request target.  What is not called ambiguous has one
 * reading: decoding it once, twice, merging slashes, dropping parameters or
 * resolving dot segments all give the same path.
 */


#include "fuzz.h"

#include "core/path.h"


static size_t decode(unsigned char *dst, const unsigned char *src, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          i, n, m;
    unsigned char  *once, *twice;
    approval_str_t  path;

    (void) approval_path_query_escapes(fuzz_str(data, size));

    if (approval_path_ambiguous(fuzz_str(data, size)) != NULL) {
        return 0;
    }

    for (n = 0; n < size && data[n] != '?'; n++) { /* void */ }

    must(n > 0 && data[0] == '/');

    once = malloc(n);
    twice = malloc(n);

    if (once == NULL || twice == NULL) {
        abort();
    }

    m = decode(once, data, n);
    path = fuzz_str(once, m);

    must(approval_utf8_valid(path));
    must(decode(twice, once, m) == m && memcmp(once, twice, m) == 0);

    for (i = 0; i < m; i++) {
        must(once[i] >= 0x20 && once[i] != 0x7f);
        must(!strchr("\\;%#?", once[i]));
    }

    /* the decoded path has the raw one's slashes */

    for (i = 0, n = 0; i < size && data[i] != '?'; i++) {
        n += data[i] == '/';
    }

    for (i = 0; i < m; i++) {
        n -= once[i] == '/';
    }

    must(n == 0);

    must(!fuzz_has(path, "//"));
    must(!fuzz_has(path, "/./"));
    must(!fuzz_has(path, "/../"));
    must(m < 2 || memcmp(once + m - 2, "/.", 2) != 0);
    must(m < 3 || memcmp(once + m - 3, "/..", 3) != 0);

    free(once);
    free(twice);

    return 0;
}


static size_t
decode(unsigned char *dst, const unsigned char *src, size_t len)
{
    char    hex[3];
    char   *end;
    size_t  i, n;
    long    c;

    n = 0;

    for (i = 0; i < len; i++) {
        if (src[i] == '%' && len - i > 2) {
            memcpy(hex, src + i + 1, 2);
            hex[2] = '\0';

            c = strtol(hex, &end, 16);

            if (end == hex + 2) {
                dst[n++] = (unsigned char) c;
                i += 2;
                continue;
            }
        }

        dst[n++] = src[i];
    }

    return n;
}
