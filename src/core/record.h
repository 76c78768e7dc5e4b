
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Audit records: one line of canonical JSON each, chained by hash.
 */


#ifndef APPROVAL_RECORD_H
#define APPROVAL_RECORD_H


#include "core/json.h"
#include "core/keys.h"


#define APPROVAL_WRITER_LEN  32        /* hex of 128 random bits */


typedef enum {
#define AUDIT_RECORD(name, text, judged, kind)  APPROVAL_RECORD_##name,
#include "model/audit.def"
    APPROVAL_RECORD_TYPES
} approval_record_e;


/* "requested", "voted", ...; and back (TYPES for any other text). */
const char *approval_record_name(approval_record_e type);
approval_record_e approval_record_type(const char *name);

/* The event has already happened: it cannot be refused if recording fails. */
int approval_record_fact(approval_record_e type);


/*
 * One writer's chain: a worker process from its start to its end.  "prev" of
 * the first record is 64 zeros.
 */

typedef struct {
    char                  writer[APPROVAL_WRITER_LEN];
    uint64_t              seq;         /* of the next record, from 1 */
    unsigned char         prev[APPROVAL_SHA256_LEN];
} approval_chain_t;


int approval_chain_init(approval_chain_t *c);

/*
 * Completes "event" (an object with type, time and whatever the event says)
 * with writer, seq and prev, computes
 *
 *     hash = SHA-256("approval-record-v1" LF canonical JSON without "hash")
 *
 * adds it, and appends the line (canonical JSON, LF) to out.  The chain
 * advances only on APPROVAL_OK and when approval_chain_commit() is called
 * after the line is written, so that a failed write leaves no gap.
 */
int approval_chain_append(const approval_chain_t *c, json_t *event,
    unsigned char hash[APPROVAL_SHA256_LEN], approval_buf_t *out);
void approval_chain_commit(approval_chain_t *c,
    const unsigned char hash[APPROVAL_SHA256_LEN]);

/*
 * Reads one line, and checks that it is canonical and that its hash holds.  On
 * APPROVAL_OK *event is a new reference.  The caller checks seq and prev.
 */
int approval_record_read(approval_str_t line, json_t **event,
    unsigned char hash[APPROVAL_SHA256_LEN], const char **err);

/*
 * A line of a file, without its line feed.  A writer that was killed, or that
 * found the disk full, may leave part of a line; the next record of another
 * writer then follows on the same line.
 *
 * APPROVAL_OK: *line is the part of the line that is the record; *torn is set
 * if part of another record precedes it.  APPROVAL_DECLINED: there is no
 * record, because the line is torn, or, with *err, for another reason.  In
 * both cases, *err means that bytes that belong to no record come first.
 */
int approval_record_line(approval_str_t *line, json_t **event,
    unsigned char hash[APPROVAL_SHA256_LEN], unsigned *torn,
    const char **err);


#endif /* APPROVAL_RECORD_H */
