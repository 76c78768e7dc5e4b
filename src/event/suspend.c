
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/suspend.h"


/* As ngx_http_limit_req_module does. */

ngx_int_t
ngx_http_approval_suspend(ngx_http_request_t *r, char *action)
{
    ngx_connection_t  *c;

    c = r->connection;

    /* what has arrived before may be its end, and is not told again */

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    c->log->action = action;

    return NGX_OK;
}
