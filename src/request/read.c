
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Reads facts from a request, with one function for each kind.  Those for the
 * target are in target.c.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/internal.h"


typedef void (*ngx_http_approval_read_pt)(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);

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
static void ngx_http_approval_read_host(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
static void ngx_http_approval_read_header(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs);
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


/* The first overrides any method, the others only POST. */

ngx_str_t  ngx_http_approval_override_args[] = {
    ngx_string("_method"),
    ngx_string("_httpmethod"),
    ngx_string("x-http-method-override"),
    ngx_null_string
};


/* The number of the latest look; 0 is not used. */

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


/* nginx's own value. */

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
 * If an input can be read in several ways, the fact is unknown.  Otherwise a
 * text is added as readers take its values, and as nginx has them.
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
                                  "it is computed from a value that has "
                                  "several readings");
        return;
    }

    if (fact->value && fact->inputs->nelts) {
        ngx_http_approval_read_filled(look, fact, rs);
        rs->spelling = APPROVAL_SPELLED;
    }

    ngx_http_approval_read_value(look, fact, rs);

    rs->spelling = APPROVAL_ANOTHER;
}


/* Fills in the first reading of each input that is not only a spelling. */

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

        return rs == NULL || !approval_readings_same(rs) ? fact : NULL;
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
    int                           doubtful;
    size_t                        i;
    ngx_str_t                    *name;
    ngx_table_elt_t              *h;
    approval_readings_t           args;
    ngx_http_request_t           *r;
    ngx_http_approval_fact_t      arg;
    ngx_http_approval_headers_t   it;

    static ngx_str_t  overrides[] = {
        ngx_string("x-http-method-override"),
        ngx_string("x-http-method"),
        ngx_string("x-method-override"),
        ngx_null_string
    };

    r = look->request;

    approval_readings_add(rs, APPROVAL_READING_TEXT,
                          ngx_http_approval_core_str(&r->method_name));

    for (name = overrides; name->len; name++) {
        for (h = NULL; (h = ngx_http_approval_header_of(r, &it, h, name)); ) {
            ngx_http_approval_read_methods(rs, &h->value);
        }
    }

    approval_readings_init(&args);

    ngx_memzero(&arg, sizeof(ngx_http_approval_fact_t));

    for (name = ngx_http_approval_override_args; name->len; name++) {

        if (name > ngx_http_approval_override_args
            && r->method != NGX_HTTP_POST)
        {
            break;
        }

        arg.key = *name;
        ngx_http_approval_read_argument(look, &arg, &args);
    }

    doubtful = approval_readings_doubtful(rs, &args);

    for (i = 0; i < args.n && !doubtful; i++) {
        if (args.elts[i].kind == APPROVAL_READING_TEXT) {
            ngx_http_approval_read_upper(rs, approval_reading_text(&args, i));
        }
    }

    rs->failed |= args.failed;

    approval_readings_free(&args);
}


/* Adds the whole value, and each item for readers that read it as a list. */

static void
ngx_http_approval_read_methods(approval_readings_t *rs, ngx_str_t *value)
{
    ngx_str_t       list;
    approval_str_t  item;

    ngx_http_approval_read_upper(rs, approval_str_trim(
                                         ngx_http_approval_core_str(value)));

    list = *value;

    while (ngx_http_approval_header_item(&list, &item)) {
        ngx_http_approval_read_upper(rs, item);
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


/* The host that nginx routed by, and those that the upstream may see. */

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

    for (h = NULL; (h = ngx_http_approval_header_of(r, &it, h, &name)); ) {
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

        /* a pattern may contain the port */

        approval_readings_copy(rs, ngx_http_approval_core_str(&h->value),
                               APPROVAL_SPELLED);
    }
}


/* Adds each copy of the header, and all of them joined to one list. */

static void
ngx_http_approval_read_header(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    size_t                        start;
    ngx_uint_t                    same, copies, i;
    approval_str_t                text;
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    same = 0;
    copies = 0;

    for (h = NULL;
         (h = ngx_http_approval_header_of(look->request, &it, h, &fact->key));
        )
    {
        text = ngx_http_approval_core_str(&h->value);

        approval_readings_add(rs, APPROVAL_READING_TEXT, text);
        approval_readings_copy(rs, approval_str_trim(text), APPROVAL_TRIMMED);

        same += (it.named == APPROVAL_NAME_SAME);
        copies++;
    }

    if (same == 0) {
        approval_readings_add(rs, APPROVAL_READING_ABSENT, approval_str(""));
    }

    for (i = 0; i < 2 && copies > 1; i++) {
        start = rs->buf.len;
        (void) ngx_http_approval_header_join(look->request, &fact->key,
                                             i ? "," : ", ", &rs->buf);
        approval_readings_take(rs, APPROVAL_READING_TEXT, start);
    }
}


/*
 * Some readers join two headers to one with commas.  approval_read_cookie()
 * copies the values.
 */

static void
ngx_http_approval_read_cookies(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    ngx_uint_t      i, n;
    approval_buf_t  all;

    static ngx_str_t    name = ngx_string("cookie");
    static const char  *separators[] = { "; ", ", ", "," };

    approval_buf_init(&all);

    n = 1;

    for (i = 0; i < 3 && (i == 0 || n > 1); i++) {
        approval_buf_reset(&all);
        n = ngx_http_approval_header_join(look->request, &name, separators[i],
                                          &all);

        approval_read_cookie(rs, approval_buf_str(&all),
                             ngx_http_approval_core_str(&fact->key));
    }

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

    /* PHP reads the form of a POST only */

    if (text.len && (look->request->method != NGX_HTTP_POST
                     || !ngx_http_approval_body_typed(look->request)))
    {
        approval_readings_add(rs, APPROVAL_READING_ABSENT, approval_str(""));
    }
}


static void
ngx_http_approval_read_unread(approval_readings_t *rs,
    ngx_http_approval_unread_e unread, const char *why)
{
    approval_readings_unknown(rs, unread, why ? why : "the body is unreadable");
}
