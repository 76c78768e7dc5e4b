
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Chains, checkpoints, and what other writers say about them.
 */


#include "core/verify_internal.h"

#include <stdlib.h>
#include <string.h>


static int approval_verify_follows(approval_verify_t *v, approval_writer_t *w,
    const approval_place_t *place, json_t *event, const char *type);
static int approval_verify_continues(approval_verify_t *v,
    approval_writer_t *w, json_t *event);
static void approval_verify_lost(approval_verify_t *v, approval_writer_t *w,
    const approval_place_t *place, json_t *lost);
static void approval_verify_opened(approval_writer_t *w, json_t *key);
static void approval_verify_reached(approval_verify_t *v,
    approval_writer_t *w, const approval_place_t *place);
static int approval_verify_checkpoint(approval_verify_t *v,
    approval_writer_t *w, const approval_place_t *place, json_t *event);
static int approval_verify_cited(approval_verify_t *v,
    const approval_place_t *place);
static void approval_verify_writer_end(approval_verify_t *v,
    approval_writer_t *w);


/* Inserts in the order of seq; those that were passed stay in front. */

int
approval_verify_expect(approval_verify_t *v, const approval_head_t *head,
    approval_expect_e kind, const approval_place_t *place)
{
    size_t              i, size;
    approval_expect_t  *e;
    approval_writer_t  *w;

    w = approval_verify_writer_get(v, head->writer);
    if (w == NULL) {
        return APPROVAL_ERROR;
    }

    if (w->nexpects == w->size) {
        size = w->size ? 2 * w->size : 8;

        e = realloc(w->expects, size * sizeof(approval_expect_t));
        if (e == NULL) {
            v->failed = 1;
            return APPROVAL_ERROR;
        }

        w->expects = e;
        w->size = size;
    }

    for (i = w->nexpects; i > w->passed; i--) {
        if (w->expects[i - 1].point.seq <= head->seq) {
            break;
        }
    }

    e = &w->expects[i];

    memmove(e + 1, e, (w->nexpects - i) * sizeof(approval_expect_t));

    e->point.seq = head->seq;
    memcpy(e->point.hash, head->hash, APPROVAL_SHA256_LEN);
    e->kind = kind;
    e->place = *place;

    w->nexpects++;

    return APPROVAL_OK;
}


/* APPROVAL_DECLINED: not a record of this chain, which has been reported. */

int
approval_verify_chain(approval_verify_t *v, const approval_place_t *place,
    json_t *event, const unsigned char hash[APPROVAL_SHA256_LEN],
    const char *type)
{
    int                 rc;
    uint64_t            seq;
    approval_writer_t  *w;

    w = approval_verify_writer_get(v,
                       json_string_value(json_object_get(event, "writer")));
    if (w == NULL
        || (w->seq == 0 && approval_verify_begin(v, w) != APPROVAL_OK))
    {
        return APPROVAL_ERROR;
    }

    rc = approval_verify_follows(v, w, place, event, type);
    if (rc != APPROVAL_OK) {
        return rc;
    }

    seq = (uint64_t) json_integer_value(json_object_get(event, "seq"));

    if (strcmp(type, "continue") == 0
        && !approval_verify_continues(v, w, event))
    {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "writer %s does not continue from the record "
                              "that it names",
                              w->id);
    }

    if (strcmp(type, "checkpoint") == 0) {
        rc = approval_verify_checkpoint(v, w, place, event);

        if (rc == APPROVAL_ERROR) {
            return rc;
        }

        if (rc == APPROVAL_OK) {
            w->covered = seq;
            v->stats.checkpoints++;
        }
    }

    w->seq = seq;
    memcpy(w->hash, hash, APPROVAL_SHA256_LEN);
    w->place = *place;

    if (w->live && approval_verify_heard(v, w, hash) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    w->ended = strcmp(type, "checkpoint") == 0;

    if (strcmp(type, "close") == 0) {
        w->closed = 1;
        approval_verify_lost(v, w, place, json_object_get(event, "lost"));

    } else if (strcmp(type, "open") == 0) {
        approval_verify_opened(w, json_object_get(event, "key"));
    }

    if (w->passed < w->nexpects) {
        approval_verify_reached(v, w, place);
    }

    if (w->live && w->closed && w->ended && rc == APPROVAL_OK) {
        approval_verify_over(v, w);
    }

    /* after the citing record's own chain, which it may cite */

    if (rc == APPROVAL_OK && strcmp(type, "checkpoint") == 0) {
        return approval_verify_cited(v, place);
    }

    return APPROVAL_OK;
}


