
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Declarations that the commands of approval-audit share.
 */


#ifndef APPROVAL_AUDIT_TOOLS_H
#define APPROVAL_AUDIT_TOOLS_H


#include "core/export.h"
#include "core/verify.h"

#include <stdio.h>


#define APPROVAL_EXIT_OK          0
#define APPROVAL_EXIT_TAMPERED    1
#define APPROVAL_EXIT_INCOMPLETE  2
#define APPROVAL_EXIT_USAGE       3


typedef struct {
    approval_signer_t   *keys;
    char               **heads;
    size_t               nheads;
    char               **files;
    size_t               nfiles;
    approval_wanted_t    wanted;     /* export only */
    unsigned             quiet;
} approval_options_t;


/* audit_lines.c: the lines of a file; errors (NULL, -1) are on stderr. */

#define APPROVAL_LINE_MAX  (16 * 1024 * 1024)

typedef struct approval_lines_s  approval_lines_t;

typedef enum {
    APPROVAL_LINE_WHOLE = 0,
    APPROVAL_LINE_CUT,               /* the last one, without its LF */
    APPROVAL_LINE_LONG               /* longer than a record may be  */
} approval_line_e;

approval_lines_t *approval_lines_open(const char *name);
void approval_lines_close(approval_lines_t *lines);
int approval_lines_fd(const approval_lines_t *lines);

/* Returns 1, 0 at the end, or -1; the line is valid until the next call. */
int approval_lines_next(approval_lines_t *lines, approval_str_t *line,
    approval_line_e *kind);


/* audit_input.c: the records of all files, in the order of each writer. */

typedef struct approval_input_s  approval_input_t;

typedef struct {
    approval_place_t     place;
    json_t              *event;      /* valid until the next call */
    approval_str_t       line;
    unsigned char        hash[APPROVAL_SHA256_LEN];
} approval_entry_t;

/* NULL: the error is on stderr. */
approval_input_t *approval_input_open(char **files, size_t n,
    approval_verify_t *v);
void approval_input_close(approval_input_t *in);

/* Returns 1, 0 at the end, or -1: the error is on stderr. */
int approval_input_next(approval_input_t *in, approval_entry_t *entry);


/*
 * approval-audit.c: prints a line.  Others control some of the text, so control
 * and invisible characters are escaped.
 */
void approval_print(FILE *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


/* audit_verify.c */
int approval_command_verify(approval_options_t *o);

/*
 * Creates a verifier that knows the heads and prints findings to "out" (NULL:
 * prints none).  Returns NULL if that fails; the error is on stderr.
 */

typedef struct {
    FILE                *out;
    unsigned             quiet;      /* no notes */
    unsigned long        told;
} approval_teller_t;

approval_verify_t *approval_verify_start(approval_options_t *o,
    approval_teller_t *teller);
int approval_verify_exit(approval_verify_t *v);

/* audit_show.c, audit_export.c, audit_check.c */
int approval_command_show(approval_options_t *o);
int approval_command_export(approval_options_t *o);
int approval_command_check(approval_options_t *o);


#endif /* APPROVAL_AUDIT_TOOLS_H */
