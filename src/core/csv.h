
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * An excerpt of the trail for a spreadsheet (RFC 4180): its columns, and that
 * no text becomes a formula.
 */


#ifndef APPROVAL_CSV_H
#define APPROVAL_CSV_H


#include "core/json.h"


/* The first line, and is a line that of any version? */
void approval_csv_head(approval_buf_t *out);
int approval_csv_is_head(approval_str_t line);

/* A record's own columns. */
void approval_csv_record(json_t *event, approval_buf_t *out);

/* What is known of its proof; without one, note is NULL. */
void approval_csv_bare(const char *proof, approval_buf_t *out);
void approval_csv_proof(uint64_t size, const approval_buf_t *path,
    json_t *note, approval_buf_t *out);


#endif /* APPROVAL_CSV_H */
