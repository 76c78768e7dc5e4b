
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Which action is meant?  By what is found of it elsewhere.
 */


#include "tools/audit_tools.h"

#include <stdlib.h>
#include <string.h>


static void find_claims(const char *text, char id[APPROVAL_ID_LEN + 1],
    char grant[APPROVAL_ID_LEN + 1]);
static void find_word(const char *text, char id[APPROVAL_ID_LEN + 1]);
static int find_matches(json_t *event, const char *text, const char *id,
    const char *grant);
static int find_add(json_t *ids, const char *id);


/*
 * The action's id, a grant's, a request's digest, a receipt, or a link; grants
 * and digests are looked for in the files.  The ids are returned, none where
 * there are none; NULL: said on stderr.
 */

json_t *
approval_find(approval_options_t *o, const char *text)
{
    int                 rc;
    char                id[APPROVAL_ID_LEN + 1], grant[APPROVAL_ID_LEN + 1];
    json_t             *ids;
    const char         *action;
    approval_entry_t    entry;
    approval_input_t   *in;
    approval_verify_t  *v;

    id[0] = '\0';
    grant[0] = '\0';

    if (strncmp(text, "eyJ", 3) == 0) {
        find_claims(text, id, grant);

    } else if (strncmp(text, "sha256:", 7) != 0) {
        find_word(text, id);
    }

    ids = json_array();
    v = approval_verify_create(NULL, NULL, NULL);
    in = (ids && v) ? approval_input_open(o->files + 1, o->nfiles - 1, v)
                    : NULL;
    rc = in ? 0 : -1;

    while (in && (rc = approval_input_next(in, &entry)) == 1) {
        action = json_string_value(json_object_get(entry.event, "action_id"));

        if (action && json_array_size(ids) < APPROVAL_FOUND_MAX
            && find_matches(entry.event, text, id, grant)
            && find_add(ids, action) != 0)
        {
            rc = -1;
            break;
        }
    }

    approval_input_close(in);
    approval_verify_destroy(v);

    if (rc != 0) {
        json_decref(ids);
        return NULL;
    }

    return ids;
}


/* A receipt says which action, and which grant; show verifies the log. */

static void
find_claims(const char *text, char id[APPROVAL_ID_LEN + 1],
    char grant[APPROVAL_ID_LEN + 1])
{
    size_t           len;
    json_t          *claims;
    const char      *p, *end, *jti, *grt, *err;
    unsigned char   *out;
    approval_str_t   part;

    p = strchr(text, '.');
    end = p ? strchr(p + 1, '.') : NULL;

    if (end == NULL) {
        return;
    }

    part.data = (const unsigned char *) p + 1;
    part.len = (size_t) (end - p - 1);

    out = malloc(part.len + 4);
    if (out == NULL) {
        return;
    }

    len = approval_base64url_decode(out, part);
    claims = NULL;

    if (len != (size_t) -1) {
        part.data = out;
        part.len = len;
        claims = approval_json_parse(part, &err);
    }

    jti = json_string_value(json_object_get(claims, "jti"));
    grt = json_string_value(json_object_get(claims, "grt"));

    if (jti && approval_id_valid(approval_str(jti))) {
        memcpy(id, jti, APPROVAL_ID_LEN + 1);
    }

    if (grt && approval_id_valid(approval_str(grt))) {
        memcpy(grant, grt, APPROVAL_ID_LEN + 1);
    }

    json_decref(claims);
    free(out);
}


/* The last 32 hex digits: of a link, or alone. */

static void
find_word(const char *text, char id[APPROVAL_ID_LEN + 1])
{
    size_t          n;
    approval_str_t  word;

    for ( /* void */ ; *text; text += n ? n : 1) {
        n = strspn(text, "0123456789abcdef");

        word.data = (const unsigned char *) text;
        word.len = n;

        if (n == APPROVAL_ID_LEN && approval_id_valid(word)) {
            memcpy(id, text, APPROVAL_ID_LEN);
            id[APPROVAL_ID_LEN] = '\0';
        }
    }
}


static int
find_matches(json_t *event, const char *text, const char *id,
    const char *grant)
{
    size_t       i;
    const char  *value;
    const char  *names[] = { "action_id", "grant", "digest" };
    const char  *wanted[] = { id, grant[0] ? grant : id, text };

    for (i = 0; i < 3; i++) {
        value = json_string_value(json_object_get(event, names[i]));

        if (value && strcmp(value, wanted[i]) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
find_add(json_t *ids, const char *id)
{
    size_t   i;
    json_t  *known;

    json_array_foreach(ids, i, known) {
        if (strcmp(json_string_value(known), id) == 0) {
            return 0;
        }
    }

    return json_array_append_new(ids, json_string(id));
}
