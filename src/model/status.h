
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The status document: what a requester gets about its action, in the 202 and
 * from the status URL.  It contains nothing that lets the requester decide it.
 */


#ifndef NGX_HTTP_APPROVAL_STATUS_H
#define NGX_HTTP_APPROVAL_STATUS_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "core/json.h"
#include "model/state.h"


#define NGX_HTTP_APPROVAL_STATUS_RETRY  2      /* seconds */


/*
 * {"id", "state", "terminal", "created_at", "expires_at", "next"} and, until
 * the state is terminal, "retry_after" (seconds).  Times are milliseconds
 * since the epoch.  A new reference, or NULL if out of memory.
 */
json_t *ngx_http_approval_status_document(u_char *id,
    ngx_http_approval_state_e state, int64_t created, int64_t expires);


#endif /* NGX_HTTP_APPROVAL_STATUS_H */
