
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Action-level approvals: the module's tables, phases and process hooks.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"
#include "core/version.h"
#include "desk/change.h"
#include "desk/freeze.h"
#include "desk/live.h"
#include "desk/metrics.h"
#include "gate/gate.h"
#include "notify/notify.h"
#include "notify/sender.h"


static ngx_int_t ngx_http_approval_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_approval_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_approval_init_process(ngx_cycle_t *cycle);
static void ngx_http_approval_exit_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_approval_phase(ngx_http_core_main_conf_t *cmcf,
    ngx_uint_t phase, ngx_http_handler_pt handler);
static ngx_int_t ngx_http_approval_start(ngx_cycle_t *cycle,
    ngx_http_approval_main_conf_t *mcf);
static ngx_int_t ngx_http_approval_start_sender(ngx_cycle_t *cycle,
    ngx_http_approval_main_conf_t *mcf);
static void ngx_http_approval_link_event(void *data, ngx_uint_t ready);
static void ngx_http_approval_record_config(
    ngx_http_approval_main_conf_t *mcf);


/* the state of this process, from init_process to exit_process */

static ngx_http_approval_main_conf_t  *ngx_http_approval_started;


static ngx_http_module_t  ngx_http_approval_module_ctx = {
    ngx_http_approval_add_variables,       /* preconfiguration */
    ngx_http_approval_init,                /* postconfiguration */

    ngx_http_approval_create_main_conf,    /* create main configuration */
    ngx_http_approval_init_main_conf,      /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_approval_create_loc_conf,     /* create location configuration */
    ngx_http_approval_merge_loc_conf       /* merge location configuration */
};


