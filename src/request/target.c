
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The target: the paths and queries that readers may see in a request.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "request/internal.h"


typedef void (*ngx_http_approval_target_pt)(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t path, approval_str_t query);


static void ngx_http_approval_targets(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs,
    ngx_http_approval_target_pt handler);
static void ngx_http_approval_target_header(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs,
    ngx_http_approval_target_pt handler, ngx_str_t *name);
static void ngx_http_approval_target_path(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t path, approval_str_t query);
static void ngx_http_approval_target_query(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t path, approval_str_t query);
static void ngx_http_approval_target_argument(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t path, approval_str_t query);
static approval_str_t ngx_http_approval_target_split(approval_str_t target,
    approval_str_t *query);


/*
 * nginx's own path comes first.  The path that the client sent counts as well,
 * as long as "proxy_pass" without a URI would forward it.
 */

void
ngx_http_approval_read_paths(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    static ngx_str_t  destination = ngx_string("destination");

    approval_readings_add(rs, APPROVAL_READING_TEXT,
                          ngx_http_approval_core_str(&look->request->uri));

    if (fact->literal) {
        return;
    }

    ngx_http_approval_targets(look, fact, rs, ngx_http_approval_target_path);

    /* the second path of a DAV request */

    if (look->request->method & (NGX_HTTP_COPY|NGX_HTTP_MOVE)) {
        ngx_http_approval_target_header(look, fact, rs,
                                        ngx_http_approval_target_path,
                                        &destination);
    }
}


/* Adds each reading of the path with the query as it is, and decoded. */

void
ngx_http_approval_read_target(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    int                        doubtful;
    size_t                     i, start;
    unsigned                   decoded;
    approval_str_t             path, query;
    ngx_http_request_t        *r;
    ngx_http_approval_fact_t   paths;

    r = look->request;
    query = ngx_http_approval_core_str(&r->args);

    if (ngx_http_approval_target_own(r)) {
        path = ngx_http_approval_core_str(&r->unparsed_uri);
        approval_readings_add(rs, APPROVAL_READING_TEXT, path);

        if (fact->literal) {
            return;
        }

        (void) ngx_http_approval_target_split(path, &query);
    }

    ngx_memzero(&paths, sizeof(ngx_http_approval_fact_t));
    approval_readings_init(&paths.readings);
    paths.literal = fact->literal;

    ngx_http_approval_read_paths(look, &paths, &paths.readings);

    doubtful = approval_readings_doubtful(rs, &paths.readings);

    for (i = 0; i < paths.readings.n && !doubtful; i++) {
        path = approval_reading_text(&paths.readings, i);

        for (decoded = 0; decoded < (query.len ? 2 : 1); decoded++) {
            start = rs->buf.len;
            approval_buf_add(&rs->buf, path.data, path.len);

            if (query.len) {
                approval_buf_addc(&rs->buf, '?');
            }

            if (decoded) {
                approval_read_decode(&rs->buf, query);

            } else {
                approval_buf_add(&rs->buf, query.data, query.len);
            }

            approval_readings_take(rs, APPROVAL_READING_TEXT, start);
        }
    }

    rs->failed |= paths.readings.failed;

    approval_readings_free(&paths.readings);
}


void
ngx_http_approval_read_query(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    ngx_http_approval_targets(look, fact, rs, ngx_http_approval_target_query);
}


void
ngx_http_approval_read_argument(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs)
{
    ngx_http_approval_targets(look, fact, rs,
                              ngx_http_approval_target_argument);
}


/*
 * Calls the handler for the current target, for the one that the client sent,
 * and for those in headers.
 */

static void
ngx_http_approval_targets(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs,
    ngx_http_approval_target_pt handler)
{
    ngx_str_t           *name;
    approval_str_t       path, query;
    ngx_http_request_t  *r;

    static ngx_str_t  overrides[] = {
        ngx_string("x-original-url"),
        ngx_string("x-rewrite-url"),
        ngx_null_string
    };

    r = look->request;

    handler(fact, rs, ngx_http_approval_core_str(&r->uri),
            ngx_http_approval_core_str(&r->args));

    if (ngx_http_approval_target_own(r)) {
        path = ngx_http_approval_target_split(
                       ngx_http_approval_core_str(&r->unparsed_uri), &query);
        handler(fact, rs, path, query);
    }

    for (name = overrides; name->len; name++) {
        ngx_http_approval_target_header(look, fact, rs, handler, name);
    }
}


/* The header's value may be a URL or a path. */

static void
ngx_http_approval_target_header(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, approval_readings_t *rs,
    ngx_http_approval_target_pt handler, ngx_str_t *name)
{
    size_t                        i;
    ngx_table_elt_t              *h;
    approval_str_t                s, query;
    ngx_http_approval_headers_t   it;

    for (h = NULL;
         (h = ngx_http_approval_header_of(look->request, &it, h, name)); )
    {
        s = approval_str_trim(ngx_http_approval_core_str(&h->value));

        for (i = 0; i + 2 < s.len && s.data[0] != '/'; i++) {

            if (ngx_memcmp(&s.data[i], "://", 3) == 0) {
                i = approval_str_find(s, i + 3, "/");
                s = approval_str_sub(s, i, s.len);
                break;
            }
        }

        s = ngx_http_approval_target_split(s, &query);
        handler(fact, rs, s, query);
    }
}


static void
ngx_http_approval_target_path(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t path, approval_str_t query)
{
    approval_read_path(rs, path);
}


static void
ngx_http_approval_target_query(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t path, approval_str_t query)
{
    size_t  start;

    if (query.len == 0) {
        approval_readings_add(rs, APPROVAL_READING_ABSENT, query);
        return;
    }

    start = rs->buf.len;
    approval_read_decode(&rs->buf, query);
    approval_readings_take(rs, APPROVAL_READING_TEXT, start);

    approval_readings_copy(rs, query, APPROVAL_SPELLED);
}


static void
ngx_http_approval_target_argument(ngx_http_approval_fact_t *fact,
    approval_readings_t *rs, approval_str_t path, approval_str_t query)
{
    approval_read_field(rs, query, ngx_http_approval_core_str(&fact->key),
                        APPROVAL_READ_RAW);
}


/* No longer so in a subrequest, an error page, or after X-Accel-Redirect. */

ngx_uint_t
ngx_http_approval_target_own(ngx_http_request_t *r)
{
    return r == r->main && !r->error_page && r->upstream == NULL;
}


/* Returns the path of the target and sets its query, which may be empty. */

static approval_str_t
ngx_http_approval_target_split(approval_str_t target, approval_str_t *query)
{
    size_t  i;

    i = approval_str_find(target, 0, "?");
    *query = approval_str_sub(target, i + (i < target.len), target.len);

    return approval_str_sub(target, 0, i);
}
