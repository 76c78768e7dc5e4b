
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#ifndef APPROVAL_NFKC_H
#define APPROVAL_NFKC_H


#include <stdint.h>


/*
 * Can c, folded and no ASCII, stand behind "before" in NFKC?  Some rare texts
 * that could are refused, too; none that could not is let through but Thai and
 * Lao AM, which are refused where they are written in two.
 */
int approval_nfkc_follows(uint32_t before, uint32_t c);


#endif /* APPROVAL_NFKC_H */
