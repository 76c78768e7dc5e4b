
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Work that is deferred to the next turn of the event loop.
 */


#define clock_gettime  test_clock

#include "event/turn.c"
#include "test.h"


#define TURNS  20


static ngx_cycle_t   cycle;
static ngx_event_t   works[3];
static ngx_queue_t   posted;
static int           turn, ran[3];
static int64_t       clock_ms;

ngx_cycle_t         *ngx_cycle = &cycle;
ngx_queue_t          ngx_posted_next_events;


int
test_clock(clockid_t id, struct timespec *ts)
{
    ts->tv_sec = (time_t) (clock_ms / 1000);
    ts->tv_nsec = (long) (clock_ms % 1000) * 1000000;

    return 0;
}


static void
work(ngx_event_t *ev)
{
    if (ngx_http_approval_turn_over()) {
        ngx_http_approval_turn_next(ev);
        return;
    }

    ran[ev - works] = turn;
}


/* nginx takes what was posted for this turn, polls, and handles it. */

static void
next_turn(void (*poll)(void))
{
    ngx_event_t  *ev;
    ngx_queue_t  *q;

    turn++;

    while (!ngx_queue_empty(&ngx_posted_next_events)) {
        q = ngx_posted_next_events.next;
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&posted, q);
    }

    poll();

    while (!ngx_queue_empty(&posted)) {
        q = posted.next;
        ngx_queue_remove(q);

        ev = (ngx_event_t *) ((char *) q - offsetof(ngx_event_t, queue));
        ev->posted = 0;
        ev->handler(ev);
    }
}


static void
two_come(void)
{
    work(&works[0]);
    clock_ms += NGX_HTTP_APPROVAL_TURN_MAX;
    work(&works[1]);
}


static void
one_comes(void)
{
    clock_ms += NGX_HTTP_APPROVAL_TURN_MAX;
    work(&works[2]);
}


static void
others_come(void)
{
    clock_ms += NGX_HTTP_APPROVAL_TURN_MAX;
}


int
main(void)
{
    int  i;

    ngx_queue_init(&posted);
    ngx_queue_init(&ngx_posted_next_events);

    for (i = 0; i < 3; i++) {
        works[i].handler = work;
    }

    next_turn(two_come);

    is_int(ran[0], 1, "the first work of a turn runs");
    is_int(ran[1], 0, "what follows 20 ms later is deferred");
    ok(ngx_http_approval_turn.timer_set, "a worker that quits waits for it");

    next_turn(one_comes);

    is_int(ran[1], 2, "it runs in the next turn");
    is_int(ran[2], 0, "what comes before it there is deferred");

    for (i = 0; i < TURNS; i++) {
        next_turn(others_come);
    }

    is_int(ran[2], 3, "and runs in the next turn, however long others take");
    ok(!ngx_http_approval_turn.timer_set && !ngx_http_approval_turn.posted,
       "then nothing is left");

    return test_done();
}
