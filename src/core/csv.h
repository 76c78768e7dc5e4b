
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Writes an excerpt of the trail as CSV (RFC 4180) for spreadsheets.  No text
 * can become a formula.
 */


#ifndef APPROVAL_CSV_H
#define APPROVAL_CSV_H


#include "core/json.h"


/* The header line; is_head() also knows the headers of other versions. */
void approval_csv_head(approval_buf_t *out);
int approval_csv_is_head(approval_str_t line);

/* Appends the columns that come from the record itself. */
void approval_csv_record(json_t *event, approval_buf_t *out);

/*
 * Appends the columns of the proof.  path NULL: the checkpoint is the record's
 * own.  note NULL: there is none.
 */
void approval_csv_proof(uint64_t size, const approval_buf_t *path,
    json_t *note, approval_buf_t *out);


#endif /* APPROVAL_CSV_H */
