
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Decides how long the connection waits, by the rule's "hold" and the client's
 * preferences (RFC 7240: "respond-async", "wait=N").
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


static void ngx_http_approval_prefer_item(ngx_http_approval_hold_t *hold,
    u_char *p, u_char *last);


/*
 * Sets hold->patience, in milliseconds, to at most the rule's "hold".  All
 * Prefer headers are read; the first of each preference wins, and unknown ones
 * are ignored.
 */

void
ngx_http_approval_prefer(ngx_http_approval_hold_t *hold)
{
    ngx_str_t                     list;
    ngx_msec_t                    wait;
    approval_str_t                item;
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    static ngx_str_t  name = ngx_string("prefer");

    hold->patience = hold->verdict->rule->hold;
    hold->prefer_wait = NGX_ERROR;
    hold->prefer_async = 0;

    if (!hold->lcf->prefer) {
        return;
    }

    for (h = NULL;
         (h = ngx_http_approval_header_of(hold->request, &it, h, &name)); )
    {
        list = h->value;

        while (ngx_http_approval_header_item(&list, &item)) {
            ngx_http_approval_prefer_item(hold, (u_char *) item.data,
                                          (u_char *) item.data + item.len);
        }
    }

    if (hold->prefer_wait != NGX_ERROR) {
        wait = (ngx_msec_t) hold->prefer_wait * 1000;
        hold->patience = ngx_min(hold->patience, wait);

    } else if (hold->prefer_async) {
        hold->patience = 0;
    }
}


static void
ngx_http_approval_prefer_item(ngx_http_approval_hold_t *hold, u_char *p,
    u_char *last)
{
    u_char     *end;
    ngx_int_t   n;

    /* neither preference has parameters (";") */

    end = ngx_strlchr(p, last, ';');

    if (end) {
        last = end;
    }

    while (last > p && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    if (last - p == sizeof("respond-async") - 1
        && ngx_strncasecmp(p, (u_char *) "respond-async", last - p) == 0)
    {
        hold->prefer_async = 1;
        return;
    }

    if (last - p > 5 && ngx_strncasecmp(p, (u_char *) "wait=", 5) == 0
        && hold->prefer_wait == NGX_ERROR)
    {
        n = ngx_atoi(p + 5, last - p - 5);

        if (n != NGX_ERROR) {
            hold->prefer_wait = ngx_min(n, 86400);
        }
    }
}
