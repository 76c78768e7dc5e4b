
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The Merkle tree of RFC 6962.
 */


#include "core/merkle.h"

#include <string.h>


static int approval_merkle_climb(approval_proof_t *proofs, size_t n,
    uint64_t start, uint64_t middle, const unsigned char *left,
    const unsigned char *right);


void
approval_merkle_init(approval_merkle_t *m)
{
    m->size = 0;
}


int
approval_merkle_add(approval_merkle_t *m,
    const unsigned char record[APPROVAL_SHA256_LEN])
{
    return approval_merkle_follow(m, record, NULL, 0);
}


/* The subtree that ends with the new leaf merges with its equal on the left. */

int
approval_merkle_follow(approval_merkle_t *m,
    const unsigned char record[APPROVAL_SHA256_LEN], approval_proof_t *proofs,
    size_t n)
{
    unsigned       level;
    uint64_t       end, leaves;
    unsigned char  node[APPROVAL_SHA256_LEN];

    if (approval_merkle_leaf(record, node) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    end = m->size + 1;

    for (level = 0; m->size & ((uint64_t) 1 << level); level++) {

        leaves = (uint64_t) 1 << level;

        if (n && approval_merkle_climb(proofs, n, end - 2 * leaves,
                                       end - leaves, m->node[level], node)
                 != APPROVAL_OK)
        {
            return APPROVAL_ERROR;
        }

        if (approval_merkle_node(m->node[level], node, node) != APPROVAL_OK) {
            return APPROVAL_ERROR;
        }
    }

    memcpy(m->node[level], node, APPROVAL_SHA256_LEN);
    m->size = end;

    return APPROVAL_OK;
}


/*
 * Appends to the path of each leaf from start on the other half of its
 * subtree.
 */

static int
approval_merkle_climb(approval_proof_t *proofs, size_t n, uint64_t start,
    uint64_t middle, const unsigned char *left, const unsigned char *right)
{
    for ( /* void */ ; n && proofs[n - 1].index >= start; n--) {
        approval_buf_add(&proofs[n - 1].path,
                         proofs[n - 1].index >= middle ? left : right,
                         APPROVAL_SHA256_LEN);

        if (proofs[n - 1].path.failed) {
            return APPROVAL_ERROR;
        }
    }

    return APPROVAL_OK;
}


/*
 * The number of hashes that were appended is the height of the leaf's subtree.
 * The smaller subtrees on its right, combined, come next, and then those on
 * its left.
 */

int
approval_merkle_path(const approval_merkle_t *m, const approval_proof_t *p,
    approval_buf_t *out)
{
    unsigned       i, level, some;
    unsigned char  right[APPROVAL_SHA256_LEN];

    level = (unsigned) (p->path.len / APPROVAL_SHA256_LEN);

    if (p->index >= m->size) {
        return APPROVAL_ERROR;
    }

    approval_buf_add(out, p->path.data, p->path.len);

    some = 0;

    for (i = 0; i < APPROVAL_MERKLE_LEVELS; i++) {

        if (i == level) {
            if (some) {
                approval_buf_add(out, right, APPROVAL_SHA256_LEN);
            }

            continue;
        }

        if ((m->size & ((uint64_t) 1 << i)) == 0) {
            continue;
        }

        if (i > level) {
            approval_buf_add(out, m->node[i], APPROVAL_SHA256_LEN);

        } else if (!some) {
            memcpy(right, m->node[i], APPROVAL_SHA256_LEN);
            some = 1;

        } else if (approval_merkle_node(m->node[i], right, right)
                   != APPROVAL_OK)
        {
            return APPROVAL_ERROR;
        }
    }

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


void
approval_merkle_text(const approval_merkle_t *m, approval_buf_t *out)
{
    unsigned       i, some;
    unsigned char  hex[2 * APPROVAL_SHA256_LEN];

    some = 0;

    for (i = 0; i < APPROVAL_MERKLE_LEVELS; i++) {

        if ((m->size & ((uint64_t) 1 << i)) == 0) {
            continue;
        }

        if (some++) {
            approval_buf_addc(out, ' ');
        }

        (void) approval_hex_encode(hex, m->node[i], APPROVAL_SHA256_LEN);
        approval_buf_add(out, hex, sizeof(hex));
    }
}


int
approval_merkle_read(approval_merkle_t *m, uint64_t size, approval_str_t text)
{
    size_t          want;
    unsigned        i;
    approval_str_t  hex;

    want = 0;

    for (i = 0; i < APPROVAL_MERKLE_LEVELS; i++) {

        if ((size & ((uint64_t) 1 << i)) == 0) {
            continue;
        }

        hex.data = text.data + want;
        hex.len = 2 * APPROVAL_SHA256_LEN;

        if (text.len < want + hex.len
            || approval_hex_decode(m->node[i], hex) != APPROVAL_SHA256_LEN
            || (want && text.data[want - 1] != ' '))
        {
            return APPROVAL_DECLINED;
        }

        want += hex.len + 1;
    }

    if (size == 0 || text.len != want - 1) {
        return APPROVAL_DECLINED;
    }

    m->size = size;

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
