
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The approvers' passkeys: records that the caller signs, by name.
 */


#ifndef NGX_HTTP_APPROVAL_STORE_PASSKEY_H
#define NGX_HTTP_APPROVAL_STORE_PASSKEY_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/store.h"


/*
 * Results are in the reply's "votes" (see passkey.lua):
 *
 *   list      a name, a record and the record of its revocation ("": none) for
 *             each passkey
 *   get       the last two of these ("": none)
 *   put, use  one word
 */

ngx_http_approval_op_t *ngx_http_approval_store_passkeys(
    ngx_http_approval_store_t *store, ngx_http_approval_store_pt handler,
    void *data);

ngx_http_approval_op_t *ngx_http_approval_store_passkey_get(
    ngx_http_approval_store_t *store, u_char *name,
    ngx_http_approval_store_pt handler, void *data);

/*
 * old: the record that was read.  new: the new record; len 0: remove it.  end:
 * the record of the revocation at "since", or empty.  No use is later than a
 * revocation: the caller signs a later one if it was "used" meanwhile.
 */
ngx_http_approval_op_t *ngx_http_approval_store_passkey_put(
    ngx_http_approval_store_t *store, u_char *name, ngx_str_t *old,
    ngx_str_t *new, ngx_str_t *end, int64_t since,
    ngx_http_approval_store_pt handler, void *data);

/* Takes a nonce and a counter; "first" is the counter at enrolment. */
ngx_http_approval_op_t *ngx_http_approval_store_passkey_use(
    ngx_http_approval_store_t *store, u_char *name, ngx_str_t *record,
    u_char *nonce, uint32_t count, uint32_t first, ngx_msec_t ms,
    ngx_http_approval_store_pt handler, void *data);


#endif /* NGX_HTTP_APPROVAL_STORE_PASSKEY_H */
