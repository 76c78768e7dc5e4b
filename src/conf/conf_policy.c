
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_policy and rule blocks.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"

#include "core/digest.h"


static ngx_int_t ngx_http_approval_policy_finish(ngx_conf_t *cf,
    ngx_http_approval_policy_conf_t *policy);
static ngx_uint_t ngx_http_approval_rule_reads_json(
    ngx_http_approval_rule_conf_t *rule);
static void ngx_http_approval_policy_quick(
    ngx_http_approval_policy_conf_t *policy);
static ngx_int_t ngx_http_approval_policy_digest(ngx_conf_t *cf,
    ngx_http_approval_policy_conf_t *policy);
static ngx_int_t ngx_http_approval_rule_finish(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule);
static ngx_int_t ngx_http_approval_rule_meaning(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule);
static ngx_int_t ngx_http_approval_rule_texts(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule);
static ngx_int_t ngx_http_approval_rule_text(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, const char *directive,
    ngx_str_t *text);


/*
 * Parses a block whose directives find "srv" and "loc" where nginx's own look
 * for server and location configurations.
 */

ngx_int_t
ngx_http_approval_conf_block(ngx_conf_t *cf, ngx_uint_t type, void *srv,
    void *loc)
{
    char                *rv;
    void               **slots;
    ngx_conf_t           save;
    ngx_http_conf_ctx_t *ctx, *http;

    http = cf->ctx;

    ctx = ngx_palloc(cf->pool, sizeof(ngx_http_conf_ctx_t));
    slots = ngx_pcalloc(cf->pool, 2 * ngx_http_max_module * sizeof(void *));

    if (ctx == NULL || slots == NULL) {
        return NGX_ERROR;
    }

    slots[ngx_http_approval_module.ctx_index] = srv;
    slots[ngx_http_max_module + ngx_http_approval_module.ctx_index] = loc;

    ctx->main_conf = http->main_conf;
    ctx->srv_conf = slots;
    ctx->loc_conf = slots + ngx_http_max_module;

    save = *cf;

    cf->ctx = ctx;
    cf->cmd_type = type;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    return (rv == NGX_CONF_OK) ? NGX_OK : NGX_ERROR;
}


