
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

/* Called for each entry, newest first, and finally with id == NULL. */
typedef void (*ngx_http_approval_stream_pt)(void *data, ngx_str_t *id,
    ngx_str_t *note);


/*
 * state: "live", or "closed" for a writer's last checkpoint; note: the
 * checkpoint; head: the head of the trail at the record that contains it.
 */
ngx_int_t ngx_http_approval_stream_add(ngx_http_approval_store_t *store,
    ngx_str_t *state, ngx_str_t *note, ngx_str_t *head);

/*
 * Reads the entries after the id "after".  NULL: the store is down, and the
 * handler is not called.  The handle is valid until the handler's last call or
 * forget().
 */
ngx_http_approval_stream_t *ngx_http_approval_stream_read(
    ngx_http_approval_store_t *store, ngx_str_t *after,
    ngx_http_approval_stream_pt handler, void *data);
void ngx_http_approval_stream_forget(ngx_http_approval_stream_t *stream);


#endif /* NGX_HTTP_APPROVAL_STREAM_H */