/*
 * The chain must continue from the previous record, whose tree the record
 * contains.
 */

static int
approval_verify_continues(approval_verify_t *v, approval_writer_t *w,
    json_t *event)
{
    int               rc;
    char              text[APPROVAL_HEAD_LEN + 1];
    json_t           *tree;
    const char       *previous;
    approval_str_t    want;
    approval_buf_t    nodes;
    approval_head_t   head;

    memcpy(head.writer, w->id, APPROVAL_WRITER_LEN);
    head.seq = (uint64_t) json_integer_value(json_object_get(event, "seq"))
               - 1;
    (void) approval_hex_decode(head.hash, approval_str(
                       json_string_value(json_object_get(event, "prev"))));
    (void) approval_head_text(&head, text);

    previous = json_string_value(json_object_get(event, "previous"));

    if (previous == NULL || strcmp(previous, text) != 0) {
        return 0;
    }

    tree = json_object_get(event, "tree");
    want.data = (const unsigned char *) json_string_value(tree);
    want.len = json_string_length(tree);

    /* empty if the gateway had no memory for it */

    if (want.len == 0 || w->partial || w->live == NULL
        || w->live->tree.size != head.seq)
    {
        return json_is_string(tree);
    }

    approval_buf_init(&nodes);
    approval_merkle_text(&w->live->tree, &nodes);

    rc = approval_str_eq(want, approval_buf_str(&nodes));

    if (nodes.failed) {
        v->failed = 1;
    }

    approval_buf_free(&nodes);

    return rc;
}


/*
 * Records that could not be written until the worker ended, e.g. to a full
 * disk.
 */

static void
approval_verify_lost(approval_verify_t *v, approval_writer_t *w,
    const approval_place_t *place, json_t *lost)
{
    if (json_integer_value(lost) > 0) {
        approval_verify_found(v, APPROVAL_FOUND_INCOMPLETE, place,
                              "writer %s could not write %llu records", w->id,
                              (unsigned long long) json_integer_value(lost));
    }
}


/* A worker has one key from its start to its end. */

static void
approval_verify_opened(approval_writer_t *w, json_t *key)
{
    w->keyed = 1;

    if (json_string_length(key) == APPROVAL_KID_LEN) {
        memcpy(w->kid, json_string_value(key), APPROVAL_KID_LEN);
    }
}


static int
approval_verify_follows(approval_verify_t *v, approval_writer_t *w,
    const approval_place_t *place, json_t *event, const char *type)
{
    uint64_t        seq;
    approval_str_t  prev;
    unsigned char   hash[APPROVAL_SHA256_LEN];

    seq = (uint64_t) json_integer_value(json_object_get(event, "seq"));

    prev.data = (const unsigned char *)
                    json_string_value(json_object_get(event, "prev"));
    prev.len = 2 * APPROVAL_SHA256_LEN;

    (void) approval_hex_decode(hash, prev);

    if (w->seq == 0) {
        v->stats.writers++;

        if (seq != 1) {
            w->partial = 1;
            v->partial = 1;

            approval_verify_found(v, APPROVAL_FOUND_INCOMPLETE, place,
                                  "writer %s starts with record %llu: the "
                                  "records before it are missing", w->id,
                                  (unsigned long long) seq);
            return APPROVAL_OK;
        }

        if (strcmp(type, "open") != 0) {
            approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                                  "writer %s does not start with an \"open\" "
                                  "record", w->id);
        }

    } else if (seq <= w->seq) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "record %llu of writer %s follows record %llu: "
                              "it was copied or moved, or the log was forked",
                              (unsigned long long) seq, w->id,
                              (unsigned long long) w->seq);
        return APPROVAL_DECLINED;

    } else if (seq != w->seq + 1) {
        w->partial = 1;

        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "records %llu to %llu of writer %s are missing",
                              (unsigned long long) w->seq + 1,
                              (unsigned long long) seq - 1, w->id);
        return APPROVAL_OK;
    }

    if (memcmp(hash, w->hash, APPROVAL_SHA256_LEN) != 0) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "record %llu of writer %s does not continue the "
                              "record before it: its \"prev\" is not that "
                              "record's hash",
                              (unsigned long long) seq, w->id);
    }

    if (w->seq && strcmp(type, "open") == 0) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "writer %s starts a second time", w->id);
    }

    if (w->closed && strcmp(type, "checkpoint") != 0) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "writer %s continues after its \"close\" record",
                              w->id);
    }

    return APPROVAL_OK;
}


