
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Appends records, each by one write(), and handles failures.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/internal.h"


static json_t *ngx_http_approval_append_continue(
    ngx_http_approval_audit_t *audit);
static ngx_int_t ngx_http_approval_append_note(
    ngx_http_approval_audit_t *audit, json_t *event);
static ngx_int_t ngx_http_approval_append_store(
    ngx_http_approval_audit_t *audit);


void
ngx_http_approval_audit_begin(ngx_http_approval_audit_t *audit)
{
    (void) ngx_http_approval_append_first(audit);

    ngx_http_approval_checkpoint_soon(audit);
}


ngx_int_t
ngx_http_approval_audit_append(ngx_http_approval_audit_t *audit,
    json_t *event)
{
    ngx_int_t  rc;

    rc = ngx_http_approval_append_first(audit);

    if (rc == NGX_OK) {
        rc = ngx_http_approval_append_write(audit, event);
    }

    ngx_http_approval_checkpoint_soon(audit);

    return rc;
}


/*
 * Writes what must precede the next record: "open" or "continue" in a new file,
 * and a "fault" after records could not be written.  If the disk still fails,
 * nothing more is written.
 */

ngx_int_t
ngx_http_approval_append_first(ngx_http_approval_audit_t *audit)
{
    json_t  *event;

    /* the new file was opened before the old one was closed: the fd differs */

    if (audit->flushed != NGX_INVALID_FILE
        && audit->flushed != audit->conf->file->fd)
    {
        audit->reopened = 1;
        audit->torn = 0;
    }

    audit->flushed = NGX_INVALID_FILE;

    if (audit->stats.failing
        && ngx_http_approval_append_store(audit) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (audit->chain.seq == 1) {
        audit->reopened = 0;

        if (ngx_http_approval_append_note(audit,
                                     ngx_http_approval_audit_opening(audit))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (audit->reopened) {
        event = ngx_http_approval_append_continue(audit);

        if (ngx_http_approval_append_note(audit, event) != NGX_OK) {
            return NGX_ERROR;
        }

        audit->reopened = 0;
    }

    if (audit->stats.failing) {
        event = ngx_http_approval_audit_event(APPROVAL_RECORD_FAULT, NULL,
                     json_pack("{s:s, s:I, s:I}", "why",
                               "the audit trail could not be written",
                               "failed", (json_int_t) audit->failed,
                               "torn", (json_int_t) audit->torn_lines));

        if (ngx_http_approval_append_note(audit, event) != NGX_OK) {
            return NGX_ERROR;
        }

        audit->stats.failing = 0;
        audit->failed = 0;
        audit->torn_lines = 0;

        ngx_log_error(NGX_LOG_NOTICE, audit->log, 0,
                      "the audit trail \"%V\" is written again",
                      &audit->conf->file->name);
    }

    return NGX_OK;
}


/*
 * Includes the Merkle tree of the chain so far, so that proofs can be made from
 * the new file alone.
 */

static json_t *
ngx_http_approval_append_continue(ngx_http_approval_audit_t *audit)
{
    u_char          head[APPROVAL_HEAD_LEN + 1];
    json_t         *fields;
    approval_buf_t  tree;

    (void) ngx_http_approval_audit_head(audit, head);

    approval_buf_init(&tree);

    if (!audit->unrooted) {
        approval_merkle_text(&audit->tree, &tree);
    }

    fields = tree.failed ? NULL
             : json_pack("{s:i, s:s, s:s%}", "pid", (int) ngx_pid,
                         "previous", head,
                         "tree", tree.len ? (char *) tree.data : "", tree.len);

    approval_buf_free(&tree);

    return fields ? ngx_http_approval_audit_event(APPROVAL_RECORD_CONTINUE,
                                                  NULL, fields)
                  : NULL;
}


static ngx_int_t
ngx_http_approval_append_note(ngx_http_approval_audit_t *audit, json_t *event)
{
    ngx_int_t  rc;

    rc = event ? ngx_http_approval_append_write(audit, event)
               : ngx_http_approval_audit_fail(audit, 0, "no memory");

    json_decref(event);

    /* the record after this one reports if the disk has not stored it */

    return (rc == NGX_DECLINED) ? NGX_OK : rc;
}


ngx_int_t
ngx_http_approval_append_write(ngx_http_approval_audit_t *audit,
    json_t *event)
{
    ssize_t   n;
    u_char    hash[APPROVAL_SHA256_LEN];
    ngx_fd_t  fd;

    fd = audit->conf->file->fd;

    approval_buf_reset(&audit->line);

    /*
     * A full disk may leave part of a line behind.  The next record starts on
     * its own line, so that only the torn one is unreadable.
     */

    if (audit->torn) {
        approval_buf_addc(&audit->line, '\n');
    }

    if (approval_chain_append(&audit->chain, event, hash, &audit->line)
        != APPROVAL_OK)
    {
        return ngx_http_approval_audit_fail(audit, 0, "no memory");
    }

    n = ngx_write_fd(fd, audit->line.data, audit->line.len);

    if (n != (ssize_t) audit->line.len) {

        if (n > 0) {
            audit->torn = 1;
            audit->torn_lines++;
        }

        return ngx_http_approval_audit_fail(audit, (n == -1) ? ngx_errno : 0,
                                            (n == -1) ? "write() failed"
                                                      : "the disk is full");
    }

    audit->torn = 0;

    approval_chain_commit(&audit->chain, hash);

    if (approval_merkle_add(&audit->tree, hash) != APPROVAL_OK) {
        audit->unrooted = 1;
    }

    return (ngx_http_approval_append_store(audit) == NGX_OK) ? NGX_OK
                                                             : NGX_DECLINED;
}


static ngx_int_t
ngx_http_approval_append_store(ngx_http_approval_audit_t *audit)
{
    if (audit->conf->sync == NGX_HTTP_APPROVAL_SYNC_ALWAYS
        && fdatasync(audit->conf->file->fd) == -1 && ngx_errno != EINVAL
        && ngx_errno != EROFS)
    {
        return ngx_http_approval_audit_fail(audit, ngx_errno,
                                            "fdatasync() failed");
    }

    return NGX_OK;
}


/* Logs only the first failure; callers that need the record log their own. */

ngx_int_t
ngx_http_approval_audit_fail(ngx_http_approval_audit_t *audit, ngx_err_t err,
    const char *why)
{
    audit->stats.errors++;
    audit->failed++;

    if (!audit->stats.failing) {
        audit->stats.failing = 1;

        ngx_log_error(NGX_LOG_ERR, audit->log, err,
                      "the audit trail \"%V\" cannot be written: %s; gated "
                      "requests are refused until it can be written",
                      &audit->conf->file->name, why);
    }

    return NGX_ERROR;
}


/* The event keeps its time; its place in the chain says when it was written. */

void
ngx_http_approval_audit_keep(ngx_http_approval_audit_t *audit, json_t *event)
{
    if (json_array_size(audit->kept) >= NGX_HTTP_APPROVAL_KEPT_MAX
        || json_object_set_new(event, "late", json_true()) != 0
        || json_array_append(audit->kept, event) != 0)
    {
        audit->lost++;

        ngx_log_error(NGX_LOG_ERR, audit->log, 0,
                      "a record of the audit trail is lost: \"%s\"",
                      json_string_value(json_object_get(event, "type")));
    }
}


void
ngx_http_approval_audit_retry(ngx_http_approval_audit_t *audit)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    while (rc == NGX_OK && json_array_size(audit->kept)) {

        if (ngx_http_approval_append_first(audit) != NGX_OK) {
            return;
        }

        rc = ngx_http_approval_append_write(audit,
                                            json_array_get(audit->kept, 0));

        if (rc != NGX_ERROR) {
            json_array_remove(audit->kept, 0);
        }
    }
}
