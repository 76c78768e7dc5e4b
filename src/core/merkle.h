
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
 * The audit path of leaf "index" (from 0), as the tree grows: hashes of
 * APPROVAL_SHA256_LEN bytes each, from the leaf up.
 */

typedef struct {
    uint64_t        index;
    approval_buf_t  path;
} approval_proof_t;

/*
 * approval_merkle_add(), with those leaves whose paths are wanted, in the
 * order of their indexes; the new one is among them or not.
 */
int approval_merkle_follow(approval_merkle_t *m,
    const unsigned char record[APPROVAL_SHA256_LEN], approval_proof_t *proofs,
    size_t n);

/* Appends to out the whole path of p's leaf in the tree as it is. */
int approval_merkle_path(const approval_merkle_t *m,
    const approval_proof_t *p, approval_buf_t *out);

/*
 * A tree to go on with: its nodes in hex, separated by blanks, the smallest
 * subtree first.  Reading gives APPROVAL_DECLINED where they are not those of
 * a tree of so many leaves.
 */
void approval_merkle_text(const approval_merkle_t *m, approval_buf_t *out);
int approval_merkle_read(approval_merkle_t *m, uint64_t size,
    approval_str_t text);

/* APPROVAL_OK: path leads from the record at index to root. */
int approval_merkle_verify(const unsigned char record[APPROVAL_SHA256_LEN],
    uint64_t index, uint64_t size, approval_str_t path,
    const unsigned char root[APPROVAL_SHA256_LEN]);


#endif /* APPROVAL_MERKLE_H */
