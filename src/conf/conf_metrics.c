
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_zone and approval_metrics: where metrics are kept and published.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"

#include "desk/metrics.h"
#include "model/counters.h"


#define NGX_HTTP_APPROVAL_ZONE_SIZE  (1024 * 1024)


static char *ngx_http_approval_conf_counters(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_str_t *name, size_t size);


static ngx_str_t  ngx_http_approval_conf_zone_name = ngx_string("approval");


/* approval_zone NAME SIZE; */

char *
ngx_http_approval_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (mcf->counters) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_approval_conf_name(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\": use for example \"1m\"",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"approval_zone %V\" is too small: use %uzk or "
                           "more", &value[1], 8 * ngx_pagesize / 1024);
        return NGX_CONF_ERROR;
    }

    return ngx_http_approval_conf_counters(cf, mcf, &value[1], size);
}


static char *
ngx_http_approval_conf_counters(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_str_t *name, size_t size)
{
    ngx_http_approval_counters_t  *counters;

    counters = ngx_pcalloc(cf->pool, sizeof(ngx_http_approval_counters_t));
    if (counters == NULL) {
        return NGX_CONF_ERROR;
    }

    counters->mcf = mcf;
    counters->zone = ngx_shared_memory_add(cf, name, size,
                                           &ngx_http_approval_module);
    if (counters->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    counters->zone->init = ngx_http_approval_counters_init_zone;
    counters->zone->data = counters;

    mcf->counters = counters;

    return NGX_CONF_OK;
}


/* approval_metrics; */

char *
ngx_http_approval_conf_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_loc_conf_t *lcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    if (lcf->metrics) {
        return "is duplicate";
    }

    if (lcf->api) {
        return "is in one location with \"approval_api\": use a location for "
               "each";
    }

    lcf->metrics = 1;
    lcf->conf_file = cf->conf_file->file.name.data;
    lcf->conf_line = cf->conf_file->line;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_approval_metrics_handler;

    return NGX_CONF_OK;
}


/* The metrics are never gated: a scrape must not wait for an approval. */

char *
ngx_http_approval_conf_metrics_merge(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_loc_conf_t *conf)
{
    if (!conf->metrics) {
        return NGX_CONF_OK;
    }

    if (mcf->counters == NULL
        && ngx_http_approval_conf_counters(cf, mcf,
                                           &ngx_http_approval_conf_zone_name,
                                           NGX_HTTP_APPROVAL_ZONE_SIZE)
           != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->name.data && ngx_strcmp(conf->name.data, "off") != 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"approval %V\" and \"approval_metrics\" are in one "
                      "location: remove one of them in %s:%ui",
                      &conf->name, conf->conf_file, conf->conf_line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
