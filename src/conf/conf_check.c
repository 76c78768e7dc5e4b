
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Checks that need the whole configuration, because names may be used before
 * they are declared.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


typedef struct {
    approval_vote_t                votes[APPROVAL_QUORUM_VOTES];
    size_t                         n;           /* distinct persons           */
    size_t                         found;       /* of them, for this line     */
    size_t                         enough;
    ngx_uint_t                     line;
    unsigned                       full:1;
} ngx_http_approval_roster_t;


static char *ngx_http_approval_check_groups(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_conf_t *rule);
static char *ngx_http_approval_check_quorum(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_conf_t *rule);
static int ngx_http_approval_check_member(void *data, approval_str_t person);
static char *ngx_http_approval_check_channels(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_conf_t *rule);
static char *ngx_http_approval_check_list(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_conf_t *rule,
    const char *directive, ngx_array_t **channel_names);
static char *ngx_http_approval_check_later(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule);
static void ngx_http_approval_check_carried(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, const char *directive,
    ngx_msec_t after, ngx_http_approval_at_t *at, ngx_array_t *list);
static ngx_http_approval_channel_t *ngx_http_approval_check_channel(
    ngx_http_approval_conf_t *mcf, ngx_str_t *name);
static void ngx_http_approval_check_base_url(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_conf_t *rule);


char *
ngx_http_approval_check_policy(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_policy_conf_t *policy)
{
    ngx_uint_t                       i;
    const char                      *missing;
    ngx_http_approval_rule_conf_t  **rules;

    if (!policy->requires) {
        return NGX_CONF_OK;
    }

    missing = (mcf->store_conf == NULL) ? "approval_redis URL"
              : (mcf->keyring == NULL) ? "approval_key FILE" : NULL;

    if (missing) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "approval_policy \"%V\" requires approvals, but there "
                      "is no \"%s\": add it to the http block in %s:%ui",
                      &policy->name, missing, policy->conf_file,
                      policy->conf_line);
        return NGX_CONF_ERROR;
    }

    rules = policy->rules.elts;

    for (i = 0; i < policy->rules.nelts; i++) {

        if (rules[i]->outcome != NGX_HTTP_APPROVAL_REQUIRE) {
            continue;
        }

        if (ngx_http_approval_check_passkey(cf, mcf, rules[i]) != NGX_OK
            || ngx_http_approval_check_groups(cf, mcf, rules[i])
               != NGX_CONF_OK
            || ngx_http_approval_check_quorum(cf, mcf, rules[i])
               != NGX_CONF_OK
            || ngx_http_approval_check_channels(cf, mcf, rules[i])
               != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_approval_check_groups(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_conf_t *rule)
{
    ngx_int_t                    *groups;
    ngx_str_t                     name;
    ngx_uint_t                    i, j;
    approval_str_t                s;
    ngx_http_approval_require_t  *requires;

    if (rule->break_glass != NGX_ERROR
        && approval_people_group_size(mcf->people, rule->break_glass) == 0)
    {
        s = approval_people_group_name(mcf->people, rule->break_glass);
        name.len = s.len;
        name.data = (u_char *) s.data;

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "group \"%V\" in \"break_glass\" of rule \"%V\" has no "
                      "members: declare them with \"approval_group %V "
                      "identity...\" in %s:%ui",
                      &name, &rule->name, &name, rule->conf_file,
                      rule->conf_line);
        return NGX_CONF_ERROR;
    }

    requires = rule->requires->elts;

    for (i = 0; i < rule->requires->nelts; i++) {
        groups = requires[i].groups.elts;

        for (j = 0; j < requires[i].groups.nelts; j++) {

            if (approval_people_group_size(mcf->people, groups[j])) {
                continue;
            }

            s = approval_people_group_name(mcf->people, groups[j]);
            name.len = s.len;
            name.data = (u_char *) s.data;

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "group \"%V\" in \"require\" of rule \"%V\" has no "
                          "members: declare them with \"approval_group %V "
                          "identity...\"%s in %s:%ui",
                          &name, &rule->name, &name,
                          ngx_atoi(name.data, name.len) == NGX_ERROR
                          ? "" : ", or write \"require N of GROUP\"",
                          rule->conf_file, rule->conf_line);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/*
 * Rejects "require" lines that their groups can never fill: requests would be
 * held in vain.  For each line, it looks at no more persons than all lines
 * together need.  With that many to choose from, a line can always be filled.
 */

static char *
ngx_http_approval_check_quorum(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_conf_t *rule)
{
    unsigned                      need[APPROVAL_QUORUM_LINES];
    ngx_int_t                    *groups;
    ngx_uint_t                    i, j;
    ngx_http_approval_roster_t    roster;
    ngx_http_approval_require_t  *requires;

    /* a few KiB on the stack, not in a pool for each of thousands of rules */

    ngx_memzero(&roster, sizeof(ngx_http_approval_roster_t));

    requires = rule->requires->elts;

    for (i = 0; i < rule->requires->nelts; i++) {
        need[i] = requires[i].count;
        roster.enough += need[i];
    }

    roster.enough = ngx_max(roster.enough, (size_t) rule->deny_after);

    for (i = 0; i < rule->requires->nelts; i++) {

        groups = requires[i].groups.elts;
        roster.line = i;
        roster.found = 0;

        for (j = 0; j < requires[i].groups.nelts; j++) {
            if (approval_people_each(mcf->people, groups[j],
                                     ngx_http_approval_check_member, &roster)
                == APPROVAL_ERROR)
            {
                return NGX_CONF_ERROR;
            }
        }

        if (roster.full) {
            return NGX_CONF_OK;
        }

        if (roster.found < need[i]) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "rule \"%V\" requires %ui approvers, but its groups "
                          "have only %uz members in %s:%ui",
                          &rule->name, (ngx_uint_t) need[i], roster.found,
                          rule->conf_file, rule->conf_line);
            return NGX_CONF_ERROR;
        }
    }

    if (roster.n < (size_t) rule->deny_after) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"deny_after\" of rule \"%V\" is %i, but its groups "
                      "have only %uz members, so they could never deny a "
                      "request: use a smaller number in %s:%ui",
                      &rule->name, rule->deny_after, roster.n,
                      rule->conf_file, rule->conf_line);
        return NGX_CONF_ERROR;
    }

    if (approval_quorum(need, rule->requires->nelts, 1, roster.votes,
                        roster.n, NULL)
        != APPROVAL_QUORUM_APPROVED)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "the \"require\" lines of rule \"%V\" can never all be "
                      "filled: a person counts for one line only, and their "
                      "groups have too few different members in %s:%ui",
                      &rule->name, rule->conf_file, rule->conf_line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static int
