
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/attempt.h"

#include "audit/audit.h"
#include "model/counters.h"


ngx_uint_t
ngx_http_approval_attempt_good(const ngx_http_approval_attempt_t *a)
{
    return a->status >= 200 && a->status < 300 && a->error == NULL;
}


ngx_uint_t
ngx_http_approval_attempt_late(ngx_http_approval_channel_t *channel,
    ngx_uint_t attempt)
{
    return attempt > (ngx_uint_t) channel->retries;
}


void
ngx_http_approval_attempt_next(u_char next[NGX_HTTP_APPROVAL_ATTEMPT_NEXT],
    ngx_http_approval_channel_t *channel, ngx_uint_t attempt,
    ngx_msec_t delay)
{
    u_char  *p;

    if (delay == 0) {
        (void) ngx_sprintf(next, "giving up%Z");
        return;
    }

    p = ngx_sprintf(next, "retrying in %M.%M s (attempt %ui",
                    delay / 1000, delay % 1000 / 100, attempt + 1);

    if (!channel->persistent) {
        p = ngx_sprintf(p, " of %i", channel->retries + 1);
    }

    (void) ngx_sprintf(p, ")%Z");
}


ngx_msec_t
ngx_http_approval_attempt_delay(ngx_http_approval_channel_t *channel,
    ngx_uint_t attempt, const ngx_http_approval_attempt_t *a,
    ngx_msec_int_t left)
{
    ngx_uint_t  i;
    ngx_msec_t  delay;

    if (a->final
        || (attempt > (ngx_uint_t) channel->retries && !channel->persistent))
    {
        return 0;
    }

    if (ngx_http_approval_attempt_late(channel, attempt)) {
        delay = channel->backoff_max;

    } else {
        delay = channel->backoff_min;
    }

    for (i = 0; i < attempt && delay < channel->backoff_max; i++) {
        delay *= 2;
    }

    delay = ngx_min(delay, channel->backoff_max);

    /* jitter: messages that failed together are not retried together */

    delay = delay / 2 + (ngx_msec_t) ngx_random() % (delay / 2 + 1);
    delay = ngx_max(delay, channel->backoff_min);
    delay = ngx_max(delay, a->retry_after);
    delay = ngx_max(delay, 1);

    if (left <= 0 || delay >= (ngx_msec_t) left) {
        return 0;
    }

    return delay;
}


void
ngx_http_approval_attempt_audit(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_http_approval_channel_t *channel, approval_event_e event,
    ngx_str_t *approver, ngx_uint_t attempt,
    const ngx_http_approval_attempt_t *a, ngx_uint_t final)
{
    json_t      *fields;
    ngx_uint_t   good;

    good = ngx_http_approval_attempt_good(a);

    ngx_http_approval_count_delivery(channel,
                                     good ? NGX_HTTP_APPROVAL_DELIVERED
                                     : final ? NGX_HTTP_APPROVAL_UNDELIVERED
                                     : NGX_HTTP_APPROVAL_RETRIED);

    fields = json_object();

    if (fields) {
        (void) json_object_set_new(fields, "channel",
                                   ngx_http_approval_json_str(&channel->name));
        (void) json_object_set_new(fields, "attempt", json_integer(attempt));
        (void) json_object_set_new(fields, "status", json_integer(a->status));

        if (event != APPROVAL_EVENT_REQUESTED) {
            (void) json_object_set_new(fields, "event",
                                     json_string(approval_event_name(event)));
        }

        if (approver->len) {
            (void) json_object_set_new(fields, "approver",
                                       ngx_http_approval_json_str(approver));
        }

        if (!good) {
            (void) json_object_set_new(fields, "final", json_boolean(final));

            if (a->error) {
                (void) json_object_set_new(fields, "error",
                                           json_string(a->error));
            }
        }
    }

    /* nothing depends on this record, and a failed append is logged there */

    (void) ngx_http_approval_audit(mcf, good ? APPROVAL_RECORD_NOTIFIED
                                             : APPROVAL_RECORD_NOTIFY_FAILED,
                                   id, fields);
}
