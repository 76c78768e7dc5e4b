
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the audit trail says about one action, for people: for "approval-audit
 * show" and the page for auditors.  Attackers wrote some of it: all output is
 * made visible, and is one line.
 */


#ifndef APPROVAL_STORY_H
#define APPROVAL_STORY_H


#include "core/json.h"


/* Visits each fact of a "requested" record, in order. */

typedef void (*approval_story_pt)(void *data, const char *name,
    approval_str_t text);

/* APPROVAL_DECLINED: another type of record; APPROVAL_ERROR: no memory. */
int approval_story_request(json_t *event, approval_story_pt visit, void *data);

/* Appends what any record says besides its time and type. */
void approval_story_record(json_t *event, approval_buf_t *out);


#endif /* APPROVAL_STORY_H */
