
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Case folding.
 */


#ifndef APPROVAL_FOLD_H
#define APPROVAL_FOLD_H


#include "core/str.h"


/*
 * Unicode simple case folding, and both Turkish i's (U+0130, U+0131) as "i".
 * Idempotent: approval_fold(approval_fold(c)) == approval_fold(c).
 */
uint32_t approval_fold(uint32_t c);

/*
 * A name in a form in which "API-Key", "api_key" and "apiKey" are one: folded,
 * without accents that stand behind their letters, and of ASCII only letters
 * and digits.  Letters beyond ASCII are three bytes that are no UTF-8.  words
 * (if not NULL) says of each byte whether a word begins, or a number goes on,
 * there.  Both have room for "size" bytes; -1: it is longer.
 */
int approval_fold_name(approval_str_t name, size_t size, unsigned char *dst,
    unsigned char *words);


#endif /* APPROVAL_FOLD_H */
