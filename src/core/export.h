
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * An excerpt of a trail: records that are wanted, each with the proof that it
 * is in a chain that its writer has signed.  Fed record by record, in memory
 * that does not grow with the trail: a record waits for the next checkpoint
 * of its writer, and leaves with that one's proof.  What no signature covers is
 * said to be unauthenticated.
 */


#ifndef APPROVAL_EXPORT_H
#define APPROVAL_EXPORT_H


#include "core/checkpoint.h"
#include "core/find.h"


typedef enum {
    APPROVAL_EXPORT_JSONL = 0,
    APPROVAL_EXPORT_CSV
} approval_export_e;


/* Times are canonical: from since on, and before until.  Empty: any. */

typedef struct {
    char                since[APPROVAL_TIME_LEN + 1];
    char                until[APPROVAL_TIME_LEN + 1];
    char                action[APPROVAL_ID_LEN + 1];
    char                of[APPROVAL_FIND_LEN + 1];  /* see core/find.h       */
    uint64_t            limit;       /* records; 0: any number */
    approval_export_e   format;
} approval_wanted_t;


/*
 * 2026-01-02 (its beginning) or RFC 3339; "jsonl", "csv".  APPROVAL_DECLINED:
 * it is none.
 */
int approval_wanted_time(approval_str_t text,
    char time[APPROVAL_TIME_LEN + 1]);
int approval_wanted_format(approval_str_t text, approval_export_e *format);

/* There can be none: until is not after since. */
int approval_wanted_nothing(const approval_wanted_t *wanted);


typedef struct approval_export_s  approval_export_t;


/*
 * The keys, whose signatures count, stay the caller's; NULL: none does.  NULL
 * is returned where there is no memory.
 */
approval_export_t *approval_export_create(const approval_wanted_t *wanted,
    approval_signer_t *keys);
void approval_export_destroy(approval_export_t *e);

/* What stands before the first record. */
void approval_export_begin(approval_export_t *e, approval_buf_t *out);

/*
 * One record, as approval_record_line() has read it.  Appends those whose
 * proof is whole now.  APPROVAL_ERROR: no memory.
 */
int approval_export_record(approval_export_t *e, approval_str_t line,
    json_t *event, const unsigned char hash[APPROVAL_SHA256_LEN],
    approval_buf_t *out);

/* All that are wanted were given: nothing more will come. */
int approval_export_full(approval_export_t *e);

/* There is no more: those that no checkpoint covers yet. */
int approval_export_end(approval_export_t *e, approval_buf_t *out);


#endif /* APPROVAL_EXPORT_H */
