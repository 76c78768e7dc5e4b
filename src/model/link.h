
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The URLs in messages and replies.
 */


#ifndef NGX_HTTP_APPROVAL_LINK_H
#define NGX_HTTP_APPROVAL_LINK_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/policy.h"


/*
 * approval_base_url (evaluated for r, trailing slashes removed), then
 *
 *   ACTION   /actions/ID                the shared link: people sign in
 *   STATUS   /status/ID                 for requesters
 *
 * and for a personal link ?t=TOKEN.  NGX_DECLINED: there is no
 * approval_base_url (out is left empty).
 */

typedef enum {
    NGX_HTTP_APPROVAL_LINK_ACTION,
    NGX_HTTP_APPROVAL_LINK_STATUS
} ngx_http_approval_link_e;

ngx_int_t ngx_http_approval_link(ngx_http_request_t *r,
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_link_e kind,
    u_char *id, approval_buf_t *out);

/*
 * The same in two steps.  The base is in r's pool; callers that outlive r must
 * copy it.  expires: seconds since the epoch, the action's deadline at the
 * latest.
 */
ngx_int_t ngx_http_approval_link_base(ngx_http_request_t *r,
    ngx_http_approval_main_conf_t *mcf, ngx_str_t *base);
ngx_int_t ngx_http_approval_link_at(ngx_str_t *base,
    ngx_http_approval_link_e kind, u_char *id, approval_buf_t *out);
ngx_int_t ngx_http_approval_link_personal_at(ngx_str_t *base,
    ngx_http_approval_main_conf_t *mcf, u_char *id, ngx_str_t *digest,
    approval_str_t approver, time_t expires, approval_buf_t *out);

/* Whether base has only characters that do not end a link or its query. */
ngx_uint_t ngx_http_approval_link_plain(ngx_str_t *base);


#endif /* NGX_HTTP_APPROVAL_LINK_H */
