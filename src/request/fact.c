
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Facts: finds out, when the configuration is read, which values of a request a
 * text uses.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/request.h"


/*
 * nginx's variables that a client can choose, then those that only nginx sets.
 * A name that ends in "_" is a prefix.  All other variables are opaque.
 */

typedef struct {
    const char                *name;
    ngx_http_approval_fact_e   kind;
    const char                *of;       /* the inputs that it is made of     */
    unsigned                   fleeting; /* changes with each request         */
} ngx_http_approval_source_t;


static const ngx_http_approval_source_t  ngx_http_approval_sources[] = {

    { "arg_", NGX_HTTP_APPROVAL_FACT_ARGUMENT, NULL, 0 },
    { "args", NGX_HTTP_APPROVAL_FACT_QUERY, NULL, 0 },
    { "approval_arg_", NGX_HTTP_APPROVAL_FACT_CAPTURE, NULL, 0 },
    { "content_length", NGX_HTTP_APPROVAL_FACT_HEADER, NULL, 0 },
    { "content_type", NGX_HTTP_APPROVAL_FACT_HEADER, NULL, 0 },
    { "cookie_", NGX_HTTP_APPROVAL_FACT_COOKIE, NULL, 0 },
    { "document_uri", NGX_HTTP_APPROVAL_FACT_PATH, NULL, 0 },
    { "host", NGX_HTTP_APPROVAL_FACT_HOST, NULL, 0 },
    { "http_host", NGX_HTTP_APPROVAL_FACT_HOST, NULL, 0 },
    { "http_", NGX_HTTP_APPROVAL_FACT_HEADER, NULL, 0 },
    { "query_string", NGX_HTTP_APPROVAL_FACT_QUERY, NULL, 0 },
    { "request", NGX_HTTP_APPROVAL_FACT_TEXT,
      "$request_method $request_uri", 0 },
    { "request_filename", NGX_HTTP_APPROVAL_FACT_TEXT, "$uri", 0 },
    { "request_method", NGX_HTTP_APPROVAL_FACT_METHOD, NULL, 0 },
    { "request_uri", NGX_HTTP_APPROVAL_FACT_TARGET, NULL, 0 },
    { "uri", NGX_HTTP_APPROVAL_FACT_PATH, NULL, 0 },

    { "binary_remote_addr", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "connection", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "connection_", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "document_root", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "geoip_", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "hostname", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "https", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "http2", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "http3", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "is_args", NGX_HTTP_APPROVAL_FACT_TEXT, "$args", 0 },
    { "limit_rate", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "msec", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "nginx_version", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "pid", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "pipe", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "proxy_protocol_", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "realip_remote_addr", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "realip_remote_port", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "realpath_root", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "remote_addr", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "remote_port", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "remote_user", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "request_id", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "request_length", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "request_time", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "scheme", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "server_", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "ssl_session_id", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "ssl_session_reused", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "ssl_early_data", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "ssl_", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 0 },
    { "tcpinfo_", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },
    { "time_", NGX_HTTP_APPROVAL_FACT_ONE, NULL, 1 },

    { NULL, 0, NULL, 0 }
};


static ngx_http_approval_fact_t *ngx_http_approval_fact_known(
    ngx_http_approval_facts_t *facts, ngx_str_t *text);
static ngx_http_approval_fact_t *ngx_http_approval_fact_add(
    ngx_conf_t *cf, ngx_http_approval_facts_t *facts, ngx_str_t *text);
static ngx_int_t ngx_http_approval_fact_body(ngx_conf_t *cf,
    ngx_http_approval_fact_t *fact);
static ngx_int_t ngx_http_approval_fact_variable(ngx_conf_t *cf,
    ngx_http_approval_facts_t *facts, ngx_http_approval_fact_t *fact,
    ngx_str_t *name);
static ngx_int_t ngx_http_approval_fact_text(ngx_conf_t *cf,
    ngx_http_approval_facts_t *facts, ngx_http_approval_fact_t *fact,
    ngx_str_t *text);
