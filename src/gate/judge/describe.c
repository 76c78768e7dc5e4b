
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Writes the action's document: who, what, when and why, without secrets.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/judge/internal.h"

#include "core/escape.h"
#include "core/media.h"


#define NGX_HTTP_APPROVAL_SHOWN_BODY    32768
#define NGX_HTTP_APPROVAL_SHOWN_REASON  2000


static ngx_int_t ngx_http_approval_describe_who(
    ngx_http_approval_hold_t *hold, json_t *doc);
static ngx_int_t ngx_http_approval_describe_what(
    ngx_http_approval_hold_t *hold, ngx_http_approval_tell_t *tell,
    json_t *doc);
static ngx_int_t ngx_http_approval_describe_rule(
    ngx_http_approval_hold_t *hold, json_t *doc);
static ngx_int_t ngx_http_approval_describe_request(
    ngx_http_approval_hold_t *hold, json_t *doc);
static ngx_int_t ngx_http_approval_describe_body(
    ngx_http_approval_hold_t *hold, json_t *request);
static ngx_int_t ngx_http_approval_describe_declared(
    ngx_http_approval_hold_t *hold, json_t *doc);
static ngx_int_t ngx_http_approval_describe_remember(
    ngx_http_approval_hold_t *hold, ngx_http_approval_tell_t *tell,
    json_t *doc);
static json_t *ngx_http_approval_describe_headers(
    ngx_http_approval_hold_t *hold);
static ngx_str_t *ngx_http_approval_describe_header_name(
    ngx_http_approval_hold_t *hold, ngx_table_elt_t *h);
