
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The parts of a request that an approval is not bound to, because legitimate
 * retries change them.
 */


#ifndef APPROVAL_IGNORE_H
#define APPROVAL_IGNORE_H


#include "core/json.h"


typedef struct approval_ignore_s  approval_ignore_t;


approval_ignore_t *approval_ignore_create(void);
void approval_ignore_destroy(approval_ignore_t *ignore);

/*
 * Adds a part: "json:/pointer", "$arg_name", "$http_name" or "$request_method".
 * Returns APPROVAL_DECLINED if it was added before, APPROVAL_ERROR with *err if
 * it is invalid.
 */
int approval_ignore_add(approval_ignore_t *ignore, approval_str_t what,
    const char **err);

/* Returns part n (from 0) as it was added; its len is 0 if there is none. */
approval_str_t approval_ignore_text(const approval_ignore_t *ignore, size_t n);

/*
 * Appends the raw target without the arguments that are not bound.  Names are
 * compared byte by byte: an argument in another spelling is bound.  An argument
 * with a ";" is bound too, because some servers read it as two.
 */
int approval_ignore_target(const approval_ignore_t *ignore,
    approval_str_t target, approval_buf_t *out);

/*
 * Removes the members that are not bound from a body.  Returns
 * APPROVAL_DECLINED if no members were added, or if the type is not JSON: then
 * the whole body is bound.
 */
int approval_ignore_json(const approval_ignore_t *ignore,
    approval_str_t content_type, json_t *root);


#endif /* APPROVAL_IGNORE_H */
