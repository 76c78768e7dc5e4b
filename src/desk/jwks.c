
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/jwks.h"


static json_t *ngx_http_approval_jwks_key(const approval_signer_t *signer);


/* Anybody may read the keys.  See RFC 7517 and RFC 8037. */

ngx_int_t
ngx_http_approval_jwks(ngx_http_approval_desk_t *d)
{
    json_t             *keys;
    approval_signer_t  *signer;

    keys = json_array();

    for (signer = d->mcf->signer; signer;
         signer = approval_signer_next(signer))
    {
        if (json_array_append_new(keys, ngx_http_approval_jwks_key(signer))
            != 0)
        {
            json_decref(keys);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                       "application/jwk-set+json",
                                       json_pack("{s:o}", "keys", keys));
}


static json_t *
ngx_http_approval_jwks_key(const approval_signer_t *signer)
{
    size_t           n;
    unsigned char    raw[32], x[approval_base64_size(32)];
    approval_str_t   kid;

    (void) approval_signer_public(signer, raw);

    n = approval_base64url_encode(x, raw, sizeof(raw));
    kid = approval_signer_kid(signer);

    return json_pack("{s:s, s:s, s:s, s:s, s:s%, s:s%}",
                     "kty", "OKP", "crv", "Ed25519", "alg", "EdDSA",
                     "use", "sig", "kid", (char *) kid.data, kid.len,
                     "x", (char *) x, n);
}