static ngx_int_t ngx_http_approval_describe_header(approval_redact_t *redact,
    json_t *headers, ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_approval_set(json_t *doc, const char *name,
    json_t *value);
static ngx_int_t ngx_http_approval_set_str(json_t *doc, const char *name,
    const ngx_str_t *value);


/* Headers without secrets that help approvers; others need "show". */

static ngx_str_t  ngx_http_approval_shown_headers[] = {
    ngx_string("content-type"),
    ngx_string("user-agent"),
    ngx_string("x-request-id"),
    ngx_null_string
};


json_t *
ngx_http_approval_describe(ngx_http_approval_hold_t *hold)
{
    json_t          *doc;
    u_char           key[APPROVAL_MAC_LEN];
    approval_str_t   text;

    /* keyed by the digest, so a repeated request gets the same tags */

    text.data = (u_char *) hold->action.digest;
    text.len = APPROVAL_DIGEST_LEN;

    if (approval_mac(hold->mcf->keyring, "mask", text, key) != APPROVAL_OK) {
        return NULL;
    }

    text.data = key;
    text.len = sizeof(key);

    approval_redact_key(hold->verdict->rule->redact, text);

    doc = json_object();
    if (doc == NULL) {
        return NULL;
    }

    if (ngx_http_approval_set(doc, "v", json_integer(1)) != NGX_OK
        || ngx_http_approval_set(doc, "id",
                                 json_stringn((char *) hold->action.id,
                                              APPROVAL_ID_LEN))
           != NGX_OK
        || ngx_http_approval_set(doc, "digest",
                                 json_stringn(hold->action.digest,
                                              APPROVAL_DIGEST_LEN))
           != NGX_OK
        || ngx_http_approval_set(doc, "key",
                                 ngx_http_approval_action_key(hold->mcf))
           != NGX_OK
        || ngx_http_approval_describe_rule(hold, doc) != NGX_OK
        || ngx_http_approval_describe_who(hold, doc) != NGX_OK
        || ngx_http_approval_describe_declared(hold, doc) != NGX_OK
        || ngx_http_approval_describe_request(hold, doc) != NGX_OK
        || ngx_http_approval_bind_describe(hold, doc) != NGX_OK)
    {
        json_decref(doc);
        return NULL;
    }

    return doc;
}


static ngx_int_t
ngx_http_approval_describe_rule(ngx_http_approval_hold_t *hold, json_t *doc)
{
    json_t                        *list;
    approval_str_t                 glass;
    ngx_uint_t                     i;
    ngx_http_approval_rule_t      *rule;
    ngx_http_approval_channel_t  **channels;

    rule = hold->verdict->rule;

    if (ngx_http_approval_set_str(doc, "policy", &rule->policy->name) != NGX_OK
        || ngx_http_approval_set_str(doc, "policy_digest",
                                     &rule->policy->digest)
           != NGX_OK
        || ngx_http_approval_set_str(doc, "rule", &rule->name) != NGX_OK
        || ngx_http_approval_set_str(doc, "action", &rule->action) != NGX_OK
        || ngx_http_approval_set_str(doc, "risk",
                                     ngx_http_approval_risk_name(rule->risk))
           != NGX_OK
        || ngx_http_approval_set(doc, "require",
                                 ngx_http_approval_describe_require(hold))
           != NGX_OK
        || ngx_http_approval_set(doc, "deny_after",
                                 json_integer(rule->deny_after))
           != NGX_OK
        || (rule->comment
            && ngx_http_approval_set(doc, "comment_required",
                   json_string(rule->comment == NGX_HTTP_APPROVAL_COMMENT_DENY
                               ? "deny" : "always"))
               != NGX_OK)
        || (rule->vote == NGX_HTTP_APPROVAL_VOTE_BY_PASSKEY
            && ngx_http_approval_set(doc, "vote", json_string("passkey"))
               != NGX_OK)
        || ngx_http_approval_set(doc, "timeout",
                                 json_integer(rule->timeout / 1000))
           != NGX_OK
        || ngx_http_approval_set(doc, "execute_within",
                                 json_integer(rule->execute_within / 1000))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (rule->break_glass != NGX_ERROR) {
        glass = approval_people_group_name(hold->mcf->people,
                                           rule->break_glass);

        if (ngx_http_approval_set(doc, "break_glass",
                                  json_stringn((char *) glass.data, glass.len))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (hold->lcf->unsigned_decisions
        && ngx_http_approval_set(doc, "unsigned_decisions", json_true())
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (rule->notify == NULL) {
        return NGX_OK;
    }

    list = json_array();
    channels = rule->notify->elts;

    for (i = 0; i < rule->notify->nelts; i++) {
        if (json_array_append_new(list,
                              ngx_http_approval_json_str(&channels[i]->name))
            != 0)
        {
            json_decref(list);
            return NGX_ERROR;
        }
    }

    return ngx_http_approval_set(doc, "notify", list);
}


json_t *
ngx_http_approval_describe_require(ngx_http_approval_hold_t *hold)
{
    return ngx_http_approval_class_require(hold->mcf, hold->verdict->rule);
}


static ngx_int_t
ngx_http_approval_describe_who(ngx_http_approval_hold_t *hold, json_t *doc)
{
    approval_redact_t             *redact;
    ngx_http_approval_identity_t   who;

    who = hold->verdict->who;
    redact = hold->verdict->rule->redact;

    if (ngx_http_approval_set_str(doc, "requester", &who.requester) != NGX_OK
        || ngx_http_approval_set_str(doc, "person", &who.person) != NGX_OK
        || ngx_http_approval_set_str(doc, "remote_addr",
                                 &hold->request->connection->addr_text)
           != NGX_OK
        || ngx_http_approval_facts_tls(hold->request, doc) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (who.on_behalf.len
        && (ngx_http_approval_set(doc, "on_behalf_of",
                                  ngx_http_approval_json_shown(redact, NULL,
                                               &who.on_behalf,
                                               NGX_HTTP_APPROVAL_TELL_VALUE))
            != NGX_OK
            || ngx_http_approval_set_str(doc, "on_behalf_person",
                                         &who.on_behalf_person)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    return who.reason.len
           ? ngx_http_approval_set(doc, "reason",
                                   ngx_http_approval_json_shown(redact, NULL,
                                               &who.reason,
                                               NGX_HTTP_APPROVAL_SHOWN_REASON))
           : NGX_OK;
}


/*
 * The declared parts, which go into messages and the audit trail.  Nothing from
 * the client may be added here unless the rule declares it.
 */

static ngx_int_t
ngx_http_approval_describe_declared(ngx_http_approval_hold_t *hold,
    json_t *doc)
{
    ngx_int_t                 rc;
    ngx_http_approval_tell_t  tell;
    ngx_http_approval_look_t  look;

    ngx_http_approval_look(&look, hold->request, hold->body,
                           hold->verdict->captures);
    ngx_http_approval_tell_init(&tell, &look, hold->verdict->rule);

    rc = NGX_ERROR;

    if (ngx_http_approval_declare(&tell, doc) == NGX_OK
        && ngx_http_approval_describe_what(hold, &tell, doc) == NGX_OK)
    {
        rc = ngx_http_approval_describe_remember(hold, &tell, doc);
    }

    json_decref(tell.masked);

    return rc;
}


static ngx_int_t
ngx_http_approval_describe_what(ngx_http_approval_hold_t *hold,
    ngx_http_approval_tell_t *tell, json_t *doc)
{
    off_t                size;
    ngx_str_t            trace, type;
    approval_str_t       name;
    ngx_http_request_t  *r;

    r = hold->request;
    size = hold->body->size;

    if (ngx_http_approval_trace(r, hold->body, &trace)
        && ngx_http_approval_set_str(doc, "traceparent", &trace) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_approval_set_str(doc, "method", &r->method_name) != NGX_OK
        || ngx_http_approval_facts_where(r, hold->verdict->rule->redact,
                                         tell->query, doc)
           != NGX_OK
        || ngx_http_approval_set(doc, "uri",
                   ngx_http_approval_facts_target(hold->verdict->rule->redact,
                                                  &r->uri))
           != NGX_OK
        || ngx_http_approval_set(doc, "body_bytes", json_integer(size))
           != NGX_OK
        || ngx_http_approval_set(doc, "body_hidden", json_integer(size))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (size == 0) {
        return NGX_OK;
    }

    ngx_str_null(&type);
    (void) ngx_http_approval_header_find(r, "content-type", &type);

    name = approval_media_type(ngx_http_approval_core_str(&type));

    if (ngx_http_approval_set(doc, "content_type",
                              json_stringn((char *) name.data, name.len))
        != NGX_OK
        || ngx_http_approval_set(doc, "body_declared",
                                 json_boolean(tell->body))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The rest of the request, redacted, for the action's page. */

static ngx_int_t
ngx_http_approval_describe_request(ngx_http_approval_hold_t *hold,
    json_t *doc)
{
    json_t              *request;
    ngx_http_request_t  *r;

    r = hold->request;
    request = json_object();

    if (ngx_http_approval_set(doc, "request", request) != NGX_OK
        || ngx_http_approval_set(request, "headers",
                                 ngx_http_approval_describe_headers(hold))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (json_integer_value(json_object_get(doc, "query_hidden"))
        && (ngx_http_approval_set(request, "target",
                   ngx_http_approval_facts_target(hold->verdict->rule->redact,
                                                  &r->unparsed_uri))
            != NGX_OK
            || ngx_http_approval_set(request, "query_hidden", json_integer(0))
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    return ngx_http_approval_describe_body(hold, request);
}


static json_t *
ngx_http_approval_describe_headers(ngx_http_approval_hold_t *hold)
{
    json_t                       *headers;
    ngx_str_t                    *name;
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    headers = json_object();

    for (h = NULL;
         (h = ngx_http_approval_header_next(hold->request, &it, h)); )
    {
        name = ngx_http_approval_describe_header_name(hold, h);

        if (name == NULL) {
            continue;
        }

        if (ngx_http_approval_describe_header(hold->verdict->rule->redact,
                                              headers, name, &h->value)
            != NGX_OK)
        {
            json_decref(headers);
            return NULL;
        }
    }

    return headers;
}


/* The name under which the header is shown; NULL: it is not shown. */

static ngx_str_t *
ngx_http_approval_describe_header_name(ngx_http_approval_hold_t *hold,
    ngx_table_elt_t *h)
{
    ngx_str_t                  *name;
    ngx_uint_t                  i;
    ngx_http_approval_fact_t  **facts;

    for (name = ngx_http_approval_shown_headers; name->len; name++) {
        if (ngx_http_approval_header_named(h, name) != APPROVAL_NAME_OTHER) {
            return name;
        }
    }

    facts = hold->verdict->rule->facts.elts;

    for (i = 0; i < hold->verdict->rule->facts.nelts; i++) {
        if (facts[i]->kind == NGX_HTTP_APPROVAL_FACT_HEADER
            && ngx_http_approval_header_named(h, &facts[i]->key)
               != APPROVAL_NAME_OTHER)
        {
            return &facts[i]->key;
        }
    }

    return NULL;
}


/* A header with several copies is shown with all values. */

static ngx_int_t
ngx_http_approval_describe_header(approval_redact_t *redact, json_t *headers,
    ngx_str_t *name, ngx_str_t *value)
{
    json_t      *shown, *both;
    const char  *before;

    shown = ngx_http_approval_json_shown(redact, name, value,
                                         NGX_HTTP_APPROVAL_TELL_VALUE);
    before = json_string_value(json_object_get(headers, (char *) name->data));

    if (before && shown) {
        both = json_sprintf("%s, %s", before, json_string_value(shown));
        json_decref(shown);
        shown = both;
    }

    return json_object_set_new(headers, (char *) name->data, shown) == 0
           ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_describe_body(ngx_http_approval_hold_t *hold,
    json_t *request)
{
    json_t          *shown;
    size_t           hidden;
    ngx_str_t        type, text;
    approval_buf_t   buf;
    approval_str_t   body, cut;

    if (hold->body->size == 0) {
        return NGX_OK;
    }

    ngx_str_null(&type);

    approval_buf_init(&buf);

    hidden = 0;

    if (hold->body->data == NULL) {
        approval_buf_adds(&buf, "[larger than body_limit: not shown]");
        hidden = (size_t) hold->body->size;

    } else {
        (void) ngx_http_approval_header_find(hold->request, "content-type",
                                             &type);

        body.data = hold->body->data;
        body.len = (size_t) hold->body->size;

        approval_redact_body(hold->verdict->rule->redact,
                             ngx_http_approval_core_str(&type), body, &buf);
    }

    cut = approval_buf_str(&buf);
    hidden += approval_cut(&cut, NGX_HTTP_APPROVAL_SHOWN_BODY);

    text.data = (u_char *) cut.data;
    text.len = cut.len;

    shown = buf.failed ? NULL : ngx_http_approval_json_str(&text);

    approval_buf_free(&buf);

    if (ngx_http_approval_set(request, "body", shown) != NGX_OK
        || ngx_http_approval_set(request, "body_hidden", json_integer(hidden))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Describes the grant that an approval would create, and keeps the description
 * for the grant's document, which is made when the body has been freed.
 */

static ngx_int_t
ngx_http_approval_describe_remember(ngx_http_approval_hold_t *hold,
    ngx_http_approval_tell_t *tell, json_t *doc)
{
    json_t                       *per;
    ngx_http_approval_rule_t     *rule;
    ngx_http_approval_verdict_t  *verdict;

    verdict = ngx_http_approval_verdict(hold);
    rule = verdict->rule;

    if (verdict->remember.len == 0) {
        return NGX_OK;
    }

    per = ngx_http_approval_tell(tell, rule->remember_per,
                                 NGX_HTTP_APPROVAL_TELL_VALUE);

    ngx_http_approval_verdict_done(hold);

    verdict->remembered = json_pack("{s:I, s:o, s:o}", "seconds",
                                    (json_int_t) (rule->remember / 1000),
                                    "per", per,
                                    "uses", rule->remember_uses
                                            ? json_integer(rule->remember_uses)
                                            : json_null());

    return ngx_http_approval_set(doc, "remember",
                                 json_incref(verdict->remembered));
}


static ngx_int_t
ngx_http_approval_set(json_t *doc, const char *name, json_t *value)
{
    return json_object_set_new(doc, name, value) == 0 ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_set_str(json_t *doc, const char *name,
    const ngx_str_t *value)
{
    return ngx_http_approval_set(doc, name, ngx_http_approval_json_str(value));
}
