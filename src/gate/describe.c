
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The action document: who, what, when and why, without secrets.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"

#include "core/escape.h"


#define NGX_HTTP_APPROVAL_SHOWN_BODY    32768
#define NGX_HTTP_APPROVAL_SHOWN_VALUE   1024
#define NGX_HTTP_APPROVAL_SHOWN_REASON  2000


static ngx_int_t ngx_http_approval_describe_who(
    ngx_http_approval_hold_t *hold, json_t *doc);
static ngx_int_t ngx_http_approval_describe_what(
    ngx_http_approval_hold_t *hold, json_t *doc);
static json_t *ngx_http_approval_describe_remember(
    ngx_http_approval_hold_t *hold);
static json_t *ngx_http_approval_describe_uri(ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_describe_rule(
    ngx_http_approval_hold_t *hold, json_t *doc);
static ngx_int_t ngx_http_approval_describe_body(
    ngx_http_approval_hold_t *hold, json_t *doc);
static ngx_int_t ngx_http_approval_describe_shown(
    ngx_http_approval_hold_t *hold, json_t *doc);
static json_t *ngx_http_approval_describe_show(ngx_http_approval_hold_t *hold,
    ngx_http_approval_show_t *show, json_t *masked);
static int ngx_http_approval_describe_value(void *data, json_t *value);
static json_t *ngx_http_approval_describe_headers(
    ngx_http_approval_hold_t *hold);
static ngx_int_t ngx_http_approval_describe_header(json_t *headers,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_approval_set(json_t *doc, const char *name,
    json_t *value);
static ngx_int_t ngx_http_approval_set_str(json_t *doc, const char *name,
    ngx_str_t *value);


/* Headers that help an approver and hold no secrets; all else by "show". */

static ngx_str_t  ngx_http_approval_shown_headers[] = {
    ngx_string("content-type"),
    ngx_string("user-agent"),
    ngx_string("x-request-id"),
    ngx_null_string
};


json_t *
ngx_http_approval_describe(ngx_http_approval_hold_t *hold)
{
    json_t  *doc;

    doc = json_object();
    if (doc == NULL) {
        return NULL;
    }

    if (ngx_http_approval_set(doc, "v", json_integer(1)) != NGX_OK
        || ngx_http_approval_set(doc, "id",
                                 json_stringn((char *) hold->id,
                                              APPROVAL_ID_LEN))
           != NGX_OK
        || ngx_http_approval_set(doc, "digest",
                                 json_stringn(hold->digest,
                                              APPROVAL_DIGEST_LEN))
           != NGX_OK
        || ngx_http_approval_describe_rule(hold, doc) != NGX_OK
        || ngx_http_approval_describe_who(hold, doc) != NGX_OK
        || ngx_http_approval_describe_what(hold, doc) != NGX_OK
        || ngx_http_approval_describe_body(hold, doc) != NGX_OK
        || ngx_http_approval_bind_describe(hold, doc) != NGX_OK
        || ngx_http_approval_describe_shown(hold, doc) != NGX_OK)
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
    ngx_str_t                      summary;
    approval_str_t                 glass;
    ngx_uint_t                     i;
    ngx_http_approval_rule_t      *rule;
    ngx_http_approval_channel_t  **channels;

    rule = hold->rule;

    if (rule->summary == NULL) {
        summary = rule->action;

    } else if (ngx_http_approval_secret_text(hold, &rule->summary->value)) {
        ngx_str_set(&summary, APPROVAL_REDACTED);

    } else if (ngx_http_complex_value(hold->request, rule->summary, &summary)
               != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_approval_set_str(doc, "policy", &rule->policy->name) != NGX_OK
        || ngx_http_approval_set_str(doc, "policy_digest",
                                     &rule->policy->digest)
           != NGX_OK
        || ngx_http_approval_set_str(doc, "rule", &rule->name) != NGX_OK
        || ngx_http_approval_set_str(doc, "action", &rule->action) != NGX_OK
        || ngx_http_approval_set_str(doc, "risk",
                                     ngx_http_approval_risk_name(rule->risk))
           != NGX_OK
        || ngx_http_approval_set(doc, "summary",
                                 ngx_http_approval_describe_seen(hold,
                                  &summary, NGX_HTTP_APPROVAL_SHOWN_VALUE))
           != NGX_OK
        || ngx_http_approval_set(doc, "require",
                                 ngx_http_approval_describe_require(hold))
           != NGX_OK
        || ngx_http_approval_set(doc, "deny_after",
                                 json_integer(rule->deny_after))
           != NGX_OK
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

    if (hold->remember.len) {
        json_decref(hold->remembered);
        hold->remembered = ngx_http_approval_describe_remember(hold);

        if (ngx_http_approval_set(doc, "remember",
                                  json_incref(hold->remembered))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
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
    json_t                       *lines, *names, *line;
    ngx_int_t                    *groups;
    ngx_uint_t                    i, j;
    approval_str_t                name;
    ngx_http_approval_require_t  *requires;

    lines = json_array();
    requires = hold->rule->requires->elts;

    for (i = 0; i < hold->rule->requires->nelts; i++) {

        names = json_array();
        groups = requires[i].groups.elts;

        for (j = 0; j < requires[i].groups.nelts; j++) {
            name = approval_people_group_name(hold->mcf->people, groups[j]);
            json_array_append_new(names, json_stringn((char *) name.data,
                                                      name.len));
        }

        line = json_pack("{s:i, s:o}", "count", (int) requires[i].count,
                         "groups", names);

        if (line == NULL
            || json_array_size(names) != requires[i].groups.nelts
            || json_array_append_new(lines, line) != 0)
        {
            json_decref(lines);
            return NULL;
        }
    }

    return lines;
}


/* What approving means beyond this request. */

static json_t *
ngx_http_approval_describe_remember(ngx_http_approval_hold_t *hold)
{
    ngx_str_t                  value;
    ngx_http_approval_rule_t  *rule;

    rule = hold->rule;
    value = hold->remember;

    value.len = ngx_min(value.len, NGX_HTTP_APPROVAL_SHOWN_VALUE);

    if (ngx_http_approval_secret_text(hold, &rule->remember_per->value)) {
        ngx_str_set(&value, APPROVAL_REDACTED);
    }

    return json_pack("{s:I, s:o, s:o}", "seconds",
                     (json_int_t) (rule->remember / 1000),
                     "per", ngx_http_approval_json_str(&value),
                     "uses", rule->remember_uses
                             ? json_integer(rule->remember_uses)
                             : json_null());
}


static ngx_int_t
ngx_http_approval_describe_who(ngx_http_approval_hold_t *hold, json_t *doc)
{
    ngx_int_t                      rc;
    ngx_str_t                      s;
    const char                    *err;
    approval_buf_t                 person;
    ngx_http_request_t            *r;
    ngx_http_approval_loc_conf_t  *lcf;

    r = hold->request;
    lcf = hold->lcf;

    approval_buf_init(&person);

    rc = NGX_ERROR;

    if (approval_people_person(hold->mcf->people,
                               ngx_http_approval_core_str(&hold->requester),
                               &person, &err)
        != APPROVAL_OK
        || ngx_http_approval_set_str(doc, "requester", &hold->requester)
           != NGX_OK
        || ngx_http_approval_set(doc, "person",
                                 json_stringn((char *) person.data,
                                              person.len))
           != NGX_OK
        || ngx_http_approval_set_str(doc, "remote_addr",
                                     &r->connection->addr_text)
           != NGX_OK
        || ngx_http_approval_facts_tls(r, doc) != NGX_OK
        || ngx_http_complex_value(r, lcf->on_behalf, &s) != NGX_OK)
    {
        goto done;
    }

    if (s.len) {
        approval_buf_reset(&person);

        /* An identity that cannot be read excludes nobody: it is refused. */

        if (approval_people_person(hold->mcf->people,
                                   ngx_http_approval_core_str(&s), &person,
                                   &err)
            != APPROVAL_OK
            || ngx_http_approval_set_str(doc, "on_behalf_of", &s) != NGX_OK
            || ngx_http_approval_set(doc, "on_behalf_person",
                                     json_stringn((char *) person.data,
                                                  person.len))
               != NGX_OK)
        {
            goto done;
        }
    }

    rc = hold->reason.len
         ? ngx_http_approval_set(doc, "reason",
                                 ngx_http_approval_json_cut(&hold->reason,
                                           NGX_HTTP_APPROVAL_SHOWN_REASON))
         : NGX_OK;

done:

    approval_buf_free(&person);

    return rc;
}


static ngx_int_t
ngx_http_approval_describe_what(ngx_http_approval_hold_t *hold, json_t *doc)
{
    ngx_http_request_t  *r;

    r = hold->request;

    if (ngx_http_approval_set_str(doc, "method", &r->method_name) != NGX_OK
        || ngx_http_approval_facts_where(r, hold->rule, doc) != NGX_OK
        || ngx_http_approval_set(doc, "uri",
                                 ngx_http_approval_describe_uri(hold))
           != NGX_OK
        || ngx_http_approval_set(doc, "headers",
                                 ngx_http_approval_describe_headers(hold))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Redacted as the target is; of what is masked in it, the whole is bound. */

static json_t *
ngx_http_approval_describe_uri(ngx_http_approval_hold_t *hold)
{
    json_t          *uri, *seen;
    ngx_str_t        text;
    approval_buf_t   buf;
    approval_str_t   whole;

    whole = ngx_http_approval_core_str(&hold->request->uri);
    uri = NULL;

    approval_buf_init(&buf);

    if (approval_redact_target(hold->rule->redact, whole, &buf)
        == APPROVAL_OK)
    {
        text.data = buf.data;
        text.len = buf.len;

        uri = ngx_http_approval_json_str(&text);
    }

    if (uri && !approval_str_eq(approval_buf_str(&buf), whole)) {
        seen = ngx_http_approval_describe_seen(hold, &hold->request->uri,
                                               NGX_HTTP_APPROVAL_SHOWN_VALUE);
        if (seen == NULL) {
            json_decref(uri);
            uri = NULL;
        }

        json_decref(seen);
    }

    approval_buf_free(&buf);

    return uri;
}


static json_t *
ngx_http_approval_describe_headers(ngx_http_approval_hold_t *hold)
{
    json_t           *headers;
    ngx_str_t        *name, value;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    headers = json_object();

    for (part = &hold->request->headers_in.headers.part;
         part;
         part = part->next)
    {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            for (name = ngx_http_approval_shown_headers; name->len; name++) {
                if (h[i].key.len == name->len
                    && ngx_memcmp(h[i].lowcase_key, name->data, name->len)
                       == 0)
                {
                    break;
                }
            }

            if (name->len == 0) {
                name = ngx_http_approval_bind_name(hold, &h[i]);

                if (name == NULL) {
                    continue;
                }
            }

            value = h[i].value;

            if (approval_redact_header(hold->rule->redact,
                                       ngx_http_approval_core_str(name)))
            {
                ngx_str_set(&value, APPROVAL_REDACTED);
            }

            if (ngx_http_approval_describe_header(headers, name, &value)
                != NGX_OK)
            {
                json_decref(headers);
                return NULL;
            }
        }
    }

    return headers;
}


/* A header that stands twice is shown with both values. */

static ngx_int_t
ngx_http_approval_describe_header(json_t *headers, ngx_str_t *name,
    ngx_str_t *value)
{
    json_t      *shown, *both;
    const char  *before;

    shown = ngx_http_approval_json_cut(value, NGX_HTTP_APPROVAL_SHOWN_VALUE);
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
ngx_http_approval_describe_body(ngx_http_approval_hold_t *hold, json_t *doc)
{
    json_t          *shown;
    size_t           hidden;
    ngx_str_t        type, text;
    approval_buf_t   buf;
    approval_str_t   body, cut;

    ngx_str_null(&type);

    if (hold->request->headers_in.content_type) {
        type = hold->request->headers_in.content_type->value;
    }

    if (ngx_http_approval_set(doc, "body_bytes",
                              json_integer(hold->body->size))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (hold->body->size == 0) {
        return ngx_http_approval_set(doc, "body_hidden", json_integer(0));
    }

    approval_buf_init(&buf);

    hidden = 0;

    if (hold->body->data == NULL) {
        approval_buf_adds(&buf, "[larger than body_limit: not shown]");
        hidden = (size_t) hold->body->size;

    } else {
        body.data = hold->body->data;
        body.len = (size_t) hold->body->size;

        approval_redact_body(hold->rule->redact,
                             ngx_http_approval_core_str(&type), body, &buf);
    }

    cut = approval_buf_str(&buf);
    hidden += approval_cut(&cut, NGX_HTTP_APPROVAL_SHOWN_BODY);

    text.data = (u_char *) cut.data;
    text.len = cut.len;

    shown = buf.failed ? NULL : ngx_http_approval_json_str(&text);

    approval_buf_free(&buf);

    if (ngx_http_approval_set(doc, "body", shown) != NGX_OK
        || ngx_http_approval_set(doc, "body_hidden", json_integer(hidden))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The fields that the rule asks for, and those that made it hold. */

static ngx_int_t
ngx_http_approval_describe_shown(ngx_http_approval_hold_t *hold, json_t *doc)
{
    json_t                    *masked, *judged, *show;
    ngx_int_t                  rc;
    ngx_uint_t                 i;
    ngx_http_approval_show_t  *shows;

    rc = NGX_ERROR;
    show = json_object();
    masked = ngx_http_approval_describe_masked(hold);
    judged = masked ? ngx_http_approval_judged(hold, masked) : NULL;

    if (hold->rule->shows) {
        shows = hold->rule->shows->elts;

        for (i = 0; i < hold->rule->shows->nelts; i++) {
            if (json_object_set_new(show, (char *) shows[i].name.data,
                                    ngx_http_approval_describe_show(hold,
                                                         &shows[i], judged))
                != 0)
            {
                json_decref(show);
                goto done;
            }
        }
    }

    if (ngx_http_approval_set(doc, "show", show) == NGX_OK
        && ngx_http_approval_set(doc, "matched",
                                 ngx_http_approval_evidence(hold, judged))
           == NGX_OK)
    {
        rc = NGX_OK;
    }

done:

    json_decref(masked);

    return rc;
}


/* The parsed body without its secrets; NULL where there is none. */

json_t *
ngx_http_approval_describe_masked(ngx_http_approval_hold_t *hold)
{
    json_t  *masked;

    if (hold->body->size == 0 || ngx_http_approval_encoded(hold->request)) {
        return NULL;
    }

    ngx_http_approval_body_parse(hold->body);

    if (hold->body->json == NULL) {
        return NULL;
    }

    masked = json_deep_copy(hold->body->json);

    if (masked
        && approval_redact_json(hold->rule->redact, masked) == APPROVAL_ERROR)
    {
        json_decref(masked);
        return NULL;
    }

    return masked;
}


static json_t *
ngx_http_approval_describe_show(ngx_http_approval_hold_t *hold,
    ngx_http_approval_show_t *show, json_t *masked)
{
    json_t          *value;
    ngx_str_t        s;
    approval_buf_t   buf;

    if (show->value) {

        if (ngx_http_approval_secret_text(hold, &show->value->value)) {
            return json_string(APPROVAL_REDACTED);
        }

        if (ngx_http_complex_value(hold->request, show->value, &s) != NGX_OK) {
            return NULL;
        }

        return ngx_http_approval_describe_seen(hold, &s,
                                               NGX_HTTP_APPROVAL_SHOWN_VALUE);
    }

    if (masked == NULL) {
        return json_string("[the body is not JSON]");
    }

    approval_buf_init(&buf);

    if (approval_json_pointer_each(show->pointer, masked,
                                   ngx_http_approval_describe_value, &buf)
        == APPROVAL_DECLINED)
    {
        approval_buf_adds(&buf, "[absent]");
    }

    s.data = buf.data;
    s.len = buf.len;

    value = buf.failed
            ? NULL
            : ngx_http_approval_json_cut(&s, NGX_HTTP_APPROVAL_SHOWN_VALUE);

    approval_buf_free(&buf);

    return value;
}


static int
ngx_http_approval_describe_value(void *data, json_t *value)
{
    approval_buf_t *out = data;

    if (out->len) {
        approval_buf_adds(out, ", ");
    }

    return approval_json_text(value, out);
}


/*
 * A value that an approver is shown, cut where it is long: what does not fit,
 * and bytes that can only be shown escaped, are bound by hold->seen.
 */

json_t *
ngx_http_approval_describe_seen(ngx_http_approval_hold_t *hold,
    ngx_str_t *value, size_t max)
{
    u_char          both[2 * APPROVAL_SHA256_LEN];
    approval_str_t  text;

    ngx_memcpy(both, hold->seen, APPROVAL_SHA256_LEN);

    text.data = both;
    text.len = sizeof(both);

    if (approval_sha256(ngx_http_approval_core_str(value),
                        both + APPROVAL_SHA256_LEN)
        != APPROVAL_OK
        || approval_sha256(text, hold->seen) != APPROVAL_OK)
    {
        return NULL;
    }

    return ngx_http_approval_json_cut(value, max);
}


/*
 * What an approver was shown and a retry must repeat, as canonical JSON; where
 * headers rewrite the path, it is none of the digest's parts.
 */

ngx_int_t
ngx_http_approval_describe_bound(ngx_http_approval_hold_t *hold,
    approval_buf_t *out)
{
    u_char       seen[2 * APPROVAL_SHA256_LEN];
    json_t      *bound, *value;
    ngx_int_t    rc;
    ngx_uint_t   i;

    static const char  *names[] = {
        "show", "summary", "matched", "on_behalf_of", "policy_digest", "uri",
        NULL
    };

    bound = json_object();
    rc = bound ? NGX_OK : NGX_ERROR;

    for (i = 0; rc == NGX_OK && names[i]; i++) {
        value = json_object_get(hold->doc, names[i]);

        if (value && json_object_set(bound, names[i], value) != 0) {
            rc = NGX_ERROR;
        }
    }

    approval_hex_encode(seen, hold->seen, APPROVAL_SHA256_LEN);

    if (rc == NGX_OK
        && (json_object_set_new(bound, "seen",
                                json_stringn((char *) seen, sizeof(seen)))
            != 0
            || approval_json_canonical(bound, out) != APPROVAL_OK))
    {
        rc = NGX_ERROR;
    }

    json_decref(bound);

    return rc;
}


static ngx_int_t
ngx_http_approval_set(json_t *doc, const char *name, json_t *value)
{
    return json_object_set_new(doc, name, value) == 0 ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_set_str(json_t *doc, const char *name, ngx_str_t *value)
{
    return ngx_http_approval_set(doc, name, ngx_http_approval_json_str(value));
}
