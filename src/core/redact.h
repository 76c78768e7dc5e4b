
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What never leaves the gateway.  A default list always applies; rules add
 * to it.
 */


#ifndef APPROVAL_REDACT_H
#define APPROVAL_REDACT_H


#include "core/json.h"
#include "core/str.h"


#define APPROVAL_REDACTED  "[redacted]"


typedef struct approval_redact_s  approval_redact_t;


approval_redact_t *approval_redact_create(void);
void approval_redact_destroy(approval_redact_t *r);

/* "json:/pointer", "form:NAME", "$http_name" / "$arg_name" / "$cookie_name". */
int approval_redact_add(approval_redact_t *r, approval_str_t what,
    const char **err);

/* By name: a secret by default or by a rule?  Names compare without case. */
int approval_redact_header(const approval_redact_t *r, approval_str_t name);
int approval_redact_field(const approval_redact_t *r, approval_str_t name);

/*
 * A raw target with the values of secret arguments (and userinfo) masked.
 * What cannot be decoded is masked whole, from the "?" on.
 */
int approval_redact_target(const approval_redact_t *r, approval_str_t target,
    approval_buf_t *out);

/*
 * A body as approvers may see it, by its content type: JSON with secret
 * members masked at any depth, by name and by pointer; urlencoded forms
 * field by field; other text is shown only if it is UTF-8 text of a text/...,
 * .../xml, application/sql, graphql or yaml type; all else is described by
 * type and length.  In texts and strings secrets are masked by their looks
 * ("name: value", userinfo, bearer tokens, private keys), as well as can be.
 * A JSON or form type that does not parse is described, not shown.
 */
int approval_redact_body(const approval_redact_t *r,
    approval_str_t content_type, approval_str_t body, approval_buf_t *out);

/* The value of a show line: masked where it holds a secret's pointer/name. */
int approval_redact_json(const approval_redact_t *r, json_t *root);


#endif /* APPROVAL_REDACT_H */
