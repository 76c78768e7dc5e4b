
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The list of held requests.  A worker that shuts down answers them before
 * worker_shutdown_timeout closes their connections.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


#define NGX_HTTP_APPROVAL_SHUTDOWN_TICK_MIN  50        /* ms */
#define NGX_HTTP_APPROVAL_SHUTDOWN_TICK_MAX  500


static void ngx_http_approval_shutdown_tick(ngx_event_t *ev);
static void ngx_http_approval_shutdown_release(void);


/*
 * Of the worker.  The dummy is the event's data, since nginx's debug log takes
 * the data of a timer for a connection.
 */

static ngx_queue_t       ngx_http_approval_holds;
static ngx_event_t       ngx_http_approval_shutdown_event;
static ngx_msec_t        ngx_http_approval_shutdown_timeout;
static ngx_msec_t        ngx_http_approval_shutdown_interval;
static ngx_msec_t        ngx_http_approval_shutdown_since;
static ngx_connection_t  ngx_http_approval_shutdown_dummy;


void
ngx_http_approval_hold_enter(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_count_held(hold->mcf, hold->verdict->rule, 1);

    ngx_queue_insert_tail(&ngx_http_approval_holds, &hold->queue);
}


void
ngx_http_approval_hold_leave(ngx_http_approval_hold_t *hold)
{
    if (hold->queue.next) {
        ngx_queue_remove(&hold->queue);
        hold->queue.next = NULL;

        ngx_http_approval_progress_stop(hold);

        ngx_http_approval_count_held(hold->mcf, hold->verdict->rule, -1);
    }
}


/*
 * nginx does not notify modules of a graceful shutdown.  So, if there is a time
 * limit for it, a timer polls ngx_exiting; it is cancelable, and therefore does
 * not keep the worker alive.
 */

void
ngx_http_approval_shutdown_init(ngx_cycle_t *cycle)
{
    ngx_event_t      *ev;
    ngx_core_conf_t  *ccf;

    ngx_queue_init(&ngx_http_approval_holds);

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (ccf->shutdown_timeout == 0) {
        return;
    }

    ngx_http_approval_shutdown_timeout = ccf->shutdown_timeout;
    ngx_http_approval_shutdown_interval =
                      ngx_min(ngx_max(ccf->shutdown_timeout / 8,
                                      NGX_HTTP_APPROVAL_SHUTDOWN_TICK_MIN),
                              NGX_HTTP_APPROVAL_SHUTDOWN_TICK_MAX);
    ngx_http_approval_shutdown_since = 0;

    ngx_http_approval_shutdown_dummy.fd = (ngx_socket_t) -1;

    ev = &ngx_http_approval_shutdown_event;

    ev->handler = ngx_http_approval_shutdown_tick;
    ev->data = &ngx_http_approval_shutdown_dummy;
    ev->log = cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, ngx_http_approval_shutdown_interval);
}


static void
ngx_http_approval_shutdown_tick(ngx_event_t *ev)
{
    ngx_msec_t  left;

    if (ngx_exiting) {

        if (ngx_http_approval_shutdown_since == 0) {
            ngx_http_approval_shutdown_since = ngx_current_msec | 1;
        }

        /* noticed a tick late, answered a tick early, one spare */

        left = 3 * ngx_http_approval_shutdown_interval;

        if (ngx_http_approval_shutdown_timeout <= left
            || (ngx_msec_int_t) (ngx_current_msec
                                 - ngx_http_approval_shutdown_since)
               >= (ngx_msec_int_t) (ngx_http_approval_shutdown_timeout - left))
        {
            ngx_http_approval_shutdown_release();
        }
    }

    ngx_add_timer(ev, ngx_http_approval_shutdown_interval);
}


/* The actions stay open, so that identical retries can join them. */

static void
ngx_http_approval_shutdown_release(void)
{
    ngx_queue_t               *q;
    ngx_http_approval_hold_t  *hold;

    for (q = ngx_queue_head(&ngx_http_approval_holds);
         q != ngx_queue_sentinel(&ngx_http_approval_holds);
         q = ngx_queue_next(q))
    {
        hold = ngx_queue_data(q, ngx_http_approval_hold_t, queue);

        if (hold->state == NGX_HTTP_APPROVAL_HOLD_WAIT
            || (hold->state == NGX_HTTP_APPROVAL_HOLD_JOINED
                && hold->wait.op == NULL))
        {
            ngx_http_approval_hold_refuse(hold,
                                          NGX_HTTP_APPROVAL_REFUSE_SHUTDOWN);
        }
    }
}
