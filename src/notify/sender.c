
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/sender.h"

#include "notify/notify.h"


#define NGX_HTTP_APPROVAL_SENDER_POLL     1000
#define NGX_HTTP_APPROVAL_SENDER_MORE     20      /* ms, if more may be due */
#define NGX_HTTP_APPROVAL_SENDER_BATCH    16
#define NGX_HTTP_APPROVAL_SENDER_OUTCOME  600000  /* ms, of retries         */
#define NGX_HTTP_APPROVAL_SENDER_STRANGE  10      /* claims, see below      */
#define NGX_HTTP_APPROVAL_SENDER_BACK     2000    /* ms, on average         */


static void ngx_http_approval_sender_poll(ngx_event_t *ev);
static void ngx_http_approval_sender_polled(void *data,
    const ngx_http_approval_claim_t *claim);
static ngx_uint_t ngx_http_approval_sender_crowded(
    ngx_http_approval_sender_t *sender,
    const ngx_http_approval_claim_t *claim, json_t *payload);
static void ngx_http_approval_sender_strange(
    ngx_http_approval_sender_t *sender,
    const ngx_http_approval_claim_t *claim);
static ngx_int_t ngx_http_approval_sender_take(
    ngx_http_approval_sender_t *sender,
    const ngx_http_approval_claim_t *claim, json_t *payload,
    ngx_http_approval_told_t *told);
static ngx_int_t ngx_http_approval_sender_event(
    const ngx_http_approval_claim_t *claim, approval_event_e *event);
static json_t *ngx_http_approval_sender_open(
    ngx_http_approval_sender_t *sender, u_char *id, const ngx_str_t *sealed);
static ngx_http_approval_channel_t *ngx_http_approval_sender_channel(
    ngx_http_approval_sender_t *sender, ngx_str_t *name);
static ngx_int_t ngx_http_approval_outcome_facts(
    ngx_http_approval_main_conf_t *mcf, u_char *id, json_t *facts,
    approval_buf_t *out);


ngx_http_approval_sender_t *
ngx_http_approval_sender_create(ngx_http_approval_main_conf_t *mcf,
    ngx_resolver_t *resolver, ngx_msec_t resolver_timeout, ngx_log_t *log)
{
    ngx_uint_t                     i, n;
    ngx_http_approval_sender_t    *sender;
    ngx_http_approval_channel_t  **channel;

    sender = ngx_calloc(sizeof(ngx_http_approval_sender_t), log);
    if (sender == NULL) {
        return NULL;
    }

    sender->mcf = mcf;
    sender->log = log;

    ngx_queue_init(&sender->letters);

    sender->http = ngx_http_approval_http_create(resolver, resolver_timeout,
                                                 log);
    if (sender->http == NULL) {
        ngx_free(sender);
        return NULL;
    }

    n = 0;
    channel = mcf->channels.elts;

    for (i = 0; i < mcf->channels.nelts; i++) {
        if (channel[i]->url) {
            n++;
            sender->lease = ngx_max(sender->lease,
                                ngx_http_approval_sender_lease(channel[i]));
        }
    }

    sender->one = NGX_HTTP_APPROVAL_SENDER_QUEUE / ngx_max(n, 1);
    sender->one = ngx_min(sender->one, NGX_HTTP_APPROVAL_SENDER_ONE);
    sender->one = ngx_max(sender->one, NGX_HTTP_APPROVAL_SENDER_LEAST);

    sender->poll.handler = ngx_http_approval_sender_poll;
    sender->poll.data = sender;
    sender->poll.log = log;
    sender->poll.cancelable = 1;

    ngx_add_timer(&sender->poll, NGX_HTTP_APPROVAL_SENDER_POLL);

    return sender;
}


void
ngx_http_approval_sender_destroy(ngx_http_approval_sender_t *sender)
{
    ngx_queue_t  *q;

    if (sender->poll.timer_set) {
        ngx_del_timer(&sender->poll);
    }

    while (!ngx_queue_empty(&sender->letters)) {
        q = ngx_queue_head(&sender->letters);
        ngx_http_approval_letter_free(ngx_http_approval_letter_of(q));
    }

    ngx_http_approval_http_destroy(sender->http);

    ngx_free(sender);
}


ngx_msec_t
ngx_http_approval_sender_lease(ngx_http_approval_channel_t *channel)
{
    return channel->timeout + NGX_HTTP_APPROVAL_SENDER_GRACE;
}


