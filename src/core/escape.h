
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Foreign text, made harmless for where it is shown.
 */


#ifndef APPROVAL_ESCAPE_H
#define APPROVAL_ESCAPE_H


#include "core/str.h"


typedef void (*approval_escape_pt)(approval_str_t s, approval_buf_t *out);


/*
 * Makes the invisible visible: control characters (but, in text that may have
 * lines, LF and TAB), bidirectional formatting, zero-width and other
 * default-ignorable characters become "<U+202E>"; invalid UTF-8 becomes
 * "<0xFF>".
 */
typedef enum {
    APPROVAL_VISIBLE_LINE,
    APPROVAL_VISIBLE_TEXT
} approval_visible_e;

void approval_escape_visible(approval_str_t s, approval_visible_e mode,
    approval_buf_t *out);

/* Is there nothing in it that somebody could read? */
int approval_blank(approval_str_t s);

/* Appends it as it is. */
void approval_escape_none(approval_str_t s, approval_buf_t *out);

/* For element content and quoted attribute values: & < > " ' */
void approval_escape_html(approval_str_t s, approval_buf_t *out);

/* Slack: & < > only, as its documentation says. */
void approval_escape_slack(approval_str_t s, approval_buf_t *out);

/* Adaptive Card text: every Markdown special escaped with a backslash. */
void approval_escape_markdown(approval_str_t s, approval_buf_t *out);

/* A quoted JSON string, without the quotes; input must be UTF-8. */
void approval_escape_json(approval_str_t s, approval_buf_t *out);

/* RFC 3986 unreserved characters stay, all else becomes %XX. */
void approval_escape_uri(approval_str_t s, approval_buf_t *out);

/*
 * Cuts at a character's border to at most max bytes; the number of bytes left
 * out is returned.
 */
size_t approval_cut(approval_str_t *s, size_t max);


#endif /* APPROVAL_ESCAPE_H */
