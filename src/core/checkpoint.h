
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Checkpoints: what a writer signs about its chain so far, and what it knows
 * of the others'.  A C2SP signed note over a C2SP checkpoint:
 *
 *     approval-audit/WRITER
 *     SIZE
 *     base64 of the Merkle root of the chain's first SIZE records
 *     time 2026-01-02T03:04:05.678Z
 *     head HASH              of record SIZE, in hex
 *     peer WRITER SEQ HASH   any number: record SEQ of another chain
 *     <blank>
 *     -- approval-audit/WRITER base64(key id, signature)
 *
 * ("--" is U+2014.)
 */


#ifndef APPROVAL_CHECKPOINT_H
#define APPROVAL_CHECKPOINT_H


#include "core/merkle.h"
#include "core/record.h"


#define APPROVAL_CHECKPOINT_PEERS  256
#define APPROVAL_CHECKPOINT_MAX    65536    /* bytes of a note */


/* Record "seq" of a writer's chain. */

typedef struct {
    char                    writer[APPROVAL_WRITER_LEN];
    uint64_t                seq;
    unsigned char           hash[APPROVAL_SHA256_LEN];
} approval_head_t;


typedef struct {
    approval_head_t         head;
    unsigned char           root[APPROVAL_SHA256_LEN];
    char                    time[APPROVAL_TIME_LEN + 1];
    approval_signer_t      *signer;     /* that it verifies with */
    size_t                  npeers;
    approval_head_t         peers[APPROVAL_CHECKPOINT_PEERS];
} approval_checkpoint_t;


/* Appends the signed note. */
int approval_checkpoint_make(approval_signer_t *s,
    const approval_checkpoint_t *c, approval_buf_t *out);

/*
 * Reads a note.  APPROVAL_DECLINED with *err: not in this form, or not signed
 * by s or one behind it.  With s == NULL the signature is not looked at.
 */
int approval_checkpoint_read(approval_signer_t *s, approval_str_t note,
    approval_checkpoint_t *c, const char **err);

/*
 * Is that the record, one that approval_record_read() has read, which the note
 * was made for?  Then it says nothing that is not signed.
 */
int approval_checkpoint_stands(const approval_checkpoint_t *c, json_t *event);

/* WRITER/SEQ/HASH, the hash cut to 32 hex digits: for messages and people. */

#define APPROVAL_HEAD_HASH  32
#define APPROVAL_HEAD_LEN   (APPROVAL_WRITER_LEN + 1 + 20 + 1                 \
                             + APPROVAL_HEAD_HASH)

/* The length without the final NUL is returned. */
size_t approval_head_text(const approval_head_t *h,
    char dst[APPROVAL_HEAD_LEN + 1]);


#endif /* APPROVAL_CHECKPOINT_H */
