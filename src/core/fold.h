
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Case folding.
 */


#ifndef APPROVAL_FOLD_H
#define APPROVAL_FOLD_H


#include "core/str.h"


/*
 * Unicode simple case folding; both Turkish i's (U+0130, U+0131) become "i".
 * Idempotent: approval_fold(approval_fold(c)) == approval_fold(c).
 */
uint32_t approval_fold(uint32_t c);

/*
 * Writes a name in a form in which "API-Key", "api_key" and "apiKey" are equal:
 * case is folded, combining accents are dropped, and of ASCII only letters and
 * digits are kept.  Each letter beyond ASCII becomes three bytes, which are not
 * UTF-8.  If words is not NULL, words[i] is 1 if a word begins at byte i, or if
 * byte i is a digit.  Both buffers must have room for "size" bytes.  Returns
 * the length, or -1 if it is greater than size.
 */
int approval_fold_name(approval_str_t name, size_t size, unsigned char *dst,
    unsigned char *words);


#endif /* APPROVAL_FOLD_H */
