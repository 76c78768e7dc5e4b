
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


static ngx_conf_num_bounds_t  ngx_http_approval_deny_after_bounds = {
    ngx_conf_check_num_bounds, 1, APPROVAL_QUORUM_VOTES
};


static ngx_conf_num_bounds_t  ngx_http_approval_retries_bounds = {
    ngx_conf_check_num_bounds, 0, 20
};


ngx_command_t  ngx_http_approval_commands[] = {

    { ngx_string("approval_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_key,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_signing_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_signing_key,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_base_url"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_base_url,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_approval_conf_t, base_url),
      NULL },

    { ngx_string("approval_passkey_origin"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_passkey_origin,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_group"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_approval_conf_group,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_alias"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_approval_conf_alias,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_operators"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_groups,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_approval_conf_t, operators),
      NULL },

    { ngx_string("approval_auditors"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_groups,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_approval_conf_t, auditors),
      NULL },

    { ngx_string("approval_audit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_audit,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_approval_conf_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_channel"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_approval_conf_channel,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_policy"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_approval_conf_policy,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_lint"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_approval_conf_lint,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    /* http, server, location */

    { ngx_string("approval"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_approval,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_requester"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_fact_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_loc_conf_t, requester),
      NULL },

    { ngx_string("approval_on_behalf"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_fact_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_loc_conf_t, on_behalf),
      NULL },

    { ngx_string("approval_reason"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_fact_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_loc_conf_t, reason),
      NULL },

    { ngx_string("approval_store_failure"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_loc_conf_t, store_failure),
      ngx_http_approval_store_failures },

    { ngx_string("approval_unsigned_decisions"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_loc_conf_t, unsigned_decisions),
      NULL },

    { ngx_string("approval_max_pending"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_approval_conf_max_pending,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_max_prompts"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_approval_conf_max_prompts,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_repeat"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_loc_conf_t, repeat),
      NULL },

    { ngx_string("approval_disconnect"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_loc_conf_t, disconnect),
      ngx_http_approval_disconnects },

    { ngx_string("approval_prefer"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_loc_conf_t, prefer),
      NULL },

    { ngx_string("approval_refusals"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_loc_conf_t, refusals),
      ngx_http_approval_forms },

    { ngx_string("approval_progress"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_progress,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_digest_ignore"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_digest_ignore,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_approval_conf_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("approval_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_approval_conf_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    /* approval_policy */

    { ngx_string("rule"),
      NGX_HTTP_APPROVAL_POLICY_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_approval_conf_rule,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("default"),
      NGX_HTTP_APPROVAL_POLICY_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_approval_policy_t, def),
      ngx_http_approval_outcomes },

    { ngx_string("body_limit"),
      NGX_HTTP_APPROVAL_POLICY_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_approval_policy_t, body_limit),
      NULL },

    { ngx_string("strict_path"),
      NGX_HTTP_APPROVAL_POLICY_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_approval_policy_t, strict_path),
      NULL },

    { ngx_string("include"),
      NGX_HTTP_APPROVAL_POLICY_CONF|NGX_HTTP_APPROVAL_RULE_CONF
                                   |NGX_HTTP_APPROVAL_CHANNEL_CONF
                                   |NGX_CONF_TAKE1,
      ngx_conf_include,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    /* rule */

    { ngx_string("match"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_2MORE,
      ngx_http_approval_conf_match,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mcp_tool"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_mcp_tool,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("action"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_rule_t, action),
      NULL },

    { ngx_string("risk"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_rule_t, risk),
      ngx_http_approval_risks },

    { ngx_string("summary"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_summary,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("show"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE2,
      ngx_http_approval_conf_show,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("redact"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_redact,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reveal"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_reveal,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("bind"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_bind,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("digest_headers"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_digest_headers,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reason"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_rule_t, reason),
      ngx_http_approval_reasons },

    { ngx_string("allow"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_NOARGS,
      ngx_http_approval_conf_allow,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("deny"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_approval_conf_deny,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("require"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_require,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("break_glass"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_break_glass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("deny_after"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_rule_t, deny_after),
      &ngx_http_approval_deny_after_bounds },

    { ngx_string("comment"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_rule_t, comment),
      ngx_http_approval_comments },

    { ngx_string("vote"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_rule_t, vote),
      ngx_http_approval_votes_by },

    { ngx_string("timeout"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_rule_t, timeout),
      NULL },

    { ngx_string("hold"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE12,
      ngx_http_approval_conf_hold,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("execute_within"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_rule_t, execute_within),
      NULL },

    { ngx_string("remember"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE3|NGX_CONF_TAKE4,
      ngx_http_approval_conf_remember,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("notify"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_notify,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("escalate"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_2MORE,
      ngx_http_approval_conf_escalate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("remind"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_remind,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mode"),
      NGX_HTTP_APPROVAL_RULE_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_rule_t, mode),
      ngx_http_approval_modes },

    /* approval_channel */

    { ngx_string("type"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_channel_t, type),
      ngx_http_approval_channel_types },

    { ngx_string("disclose"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_disclose,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("pass"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_channel_t, pass),
      NULL },

    { ngx_string("url"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_url,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trusted_certificate"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_channel_t, trusted),
      NULL },

    { ngx_string("certificate"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_channel_t, certificate),
      NULL },

    { ngx_string("certificate_key"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_channel_t, certificate_key),
      NULL },

    { ngx_string("from"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_mail_from,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("to"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_mail_to,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("starttls"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_channel_t, starttls),
      NULL },

    { ngx_string("body"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_body,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("header"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE2,
      ngx_http_approval_conf_template_header,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("value"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE2,
      ngx_http_approval_conf_template_value,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reply"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_reply,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("signing_secret"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_signing_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("team"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_1MORE,
      ngx_http_approval_conf_team,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("secret"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_http_approval_conf_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("timeout"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_channel_t, timeout),
      NULL },

    { ngx_string("retries"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_channel_t, retries),
      &ngx_http_approval_retries_bounds },

    { ngx_string("backoff"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_TAKE2,
      ngx_http_approval_conf_backoff,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("per_approver"),
      NGX_HTTP_APPROVAL_CHANNEL_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_approval_channel_t, per_approver),
      NULL },

      ngx_null_command
};


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
