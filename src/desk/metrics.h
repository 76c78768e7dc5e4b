
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_metrics: the counters as Prometheus reads them.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_METRICS_H
#define NGX_HTTP_APPROVAL_DESK_METRICS_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/policy.h"


/* The content handler of approval_metrics locations. */
ngx_int_t ngx_http_approval_metrics_handler(ngx_http_request_t *r);

/*
 * Start when the worker has its store and its audit, and stop before they are
 * freed.  In between, the worker publishes their state every second.
 */
void ngx_http_approval_metrics_start(ngx_http_approval_main_conf_t *mcf,
    ngx_log_t *log);
void ngx_http_approval_metrics_stop(ngx_http_approval_main_conf_t *mcf);


#endif /* NGX_HTTP_APPROVAL_DESK_METRICS_H */
