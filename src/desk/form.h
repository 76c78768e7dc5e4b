
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

/* Reads the body, then answers by the handler; to be returned as it is. */
ngx_int_t ngx_http_approval_form_body(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_body_pt handler);

/* Fills "nonce" of a page's data: this person's, for an hour. */
ngx_int_t ngx_http_approval_form_nonce(ngx_http_approval_desk_t *d,
    const char *page, json_t *data);

/*
 * The fields of the body but for the nonce, those left empty not among them.
 * NULL: answered, *rc is what the request is to be finalized with.
 */
json_t *ngx_http_approval_form_read(ngx_http_approval_desk_t *d,
    const char *page, ngx_str_t *body, ngx_int_t *rc);


#endif /* NGX_HTTP_APPROVAL_DESK_FORM_H */
