
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Checkpoints: after a number of records, or soon after the last record.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/internal.h"


static void ngx_http_approval_checkpoint_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_approval_checkpoint_note(
    ngx_http_approval_audit_t *audit, approval_buf_t *note);
static ngx_int_t ngx_http_approval_checkpoint_write(
    ngx_http_approval_audit_t *audit, approval_buf_t *note);


void
ngx_http_approval_checkpoint_init(ngx_http_approval_audit_t *audit)
{
    audit->timer.handler = ngx_http_approval_checkpoint_handler;
    audit->timer.data = audit;
    audit->timer.log = audit->log;
    audit->timer.cancelable = 1;
}


void
ngx_http_approval_checkpoint_done(ngx_http_approval_audit_t *audit)
{
    if (audit->timer.timer_set) {
        ngx_del_timer(&audit->timer);
    }
}


void
ngx_http_approval_checkpoint_soon(ngx_http_approval_audit_t *audit)
{
    if (audit->chain.seq > audit->covered + NGX_HTTP_APPROVAL_CHECKPOINT_RECORDS
        && !audit->stats.failing)
    {
        ngx_http_approval_checkpoint(audit, "live");
        return;
    }

    if (!audit->timer.timer_set && !ngx_exiting) {

        /* other writers' heads will have arrived when the timer expires */

        ngx_http_approval_peers_read(audit);

        ngx_add_timer(&audit->timer,
                      (audit->reopened || audit->flushed != NGX_INVALID_FILE)
                      ? 1 : NGX_HTTP_APPROVAL_CHECKPOINT_TIME);
    }
}


static void
ngx_http_approval_checkpoint_handler(ngx_event_t *ev)
{
    ngx_http_approval_audit_t *audit = ev->data;

    ngx_http_approval_audit_retry(audit);

    if (audit->reopened || audit->flushed != NGX_INVALID_FILE
        || audit->chain.seq > audit->covered + 1)
    {
        ngx_http_approval_checkpoint(audit, "live");
    }

    ngx_http_approval_sync_start(audit);

    if ((audit->stats.failing || json_array_size(audit->kept))
        && !ngx_exiting && !ev->timer_set)
    {
        ngx_add_timer(ev, NGX_HTTP_APPROVAL_CHECKPOINT_TIME);
    }
}


/* Without a key there are no checkpoints, which the verifier reports. */

void
ngx_http_approval_checkpoint(ngx_http_approval_audit_t *audit,
    const char *state)
{
    u_char          token[APPROVAL_HEAD_LEN + 1];
    ngx_str_t       text, alive, head;
    approval_buf_t  note;

    if (audit->mcf->signer == NULL || audit->unrooted
        || ngx_http_approval_append_first(audit) != NGX_OK
        || audit->chain.seq == audit->covered + 1)
    {
        return;
    }

    approval_buf_init(&note);

    if (ngx_http_approval_checkpoint_note(audit, &note) == NGX_OK
        && ngx_http_approval_checkpoint_write(audit, &note) == NGX_OK)
    {
        ngx_http_approval_peers_cited(audit);

        audit->covered = audit->chain.seq - 1;
        audit->stats.checkpoints++;

        if (audit->mcf->worker->store) {
            alive.data = (u_char *) state;
            alive.len = ngx_strlen(state);
            text.data = note.data;
            text.len = note.len;
            head.data = token;
            head.len = ngx_http_approval_audit_head(audit, token);

            (void) ngx_http_approval_stream_add(audit->mcf->worker->store,
                                                &alive, &text, &head);
        }

        if (audit->timer.timer_set && !audit->stats.failing
            && json_array_size(audit->kept) == 0)
        {
            ngx_del_timer(&audit->timer);
        }

        ngx_http_approval_peers_read(audit);
    }

    approval_buf_free(&note);
}


static ngx_int_t
ngx_http_approval_checkpoint_note(ngx_http_approval_audit_t *audit,
    approval_buf_t *note)
{
    approval_checkpoint_t  *cp;

    cp = &audit->checkpoint;

    ngx_memcpy(cp->head.writer, audit->chain.writer, APPROVAL_WRITER_LEN);
    ngx_memcpy(cp->head.hash, audit->chain.prev, APPROVAL_SHA256_LEN);
    cp->head.seq = audit->chain.seq - 1;

    approval_time_format(cp->time, ngx_http_approval_now());

    if (approval_merkle_root(&audit->tree, cp->root) != APPROVAL_OK) {
        return ngx_http_approval_audit_fail(audit, 0, "no memory");
    }

    ngx_http_approval_peers_cite(audit, cp);

    if (approval_checkpoint_make(audit->mcf->signer, cp, note)
        != APPROVAL_OK)
    {
        return ngx_http_approval_audit_fail(audit, 0,
                                            "a checkpoint could not be "
                                            "signed");
    }

    return NGX_OK;
}


/* The record contains nothing that the signed note does not contain. */

static ngx_int_t
ngx_http_approval_checkpoint_write(ngx_http_approval_audit_t *audit,
    approval_buf_t *note)
{
    json_t     *event;
    ngx_int_t   rc;

    event = json_pack("{s:s, s:s, s:n, s:o}",
                      "type", "checkpoint", "time", audit->checkpoint.time,
                      "action_id", "checkpoint",
                      json_stringn((char *) note->data, note->len));

    rc = event ? ngx_http_approval_append_write(audit, event)
               : ngx_http_approval_audit_fail(audit, 0, "no memory");

    json_decref(event);

    return rc;
}
