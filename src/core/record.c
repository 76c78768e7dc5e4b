
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Creating and reading audit records.
 */


#include "core/readable.h"
#include "core/record.h"

#include <string.h>


#define APPROVAL_RECORD_DOMAIN  "approval-record-v1\n"
#define APPROVAL_RECORD_TRIES   1000
#define APPROVAL_HASH_HEX       (2 * APPROVAL_SHA256_LEN)

/* {"hash":"..."} without its braces; members that follow it always exist. */
#define APPROVAL_HASH_NAME      "\"hash\":\""
#define APPROVAL_HASH_HEAD      (sizeof(APPROVAL_HASH_NAME) - 1)
#define APPROVAL_HASH_MEMBER    (APPROVAL_HASH_HEAD + APPROVAL_HASH_HEX + 2)


static int approval_record_complete(const approval_chain_t *c,
    json_t *event);
static int approval_record_hash(approval_str_t line, size_t *at,
    unsigned char hash[APPROVAL_SHA256_LEN]);
static const unsigned char *approval_record_find(approval_str_t line);
static const unsigned char *approval_record_string(const unsigned char *p,
    const unsigned char *last);
static const char *approval_record_members(json_t *event);
static int approval_record_hex(json_t *event, const char *name, size_t len);


enum {
    APPROVAL_ACT = 0,
    APPROVAL_FACT
};

static const struct {
    const char  *name;
    int          kind;
} approval_record_types[] = {
#define AUDIT_RECORD(name, text, judged, kind)  { text, APPROVAL_##kind },
#include "model/audit.def"
};


const char *
approval_record_name(approval_record_e type)
{
    return approval_record_types[type].name;
}


approval_record_e
approval_record_type(const char *name)
{
    approval_record_e  type;

    for (type = 0; type < APPROVAL_RECORD_TYPES; type++) {
        if (strcmp(name, approval_record_types[type].name) == 0) {
            break;
        }
    }

    return type;
}


int
approval_record_fact(approval_record_e type)
{
    return approval_record_types[type].kind == APPROVAL_FACT;
}


int
approval_chain_init(approval_chain_t *c)
{
    memset(c, 0, sizeof(approval_chain_t));

    c->seq = 1;

    return approval_id(c->writer);
}


