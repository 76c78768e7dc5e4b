
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the commands of approval-audit share.
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
    approval_signer_t   *keys[APPROVAL_VERIFY_KEYS];
    size_t               nkeys;
    char               **heads;
    size_t               nheads;
    char               **files;
    size_t               nfiles;
    approval_wanted_t    wanted;     /* of export */
    unsigned             quiet;
} approval_options_t;


/* audit_input.c: the records of all files, each writer's in their order. */

typedef struct approval_input_s  approval_input_t;

typedef struct {
    approval_place_t     place;
    json_t              *event;      /* the input's, until the next one */
    approval_str_t       line;
    unsigned char        hash[APPROVAL_SHA256_LEN];
} approval_entry_t;

/* NULL: said on stderr. */
approval_input_t *approval_input_open(char **files, size_t n,
    approval_verify_t *v);
void approval_input_close(approval_input_t *in);

/* 1, 0 at the end, or -1: said on stderr. */
int approval_input_next(approval_input_t *in, approval_entry_t *entry);


/* audit_verify.c */
int approval_command_verify(approval_options_t *o);

/*
 * A verifier that knows the heads and tells findings on "out" (NULL: none);
 * NULL: said on stderr.
 */

typedef struct {
    FILE                *out;
    unsigned             quiet;      /* no notes */
    unsigned long        told;
} approval_teller_t;

approval_verify_t *approval_verify_start(approval_options_t *o,
    approval_teller_t *teller);
int approval_verify_exit(approval_verify_t *v);

/* audit_find.c */
json_t *approval_find(approval_options_t *o, const char *text);

/* audit_show.c, audit_export.c, audit_check.c */
int approval_command_show(approval_options_t *o);
int approval_command_export(approval_options_t *o);
int approval_command_check(approval_options_t *o);


#endif /* APPROVAL_AUDIT_TOOLS_H */
