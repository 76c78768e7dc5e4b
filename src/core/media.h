
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The meaning of content types, and multipart bodies.
 */


#ifndef APPROVAL_MEDIA_H
#define APPROVAL_MEDIA_H


#include "core/str.h"


/* How a body is read.  OTHER: not at all, or not as UTF-8. */

typedef enum {
    APPROVAL_MEDIA_JSON,
    APPROVAL_MEDIA_FORM,
    APPROVAL_MEDIA_TEXT,
    APPROVAL_MEDIA_CSV,
    APPROVAL_MEDIA_PARTS,
    APPROVAL_MEDIA_OTHER
} approval_media_e;

approval_media_e approval_media(approval_str_t content_type);

/* The type alone, to be shown; "unknown type" if it cannot be shown. */
approval_str_t approval_media_type(approval_str_t content_type);


typedef struct {
    approval_str_t  name;              /* of Content-Disposition, "": none  */
    approval_str_t  file;              /* its "filename", "": none          */
    approval_str_t  type;              /* Content-Type, "": none            */
    approval_str_t  body;
} approval_part_t;


/*
 * Visits all parts.  APPROVAL_ERROR: no boundary, or the last one is missing;
 * otherwise the first result of visit() that is not APPROVAL_OK, or
 * APPROVAL_OK.
 */
typedef int (*approval_parts_visit_pt)(void *data,
    const approval_part_t *part);

int approval_parts_each(approval_str_t content_type, approval_str_t body,
    approval_parts_visit_pt visit, void *data);

/* The value of 'x; name="value"', or "" if it is absent. */
approval_str_t approval_parameter(approval_str_t header, const char *name);


#endif /* APPROVAL_MEDIA_H */
