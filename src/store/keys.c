
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Names of keys.  All except those of a day and the stream have the shard as
 * their hash tag, so all keys of one script are in one slot.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/internal.h"


/* by ngx_http_approval_key_e: the text before and after the name */

static struct {
    const char  *begin;
    const char  *end;
} ngx_http_approval_keys[] = {
    { "", "" },
    { "", ":decision" },
    { "", ":votes" },
    { "", ":deliver" },
    { "by:", "" },
    { "join:", "" },
    { "per:", "" },
    { "prompts:", "" },
    { "grant:", "" },
    { "once:", "" },
    { "end:", "" },
    { "pending", NULL },
    { "index", NULL },
    { "classes", NULL },
    { "frozen", NULL },
    { "grants", NULL },
    { "deliver", NULL },
    { "decisions", NULL },
    { "passkeys", NULL },
    { "passkeys:used", NULL },
    { "passkeys:ended", NULL },
    { "shadow:", "" }
};


void
ngx_http_approval_key(ngx_http_approval_store_t *store, approval_buf_t *out,
    ngx_http_approval_key_e key, u_char *shard, u_char *name, size_t len)
{
    approval_buf_add(out, store->conf->prefix.data, store->conf->prefix.len);

    if (key != NGX_HTTP_APPROVAL_KEY_SHADOW) {
        approval_buf_addc(out, '{');
        approval_buf_add(out, shard, NGX_HTTP_APPROVAL_SHARD_LEN);
        approval_buf_adds(out, "}:");
    }

    approval_buf_adds(out, ngx_http_approval_keys[key].begin);

    if (ngx_http_approval_keys[key].end) {
        approval_buf_add(out, name, len);
        approval_buf_adds(out, ngx_http_approval_keys[key].end);
    }
}


u_char *
ngx_http_approval_key_decided(ngx_http_approval_store_t *store,
    ngx_str_t *key)
{
    size_t   len;
    u_char  *id, *p;

    static u_char  suffix[] = ":decision";

    len = store->conf->prefix.len;
    p = key->data + len;

    if (key->len != len + sizeof("{00}:") - 1 + APPROVAL_ID_LEN
                    + sizeof(suffix) - 1
        || ngx_memcmp(key->data, store->conf->prefix.data, len) != 0
        || p[0] != '{' || p[3] != '}' || p[4] != ':')
    {
        return NULL;
    }

    id = p + 5;

    if (ngx_memcmp(id + APPROVAL_ID_LEN, suffix, sizeof(suffix) - 1) != 0
        || ngx_memcmp(id, p + 1, NGX_HTTP_APPROVAL_SHARD_LEN) != 0)
    {
        return NULL;
    }

    return id;
}


void
ngx_http_approval_shard_name(u_char *shard, ngx_uint_t n)
{
    u_char  byte;

    byte = (u_char) n;

    (void) approval_hex_encode(shard, &byte, 1);
}


/*
 * The hash has no key, so a rotation of approval_key moves no requester to
 * another shard.  It reveals only the shard of a value.
 */

ngx_int_t
ngx_http_approval_store_shard(ngx_http_approval_store_t *store,
    const ngx_str_t *value, u_char shard[NGX_HTTP_APPROVAL_SHARD_LEN])
{
    uint32_t        n;
    unsigned char   md[APPROVAL_SHA256_LEN];
    approval_str_t  s;

    n = 0;

    if (store->conf->shards > 1) {
        s.data = value->data;
        s.len = value->len;

        if (approval_sha256(s, md) != APPROVAL_OK) {
            return NGX_ERROR;
        }

        n = (uint32_t) md[0] << 24 | md[1] << 16 | md[2] << 8 | md[3];
    }

    ngx_http_approval_shard_name(shard, n % store->conf->shards);

    return NGX_OK;
}


void
ngx_http_approval_store_place(ngx_str_t *hashes,
    u_char shard[NGX_HTTP_APPROVAL_SHARD_LEN])
{
    size_t  i;

    for (i = 0; i + APPROVAL_ID_LEN <= hashes->len; i += APPROVAL_ID_LEN + 1) {
        ngx_memcpy(hashes->data + i, shard, NGX_HTTP_APPROVAL_SHARD_LEN);
    }
}
