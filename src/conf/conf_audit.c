
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_audit.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"

#include "audit/audit.h"

#if (NGX_THREADS)
#include <ngx_thread_pool.h>
#endif


static ngx_int_t ngx_http_approval_conf_audit_file(ngx_conf_t *cf,
    ngx_str_t *file);
static ngx_int_t ngx_http_approval_conf_audit_dir(ngx_conf_t *cf,
    ngx_str_t *file);
static ngx_int_t ngx_http_approval_conf_sync(ngx_conf_t *cf,
    ngx_http_approval_audit_conf_t *acf);


/* approval_audit FILE [sync=group|always|off]; */

char *
ngx_http_approval_conf_audit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    ngx_str_t                       *value;
    ngx_http_approval_audit_conf_t  *acf;

    if (mcf->audit_conf) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_approval_conf_audit_file(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    acf = ngx_pcalloc(cf->pool, sizeof(ngx_http_approval_audit_conf_t));
    if (acf == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_approval_conf_sync(cf, acf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_approval_conf_audit_dir(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    acf->file = ngx_conf_open_file(cf->cycle, &value[1]);
    if (acf->file == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_approval_audit_once_zone(cf, acf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    mcf->audit_conf = acf;

    return NGX_CONF_OK;
}


/* Rejects what nginx accepts for a log, but where a trail would be lost. */

static ngx_int_t
ngx_http_approval_conf_audit_file(ngx_conf_t *cf, ngx_str_t *file)
{
    if (file->len
        && ngx_strcmp(file->data, "off") != 0
        && ngx_strcmp(file->data, "stderr") != 0
        && !ngx_http_approval_starts(file, "syslog:")
        && !ngx_http_approval_starts(file, "memory:")
        && ngx_strlchr(file->data, file->data + file->len, '$') == NULL)
    {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"approval_audit %V\" is not a path to a file: give a "
                       "path without variables, or remove the directive if no "
                       "audit trail is wanted", file);

    return NGX_ERROR;
}


/* nginx opens the file later, and its error would not name the line. */

static ngx_int_t
ngx_http_approval_conf_audit_dir(ngx_conf_t *cf, ngx_str_t *file)
{
    u_char           *slash;
    ngx_str_t         full, dir;
    ngx_file_info_t   fi;

    full = *file;

    if (ngx_conf_full_name(cf->cycle, &full, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_file_info(full.data, &fi) != NGX_FILE_ERROR && ngx_is_dir(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"approval_audit %V\" is a directory: give the "
                           "path to a file in it", file);
        return NGX_ERROR;
    }

    slash = full.data + full.len;

    while (slash > full.data && *slash != '/') {
        slash--;
    }

    dir.len = (slash == full.data) ? 1 : slash - full.data;
    dir.data = ngx_pnalloc(cf->temp_pool, dir.len + 1);

    if (dir.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(dir.data, full.data, dir.len + 1);

    if (ngx_file_info(dir.data, &fi) != NGX_FILE_ERROR && ngx_is_dir(&fi)) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "the directory \"%V\" of \"approval_audit %V\" does "
                       "not exist: create it", &dir, file);

    return NGX_ERROR;
}


/* Without threads a group cannot be synced off the event loop. */

static ngx_int_t
ngx_http_approval_conf_sync(ngx_conf_t *cf,
    ngx_http_approval_audit_conf_t *acf)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    acf->sync = NGX_HTTP_APPROVAL_SYNC_GROUP;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "sync=group") == 0) {
            acf->sync = NGX_HTTP_APPROVAL_SYNC_GROUP;

        } else if (ngx_strcmp(value[i].data, "sync=always") == 0) {
            acf->sync = NGX_HTTP_APPROVAL_SYNC_ALWAYS;

        } else if (ngx_strcmp(value[i].data, "sync=off") == 0) {
            acf->sync = NGX_HTTP_APPROVAL_SYNC_OFF;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown parameter \"%V\" of "
                               "\"approval_audit\": use \"sync=group\", "
                               "\"sync=always\" or \"sync=off\"", &value[i]);
            return NGX_ERROR;
        }
    }

    if (acf->sync != NGX_HTTP_APPROVAL_SYNC_GROUP) {
        return NGX_OK;
    }

#if (NGX_THREADS)

    acf->threads = ngx_thread_pool_add(cf, NULL);

    return acf->threads ? NGX_OK : NGX_ERROR;

#else

    acf->sync = NGX_HTTP_APPROVAL_SYNC_ALWAYS;

    return NGX_OK;

#endif
}


/* The API reads the trail in a thread, whatever "sync=" is. */

ngx_int_t
ngx_http_approval_conf_threads(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf)
{
#if (NGX_THREADS)

    if (mcf->audit_conf && mcf->audit_conf->threads == NULL) {
        mcf->audit_conf->threads = ngx_thread_pool_add(cf, NULL);

        return mcf->audit_conf->threads ? NGX_OK : NGX_ERROR;
    }

#endif

    return NGX_OK;
}
