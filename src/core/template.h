
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Text with {{marks}}, and a JSON value that fills them: pages, mails, and the
 * messages of "type template".
 *
 *   {{name}}              one line of text, escaped for the format
 *   {{name|FILTER...}}    the same, changed before:
 *     |text               lines stay lines
 *     |quote              the same, and each further line starts with "> "
 *     |time               an RFC 3339 time in UTC, to the second, for people
 *     |markdown           Markdown's special characters behind backslashes
 *     |code               for between Markdown's backticks: without any
 *     |N                  at most N bytes (64 to 65536), and how many are hidden
 *   {{#name}}...{{/name}} for each element of an array; once for any other
 *                         value but null, false, "" and 0
 *   {{^name}}...{{/name}} where the above shows nothing
 *   {{.}}                 the element itself
 *   {{>file}}             another text, as it stands: it may have marks
 *
 * Names are looked for in the innermost object first.  There is no way to put
 * a value into a text without escaping it.
 */


#ifndef APPROVAL_TEMPLATE_H
#define APPROVAL_TEMPLATE_H


#include "core/escape.h"
#include "core/json.h"


/* The text of a {{>file}}; NULL: there is none. */
typedef const char *(*approval_template_pt)(approval_str_t name);

/*
 * part may be NULL.  APPROVAL_ERROR: no memory, or a text that is not
 * well-formed.
 */
int approval_template(const char *text, json_t *data,
    approval_escape_pt escape, approval_template_pt part, approval_buf_t *out);

/*
 * Are all of its sections closed, whether they are shown or not, its filters
 * known, and its names those of data?  APPROVAL_DECLINED: no, and mark is the
 * first that is wrong.  Names that start with "show." or "matched." are the
 * configuration's, and not looked for.
 */
int approval_template_check(const char *text, json_t *data,
    approval_str_t *mark);


#endif /* APPROVAL_TEMPLATE_H */
