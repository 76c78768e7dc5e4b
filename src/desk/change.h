
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What an operator asks Redis to change: its reply decides what the gateway
 * remembers and records, whether or not the operator still waits for it.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_CHANGE_H
#define NGX_HTTP_APPROVAL_DESK_CHANGE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"
#include "model/ends.h"
#include "model/hash.h"


/* Owned by the worker, until the store has replied. */

typedef struct {
    ngx_queue_t                      queue;
    ngx_http_approval_main_conf_t   *mcf;
    ngx_http_approval_end_t          end;
    json_t                          *facts;   /* NULL: already recorded   */
    size_t                           len;     /* of the ids of the end,   */
    u_char                           ids[NGX_HTTP_APPROVAL_HASHES];
} ngx_http_approval_change_t;

void ngx_http_approval_changes_start(ngx_http_approval_main_conf_t *mcf);

/* At the worker's exit: records the changes that Redis has not replied to. */
void ngx_http_approval_changes_stop(ngx_http_approval_main_conf_t *mcf);

/*
 * Call it before the store is asked.  The end is remembered under each of the
 * ids, which are separated by spaces.  Takes the reference to facts, those of
 * the record.  NULL: no memory.
 */
ngx_http_approval_change_t *ngx_http_approval_change(
    ngx_http_approval_main_conf_t *mcf, const ngx_http_approval_end_t *end,
    const ngx_str_t *ids, json_t *facts);

/* Takes over both; op may be NULL, and is returned. */
ngx_http_approval_op_t *ngx_http_approval_change_keep(
    ngx_http_approval_change_t *change, ngx_http_approval_op_t *op);


#endif /* NGX_HTTP_APPROVAL_DESK_CHANGE_H */
