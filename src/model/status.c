
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/status.h"
#include "model/action.h"

#include "core/keys.h"


static const char *ngx_http_approval_status_next(
    ngx_http_approval_state_e state);


json_t *
ngx_http_approval_status_document(u_char *id, ngx_http_approval_state_e state,
    int64_t created, int64_t expires)
{
    json_t      *status;
    ngx_str_t   *name;
    ngx_uint_t   terminal;

    name = ngx_http_approval_state_name(state);
    terminal = ngx_http_approval_state_terminal(state);

    status = json_pack("{s:o, s:o, s:b, s:o, s:o, s:s}",
                 "id", json_stringn((char *) id, APPROVAL_ID_LEN),
                 "state", json_stringn((char *) name->data, name->len),
                 "terminal", (int) terminal,
                 "created_at", ngx_http_approval_json_time(created),
                 "expires_at", ngx_http_approval_json_time(expires),
                 "next", ngx_http_approval_status_next(state));

    if (status && !terminal
        && json_object_set_new(status, "retry_after",
                               json_integer(NGX_HTTP_APPROVAL_STATUS_RETRY))
           != 0)
    {
        json_decref(status);
        return NULL;
    }

    return status;
}


static const char *
ngx_http_approval_status_next(ngx_http_approval_state_e state)
{
    switch (state) {

    case NGX_HTTP_APPROVAL_PENDING:
        return "Approvers were asked. Look here again in retry_after seconds.";

    case NGX_HTTP_APPROVAL_APPROVED:
        return "Send the same request again now, with the header Approval-Id: "
               "it passes once. The approval expires soon.";

    case NGX_HTTP_APPROVAL_EXECUTING:
        return "The request was forwarded. Its outcome is not known yet.";

    case NGX_HTTP_APPROVAL_EXECUTED:
        return "The request was forwarded and answered. Sending it again "
               "creates a new action.";

    case NGX_HTTP_APPROVAL_DENIED:
        return "An approver denied the request. Do not send it again "
               "unchanged.";

    case NGX_HTTP_APPROVAL_EXPIRED:
        return "Nobody decided, or nobody used the approval, in time. Sending "
               "the request again asks approvers again.";

    case NGX_HTTP_APPROVAL_CANCELLED:
        return "The action was cancelled. Sending the request again asks "
               "approvers again.";

    default:
        return "The request was forwarded, but its outcome is unknown. Find "
               "out whether the upstream executed it before you send it "
               "again.";
    }
}