int
approval_chain_append(const approval_chain_t *c, json_t *event,
    unsigned char hash[APPROVAL_SHA256_LEN], approval_buf_t *out)
{
    size_t          start, at;
    json_t         *value;
    unsigned char   hex[APPROVAL_HASH_HEX];
    approval_str_t  line;

    /* A record that could not be read would break the chain forever. */

    if (out->failed || !json_is_object(event)
        || !approval_json_readable(event)
        || approval_record_complete(c, event) != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    start = out->len;

    if (approval_json_canonical(event, out) != APPROVAL_OK || out->failed) {
        goto failed;
    }

    line.data = out->data + start;
    line.len = out->len - start;

    if (approval_record_hash(line, &at, hash) != APPROVAL_OK) {
        goto failed;
    }

    (void) approval_hex_encode(hex, hash, APPROVAL_SHA256_LEN);

    value = json_stringn((char *) hex, APPROVAL_HASH_HEX);
    if (json_object_set_new(event, "hash", value) != 0) {
        goto failed;
    }

    memcpy(out->data + start + at + APPROVAL_HASH_HEAD, hex, sizeof(hex));

    approval_buf_addc(out, '\n');
    if (out->failed) {
        goto failed;
    }

    return APPROVAL_OK;

failed:

    out->len = start;

    return APPROVAL_ERROR;
}


void
approval_chain_commit(approval_chain_t *c,
    const unsigned char hash[APPROVAL_SHA256_LEN])
{
    memcpy(c->prev, hash, APPROVAL_SHA256_LEN);
    c->seq++;
}


/*
 * A member "hash" of zeros keeps the place, so that the canonical form is
 * computed only once.
 */

static int
approval_record_complete(const approval_chain_t *c, json_t *event)
{
    unsigned char  prev[APPROVAL_HASH_HEX], zeros[APPROVAL_HASH_HEX];

    (void) approval_hex_encode(prev, c->prev, APPROVAL_SHA256_LEN);
    memset(zeros, '0', sizeof(zeros));

    if (json_object_set_new(event, "writer",
                            json_stringn(c->writer, APPROVAL_WRITER_LEN))
        || json_object_set_new(event, "seq",
                               json_integer((json_int_t) c->seq))
        || json_object_set_new(event, "prev",
                               json_stringn((char *) prev, sizeof(prev)))
        || json_object_set_new(event, "hash",
                               json_stringn((char *) zeros, sizeof(zeros))))
    {
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


/*
 * The hash of a canonical line without its "hash" member, whose position
 * becomes *at.  Members always follow it: "prev", "seq" and "writer".
 */

static int
approval_record_hash(approval_str_t line, size_t *at,
    unsigned char hash[APPROVAL_SHA256_LEN])
{
    int                   rc;
    approval_buf_t        text;
    const unsigned char  *p, *rest, *last;

    last = line.data + line.len;

    p = approval_record_find(line);
    if (p == NULL || (size_t) (last - p) <= APPROVAL_HASH_MEMBER) {
        return APPROVAL_DECLINED;
    }

    rest = p + APPROVAL_HASH_MEMBER;

    if (rest[-2] != '"' || rest[-1] != ',') {
        return APPROVAL_DECLINED;
    }

    *at = p - line.data;

    approval_buf_init(&text);
    approval_buf_adds(&text, APPROVAL_RECORD_DOMAIN);
    approval_buf_add(&text, line.data, *at);
    approval_buf_add(&text, rest, last - rest);

    rc = text.failed ? APPROVAL_ERROR
                     : approval_sha256(approval_buf_str(&text), hash);

    approval_buf_free(&text);

    return rc;
}


/*
 * The top-level member "hash" of canonical JSON: there, a string after "{" or
 * "," is a name, and one after ":" is a value.
 */

static const unsigned char *
approval_record_find(approval_str_t line)
{
    unsigned              depth;
    const unsigned char  *p, *last;

    depth = 0;
    last = line.data + line.len;

    for (p = line.data; p < last; p++) {

        switch (*p) {

        case '{':
        case '[':
            depth++;
            break;

        case '}':
        case ']':
            depth--;
            break;

        case '"':
            if (depth == 1 && p[-1] != ':'
                && (size_t) (last - p) > APPROVAL_HASH_HEAD
                && memcmp(p, APPROVAL_HASH_NAME, APPROVAL_HASH_HEAD) == 0)
            {
                return p;
            }

            p = approval_record_string(p, last);
            break;
        }
    }

    return NULL;
}


/* The closing quote of the string that opens at p. */

static const unsigned char *
approval_record_string(const unsigned char *p, const unsigned char *last)
{
    for (p++; p < last && *p != '"'; p++) {
        if (*p == '\\') {
            p++;
        }
    }

    return p;
}


int
approval_record_read(approval_str_t line, json_t **event,
    unsigned char hash[APPROVAL_SHA256_LEN], const char **err)
{
    int             rc;
    size_t          at;
    json_t         *value;
    approval_str_t  text, claimed;
    approval_buf_t  canonical;
    unsigned char   want[APPROVAL_SHA256_LEN];
    unsigned char   hex[APPROVAL_HASH_HEX];

    *event = NULL;
    at = 0;

    if (line.len && line.data[line.len - 1] == '\n') {
        line.len--;
    }

    value = approval_json_parse(line, err);
    if (value == NULL) {
        return APPROVAL_DECLINED;
    }

    *err = approval_record_members(value);
    if (*err != NULL) {
        json_decref(value);
        return APPROVAL_DECLINED;
    }

    approval_buf_init(&canonical);

    rc = approval_json_canonical(value, &canonical);
    text = approval_buf_str(&canonical);

    if (rc != APPROVAL_OK || canonical.failed) {
        rc = APPROVAL_ERROR;
        *err = "no memory for the record";

    } else if (!approval_str_eq(text, line)) {
        rc = APPROVAL_DECLINED;
        *err = "the record is not canonical JSON";

    } else {
        rc = approval_record_hash(line, &at, want);
        *err = "no memory for the record's hash";
    }

    approval_buf_free(&canonical);

    if (rc == APPROVAL_OK) {
        (void) approval_hex_encode(hex, want, APPROVAL_SHA256_LEN);

        text.data = hex;
        text.len = APPROVAL_HASH_HEX;
        claimed.data = line.data + at + APPROVAL_HASH_HEAD;
        claimed.len = APPROVAL_HASH_HEX;

        if (!approval_str_eq(text, claimed)) {
            rc = APPROVAL_DECLINED;
            *err = "the record's hash does not match: the record was changed";
        }
    }

    if (rc != APPROVAL_OK) {
        json_decref(value);
        return rc;
    }

    memcpy(hash, want, APPROVAL_SHA256_LEN);
    *event = value;
    *err = NULL;

    return APPROVAL_OK;
}


int
approval_record_line(approval_str_t *line, json_t **event,
    unsigned char hash[APPROVAL_SHA256_LEN], unsigned *torn, const char **err)
{
    int              rc;
    size_t           i, tries;
    const char      *why;
    approval_str_t   rest;

    *torn = 0;
    *event = NULL;
    *err = NULL;

    if (line->len == 0) {
        *torn = 1;
        return APPROVAL_DECLINED;
    }

    rc = approval_record_read(*line, event, hash, err);

    if (rc != APPROVAL_DECLINED) {
        return rc;
    }

    tries = 0;

    for (i = 1; i + 1 < line->len && tries < APPROVAL_RECORD_TRIES; i++) {

        if (line->data[i] != '{' || line->data[i + 1] != '"') {
            continue;
        }

        tries++;

        rest.data = line->data + i;
        rest.len = line->len - i;

        rc = approval_record_read(rest, event, hash, &why);

        if (rc == APPROVAL_DECLINED) {
            continue;
        }

        if (rc == APPROVAL_OK) {
            *torn = (line->data[0] == '{' && line->data[i - 1] != '}');
            *err = *torn ? NULL : "there are bytes before the record";
            *line = rest;
        }

        return rc;
    }

    if (line->data[0] == '{' && line->data[line->len - 1] != '}') {
        *torn = 1;
        *err = NULL;
    }

    return APPROVAL_DECLINED;
}


static const char *
approval_record_members(json_t *event)
{
    json_t  *seq;

    if (!json_is_object(event)) {
        return "the record is not a JSON object";
    }

    if (!approval_record_hex(event, "hash", APPROVAL_HASH_HEX)) {
        return "the record has no \"hash\" of 64 hex digits";
    }

    if (!approval_record_hex(event, "prev", APPROVAL_HASH_HEX)) {
        return "the record has no \"prev\" of 64 hex digits";
    }

    if (!approval_record_hex(event, "writer", APPROVAL_WRITER_LEN)) {
        return "the record has no \"writer\" of 32 hex digits";
    }

    seq = json_object_get(event, "seq");
    if (!json_is_integer(seq) || json_integer_value(seq) < 1) {
        return "the record has no \"seq\" from 1";
    }

    return NULL;
}


static int
approval_record_hex(json_t *event, const char *name, size_t len)
{
    size_t       i;
    json_t      *value;
    const char  *s;

    value = json_object_get(event, name);

    if (!json_is_string(value) || json_string_length(value) != len) {
        return 0;
    }

    s = json_string_value(value);

    for (i = 0; i < len; i++) {
        if ((s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f')) {
            return 0;
        }
    }

    return 1;
}
