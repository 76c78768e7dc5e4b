
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Directives and blocks.
 */


#ifndef NGX_HTTP_APPROVAL_CONF_H
#define NGX_HTTP_APPROVAL_CONF_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/lint.h"
#include "model/action.h"


/*
 * Contexts of our own blocks.  The bits are free in nginx's directive types;
 * a block's directives find the policy in the srv slot and the rule or the
 * channel in the loc slot of the configuration context.
 */

#define NGX_HTTP_APPROVAL_POLICY_CONF   0x00100000
#define NGX_HTTP_APPROVAL_RULE_CONF     0x00200000
#define NGX_HTTP_APPROVAL_CHANNEL_CONF  0x00400000


/* The prefix of the variables of named captures. */

#define NGX_HTTP_APPROVAL_ARG           "approval_arg_"


#define NGX_HTTP_APPROVAL_CONF_TIME                                           \
    "invalid value: use a time, for example \"15m\""


/* The longest gap between two progress notifications, ms. */

#define NGX_HTTP_APPROVAL_PROGRESS      15000


/* How long after its end an action answers identical requests, ms. */

#define NGX_HTTP_APPROVAL_REPEAT        10000


/* Does the string begin with this literal? */

#define ngx_http_approval_starts(s, lit)                                      \
    ((s)->len >= sizeof(lit) - 1                                              \
     && ngx_strncmp((s)->data, lit, sizeof(lit) - 1) == 0)


extern ngx_command_t  ngx_http_approval_commands[];


void *ngx_http_approval_create_main_conf(ngx_conf_t *cf);
char *ngx_http_approval_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_approval_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_approval_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


/* The handlers of directives that are not nginx's own. */

#define DIRECTIVE(where, name, arguments, set)                                \
    char *ngx_http_approval_conf_##set(ngx_conf_t *cf, ngx_command_t *cmd,    \
        void *conf);

#define MEMBER(where, name, arguments, set, member)                           \
    DIRECTIVE(where, name, arguments, set)

#include "conf/directive.def"


/* conf_check.c */
char *ngx_http_approval_check_policy(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf,
    ngx_http_approval_policy_conf_t *policy);

/* conf_metrics.c */
char *ngx_http_approval_conf_metrics_merge(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_loc_conf_t *conf);

/* conf_keys.c */
ngx_int_t ngx_http_approval_conf_read_file(ngx_conf_t *cf, ngx_str_t *name,
    size_t max, ngx_str_t *text);

/* conf_mail.c */
ngx_int_t ngx_http_approval_conf_mail_finish(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);
ngx_int_t ngx_http_approval_check_mail(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_t *rule,
    ngx_array_t *list);

/* conf_template_check.c */
ngx_int_t ngx_http_approval_conf_template_finish(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);

/* conf_url.c */

/* Returns the value itself or, for "file:PATH", the first line of the file. */
ngx_int_t ngx_http_approval_conf_value(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *text);
ngx_int_t ngx_http_approval_conf_url_finish(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);
char *ngx_http_approval_conf_resolver(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf);

/* conf_policy.c */
ngx_http_approval_policy_conf_t *ngx_http_approval_policy_conf(
    ngx_http_approval_policy_t *policy);
ngx_http_approval_fact_t *ngx_http_approval_rule_fact(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_str_t *text);
ngx_int_t ngx_http_approval_conf_block(ngx_conf_t *cf, ngx_uint_t type,
    void *srv, void *loc);
ngx_int_t ngx_http_approval_conf_name(ngx_conf_t *cf, ngx_str_t *name);

/* Adds a zeroed element to the list, and creates the list for the first one. */
void *ngx_http_approval_conf_push(ngx_conf_t *cf, ngx_array_t **list,
    size_t size);

/* Adds the directive's arguments from "first" on as strings. */
ngx_int_t ngx_http_approval_conf_names(ngx_conf_t *cf, ngx_uint_t first,
    ngx_array_t **list);

/* Does the text begin with the prefix?  Then rest is what follows it. */
ngx_uint_t ngx_http_approval_conf_after(ngx_str_t *text, const char *prefix,
    ngx_str_t *rest);

/*
 * Cuts the next line off the text, without the blanks around it.  0: there is
 * none.
 */
ngx_uint_t ngx_http_approval_conf_line(ngx_str_t *text, ngx_str_t *line);

/* Can a variable's name contain the character? */

#define ngx_http_approval_conf_name_char(c)                                   \
    (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z')                 \
     || ((c) >= '0' && (c) <= '9') || (c) == '_')

void ngx_http_approval_conf_text(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy);

/* conf_rule.c */
ngx_int_t ngx_http_approval_conf_show_call(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule);

/*
 * conf_use() binds approvals of the rule to the fact and to its inputs, except
 * for values that change with each request; conf_bound() to the fact itself.
 */
ngx_int_t ngx_http_approval_conf_use(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_http_approval_fact_t *fact);
ngx_int_t ngx_http_approval_conf_bound(ngx_conf_t *cf,
    ngx_http_approval_rule_conf_t *rule, ngx_http_approval_fact_t *fact);

/* conf_pattern.c */
ngx_int_t ngx_http_approval_conf_pattern(ngx_conf_t *cf,
    ngx_http_approval_fact_t *subject, ngx_str_t *pattern);

/* conf_passkey.c */
ngx_int_t ngx_http_approval_check_passkey(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_t *rule);
ngx_int_t ngx_http_approval_check_unsigned(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *conf);

/* conf_operators.c */
/* Adds the groups that the directive's arguments from "first" on name. */
ngx_int_t ngx_http_approval_conf_group_list(ngx_conf_t *cf, ngx_uint_t first,
    ngx_array_t *groups);
ngx_int_t ngx_http_approval_check_members(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, const char *directive,
    ngx_array_t *groups, ngx_http_approval_at_t *at);

/* conf_audit.c */
ngx_int_t ngx_http_approval_conf_threads(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf);


#endif /* NGX_HTTP_APPROVAL_CONF_H */
