
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Names and places that rules add to the tables or take away, and the masks.
 */


#include "core/redact_internal.h"
#include "core/fold.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>


#define TAG_LEN  3                     /* bytes                            */


static int redact_prefix(approval_str_t *s, const char *prefix);
static int redact_list(approval_buf_t *list, const unsigned char *text,
    size_t len, const char **err);
static int redact_add_pointer(approval_redact_t *r, approval_str_t pointer,
    const char **err);
static int redact_add_path(approval_redact_t *r, approval_str_t path,
    const char **err);
static int redact_add_name(approval_redact_t *r, approval_buf_t *list,
    const approval_buf_t *other, const approval_buf_t *never,
    approval_str_t name, const char **err);

approval_redact_t *
approval_redact_create(const approval_redact_t *base)
{
    approval_redact_t  *r;

    r = calloc(1, sizeof(approval_redact_t));
    if (r == NULL) {
        return NULL;
    }

    if (base) {
        r->tables = base->tables;
        r->tables->uses++;

    } else {
        r->tables = redact_tables_create();
    }

    r->seen = calloc(REDACT_SEEN, sizeof(redact_seen_t));
    r->mac = r->tables ? EVP_MAC_CTX_new(r->tables->hmac) : NULL;

    if (r->seen == NULL || r->mac == NULL) {
        approval_redact_destroy(r);
        return NULL;
    }

    return r;
}


void
approval_redact_destroy(approval_redact_t *r)
{
    size_t  i;

    if (r == NULL) {
        return;
    }

    for (i = 0; i < r->npointers; i++) {
        approval_json_pointer_free(r->pointers[i]);
    }

    free(r->pointers);

    approval_buf_free(&r->fields);
    approval_buf_free(&r->paths);
    approval_buf_free(&r->reveals);

    EVP_MAC_CTX_free(r->mac);
    free(r->seen);
    redact_tables_destroy(r->tables);
    free(r);
}


int
approval_redact_add(approval_redact_t *r, approval_str_t what,
    const char **err)
{
    if (redact_prefix(&what, "json:")) {
        return redact_add_pointer(r, what, err);
    }

    if (redact_prefix(&what, "path:")) {
        return redact_add_path(r, what, err);
    }

    /* a name is secret everywhere: e.g. a text may repeat a header */

    if (redact_prefix(&what, "form:") || redact_prefix(&what, "$arg_")
        || redact_prefix(&what, "$cookie_") || redact_prefix(&what, "$http_"))
    {
        return redact_add_name(r, &r->fields, &r->reveals, NULL, what, err);
    }

    *err = "must be json:/pointer, path:/segments, form:NAME, $http_NAME, "
           "$arg_NAME or $cookie_NAME";

    return APPROVAL_ERROR;
}


int
approval_redact_reveal(approval_redact_t *r, approval_str_t name,
    const char **err)
{
    static unsigned char         never[] =
        "authorization\0proxyauthorization\0cookie\0setcookie";
    static const approval_buf_t  credentials = {
        .data = never, .len = sizeof(never)
    };

    return redact_add_name(r, &r->reveals, &r->fields, &credentials, name, err);
}


static int
redact_prefix(approval_str_t *s, const char *prefix)
{
    size_t  len;

    len = strlen(prefix);

    if (s->len < len || memcmp(s->data, prefix, len) != 0) {
        return 0;
    }

    s->data += len;
    s->len -= len;

    return 1;
}


static int
redact_add_pointer(approval_redact_t *r, approval_str_t text,
    const char **err)
{
    approval_json_pointer_t  *pointer, **list;

    if (text.len == 0) {
        *err = "\"json:\" would redact the whole body: use a member, for "
               "example json:/member";
        return APPROVAL_ERROR;
    }

    list = realloc(r->pointers,
                   (r->npointers + 1) * sizeof(approval_json_pointer_t *));
    if (list == NULL) {
        *err = "out of memory";
        return APPROVAL_ERROR;
    }

    r->pointers = list;

    pointer = approval_json_pointer_compile(text, err);
    if (pointer == NULL) {
        return APPROVAL_ERROR;
    }

    list[r->npointers++] = pointer;

    return APPROVAL_OK;
}


static int
redact_add_path(approval_redact_t *r, approval_str_t path, const char **err)
{
    if (path.len < 2 || path.data[0] != '/'
        || path.data[path.len - 1] == '/' || memchr(path.data, '?', path.len))
    {
        *err = "a path starts with \"/\" and ends with the segment to redact, "
               "or \"*\" for any segment, as in path:/reset/*";
        return APPROVAL_ERROR;
    }

    return redact_list(&r->paths, path.data, path.len, err);
}


static int
redact_add_name(approval_redact_t *r, approval_buf_t *list,
    const approval_buf_t *other, const approval_buf_t *never,
    approval_str_t name, const char **err)
{
    int            len;
    unsigned char  text[REDACT_NAME_MAX];

    len = approval_fold_name(name, REDACT_NAME_MAX, text, NULL);

    if (len < 0) {
        *err = "name is longer than 256 characters";
        return APPROVAL_ERROR;
    }

    if (len == 0) {
        *err = "name has no letter and no digit";
        return APPROVAL_ERROR;
    }

    memset(r->seen, 0, REDACT_SEEN * sizeof(redact_seen_t));

    if (never && redact_listed(never, text, (size_t) len)) {
        *err = "it is a credential of the request itself";
        return APPROVAL_ERROR;
    }

    if (redact_listed(other, text, (size_t) len)) {
        *err = "the rule has it in both \"redact\" and \"reveal\"";
        return APPROVAL_ERROR;
    }

    return redact_list(list, text, (size_t) len, err);
}


static int
redact_list(approval_buf_t *list, const unsigned char *text, size_t len,
    const char **err)
{
    approval_buf_add(list, text, len);
    approval_buf_addc(list, '\0');

    *err = "out of memory";

    return list->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


void
approval_redact_key(approval_redact_t *r, approval_str_t key)
{
    OSSL_PARAM  params[2];

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    r->keyed = key.len
               && EVP_MAC_init(r->mac, key.data, key.len, params) == 1;
}


void
approval_redact_mask(const approval_redact_t *r, approval_str_t value,
    approval_buf_t *out)
{
    size_t         len;
    unsigned char  mac[EVP_MAX_MD_SIZE], tag[2 * TAG_LEN];

    approval_buf_adds(out, "[redacted, ");
    approval_buf_addi(out, (long long) value.len);
    approval_buf_adds(out, value.len == 1 ? " byte" : " bytes");

    /* without a key it is the last one again */

    if (r->keyed && EVP_MAC_init(r->mac, NULL, 0, NULL) == 1
        && EVP_MAC_update(r->mac, value.data, value.len) == 1
        && EVP_MAC_final(r->mac, mac, &len, sizeof(mac)) == 1)
    {
        approval_hex_encode(tag, mac, TAG_LEN);
        approval_buf_adds(out, ", #");
        approval_buf_add(out, tag, sizeof(tag));
    }

    approval_buf_addc(out, ']');
}


void
redact_mask(redact_writer_t *w, approval_str_t value)
{
    size_t  i, end;

    i = 0;

    do {
        end = w->arguments ? approval_str_find(value, i, "\t") : value.len;

        approval_redact_mask(w->redact, approval_str_sub(value, i, end),
                             w->out);

        if (end < value.len) {
            approval_buf_addc(w->out, '\t');
        }

        i = end + 1;

    } while (i < value.len);

    w->masks++;
}
