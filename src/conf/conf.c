
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The directive table, and the main configuration.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"

#include "audit/audit.h"
#include "gate/gate.h"
#include "model/class.h"
#include "model/hash.h"
#include "store/store.h"


static char *ngx_http_approval_conf_slot(char *rv, char *invalid);
static char *ngx_http_approval_conf_enum(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void ngx_http_approval_main_conf_cleanup(void *data);
static ngx_int_t ngx_http_approval_conf_prepare(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf);


static ngx_conf_enum_t  ngx_http_approval_outcomes[] = {
    { ngx_string("allow"), NGX_HTTP_APPROVAL_ALLOW },
    { ngx_string("deny"), NGX_HTTP_APPROVAL_DENY },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_approval_risks[] = {
    { ngx_string("low"), NGX_HTTP_APPROVAL_RISK_LOW },
    { ngx_string("medium"), NGX_HTTP_APPROVAL_RISK_MEDIUM },
    { ngx_string("high"), NGX_HTTP_APPROVAL_RISK_HIGH },
    { ngx_string("critical"), NGX_HTTP_APPROVAL_RISK_CRITICAL },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_approval_reasons[] = {
    { ngx_string("optional"), 0 },
    { ngx_string("required"), 1 },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_approval_comments[] = {
    { ngx_string("optional"), NGX_HTTP_APPROVAL_COMMENT_OPTIONAL },
    { ngx_string("deny"), NGX_HTTP_APPROVAL_COMMENT_DENY },
    { ngx_string("always"), NGX_HTTP_APPROVAL_COMMENT_ALWAYS },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_approval_votes_by[] = {
    { ngx_string("any"), NGX_HTTP_APPROVAL_VOTE_BY_ANY },
    { ngx_string("passkey"), NGX_HTTP_APPROVAL_VOTE_BY_PASSKEY },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_approval_modes[] = {
    { ngx_string("enforce"), NGX_HTTP_APPROVAL_ENFORCE },
    { ngx_string("shadow"), NGX_HTTP_APPROVAL_SHADOW },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_approval_store_failures[] = {
    { ngx_string("deny"), NGX_HTTP_APPROVAL_STORE_DENY },
    { ngx_string("allow"), NGX_HTTP_APPROVAL_STORE_ALLOW },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_approval_disconnects[] = {
    { ngx_string("keep"), NGX_HTTP_APPROVAL_KEEP },
    { ngx_string("cancel"), NGX_HTTP_APPROVAL_CANCEL },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_approval_forms[] = {
    { ngx_string("problem"), NGX_HTTP_APPROVAL_FORM_PROBLEM },
    { ngx_string("kubernetes"), NGX_HTTP_APPROVAL_FORM_KUBERNETES },
    { ngx_string("openai"), NGX_HTTP_APPROVAL_FORM_OPENAI },
    { ngx_string("anthropic"), NGX_HTTP_APPROVAL_FORM_ANTHROPIC },
    { ngx_string("oci"), NGX_HTTP_APPROVAL_FORM_OCI },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_approval_channel_types[] = {
    { ngx_string("json"), NGX_HTTP_APPROVAL_CHANNEL_JSON },
    { ngx_string("slack"), NGX_HTTP_APPROVAL_CHANNEL_SLACK },
    { ngx_string("teams"), NGX_HTTP_APPROVAL_CHANNEL_TEAMS },
    { ngx_string("mail"), NGX_HTTP_APPROVAL_CHANNEL_MAIL },
    { ngx_string("template"), NGX_HTTP_APPROVAL_CHANNEL_TEMPLATE },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_approval_disclosures[] = {
    { ngx_string("declared"), NGX_HTTP_APPROVAL_DISCLOSE_DECLARED },
    { ngx_string("request"), NGX_HTTP_APPROVAL_DISCLOSE_REQUEST },
    { ngx_null_string, 0 }
};


static ngx_conf_num_bounds_t  ngx_http_approval_deny_after_bounds = {
    ngx_conf_check_num_bounds, 1, APPROVAL_QUORUM_VOTES
};


static ngx_conf_num_bounds_t  ngx_http_approval_retries_bounds = {
    ngx_conf_check_num_bounds, 0, 20
};


/* The blocks of directive.def: context, configuration, and its type. */

#define NGX_HTTP_APPROVAL_IN_MAIN      NGX_HTTP_MAIN_CONF
#define NGX_HTTP_APPROVAL_OF_MAIN      NGX_HTTP_MAIN_CONF_OFFSET
#define NGX_HTTP_APPROVAL_TYPE_MAIN    ngx_http_approval_conf_t

/* http, server, location */

#define NGX_HTTP_APPROVAL_IN_ANY                                              \
    NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
#define NGX_HTTP_APPROVAL_OF_ANY       NGX_HTTP_LOC_CONF_OFFSET
#define NGX_HTTP_APPROVAL_TYPE_ANY     ngx_http_approval_loc_conf_t

#define NGX_HTTP_APPROVAL_IN_LOCATION  NGX_HTTP_LOC_CONF
#define NGX_HTTP_APPROVAL_OF_LOCATION  NGX_HTTP_LOC_CONF_OFFSET

#define NGX_HTTP_APPROVAL_IN_POLICY    NGX_HTTP_APPROVAL_POLICY_CONF
#define NGX_HTTP_APPROVAL_OF_POLICY    NGX_HTTP_SRV_CONF_OFFSET
#define NGX_HTTP_APPROVAL_TYPE_POLICY  ngx_http_approval_policy_t

#define NGX_HTTP_APPROVAL_IN_RULE      NGX_HTTP_APPROVAL_RULE_CONF
#define NGX_HTTP_APPROVAL_OF_RULE      NGX_HTTP_LOC_CONF_OFFSET
#define NGX_HTTP_APPROVAL_TYPE_RULE    ngx_http_approval_rule_t

#define NGX_HTTP_APPROVAL_IN_CHANNEL   NGX_HTTP_APPROVAL_CHANNEL_CONF
#define NGX_HTTP_APPROVAL_OF_CHANNEL   NGX_HTTP_LOC_CONF_OFFSET
#define NGX_HTTP_APPROVAL_TYPE_CHANNEL  ngx_http_approval_channel_t


#define DIRECTIVE(where, name, arguments, set)                                \
    { ngx_string(name), NGX_HTTP_APPROVAL_IN_##where|arguments,               \
      ngx_http_approval_conf_##set, NGX_HTTP_APPROVAL_OF_##where, 0, NULL },

#define MEMBER(where, name, arguments, set, member)                           \
    { ngx_string(name), NGX_HTTP_APPROVAL_IN_##where|arguments,               \
      ngx_http_approval_conf_##set, NGX_HTTP_APPROVAL_OF_##where,             \
      offsetof(NGX_HTTP_APPROVAL_TYPE_##where, member), NULL },

#define ENUM(where, name, member, values)                                     \
    { ngx_string(name), NGX_HTTP_APPROVAL_IN_##where|NGX_CONF_TAKE1,          \
      ngx_http_approval_conf_enum, NGX_HTTP_APPROVAL_OF_##where,              \
      offsetof(NGX_HTTP_APPROVAL_TYPE_##where, member), values },

#define SLOT(where, name, arguments, type, member, post)                      \
    { ngx_string(name), NGX_HTTP_APPROVAL_IN_##where|arguments,               \
      ngx_conf_set_##type##_slot, NGX_HTTP_APPROVAL_OF_##where,               \
      offsetof(NGX_HTTP_APPROVAL_TYPE_##where, member), post },


ngx_command_t  ngx_http_approval_commands[] = {

#include "conf/directive.def"

    { ngx_string("include"),
      NGX_HTTP_APPROVAL_POLICY_CONF|NGX_HTTP_APPROVAL_RULE_CONF
                                   |NGX_HTTP_APPROVAL_CHANNEL_CONF
                                   |NGX_CONF_TAKE1,
      ngx_conf_include,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


/* As nginx's slots do, but the error names the directive and what it takes. */

static char *
ngx_http_approval_conf_enum(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char           *p, *last, names[128];
    ngx_str_t        *value;
    ngx_uint_t       *member;
    ngx_conf_enum_t  *e;

    member = (ngx_uint_t *) ((char *) conf + cmd->offset);

    if (*member != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    p = names;
    last = names + sizeof(names);

    for (e = cmd->post; e->name.len; e++) {

        if (value[1].len == e->name.len
            && ngx_strcasecmp(value[1].data, e->name.data) == 0)
        {
            *member = e->value;
            return NGX_CONF_OK;
        }

        p = ngx_slprintf(p, last, "%s\"%V\"",
                         (p == names) ? "" : (e[1].name.len) ? ", " : " or ",
                         &e->name);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\": use %*s", &value[1],
                       &value[0], (size_t) (p - names), names);

    return NGX_CONF_ERROR;
}


/* The remedy that the error of nginx's slots lacks. */

static char *
ngx_http_approval_conf_slot(char *rv, char *invalid)
{
    return (rv && ngx_strcmp(rv, "invalid value") == 0) ? invalid : rv;
}


char *
ngx_http_approval_conf_msec(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_approval_conf_slot(ngx_conf_set_msec_slot(cf, cmd, conf),
                                       NGX_HTTP_APPROVAL_CONF_TIME);
}


char *
ngx_http_approval_conf_size(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_approval_conf_slot(ngx_conf_set_size_slot(cf, cmd, conf),
                                       "invalid value: use a size, for example "
                                       "\"1m\"");
}


void *
ngx_http_approval_create_main_conf(ngx_conf_t *cf)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_approval_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_approval_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    mcf->worker = ngx_pcalloc(cf->pool, sizeof(ngx_http_approval_worker_t));

    if (mcf->worker == NULL
        || ngx_array_init(&mcf->channels, cf->pool, 4, sizeof(void *)) != NGX_OK
        || ngx_array_init(&mcf->policies, cf->pool, 4, sizeof(void *))
           != NGX_OK
        || ngx_http_approval_facts_init(&mcf->facts, cf->pool) != NGX_OK
        || ngx_http_approval_lint_init(cf, mcf) != NGX_OK)
    {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_approval_main_conf_cleanup;
    cln->data = mcf;

    mcf->people = approval_people_create();
    if (mcf->people == NULL) {
        return NULL;
    }

    return mcf;
}


/* At the end of the cycle, frees what src/core allocated by malloc(). */

static void
ngx_http_approval_main_conf_cleanup(void *data)
{
    ngx_http_approval_conf_t *mcf = data;

    ngx_uint_t                         i, j;
    ngx_http_approval_rule_conf_t    **rules;
    ngx_http_approval_policy_conf_t  **policies;

    approval_redact_destroy(mcf->redact);

    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {
        rules = policies[i]->rules.elts;

        for (j = 0; j < policies[i]->rules.nelts; j++) {
            if (rules[j]->redact) {
                approval_redact_destroy(rules[j]->redact);
            }
        }

        ngx_http_approval_facts_free(&policies[i]->facts);

        if (policies[i]->match) {
            approval_match_destroy(policies[i]->match);
        }
    }

    ngx_http_approval_facts_free(&mcf->facts);

    if (mcf->people) {
        approval_people_destroy(mcf->people);
    }

    if (mcf->signer) {
        approval_signer_destroy(mcf->signer);
    }

    if (mcf->keyring) {
        approval_keyring_destroy(mcf->keyring);
    }
}


/* Prepares what is the same for all actions. */

static ngx_int_t
ngx_http_approval_conf_prepare(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf)
{
    u_char                            *buf;
    ngx_uint_t                         i, n;
    ngx_http_approval_rule_conf_t    **rules;
    ngx_http_approval_policy_conf_t  **policies;

    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {

        if (!policies[i]->requires) {
            continue;
        }

        rules = policies[i]->rules.elts;

        for (n = 0; n < policies[i]->rules.nelts; n++) {
            if (rules[n]->requires
                && ngx_http_approval_class(cf->pool, mcf, rules[n]) != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        buf = ngx_pnalloc(cf->pool, NGX_HTTP_APPROVAL_HASHES);

        if (buf == NULL
            || ngx_http_approval_hashes(mcf, NGX_HTTP_APPROVAL_HASH_POLICY,
                                        &policies[i]->name, 1, buf,
                                        &policies[i]->hashes)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


char *
ngx_http_approval_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_approval_conf_t *mcf = conf;

    char                              *rv;
    ngx_uint_t                         i;
    ngx_http_approval_policy_conf_t  **policies;

    if (mcf->keyring && mcf->signer == NULL) {
        mcf->signer = approval_signer_derive(mcf->keyring);

        if (mcf->signer == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the signing key could not be derived from "
                               "\"approval_key\"");
            return NGX_CONF_ERROR;
        }
    }

    if (mcf->keyring && ngx_http_approval_conf_prepare(cf, mcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_approval_check_members(cf, mcf, "approval_operators",
                                        mcf->operators, &mcf->operators_at)
        != NGX_OK
        || ngx_http_approval_check_members(cf, mcf, "approval_auditors",
                                           mcf->auditors, &mcf->auditors_at)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {
        rv = ngx_http_approval_check_policy(cf, mcf, policies[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    /* also for the approvers' side alone: it takes votes, and knows passkeys */

    if (mcf->store_conf && mcf->keyring
        && ngx_http_approval_ends_zone(cf, mcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_approval_conf_resolver(cf, mcf);
}
