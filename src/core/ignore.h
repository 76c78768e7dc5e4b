
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The parts of a request that an approval is not bound to, since honest
 * retries change them.
 */


#ifndef APPROVAL_IGNORE_H
#define APPROVAL_IGNORE_H


#include "core/json.h"


typedef struct approval_ignore_s  approval_ignore_t;


approval_ignore_t *approval_ignore_create(void);
void approval_ignore_destroy(approval_ignore_t *ignore);

/*
 * "json:/pointer", "$arg_name", "$http_name" or "$request_method".
 * APPROVAL_DECLINED: it is there already; APPROVAL_ERROR: *err says why not.
 */
int approval_ignore_add(approval_ignore_t *ignore, approval_str_t what,
    const char **err);

/* What was added, in this order; n counts from 0, len 0: no more. */
approval_str_t approval_ignore_text(const approval_ignore_t *ignore, size_t n);

int approval_ignore_header(const approval_ignore_t *ignore,
    approval_str_t name);

/*
 * A raw target without those arguments.  Names are compared as they stand: an
 * argument that is spelt otherwise is bound, and so is one with a ";", which
 * some servers read as two.
 */
int approval_ignore_target(const approval_ignore_t *ignore,
    approval_str_t target, approval_buf_t *out);

/*
 * Removes those members from a body.  APPROVAL_DECLINED: none are named, or
 * the type is not a JSON one, so that the body counts as it is.
 */
int approval_ignore_json(const approval_ignore_t *ignore,
    approval_str_t content_type, json_t *root);


#endif /* APPROVAL_IGNORE_H */
