
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A request that waits for something else than its client.
 */


#ifndef NGX_HTTP_APPROVAL_SUSPEND_H
#define NGX_HTTP_APPROVAL_SUSPEND_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * The client may leave meanwhile: then nginx ends the request, and its cleanup
 * handlers run.  Nothing else happens to it until whoever it waits for sets its
 * event handlers, or finalizes it.  "action" is for the error log.
 */
ngx_int_t ngx_http_approval_suspend(ngx_http_request_t *r, char *action);


/*
 * Has the client of a suspended request left, by all that has arrived?  In
 * HTTP/1 and HTTP/2 it has as soon as it closes its side of the connection, by
 * TCP or by TLS.  An HTTP/2 client that gives up a stream is known by
 * the time that nginx has read the frame.
 */
ngx_uint_t ngx_http_approval_client_gone(ngx_http_request_t *r);


#endif /* NGX_HTTP_APPROVAL_SUSPEND_H */
