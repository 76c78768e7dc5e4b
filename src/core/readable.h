
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Values that are signed or hashed must be readable again.
 */


#ifndef APPROVAL_READABLE_H
#define APPROVAL_READABLE_H


#include "core/json.h"


/*
 * 1 if approval_json_parse() reads what approval_json_canonical() writes for
 * this value, and its canonical form is the same: no NUL, at most
 * APPROVAL_JSON_MAX_DEPTH levels, no real number beyond +-2^53 (it would be
 * written, and read again, as an integer, perhaps one that no integer type
 * holds).
 */
int approval_json_readable(json_t *value);


#endif /* APPROVAL_READABLE_H */