ngx_http_approval_check_member(void *data, approval_str_t person)
{
    ngx_http_approval_roster_t *roster = data;

    size_t  i;

    if (roster->found == roster->enough) {
        return APPROVAL_DECLINED;
    }

    for (i = 0; i < roster->n; i++) {
        if (approval_str_eq(roster->votes[i].person, person)) {
            break;
        }
    }

    if (i == APPROVAL_QUORUM_VOTES) {
        roster->full = 1;
        return APPROVAL_DECLINED;
    }

    if (i == roster->n) {
        roster->votes[i].person = person;
        roster->votes[i].approve = 1;
        roster->n++;
    }

    if (!(roster->votes[i].lines & (uint32_t) 1 << roster->line)) {
        roster->votes[i].lines |= (uint32_t) 1 << roster->line;
        roster->found++;
    }

    return APPROVAL_OK;
}


static char *
ngx_http_approval_check_channels(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_conf_t *rule)
{
    ngx_uint_t                     i;
    ngx_http_approval_escalate_t  *escalate;

    if (rule->notify
        && ngx_http_approval_check_list(cf, mcf, rule, "notify",
                                        &rule->notify)
           != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (rule->escalate) {
        escalate = rule->escalate->elts;

        for (i = 0; i < rule->escalate->nelts; i++) {
            if (ngx_http_approval_check_list(cf, mcf, rule, "escalate",
                                             &escalate[i].channels)
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }
        }
    }

    if (ngx_http_approval_check_later(cf, rule) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (rule->notify || rule->escalate) {
        ngx_http_approval_check_base_url(cf, mcf, rule);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_approval_check_list(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_conf_t *rule,
    const char *directive, ngx_array_t **channel_names)
{
    ngx_uint_t                     i, j;
    ngx_str_t                     *names;
    ngx_array_t                   *list;
    ngx_http_approval_channel_t  **slot, **channels, *channel;

    names = (*channel_names)->elts;

    list = ngx_array_create(cf->pool, (*channel_names)->nelts,
                            sizeof(void *));
    if (list == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < (*channel_names)->nelts; i++) {

        channel = ngx_http_approval_check_channel(mcf, &names[i]);

        if (channel == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown channel \"%V\" in \"%s\" of rule "
                          "\"%V\": declare it with \"approval_channel\" "
                          "in %s:%ui",
                          &names[i], directive, &rule->name, rule->conf_file,
                          rule->conf_line);
            return NGX_CONF_ERROR;
        }

        channels = list->elts;

        for (j = 0; j < list->nelts; j++) {
            if (channels[j] == channel) {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "\"%s\" of rule \"%V\" names channel \"%V\" "
                              "twice: remove one of them in %s:%ui",
                              directive, &rule->name, &names[i],
                              rule->conf_file, rule->conf_line);
                return NGX_CONF_ERROR;
            }
        }

        slot = ngx_array_push(list);
        if (slot == NULL) {
            return NGX_CONF_ERROR;
        }

        *slot = channel;
    }

    *channel_names = list;

    return ngx_http_approval_check_mail(cf, mcf, rule, list) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* Finds reminders and escalations that would never be sent. */

static char *
ngx_http_approval_check_later(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule)
{
    ngx_uint_t                     i;
    ngx_http_approval_escalate_t  *escalate;

    if (rule->remind && rule->notify == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"remind\" of rule \"%V\" has no effect, because the "
                      "rule notifies no channel: add \"notify CHANNEL\" to "
                      "the rule in %s:%ui",
                      &rule->name, rule->conf_file, rule->conf_line);
        return NGX_CONF_ERROR;
    }

    if (rule->remind) {
        ngx_http_approval_check_carried(cf, rule, "remind", rule->remind,
                                        &rule->remind_at, rule->notify);
    }

    if (rule->escalate == NULL) {
        return NGX_CONF_OK;
    }

    escalate = rule->escalate->elts;

    for (i = 0; i < rule->escalate->nelts; i++) {
        ngx_http_approval_check_carried(cf, rule, "escalate",
                                        escalate[i].after, &escalate[i].at,
                                        escalate[i].channels);
    }

    return NGX_CONF_OK;
}


static void
ngx_http_approval_check_carried(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, const char *directive,
    ngx_msec_t after, ngx_http_approval_at_t *at, ngx_array_t *list)
{
    ngx_uint_t                     i;
    ngx_http_approval_channel_t  **channels;

    if (after >= rule->timeout) {
        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_AFTER_TIMEOUT,
                               ngx_http_approval_at(*at),
                               "\"%s\" of rule \"%V\" would be sent after %M "
                               "s, but the action ends after %M s: use a "
                               "shorter time, or a longer \"timeout\"",
                               directive, &rule->name, after / 1000,
                               rule->timeout / 1000);
        return;
    }

    channels = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (channels[i]->url == NULL && rule->hold <= after) {
            ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_PASS_AFTER_HOLD,
                                   ngx_http_approval_at(*at),
                                   "\"%s\" of rule \"%V\" never reaches "
                                   "channel \"%V\", because its \"pass\" "
                                   "works only during the hold: use \"url\" "
                                   "in the channel, or a longer \"hold\" in "
                                   "the rule", directive, &rule->name,
                                   &channels[i]->name);
        }
    }
}


static ngx_http_approval_channel_t *
ngx_http_approval_check_channel(ngx_http_approval_conf_t *mcf,
    ngx_str_t *name)
{
    ngx_uint_t                     i;
    ngx_http_approval_channel_t  **channels;

    channels = mcf->channels.elts;

    for (i = 0; i < mcf->channels.nelts; i++) {
        if (channels[i]->name.len == name->len
            && ngx_strncmp(channels[i]->name.data, name->data, name->len) == 0)
        {
            return channels[i];
        }
    }

    return NULL;
}


static void
ngx_http_approval_check_base_url(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_conf_t *rule)
{
    if (mcf->base_url == NULL) {
        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_NO_BASE_URL,
                               rule->conf_file, rule->conf_line,
                               "rule \"%V\" notifies approvers, but its "
                               "messages have no links, because there is no "
                               "\"approval_base_url\": add it to the http "
                               "block",
                               &rule->name);
    }
}
