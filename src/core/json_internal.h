
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What a compiled JSON pointer is.
 */


#ifndef APPROVAL_JSON_INTERNAL_H
#define APPROVAL_JSON_INTERNAL_H


#include "core/json.h"


/* The reason why a number is refused that no json_t can hold. */
extern const char  approval_json_range[];

/* approval_json_parse() without its scan, and with jansson's flags. */
json_t *approval_json_load(approval_str_t text, size_t flags,
    const char **err);


typedef struct {
    char                     *key;     /* NUL-terminated, unescaped     */
    size_t                    index;
    unsigned                  any;     /* "*"                           */
    unsigned                  number;  /* names an array's element, too */
} json_segment_t;


struct approval_json_pointer_s {
    size_t                    n;
    json_segment_t            segments[];
};


#endif /* APPROVAL_JSON_INTERNAL_H */
