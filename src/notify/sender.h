
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * "url": messages that outlive the request.  They are in the store's queue.
 * Each worker sends its own messages, those that other workers left behind, and
 * those that become due: escalations, reminders, outcomes.
 */


#ifndef NGX_HTTP_APPROVAL_SENDER_H
#define NGX_HTTP_APPROVAL_SENDER_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http/http.h"
#include "notify/attempt.h"
#include "store/queue.h"


/*
 * Limits of the messages that a worker has at a time: in all (MAX), and from
 * the queue (QUEUE).  The latter are divided among the channels, each of which
 * has LEAST to ONE.  If a channel has many, those that wait for their next
 * attempt wait in the queue, so that channels that do not respond do not delay
 * others.
 */
#define NGX_HTTP_APPROVAL_SENDER_MAX    256
#define NGX_HTTP_APPROVAL_SENDER_ONE    64
#define NGX_HTTP_APPROVAL_SENDER_LEAST  4
#define NGX_HTTP_APPROVAL_SENDER_QUEUE  192

#define NGX_HTTP_APPROVAL_SENDER_GRACE  3000   /* ms, part of every lease */

/* The kinds of messages: the first letters of their names. */

#define NGX_HTTP_APPROVAL_KIND_MESSAGE   'm'
#define NGX_HTTP_APPROVAL_KIND_ESCALATE  'e'
#define NGX_HTTP_APPROVAL_KIND_REMIND    'r'
#define NGX_HTTP_APPROVAL_KIND_OUTCOME   'o'


typedef struct ngx_http_approval_sender_s  ngx_http_approval_sender_t;
typedef struct ngx_http_approval_letter_s  ngx_http_approval_letter_t;
typedef struct ngx_http_approval_plan_s    ngx_http_approval_plan_t;


/* Owned by the worker; ends before its store. */

struct ngx_http_approval_sender_s {
    void                          *ident[4];    /* the timer's debug log takes
                                                   this for a connection      */
    ngx_event_t                    poll;
    ngx_http_approval_main_conf_t *mcf;
    ngx_log_t                     *log;
    ngx_http_approval_http_t      *http;
    ngx_queue_t                    letters;
    ngx_uint_t                     active;      /* number of letters          */
    ngx_uint_t                     one;         /* limit for one channel      */
    ngx_msec_t                     lease;       /* ms, the longest of all     */
    unsigned                       asking:1;
};


ngx_http_approval_sender_t *ngx_http_approval_sender_create(
    ngx_http_approval_main_conf_t *mcf, ngx_resolver_t *resolver,
    ngx_msec_t resolver_timeout, ngx_log_t *log);
void ngx_http_approval_sender_destroy(ngx_http_approval_sender_t *sender);

ngx_msec_t ngx_http_approval_sender_lease(
    ngx_http_approval_channel_t *channel);

/*
 * The queue's payload of a message, sealed: c channel, a approver, b base of
 * links, k the reply to it, r recent, i interval.
 */
ngx_int_t ngx_http_approval_sender_payload(
    ngx_http_approval_sender_t *sender, const ngx_http_approval_told_t *told,
    ngx_msec_t again, ngx_pool_t *pool, ngx_str_t *payload);

/* The handler of the queue's replies; data is the sender. */
void ngx_http_approval_sender_claimed(void *data,
    const ngx_http_approval_claim_t *claim);


/*
 * plan.c: the messages about one action.  told has what all of them share; the
 * plan copies or references what it needs, and ends with plan_send().
 */

ngx_http_approval_plan_t *ngx_http_approval_plan_create(
    ngx_http_approval_sender_t *sender, const ngx_http_approval_told_t *told);
ngx_int_t ngx_http_approval_plan_add(ngx_http_approval_plan_t *plan,
    u_char kind, ngx_http_approval_channel_t *channel, ngx_str_t *approver,
    ngx_msec_t due, ngx_msec_t again);
void ngx_http_approval_plan_send(ngx_http_approval_plan_t *plan);


/* letter.c: one message that is being sent. */

/* name: in the queue; again: times sent before.  NULL: no memory. */
ngx_http_approval_letter_t *ngx_http_approval_letter_create(
    ngx_http_approval_sender_t *sender, const ngx_http_approval_told_t *told,
    ngx_str_t *name, ngx_uint_t attempt, ngx_uint_t again,
    ngx_msec_t interval, ngx_msec_int_t left);
void ngx_http_approval_letter_send(ngx_http_approval_letter_t *letter);
void ngx_http_approval_letter_free(ngx_http_approval_letter_t *letter);

/* The number of letters to a channel. */
ngx_uint_t ngx_http_approval_letter_count(ngx_http_approval_sender_t *sender,
    ngx_http_approval_channel_t *channel);

/* For freeing all letters of a sender. */
ngx_http_approval_letter_t *ngx_http_approval_letter_of(ngx_queue_t *q);


#endif /* NGX_HTTP_APPROVAL_SENDER_H */
