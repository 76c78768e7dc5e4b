
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Exports excerpts of the trail with their proofs.
 */


#include "core/export.h"

#include "core/csv.h"
#include "core/keys.h"

#include <stdlib.h>
#include <string.h>


/*
 * The number of records of a writer that may wait for its next checkpoint.  A
 * writer signs every 100 records; a writer without a key never signs.
 */

#define APPROVAL_EXPORT_WAITING  256

/*
 * A writer that was killed leaves no "close" record.  If there are too many
 * writers, the one whose last record is oldest is dropped.
 */

#define APPROVAL_EXPORT_WRITERS  1024


typedef struct export_writer_s  export_writer_t;

struct export_writer_s {
    export_writer_t       *next;
    char                   id[APPROVAL_WRITER_LEN];
    uint64_t               seq;
    approval_merkle_t      tree;

    approval_proof_t       proofs[APPROVAL_EXPORT_WAITING];
    approval_buf_t         texts[APPROVAL_EXPORT_WAITING];
    json_t                *alone[APPROVAL_EXPORT_WAITING];
    size_t                 waiting;

    unsigned               rooted:1;     /* the tree is complete */
    unsigned               closed:1;
};


struct approval_export_s {
    approval_wanted_t      wanted;
    approval_find_t       *find;         /* for wanted.of, or NULL */
    approval_signer_t     *keys;
    export_writer_t       *writers;      /* most recent first      */
    size_t                 nwriters;
    uint64_t               taken;
    size_t                 waiting;      /* of all writers         */
    approval_checkpoint_t  checkpoint;   /* scratch                */
};


static export_writer_t *export_writer(approval_export_t *e, json_t *event,
    approval_buf_t *out);
static int export_forget(approval_export_t *e, approval_buf_t *out);
static void export_writer_free(approval_export_t *e, export_writer_t *w);
static int export_follows(approval_export_t *e, export_writer_t *w,
    json_t *event, uint64_t seq, approval_buf_t *out);
static int export_wanted(approval_export_t *e, json_t *event);
static int export_wait(approval_export_t *e, export_writer_t *w,
    uint64_t seq, json_t *alone, approval_buf_t *text, approval_buf_t *out);
static int export_signed(approval_export_t *e, json_t *event);
static int export_checkpoint(approval_export_t *e, export_writer_t *w,
    json_t *event, approval_buf_t *out);
static int export_flush(approval_export_t *e, export_writer_t *w,
    json_t *note, approval_buf_t *out);
static void export_shift(approval_export_t *e, export_writer_t *w, size_t n);
static void export_text(approval_export_t *e, approval_str_t line,
    json_t *event, approval_buf_t *text);
static int export_bare(approval_export_t *e, const approval_buf_t *text,
    json_t *alone, approval_buf_t *out);
static int export_line(approval_export_t *e, const approval_buf_t *text,
    const approval_merkle_t *tree, const approval_proof_t *p, json_t *note,
    approval_buf_t *out);
static int export_jsonl(const approval_buf_t *text, uint64_t index,
    uint64_t size, const approval_buf_t *path, json_t *note,
    approval_buf_t *out);


int
approval_wanted_time(approval_str_t text, char time[APPROVAL_TIME_LEN + 1])
{
    int             rc;
    int64_t         ms;
    approval_buf_t  full;

    approval_buf_init(&full);
    approval_buf_add(&full, text.data, text.len);

    if (text.len == sizeof("2026-01-02") - 1) {
        approval_buf_adds(&full, "T00:00:00Z");
    }

    rc = APPROVAL_ERROR;

    if (!full.failed) {
        rc = approval_time_parse(approval_buf_str(&full), &ms);

        if (rc == APPROVAL_OK) {
            approval_time_format(time, ms);
        }
    }

    approval_buf_free(&full);

    return rc;
}


int
approval_wanted_format(approval_str_t text, approval_export_e *format)
{
    if (approval_str_eq(text, approval_str("jsonl"))) {
        *format = APPROVAL_EXPORT_JSONL;
        return APPROVAL_OK;
    }

    if (approval_str_eq(text, approval_str("csv"))) {
        *format = APPROVAL_EXPORT_CSV;
        return APPROVAL_OK;
    }

    return APPROVAL_DECLINED;
}


int
approval_wanted_nothing(const approval_wanted_t *wanted)
{
    return wanted->since[0] && wanted->until[0]
           && strcmp(wanted->since, wanted->until) >= 0;
}


