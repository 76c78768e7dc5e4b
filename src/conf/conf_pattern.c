
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Rejects patterns that can never match: a rule that protects nothing looks
 * like one that does.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


static const char *ngx_http_approval_pattern_method(ngx_str_t *text);
static const char *ngx_http_approval_pattern_uri(ngx_str_t *text);
static const char *ngx_http_approval_pattern_host(ngx_str_t *text);


/* Regexes and comparisons with numbers are not checked. */

ngx_int_t
ngx_http_approval_conf_pattern(ngx_conf_t *cf,
    ngx_http_approval_fact_t *subject, ngx_str_t *pattern)
{
    ngx_str_t    text;
    const char  *why;

    text = *pattern;

    if (text.len && text.data[0] == '!') {
        text.data++;
        text.len--;
    }

    if ((text.len == 1 || text.len == 2)
        && ngx_strncmp(text.data, "==", text.len) == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no operator: remove it, as in \"match %V "
                           "%sPATTERN\"; for the text itself write \"%s\\%V\"",
                           pattern, &subject->name,
                           (text.len < pattern->len) ? "!" : "",
                           (text.len < pattern->len) ? "!" : "", &text);
        return NGX_ERROR;
    }

    if (text.len && ngx_strchr("~<>!", text.data[0])) {
        return NGX_OK;
    }

    if (text.len && ngx_strchr("^\\", text.data[0])) {

        if (text.len == 1 && text.data[0] == '^') {
            return NGX_OK;
        }

        text.data++;
        text.len--;
    }

    switch (subject->kind) {

    case NGX_HTTP_APPROVAL_FACT_METHOD:
        why = ngx_http_approval_pattern_method(&text);
        break;

    case NGX_HTTP_APPROVAL_FACT_PATH:
        why = ngx_http_approval_pattern_uri(&text);
        break;

    case NGX_HTTP_APPROVAL_FACT_HOST:
        why = ngx_http_approval_pattern_host(&text);
        break;

    default:
        why = NULL;
        break;
    }

    if (why == NULL) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" %s matches: %s",
                       pattern, (pattern->data[0] == '!') ? "always" : "never",
                       why);

    return NGX_ERROR;
}


static const char *
ngx_http_approval_pattern_method(ngx_str_t *text)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if ((c < 'A' || c > 'Z') && c != '_' && c != '-') {
            return "nginx accepts only upper case letters, \"_\" and \"-\" in "
                   "methods. Write several methods with spaces between them, "
                   "as in \"PUT DELETE\"";
        }
    }

    return text->len ? NULL : "a method is never empty";
}


static const char *
ngx_http_approval_pattern_uri(ngx_str_t *text)
{
    size_t  i;

    if (text->len == 0 || text->data[0] != '/') {
        return "\"$uri\" starts with \"/\". Use a regex (\"~\") to match a "
               "part of it";
    }

    for (i = 0; i < text->len; i++) {

        if (text->data[i] == '?') {
            return "\"$uri\" does not include the query. Match \"$args\" or "
                   "\"$arg_name\" as well";
        }

        if (text->data[i] == '%' && i + 2 < text->len
            && ngx_hextoi(&text->data[i + 1], 2) != NGX_ERROR)
        {
            return "\"$uri\" is decoded. Write the character itself";
        }
    }

    return NULL;
}


static const char *
ngx_http_approval_pattern_host(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] >= 'A' && text->data[i] <= 'Z') {
            return "hosts are compared in lower case. Write it in lower case";
        }
    }

    return NULL;
}
