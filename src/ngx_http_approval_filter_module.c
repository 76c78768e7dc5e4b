
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The module's place in the chain of filters, which is no phase handler's: for
 * MCP calls that are kept alive while they are held.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/stream.h"


static ngx_int_t ngx_http_approval_filter_init(ngx_conf_t *cf);


static ngx_http_module_t  ngx_http_approval_filter_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_approval_filter_init,         /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_approval_filter_module = {
    NGX_MODULE_V1,
    &ngx_http_approval_filter_module_ctx,  /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* Only where a held body is read as JSON: else no call is known to be one. */

static ngx_int_t
ngx_http_approval_filter_init(ngx_conf_t *cf)
{
    ngx_uint_t                      i;
    ngx_http_approval_policy_t    **policies;
    ngx_http_approval_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {
        if (policies[i]->requires && policies[i]->reads_json) {
            return ngx_http_approval_stream_filters(cf);
        }
    }

    return NGX_OK;
}
