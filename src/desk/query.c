
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/list.h"
#include "core/escape.h"
#include "core/form.h"


typedef struct {
    ngx_http_approval_desk_t   *desk;
    ngx_http_approval_query_t  *query;
    const char                 *err;
    ngx_str_t                  *name;
    ngx_uint_t                  seen;        /* bits by argument */
} ngx_http_approval_query_ctx_t;

typedef const char *(*ngx_http_approval_query_pt)(
    ngx_http_approval_query_ctx_t *ctx, approval_str_t value);

typedef struct {
    const char                 *name;
    ngx_http_approval_query_pt  handler;
    ngx_uint_t                  repeated;
} ngx_http_approval_query_arg_t;


static int ngx_http_approval_query_visit(void *data, approval_str_t name,
    approval_str_t value);
static const char *ngx_http_approval_query_state(
    ngx_http_approval_query_ctx_t *ctx, approval_str_t value);
static const char *ngx_http_approval_query_requester(
    ngx_http_approval_query_ctx_t *ctx, approval_str_t value);
static const char *ngx_http_approval_query_approver(
    ngx_http_approval_query_ctx_t *ctx, approval_str_t value);
static const char *ngx_http_approval_query_rule(
    ngx_http_approval_query_ctx_t *ctx, approval_str_t value);
static const char *ngx_http_approval_query_text(
    ngx_http_approval_query_ctx_t *ctx, approval_str_t value, ngx_str_t *text);
static const char *ngx_http_approval_query_since(
    ngx_http_approval_query_ctx_t *ctx, approval_str_t value);
static const char *ngx_http_approval_query_until(
    ngx_http_approval_query_ctx_t *ctx, approval_str_t value);
static const char *ngx_http_approval_query_limit(
    ngx_http_approval_query_ctx_t *ctx, approval_str_t value);
static const char *ngx_http_approval_query_before(
    ngx_http_approval_query_ctx_t *ctx, approval_str_t value);
static const char *ngx_http_approval_query_view(
    ngx_http_approval_query_ctx_t *ctx, approval_str_t value);
static ngx_int_t ngx_http_approval_query_time(approval_str_t value,
    const char *clock, int64_t *ms);
static void ngx_http_approval_query_add(approval_buf_t *out,
    const char *name, approval_str_t value);


static ngx_http_approval_query_arg_t  ngx_http_approval_query_args[] = {
    { "state", ngx_http_approval_query_state, 1 },
    { "requester", ngx_http_approval_query_requester, 0 },
    { "approver", ngx_http_approval_query_approver, 0 },
    { "rule", ngx_http_approval_query_rule, 0 },
    { "since", ngx_http_approval_query_since, 0 },
    { "until", ngx_http_approval_query_until, 0 },
    { "limit", ngx_http_approval_query_limit, 0 },
    { "cursor", ngx_http_approval_query_before, 0 },
    { "view", ngx_http_approval_query_view, 0 },
    { NULL, NULL, 0 }
};


ngx_int_t
ngx_http_approval_query_parse(ngx_http_approval_desk_t *d,
    ngx_http_approval_query_t *q, const char **err, ngx_str_t *name)
{
    ngx_http_approval_query_ctx_t  ctx;

    ngx_str_null(name);
    q->limit = NGX_HTTP_APPROVAL_LIST_LIMIT;

    ctx.desk = d;
    ctx.query = q;
    ctx.err = NULL;
    ctx.name = name;
    ctx.seen = 0;

    *err = "The query cannot be read.";

    if (approval_form_each(ngx_http_approval_core_str(&d->request->args),
                           ngx_http_approval_query_visit, &ctx, err)
        != APPROVAL_OK)
    {
        if (ctx.err) {
            *err = ctx.err;
        }

        return NGX_DECLINED;
    }

    return NGX_OK;
}


