
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Forms of pages that are not about one action: /grants, /freeze.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_FORM_H
#define NGX_HTTP_APPROVAL_DESK_FORM_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


/* Is a form posted?  Then its answer is a page. */
ngx_uint_t ngx_http_approval_form_posted(ngx_http_approval_desk_t *d);

/* Reads the body and calls the handler.  The caller returns the result. */
ngx_int_t ngx_http_approval_form_body(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_body_pt handler);

/* Sets "nonce" in a page's data: valid for this person, for an hour. */
ngx_int_t ngx_http_approval_form_nonce(ngx_http_approval_desk_t *d,
    const char *page, json_t *data);

/*
 * Returns the body's fields, without the nonce and without empty ones.  NULL:
 * answered, *rc is the code to finalize the request with.
 */
json_t *ngx_http_approval_form_read(ngx_http_approval_desk_t *d,
    const char *page, ngx_str_t *body, ngx_int_t *rc);


#endif /* NGX_HTTP_APPROVAL_DESK_FORM_H */
