
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What src/event/turn.c uses of nginx, in the way in which nginx does it.
 */


#ifndef UNIT_NGX_CONFIG_H
#define UNIT_NGX_CONFIG_H


#include <stddef.h>
#include <stdint.h>


typedef intptr_t                 ngx_int_t;
typedef uintptr_t                ngx_uint_t;
typedef uintptr_t                ngx_msec_t;
typedef struct ngx_queue_s       ngx_queue_t;
typedef struct ngx_event_s       ngx_event_t;
typedef struct { void *log; }    ngx_cycle_t;

struct ngx_queue_s {
    ngx_queue_t                 *prev;
    ngx_queue_t                 *next;
};

struct ngx_event_s {
    void                        *data;
    void                       (*handler)(ngx_event_t *ev);
    void                        *log;
    ngx_queue_t                  queue;
    unsigned                     posted:1;
    unsigned                     timer_set:1;
};

extern ngx_cycle_t              *ngx_cycle;
extern ngx_queue_t               ngx_posted_next_events;


#define ngx_queue_init(q)        ((q)->prev = (q), (q)->next = (q))
#define ngx_queue_empty(q)       ((q)->next == (q))

#define ngx_queue_insert_head(h, x)                                           \
    ((x)->next = (h)->next, (x)->next->prev = (x), (x)->prev = (h),           \
     (h)->next = (x))

#define ngx_queue_insert_tail(h, x)                                           \
    ((x)->prev = (h)->prev, (x)->prev->next = (x), (x)->next = (h),           \
     (h)->prev = (x))

#define ngx_queue_remove(x)                                                   \
    ((x)->next->prev = (x)->prev, (x)->prev->next = (x)->next)

#define ngx_post_event(ev, q)                                                 \
    if (!(ev)->posted) {                                                      \
        (ev)->posted = 1;                                                     \
        ngx_queue_insert_tail(q, &(ev)->queue);                               \
    }

#define ngx_add_timer(ev, ms)    ((ev)->timer_set = 1)
#define ngx_del_timer(ev)        ((ev)->timer_set = 0)


#endif /* UNIT_NGX_CONFIG_H */
