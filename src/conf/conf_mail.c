
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval_channel: type mail.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"

#include "core/mail.h"


typedef struct {
    ngx_conf_t                   *cf;
    ngx_http_approval_conf_t     *mcf;
    ngx_http_approval_rule_t     *rule;
    ngx_http_approval_channel_t  *channel;
} ngx_http_approval_mail_check_t;


static char *ngx_http_approval_conf_mail_address(ngx_conf_t *cf,
    ngx_str_t *value, ngx_str_t *address);
static ngx_int_t ngx_http_approval_mail_foreign(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);
static ngx_int_t ngx_http_approval_mail_url(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);
static ngx_int_t ngx_http_approval_mail_persons(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel);
static int ngx_http_approval_mail_member(void *data, approval_str_t person);


/* from ADDRESS; */

char *
ngx_http_approval_conf_mail_from(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    return ngx_http_approval_conf_mail_address(cf, &value[1], &channel->from);
}


/* to identity | ADDRESS; */

char *
ngx_http_approval_conf_mail_to(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_approval_channel_t *channel = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (channel->to.data) {
        return "is duplicate";
    }

    if (value[1].len == 8 && ngx_strncmp(value[1].data, "identity", 8) == 0) {
        channel->to.data = value[1].data;
        return NGX_CONF_OK;
    }

    return ngx_http_approval_conf_mail_address(cf, &value[1], &channel->to);
}


static char *
ngx_http_approval_conf_mail_address(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *address)
{
    if (address->data) {
        return "is duplicate";
    }

    if (!approval_mail_address(ngx_http_approval_core_str(value))) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not a mail address: write it as "
                           "\"name@example.com\", in ASCII, without a display "
                           "name", value);
        return NGX_CONF_ERROR;
    }

    *address = *value;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_approval_conf_mail_finish(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    if (channel->type != NGX_HTTP_APPROVAL_CHANNEL_MAIL) {
        return ngx_http_approval_mail_foreign(cf, channel);
    }

    if (channel->url == NULL || !channel->url->mail) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "channel \"%V\" has \"type mail\", but its \"url\" "
                           "is not a mail server: use \"url "
                           "smtp://127.0.0.1;\" or \"url "
                           "smtps://...\"", &channel->name);
        return NGX_ERROR;
    }

    if (channel->from.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "channel \"%V\" has \"type mail\", but no "
                           "\"from\": add the sender's "
                           "address", &channel->name);
        return NGX_ERROR;
    }

    if (ngx_http_approval_mail_url(cf, channel) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_approval_mail_persons(cf, channel);
}


static ngx_int_t
ngx_http_approval_mail_foreign(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    const char  *name;

    if (channel->url && channel->url->mail) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"url\" of channel \"%V\" is a mail server: add "
                           "\"type mail;\"", &channel->name);
        return NGX_ERROR;
    }

    name = channel->from.data ? "from"
           : channel->to.data ? "to"
           : channel->starttls != NGX_CONF_UNSET ? "starttls" : NULL;

    if (name) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%s\" of channel \"%V\" has no effect without "
                           "\"type mail\": remove one or add the "
                           "other", name, &channel->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * STARTTLS is off by default for this host only, because its mail server's
 * certificate is usually self-signed.
 */

static ngx_int_t
ngx_http_approval_mail_url(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    ngx_http_approval_target_t  *url;

    url = channel->url;

    if (url->secure) {

        if (channel->starttls == 1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"starttls on\" of channel \"%V\" contradicts "
                               "\"smtps://\", which uses TLS from the start: "
                               "use \"smtp://\", or remove \"starttls\"",
                               &channel->name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    ngx_conf_init_value(channel->starttls,
                        !url->loopback || channel->trusted.len != 0);

    url->starttls = channel->starttls;

    if (url->user && !url->starttls && !url->loopback) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "channel \"%V\" would send its password "
                           "unencrypted: remove \"starttls off\", or the user "
                           "from its \"url\"", &channel->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* A personal link goes to one approver; a fixed "to" gets a shared link. */

static ngx_int_t
ngx_http_approval_mail_persons(ngx_conf_t *cf,
    ngx_http_approval_channel_t *channel)
{
    ngx_flag_t  persons;

    persons = (channel->to.len == 0);

    ngx_conf_init_value(channel->per_approver, persons);

    if (channel->per_approver == persons) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       persons ? "channel \"%V\" sends a mail to each "
                                 "approver, so \"per_approver\" cannot be "
                                 "off: remove it, or send to one address with "
                                 "\"to\""
                               : "channel \"%V\" sends all mails to one "
                                 "address, which would get every approver's "
                                 "personal link: remove \"per_approver on\", "
                                 "or use \"to identity\"",
                       &channel->name);

    return NGX_ERROR;
}


/* An approver without an address would never be notified. */

ngx_int_t
ngx_http_approval_check_mail(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_rule_t *rule,
    ngx_array_t *list)
{
    ngx_int_t                      *groups;
    ngx_uint_t                      i, j, n;
    ngx_http_approval_channel_t   **channel;
    ngx_http_approval_require_t    *require;
    ngx_http_approval_mail_check_t  check;

    channel = list->elts;

    check.cf = cf;
    check.mcf = mcf;
    check.rule = rule;

    for (n = 0; rule->requires && n < list->nelts; n++) {

        if (channel[n]->type != NGX_HTTP_APPROVAL_CHANNEL_MAIL
            || channel[n]->to.len)
        {
            continue;
        }

        check.channel = channel[n];
        require = rule->requires->elts;

        for (i = 0; i < rule->requires->nelts; i++) {
            groups = require[i].groups.elts;

            for (j = 0; j < require[i].groups.nelts; j++) {
                if (approval_people_each(mcf->people, groups[j],
                                         ngx_http_approval_mail_member, &check)
                    != APPROVAL_OK)
                {
                    return NGX_ERROR;
                }
            }
        }
    }

    return NGX_OK;
}


static int
ngx_http_approval_mail_member(void *data, approval_str_t person)
{
    ngx_http_approval_mail_check_t *check = data;

    int             rc;
    ngx_str_t       name;
    approval_buf_t  address;

    approval_buf_init(&address);

    rc = approval_mail_person(check->mcf->people, person, &address);

    approval_buf_free(&address);

    if (rc != APPROVAL_DECLINED) {
        return rc;
    }

    name.len = person.len;
    name.data = (u_char *) person.data;

    ngx_http_approval_lint(check->cf, NGX_HTTP_APPROVAL_LINT_NO_MAIL_ADDRESS,
                           check->rule->conf_file, check->rule->conf_line,
                           "approver \"%V\" of rule \"%V\" gets no mail from "
                           "channel \"%V\", because the identity is not a "
                           "mail address: add \"approval_alias %V "
                           "name@example.com;\"",
                           &name, &check->rule->name, &check->channel->name,
                           &name);

    return APPROVAL_OK;
}
