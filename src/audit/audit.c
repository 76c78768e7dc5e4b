
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The worker's writer: the beginning, the events and the end of its chain.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/internal.h"
#include "core/version.h"


static void ngx_http_approval_audit_close(ngx_http_approval_audit_t *audit);
static json_t *ngx_http_approval_audit_config(
    ngx_http_approval_main_conf_t *mcf);
static ngx_int_t ngx_http_approval_audit_put(
    ngx_http_approval_main_conf_t *mcf, approval_record_e type, u_char *id,
    json_t *fields, ngx_uint_t keep);
static void ngx_http_approval_audit_flush(ngx_open_file_t *file,
    ngx_log_t *log);


static const char  *ngx_http_approval_syncs[] = { "off", "group", "always" };


ngx_http_approval_audit_t *
ngx_http_approval_audit_create(ngx_http_approval_main_conf_t *mcf,
    ngx_log_t *log)
{
    ngx_http_approval_audit_t  *audit;

    audit = ngx_calloc(sizeof(ngx_http_approval_audit_t), log);
    if (audit == NULL) {
        return NULL;
    }

    audit->mcf = mcf;
    audit->conf = mcf->audit_conf;
    audit->log = log;
    audit->flushed = NGX_INVALID_FILE;

    approval_buf_init(&audit->line);
    approval_merkle_init(&audit->tree);

    audit->kept = json_array();

    if (audit->kept == NULL
        || approval_chain_init(&audit->chain) != APPROVAL_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "no random bytes for the id of the audit trail's "
                      "writer");
        json_decref(audit->kept);
        ngx_free(audit);
        return NULL;
    }

    ngx_http_approval_checkpoint_init(audit);
    ngx_http_approval_collapse_init(audit);
    ngx_http_approval_sync_init(audit);
    ngx_http_approval_peers_tail(audit);

    audit->conf->file->data = audit;
    audit->conf->file->flush = ngx_http_approval_audit_flush;

    ngx_http_approval_audit_begin(audit);

    return audit;
}


void
ngx_http_approval_audit_destroy(ngx_http_approval_audit_t *audit)
{
    audit->conf->file->flush = NULL;
    audit->conf->file->data = NULL;

    ngx_http_approval_collapse_done(audit);
    ngx_http_approval_audit_close(audit);

    ngx_http_approval_checkpoint_done(audit);
    ngx_http_approval_peers_done(audit);
    ngx_http_approval_sync_done(audit);

    json_decref(audit->kept);
    approval_buf_free(&audit->line);
    ngx_free(audit);
}


/* The first record of a chain: the writer and its configuration. */

json_t *
ngx_http_approval_audit_opening(ngx_http_approval_audit_t *audit)
{
    json_t     *fields;
    ngx_str_t   kid;

    ngx_str_null(&kid);

    if (audit->mcf->signer) {
        kid.data = (u_char *) approval_signer_kid(audit->mcf->signer).data;
        kid.len = approval_signer_kid(audit->mcf->signer).len;
    }

    fields = json_pack("{s:i, s:o, s:s, s:s, s:o, s:s, s:o}",
                       "pid", (int) ngx_pid,
                       "host",
                       ngx_http_approval_json_str(
                                       (ngx_str_t *) &ngx_cycle->hostname),
                       "nginx", NGINX_VERSION,
                       "module", APPROVAL_VERSION,
                       "key", ngx_http_approval_json_str(&kid),
                       "sync", ngx_http_approval_syncs[audit->conf->sync],
                       "config", ngx_http_approval_audit_config(audit->mcf));

    return fields ? ngx_http_approval_audit_event(APPROVAL_RECORD_OPEN, NULL,
                                                  fields)
                  : NULL;
}


/* One digest over the names and digests of all policies and groups. */

static json_t *
ngx_http_approval_audit_config(ngx_http_approval_main_conf_t *mcf)
{
    u_char                        md[APPROVAL_SHA256_LEN];
    u_char                        hex[7 + 2 * APPROVAL_SHA256_LEN];
    int                           group;
    char                          digest[APPROVAL_DIGEST_LEN];
    ngx_uint_t                    i;
    approval_buf_t                text;
    approval_str_t                name;
    ngx_http_approval_policy_t  **policies;

    approval_buf_init(&text);

    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {
        approval_buf_add(&text, policies[i]->name.data,
                         policies[i]->name.len);
        approval_buf_addc(&text, ' ');
        approval_buf_add(&text, policies[i]->digest.data,
                         policies[i]->digest.len);
        approval_buf_addc(&text, '\n');
    }

    for (group = 0; group < approval_people_groups(mcf->people); group++) {
        name = approval_people_group_name(mcf->people, group);

        approval_buf_adds(&text, "group ");
        approval_buf_add(&text, name.data, name.len);
        approval_buf_addc(&text, ' ');

        if (approval_people_digest(mcf->people, group, digest) != APPROVAL_OK)
        {
            text.failed = 1;
            break;
        }

        approval_buf_add(&text, digest, sizeof(digest));
        approval_buf_addc(&text, '\n');
    }

    ngx_memcpy(hex, "sha256:", 7);

    if (text.failed
        || approval_sha256(approval_buf_str(&text), md) != APPROVAL_OK)
    {
        approval_buf_free(&text);
        return NULL;
    }

    approval_buf_free(&text);

    (void) approval_hex_encode(hex + 7, md, sizeof(md));

    return json_stringn((char *) hex, sizeof(hex));
}


