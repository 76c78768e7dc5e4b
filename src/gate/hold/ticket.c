
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The ticket that a client sends: "Approval-Id".
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "audit/audit.h"


static void ngx_http_approval_ticket_cleanup(void *data);


/*
 * The header is removed before a rule is found, and a redirect clears the
 * context, so a pool cleanup keeps the value.
 */

ngx_int_t
ngx_http_approval_ticket_keep(ngx_http_request_t *r)
{
    ngx_str_t            id;
    ngx_pool_cleanup_t  *cln;

    if (ngx_http_approval_ticket(r).len) {
        return NGX_OK;
    }

    if (ngx_http_approval_header_find(r, "approval-id", &id) == 0
        || !approval_id_valid(ngx_http_approval_core_str(&id)))
    {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_str_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_approval_ticket_cleanup;
    *(ngx_str_t *) cln->data = id;

    return NGX_OK;
}


/* A marker by which ngx_http_approval_ticket() finds the value. */

static void
ngx_http_approval_ticket_cleanup(void *data)
{
}


/* len 0: the client sent no ticket. */

ngx_str_t
ngx_http_approval_ticket(ngx_http_request_t *r)
{
    ngx_str_t            none = ngx_null_string;
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_approval_ticket_cleanup) {
            return *(ngx_str_t *) cln->data;
        }
    }

    return none;
}


/*
 * An action of this requester, for exactly this request, has ended.  A client
 * that sends its ticket wants that result and no new action.  A client that
 * repeats the request so soon is probably an automatic retry, and gets the same
 * result.
 */

void
ngx_http_approval_ticket_ended(ngx_http_approval_hold_t *hold)
{
    json_t                       *facts;
    ngx_http_approval_refusal_e   refusal;

    refusal = ngx_http_approval_hold_refusal(hold->action.state);

    if (refusal == NGX_HTTP_APPROVAL_REFUSE_DENIED && hold->retry_after) {
        refusal = NGX_HTTP_APPROVAL_REFUSE_REPEATED;
    }

    facts = ngx_http_approval_facts(hold);

    if (facts) {
        json_object_set_new(facts, "why",
                            json_string(hold->retry_after
                                        ? "the same request ended recently, "
                                          "so approvers are not asked again"
                                        : "the named action has ended"));
        (void) ngx_http_approval_audit_often(hold->mcf,
                                             APPROVAL_RECORD_REFUSED,
                                             hold->action.id, facts);
    }

    ngx_http_approval_hold_explain(hold, refusal);
}
