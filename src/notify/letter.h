
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the files of a letter share.
 */


#ifndef NGX_HTTP_APPROVAL_LETTER_H
#define NGX_HTTP_APPROVAL_LETTER_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/sender.h"


/*
 * Lives in its own pool.  It is being sent (call is set), waits for the next
 * attempt (the timer is set), or asks the queue for a new lease (op is set).
 */

struct ngx_http_approval_letter_s {
    void                          *ident[4];    /* the timer's debug log takes
                                                   this for a connection      */
    ngx_event_t                    timer;
    ngx_queue_t                    queue;
    ngx_pool_t                    *pool;
    ngx_http_approval_sender_t    *sender;

    ngx_http_approval_told_t       told;
    u_char                         id[APPROVAL_ID_LEN];
    ngx_str_t                      name;
    ngx_uint_t                     attempt;     /* from 1                     */
    ngx_uint_t                     again;
    ngx_msec_t                     interval;    /* ms, of reminders           */
    ngx_msec_t                     deadline;    /* by ngx_current_msec        */

    ngx_str_t                      body;        /* made for the first attempt */
    ngx_http_approval_target_t    *target;      /* the channel's, or ours     */
    ngx_str_t                      payload;     /* replaces the queue's       */
    ngx_uint_t                     stale;       /* the queue may have a reply */
    ngx_http_approval_call_t      *call;
    ngx_http_approval_op_t        *op;
};


/* letter.c */

void ngx_http_approval_letter_answer(void *data,
    const ngx_http_approval_answer_t *answer);


/* letter_start.c */

/* NGX_DECLINED: no address, or an unsafe URI; NGX_AGAIN: not yet. */
ngx_int_t ngx_http_approval_letter_start(ngx_http_approval_letter_t *letter);

/* Stores {{reply}} for later messages. */
void ngx_http_approval_letter_reply(ngx_http_approval_letter_t *letter,
    const ngx_str_t *response);


#endif /* NGX_HTTP_APPROVAL_LETTER_H */
