
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The body that nginx has read.  A rule may read it only in a way in which the
 * upstream must read it, too: Content-Type must name the grammar or leave it
 * open, and the bytes must mean the same characters to every reader.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/request.h"

#include "core/form.h"


typedef enum {
    NGX_HTTP_APPROVAL_TYPE_OPEN = 0,
    NGX_HTTP_APPROVAL_TYPE_JSON,
    NGX_HTTP_APPROVAL_TYPE_YAML,
    NGX_HTTP_APPROVAL_TYPE_FORM,
    NGX_HTTP_APPROVAL_TYPE_OTHER
} ngx_http_approval_type_e;


static ngx_int_t ngx_http_approval_body_copy(ngx_http_request_t *r,
    ngx_http_approval_body_t *body);
static ngx_uint_t ngx_http_approval_body_encoded(ngx_http_request_t *r);
static ngx_http_approval_unread_e ngx_http_approval_body_readable(
    ngx_http_request_t *r, ngx_http_approval_body_t *body,
    ngx_http_approval_type_e *type, const char **why);
static ngx_http_approval_type_e ngx_http_approval_body_type(ngx_str_t *type);
static ngx_uint_t ngx_http_approval_body_charset(ngx_str_t *type,
    ngx_http_approval_body_t *body, const char **why);
static ngx_uint_t ngx_http_approval_body_merges(json_t *value);


#define ngx_http_approval_ends(p, last, lit)                                  \
    ((size_t) ((last) - (p)) >= sizeof(lit) - 1                               \
     && ngx_strncasecmp((last) - (sizeof(lit) - 1), (u_char *) lit,           \
                        sizeof(lit) - 1)                                      \
        == 0)

#define ngx_http_approval_begins(p, last, lit)                                \
    ((size_t) ((last) - (p)) >= sizeof(lit) - 1                               \
     && ngx_strncasecmp(p, (u_char *) lit, sizeof(lit) - 1) == 0)


ngx_http_approval_body_t *
ngx_http_approval_body_load(ngx_http_request_t *r, size_t limit)
{
    ngx_chain_t               *cl;
    ngx_http_approval_body_t  *body;

    body = ngx_calloc(sizeof(ngx_http_approval_body_t), r->connection->log);
    if (body == NULL) {
        return NULL;
    }

    body->none = (r->headers_in.content_length == NULL
                  && !r->headers_in.chunked);
    body->encoded = ngx_http_approval_body_encoded(r);

    if (r->request_body == NULL) {
        return body;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        body->size += ngx_buf_size(cl->buf);
    }

    if (body->size == 0 || body->size > (off_t) limit) {
        return body;
    }

    cl = r->request_body->bufs;

    if (cl->next == NULL && ngx_buf_in_memory(cl->buf)) {
        body->data = cl->buf->pos;
        return body;
    }

    if (ngx_http_approval_body_copy(r, body) != NGX_OK) {
        ngx_http_approval_body_free(body);
        return NULL;
    }

    return body;
}


static ngx_int_t
ngx_http_approval_body_copy(ngx_http_request_t *r,
    ngx_http_approval_body_t *body)
{
    u_char       *p;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    body->data = ngx_alloc((size_t) body->size, r->connection->log);
    if (body->data == NULL) {
        return NGX_ERROR;
    }

    body->allocated = 1;
    p = body->data;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;

        n = ngx_http_approval_body_buf(r, b, 0, p, (size_t) ngx_buf_size(b));

        if (n != (ssize_t) ngx_buf_size(b)) {
            return NGX_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}


ssize_t
ngx_http_approval_body_buf(ngx_http_request_t *r, ngx_buf_t *b, off_t offset,
    u_char *dst, size_t size)
{
    size_t   done;
    ssize_t  n;

    if (ngx_buf_in_memory(b)) {
        ngx_memcpy(dst, b->pos + offset, size);
        return size;
    }

    if (!b->in_file) {
        return size ? NGX_ERROR : 0;
    }

    for (done = 0; done < size; done += n) {
        n = ngx_read_file(b->file, dst + done, size - done,
                          b->file_pos + offset + done);

        if (n <= 0) {
            ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(r), 0,
                          "the request body could not be read back from "
                          "\"%V\"", &b->file->name);
            return NGX_ERROR;
        }
    }

    return done;
}


