
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A strict layer over jansson: RFC 8259 without extensions, RFC 6901 pointers
 * with "*" for every element, RFC 8785 canonical output.
 */


#ifndef APPROVAL_JSON_H
#define APPROVAL_JSON_H


#include "core/str.h"

#include <jansson.h>


#define APPROVAL_JSON_MAX_DEPTH    64


/*
 * Parses one JSON text.  It rejects a byte order mark, invalid UTF-8, lone
 * surrogates, NUL in strings and names, duplicate members (also if they are
 * equal only after unescaping), anything after the value, more than
 * APPROVAL_JSON_MAX_DEPTH levels, integers of more than 64 bits and numbers
 * that a double cannot hold.  Returns a new reference, or NULL with
 * *err set to a static message that names the reason.
 */
json_t *approval_json_parse(approval_str_t text, const char **err);

/*
 * The same, but accepts integers of up to 308 digits.  To jansson, integers of
 * more than 64 bits are strings; the functions here write them as numbers.
 */
json_t *approval_json_parse_wide(approval_str_t text, const char **err);

/*
 * Returns 1 if the value is such an integer.  The digits are followed by a NUL
 * and belong to the value.
 */
int approval_json_wide(json_t *value, approval_str_t *digits);


/* A compiled pointer. */

typedef struct approval_json_pointer_s  approval_json_pointer_t;

/*
 * Compiles "" (the whole document) or a pointer like "/a/b~1c/0/".  A segment
 * "*" matches every element of an array and every member of an object.
 */
approval_json_pointer_t *approval_json_pointer_compile(approval_str_t text,
    const char **err);
void approval_json_pointer_free(approval_json_pointer_t *p);

/*
 * Calls visit() for each value that the pointer names, in document order.
 * Stops when visit() does not return APPROVAL_OK, and returns its value.
 * Returns APPROVAL_DECLINED if the pointer names nothing.
 */
typedef int (*approval_json_visit_pt)(void *data, json_t *value);

int approval_json_pointer_each(const approval_json_pointer_t *p, json_t *root,
    approval_json_visit_pt visit, void *data);

/*
 * Removes each member that the pointer names.  An element of an array becomes
 * null instead, so that the others keep their index.  Returns the number of
 * both.  The root itself cannot be removed.
 */
size_t approval_json_pointer_remove(const approval_json_pointer_t *p,
    json_t *root);

/*
 * Appends the text that patterns and messages use: the bytes of a string
 * without quotes; any other value as canonical JSON.
 */
int approval_json_text(json_t *value, approval_buf_t *out);

/* RFC 8785 (JCS), but integers beyond +-(2^53 - 1) keep all their digits. */
int approval_json_canonical(json_t *value, approval_buf_t *out);

/*
 * Return the original text of a member or element; it points into the text of
 * the object or array, which approval_json_parse() must have accepted.  "rest"
 * is at first the whole text of the array; each call moves it behind the
 * element.  APPROVAL_DECLINED: no such member, or no more elements.
 */
int approval_json_raw_member(approval_str_t object, const char *name,
    approval_str_t *value);
int approval_json_raw_element(approval_str_t *rest, approval_str_t *value);

/*
 * The values of a text, in its order.  An object is followed by its members: a
 * name, then the value.
 */
typedef struct {
    approval_str_t    text;            /* of a string: unescaped, no quotes  */
    uint32_t          next;            /* the item behind this one and its   */
    uint32_t          size;            /* members or elements                */
    unsigned char     type;            /* '{' '[' '"' '0' 't' 'f' 'n'        */
    unsigned char     marked;
} approval_json_item_t;

typedef struct {
    approval_json_item_t  *list;
    size_t                 n;
    unsigned char         *plain;      /* strings that had escapes           */
} approval_json_items_t;

/*
 * Reads what approval_json_parse_wide() accepts.  The items refer to the text.
 * They must be freed only if the result is APPROVAL_OK.
 */
int approval_json_items(approval_str_t text, approval_json_items_t *items,
    const char **err);
void approval_json_items_free(approval_json_items_t *items);

/* Marks each value that the pointer names. */
void approval_json_items_mark(approval_json_items_t *items,
    const approval_json_pointer_t *p);

#endif /* APPROVAL_JSON_H */
