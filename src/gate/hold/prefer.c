
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
    approval_str_t item);
static ngx_uint_t ngx_http_approval_prefer_quoted(approval_str_t item,
    ngx_uint_t quoted);


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
    ngx_uint_t                    quoted;
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

        /* a comma in a quoted string ends no preference */

        quoted = 0;

        while (ngx_http_approval_header_item(&list, &item)) {
            if (!quoted) {
                ngx_http_approval_prefer_item(hold, item);
            }

            quoted = ngx_http_approval_prefer_quoted(item, quoted);
        }
    }

    if (hold->prefer_wait != NGX_ERROR) {
        wait = (ngx_msec_t) hold->prefer_wait * 1000;
        hold->patience = ngx_min(hold->patience, wait);

    } else if (hold->prefer_async) {
        hold->patience = 0;
    }
}


/* The preference's parameters (";") are ignored: neither has any. */

static void
ngx_http_approval_prefer_item(ngx_http_approval_hold_t *hold,
    approval_str_t item)
{
    size_t          n;
    ngx_int_t       seconds;
    approval_str_t  name, value;

    item = approval_str_sub(item, 0, approval_str_find(item, 0, ";"));

    n = approval_str_find(item, 0, "=");
    name = approval_str_trim(approval_str_sub(item, 0, n));

    if (n == item.len) {
        hold->prefer_async |= approval_str_eq_nocase(name,
                                              approval_str("respond-async"));
        return;
    }

    if (approval_str_eq_nocase(name, approval_str("wait"))
        && hold->prefer_wait == NGX_ERROR)
    {
        value = approval_str_trim(approval_str_sub(item, n + 1, item.len));
        seconds = ngx_atoi((u_char *) value.data, value.len);

        if (seconds != NGX_ERROR) {
            hold->prefer_wait = ngx_min(seconds, 86400);
        }
    }
}


/* Whether a quoted string is open after the item. */

static ngx_uint_t
ngx_http_approval_prefer_quoted(approval_str_t item, ngx_uint_t quoted)
{
    size_t  i;

    for (i = 0; i < item.len; i++) {

        if (item.data[i] == '"') {
            quoted = !quoted;

        } else if (item.data[i] == '\\' && quoted) {
            i++;
        }
    }

    return quoted;
}
