
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the files of redaction share.
 */


#ifndef APPROVAL_REDACT_INTERNAL_H
#define APPROVAL_REDACT_INTERNAL_H


#include "core/redact.h"


struct approval_redact_s {
    approval_json_pointer_t  **pointers;
    size_t                     npointers;

    char                     **fields;     /* as redact.c compares them */
    size_t                     nfields;

    char                     **headers;    /* lower case, "-"           */
    size_t                     nheaders;
};


/*
 * Copies free text; "name: value", "name=value", "--name value", "name 'value'"
 * and <name>value</name> of secret names, userinfo in URLs, bearer tokens and
 * private keys are masked.  The number of masks is returned.  A best effort:
 * text has no grammar.
 */
size_t approval_redact_text(const approval_redact_t *r, approval_str_t text,
    approval_buf_t *out);

/*
 * A string that may hold JSON or text.  *masked is increased by the number of
 * masks.
 */
int approval_redact_value(const approval_redact_t *r, approval_str_t value,
    unsigned nesting, approval_buf_t *out, size_t *masked);

/* {"name": ..., "value": ...}: is this one of such names, of such values? */
int approval_redact_pair_name(approval_str_t key);
int approval_redact_pair_value(approval_str_t key);

/* Does the text begin as a JSON object or array does? */
int approval_redact_looks_json(approval_str_t s);


#endif /* APPROVAL_REDACT_INTERNAL_H */
