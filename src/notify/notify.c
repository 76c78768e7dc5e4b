
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/notify.h"

#include "audit/audit.h"
#include "model/link.h"
#include "notify/deliver.h"
#include "notify/sender.h"


/* Collects the people who may approve, each once. */

typedef struct {
    ngx_pool_t                    *pool;
    approval_people_t             *people;
    ngx_str_t                      requester;
    ngx_str_t                      on_behalf;
    ngx_array_t                    persons;     /* of ngx_str_t */
} ngx_http_approval_asked_t;


/* One "notify" or "escalate": recipients, time and carrier. */

typedef struct {
    ngx_http_approval_outbox_t    *outbox;
    ngx_http_approval_plan_t      *plan;        /* NULL: no "url" channel     */
    ngx_http_approval_rule_t      *rule;
    ngx_http_approval_asked_t      asked;
    u_char                         kind;
    ngx_msec_t                     due;
} ngx_http_approval_notify_t;


static ngx_int_t ngx_http_approval_notify_base(
    ngx_http_approval_outbox_t *outbox);
static ngx_int_t ngx_http_approval_notify_plan(
    ngx_http_approval_notify_t *ctx);
static ngx_int_t ngx_http_approval_notify_all(
    ngx_http_approval_notify_t *ctx);
static ngx_int_t ngx_http_approval_notify_channels(
    ngx_http_approval_notify_t *ctx, ngx_array_t *channels);
static ngx_int_t ngx_http_approval_notify_channel(
    ngx_http_approval_notify_t *ctx, ngx_http_approval_channel_t *channel);
static ngx_int_t ngx_http_approval_notify_add(
    ngx_http_approval_notify_t *ctx, ngx_http_approval_channel_t *channel,
    ngx_str_t *approver);
static ngx_int_t ngx_http_approval_notify_asked(
    ngx_http_approval_outbox_t *outbox, ngx_http_approval_rule_t *rule,
    ngx_http_approval_asked_t *asked);
static int ngx_http_approval_notify_person(void *data, approval_str_t person);
static void ngx_http_approval_notify_nobody(
    ngx_http_approval_outbox_t *outbox, ngx_http_approval_channel_t *channel);


