
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

/* After a rotation of approval_key, when the store's link is ready. */
void ngx_http_approval_freeze_carry(ngx_http_approval_main_conf_t *mcf);


#endif /* NGX_HTTP_APPROVAL_DESK_FREEZE_H */
