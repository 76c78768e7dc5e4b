
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Checkpoints.  A writer signs the state of its own chain and the last records
 * that it knows of other chains, as a C2SP signed note over a C2SP checkpoint:
 *
 *     approval-audit/WRITER
 *     SIZE
 *     base64 of the Merkle root of the chain's first SIZE records
 *     time 2026-01-02T03:04:05.678Z
 *     head HASH              hash of record SIZE, in hex
 *     peer WRITER SEQ HASH   hash of record SEQ of another chain; any number
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
    approval_signer_t      *signer;     /* whose key verified it */
    size_t                  npeers;
    approval_head_t         peers[APPROVAL_CHECKPOINT_PEERS];
} approval_checkpoint_t;


/* Appends the signed note. */
int approval_checkpoint_make(approval_signer_t *s,
    const approval_checkpoint_t *c, approval_buf_t *out);

/*
 * Reads a note.  Returns APPROVAL_DECLINED with *err if the note is malformed,
 * or if neither s nor a signer added to s has signed it.  If s is NULL, the
 * signature is not verified.
 */
int approval_checkpoint_read(approval_signer_t *s, approval_str_t note,
    approval_checkpoint_t *c, const char **err);

/*
 * Returns 1 if the event is the record in which the writer stored this note.
 * Everything in such a record is then covered by the note's signature.  The
 * event must come from approval_record_read().
 */
int approval_checkpoint_stands(const approval_checkpoint_t *c, json_t *event);

/* WRITER/SEQ/HASH for messages; the hash is cut to 32 hex digits. */

#define APPROVAL_HEAD_HASH  32
#define APPROVAL_HEAD_LEN   (APPROVAL_WRITER_LEN + 1 + 20 + 1                 \
                             + APPROVAL_HEAD_HASH)

/* Returns the length without the final NUL. */
size_t approval_head_text(const approval_head_t *h,
    char dst[APPROVAL_HEAD_LEN + 1]);


#endif /* APPROVAL_CHECKPOINT_H */
