
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * An action's end is counted, told to those who were asked, and recorded.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/notify.h"

#include "audit/audit.h"
#include "model/action.h"
#include "model/counters.h"


void
ngx_http_approval_ended(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id,
    ngx_http_approval_state_e state, int64_t waited, json_t *facts)
{
    ngx_str_t                        policy, name;
    const ngx_http_approval_move_t  *move;

    if (rule == NULL) {
        policy = ngx_http_approval_json_get(facts, "policy");
        name = ngx_http_approval_json_get(facts, "rule");

        rule = ngx_http_approval_count_rule(mcf, &policy, &name);
    }

    move = ngx_http_approval_move(NGX_HTTP_APPROVAL_UNKNOWN, state);

    if (state == NGX_HTTP_APPROVAL_DENIED) {
        ngx_http_approval_count_decision(rule, move->counter, waited);

    } else {
        ngx_http_approval_count(rule, move->counter);
    }

    ngx_http_approval_notify_outcome(mcf, id, state, facts);

    if (facts == NULL
        || ngx_http_approval_audit(mcf, move->record, id, facts) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "the end of action %*s (%V) is not in the audit trail",
                      (size_t) APPROVAL_ID_LEN, id,
                      ngx_http_approval_state_name(state));
    }
}
