
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Bounds how long requests keep the worker busy in one turn of its event loop.
 */


#ifndef NGX_HTTP_APPROVAL_TURN_H
#define NGX_HTTP_APPROVAL_TURN_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/*
 * To be called before work that may take a millisecond or more.  1: this turn
 * has lasted long enough since its first such work, so the work belongs into
 * the next turn.  The first work of a turn is always allowed.
 */
ngx_uint_t ngx_http_approval_turn_over(void);

/*
 * Posts ev for the next turn.  A worker that quits goes on until all such
 * events were handled.
 */
void ngx_http_approval_turn_next(ngx_event_t *ev);


#endif /* NGX_HTTP_APPROVAL_TURN_H */
