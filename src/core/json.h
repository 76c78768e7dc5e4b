
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A strict view over jansson: RFC 8259 and no more, RFC 6901 pointers with
 * "*" for every element, RFC 8785 canonical output.
 */


#ifndef APPROVAL_JSON_H
#define APPROVAL_JSON_H


#include "core/str.h"

#include <jansson.h>


#define APPROVAL_JSON_MAX_DEPTH    64


/*
 * Parses one JSON text.  Refused: a byte order mark, invalid UTF-8, lone
 * surrogates, NUL in strings and names, duplicate members (also those equal
 * only after unescaping), anything after the value, more than
 * APPROVAL_JSON_MAX_DEPTH levels, integers of more than 64 bits and numbers
 * that a double cannot hold.  Returns a new reference, or NULL with
 * *err set to a static message that names the reason.
 */
json_t *approval_json_parse(approval_str_t text, const char **err);

/*
 * The same, but integers of up to 308 digits are kept.  Those of more than 64
 * bits are strings to jansson; the functions here write them as numbers.
 */
json_t *approval_json_parse_wide(approval_str_t text, const char **err);

/* 1: it is such an integer, and these are its digits; a NUL follows. */
int approval_json_wide(json_t *value, approval_str_t *digits);


/* A compiled pointer. */

typedef struct approval_json_pointer_s  approval_json_pointer_t;

/*
 * "" (the whole document) or "/a/b~1c/0/" ...; a segment that is exactly "*"
 * stands for every element of an array and every member of an object.
 */
approval_json_pointer_t *approval_json_pointer_compile(approval_str_t text,
    const char **err);
void approval_json_pointer_free(approval_json_pointer_t *p);

/*
 * Calls visit() for each value the pointer names, in document order, until it
 * returns other than APPROVAL_OK, and returns that; APPROVAL_DECLINED if the
 * pointer names nothing.
 */
typedef int (*approval_json_visit_pt)(void *data, json_t *value);

int approval_json_pointer_each(const approval_json_pointer_t *p, json_t *root,
    approval_json_visit_pt visit, void *data);

/*
 * Replaces each value the pointer names inside root with what replace()
 * returns, a new reference and never NULL; the number of them is returned.
 * The root itself cannot be replaced ("" replaces nothing).
 */
typedef json_t *(*approval_json_replace_pt)(void *data, json_t *value);

size_t approval_json_pointer_replace(const approval_json_pointer_t *p,
    json_t *root, approval_json_replace_pt replace, void *data);

/*
 * Removes each member the pointer names; an element of an array becomes null,
 * so that the others stay where they are.  The number of both is returned;
 * the root itself cannot be removed.
 */
size_t approval_json_pointer_remove(const approval_json_pointer_t *p,
    json_t *root);

/*
 * The text that patterns and messages see: a string's own bytes, a number as
 * JSON writes it, "true", "false", "null", and for arrays and objects their
 * canonical JSON.
 */
int approval_json_text(json_t *value, approval_buf_t *out);

/* RFC 8785 (JCS).  Integers outside +-(2^53 - 1) are written as integers. */
int approval_json_canonical(json_t *value, approval_buf_t *out);

/*
 * The text of a value as it stands in a text that approval_json_parse() took.
 * APPROVAL_DECLINED: there is no such member, or no further element.  "rest"
 * begins as the array's text, and is moved on.
 */
int approval_json_raw_member(approval_str_t object, const char *name,
    approval_str_t *value);
int approval_json_raw_element(approval_str_t *rest, approval_str_t *value);

/* For people: a member a line, in the order of the document. */
int approval_json_pretty(json_t *value, approval_buf_t *out);


#endif /* APPROVAL_JSON_H */
