
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <time.h>

#include "event/turn.h"


#define NGX_HTTP_APPROVAL_TURN_MAX    20
#define NGX_HTTP_APPROVAL_TURN_GUARD  60000


static void ngx_http_approval_turn_start(void);
static void ngx_http_approval_turn_handler(ngx_event_t *ev);
static int64_t ngx_http_approval_turn_now(void);


/*
 * The event is posted for the next turn, in front of the deferred work, and
 * ends this one.  It goes on until a turn has deferred nothing.  Its timer is
 * the guard: without any timer, a worker that quits would exit and drop the
 * deferred work.
 */

static ngx_event_t  ngx_http_approval_turn;
static int64_t      ngx_http_approval_turn_first;
static ngx_uint_t   ngx_http_approval_turn_deferred;


ngx_uint_t
ngx_http_approval_turn_over(void)
{
    if (!ngx_http_approval_turn.posted) {
        ngx_http_approval_turn_start();
        return 0;
    }

    return ngx_http_approval_turn_now() - ngx_http_approval_turn_first
           >= NGX_HTTP_APPROVAL_TURN_MAX;
}


void
ngx_http_approval_turn_next(ngx_event_t *ev)
{
    ngx_http_approval_turn_start();

    ngx_http_approval_turn_deferred = 1;

    if (!ngx_http_approval_turn.timer_set) {
        ngx_add_timer(&ngx_http_approval_turn, NGX_HTTP_APPROVAL_TURN_GUARD);
    }

    ngx_post_event(ev, &ngx_posted_next_events);
}


static void
ngx_http_approval_turn_start(void)
{
    if (ngx_http_approval_turn.posted) {
        return;
    }

    ngx_http_approval_turn.handler = ngx_http_approval_turn_handler;
    ngx_http_approval_turn.data = &ngx_http_approval_turn;
    ngx_http_approval_turn.log = ngx_cycle->log;
    ngx_http_approval_turn_first = ngx_http_approval_turn_now();

    /* what was deferred before would find the time of this turn used up */

    ngx_http_approval_turn.posted = 1;
    ngx_queue_insert_head(&ngx_posted_next_events,
                          &ngx_http_approval_turn.queue);
}


static void
ngx_http_approval_turn_handler(ngx_event_t *ev)
{
    if (ngx_http_approval_turn_deferred) {
        ngx_http_approval_turn_deferred = 0;
        ngx_http_approval_turn_start();
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
}


static int64_t
ngx_http_approval_turn_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
