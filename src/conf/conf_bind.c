
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * digest_headers, approval_digest_ignore and remember: what an approval is
 * bound to, and for how long.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


static ngx_int_t ngx_http_approval_conf_header(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_str_t *value);
static void ngx_http_approval_conf_ignore_cleanup(void *data);


/* digest_headers NAME...; in addition to those that are always bound. */

char *
ngx_http_approval_conf_digest_headers(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_approval_conf_header(cf, rule, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_approval_conf_header(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_str_t *value)
{
    size_t                     n;
    u_char                     c, *p;
    ngx_str_t                  text;
    ngx_uint_t                 i;
    ngx_http_approval_fact_t  *fact;

    static const char  *always[] = {
        "host", "content-type", "content-encoding"
    };

    rule->binds = "digest_headers";

    for (n = 0; n < value->len; n++) {
        c = value->data[n];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
        {
            break;
        }
    }

    if (value->len == 0 || n < value->len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid header \"%V\" in \"digest_headers\": give "
                           "a header's name, for example \"X-Env\"", value);
        return NGX_ERROR;
    }

    for (n = 0; n < value->len; n++) {
        value->data[n] = ngx_tolower(value->data[n]);
    }

    for (i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        if (ngx_strcmp(value->data, always[i]) == 0) {
            return NGX_OK;
        }
    }

    text.len = sizeof("$http_") - 1 + value->len;
    text.data = ngx_pnalloc(cf->pool, text.len + 1);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text.data, "$http_", sizeof("$http_") - 1);

    for (n = 0; n < value->len; n++) {
        c = value->data[n];
        *p++ = (c == '-' || c == '.') ? '_' : c;
    }

    *p = '\0';

    fact = ngx_http_approval_rule_fact(cf, rule, &text);

    return fact ? ngx_http_approval_conf_bound(cf, rule, fact) : NGX_ERROR;
}


/* bind VALUE...; */

char *
ngx_http_approval_conf_bind(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_approval_fact_t  *fact;

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    rule->binds = "bind";

    for (i = 1; i < cf->args->nelts; i++) {

        fact = ngx_http_approval_rule_fact(cf, rule, &value[i]);

        if (fact == NULL
            || ngx_http_approval_conf_use(cf, rule, fact) != NGX_OK
            || ngx_http_approval_conf_bound(cf, rule, fact) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_approval_fact_fleeting(fact)) {
            ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_FLEETING_BIND,
                                   ngx_http_approval_here(cf),
                                   "\"%V\" in \"bind\" of rule \"%V\" changes "
                                   "with each request: a retry cannot join "
                                   "the action, and an approval cannot be "
                                   "used later. Bind another value, or add "
                                   "this one to "
                                   "\"approval_digest_ignore\"",
                                   &value[i], &rule->name);
        }
    }

    return NGX_CONF_OK;
}


/*
 * hold TIME [status=CODE]: no client takes one of the codes for success, and
 * clients that retry by themselves do so after them.
 */

char *
ngx_http_approval_conf_hold(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_int_t    time;
    ngx_str_t   *value;
    ngx_uint_t   i;

    static const struct {
        const char  *argument;
        ngx_uint_t   status;
    } codes[] = {
        { "status=409", NGX_HTTP_CONFLICT }, { "status=423", 423 },
        { "status=425", 425 }, { "status=429", NGX_HTTP_TOO_MANY_REQUESTS },
        { "status=503", NGX_HTTP_SERVICE_UNAVAILABLE },
        { "status=504", NGX_HTTP_GATEWAY_TIME_OUT }
    };

    if (rule->hold != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;
    time = ngx_parse_time(&value[1], 0);

    if (time == NGX_ERROR) {
        return NGX_HTTP_APPROVAL_CONF_TIME;
    }

    rule->hold = (ngx_msec_t) time;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (ngx_strcmp(value[2].data, codes[i].argument) == 0) {
            rule->hold_status = codes[i].status;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": use \"hold TIME\" or \"hold "
                       "TIME status=CODE\" with 409, 423, 425, 429, 503 or "
                       "504, because clients could take other codes for "
                       "success",
                       &value[2]);

    return NGX_CONF_ERROR;
}


/* remember TIME per VALUE [uses=N]; */

char *
ngx_http_approval_conf_remember(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (rule->remember) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    n = ngx_parse_time(&value[1], 0);

    if (n == NGX_ERROR || n == 0) {
        return "invalid time: use one greater than 0, for example \"remember "
               "10m per $request_method$request_uri\"";
    }

    rule->remember = (ngx_msec_t) n;

    if (ngx_strcmp(value[2].data, "per") != 0) {
        return "has no \"per\": use \"remember TIME per VALUE [uses=N]\"";
    }

    if (ngx_strlchr(value[3].data, value[3].data + value[3].len, '$') == NULL)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"remember\" has no variable: use "
                           "variables that are the same in all requests that "
                           "one approval covers, for example "
                           "\"$request_method$request_uri\"", &value[3]);
        return NGX_CONF_ERROR;
    }

    rule->remember_per = ngx_http_approval_rule_fact(cf, rule, &value[3]);

    if (rule->remember_per == NULL
        || ngx_http_approval_conf_use(cf, rule, rule->remember_per) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 4) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[4].data, "uses=", 5) != 0) {
        return "invalid parameter: use \"uses=N\"";
    }

    n = ngx_atoi(value[4].data + 5, value[4].len - 5);

    if (n == NGX_ERROR || n == 0) {
        return "invalid \"uses=\": use a number of 1 or more, or remove it "
               "for any number of uses";
    }

    rule->remember_uses = n;

    return NGX_CONF_OK;
}


/* approval_digest_ignore json:/pointer | $arg_name | ... | off; */

char *
ngx_http_approval_conf_digest_ignore(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_loc_conf_t *lcf = conf;

    ngx_str_t           *value;
    ngx_uint_t           i;
    const char          *err;
    ngx_pool_cleanup_t  *cln;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {

        if (lcf->ignore != NGX_CONF_UNSET_PTR) {
            return "has \"off\" together with other values: remove either "
                   "\"off\" or the others";
        }

        lcf->ignore = NULL;

        return NGX_CONF_OK;
    }

    if (lcf->ignore == NULL) {
        return "has \"off\" together with other values: remove either \"off\" "
               "or the others";
    }

    if (lcf->ignore == NGX_CONF_UNSET_PTR) {

        cln = ngx_pool_cleanup_add(cf->pool, 0);
        if (cln == NULL) {
            return NGX_CONF_ERROR;
        }

        lcf->ignore = approval_ignore_create();
        if (lcf->ignore == NULL) {
            return NGX_CONF_ERROR;
        }

        cln->handler = ngx_http_approval_conf_ignore_cleanup;
        cln->data = lcf->ignore;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        err = "no memory";

        if (approval_ignore_add(lcf->ignore,
                                ngx_http_approval_core_str(&value[i]), &err)
            != APPROVAL_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "cannot ignore \"%V\": %s", &value[i], err);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static void
ngx_http_approval_conf_ignore_cleanup(void *data)
{
    approval_ignore_destroy(data);
}