char *
ngx_http_approval_conf_policy(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    ngx_int_t                         rc;
    ngx_str_t                        *value;
    ngx_uint_t                        i;
    ngx_http_approval_policy_conf_t  *policy, **slot;

    value = cf->args->elts;

    if (ngx_http_approval_conf_name(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a policy cannot be named \"off\", because "
                           "\"approval off\" disables policies: use another "
                           "name");
        return NGX_CONF_ERROR;
    }

    slot = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {
        if (ngx_strcmp(slot[i]->name.data, value[1].data) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "policy \"%V\" is declared twice: first in "
                               "%s:%ui", &value[1], slot[i]->conf_file,
                               slot[i]->conf_line);
            return NGX_CONF_ERROR;
        }
    }

    if (mcf->redact == NULL) {
        mcf->redact = approval_redact_create(NULL);
        if (mcf->redact == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    policy = ngx_pcalloc(cf->pool, sizeof(ngx_http_approval_policy_conf_t));
    slot = ngx_array_push(&mcf->policies);

    if (policy == NULL || slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = policy;

    policy->name = value[1];
    policy->def = NGX_CONF_UNSET_UINT;
    policy->body_limit = NGX_CONF_UNSET_SIZE;
    policy->strict_path = NGX_CONF_UNSET;
    policy->conf_file = cf->conf_file->file.name.data;
    policy->conf_line = cf->conf_file->line;

    if (ngx_array_init(&policy->rules, cf->pool, 16, sizeof(void *)) != NGX_OK
        || ngx_array_init(&policy->subjects, cf->pool, 8,
                          sizeof(void *))
           != NGX_OK
        || ngx_http_approval_facts_init(&policy->facts, cf->pool) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    policy->match = approval_match_create();
    if (policy->match == NULL) {
        return NGX_CONF_ERROR;
    }

    approval_buf_init(&policy->text);

    rc = ngx_http_approval_conf_block(cf, NGX_HTTP_APPROVAL_POLICY_CONF,
                                      policy, NULL);

    if (rc == NGX_OK) {
        ngx_conf_init_uint_value(policy->def, NGX_HTTP_APPROVAL_ALLOW);
        ngx_conf_init_size_value(policy->body_limit, 1024 * 1024);
        ngx_conf_init_value(policy->strict_path, 1);

        rc = ngx_http_approval_policy_finish(cf, policy);
    }

    approval_buf_free(&policy->text);

    return (rc == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_approval_policy_finish(ngx_conf_t *cf,
    ngx_http_approval_policy_conf_t *policy)
{
    ngx_uint_t                       i, judges, enforces;
    ngx_http_approval_rule_conf_t  **rules;

    static ngx_str_t  host = ngx_string("$host");
    static ngx_str_t  method = ngx_string("$request_method");
    static ngx_str_t  path = ngx_string("$uri");

    if (policy->body_limit == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"body_limit\" of policy \"%V\" must be greater "
                           "than 0: the limit cannot be disabled",
                           &policy->name);
        return NGX_ERROR;
    }

    policy->host = ngx_http_approval_fact(cf, &policy->facts, &host);
    policy->method = ngx_http_approval_fact(cf, &policy->facts, &method);
    policy->path = ngx_http_approval_fact(cf, &policy->facts, &path);

    if (policy->host == NULL || policy->method == NULL
        || policy->path == NULL)
    {
        return NGX_ERROR;
    }

    policy->path->literal = !policy->strict_path;

    if (!policy->strict_path) {
        approval_match_literal(policy->match);

        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_STRICT_PATH_OFF,
                               policy->conf_file, policy->conf_line,
                               "\"strict_path off\" in policy \"%V\": its "
                               "rules see a path only as nginx reads it. If "
                               "the upstream reads \"%%2F\", \";\", \"//\" or "
                               "upper case in another way, it may execute "
                               "requests that a rule should have held. Use "
                               "\"on\" unless the upstream gets the path that "
                               "nginx matched",
                               &policy->name);
    }

    if (approval_match_compile(policy->match) != APPROVAL_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the rules of policy \"%V\" could not be compiled: "
                           "no memory", &policy->name);
        return NGX_ERROR;
    }

    judges = (policy->def == NGX_HTTP_APPROVAL_DENY);
    enforces = judges;
    rules = policy->rules.elts;

    for (i = 0; i < policy->rules.nelts; i++) {
        if (rules[i]->outcome == NGX_HTTP_APPROVAL_REQUIRE) {
            policy->requires = 1;
            policy->decides |= (rules[i]->mode != NGX_HTTP_APPROVAL_SHADOW);
        }

        if (rules[i]->outcome != NGX_HTTP_APPROVAL_ALLOW) {
            judges = 1;
            enforces |= (rules[i]->mode != NGX_HTTP_APPROVAL_SHADOW);
        }

        policy->mcp |= rules[i]->mcp;
        policy->reads_json |= ngx_http_approval_rule_reads_json(rules[i]);
    }

    policy->shadow = (judges && !enforces);

    ngx_http_approval_lint_rules(cf, policy);

    ngx_http_approval_policy_quick(policy);

    return ngx_http_approval_policy_digest(cf, policy);
}


static ngx_uint_t
ngx_http_approval_rule_reads_json(ngx_http_approval_rule_conf_t *rule)
{
    ngx_uint_t                  i;
    ngx_http_approval_fact_t  **facts;

    facts = rule->policy->subjects.elts;

    for (i = 0; i < rule->policy->subjects.nelts; i++) {
        if (facts[i]->kind == NGX_HTTP_APPROVAL_FACT_MEMBER
            && approval_match_rule_reads(rule->policy->match, rule->number,
                                         (unsigned) i))
        {
            return 1;
        }
    }

    return 0;
}


/*
 * If rules hang (see core/match.h) only on paths and on values that a plain
 * request does not have, only its path needs to be looked at.
 */

static void
ngx_http_approval_policy_quick(ngx_http_approval_policy_conf_t *policy)
{
    ngx_uint_t                  i;
    approval_hangs_e            hangs;
    ngx_http_approval_fact_t  **facts;

    ngx_http_approval_plain_init(&policy->plain);

    policy->quick = (policy->def == NGX_HTTP_APPROVAL_ALLOW);
    facts = policy->subjects.elts;

    for (i = 0; i < policy->subjects.nelts; i++) {

        facts[i]->literal = !policy->strict_path;

        /* the argument "_method" may override it */

        if (facts[i]->kind == NGX_HTTP_APPROVAL_FACT_METHOD) {
            ngx_http_approval_plain_add(&policy->plain, facts[i]);
            continue;
        }

        hangs = approval_match_hangs(policy->match, (unsigned) i);

        if (hangs == APPROVAL_HANGS_NOT) {
            continue;
        }

        switch (facts[i]->kind) {

        case NGX_HTTP_APPROVAL_FACT_PATH:
            break;

        case NGX_HTTP_APPROVAL_FACT_ARGUMENT:
        case NGX_HTTP_APPROVAL_FACT_HEADER:
        case NGX_HTTP_APPROVAL_FACT_COOKIE:
            ngx_http_approval_plain_add(&policy->plain, facts[i]);

            if (hangs == APPROVAL_HANGS) {
                break;
            }

            /* fall through */

        default:
            policy->quick = 0;
            break;
        }
    }
}


/*
 * An action and its records identify the policy by the digest of its
 * directives.  Comments and layout do not change the digest.
 */

static ngx_int_t
ngx_http_approval_policy_digest(ngx_conf_t *cf,
    ngx_http_approval_policy_conf_t *policy)
{
    u_char  md[APPROVAL_SHA256_LEN];

    approval_buf_printf(&policy->text, "policy %d %zu %d\n", (int) policy->def,
                        policy->body_limit, (int) policy->strict_path);

    policy->digest.data = ngx_pnalloc(cf->pool, APPROVAL_DIGEST_LEN);

    if (policy->digest.data == NULL
        || policy->text.failed
        || approval_sha256(approval_buf_str(&policy->text), md) != APPROVAL_OK)
    {
        return NGX_ERROR;
    }

    approval_digest_text((char *) policy->digest.data, md);
    policy->digest.len = APPROVAL_DIGEST_LEN;

    return NGX_OK;
}


/* Names appear in logs, messages and links. */

ngx_int_t
ngx_http_approval_conf_name(ngx_conf_t *cf, ngx_str_t *name)
{
    if (name->len && approval_plain(ngx_http_approval_core_str(name))) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid name \"%V\": use non-empty UTF-8 without "
                       "control characters", name);

    return NGX_ERROR;
}


void *
ngx_http_approval_conf_push(ngx_conf_t *cf, ngx_array_t **list, size_t size)
{
    void  *element;

    if (*list == NULL) {
        *list = ngx_array_create(cf->pool, 2, size);
        if (*list == NULL) {
            return NULL;
        }
    }

    element = ngx_array_push(*list);
    if (element) {
        ngx_memzero(element, size);
    }

    return element;
}


ngx_int_t
ngx_http_approval_conf_names(ngx_conf_t *cf, ngx_uint_t first,
    ngx_array_t **list)
{
    ngx_str_t   *value, *name;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = first; i < cf->args->nelts; i++) {
        name = ngx_http_approval_conf_push(cf, list, sizeof(ngx_str_t));
        if (name == NULL) {
            return NGX_ERROR;
        }

        *name = value[i];
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_approval_conf_after(ngx_str_t *text, const char *prefix,
    ngx_str_t *rest)
{
    size_t  len;

    len = ngx_strlen(prefix);

    if (text->len < len || ngx_strncmp(text->data, prefix, len) != 0) {
        return 0;
    }

    rest->data = text->data + len;
    rest->len = text->len - len;

    return 1;
}


ngx_uint_t
ngx_http_approval_conf_line(ngx_str_t *text, ngx_str_t *line)
{
    u_char  *last, *end;

    if (text->len == 0) {
        return 0;
    }

    last = text->data + text->len;
    end = ngx_strlchr(text->data, last, '\n');

    line->data = text->data;
    line->len = (end ? end : last) - text->data;

    text->data = end ? end + 1 : last;
    text->len = last - text->data;

    while (line->len && line->data[line->len - 1] <= ' ') {
        line->len--;
    }

    while (line->len && line->data[0] <= ' ') {
        line->data++;
        line->len--;
    }

    return 1;
}


/* Adds the current directive to the policy's text, as one line. */

void
ngx_http_approval_conf_text(ngx_conf_t *cf, ngx_http_approval_policy_t *policy)
{
    ngx_str_t       *value;
    ngx_uint_t       i;
    approval_buf_t  *text;

    value = cf->args->elts;
    text = &ngx_http_approval_policy_conf(policy)->text;

    for (i = 0; i < cf->args->nelts; i++) {
        approval_buf_printf(text, "%zu:", value[i].len);
        approval_buf_add(text, value[i].data, value[i].len);
    }

    approval_buf_addc(text, '\n');
}


char *
ngx_http_approval_conf_rule(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_policy_conf_t *policy = conf;

    ngx_str_t                      *value;
    ngx_uint_t                      i;
    ngx_http_approval_rule_conf_t  *rule, **slot;
    ngx_http_approval_conf_t       *mcf;

    value = cf->args->elts;
    slot = policy->rules.elts;
    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    if (ngx_http_approval_conf_name(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < policy->rules.nelts; i++) {
        if (ngx_strcmp(slot[i]->name.data, value[1].data) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "rule \"%V\" is declared twice in policy "
                               "\"%V\": first in "
                               "%s:%ui", &value[1], &policy->name,
                               slot[i]->conf_file, slot[i]->conf_line);
            return NGX_CONF_ERROR;
        }
    }

    rule = ngx_pcalloc(cf->pool, sizeof(ngx_http_approval_rule_conf_t));
    slot = ngx_array_push(&policy->rules);

    if (rule == NULL || slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = rule;

    rule->name = value[1];
    rule->policy = policy;
    rule->risk = NGX_CONF_UNSET_UINT;
    rule->outcome = NGX_CONF_UNSET_UINT;
    rule->reason = NGX_CONF_UNSET_UINT;
    rule->mode = NGX_CONF_UNSET_UINT;
    rule->deny_after = NGX_CONF_UNSET;
    rule->comment = NGX_CONF_UNSET_UINT;
    rule->vote = NGX_CONF_UNSET_UINT;
    rule->break_glass = NGX_CONF_UNSET;
    rule->timeout = NGX_CONF_UNSET_MSEC;
    rule->hold = NGX_CONF_UNSET_MSEC;
    rule->hold_status = NGX_HTTP_SERVICE_UNAVAILABLE;
    rule->execute_within = NGX_CONF_UNSET_MSEC;
    rule->conf_file = cf->conf_file->file.name.data;
    rule->conf_line = cf->conf_file->line;

    rule->redact = approval_redact_create(mcf->redact);

    if (rule->redact == NULL
        || ngx_array_init(&rule->facts, cf->pool, 4, sizeof(void *)) != NGX_OK
        || ngx_array_init(&rule->conditions, cf->temp_pool, 2,
                          sizeof(ngx_http_approval_at_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_http_approval_conf_text(cf, policy);

    rule->number = approval_match_rule(policy->match);
    if (rule->number < 0) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_approval_conf_block(cf, NGX_HTTP_APPROVAL_RULE_CONF, policy,
                                     rule)
        != NGX_OK
        || ngx_http_approval_conf_show_call(cf, rule) != NGX_OK
        || ngx_http_approval_rule_meaning(cf, rule) != NGX_OK
        || ngx_http_approval_rule_texts(cf, rule) != NGX_OK
        || ngx_http_approval_rule_finish(cf, rule) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Rejects directives that would have no effect. */

static ngx_int_t
ngx_http_approval_rule_meaning(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule)
{
    const char  *only;

    if (rule->outcome == NGX_CONF_UNSET_UINT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "rule \"%V\" has no outcome: add \"allow\", "
                           "\"deny\" or \"require GROUP\"", &rule->name);
        return NGX_ERROR;
    }

    only = (rule->deny_after != NGX_CONF_UNSET) ? "deny_after"
           : (rule->comment != NGX_CONF_UNSET_UINT) ? "comment"
           : (rule->vote != NGX_CONF_UNSET_UINT) ? "vote"
           : (rule->timeout != NGX_CONF_UNSET_MSEC) ? "timeout"
           : (rule->hold != NGX_CONF_UNSET_MSEC) ? "hold"
           : (rule->execute_within != NGX_CONF_UNSET_MSEC) ? "execute_within"
           : (rule->reason != NGX_CONF_UNSET_UINT) ? "reason"
           : (rule->binds != NULL) ? rule->binds
           : (rule->remember != 0) ? "remember"
           : (rule->break_glass != NGX_CONF_UNSET) ? "break_glass"
           : (rule->escalate != NULL) ? "escalate"
           : (rule->remind != 0) ? "remind"
           : (rule->notify != NULL) ? "notify" : NULL;

    if (only && rule->outcome != NGX_HTTP_APPROVAL_REQUIRE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%s\" in rule \"%V\" has no effect without "
                           "\"require\": remove one or add the "
                           "other", only, &rule->name);
        return NGX_ERROR;
    }

    if (rule->mode != NGX_CONF_UNSET_UINT
        && rule->outcome == NGX_HTTP_APPROVAL_ALLOW)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mode\" in rule \"%V\" has no effect with "
                           "\"allow\": remove it", &rule->name);
        return NGX_ERROR;
    }

    if (rule->timeout == 0 || rule->execute_within == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"timeout\" and \"execute_within\" of rule "
                           "\"%V\" must be greater than 0", &rule->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* In a rule's texts, captures of other rules have no value. */

static ngx_int_t
ngx_http_approval_rule_texts(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule)
{
    ngx_uint_t                 i;
    ngx_http_approval_show_t  *shows;

    if (rule->summary
        && ngx_http_approval_rule_text(cf, rule, "summary",
                                       &rule->summary->name)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (rule->remember_per
        && ngx_http_approval_rule_text(cf, rule, "remember",
                                       &rule->remember_per->name)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (rule->shows == NULL) {
        return NGX_OK;
    }

    shows = rule->shows->elts;

    for (i = 0; i < rule->shows->nelts; i++) {
        if (ngx_http_approval_rule_text(cf, rule, "show",
                                        &shows[i].fact->name)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_rule_text(ngx_conf_t *cf, ngx_http_approval_rule_conf_t *rule,
    const char *directive, ngx_str_t *text)
{
    u_char          *p, *last;
    ngx_str_t        name;
    approval_str_t   subject;

    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        if (*p++ != '$') {
            p--;
            continue;
        }

        if (p < last && *p == '{') {
            p++;
        }

        if ((size_t) (last - p) < sizeof(NGX_HTTP_APPROVAL_ARG) - 1
            || ngx_strncasecmp(p, (u_char *) NGX_HTTP_APPROVAL_ARG,
                               sizeof(NGX_HTTP_APPROVAL_ARG) - 1)
               != 0)
        {
            p--;
            continue;
        }

        p += sizeof(NGX_HTTP_APPROVAL_ARG) - 1;
        name.data = p;

        while (p < last && ngx_http_approval_conf_name_char(*p)) {
            p++;
        }

        name.len = p-- - name.data;

        if (approval_match_capture_subject(rule->policy->match, rule->number,
                                           ngx_http_approval_core_str(&name),
                                           &subject)
            != APPROVAL_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"$" NGX_HTTP_APPROVAL_ARG "%V\" in \"%s\" of "
                                                           "rule \"%V\" is "
                                                           "always empty, "
                                                           "because no "
                                                           "\"match\" of the "
                                                           "rule has a regex "
                                                           "with a group "
                                                           "\"(?<%V>...)\"",
                               &name, directive, &rule->name, &name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_rule_finish(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule)
{
    approval_buf_t  *text;

    text = &ngx_http_approval_policy_conf(rule->policy)->text;

    if (rule->action.len == 0) {
        rule->action = rule->name;
    }

    ngx_conf_init_uint_value(rule->risk, NGX_HTTP_APPROVAL_RISK_MEDIUM);
    ngx_conf_init_uint_value(rule->reason, 0);
    ngx_conf_init_uint_value(rule->mode, NGX_HTTP_APPROVAL_ENFORCE);
    ngx_conf_init_value(rule->deny_after, 1);
    ngx_conf_init_uint_value(rule->comment,
                             NGX_HTTP_APPROVAL_COMMENT_OPTIONAL);
    ngx_conf_init_uint_value(rule->vote, NGX_HTTP_APPROVAL_VOTE_BY_ANY);
    ngx_conf_init_value(rule->break_glass, NGX_ERROR);
    ngx_conf_init_msec_value(rule->timeout, 15 * 60 * 1000);
    ngx_conf_init_msec_value(rule->hold, rule->timeout);
    ngx_conf_init_msec_value(rule->execute_within, 5 * 60 * 1000);

    if (rule->hold > rule->timeout) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"hold\" of rule \"%V\" is longer than its "
                           "\"timeout\", so the action would end before the "
                           "hold: use a shorter \"hold\" or a longer "
                           "\"timeout\"",
                           &rule->name);
        return NGX_ERROR;
    }

    approval_buf_printf(text,
                        "rule %d %d %d %d %d %d %d %llu %llu %llu\n",
                        (int) rule->outcome, (int) rule->risk,
                        (int) rule->reason, (int) rule->mode,
                        (int) rule->deny_after, (int) rule->comment,
                        (int) rule->vote,
                        (unsigned long long) rule->timeout,
                        (unsigned long long) rule->hold,
                        (unsigned long long) rule->execute_within);

    if (rule->hold_status != NGX_HTTP_SERVICE_UNAVAILABLE) {
        approval_buf_printf(text, "hold status %d\n",
                            (int) rule->hold_status);
    }

    approval_buf_add(text, rule->action.data, rule->action.len);

    if (rule->summary) {
        approval_buf_addc(text, '\n');
        approval_buf_add(text, rule->summary->name.data,
                         rule->summary->name.len);
    }

    approval_buf_addc(text, '\n');

    return NGX_OK;
}


/* Only src/conf, which makes the policies, may change them. */

ngx_http_approval_policy_conf_t *
ngx_http_approval_policy_conf(ngx_http_approval_policy_t *policy)
{
    return (ngx_http_approval_policy_conf_t *) policy;
}


ngx_http_approval_fact_t *
ngx_http_approval_rule_fact(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_str_t *text)
{
    return ngx_http_approval_fact(cf,
                         &ngx_http_approval_policy_conf(rule->policy)->facts,
                         text);
}
