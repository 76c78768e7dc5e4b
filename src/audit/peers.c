
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The heads of other writers, which this writer's checkpoints cite.  Redis has
 * those of living writers, the end of the file those of earlier ones.  Others
 * can write to both, so only heads that their own writers have signed are used:
 * this writer signs what it cites.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/internal.h"


static void ngx_http_approval_peers_entry(void *data, ngx_str_t *id,
    ngx_str_t *note);
static void ngx_http_approval_peers_note(ngx_http_approval_audit_t *audit,
    approval_str_t note, const char *where);
static void ngx_http_approval_peers_learn(ngx_http_approval_audit_t *audit,
    const approval_head_t *head);
static void ngx_http_approval_peers_line(ngx_http_approval_audit_t *audit,
    u_char *p, u_char *last);


/*
 * Reads the heads that were published since the last call; the first call reads
 * those of the last ten seconds.  Older heads were cited by writers that lived
 * then.
 */

void
ngx_http_approval_peers_read(ngx_http_approval_audit_t *audit)
{
    u_char      *p;
    ngx_str_t    after;
    ngx_time_t  *tp;

    if (audit->mcf->worker->store == NULL || audit->mcf->signer == NULL
        || audit->reading)
    {
        return;
    }

    if (audit->last_id_len == 0) {
        tp = ngx_timeofday();

        p = ngx_sprintf(audit->last_id, "%L-0",
                        (int64_t) (tp->sec - 10) * 1000);

        audit->last_id_len = p - audit->last_id;
    }

    after.data = audit->last_id;
    after.len = audit->last_id_len;

    audit->newest = 1;

    audit->reading = ngx_http_approval_stream_read(audit->mcf->worker->store,
                                                  &after,
                                                  ngx_http_approval_peers_entry,
                                                  audit);
}


/* Newest first: only one head a writer is verified.  id == NULL: the end. */

static void
ngx_http_approval_peers_entry(void *data, ngx_str_t *id, ngx_str_t *note)
{
    ngx_http_approval_audit_t *audit = data;

    if (id == NULL) {
        audit->reading = NULL;
        return;
    }

    if (audit->newest && id->len <= NGX_HTTP_APPROVAL_STREAM_ID) {
        audit->newest = 0;
        ngx_memcpy(audit->last_id, id->data, id->len);
        audit->last_id_len = id->len;
    }

    ngx_http_approval_peers_note(audit, ngx_http_approval_core_str(note),
                                 "in redis");
}


static void
ngx_http_approval_peers_note(ngx_http_approval_audit_t *audit,
    approval_str_t note, const char *where)
{
    const char  *err;
    ngx_uint_t   i;

    /* skip our own heads and known ones before the signature is verified */

    if (approval_checkpoint_read(NULL, note, &audit->checkpoint, &err)
        != APPROVAL_OK
        || ngx_memcmp(audit->checkpoint.head.writer, audit->chain.writer,
                      APPROVAL_WRITER_LEN)
           == 0)
    {
        return;
    }

    for (i = 0; i < audit->npeers; i++) {
        if (ngx_memcmp(audit->peers[i].head.writer,
                       audit->checkpoint.head.writer, APPROVAL_WRITER_LEN)
            == 0
            && audit->peers[i].head.seq >= audit->checkpoint.head.seq)
        {
            return;
        }
    }

    if (approval_checkpoint_read(audit->mcf->signer, note, &audit->checkpoint,
                                 &err)
        != APPROVAL_OK)
    {
        ngx_log_error(NGX_LOG_WARN, audit->log, 0,
                      "a checkpoint %s is ignored: %s", where, err);
        return;
    }

    ngx_http_approval_peers_learn(audit, &audit->checkpoint.head);
}


static void
ngx_http_approval_peers_learn(ngx_http_approval_audit_t *audit,
    const approval_head_t *head)
{
    ngx_uint_t  i;

    for (i = 0; i < audit->npeers; i++) {
        if (ngx_memcmp(audit->peers[i].head.writer, head->writer,
                       APPROVAL_WRITER_LEN)
            == 0)
        {
            if (audit->peers[i].head.seq >= head->seq) {
                return;
            }

            break;
        }
    }

    if (i == audit->npeers) {

        if (audit->npeers < APPROVAL_CHECKPOINT_PEERS) {
            audit->npeers++;

        } else {
            i = audit->evict++ % APPROVAL_CHECKPOINT_PEERS;
        }
    }

    audit->peers[i].head = *head;
    audit->peers[i].fresh = 1;
}


/* A head that was cited before and has not grown need not be cited again. */

void
ngx_http_approval_peers_cite(ngx_http_approval_audit_t *audit,
    approval_checkpoint_t *checkpoint)
{
    ngx_uint_t  i;

    checkpoint->npeers = 0;

    for (i = 0; i < audit->npeers; i++) {
        if (audit->peers[i].fresh) {
            checkpoint->peers[checkpoint->npeers++] = audit->peers[i].head;
        }
    }
}


/* Called when the checkpoint is in the file. */

void
ngx_http_approval_peers_cited(ngx_http_approval_audit_t *audit)
{
    ngx_uint_t  i;

    for (i = 0; i < audit->npeers; i++) {
        audit->peers[i].fresh = 0;
    }
}


void
ngx_http_approval_peers_done(ngx_http_approval_audit_t *audit)
{
    if (audit->reading) {
        ngx_http_approval_stream_forget(audit->reading);
        audit->reading = NULL;
    }
}


/* Reads the end of the file once, before the worker accepts requests. */

void
ngx_http_approval_peers_tail(ngx_http_approval_audit_t *audit)
{
    off_t             size;
    u_char           *buf, *p, *lf, *last;
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_file_info_t   fi;

    if (audit->mcf->signer == NULL) {
        return;
    }

    fd = ngx_open_file(audit->conf->file->name.data, NGX_FILE_RDONLY,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return;
    }

    buf = NULL;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi)) {
        goto done;
    }

    size = ngx_file_size(&fi);

    buf = ngx_alloc(NGX_HTTP_APPROVAL_TAIL, audit->log);

    if (buf == NULL) {
        goto done;
    }

    n = pread(fd, buf, NGX_HTTP_APPROVAL_TAIL,
              (size > NGX_HTTP_APPROVAL_TAIL) ? size - NGX_HTTP_APPROVAL_TAIL
                                              : 0);
    if (n <= 0) {
        goto done;
    }

    last = buf + n;

    for (p = buf; p < last; p = lf + 1) {
        lf = ngx_strlchr(p, last, '\n');

        if (lf == NULL) {
            break;
        }

        ngx_http_approval_peers_line(audit, p, lf);
    }

done:

    if (buf) {
        ngx_free(buf);
    }

    (void) ngx_close_file(fd);
}


static void
ngx_http_approval_peers_line(ngx_http_approval_audit_t *audit, u_char *p,
    u_char *last)
{
    u_char           hash[APPROVAL_SHA256_LEN];
    json_t          *event, *note;
    const char      *err;
    approval_str_t   line;

    line.data = p;
    line.len = last - p;

    if (approval_record_read(line, &event, hash, &err) != APPROVAL_OK) {
        return;
    }

    note = json_object_get(event, "checkpoint");

    if (json_is_string(note)) {
        line.data = (u_char *) json_string_value(note);
        line.len = json_string_length(note);

        ngx_http_approval_peers_note(audit, line, "in the audit trail");
    }

    json_decref(event);
}