static void
ngx_http_approval_sender_poll(ngx_event_t *ev)
{
    ngx_msec_t                   delay;
    ngx_uint_t                   room;
    ngx_http_approval_sender_t  *sender = ev->data;

    delay = NGX_HTTP_APPROVAL_SENDER_POLL * 3 / 4;
    delay += (ngx_msec_t) ngx_random() % (NGX_HTTP_APPROVAL_SENDER_POLL / 2);

    ngx_add_timer(ev, delay);

    if (sender->asking || ngx_exiting
        || sender->active >= NGX_HTTP_APPROVAL_SENDER_QUEUE
        || sender->mcf->worker->store == NULL
        || !ngx_http_approval_store_ready(sender->mcf->worker->store))
    {
        return;
    }

    room = NGX_HTTP_APPROVAL_SENDER_QUEUE - sender->active;

    if (ngx_http_approval_queue_claim(sender->mcf->worker->store,
                                      ngx_min(room,
                                          NGX_HTTP_APPROVAL_SENDER_BATCH),
                                      sender->lease,
                                      ngx_http_approval_sender_polled, sender)
        == NGX_OK)
    {
        sender->asking = 1;
    }
}


static void
ngx_http_approval_sender_polled(void *data,
    const ngx_http_approval_claim_t *claim)
{
    ngx_http_approval_sender_t *sender = data;

    if (claim == NULL) {
        sender->asking = 0;
        return;
    }

    ngx_http_approval_sender_claimed(data, claim);

    if (sender->poll.timer_set) {
        ngx_del_timer(&sender->poll);
        ngx_add_timer(&sender->poll, NGX_HTTP_APPROVAL_SENDER_MORE);
    }
}


void
ngx_http_approval_sender_claimed(void *data,
    const ngx_http_approval_claim_t *claim)
{
    ngx_http_approval_sender_t *sender = data;

    json_t                    *payload;
    ngx_str_t                  doc;
    ngx_http_approval_told_t   told;

    if (claim == NULL) {
        return;
    }

    ngx_memzero(&told, sizeof(ngx_http_approval_told_t));

    doc = claim->action->doc;
    told.id = (u_char *) claim->action->id;

    payload = ngx_http_approval_sender_open(sender, told.id, &claim->payload);

    if (payload && ngx_http_approval_sender_crowded(sender, claim, payload)) {
        json_decref(payload);
        return;
    }

    told.doc = ngx_http_approval_action_open(sender->mcf, told.id, &doc);

    if (claim->facts.len) {
        told.facts = ngx_http_approval_sender_open(sender, told.id,
                                                   &claim->facts);
    }

    if (payload == NULL || told.doc == NULL
        || ngx_http_approval_sender_take(sender, claim, payload, &told)
           != NGX_OK)
    {
        ngx_http_approval_sender_strange(sender, claim);
    }

    json_decref(payload);
    json_decref(told.doc);
    json_decref(told.facts);
}


/* Puts a message back if this worker sends too many to its channel. */

static ngx_uint_t
ngx_http_approval_sender_crowded(ngx_http_approval_sender_t *sender,
    const ngx_http_approval_claim_t *claim, json_t *payload)
{
    ngx_str_t                     name;
    ngx_msec_t                    delay;
    ngx_http_approval_channel_t  *channel;

    name = ngx_http_approval_json_get(payload, "c");
    channel = ngx_http_approval_sender_channel(sender, &name);

    if (channel == NULL
        || ngx_http_approval_letter_count(sender, channel) < sender->one)
    {
        return 0;
    }

    name = claim->name;
    delay = NGX_HTTP_APPROVAL_SENDER_BACK / 2;
    delay += (ngx_msec_t) ngx_random() % NGX_HTTP_APPROVAL_SENDER_BACK;

    (void) ngx_http_approval_queue_keep(sender->mcf->worker->store,
                                        (u_char *) claim->action->id, &name,
                                        claim->attempt, delay,
                                        NGX_HTTP_APPROVAL_KEEP_BACK, NULL,
                                        NULL);

    return 1;
}


/*
 * This gateway cannot send the message, but one that was reloaded before may
 * know how, and takes it when the lease ends.
 */

