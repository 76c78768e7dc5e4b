
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Secrets that must not leave the gateway.  The tables of names and shapes
 * always apply; a rule adds names and places ("redact") or takes names away
 * ("reveal").
 */


#ifndef APPROVAL_REDACT_H
#define APPROVAL_REDACT_H


#include "core/json.h"
#include "core/str.h"


/*
 * A masked value reads "[redacted, 12 bytes, #3fa9c1]": its length and, if
 * there is a key, a tag that equal values share.  This constant is for values
 * that are not available.
 */
#define APPROVAL_REDACTED  "[redacted]"


typedef struct approval_redact_s  approval_redact_t;


/*
 * The first object (base is NULL) compiles the tables; all others share those
 * of their base.  An object is scratch memory, too: one use at a time.
 */
approval_redact_t *approval_redact_create(const approval_redact_t *base);
void approval_redact_destroy(approval_redact_t *r);

/*
 * "json:/pointer", "path:/a/STAR" (the last segment, "*" for any), "form:NAME",
 * "$http_name", "$arg_name", "$cookie_name".
 */
int approval_redact_add(approval_redact_t *r, approval_str_t what,
    const char **err);

/* Values under this name are shown, whatever the tables say. */
int approval_redact_reveal(approval_redact_t *r, approval_str_t name,
    const char **err);

/*
 * Sets the key of the tags until the next call; empty: no tags.  It must
 * differ between actions, and be the same each time an action is described.
 */
void approval_redact_key(approval_redact_t *r, approval_str_t key);

/* Judging by the name alone, may the value be a secret? */
int approval_redact_field(const approval_redact_t *r, approval_str_t name);

/* Appends the mask that replaces a secret. */
void approval_redact_mask(const approval_redact_t *r, approval_str_t value,
    approval_buf_t *out);

/*
 * All of these append to out, and return APPROVAL_ERROR only without memory.
 * Text for which a regex reaches its limits, or all regexes together need too
 * much work for its length, is masked as a whole.
 */

/* Free text: a reason, a user agent, a captured or computed value, prose. */
int approval_redact_text(const approval_redact_t *r, approval_str_t text,
    approval_buf_t *out);

/* A header's, argument's or field's value, judged by its name and its looks. */
int approval_redact_named(const approval_redact_t *r, approval_str_t name,
    approval_str_t value, approval_buf_t *out);

/* A raw target, or only its path.  A query that does not decode is masked. */
int approval_redact_target(const approval_redact_t *r, approval_str_t target,
    approval_buf_t *out);

/*
 * A body as approvers may see it, by its content type: JSON member by member,
 * forms and multipart/form-data field by field, CSV column by column, other
 * UTF-8 text as text.  Anything else, and what does not parse, is described by
 * type and length.
 */
int approval_redact_body(const approval_redact_t *r,
    approval_str_t content_type, approval_str_t body, approval_buf_t *out);


#endif /* APPROVAL_REDACT_H */
