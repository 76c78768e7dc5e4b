
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Rules that nginx accepts, but that do not mean what they seem to.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


#define NGX_HTTP_APPROVAL_LINT_RULES  1000


static ngx_uint_t ngx_http_approval_lint_regex(ngx_str_t *text);
static void ngx_http_approval_lint_hidden(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_uint_t n);
static void ngx_http_approval_lint_number(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_uint_t n);


void
ngx_http_approval_lint_pattern(ngx_conf_t *cf, ngx_http_approval_rule_t *rule,
    ngx_str_t *pattern)
{
    ngx_str_t   text;
    ngx_uint_t  prefix, negated;

    text = *pattern;
    negated = (text.len && text.data[0] == '!');

    if (negated) {
        text.data++;
        text.len--;
    }

    if (text.len == 0 || ngx_strchr("~<>\\", text.data[0])) {
        return;
    }

    prefix = (text.data[0] == '^');

    if (prefix) {
        text.data++;
        text.len--;
    }

    if (!ngx_http_approval_lint_regex(&text)) {
        return;
    }

    ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_LITERAL_PATTERN,
                           ngx_http_approval_here(cf),
                           "rule \"%V\" compares with the literal text "
                           "\"%V\", in which special characters have no "
                           "meaning: use \"^\" for a prefix or \"~\" for a "
                           "regex, or write \"%s%s%V\" if you mean this text",
                           &rule->name, pattern, negated ? "!" : "",
                           prefix ? "~^\\Q" : "\\", &text);
}


/* Does the text look like a wildcard, a regex or the template of a path? */

static ngx_uint_t
ngx_http_approval_lint_regex(ngx_str_t *text)
{
    u_char  *p, *last, *end, next;

    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        next = (p + 1 < last) ? p[1] : '\0';

        switch (*p) {

        case '*':
        case '|':
            return 1;

        case '.':
            if (next == '+' || next == '?') {
                return 1;
            }

            break;

        case '$':
            if (next == '\0') {
                return 1;
            }

            break;

        case '\\':
            if (next == '.'
                || (next && ngx_strchr("dws", next) && p + 2 < last
                    && ngx_strchr("+?{", p[2])))
            {
                return 1;
            }

            break;

        case '[':
            end = ngx_strlchr(p, last, ']');

            /* not an IPv6 address */

            if (end && end > p + 1 && ngx_strlchr(p, end, ':') == NULL) {
                return 1;
            }

            break;

        case '{':
            end = ngx_strlchr(p, last, '}');

            if (end && end > p + 1) {
                return 1;
            }

            break;

        case '/':
            if (next == ':') {
                return 1;
            }

            break;

        default:
            break;
        }
    }

    return 0;
}


void
ngx_http_approval_lint_rules(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy)
{
    ngx_uint_t  i;

    for (i = 0; i < policy->rules.nelts; i++) {
        ngx_http_approval_lint_hidden(cf, policy, i);
        ngx_http_approval_lint_number(cf, policy, i);
    }
}


/*
 * A rule in shadow mode hides no later rule.  Each rule is compared only with
 * the first 1000, because programs may write thousands of rules.
 */

static void
ngx_http_approval_lint_hidden(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_uint_t n)
{
    ngx_uint_t                  i, last;
    ngx_http_approval_rule_t  **rules;

    rules = policy->rules.elts;
    last = ngx_min(n, NGX_HTTP_APPROVAL_LINT_RULES);

    for (i = 0; i < last; i++) {

        if (rules[i]->mode == NGX_HTTP_APPROVAL_SHADOW
            || !approval_match_covers(policy->match, rules[i]->number,
                                      rules[n]->number))
        {
            continue;
        }

        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_HIDDEN_RULE,
                               rules[n]->conf_file, rules[n]->conf_line,
                               rules[i]->matches
                               ? "rule \"%V\" never decides: rule \"%V\" "
                                 "before it matches every request that it "
                                 "matches. Put the narrower rule first"
                               : "rule \"%V\" never decides: rule \"%V\" "
                                 "before it has no \"match\" and matches "
                                 "every request. Put that rule last",
                               &rules[n]->name, &rules[i]->name);
        return;
    }
}


/*
 * A request without the number, or with null, passes by "default allow", unless
 * a later rule holds or denies it.
 */

static void
ngx_http_approval_lint_number(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy, ngx_uint_t n)
{
    ngx_int_t                   at;
    ngx_uint_t                  i;
    ngx_http_approval_at_t     *lines;
    ngx_http_approval_rule_t  **rules;

    rules = policy->rules.elts;

    if (policy->def != NGX_HTTP_APPROVAL_ALLOW
        || rules[n]->outcome == NGX_HTTP_APPROVAL_ALLOW)
    {
        return;
    }

    at = approval_match_compares(policy->match, rules[n]->number);

    if (at == -1) {
        return;
    }

    for (i = n + 1; i < policy->rules.nelts; i++) {
        if (rules[i]->outcome != NGX_HTTP_APPROVAL_ALLOW
            && approval_match_covers_absent(policy->match, rules[i]->number,
                                            rules[n]->number))
        {
            return;
        }
    }

    lines = rules[n]->conditions.elts;

    ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_NUMBER_ABSENT,
                           ngx_http_approval_at(lines[at]),
                           "rule \"%V\" compares a number, so a request "
                           "without that number does not match and passes "
                           "because of \"default allow\". To match it as "
                           "well, write \"!<N\" for \">N\" (\"!>N\" for "
                           "\"<N\"), or allow small numbers first and let the "
                           "next rule match all others",
                           &rules[n]->name);
}