void
ngx_http_approval_body_free(ngx_http_approval_body_t *body)
{
    if (body == NULL) {
        return;
    }

    json_decref(body->json);

    if (body->allocated) {
        ngx_free(body->data);
    }

    ngx_free(body);
}


static ngx_uint_t
ngx_http_approval_body_encoded(ngx_http_request_t *r)
{
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    static ngx_str_t  name = ngx_string("content-encoding");

    for (h = NULL; (h = ngx_http_approval_header_of(r, &it, h, &name)); ) {
        if (h->value.len != 8
            || ngx_strncasecmp(h->value.data, (u_char *) "identity", 8) != 0)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_approval_body_parse(ngx_http_approval_body_t *body)
{
    approval_str_t  text;

    if (body->parsed) {
        return;
    }

    body->parsed = 1;

    /* without a body nothing can be misread: every member is absent */

    if (body->none && body->size == 0) {
        return;
    }

    if (body->data == NULL) {
        body->json_error = body->size ? "the body is too large"
                                      : "the body is empty";
        return;
    }

    text.data = body->data;
    text.len = (size_t) body->size;

    body->json = approval_json_parse_wide(text, &body->json_error);
}


ngx_http_approval_unread_e
ngx_http_approval_body_json(ngx_http_request_t *r,
    ngx_http_approval_body_t *body, const char **why)
{
    ngx_http_approval_type_e    type;
    ngx_http_approval_unread_e  unread;

    unread = ngx_http_approval_body_readable(r, body, &type, why);

    if (unread != NGX_HTTP_APPROVAL_BODY_READ
        || (body->none && body->size == 0))
    {
        return unread;
    }

    if (type == NGX_HTTP_APPROVAL_TYPE_FORM
        || type == NGX_HTTP_APPROVAL_TYPE_OTHER)
    {
        *why = "a rule reads it as JSON, but its Content-Type names another "
               "format";
        return NGX_HTTP_APPROVAL_BODY_INVALID;
    }

    ngx_http_approval_body_parse(body);

    if (body->json == NULL) {
        *why = body->json_error;
        return NGX_HTTP_APPROVAL_BODY_INVALID;
    }

    if (type == NGX_HTTP_APPROVAL_TYPE_YAML
        && ngx_http_approval_body_merges(body->json))
    {
        *why = "it is YAML, whose \"<<\" merges members";
        return NGX_HTTP_APPROVAL_BODY_INVALID;
    }

    return NGX_HTTP_APPROVAL_BODY_READ;
}


ngx_http_approval_unread_e
ngx_http_approval_body_form(ngx_http_request_t *r,
    ngx_http_approval_body_t *body, const char **why)
{
    approval_str_t              text;
    ngx_http_approval_type_e    type;
    ngx_http_approval_unread_e  unread;

    unread = ngx_http_approval_body_readable(r, body, &type, why);

    if (unread != NGX_HTTP_APPROVAL_BODY_READ || body->size == 0) {
        return unread;
    }

    if (type != NGX_HTTP_APPROVAL_TYPE_OPEN
        && type != NGX_HTTP_APPROVAL_TYPE_FORM)
    {
        *why = "a rule reads it as a form, but its Content-Type names another "
               "format";
        return NGX_HTTP_APPROVAL_BODY_INVALID;
    }

    text.data = body->data;
    text.len = (size_t) body->size;

    *why = approval_form_foreign(text);

    return *why ? NGX_HTTP_APPROVAL_BODY_INVALID : NGX_HTTP_APPROVAL_BODY_READ;
}


ngx_uint_t
ngx_http_approval_body_typed(ngx_http_request_t *r)
{
    u_char     *p, *last, *end, *eq;
    ngx_str_t   value;

    if (ngx_http_approval_header_find(r, "content-type", &value) != 1
        || ngx_http_approval_body_type(&value) == NGX_HTTP_APPROVAL_TYPE_OPEN)
    {
        return 0;
    }

    last = value.data + value.len;

    for (p = ngx_strlchr(value.data, last, ';'); p && p < last; p = end) {

        while (++p < last && *p == ' ') { /* void */ }

        end = ngx_strlchr(p, last, ';');
        end = end ? end : last;
        eq = ngx_strlchr(p, end, '=');

        if (eq == NULL || eq == p || eq + 1 == end) {
            return 0;
        }
    }

    return 1;
}


/* Would no reader take the body for JSON, even if it ignores the type? */

ngx_uint_t
ngx_http_approval_body_foreign(ngx_http_request_t *r,
    ngx_http_approval_body_t *body)
{
    off_t                       i;
    const char                 *why;
    ngx_http_approval_type_e    type;

    if (ngx_http_approval_body_readable(r, body, &type, &why)
        != NGX_HTTP_APPROVAL_BODY_READ
        || type == NGX_HTTP_APPROVAL_TYPE_JSON
        || type == NGX_HTTP_APPROVAL_TYPE_YAML)
    {
        return 0;
    }

    for (i = 0; i < body->size; i++) {
        if (!ngx_strchr(" \t\r\n", body->data[i]) || body->data[i] == '\0') {
            break;
        }
    }

    return i == body->size
           || (body->data[i] < 0x80 && body->data[i]
               && !ngx_strchr("{[\"", body->data[i]));
}


static ngx_http_approval_unread_e
ngx_http_approval_body_readable(ngx_http_request_t *r,
    ngx_http_approval_body_t *body, ngx_http_approval_type_e *type,
    const char **why)
{
    ngx_str_t  value;

    *why = NULL;
    *type = NGX_HTTP_APPROVAL_TYPE_OPEN;

    if (body->encoded) {
        return NGX_HTTP_APPROVAL_BODY_ENCODED;
    }

    if (body->data == NULL && body->size) {
        return NGX_HTTP_APPROVAL_BODY_LARGE;
    }

    switch (ngx_http_approval_header_find(r, "content-type", &value)) {

    case 0:
        return NGX_HTTP_APPROVAL_BODY_READ;

    case 1:
        *type = ngx_http_approval_body_type(&value);

        return ngx_http_approval_body_charset(&value, body, why)
               ? NGX_HTTP_APPROVAL_BODY_READ : NGX_HTTP_APPROVAL_BODY_INVALID;

    default:
        *why = "there are two Content-Type headers";
        return NGX_HTTP_APPROVAL_BODY_INVALID;
    }
}


/* A type that is not known to name another grammar is OPEN. */

static ngx_http_approval_type_e
ngx_http_approval_body_type(ngx_str_t *type)
{
    u_char  *p, *c, *last;

    p = type->data;
    last = p + type->len;

    last = ngx_strlchr(p, last, ';');
    last = last ? last : type->data + type->len;

    while (last > p && last[-1] == ' ') {
        last--;
    }

    /* for some readers the type ends there; a ";" may have been forgotten */

    for (c = p; c < last; c++) {

        if (*c == ' ' && ngx_http_approval_begins(c, last, " charset=")
            && ngx_http_approval_ends(p, c, "json")
            && ngx_strlchr(c, last, ',') == NULL)
        {
            return NGX_HTTP_APPROVAL_TYPE_JSON;
        }

        if (*c <= ' ' || *c == ',') {
            return NGX_HTTP_APPROVAL_TYPE_OTHER;
        }
    }

    if (ngx_http_approval_ends(p, last, "json")
        || ngx_http_approval_ends(p, last, "json-rpc")
        || ngx_http_approval_ends(p, last, "jsonrequest"))
    {
        return NGX_HTTP_APPROVAL_TYPE_JSON;
    }

    if (ngx_http_approval_ends(p, last, "yaml")
        || ngx_http_approval_ends(p, last, "yml"))
    {
        return NGX_HTTP_APPROVAL_TYPE_YAML;
    }

    if (ngx_http_approval_ends(p, last, "x-www-form-urlencoded")) {
        return ngx_http_approval_begins(p, last, "application/x-")
               ? NGX_HTTP_APPROVAL_TYPE_FORM : NGX_HTTP_APPROVAL_TYPE_OTHER;
    }

    if (ngx_http_approval_begins(p, last, "multipart/")
        || ngx_http_approval_ends(p, last, "xml")
        || ngx_http_approval_ends(p, last, "html")
        || ngx_http_approval_ends(p, last, "csv")
        || ngx_http_approval_ends(p, last, "msgpack")
        || ngx_http_approval_ends(p, last, "cbor")
        || ngx_http_approval_ends(p, last, "protobuf")
        || ngx_http_approval_ends(p, last, "toml")
        || ngx_http_approval_ends(p, last, "ndjson")
        || ngx_http_approval_ends(p, last, "json-seq"))
    {
        return NGX_HTTP_APPROVAL_TYPE_OTHER;
    }

    return NGX_HTTP_APPROVAL_TYPE_OPEN;
}


/*
 * Allows UTF-8, and if all bytes are ASCII, charsets that contain ASCII
 * unchanged.
 */

static ngx_uint_t
ngx_http_approval_body_charset(ngx_str_t *type,
    ngx_http_approval_body_t *body, const char **why)
{
    off_t        i;
    size_t       len;
    u_char      *p, *last, *end, *name;
    const char **known;

    static const char  *utf8[] = {
        "utf-8", "utf8", "us-ascii", "ascii", NULL
    };

    static const char  *ascii[] = {
        "iso-8859-", "iso8859-", "latin1", "latin-1", "windows-125", "cp125",
        "koi8-", "gb2312", "gbk", "gb18030", "euc-", NULL
    };

    p = type->data;
    last = p + type->len;

    p = ngx_strlcasestrn(p, last, (u_char *) "charset", sizeof("charset") - 2);

    if (p == NULL) {
        return 1;
    }

    p += sizeof("charset") - 1;

    if (ngx_strlcasestrn(p, last, (u_char *) "charset", sizeof("charset") - 2))
    {
        *why = "its Content-Type contains two charsets";
        return 0;
    }

    while (p < last && (*p == ' ' || *p == '=' || *p == '"' || *p == '\'')) {
        p++;
    }

    name = p;

    for (end = p; end < last; end++) {
        if (*end == ';' || *end == '"' || *end == ' ' || *end == '\'') {
            break;
        }
    }

    len = end - name;

    for (known = utf8; *known; known++) {
        if (len == ngx_strlen(*known)
            && ngx_strncasecmp(name, (u_char *) *known, len) == 0)
        {
            return 1;
        }
    }

    *why = "its charset is not UTF-8";

    for (i = 0; i < body->size; i++) {
        if (body->data[i] >= 0x80) {
            return 0;
        }
    }

    for (known = ascii; *known; known++) {
        if (len >= ngx_strlen(*known)
            && ngx_strncasecmp(name, (u_char *) *known, ngx_strlen(*known))
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_approval_body_merges(json_t *value)
{
    size_t       i;
    json_t      *kid;
    const char  *name;

    json_object_foreach(value, name, kid) {
        if (ngx_strcmp(name, "<<") == 0 || ngx_http_approval_body_merges(kid))
        {
            return 1;
        }
    }

    json_array_foreach(value, i, kid) {
        if (ngx_http_approval_body_merges(kid)) {
            return 1;
        }
    }

    return 0;
}
