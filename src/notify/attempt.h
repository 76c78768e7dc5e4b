
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Attempts to deliver a message: the part that "url" and "pass" share.
 */


#ifndef NGX_HTTP_APPROVAL_ATTEMPT_H
#define NGX_HTTP_APPROVAL_ATTEMPT_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/channel.h"


/* How an attempt ended. */

typedef struct {
    ngx_uint_t                     status;      /* 0: no response; see error  */
    const char                    *error;       /* or NULL                    */
    ngx_msec_t                     retry_after; /* 0: not said                */
    ngx_uint_t                     final;       /* a retry would fail as well */
} ngx_http_approval_attempt_t;


ngx_uint_t ngx_http_approval_attempt_good(
    const ngx_http_approval_attempt_t *a);

/* Whether the retries are used up. */
ngx_uint_t ngx_http_approval_attempt_late(
    ngx_http_approval_channel_t *channel, ngx_uint_t attempt);

/*
 * Writes what happens next, for the log: "giving up" if delay is 0, otherwise
 * "retrying in 1.2 s (attempt 2 of 6)", without "of 6" if the channel is
 * persistent (retried until the deadline).  The text ends with a NUL.
 */
#define NGX_HTTP_APPROVAL_ATTEMPT_NEXT                                        \
    (sizeof("retrying in .0 s (attempt  of )") + 3 * NGX_INT64_LEN)

void ngx_http_approval_attempt_next(
    u_char next[NGX_HTTP_APPROVAL_ATTEMPT_NEXT],
    ngx_http_approval_channel_t *channel, ngx_uint_t attempt,
    ngx_msec_t delay);

/*
 * Returns the delay in ms before the next attempt, after "attempt" attempts.
 * Returns 0 if there must not be another one: the failure is final, the time
 * that is left is too short, or the retries of a channel that is not persistent
 * are used up.
 */
ngx_msec_t ngx_http_approval_attempt_delay(
    ngx_http_approval_channel_t *channel, ngx_uint_t attempt,
    const ngx_http_approval_attempt_t *a, ngx_msec_int_t left);

/* Records the attempt as "notified" or "notify_failed". */
void ngx_http_approval_attempt_audit(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_http_approval_channel_t *channel, approval_event_e event,
    ngx_str_t *approver, ngx_uint_t attempt,
    const ngx_http_approval_attempt_t *a, ngx_uint_t final);


#endif /* NGX_HTTP_APPROVAL_ATTEMPT_H */
