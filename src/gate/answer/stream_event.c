
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Writes the server-sent events of a held MCP call.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/stream.h"

#include "core/keys.h"


#define NGX_HTTP_APPROVAL_JSONRPC_INTERNAL  (-32603)
#define NGX_HTTP_APPROVAL_PROGRESS_SCALE    1e9


static json_t *ngx_http_approval_stream_message(
    ngx_http_approval_hold_t *hold);
static json_t *ngx_http_approval_stream_meta(ngx_http_approval_hold_t *hold);
static ngx_uint_t ngx_http_approval_stream_answers(json_t *body,
    ngx_http_approval_rpc_t *rpc);
static json_t *ngx_http_approval_stream_failure(
    ngx_http_approval_stream_t *stream, json_t *body);
static json_t *ngx_http_approval_stream_reason(
    ngx_http_approval_stream_t *stream, json_t *body);


/* Takes the reference to message.  Canonical JSON is one line. */

void
ngx_http_approval_stream_event(approval_buf_t *out, json_t *message)
{
    approval_buf_adds(out, "event: message\ndata: ");

    if (message == NULL
        || approval_json_canonical(message, out) != APPROVAL_OK)
    {
        out->failed = 1;
    }

    approval_buf_adds(out, "\n\n");

    json_decref(message);
}


/*
 * Writes a notification for each call that asked for progress.  "progress" must
 * increase, even if the upstream continues with the same token and counts steps
 * from 1.  So the time held is sent in a very large unit.
 */

ngx_int_t
ngx_http_approval_stream_progress(ngx_http_approval_stream_t *stream,
    approval_buf_t *out)
{
    double                     progress;
    size_t                     i;
    json_t                    *tokens, *token;
    ngx_http_approval_hold_t  *hold;

    hold = stream->hold;

    progress = (double) (ngx_current_msec - hold->started)
               / NGX_HTTP_APPROVAL_PROGRESS_SCALE;

    tokens = json_loadb((char *) stream->tokens.data, stream->tokens.len, 0,
                        NULL);
    if (tokens == NULL) {
        return NGX_ERROR;
    }

    json_array_foreach(tokens, i, token) {
        ngx_http_approval_stream_event(out,
            json_pack("{s:s, s:s, s:{s:O, s:f, s:o, s:{s:o}}}",
                      "jsonrpc", "2.0",
                      "method", "notifications/progress",
                      "params", "progressToken", token,
                      "progress", progress,
                      "message", ngx_http_approval_stream_message(hold),
                      "_meta",
                      "approval", ngx_http_approval_stream_meta(hold)));
    }

    json_decref(tokens);

    return out->failed ? NGX_ERROR : NGX_OK;
}


static json_t *
ngx_http_approval_stream_message(ngx_http_approval_hold_t *hold)
{
    if (hold->action.state == NGX_HTTP_APPROVAL_EXECUTING) {
        return json_sprintf("Approved (%.*s): the call was forwarded",
                            (int) hold->action.approvers.len,
                            hold->action.approvers.data);
    }

    return json_sprintf("Waiting for approval of %.*s for %lu seconds",
                        (int) hold->verdict->rule->action.len,
                        hold->verdict->rule->action.data,
                        (unsigned long) (ngx_current_msec - hold->started)
                        / 1000);
}


static json_t *
ngx_http_approval_stream_meta(ngx_http_approval_hold_t *hold)
{
    char        time[APPROVAL_TIME_LEN + 1];
    ngx_str_t  *state;

    state = ngx_http_approval_state_name(hold->action.state);

    approval_time_format(time, hold->action.expires);

    return json_pack("{s:o, s:o, s:s}",
                     "id", json_stringn((char *) hold->action.id,
                                        APPROVAL_ID_LEN),
                     "state", ngx_http_approval_json_str(state),
                     "expires_at", time);
}


/*
 * The answer is not one of MCP, but an error page or a problem document.  Each
 * call gets a JSON-RPC error with its id, for which the client waits.  If the
 * body already is the call's JSON-RPC error, it is sent unchanged.
 */

ngx_int_t
ngx_http_approval_stream_error(ngx_http_approval_stream_t *stream,
    approval_buf_t *out)
{
    json_t                      *body, *failure;
    ngx_uint_t                   i;
    ngx_http_approval_rpc_id_t  *ids;

    body = NULL;

    if (stream->json && stream->body.len && !stream->body.failed) {
        body = json_loadb((char *) stream->body.data, stream->body.len,
                          JSON_REJECT_DUPLICATES, NULL);
    }

    if (ngx_http_approval_stream_answers(body, stream->rpc)) {
        ngx_http_approval_stream_event(out, body);
        return out->failed ? NGX_ERROR : NGX_OK;
    }

    failure = ngx_http_approval_stream_failure(stream, body);
    ids = stream->rpc->ids.elts;

    for (i = 0; i < stream->rpc->ids.nelts; i++) {
        approval_buf_adds(out, "event: message\ndata: ");
        ngx_http_approval_rpc_message(out, &ids[i].id, "error", failure);
        approval_buf_adds(out, "\n\n");
    }

    json_decref(failure);

    return out->failed ? NGX_ERROR : NGX_OK;
}


static ngx_uint_t
ngx_http_approval_stream_answers(json_t *body, ngx_http_approval_rpc_t *rpc)
{
    json_t                      *id;
    ngx_uint_t                   same;
    ngx_http_approval_rpc_id_t  *ids;

    if (rpc->batch || json_object_get(body, "jsonrpc") == NULL
        || !json_is_object(json_object_get(body, "error")))
    {
        return 0;
    }

    ids = rpc->ids.elts;

    id = json_loadb((char *) ids[0].id.data, ids[0].id.len, JSON_DECODE_ANY,
                    NULL);
    same = id && json_equal(json_object_get(body, "id"), id);

    json_decref(id);

    return same;
}


/* Takes the body's reference. */

static json_t *
ngx_http_approval_stream_failure(ngx_http_approval_stream_t *stream,
    json_t *body)
{
    json_t  *failure, *data;

    data = json_pack("{s:i}", "status", (int) stream->status);

    failure = json_pack("{s:i, s:o, s:o}",
                        "code", NGX_HTTP_APPROVAL_JSONRPC_INTERNAL,
                        "message",
                        ngx_http_approval_stream_reason(stream, body),
                        "data", data);

    if (body && failure) {
        json_object_set(data, "body", body);
    }

    json_decref(body);

    return failure;
}


/* The reason from a problem document (RFC 9457), or else from the status. */

static json_t *
ngx_http_approval_stream_reason(ngx_http_approval_stream_t *stream,
    json_t *body)
{
    const char  *title, *detail;

    title = json_string_value(json_object_get(body, "title"));
    detail = json_string_value(json_object_get(body, "detail"));

    if (title) {
        return json_sprintf("%s%s%s", title, detail ? ". " : "",
                            detail ? detail : "");
    }

    if (stream->status >= NGX_HTTP_SPECIAL_RESPONSE) {
        return json_sprintf("The call ended with HTTP status %d",
                            (int) stream->status);
    }

    return json_sprintf("The upstream answered the call with HTTP status %d, "
                        "but neither with plain JSON nor with events",
                        (int) stream->status);
}
