
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_operators and break_glass: who may act alone.
 */


#include "conf/conf.h"


/* approval_operators GROUP...; */

char *
ngx_http_approval_conf_operators(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_main_conf_t *mcf = conf;

    ngx_int_t   group, *slot;
    ngx_str_t  *value;
    ngx_uint_t  i;

    if (mcf->operators) {
        return "is duplicate: name all groups in one line";
    }

    mcf->operators = ngx_array_create(cf->pool, 2, sizeof(ngx_int_t));
    if (mcf->operators == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_approval_conf_name(cf, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        group = approval_people_group(mcf->people,
                                      ngx_http_approval_core_str(&value[i]));
        slot = ngx_array_push(mcf->operators);

        if (group < 0 || slot == NULL) {
            return NGX_CONF_ERROR;
        }

        *slot = group;
    }

    return NGX_CONF_OK;
}


/* break_glass GROUP; */

char *
ngx_http_approval_conf_break_glass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_rule_t *rule = conf;

    ngx_str_t                      *value;
    ngx_http_approval_main_conf_t  *mcf;

    if (rule->break_glass != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    if (ngx_http_approval_conf_name(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    rule->break_glass = approval_people_group(mcf->people,
                                      ngx_http_approval_core_str(&value[1]));

    return (rule->break_glass < 0) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


/* A switch that nobody can reach is found when it is needed. */

char *
ngx_http_approval_check_operators(ngx_conf_t *cf,
    ngx_http_approval_main_conf_t *mcf)
{
    ngx_int_t       *groups;
    ngx_str_t        name;
    ngx_uint_t       i;
    approval_str_t   s;

    if (mcf->operators == NULL) {
        return NGX_CONF_OK;
    }

    groups = mcf->operators->elts;

    for (i = 0; i < mcf->operators->nelts; i++) {

        if (approval_people_group_size(mcf->people, groups[i])) {
            continue;
        }

        s = approval_people_group_name(mcf->people, groups[i]);
        name.len = s.len;
        name.data = (u_char *) s.data;

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "group \"%V\" in \"approval_operators\" has no members: "
                      "declare them with \"approval_group %V identity...\"",
                      &name, &name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
