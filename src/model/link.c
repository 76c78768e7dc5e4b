
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/link.h"

#include "core/token.h"


static ngx_str_t  ngx_http_approval_link_foreign = ngx_string("\"'<>\\^`{|}?#");


static const char  *ngx_http_approval_link_paths[] = {
    "/actions/",                         /* NGX_HTTP_APPROVAL_LINK_ACTION */
    "/status/"                           /* NGX_HTTP_APPROVAL_LINK_STATUS */
};


ngx_int_t
ngx_http_approval_link(ngx_http_request_t *r,
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_link_e kind,
    u_char *id, approval_buf_t *out)
{
    ngx_int_t  rc;
    ngx_str_t  base;

    rc = ngx_http_approval_link_base(r, mcf, &base);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_approval_link_at(&base, kind, id, out);
}


ngx_int_t
ngx_http_approval_link_at(ngx_str_t *base, ngx_http_approval_link_e kind,
    u_char *id, approval_buf_t *out)
{
    approval_buf_add(out, base->data, base->len);
    approval_buf_adds(out, ngx_http_approval_link_paths[kind]);
    approval_buf_add(out, id, APPROVAL_ID_LEN);

    return out->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_approval_link_personal_at(ngx_str_t *base,
    ngx_http_approval_main_conf_t *mcf, u_char *id, ngx_str_t *digest,
    approval_str_t approver, time_t expires, approval_buf_t *out)
{
    ngx_int_t         rc;
    approval_buf_t    buf;
    approval_token_t  token;

    if (mcf->keyring == NULL) {
        return NGX_ERROR;
    }

    token.action.len = APPROVAL_ID_LEN;
    token.action.data = id;
    token.digest.len = digest->len;
    token.digest.data = digest->data;
    token.approver = approver;
    token.expires = expires;

    approval_buf_init(&buf);

    if (approval_token_make(mcf->keyring, "link", &token, &buf) != APPROVAL_OK
        || buf.failed)
    {
        rc = NGX_ERROR;
        goto done;
    }

    rc = ngx_http_approval_link_at(base, NGX_HTTP_APPROVAL_LINK_ACTION, id,
                                   out);
    if (rc != NGX_OK) {
        goto done;
    }

    approval_buf_adds(out, "?t=");
    approval_buf_add(out, buf.data, buf.len);

    rc = out->failed ? NGX_ERROR : NGX_OK;

done:

    approval_buf_wipe(&buf);

    return rc;
}


ngx_int_t
ngx_http_approval_link_base(ngx_http_request_t *r,
    ngx_http_approval_main_conf_t *mcf, ngx_str_t *base)
{
    if (mcf->base_url == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_complex_value(r, mcf->base_url, base) != NGX_OK) {
        return NGX_ERROR;
    }

    while (base->len && base->data[base->len - 1] == '/') {
        base->len--;
    }

    if (base->len == 0) {
        ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(r), 0,
                      "approval: messages about this request have no links, "
                      "because the value of \"approval_base_url\" is empty");
        return NGX_DECLINED;
    }

    /* it may contain client data such as $host, which must not end the link */

    if (!ngx_http_approval_link_plain(base)) {
        ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(r), 0,
                      "approval: messages about this request have no links, "
                      "because the value of \"approval_base_url\" contains a "
                      "character that a URL cannot contain");
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_approval_link_plain(ngx_str_t *base)
{
    size_t      i;
    ngx_str_t  *foreign;

    foreign = &ngx_http_approval_link_foreign;

    for (i = 0; i < base->len; i++) {

        if (base->data[i] <= ' ' || base->data[i] >= 0x7f
            || ngx_strlchr(foreign->data, foreign->data + foreign->len,
                           base->data[i]))
        {
            return 0;
        }
    }

    return 1;
}
