
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Finds actions in a trail by an action's id, a grant's id, the digest of a
 * request, a receipt, or a link.
 */


#ifndef APPROVAL_FIND_H
#define APPROVAL_FIND_H


#include "core/json.h"


#define APPROVAL_FIND_LEN  4096     /* bytes of the text */
#define APPROVAL_FIND_MAX  100      /* actions           */


typedef struct approval_find_s  approval_find_t;


/* Returns NULL if there is no memory. */
approval_find_t *approval_find_create(approval_str_t text);
void approval_find_destroy(approval_find_t *f);

/*
 * Call it for each record in turn.  Returns 1 if the record matches the text,
 * or if an earlier record of the same action did; otherwise 0; -1 if there is
 * no memory.
 */
int approval_find_record(approval_find_t *f, json_t *event);

/* Returns the ids of the actions found, an array owned by f. */
json_t *approval_find_ids(approval_find_t *f);


#endif /* APPROVAL_FIND_H */
