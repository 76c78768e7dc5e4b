
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What stands in a rule.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


static ngx_int_t ngx_http_approval_conf_subject(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_str_t *text);
static ngx_int_t ngx_http_approval_conf_variable(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_str_t *text,
    ngx_http_approval_subject_t *subject);
static ngx_int_t ngx_http_approval_conf_reads(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_str_t *text);
static ngx_int_t ngx_http_approval_conf_read(ngx_conf_t *cf,
    ngx_array_t **list, ngx_str_t *name, u_char dash);
static ngx_uint_t ngx_http_approval_conf_next_name(ngx_str_t *text,
    ngx_str_t *name);
static ngx_uint_t ngx_http_approval_conf_names(ngx_str_t *text,
    const char *name);
static ngx_int_t ngx_http_approval_conf_condition(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_int_t subject, ngx_str_t *patterns,
    ngx_uint_t n);
static ngx_int_t ngx_http_approval_conf_outcome(ngx_conf_t *cf,
    ngx_http_approval_rule_t *rule, ngx_http_approval_outcome_e outcome);


/* match SUBJECT PATTERN...; */

char *
ngx_http_approval_conf_match(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_t *rule = conf;

    ngx_int_t                     subject;
    ngx_str_t                    *value;
    ngx_uint_t                    i;
    ngx_http_approval_subject_t  *subjects;

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    subject = ngx_http_approval_conf_subject(cf, rule->policy, &value[1]);
    if (subject == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    subjects = rule->policy->subjects.elts;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_approval_conf_pattern(cf, &subjects[subject], &value[i])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_approval_conf_condition(cf, rule->policy, subject, &value[2],
                                         cf->args->nelts - 2)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rule->matches++;

    return NGX_CONF_OK;
}


/*
 * mcp_tool NAME...: a JSON-RPC tools/call of those tools.  "jsonrpc" is not
 * asked for: a server that does not insist on it would run the call.
 */

char *
ngx_http_approval_conf_mcp_tool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_t *rule = conf;

    ngx_int_t   subject;
    ngx_str_t  *value;

    static ngx_str_t  method[] = {
        ngx_string("json:/method"), ngx_string("tools/call")
    };
    static ngx_str_t  name = ngx_string("json:/params/name");

    if (rule->mcp) {
        return "is duplicate: no call is of two tools, name all in one line";
    }

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    subject = ngx_http_approval_conf_subject(cf, rule->policy, &method[0]);

    if (subject == NGX_ERROR
        || ngx_http_approval_conf_condition(cf, rule->policy, subject,
                                            &method[1], 1)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    subject = ngx_http_approval_conf_subject(cf, rule->policy, &name);

    if (subject == NGX_ERROR
        || ngx_http_approval_conf_condition(cf, rule->policy, subject,
                                            &value[1], cf->args->nelts - 1)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rule->mcp = 1;
    rule->matches++;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_approval_conf_subject(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_str_t *text)
{
    int                           n;
    ngx_str_t                     name;
    const char                   *err;
    ngx_http_approval_subject_t  *subject, new;

    ngx_memzero(&new, sizeof(ngx_http_approval_subject_t));

    new.index = NGX_ERROR;
    name = *text;

    if (ngx_http_approval_starts(text, "json:")) {
        new.kind = APPROVAL_SUBJECT_JSON;
        name.data += 5;
        name.len -= 5;

    } else if (ngx_http_approval_starts(text, "form:")) {
        new.kind = APPROVAL_SUBJECT_FORM;
        name.data += 5;
        name.len -= 5;

        if (name.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"form:\" lacks the name of a field");
            return NGX_ERROR;
        }

    } else if (ngx_http_approval_conf_variable(cf, policy, text, &new)
               != NGX_OK)
    {
        return NGX_ERROR;
    }

    err = "no memory";

    n = approval_match_subject(policy->match, new.kind,
                               ngx_http_approval_core_str(&name), &err);
    if (n < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid subject \"%V\": %s",
                           text, err);
        return NGX_ERROR;
    }

    if ((ngx_uint_t) n == policy->subjects.nelts) {
        subject = ngx_array_push(&policy->subjects);
        if (subject == NULL) {
            return NGX_ERROR;
        }

        *subject = new;
    }

    return n;
}


static ngx_int_t
ngx_http_approval_conf_variable(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_str_t *text,
    ngx_http_approval_subject_t *subject)
{
    u_char                            *p;
    ngx_str_t                          name;
    ngx_http_compile_complex_value_t   ccv;

    if (ngx_strlchr(text->data, text->data + text->len, '$') == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "subject \"%V\" has no variable: use \"$name\", "
                           "\"json:/pointer\" or \"form:name\"", text);
        return NGX_ERROR;
    }

    if (ngx_http_approval_conf_names(text, "request_body")) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"$request_body\" may be absent when rules are "
                           "judged: use \"json:/pointer\" or \"form:name\"");
        return NGX_ERROR;
    }

    if (ngx_http_approval_conf_names(text, "uri")
        || ngx_http_approval_conf_names(text, "request_uri")
        || ngx_http_approval_conf_names(text, "document_uri")
        || ngx_http_approval_conf_names(text, "request")
        || ngx_http_approval_conf_names(text, "request_filename"))
    {
        policy->judges_path = 1;
    }

    if (ngx_http_approval_conf_reads(cf, policy, text) != NGX_OK) {
        return NGX_ERROR;
    }

    subject->kind = APPROVAL_SUBJECT_VARIABLE;

    name.data = text->data + 1;
    name.len = text->len - 1;

    for (p = name.data; p < name.data + name.len; p++) {
        if (!ngx_http_approval_conf_name_char(*p)) {
            break;
        }
    }

    if (text->data[0] == '$' && name.len && p == name.data + name.len) {

        /* read from the request itself: an index costs every request */

        if (ngx_strcmp(text->data, "$request_method") == 0) {
            subject->kind = APPROVAL_SUBJECT_METHOD;
            return NGX_OK;
        }

        if (ngx_strcmp(text->data, "$uri") == 0) {
            subject->kind = APPROVAL_SUBJECT_URI;
            return NGX_OK;
        }

        subject->index = ngx_http_get_variable_index(cf, &name);

        return (subject->index == NGX_ERROR) ? NGX_ERROR : NGX_OK;
    }

    subject->value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (subject->value == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = subject->value;

    return ngx_http_compile_complex_value(&ccv);
}


