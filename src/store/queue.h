
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The queue of messages in Redis.  Each message is given to one worker with a
 * lease, and to another worker if the lease ends before the first has reported
 * that it was sent.  queue_add.lua explains names and keys.
 */


#ifndef NGX_HTTP_APPROVAL_QUEUE_H
#define NGX_HTTP_APPROVAL_QUEUE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/store.h"


#define NGX_HTTP_APPROVAL_QUEUE_NAME   24
#define NGX_HTTP_APPROVAL_QUEUE_BATCH  64   /* messages added at a time    */


typedef struct {
    u_char                          name[NGX_HTTP_APPROVAL_QUEUE_NAME];
                                                  /* NUL-terminated        */
    ngx_str_t                       payload;      /* sealed                */
    ngx_msec_t                      due;          /* from now              */
    unsigned                        mine:1;       /* sent at once by this
                                                     worker                */
} ngx_http_approval_entry_t;


/* A message that this worker must send now; valid during the call. */

typedef struct {
    const ngx_http_approval_reply_t *action;      /* without votes         */
    ngx_str_t                       name;
    ngx_str_t                       payload;
    ngx_str_t                       facts;        /* of an outcome, sealed */
    ngx_uint_t                      attempt;      /* from 1                */
    ngx_uint_t                      again;        /* how often sent before */
} ngx_http_approval_claim_t;


/* Why a message is kept: see queue_keep.lua. */

typedef enum {
    NGX_HTTP_APPROVAL_KEEP_WAIT = 0,
    NGX_HTTP_APPROVAL_KEEP_BEGIN,
    NGX_HTTP_APPROVAL_KEEP_LATE,
    NGX_HTTP_APPROVAL_KEEP_BACK
} ngx_http_approval_keep_e;


/* Called once for each message, and finally with NULL. */
typedef void (*ngx_http_approval_claim_pt)(void *data,
    const ngx_http_approval_claim_t *claim);


/* Handlers are as in store.h and may be NULL.  NGX_ERROR: not sent to Redis. */

ngx_int_t ngx_http_approval_queue_add(ngx_http_approval_store_t *store,
    u_char *id, ngx_http_approval_entry_t *entries, ngx_uint_t n,
    ngx_msec_t lease, ngx_http_approval_store_pt handler, void *data);

ngx_int_t ngx_http_approval_queue_claim(ngx_http_approval_store_t *store,
    ngx_uint_t limit, ngx_msec_t lease, ngx_http_approval_claim_pt claim,
    void *data);

/* NGX_DECLINED: this worker must not (or no longer) send the message. */
ngx_http_approval_op_t *ngx_http_approval_queue_keep(
    ngx_http_approval_store_t *store, u_char *id, ngx_str_t *name,
    ngx_uint_t attempt, ngx_msec_t ms, ngx_http_approval_keep_e why,
    ngx_http_approval_store_pt handler, void *data);

/*
 * An empty name is for a message that was sent without the queue.  payload: the
 * new one, sealed; len 0: unchanged.
 */
void ngx_http_approval_queue_done(ngx_http_approval_store_t *store,
    u_char *id, ngx_str_t *name, ngx_uint_t attempt, ngx_uint_t sent,
    ngx_msec_t again, ngx_str_t *payload);

/* limit: how many of the messages this worker sends itself. */
ngx_int_t ngx_http_approval_queue_outcome(ngx_http_approval_store_t *store,
    u_char *id, ngx_str_t *state, ngx_str_t *facts, ngx_msec_t lease,
    ngx_uint_t limit, ngx_http_approval_claim_pt claim, void *data);

/*
 * Whether any gateway has seen this mark in the last ms.  mark: 32 characters
 * that cannot be guessed.  NGX_OK: no; NGX_DECLINED: yes.
 */
ngx_http_approval_op_t *ngx_http_approval_store_once(
    ngx_http_approval_store_t *store, u_char *mark, ngx_msec_t ms,
    ngx_http_approval_store_pt handler, void *data);


#endif /* NGX_HTTP_APPROVAL_QUEUE_H */
