
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Request targets that two readers could read differently.
 */


#ifndef APPROVAL_PATH_H
#define APPROVAL_PATH_H


#include "core/str.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif


/*
 * NULL where every common server reads the raw target (path and query as on
 * the request line, origin or absolute form) as the same path; otherwise a
 * static text that names what is ambiguous: an encoded slash, backslash, dot,
 * NUL or percent sign, a bare backslash, a path parameter (";"), an empty or
 * dot segment, an encoded unreserved character, a control character, "#",
 * bytes outside ASCII unless they are escaped UTF-8, absolute form.
 * Only the path is judged; the query is looked at for control bytes and "#".
 */
const char *approval_path_ambiguous(approval_str_t target);

#if defined(__SSE2__)

static inline int
approval_path_plain_block(__m128i x)
{
    __m128i  found;

    found = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(';')),
                         _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));

    return _mm_movemask_epi8(_mm_or_si128(x, found)) == 0;
}

#endif


/*
 * Is the target free of ";", "\\" and bytes outside ASCII?  What nginx's own
 * parser found neither complex nor quoted is then not ambiguous, and the walk
 * above can be saved.  Inline, and without a loop where it can be: all
 * requests come by.
 */

static inline int
approval_path_plain(approval_str_t target)
{
    const unsigned char  *p, *last;

    p = target.data;
    last = target.data + target.len;

#if defined(__SSE2__)

    if (target.len >= 16) {

        /* the last block overlaps the one before it */

        for ( /* void */ ; p < last - 16; p += 16) {
            if (!approval_path_plain_block(
                                      _mm_loadu_si128((const __m128i *) p)))
            {
                return 0;
            }
        }

        return approval_path_plain_block(
                              _mm_loadu_si128((const __m128i *) (last - 16)));
    }

    if (target.len >= 8) {
        return approval_path_plain_block(
                  _mm_unpacklo_epi64(
                         _mm_loadl_epi64((const __m128i *) p),
                         _mm_loadl_epi64((const __m128i *) (last - 8))));
    }

#endif

    for ( /* void */ ; p < last; p++) {
        if (*p == ';' || *p == '\\' || *p >= 0x80) {
            return 0;
        }
    }

    return 1;
}

/*
 * Why two readers could read the query differently: one that decodes it, and
 * a rule, which does not.  NULL: they could not.
 */
const char *approval_path_query_escapes(approval_str_t query);


#endif /* APPROVAL_PATH_H */
