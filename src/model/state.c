
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/state.h"


/* In the order of ngx_http_approval_state_e. */

static ngx_str_t  ngx_http_approval_states[] = {
    ngx_string("pending"),
    ngx_string("approved"),
    ngx_string("executing"),
    ngx_string("executed"),
    ngx_string("denied"),
    ngx_string("expired"),
    ngx_string("cancelled"),
    ngx_string("failed"),
    ngx_string("unknown")
};


ngx_str_t *
ngx_http_approval_state_name(ngx_http_approval_state_e state)
{
    if ((ngx_uint_t) state > NGX_HTTP_APPROVAL_UNKNOWN) {
        state = NGX_HTTP_APPROVAL_UNKNOWN;
    }

    return &ngx_http_approval_states[state];
}


ngx_http_approval_state_e
ngx_http_approval_state_parse(ngx_str_t *name)
{
    ngx_str_t                  *s;
    ngx_http_approval_state_e   state;

    for (state = NGX_HTTP_APPROVAL_PENDING;
         state < NGX_HTTP_APPROVAL_UNKNOWN;
         state++)
    {
        s = &ngx_http_approval_states[state];

        if (name->len == s->len
            && ngx_memcmp(name->data, s->data, s->len) == 0)
        {
            break;
        }
    }

    return state;
}


ngx_uint_t
ngx_http_approval_state_terminal(ngx_http_approval_state_e state)
{
    switch (state) {

    case NGX_HTTP_APPROVAL_EXECUTED:
    case NGX_HTTP_APPROVAL_DENIED:
    case NGX_HTTP_APPROVAL_EXPIRED:
    case NGX_HTTP_APPROVAL_CANCELLED:
    case NGX_HTTP_APPROVAL_FAILED:
        return 1;

    default:
        return 0;
    }
}
