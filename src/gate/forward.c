
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The approved request, on its way to the upstream.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"
#include "notify/notify.h"

#include "model/problem.h"


static ngx_int_t ngx_http_approval_forward_again(ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_header_push(ngx_http_request_t *r,
    const char *name, const char *lowcase, ngx_str_t *value);


ngx_int_t
ngx_http_approval_forward(ngx_http_approval_hold_t *hold)
{
    ngx_str_t            id, digest;
    ngx_http_request_t  *r;

    r = hold->request;

    id.data = hold->id;
    id.len = APPROVAL_ID_LEN;

    digest.data = (u_char *) hold->digest;
    digest.len = APPROVAL_DIGEST_LEN;

    if (ngx_http_approval_strip(r) != NGX_OK
        || ngx_http_approval_header_push(r, "Approval-Id", "approval-id", &id)
           != NGX_OK
        || ngx_http_approval_header_push(r, "Approval-By", "approval-by",
                                         &hold->approvers)
           != NGX_OK
        || ngx_http_approval_header_push(r, "Approval-Digest",
                                         "approval-digest", &digest)
           != NGX_OK
        || ngx_http_approval_header_push(r, "Approval-Receipt",
                                         "approval-receipt", &hold->receipt)
           != NGX_OK
        || ngx_http_approval_header(r, "Approval-Id",
                                    ngx_http_approval_core_str(&id))
           != NGX_OK
        || ngx_http_approval_header(r, "Approval-Status",
                                    approval_str("approved"))
           != NGX_OK
        || ngx_http_approval_progress_resume(hold) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The decision is durably on record before the first byte goes upstream; if it
 * cannot be, the request is refused, and its approval is spent.
 */

ngx_int_t
ngx_http_approval_forward_record(ngx_http_approval_hold_t *hold)
{
    json_t  *facts;

    if (hold->wake.timer_set) {
        ngx_del_timer(&hold->wake);
    }

    ngx_http_approval_hold_unwatch(hold);

    facts = ngx_http_approval_facts(hold);

    if (facts
        && json_object_set_new(facts, "decision",
                               ngx_http_approval_json_str(&hold->receipt))
           == 0)
    {
        if (hold->grant.len) {
            (void) ngx_http_approval_facts_brief(hold->request, hold->lcf,
                                                 hold->rule, facts);
            json_object_set_new(facts, "why",
                                json_string("grant: approved before, and "
                                            "remembered"));
        } else {
            ngx_http_approval_notify_outcome(hold->mcf, hold->id,
                                             NGX_HTTP_APPROVAL_APPROVED,
                                             facts);
        }

        if (ngx_http_approval_audit(hold->mcf, "approved", hold->id, facts)
            == NGX_OK)
        {
            return NGX_OK;
        }

    } else {
        json_decref(facts);
    }

    ngx_http_approval_forward_fail(hold);

    return NGX_ERROR;
}


/* Consumed, and not executed: nobody else may execute it either. */

void
ngx_http_approval_forward_fail(ngx_http_approval_hold_t *hold)
{
    json_t  *facts;

    ngx_http_approval_forward_close(hold,
                                    "the audit trail failed: not executed");

    facts = ngx_http_approval_facts(hold);

    if (facts
        && json_object_set_new(facts, "why",
                               json_string("the approval could not be put on "
                                           "record: not executed"))
           == 0)
    {
        if (hold->grant.len == 0) {
            ngx_http_approval_notify_outcome(hold->mcf, hold->id,
                                             NGX_HTTP_APPROVAL_FAILED, facts);
        }

        (void) ngx_http_approval_audit(hold->mcf, "failed", hold->id, facts);

    } else {
        json_decref(facts);
    }
}


/*
 * One approval, one execution, whatever proxy_next_upstream says: to the next
 * server nginx goes only where none before it was sent the request.
 */

void
ngx_http_approval_forward_once(ngx_http_request_t *r)
{
    if (r->upstream && r->upstream->reinit_request) {
        r->upstream->reinit_request = ngx_http_approval_forward_again;
    }
}


static ngx_int_t
ngx_http_approval_forward_again(ngx_http_request_t *r)
{
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "an approved request is not sent to the next upstream: the "
                  "one before may have executed it");

    return NGX_ERROR;
}


/* Ends the action as failed in Redis; "why" needs no escaping in JSON. */

void
ngx_http_approval_forward_close(ngx_http_approval_hold_t *hold,
    const char *why)
{
    u_char                   buf[128];
    ngx_str_t                outcome;
    ngx_http_approval_op_t  *op;

    outcome.data = buf;
    outcome.len = ngx_snprintf(buf, sizeof(buf), "{\"why\":\"%s\"}", why)
                  - buf;

    /* the action of a grant ended long ago */

    op = hold->mcf->store && hold->grant.len == 0
         ? ngx_http_approval_store_finish(hold->mcf->store, hold->id,
                                          NGX_HTTP_APPROVAL_FAILED, &outcome,
                                          NULL, NULL)
         : NULL;

    if (op) {
        ngx_http_approval_store_forget(op);
    }

    hold->consumed = 0;
    hold->action_state = NGX_HTTP_APPROVAL_FAILED;
}


/*
 * Removes Approval-* from the request: they are ours to send. Elements that
 * headers_in points to must not move, so the list is built anew and the old
 * one stays where it is.
 */

ngx_int_t
ngx_http_approval_strip(ngx_http_request_t *r)
{
    if (ngx_http_approval_ticket_keep(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_approval_headers_drop(r, ngx_http_approval_header_ours);
}


ngx_int_t
ngx_http_approval_headers_drop(ngx_http_request_t *r,
    ngx_uint_t (*drop)(ngx_str_t *name))
{
    ngx_list_t        list;
    ngx_uint_t        i, found;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *copy;

    found = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            found |= drop(&h[i].key);
        }
    }

    if (!found) {
        return NGX_OK;
    }

    if (ngx_list_init(&list, r->pool, 16, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (drop(&h[i].key)) {
                continue;
            }

            copy = ngx_list_push(&list);
            if (copy == NULL) {
                return NGX_ERROR;
            }

            *copy = h[i];
        }
    }

    r->headers_in.headers = list;

    /* a list in the making has its last part inside itself */

    if (list.last == &list.part) {
        r->headers_in.headers.last = &r->headers_in.headers.part;
    }

    return NGX_OK;
}


/*
 * With an underscore, or anything else that is no letter, it is the same to
 * whatever reads it as HTTP_APPROVAL_.
 */

ngx_uint_t
ngx_http_approval_header_ours(ngx_str_t *name)
{
    u_char  c;

    if (name->len < 10) {
        return 0;
    }

    c = ngx_tolower(name->data[8]);

    return !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9')
           && ngx_strncasecmp(name->data, (u_char *) "approval", 8) == 0;
}


/* Of an answer that goes into a stream whose header was sent. */

ngx_uint_t
ngx_http_approval_header_encoding(ngx_str_t *name)
{
    return name->len == sizeof("accept-encoding") - 1
           && ngx_strncasecmp(name->data, (u_char *) "accept-encoding",
                              name->len)
              == 0;
}


static ngx_int_t
ngx_http_approval_header_push(ngx_http_request_t *r, const char *name,
    const char *lowcase, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    if (value->len == 0) {
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key.len = ngx_strlen(name);
    h->key.data = (u_char *) name;
    h->lowcase_key = (u_char *) lowcase;
    h->hash = ngx_hash_key(h->lowcase_key, h->key.len);
    h->value = *value;

    return NGX_OK;
}


/* Is it of that (lower-case) name, also to those who see dashes as "_"? */

ngx_uint_t
ngx_http_approval_header_is(ngx_table_elt_t *h, ngx_str_t *name)
{
    u_char      c;
    ngx_uint_t  i;

    if (h->key.len != name->len) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        c = h->lowcase_key[i];

        if (c != name->data[i] && (c != '_' || name->data[i] != '-')) {
            return 0;
        }
    }

    return 1;
}


/* The first header of that (lower-case) name; NGX_DECLINED: absent. */

ngx_int_t
ngx_http_approval_header_in(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_memcmp(h[i].lowcase_key, name, len) == 0)
            {
                *value = h[i].value;
                return NGX_OK;
            }
        }
    }

    return NGX_DECLINED;
}
