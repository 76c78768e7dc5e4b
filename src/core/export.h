
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Exports selected records of a trail, each with the proof that it is in a
 * chain that its writer has signed.  Records are added one by one, and memory
 * does not grow with the trail: a record is kept until the next checkpoint of
 * its writer, and is then written with a proof to that checkpoint.  A record
 * that no signature covers is marked as unauthenticated.
 */


#ifndef APPROVAL_EXPORT_H
#define APPROVAL_EXPORT_H


#include "core/checkpoint.h"
#include "core/find.h"


typedef enum {
    APPROVAL_EXPORT_JSONL = 0,
    APPROVAL_EXPORT_CSV
} approval_export_e;


/* since <= time < until, in canonical form.  An empty string: any. */

typedef struct {
    char                since[APPROVAL_TIME_LEN + 1];
    char                until[APPROVAL_TIME_LEN + 1];
    char                action[APPROVAL_ID_LEN + 1];
    char                of[APPROVAL_FIND_LEN + 1];  /* see core/find.h */
    uint64_t            limit;       /* records; 0: any number */
    approval_export_e   format;
} approval_wanted_t;


/*
 * Parse a time (RFC 3339, or a date like 2026-01-02, which means its beginning)
 * and a format ("jsonl" or "csv").  Return APPROVAL_DECLINED if it is invalid.
 */
int approval_wanted_time(approval_str_t text,
    char time[APPROVAL_TIME_LEN + 1]);
int approval_wanted_format(approval_str_t text, approval_export_e *format);

/* Returns 1 if no record can match, because until is not after since. */
int approval_wanted_nothing(const approval_wanted_t *wanted);


typedef struct approval_export_s  approval_export_t;


/*
 * Only signatures by the keys count; without keys (NULL), none counts.  The
 * caller keeps ownership of the keys.  Returns NULL if there is no memory.
 */
approval_export_t *approval_export_create(const approval_wanted_t *wanted,
    approval_signer_t *keys);
void approval_export_destroy(approval_export_t *e);

/* Appends the part before the first record: the header line of CSV. */
void approval_export_begin(approval_export_t *e, approval_buf_t *out);

/*
 * Adds a record that approval_record_line() has read.  Appends to out all
 * records that are ready.  Returns APPROVAL_ERROR if there is no memory.
 */
int approval_export_record(approval_export_t *e, approval_str_t line,
    json_t *event, const unsigned char hash[APPROVAL_SHA256_LEN],
    approval_buf_t *out);

/* Returns 1 if nothing more will come: limit reached, no record waits. */
int approval_export_full(approval_export_t *e);

/* Ends the trail: appends the records that no checkpoint covers. */
int approval_export_end(approval_export_t *e, approval_buf_t *out);


#endif /* APPROVAL_EXPORT_H */
