
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * application/x-www-form-urlencoded bodies and query strings, read strictly.
 */


#ifndef APPROVAL_FORM_H
#define APPROVAL_FORM_H


#include "core/str.h"


/*
 * Looks up one field of a form sent to the module itself.  Appends the
 * decoded value ("+" becomes a space) to out.
 *
 *   APPROVAL_OK        found once
 *   APPROVAL_DECLINED  absent
 *   APPROVAL_ERROR     malformed escape, NUL, or the field occurs twice: *err
 *                      says which
 */
int approval_form_get(approval_str_t body, approval_str_t name,
    approval_buf_t *out, const char **err);

/*
 * Calls visit() for each field, decoded.  Returns APPROVAL_ERROR as above, but
 * allows duplicates.
 */
typedef int (*approval_form_visit_pt)(void *data, approval_str_t name,
    approval_str_t value);

int approval_form_each(approval_str_t body, approval_form_visit_pt visit,
    void *data, const char **err);

/*
 * Some servers may read the body as JSON, XML or multipart instead of a form.
 * Returns why the body looks like one of these, or NULL if it does not.
 */
const char *approval_form_foreign(approval_str_t body);


#endif /* APPROVAL_FORM_H */
