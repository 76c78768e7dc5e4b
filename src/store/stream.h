
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The stream of checkpoints, PREFIXaudit: copies of the trail's heads.
 */


#ifndef NGX_HTTP_APPROVAL_STREAM_H
#define NGX_HTTP_APPROVAL_STREAM_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/store.h"


#define NGX_HTTP_APPROVAL_STREAM_ID  (2 * NGX_INT64_LEN)


typedef struct ngx_http_approval_stream_s  ngx_http_approval_stream_t;

/* For each entry, newest first; at last once with id == NULL. */
typedef void (*ngx_http_approval_stream_pt)(void *data, ngx_str_t *id,
    ngx_str_t *note);


/*
 * state: "live", or "closed" for a writer's last one; note: the checkpoint;
 * head: of the record that it stands in.
 */
ngx_int_t ngx_http_approval_stream_add(ngx_http_approval_store_t *store,
    ngx_str_t *state, ngx_str_t *note, ngx_str_t *head);

/*
 * Entries after the id "after".  NULL: the store is down, the handler is not
 * called.  The handle ends with the handler's last call, or with forget().
 */
ngx_http_approval_stream_t *ngx_http_approval_stream_read(
    ngx_http_approval_store_t *store, ngx_str_t *after,
    ngx_http_approval_stream_pt handler, void *data);
void ngx_http_approval_stream_forget(ngx_http_approval_stream_t *stream);


#endif /* NGX_HTTP_APPROVAL_STREAM_H */
