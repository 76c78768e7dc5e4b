
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * "mode shadow": requests that would be held or refused are recorded and pass.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "model/shadow.h"
#include "store/shadow.h"


static ngx_int_t ngx_http_approval_shadow_outcome(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule,
    ngx_str_t *requester, const char **outcome);
static ngx_int_t ngx_http_approval_shadow_audit(ngx_http_request_t *r,
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_loc_conf_t *lcf,
    ngx_http_approval_rule_t *rule, ngx_str_t *requester,
    const char *outcome);


/* The request passes even if it cannot be recorded. */

void
ngx_http_approval_shadow(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule)
{
    u_char                          hash[NGX_HTTP_APPROVAL_SHADOW_HASH];
    ngx_str_t                       requester;
    const char                     *outcome;
    approval_buf_t                  sealed;
    approval_str_t                  name;
    ngx_http_approval_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);
    outcome = "held";

    if (ngx_http_approval_shadow_outcome(r, lcf, rule, &requester, &outcome)
        != NGX_OK
        || ngx_http_approval_shadow_audit(r, mcf, lcf, rule, &requester,
                                          outcome)
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(r), 0,
                      "a request that rule \"%V\" in shadow mode matches was "
                      "forwarded, but could not be recorded", &rule->name);
    }

    ngx_http_approval_count(rule, NGX_HTTP_APPROVAL_COUNT_SHADOW);

    if (mcf->worker->store == NULL) {
        return;
    }

    approval_buf_init(&sealed);

    if (ngx_http_approval_shadow_seal(mcf, rule, &requester, outcome, hash,
                                      &sealed)
        == NGX_OK)
    {
        name.data = hash;
        name.len = NGX_HTTP_APPROVAL_SHADOW_HASH;

        ngx_http_approval_store_shadow(mcf->worker->store,
                                       ngx_http_approval_now(), name,
                                       approval_buf_str(&sealed));
    }

    approval_buf_free(&sealed);
}


static ngx_int_t
ngx_http_approval_shadow_outcome(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule,
    ngx_str_t *requester, const char **outcome)
{
    ngx_int_t                    rc;
    ngx_http_approval_look_t     look;
    ngx_http_approval_verdict_t  verdict;

    ngx_str_null(requester);

    ngx_http_approval_look(&look, r, NULL, NULL);

    if (rule->outcome == NGX_HTTP_APPROVAL_DENY) {
        *outcome = "denied";

        return lcf->requester ? ngx_http_approval_read_text(&look,
                                                   lcf->requester, requester)
                              : NGX_OK;
    }

    verdict.rule = rule;

    rc = ngx_http_approval_identify(&look, lcf, &verdict);

    *requester = verdict.who.requester;

    switch (rc) {

    case NGX_OK:
        *outcome = "held";
        return NGX_OK;

    case NGX_DECLINED:
        *outcome = (verdict.refusal == NGX_HTTP_APPROVAL_REFUSE_REASON)
                   ? "reason-required" : "identity-required";
        return NGX_OK;

    default:
        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_http_approval_shadow_audit(ngx_http_request_t *r,
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_loc_conf_t *lcf,
    ngx_http_approval_rule_t *rule, ngx_str_t *requester,
    const char *outcome)
{
    json_t  *fields;

    fields = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
                       "mode", "shadow",
                       "outcome", outcome,
                       "policy",
                       ngx_http_approval_json_str(&rule->policy->name),
                       "policy_digest",
                       ngx_http_approval_json_str(&rule->policy->digest),
                       "rule", ngx_http_approval_json_str(&rule->name),
                       "action", ngx_http_approval_json_str(&rule->action),
                       "requester", ngx_http_approval_json_str(requester),
                       "method", ngx_http_approval_json_str(&r->method_name));

    if (fields == NULL
        || ngx_http_approval_facts_brief(r, lcf, rule, fields) != NGX_OK)
    {
        json_decref(fields);
        return NGX_ERROR;
    }

    return ngx_http_approval_audit_often(mcf,
                                         ngx_strcmp(outcome, "held") == 0
                                         ? APPROVAL_RECORD_REQUESTED
                                         : APPROVAL_RECORD_REFUSED,
                                         NULL, fields);
}
