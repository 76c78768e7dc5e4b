
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/shadow.h"


#define NGX_HTTP_APPROVAL_SHADOW_PURPOSE  "shadow"


ngx_int_t
ngx_http_approval_shadow_seal(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, ngx_str_t *requester, const char *outcome,
    u_char hash[NGX_HTTP_APPROVAL_SHADOW_HASH], approval_buf_t *sealed)
{
    u_char          mac[APPROVAL_MAC_LEN], hex[2 * APPROVAL_MAC_LEN], *p;
    json_t         *names;
    ngx_int_t       rc;
    approval_buf_t  text, secret;
    approval_str_t  aad;

    names = json_pack("{s:o, s:o, s:o, s:o, s:s}",
                 "policy", ngx_http_approval_json_str(&rule->policy->name),
                 "rule", ngx_http_approval_json_str(&rule->name),
                 "action", ngx_http_approval_json_str(&rule->action),
                 "requester", ngx_http_approval_json_str(requester),
                 "outcome", outcome);

    if (names == NULL || mcf->keyring == NULL) {
        json_decref(names);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    approval_buf_init(&text);
    approval_buf_init(&secret);

    aad.data = hash;
    aad.len = NGX_HTTP_APPROVAL_SHADOW_HASH;

    if (approval_json_canonical(names, &text) != APPROVAL_OK
        || text.failed
        || approval_mac(mcf->keyring, NGX_HTTP_APPROVAL_SHADOW_PURPOSE,
                        approval_buf_str(&text), mac)
           != APPROVAL_OK)
    {
        goto done;
    }

    (void) approval_hex_encode(hex, mac, sizeof(mac));
    ngx_memcpy(hash, hex, NGX_HTTP_APPROVAL_SHADOW_HASH);

    if (approval_seal(mcf->keyring, NGX_HTTP_APPROVAL_SHADOW_PURPOSE, aad,
                      approval_buf_str(&text), &secret)
        != APPROVAL_OK
        || secret.failed)
    {
        goto done;
    }

    p = ngx_alloc(approval_base64_size(secret.len), ngx_cycle->log);
    if (p == NULL) {
        goto done;
    }

    approval_buf_add(sealed, p, approval_base64url_encode(p, secret.data,
                                                          secret.len));
    ngx_free(p);

    rc = sealed->failed ? NGX_ERROR : NGX_OK;

done:

    approval_buf_wipe(&text);
    approval_buf_free(&secret);
    json_decref(names);

    return rc;
}


json_t *
ngx_http_approval_shadow_open(ngx_http_approval_main_conf_t *mcf,
    approval_str_t hash, approval_str_t sealed)
{
    size_t          len;
    u_char         *p;
    json_t         *names;
    const char     *err;
    approval_buf_t  text;
    approval_str_t  secret;

    if (mcf->keyring == NULL || hash.len != NGX_HTTP_APPROVAL_SHADOW_HASH) {
        return NULL;
    }

    p = ngx_alloc(approval_base64_size(sealed.len) + 1, ngx_cycle->log);
    if (p == NULL) {
        return NULL;
    }

    names = NULL;

    approval_buf_init(&text);

    len = approval_base64url_decode(p, sealed);

    if (len != (size_t) -1) {
        secret.data = p;
        secret.len = len;

        if (approval_open(mcf->keyring, NGX_HTTP_APPROVAL_SHADOW_PURPOSE,
                          hash, secret, &text)
            == APPROVAL_OK
            && !text.failed)
        {
            names = approval_json_parse(approval_buf_str(&text), &err);
        }
    }

    approval_buf_wipe(&text);
    ngx_free(p);

    return names;
}
