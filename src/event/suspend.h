
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Suspends a request that waits for something other than its client.
 */


#ifndef NGX_HTTP_APPROVAL_SUSPEND_H
#define NGX_HTTP_APPROVAL_SUSPEND_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * If the client leaves meanwhile, nginx ends the request, and its cleanup
 * handlers run.  Otherwise nothing happens to it until the caller sets its
 * event handlers again or finalizes it.  "action" is for the error log.
 */
ngx_int_t ngx_http_approval_suspend(ngx_http_request_t *r, char *action);

/*
 * The write event handler of a suspended request.  Who sends something in the
 * meantime restores it: an HTTP/3 client that leaves causes a write event.
 */
void ngx_http_approval_suspend_writer(ngx_http_request_t *r);


/*
 * Has the client of a suspended request left, judging by the data that has
 * arrived?  In HTTP/1 and HTTP/2 a client has left as soon as it closes its
 * side of the connection, by TCP or by TLS.  If an HTTP/2 client resets a
 * stream, this is known when nginx has read the frame.
 */
ngx_uint_t ngx_http_approval_client_gone(ngx_http_request_t *r);


#endif /* NGX_HTTP_APPROVAL_SUSPEND_H */
