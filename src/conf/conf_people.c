
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_group and approval_alias.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


#define NGX_HTTP_APPROVAL_GROUP_FILE_MAX  (1024 * 1024)


static void ngx_http_approval_conf_likely(ngx_conf_t *cf,
    ngx_str_t *identity);
static ngx_int_t ngx_http_approval_conf_member(ngx_conf_t *cf, int group,
    ngx_str_t *identity, ngx_str_t *file, ngx_uint_t line);
static ngx_int_t ngx_http_approval_conf_group_file(ngx_conf_t *cf, int group,
    ngx_str_t *file);


/* approval_group NAME identity... | file:PATH; */

char *
ngx_http_approval_conf_group(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    int          group;
    ngx_int_t    rc;
    ngx_str_t   *value, file;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (ngx_http_approval_conf_name(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* a vote has its approver's groups, separated by blanks */

    if (ngx_strlchr(value[1].data, value[1].data + value[1].len, ' ')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" of a group: it must not "
                           "contain blanks", &value[1]);
        return NGX_CONF_ERROR;
    }

    group = approval_people_group(mcf->people,
                                  ngx_http_approval_core_str(&value[1]));
    if (group < 0) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_approval_conf_after(&value[i], "file:", &file)) {
            rc = ngx_http_approval_conf_group_file(cf, group, &file);

        } else {
            rc = ngx_http_approval_conf_member(cf, group, &value[i], NULL, 0);
        }

        if (rc != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/*
 * Identities that look like several, or like a file, are accepted as they are
 * written, but probably belong to nobody.
 */

static void
ngx_http_approval_conf_likely(ngx_conf_t *cf, ngx_str_t *identity)
{
    u_char  *last;

    last = identity->data + identity->len;

    /* the subject of a certificate has commas, or slashes */

    if (ngx_strlchr(identity->data, last, '=')) {
        return;
    }

    if (ngx_strlchr(identity->data, last, ',')) {
        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_JOINED_NAMES,
                               ngx_http_approval_here(cf),
                               "\"%V\" is taken as one identity that contains "
                               "a comma: separate identities with "
                               "spaces", identity);
    }

    if (identity->len && (identity->data[0] == '/'
                          || ngx_http_approval_starts(identity, "./")
                          || ngx_http_approval_starts(identity, "../")))
    {
        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_NO_FILE_PREFIX,
                               ngx_http_approval_here(cf),
                               "\"%V\" is taken as an identity, but looks "
                               "like a path: write \"file:%V\" if the members "
                               "are in that file", identity, identity);
    }
}


static ngx_int_t
ngx_http_approval_conf_member(ngx_conf_t *cf, int group, ngx_str_t *identity,
    ngx_str_t *file, ngx_uint_t line)
{
    const char                *err;
    ngx_http_approval_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);
    err = "no memory";

    if (approval_people_member(mcf->people, group,
                               ngx_http_approval_core_str(identity), &err)
        == APPROVAL_OK)
    {
        ngx_http_approval_conf_likely(cf, identity);

        return NGX_OK;
    }

    if (file) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid identity \"%V\" in \"%V\", line %ui: %s",
                           identity, file, line, err);

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid identity \"%V\": %s",
                           identity, err);
    }

    return NGX_ERROR;
}


/* One identity a line; blank ones and those that start with "#" are skipped. */

static ngx_int_t
ngx_http_approval_conf_group_file(ngx_conf_t *cf, int group, ngx_str_t *file)
{
    ngx_str_t   text, identity;
    ngx_uint_t  line;

    if (ngx_http_approval_conf_read_file(cf, file,
                                         NGX_HTTP_APPROVAL_GROUP_FILE_MAX,
                                         &text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (line = 1; ngx_http_approval_conf_line(&text, &identity); line++) {

        if (identity.len == 0 || identity.data[0] == '#') {
            continue;
        }

        if (ngx_http_approval_conf_member(cf, group, &identity, file, line)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* approval_alias identity identity...; */

char *
ngx_http_approval_conf_alias(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;
    const char  *err;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        ngx_http_approval_conf_likely(cf, &value[i]);
    }

    for (i = 2; i < cf->args->nelts; i++) {
        err = "no memory";

        if (approval_people_alias(mcf->people,
                                  ngx_http_approval_core_str(&value[1]),
                                  ngx_http_approval_core_str(&value[i]), &err)
            != APPROVAL_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" and \"%V\" cannot be declared the same "
                               "person: %s", &value[i], &value[1], err);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}
