
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Case folding.
 */


#ifndef APPROVAL_FOLD_H
#define APPROVAL_FOLD_H


#include <stdint.h>


/*
 * Unicode simple case folding, and both Turkish i's (U+0130, U+0131) as "i".
 * Idempotent: approval_fold(approval_fold(c)) == approval_fold(c).
 */
uint32_t approval_fold(uint32_t c);


#endif /* APPROVAL_FOLD_H */
