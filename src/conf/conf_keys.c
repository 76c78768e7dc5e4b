
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_key and approval_signing_key, and the files that directives name.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


#define NGX_HTTP_APPROVAL_KEY_FILE_MAX  65536


static approval_signer_t *ngx_http_approval_conf_signer(ngx_conf_t *cf,
    ngx_str_t *name);


/*
 * Reads a whole file, of at most max bytes, into cf->pool; the name is made
 * absolute against the configuration's directory.  Errors are logged, with the
 * name of the current directive.
 */

ngx_int_t
ngx_http_approval_conf_read_file(ngx_conf_t *cf, ngx_str_t *name, size_t max,
    ngx_str_t *text)
{
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_err_t        err;
    ngx_str_t       *directive;
    ngx_file_info_t  fi;

    directive = cf->args->elts;

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        err = ngx_errno;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "\"%V\" cannot open the file \"%V\": %s",
                           directive, name,
                           (err == NGX_ENOENT)
                           ? "check the path, or create the file; "
                             "approval-init (conf/init.sh) makes keys and "
                             "passwords"
                           : "let the user that starts nginx read it");
        return NGX_ERROR;
    }

    text->data = NULL;
    n = -1;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" is not a file: use the path of "
                           "a regular file", name, directive);

    } else if (ngx_file_size(&fi) > (off_t) max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" is larger than %uz bytes: check "
                           "the path", name, directive, max);

    } else {
        text->len = (size_t) ngx_file_size(&fi);
        text->data = ngx_pnalloc(cf->pool, text->len + 1);

        if (text->data) {
            n = ngx_read_fd(fd, text->data, text->len);

            if (n != (ssize_t) text->len) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, (n < 0) ? ngx_errno : 0,
                                   ngx_read_fd_n " \"%V\" failed", name);
            }
        }
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", name);
    }

    if (text->data == NULL || n != (ssize_t) text->len) {
        return NGX_ERROR;
    }

    text->data[text->len] = '\0';

    return NGX_OK;
}


char *
ngx_http_approval_conf_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    unsigned     line;
    ngx_str_t   *value, text;
    const char  *err;

    if (mcf->keyring) {
        return "is duplicate: to use several keys, put them into one file, "
               "one key per line";
    }

    value = cf->args->elts;

    if (ngx_http_approval_conf_read_file(cf, &value[1],
                                         NGX_HTTP_APPROVAL_KEY_FILE_MAX, &text)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    line = 0;
    err = "no memory";

    mcf->keyring = approval_keyring_parse(ngx_http_approval_core_str(&text),
                                          &err, &line);

    ngx_explicit_memzero(text.data, text.len);

    if (mcf->keyring == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid key file \"%V\", line %ui: %s", &value[1],
                           (ngx_uint_t) line, err);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * approval_signing_key FILE...; the first key signs.  All of them verify,
 * during a replacement and after it.
 */

char *
ngx_http_approval_conf_signing_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    ngx_str_t          *value;
    ngx_uint_t          i;
    approval_signer_t  *signer;

    if (mcf->signer) {
        return "is duplicate: list all files in one directive; the first one "
               "signs";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        signer = ngx_http_approval_conf_signer(cf, &value[i]);

        if (signer == NULL) {
            return NGX_CONF_ERROR;
        }

        if (mcf->signer == NULL) {
            mcf->signer = signer;

        } else if (approval_signer_add(mcf->signer, signer) != APPROVAL_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the signing key \"%V\" is listed twice: list "
                               "each key once", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static approval_signer_t *
ngx_http_approval_conf_signer(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_str_t           text;
    const char         *err;
    approval_signer_t  *signer;

    if (ngx_http_approval_conf_read_file(cf, name,
                                         NGX_HTTP_APPROVAL_KEY_FILE_MAX, &text)
        != NGX_OK)
    {
        return NULL;
    }

    err = "no memory";

    signer = approval_signer_pem(ngx_http_approval_core_str(&text), &err);

    ngx_explicit_memzero(text.data, text.len);

    if (signer == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid signing key \"%V\": %s", name, err);
    }

    return signer;
}
