
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Writes facts for approvers, records and requesters: all readings, without
 * secrets.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


#define NGX_HTTP_APPROVAL_TELL_WHY  160

/* what stands for a value that there is none of */

#define NGX_HTTP_APPROVAL_TELL_ABSENT    "[absent]"
#define NGX_HTTP_APPROVAL_TELL_EMPTY     "[empty]"
#define NGX_HTTP_APPROVAL_TELL_NO_JSON   "[the body is not JSON]"
#define NGX_HTTP_APPROVAL_TELL_READINGS  " readings: "


static json_t *ngx_http_approval_tell_body(ngx_http_approval_rule_t *rule,
    ngx_http_approval_body_t *body);
static ngx_int_t ngx_http_approval_tell_parts(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact);
static ngx_int_t ngx_http_approval_tell_text(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, approval_buf_t *out);
static ngx_int_t ngx_http_approval_tell_inputs(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, approval_buf_t *out);
static ngx_int_t ngx_http_approval_tell_fact(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, approval_buf_t *out);
static void ngx_http_approval_tell_all(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, const approval_readings_t *rs,
    approval_buf_t *out);
static void ngx_http_approval_tell_one(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, const approval_readings_t *rs, size_t i,
    approval_buf_t *out);
static void ngx_http_approval_tell_single(approval_buf_t *out,
    approval_str_t s);
static ngx_uint_t ngx_http_approval_tell_ours(approval_str_t s);
static void ngx_http_approval_tell_quoted(approval_buf_t *out,
    approval_str_t s);
static ngx_uint_t ngx_http_approval_tell_secret(
    ngx_http_approval_tell_t *tell, ngx_http_approval_fact_t *fact);
static ngx_uint_t ngx_http_approval_tell_captured(
    ngx_http_approval_tell_t *tell, ngx_http_approval_fact_t *fact);
static ngx_uint_t ngx_http_approval_tell_differs(
    ngx_http_approval_tell_t *tell, ngx_http_approval_fact_t *fact);


void
ngx_http_approval_tell_init(ngx_http_approval_tell_t *tell,
    ngx_http_approval_look_t *look, ngx_http_approval_rule_t *rule)
{
    ngx_memzero(tell, sizeof(ngx_http_approval_tell_t));

    tell->look = look;
    tell->rule = rule;
    tell->masked = ngx_http_approval_tell_body(rule, look->body);
}


/* The fact as a JSON string, cut after "max" bytes with a count of the rest. */

json_t *
ngx_http_approval_tell(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, size_t max)
{
    json_t          *value;
    ngx_int_t        rc;
    ngx_str_t        s;
    approval_buf_t   buf;

    if (ngx_http_approval_tell_parts(tell, fact) != NGX_OK) {
        return NULL;
    }

    approval_buf_init(&buf);

    value = NULL;

    rc = (fact->kind == NGX_HTTP_APPROVAL_FACT_TEXT)
         ? ngx_http_approval_tell_text(tell, fact, &buf)
         : ngx_http_approval_tell_fact(tell, fact, &buf);

    if (rc == NGX_OK) {
        s.data = buf.data;
        s.len = buf.len;

        value = ngx_http_approval_json_cut(&s, max);
    }

    approval_buf_wipe(&buf);

    return value;
}


/* Notes whether the fact discloses the query or a part of the body. */

