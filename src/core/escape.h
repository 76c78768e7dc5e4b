
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Escapes untrusted text for the place where it is shown.
 */


#ifndef APPROVAL_ESCAPE_H
#define APPROVAL_ESCAPE_H


#include "core/str.h"


typedef void (*approval_escape_pt)(approval_str_t s, approval_buf_t *out);


/*
 * Makes invisible characters visible.  Control characters, bidirectional
 * formatting, zero-width and other default-ignorable characters are written
 * like "<U+202E>", invalid UTF-8 like "<0xFF>".  APPROVAL_VISIBLE_TEXT keeps
 * LF and TAB.
 */
typedef enum {
    APPROVAL_VISIBLE_LINE,
    APPROVAL_VISIBLE_TEXT
} approval_visible_e;

void approval_escape_visible(approval_str_t s, approval_visible_e mode,
    approval_buf_t *out);

/* Returns 1 if the text has no visible character. */
int approval_blank(approval_str_t s);

/* Appends the text unchanged. */
void approval_escape_none(approval_str_t s, approval_buf_t *out);

/* For element content and quoted attribute values: & < > " ' */
void approval_escape_html(approval_str_t s, approval_buf_t *out);

/* Slack: & < > only, as its documentation says. */
void approval_escape_slack(approval_str_t s, approval_buf_t *out);

/* Adaptive Card text: a backslash before every special Markdown character. */
void approval_escape_markdown(approval_str_t s, approval_buf_t *out);

/* The inside of a JSON string, without the quotes; input must be UTF-8. */
void approval_escape_json(approval_str_t s, approval_buf_t *out);

/* Keeps the unreserved characters of RFC 3986; all others become %XX. */
void approval_escape_uri(approval_str_t s, approval_buf_t *out);

/*
 * Cuts the text to at most max bytes, between two characters.  Returns the
 * number of bytes that were cut off.
 */
size_t approval_cut(approval_str_t *s, size_t max);


#endif /* APPROVAL_ESCAPE_H */
