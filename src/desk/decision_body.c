
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/decision.h"
#include "core/escape.h"
#include "core/form.h"


typedef struct {
    ngx_http_approval_desk_t      *desk;
    ngx_http_approval_decision_t  *dec;
    const char                    *err;
} ngx_http_approval_decision_form_t;


static ngx_uint_t ngx_http_approval_decision_script(
    ngx_http_approval_desk_t *d);
static ngx_str_t *ngx_http_approval_decision_member(
    ngx_http_approval_decision_t *dec, approval_str_t name, ngx_uint_t form);
static const char *ngx_http_approval_decision_json(
    ngx_http_approval_desk_t *d, ngx_http_approval_decision_t *dec,
    ngx_str_t *body);
static const char *ngx_http_approval_decision_form(
    ngx_http_approval_desk_t *d, ngx_http_approval_decision_t *dec,
    ngx_str_t *body);
static int ngx_http_approval_decision_field(void *data, approval_str_t name,
    approval_str_t value);


/*
 * A form is answered with a page, unless Accept asks for something else:
 * browsers always name text/html.  Scripts may omit the type of their JSON, or
 * let their client declare it as a form; browsers may not.
 */

ngx_int_t
ngx_http_approval_decision_type(ngx_http_approval_desk_t *d)
{
    if (ngx_http_approval_header_first(d->request, "content-type") == NULL
        && ngx_http_approval_header_first(d->request, "content-encoding")
           == NULL
        && ngx_http_approval_decision_script(d))
    {
        d->html = 0;
        return NGX_OK;
    }

    if (ngx_http_approval_desk_type(d->request,
                                    "application/x-www-form-urlencoded"))
    {
        d->form = 1;
        d->html |= (ngx_http_approval_header_first(d->request, "accept")
                    == NULL);
        return NGX_OK;
    }

    if (ngx_http_approval_desk_type(d->request, "application/json")) {
        d->html = 0;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


/*
 * Has the request none of the headers that browsers send?  A page of another
 * site can make a browser send any text, with a form's type or with none,
 * together with whatever identifies its user.
 */

static ngx_uint_t
ngx_http_approval_decision_script(ngx_http_approval_desk_t *d)
{
    const char         **name;
    static const char   *names[] = {
        "origin", "referer", "cookie", "sec-fetch-site", "sec-fetch-mode", NULL
    };

    for (name = names; *name; name++) {
        if (ngx_http_approval_header_first(d->request, *name)) {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_approval_decision_parse(ngx_http_approval_desk_t *d,
    ngx_http_approval_decision_t *dec, ngx_str_t *body, ngx_int_t *rc)
{
    const char  *err;

    if (d->form && body->len && body->data[0] == '{'
        && ngx_http_approval_decision_script(d))
    {
        d->form = 0;
        d->html = 0;
    }

    err = d->form ? ngx_http_approval_decision_form(d, dec, body)
                  : ngx_http_approval_decision_json(d, dec, body);

    if (err == NULL) {
        err = ngx_http_approval_decision_check(dec);
    }

    if (err == NULL) {
        return NGX_OK;
    }

    *rc = ngx_http_approval_desk_bad_body(d, err);

    return NGX_DECLINED;
}


static ngx_str_t *
ngx_http_approval_decision_member(ngx_http_approval_decision_t *dec,
    approval_str_t name, ngx_uint_t form)
{
    if (approval_str_eq(name, approval_str("decision"))) {
        return &dec->act;
    }

    if (approval_str_eq(name, approval_str("comment"))) {
        return &dec->comment;
    }

    if (approval_str_eq(name, approval_str("code"))) {
        return &dec->code;
    }

    if (form && approval_str_eq(name, approval_str("nonce"))) {
        return &dec->nonce;
    }

    if (form && approval_str_eq(name, approval_str("challenge"))) {
        return &dec->challenge;
    }

    if (form && approval_str_eq(name, approval_str("assertion"))) {
        return &dec->assertion;
    }

    return NULL;
}


static const char *
ngx_http_approval_decision_json(ngx_http_approval_desk_t *d,
    ngx_http_approval_decision_t *dec, ngx_str_t *body)
{
    void            *iter;
    json_t          *json, *value;
    ngx_str_t       *member;
    const char      *err;
    approval_str_t   text;

    err = "The body is not JSON.";
    json = approval_json_parse(ngx_http_approval_core_str(body), &err);

    if (json == NULL) {
        return err;
    }

    err = json_is_object(json) ? NULL : "The body is not a JSON object.";

    for (iter = json_object_iter(json); err == NULL && iter;
         iter = json_object_iter_next(json, iter))
    {
        value = json_object_iter_value(iter);
        text = approval_str(json_object_iter_key(iter));

        if (approval_str_eq(text, approval_str("break_glass"))
            && json_is_boolean(value))
        {
            dec->glass = json_is_true(value);
            continue;
        }

        member = ngx_http_approval_decision_member(dec, text, 0);

        if (member == NULL) {
            err = "The body has a member other than \"decision\", "
                  "\"comment\", \"code\" and \"break_glass\" (true or "
                  "false).";
            break;
        }

        if (json_is_null(value) && member != &dec->act) {
            continue;
        }

        if (!json_is_string(value)) {
            err = "\"decision\", \"comment\" and \"code\" must be strings.";
            break;
        }

        text.data = (u_char *) json_string_value(value);
        text.len = json_string_length(value);

        if (ngx_http_approval_desk_copy(d->request->pool, text, member)
            != NGX_OK)
        {
            err = "The gateway has no memory left.";
        }
    }

    json_decref(json);

    return err;
}


static const char *
ngx_http_approval_decision_form(ngx_http_approval_desk_t *d,
    ngx_http_approval_decision_t *dec, ngx_str_t *body)
{
    const char                         *err;
    ngx_http_approval_decision_form_t   form;

    form.desk = d;
    form.dec = dec;
    form.err = NULL;
    err = "The form cannot be read.";

    if (approval_form_each(ngx_http_approval_core_str(body),
                           ngx_http_approval_decision_field, &form, &err)
        != APPROVAL_OK)
    {
        return form.err ? form.err : err;
    }

    ngx_http_approval_decision_lines(&dec->comment);

    return NULL;
}


static int
ngx_http_approval_decision_field(void *data, approval_str_t name,
    approval_str_t value)
{
    ngx_http_approval_decision_form_t *form = data;

    ngx_str_t  *member;

    if (approval_str_eq(name, approval_str("break_glass"))
        && approval_str_eq(value, approval_str("1")))
    {
        form->dec->glass = 1;
        return APPROVAL_OK;
    }

    member = ngx_http_approval_decision_member(form->dec, name, 1);

    if (member == NULL) {
        form->err = "The form has a field that is not on the page.";
        return APPROVAL_ERROR;
    }

    if (member->data) {
        form->err = "The form has the same field twice.";
        return APPROVAL_ERROR;
    }

    if (!approval_utf8_valid(value)) {
        form->err = "A field of the form is not UTF-8.";
        return APPROVAL_ERROR;
    }

    if (ngx_http_approval_desk_copy(form->desk->request->pool, value, member)
        != NGX_OK)
    {
        form->err = "The gateway has no memory left.";
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


const char *
ngx_http_approval_decision_check(ngx_http_approval_decision_t *dec)
{
    int         blank;
    ngx_str_t  *act;

    act = &dec->act;

    if (!(act->len == 7 && ngx_strncmp(act->data, "approve", 7) == 0)
        && !(act->len == 4 && ngx_strncmp(act->data, "deny", 4) == 0)
        && !(act->len == 7 && ngx_strncmp(act->data, "comment", 7) == 0))
    {
        return "\"decision\" must be \"approve\", \"deny\" or \"comment\".";
    }

    if (dec->comment.len > NGX_HTTP_APPROVAL_DESK_COMMENT_MAX) {
        return "The comment is longer than 2000 bytes.";
    }

    blank = approval_blank(ngx_http_approval_core_str(&dec->comment));

    if (act->data[0] == 'c' && blank) {
        return "A \"comment\" decision needs a \"comment\" that is not empty.";
    }

    if (dec->glass && (act->data[0] != 'a' || blank)) {
        return "\"break_glass\" needs \"approve\" and a \"comment\" that "
               "says why.";
    }

    return NULL;
}


void
ngx_http_approval_decision_lines(ngx_str_t *s)
{
    size_t  i, n;

    for (i = 0, n = 0; i < s->len; i++) {
        if (s->data[i] != CR || i + 1 == s->len || s->data[i + 1] != LF) {
            s->data[n++] = s->data[i];
        }
    }

    s->len = n;
}