static ngx_int_t
ngx_http_approval_tell_parts(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact)
{
    size_t                      i;
    approval_readings_t        *rs;
    ngx_http_approval_fact_t  **inputs;

    switch (fact->kind) {

    case NGX_HTTP_APPROVAL_FACT_TARGET:
    case NGX_HTTP_APPROVAL_FACT_QUERY:
        tell->query = 1;
        return NGX_OK;

    case NGX_HTTP_APPROVAL_FACT_TEXT:
        inputs = fact->inputs->elts;

        for (i = 0; i < fact->inputs->nelts; i++) {
            if (ngx_http_approval_tell_parts(tell, inputs[i]) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        return NGX_OK;

    case NGX_HTTP_APPROVAL_FACT_OPAQUE:
        if (!ngx_http_approval_fact_named(fact, "request_body")) {
            return NGX_OK;
        }

        break;

    case NGX_HTTP_APPROVAL_FACT_MEMBER:
    case NGX_HTTP_APPROVAL_FACT_FIELD:
        break;

    default:
        return NGX_OK;
    }

    rs = ngx_http_approval_read(tell->look, fact);

    if (rs == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < rs->n; i++) {
        if (rs->elts[i].kind != APPROVAL_READING_ABSENT
            && rs->elts[i].kind != APPROVAL_READING_UNKNOWN)
        {
            tell->body |= (fact->kind == NGX_HTTP_APPROVAL_FACT_FIELD
                           || (fact->kind == NGX_HTTP_APPROVAL_FACT_MEMBER
                               && tell->masked != NULL)
                           || (fact->kind == NGX_HTTP_APPROVAL_FACT_OPAQUE
                               && approval_reading_text(rs, i).len));
        }
    }

    return NGX_OK;
}


/* Writes nginx's reading, and each value in it that has other readings. */

static ngx_int_t
ngx_http_approval_tell_text(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, approval_buf_t *out)
{
    ngx_int_t       rc;
    ngx_str_t       s;
    approval_buf_t  text;

    if (ngx_http_approval_tell_secret(tell, fact)) {
        approval_buf_adds(out, APPROVAL_REDACTED);
        return out->failed ? NGX_ERROR : NGX_OK;
    }

    approval_buf_init(&text);

    rc = (ngx_http_approval_read_text(tell->look, fact, &s) == NGX_OK
          && approval_redact_text(tell->rule->redact,
                                  ngx_http_approval_core_str(&s), &text)
             == APPROVAL_OK)
         ? NGX_OK : NGX_ERROR;

    ngx_http_approval_tell_single(out, approval_buf_str(&text));

    approval_buf_wipe(&text);

    return (rc == NGX_OK) ? ngx_http_approval_tell_inputs(tell, fact, out)
                          : NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_tell_inputs(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, approval_buf_t *out)
{
    ngx_uint_t                  i;
    ngx_http_approval_fact_t  **inputs;

    inputs = fact->inputs->elts;

    for (i = 0; i < fact->inputs->nelts; i++) {

        if (inputs[i]->inputs
            || ngx_http_approval_read_differs(tell->look, inputs[i]) == NULL)
        {
            continue;
        }

        approval_buf_adds(out, " [");
        approval_buf_add(out, inputs[i]->name.data, inputs[i]->name.len);
        approval_buf_adds(out, ": ");

        if (ngx_http_approval_tell_fact(tell, inputs[i], out) != NGX_OK) {
            return NGX_ERROR;
        }

        approval_buf_addc(out, ']');
    }

    return out->failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_approval_tell_fact(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, approval_buf_t *out)
{
    ngx_int_t             rc;
    approval_readings_t  *rs, masked;

    if (fact->kind == NGX_HTTP_APPROVAL_FACT_CAPTURE
        && ngx_http_approval_tell_secret(tell, fact))
    {
        approval_buf_adds(out, APPROVAL_REDACTED);
        return out->failed ? NGX_ERROR : NGX_OK;
    }

    if (fact->kind != NGX_HTTP_APPROVAL_FACT_MEMBER) {
        rs = ngx_http_approval_read(tell->look, fact);

        if (rs == NULL) {
            return NGX_ERROR;
        }

        ngx_http_approval_tell_all(tell, fact, rs, out);

        return out->failed ? NGX_ERROR : NGX_OK;
    }

    if (tell->masked == NULL) {
        approval_buf_adds(out, NGX_HTTP_APPROVAL_TELL_NO_JSON);
        return out->failed ? NGX_ERROR : NGX_OK;
    }

    approval_readings_init(&masked);
    approval_read_json(&masked, fact->pointer, tell->masked);

    ngx_http_approval_tell_all(tell, fact, &masked, out);

    rc = (out->failed || masked.failed) ? NGX_ERROR : NGX_OK;

    approval_readings_free(&masked);

    return rc;
}


/*
 * Several readings are quoted, so that one cannot look like two.  A single one
 * is quoted only if it could be taken for words of the gateway.
 */

static void
ngx_http_approval_tell_all(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, const approval_readings_t *rs,
    approval_buf_t *out)
{
    size_t          i, n;
    unsigned        more;
    approval_buf_t  one;

    n = approval_readings_count(rs);
    more = 0;

    if (n > 1) {
        approval_buf_printf(out, "%zu" NGX_HTTP_APPROVAL_TELL_READINGS, n);
    }

    approval_buf_init(&one);

    for (i = 0; i < rs->n; i++) {

        if (rs->elts[i].spelled) {
            continue;
        }

        if (more) {
            approval_buf_adds(out, ", ");
        }

        more = 1;

        if (rs->elts[i].kind == APPROVAL_READING_ABSENT) {
            approval_buf_adds(out, n > 1 ? "absent"
                                         : NGX_HTTP_APPROVAL_TELL_ABSENT);
            continue;
        }

        approval_buf_reset(&one);
        ngx_http_approval_tell_one(tell, fact, rs, i, &one);

        if (n > 1) {
            ngx_http_approval_tell_quoted(out, approval_buf_str(&one));

        } else {
            ngx_http_approval_tell_single(out, approval_buf_str(&one));
        }
    }

    out->failed |= one.failed;

    approval_buf_wipe(&one);
}


static void
ngx_http_approval_tell_one(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact, const approval_readings_t *rs, size_t i,
    approval_buf_t *out)
{
    approval_buf_t  target, masked;
    approval_str_t  text;

    text = approval_reading_text(rs, i);

    switch (fact->kind) {

    case NGX_HTTP_APPROVAL_FACT_PATH:
    case NGX_HTTP_APPROVAL_FACT_TARGET:
        if (approval_redact_target(tell->rule->redact, text, out)
            != APPROVAL_OK)
        {
            out->failed = 1;
        }

        break;

    case NGX_HTTP_APPROVAL_FACT_QUERY:
        approval_buf_init(&target);
        approval_buf_init(&masked);

        approval_buf_addc(&target, '?');
        approval_buf_add(&target, text.data, text.len);

        if (target.failed
            || approval_redact_target(tell->rule->redact,
                                      approval_buf_str(&target), &masked)
               != APPROVAL_OK)
        {
            out->failed = 1;

        } else {
            approval_buf_add(out, masked.data + 1, masked.len - 1);
        }

        approval_buf_wipe(&target);
        approval_buf_wipe(&masked);
        break;

    case NGX_HTTP_APPROVAL_FACT_HEADER:
    case NGX_HTTP_APPROVAL_FACT_ARGUMENT:
    case NGX_HTTP_APPROVAL_FACT_FIELD:
        (void) approval_redact_named(tell->rule->redact,
                                     ngx_http_approval_core_str(&fact->key),
                                     text, out);
        break;

    case NGX_HTTP_APPROVAL_FACT_COOKIE:
        approval_redact_mask(tell->rule->redact, text, out);
        break;

    case NGX_HTTP_APPROVAL_FACT_MEMBER:
        approval_buf_add(out, text.data, text.len);
        break;

    default:
        (void) approval_redact_text(tell->rule->redact, text, out);
        break;
    }
}


static void
ngx_http_approval_tell_single(approval_buf_t *out, approval_str_t s)
{
    if (s.len == 0) {
        approval_buf_adds(out, NGX_HTTP_APPROVAL_TELL_EMPTY);

    } else if (ngx_http_approval_tell_ours(s)) {
        ngx_http_approval_tell_quoted(out, s);

    } else {
        approval_buf_add(out, s.data, s.len);
    }
}


/* True if a client has sent what otherwise only the gateway says. */

static ngx_uint_t
ngx_http_approval_tell_ours(approval_str_t s)
{
    size_t          i;
    approval_str_t  readings;

    if (approval_str_eq(s, approval_str(NGX_HTTP_APPROVAL_TELL_ABSENT))
        || approval_str_eq(s, approval_str(NGX_HTTP_APPROVAL_TELL_EMPTY))
        || approval_str_eq(s, approval_str(NGX_HTTP_APPROVAL_TELL_NO_JSON)))
    {
        return 1;
    }

    for (i = 0; i < s.len && s.data[i] >= '0' && s.data[i] <= '9'; i++) {
        /* void */
    }

    readings = approval_str(NGX_HTTP_APPROVAL_TELL_READINGS);

    return i > 0 && s.len - i >= readings.len
           && ngx_memcmp(s.data + i, readings.data, readings.len) == 0;
}


static void
ngx_http_approval_tell_quoted(approval_buf_t *out, approval_str_t s)
{
    size_t  i;

    approval_buf_addc(out, '"');

    for (i = 0; i < s.len; i++) {
        if (s.data[i] == '"' || s.data[i] == '\\') {
            approval_buf_addc(out, '\\');
        }

        approval_buf_addc(out, s.data[i]);
    }

    approval_buf_addc(out, '"');
}


/* True if the value is secret by its name or its source, and never shown. */

static ngx_uint_t
ngx_http_approval_tell_secret(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact)
{
    ngx_uint_t                  i;
    approval_str_t              key;
    ngx_http_approval_fact_t  **inputs;

    key = ngx_http_approval_core_str(&fact->key);

    switch (fact->kind) {

    case NGX_HTTP_APPROVAL_FACT_HEADER:
    case NGX_HTTP_APPROVAL_FACT_ARGUMENT:
    case NGX_HTTP_APPROVAL_FACT_FIELD:
        return approval_redact_field(tell->rule->redact, key);

    case NGX_HTTP_APPROVAL_FACT_COOKIE:
        return 1;

    case NGX_HTTP_APPROVAL_FACT_CAPTURE:
        return ngx_http_approval_tell_captured(tell, fact);

    case NGX_HTTP_APPROVAL_FACT_TEXT:
        inputs = fact->inputs->elts;

        for (i = 0; i < fact->inputs->nelts; i++) {

            switch (inputs[i]->kind) {

            case NGX_HTTP_APPROVAL_FACT_PATH:
            case NGX_HTTP_APPROVAL_FACT_TARGET:
            case NGX_HTTP_APPROVAL_FACT_QUERY:
                if (ngx_http_approval_tell_differs(tell, inputs[i])) {
                    return 1;
                }

                break;

            default:
                if (ngx_http_approval_tell_secret(tell, inputs[i])) {
                    return 1;
                }

                break;
            }
        }

        return 0;

    default:
        return 0;
    }
}


/* A capture is secret if the value that its regex matched is. */

static ngx_uint_t
ngx_http_approval_tell_captured(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact)
{
    ngx_uint_t                   i;
    approval_str_t               subject;
    ngx_http_approval_fact_t   **facts;
    ngx_http_approval_policy_t  *policy;

    policy = tell->rule->policy;

    if (approval_match_capture_subject(policy->match, tell->rule->number,
                                       ngx_http_approval_core_str(&fact->key),
                                       &subject)
        != APPROVAL_OK)
    {
        return 0;
    }

    facts = policy->subjects.elts;

    for (i = 0; i < policy->subjects.nelts; i++) {

        if (!approval_str_eq(ngx_http_approval_core_str(&facts[i]->name),
                             subject))
        {
            continue;
        }

        switch (facts[i]->kind) {

        case NGX_HTTP_APPROVAL_FACT_PATH:
        case NGX_HTTP_APPROVAL_FACT_TARGET:
        case NGX_HTTP_APPROVAL_FACT_QUERY:
        case NGX_HTTP_APPROVAL_FACT_MEMBER:
            return ngx_http_approval_tell_differs(tell, facts[i]);

        case NGX_HTTP_APPROVAL_FACT_CAPTURE:
            return 1;

        default:
            return ngx_http_approval_tell_secret(tell, facts[i]);
        }
    }

    return 1;
}


/* True if redaction changes a reading of the fact. */

static ngx_uint_t
ngx_http_approval_tell_differs(ngx_http_approval_tell_t *tell,
    ngx_http_approval_fact_t *fact)
{
    size_t                i;
    ngx_uint_t            differs;
    approval_buf_t        one;
    approval_readings_t  *rs, masked;

    rs = ngx_http_approval_read(tell->look, fact);

    if (rs == NULL) {
        return 1;
    }

    differs = 0;

    if (fact->kind == NGX_HTTP_APPROVAL_FACT_MEMBER) {

        if (tell->masked == NULL) {
            return 1;
        }

        approval_readings_init(&masked);
        approval_read_json(&masked, fact->pointer, tell->masked);

        differs = (masked.failed || masked.n != rs->n);

        for (i = 0; !differs && i < rs->n; i++) {
            differs = !approval_str_eq(approval_reading_text(rs, i),
                                       approval_reading_text(&masked, i));
        }

        approval_readings_free(&masked);

        return differs;
    }

    approval_buf_init(&one);

    for (i = 0; !differs && i < rs->n; i++) {
        approval_buf_reset(&one);
        ngx_http_approval_tell_one(tell, fact, rs, i, &one);

        differs = one.failed
                  || !approval_str_eq(approval_reading_text(rs, i),
                                      approval_buf_str(&one));
    }

    approval_buf_wipe(&one);

    return differs;
}


/* The parsed body, redacted; NULL if there is none. */

static json_t *
ngx_http_approval_tell_body(ngx_http_approval_rule_t *rule,
    ngx_http_approval_body_t *body)
{
    json_t          *masked;
    const char      *err;
    approval_str_t   text;
    approval_buf_t   shown;

    if (body == NULL || body->size == 0 || body->encoded) {
        return NULL;
    }

    ngx_http_approval_body_parse(body);

    if (body->json == NULL) {
        return NULL;
    }

    text.data = body->data;
    text.len = (size_t) body->size;

    approval_buf_init(&shown);

    masked = approval_redact_body(rule->redact,
                                  approval_str("application/json"), text,
                                  &shown)
             == APPROVAL_OK
             ? approval_json_parse_wide(approval_buf_str(&shown), &err) : NULL;

    approval_buf_free(&shown);

    return masked;
}


/* For a problem's detail, the error log and the trail. */

const char *
ngx_http_approval_tell_readings(ngx_http_approval_look_t *look,
    ngx_http_approval_rule_t *rule, ngx_http_approval_fact_t *fact)
{
    u_char                          *p;
    json_t                          *value;
    ngx_str_t                        text;
    approval_buf_t                   why;
    const approval_reading_t        *doubt;
    ngx_http_approval_fact_t        *input;
    ngx_http_approval_tell_t         tell;

    input = ngx_http_approval_read_differs(look, fact);
    fact = input ? input : fact;

    ngx_http_approval_tell_init(&tell, look, rule);

    /* there is no action yet, and so no key for tags */

    approval_redact_key(rule->redact, approval_str(""));

    approval_buf_init(&why);

    doubt = approval_readings_doubt(&fact->readings);

    if (doubt) {
        approval_buf_printf(&why, "rule \"%.*s\" reads \"%.*s\": %.*s",
                            (int) rule->name.len, rule->name.data,
                            (int) fact->name.len, fact->name.data,
                            (int) doubt->len, doubt->data);

    } else {
        /* queries are not logged: they may contain undeclared secrets */

        value = (fact->kind == NGX_HTTP_APPROVAL_FACT_TARGET
                 || fact->kind == NGX_HTTP_APPROVAL_FACT_QUERY)
                ? NULL
                : ngx_http_approval_tell(&tell, fact,
                                         NGX_HTTP_APPROVAL_TELL_WHY);

        approval_buf_printf(&why, "rule \"%.*s\" reads \"%.*s\", which has %s",
                            (int) rule->name.len, rule->name.data,
                            (int) fact->name.len, fact->name.data,
                            value ? json_string_value(value)
                                  : "several readings");
        json_decref(value);
    }

    json_decref(tell.masked);

    /* the text is logged, too */

    for (p = why.data; p && p < why.data + why.len; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }

    approval_buf_addc(&why, '\0');

    text.len = why.len;
    text.data = why.data;

    p = why.failed ? NULL : ngx_pstrdup(look->request->pool, &text);

    approval_buf_free(&why);

    return (const char *) p;
}
