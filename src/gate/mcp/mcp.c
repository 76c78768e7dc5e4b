
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * JSON-RPC, and the Model Context Protocol: finds the requests of a body that
 * need an answer, and checks that headers match the body.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


/* Since this revision headers repeat parts of the request. */

#define NGX_HTTP_APPROVAL_MCP_MIRRORS  "2026-07-28"

#define NGX_HTTP_APPROVAL_MCP_PARAM    "mcp-param-"


/* A header, and what the arguments with its name say. */

typedef struct {
    ngx_str_t                      name;
    ngx_str_t                      value;         /* decoded              */

    unsigned                       named:1;       /* there is one         */
    unsigned                       said:1;        /* and has the value    */
} ngx_http_approval_mcp_param_t;


static ngx_int_t ngx_http_approval_rpc_add(ngx_http_approval_hold_t *hold,
    ngx_http_approval_rpc_t *rpc, json_t *message, approval_str_t text);
static ngx_uint_t ngx_http_approval_mcp_request(json_t *message);
static json_t *ngx_http_approval_mcp_named(json_t *json);
static ngx_int_t ngx_http_approval_mcp_same(ngx_http_request_t *r,
    ngx_str_t *header, json_t *value);
static ngx_uint_t ngx_http_approval_mcp_says(ngx_http_request_t *r,
    ngx_str_t *header, json_t *value);
static ngx_uint_t ngx_http_approval_mcp_text(json_t *value, u_char *data,
    size_t len);
static ngx_uint_t ngx_http_approval_mcp_decode(ngx_http_request_t *r,
    ngx_str_t *header, ngx_str_t *decoded);
static ngx_int_t ngx_http_approval_mcp_collect(ngx_http_request_t *r,
    ngx_array_t *params);
static int ngx_http_approval_mcp_order(const void *one, const void *two);
static void ngx_http_approval_mcp_walk(ngx_array_t *params,
    json_t *arguments);


/* True if the body may be JSON-RPC, so that an answer would need its ids. */

ngx_uint_t
ngx_http_approval_rpc_likely(ngx_http_request_t *r)
{
    ngx_str_t  *type;

    if (r->method != NGX_HTTP_POST || r->headers_in.content_type == NULL
        || (r->headers_in.content_length_n <= 0 && !r->headers_in.chunked))
    {
        return 0;
    }

    type = &r->headers_in.content_type->value;

    return ngx_strlcasestrn(type->data, type->data + type->len,
                            (u_char *) "json", 4 - 1)
           != NULL;
}


/* Copies the ids, which an answer needs, before the body is freed. */