approval_export_t *
approval_export_create(const approval_wanted_t *wanted,
    approval_signer_t *keys)
{
    approval_export_t  *e;

    e = calloc(1, sizeof(approval_export_t));

    if (e == NULL) {
        return NULL;
    }

    e->wanted = *wanted;
    e->keys = keys;

    if (wanted->of[0]) {
        e->find = approval_find_create(approval_str(wanted->of));

        if (e->find == NULL) {
            free(e);
            return NULL;
        }
    }

    return e;
}


void
approval_export_destroy(approval_export_t *e)
{
    if (e == NULL) {
        return;
    }

    while (e->writers) {
        export_writer_free(e, e->writers);
    }

    approval_find_destroy(e->find);

    free(e);
}


void
approval_export_begin(approval_export_t *e, approval_buf_t *out)
{
    if (e->wanted.format == APPROVAL_EXPORT_CSV) {
        approval_csv_head(out);
    }
}


int
approval_export_record(approval_export_t *e, approval_str_t line,
    json_t *event, const unsigned char hash[APPROVAL_SHA256_LEN],
    approval_buf_t *out)
{
    int               rc, follows, wanted;
    json_t           *alone;
    uint64_t          seq;
    const char       *type;
    approval_buf_t    text;
    export_writer_t  *w;

    w = export_writer(e, event, out);
    if (w == NULL) {
        return APPROVAL_ERROR;
    }

    seq = (uint64_t) json_integer_value(json_object_get(event, "seq"));
    type = json_string_value(json_object_get(event, "type"));
    type = type ? type : "";

    follows = export_follows(e, w, event, seq, out);
    wanted = export_wanted(e, event);

    if (wanted < 0) {
        return APPROVAL_ERROR;
    }

    alone = ((w->waiting || wanted) && strcmp(type, "checkpoint") == 0
             && export_signed(e, event))
            ? json_object_get(event, "checkpoint") : NULL;

    if (follows && alone && export_checkpoint(e, w, event, out) != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    rc = APPROVAL_OK;

    if (wanted) {
        e->taken++;

        approval_buf_init(&text);
        export_text(e, line, event, &text);

        rc = follows ? export_wait(e, w, seq, alone, &text, out)
                     : export_bare(e, &text, alone, out);

        approval_buf_free(&text);
    }

    if (rc != APPROVAL_OK
        || (follows && approval_merkle_follow(&w->tree, hash, w->proofs,
                                              w->waiting)
                       != APPROVAL_OK))
    {
        return APPROVAL_ERROR;
    }

    if (strcmp(type, "close") == 0) {
        w->closed = 1;

    } else if (w->closed && strcmp(type, "checkpoint") == 0) {
        rc = export_flush(e, w, NULL, out);
        export_writer_free(e, w);
    }

    return out->failed ? APPROVAL_ERROR : rc;
}


static export_writer_t *
export_writer(approval_export_t *e, json_t *event, approval_buf_t *out)
{
    const char        *id;
    export_writer_t   *w, **p;

    id = json_string_value(json_object_get(event, "writer"));

    for (p = &e->writers; *p; p = &(*p)->next) {
        w = *p;

        if (memcmp(w->id, id, APPROVAL_WRITER_LEN) == 0) {
            *p = w->next;
            w->next = e->writers;
            e->writers = w;
            return w;
        }
    }

    if (e->nwriters == APPROVAL_EXPORT_WRITERS
        && export_forget(e, out) != APPROVAL_OK)
    {
        return NULL;
    }

    w = calloc(1, sizeof(export_writer_t));
    if (w == NULL) {
        return NULL;
    }

    memcpy(w->id, id, APPROVAL_WRITER_LEN);
    approval_merkle_init(&w->tree);

    w->next = e->writers;
    e->writers = w;
    e->nwriters++;

    return w;
}


static int
export_forget(approval_export_t *e, approval_buf_t *out)
{
    int               rc;
    export_writer_t  *w;

    for (w = e->writers; w->next; w = w->next) { /* void */ }

    rc = export_flush(e, w, NULL, out);
    export_writer_free(e, w);

    return rc;
}


static void
export_writer_free(approval_export_t *e, export_writer_t *w)
{
    export_writer_t  **p;

    export_shift(e, w, w->waiting);

    for (p = &e->writers; *p != w; p = &(*p)->next) { /* void */ }

    *p = w->next;
    e->nwriters--;

    free(w);
}


/*
 * Returns 1 if the record continues the writer's tree, and the tree is
 * complete, so that proofs are possible.  The first record after a rotation
 * contains the tree of all records before it.  That tree is trusted only when a
 * signed checkpoint has the same root.
 */

static int
export_follows(approval_export_t *e, export_writer_t *w, json_t *event,
    uint64_t seq, approval_buf_t *out)
{
    json_t          *tree;
    approval_str_t   text;

    if (w->seq && seq <= w->seq) {
        return 0;
    }

    if (seq == w->seq + 1) {
        w->rooted |= (seq == 1);

    } else {
        (void) export_flush(e, w, NULL, out);

        tree = json_object_get(event, "tree");
        text.data = (const unsigned char *) json_string_value(tree);
        text.len = json_string_length(tree);

        w->rooted = text.data
                    && approval_merkle_read(&w->tree, seq - 1, text)
                       == APPROVAL_OK;
    }

    w->seq = seq;

    return w->rooted;
}


static int
export_wanted(approval_export_t *e, json_t *event)
{
    const char         *time, *id;
    approval_wanted_t  *wanted;

    wanted = &e->wanted;

    time = json_string_value(json_object_get(event, "time"));
    id = json_string_value(json_object_get(event, "action_id"));

    time = time ? time : "";

    if ((wanted->limit && e->taken >= wanted->limit)
        || (wanted->action[0] && (id == NULL
                                  || strcmp(id, wanted->action) != 0))
        || strcmp(time, wanted->since) < 0
        || (wanted->until[0] && strcmp(time, wanted->until) >= 0))
    {
        return 0;
    }

    return e->find ? approval_find_record(e->find, event) : 1;
}


int
approval_export_full(approval_export_t *e)
{
    return e->wanted.limit && e->taken >= e->wanted.limit && e->waiting == 0;
}


/* Moves the text to the end of the writer's queue. */

static int
export_wait(approval_export_t *e, export_writer_t *w, uint64_t seq,
    json_t *alone, approval_buf_t *text, approval_buf_t *out)
{
    int  rc;

    if (text->failed) {
        return APPROVAL_ERROR;
    }

    rc = APPROVAL_OK;

    if (w->waiting == APPROVAL_EXPORT_WAITING) {
        rc = export_bare(e, &w->texts[0], w->alone[0], out);
        export_shift(e, w, 1);
    }

    w->texts[w->waiting] = *text;
    w->alone[w->waiting] = json_incref(alone);
    w->proofs[w->waiting].index = seq - 1;
    approval_buf_init(&w->proofs[w->waiting].path);

    w->waiting++;
    e->waiting++;

    approval_buf_init(text);

    return rc;
}


/* Removes the first n waiting records. */

static void
export_shift(approval_export_t *e, export_writer_t *w, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        approval_buf_free(&w->texts[i]);
        approval_buf_free(&w->proofs[i].path);
        json_decref(w->alone[i]);
    }

    w->waiting -= n;
    e->waiting -= n;

    memmove(w->texts, w->texts + n, w->waiting * sizeof(w->texts[0]));
    memmove(w->proofs, w->proofs + n, w->waiting * sizeof(w->proofs[0]));
    memmove(w->alone, w->alone + n, w->waiting * sizeof(w->alone[0]));
}


