
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/hash.h"


ngx_int_t
ngx_http_approval_hashes(ngx_http_approval_main_conf_t *mcf,
    const char *purpose, ngx_str_t *parts, ngx_uint_t n,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes)
{
    int             rc;
    size_t          key;
    u_char          mac[APPROVAL_MAC_LEN], *p;
    ngx_uint_t      i;
    approval_buf_t  data;

    approval_buf_init(&data);

    for (i = 0; i < n; i++) {
        approval_buf_addi(&data, (long long) parts[i].len);
        approval_buf_addc(&data, ':');
        approval_buf_add(&data, parts[i].data, parts[i].len);
    }

    p = buf;
    rc = data.failed ? APPROVAL_ERROR : APPROVAL_OK;

    for (key = 0; rc == APPROVAL_OK; key++) {
        rc = approval_mac_by(mcf->keyring, key, purpose,
                             approval_buf_str(&data), mac);

        if (rc == APPROVAL_OK) {
            if (key) {
                *p++ = ' ';
            }

            approval_hex_encode(p, mac, NGX_HTTP_APPROVAL_HASH_LEN / 2);
            p += NGX_HTTP_APPROVAL_HASH_LEN;
        }
    }

    approval_buf_free(&data);

    hashes->data = buf;
    hashes->len = p - buf;

    return rc == APPROVAL_DECLINED ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
ngx_http_approval_hash_among(ngx_str_t *hashes, ngx_str_t *hash)
{
    size_t  i;

    if (hash->len != NGX_HTTP_APPROVAL_HASH_LEN) {
        return 0;
    }

    for (i = 0; i < hashes->len; i += NGX_HTTP_APPROVAL_HASH_LEN + 1) {
        if (ngx_memcmp(hashes->data + i, hash->data, hash->len) == 0) {
            return 1;
        }
    }

    return 0;
}