ngx_module_t  ngx_http_approval_module = {
    NGX_MODULE_V1,
    &ngx_http_approval_module_ctx,         /* module context */
    ngx_http_approval_commands,            /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_approval_init_module,         /* init module */
    ngx_http_approval_init_process,        /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_approval_exit_process,        /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_approval_init(ngx_conf_t *cf)
{
    ngx_http_approval_conf_t   *mcf;
    ngx_http_core_main_conf_t  *cmcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    if (ngx_http_approval_check_variables(cf) != NGX_OK
        || ngx_http_approval_lint_places(cf, mcf) != NGX_OK
        || ngx_http_approval_lint_pass(cf, mcf) != NGX_OK
        || ngx_http_approval_lint_identities(cf, mcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_approval_lint_report(cf, mcf);

    /*
     * With "master_process off" nginx would accept no more connections, not
     * call init_process, and log to files that it has closed.  Refusing the
     * reload keeps the running configuration.
     */

    if (ngx_process == NGX_PROCESS_SINGLE && ngx_http_approval_started) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "nginx cannot be reloaded with \"master_process "
                           "off\": restart it, or use a master process");
        return NGX_ERROR;
    }

    /* without policies no handler is added, so requests are not slowed down */

    if (mcf->policies.nelts == 0) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (ngx_http_approval_phase(cmcf, NGX_HTTP_ACCESS_PHASE,
                                ngx_http_approval_access_handler)
        != NGX_OK
        || ngx_http_approval_phase(cmcf, NGX_HTTP_PRECONTENT_PHASE,
                                   ngx_http_approval_precontent_handler)
           != NGX_OK
        || ngx_http_approval_phase(cmcf, NGX_HTTP_CONTENT_PHASE,
                                   ngx_http_approval_content_handler)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_approval_once_init(cf);
}


static ngx_int_t
ngx_http_approval_phase(ngx_http_core_main_conf_t *cmcf, ngx_uint_t phase,
    ngx_http_handler_pt handler)
{
    ngx_http_handler_pt  *h;

    h = ngx_array_push(&cmcf->phases[phase].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_init_module(ngx_cycle_t *cycle)
{
    ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                  "ngx_http_approval_module/" APPROVAL_VERSION);

    ngx_http_approval_phases_init(cycle);

    return NGX_OK;
}


/* Also called in the cache manager and loader, which have no requests. */

static ngx_int_t
ngx_http_approval_init_process(ngx_cycle_t *cycle)
{
    ngx_http_approval_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_approval_module);

    if (mcf == NULL) {
        return NGX_OK;
    }

    ngx_http_approval_shutdown_init(cycle);
    ngx_http_approval_live_init(cycle);
    ngx_http_approval_started = mcf;

    return ngx_http_approval_start(cycle, mcf);
}


static ngx_int_t
ngx_http_approval_start(ngx_cycle_t *cycle, ngx_http_approval_main_conf_t *mcf)
{
    ngx_http_approval_store_events_t  events;

    if (mcf->audit_conf) {
        mcf->worker->audit = ngx_http_approval_audit_create(mcf, cycle->log);
        if (mcf->worker->audit == NULL) {
            return NGX_ERROR;
        }

        ngx_http_approval_record_config(mcf);
    }

    ngx_http_approval_endings_start(mcf);
    ngx_http_approval_changes_start(mcf);

    if (mcf->store_conf && mcf->keyring) {
        events.overdue = ngx_http_approval_reaper;
        events.link = ngx_http_approval_link_event;
        events.data = (void *) mcf;

        mcf->worker->store = ngx_http_approval_store_create(mcf->store_conf,
                                                    cycle->log, &events);
        if (mcf->worker->store == NULL) {
            return NGX_ERROR;
        }
    }

    if (mcf->worker->store
        && ngx_http_approval_start_sender(cycle, mcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_approval_metrics_start(mcf, cycle->log);

    return NGX_OK;
}


/* libcurl is initialized only if a channel needs the sender. */

static ngx_int_t
ngx_http_approval_start_sender(ngx_cycle_t *cycle,
    ngx_http_approval_main_conf_t *mcf)
{
    ngx_msec_t                     timeout;
    ngx_uint_t                     i, wanted;
    ngx_http_conf_ctx_t           *ctx;
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_approval_channel_t  **channel;

    channel = mcf->channels.elts;
    wanted = 0;

    for (i = 0; i < mcf->channels.nelts; i++) {
        wanted |= (channel[i]->url || channel[i]->signing_secrets);
    }

    if (!wanted) {
        return NGX_OK;
    }

    /* of the http block itself: nginx merges no defaults into it */

    ctx = (ngx_http_conf_ctx_t *) ngx_get_conf(cycle->conf_ctx,
                                               ngx_http_module);
    clcf = ctx->loc_conf[ngx_http_core_module.ctx_index];

    timeout = clcf->resolver_timeout;

    if (timeout == NGX_CONF_UNSET_MSEC) {
        timeout = 30000;
    }

    mcf->worker->sender = ngx_http_approval_sender_create(mcf, clcf->resolver,
                                                          timeout, cycle->log);

    return mcf->worker->sender ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_approval_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_approval_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_approval_module);

    if (mcf == NULL) {
        return;
    }

    ngx_http_approval_metrics_stop(mcf);
    ngx_http_approval_freeze_stop();

    if (mcf->worker->sender) {
        ngx_http_approval_sender_destroy(mcf->worker->sender);
        mcf->worker->sender = NULL;
    }

    if (mcf->worker->store) {
        ngx_http_approval_endings_stop(mcf);
        ngx_http_approval_changes_stop(mcf);
    }

    /* before the store, which publishes the last head of the chain */

    if (mcf->worker->audit) {
        ngx_http_approval_audit_destroy(mcf->worker->audit);
        mcf->worker->audit = NULL;
    }

    if (mcf->worker->store) {
        ngx_http_approval_store_destroy(mcf->worker->store);
        mcf->worker->store = NULL;
    }
}


/* Records when the store, and so approvals, became available or not. */

static void
ngx_http_approval_link_event(void *data, ngx_uint_t ready)
{
    ngx_http_approval_main_conf_t *mcf = data;

    (void) ngx_http_approval_audit(mcf, APPROVAL_RECORD_FAULT, NULL,
                                   json_pack("{s:s}", "why",
                                             ready ? "the store is available"
                                                 : "the store is unavailable"));

    if (ready) {
        ngx_http_approval_freeze_carry(mcf);
    }
}


/* Records the policies and groups under which later records are made. */

static void
ngx_http_approval_record_config(ngx_http_approval_main_conf_t *mcf)
{
    int                           group;
    char                          digest[APPROVAL_DIGEST_LEN];
    json_t                       *digests, *groups, *fields, *name;
    ngx_uint_t                    i;
    approval_str_t                text;
    ngx_http_approval_policy_t  **policies;

    digests = json_object();
    groups = json_object();
    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {
        json_object_set_new(digests, (char *) policies[i]->name.data,
                            ngx_http_approval_json_str(&policies[i]->digest));
    }

    for (group = 0; group < approval_people_groups(mcf->people); group++) {
        text = approval_people_group_name(mcf->people, group);
        name = json_stringn((char *) text.data, text.len);

        if (name
            && approval_people_digest(mcf->people, group, digest)
               == APPROVAL_OK)
        {
            json_object_set_new(groups, json_string_value(name),
                                json_stringn(digest, APPROVAL_DIGEST_LEN));
        }

        json_decref(name);
    }

    fields = json_pack("{s:i, s:s, s:o, s:o}", "pid", (int) ngx_pid,
                       "nginx", NGINX_VERSION, "policies", digests, "groups",
                       groups);

    (void) ngx_http_approval_audit(mcf, APPROVAL_RECORD_CONFIG, NULL, fields);
}
