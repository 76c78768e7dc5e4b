
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#ifndef APPROVAL_NFKC_H
#define APPROVAL_NFKC_H


#include <stdint.h>


/*
 * May c, folded and not ASCII, follow "before" in NFKC?  Some rare texts that
 * may are refused, too.  Texts that may not are always refused, except for
 * Thai and Lao AM, which are refused only if written as two characters.
 */
int approval_nfkc_follows(uint32_t before, uint32_t c);


#endif /* APPROVAL_NFKC_H */
