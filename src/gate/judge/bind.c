
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Computes the digest to which an approval is bound, and describes it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


typedef struct {
    ngx_http_approval_look_t        *look;
    ngx_http_approval_loc_conf_t    *lcf;
    ngx_http_approval_rule_t        *rule;
    approval_digest_t               *digest;
    unsigned                         failed:1;
} ngx_http_approval_bind_t;


static void ngx_http_approval_bind_place(ngx_http_approval_bind_t *bind);
static void ngx_http_approval_bind_target(ngx_http_approval_bind_t *bind,
    u_char tag, ngx_str_t *path, ngx_str_t *args);
static void ngx_http_approval_bind_route(ngx_http_approval_bind_t *bind);
static void ngx_http_approval_bind_content(ngx_http_approval_bind_t *bind);
static void ngx_http_approval_bind_facts(ngx_http_approval_bind_t *bind,
    ngx_uint_t body);
static void ngx_http_approval_bind_fact(ngx_http_approval_bind_t *bind,
    ngx_http_approval_fact_t *fact);
static void ngx_http_approval_bind_part(ngx_http_approval_bind_t *bind,
    u_char tag, approval_str_t text);
static ngx_int_t ngx_http_approval_bind_body(ngx_http_approval_hold_t *hold);
static uint64_t ngx_http_approval_bind_mark(ngx_http_request_t *r);
static uint64_t ngx_http_approval_bind_mix(uint64_t mark, const void *data,
    off_t n);
static ngx_int_t ngx_http_approval_bind_md(ngx_http_approval_bind_t *bind,
    u_char md[APPROVAL_SHA256_LEN]);
static ngx_uint_t ngx_http_approval_bind_ignored(
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_fact_t *fact);
static ngx_int_t ngx_http_approval_bind_add(json_t *list, ngx_str_t *name);


/* Headers that are always bound, since they change what the request does. */

static ngx_str_t  ngx_http_approval_bind_always[] = {
    ngx_string("content-type"),
    ngx_string("content-encoding"),
    ngx_string("destination"),                       /* WebDAV's second path */
    ngx_string("idempotency-key"),
    ngx_null_string
};


