
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The URLs that messages and replies give.
 */


#ifndef NGX_HTTP_APPROVAL_LINK_H
#define NGX_HTTP_APPROVAL_LINK_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/policy.h"


/*
 * approval_base_url (evaluated for r, trailing slashes removed), then
 *
 *   ACTION   /actions/ID                the shared link: the IdP says who
 *   STATUS   /status/ID                 for requesters
 *
 * and for a person's own link ?t=TOKEN.  NGX_DECLINED: no approval_base_url
 * (out is left empty).
 */

typedef enum {
    NGX_HTTP_APPROVAL_LINK_ACTION,
    NGX_HTTP_APPROVAL_LINK_STATUS
} ngx_http_approval_link_e;

ngx_int_t ngx_http_approval_link(ngx_http_request_t *r,
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_link_e kind,
    u_char *id, approval_buf_t *out);

/*
 * The same in two steps: the base is from r's pool, and what outlives r keeps
 * a copy of it.  expires: seconds since the epoch, the action's deadline at
 * the latest.
 */
ngx_int_t ngx_http_approval_link_base(ngx_http_request_t *r,
    ngx_http_approval_main_conf_t *mcf, ngx_str_t *base);
ngx_int_t ngx_http_approval_link_at(ngx_str_t *base,
    ngx_http_approval_link_e kind, u_char *id, approval_buf_t *out);
ngx_int_t ngx_http_approval_link_personal_at(ngx_str_t *base,
    ngx_http_approval_main_conf_t *mcf, u_char *id, ngx_str_t *digest,
    approval_str_t approver, time_t expires, approval_buf_t *out);

/* Does it only have characters that neither end a link nor its query? */
ngx_uint_t ngx_http_approval_link_plain(ngx_str_t *base);


#endif /* NGX_HTTP_APPROVAL_LINK_H */