/* Of what a client may send two, and nginx shows one. */

static ngx_int_t
ngx_http_approval_conf_reads(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_str_t *text)
{
    ngx_str_t  name, rest;

    rest = *text;

    if (ngx_http_approval_conf_names(text, "args")
        || ngx_http_approval_conf_names(text, "query_string")
        || ngx_http_approval_conf_names(text, "request_uri")
        || ngx_http_approval_conf_names(text, "request"))
    {
        policy->judges_query = 1;
    }

    while (ngx_http_approval_conf_next_name(&rest, &name)) {

        if (name.len > 4
            && ngx_strncasecmp(name.data, (u_char *) "arg_", 4) == 0)
        {
            name.data += 4;
            name.len -= 4;

            policy->judges_query = 1;

            if (ngx_http_approval_conf_read(cf, &policy->judged_args, &name,
                                            '_')
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        if (name.len > 5
            && ngx_strncasecmp(name.data, (u_char *) "http_", 5) == 0)
        {
            name.data += 5;
            name.len -= 5;

            if (ngx_http_approval_conf_read(cf, &policy->judged_headers, &name,
                                            '-')
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* In lower case, once; of two headers nginx shows all values. */

static ngx_int_t
ngx_http_approval_conf_read(ngx_conf_t *cf, ngx_array_t **list,
    ngx_str_t *name, u_char dash)
{
    u_char      *p;
    ngx_str_t   *names;
    ngx_uint_t   i;

    p = ngx_pnalloc(cf->pool, name->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(p, name->data, name->len);
    p[name->len] = '\0';

    for (i = 0; i < name->len; i++) {
        if (p[i] == '_') {
            p[i] = dash;
        }
    }

    if (ngx_strcmp(p, "cookie") == 0 || ngx_strcmp(p, "x-forwarded-for") == 0)
    {
        return NGX_OK;
    }

    if (*list == NULL) {
        *list = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
        if (*list == NULL) {
            return NGX_ERROR;
        }
    }

    names = (*list)->elts;

    for (i = 0; i < (*list)->nelts; i++) {
        if (names[i].len == name->len
            && ngx_memcmp(names[i].data, p, name->len) == 0)
        {
            return NGX_OK;
        }
    }

    names = ngx_array_push(*list);
    if (names == NULL) {
        return NGX_ERROR;
    }

    names->len = name->len;
    names->data = p;

    return NGX_OK;
}


/* The next "$name" or "${name}" of the text, which goes on behind it. */

static ngx_uint_t
ngx_http_approval_conf_next_name(ngx_str_t *text, ngx_str_t *name)
{
    u_char  *p, *last;

    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        if (*p != '$') {
            continue;
        }

        p++;

        if (p < last && *p == '{') {
            p++;
        }

        name->data = p;

        while (p < last && ngx_http_approval_conf_name_char(*p)) {
            p++;
        }

        name->len = p - name->data;

        text->data = p;
        text->len = last - p;

        return 1;
    }

    return 0;
}


static ngx_uint_t
ngx_http_approval_conf_names(ngx_str_t *text, const char *name)
{
    ngx_str_t  rest, found;

    rest = *text;

    while (ngx_http_approval_conf_next_name(&rest, &found)) {
        if (found.len == ngx_strlen(name)
            && ngx_strncasecmp(found.data, (u_char *) name, found.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_approval_conf_condition(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_int_t subject, ngx_str_t *patterns,
    ngx_uint_t n)
{
    ngx_uint_t       i;
    approval_str_t  *list;
    char             errstr[NGX_MAX_CONF_ERRSTR];

    list = ngx_palloc(cf->temp_pool, n * sizeof(approval_str_t));
    if (list == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        list[i] = ngx_http_approval_core_str(&patterns[i]);
    }

    errstr[0] = '\0';

    if (approval_match_condition(policy->match, subject, list, n, errstr,
                                 sizeof(errstr))
        != APPROVAL_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s",
                           errstr[0] ? errstr : "no memory for a pattern");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* show NAME VALUE; */

char *
ngx_http_approval_conf_show(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_t *rule = conf;

    ngx_str_t                         *value, pointer;
    ngx_uint_t                         i;
    const char                        *err;
    ngx_http_approval_show_t          *show;
    ngx_http_compile_complex_value_t   ccv;

    value = cf->args->elts;

    if (ngx_http_approval_conf_name(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_http_approval_conf_text(cf, rule->policy);

    if (rule->shows == NULL) {
        rule->shows = ngx_array_create(cf->pool, 4,
                                       sizeof(ngx_http_approval_show_t));
        if (rule->shows == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    show = rule->shows->elts;

    for (i = 0; i < rule->shows->nelts; i++) {
        if (ngx_strcmp(show[i].name.data, value[1].data) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "rule \"%V\" shows \"%V\" already: give one of "
                               "them another name", &rule->name, &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    show = ngx_array_push(rule->shows);
    if (show == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(show, sizeof(ngx_http_approval_show_t));
    show->name = value[1];

    if (ngx_http_approval_starts(&value[2], "json:")) {
        pointer.data = value[2].data + 5;
        pointer.len = value[2].len - 5;

        err = "no memory";
        show->pointer = approval_json_pointer_compile(
                                 ngx_http_approval_core_str(&pointer), &err);

        if (show->pointer == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid pointer \"%V\": %s", &value[2], err);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    show->value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (show->value == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[2];
    ccv.complex_value = show->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* redact WHAT...; */

char *
ngx_http_approval_conf_redact(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_t *rule = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;
    const char  *err;

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    for (i = 1; i < cf->args->nelts; i++) {
        err = "no memory";

        if (approval_redact_add(rule->redact,
                                ngx_http_approval_core_str(&value[i]), &err)
            != APPROVAL_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "cannot redact \"%V\": %s", &value[i], err);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_approval_conf_allow(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_t *rule = conf;

    if (ngx_http_approval_conf_outcome(cf, rule, NGX_HTTP_APPROVAL_ALLOW)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* deny ["why"]; */

char *
ngx_http_approval_conf_deny(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_t *rule = conf;

    ngx_str_t  *value;

    if (ngx_http_approval_conf_outcome(cf, rule, NGX_HTTP_APPROVAL_DENY)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    if (cf->args->nelts == 2) {
        rule->why = value[1];
    }

    return NGX_CONF_OK;
}


/* require [N of] GROUP...; */

char *
ngx_http_approval_conf_require(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_t *rule = conf;

    ngx_int_t                       n, group, *slot;
    ngx_str_t                      *value;
    ngx_uint_t                      i;
    ngx_http_approval_require_t    *require;
    ngx_http_approval_main_conf_t  *mcf;

    value = cf->args->elts;

    if (rule->requires == NULL
        && ngx_http_approval_conf_outcome(cf, rule, NGX_HTTP_APPROVAL_REQUIRE)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_http_approval_conf_text(cf, rule->policy);

    if (rule->requires == NULL) {
        rule->requires = ngx_array_create(cf->pool, 2,
                                          sizeof(ngx_http_approval_require_t));
        if (rule->requires == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (rule->requires->nelts == APPROVAL_QUORUM_LINES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "rule \"%V\" has more than %d \"require\" lines",
                           &rule->name, APPROVAL_QUORUM_LINES);
        return NGX_CONF_ERROR;
    }

    require = ngx_array_push(rule->requires);
    if (require == NULL
        || ngx_array_init(&require->groups, cf->pool, 2, sizeof(ngx_int_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    require->count = 1;
    i = 1;

    if (cf->args->nelts > 3 && ngx_strcmp(value[2].data, "of") == 0) {
        n = ngx_atoi(value[1].data, value[1].len);

        if (n == NGX_ERROR || n == 0 || n > APPROVAL_QUORUM_VOTES) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of approvers \"%V\": use 1 to "
                               "%d", &value[1], APPROVAL_QUORUM_VOTES);
            return NGX_CONF_ERROR;
        }

        require->count = n;
        i = 3;

    } else if (cf->args->nelts == 3 && ngx_strcmp(value[2].data, "of") == 0) {
        return "lacks the name of a group: use \"require N of GROUP...;\"";
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    for ( /* void */ ; i < cf->args->nelts; i++) {

        if (ngx_http_approval_conf_name(cf, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        /* its members may be declared further down; an empty one is refused
         * when all of the configuration was read */

        group = approval_people_group(mcf->people,
                                      ngx_http_approval_core_str(&value[i]));
        slot = ngx_array_push(&require->groups);

        if (group < 0 || slot == NULL) {
            return NGX_CONF_ERROR;
        }

        *slot = group;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_approval_conf_outcome(ngx_conf_t *cf, ngx_http_approval_rule_t *rule,
    ngx_http_approval_outcome_e outcome)
{
    if (rule->outcome != NGX_CONF_UNSET_UINT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "rule \"%V\" has an outcome already: keep one of "
                           "\"allow\", \"deny\" and \"require\"", &rule->name);
        return NGX_ERROR;
    }

    rule->outcome = outcome;

    return NGX_OK;
}


/* notify CHANNEL...; the names are looked up when all channels are known. */

char *
ngx_http_approval_conf_notify(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_t *rule = conf;

    ngx_str_t   *value, *name;
    ngx_uint_t   i;

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    if (rule->notify == NULL) {
        rule->notify = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
        if (rule->notify == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {
        name = ngx_array_push(rule->notify);
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        *name = value[i];
    }

    return NGX_CONF_OK;
}
