
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_passkey_origin, and what "vote passkey" needs.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"
#include "core/passkey.h"


/* approval_passkey_origin URL; */

char *
ngx_http_approval_conf_passkey_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    ngx_str_t   *value;
    const char  *err;

    if (mcf->passkey_origin.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (approval_passkey_origin(ngx_http_approval_core_str(&value[1]), &err)
        != APPROVAL_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid origin \"%V\": %s", &value[1], err);
        return NGX_CONF_ERROR;
    }

    mcf->passkey_origin = value[1];

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_approval_check_passkey(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_t *rule)
{
    if (rule->vote != NGX_HTTP_APPROVAL_VOTE_BY_PASSKEY
        || mcf->passkey_origin.len)
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"vote passkey\" in rule \"%V\" needs "
                  "\"approval_passkey_origin URL\": add it to the http block, "
                  "with the origin at which approvers open the pages, in "
                  "%s:%ui",
                  &rule->name, rule->conf_file, rule->conf_line);

    return NGX_ERROR;
}


/*
 * Whoever can write to Redis could write an unsigned decision, without the
 * passkey that the rule requires.
 */

ngx_int_t
ngx_http_approval_check_unsigned(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *conf)
{
    ngx_uint_t                  i;
    ngx_http_approval_rule_t  **rules;

    if (!conf->unsigned_decisions) {
        return NGX_OK;
    }

    rules = conf->policy->rules.elts;

    for (i = 0; i < conf->policy->rules.nelts; i++) {

        if (rules[i]->vote != NGX_HTTP_APPROVAL_VOTE_BY_PASSKEY) {
            continue;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"approval_unsigned_decisions on\" contradicts \"vote "
                      "passkey\" in rule \"%V\" of \"approval %V\": remove "
                      "one of them in %s:%ui",
                      &rules[i]->name, &conf->policy->name, conf->conf_file,
                      conf->conf_line);
        return NGX_ERROR;
    }

    return NGX_OK;
}
