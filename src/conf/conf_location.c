
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Directives of http, server and location.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"

#include "desk/desk.h"
#include "desk/metrics.h"
#include "gate/gate.h"


static ngx_http_complex_value_t *ngx_http_approval_conf_complex(
    ngx_conf_t *cf, ngx_str_t *text);
static void ngx_http_approval_conf_unnamed(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *prev, ngx_http_approval_loc_conf_t *conf);
static ngx_int_t ngx_http_approval_conf_resolve(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *conf);
static ngx_int_t ngx_http_approval_conf_handler(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *conf);
static char *ngx_http_approval_conf_default(ngx_conf_t *cf,
    ngx_http_approval_fact_t **fact, ngx_str_t *text);
static void ngx_http_approval_conf_limit_merge(
    ngx_http_approval_limit_t *conf, ngx_http_approval_limit_t *prev);
static char *ngx_http_approval_conf_limit(ngx_conf_t *cf,
    ngx_http_approval_limit_t *limit, ngx_str_t *number);
static ngx_int_t ngx_http_approval_conf_place(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *prev, ngx_http_approval_loc_conf_t *conf);


static ngx_str_t  ngx_http_approval_on_behalf =
    ngx_string("$http_x_on_behalf_of");
static ngx_str_t  ngx_http_approval_reason =
    ngx_string("$http_x_approval_reason");


void *
ngx_http_approval_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_approval_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_approval_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->requester = NGX_CONF_UNSET_PTR;
    conf->on_behalf = NGX_CONF_UNSET_PTR;
    conf->reason = NGX_CONF_UNSET_PTR;
    conf->store_failure = NGX_CONF_UNSET_UINT;
    conf->unsigned_decisions = NGX_CONF_UNSET;
    conf->max_pending.n = NGX_CONF_UNSET_UINT;
    conf->max_prompts.n = NGX_CONF_UNSET_UINT;
    conf->repeat = NGX_CONF_UNSET_MSEC;
    conf->disconnect = NGX_CONF_UNSET_UINT;
    conf->progress = NGX_CONF_UNSET_MSEC;
    conf->prefer = NGX_CONF_UNSET;
    conf->refusals = NGX_CONF_UNSET_UINT;
    conf->ignore = NGX_CONF_UNSET_PTR;

    return conf;
}


