
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval-audit check: verifies an excerpt that "export" made.
 */


#include "tools/audit_tools.h"

#include "core/csv.h"

#include <stdlib.h>
#include <string.h>


typedef struct {
    char              id[APPROVAL_WRITER_LEN];
    uint64_t          seq;
} check_writer_t;


typedef struct {
    unsigned long     counts[3];     /* by exit code               */
    unsigned long     gaps;          /* in the numbers of writers  */
    check_writer_t   *writers;
    size_t            nwriters;
} check_t;


static int check_file(approval_options_t *o, const char *name, check_t *c);
static int check_line(approval_options_t *o, approval_str_t text, check_t *c,
    const char **err);
static int check_follows(check_t *c, json_t *record);
static int check_proof(approval_options_t *o, json_t *record, json_t *proof,
    const unsigned char hash[APPROVAL_SHA256_LEN], const char **err);
static int check_alone(approval_options_t *o, json_t *record,
    const char **err);
static int check_note(approval_options_t *o, json_t *note,
    approval_checkpoint_t *cp, const char **err);
static int check_path(json_t *value, approval_buf_t *path);


int
approval_command_check(approval_options_t *o)
{
    int      rc;
    size_t   i;
    check_t  c;

    if (o->nfiles == 0 || o->keys == NULL) {
        fputs("usage: approval-audit check EXCERPT... --key PUB.pem\n",
              stderr);
        return APPROVAL_EXIT_USAGE;
    }

    memset(&c, 0, sizeof(c));
    rc = 0;

    for (i = 0; rc == 0 && i < o->nfiles; i++) {
        rc = check_file(o, o->files[i], &c);
    }

    free(c.writers);

    if (rc != 0) {
        return APPROVAL_EXIT_USAGE;
    }

    printf("%lu records proved, %lu unauthenticated, %lu that do not hold; "
           "%lu writers, %lu gaps\n", c.counts[APPROVAL_EXIT_OK],
           c.counts[APPROVAL_EXIT_INCOMPLETE],
           c.counts[APPROVAL_EXIT_TAMPERED], (unsigned long) c.nwriters,
           c.gaps);

    if (c.counts[APPROVAL_EXIT_TAMPERED]) {
        return APPROVAL_EXIT_TAMPERED;
    }

    return c.counts[APPROVAL_EXIT_INCOMPLETE]
           || c.counts[APPROVAL_EXIT_OK] == 0
           ? APPROVAL_EXIT_INCOMPLETE : APPROVAL_EXIT_OK;
}


static int
check_file(approval_options_t *o, const char *name, check_t *c)
{
    int                rc, more;
    const char        *err;
    unsigned long      number;
    approval_str_t     text;
    approval_line_e    kind;
    approval_lines_t  *lines;

    lines = approval_lines_open(name);
    if (lines == NULL) {
        return -1;
    }

    number = 0;

    while ((more = approval_lines_next(lines, &text, &kind)) == 1) {
        number++;

        if (number == 1 && approval_csv_is_head(text)) {
            fprintf(stderr, "approval-audit: %s is CSV, which cannot be "
                            "checked: use a file that \"export --format "
                            "jsonl\" wrote\n", name);
            more = -1;
            break;
        }

        rc = check_line(o, text, c, &err);

        if (rc == APPROVAL_EXIT_USAGE) {
            fputs("approval-audit: no memory\n", stderr);
            more = -1;
            break;
        }

        if (rc != APPROVAL_EXIT_OK) {
            approval_print(stdout, "%s %s:%lu: %s",
                           rc == APPROVAL_EXIT_TAMPERED ? "tampered"
                                                        : "unauthenticated",
                           name, number, err);
        }

        c->counts[rc]++;
    }

    approval_lines_close(lines);

    return more;
}


static int
check_line(approval_options_t *o, approval_str_t text, check_t *c,
    const char **err)
{
    int             rc;
    json_t         *line, *record, *proof, *event;
    approval_buf_t  out;
    unsigned char   hash[APPROVAL_SHA256_LEN];

    line = approval_json_parse(text, err);
    if (line == NULL) {
        return APPROVAL_EXIT_TAMPERED;
    }

    record = json_object_get(line, "record");
    proof = json_object_get(line, "proof");
    rc = APPROVAL_EXIT_TAMPERED;
    *err = "there is no record";

    approval_buf_init(&out);

    if (record && approval_json_canonical(record, &out) == APPROVAL_OK
        && approval_record_read(approval_buf_str(&out), &event, hash, err)
           == APPROVAL_OK)
    {
        json_decref(event);

        if (json_is_object(proof)) {
            rc = check_proof(o, record, proof, hash, err);

        } else {
            rc = check_alone(o, record, err);
        }

        if (rc != APPROVAL_EXIT_TAMPERED && check_follows(c, record) != 0) {
            rc = APPROVAL_EXIT_USAGE;
        }
    }

    approval_buf_free(&out);
    json_decref(line);

    return rc;
}


