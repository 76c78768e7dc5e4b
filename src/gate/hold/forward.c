
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Records and forwards an approved request.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"
#include "notify/notify.h"

#include "model/problem.h"


static ngx_int_t ngx_http_approval_forward_headers(
    ngx_http_approval_hold_t *hold);


/* Resumes the request, whose approval is durably on record, or refuses it. */

void
ngx_http_approval_forward(ngx_http_approval_hold_t *hold)
{
    if (ngx_http_approval_forward_headers(hold) == NGX_OK) {
        ngx_http_approval_hold_resume(hold);
        return;
    }

    ngx_http_approval_forward_fail(hold, "not executed: the headers for the "
                                         "upstream could not be prepared");

    hold->refusal = NGX_HTTP_APPROVAL_REFUSE_INTERNAL;

    ngx_http_approval_hold_say_no(hold);
}


static ngx_int_t
ngx_http_approval_forward_headers(ngx_http_approval_hold_t *hold)
{
    ngx_str_t            id, digest;
    ngx_http_request_t  *r;

    r = hold->request;

    id.data = hold->action.id;
    id.len = APPROVAL_ID_LEN;

    digest.data = (u_char *) hold->action.digest;
    digest.len = APPROVAL_DIGEST_LEN;

    if (ngx_http_approval_strip(r) != NGX_OK
        || ngx_http_approval_header_push(r, "Approval-Id", "approval-id", &id)
           != NGX_OK
        || ngx_http_approval_header_push(r, "Approval-By", "approval-by",
                                         &hold->action.approvers)
           != NGX_OK
        || ngx_http_approval_header_push(r, "Approval-Digest",
                                         "approval-digest", &digest)
           != NGX_OK
        || ngx_http_approval_header_push(r, "Approval-Receipt",
                                         "approval-receipt",
                                         &hold->action.receipt)
           != NGX_OK
        || ngx_http_approval_header(r, "Approval-Id",
                                    ngx_http_approval_core_str(&id))
           != NGX_OK
        || ngx_http_approval_header(r, "Approval-Status",
                                    approval_str("approved"))
           != NGX_OK
        || ngx_http_approval_progress_resume(hold) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The approval is durably on record before the first byte goes upstream.  If it
 * cannot be recorded, the request is refused, and its approval is used up.
 */

void
ngx_http_approval_forward_record(ngx_http_approval_hold_t *hold)
{
    if (hold->wait.event.timer_set) {
        ngx_del_timer(&hold->wait.event);
    }

    ngx_http_approval_hold_unwatch(hold);

    if (ngx_http_approval_forward_write(hold) == NGX_OK) {
        ngx_http_approval_hold_sync(hold, NGX_HTTP_APPROVAL_HOLD_APPROVED);
        return;
    }

    ngx_http_approval_forward_synced(hold, NGX_ERROR);
}


ngx_int_t
ngx_http_approval_forward_write(ngx_http_approval_hold_t *hold)
{
    json_t  *facts;

    facts = ngx_http_approval_facts(hold);

    if (facts == NULL
        || json_object_set_new(facts, "decision",
                            ngx_http_approval_json_str(&hold->action.receipt))
           != 0
        || json_object_set_new(facts, "store_time",
                            ngx_http_approval_json_time(hold->action.taken))
           != 0)
    {
        json_decref(facts);
        return NGX_ERROR;
    }

    if (hold->grant.len) {
        (void) ngx_http_approval_facts_brief(hold->request, hold->lcf,
                                             hold->verdict->rule, facts);
        json_object_set_new(facts, "why",
                            json_string("grant: approved before, and "
                                        "remembered"));
    } else {
        ngx_http_approval_notify_outcome(hold->mcf, hold->action.id,
                                         NGX_HTTP_APPROVAL_APPROVED, facts);
    }

    return ngx_http_approval_audit(hold->mcf, APPROVAL_RECORD_APPROVED,
                                   hold->action.id, facts);
}


void
ngx_http_approval_forward_synced(ngx_http_approval_hold_t *hold, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_FORWARD);
        return;
    }

    ngx_http_approval_forward_fail(hold, "not executed: the approval could "
                                         "not be recorded");
    ngx_http_approval_hold_refuse(hold, NGX_HTTP_APPROVAL_REFUSE_AUDIT);
}


/* The approval was consumed but not executed: nobody may execute it later. */

void
ngx_http_approval_forward_fail(ngx_http_approval_hold_t *hold, const char *why)
{
    json_t  *facts;

    ngx_http_approval_forward_close(hold, why);

    facts = ngx_http_approval_facts(hold);

    ngx_http_approval_forward_unsent(facts, why);
    ngx_http_approval_hold_ended(hold, facts);
}


void
ngx_http_approval_forward_unsent(json_t *facts, const char *why)
{
    if (facts) {
        json_object_set_new(facts, "why", json_string(why));
        json_object_set_new(facts, "forwarded", json_false());
    }
}


void
ngx_http_approval_forward_close(ngx_http_approval_hold_t *hold,
    const char *why)
{
    /* with a grant, the action has already ended */

    if (hold->grant.len == 0) {
        ngx_http_approval_forward_failed(hold->mcf, hold->action.id, why);
    }

    hold->action.state = NGX_HTTP_APPROVAL_FAILED;
}


/* Ends the action as failed in Redis; "why" needs no escaping in JSON. */

void
ngx_http_approval_forward_failed(ngx_http_approval_main_conf_t *mcf,
    u_char *id, const char *why)
{
    u_char     buf[128];
    ngx_str_t  outcome;

    outcome.data = buf;
    outcome.len = ngx_snprintf(buf, sizeof(buf), "{\"why\":\"%s\"}", why)
                  - buf;

    if (mcf->worker->store) {
        (void) ngx_http_approval_store_finish(mcf->worker->store, id,
                                              NGX_HTTP_APPROVAL_FAILED,
                                              &outcome,
                                              NGX_HTTP_APPROVAL_AGAIN_REPEAT,
                                              NULL, NULL);
    }
}


/* Removes the client's Approval-* headers: only the gateway sends them. */

ngx_int_t
ngx_http_approval_strip(ngx_http_request_t *r)
{
    if (ngx_http_approval_ticket_keep(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_approval_headers_drop(r, ngx_http_approval_header_ours);
}


/* Headers that request an encoding, which an open event stream cannot use. */

ngx_uint_t
ngx_http_approval_header_encoding(ngx_str_t *name)
{
    return name->len == sizeof("accept-encoding") - 1
           && ngx_strncasecmp(name->data, (u_char *) "accept-encoding",
                              name->len)
              == 0;
}