ngx_int_t
ngx_http_approval_notify(ngx_http_request_t *r,
    ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_message_t *message)
{
    ngx_http_cleanup_t           *cln;
    ngx_http_approval_notify_t    ctx;
    ngx_http_approval_outbox_t   *outbox;

    if (message->rule->notify == NULL && message->rule->escalate == NULL) {
        return NGX_OK;
    }

    outbox = ngx_pcalloc(r->pool, sizeof(ngx_http_approval_outbox_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (outbox == NULL || cln == NULL) {
        goto failed;
    }

    outbox->request = r;
    outbox->mcf = mcf;
    ngx_memcpy(outbox->id, message->id, APPROVAL_ID_LEN);

    outbox->told.event = APPROVAL_EVENT_REQUESTED;
    outbox->told.id = outbox->id;
    outbox->told.created = message->created;
    outbox->told.expires = message->expires;
    outbox->told.recent = message->recent;

    /* Both are times of Redis, from which this worker's clock may differ. */

    outbox->deadline = ngx_current_msec;

    if (message->expires > message->created) {
        outbox->deadline += (ngx_msec_t) (message->expires - message->created);
    }

    outbox->told.doc = json_incref(message->doc);

    cln->handler = ngx_http_approval_deliver_cleanup;
    cln->data = outbox;

    if (ngx_array_init(&outbox->deliveries, r->pool, 4,
                       sizeof(ngx_http_approval_delivery_t))
        != NGX_OK)
    {
        goto failed;
    }

    ngx_memzero(&ctx, sizeof(ngx_http_approval_notify_t));

    ctx.outbox = outbox;
    ctx.rule = message->rule;

    if (ngx_http_approval_notify_base(outbox) != NGX_OK
        || ngx_http_approval_notify_plan(&ctx) != NGX_OK
        || ngx_http_approval_notify_all(&ctx) != NGX_OK)
    {
        goto failed;
    }

    if (ctx.plan) {
        ngx_http_approval_plan_send(ctx.plan);
    }

    ngx_http_approval_deliver_start(outbox);

    return NGX_OK;

failed:

    ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(r), 0,
                  "approval: channels are not notified of action %*s: no "
                  "memory",
                  (size_t) APPROVAL_ID_LEN, message->id);

    return NGX_ERROR;
}


/* Evaluated while the request exists; some messages outlive it. */

static ngx_int_t
ngx_http_approval_notify_base(ngx_http_approval_outbox_t *outbox)
{
    ngx_int_t  rc;

    rc = ngx_http_approval_link_base(outbox->request, outbox->mcf,
                                     &outbox->told.base);

    if (rc == NGX_DECLINED) {
        ngx_str_null(&outbox->told.base);
        rc = NGX_OK;
    }

    return rc;
}


static ngx_int_t
ngx_http_approval_notify_plan(ngx_http_approval_notify_t *ctx)
{
    ngx_http_approval_outbox_t  *outbox;

    outbox = ctx->outbox;

    if (outbox->mcf->worker->sender == NULL) {
        return NGX_OK;
    }

    ctx->plan = ngx_http_approval_plan_create(outbox->mcf->worker->sender,
                                              &outbox->told);

    return ctx->plan ? NGX_OK : NGX_ERROR;
}


/* After an error, the messages that were planned before it are still sent. */

static ngx_int_t
ngx_http_approval_notify_all(ngx_http_approval_notify_t *ctx)
{
    ngx_int_t                      rc;
    ngx_uint_t                     i;
    ngx_http_approval_rule_t      *rule;
    ngx_http_approval_escalate_t  *escalate;

    rule = ctx->rule;

    ctx->kind = NGX_HTTP_APPROVAL_KIND_MESSAGE;
    ctx->due = 0;

    rc = ngx_http_approval_notify_channels(ctx, rule->notify);

    if (rc == NGX_OK && rule->remind) {
        ctx->kind = NGX_HTTP_APPROVAL_KIND_REMIND;
        ctx->due = rule->remind;

        rc = ngx_http_approval_notify_channels(ctx, rule->notify);
    }

    if (rc == NGX_OK && rule->escalate) {
        escalate = rule->escalate->elts;
        ctx->kind = NGX_HTTP_APPROVAL_KIND_ESCALATE;

        for (i = 0; rc == NGX_OK && i < rule->escalate->nelts; i++) {
            ctx->due = escalate[i].after;

            rc = ngx_http_approval_notify_channels(ctx, escalate[i].channels);
        }
    }

    if (rc != NGX_OK && ctx->plan) {
        ngx_http_approval_plan_send(ctx->plan);
    }

    return rc;
}


static ngx_int_t
ngx_http_approval_notify_channels(ngx_http_approval_notify_t *ctx,
    ngx_array_t *channels)
{
    ngx_uint_t                     i;
    ngx_http_approval_channel_t  **channel;

    if (channels == NULL) {
        return NGX_OK;
    }

    channel = channels->elts;

    for (i = 0; i < channels->nelts; i++) {

        if (channel[i]->per_approver && ctx->asked.pool == NULL
            && ngx_http_approval_notify_asked(ctx->outbox, ctx->rule,
                                              &ctx->asked)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_http_approval_notify_channel(ctx, channel[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_notify_channel(ngx_http_approval_notify_t *ctx,
    ngx_http_approval_channel_t *channel)
{
    ngx_str_t   *person, all;
    ngx_uint_t   i;

    if (!channel->per_approver) {
        ngx_str_null(&all);
        return ngx_http_approval_notify_add(ctx, channel, &all);
    }

    if (ctx->asked.persons.nelts == 0) {

        if (ctx->kind == NGX_HTTP_APPROVAL_KIND_MESSAGE) {
            ngx_http_approval_notify_nobody(ctx->outbox, channel);
        }

        return NGX_OK;
    }

    person = ctx->asked.persons.elts;

    for (i = 0; i < ctx->asked.persons.nelts; i++) {
        if (ngx_http_approval_notify_add(ctx, channel, &person[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_notify_add(ngx_http_approval_notify_t *ctx,
    ngx_http_approval_channel_t *channel, ngx_str_t *approver)
{
    ngx_http_approval_delivery_t  *d;

    if (!ngx_http_approval_told_of(channel, ctx->kind
                                            == NGX_HTTP_APPROVAL_KIND_REMIND
                                            ? APPROVAL_EVENT_REMINDER
                                            : APPROVAL_EVENT_REQUESTED))
    {
        return NGX_OK;
    }

    if (channel->url) {

        if (ctx->plan == NULL) {
            return NGX_ERROR;
        }

        return ngx_http_approval_plan_add(ctx->plan, ctx->kind, channel,
                                          approver, ctx->due,
                          ctx->kind == NGX_HTTP_APPROVAL_KIND_REMIND
                          ? ctx->rule->remind : 0);
    }

    d = ngx_array_push(&ctx->outbox->deliveries);
    if (d == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(d, sizeof(ngx_http_approval_delivery_t));

    d->outbox = ctx->outbox;
    d->channel = channel;
    d->approver = *approver;
    d->due = ctx->due;

    switch (ctx->kind) {

    case NGX_HTTP_APPROVAL_KIND_REMIND:
        d->event = APPROVAL_EVENT_REMINDER;
        d->again = ctx->rule->remind;
        break;

    case NGX_HTTP_APPROVAL_KIND_ESCALATE:
        d->event = APPROVAL_EVENT_ESCALATED;
        break;

    default:
        d->event = APPROVAL_EVENT_REQUESTED;
        break;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_notify_asked(ngx_http_approval_outbox_t *outbox,
    ngx_http_approval_rule_t *rule, ngx_http_approval_asked_t *asked)
{
    ngx_int_t                    *group;
    ngx_uint_t                    i, n;
    ngx_http_approval_require_t  *require;

    asked->pool = outbox->request->pool;
    asked->people = outbox->mcf->people;
    asked->requester = ngx_http_approval_json_get(outbox->told.doc,
                                                  "requester");
    asked->on_behalf = ngx_http_approval_json_get(outbox->told.doc,
                                                  "on_behalf_of");

    if (ngx_array_init(&asked->persons, asked->pool, 8, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (rule->requires == NULL || asked->people == NULL) {
        return NGX_OK;
    }

    require = rule->requires->elts;

    for (i = 0; i < rule->requires->nelts; i++) {
        group = require[i].groups.elts;

        for (n = 0; n < require[i].groups.nelts; n++) {
            if (approval_people_each(asked->people, (int) group[n],
                                     ngx_http_approval_notify_person, asked)
                != APPROVAL_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static int
ngx_http_approval_notify_person(void *data, approval_str_t person)
{
    ngx_http_approval_asked_t *asked = data;

    ngx_str_t   *p;
    ngx_uint_t   i;

    if (approval_people_same(asked->people, person,
                             ngx_http_approval_core_str(&asked->requester))
        || approval_people_same(asked->people, person,
                              ngx_http_approval_core_str(&asked->on_behalf)))
    {
        return APPROVAL_OK;
    }

    p = asked->persons.elts;

    for (i = 0; i < asked->persons.nelts; i++) {
        if (approval_str_eq(person, ngx_http_approval_core_str(&p[i]))) {
            return APPROVAL_OK;
        }
    }

    p = ngx_array_push(&asked->persons);
    if (p == NULL) {
        return APPROVAL_ERROR;
    }

    p->len = person.len;
    p->data = ngx_pnalloc(asked->pool, person.len);

    if (p->data == NULL) {
        asked->persons.nelts--;
        return APPROVAL_ERROR;
    }

    ngx_memcpy(p->data, person.data, person.len);

    return APPROVAL_OK;
}


static void
ngx_http_approval_notify_nobody(ngx_http_approval_outbox_t *outbox,
    ngx_http_approval_channel_t *channel)
{
    json_t  *fields;

    static const char  why[] = "nobody except the requester may approve";

    ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(outbox->request), 0,
                  "approval: channel \"%V\" was not notified of action %*s: "
                  "%s; add members to the groups that the rule requires",
                  &channel->name, (size_t) APPROVAL_ID_LEN, outbox->id, why);

    fields = json_object();

    if (fields) {
        (void) json_object_set_new(fields, "channel",
                                   ngx_http_approval_json_str(&channel->name));
        (void) json_object_set_new(fields, "attempt", json_integer(0));
        (void) json_object_set_new(fields, "status", json_integer(0));
        (void) json_object_set_new(fields, "final", json_true());
        (void) json_object_set_new(fields, "error", json_string(why));
    }

    (void) ngx_http_approval_audit(outbox->mcf, APPROVAL_RECORD_NOTIFY_FAILED,
                                   outbox->id, fields);
}


void
ngx_http_approval_notify_stop(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    for (cln = r->main->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_approval_deliver_cleanup) {
            ngx_http_approval_deliver_stop(cln->data);
        }
    }
}


ngx_uint_t
ngx_http_approval_notify_own(ngx_http_request_t *r)
{
    return ngx_http_approval_pass_own(r);
}


ngx_int_t
ngx_http_approval_notify_guard(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_approval_delivery_t  *d;

    d = ngx_http_approval_pass_find(r);

    if (d == NULL) {
        return NGX_DECLINED;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->internal && ngx_http_approval_pass_own(r)) {
        return NGX_DECLINED;
    }

    d->refused = clcf->internal
                 ? "its response is an X-Accel-Redirect, or its location "
                   "redirects: add \"proxy_ignore_headers X-Accel-Redirect\" "
                   "to it"
                 : "\"pass\" is not an internal location of this server: add "
                   "\"location = URI { internal; proxy_pass ...; }\" to it";

    return NGX_HTTP_NOT_FOUND;
}
