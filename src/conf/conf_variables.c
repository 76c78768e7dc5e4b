
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Unknown variables: nginx reports them without the file and the line.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


static ngx_int_t ngx_http_approval_check_facts(ngx_conf_t *cf,
    ngx_http_approval_facts_t *facts);
static ngx_int_t ngx_http_approval_check_text(ngx_conf_t *cf, ngx_str_t text,
    u_char *file, ngx_uint_t line);
static ngx_uint_t ngx_http_approval_check_known(ngx_conf_t *cf,
    ngx_str_t *name);
static ngx_int_t ngx_http_approval_check_others(ngx_conf_t *cf);
static ngx_uint_t ngx_http_approval_check_unset(ngx_conf_t *cf,
    ngx_str_t *name, ngx_str_t *group);
static ngx_uint_t ngx_http_approval_check_captured(
    ngx_http_approval_conf_t *mcf, ngx_str_t *name);


ngx_int_t
ngx_http_approval_conf_variables(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_http_approval_text_t  *slot;
    ngx_http_approval_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    slot = ngx_array_push(&mcf->lint->texts);
    if (slot == NULL) {
        return NGX_ERROR;
    }

    slot->text = *text;
    ngx_http_approval_conf_keep_at(cf, &slot->at);

    return NGX_OK;
}


/* Called after all modules have added variables, before nginx looks any up. */

ngx_int_t
ngx_http_approval_check_variables(ngx_conf_t *cf)
{
    ngx_uint_t                         i;
    ngx_http_approval_text_t          *text;
    ngx_http_approval_policy_conf_t  **policies;
    ngx_http_approval_conf_t          *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {
        if (ngx_http_approval_check_facts(cf, &policies[i]->facts) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_approval_check_facts(cf, &mcf->facts) != NGX_OK) {
        return NGX_ERROR;
    }

    text = mcf->lint->texts.elts;

    for (i = 0; i < mcf->lint->texts.nelts; i++) {
        if (ngx_http_approval_check_text(cf, text[i].text,
                                         ngx_http_approval_at(text[i].at))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_approval_check_others(cf);
}


static ngx_int_t
ngx_http_approval_check_facts(ngx_conf_t *cf, ngx_http_approval_facts_t *facts)
{
    ngx_uint_t                  i;
    ngx_http_approval_fact_t  **list;

    list = facts->list.elts;

    for (i = 0; i < facts->list.nelts; i++) {

        if (list[i]->pointer
            || ngx_http_approval_check_text(cf, list[i]->name,
                                            list[i]->conf_file,
                                            list[i]->conf_line)
               == NGX_OK)
        {
            continue;
        }

        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_check_text(ngx_conf_t *cf, ngx_str_t text, u_char *file,
    ngx_uint_t line)
{
    ngx_str_t  name, group;

    while (ngx_http_approval_next_name(&text, &name)) {

        if (ngx_http_approval_check_unset(cf, &name, &group)) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown \"%V\" variable: no \"match\" of any rule "
                          "has a regex with a group \"(?<%V>...)\" in %s:%ui",
                          &name, &group, file, line);
            return NGX_ERROR;
        }

        if (!ngx_http_approval_check_known(cf, &name)) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown \"%V\" variable: nginx has no variable of "
                          "that name, and no \"map\" or \"set\" creates it in "
                          "%s:%ui", &name, file, line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Looks where nginx looks later. */

static ngx_uint_t
ngx_http_approval_check_known(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                  i;
    ngx_hash_key_t             *key;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    v = cmcf->prefix_variables.elts;

    for (i = 0; i < cmcf->prefix_variables.nelts; i++) {
        if (name->len > v[i].name.len
            && ngx_strncasecmp(name->data, v[i].name.data, v[i].name.len) == 0)
        {
            return 1;
        }
    }

    key = cmcf->variables_keys->keys.elts;

    for (i = 0; i < cmcf->variables_keys->keys.nelts; i++) {
        if (key[i].value && key[i].key.len == name->len
            && ngx_strncasecmp(name->data, key[i].key.data, name->len) == 0)
        {
            return 1;
        }
    }

    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {
        if (v[i].get_handler && v[i].name.len == name->len
            && ngx_strncasecmp(name->data, v[i].name.data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* A misspelt $approval_arg_NAME would always be empty, without an error. */

static ngx_int_t
ngx_http_approval_check_others(ngx_conf_t *cf)
{
    ngx_str_t                   group;
    ngx_uint_t                  i;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        if (ngx_http_approval_check_unset(cf, &v[i].name, &group)) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown \"%V\" variable: no \"match\" of any rule "
                          "has a regex with a group \"(?<%V>...)\"",
                          &v[i].name, &group);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_approval_check_unset(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *group)
{
    ngx_str_t                  lower;
    ngx_http_approval_conf_t  *mcf;

    if (name->len < sizeof(NGX_HTTP_APPROVAL_ARG) - 1
        || ngx_strncasecmp(name->data, (u_char *) NGX_HTTP_APPROVAL_ARG,
                           sizeof(NGX_HTTP_APPROVAL_ARG) - 1)
           != 0)
    {
        return 0;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    group->data = name->data + sizeof(NGX_HTTP_APPROVAL_ARG) - 1;
    group->len = name->len - (sizeof(NGX_HTTP_APPROVAL_ARG) - 1);

    lower.len = group->len;
    lower.data = ngx_pnalloc(cf->temp_pool, lower.len + 1);

    if (lower.data == NULL) {
        return 1;
    }

    ngx_strlow(lower.data, group->data, group->len);

    return !ngx_http_approval_check_captured(mcf, &lower);
}


static ngx_uint_t
ngx_http_approval_check_captured(ngx_http_approval_conf_t *mcf,
    ngx_str_t *name)
{
    ngx_uint_t                    i, j;
    approval_str_t                subject;
    ngx_http_approval_rule_t    **rules;
    ngx_http_approval_policy_t  **policies;

    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {
        rules = policies[i]->rules.elts;

        for (j = 0; j < policies[i]->rules.nelts; j++) {
            if (approval_match_capture_subject(policies[i]->match,
                                              rules[j]->number,
                                              ngx_http_approval_core_str(name),
                                              &subject)
                == APPROVAL_OK)
            {
                return 1;
            }
        }
    }

    return 0;
}
