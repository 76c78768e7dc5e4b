
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The site for which passkeys are valid, and their records.
 */


#include "core/passkey.h"

#include <string.h>


static int passkey_among(json_t *confirmations, size_t n, const char *groups);


/* Browsers omit a default port, and do not accept IP addresses. */

int
approval_passkey_origin(approval_str_t origin, const char **err)
{
    size_t          i, dots, colon;
    unsigned char   c;
    approval_str_t  rest, host;

    static const approval_str_t  secure = approval_string("https://");
    static const approval_str_t  local = approval_string("http://localhost");

    *err = "use the origin that browsers show, for example "
           "\"https://gw.example.com\"";

    rest = approval_str_sub(origin, 0, local.len < origin.len ? local.len
                                                              : origin.len);

    if (approval_str_eq(rest, local)) {
        rest = approval_str_sub(origin, sizeof("http://") - 1, origin.len);

    } else if (origin.len > secure.len
               && memcmp(origin.data, secure.data, secure.len) == 0)
    {
        rest = approval_str_sub(origin, secure.len, origin.len);

    } else {
        return APPROVAL_DECLINED;
    }

    colon = approval_str_find(rest, 0, ":");
    host = approval_str_sub(rest, 0, colon);
    dots = 0;

    for (i = 0; i < host.len; i++) {
        c = host.data[i];
        dots += (c == '.');

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'
              || (c == '.' && i > 0 && host.data[i - 1] != '.')))
        {
            return APPROVAL_DECLINED;
        }
    }

    if (host.len == 0 || host.len > 253 || host.data[host.len - 1] == '.'
        || (origin.data[4] != 's'
            && !approval_str_eq(host, approval_str("localhost"))))
    {
        return APPROVAL_DECLINED;
    }

    if (host.data[host.len - 1] >= '0' && host.data[host.len - 1] <= '9'
        && dots == 3)
    {
        *err = "use a host name, because browsers do not accept passkeys for "
               "addresses";
        return APPROVAL_DECLINED;
    }

    for (i = colon + 1; i < rest.len; i++) {
        if (rest.data[i] < '0' || rest.data[i] > '9') {
            return APPROVAL_DECLINED;
        }
    }

    if (colon < rest.len && (rest.len - colon < 2 || rest.len - colon > 6
                             || rest.data[colon + 1] == '0'))
    {
        return APPROVAL_DECLINED;
    }

    rest = approval_str_sub(rest, colon, rest.len);

    if (approval_str_eq(rest, approval_str(origin.data[4] == 's' ? ":443"
                                                                 : ":80")))
    {
        *err = "remove the default port, as browsers do";
        return APPROVAL_DECLINED;
    }

    return APPROVAL_OK;
}


approval_str_t
approval_passkey_rp(approval_str_t origin)
{
    size_t  from;

    from = (origin.len > 4 && origin.data[4] == 's') ? sizeof("https://") - 1
                                                     : sizeof("http://") - 1;

    return approval_str_sub(origin, from,
                            approval_str_find(origin, from, ":"));
}


int
approval_passkey_name(approval_str_t id, char name[APPROVAL_ID_LEN])
{
    unsigned char  md[APPROVAL_SHA256_LEN];

    if (approval_sha256(id, md) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    approval_hex_encode((unsigned char *) name, md, APPROVAL_ID_LEN / 2);

    return APPROVAL_OK;
}


int
approval_passkey_claims(json_t *claims, approval_passkey_key_t *key)
{
    json_t          *alg, *raw;
    approval_str_t   text;

    alg = json_object_get(claims, "alg");
    raw = json_object_get(claims, "pub");

    if (!json_is_integer(alg) || !json_is_string(raw)
        || json_string_length(raw) > sizeof(key->raw))
    {
        return APPROVAL_DECLINED;
    }

    text.data = (const unsigned char *) json_string_value(raw);
    text.len = json_string_length(raw);

    key->alg = (int) json_integer_value(alg);
    key->len = approval_base64url_decode(key->raw, text);

    return key->len == (size_t) -1 ? APPROVAL_DECLINED : APPROVAL_OK;
}


int
approval_passkey_confirmed(json_t *claims)
{
    size_t       i;
    json_t      *list, *item;
    const char  *owner, *person, *groups;

    list = json_object_get(claims, "cnf");
    owner = json_string_value(json_object_get(claims, "sub"));

    if (owner == NULL) {
        return 0;
    }

    json_array_foreach(list, i, item) {
        person = json_string_value(json_object_get(item, "sub"));
        groups = json_string_value(json_object_get(item, "grp"));

        if (person == NULL || strcmp(person, owner) == 0) {
            return 0;
        }

        if (json_is_true(json_object_get(item, "opr"))
            || (groups && passkey_among(list, i, groups)))
        {
            return 1;
        }
    }

    return 0;
}


/* Does another of the first n persons share one of these groups? */

static int
passkey_among(json_t *confirmations, size_t n, const char *groups)
{
    size_t       i, len, other;
    json_t      *item;
    const char  *person, *p, *q, *them;

    item = json_array_get(confirmations, n);
    person = json_string_value(json_object_get(item, "sub"));

    for (i = 0; i < n; i++) {
        item = json_array_get(confirmations, i);
        them = json_string_value(json_object_get(item, "grp"));

        if (them == NULL
            || strcmp(person, json_string_value(json_object_get(item, "sub")))
               == 0)
        {
            continue;
        }

        for (p = groups; *p; p += len + (p[len] == ' ')) {
            len = strcspn(p, " ");

            for (q = them; *q; q += other + (q[other] == ' ')) {
                other = strcspn(q, " ");

                if (len && len == other && memcmp(p, q, len) == 0) {
                    return 1;
                }
            }
        }
    }

    return 0;
}
