
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Identifies the requester and reads the reason.  A request needs an identity,
 * so that its requester can be kept from approving it, and a reason if the rule
 * requires one.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/judge/internal.h"

#include "core/escape.h"


static ngx_int_t ngx_http_approval_identify_known(
    ngx_http_approval_look_t *look, ngx_http_approval_verdict_t *verdict);
static ngx_int_t ngx_http_approval_identify_one(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, ngx_str_t *value,
    ngx_http_approval_verdict_t *verdict);


ngx_int_t
ngx_http_approval_identify(ngx_http_approval_look_t *look,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_verdict_t *verdict)
{
    ngx_int_t                      rc;
    ngx_http_approval_identity_t  *who;

    who = &verdict->who;

    ngx_memzero(who, sizeof(ngx_http_approval_identity_t));

    /* with two readings, the upstream might see another person */

    rc = lcf->requester
         ? ngx_http_approval_identify_one(look, lcf->requester,
                                          &who->requester, verdict)
         : NGX_OK;

    if (rc == NGX_OK) {
        rc = ngx_http_approval_identify_one(look, lcf->on_behalf,
                                            &who->on_behalf, verdict);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_approval_read_text(look, lcf->reason, &who->reason)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* an invalid identity could not be kept from approving */

    rc = ngx_http_approval_identify_person(look->request, &who->requester,
                                           &who->person);

    if (rc == NGX_OK && who->on_behalf.len) {
        rc = ngx_http_approval_identify_person(look->request, &who->on_behalf,
                                               &who->on_behalf_person);
    }

    if (rc != NGX_OK) {
        verdict->refusal = NGX_HTTP_APPROVAL_REFUSE_IDENTITY;
        return rc;
    }

    if (verdict->rule->reason
        && approval_blank(ngx_http_approval_core_str(&who->reason)))
    {
        verdict->refusal = NGX_HTTP_APPROVAL_REFUSE_REASON;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_identify_hold(ngx_http_approval_hold_t *hold)
{
    ngx_int_t                      rc;
    ngx_str_t                      per;
    ngx_uint_t                     i;
    ngx_http_approval_fact_t      *limits[2];
    ngx_http_approval_look_t       look;
    ngx_http_approval_verdict_t   *verdict;

    verdict = ngx_http_approval_verdict(hold);

    if (ngx_http_approval_captures(hold) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_approval_look(&look, hold->request, hold->body,
                           verdict->captures);

    rc = ngx_http_approval_identify(&look, hold->lcf, verdict);

    /* a grant or a limit needs a value that all servers read alike */

    if (rc == NGX_OK && verdict->rule->remember) {
        rc = ngx_http_approval_identify_one(&look, verdict->rule->remember_per,
                                            &verdict->remember, verdict);
    }

    limits[0] = hold->lcf->max_pending.per;
    limits[1] = hold->lcf->max_prompts.per;

    for (i = 0; rc == NGX_OK && i < 2; i++) {
        if (limits[i]) {
            rc = ngx_http_approval_identify_one(&look, limits[i], &per,
                                                verdict);
        }
    }

    return (rc == NGX_OK) ? ngx_http_approval_identify_known(&look, verdict)
                          : rc;
}


void
ngx_http_approval_identify_record(ngx_http_approval_hold_t *hold)
{
    ngx_str_t                 *requester;
    ngx_http_approval_look_t   look;

    requester = &ngx_http_approval_verdict(hold)->who.requester;

    if (requester->len || hold->lcf->requester == NULL) {
        return;
    }

    ngx_http_approval_look(&look, hold->request, hold->body,
                           hold->verdict->captures);

    if (ngx_http_approval_read_text(&look, hold->lcf->requester, requester)
        != NGX_OK)
    {
        ngx_str_null(requester);
    }
}


/* A value whose readings are unknown can be neither shown nor bound. */

static ngx_int_t
ngx_http_approval_identify_known(ngx_http_approval_look_t *look,
    ngx_http_approval_verdict_t *verdict)
{
    ngx_uint_t                  i;
    approval_readings_t        *rs;
    ngx_http_approval_fact_t  **facts;

    facts = verdict->rule->facts.elts;

    for (i = 0; i < verdict->rule->facts.nelts; i++) {

        if (facts[i]->inputs) {
            continue;
        }

        rs = ngx_http_approval_read(look, facts[i]);

        if (rs == NULL) {
            return NGX_ERROR;
        }

        if (approval_readings_doubt(rs) == NULL
            || rs->code == NGX_HTTP_APPROVAL_BODY_LARGE
            || (rs->code == NGX_HTTP_APPROVAL_BODY_INVALID
                && ngx_http_approval_body_foreign(look->request, look->body)))
        {
            continue;
        }

        verdict->refusal = ngx_http_approval_judge_unread(facts[i]);
        verdict->why = ngx_http_approval_tell_readings(look, verdict->rule,
                                                       facts[i]);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* Reads an identity, or the value of a grant or limit: one reading only. */

static ngx_int_t
ngx_http_approval_identify_one(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, ngx_str_t *value,
    ngx_http_approval_verdict_t *verdict)
{
    ngx_int_t                  rc;
    ngx_http_approval_fact_t  *differs;

    rc = ngx_http_approval_read_one(look, fact, value);

    if (rc == NGX_DECLINED) {
        differs = ngx_http_approval_read_differs(look, fact);

        verdict->refusal = ngx_http_approval_judge_refusal(differs);
        verdict->why = ngx_http_approval_tell_readings(look, verdict->rule,
                                                       differs);
    }

    return rc;
}


ngx_int_t
ngx_http_approval_identify_person(ngx_http_request_t *r, ngx_str_t *identity,
    ngx_str_t *person)
{
    int                             rc;
    ngx_str_t                       value;
    const char                     *err;
    approval_buf_t                  buf;
    ngx_http_approval_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);

    approval_buf_init(&buf);

    rc = approval_people_person(mcf->people,
                                ngx_http_approval_core_str(identity), &buf,
                                &err);
    if (rc == APPROVAL_OK) {
        value.data = buf.data;
        value.len = buf.len;

        person->len = value.len;
        person->data = ngx_pstrdup(r->pool, &value);

        rc = person->data ? APPROVAL_OK : APPROVAL_ERROR;
    }

    approval_buf_free(&buf);

    return (rc == APPROVAL_OK) ? NGX_OK
                               : (rc == APPROVAL_ERROR) ? NGX_ERROR
                                                        : NGX_DECLINED;
}
