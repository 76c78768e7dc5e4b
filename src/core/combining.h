
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * In which order marks stand behind a letter.
 */


#ifndef APPROVAL_COMBINING_H
#define APPROVAL_COMBINING_H


#include <stdint.h>


/*
 * The canonical combining class: marks behind a letter stand in ascending
 * order, those of one class as they were written.  0: no mark, or one that no
 * other passes.
 */
unsigned approval_combining(uint32_t c);


#endif /* APPROVAL_COMBINING_H */
