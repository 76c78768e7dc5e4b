
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * POST /slack: buttons that were pressed in Slack.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_SLACK_H
#define NGX_HTTP_APPROVAL_DESK_SLACK_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


/* Is there a channel whose buttons may be pressed? */
ngx_uint_t ngx_http_approval_slack_expected(
    ngx_http_approval_main_conf_t *mcf);

/* For the content handler; answers when the body is there. */
ngx_int_t ngx_http_approval_slack(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_SLACK_H */
