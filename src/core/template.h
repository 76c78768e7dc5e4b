
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Text with {{marks}}, and a JSON value that fills them: pages, mails, and the
 * messages of "type template".
 *
 *   {{name}}              one line of text, escaped for the format
 *   {{name|FILTER...}}    the same, filtered before escaping:
 *     |text               keeps line breaks
 *     |quote              the same, and each further line starts with "> "
 *     |time               an RFC 3339 time in UTC, to the second, for people
 *     |markdown           Markdown's special characters behind backslashes
 *     |code               for between Markdown's backticks: without any
 *     |slack              & < > as Slack's entities
 *     |N                  at most N bytes (64 to 65536); counts hidden ones
 *   {{#name}}...{{/name}} for each element of an array; once for any other
 *                         value but null, false, "" and 0
 *   {{^name}}...{{/name}} if the above shows nothing
 *   {{.}}                 the element itself
 *   {{>file}}             another text, which may contain marks
 *
 * Names are looked up in the innermost object first.  A value cannot be put
 * into a text without being escaped.
 */


#ifndef APPROVAL_TEMPLATE_H
#define APPROVAL_TEMPLATE_H


#include "core/escape.h"
#include "core/json.h"


/* The text of a {{>file}}, or NULL if there is none. */
typedef const char *(*approval_template_pt)(approval_str_t name);

/* part may be NULL.  APPROVAL_ERROR: no memory, or a malformed text. */
int approval_template(const char *text, json_t *data,
    approval_escape_pt escape, approval_template_pt part, approval_buf_t *out);

/*
 * Checks that all sections, shown or not, are closed, that the filters are
 * known, and that data has the names.  APPROVAL_DECLINED: mark is the first
 * that is wrong.  Names that start with "show." or "matched." come from the
 * configuration, and are not checked.
 */
int approval_template_check(const char *text, json_t *data,
    approval_str_t *mark);


#endif /* APPROVAL_TEMPLATE_H */