static int
ngx_http_approval_query_visit(void *data, approval_str_t name,
    approval_str_t value)
{
    ngx_http_approval_query_ctx_t *ctx = data;

    ngx_uint_t                      bit;
    ngx_http_approval_query_arg_t  *arg;

    bit = 1;

    for (arg = ngx_http_approval_query_args; arg->name; arg++, bit <<= 1) {
        if (approval_str_eq(name, approval_str(arg->name))) {
            break;
        }
    }

    if (arg->name == NULL) {
        ctx->err = "The query has an unknown argument.";

    } else if ((ctx->seen & bit) && !arg->repeated) {
        ctx->err = "The query has the same argument twice.";

    } else if (value.len) {

        /* an empty field of the search form is no condition */

        ctx->seen |= bit;
        ctx->err = arg->handler(ctx, value);
    }

    if (ctx->err == NULL) {
        return APPROVAL_OK;
    }

    if (ngx_http_approval_desk_copy(ctx->desk->request->pool, name, ctx->name)
        != NGX_OK)
    {
        ngx_str_null(ctx->name);
    }

    return APPROVAL_ERROR;
}


static const char *
ngx_http_approval_query_state(ngx_http_approval_query_ctx_t *ctx,
    approval_str_t value)
{
    u_char                     *p, *last, *end;
    ngx_str_t                   name;
    ngx_http_approval_state_e   state;

    p = (u_char *) value.data;
    last = p + value.len;

    for ( ;; ) {
        end = ngx_strlchr(p, last, ',');

        if (end == NULL) {
            end = last;
        }

        name.data = p;
        name.len = end - p;

        state = ngx_http_approval_state_parse(&name);

        if (state == NGX_HTTP_APPROVAL_UNKNOWN) {
            return "Unknown state: use pending, approved, executing, "
                   "executed, denied, expired, cancelled or failed.";
        }

        ctx->query->states |= (ngx_uint_t) 1 << state;

        if (end == last) {
            return NULL;
        }

        p = end + 1;
    }
}


static const char *
ngx_http_approval_query_requester(ngx_http_approval_query_ctx_t *ctx,
    approval_str_t value)
{
    return ngx_http_approval_query_text(ctx, value, &ctx->query->requester);
}


static const char *
ngx_http_approval_query_approver(ngx_http_approval_query_ctx_t *ctx,
    approval_str_t value)
{
    return ngx_http_approval_query_text(ctx, value, &ctx->query->approver);
}


static const char *
ngx_http_approval_query_rule(ngx_http_approval_query_ctx_t *ctx,
    approval_str_t value)
{
    return ngx_http_approval_query_text(ctx, value, &ctx->query->rule);
}


static const char *
ngx_http_approval_query_text(ngx_http_approval_query_ctx_t *ctx,
    approval_str_t value, ngx_str_t *text)
{
    if (!approval_utf8_valid(value)) {
        return "The argument is not UTF-8.";
    }

    return ngx_http_approval_desk_copy(ctx->desk->request->pool, value, text)
           == NGX_OK ? NULL : "The gateway has no memory left.";
}


static const char *
ngx_http_approval_query_since(ngx_http_approval_query_ctx_t *ctx,
    approval_str_t value)
{
    return ngx_http_approval_query_time(value, "T00:00:00.000Z",
                                        &ctx->query->since)
           == NGX_OK ? NULL
           : "The time is not RFC 3339, as in 2026-01-02T03:04:05Z or "
             "2026-01-02.";
}


static const char *
ngx_http_approval_query_until(ngx_http_approval_query_ctx_t *ctx,
    approval_str_t value)
{
    return ngx_http_approval_query_time(value, "T23:59:59.999Z",
                                        &ctx->query->until)
           == NGX_OK ? NULL
           : "The time is not RFC 3339, as in 2026-01-02T03:04:05Z or "
             "2026-01-02.";
}


/* A date without a time, as sent by the search form, is the whole day. */

static ngx_int_t
ngx_http_approval_query_time(approval_str_t value, const char *clock,
    int64_t *ms)
{
    int             rc;
    approval_buf_t  text;

    approval_buf_init(&text);
    approval_buf_add(&text, value.data, value.len);

    if (value.len == sizeof("2026-01-02") - 1) {
        approval_buf_adds(&text, clock);
    }

    rc = text.failed ? APPROVAL_ERROR
                     : approval_time_parse(approval_buf_str(&text), ms);

    approval_buf_free(&text);

    return rc == APPROVAL_OK ? NGX_OK : NGX_DECLINED;
}


