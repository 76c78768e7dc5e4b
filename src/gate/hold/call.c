
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * An MCP client cancels a call with a separate message, and may leave the
 * connection of the call open.  The call is identified by its requester,
 * endpoint, session and id; the worker that holds it is notified through the
 * store.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


static ngx_int_t ngx_http_approval_call_hashes(ngx_http_approval_hold_t *hold,
    const ngx_str_t *person, json_t *id,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes);
static void ngx_http_approval_call_handler(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision);


/*
 * The name by which the held call can be cancelled; hashes->len is 0 if it has
 * none.  A batch has none, and neither has a call without a session, since ids
 * are unique only within one.
 */

ngx_int_t
ngx_http_approval_call_name(ngx_http_approval_hold_t *hold,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes)
{
    json_t     *json;
    ngx_int_t   rc;

    ngx_str_null(hashes);

    json = hold->body ? hold->body->json : NULL;

    if (!json_is_object(json) || !ngx_http_approval_mcp_call(json)) {
        return NGX_OK;
    }

    rc = ngx_http_approval_call_hashes(hold, &hold->verdict->who.person,
                                       json_object_get(json, "id"), buf,
                                       hashes);
    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    if (hold->wait.call == NULL) {
        hold->wait.call = ngx_pcalloc(hold->request->pool,
                                 sizeof(ngx_http_approval_watch_t));
        if (hold->wait.call == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_memcpy(hold->wait.call->id, hashes->data, NGX_HTTP_APPROVAL_HASH_LEN);

    return NGX_OK;
}


/* NGX_DECLINED: the request names no session. */

static ngx_int_t
ngx_http_approval_call_hashes(ngx_http_approval_hold_t *hold,
    const ngx_str_t *person, json_t *id,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes)
{
    char                *text;
    u_char               shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    ngx_int_t            rc;
    ngx_str_t            parts[5];
    ngx_http_request_t  *r;

    r = hold->request;

    if (ngx_http_approval_header_find(r, "mcp-session-id", &parts[3]) != 1
        || parts[3].len == 0)
    {
        return NGX_DECLINED;
    }

    text = json_dumps(id, JSON_COMPACT|JSON_ENCODE_ANY);

    if (text == NULL) {
        return NGX_ERROR;
    }

    parts[0] = *person;
    parts[1] = r->headers_in.server;
    parts[2] = r->uri;
    parts[4].data = (u_char *) text;
    parts[4].len = ngx_strlen(text);

    rc = ngx_http_approval_hashes(hold->mcf, "call", parts, 5, buf, hashes);

    free(text);

    if (rc != NGX_OK
        || ngx_http_approval_find_shard(hold, person, shard) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_approval_store_place(hashes, shard);

    return NGX_OK;
}


void
ngx_http_approval_call_watch(ngx_http_approval_hold_t *hold)
{
    if (hold->wait.call) {
        hold->wait.call->handler = ngx_http_approval_call_handler;
        hold->wait.call->data = hold;

        ngx_http_approval_watch_add(hold->mcf->worker->store, hold->wait.call);
    }
}


/* In states other than WAIT the store checks for it, or it is read again. */

static void
ngx_http_approval_call_handler(ngx_http_approval_watch_t *watch,
    ngx_str_t *decision)
{
    ngx_http_approval_hold_t *hold = watch->data;

    if (decision->len && hold->state == NGX_HTTP_APPROVAL_HOLD_WAIT) {
        ngx_http_approval_call_over(hold);
    }
}


/* Ends the hold as if the client had disconnected, but sends an answer. */

void
ngx_http_approval_call_over(ngx_http_approval_hold_t *hold)
{
    hold->refusal = NGX_HTTP_APPROVAL_REFUSE_CANCELLED;

    ngx_http_approval_hold_wake(hold, NGX_HTTP_APPROVAL_HOLD_GIVEN_UP);
}


/* Cancels a call if the body says so; the upstream gets the body anyway. */

void
ngx_http_approval_call_cancelled(ngx_http_approval_hold_t *hold)
{
    u_char                         buf[NGX_HTTP_APPROVAL_HASHES];
    json_t                        *json, *id;
    ngx_str_t                      requester, person, hashes;
    const char                    *method;
    ngx_http_approval_look_t       look;
    ngx_http_approval_loc_conf_t  *lcf;

    json = hold->body->json;
    lcf = hold->lcf;

    ngx_http_approval_look(&look, hold->request, hold->body, NULL);

    if (!json_is_object(json) || lcf->policy->hashes.len == 0
        || hold->mcf->worker->store == NULL || lcf->requester == NULL)
    {
        return;
    }

    method = json_string_value(json_object_get(json, "method"));
    id = json_object_get(json_object_get(json, "params"), "requestId");

    if (method == NULL || ngx_strcmp(method, "notifications/cancelled") != 0
        || !(json_is_string(id) || json_is_number(id))
        || ngx_http_approval_read_one(&look, lcf->requester, &requester)
           != NGX_OK
        || ngx_http_approval_identify_person(hold->request, &requester,
                                             &person)
           != NGX_OK
        || ngx_http_approval_call_hashes(hold, &person, id, buf, &hashes)
           != NGX_OK)
    {
        return;
    }

    if (ngx_http_approval_store_give_up(hold->mcf->worker->store, &hashes, NULL,
                                        NULL)
        == NULL)
    {
        ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(hold->request), 0,
                      "a cancelled MCP call may still be executed, because "
                      "the store is unavailable");
    }
}