char *
ngx_http_approval_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_approval_loc_conf_t *prev = parent;
    ngx_http_approval_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_approval_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    ngx_http_approval_conf_unnamed(cf, prev, conf);

    if (ngx_http_approval_lint_place(cf, mcf, prev, conf) != NGX_OK
        || ngx_http_approval_conf_handler(cf, conf) != NGX_OK
        || ngx_http_approval_conf_place(cf, prev, conf) != NGX_OK
        || ngx_http_approval_once_location(cf, prev, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->api && (mcf->store_conf == NULL || mcf->keyring == NULL)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"approval_api\" needs \"approval_redis URL\" and "
                      "\"approval_key FILE\": add them to the http block "
                      "in %s:%ui", conf->conf_file, conf->conf_line);
        return NGX_CONF_ERROR;
    }

    if (conf->api && conf->name.data
        && ngx_strcmp(conf->name.data, "off") != 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"approval %V\" and \"approval_api\" are in one "
                      "location, but votes must not wait for approvals: "
                      "remove one of them in "
                      "%s:%ui", &conf->name, conf->conf_file, conf->conf_line);
        return NGX_CONF_ERROR;
    }

    if (conf->api && ngx_http_approval_conf_threads(cf, mcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_approval_conf_metrics_merge(cf, mcf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->name.data == NULL) {
        conf->name = prev->name;
        conf->conf_file = prev->conf_file;
        conf->conf_line = prev->conf_line;
    }

    if (conf->requester == NGX_CONF_UNSET_PTR) {
        conf->requester_at = prev->requester_at;
    }

    ngx_conf_merge_ptr_value(conf->requester, prev->requester, NULL);
    ngx_conf_merge_ptr_value(conf->on_behalf, prev->on_behalf, NULL);
    ngx_conf_merge_ptr_value(conf->reason, prev->reason, NULL);
    ngx_conf_merge_uint_value(conf->store_failure, prev->store_failure,
                              NGX_HTTP_APPROVAL_STORE_DENY);
    ngx_conf_merge_value(conf->unsigned_decisions, prev->unsigned_decisions,
                         0);
    ngx_http_approval_conf_limit_merge(&conf->max_pending, &prev->max_pending);
    ngx_http_approval_conf_limit_merge(&conf->max_prompts, &prev->max_prompts);
    ngx_conf_merge_msec_value(conf->repeat, prev->repeat,
                              NGX_HTTP_APPROVAL_REPEAT);
    ngx_conf_merge_uint_value(conf->disconnect, prev->disconnect,
                              NGX_HTTP_APPROVAL_KEEP);
    ngx_conf_merge_msec_value(conf->progress, prev->progress,
                              NGX_HTTP_APPROVAL_PROGRESS);
    ngx_conf_merge_value(conf->prefer, prev->prefer, 1);
    ngx_conf_merge_uint_value(conf->refusals, prev->refusals,
                              NGX_HTTP_APPROVAL_FORM_PROBLEM);
    ngx_conf_merge_ptr_value(conf->ignore, prev->ignore, NULL);

    /*
     * The approvers' side is never gated: a vote must not wait for a vote.
     * Locations inside it are gated by the policy that they inherit.
     */

    if (conf->api || conf->metrics) {
        conf->policy = NULL;
        return NGX_CONF_OK;
    }

    if (ngx_http_approval_conf_resolve(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->policy == NULL) {
        return NGX_CONF_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->policy->quick && clcf->satisfy == NGX_HTTP_SATISFY_ALL) {
        conf->quick = conf->policy;
    }

    if (!conf->policy->requires) {
        return NGX_CONF_OK;
    }

    if (ngx_http_approval_conf_default(cf, &conf->on_behalf,
                                       &ngx_http_approval_on_behalf)
        != NGX_CONF_OK
        || ngx_http_approval_conf_default(cf, &conf->reason,
                                          &ngx_http_approval_reason)
           != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_approval_check_unsigned(cf, conf) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* "if" and "limit_except" blocks are a part of the location around them. */

static void
ngx_http_approval_conf_unnamed(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *prev, ngx_http_approval_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (!clcf->noname) {
        return;
    }

    /* a block with a handler of its own is gated like any location */

    if (clcf->handler && clcf->handler != ngx_http_approval_desk_handler) {
        return;
    }

    conf->metrics = prev->metrics;

    if (!prev->api) {
        return;
    }

    conf->api = 1;
    conf->api_at = prev->api_at;
    conf->approver = prev->approver;

    if (clcf->lmt_excpt && clcf->handler == NULL) {
        clcf->handler = ngx_http_approval_desk_handler;
    }
}


/* Of two handlers, the last one would answer, and it would not be gated. */

static ngx_int_t
ngx_http_approval_conf_handler(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname || !(conf->api || conf->metrics)
        || clcf->handler == (conf->api ? ngx_http_approval_desk_handler
                                       : ngx_http_approval_metrics_handler))
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"%s\" is in one location with another directive that "
                  "answers requests, such as \"proxy_pass\": use a location "
                  "for each in "
                  "%s:%ui", conf->api ? "approval_api" : "approval_metrics",
                  conf->conf_file, conf->conf_line);

    return NGX_ERROR;
}


static char *
ngx_http_approval_conf_default(ngx_conf_t *cf,
    ngx_http_approval_fact_t **fact, ngx_str_t *text)
{
    ngx_http_approval_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    if (*fact == NULL) {
        *fact = ngx_http_approval_fact(cf, &mcf->facts, text);
    }

    return (*fact == NULL) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


/* approval_requester, approval_on_behalf, approval_reason VALUE; */

char *
ngx_http_approval_conf_fact_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_loc_conf_t *lcf = conf;

    ngx_str_t                  *value;
    ngx_http_approval_fact_t  **fact;
    ngx_http_approval_conf_t   *mcf;

    fact = (ngx_http_approval_fact_t **) ((char *) conf + cmd->offset);

    if (*fact != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);
    value = cf->args->elts;

    *fact = ngx_http_approval_fact(cf, &mcf->facts, &value[1]);

    if (fact == &lcf->requester) {
        ngx_http_approval_conf_keep_at(cf, &lcf->requester_at);
    }

    return (*fact == NULL) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


/*
 * Makes the text that says in the digest where a request was judged: the names
 * of its location and of those around it, each with its length.
 */

static ngx_int_t
ngx_http_approval_conf_place(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *prev, ngx_http_approval_loc_conf_t *conf)
{
    u_char                    *p;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->name.len == 0) {
        conf->place = prev->place;
        return NGX_OK;
    }

    p = ngx_pnalloc(cf->pool, prev->place.len + NGX_SIZE_T_LEN + 3
                              + clcf->name.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    conf->place.data = p;
    conf->place.len = ngx_sprintf(p, "%V%uz%c%V ", &prev->place,
                                  clcf->name.len,
                                  clcf->noname ? '?'
                                  : clcf->exact_match ? '='
                                  : clcf->named ? '@' : ':', &clcf->name)
                      - p;
    return NGX_OK;
}


/* Called late, because a policy may be declared after its use. */

static ngx_int_t
ngx_http_approval_conf_resolve(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *conf)
{
    ngx_uint_t                         i;
    ngx_http_approval_policy_conf_t  **policies;
    ngx_http_approval_conf_t          *mcf;

    conf->policy = NULL;

    if (conf->name.data == NULL || ngx_strcmp(conf->name.data, "off") == 0) {
        return NGX_OK;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);
    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {
        if (ngx_strcmp(policies[i]->name.data, conf->name.data) == 0) {
            conf->policy = policies[i];
            policies[i]->used = 1;
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "unknown policy \"%V\" in \"approval\": declare it with "
                  "\"approval_policy %V { ... }\" in the http block in %s:%ui",
                  &conf->name, &conf->name, conf->conf_file, conf->conf_line);

    return NGX_ERROR;
}


/* approval POLICY | off; */

char *
ngx_http_approval_conf_approval(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    if (lcf->name.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    lcf->name = value[1];
    lcf->conf_file = cf->conf_file->file.name.data;
    lcf->conf_line = cf->conf_file->line;

    return NGX_CONF_OK;
}


/* approval_max_pending N [per=VALUE]; */

char *
ngx_http_approval_conf_max_pending(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    return ngx_http_approval_conf_limit(cf, &lcf->max_pending, &value[1]);
}


/* approval_max_prompts N/TIME [per=VALUE]; */

char *
ngx_http_approval_conf_max_prompts(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_loc_conf_t *lcf = conf;

    u_char     *p, *last;
    char       *rv;
    ngx_int_t   ms;
    ngx_str_t  *value, number, time;

    value = cf->args->elts;

    last = value[1].data + value[1].len;
    p = ngx_strlchr(value[1].data, last, '/');

    number.data = value[1].data;
    number.len = (p ? p : last) - value[1].data;

    rv = ngx_http_approval_conf_limit(cf, &lcf->max_prompts, &number);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    time.data = p ? p + 1 : last;
    time.len = last - time.data;

    ms = time.len ? ngx_parse_time(&time, 0) : NGX_ERROR;

    if (ms == NGX_ERROR || ms == 0) {
        return "invalid rate: use a number and a time, for example \"20/10m\"";
    }

    lcf->max_prompts.time = ms;

    return NGX_CONF_OK;
}


static void
ngx_http_approval_conf_limit_merge(ngx_http_approval_limit_t *conf,
    ngx_http_approval_limit_t *prev)
{
    if (conf->n == NGX_CONF_UNSET_UINT) {
        *conf = *prev;
    }

    if (conf->n == NGX_CONF_UNSET_UINT) {
        conf->n = 0;
    }
}


/* N [per=VALUE] */

static char *
ngx_http_approval_conf_limit(ngx_conf_t *cf, ngx_http_approval_limit_t *limit,
    ngx_str_t *number)
{
    ngx_int_t   n;
    ngx_str_t  *value, per;

    if (limit->n != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    n = ngx_atoi(number->data, number->len);

    if (n == NGX_ERROR || n == 0) {
        return "invalid number: use 1 or more";
    }

    limit->n = n;

    value = cf->args->elts;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (value[2].len <= 4 || ngx_strncmp(value[2].data, "per=", 4) != 0) {
        return "invalid parameter: use \"per=VALUE\"";
    }

    per.data = value[2].data + 4;
    per.len = value[2].len - 4;

    return ngx_http_approval_conf_default(cf, &limit->per, &per);
}


/* approval_progress TIME | off; */

char *
ngx_http_approval_conf_progress(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_loc_conf_t *lcf = conf;

    ngx_int_t   ms;
    ngx_str_t  *value;

    if (lcf->progress != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 3 && ngx_strncmp(value[1].data, "off", 3) == 0) {
        lcf->progress = 0;
        return NGX_CONF_OK;
    }

    ms = ngx_parse_time(&value[1], 0);

    if (ms == NGX_ERROR || ms == 0) {
        return "invalid time: use \"off\" or a time, for example \"15s\"";
    }

    lcf->progress = ms;

    return NGX_CONF_OK;
}


/* approval_api [approver=VALUE]; */

char *
ngx_http_approval_conf_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_loc_conf_t *lcf = conf;

    ngx_str_t                 *value, approver;
    ngx_http_core_loc_conf_t  *clcf;

    if (lcf->api) {
        return "is duplicate";
    }

    if (lcf->metrics) {
        return "is in one location with \"approval_metrics\": use a location "
               "for each";
    }

    ngx_http_approval_conf_keep_at(cf, &lcf->api_at);

    lcf->api = 1;
    lcf->conf_file = cf->conf_file->file.name.data;
    lcf->conf_line = cf->conf_file->line;

    if (cf->args->nelts == 2) {
        value = cf->args->elts;

        if (value[1].len <= 9
            || ngx_strncmp(value[1].data, "approver=", 9) != 0)
        {
            return "invalid parameter: use \"approver=VALUE\"";
        }

        approver.data = value[1].data + 9;
        approver.len = value[1].len - 9;

        lcf->approver = ngx_http_approval_conf_complex(cf, &approver);

        if (lcf->approver == NULL
            || ngx_http_approval_conf_variables(cf, &approver) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_approval_desk_handler;

    return NGX_CONF_OK;
}


static ngx_http_complex_value_t *
ngx_http_approval_conf_complex(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_http_complex_value_t          *value;
    ngx_http_compile_complex_value_t   ccv;

    value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (value == NULL) {
        return NULL;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NULL;
    }

    return value;
}
