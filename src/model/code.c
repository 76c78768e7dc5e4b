
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/code.h"


ngx_int_t
ngx_http_approval_code(ngx_http_approval_main_conf_t *mcf, u_char *id,
    ngx_str_t *digest, u_char code[NGX_HTTP_APPROVAL_CODE_LEN])
{
    int             rc;
    uint64_t        n;
    ngx_uint_t      i;
    unsigned char   mac[APPROVAL_MAC_LEN];
    approval_buf_t  text;

    approval_buf_init(&text);
    approval_buf_add(&text, id, APPROVAL_ID_LEN);
    approval_buf_add(&text, digest->data, digest->len);

    rc = text.failed ? APPROVAL_ERROR
                     : approval_mac(mcf->keyring, "code",
                                    approval_buf_str(&text), mac);

    approval_buf_free(&text);

    if (rc != APPROVAL_OK) {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < 8; i++) {
        n = n << 8 | mac[i];
    }

    for (i = NGX_HTTP_APPROVAL_CODE_LEN; i-- > 0; /* void */) {
        code[i] = (u_char) ('0' + n % 10);
        n /= 10;
    }

    return NGX_OK;
}