static void
ngx_http_approval_audit_close(ngx_http_approval_audit_t *audit)
{
    json_t  *event;

    ngx_http_approval_audit_retry(audit);

    event = ngx_http_approval_audit_event(APPROVAL_RECORD_CLOSE, NULL,
                 json_pack("{s:i, s:I, s:I}", "pid", (int) ngx_pid,
                           "errors", (json_int_t) audit->stats.errors,
                           "lost", (json_int_t) (audit->lost
                                         + json_array_size(audit->kept))));

    if (event == NULL
        || ngx_http_approval_audit_append(audit, event) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, audit->log, 0,
                      "the audit trail could not be closed, so approval-audit "
                      "will report that this worker was killed");
    }

    json_decref(event);

    ngx_http_approval_checkpoint(audit, "closed");
}


ngx_int_t
ngx_http_approval_audit(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields)
{
    return ngx_http_approval_audit_put(mcf, type, id, fields,
                                       approval_record_fact(type));
}


void
ngx_http_approval_audit_late(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields)
{
    (void) ngx_http_approval_audit_put(mcf, type, id, fields, 1);
}


static ngx_int_t
ngx_http_approval_audit_put(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields, ngx_uint_t keep)
{
    json_t                     *event;
    ngx_int_t                   rc;
    ngx_http_approval_audit_t  *audit;

    audit = mcf->worker->audit;

    if (audit == NULL) {
        json_decref(fields);

        /* the trail is configured, but missing: nothing may pass unrecorded */

        return mcf->audit_conf ? NGX_ERROR : NGX_OK;
    }

    event = ngx_http_approval_audit_event(type, id, fields);
    if (event == NULL) {
        return ngx_http_approval_audit_fail(audit, 0, "no memory");
    }

    rc = ngx_http_approval_audit_append(audit, event);

    if (rc == NGX_ERROR && keep) {
        ngx_http_approval_audit_keep(audit, event);
    }

    json_decref(event);

    return rc;
}


json_t *
ngx_http_approval_audit_event(approval_record_e type, u_char *id,
    json_t *fields)
{
    json_t  *event;

    event = fields ? fields : json_object();
    if (event == NULL) {
        return NULL;
    }

    json_object_del(event, "id");

    if (json_object_set_new(event, "type",
                            json_string(approval_record_name(type)))
           != 0
        || json_object_set_new(event, "time",
                               ngx_http_approval_json_time(
                                            ngx_http_approval_now()))
           != 0
        || json_object_set_new(event, "mono",
                               json_integer((json_int_t) ngx_current_msec))
           != 0
        || json_object_set_new(event, "action_id",
                               id ? json_stringn((char *) id, APPROVAL_ID_LEN)
                                  : json_null())
           != 0)
    {
        json_decref(event);
        return NULL;
    }

    return event;
}


/*
 * nginx calls this before it reopens the file: the old file ends with a
 * checkpoint, and the new one begins with a reference to its end.  A worker
 * that quits and still holds requests does the same.  When it exits, nginx
 * calls this, too, but does not reopen the file.
 */

static void
ngx_http_approval_audit_flush(ngx_open_file_t *file, ngx_log_t *log)
{
    ngx_http_approval_audit_t *audit = file->data;

    if (ngx_terminate) {
        return;
    }

    ngx_http_approval_checkpoint(audit, "live");
    ngx_http_approval_sync_reopen(audit);

    audit->flushed = file->fd;

    ngx_http_approval_checkpoint_soon(audit);
}


size_t
ngx_http_approval_audit_head(ngx_http_approval_audit_t *audit,
    u_char dst[APPROVAL_HEAD_LEN + 1])
{
    approval_head_t  head;

    if (audit == NULL || audit->chain.seq == 1) {
        return 0;
    }

    ngx_memcpy(head.writer, audit->chain.writer, APPROVAL_WRITER_LEN);
    ngx_memcpy(head.hash, audit->chain.prev, APPROVAL_SHA256_LEN);
    head.seq = audit->chain.seq - 1;

    return approval_head_text(&head, (char *) dst);
}


void
ngx_http_approval_audit_stats(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_audit_stats_t *stats)
{
    ngx_http_approval_audit_t  *audit;

    audit = mcf->worker->audit;

    ngx_memzero(stats, sizeof(ngx_http_approval_audit_stats_t));

    if (audit == NULL) {
        return;
    }

    *stats = audit->stats;

    stats->records = (ngx_uint_t) (audit->chain.seq - 1);
    stats->waiting = json_array_size(audit->kept);
}
