
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What all attempts to deliver a message have in common, whoever carries it.
 */


#ifndef NGX_HTTP_APPROVAL_ATTEMPT_H
#define NGX_HTTP_APPROVAL_ATTEMPT_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/channel.h"


/* How an attempt ended. */

typedef struct {
    ngx_uint_t                     status;      /* 0: none, "error" says why  */
    const char                    *error;       /* or NULL                    */
    ngx_msec_t                     retry_after; /* 0: not said                */
    ngx_uint_t                     final;       /* another one would end so   */
} ngx_http_approval_attempt_t;


ngx_uint_t ngx_http_approval_attempt_good(
    const ngx_http_approval_attempt_t *a);

/* The retries are used up. */
ngx_uint_t ngx_http_approval_attempt_late(
    ngx_http_approval_channel_t *channel, ngx_uint_t attempt);

/*
 * What happens next, for the log: "retrying in 1.2 s (attempt 2 of 6)", without
 * "of 6" where a channel is tried until the deadline; or "giving up", if delay
 * is 0.  Ends with a NUL.
 */
#define NGX_HTTP_APPROVAL_ATTEMPT_NEXT                                        \
    (sizeof("retrying in .0 s (attempt  of )") + 3 * NGX_INT64_LEN)

void ngx_http_approval_attempt_next(
    u_char next[NGX_HTTP_APPROVAL_ATTEMPT_NEXT],
    ngx_http_approval_channel_t *channel, ngx_uint_t attempt,
    ngx_msec_t delay);

/*
 * Until the next attempt after "attempt" of them, or 0: there is none, as what
 * is left of the time is used up, or the retries of a channel that is not
 * persistent.
 */
ngx_msec_t ngx_http_approval_attempt_delay(
    ngx_http_approval_channel_t *channel, ngx_uint_t attempt,
    const ngx_http_approval_attempt_t *a, ngx_msec_int_t left);

/* "notified" or "notify_failed". */
void ngx_http_approval_attempt_audit(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_http_approval_channel_t *channel, approval_event_e event,
    ngx_str_t *approver, ngx_uint_t attempt,
    const ngx_http_approval_attempt_t *a, ngx_uint_t final);


#endif /* NGX_HTTP_APPROVAL_ATTEMPT_H */
