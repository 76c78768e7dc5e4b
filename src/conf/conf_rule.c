
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Directives of a rule.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


typedef int (*ngx_http_approval_conf_secret_pt)(approval_redact_t *redact,
    approval_str_t what, const char **err);


static ngx_int_t ngx_http_approval_conf_subject(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_str_t *text);
static ngx_int_t ngx_http_approval_conf_from(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_http_approval_fact_t *fact,
    ngx_uint_t from);
static approval_subject_e ngx_http_approval_conf_kind(
    ngx_http_approval_fact_t *fact);
static ngx_int_t ngx_http_approval_conf_condition(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_int_t subject, ngx_str_t *patterns,
    ngx_uint_t n);
static ngx_http_approval_fact_t *ngx_http_approval_conf_show_add(
    ngx_conf_t *cf, ngx_http_approval_rule_conf_t *rule, ngx_str_t *name,
    ngx_str_t *text);
static char *ngx_http_approval_conf_secrets(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_http_approval_conf_secret_pt add);
static ngx_int_t ngx_http_approval_conf_outcome(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_http_approval_outcome_e outcome);


/* match SUBJECT PATTERN... [from VALUE...]; */

char *
ngx_http_approval_conf_match(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_int_t                   subject;
    ngx_str_t                  *value;
    ngx_uint_t                  i, from;
    ngx_http_approval_fact_t  **facts;

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    subject = ngx_http_approval_conf_subject(cf, rule, &value[1]);
    if (subject == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    facts = rule->policy->subjects.elts;

    for (from = 3; from < cf->args->nelts; from++) {
        if (ngx_strcmp(value[from].data, "from") == 0) {
            break;
        }
    }

    from = ngx_min(from, cf->args->nelts);

    for (i = 2; i < from; i++) {
        if (ngx_http_approval_conf_pattern(cf, facts[subject], &value[i])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_approval_conf_from(cf, rule, facts[subject], from) != NGX_OK
        || ngx_http_approval_conf_condition(cf, rule, subject,
                                            &value[2], from - 2)
           != NGX_OK
        || ngx_http_approval_conf_use(cf, rule, facts[subject]) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rule->matches++;

    return NGX_CONF_OK;
}


/*
 * The values after "from", of which a map or a script makes the variable.  Each
 * must have one reading.
 */

static ngx_int_t
ngx_http_approval_conf_from(ngx_conf_t *cf, ngx_http_approval_rule_conf_t *rule,
    ngx_http_approval_fact_t *fact, ngx_uint_t from)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (from == cf->args->nelts) {

        if (fact->kind == NGX_HTTP_APPROVAL_FACT_OPAQUE
            && fact->inputs == NULL)
        {
            ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_OPAQUE_VARIABLE,
                                   ngx_http_approval_here(cf),
                                   "rule \"%V\" matches \"%V\", but the "
                                   "module cannot see from which parts of the "
                                   "request it is computed: list them, for "
                                   "example \"match %V PATTERN from "
                                   "$http_x_env\"",
                                   &rule->name, &fact->name, &fact->name);
        }

        return NGX_OK;
    }

    if (fact->kind != NGX_HTTP_APPROVAL_FACT_OPAQUE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"from\" lists what a variable of a \"map\", of "
                           "\"set\" or of a script is computed from, but "
                           "\"%V\" comes from the request itself: remove "
                           "\"from\", or write \"\\from\" if it is a "
                           "pattern", &fact->name);
        return NGX_ERROR;
    }

    if (from + 1 == cf->args->nelts) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"from\" is not followed by the values from which "
                           "\"%V\" is computed: list them",
                           &fact->name);
        return NGX_ERROR;
    }

    for (i = from + 1; i < cf->args->nelts; i++) {

        if (ngx_strlchr(value[i].data, value[i].data + value[i].len, '$')
            == NULL)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" after \"from\" has no variable: use "
                               "for example \"$http_x_env\"", &value[i]);
            return NGX_ERROR;
        }

        if (ngx_http_approval_fact_from(cf,
                        &ngx_http_approval_policy_conf(rule->policy)->facts,
                        fact, &value[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * mcp_tool NAME...: a JSON-RPC tools/call of those tools.  "jsonrpc" is not
 * required, because a server that does not check it would execute the call.
 */

char *
ngx_http_approval_conf_mcp_tool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_int_t                   subject;
    ngx_str_t                  *value;
    ngx_http_approval_fact_t  **facts;

    static ngx_str_t  method[] = {
        ngx_string("json:/method"), ngx_string("tools/call")
    };
    static ngx_str_t  name = ngx_string("json:/params/name");

    if (rule->mcp) {
        return "is duplicate: list all tools in one directive, because a call "
               "has only one tool";
    }

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    subject = ngx_http_approval_conf_subject(cf, rule, &method[0]);

    if (subject == NGX_ERROR
        || ngx_http_approval_conf_condition(cf, rule, subject,
                                            &method[1], 1)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    subject = ngx_http_approval_conf_subject(cf, rule, &name);

    if (subject == NGX_ERROR
        || ngx_http_approval_conf_condition(cf, rule, subject,
                                            &value[1], cf->args->nelts - 1)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    facts = rule->policy->subjects.elts;

    if (ngx_http_approval_conf_use(cf, rule, facts[subject]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rule->mcp = 1;
    rule->matches++;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_approval_conf_subject(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_str_t *text)
{
    int                               n;
    const char                       *err;
    ngx_http_approval_fact_t         *fact, **slot;
    ngx_http_approval_policy_conf_t  *policy;

    static ngx_str_t  uri = ngx_string("$uri");

    policy = ngx_http_approval_policy_conf(rule->policy);

    fact = ngx_http_approval_rule_fact(cf, rule, text);
    if (fact == NULL) {
        return NGX_ERROR;
    }

    if (fact->kind == NGX_HTTP_APPROVAL_FACT_TEXT && fact->inputs->nelts == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "subject \"%V\" has no variable: use \"$name\", "
                           "\"json:/pointer\" or \"form:name\"", text);
        return NGX_ERROR;
    }

    if (ngx_http_approval_fact_named(fact, "request_body")) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"$request_body\" may be empty when rules are "
                           "judged: use \"json:/pointer\" or \"form:name\"");
        return NGX_ERROR;
    }

    /* the path has several names, but is one subject for all rules */

    if (fact->kind == NGX_HTTP_APPROVAL_FACT_PATH) {
        fact = ngx_http_approval_rule_fact(cf, rule, &uri);
        if (fact == NULL) {
            return NGX_ERROR;
        }
    }

    err = "no memory";

    n = approval_match_subject(policy->match,
                               ngx_http_approval_conf_kind(fact),
                               ngx_http_approval_core_str(&fact->name), &err);
    if (n < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid subject \"%V\": %s",
                           text, err);
        return NGX_ERROR;
    }

    if ((ngx_uint_t) n == policy->subjects.nelts) {
        slot = ngx_array_push(&policy->subjects);
        if (slot == NULL) {
            return NGX_ERROR;
        }

        *slot = fact;
    }

    return n;
}


static approval_subject_e
ngx_http_approval_conf_kind(ngx_http_approval_fact_t *fact)
{
    switch (fact->kind) {

    case NGX_HTTP_APPROVAL_FACT_METHOD:
        return APPROVAL_SUBJECT_METHOD;

    case NGX_HTTP_APPROVAL_FACT_PATH:
        return APPROVAL_SUBJECT_URI;

    case NGX_HTTP_APPROVAL_FACT_MEMBER:
    case NGX_HTTP_APPROVAL_FACT_FIELD:
        return APPROVAL_SUBJECT_MEMBER;

    default:
        return APPROVAL_SUBJECT_VALUE;
    }
}


/*
 * An approval is bound to all values that its rule uses, and to their inputs,
 * except for values that change with each request.
 */

ngx_int_t
ngx_http_approval_conf_use(ngx_conf_t *cf, ngx_http_approval_rule_conf_t *rule,
    ngx_http_approval_fact_t *fact)
{
    ngx_uint_t                  i;
    ngx_http_approval_fact_t  **facts;

    facts = fact->inputs ? fact->inputs->elts : NULL;

    for (i = 0; facts && i < fact->inputs->nelts; i++) {
        if (ngx_http_approval_conf_use(cf, rule, facts[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_approval_fact_fleeting(fact)
           ? NGX_OK : ngx_http_approval_conf_bound(cf, rule, fact);
}


ngx_int_t
ngx_http_approval_conf_bound(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_http_approval_fact_t *fact)
{
    ngx_uint_t                  i;
    ngx_http_approval_fact_t  **facts;

    facts = rule->facts.elts;

    for (i = 0; i < rule->facts.nelts; i++) {
        if (facts[i] == fact) {
            return NGX_OK;
        }
    }

    facts = ngx_array_push(&rule->facts);
    if (facts == NULL) {
        return NGX_ERROR;
    }

    *facts = fact;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_conf_condition(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_int_t subject, ngx_str_t *patterns,
    ngx_uint_t n)
{
    ngx_uint_t               i;
    approval_str_t          *list;
    ngx_http_approval_at_t  *at;
    char                     errstr[NGX_MAX_CONF_ERRSTR];

    at = ngx_array_push(&rule->conditions);
    if (at == NULL) {
        return NGX_ERROR;
    }

    ngx_http_approval_conf_keep_at(cf, at);

    list = ngx_palloc(cf->temp_pool, n * sizeof(approval_str_t));
    if (list == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        list[i] = ngx_http_approval_core_str(&patterns[i]);
        ngx_http_approval_lint_pattern(cf, rule, &patterns[i]);
    }

    errstr[0] = '\0';

    if (approval_match_condition(rule->policy->match, subject, list, n, errstr,
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
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_approval_fact_t  *fact;
    ngx_http_approval_show_t  *show;

    value = cf->args->elts;

    if (ngx_http_approval_conf_name(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_http_approval_conf_text(cf, rule->policy);

    show = rule->shows ? rule->shows->elts : NULL;

    for (i = 0; show && i < rule->shows->nelts; i++) {
        if (ngx_strcmp(show[i].name.data, value[1].data) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "rule \"%V\" already shows a value as \"%V\": "
                               "use another name", &rule->name, &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    fact = ngx_http_approval_conf_show_add(cf, rule, &value[1], &value[2]);

    if (fact == NULL || ngx_http_approval_conf_use(cf, rule, fact) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * Shows the arguments of an MCP call.  They are bound as a part of the body,
 * not by conf_use(), so that approval_digest_ignore can leave some of them out.
 */

ngx_int_t
ngx_http_approval_conf_show_call(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule)
{
    static ngx_str_t  name = ngx_string("arguments");
    static ngx_str_t  arguments = ngx_string("json:/params/arguments");

    if (!rule->mcp || rule->shows) {
        return NGX_OK;
    }

    return ngx_http_approval_conf_show_add(cf, rule, &name, &arguments)
           ? NGX_OK : NGX_ERROR;
}


static ngx_http_approval_fact_t *
ngx_http_approval_conf_show_add(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_str_t *name, ngx_str_t *text)
{
    ngx_http_approval_show_t  *show;

    show = ngx_http_approval_conf_push(cf, &rule->shows,
                                       sizeof(ngx_http_approval_show_t));
    if (show == NULL) {
        return NULL;
    }

    show->name = *name;
    show->fact = ngx_http_approval_rule_fact(cf, rule, text);

    return show->fact;
}


/* summary TEXT; */

char *
ngx_http_approval_conf_summary(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_str_t  *value;

    if (rule->summary) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rule->summary = ngx_http_approval_rule_fact(cf, rule, &value[1]);

    if (rule->summary == NULL
        || ngx_http_approval_conf_use(cf, rule, rule->summary) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* redact WHAT...; */

char *
ngx_http_approval_conf_redact(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_approval_conf_secrets(cf, conf, approval_redact_add);
}


/* reveal NAME...; */

char *
ngx_http_approval_conf_reveal(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_approval_conf_secrets(cf, conf, approval_redact_reveal);
}


static char *
ngx_http_approval_conf_secrets(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_http_approval_conf_secret_pt add)
{
    ngx_str_t   *value;
    ngx_uint_t   i;
    const char  *err;

    value = cf->args->elts;

    ngx_http_approval_conf_text(cf, rule->policy);

    for (i = 1; i < cf->args->nelts; i++) {
        err = "no memory";

        if (add(rule->redact, ngx_http_approval_core_str(&value[i]), &err)
            != APPROVAL_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "cannot %V \"%V\": %s",
                               &value[0], &value[i], err);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_approval_conf_allow(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

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
    ngx_http_approval_rule_conf_t *rule = conf;

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
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_int_t                     n;
    ngx_str_t                    *value;
    ngx_uint_t                    i;
    ngx_http_approval_require_t  *require;

    value = cf->args->elts;

    if (rule->requires == NULL
        && ngx_http_approval_conf_outcome(cf, rule, NGX_HTTP_APPROVAL_REQUIRE)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_http_approval_conf_text(cf, rule->policy);

    require = ngx_http_approval_conf_push(cf, &rule->requires,
                                          sizeof(ngx_http_approval_require_t));
    if (require == NULL
        || ngx_array_init(&require->groups, cf->pool, 2, sizeof(ngx_int_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (rule->requires->nelts > APPROVAL_QUORUM_LINES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "rule \"%V\" has more than %d \"require\" lines",
                           &rule->name, APPROVAL_QUORUM_LINES);
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
        return "has no name of a group: use \"require N of GROUP...;\"";
    }

    return ngx_http_approval_conf_group_list(cf, i, &require->groups) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_approval_conf_outcome(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_http_approval_outcome_e outcome)
{
    if (rule->outcome != NGX_CONF_UNSET_UINT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "rule \"%V\" already has an outcome: keep only one "
                           "of \"allow\", \"deny\" and "
                           "\"require\"", &rule->name);
        return NGX_ERROR;
    }

    rule->outcome = outcome;

    return NGX_OK;
}


/* notify CHANNEL...; the names are looked up when all channels are known. */

char *
ngx_http_approval_conf_notify(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_rule_conf_t *rule = conf;

    ngx_http_approval_conf_text(cf, rule->policy);

    return ngx_http_approval_conf_names(cf, 1, &rule->notify) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}
