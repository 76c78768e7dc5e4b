
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The context of log lines about a request.  nginx itself would add the whole
 * request line to each of them, but a query may contain secrets.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/request.h"


static u_char *ngx_http_approval_log_context(ngx_log_t *log, u_char *buf,
    size_t len);


/* The log is valid only until the next call: use it at once. */

ngx_log_t *
ngx_http_approval_log(ngx_http_request_t *r)
{
    static ngx_log_t  log;

    log = *r->connection->log;

    log.handler = ngx_http_approval_log_context;
    log.data = r;

    return &log;
}


static u_char *
ngx_http_approval_log_context(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                    *p, *last;
    ngx_str_t                  path;
    ngx_http_request_t        *r;
    ngx_http_core_srv_conf_t  *cscf;

    r = log->data;
    p = buf;
    last = buf + len;

    cscf = ngx_http_get_module_srv_conf(r->main, ngx_http_core_module);
    path = ngx_http_approval_target_bare(r->main);

    if (log->action) {
        p = ngx_slprintf(p, last, " while %s", log->action);
    }

    p = ngx_slprintf(p, last, ", client: %V, server: %V, request: \"%V %V\"",
                     &r->connection->addr_text, &cscf->server_name,
                     &r->main->method_name, &path);

    if (r != r->main) {
        p = ngx_slprintf(p, last, ", subrequest: \"%V\"", &r->uri);
    }

    if (r->main->headers_in.host) {
        p = ngx_slprintf(p, last, ", host: \"%V\"",
                         &r->main->headers_in.host->value);
    }

    return p;
}


ngx_str_t
ngx_http_approval_target_bare(ngx_http_request_t *r)
{
    ngx_str_t  path;

    path.data = r->unparsed_uri.data;

    for (path.len = 0; path.len < r->unparsed_uri.len; path.len++) {
        if (path.data[path.len] == '?' || path.data[path.len] == '#') {
            break;
        }
    }

    return path;
}
