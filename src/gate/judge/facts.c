
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The facts that all records of a request contain.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


#define NGX_HTTP_APPROVAL_SHOWN_TLS  1024


/* The facts for any record of this hold. */

json_t *
ngx_http_approval_facts(ngx_http_approval_hold_t *hold)
{
    json_t                             *facts;
    ngx_str_t                           digest;
    ngx_http_request_t                 *r;
    ngx_http_approval_rule_t           *rule;
    ngx_http_approval_policy_t         *policy;
    const ngx_http_approval_verdict_t  *verdict;

    r = hold->request;
    verdict = hold->verdict;
    rule = verdict->rule;
    policy = hold->lcf->policy;

    facts = json_pack("{s:o, s:o, s:o, s:o, s:o}",
                      "policy", ngx_http_approval_json_str(&policy->name),
                      "policy_digest",
                      ngx_http_approval_json_str(&policy->digest),
                      "requester",
                      ngx_http_approval_json_str(&verdict->who.requester),
                      "remote_addr",
                      ngx_http_approval_json_str(&r->connection->addr_text),
                      "method", ngx_http_approval_json_str(&verdict->method));

    if (facts == NULL) {
        return NULL;
    }

    if (rule) {
        json_object_set_new(facts, "rule",
                            ngx_http_approval_json_str(&rule->name));
        json_object_set_new(facts, "action",
                            ngx_http_approval_json_str(&rule->action));
    }

    if (ngx_http_approval_hold_stored(hold)) {
        json_object_set_new(facts, "id", json_stringn((char *) hold->action.id,
                                                      APPROVAL_ID_LEN));
    }

    if (hold->action.digest[0]) {
        digest.len = APPROVAL_DIGEST_LEN;
        digest.data = (u_char *) hold->action.digest;

        json_object_set_new(facts, "digest",
                            ngx_http_approval_json_str(&digest));
    }

    if (hold->grant.len) {
        json_object_set_new(facts, "grant",
                            ngx_http_approval_json_str(&hold->grant));
        json_object_set_new(facts, "use", json_integer(hold->used));
    }

    if (hold->action.approvers.len) {
        json_object_set_new(facts, "approvers",
                            ngx_http_approval_json_str(&hold->action.approvers));
    }

    return facts;
}


/* The client certificate, and whether nginx could verify it. */

ngx_int_t
ngx_http_approval_facts_tls(ngx_http_request_t *r, json_t *doc)
{
#if (NGX_HTTP_SSL)

    ngx_str_t          subject, verify;
    ngx_connection_t  *c;

    c = r->connection;

    if (c->ssl == NULL) {
        return NGX_OK;
    }

    if (ngx_ssl_get_subject_dn(c, r->pool, &subject) != NGX_OK
        || ngx_ssl_get_client_verify(c, r->pool, &verify) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (subject.len == 0) {
        return NGX_OK;
    }

    return json_object_set_new(doc, "tls_client",
               json_pack("{s:o, s:o}",
                         "subject",
                         ngx_http_approval_json_cut(&subject,
                                           NGX_HTTP_APPROVAL_SHOWN_TLS),
                         "verify",
                         ngx_http_approval_json_cut(&verify,
                                           NGX_HTTP_APPROVAL_SHOWN_TLS)))
           == 0 ? NGX_OK : NGX_ERROR;

#else

    return NGX_OK;

#endif
}


/* The target, redacted; NULL: no memory. */

json_t *
ngx_http_approval_facts_target(approval_redact_t *redact, ngx_str_t *target)
{
    json_t          *value;
    ngx_str_t        text;
    approval_buf_t   buf;

    approval_buf_init(&buf);

    value = NULL;

    if (approval_redact_target(redact, ngx_http_approval_core_str(target),
                               &buf)
        == APPROVAL_OK
        && !buf.failed)
    {
        text.data = buf.data;
        text.len = buf.len;

        value = ngx_http_approval_json_str(&text);
    }

    approval_buf_free(&buf);

    return value;
}


/* Adds host and target; without "query" only the length of the query. */

ngx_int_t
ngx_http_approval_facts_where(ngx_http_request_t *r,
    approval_redact_t *redact, ngx_uint_t query, json_t *doc)
{
    size_t     hidden;
    ngx_str_t  host, target;

    ngx_str_null(&host);

    if (r->headers_in.host) {
        host = r->headers_in.host->value;
    }

    target = query ? r->unparsed_uri : ngx_http_approval_target_bare(r);
    hidden = r->unparsed_uri.len - target.len;
    hidden -= (hidden != 0);

    return (json_object_set_new(doc, "host",
                                ngx_http_approval_json_cut(&host, 255))
            == 0
            && json_object_set_new(doc, "target",
                            ngx_http_approval_facts_target(redact, &target))
               == 0
            && json_object_set_new(doc, "query_hidden",
                                   json_integer((json_int_t) hidden))
               == 0)
           ? NGX_OK : NGX_ERROR;
}


/* Adds the facts that are otherwise in the action's document. */

ngx_int_t
ngx_http_approval_facts_brief(ngx_http_request_t *r,
    ngx_http_approval_loc_conf_t *lcf, ngx_http_approval_rule_t *rule,
    json_t *doc)
{
    ngx_str_t                       on_behalf;
    approval_redact_t              *redact;
    ngx_http_approval_look_t        look;
    ngx_http_approval_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);
    redact = rule ? rule->redact : mcf->redact;

    /* without an action there is no key for tags */

    approval_redact_key(redact, approval_str(""));

    ngx_str_null(&on_behalf);

    ngx_http_approval_look(&look, r, NULL, NULL);

    if ((lcf->on_behalf
         && ngx_http_approval_read_text(&look, lcf->on_behalf, &on_behalf)
            != NGX_OK)
        || (on_behalf.len
            && json_object_set_new(doc, "on_behalf_of",
                                   ngx_http_approval_json_shown(redact, NULL,
                                                         &on_behalf, 1024))
               != 0)
        || json_object_set_new(doc, "remote_addr",
                      ngx_http_approval_json_str(&r->connection->addr_text))
           != 0)
    {
        return NGX_ERROR;
    }

    return ngx_http_approval_facts_tls(r, doc) == NGX_OK
           ? ngx_http_approval_facts_where(r, redact, 0, doc) : NGX_ERROR;
}
