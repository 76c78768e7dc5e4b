
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The parts of a request that a rule declares: the summary, the values of
 * "show", and the values that matched.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


#define NGX_HTTP_APPROVAL_DECLARED_MATCH  512


/* The values that the rule's conditions found, by the subjects' names. */

typedef struct {
    ngx_http_approval_tell_t  *tell;
    json_t                    *found;
    ngx_http_approval_fact_t  *fact;       /* its values are in "masked" */
    approval_readings_t        masked;
} ngx_http_approval_matched_t;


static json_t *ngx_http_approval_declare_shown(
    ngx_http_approval_tell_t *tell);
static json_t *ngx_http_approval_declare_matched(
    ngx_http_approval_tell_t *tell);
static ngx_int_t ngx_http_approval_declare_differs(
    ngx_http_approval_matched_t *matched, ngx_http_approval_fact_t *fact);
static int ngx_http_approval_declare_match(void *data, unsigned subject,
    approval_str_t value);
static json_t *ngx_http_approval_declare_hit(
    ngx_http_approval_matched_t *matched,
    ngx_http_approval_fact_t *fact, approval_str_t value, json_t *before);


ngx_int_t
ngx_http_approval_declare(ngx_http_approval_tell_t *tell, json_t *doc)
{
    json_t                    *summary;
    ngx_http_approval_rule_t  *rule;

    rule = tell->rule;

    summary = rule->summary
              ? ngx_http_approval_tell(tell, rule->summary,
                                       NGX_HTTP_APPROVAL_TELL_VALUE)
              : ngx_http_approval_json_str(&rule->action);

    return (json_object_set_new(doc, "summary", summary) == 0
            && json_object_set_new(doc, "show",
                                   ngx_http_approval_declare_shown(tell))
               == 0
            && json_object_set_new(doc, "matched",
                                   ngx_http_approval_declare_matched(tell))
               == 0)
           ? NGX_OK : NGX_ERROR;
}


static json_t *
ngx_http_approval_declare_shown(ngx_http_approval_tell_t *tell)
{
    json_t                    *show;
    ngx_uint_t                 i;
    ngx_http_approval_show_t  *shows;

    show = json_object();

    if (show == NULL || tell->rule->shows == NULL) {
        return show;
    }

    shows = tell->rule->shows->elts;

    for (i = 0; i < tell->rule->shows->nelts; i++) {
        if (json_object_set_new(show, (char *) shows[i].name.data,
                                ngx_http_approval_tell(tell, shows[i].fact,
                                             NGX_HTTP_APPROVAL_TELL_VALUE))
            != 0)
        {
            json_decref(show);
            return NULL;
        }
    }

    return show;
}


static json_t *
ngx_http_approval_declare_matched(ngx_http_approval_tell_t *tell)
{
    ngx_http_approval_matched_t  matched;

    matched.tell = tell;
    matched.found = json_object();
    matched.fact = NULL;

    approval_readings_init(&matched.masked);

    if (matched.found
        && (ngx_http_approval_evidence(tell->look, tell->rule,
                                       ngx_http_approval_declare_match,
                                       &matched)
            != APPROVAL_OK
            || ngx_http_approval_declare_differs(&matched,
                                                  tell->rule->policy->method)
               != NGX_OK
            || ngx_http_approval_declare_differs(&matched,
                                                  tell->rule->policy->path)
               != NGX_OK))
    {
        json_decref(matched.found);
        matched.found = NULL;
    }

    approval_readings_free(&matched.masked);

    return matched.found;
}


/* Adds a method or path with several readings even if no condition reads it. */

static ngx_int_t
ngx_http_approval_declare_differs(ngx_http_approval_matched_t *matched,
    ngx_http_approval_fact_t *fact)
{
    if (json_object_get(matched->found, (char *) fact->name.data)
        || ngx_http_approval_read_differs(matched->tell->look, fact) == NULL)
    {
        return NGX_OK;
    }

    return json_object_set_new(matched->found, (char *) fact->name.data,
                               ngx_http_approval_tell(matched->tell, fact,
                                             NGX_HTTP_APPROVAL_DECLARED_MATCH))
           == 0 ? NGX_OK : NGX_ERROR;
}


/*
 * Adds all readings of a value, or, if one reading has several values, those
 * that matched.
 */

static int
ngx_http_approval_declare_match(void *data, unsigned subject,
    approval_str_t value)
{
    ngx_http_approval_matched_t *matched = data;

    json_t                     *told, *before;
    ngx_http_approval_fact_t  **facts, *fact;

    facts = matched->tell->rule->policy->subjects.elts;
    fact = facts[subject];

    before = json_object_get(matched->found, (char *) fact->name.data);

    if (approval_readings_count(&fact->readings) == 1
        && fact->readings.n > 1 && fact->readings.elts[1].member)
    {
        told = ngx_http_approval_declare_hit(matched, fact, value, before);

    } else if (before) {
        return APPROVAL_OK;

    } else {
        told = ngx_http_approval_tell(matched->tell, fact,
                                      NGX_HTTP_APPROVAL_DECLARED_MATCH);
    }

    return json_object_set_new(matched->found, (char *) fact->name.data, told)
           == 0 ? APPROVAL_OK : APPROVAL_ERROR;
}


static json_t *
ngx_http_approval_declare_hit(ngx_http_approval_matched_t *matched,
    ngx_http_approval_fact_t *fact, approval_str_t value, json_t *before)
{
    size_t                i;
    ngx_str_t             text;
    json_t               *told;
    approval_buf_t        buf;
    approval_readings_t  *masked;

    if (before
        && json_string_length(before) + sizeof(", ") - 1
           + ngx_max(value.len, sizeof(APPROVAL_REDACTED) - 1)
           > NGX_HTTP_APPROVAL_DECLARED_MATCH)
    {
        return json_incref(before);
    }

    masked = &matched->masked;
    matched->tell->body = 1;

    if (matched->fact != fact) {
        approval_readings_reset(masked);
        approval_read_json(masked, fact->pointer, matched->tell->masked);
        matched->fact = fact;
    }

    for (i = 0; i < masked->n; i++) {
        if (approval_str_eq(approval_reading_text(masked, i), value)) {
            break;
        }
    }

    if (i == masked->n) {
        value = approval_str(APPROVAL_REDACTED);
    }

    approval_buf_init(&buf);

    if (before) {
        approval_buf_printf(&buf, "%s, ", json_string_value(before));
    }

    approval_buf_add(&buf, value.data, value.len);

    text.data = buf.data;
    text.len = buf.len;

    told = (buf.failed || masked->failed)
           ? NULL
           : ngx_http_approval_json_cut(&text, NGX_HTTP_APPROVAL_DECLARED_MATCH);

    approval_buf_wipe(&buf);

    return told;
}
