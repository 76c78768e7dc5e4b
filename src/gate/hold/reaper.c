
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Actions whose holder is gone: past their deadline, or consumed and never
 * finished.  Whichever worker the store tells of one, settles it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"
#include "notify/notify.h"


typedef struct {
    ngx_http_approval_main_conf_t  *mcf;
    json_t                         *doc;
    ngx_http_approval_state_e       state;
    u_char                          id[APPROVAL_ID_LEN];
} ngx_http_approval_reap_t;


static void ngx_http_approval_reaped(void *data,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_reap(ngx_http_approval_reap_t *reap,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_reap_free(ngx_http_approval_reap_t *reap);


/* data: the main configuration. */

void
ngx_http_approval_reaper(void *data, const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_reap_t  *reap;

    reap = ngx_calloc(sizeof(ngx_http_approval_reap_t), ngx_cycle->log);
    if (reap == NULL) {
        return;
    }

    reap->mcf = data;
    reap->state = (reply->state == NGX_HTTP_APPROVAL_EXECUTING)
                  ? NGX_HTTP_APPROVAL_FAILED : NGX_HTTP_APPROVAL_EXPIRED;

    ngx_memcpy(reap->id, reply->id, APPROVAL_ID_LEN);

    if (ngx_http_approval_reap(reap, reply) != NGX_OK) {
        ngx_http_approval_reap_free(reap);
    }
}


static ngx_int_t
ngx_http_approval_reap(ngx_http_approval_reap_t *reap,
    const ngx_http_approval_reply_t *reply)
{
    time_t                   now;
    ngx_int_t                rc;
    ngx_str_t                value, sealed;
    approval_buf_t           decision;
    ngx_http_approval_op_t  *op;

    sealed = reply->doc;

    reap->doc = ngx_http_approval_action_open(reap->mcf, reap->id, &sealed);

    if (reap->doc == NULL) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "overdue action %*s cannot be opened: it was sealed by "
                      "another approval_key",
                      (size_t) APPROVAL_ID_LEN, reap->id);
        return NGX_ERROR;
    }

    now = reply->now / 1000;
    op = NULL;

    approval_buf_init(&decision);

    rc = ngx_http_approval_decision_make(reap->mcf, reap->doc, reap->state,
                                         NULL, now,
                                         now + reap->mcf->store_conf->retention
                                               / 1000,
                                         &decision);
    if (rc == NGX_OK) {
        value.data = decision.data;
        value.len = decision.len;

        op = ngx_http_approval_store_settle(reap->mcf->store, reap->id,
                                            reap->state, &value,
                                            ngx_http_approval_reaped, reap);
    }

    approval_buf_free(&decision);

    return op ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_approval_reaped(void *data, const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_reap_t *reap = data;

    if (reply->rc == NGX_OK) {
        json_object_set_new(reap->doc, "why",
                  json_string(reap->state == NGX_HTTP_APPROVAL_FAILED
                              ? "consumed, and its outcome is unknown: the "
                                "worker that executed it is gone"
                              : "past its deadline, with nobody waiting"));

        ngx_http_approval_ended(reap->mcf, NULL, reap->id, reap->state, 0,
                                json_incref(reap->doc));
    }

    ngx_http_approval_reap_free(reap);
}


static void
ngx_http_approval_reap_free(ngx_http_approval_reap_t *reap)
{
    json_decref(reap->doc);
    ngx_free(reap);
}
