
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Model Context Protocol: a refused tools/call is answered as a tool result,
 * which a model reads and adapts to; a JSON-RPC error it takes for a broken
 * transport.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/stream.h"

#include "model/problem.h"


static ngx_uint_t ngx_http_approval_mcp_request(json_t *message,
    const char *name);
static json_t *ngx_http_approval_mcp_result(json_t *id, const char *text,
    json_t *meta);
static json_t *ngx_http_approval_mcp_error(json_t *request, const char *text,
    json_t *meta);
static ngx_int_t ngx_http_approval_mcp_same(ngx_http_request_t *r,
    ngx_str_t *header, json_t *value);


/*
 * Keeps the ids of the tools/call requests in the body, as JSON text: a single
 * id, or an array of them for a batch, in which the ids of other requests are
 * in objects. Nothing is kept for other bodies.
 */

ngx_int_t
ngx_http_approval_mcp_ids(ngx_http_approval_hold_t *hold)
{
    char    *text;
    size_t   i, calls;
    json_t  *json, *ids, *message;

    if (hold->mcp_ids.len || hold->body == NULL || hold->body->json == NULL) {
        return NGX_OK;
    }

    json = hold->body->json;
    calls = 0;

    if (json_is_array(json)) {
        ids = json_array();

        json_array_foreach(json, i, message) {
            if (ngx_http_approval_mcp_call(message)) {
                json_array_append(ids, json_object_get(message, "id"));
                calls++;

            } else if (ngx_http_approval_mcp_request(message, NULL)) {
                json_array_append_new(ids, json_pack("{s:O}", "id",
                                           json_object_get(message, "id")));
            }
        }

        if (calls == 0) {
            json_decref(ids);
            return NGX_OK;
        }

    } else if (ngx_http_approval_mcp_call(json)) {
        ids = json_incref(json_object_get(json, "id"));

    } else {
        return NGX_OK;
    }

    text = json_dumps(ids, JSON_COMPACT|JSON_ENCODE_ANY);

    json_decref(ids);

    if (text == NULL) {
        return NGX_ERROR;
    }

    hold->mcp_ids.len = ngx_strlen(text);
    hold->mcp_ids.data = ngx_pnalloc(hold->request->pool, hold->mcp_ids.len);

    if (hold->mcp_ids.data) {
        ngx_memcpy(hold->mcp_ids.data, text, hold->mcp_ids.len);

    } else {
        hold->mcp_ids.len = 0;
    }

    free(text);

    return hold->mcp_ids.data ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_approval_mcp_call(json_t *message)
{
    return ngx_http_approval_mcp_request(message, "tools/call");
}


/* A request, not a notification: it has an id, and waits for a result. */

static ngx_uint_t
ngx_http_approval_mcp_request(json_t *message, const char *name)
{
    json_t      *id;
    const char  *version, *method;

    id = json_object_get(message, "id");
    version = json_string_value(json_object_get(message, "jsonrpc"));
    method = json_string_value(json_object_get(message, "method"));

    return (json_is_string(id) || json_is_number(id))
           && version && ngx_strcmp(version, "2.0") == 0
           && method && (name == NULL || ngx_strcmp(method, name) == 0);
}


/*
 * The headers that repeat the call for intermediaries must say what the body
 * says, or two readers judge two calls.
 */

ngx_int_t
ngx_http_approval_mcp_headers(ngx_http_approval_hold_t *hold)
{
    json_t  *json;

    static ngx_str_t  method = ngx_string("mcp-method");
    static ngx_str_t  name = ngx_string("mcp-name");

    json = hold->body->json;

    if (!hold->lcf->policy->mcp || json == NULL) {
        return NGX_OK;
    }

    if (ngx_http_approval_mcp_same(hold->request, &method,
                                   json_object_get(json, "method"))
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_approval_mcp_same(hold->request, &name,
                          json_object_get(json_object_get(json, "params"),
                                          "name"));
}


/* Each copy of the header; a batch has no one method that it could repeat. */

static ngx_int_t
ngx_http_approval_mcp_same(ngx_http_request_t *r, ngx_str_t *header,
    json_t *value)
{
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    for (h = NULL; (h = ngx_http_approval_header_next(r, &it, h)); ) {

        if (ngx_http_approval_header_named(h, header) == APPROVAL_NAME_OTHER) {
            continue;
        }

        if (!json_is_string(value)
            || json_string_length(value) != h->value.len
            || ngx_memcmp(json_string_value(value), h->value.data,
                          h->value.len)
               != 0)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/*
 * Sends the refusal as the result of every call that waits for one. Clients
 * accept both forms: JSON is sent unless only events will do.
 */

ngx_int_t
ngx_http_approval_mcp_refuse(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold, const char *text, json_t *meta)
{
    json_t          *ids, *answer, *id;
    size_t           i;
    ngx_int_t        rc;
    approval_buf_t   buf;

    ids = json_loadb((char *) hold->mcp_ids.data, hold->mcp_ids.len,
                     JSON_DECODE_ANY, NULL);

    if (json_is_array(ids)) {
        answer = json_array();

        json_array_foreach(ids, i, id) {
            json_array_append_new(answer, json_is_object(id)
                          ? ngx_http_approval_mcp_error(id, text, meta)
                          : ngx_http_approval_mcp_result(id, text, meta));
        }

    } else {
        answer = ids ? ngx_http_approval_mcp_result(ids, text, meta) : NULL;
    }

    json_decref(ids);
    json_decref(meta);

    if (ngx_http_approval_progress_opened(hold)
        || !ngx_http_approval_accepts(r, "text/event-stream")
        || ngx_http_approval_accepts(r, "application/json")
        || ngx_http_approval_accepts(r, "*/*"))
    {
        return ngx_http_approval_send_json(r, NGX_HTTP_OK, "application/json",
                                           answer);
    }

    approval_buf_init(&buf);
    ngx_http_approval_stream_event(&buf, answer);

    rc = buf.failed ? NGX_HTTP_INTERNAL_SERVER_ERROR
                    : ngx_http_approval_send(r, NGX_HTTP_OK,
                                             "text/event-stream",
                                             approval_buf_str(&buf));
    approval_buf_free(&buf);

    return rc;
}


static json_t *
ngx_http_approval_mcp_result(json_t *id, const char *text, json_t *meta)
{
    return json_pack("{s:s, s:O, s:{s:b, s:[{s:s, s:s}], s:{s:O}}}",
                     "jsonrpc", "2.0", "id", id,
                     "result", "isError", 1,
                     "content", "type", "text", "text", text,
                     "_meta", "approval", meta);
}


/* What was in the batch beside them waits for an answer, too. */

static json_t *
ngx_http_approval_mcp_error(json_t *request, const char *text, json_t *meta)
{
    return json_pack("{s:s, s:O, s:{s:i, s:s, s:{s:O}}}",
                     "jsonrpc", "2.0", "id", json_object_get(request, "id"),
                     "error", "code", -32000, "message", text,
                     "data", "approval", meta);
}