static const char *
ngx_http_approval_query_limit(ngx_http_approval_query_ctx_t *ctx,
    approval_str_t value)
{
    ngx_int_t  n;

    n = ngx_atoi((u_char *) value.data, value.len);

    if (n < 1 || n > NGX_HTTP_APPROVAL_LIST_MAX) {
        return "The limit must be a number from 1 to 200.";
    }

    ctx->query->limit = n;

    return NULL;
}


static const char *
ngx_http_approval_query_before(ngx_http_approval_query_ctx_t *ctx,
    approval_str_t value)
{
    size_t                      len, n;
    u_char                      text[96];
    approval_str_t              id;
    ngx_http_approval_query_t  *q;

    q = ctx->query;

    if (value.len > 64) {
        return "The cursor is not from a list of this gateway.";
    }

    len = approval_base64url_decode(text, value);

    if (len == (size_t) -1 || len < APPROVAL_ID_LEN + 2
        || text[len - APPROVAL_ID_LEN - 1] != '.')
    {
        return "The cursor is not from a list of this gateway.";
    }

    n = len - APPROVAL_ID_LEN - 1;

    id.data = text + n + 1;
    id.len = APPROVAL_ID_LEN;

    q->before = ngx_atoof(text, n);

    if (q->before <= 0 || !approval_id_valid(id)) {
        return "The cursor is not from a list of this gateway.";
    }

    ngx_memcpy(q->before_id, id.data, APPROVAL_ID_LEN);
    q->cursor = 1;

    return NULL;
}


static const char *
ngx_http_approval_query_view(ngx_http_approval_query_ctx_t *ctx,
    approval_str_t value)
{
    if (approval_str_eq(value, approval_str("history"))) {
        ctx->query->history = 1;
        return NULL;
    }

    if (approval_str_eq(value, approval_str("several"))) {
        ctx->query->several = 1;
        return NULL;
    }

    return "The view must be \"history\" or \"several\".";
}


json_t *
ngx_http_approval_query_cursor(int64_t created, const u_char *id)
{
    size_t  len;
    u_char  text[NGX_INT64_LEN + 1 + APPROVAL_ID_LEN];
    u_char  cursor[approval_base64_size(sizeof(text))];

    len = ngx_sprintf(text, "%L.%*s", created, (size_t) APPROVAL_ID_LEN, id)
          - text;

    len = approval_base64url_encode(cursor, text, len);

    return json_stringn((char *) cursor, len);
}


json_t *
ngx_http_approval_query_link(ngx_http_approval_query_t *q, const char *cursor)
{
    char                        time[APPROVAL_TIME_LEN + 1];
    json_t                     *link;
    ngx_str_t                  *name;
    ngx_uint_t                  state;
    approval_buf_t              out;

    approval_buf_init(&out);
    approval_buf_adds(&out, "?view=history");

    for (state = 0; state < NGX_HTTP_APPROVAL_UNKNOWN; state++) {
        if (q->states & ((ngx_uint_t) 1 << state)) {
            name = ngx_http_approval_state_name(state);
            ngx_http_approval_query_add(&out, "state",
                                        ngx_http_approval_core_str(name));
        }
    }

    ngx_http_approval_query_add(&out, "requester",
                                ngx_http_approval_core_str(&q->requester));
    ngx_http_approval_query_add(&out, "approver",
                                ngx_http_approval_core_str(&q->approver));
    ngx_http_approval_query_add(&out, "rule",
                                ngx_http_approval_core_str(&q->rule));

    if (q->since) {
        approval_time_format(time, q->since);
        ngx_http_approval_query_add(&out, "since", approval_str(time));
    }

    if (q->until) {
        approval_time_format(time, q->until);
        ngx_http_approval_query_add(&out, "until", approval_str(time));
    }

    ngx_http_approval_query_add(&out, "cursor", approval_str(cursor));

    link = out.failed ? NULL : json_stringn((char *) out.data, out.len);

    approval_buf_free(&out);

    return link;
}


static void
ngx_http_approval_query_add(approval_buf_t *out, const char *name,
    approval_str_t value)
{
    if (value.len) {
        approval_buf_addc(out, '&');
        approval_buf_adds(out, name);
        approval_buf_addc(out, '=');
        approval_escape_uri(value, out);
    }
}
