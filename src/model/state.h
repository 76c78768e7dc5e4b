
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The life of an action: its states, the transitions between them, and their
 * records.
 */


#ifndef NGX_HTTP_APPROVAL_STATE_H
#define NGX_HTTP_APPROVAL_STATE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/record.h"


typedef enum {
#define LIFE_STATE(name, text, place, refusal)  NGX_HTTP_APPROVAL_##name,
#include "model/life.def"
    NGX_HTTP_APPROVAL_UNKNOWN                /* no such action */
} ngx_http_approval_state_e;


/* Why a script refuses; NONE: because of the action's state. */

typedef enum {
    NGX_HTTP_APPROVAL_CAUSE_NONE = 0,
#define LIFE_CAUSE(name, text)  NGX_HTTP_APPROVAL_CAUSE_##name,
#include "model/life.def"
    NGX_HTTP_APPROVAL_CAUSES
} ngx_http_approval_cause_e;


typedef struct {
    ngx_http_approval_state_e    from;
    ngx_http_approval_state_e    to;
    const char                  *by;         /* a script of the store */
    const char                  *when;       /* "any", "before", "after" */
    approval_record_e            record;
    ngx_uint_t                   counter;    /* ..._counter_e */
} ngx_http_approval_move_t;

extern const ngx_http_approval_move_t  ngx_http_approval_moves[];
                                             /* the last has no script */


/* "pending", "approved", ..., and back (UNKNOWN for any other text). */
ngx_str_t *ngx_http_approval_state_name(ngx_http_approval_state_e state);
ngx_http_approval_state_e ngx_http_approval_state_parse(ngx_str_t *name);

/* Whether no transition leads out of the state. */
ngx_uint_t ngx_http_approval_state_terminal(ngx_http_approval_state_e state);

/* The letter of this state in the lists' index. */
u_char ngx_http_approval_state_place(ngx_http_approval_state_e state);

/* The transition from one state, or from any (UNKNOWN), to another. */
const ngx_http_approval_move_t *ngx_http_approval_move(
    ngx_http_approval_state_e from, ngx_http_approval_state_e to);

const char *ngx_http_approval_cause_name(ngx_http_approval_cause_e cause);


#endif /* NGX_HTTP_APPROVAL_STATE_H */
