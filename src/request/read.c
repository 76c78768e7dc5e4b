
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Facts, taken from a request: one function for each kind.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/request.h"


typedef void (*ngx_http_approval_read_pt)(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);

/* Called with what may be the request's query, or its path. */

typedef void (*ngx_http_approval_source_pt)(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t s);


static void ngx_http_approval_read_value(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_made(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_filled(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_method(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_methods(approval_readings_t *rs,
    ngx_str_t *value);
static void ngx_http_approval_read_upper(approval_readings_t *rs,
    approval_str_t s);
static void ngx_http_approval_read_paths(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_target(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_query(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_argument(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_queries(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs,
    ngx_http_approval_source_pt handler);
static void ngx_http_approval_query_source(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t s);
static void ngx_http_approval_argument_source(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t s);
static void ngx_http_approval_read_host(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_header(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static approval_str_t ngx_http_approval_read_trimmed(ngx_str_t *value);
static void ngx_http_approval_read_cookies(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_capture(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_member(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_form(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_unread(approval_readings_t *rs,
    ngx_http_approval_unread_e unread, const char *why);
static approval_str_t ngx_http_approval_target_path(ngx_str_t *target,
    approval_str_t *query);
static approval_str_t ngx_http_approval_target_absolute(ngx_str_t *target,
    approval_str_t *query);


static const ngx_http_approval_read_pt  ngx_http_approval_readers[] = {
    [NGX_HTTP_APPROVAL_FACT_ONE] = ngx_http_approval_read_value,
    [NGX_HTTP_APPROVAL_FACT_METHOD] = ngx_http_approval_read_method,
    [NGX_HTTP_APPROVAL_FACT_PATH] = ngx_http_approval_read_paths,
    [NGX_HTTP_APPROVAL_FACT_TARGET] = ngx_http_approval_read_target,
    [NGX_HTTP_APPROVAL_FACT_QUERY] = ngx_http_approval_read_query,
    [NGX_HTTP_APPROVAL_FACT_HOST] = ngx_http_approval_read_host,
    [NGX_HTTP_APPROVAL_FACT_ARGUMENT] = ngx_http_approval_read_argument,
    [NGX_HTTP_APPROVAL_FACT_HEADER] = ngx_http_approval_read_header,
    [NGX_HTTP_APPROVAL_FACT_COOKIE] = ngx_http_approval_read_cookies,
    [NGX_HTTP_APPROVAL_FACT_CAPTURE] = ngx_http_approval_read_capture,
    [NGX_HTTP_APPROVAL_FACT_OPAQUE] = ngx_http_approval_read_made,
    [NGX_HTTP_APPROVAL_FACT_TEXT] = ngx_http_approval_read_made,
    [NGX_HTTP_APPROVAL_FACT_MEMBER] = ngx_http_approval_read_member,
    [NGX_HTTP_APPROVAL_FACT_FIELD] = ngx_http_approval_read_form
};


/* Of the look at hand; 0 is no look's. */

static ngx_uint_t  ngx_http_approval_looks;


void
ngx_http_approval_look(ngx_http_approval_look_t *look, ngx_http_request_t *r,
    ngx_http_approval_body_t *body, ngx_array_t *captures)
{
    look->request = r;
    look->body = body;
    look->root = NULL;
    look->captures = captures;
    look->number = ++ngx_http_approval_looks;
    look->body_number = look->number;
}


void
ngx_http_approval_look_root(ngx_http_approval_look_t *look, json_t *root)
{
    look->root = root;
    look->body_number = ++ngx_http_approval_looks;
}


approval_readings_t *
ngx_http_approval_read(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact)
{
    ngx_uint_t            number;
    approval_readings_t  *rs;

    rs = &fact->readings;

    switch (fact->kind) {

    case NGX_HTTP_APPROVAL_FACT_OPAQUE:
    case NGX_HTTP_APPROVAL_FACT_TEXT:
    case NGX_HTTP_APPROVAL_FACT_MEMBER:
        number = look->body_number;
        break;

    default:
        number = look->number;
    }

    if (fact->look != number) {
        fact->look = 0;
        approval_readings_reset(rs);

        ngx_http_approval_readers[fact->kind](look, fact, rs);

        fact->look = number;
    }

    return rs->failed ? NULL : rs;
}


/* What nginx has for it. */

static void
ngx_http_approval_read_value(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    ngx_str_t           value;
    approval_reading_e  kind;

    if (ngx_http_approval_read_text(look, fact, &value) != NGX_OK) {
        rs->failed = 1;
        return;
    }

    kind = value.len ? APPROVAL_READING_TEXT : APPROVAL_READING_ABSENT;

    approval_readings_add(rs, kind, ngx_http_approval_core_str(&value));
}


/*
 * It has one reading if all has that it is made of; a text then stands there as
 * readers take its values, and as nginx has them.
 */

static void
ngx_http_approval_read_made(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    ngx_http_approval_fact_t  *input;

    input = ngx_http_approval_read_differs(look, fact);

    if (input && input->readings.failed) {
        rs->failed = 1;
        return;
    }

    if (input) {
        approval_readings_unknown(rs, NGX_HTTP_APPROVAL_BODY_READ,
                                  "it is made of a value that can be read in "
                                  "several ways");
        return;
    }

    if (fact->value && fact->inputs->nelts) {
        ngx_http_approval_read_filled(look, fact, rs);
        rs->spelling = 1;
    }

    ngx_http_approval_read_value(look, fact, rs);

    rs->spelling = 0;
}


/* The text, with the reading of each input that counts. */

static void
ngx_http_approval_read_filled(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    size_t                      i, start;
    u_char                     *p;
    ngx_str_t                   rest, name;
    ngx_uint_t                  n;
    approval_str_t              text;
    approval_readings_t        *input;
    ngx_http_approval_fact_t  **inputs;

    start = rs->buf.len;
    rest = fact->name;
    inputs = fact->inputs->elts;

    for (n = 0; n < fact->inputs->nelts; n++) {

        p = rest.data;
        (void) ngx_http_approval_next_name(&rest, &name);

        while (*p != '$') {
            approval_buf_addc(&rs->buf, *p++);
        }

        input = ngx_http_approval_read(look, inputs[n]);

        if (input == NULL) {
            rs->failed = 1;
            return;
        }

        for (i = 0; i + 1 < input->n && input->elts[i].spelled; i++) {
            /* void */
        }

        text = approval_reading_text(input, i);
        approval_buf_add(&rs->buf, text.data, text.len);
    }

    approval_buf_add(&rs->buf, rest.data, rest.len);
    approval_readings_take(rs, APPROVAL_READING_TEXT, start);
}


ngx_http_approval_fact_t *
ngx_http_approval_read_differs(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact)
{
    ngx_uint_t                  i;
    approval_readings_t        *rs;
    ngx_http_approval_fact_t  **inputs, *found;

    if (fact->inputs == NULL) {

        if (fact->kind == NGX_HTTP_APPROVAL_FACT_OPAQUE) {
            return NULL;
        }

        rs = ngx_http_approval_read(look, fact);

        return (rs == NULL || approval_readings_count(rs) > 1
                || approval_readings_doubt(rs))
               ? fact : NULL;
    }

    inputs = fact->inputs->elts;

    for (i = 0; i < fact->inputs->nelts; i++) {
        found = ngx_http_approval_read_differs(look, inputs[i]);

        if (found) {
            return found;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_approval_read_one(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, ngx_str_t *value)
{
    ngx_http_approval_fact_t  *differs;

    differs = ngx_http_approval_read_differs(look, fact);

    if (differs) {
        return differs->readings.failed ? NGX_ERROR : NGX_DECLINED;
    }

    return ngx_http_approval_read_text(look, fact, value);
}


ngx_int_t
ngx_http_approval_read_text(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, ngx_str_t *value)
{
    approval_str_t              text;
    approval_readings_t        *rs;
    ngx_http_variable_value_t  *vv;

    if (fact->value) {
        return ngx_http_complex_value(look->request, fact->value, value);
    }

    if (fact->index != NGX_ERROR || fact->variable.len) {
        vv = fact->variable.len
             ? ngx_http_get_variable(look->request, &fact->variable,
                                     fact->hash)
             : ngx_http_get_flushed_variable(look->request, fact->index);

        if (vv == NULL) {
            return NGX_ERROR;
        }

        value->data = vv->data;
        value->len = vv->not_found ? 0 : vv->len;

        return NGX_OK;
    }

    rs = ngx_http_approval_read(look, fact);
    if (rs == NULL) {
        return NGX_ERROR;
    }

    text = approval_reading_text(rs, 0);

    value->len = text.len;
    value->data = ngx_pnalloc(look->request->pool, text.len ? text.len : 1);

    if (value->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(value->data, text.data, text.len);

    return NGX_OK;
}


static void
ngx_http_approval_read_method(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    size_t                        i;
    ngx_table_elt_t              *h;
    approval_readings_t           args;
    ngx_http_request_t           *r;
    ngx_http_approval_headers_t   it;

    r = look->request;

    approval_readings_add(rs, APPROVAL_READING_TEXT,
                          ngx_http_approval_core_str(&r->method_name));

    for (h = NULL; (h = ngx_http_approval_header_next(r, &it, h)); ) {
        if (h->lowcase_key[0] == 'x' && ngx_http_approval_header_method(h)) {
            ngx_http_approval_read_methods(rs, &h->value);
        }
    }

    if (r->method != NGX_HTTP_POST || r->args.len == 0) {
        return;
    }

    approval_readings_init(&args);

    approval_read_field(&args, ngx_http_approval_core_str(&r->args),
                        approval_str("_method"), 0);

    for (i = 0; i < args.n; i++) {
        if (args.elts[i].kind == APPROVAL_READING_TEXT) {
            ngx_http_approval_read_upper(rs, approval_reading_text(&args, i));
        }
    }

    rs->failed |= args.failed;

    approval_readings_free(&args);
}


/* A list of them, to readers that join copies of a header, and as it is. */

static void
ngx_http_approval_read_methods(approval_readings_t *rs, ngx_str_t *value)
{
    u_char     *p, *last;
    ngx_str_t   one;

    ngx_http_approval_read_upper(rs, ngx_http_approval_read_trimmed(value));

    last = value->data + value->len;

    for (p = value->data; p < last; p = one.data + one.len + 1) {
        one.data = p;
        p = ngx_strlchr(p, last, ',');
        one.len = (p ? p : last) - one.data;

        ngx_http_approval_read_upper(rs, ngx_http_approval_read_trimmed(&one));
    }
}


static void
ngx_http_approval_read_upper(approval_readings_t *rs, approval_str_t s)
{
    size_t  i, start;

    start = rs->buf.len;

    for (i = 0; i < s.len; i++) {
        approval_buf_addc(&rs->buf, ngx_toupper(s.data[i]));
    }

    approval_readings_take(rs, APPROVAL_READING_TEXT, start);
}


/*
 * nginx's own comes first.  What the client sent counts as well, as long as it
 * is what the request is about: "proxy_pass" without a URI forwards it.
 */

static void
ngx_http_approval_read_paths(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    ngx_table_elt_t              *h;
    ngx_http_request_t           *r;
    ngx_http_approval_headers_t   it;

    static ngx_str_t  destination = ngx_string("destination");

    r = look->request;

    approval_readings_add(rs, APPROVAL_READING_TEXT,
                          ngx_http_approval_core_str(&r->uri));

    if (fact->literal) {
        return;
    }

    approval_read_path(rs, ngx_http_approval_core_str(&r->uri));

    if (ngx_http_approval_target_own(r)) {
        approval_read_path(rs, ngx_http_approval_target_path(&r->unparsed_uri,
                                                             NULL));
    }

    for (h = NULL; (h = ngx_http_approval_header_next(r, &it, h)); ) {

        if (h->lowcase_key[0] == 'x' && ngx_http_approval_header_path(h)) {
            approval_read_path(rs, ngx_http_approval_target_absolute(&h->value,
                                                                     NULL));
        }

        /* DAV: a second path of the request */

        if ((r->method & (NGX_HTTP_COPY|NGX_HTTP_MOVE))
            && ngx_http_approval_header_named(h, &destination)
               != APPROVAL_NAME_OTHER)
        {
            approval_read_path(rs, ngx_http_approval_target_absolute(&h->value,
                                                                     NULL));
        }
    }
}


/* Of a header, where it may be an URL as well as a path. */

static approval_str_t
ngx_http_approval_target_absolute(ngx_str_t *target, approval_str_t *query)
{
    u_char          *p, *last;
    ngx_str_t        path;
    approval_str_t   s;

    s = ngx_http_approval_read_trimmed(target);

    path.len = s.len;
    path.data = target->data + (s.data - target->data);
    last = path.data + path.len;

    p = (path.len && *path.data != '/')
        ? ngx_strnstr(path.data, "://", path.len) : NULL;

    if (p) {
        for (p += 3; p < last && *p != '/'; p++) { /* void */ }

        path.data = p;
        path.len = last - p;
    }

    return ngx_http_approval_target_path(&path, query);
}


/* A subrequest has its parent's, and an error page or X-Accel its own. */

ngx_uint_t
ngx_http_approval_target_own(ngx_http_request_t *r)
{
    return r == r->main && !r->error_page && r->upstream == NULL;
}


static approval_str_t
ngx_http_approval_target_path(ngx_str_t *target, approval_str_t *query)
{
    u_char          *p;
    approval_str_t   path;

    path = ngx_http_approval_core_str(target);

    if (query) {
        query->len = 0;
        query->data = path.data;
    }

    p = target->len ? ngx_strlchr(target->data, target->data + target->len,
                                  '?')
                    : NULL;
    if (p) {
        path.len = p - target->data;

        if (query) {
            query->data = p + 1;
            query->len = target->data + target->len - (p + 1);
        }
    }

    return path;
}


/* Each reading of the path, with the query as it stands and decoded. */

static void
ngx_http_approval_read_target(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    size_t                     i, start;
    approval_str_t             path, query;
    ngx_http_request_t        *r;
    ngx_http_approval_fact_t   paths;

    r = look->request;
    query = ngx_http_approval_core_str(&r->args);

    if (ngx_http_approval_target_own(r)) {
        approval_readings_add(rs, APPROVAL_READING_TEXT,
                              ngx_http_approval_core_str(&r->unparsed_uri));

        if (fact->literal) {
            return;
        }

        (void) ngx_http_approval_target_path(&r->unparsed_uri, &query);
    }

    ngx_memzero(&paths, sizeof(ngx_http_approval_fact_t));
    approval_readings_init(&paths.readings);
    paths.literal = fact->literal;

    ngx_http_approval_read_paths(look, &paths, &paths.readings);

    for (i = 0; i < paths.readings.n; i++) {
        path = approval_reading_text(&paths.readings, i);

        start = rs->buf.len;
        approval_buf_add(&rs->buf, path.data, path.len);

        if (query.len) {
            approval_buf_addc(&rs->buf, '?');
            approval_buf_add(&rs->buf, query.data, query.len);
        }

        approval_readings_take(rs, APPROVAL_READING_TEXT, start);

        if (query.len == 0) {
            continue;
        }

        start = rs->buf.len;
        approval_buf_add(&rs->buf, path.data, path.len);
        approval_buf_addc(&rs->buf, '?');
        approval_read_decode(&rs->buf, query);

        approval_readings_take(rs, APPROVAL_READING_TEXT, start);
    }

    rs->failed |= paths.readings.failed;

    approval_readings_free(&paths.readings);
}


static void
ngx_http_approval_read_query(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    ngx_http_approval_read_queries(look, fact, rs,
                                   ngx_http_approval_query_source);
}


static void
ngx_http_approval_query_source(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t s)
{
    size_t  start;

    if (s.len == 0) {
        approval_readings_add(rs, APPROVAL_READING_ABSENT, s);
        return;
    }

    start = rs->buf.len;
    approval_read_decode(&rs->buf, s);
    approval_readings_take(rs, APPROVAL_READING_TEXT, start);

    rs->spelling = 1;
    approval_readings_add(rs, APPROVAL_READING_TEXT, s);
    rs->spelling = 0;
}


static void
ngx_http_approval_read_argument(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    ngx_http_approval_read_queries(look, fact, rs,
                                   ngx_http_approval_argument_source);
}


static void
ngx_http_approval_argument_source(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t s)
{
    approval_read_field(rs, s, ngx_http_approval_core_str(&fact->key),
                        APPROVAL_READ_RAW);
}


/* As it stands now, as the client sent it, and as a header has it. */

static void
ngx_http_approval_read_queries(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs,
    ngx_http_approval_source_pt handler)
{
    approval_str_t                query;
    ngx_table_elt_t              *h;
    ngx_http_request_t           *r;
    ngx_http_approval_headers_t   it;

    r = look->request;

    handler(fact, rs, ngx_http_approval_core_str(&r->args));

    if (ngx_http_approval_target_own(r)) {
        (void) ngx_http_approval_target_path(&r->unparsed_uri, &query);

        if (query.len != r->args.len
            || (query.len && query.data != r->args.data))
        {
            handler(fact, rs, query);
        }
    }

    for (h = NULL; (h = ngx_http_approval_header_next(r, &it, h)); ) {
        if (h->lowcase_key[0] == 'x' && ngx_http_approval_header_path(h)) {
            (void) ngx_http_approval_target_absolute(&h->value, &query);
            handler(fact, rs, query);
        }
    }
}


/* The one that nginx has routed by, and what the upstream may be sent. */

static void
ngx_http_approval_read_host(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    size_t                        i, start;
    u_char                        c;
    ngx_str_t                    *routed;
    ngx_table_elt_t              *h;
    ngx_http_request_t           *r;
    ngx_http_core_srv_conf_t     *cscf;
    ngx_http_approval_headers_t   it;

    static ngx_str_t  name = ngx_string("host");

    r = look->request;
    routed = &r->headers_in.server;

    if (routed->len == 0) {
        cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
        routed = &cscf->server_name;
    }

    approval_readings_add(rs, routed->len ? APPROVAL_READING_TEXT
                                          : APPROVAL_READING_ABSENT,
                          ngx_http_approval_core_str(routed));

    for (h = NULL; (h = ngx_http_approval_header_next(r, &it, h)); ) {

        if (ngx_http_approval_header_named(h, &name) != APPROVAL_NAME_SAME) {
            continue;
        }

        start = rs->buf.len;

        for (i = 0; i < h->value.len; i++) {
            c = h->value.data[i];

            if (c == ':' && h->value.data[0] != '[') {
                break;
            }

            approval_buf_addc(&rs->buf, ngx_tolower(c));

            if (c == ']') {
                break;
            }
        }

        if (rs->buf.len > start && rs->buf.data[rs->buf.len - 1] == '.') {
            rs->buf.len--;
        }

        approval_readings_take(rs, APPROVAL_READING_TEXT, start);

        /* a pattern may have the port */

        rs->spelling = 1;
        approval_readings_add(rs, APPROVAL_READING_TEXT,
                              ngx_http_approval_core_str(&h->value));
        rs->spelling = 0;
    }
}


/* Each copy, and all of them as one list. */

static void
ngx_http_approval_read_header(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    ngx_uint_t                    same;
    approval_buf_t                list;
    ngx_table_elt_t              *h;
    approval_name_e               named;
    ngx_http_approval_headers_t   it;

    same = 0;

    approval_buf_init(&list);

    for (h = NULL;
         (h = ngx_http_approval_header_next(look->request, &it, h)); )
    {
        named = ngx_http_approval_header_named(h, &fact->key);

        if (named == APPROVAL_NAME_OTHER) {
            continue;
        }

        approval_readings_add(rs, APPROVAL_READING_TEXT,
                              ngx_http_approval_core_str(&h->value));
        approval_readings_add(rs, APPROVAL_READING_TEXT,
                              ngx_http_approval_read_trimmed(&h->value));

        if (named == APPROVAL_NAME_SAME) {
            if (same++) {
                approval_buf_adds(&list, ", ");
            }

            approval_buf_add(&list, h->value.data, h->value.len);
        }
    }

    if (same == 0) {
        approval_readings_add(rs, APPROVAL_READING_ABSENT, approval_str(""));
    }

    if (same > 1) {
        approval_buf_add(&rs->buf, list.data, list.len);
        approval_readings_take(rs, APPROVAL_READING_TEXT,
                               rs->buf.len - list.len);
    }

    rs->failed |= (list.failed != 0);

    approval_buf_free(&list);
}


/* nginx takes spaces away from its ends only. */

static approval_str_t
ngx_http_approval_read_trimmed(ngx_str_t *value)
{
    approval_str_t  s;

    s = ngx_http_approval_core_str(value);

    while (s.len && ngx_strchr(" \t\v\f\r", *s.data) && *s.data) {
        s.data++;
        s.len--;
    }

    while (s.len && ngx_strchr(" \t\v\f\r", s.data[s.len - 1])
           && s.data[s.len - 1])
    {
        s.len--;
    }

    return s;
}


static void
ngx_http_approval_read_cookies(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    approval_buf_t                all;
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    static ngx_str_t  name = ngx_string("cookie");

    /* the readings point into it: it stays in theirs */

    approval_buf_init(&all);

    for (h = NULL;
         (h = ngx_http_approval_header_next(look->request, &it, h)); )
    {
        if (ngx_http_approval_header_named(h, &name) == APPROVAL_NAME_SAME) {
            approval_buf_add(&all, h->value.data, h->value.len);
            approval_buf_addc(&all, ';');
        }
    }

    approval_read_cookie(rs, approval_buf_str(&all),
                         ngx_http_approval_core_str(&fact->key));

    rs->failed |= (all.failed != 0);

    approval_buf_free(&all);
}


static void
ngx_http_approval_read_capture(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    ngx_uint_t                    i;
    ngx_http_approval_capture_t  *captures;

    if (look->captures) {
        captures = look->captures->elts;

        for (i = 0; i < look->captures->nelts; i++) {
            if (captures[i].name.len == fact->key.len
                && ngx_memcmp(captures[i].name.data, fact->key.data,
                              fact->key.len)
                   == 0)
            {
                approval_readings_add(rs, APPROVAL_READING_TEXT,
                                ngx_http_approval_core_str(&captures[i].value));
            }
        }
    }

    if (rs->n == 0) {
        approval_readings_add(rs, APPROVAL_READING_ABSENT, approval_str(""));
    }
}


static void
ngx_http_approval_read_member(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    json_t                      *root;
    const char                  *why;
    ngx_http_approval_unread_e   unread;

    if (look->body == NULL) {
        approval_readings_unknown(rs, NGX_HTTP_APPROVAL_BODY_INVALID,
                                  "the body was not read");
        return;
    }

    unread = ngx_http_approval_body_json(look->request, look->body, &why);

    if (unread != NGX_HTTP_APPROVAL_BODY_READ) {
        ngx_http_approval_read_unread(rs, unread, why);
        return;
    }

    root = look->root ? look->root : look->body->json;

    approval_read_json(rs, fact->pointer, root);
}


static void
ngx_http_approval_read_form(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    approval_str_t               text;
    const char                  *why;
    ngx_http_approval_unread_e   unread;

    if (look->body == NULL) {
        approval_readings_unknown(rs, NGX_HTTP_APPROVAL_BODY_INVALID,
                                  "the body was not read");
        return;
    }

    unread = ngx_http_approval_body_form(look->request, look->body, &why);

    if (unread != NGX_HTTP_APPROVAL_BODY_READ) {
        ngx_http_approval_read_unread(rs, unread, why);
        return;
    }

    text.data = look->body->data;
    text.len = look->body->data ? (size_t) look->body->size : 0;

    approval_read_field(rs, text, ngx_http_approval_core_str(&fact->key), 0);

    /* without a type some read no form at all */

    if (text.len && !ngx_http_approval_body_typed(look->request)) {
        approval_readings_add(rs, APPROVAL_READING_ABSENT, approval_str(""));
    }
}


static void
ngx_http_approval_read_unread(approval_readings_t *rs,
    ngx_http_approval_unread_e unread, const char *why)
{
    approval_readings_unknown(rs, unread, why ? why : "the body is unreadable");
}
