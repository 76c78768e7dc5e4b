
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The canonical order of combining marks after a letter.
 */


#ifndef APPROVAL_COMBINING_H
#define APPROVAL_COMBINING_H


#include <stdint.h>


/*
 * Returns the canonical combining class.  Marks after a letter are sorted by
 * class; marks of the same class keep their order.  Class 0: not a mark, or a
 * mark that other marks do not move across.
 */
unsigned approval_combining(uint32_t c);


#endif /* APPROVAL_COMBINING_H */
