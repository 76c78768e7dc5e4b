
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET, POST, DELETE /freeze: the switch that stops a requester or a policy.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_FREEZE_H
#define NGX_HTTP_APPROVAL_DESK_FREEZE_H


#include "desk/request.h"


/* For the content handler. */
ngx_int_t ngx_http_approval_freeze(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_FREEZE_H */
