
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * "type json": Standard Webhooks 1.0, envelope and headers.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/channel.h"

#include "core/webhook.h"


static json_t *ngx_http_approval_webhook_data(
    const ngx_http_approval_content_t *c);
static json_t *ngx_http_approval_webhook_links(
    const approval_message_t *m);
static json_t *ngx_http_approval_webhook_str(approval_str_t text);
static ngx_int_t ngx_http_approval_webhook_header(ngx_pool_t *pool,
    ngx_array_t *headers, ngx_str_t *name, approval_str_t value);


/*
 * The members of the document that messages contain.  The names are those of
 * the approvers' API.  "reason" is the requester's claim.
 */

static const char  *ngx_http_approval_webhook_members[] = {
    "id", "policy", "policy_digest", "rule", "action", "risk", "summary",
    "requester", "on_behalf_of", "reason", "method", "host", "target",
    "query_hidden", "remote_addr", "traceparent", "digest", "headers",
    "content_type", "body", "body_bytes", "body_hidden", "body_declared",
    "show", "matched", "require", "deny_after", "execute_within"
};


static ngx_str_t  ngx_http_approval_webhook_id = ngx_string("webhook-id");
static ngx_str_t  ngx_http_approval_webhook_timestamp =
    ngx_string("webhook-timestamp");
static ngx_str_t  ngx_http_approval_webhook_signature =
    ngx_string("webhook-signature");


ngx_int_t
ngx_http_approval_webhook_body(const ngx_http_approval_content_t *c,
    approval_buf_t *out)
{
    json_t                    *message;
    ngx_int_t                  rc;
    const approval_message_t  *m = &c->message;

    message = json_pack("{s:o, s:o, s:o}",
                        "type", json_sprintf("approval.%s",
                                             approval_event_name(m->event)),
                        "timestamp", ngx_http_approval_json_time(
                                         m->event == APPROVAL_EVENT_REQUESTED
                                         ? m->created : m->told),
                        "data", ngx_http_approval_webhook_data(c));

    rc = (message && approval_json_canonical(message, out) == APPROVAL_OK
          && !out->failed)
         ? NGX_OK : NGX_ERROR;

    json_decref(message);

    return rc;
}


static json_t *
ngx_http_approval_webhook_data(const ngx_http_approval_content_t *c)
{
    json_t                    *data, *value;
    ngx_uint_t                 i, n;
    const char               **member;
    const approval_message_t  *m = &c->message;

    data = json_pack("{s:s, s:o, s:o, s:o, s:I, s:o}",
                     "state", approval_event_open(m->event)
                              ? "pending" : approval_event_name(m->event),
                     "channel", ngx_http_approval_json_str(&c->channel->name),
                     "created_at", ngx_http_approval_json_time(m->created),
                     "expires_at", ngx_http_approval_json_time(m->expires),
                     "recent", (json_int_t) m->recent,
                     "links", ngx_http_approval_webhook_links(m));

    member = ngx_http_approval_webhook_members;
    n = sizeof(ngx_http_approval_webhook_members) / sizeof(member[0]);

    for (i = 0; i < n; i++) {
        value = json_object_get(m->doc, member[i]);

        if (value && json_object_set(data, member[i], value) != 0) {
            goto failed;
        }
    }

    if (data == NULL
        || (m->code.len
            && json_object_set_new(data, "code",
                                   ngx_http_approval_webhook_str(m->code))
               != 0)
        || (m->head.len
            && json_object_set_new(data, "audit_head",
                                   ngx_http_approval_webhook_str(m->head))
               != 0)
        || (m->facts && json_object_update_missing(data, m->facts) != 0))
    {
        goto failed;
    }

    return data;

failed:

    json_decref(data);

    return NULL;
}


/*
 * A message for everyone has only the shared link, because whoever reads a
 * personal link can vote as its approver.
 */

static json_t *
ngx_http_approval_webhook_links(const approval_message_t *m)
{
    json_t  *links;

    links = m->approver.len
            ? json_pack("{s:o}", "approver",
                        ngx_http_approval_webhook_str(m->approver))
            : json_object();

    if (m->url.len
        && json_object_set_new(links, m->approver.len ? "url" : "action",
                               ngx_http_approval_webhook_str(m->url))
           != 0)
    {
        json_decref(links);
        return NULL;
    }

    return links;
}


static json_t *
ngx_http_approval_webhook_str(approval_str_t text)
{
    return json_stringn((char *) text.data, text.len);
}


ngx_int_t
ngx_http_approval_webhook_headers(ngx_pool_t *pool,
    ngx_http_approval_channel_t *channel, ngx_str_t *message_id,
    ngx_str_t *body, time_t now, ngx_array_t *headers)
{
    u_char          stamp[NGX_TIME_T_LEN];
    ngx_int_t       rc;
    ngx_str_t      *secret;
    ngx_uint_t      i;
    approval_buf_t  buf;
    approval_str_t  text;

    text.data = stamp;
    text.len = ngx_sprintf(stamp, "%T", now) - stamp;

    if (ngx_http_approval_webhook_header(pool, headers,
                                         &ngx_http_approval_webhook_id,
                                      ngx_http_approval_core_str(message_id))
        != NGX_OK
        || ngx_http_approval_webhook_header(pool, headers,
                                         &ngx_http_approval_webhook_timestamp,
                                            text)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (channel->secrets == NULL || channel->secrets->nelts == 0) {
        return NGX_OK;
    }

    rc = NGX_ERROR;
    secret = channel->secrets->elts;

    approval_buf_init(&buf);

    for (i = 0; i < channel->secrets->nelts; i++) {

        if (approval_webhook_sign(ngx_http_approval_core_str(&secret[i]),
                                  ngx_http_approval_core_str(message_id),
                                  now, ngx_http_approval_core_str(body), &buf)
            != APPROVAL_OK)
        {
            goto done;
        }
    }

    rc = ngx_http_approval_webhook_header(pool, headers,
                                          &ngx_http_approval_webhook_signature,
                                          approval_buf_str(&buf));

done:

    approval_buf_free(&buf);

    return rc;
}


static ngx_int_t
ngx_http_approval_webhook_header(ngx_pool_t *pool, ngx_array_t *headers,
    ngx_str_t *name, approval_str_t value)
{
    ngx_keyval_t  *kv;

    kv = ngx_array_push(headers);
    if (kv == NULL) {
        return NGX_ERROR;
    }

    kv->key = *name;
    kv->value.len = value.len;
    kv->value.data = ngx_pnalloc(pool, value.len);

    if (kv->value.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(kv->value.data, value.data, value.len);

    return NGX_OK;
}
