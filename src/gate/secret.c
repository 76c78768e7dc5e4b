
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Which values approvers are not shown, told by the names of the variables
 * that they come from.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


static ngx_uint_t ngx_http_approval_secret_names(
    ngx_http_approval_hold_t *hold, approval_str_t text, ngx_uint_t captures);
static ngx_uint_t ngx_http_approval_secret_variable(
    ngx_http_approval_hold_t *hold, approval_str_t name, ngx_uint_t captures);
static ngx_uint_t ngx_http_approval_secret_path(
    ngx_http_approval_hold_t *hold);
static ngx_uint_t ngx_http_approval_secret_capture(
    ngx_http_approval_hold_t *hold, approval_str_t name);
static ngx_uint_t ngx_http_approval_secret_pointer(
    ngx_http_approval_hold_t *hold, approval_str_t pointer);
static ngx_uint_t ngx_http_approval_secret_differs(
    approval_json_pointer_t *pointer, json_t *json, json_t *masked);
static int ngx_http_approval_secret_value(void *data, json_t *value);
static ngx_uint_t ngx_http_approval_secret_cut(approval_str_t *s,
    const char *prefix);


/* Lines and bodies as a whole: the document has them, redacted. */

static const char  *ngx_http_approval_secret_lines[] = {
    "args", "query_string", "request", "request_body", "request_uri", NULL
};


/* Paths: as good as any other value, unless there is a secret in it. */

static const char  *ngx_http_approval_secret_paths[] = {
    "uri", "document_uri", "request_filename", NULL
};


/* Does the text of a complex value or subject name a secret's variable? */

ngx_uint_t
ngx_http_approval_secret_text(ngx_http_approval_hold_t *hold, ngx_str_t *text)
{
    return ngx_http_approval_secret_names(hold,
                                          ngx_http_approval_core_str(text), 1);
}


static ngx_uint_t
ngx_http_approval_secret_names(ngx_http_approval_hold_t *hold,
    approval_str_t text, ngx_uint_t captures)
{
    approval_str_t        name;
    const unsigned char  *p, *last;

    last = text.data + text.len;

    for (p = text.data; p < last; p++) {

        if (*p != '$') {
            continue;
        }

        if (p + 1 < last && p[1] == '{') {
            p++;
        }

        name.data = p + 1;
        name.len = 0;

        while (p + 1 < last
               && ((p[1] >= 'a' && p[1] <= 'z') || (p[1] >= 'A' && p[1] <= 'Z')
                   || (p[1] >= '0' && p[1] <= '9') || p[1] == '_'))
        {
            name.len++;
            p++;
        }

        if (ngx_http_approval_secret_variable(hold, name, captures)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_approval_secret_variable(ngx_http_approval_hold_t *hold,
    approval_str_t name, ngx_uint_t captures)
{
    const char  **line;

    if (ngx_http_approval_secret_cut(&name, "http_")) {
        return approval_redact_header(hold->rule->redact, name);
    }

    if (ngx_http_approval_secret_cut(&name, "arg_")) {
        return approval_redact_field(hold->rule->redact, name);
    }

    if (ngx_http_approval_secret_cut(&name, "cookie_")) {
        return 1;
    }

    if (ngx_http_approval_secret_cut(&name, "approval_arg_")) {
        return captures ? ngx_http_approval_secret_capture(hold, name) : 1;
    }

    for (line = ngx_http_approval_secret_lines; *line; line++) {
        if (approval_str_eq_nocase(name, approval_str(*line))) {
            return 1;
        }
    }

    for (line = ngx_http_approval_secret_paths; *line; line++) {
        if (approval_str_eq_nocase(name, approval_str(*line))) {
            return ngx_http_approval_secret_path(hold);
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_approval_secret_path(ngx_http_approval_hold_t *hold)
{
    ngx_uint_t      differs;
    approval_buf_t  shown;
    approval_str_t  uri;

    uri = ngx_http_approval_core_str(&hold->request->uri);

    approval_buf_init(&shown);

    differs = approval_redact_target(hold->rule->redact, uri, &shown)
              != APPROVAL_OK
              || !approval_str_eq(approval_buf_str(&shown), uri);

    approval_buf_free(&shown);

    return differs;
}


/* A capture is what its regex looked at. */

static ngx_uint_t
ngx_http_approval_secret_capture(ngx_http_approval_hold_t *hold,
    approval_str_t name)
{
    approval_str_t  subject;

    if (approval_match_capture_subject(hold->rule->policy->match,
                                       hold->rule->number, name, &subject)
        != APPROVAL_OK)
    {
        return 0;
    }

    if (ngx_http_approval_secret_cut(&subject, "json:")) {
        return ngx_http_approval_secret_pointer(hold, subject);
    }

    if (ngx_http_approval_secret_cut(&subject, "form:")) {
        return approval_redact_field(hold->rule->redact, subject);
    }

    return ngx_http_approval_secret_names(hold, subject, 0);
}


/* Is something masked at the pointer, or below it? */

static ngx_uint_t
ngx_http_approval_secret_pointer(ngx_http_approval_hold_t *hold,
    approval_str_t text)
{
    size_t                    i;
    json_t                   *masked, *element;
    ngx_uint_t                secret;
    const char               *err;
    approval_json_pointer_t  *pointer;

    secret = 1;

    masked = ngx_http_approval_describe_masked(hold);
    pointer = approval_json_pointer_compile(text, &err);

    if (masked && pointer) {
        secret = ngx_http_approval_secret_differs(pointer, hold->body->json,
                                                  masked);

        /* in a batch it points into an element */

        json_array_foreach(hold->body->json, i, element) {
            secret |= ngx_http_approval_secret_differs(pointer, element,
                                                  json_array_get(masked, i));
        }
    }

    if (pointer) {
        approval_json_pointer_free(pointer);
    }

    json_decref(masked);

    return secret;
}


static ngx_uint_t
ngx_http_approval_secret_differs(approval_json_pointer_t *pointer,
    json_t *json, json_t *masked)
{
    ngx_uint_t      differs;
    approval_buf_t  plain, shown;

    approval_buf_init(&plain);
    approval_buf_init(&shown);

    (void) approval_json_pointer_each(pointer, json,
                                      ngx_http_approval_secret_value, &plain);
    (void) approval_json_pointer_each(pointer, masked,
                                      ngx_http_approval_secret_value, &shown);

    differs = plain.failed || shown.failed
              || !approval_str_eq(approval_buf_str(&plain),
                                  approval_buf_str(&shown));

    approval_buf_free(&plain);
    approval_buf_free(&shown);

    return differs;
}


static int
ngx_http_approval_secret_value(void *data, json_t *value)
{
    approval_buf_t *out = data;

    return approval_json_canonical(value, out);
}


static ngx_uint_t
ngx_http_approval_secret_cut(approval_str_t *s, const char *prefix)
{
    size_t  len;

    len = ngx_strlen(prefix);

    if (s->len < len
        || ngx_strncasecmp((u_char *) s->data, (u_char *) prefix, len) != 0)
    {
        return 0;
    }

    s->data += len;
    s->len -= len;

    return 1;
}
