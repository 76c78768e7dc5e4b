
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "model/hash.h"


ngx_int_t
ngx_http_approval_hash(ngx_http_approval_main_conf_t *mcf,
    const char *purpose, ngx_str_t *parts, ngx_uint_t n,
    u_char hex[NGX_HTTP_APPROVAL_HASH_HEX])
{
    int             rc;
    u_char          mac[APPROVAL_MAC_LEN];
    ngx_uint_t      i;
    approval_buf_t  data;

    approval_buf_init(&data);

    for (i = 0; i < n; i++) {
        approval_buf_printf(&data, "%zu:", parts[i].len);
        approval_buf_add(&data, parts[i].data, parts[i].len);
    }

    rc = data.failed ? APPROVAL_ERROR
                     : approval_mac(mcf->keyring, purpose,
                                    approval_buf_str(&data), mac);

    approval_buf_free(&data);

    if (rc != APPROVAL_OK) {
        return NGX_ERROR;
    }

    approval_hex_encode(hex, mac, sizeof(mac));

    return NGX_OK;
}
