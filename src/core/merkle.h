
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The Merkle tree of RFC 6962 (2.1) over a chain's record hashes.
 */


#ifndef APPROVAL_MERKLE_H
#define APPROVAL_MERKLE_H


#include "core/keys.h"


#define APPROVAL_MERKLE_LEVELS  64


/*
 * A tree that only grows: node[i] is the root of the complete subtree of 2^i
 * leaves that ends the tree so far, where bit i of size is set.
 */

typedef struct {
    uint64_t       size;
    unsigned char  node[APPROVAL_MERKLE_LEVELS][APPROVAL_SHA256_LEN];
} approval_merkle_t;


void approval_merkle_init(approval_merkle_t *m);
int approval_merkle_add(approval_merkle_t *m,
    const unsigned char record[APPROVAL_SHA256_LEN]);
int approval_merkle_root(const approval_merkle_t *m,
    unsigned char root[APPROVAL_SHA256_LEN]);

/* SHA-256(0x00 record) and SHA-256(0x01 left right). */
int approval_merkle_leaf(const unsigned char record[APPROVAL_SHA256_LEN],
    unsigned char leaf[APPROVAL_SHA256_LEN]);
int approval_merkle_node(const unsigned char left[APPROVAL_SHA256_LEN],
    const unsigned char right[APPROVAL_SHA256_LEN],
    unsigned char node[APPROVAL_SHA256_LEN]);

/*
 * A tree whose leaves are all kept, for audit paths: level[i] has the hashes
 * of the complete subtrees of 2^i leaves, one after the other.
 */

typedef struct {
    approval_buf_t  level[APPROVAL_MERKLE_LEVELS];
} approval_leaves_t;

void approval_leaves_init(approval_leaves_t *l);
void approval_leaves_free(approval_leaves_t *l);
int approval_leaves_add(approval_leaves_t *l,
    const unsigned char record[APPROVAL_SHA256_LEN]);

/*
 * Appends the audit path of leaf "index" (from 0) in the tree of the first
 * "size" leaves: hashes of APPROVAL_SHA256_LEN bytes each, from the leaf up.
 */
int approval_leaves_path(const approval_leaves_t *l, uint64_t index,
    uint64_t size, approval_buf_t *out);

/* APPROVAL_OK: path leads from the record at index to root. */
int approval_merkle_verify(const unsigned char record[APPROVAL_SHA256_LEN],
    uint64_t index, uint64_t size, approval_str_t path,
    const unsigned char root[APPROVAL_SHA256_LEN]);


#endif /* APPROVAL_MERKLE_H */