static ngx_int_t ngx_http_approval_fact_key(ngx_conf_t *cf,
    ngx_http_approval_fact_t *fact, ngx_str_t *name, size_t prefix);
static const ngx_http_approval_source_t *ngx_http_approval_source(
    ngx_str_t *name);


#define ngx_http_approval_name_char(c)                                        \
    (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z')                 \
     || ((c) >= '0' && (c) <= '9') || (c) == '_')


ngx_int_t
ngx_http_approval_facts_init(ngx_http_approval_facts_t *facts,
    ngx_pool_t *pool)
{
    return ngx_array_init(&facts->list, pool, 8, sizeof(void *));
}


void
ngx_http_approval_facts_free(ngx_http_approval_facts_t *facts)
{
    ngx_uint_t                  i;
    ngx_http_approval_fact_t  **list;

    list = facts->list.elts;

    for (i = 0; i < facts->list.nelts; i++) {
        approval_readings_free(&list[i]->readings);
        approval_json_pointer_free(list[i]->pointer);
    }

    facts->list.nelts = 0;
}


ngx_http_approval_fact_t *
ngx_http_approval_fact(ngx_conf_t *cf, ngx_http_approval_facts_t *facts,
    ngx_str_t *text)
{
    ngx_str_t                  rest, name;
    ngx_uint_t                 single;
    ngx_http_approval_fact_t  *fact;

    fact = ngx_http_approval_fact_known(facts, text);

    if (fact) {
        return fact;
    }

    fact = ngx_http_approval_fact_add(cf, facts, text);

    if (fact == NULL) {
        return NULL;
    }

    if (ngx_strncmp(text->data, "json:", 5) == 0
        || ngx_strncmp(text->data, "form:", 5) == 0)
    {
        return ngx_http_approval_fact_body(cf, fact) == NGX_OK ? fact : NULL;
    }

    rest = *text;

    single = ngx_http_approval_next_name(&rest, &name)
             && rest.len == 0
             && (name.data == text->data + 1
                 || (name.data == text->data + 2 && text->data[1] == '{'));

    if (single) {
        return ngx_http_approval_fact_variable(cf, facts, fact, &name)
               == NGX_OK ? fact : NULL;
    }

    return ngx_http_approval_fact_text(cf, facts, fact, text) == NGX_OK ? fact
                                                                        : NULL;
}


static ngx_http_approval_fact_t *
ngx_http_approval_fact_known(ngx_http_approval_facts_t *facts,
    ngx_str_t *text)
{
    ngx_uint_t                  i;
    ngx_http_approval_fact_t  **list;

    list = facts->list.elts;

    for (i = 0; i < facts->list.nelts; i++) {
        if (list[i]->name.len == text->len
            && ngx_memcmp(list[i]->name.data, text->data, text->len) == 0)
        {
            return list[i];
        }
    }

    return NULL;
}


static ngx_http_approval_fact_t *
ngx_http_approval_fact_add(ngx_conf_t *cf, ngx_http_approval_facts_t *facts,
    ngx_str_t *text)
{
    ngx_http_approval_fact_t  *fact, **slot;

    fact = ngx_pcalloc(cf->pool, sizeof(ngx_http_approval_fact_t));
    slot = ngx_array_push(&facts->list);

    if (fact == NULL || slot == NULL) {
        return NULL;
    }

    *slot = fact;

    fact->name = *text;
    fact->kind = NGX_HTTP_APPROVAL_FACT_ONE;
    fact->index = NGX_ERROR;
    fact->conf_file = cf->conf_file->file.name.data;
    fact->conf_line = cf->conf_file->line;

    approval_readings_init(&fact->readings);

    return fact;
}


static ngx_int_t
ngx_http_approval_fact_body(ngx_conf_t *cf, ngx_http_approval_fact_t *fact)
{
    const char      *err;
    approval_str_t   pointer;

    fact->key.data = fact->name.data + 5;
    fact->key.len = fact->name.len - 5;

    if (fact->name.data[0] == 'f') {
        fact->kind = NGX_HTTP_APPROVAL_FACT_FIELD;

        if (fact->key.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"form:\" has no name of a field");
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    fact->kind = NGX_HTTP_APPROVAL_FACT_MEMBER;

    pointer.data = fact->key.data;
    pointer.len = fact->key.len;

    err = "no memory";
    fact->pointer = approval_json_pointer_compile(pointer, &err);

    if (fact->pointer == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid pointer \"%V\": %s",
                           &fact->name, err);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_fact_variable(ngx_conf_t *cf,
    ngx_http_approval_facts_t *facts, ngx_http_approval_fact_t *fact,
    ngx_str_t *name)
{
    ngx_str_t                          of;
    const ngx_http_approval_source_t  *source;

    source = ngx_http_approval_source(name);

    fact->kind = source ? source->kind : NGX_HTTP_APPROVAL_FACT_OPAQUE;

    if (source && source->of) {
        of.data = (u_char *) source->of;
        of.len = ngx_strlen(source->of);

        if (ngx_http_approval_fact_from(cf, facts, fact, &of) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    switch (fact->kind) {

    /* no index, which costs every request: read from the request itself */

    case NGX_HTTP_APPROVAL_FACT_METHOD:
    case NGX_HTTP_APPROVAL_FACT_PATH:
    case NGX_HTTP_APPROVAL_FACT_TARGET:
    case NGX_HTTP_APPROVAL_FACT_QUERY:
    case NGX_HTTP_APPROVAL_FACT_HOST:
        return NGX_OK;

    case NGX_HTTP_APPROVAL_FACT_ARGUMENT:
    case NGX_HTTP_APPROVAL_FACT_HEADER:
    case NGX_HTTP_APPROVAL_FACT_COOKIE:
    case NGX_HTTP_APPROVAL_FACT_CAPTURE:
        if (ngx_http_approval_fact_key(cf, fact, name,
                                       source->name[ngx_strlen(source->name)
                                                    - 1] == '_'
                                       ? ngx_strlen(source->name) : 0)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (fact->kind != NGX_HTTP_APPROVAL_FACT_ARGUMENT
            && fact->kind != NGX_HTTP_APPROVAL_FACT_HEADER)
        {
            break;
        }

        /* no index, which takes memory in every request: found by name */

        fact->variable.len = name->len;
        fact->variable.data = ngx_pnalloc(cf->pool, name->len);

        if (fact->variable.data == NULL) {
            return NGX_ERROR;
        }

        fact->hash = ngx_hash_strlow(fact->variable.data, name->data,
                                     name->len);

        return NGX_OK;

    default:
        break;
    }

    /* an unknown variable is an error, as everywhere in nginx.conf */

    fact->index = ngx_http_get_variable_index(cf, name);

    return (fact->index == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/* A header's name in lower case, with dashes instead of underscores. */

static ngx_int_t
ngx_http_approval_fact_key(ngx_conf_t *cf, ngx_http_approval_fact_t *fact,
    ngx_str_t *name, size_t prefix)
{
    size_t  i;

    fact->key.len = name->len - prefix;
    fact->key.data = ngx_pnalloc(cf->pool, fact->key.len + 1);

    if (fact->key.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(fact->key.data, name->data + prefix, fact->key.len);
    fact->key.data[fact->key.len] = '\0';

    if (fact->kind == NGX_HTTP_APPROVAL_FACT_HEADER) {

        for (i = 0; i < fact->key.len; i++) {
            fact->key.data[i] = (fact->key.data[i] == '_')
                                ? '-' : ngx_tolower(fact->key.data[i]);
        }
    }

    if (fact->kind == NGX_HTTP_APPROVAL_FACT_CAPTURE) {
        ngx_strlow(fact->key.data, fact->key.data, fact->key.len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_fact_text(ngx_conf_t *cf, ngx_http_approval_facts_t *facts,
    ngx_http_approval_fact_t *fact, ngx_str_t *text)
{
    ngx_http_compile_complex_value_t  ccv;

    fact->kind = NGX_HTTP_APPROVAL_FACT_TEXT;

    fact->value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (fact->value == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &fact->name;
    ccv.complex_value = fact->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_approval_fact_from(cf, facts, fact, text);
}


/* Adds each "$name" of the text as an input. */

ngx_int_t
ngx_http_approval_fact_from(ngx_conf_t *cf, ngx_http_approval_facts_t *facts,
    ngx_http_approval_fact_t *fact, ngx_str_t *text)
{
    ngx_str_t                   rest, name, input;
    ngx_http_approval_fact_t  **slot;

    if (fact->inputs == NULL) {
        fact->inputs = ngx_array_create(cf->pool, 4, sizeof(void *));
        if (fact->inputs == NULL) {
            return NGX_ERROR;
        }
    }

    rest = *text;

    while (ngx_http_approval_next_name(&rest, &name)) {

        input.len = name.len + 1;
        input.data = ngx_pnalloc(cf->pool, input.len + 1);
        slot = ngx_array_push(fact->inputs);

        if (input.data == NULL || slot == NULL) {
            return NGX_ERROR;
        }

        *ngx_cpymem(ngx_cpymem(input.data, "$", 1), name.data, name.len)
            = '\0';

        *slot = ngx_http_approval_fact(cf, facts, &input);

        if (*slot == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static const ngx_http_approval_source_t *
ngx_http_approval_source(ngx_str_t *name)
{
    size_t                             len;
    const ngx_http_approval_source_t  *source;

    for (source = ngx_http_approval_sources; source->name; source++) {
        len = ngx_strlen(source->name);

        if (name->len < len
            || ngx_strncasecmp(name->data, (u_char *) source->name, len) != 0)
        {
            continue;
        }

        if (name->len == len || source->name[len - 1] == '_') {
            return source;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_approval_next_name(ngx_str_t *text, ngx_str_t *name)
{
    u_char      *p, *last;
    ngx_uint_t   braces;

    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        if (*p != '$') {
            continue;
        }

        p++;
        braces = (p < last && *p == '{');
        p += braces;

        name->data = p;

        while (p < last && ngx_http_approval_name_char(*p)) {
            p++;
        }

        name->len = p - name->data;

        p += (braces && p < last && *p == '}');

        text->data = p;
        text->len = last - p;

        return 1;
    }

    return 0;
}


ngx_uint_t
ngx_http_approval_fact_named(ngx_http_approval_fact_t *fact, const char *name)
{
    ngx_uint_t                  i;
    ngx_http_approval_fact_t  **inputs;

    if (fact->name.len == ngx_strlen(name) + 1
        && fact->name.data[0] == '$'
        && ngx_strncasecmp(fact->name.data + 1, (u_char *) name,
                           fact->name.len - 1)
           == 0)
    {
        return 1;
    }

    inputs = fact->inputs ? fact->inputs->elts : NULL;

    for (i = 0; inputs && i < fact->inputs->nelts; i++) {
        if (ngx_http_approval_fact_named(inputs[i], name)) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_approval_fact_fleeting(ngx_http_approval_fact_t *fact)
{
    ngx_str_t                          name;
    ngx_uint_t                         i;
    ngx_http_approval_fact_t         **inputs;
    const ngx_http_approval_source_t  *source;

    name = fact->name;

    if (name.len && name.data[0] == '$') {
        name.data++;
        name.len--;

        source = ngx_http_approval_source(&name);

        if (source && source->fleeting) {
            return 1;
        }
    }

    if (fact->inputs) {
        inputs = fact->inputs->elts;

        for (i = 0; i < fact->inputs->nelts; i++) {
            if (ngx_http_approval_fact_fleeting(inputs[i])) {
                return 1;
            }
        }
    }

    return 0;
}