/*
 * Returns 1 if one of the keys signed the checkpoint, and the event is the
 * record in which its writer stored it.
 */

static int
export_signed(approval_export_t *e, json_t *event)
{
    json_t          *note;
    const char      *err;
    approval_str_t   text;

    note = json_object_get(event, "checkpoint");

    text.data = (const unsigned char *) json_string_value(note);
    text.len = json_string_length(note);

    return e->keys && text.data
           && approval_checkpoint_read(e->keys, text, &e->checkpoint, &err)
              == APPROVAL_OK
           && approval_checkpoint_stands(&e->checkpoint, event);
}


static int
export_checkpoint(approval_export_t *e, export_writer_t *w, json_t *event,
    approval_buf_t *out)
{
    unsigned char           root[APPROVAL_SHA256_LEN];
    approval_checkpoint_t  *cp;

    cp = &e->checkpoint;

    if (w->waiting == 0 || cp->head.seq != w->tree.size) {
        return APPROVAL_OK;
    }

    if (approval_merkle_root(&w->tree, root) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    return memcmp(root, cp->root, APPROVAL_SHA256_LEN) == 0
           ? export_flush(e, w, json_object_get(event, "checkpoint"), out)
           : APPROVAL_OK;
}


static int
export_flush(approval_export_t *e, export_writer_t *w, json_t *note,
    approval_buf_t *out)
{
    int     rc;
    size_t  i;

    rc = APPROVAL_OK;

    for (i = 0; rc == APPROVAL_OK && i < w->waiting; i++) {
        rc = note ? export_line(e, &w->texts[i], &w->tree, &w->proofs[i],
                                note, out)
                  : export_bare(e, &w->texts[i], w->alone[i], out);
    }

    export_shift(e, w, w->waiting);

    return rc;
}


int
approval_export_end(approval_export_t *e, approval_buf_t *out)
{
    while (e->writers) {
        if (export_flush(e, e->writers, NULL, out) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }

        export_writer_free(e, e->writers);
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/* Writes the part of the line that does not depend on the proof. */

static void
export_text(approval_export_t *e, approval_str_t line, json_t *event,
    approval_buf_t *text)
{
    if (e->wanted.format == APPROVAL_EXPORT_JSONL) {
        approval_buf_add(text, line.data, line.len);

    } else {
        approval_csv_record(event, text);
    }
}


/*
 * Writes a record without a proof: either a signed checkpoint, which is its own
 * (alone), or a record that no signature covers.
 */

static int
export_bare(approval_export_t *e, const approval_buf_t *text, json_t *alone,
    approval_buf_t *out)
{
    if (text->failed) {
        return APPROVAL_ERROR;
    }

    if (e->wanted.format == APPROVAL_EXPORT_JSONL) {
        approval_buf_adds(out, "{\"proof\":null,\"record\":");
        approval_buf_add(out, text->data, text->len);
        approval_buf_adds(out, alone ? "}\n" : ",\"unauthenticated\":true}\n");

    } else {
        approval_buf_add(out, text->data, text->len);
        approval_csv_proof(0, NULL, alone, out);
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
export_line(approval_export_t *e, const approval_buf_t *text,
    const approval_merkle_t *tree, const approval_proof_t *p, json_t *note,
    approval_buf_t *out)
{
    int             rc;
    size_t          i;
    unsigned char   hex[2 * APPROVAL_SHA256_LEN];
    approval_buf_t  path, names;

    approval_buf_init(&path);
    approval_buf_init(&names);

    rc = approval_merkle_path(tree, p, &path);

    for (i = 0; i < path.len; i += APPROVAL_SHA256_LEN) {
        (void) approval_hex_encode(hex, path.data + i, APPROVAL_SHA256_LEN);

        if (i) {
            approval_buf_addc(&names, ' ');
        }

        approval_buf_add(&names, hex, sizeof(hex));
    }

    if (rc != APPROVAL_OK || path.failed || names.failed || text->failed) {
        rc = APPROVAL_ERROR;

    } else if (e->wanted.format == APPROVAL_EXPORT_JSONL) {
        rc = export_jsonl(text, p->index, tree->size, &names, note, out);

    } else {
        approval_buf_add(out, text->data, text->len);
        approval_csv_proof(tree->size, &names, note, out);
    }

    approval_buf_free(&path);
    approval_buf_free(&names);

    return out->failed ? APPROVAL_ERROR : rc;
}


/* The record is canonical JSON already, so the whole line is canonical. */

static int
export_jsonl(const approval_buf_t *text, uint64_t index, uint64_t size,
    const approval_buf_t *path, json_t *note, approval_buf_t *out)
{
    int      rc;
    json_t  *proof;

    proof = json_pack("{s:I, s:I, s:s%, s:O}",
                      "index", (json_int_t) index,
                      "tree_size", (json_int_t) size,
                      "audit_path",
                      path->len ? (char *) path->data : "", path->len,
                      "checkpoint", note);

    approval_buf_adds(out, "{\"proof\":");

    rc = proof ? approval_json_canonical(proof, out) : APPROVAL_ERROR;

    approval_buf_adds(out, ",\"record\":");
    approval_buf_add(out, text->data, text->len);
    approval_buf_adds(out, "}\n");

    json_decref(proof);

    return rc;
}
