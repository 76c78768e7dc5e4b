
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET /story: who signed off on a change, according to the trail.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_STORY_H
#define NGX_HTTP_APPROVAL_DESK_STORY_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


ngx_int_t ngx_http_approval_story(ngx_http_approval_desk_t *d);


#endif /* NGX_HTTP_APPROVAL_DESK_STORY_H */
