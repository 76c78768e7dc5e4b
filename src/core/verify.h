
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Verifies an audit trail.  It is fed record by record, and its memory does
 * not grow with the trail; docs/audit.md describes what it reports.
 */


#ifndef APPROVAL_VERIFY_H
#define APPROVAL_VERIFY_H


#include "core/checkpoint.h"


typedef enum {
    APPROVAL_FOUND_NOTE = 0,         /* worth knowing, nothing wrong    */
    APPROVAL_FOUND_INCOMPLETE,       /* something is missing            */
    APPROVAL_FOUND_UNAUTHENTICATED,  /* no signature covers it          */
    APPROVAL_FOUND_TAMPERED
} approval_found_e;


/* The caller owns the file's name, which outlives the verifier. */

typedef struct {
    const char     *file;
    unsigned long   line;
} approval_place_t;


typedef void (*approval_found_pt)(void *data, approval_found_e what,
    const approval_place_t *place, const char *why);


typedef struct approval_verify_s  approval_verify_t;


/* The caller keeps the keys, or NULL if there are none. */
approval_verify_t *approval_verify_create(approval_signer_t *keys,
    approval_found_pt found, void *data);
void approval_verify_destroy(approval_verify_t *v);

/*
 * A head that is known from elsewhere: WRITER/SEQ/HASH or a signed note.  Only
 * a note covers the records before it, and only those of its own writer.  All
 * heads come before the first record.  APPROVAL_DECLINED with *err: the text
 * is neither.
 */
int approval_verify_head(approval_verify_t *v, const approval_place_t *place,
    approval_str_t text, const char **err);

/* Is this the next record of its writer's chain? */
int approval_verify_expects(approval_verify_t *v, json_t *event);

/*
 * Takes one record that approval_record_read() has read.  The records of a
 * chain come in their order.  APPROVAL_ERROR: no memory.
 */
int approval_verify_record(approval_verify_t *v,
    const approval_place_t *place, json_t *event,
    const unsigned char hash[APPROVAL_SHA256_LEN]);

/*
 * After all records: does a signature of its writer cover the record?
 * approval_verify_last() must have said that the record belongs to its chain.
 */
int approval_verify_last(approval_verify_t *v, json_t *event,
    const unsigned char hash[APPROVAL_SHA256_LEN]);
int approval_verify_covered(approval_verify_t *v, json_t *event);

/* A line, or its beginning, that is not a record: "why" says what is wrong. */
void approval_verify_torn(approval_verify_t *v, const approval_place_t *place);
void approval_verify_broken(approval_verify_t *v,
    const approval_place_t *place, approval_found_e what, const char *why);

/* After the last record: reports what is missing. */
int approval_verify_end(approval_verify_t *v);


typedef struct {
    uint64_t        records;
    uint64_t        checkpoints;
    uint64_t        writers;
    uint64_t        actions;
    uint64_t        findings[4];     /* by approval_found_e             */
} approval_verify_stats_t;

const approval_verify_stats_t *approval_verify_stats(approval_verify_t *v);


#endif /* APPROVAL_VERIFY_H */
