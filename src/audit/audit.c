
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The worker's writer: one chain, one write() a record.
 */


#include "audit/audit.h"


struct ngx_http_approval_audit_s {
    ngx_http_approval_audit_conf_t  *conf;
    ngx_log_t                       *log;
    approval_chain_t                 chain;
    approval_buf_t                   line;
    ngx_uint_t                       errors;
    unsigned                         failing:1;
    unsigned                         torn:1;     /* part of a line stands at
                                                    the file's end        */
};


static json_t *ngx_http_approval_audit_event(const char *type, u_char *id,
    json_t *fields);
static ngx_int_t ngx_http_approval_audit_write(
    ngx_http_approval_audit_t *audit, json_t *event);
static ngx_int_t ngx_http_approval_audit_fail(
    ngx_http_approval_audit_t *audit, ngx_err_t err, const char *why);


ngx_http_approval_audit_t *
ngx_http_approval_audit_create(ngx_http_approval_audit_conf_t *conf,
    ngx_log_t *log)
{
    ngx_http_approval_audit_t  *audit;

    audit = ngx_calloc(sizeof(ngx_http_approval_audit_t), log);
    if (audit == NULL) {
        return NULL;
    }

    audit->conf = conf;
    audit->log = log;

    approval_buf_init(&audit->line);

    if (approval_chain_init(&audit->chain) != APPROVAL_OK) {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "the audit trail has no random bytes for its writer");
        ngx_free(audit);
        return NULL;
    }

    return audit;
}


void
ngx_http_approval_audit_destroy(ngx_http_approval_audit_t *audit)
{
    approval_buf_free(&audit->line);
    ngx_free(audit);
}


ngx_uint_t
ngx_http_approval_audit_errors(ngx_http_approval_audit_t *audit)
{
    return audit->errors;
}


ngx_int_t
ngx_http_approval_audit(ngx_http_approval_main_conf_t *mcf, const char *type,
    u_char *id, json_t *fields)
{
    json_t     *event;
    ngx_int_t   rc;

    if (mcf->audit == NULL) {
        json_decref(fields);

        /* declared, but not there: nothing may pass without its record */

        return mcf->audit_conf ? NGX_ERROR : NGX_OK;
    }

    event = ngx_http_approval_audit_event(type, id, fields);
    if (event == NULL) {
        return ngx_http_approval_audit_fail(mcf->audit, 0, "no memory");
    }

    rc = ngx_http_approval_audit_write(mcf->audit, event);

    json_decref(event);

    return rc;
}


static json_t *
ngx_http_approval_audit_event(const char *type, u_char *id, json_t *fields)
{
    char         time[APPROVAL_TIME_LEN + 1];
    json_t      *event;
    ngx_time_t  *tp;

    event = fields ? fields : json_object();
    if (event == NULL) {
        return NULL;
    }

    json_object_del(event, "id");

    tp = ngx_timeofday();
    approval_time_format(time, (int64_t) tp->sec * 1000 + tp->msec);

    if (json_object_set_new(event, "type", json_string(type)) != 0
        || json_object_set_new(event, "time", json_string(time)) != 0
        || (id && json_object_set_new(event, "action_id",
                                      json_stringn((char *) id,
                                                   APPROVAL_ID_LEN))
                  != 0))
    {
        json_decref(event);
        return NULL;
    }

    return event;
}


static ngx_int_t
ngx_http_approval_audit_write(ngx_http_approval_audit_t *audit, json_t *event)
{
    ssize_t  n;
    u_char   hash[APPROVAL_SHA256_LEN];

    approval_buf_reset(&audit->line);

    /*
     * A full disk may leave part of a line behind: the next record starts on
     * a line of its own, so that only the torn one is unreadable.
     */

    if (audit->torn) {
        approval_buf_addc(&audit->line, '\n');
    }

    if (approval_chain_append(&audit->chain, event, hash, &audit->line)
        != APPROVAL_OK)
    {
        return ngx_http_approval_audit_fail(audit, 0, "no memory");
    }

    n = ngx_write_fd(audit->conf->file->fd, audit->line.data,
                     audit->line.len);

    if (n != (ssize_t) audit->line.len) {
        audit->torn = (n > 0);

        return ngx_http_approval_audit_fail(audit, (n == -1) ? ngx_errno : 0,
                                            (n == -1) ? "write() failed"
                                                      : "the disk is full");
    }

    audit->torn = 0;

    if (audit->failing) {
        audit->failing = 0;
        ngx_log_error(NGX_LOG_NOTICE, audit->log, 0,
                      "the audit trail \"%V\" is written again",
                      &audit->conf->file->name);
    }

    approval_chain_commit(&audit->chain, hash);

    return NGX_OK;
}


/* One line when it begins; what depends on the record says so by itself. */

static ngx_int_t
ngx_http_approval_audit_fail(ngx_http_approval_audit_t *audit, ngx_err_t err,
    const char *why)
{
    audit->errors++;

    if (!audit->failing) {
        audit->failing = 1;

        ngx_log_error(NGX_LOG_ERR, audit->log, err,
                      "the audit trail \"%V\" cannot be written: %s; gated "
                      "requests are refused until it can",
                      &audit->conf->file->name, why);
    }

    return NGX_ERROR;
}