ngx_int_t
ngx_http_approval_bind(ngx_http_approval_hold_t *hold)
{
    ngx_http_approval_bind_t  bind;
    ngx_http_approval_look_t  look;

    ngx_http_approval_look(&look, hold->request, hold->body,
                           hold->verdict->captures);

    hold->hasher = approval_digest_create();

    if (hold->hasher == NULL) {
        return NGX_ERROR;
    }

    bind.look = &look;
    bind.lcf = hold->lcf;
    bind.rule = hold->verdict->rule;
    bind.digest = hold->hasher;
    bind.failed = 0;

    if (ngx_http_approval_bind_md(&bind, hold->action.route) != NGX_OK
        || approval_digest_init(hold->hasher) != APPROVAL_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_approval_bind_place(&bind);
    ngx_http_approval_bind_route(&bind);
    ngx_http_approval_bind_content(&bind);
    ngx_http_approval_bind_facts(&bind, 1);

    if (bind.failed || ngx_http_approval_bind_body(hold) != NGX_OK) {
        return NGX_ERROR;
    }

    hold->state = NGX_HTTP_APPROVAL_HOLD_HASH;

    return ngx_http_approval_body_digest(hold);
}


/*
 * True if the request, possibly redirected, is still the one that approvers
 * were asked about.
 */

ngx_uint_t
ngx_http_approval_bind_same(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold)
{
    u_char                    md[APPROVAL_SHA256_LEN];
    ngx_uint_t                same;
    ngx_http_approval_bind_t  bind;
    ngx_http_approval_look_t  look;

    if (!ngx_http_approval_bind_same_body(r, hold)) {
        return 0;
    }

    ngx_http_approval_look(&look, r, NULL, hold->verdict->captures);

    bind.look = &look;
    bind.lcf = hold->lcf;
    bind.rule = hold->verdict->rule;
    bind.failed = 0;
    bind.digest = approval_digest_create();

    same = bind.digest
           && ngx_http_approval_bind_md(&bind, md) == NGX_OK
           && ngx_memcmp(md, hold->action.route, APPROVAL_SHA256_LEN) == 0;

    approval_digest_destroy(bind.digest);

    return same;
}


ngx_uint_t
ngx_http_approval_bind_same_body(ngx_http_request_t *r,
    ngx_http_approval_hold_t *hold)
{
    return hold->content == ngx_http_approval_bind_mark(r);
}


static ngx_int_t
ngx_http_approval_bind_md(ngx_http_approval_bind_t *bind,
    u_char md[APPROVAL_SHA256_LEN])
{
    if (approval_digest_init(bind->digest) != APPROVAL_OK) {
        return NGX_ERROR;
    }

    ngx_http_approval_bind_route(bind);
    ngx_http_approval_bind_facts(bind, 0);

    if (bind->failed
        || approval_digest_body(bind->digest, 0) != APPROVAL_OK
        || approval_digest_final(bind->digest, md) != APPROVAL_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Binds the server and location, alike on gateways with one configuration. */

static void
ngx_http_approval_bind_place(ngx_http_approval_bind_t *bind)
{
    size_t                     n;
    u_char                     port[sizeof("65535")];
    ngx_str_t                  name;
    approval_str_t             scheme, ignored;
    ngx_http_request_t        *r;
    ngx_http_core_srv_conf_t  *cscf;

    r = bind->look->request;
    scheme = approval_str("http");

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        scheme = approval_str("https");
    }
#endif

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    name = cscf->server_name;

    if (name.len == 0) {
        name.data = port;
        name.len = ngx_sprintf(port, "%ui",
                     (ngx_uint_t) ngx_inet_get_port(
                                           r->connection->local_sockaddr))
                   - port;
    }

    ngx_http_approval_bind_part(bind, 's', scheme);
    ngx_http_approval_bind_part(bind, 'n', ngx_http_approval_core_str(&name));
    ngx_http_approval_bind_part(bind, 'l',
                                ngx_http_approval_core_str(&bind->lcf->place));
    ngx_http_approval_bind_target(bind, 't', &r->unparsed_uri, NULL);

    /* a digest without ignored parts differs from one of the whole request */

    for (n = 0; bind->lcf->ignore; n++) {
        ignored = approval_ignore_text(bind->lcf->ignore, n);

        if (ignored.len == 0) {
            break;
        }

        ngx_http_approval_bind_part(bind, 'x', ignored);
    }
}


static void
ngx_http_approval_bind_route(ngx_http_approval_bind_t *bind)
{
    ngx_http_request_t  *r;

    r = bind->look->request;

    if (!ngx_http_approval_bind_ignored(bind->lcf,
                                        bind->rule->policy->method))
    {
        ngx_http_approval_bind_fact(bind, bind->rule->policy->method);
    }

    ngx_http_approval_bind_fact(bind, bind->rule->policy->host);
    ngx_http_approval_bind_fact(bind, bind->rule->policy->path);
    ngx_http_approval_bind_target(bind, 'u', &r->uri, &r->args);
}


/* Binds the target without the ignored arguments. */

static void
ngx_http_approval_bind_target(ngx_http_approval_bind_t *bind, u_char tag,
    ngx_str_t *path, ngx_str_t *args)
{
    approval_buf_t  target, bound;

    approval_buf_init(&target);
    approval_buf_init(&bound);

    approval_buf_add(&target, path->data, path->len);

    if (args && args->len) {
        approval_buf_addc(&target, '?');
        approval_buf_add(&target, args->data, args->len);
    }

    if (bind->lcf->ignore) {
        if (approval_ignore_target(bind->lcf->ignore,
                                   approval_buf_str(&target), &bound)
            != APPROVAL_OK)
        {
            bind->failed = 1;
        }

        ngx_http_approval_bind_part(bind, tag, approval_buf_str(&bound));

    } else {
        ngx_http_approval_bind_part(bind, tag, approval_buf_str(&target));
    }

    bind->failed |= (target.failed || bound.failed);

    approval_buf_free(&target);
    approval_buf_free(&bound);
}


/* Binds all copies of these headers, in their order. */

static void
ngx_http_approval_bind_content(ngx_http_approval_bind_t *bind)
{
    ngx_str_t                    *name;
    ngx_table_elt_t              *h;
    ngx_http_request_t           *r;
    ngx_http_approval_headers_t   it;

    r = bind->look->request;

    for (name = ngx_http_approval_bind_always; name->len; name++) {

        ngx_http_approval_bind_part(bind, 'h',
                                    ngx_http_approval_core_str(name));

        for (h = NULL; (h = ngx_http_approval_header_of(r, &it, h, name)); ) {
            ngx_http_approval_bind_part(bind, 'v',
                                       ngx_http_approval_core_str(&h->value));
        }
    }
}


static void
ngx_http_approval_bind_facts(ngx_http_approval_bind_t *bind, ngx_uint_t body)
{
    ngx_uint_t                  i;
    ngx_http_approval_fact_t  **facts;

    facts = bind->rule->facts.elts;

    for (i = 0; i < bind->rule->facts.nelts; i++) {

        if (!body
            && (facts[i]->kind == NGX_HTTP_APPROVAL_FACT_MEMBER
                || facts[i]->kind == NGX_HTTP_APPROVAL_FACT_FIELD))
        {
            continue;
        }

        if (!ngx_http_approval_bind_ignored(bind->lcf, facts[i])) {
            ngx_http_approval_bind_fact(bind, facts[i]);
        }
    }

    ngx_http_approval_bind_fact(bind, bind->lcf->on_behalf);
}


static void
ngx_http_approval_bind_fact(ngx_http_approval_bind_t *bind,
    ngx_http_approval_fact_t *fact)
{
    size_t                i;
    approval_readings_t  *rs;

    static u_char  tags[] = {
        [APPROVAL_READING_ABSENT] = 'A',
        [APPROVAL_READING_TEXT] = 'T',
        [APPROVAL_READING_NUMBER] = 'N',
        [APPROVAL_READING_NULL] = 'Z',
        [APPROVAL_READING_UNKNOWN] = 'U'
    };

    rs = ngx_http_approval_read(bind->look, fact);

    if (rs == NULL) {
        bind->failed = 1;
        return;
    }

    ngx_http_approval_bind_part(bind, 'f',
                                ngx_http_approval_core_str(&fact->name));

    /* spellings are bound by the target; the case of the host is not bound */

    for (i = 0; i < rs->n; i++) {
        if (!rs->elts[i].spelled) {
            ngx_http_approval_bind_part(bind, tags[rs->elts[i].kind],
                                        approval_reading_text(rs, i));
        }
    }
}


static void
ngx_http_approval_bind_part(ngx_http_approval_bind_t *bind, u_char tag,
    approval_str_t text)
{
    if (approval_digest_part(bind->digest, tag, text) != APPROVAL_OK) {
        bind->failed = 1;
    }
}


/*
 * Starts to bind the body's bytes, which are digested slice by slice.  If
 * members of a JSON body are ignored, binds the rest of it in canonical form.
 */

static ngx_int_t
ngx_http_approval_bind_body(ngx_http_approval_hold_t *hold)
{
    int                        rc;
    json_t                    *left;
    ngx_str_t                  type;
    approval_buf_t             buf;
    ngx_http_request_t        *r;
    ngx_http_approval_body_t  *body;

    r = hold->request;
    body = hold->body;

    hold->content = ngx_http_approval_bind_mark(r);

    ngx_str_null(&type);

    if (hold->lcf->ignore && body->data && !body->encoded
        && ngx_http_approval_header_find(r, "content-type", &type) < 2)
    {
        ngx_http_approval_body_parse(body);

        left = body->json ? json_deep_copy(body->json) : NULL;

        rc = left ? approval_ignore_json(hold->lcf->ignore,
                                         ngx_http_approval_core_str(&type),
                                         left)
                  : APPROVAL_DECLINED;

        if (rc == APPROVAL_OK) {
            approval_buf_init(&buf);

            if (approval_json_canonical(left, &buf) != APPROVAL_OK
                || approval_digest_canonical(hold->hasher, buf.len)
                   != APPROVAL_OK
                || approval_digest_update(hold->hasher, buf.data, buf.len)
                   != APPROVAL_OK)
            {
                rc = APPROVAL_ERROR;
            }

            approval_buf_wipe(&buf);
        }

        json_decref(left);

        if (rc != APPROVAL_DECLINED) {
            return (rc == APPROVAL_OK) ? NGX_OK : NGX_ERROR;
        }
    }

    if (approval_digest_body(hold->hasher, body->size) != APPROVAL_OK) {
        return NGX_ERROR;
    }

    hold->hash_next = r->request_body ? r->request_body->bufs : NULL;
    hold->hash_offset = 0;

    return NGX_OK;
}


/*
 * Tells whether another body has replaced this one: where it is, and a hash of
 * what is in memory, since another one may be in the same place.
 */

static uint64_t
ngx_http_approval_bind_mark(ngx_http_request_t *r)
{
    uint64_t      mark;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    mark = 0;

    for (cl = r->request_body ? r->request_body->bufs : NULL; cl;
         cl = cl->next)
    {
        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            mark = ngx_http_approval_bind_mix(mark, b->pos, b->last - b->pos);
            mark ^= ngx_murmur_hash2(b->pos, b->last - b->pos);

        } else if (b->in_file) {
            mark = ngx_http_approval_bind_mix(mark, b->file->name.data,
                                              b->file_pos);
            mark = ngx_http_approval_bind_mix(mark, b->file, b->file_last);
        }
    }

    return mark;
}


static uint64_t
ngx_http_approval_bind_mix(uint64_t mark, const void *data, off_t n)
{
    mark = (mark ^ (uint64_t) (uintptr_t) data) * 0x9e3779b97f4a7c15;
    mark = (mark ^ (mark >> 29) ^ (uint64_t) n) * 0x9e3779b97f4a7c15;

    return mark ^ (mark >> 32);
}


/* A rule may read a value that is not bound, such as a client's own ids. */

static ngx_uint_t
ngx_http_approval_bind_ignored(ngx_http_approval_loc_conf_t *lcf,
    ngx_http_approval_fact_t *fact)
{
    size_t          n;
    approval_str_t  text;

    for (n = 0; lcf->ignore; n++) {
        text = approval_ignore_text(lcf->ignore, n);

        if (text.len == 0) {
            break;
        }

        if (approval_str_eq_nocase(text,
                                   ngx_http_approval_core_str(&fact->name)))
        {
            return 1;
        }
    }

    return 0;
}


/* Adds "bound", headers and facts, and "not_bound", the ignored parts. */

ngx_int_t
ngx_http_approval_bind_describe(ngx_http_approval_hold_t *hold, json_t *doc)
{
    json_t                     *list;
    size_t                      n;
    ngx_str_t                  *name, text;
    ngx_uint_t                  i;
    approval_str_t              ignored;
    ngx_http_approval_fact_t  **facts;

    list = json_array();

    for (name = ngx_http_approval_bind_always; name->len; name++) {
        if (ngx_http_approval_bind_add(list, name) != NGX_OK) {
            goto failed;
        }
    }

    facts = hold->verdict->rule->facts.elts;

    for (i = 0; i < hold->verdict->rule->facts.nelts; i++) {
        if (!ngx_http_approval_bind_ignored(hold->lcf, facts[i])
            && ngx_http_approval_bind_add(list, &facts[i]->name) != NGX_OK)
        {
            goto failed;
        }
    }

    if (json_object_set_new(doc, "bound", list) != 0) {
        return NGX_ERROR;
    }

    if (hold->lcf->ignore == NULL) {
        return NGX_OK;
    }

    list = json_array();

    for (n = 0; /* void */ ; n++) {
        ignored = approval_ignore_text(hold->lcf->ignore, n);

        if (ignored.len == 0) {
            break;
        }

        text.len = ignored.len;
        text.data = (u_char *) ignored.data;

        if (ngx_http_approval_bind_add(list, &text) != NGX_OK) {
            goto failed;
        }
    }

    return json_object_set_new(doc, "not_bound", list) == 0 ? NGX_OK
                                                            : NGX_ERROR;

failed:

    json_decref(list);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_bind_add(json_t *list, ngx_str_t *name)
{
    return json_array_append_new(list, ngx_http_approval_json_str(name)) == 0
           ? NGX_OK : NGX_ERROR;
}
