
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * application/x-www-form-urlencoded bodies and query strings, read strictly.
 */


#ifndef APPROVAL_FORM_H
#define APPROVAL_FORM_H


#include "core/str.h"


/*
 * Looks up one field of a form of our own.  The decoded value ("+" is a space)
 * is appended to out.
 *
 *   APPROVAL_OK        found once
 *   APPROVAL_DECLINED  absent
 *   APPROVAL_ERROR     malformed escape, NUL, or the field stands twice: *err
 *                      says which
 */
int approval_form_get(approval_str_t body, approval_str_t name,
    approval_buf_t *out, const char **err);

/* Walks all fields, decoded.  APPROVAL_ERROR as above but for duplicates. */
typedef int (*approval_form_visit_pt)(void *data, approval_str_t name,
    approval_str_t value);

int approval_form_each(approval_str_t body, approval_form_visit_pt visit,
    void *data, const char **err);

/*
 * Why a server that goes by the Content-Type could find something else in the
 * body than form fields: JSON, XML or multipart.  NULL: it could not.
 */
const char *approval_form_foreign(approval_str_t body);


#endif /* APPROVAL_FORM_H */
