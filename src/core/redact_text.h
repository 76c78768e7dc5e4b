
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the files that look for secrets in free text share.
 */


#ifndef APPROVAL_REDACT_TEXT_H
#define APPROVAL_REDACT_TEXT_H


#include "core/redact_internal.h"


typedef struct {
    const approval_redact_t  *redact;
    approval_buf_t           *out;
    const unsigned char      *first;
    const unsigned char      *last;
    const unsigned char      *done;        /* copied up to here              */
    const unsigned char      *tag;         /* the one we are in, or NULL     */
    const unsigned char      *pair;        /* behind a secret's name that is
                                              itself a value; or NULL        */
    approval_str_t            before;      /* the word before                */
    unsigned                  identified;  /* words since "IDENTIFIED"       */
    size_t                    masks;
} approval_text_t;


typedef struct {
    const unsigned char      *start;
    const unsigned char      *end;
} approval_text_part_t;


/* redact_value.c: where a value begins and ends; 0: there is none. */

/* After a word and ":" or "=", at which p is. */
int approval_text_assigned(approval_text_t *t, approval_text_part_t word,
    const unsigned char *p, approval_text_part_t *value);

/* After a word and, maybe, blanks. */
int approval_text_follows(approval_text_t *t, approval_text_part_t word,
    const unsigned char *p, approval_text_part_t *value);

int approval_text_is(approval_text_part_t word, const char *name);
int approval_text_secret(approval_text_t *t, approval_text_part_t word);
int approval_text_name_char(unsigned char c);
int approval_text_quote(unsigned char c);
const unsigned char *approval_text_blanks(approval_text_t *t,
    const unsigned char *p);
const unsigned char *approval_text_find(approval_text_t *t,
    const unsigned char *p, const char *what);


#endif /* APPROVAL_REDACT_TEXT_H */