static void
approval_verify_reached(approval_verify_t *v, approval_writer_t *w,
    const approval_place_t *place)
{
    size_t              len;
    approval_expect_t  *e;

    for ( /* void */ ; w->passed < w->nexpects; w->passed++) {
        e = &w->expects[w->passed];

        if (e->point.seq > w->seq) {
            return;
        }

        if (e->point.seq < w->seq) {
            continue;
        }

        len = e->kind == APPROVAL_EXPECT_TOLD ? APPROVAL_HEAD_HASH / 2
                                              : APPROVAL_SHA256_LEN;

        if (memcmp(e->point.hash, w->hash, len) != 0) {
            approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                                  "record %llu of writer %s is not the one "
                                  "that %s:%lu refers to",
                                  (unsigned long long) w->seq, w->id,
                                  e->place.file, e->place.line);
            continue;
        }

        /* a citation by others can contradict, but it does not authenticate */

        if (e->kind == APPROVAL_EXPECT_SIGNED && w->covered < w->seq) {
            w->covered = w->seq;
        }
    }
}


/*
 * A checkpoint covers all records before it, and contains no statement of its
 * own.
 */

static int
approval_verify_checkpoint(approval_verify_t *v, approval_writer_t *w,
    const approval_place_t *place, json_t *event)
{
    int                     rc;
    json_t                 *text;
    const char             *err;
    unsigned char           root[APPROVAL_SHA256_LEN];
    approval_str_t          note;
    approval_live_t        *live;
    approval_checkpoint_t  *cp;

    cp = &v->checkpoint;
    text = json_object_get(event, "checkpoint");

    note.data = (const unsigned char *) json_string_value(text);
    note.len = json_string_length(text);

    err = "the checkpoint is malformed";

    rc = note.data && v->keys
         ? approval_checkpoint_read(v->keys, note, cp, &err)
         : APPROVAL_DECLINED;

    if (rc == APPROVAL_OK) {
        rc = APPROVAL_DECLINED;

        if (w->keyed && !approval_str_eq(approval_signer_kid(cp->signer),
                                         approval_str(w->kid)))
        {
            err = "the checkpoint is not signed with the key that its writer "
                  "started with";

        } else if (!approval_checkpoint_stands(cp, event)) {
            err = "the checkpoint belongs to another record";

        } else if (w->partial || w->live == NULL) {
            rc = APPROVAL_OK;

        } else if (approval_merkle_root(&w->live->tree, root) != APPROVAL_OK) {
            v->failed = 1;
            return APPROVAL_ERROR;

        } else if (memcmp(cp->root, root, APPROVAL_SHA256_LEN) != 0) {
            err = "the checkpoint's root does not match the records before it";

        } else {
            rc = APPROVAL_OK;
        }
    }

    if (rc != APPROVAL_OK) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place, "%s", err);
        return APPROVAL_DECLINED;
    }

    live = w->live;

    if (live) {
        live->points[live->npoints++ % APPROVAL_VERIFY_POINTS]
            = live->recent[w->seq % APPROVAL_VERIFY_RECENT];
    }

    return APPROVAL_OK;
}


