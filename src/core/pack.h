
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Compresses action documents before they are sealed: common phrases, repeated
 * parts, and pairs of hexadecimal digits become shorter.  It is many times
 * faster than deflate, which builds its codes anew for each of these few
 * hundred bytes, and about as small.
 */


#ifndef APPROVAL_PACK_H
#define APPROVAL_PACK_H


#include "core/str.h"


/*
 * Appends to out.  Text that would not get smaller is appended unchanged:
 * packed text begins with a byte that JSON cannot begin with.
 */
int approval_pack(approval_str_t text, approval_buf_t *out);

/* APPROVAL_DECLINED: damaged, or more than max bytes. */
int approval_unpack(approval_str_t packed, size_t max, approval_buf_t *out);


#endif /* APPROVAL_PACK_H */
