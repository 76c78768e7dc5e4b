
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the trail says of one action, for people: "approval-audit show", and the
 * page for auditors.  Attackers wrote some of it: what comes back is visible,
 * and in one line.
 */


#ifndef APPROVAL_STORY_H
#define APPROVAL_STORY_H


#include "core/json.h"


/* What was asked for: each fact of a "requested" record, in order. */

typedef void (*approval_story_pt)(void *data, const char *name,
    approval_str_t text);

/* APPROVAL_DECLINED: it is another record; APPROVAL_ERROR: no memory. */
int approval_story_request(json_t *event, approval_story_pt visit, void *data);

/* Any record: what it says beside its time and type; appended. */
void approval_story_record(json_t *event, approval_buf_t *out);


#endif /* APPROVAL_STORY_H */
