
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Checks that a value survives being written and read.
 */


#include "core/readable.h"

#include <string.h>


static int approval_json_readable_at(json_t *value, unsigned depth);
static int approval_json_readable_object(json_t *value, unsigned depth);
static int approval_json_readable_array(json_t *value, unsigned depth);


int
approval_json_readable(json_t *value)
{
    return approval_json_readable_at(value, 0);
}


static int
approval_json_readable_at(json_t *value, unsigned depth)
{
    double  d;
    size_t  len;

    if (value == NULL) {
        return 0;
    }

    switch (json_typeof(value)) {

    case JSON_OBJECT:
        return approval_json_readable_object(value, depth + 1);

    case JSON_ARRAY:
        return approval_json_readable_array(value, depth + 1);

    case JSON_STRING:
        len = json_string_length(value);
        return len == 0 || memchr(json_string_value(value), '\0', len) == NULL;

    case JSON_REAL:
        d = json_real_value(value);
        return d > -9007199254740992.0 && d < 9007199254740992.0;

    default:
        return 1;
    }
}


static int
approval_json_readable_object(json_t *value, unsigned depth)
{
    void  *iter;

    if (depth > APPROVAL_JSON_MAX_DEPTH) {
        return 0;
    }

    for (iter = json_object_iter(value);
         iter != NULL;
         iter = json_object_iter_next(value, iter))
    {
        if (!approval_json_readable_at(json_object_iter_value(iter), depth)) {
            return 0;
        }
    }

    return 1;
}


static int
approval_json_readable_array(json_t *value, unsigned depth)
{
    size_t  i;

    if (depth > APPROVAL_JSON_MAX_DEPTH) {
        return 0;
    }

    for (i = 0; i < json_array_size(value); i++) {
        if (!approval_json_readable_at(json_array_get(value, i), depth)) {
            return 0;
        }
    }

    return 1;
}
