
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * "type slack" and "type teams": the formats' callbacks, which call core/.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/channel.h"

#include "core/chat.h"


ngx_int_t
ngx_http_approval_slack_body(const ngx_http_approval_content_t *c,
    approval_buf_t *out)
{
    return approval_slack_message(&c->message, out) == APPROVAL_OK
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_approval_teams_body(const ngx_http_approval_content_t *c,
    approval_buf_t *out)
{
    return approval_teams_message(&c->message, out) == APPROVAL_OK
           ? NGX_OK : NGX_ERROR;
}


/* Teams may respond with 200 and an error in the body. */

const char *
ngx_http_approval_teams_refused(ngx_str_t *body)
{
    if (body->len
        && (ngx_strlcasestrn(body->data, body->data + body->len,
                             (u_char *) "failed with error", 17 - 1)
            || ngx_strlcasestrn(body->data, body->data + body->len,
                                (u_char *) "\"error\"", 7 - 1)))
    {
        return "the response is 2xx, but reports an error";
    }

    return NULL;
}
