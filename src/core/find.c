
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/find.h"

#include "core/keys.h"

#include <stdlib.h>
#include <string.h>


struct approval_find_s {
    json_t          *ids;
    char             id[APPROVAL_ID_LEN + 1];
    char             grant[APPROVAL_ID_LEN + 1];
    approval_buf_t   text;
};


static void find_claims(approval_str_t text, approval_find_t *f);
static void find_word(approval_str_t text, char id[APPROVAL_ID_LEN + 1]);
static int find_matches(approval_find_t *f, json_t *event);
static int find_known(approval_find_t *f, const char *id);
static int find_begins(approval_str_t text, const char *begin);


approval_find_t *
approval_find_create(approval_str_t text)
{
    approval_find_t  *f;

    f = calloc(1, sizeof(approval_find_t));
    if (f == NULL) {
        return NULL;
    }

    approval_buf_init(&f->text);
    approval_buf_add(&f->text, text.data, text.len);

    f->ids = json_array();

    if (f->ids == NULL || f->text.failed) {
        approval_find_destroy(f);
        return NULL;
    }

    if (find_begins(text, "eyJ")) {
        find_claims(text, f);

    } else if (!find_begins(text, "sha256:")) {
        find_word(text, f->id);
    }

    return f;
}


void
approval_find_destroy(approval_find_t *f)
{
    if (f == NULL) {
        return;
    }

    json_decref(f->ids);
    approval_buf_free(&f->text);

    free(f);
}


json_t *
approval_find_ids(approval_find_t *f)
{
    return f->ids;
}


int
approval_find_record(approval_find_t *f, json_t *event)
{
    const char  *id;

    id = json_string_value(json_object_get(event, "action_id"));

    if (id == NULL) {
        return 0;
    }

    if (find_known(f, id)) {
        return 1;
    }

    if (json_array_size(f->ids) == APPROVAL_FIND_MAX
        || !find_matches(f, event))
    {
        return 0;
    }

    return json_array_append_new(f->ids, json_string(id)) == 0 ? 1 : -1;
}


/*
 * Only the ids of the action and the grant are taken from a receipt;
 * everything else is read from the trail.
 */

static void
find_claims(approval_str_t text, approval_find_t *f)
{
    size_t                len;
    json_t               *claims;
    const char           *jti, *grt, *err;
    unsigned char        *out;
    approval_str_t        part;
    const unsigned char  *p, *end;

    p = memchr(text.data, '.', text.len);
    end = p ? memchr(p + 1, '.', text.data + text.len - p - 1) : NULL;

    if (end == NULL) {
        return;
    }

    part.data = p + 1;
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
        memcpy(f->id, jti, APPROVAL_ID_LEN + 1);
    }

    if (grt && approval_id_valid(approval_str(grt))) {
        memcpy(f->grant, grt, APPROVAL_ID_LEN + 1);
    }

    json_decref(claims);
    free(out);
}


/* Finds the last id (32 hex digits) in the text, which may be a link. */

static void
find_word(approval_str_t text, char id[APPROVAL_ID_LEN + 1])
{
    size_t          n;
    approval_str_t  word;

    while (text.len) {

        for (n = 0; n < text.len; n++) {
            if (memchr("0123456789abcdef", text.data[n], 16) == NULL) {
                break;
            }
        }

        word.data = text.data;
        word.len = n;

        if (n == APPROVAL_ID_LEN && approval_id_valid(word)) {
            memcpy(id, word.data, APPROVAL_ID_LEN);
            id[APPROVAL_ID_LEN] = '\0';
        }

        n = n ? n : 1;
        text.data += n;
        text.len -= n;
    }
}


static int
find_matches(approval_find_t *f, json_t *event)
{
    size_t           i;
    const char      *value;
    approval_str_t   wanted[3];
    const char      *names[] = { "action_id", "grant", "digest" };

    wanted[0] = approval_str(f->id);
    wanted[1] = approval_str(f->grant[0] ? f->grant : f->id);
    wanted[2] = approval_buf_str(&f->text);

    for (i = 0; i < 3; i++) {
        value = json_string_value(json_object_get(event, names[i]));

        if (value && approval_str_eq(approval_str(value), wanted[i])) {
            return 1;
        }
    }

    return 0;
}


static int
find_known(approval_find_t *f, const char *id)
{
    size_t   i;
    json_t  *known;

    json_array_foreach(f->ids, i, known) {
        if (strcmp(json_string_value(known), id) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
find_begins(approval_str_t text, const char *begin)
{
    size_t  len;

    len = strlen(begin);

    return text.len >= len && memcmp(text.data, begin, len) == 0;
}
