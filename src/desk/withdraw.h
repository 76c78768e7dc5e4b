
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Withdraws a pending action without a vote.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_WITHDRAW_H
#define NGX_HTTP_APPROVAL_DESK_WITHDRAW_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


/* For the content handler: DELETE of an action, or of its status. */
ngx_int_t ngx_http_approval_withdraw(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_WITHDRAW_H */
