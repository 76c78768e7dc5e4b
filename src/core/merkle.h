
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
 * A tree that only grows: if bit i of size is set, node[i] is the root of the
 * complete subtree of 2^i leaves at the end of the tree so far.
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
 * The audit path of leaf "index" (from 0) while the tree grows: hashes of
 * APPROVAL_SHA256_LEN bytes each, from the leaf up.
 */

typedef struct {
    uint64_t        index;
    approval_buf_t  path;
} approval_proof_t;

/*
 * Like approval_merkle_add(), and updates the paths of the given leaves, which
 * are sorted by index.  The new leaf may be among them.
 */
int approval_merkle_follow(approval_merkle_t *m,
    const unsigned char record[APPROVAL_SHA256_LEN], approval_proof_t *proofs,
    size_t n);

/* Appends to out the whole path of p's leaf in the current tree. */
int approval_merkle_path(const approval_merkle_t *m,
    const approval_proof_t *p, approval_buf_t *out);

/*
 * A tree to continue: its nodes in hex, separated by blanks, the smallest
 * subtree first.  Reading returns APPROVAL_DECLINED if they are not the nodes
 * of a tree of that many leaves.
 */
void approval_merkle_text(const approval_merkle_t *m, approval_buf_t *out);
int approval_merkle_read(approval_merkle_t *m, uint64_t size,
    approval_str_t text);

/* APPROVAL_OK: the path leads from the record at index to root. */
int approval_merkle_verify(const unsigned char record[APPROVAL_SHA256_LEN],
    uint64_t index, uint64_t size, approval_str_t path,
    const unsigned char root[APPROVAL_SHA256_LEN]);


#endif /* APPROVAL_MERKLE_H */
