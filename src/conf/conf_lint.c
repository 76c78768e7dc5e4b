
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_lint, and the only code that writes warnings.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


typedef struct {
    ngx_http_approval_lint_e       lint;
    u_char                        *file;
    ngx_uint_t                     line;
    ngx_str_t                      text;
} ngx_http_approval_warning_t;


#define LINT(id, name)  ngx_string(name),

static ngx_str_t  ngx_http_approval_lints[] = {
#include "conf/lint.def"
};

#undef LINT


ngx_int_t
ngx_http_approval_lint_init(ngx_conf_t *cf, ngx_http_approval_conf_t *mcf)
{
    ngx_http_approval_lint_t  *lint;

    lint = ngx_pcalloc(cf->temp_pool, sizeof(ngx_http_approval_lint_t));

    if (lint == NULL
        || ngx_array_init(&lint->warnings, cf->temp_pool, 8,
                          sizeof(ngx_http_approval_warning_t))
           != NGX_OK
        || ngx_array_init(&lint->places, cf->temp_pool, 16,
                          sizeof(ngx_http_approval_place_t))
           != NGX_OK
        || ngx_array_init(&lint->texts, cf->temp_pool, 8,
                          sizeof(ngx_http_approval_text_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    mcf->lint = lint;

    return NGX_OK;
}


void
ngx_http_approval_lint(ngx_conf_t *cf, ngx_http_approval_lint_e lint,
    u_char *file, ngx_uint_t line, const char *fmt, ...)
{
    u_char                       *p;
    va_list                       args;
    ngx_http_approval_warning_t  *warning;
    ngx_http_approval_conf_t     *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    p = ngx_pnalloc(cf->temp_pool, NGX_MAX_CONF_ERRSTR);
    warning = ngx_array_push(&mcf->lint->warnings);

    if (p == NULL || warning == NULL) {
        return;
    }

    va_start(args, fmt);

    warning->lint = lint;
    warning->file = file;
    warning->line = line;
    warning->text.data = p;
    warning->text.len = ngx_vslprintf(p, p + NGX_MAX_CONF_ERRSTR, fmt, args)
                        - p;

    va_end(args);
}


ngx_uint_t
ngx_http_approval_linted(ngx_conf_t *cf, ngx_http_approval_lint_e lint,
    u_char *file, ngx_uint_t line)
{
    ngx_uint_t                    i;
    ngx_http_approval_warning_t  *warning;
    ngx_http_approval_conf_t     *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);
    warning = mcf->lint->warnings.elts;

    for (i = 0; i < mcf->lint->warnings.nelts; i++) {
        if (warning[i].lint == lint && warning[i].line == line
            && ngx_strcmp(warning[i].file, file) == 0)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_approval_lint_report(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf)
{
    ngx_uint_t                    i;
    ngx_http_approval_warning_t  *warning;

    warning = mcf->lint->warnings.elts;

    for (i = 0; i < mcf->lint->warnings.nelts; i++) {

        if (mcf->lint->off & ((uint64_t) 1 << warning[i].lint)) {
            continue;
        }

        ngx_log_error(NGX_LOG_WARN, cf->log, 0, "%V [lint: %V] in %s:%ui",
                      &warning[i].text,
                      &ngx_http_approval_lints[warning[i].lint],
                      warning[i].file, warning[i].line);
    }

    mcf->lint = NULL;
}


void
ngx_http_approval_conf_keep_at(ngx_conf_t *cf, ngx_http_approval_at_t *at)
{
    at->file = cf->conf_file->file.name.data;
    at->line = cf->conf_file->line;
}


/* approval_lint off NAME...; */

char *
ngx_http_approval_conf_lint(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    u_char      *p, *last;
    u_char       known[NGX_MAX_CONF_ERRSTR];
    ngx_str_t   *value;
    ngx_uint_t   i, n;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") != 0) {
        return "has no \"off\": use \"approval_lint off NAME...\"";
    }

    for (i = 2; i < cf->args->nelts; i++) {

        for (n = 0; n < NGX_HTTP_APPROVAL_LINTS; n++) {
            if (ngx_strcmp(ngx_http_approval_lints[n].data, value[i].data)
                == 0)
            {
                break;
            }
        }

        if (n < NGX_HTTP_APPROVAL_LINTS) {
            mcf->lint->off |= (uint64_t) 1 << n;
            continue;
        }

        p = known;
        last = known + sizeof(known);

        for (n = 0; n < NGX_HTTP_APPROVAL_LINTS; n++) {
            p = ngx_slprintf(p, last, "%s%V", n ? ", " : "",
                             &ngx_http_approval_lints[n]);
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown name \"%V\" in \"approval_lint\": the "
                           "names are "
                           "%*s", &value[i], (size_t) (p - known), known);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
