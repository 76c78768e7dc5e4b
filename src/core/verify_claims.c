
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Signed claims, and whether the records agree with them.
 */


#include "core/verify_internal.h"

#include "core/jws.h"

#include <string.h>


/* The facts that two records of one worker about the same request share. */

const char  *approval_verify_facts[] = {
    "writer", "policy", "policy_digest", "rule", "action", "requester",
    "remote_addr", "method", "digest", "approvers", "grant", "use", NULL
};

const char  *approval_verify_scope[] = {
    "policy", "rule", "action", NULL
};

const char  *approval_verify_about[] = {
    "dig", "sub", "pol", "rul", "act", "shw", "vot", NULL
};

const char  *approval_verify_asked[] = {
    "digest", "requester", "policy", "rule", "action", "join", "vote", NULL
};


json_t *
approval_verify_jws(approval_verify_t *v, const char *typ, json_t *token,
    const char **err)
{
    approval_str_t  text;

    *err = "it is missing";

    if (v->keys == NULL || !json_is_string(token)) {
        return NULL;
    }

    text.data = (const unsigned char *) json_string_value(token);
    text.len = json_string_length(token);

    return approval_jws_verify(v->keys, typ, text, err);
}


/* 1 if the claim and the member are the same string, or both are absent. */

int
approval_verify_same(json_t *claims, const char *name, json_t *event,
    const char *member)
{
    json_t  *claim, *value;

    claim = json_object_get(claims, name);
    value = json_object_get(event, member);

    return (claim == NULL && value == NULL)
           || (json_is_string(claim) && json_is_string(value)
               && json_equal(claim, value));
}


int
approval_verify_claim(json_t *claims, const char *name, const char *value)
{
    const char  *s;

    s = json_string_value(json_object_get(claims, name));

    return s && strcmp(s, value) == 0;
}


/*
 * "approvers" of the record must be the names of "by", as the upstream gets
 * them.
 */

int
approval_verify_names(json_t *event, json_t *claims)
{
    int              rc;
    size_t           i;
    json_t          *name, *approvers;
    approval_buf_t   buf;
    approval_str_t   text;

    approval_buf_init(&buf);

    json_array_foreach(json_object_get(claims, "by"), i, name) {
        approval_buf_adds(&buf, i ? ", " : "");
        approval_buf_add(&buf, json_string_value(name),
                         json_string_length(name));
    }

    approvers = json_object_get(event, "approvers");

    text.data = (const unsigned char *) json_string_value(approvers);
    text.len = json_string_length(approvers);

    rc = !buf.failed && approval_str_eq(text, approval_buf_str(&buf));

    approval_buf_free(&buf);

    return rc;
}


int
approval_verify_members(approval_verify_t *v, json_t *from,
    const char **names, approval_hashed_t *hashed)
{
    int              rc;
    json_t          *value;
    approval_buf_t   text;

    approval_buf_init(&text);

    for ( /* void */ ; *names; names++) {
        value = json_object_get(from, *names);

        if (value && approval_json_canonical(value, &text) != APPROVAL_OK) {
            text.failed = 1;
        }

        approval_buf_addc(&text, '\n');
    }

    if (text.failed) {
        v->failed = 1;
    }

    rc = approval_verify_hash(v, (char *) text.data, text.len, hashed);

    approval_buf_free(&text);

    return rc;
}


int
approval_verify_hash(approval_verify_t *v, const char *text, size_t len,
    approval_hashed_t *hashed)
{
    approval_str_t  s;

    s.data = (const unsigned char *) text;
    s.len = len;

    if (approval_sha256(s, hashed->md) != APPROVAL_OK) {
        v->failed = 1;
    }

    return v->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


int
approval_verify_hashed(approval_verify_t *v, json_t *value,
    approval_hashed_t *hashed)
{
    return approval_verify_hash(v, json_string_value(value),
                                json_string_length(value), hashed);
}


int
approval_hashed_eq(const approval_hashed_t *one, const approval_hashed_t *two)
{
    return memcmp(one->md, two->md, APPROVAL_SHA256_LEN) == 0;
}
