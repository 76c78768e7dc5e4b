
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The writers known to the verifier, and what it keeps of each.
 */


#include "core/verify_internal.h"

#include <stdlib.h>
#include <string.h>


static void approval_verify_hear(approval_verify_t *v, approval_writer_t *w);
static void approval_verify_unhear(approval_verify_t *v,
    approval_writer_t *w);


/* Hashed, so that the author of a log cannot choose who shares a bucket. */

size_t
approval_verify_bucket(const approval_verify_t *v, const char *id)
{
    size_t    i, k;
    uint64_t  n, word;

    n = 0;

    for (k = 0; k < 2; k++) {
        word = 0;

        for (i = 0; i < 16; i++) {
            word = word << 4 | ((*id & 0x0f) + (*id > '9' ? 9 : 0));
            id++;
        }

        n = (n ^ word) * v->seeds[k];
        n ^= n >> 32;
    }

    return n % APPROVAL_VERIFY_BUCKETS;
}


approval_writer_t *
approval_verify_writer(approval_verify_t *v, const char *id)
{
    approval_writer_t  *w;

    if (v->last && memcmp(v->last->id, id, APPROVAL_WRITER_LEN) == 0) {
        return v->last;
    }

    for (w = v->writers[approval_verify_bucket(v, id)]; w; w = w->next) {
        if (memcmp(w->id, id, APPROVAL_WRITER_LEN) == 0) {
            v->last = w;
            return w;
        }
    }

    return NULL;
}


approval_writer_t *
approval_verify_writer_get(approval_verify_t *v, const char *id)
{
    size_t              i;
    approval_writer_t  *w;

    w = approval_verify_writer(v, id);
    if (w) {
        return w;
    }

    w = calloc(1, sizeof(approval_writer_t));
    if (w == NULL) {
        v->failed = 1;
        return NULL;
    }

    memcpy(w->id, id, APPROVAL_WRITER_LEN);

    i = approval_verify_bucket(v, id);
    w->next = v->writers[i];
    v->writers[i] = w;

    return w;
}


int
approval_verify_begin(approval_verify_t *v, approval_writer_t *w)
{
    w->live = calloc(1, sizeof(approval_live_t));

    if (w->live == NULL) {
        v->failed = 1;
        return APPROVAL_ERROR;
    }

    approval_merkle_init(&w->live->tree);

    if (v->nlive == APPROVAL_VERIFY_LIVE) {
        approval_verify_over(v, v->silent);
    }

    approval_verify_hear(v, w);

    return v->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/*
 * Notes the writer's last record; w->seq and w->hash must already be that
 * record's.
 */

int
approval_verify_heard(approval_verify_t *v, approval_writer_t *w,
    const unsigned char hash[APPROVAL_SHA256_LEN])
{
    approval_point_t  *point;

    if (v->heard != w) {
        approval_verify_unhear(v, w);
        approval_verify_hear(v, w);
    }

    point = &w->live->recent[w->seq % APPROVAL_VERIFY_RECENT];
    point->seq = w->seq;
    memcpy(point->hash, hash, APPROVAL_SHA256_LEN);

    if (!w->partial
        && approval_merkle_add(&w->live->tree, hash) != APPROVAL_OK)
    {
        v->failed = 1;
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


static void
approval_verify_hear(approval_verify_t *v, approval_writer_t *w)
{
    w->before = v->heard;
    w->after = NULL;

    if (v->heard) {
        v->heard->after = w;

    } else {
        v->silent = w;
    }

    v->heard = w;
    v->nlive++;
}


static void
approval_verify_unhear(approval_verify_t *v, approval_writer_t *w)
{
    if (w->before) {
        w->before->after = w->after;

    } else {
        v->silent = w->after;
    }

    if (w->after) {
        w->after->before = w->before;

    } else {
        v->heard = w->before;
    }

    v->nlive--;
}


/*
 * Keeps only a few records of a writer that ended: a log of several years has
 * many such writers, and others cite mostly their last records.
 */

void
approval_verify_over(approval_verify_t *v, approval_writer_t *w)
{
    size_t            i, n;
    approval_live_t  *live;

    live = w->live;

    w->rest = calloc(2 * APPROVAL_VERIFY_REST, sizeof(approval_point_t));

    if (w->rest == NULL) {
        v->failed = 1;
        return;
    }

    for (i = 0; i < APPROVAL_VERIFY_REST; i++) {
        w->rest[i] = live->recent[(w->seq - i) % APPROVAL_VERIFY_RECENT];

        if (i < live->npoints) {
            n = live->npoints - 1 - i;
            w->rest[APPROVAL_VERIFY_REST + i]
                = live->points[n % APPROVAL_VERIFY_POINTS];
        }
    }

    approval_verify_unhear(v, w);

    free(w->live);
    w->live = NULL;
}


const approval_point_t *
approval_verify_point(const approval_writer_t *w, uint64_t seq)
{
    size_t                   i, n;
    const approval_point_t  *p;

    if (w->live == NULL) {
        p = w->rest;
        n = 2 * APPROVAL_VERIFY_REST;

    } else {
        p = &w->live->recent[seq % APPROVAL_VERIFY_RECENT];

        if (p->seq == seq) {
            return p;
        }

        p = w->live->points;
        n = APPROVAL_VERIFY_POINTS;
    }

    for (i = 0; i < n; i++) {
        if (p[i].seq == seq) {
            return &p[i];
        }
    }

    return NULL;
}
