
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * JSON-RPC: a refused tools/call of MCP gets a tool result, which the model
 * reads; any other request gets an error.  The status is 200, since clients
 * read the bodies of few others.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/form.h"
#include "gate/answer/stream.h"


static json_t *ngx_http_approval_jsonrpc_meta(
    ngx_http_approval_refuse_t *answer);
static void ngx_http_approval_jsonrpc_write(ngx_http_approval_rpc_t *rpc,
    approval_buf_t *out, json_t *result, json_t *error);
static ngx_int_t ngx_http_approval_jsonrpc_send(
    ngx_http_approval_refuse_t *answer, approval_buf_t *out);


/* Headers that contradict the body are a protocol error, not a tool's. */

#define ngx_http_approval_jsonrpc_mismatch(answer)                            \
    ((answer)->refusal                                                        \
     == &ngx_http_approval_refusals[NGX_HTTP_APPROVAL_REFUSE_HEADERS])


ngx_int_t
ngx_http_approval_answer_jsonrpc(ngx_http_approval_refuse_t *answer)
{
    json_t          *message, *meta, *result, *error;
    ngx_int_t        rc;
    approval_buf_t   out;

    approval_buf_init(&out);

    message = ngx_http_approval_answer_message(answer);
    meta = ngx_http_approval_jsonrpc_meta(answer);

    error = json_pack("{s:I, s:O, s:{s:O}}",
                      "code", (json_int_t) answer->refusal->rpc,
                      "message", message,
                      "data", "approval", meta);

    result = ngx_http_approval_jsonrpc_mismatch(answer)
             ? NULL
             : json_pack("{s:b, s:[{s:s, s:O}], s:{s:O}}",
                         "isError", 1,
                         "content", "type", "text", "text", message,
                         "_meta", "approval", meta);

    json_decref(message);
    json_decref(meta);

    ngx_http_approval_jsonrpc_write(answer->hold->rpc, &out, result, error);

    rc = (out.failed || error == NULL)
         ? NGX_HTTP_INTERNAL_SERVER_ERROR
         : ngx_http_approval_jsonrpc_send(answer, &out);

    json_decref(result);
    json_decref(error);
    approval_buf_free(&out);

    return rc;
}


static json_t *
ngx_http_approval_jsonrpc_meta(ngx_http_approval_refuse_t *answer)
{
    json_t                    *meta;
    ngx_http_approval_hold_t  *hold;

    hold = answer->hold;
    meta = ngx_http_approval_answer_facts(answer);

    if (meta == NULL
        || json_object_set_new(meta, "type",
                               json_sprintf("urn:approval:%s",
                                            answer->refusal->type))
           != 0
        || json_object_set_new(meta, "retry",
                               answer->retry == NGX_HTTP_APPROVAL_FINAL
                               ? json_false() : json_integer(answer->retry))
           != 0
        || (ngx_http_approval_hold_stored(hold)
            && json_object_set_new(meta, "id",
                                   json_stringn((char *) hold->action.id,
                                                APPROVAL_ID_LEN))
               != 0))
    {
        json_decref(meta);
        return NULL;
    }

    return meta;
}


/* Writes an answer for each request; if result is NULL, all get the error. */

static void
ngx_http_approval_jsonrpc_write(ngx_http_approval_rpc_t *rpc,
    approval_buf_t *out, json_t *result, json_t *error)
{
    ngx_uint_t                   i, tool;
    ngx_http_approval_rpc_id_t  *ids;

    ids = rpc->ids.elts;

    if (rpc->batch) {
        approval_buf_addc(out, '[');
    }

    for (i = 0; i < rpc->ids.nelts; i++) {

        if (i) {
            approval_buf_addc(out, ',');
        }

        tool = ids[i].tool && result;

        ngx_http_approval_rpc_message(out, &ids[i].id,
                                      tool ? "result" : "error",
                                      tool ? result : error);
    }

    if (rpc->batch) {
        approval_buf_addc(out, ']');
    }
}


/* "id" is copied byte for byte. */

void
ngx_http_approval_rpc_message(approval_buf_t *out, ngx_str_t *id,
    const char *name, json_t *value)
{
    approval_buf_adds(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    approval_buf_add(out, id->data, id->len);
    approval_buf_printf(out, ",\"%s\":", name);

    if (value == NULL || approval_json_canonical(value, out) != APPROVAL_OK) {
        out->failed = 1;
    }

    approval_buf_addc(out, '}');
}


/* Sends JSON, or an event if the client accepts only those. */

static ngx_int_t
ngx_http_approval_jsonrpc_send(ngx_http_approval_refuse_t *answer,
    approval_buf_t *out)
{
    ngx_int_t            rc;
    ngx_uint_t           status;
    approval_buf_t       event;
    ngx_http_request_t  *r;

    r = answer->request;

    status = ngx_http_approval_jsonrpc_mismatch(answer)
             ? answer->refusal->http : NGX_HTTP_OK;

    if (ngx_http_approval_progress_opened(answer->hold)
        || !ngx_http_approval_accepts(r, "text/event-stream")
        || ngx_http_approval_accepts(r, "application/json")
        || ngx_http_approval_accepts(r, "*/*"))
    {
        approval_buf_addc(out, LF);

        return out->failed
               ? NGX_HTTP_INTERNAL_SERVER_ERROR
               : ngx_http_approval_send(r, status, "application/json",
                                        approval_buf_str(out));
    }

    approval_buf_init(&event);
    approval_buf_adds(&event, "event: message\ndata: ");
    approval_buf_add(&event, out->data, out->len);
    approval_buf_adds(&event, "\n\n");

    rc = event.failed
         ? NGX_HTTP_INTERNAL_SERVER_ERROR
         : ngx_http_approval_send(r, status, "text/event-stream",
                                  approval_buf_str(&event));

    approval_buf_free(&event);

    return rc;
}
