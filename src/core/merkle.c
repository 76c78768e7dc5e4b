
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The Merkle tree of RFC 6962.
 */


#include "core/merkle.h"

#include <string.h>


static uint64_t approval_merkle_split(uint64_t n);
static int approval_leaves_root(const approval_leaves_t *l, uint64_t start,
    uint64_t n, unsigned char root[APPROVAL_SHA256_LEN]);
static int approval_leaves_walk(const approval_leaves_t *l, uint64_t index,
    uint64_t start, uint64_t n, approval_buf_t *out);


void
approval_merkle_init(approval_merkle_t *m)
{
    m->size = 0;
}


int
approval_merkle_add(approval_merkle_t *m,
    const unsigned char record[APPROVAL_SHA256_LEN])
{
    unsigned       level;
    unsigned char  node[APPROVAL_SHA256_LEN];

    if (approval_merkle_leaf(record, node) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    for (level = 0; m->size & ((uint64_t) 1 << level); level++) {
        if (approval_merkle_node(m->node[level], node, node) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }
    }

    memcpy(m->node[level], node, APPROVAL_SHA256_LEN);
    m->size++;

    return APPROVAL_OK;
}


int
approval_merkle_root(const approval_merkle_t *m,
    unsigned char root[APPROVAL_SHA256_LEN])
{
    unsigned        level, first;
    approval_str_t  empty;

    if (m->size == 0) {
        empty.len = 0;
        empty.data = (const unsigned char *) "";

        return approval_sha256(empty, root);
    }

    first = 1;

    for (level = 0; level < APPROVAL_MERKLE_LEVELS; level++) {

        if ((m->size & ((uint64_t) 1 << level)) == 0) {
            continue;
        }

        if (first) {
            memcpy(root, m->node[level], APPROVAL_SHA256_LEN);
            first = 0;
            continue;
        }

        if (approval_merkle_node(m->node[level], root, root) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }
    }

    return APPROVAL_OK;
}


int
approval_merkle_leaf(const unsigned char record[APPROVAL_SHA256_LEN],
    unsigned char leaf[APPROVAL_SHA256_LEN])
{
    unsigned char   text[1 + APPROVAL_SHA256_LEN];
    approval_str_t  s;

    text[0] = 0;
    memcpy(text + 1, record, APPROVAL_SHA256_LEN);

    s.data = text;
    s.len = sizeof(text);

    return approval_sha256(s, leaf);
}


int
approval_merkle_node(const unsigned char left[APPROVAL_SHA256_LEN],
    const unsigned char right[APPROVAL_SHA256_LEN],
    unsigned char node[APPROVAL_SHA256_LEN])
{
    unsigned char   text[1 + 2 * APPROVAL_SHA256_LEN];
    approval_str_t  s;

    text[0] = 1;
    memcpy(text + 1, left, APPROVAL_SHA256_LEN);
    memcpy(text + 1 + APPROVAL_SHA256_LEN, right, APPROVAL_SHA256_LEN);

    s.data = text;
    s.len = sizeof(text);

    return approval_sha256(s, node);
}


void
approval_leaves_init(approval_leaves_t *l)
{
    size_t  i;

    for (i = 0; i < APPROVAL_MERKLE_LEVELS; i++) {
        approval_buf_init(&l->level[i]);
    }
}


void
approval_leaves_free(approval_leaves_t *l)
{
    size_t  i;

    for (i = 0; i < APPROVAL_MERKLE_LEVELS; i++) {
        approval_buf_free(&l->level[i]);
    }
}


int
approval_leaves_add(approval_leaves_t *l,
    const unsigned char record[APPROVAL_SHA256_LEN])
{
    size_t           i;
    unsigned char    node[APPROVAL_SHA256_LEN];
    approval_buf_t  *level;

    if (approval_merkle_leaf(record, node) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    for (i = 0; i < APPROVAL_MERKLE_LEVELS; i++) {
        level = &l->level[i];

        approval_buf_add(level, node, APPROVAL_SHA256_LEN);

        if (level->failed) {
            return APPROVAL_ERROR;
        }

        if (level->len / APPROVAL_SHA256_LEN % 2) {
            break;
        }

        if (approval_merkle_node(level->data + level->len
                                 - 2 * APPROVAL_SHA256_LEN, node, node)
            != APPROVAL_OK)
        {
            return APPROVAL_ERROR;
        }
    }

    return APPROVAL_OK;
}


/* The largest power of two below n > 1. */

static uint64_t
approval_merkle_split(uint64_t n)
{
    uint64_t  k;

    for (k = 1; k < n - k; k *= 2) { /* void */ }

    return k;
}


/* The root of n > 0 leaves from "start", which splits as its tree does. */

static int
approval_leaves_root(const approval_leaves_t *l, uint64_t start, uint64_t n,
    unsigned char root[APPROVAL_SHA256_LEN])
{
    uint64_t       k;
    unsigned       level;
    unsigned char  right[APPROVAL_SHA256_LEN];

    if ((n & (n - 1)) == 0) {
        for (level = 0; ((uint64_t) 1 << level) < n; level++) { /* void */ }

        start = (start >> level) * APPROVAL_SHA256_LEN;

        if (start >= l->level[level].len) {
            return APPROVAL_ERROR;
        }

        memcpy(root, l->level[level].data + start, APPROVAL_SHA256_LEN);
        return APPROVAL_OK;
    }

    k = approval_merkle_split(n);

    if (approval_leaves_root(l, start, k, root) != APPROVAL_OK
        || approval_leaves_root(l, start + k, n - k, right) != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    return approval_merkle_node(root, right, root);
}


static int
approval_leaves_walk(const approval_leaves_t *l, uint64_t index,
    uint64_t start, uint64_t n, approval_buf_t *out)
{
    int            rc;
    uint64_t       k;
    unsigned char  node[APPROVAL_SHA256_LEN];

    if (n == 1) {
        return APPROVAL_OK;
    }

    k = approval_merkle_split(n);

    if (index < k) {
        rc = approval_leaves_walk(l, index, start, k, out);

        if (rc == APPROVAL_OK) {
            rc = approval_leaves_root(l, start + k, n - k, node);
        }

    } else {
        rc = approval_leaves_walk(l, index - k, start + k, n - k, out);

        if (rc == APPROVAL_OK) {
            rc = approval_leaves_root(l, start, k, node);
        }
    }

    if (rc == APPROVAL_OK) {
        approval_buf_add(out, node, APPROVAL_SHA256_LEN);
    }

    return out->failed ? APPROVAL_ERROR : rc;
}


int
approval_leaves_path(const approval_leaves_t *l, uint64_t index,
    uint64_t size, approval_buf_t *out)
{
    if (index >= size || size > l->level[0].len / APPROVAL_SHA256_LEN) {
        return APPROVAL_ERROR;
    }

    return approval_leaves_walk(l, index, 0, size, out);
}


/* RFC 9162, 2.1.3.2 */

int
approval_merkle_verify(const unsigned char record[APPROVAL_SHA256_LEN],
    uint64_t index, uint64_t size, approval_str_t path,
    const unsigned char root[APPROVAL_SHA256_LEN])
{
    int                   rc;
    uint64_t              last;
    const unsigned char  *p, *end;
    unsigned char         node[APPROVAL_SHA256_LEN];

    if (index >= size || path.len % APPROVAL_SHA256_LEN != 0) {
        return APPROVAL_DECLINED;
    }

    if (approval_merkle_leaf(record, node) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    last = size - 1;
    end = path.data + path.len;

    for (p = path.data; p < end; p += APPROVAL_SHA256_LEN) {

        if (last == 0) {
            return APPROVAL_DECLINED;
        }

        if ((index & 1) || index == last) {
            rc = approval_merkle_node(p, node, node);

            while ((index & 1) == 0 && index != 0) {
                index >>= 1;
                last >>= 1;
            }

        } else {
            rc = approval_merkle_node(node, p, node);
        }

        if (rc != APPROVAL_OK) {
            return rc;
        }

        index >>= 1;
        last >>= 1;
    }

    return last == 0 && memcmp(node, root, APPROVAL_SHA256_LEN) == 0
           ? APPROVAL_OK : APPROVAL_DECLINED;
}