/* Checks the records of other writers that a verified checkpoint cites. */

static int
approval_verify_cited(approval_verify_t *v, const approval_place_t *place)
{
    size_t                   i;
    approval_head_t         *peer;
    approval_writer_t       *w;
    const approval_point_t  *p;

    for (i = 0; i < v->checkpoint.npeers; i++) {
        peer = &v->checkpoint.peers[i];

        w = approval_verify_writer(v, peer->writer);

        if (w == NULL || w->seq < peer->seq) {
            if (approval_verify_expect(v, peer, APPROVAL_EXPECT_PEER, place)
                != APPROVAL_OK)
            {
                return APPROVAL_ERROR;
            }

            continue;
        }

        p = approval_verify_point(w, peer->seq);

        if (p && memcmp(p->hash, peer->hash, APPROVAL_SHA256_LEN) != 0) {
            approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                                  "this checkpoint refers to another record "
                                  "%llu of writer %s",
                                  (unsigned long long) peer->seq, w->id);
        }
    }

    return APPROVAL_OK;
}


/*
 * Reports a clock that was set back.  Records that are marked "late" keep the
 * time of their event, so they are skipped.
 */

void
approval_verify_clock(approval_verify_t *v, const approval_place_t *place,
    json_t *event, int64_t ms)
{
    approval_writer_t  *w;

    w = approval_verify_writer(v,
                       json_string_value(json_object_get(event, "writer")));

    if (json_is_true(json_object_get(event, "late"))) {
        return;
    }

    if (ms < w->time - APPROVAL_VERIFY_CLOCK) {
        approval_verify_found(v, APPROVAL_FOUND_NOTE, place,
                              "the clock of writer %s was set back by %llu s",
                              w->id,
                              (unsigned long long) (w->time - ms) / 1000);
    }

    w->time = ms;
}


void
approval_verify_chains_end(approval_verify_t *v)
{
    size_t              i;
    approval_writer_t  *w;

    for (i = 0; i < APPROVAL_VERIFY_BUCKETS; i++) {
        for (w = v->writers[i]; w; w = w->next) {
            approval_verify_writer_end(v, w);
        }
    }
}


static void
approval_verify_writer_end(approval_verify_t *v, approval_writer_t *w)
{
    approval_expect_t  *e;

    if (w->passed < w->nexpects) {
        e = &w->expects[w->nexpects - 1];

        if (w->seq == 0) {
            approval_verify_found(v, APPROVAL_FOUND_INCOMPLETE, &e->place,
                                  "writer %s is missing, although this refers "
                                  "to its record %llu", w->id,
                                  (unsigned long long) e->point.seq);

        } else {
            approval_verify_found(v, APPROVAL_FOUND_INCOMPLETE, &w->place,
                                  "writer %s ends with record %llu: its "
                                  "record %llu, to which %s:%lu refers, is "
                                  "missing", w->id,
                                  (unsigned long long) w->seq,
                                  (unsigned long long) e->point.seq,
                                  e->place.file, e->place.line);
        }
    }

    if (w->seq == 0) {
        return;
    }

    if (w->seq > w->covered) {
        approval_verify_found(v, APPROVAL_FOUND_UNAUTHENTICATED, &w->place,
                              "records %llu to %llu of writer %s are not "
                              "covered by a checkpoint: no signature proves "
                              "that they are genuine",
                              (unsigned long long) w->covered + 1,
                              (unsigned long long) w->seq, w->id);
    }

    if (w->closed && !w->ended) {
        approval_verify_found(v, APPROVAL_FOUND_INCOMPLETE, &w->place,
                              "writer %s is closed, but its last checkpoint "
                              "is missing", w->id);
    }

    if (!w->closed) {
        v->unclosed++;
        approval_verify_found(v, APPROVAL_FOUND_NOTE, &w->place,
                              "writer %s has no \"close\" record: it was "
                              "killed, is still running, or continues in "
                              "another file",
                              w->id);
    }
}