/*
 * A proof says nothing about other records.  Gaps in the numbers show whether
 * records in between were left out: by the options of "export", or by whoever
 * passed the excerpt on.
 */

static int
check_follows(check_t *c, json_t *record)
{
    size_t           i;
    uint64_t         seq;
    const char      *id;
    check_writer_t  *w;

    id = json_string_value(json_object_get(record, "writer"));
    seq = (uint64_t) json_integer_value(json_object_get(record, "seq"));

    for (i = 0; i < c->nwriters; i++) {
        if (memcmp(c->writers[i].id, id, APPROVAL_WRITER_LEN) == 0) {
            break;
        }
    }

    if (i < c->nwriters) {
        c->gaps += seq > c->writers[i].seq + 1;
        c->writers[i].seq = seq > c->writers[i].seq ? seq
                                                    : c->writers[i].seq;
        return 0;
    }

    w = realloc(c->writers, (c->nwriters + 1) * sizeof(check_writer_t));
    if (w == NULL) {
        return -1;
    }

    c->writers = w;
    w += c->nwriters++;

    memcpy(w->id, id, APPROVAL_WRITER_LEN);
    w->seq = seq;

    return 0;
}


/* A record without a proof: only checkpoints, which are signed, need none. */

static int
check_alone(approval_options_t *o, json_t *record, const char **err)
{
    int                            rc;
    json_t                        *note;
    static approval_checkpoint_t   cp;

    note = json_object_get(record, "checkpoint");

    if (note == NULL) {
        *err = "the record has no proof, so no signature covers it";
        return APPROVAL_EXIT_INCOMPLETE;
    }

    rc = check_note(o, note, &cp, err);

    if (rc != APPROVAL_OK) {
        return APPROVAL_EXIT_TAMPERED;
    }

    *err = "the checkpoint belongs to another record";

    return approval_checkpoint_stands(&cp, record) ? APPROVAL_EXIT_OK
                                                   : APPROVAL_EXIT_TAMPERED;
}


static int
check_note(approval_options_t *o, json_t *note, approval_checkpoint_t *cp,
    const char **err)
{
    approval_str_t  text;

    text.data = (const unsigned char *) json_string_value(note);
    text.len = json_string_length(note);

    *err = "there is no checkpoint";

    return text.data ? approval_checkpoint_read(o->keys, text, cp, err)
                     : APPROVAL_DECLINED;
}


static int
check_proof(approval_options_t *o, json_t *record, json_t *proof,
    const unsigned char hash[APPROVAL_SHA256_LEN], const char **err)
{
    int                            rc;
    uint64_t                       seq;
    approval_buf_t                 path;
    static approval_checkpoint_t   cp;

    seq = (uint64_t) json_integer_value(json_object_get(record, "seq"));

    rc = check_note(o, json_object_get(proof, "checkpoint"), &cp, err);

    if (rc != APPROVAL_OK) {
        return APPROVAL_EXIT_TAMPERED;
    }

    *err = "the proof belongs to another record or another tree";

    if ((uint64_t) json_integer_value(json_object_get(proof, "index")) + 1
        != seq
        || (uint64_t) json_integer_value(json_object_get(proof, "tree_size"))
           != cp.head.seq)
    {
        return APPROVAL_EXIT_TAMPERED;
    }

    *err = "the proof does not lead to the checkpoint's root";

    if (memcmp(cp.head.writer,
               json_string_value(json_object_get(record, "writer")),
               APPROVAL_WRITER_LEN)
        != 0)
    {
        return APPROVAL_EXIT_TAMPERED;
    }

    approval_buf_init(&path);

    rc = check_path(json_object_get(proof, "audit_path"), &path);

    if (rc == APPROVAL_OK) {
        rc = approval_merkle_verify(hash, seq - 1, cp.head.seq,
                                    approval_buf_str(&path), cp.root);
    }

    approval_buf_free(&path);

    return rc == APPROVAL_OK ? APPROVAL_EXIT_OK : APPROVAL_EXIT_TAMPERED;
}


static int
check_path(json_t *value, approval_buf_t *path)
{
    size_t          len;
    const char     *s;
    unsigned char   hash[APPROVAL_SHA256_LEN];
    approval_str_t  hex;

    s = json_string_value(value);

    if (s == NULL) {
        return APPROVAL_DECLINED;
    }

    for (len = json_string_length(value); len; /* void */ ) {

        if (len < 2 * sizeof(hash)) {
            return APPROVAL_DECLINED;
        }

        hex.data = (const unsigned char *) s;
        hex.len = 2 * sizeof(hash);

        if (approval_hex_decode(hash, hex) != sizeof(hash)) {
            return APPROVAL_DECLINED;
        }

        approval_buf_add(path, hash, sizeof(hash));

        s += hex.len;
        len -= hex.len;

        if (len) {
            if (*s != ' ') {
                return APPROVAL_DECLINED;
            }

            s++;
            len--;
        }
    }

    return path->failed ? APPROVAL_ERROR : APPROVAL_OK;
}
