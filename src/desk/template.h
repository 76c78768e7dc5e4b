
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Pages: text with {{marks}}, and a JSON value that fills them.
 *
 *   {{name}}              one line of text, escaped
 *   {{name|text}}         text with lines, escaped: for <pre>
 *   {{name|time}}         an RFC 3339 time in UTC, to the second, for people
 *   {{#name}}...{{/name}} for each element of an array; once for any other
 *                         value but null, false, "" and 0
 *   {{^name}}...{{/name}} where the above shows nothing
 *   {{.}}                 the element itself
 *   {{>file}}             another page, as it stands: it may have marks
 *
 * Names are looked for in the innermost object first.  There is no way to put
 * a value into a page without escaping it.
 */


#ifndef NGX_HTTP_APPROVAL_TEMPLATE_H
#define NGX_HTTP_APPROVAL_TEMPLATE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/json.h"


/* The text of a {{>file}}; NULL: there is none. */
typedef const char *(*ngx_http_approval_template_pt)(approval_str_t name);

/* APPROVAL_ERROR: no memory, or a page that is not well-formed. */
int ngx_http_approval_template(const char *text, json_t *data,
    ngx_http_approval_template_pt part, approval_buf_t *out);


#endif /* NGX_HTTP_APPROVAL_TEMPLATE_H */
