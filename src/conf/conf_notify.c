
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * escalate and remind: notifications while the action is pending.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


/* escalate TIME CHANNEL...; the names are looked up with those of notify. */

char *
ngx_http_approval_conf_escalate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_int_t                      after;
    ngx_str_t                     *value;
    ngx_http_approval_escalate_t  *escalate;

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    after = ngx_parse_time(&value[1], 0);

    if (after == NGX_ERROR || after == 0) {
        return "invalid value: use a time and channels, for example "
               "\"escalate 5m managers;\"";
    }

    escalate = ngx_http_approval_conf_push(cf, &rule->escalate,
                                       sizeof(ngx_http_approval_escalate_t));
    if (escalate == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_http_approval_conf_keep_at(cf, &escalate->at);

    escalate->after = (ngx_msec_t) after;

    return ngx_http_approval_conf_names(cf, 2, &escalate->channels) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* remind TIME; */

char *
ngx_http_approval_conf_remind(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_int_t   time;
    ngx_str_t  *value;

    if (rule->remind) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    time = ngx_parse_time(&value[1], 0);

    if (time == NGX_ERROR || time == 0) {
        return "invalid value: use a time, for example \"remind 10m;\"";
    }

    ngx_http_approval_conf_keep_at(cf, &rule->remind_at);

    rule->remind = (ngx_msec_t) time;

    return NGX_CONF_OK;
}