static void
ngx_http_approval_sender_strange(ngx_http_approval_sender_t *sender,
    const ngx_http_approval_claim_t *claim)
{
    u_char      *id;
    ngx_str_t    name, none;
    ngx_uint_t   last, level;

    id = (u_char *) claim->action->id;
    name = claim->name;
    last = (claim->attempt >= NGX_HTTP_APPROVAL_SENDER_STRANGE);

    level = last ? NGX_LOG_ERR : NGX_LOG_WARN;

    ngx_log_error(level, sender->log, 0,
                  "approval: message \"%V\" of action %*s is not sent by this "
                  "gateway%s: its channel is not configured here, or it was "
                  "sealed with another approval_key",
                  &name, (size_t) APPROVAL_ID_LEN, id,
                  last ? " and not tried again" : "");

    if (last) {
        ngx_str_null(&none);
        ngx_http_approval_queue_done(sender->mcf->worker->store, id, &name,
                                     claim->attempt, 0, 0, &none);
    }
}


static ngx_int_t
ngx_http_approval_sender_take(ngx_http_approval_sender_t *sender,
    const ngx_http_approval_claim_t *claim, json_t *payload,
    ngx_http_approval_told_t *told)
{
    ngx_str_t                         name;
    ngx_msec_t                        interval;
    ngx_msec_int_t                    left;
    ngx_http_approval_letter_t       *letter;
    const ngx_http_approval_reply_t  *action;

    action = claim->action;

    name = ngx_http_approval_json_get(payload, "c");
    told->channel = ngx_http_approval_sender_channel(sender, &name);

    if (told->channel == NULL
        || ngx_http_approval_sender_event(claim, &told->event) != NGX_OK)
    {
        return NGX_ERROR;
    }

    told->created = action->created;
    told->expires = action->expires;
    told->told = action->now;
    told->recent = json_integer_value(json_object_get(payload, "r"));
    told->approver = ngx_http_approval_json_get(payload, "a");
    told->base = ngx_http_approval_json_get(payload, "b");
    told->reply = ngx_http_approval_json_get(payload, "k");

    interval = (ngx_msec_t) json_integer_value(json_object_get(payload, "i"));

    left = approval_event_open(told->event)
           ? (ngx_msec_int_t) (action->expires - action->now)
           : NGX_HTTP_APPROVAL_SENDER_OUTCOME;

    name = claim->name;

    letter = ngx_http_approval_letter_create(sender, told, &name,
                                             claim->attempt, claim->again,
                                             interval, left);
    if (letter == NULL) {
        return NGX_ERROR;
    }

    ngx_http_approval_letter_send(letter);

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_sender_event(const ngx_http_approval_claim_t *claim,
    approval_event_e *event)
{
    size_t       len;
    u_char      *p;
    ngx_int_t    n;
    const char  *name;

    p = claim->name.data;

    switch (p[0]) {

    case NGX_HTTP_APPROVAL_KIND_MESSAGE:
        *event = APPROVAL_EVENT_REQUESTED;
        return NGX_OK;

    case NGX_HTTP_APPROVAL_KIND_ESCALATE:
        *event = APPROVAL_EVENT_ESCALATED;
        return NGX_OK;

    case NGX_HTTP_APPROVAL_KIND_REMIND:
        *event = APPROVAL_EVENT_REMINDER;
        return NGX_OK;
    }

    for (n = APPROVAL_EVENT_APPROVED; n <= APPROVAL_EVENT_FAILED; n++) {
        name = approval_event_name(n);
        len = ngx_strlen(name);

        if (claim->name.len > len + 3
            && ngx_strncmp(p + 2, name, len) == 0 && p[2 + len] == ':')
        {
            *event = n;
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_http_approval_sender_payload(ngx_http_approval_sender_t *sender,
    const ngx_http_approval_told_t *told, ngx_msec_t again, ngx_pool_t *pool,
    ngx_str_t *payload)
{
    json_t          *json;
    ngx_int_t        rc;
    approval_buf_t   text, sealed;
    approval_str_t   id;

    json = json_pack("{s:o, s:o, s:o, s:o, s:I, s:I}",
                     "c", ngx_http_approval_json_str(&told->channel->name),
                     "a", ngx_http_approval_json_str(
                                             (ngx_str_t *) &told->approver),
                     "b", ngx_http_approval_json_str(
                                             (ngx_str_t *) &told->base),
                     "k", ngx_http_approval_json_str(
                                             (ngx_str_t *) &told->reply),
                     "r", (json_int_t) told->recent,
                     "i", (json_int_t) again);

    id.data = told->id;
    id.len = APPROVAL_ID_LEN;

    rc = NGX_ERROR;

    approval_buf_init(&text);
    approval_buf_init(&sealed);

    if (json
        && approval_json_canonical(json, &text) == APPROVAL_OK
        && !text.failed
        && approval_seal(sender->mcf->keyring, "deliver", id,
                         approval_buf_str(&text), &sealed)
           == APPROVAL_OK
        && !sealed.failed)
    {
        payload->len = sealed.len;
        payload->data = ngx_pnalloc(pool, sealed.len);

        if (payload->data) {
            ngx_memcpy(payload->data, sealed.data, sealed.len);
            rc = NGX_OK;
        }
    }

    approval_buf_wipe(&text);
    approval_buf_free(&sealed);
    json_decref(json);

    return rc;
}


static json_t *
ngx_http_approval_sender_open(ngx_http_approval_sender_t *sender, u_char *id,
    const ngx_str_t *sealed)
{
    json_t          *json;
    const char      *err;
    approval_buf_t   text;
    approval_str_t   aad, s;

    json = NULL;

    aad.data = id;
    aad.len = APPROVAL_ID_LEN;

    s.data = sealed->data;
    s.len = sealed->len;

    approval_buf_init(&text);

    if (approval_open(sender->mcf->keyring, "deliver", aad, s, &text)
        == APPROVAL_OK
        && !text.failed)
    {
        json = approval_json_parse(approval_buf_str(&text), &err);
    }

    approval_buf_wipe(&text);

    return json;
}


static ngx_http_approval_channel_t *
ngx_http_approval_sender_channel(ngx_http_approval_sender_t *sender,
    ngx_str_t *name)
{
    ngx_uint_t                     i;
    ngx_http_approval_channel_t  **channel;

    channel = sender->mcf->channels.elts;

    for (i = 0; i < sender->mcf->channels.nelts; i++) {
        if (channel[i]->url && channel[i]->name.len == name->len
            && ngx_strncmp(channel[i]->name.data, name->data, name->len) == 0)
        {
            return channel[i];
        }
    }

    return NULL;
}


void
ngx_http_approval_notify_outcome(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_http_approval_state_e state, json_t *facts)
{
    ngx_str_t                    sealed;
    ngx_uint_t                   room;
    approval_buf_t               text;
    ngx_http_approval_sender_t  *sender;

    sender = mcf->worker->sender;

    if (sender == NULL || mcf->worker->store == NULL) {
        return;
    }

    room = (sender->active < NGX_HTTP_APPROVAL_SENDER_QUEUE)
           ? NGX_HTTP_APPROVAL_SENDER_QUEUE - sender->active : 0;

    approval_buf_init(&text);

    if (ngx_http_approval_outcome_facts(mcf, id, facts, &text) == NGX_OK) {
        sealed.data = text.data;
        sealed.len = text.len;

        (void) ngx_http_approval_queue_outcome(mcf->worker->store, id,
                                         ngx_http_approval_state_name(state),
                                               &sealed, sender->lease, room,
                                             ngx_http_approval_sender_claimed,
                                               sender);
    }

    approval_buf_free(&text);
}


/* The part of the recorded facts that messages contain. */

static ngx_int_t
ngx_http_approval_outcome_facts(ngx_http_approval_main_conf_t *mcf,
    u_char *id, json_t *facts, approval_buf_t *out)
{
    json_t          *json, *value;
    ngx_int_t        rc;
    ngx_uint_t       i;
    approval_buf_t   text;
    approval_str_t   aad;

    static const char  *names[] = { "approvers", "by", "comment", "why",
                                    "outcome" };

    json = json_object();
    if (json == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        value = json_object_get(facts, names[i]);

        if (value && json_object_set(json, names[i], value) != 0) {
            json_decref(json);
            return NGX_ERROR;
        }
    }

    aad.data = id;
    aad.len = APPROVAL_ID_LEN;

    approval_buf_init(&text);

    rc = (approval_json_canonical(json, &text) == APPROVAL_OK && !text.failed
          && approval_seal(mcf->keyring, "deliver", aad,
                           approval_buf_str(&text), out)
             == APPROVAL_OK
          && !out->failed)
         ? NGX_OK : NGX_ERROR;

    approval_buf_wipe(&text);
    json_decref(json);

    return rc;
}
