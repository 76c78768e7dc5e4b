
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Shared by the JSON files: compiled pointers, and parsing without a scan.
 */


#ifndef APPROVAL_JSON_INTERNAL_H
#define APPROVAL_JSON_INTERNAL_H


#include "core/json.h"


/* The error message for a number that a json_t cannot hold. */
extern const char  approval_json_range[];

/* approval_json_parse() without its scan; flags are passed to jansson. */
json_t *approval_json_load(approval_str_t text, size_t flags,
    const char **err);


typedef struct {
    char                     *key;     /* NUL-terminated, unescaped */
    size_t                    index;
    unsigned                  any;     /* "*"                       */
    unsigned                  number;  /* key may be an array index */
} json_segment_t;


struct approval_json_pointer_s {
    size_t                    n;
    json_segment_t            segments[];
};


#endif /* APPROVAL_JSON_INTERNAL_H */
