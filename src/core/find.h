
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Which actions are meant?  By what is known of one elsewhere: its id, a
 * grant's, a request's digest, a receipt, or a link.
 */


#ifndef APPROVAL_FIND_H
#define APPROVAL_FIND_H


#include "core/json.h"


#define APPROVAL_FIND_LEN  4096     /* of what is known       */
#define APPROVAL_FIND_MAX  100      /* actions that are found */


typedef struct approval_find_s  approval_find_t;


/* NULL: no memory. */
approval_find_t *approval_find_create(approval_str_t text);
void approval_find_destroy(approval_find_t *f);

/*
 * Fed with records: 1, it is of an action that is meant, or of one that a
 * record before it has named; 0, or -1: no memory.
 */
int approval_find_record(approval_find_t *f, json_t *event);

/* An array of the actions' ids, borrowed. */
json_t *approval_find_ids(approval_find_t *f);


#endif /* APPROVAL_FIND_H */
