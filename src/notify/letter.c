
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/letter.h"


/* How often a letter waits for the {{reply}} that it refers to. */

#define NGX_HTTP_APPROVAL_LETTER_EARLY  10


static ngx_int_t ngx_http_approval_letter_copy(ngx_pool_t *pool,
    ngx_str_t *dst, const ngx_str_t *src);
static ngx_int_t ngx_http_approval_letter_wait(
    ngx_http_approval_letter_t *letter);
static void ngx_http_approval_letter_unsaid(
    ngx_http_approval_letter_t *letter);
static void ngx_http_approval_letter_settle(
    ngx_http_approval_letter_t *letter,
    const ngx_http_approval_attempt_t *a);
static void ngx_http_approval_letter_later(
    ngx_http_approval_letter_t *letter, ngx_msec_t delay,
    ngx_http_approval_keep_e why);
static void ngx_http_approval_letter_timer(ngx_event_t *ev);
static void ngx_http_approval_letter_kept(void *data,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_letter_log(ngx_http_approval_letter_t *letter,
    const ngx_http_approval_attempt_t *a, ngx_msec_t delay);


ngx_http_approval_letter_t *
ngx_http_approval_letter_create(ngx_http_approval_sender_t *sender,
    const ngx_http_approval_told_t *told, ngx_str_t *name,
    ngx_uint_t attempt, ngx_uint_t again, ngx_msec_t interval,
    ngx_msec_int_t left)
{
    ngx_pool_t                  *pool;
    ngx_http_approval_letter_t  *letter;

    pool = ngx_create_pool(1024, sender->log);
    if (pool == NULL) {
        return NULL;
    }

    letter = ngx_pcalloc(pool, sizeof(ngx_http_approval_letter_t));

    if (letter == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    letter->pool = pool;
    letter->sender = sender;
    letter->told = *told;
    letter->told.id = letter->id;
    letter->attempt = attempt;
    letter->again = again;
    letter->interval = interval;
    letter->target = told->channel->url;
    letter->deadline = ngx_current_msec + (ngx_msec_t) ngx_max(left, 0);

    ngx_memcpy(letter->id, told->id, APPROVAL_ID_LEN);

    if (ngx_http_approval_letter_copy(pool, &letter->name, name) != NGX_OK
        || ngx_http_approval_letter_copy(pool, &letter->told.approver,
                                         &told->approver)
           != NGX_OK
        || ngx_http_approval_letter_copy(pool, &letter->told.base,
                                         &told->base)
           != NGX_OK
        || ngx_http_approval_letter_copy(pool, &letter->told.reply,
                                         &told->reply)
           != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    json_incref(told->doc);

    if (told->facts) {
        json_incref(told->facts);
    }

    /* a worker that quits leaves waiting letters to other workers */

    letter->timer.handler = ngx_http_approval_letter_timer;
    letter->timer.data = letter;
    letter->timer.log = sender->log;
    letter->timer.cancelable = 1;

    ngx_queue_insert_tail(&sender->letters, &letter->queue);
    sender->active++;

    return letter;
}


static ngx_int_t
ngx_http_approval_letter_copy(ngx_pool_t *pool, ngx_str_t *dst,
    const ngx_str_t *src)
{
    dst->len = src->len;
    dst->data = ngx_pnalloc(pool, src->len + 1);

    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    if (src->len) {
        ngx_memcpy(dst->data, src->data, src->len);
    }

    return NGX_OK;
}


ngx_http_approval_letter_t *
ngx_http_approval_letter_of(ngx_queue_t *q)
{
    return ngx_queue_data(q, ngx_http_approval_letter_t, queue);
}


ngx_uint_t
ngx_http_approval_letter_count(ngx_http_approval_sender_t *sender,
    ngx_http_approval_channel_t *channel)
{
    ngx_uint_t    n;
    ngx_queue_t  *q;

    n = 0;

    for (q = ngx_queue_head(&sender->letters);
         q != ngx_queue_sentinel(&sender->letters);
         q = ngx_queue_next(q))
    {
        n += (ngx_http_approval_letter_of(q)->told.channel == channel);
    }

    return n;
}


void
ngx_http_approval_letter_free(ngx_http_approval_letter_t *letter)
{
    ngx_queue_remove(&letter->queue);
    letter->sender->active--;

    if (letter->timer.timer_set) {
        ngx_del_timer(&letter->timer);
    }

    if (letter->call) {
        ngx_http_approval_http_cancel(letter->call);
    }

    if (letter->op) {
        ngx_http_approval_store_forget(letter->op);
    }

    json_decref(letter->told.doc);
    json_decref(letter->told.facts);

    ngx_destroy_pool(letter->pool);
}


void
ngx_http_approval_letter_send(ngx_http_approval_letter_t *letter)
{
    ngx_http_approval_attempt_t  a;

    ngx_memzero(&a, sizeof(ngx_http_approval_attempt_t));

    if (!ngx_http_approval_told_of(letter->told.channel, letter->told.event)) {
        ngx_http_approval_letter_unsaid(letter);
        return;
    }

    if ((ngx_msec_int_t) (letter->deadline - ngx_current_msec) <= 0) {
        a.error = "the action has expired";
        ngx_http_approval_letter_settle(letter, &a);
        return;
    }

    switch (ngx_http_approval_letter_start(letter)) {

    case NGX_OK:
        return;

    case NGX_DECLINED:
        a.error = letter->target->mail
                  ? "the approver has no mail address: add one with "
                    "\"approval_alias\""
                  : "a value would change the path of its \"uri\"";
        a.final = 1;
        break;

    case NGX_AGAIN:
        if (ngx_http_approval_letter_wait(letter) == NGX_OK) {
            return;
        }

        a.error = "the reply to the first message is unknown";
        a.final = 1;
        break;

    default:
        a.error = "the attempt could not be started";
        break;
    }

    ngx_http_approval_letter_settle(letter, &a);
}


/* Waits for {{reply}}; NGX_DECLINED: it has waited long enough. */

static ngx_int_t
ngx_http_approval_letter_wait(ngx_http_approval_letter_t *letter)
{
    ngx_msec_t                   delay;
    ngx_http_approval_attempt_t  a;

    ngx_memzero(&a, sizeof(ngx_http_approval_attempt_t));

    delay = ngx_http_approval_attempt_delay(letter->told.channel,
                                            letter->attempt, &a,
                                      (ngx_msec_int_t) (letter->deadline
                                                        - ngx_current_msec));

    if (delay == 0 || letter->attempt >= NGX_HTTP_APPROVAL_LETTER_EARLY) {
        return NGX_DECLINED;
    }

    ngx_http_approval_letter_later(letter, delay, NGX_HTTP_APPROVAL_KEEP_WAIT);

    return NGX_OK;
}


/* Drops a letter for which the channel's type has no message. */

static void
ngx_http_approval_letter_unsaid(ngx_http_approval_letter_t *letter)
{
    ngx_http_approval_store_t  *store;

    store = letter->sender->mcf->worker->store;

    if (store) {
        ngx_http_approval_queue_done(store, letter->id, &letter->name,
                                     letter->attempt, 1, 0, &letter->payload);
    }

    ngx_http_approval_letter_free(letter);
}


void
ngx_http_approval_letter_answer(void *data,
    const ngx_http_approval_answer_t *answer)
{
    ngx_http_approval_letter_t *letter = data;

    ngx_str_t                          body;
    ngx_http_approval_attempt_t        a;
    const ngx_http_approval_format_t  *format;

    letter->call = NULL;

    a.status = answer->status;
    a.error = answer->error;
    a.retry_after = answer->retry_after;

    /* a mail server's 5xx is permanent: a retry would be rejected, too */

    a.final = letter->told.channel->url->mail && a.status >= 500;

    format = ngx_http_approval_format(letter->told.channel->type);
    body = answer->body;

    if (format->refused && ngx_http_approval_attempt_good(&a)) {
        a.error = format->refused(&body);
    }

    if (letter->told.channel->reply && ngx_http_approval_attempt_good(&a)
        && approval_event_open(letter->told.event))
    {
        ngx_http_approval_letter_reply(letter, &answer->body);
    }

    ngx_http_approval_letter_settle(letter, &a);
}


/* Ends the letter, or waits for the next attempt. */

static void
ngx_http_approval_letter_settle(ngx_http_approval_letter_t *letter,
    const ngx_http_approval_attempt_t *a)
{
    ngx_uint_t                      good;
    ngx_msec_t                      delay;
    ngx_http_approval_told_t       *told;
    ngx_http_approval_main_conf_t  *mcf;

    told = &letter->told;
    mcf = letter->sender->mcf;
    good = ngx_http_approval_attempt_good(a);

    delay = good ? 0
                 : ngx_http_approval_attempt_delay(told->channel,
                                                   letter->attempt, a,
                                  (ngx_msec_int_t) (letter->deadline
                                                    - ngx_current_msec));

    ngx_http_approval_letter_log(letter, a, delay);
    ngx_http_approval_attempt_audit(mcf, letter->id, told->channel,
                                    told->event, &told->approver,
                                    letter->attempt, a, delay == 0);

    if (delay) {
        ngx_http_approval_letter_later(letter, delay,
                     ngx_http_approval_attempt_late(told->channel,
                                                    letter->attempt)
                     ? NGX_HTTP_APPROVAL_KEEP_LATE
                     : NGX_HTTP_APPROVAL_KEEP_WAIT);
        return;
    }

    if (mcf->worker->store) {
        ngx_http_approval_queue_done(mcf->worker->store, letter->id,
                                     &letter->name, letter->attempt, good,
                                     letter->interval, &letter->payload);
    }

    ngx_http_approval_letter_free(letter);
}


/*
 * When the lease ends, any worker may take the letter.  Usually this worker
 * does, because it keeps the letter until then, unless it has too many of them.
 */

static void
ngx_http_approval_letter_later(ngx_http_approval_letter_t *letter,
    ngx_msec_t delay, ngx_http_approval_keep_e why)
{
    ngx_uint_t                  quit, leave;
    ngx_http_approval_op_t     *op;
    ngx_http_approval_store_t  *store;

    op = NULL;
    store = letter->sender->mcf->worker->store;
    quit = ngx_exiting || ngx_quit || ngx_terminate;
    leave = quit || letter->stale
            || ngx_http_approval_letter_count(letter->sender,
                                              letter->told.channel)
               > letter->sender->one / 2;

    if (store) {
        op = ngx_http_approval_queue_keep(store, letter->id, &letter->name,
                                          letter->attempt,
                                          leave ? delay
                                   : delay + NGX_HTTP_APPROVAL_SENDER_GRACE,
                                          why, NULL, NULL);
    }

    if (quit || (leave && op)) {
        ngx_http_approval_letter_free(letter);
        return;
    }

    ngx_add_timer(&letter->timer, delay);
}


static void
ngx_http_approval_letter_timer(ngx_event_t *ev)
{
    ngx_http_approval_letter_t *letter = ev->data;

    ngx_msec_t                  lease;
    ngx_http_approval_store_t  *store;

    store = letter->sender->mcf->worker->store;
    lease = ngx_http_approval_sender_lease(letter->told.channel);

    if (store) {
        letter->op = ngx_http_approval_queue_keep(store, letter->id,
                                                  &letter->name,
                                                  letter->attempt, lease,
                                                NGX_HTTP_APPROVAL_KEEP_BEGIN,
                                                ngx_http_approval_letter_kept,
                                                  letter);
    }

    if (letter->op == NULL) {
        letter->attempt++;
        ngx_http_approval_letter_send(letter);
    }
}


/* If the store fails, the letter is sent, because no other worker can. */

static void
ngx_http_approval_letter_kept(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_letter_t *letter = data;

    letter->op = NULL;

    if (reply->rc == NGX_DECLINED) {
        ngx_http_approval_letter_free(letter);
        return;
    }

    letter->attempt++;

    ngx_http_approval_letter_send(letter);
}


/* The URL is a secret, so only the channel is named. */

static void
ngx_http_approval_letter_log(ngx_http_approval_letter_t *letter,
    const ngx_http_approval_attempt_t *a, ngx_msec_t delay)
{
    u_char                    *p;
    ngx_uint_t                 level;
    u_char                     next[NGX_HTTP_APPROVAL_ATTEMPT_NEXT];
    u_char                     status[sizeof(" (status )") + NGX_INT64_LEN];
    ngx_log_t                 *log;
    ngx_http_approval_told_t  *told;

    log = letter->sender->log;
    told = &letter->told;

    if (ngx_http_approval_attempt_good(a)) {
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "approval: channel \"%V\" was notified of action %*s "
                      "(%s), attempt %ui, status %ui",
                      &told->channel->name, (size_t) APPROVAL_ID_LEN,
                      letter->id, approval_event_name(told->event),
                      letter->attempt, a->status);
        return;
    }

    ngx_http_approval_attempt_next(next, told->channel, letter->attempt,
                                   delay);

    status[0] = '\0';

    if (a->status || a->error == NULL) {
        p = ngx_sprintf(status, a->error ? " (status %ui)" : "status %ui",
                        a->status);
        *p = '\0';
    }

    level = (delay && !ngx_http_approval_attempt_late(told->channel,
                                                      letter->attempt))
            ? NGX_LOG_WARN : NGX_LOG_ERR;

    ngx_log_error(level, log, 0,
                  "approval: channel \"%V\" (url) was not notified of action "
                  "%*s (%s): attempt %ui failed: %s%s, %s",
                  &told->channel->name, (size_t) APPROVAL_ID_LEN, letter->id,
                  approval_event_name(told->event), letter->attempt,
                  a->error ? a->error : "", status, next);
}
