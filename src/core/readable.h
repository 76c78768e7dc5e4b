
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What is signed or hashed must be what can be read again.
 */


#ifndef APPROVAL_READABLE_H
#define APPROVAL_READABLE_H


#include "core/json.h"


/*
 * 1 where approval_json_parse() reads what approval_json_canonical() writes
 * of this value, and its canonical form is the same: no NUL, no more than
 * APPROVAL_JSON_MAX_DEPTH levels, no real number beyond +-2^53 (it would be
 * written, and read again, as an integer, perhaps one that no integer holds).
 */
int approval_json_readable(json_t *value);


#endif /* APPROVAL_READABLE_H */
