
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Deliveries to "pass" channels, which are sent while a request is held.
 */


#ifndef NGX_HTTP_APPROVAL_DELIVER_H
#define NGX_HTTP_APPROVAL_DELIVER_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/attempt.h"

#include "core/webhook.h"


typedef struct ngx_http_approval_outbox_s    ngx_http_approval_outbox_t;
typedef struct ngx_http_approval_delivery_s  ngx_http_approval_delivery_t;


/*
 * One message to one receiver.  It waits for its turn (timer and sr unset), is
 * being attempted (sr set, the timer is the attempt's timeout), waits for its
 * time or the next attempt (only the timer set), or is over.
 */

struct ngx_http_approval_delivery_s {
    void                          *ident[4];    /* the timer's debug log takes
                                                   this for a connection      */
    ngx_event_t                    timer;
    ngx_http_approval_outbox_t    *outbox;
    ngx_http_approval_channel_t   *channel;
    ngx_str_t                      approver;    /* len 0: for everyone        */
    approval_event_e               event;
    ngx_msec_t                     due;         /* after the start, 0: now    */
    ngx_msec_t                     again;       /* ms, the interval; 0: once  */
    ngx_uint_t                     round;       /* which repetition, from 0   */

    ngx_http_request_t            *sr;
    ngx_uint_t                     attempt;     /* from 1                     */
    ngx_str_t                      body;        /* made for the first attempt */
    ngx_str_t                      message_id;
    const char                    *refused;     /* by the guard: the remedy   */
};


/*
 * The deliveries of one ngx_http_approval_notify().  They are in the held
 * request's pool and end with it: the cleanup deletes the timers.
 */

struct ngx_http_approval_outbox_s {
    ngx_http_request_t            *request;     /* held; a main request       */
    ngx_http_approval_main_conf_t *mcf;
    ngx_http_approval_told_t       told;        /* what is the same in all
                                                   messages; the document is
                                                   ours until the cleanup     */
    u_char                         id[APPROVAL_ID_LEN];
    ngx_msec_t                     deadline;    /* by ngx_current_msec        */

    ngx_array_t                    deliveries;  /* of ..._delivery_t          */
    ngx_uint_t                     next;        /* the first one that waits
                                                   for its turn               */
    ngx_uint_t                     active;      /* attempts under way         */
    unsigned                       stopped:1;
};


/* Call it when all deliveries are in the array; it only posts subrequests. */
void ngx_http_approval_deliver_start(ngx_http_approval_outbox_t *outbox);

/* Starts no further attempts; those under way get a moment to end. */
void ngx_http_approval_deliver_stop(ngx_http_approval_outbox_t *outbox);

/* The http cleanup of an outbox. */
void ngx_http_approval_deliver_cleanup(void *data);

/* Called by pass.c when the attempt of d->sr has ended. */
void ngx_http_approval_deliver_ended(ngx_http_approval_delivery_t *d,
    const ngx_http_approval_attempt_t *a);


/* pass.c */

/* Posts the subrequest and sets d->sr; its end calls ..._ended(). */
ngx_int_t ngx_http_approval_pass_send(ngx_http_approval_delivery_t *d);

/* Ends a subrequest; d->sr must not refer to it any more. */
void ngx_http_approval_pass_abort(ngx_http_request_t *sr);

/* The delivery of subrequest r, also after a redirect; or NULL. */
ngx_http_approval_delivery_t *ngx_http_approval_pass_find(
    ngx_http_request_t *r);

/* Whether r is still at "pass", and was not redirected by a response. */
ngx_uint_t ngx_http_approval_pass_own(ngx_http_request_t *r);


#endif /* NGX_HTTP_APPROVAL_DELIVER_H */