ngx_int_t
ngx_http_approval_rpc_keep(ngx_http_approval_hold_t *hold)
{
    size_t                     i;
    json_t                    *json, *message;
    approval_str_t             text, element;
    ngx_http_approval_rpc_t   *rpc;
    ngx_http_approval_body_t  *body;

    body = hold->body;

    if (hold->rpc || body == NULL || body->encoded || body->data == NULL) {
        return NGX_OK;
    }

    if (ngx_http_approval_rpc_likely(hold->request)) {
        ngx_http_approval_body_parse(body);
    }

    json = body->json;

    if (!json_is_object(json) && !json_is_array(json)) {
        return NGX_OK;
    }

    rpc = ngx_pcalloc(hold->request->pool, sizeof(ngx_http_approval_rpc_t));

    if (rpc == NULL
        || ngx_array_init(&rpc->ids, hold->request->pool, 1,
                          sizeof(ngx_http_approval_rpc_id_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    text.data = body->data;
    text.len = (size_t) body->size;

    if (json_is_object(json)
        && ngx_http_approval_rpc_add(hold, rpc, json, text) != NGX_OK)
    {
        return NGX_ERROR;
    }

    json_array_foreach(json, i, message) {
        rpc->batch = 1;

        if (approval_json_raw_element(&text, &element) != APPROVAL_OK
            || ngx_http_approval_rpc_add(hold, rpc, message, element)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    hold->rpc = rpc->ids.nelts ? rpc : NULL;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_rpc_add(ngx_http_approval_hold_t *hold,
    ngx_http_approval_rpc_t *rpc, json_t *message, approval_str_t text)
{
    approval_str_t               raw;
    ngx_http_approval_rpc_id_t  *id;

    if (!ngx_http_approval_mcp_request(message)
        || approval_json_raw_member(text, "id", &raw) != APPROVAL_OK)
    {
        return NGX_OK;
    }

    id = ngx_array_push(&rpc->ids);
    if (id == NULL) {
        return NGX_ERROR;
    }

    id->tool = ngx_http_approval_mcp_call(message);
    id->id.len = raw.len;
    id->id.data = ngx_pnalloc(hold->request->pool, raw.len);

    if (id->id.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(id->id.data, raw.data, raw.len);

    rpc->tool |= id->tool;

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_mcp_call(json_t *message)
{
    return ngx_http_approval_mcp_request(message)
           && ngx_strcmp(json_string_value(json_object_get(message, "method")),
                         "tools/call")
              == 0;
}


/*
 * True for a request, which has an id, if only null, which JSON-RPC allows; a
 * notification has none.
 */

static ngx_uint_t
ngx_http_approval_mcp_request(json_t *message)
{
    json_t      *id;
    const char  *version;

    id = json_object_get(message, "id");
    version = json_string_value(json_object_get(message, "jsonrpc"));

    return (json_is_string(id) || json_is_number(id) || json_is_null(id))
           && version && ngx_strcmp(version, "2.0") == 0
           && json_is_string(json_object_get(message, "method"));
}


/*
 * The headers that repeat the call for intermediaries must match the body, or
 * two servers could read two different calls.
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
                                      ngx_http_approval_mcp_named(json));
}


/* The name of the message's subject; for a resource its URI. */

static json_t *
ngx_http_approval_mcp_named(json_t *json)
{
    json_t      *params;
    const char  *method;

    params = json_object_get(json, "params");
    method = json_string_value(json_object_get(json, "method"));

    return json_object_get(params, method
                                   && ngx_strncmp(method, "resources/", 10)
                                      == 0
                                   ? "uri" : "name");
}


/* Checks each copy of the header.  In a batch, no header can match. */

static ngx_int_t
ngx_http_approval_mcp_same(ngx_http_request_t *r, ngx_str_t *header,
    json_t *value)
{
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    for (h = NULL; (h = ngx_http_approval_header_of(r, &it, h, header)); ) {
        if (!json_is_string(value)
            || !ngx_http_approval_mcp_says(r, &h->value, value))
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* Compares plainly, or in base64 if the client's revision supports that. */

static ngx_uint_t
ngx_http_approval_mcp_says(ngx_http_request_t *r, ngx_str_t *header,
    json_t *value)
{
    ngx_str_t  decoded;

    return ngx_http_approval_mcp_decode(r, header, &decoded)
           ? ngx_http_approval_mcp_text(value, decoded.data, decoded.len)
           : ngx_http_approval_mcp_text(value, header->data, header->len);
}


static ngx_uint_t
ngx_http_approval_mcp_text(json_t *value, u_char *data, size_t len)
{
    ngx_uint_t      same;
    approval_buf_t  text;

    approval_buf_init(&text);

    same = approval_json_text(value, &text) == APPROVAL_OK && !text.failed
           && text.len == len && ngx_memcmp(text.data, data, len) == 0;

    approval_buf_free(&text);

    return same;
}


/* Decodes "=?base64?...?="; 0: not in this form, or out of memory. */

static ngx_uint_t
ngx_http_approval_mcp_decode(ngx_http_request_t *r, ngx_str_t *header,
    ngx_str_t *decoded)
{
    size_t          n;
    approval_str_t  text;

    static const char  begin[] = "=?base64?", end[] = "?=";

    n = sizeof(begin) - 1 + sizeof(end) - 1;

    if (header->len < n
        || ngx_strncasecmp(header->data, (u_char *) begin, sizeof(begin) - 1)
           != 0
        || ngx_strncmp(header->data + header->len - 2, end, 2) != 0
        || !ngx_http_approval_mcp_since(r, NGX_HTTP_APPROVAL_MCP_MIRRORS))
    {
        return 0;
    }

    text.data = header->data + sizeof(begin) - 1;
    text.len = header->len - n;

    decoded->data = ngx_pnalloc(r->pool, text.len + 1);

    if (decoded->data == NULL) {
        return 0;
    }

    decoded->len = approval_base64_decode(decoded->data, text);

    return decoded->len != (size_t) -1;
}


/* True if the client uses this revision of MCP or a later one. */

ngx_uint_t
ngx_http_approval_mcp_since(ngx_http_request_t *r, const char *revision)
{
    ngx_str_t  version;

    return ngx_http_approval_header_find(r, "mcp-protocol-version", &version)
           && version.len == ngx_strlen(revision)
           && ngx_memcmp(version.data, revision, version.len) >= 0;
}


/*
 * Checks headers such as "Mcp-Param-Region".  Only the tool's schema, which the
 * gateway does not have, says which argument a header repeats.  If there are
 * arguments with the header's name, one of them must have its value; otherwise
 * the header is ignored.  Two headers with one name must have one value.
 */

ngx_int_t
ngx_http_approval_mcp_params(ngx_http_approval_hold_t *hold)
{
    json_t                         *arguments;
    ngx_uint_t                      i;
    ngx_array_t                     params;
    ngx_http_request_t             *r;
    ngx_http_approval_mcp_param_t  *param;

    r = hold->request;

    if (!hold->lcf->policy->mcp
        || !ngx_http_approval_mcp_since(r, NGX_HTTP_APPROVAL_MCP_MIRRORS))
    {
        return NGX_OK;
    }

    if (ngx_http_approval_mcp_collect(r, &params) != NGX_OK) {
        return NGX_DECLINED;
    }

    param = params.elts;

    /* a client may send many of both: arguments are walked only once */

    ngx_qsort(param, params.nelts, sizeof(ngx_http_approval_mcp_param_t),
              ngx_http_approval_mcp_order);

    for (i = 1; i < params.nelts; i++) {
        if (ngx_http_approval_mcp_order(&param[i - 1], &param[i]) == 0
            && (param[i - 1].value.len != param[i].value.len
                || ngx_memcmp(param[i - 1].value.data, param[i].value.data,
                              param[i].value.len)
                   != 0))
        {
            return NGX_DECLINED;
        }
    }

    arguments = json_object_get(json_object_get(hold->body->json, "params"),
                                "arguments");

    if (params.nelts) {
        ngx_http_approval_mcp_walk(&params, arguments);
    }

    for (i = 0; i < params.nelts; i++) {
        if (param[i].named && !param[i].said) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_mcp_collect(ngx_http_request_t *r, ngx_array_t *params)
{
    size_t                          len;
    ngx_table_elt_t                *h;
    ngx_http_approval_headers_t     it;
    ngx_http_approval_mcp_param_t  *param;

    len = sizeof(NGX_HTTP_APPROVAL_MCP_PARAM) - 1;

    if (ngx_array_init(params, r->pool, 4,
                       sizeof(ngx_http_approval_mcp_param_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (h = NULL; (h = ngx_http_approval_header_next(r, &it, h)); ) {

        if (h->key.len <= len
            || ngx_strncasecmp(h->key.data,
                               (u_char *) NGX_HTTP_APPROVAL_MCP_PARAM, len)
               != 0)
        {
            continue;
        }

        param = ngx_array_push(params);
        if (param == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(param, sizeof(ngx_http_approval_mcp_param_t));

        param->name.data = h->key.data + len;
        param->name.len = h->key.len - len;

        if (!ngx_http_approval_mcp_decode(r, &h->value, &param->value)) {
            param->value = h->value;
        }
    }

    return NGX_OK;
}


static int
ngx_http_approval_mcp_order(const void *one, const void *two)
{
    const ngx_http_approval_mcp_param_t  *a = one, *b = two;

    if (a->name.len != b->name.len) {
        return a->name.len < b->name.len ? -1 : 1;
    }

    return (int) ngx_strncasecmp(a->name.data, b->name.data, a->name.len);
}


static void
ngx_http_approval_mcp_walk(ngx_array_t *params, json_t *arguments)
{
    json_t                         *value;
    const char                     *name;
    ngx_http_approval_mcp_param_t  *param, key;

    json_object_foreach(arguments, name, value) {

        if (json_is_object(value)) {
            ngx_http_approval_mcp_walk(params, value);
            continue;
        }

        key.name.data = (u_char *) name;
        key.name.len = ngx_strlen(name);

        param = bsearch(&key, params->elts, params->nelts, params->size,
                        ngx_http_approval_mcp_order);

        if (param && !param->said) {
            param->named = 1;
            param->said = ngx_http_approval_mcp_text(value, param->value.data,
                                                     param->value.len);
        }
    }
}
