
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Paths that have only one reading.
 */


#ifndef APPROVAL_PATH_H
#define APPROVAL_PATH_H


#include "core/str.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif


#if defined(__SSE2__)

/* Sets the sign of each byte that has another reading. */

static inline __m128i
approval_path_plain_block(__m128i x)
{
    __m128i  range;

    /* "A" to "\\": 27 and less above "A", in the signed bytes' lowest ones */

    range = _mm_cmplt_epi8(_mm_add_epi8(x, _mm_set1_epi8(0x80 - 'A')),
                           _mm_set1_epi8(-128 + '\\' - 'A' + 1));

    x = _mm_or_si128(x, _mm_cmpeq_epi8(x, _mm_set1_epi8(';')));

    return _mm_or_si128(x, range);
}

#endif


/*
 * Is the path free of ";", "[", "\\", upper-case letters and bytes outside
 * ASCII?  If so, and if nginx's own parser found nothing to decode or to
 * resolve in it, it has no other reading (approval_read_path()), and literals
 * have no other spelling.  Inline, and without a loop if possible, because
 * every request runs through it.
 */

static inline int
approval_path_plain(approval_str_t path)
{
    const unsigned char  *p, *last;

    p = path.data;
    last = path.data + path.len;

#if defined(__SSE2__)

    if (path.len >= 8) {
        __m128i  x;

        if (path.len < 16) {
            x = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *) p),
                                   _mm_loadl_epi64(
                                              (const __m128i *) (last - 8)));

        } else {

            /* the last block overlaps the one before it */

            for (x = _mm_setzero_si128(); p < last - 16; p += 16) {
                x = _mm_or_si128(x, approval_path_plain_block(
                                      _mm_loadu_si128((const __m128i *) p)));
            }

            if (_mm_movemask_epi8(x)) {
                return 0;
            }

            x = _mm_loadu_si128((const __m128i *) (last - 16));
        }

        return _mm_movemask_epi8(approval_path_plain_block(x)) == 0;
    }

#endif

    for ( /* void */ ; p < last; p++) {
        if (*p == ';' || *p >= 0x80 || (*p >= 'A' && *p <= '\\')) {
            return 0;
        }
    }

    return 1;
}


#endif /* APPROVAL_PATH_H */
