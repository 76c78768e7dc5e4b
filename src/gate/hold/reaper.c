
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Ends actions whose holder is gone: past their deadline, or consumed and never
 * finished.  The worker to which the store returns one settles it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"
#include "notify/notify.h"


/* data: the main configuration. */

void
ngx_http_approval_reaper(void *data, const ngx_http_approval_reply_t *reply)
{
    json_t                         *doc;
    u_char                          id[APPROVAL_ID_LEN];
    ngx_str_t                       sealed;
    ngx_http_approval_main_conf_t  *mcf;

    mcf = data;
    sealed = reply->doc;

    ngx_memcpy(id, reply->id, APPROVAL_ID_LEN);

    doc = ngx_http_approval_action_open(mcf, id, &sealed);

    if (doc == NULL) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "overdue action %*s cannot be opened: it was sealed with "
                      "another approval_key",
                      (size_t) APPROVAL_ID_LEN, id);
        return;
    }

    if (reply->state == NGX_HTTP_APPROVAL_EXECUTING) {
        (void) ngx_http_approval_end(mcf, reply, doc, NGX_HTTP_APPROVAL_FAILED,
                                     "the worker that executed it is gone, so "
                                     "the outcome is unknown");
        return;
    }

    (void) ngx_http_approval_end(mcf, reply, doc, NGX_HTTP_APPROVAL_EXPIRED,
                                 "the deadline has passed, and no request was "
                                 "waiting");
}
