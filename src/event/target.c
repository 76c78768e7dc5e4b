
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The URL of a receiver, as it is written in the configuration.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http.h"


static const char *ngx_http_approval_target_host(
    ngx_http_approval_target_t *target, u_char *p, u_char *last);
static ngx_uint_t ngx_http_approval_target_name(ngx_str_t *host);


const char *
ngx_http_approval_target_parse(ngx_http_approval_target_t *target,
    ngx_str_t *url)
{
    u_char  *p, *last, *end;

    last = url->data + url->len;

    for (p = url->data; p < last; p++) {
        if (*p <= ' ' || *p >= 0x7f) {
            return "it has a character that no URL may have";
        }
    }

    target->url = *url;

    if (url->len >= 8 && ngx_strncasecmp(url->data, (u_char *) "https://", 8)
                        == 0)
    {
        target->secure = 1;
        target->port = 443;
        p = url->data + 8;

    } else if (url->len >= 7
               && ngx_strncasecmp(url->data, (u_char *) "http://", 7) == 0)
    {
        target->port = 80;
        p = url->data + 7;

    } else {
        return "it starts neither with \"https://\" nor with \"http://\"";
    }

    for (end = p; end < last; end++) {
        if (*end == '/' || *end == '?' || *end == '#') {
            break;
        }

        if (*end == '@' || *end == '\\') {
            return "it names a user: use headers of a \"pass\" location for "
                   "other credentials than those of the path";
        }
    }

    return ngx_http_approval_target_host(target, p, end);
}


static const char *
ngx_http_approval_target_host(ngx_http_approval_target_t *target, u_char *p,
    u_char *last)
{
    u_char     *colon;
    ngx_int_t   port;

    if (p < last && *p == '[') {
        colon = ngx_strlchr(p, last, ']');

        if (colon == NULL) {
            return "its host is invalid";
        }

        target->host.data = p + 1;
        target->host.len = colon - p - 1;
        colon++;

    } else {
        colon = ngx_strlchr(p, last, ':');
        colon = colon ? colon : last;

        target->host.data = p;
        target->host.len = colon - p;
    }

    if (colon < last) {
        port = (*colon == ':') ? ngx_atoi(colon + 1, last - colon - 1)
                               : NGX_ERROR;

        if (port < 1 || port > 65535) {
            return "its port is invalid";
        }

        target->port = (in_port_t) port;
    }

    target->local = target->host.len == 9
                    && ngx_strncasecmp(target->host.data,
                                       (u_char *) "localhost", 9)
                       == 0;

    target->numeric = ngx_inet_addr(target->host.data, target->host.len)
                      != INADDR_NONE;

    if (*p == '[') {
        u_char  addr[16];

        target->numeric = 1;

#if (NGX_HAVE_INET6)
        if (ngx_inet6_addr(target->host.data, target->host.len, addr)
            != NGX_OK)
#else
        (void) addr;
#endif
        {
            return "its host is invalid";
        }
    }

    return (target->numeric || ngx_http_approval_target_name(&target->host))
           ? NULL : "its host is invalid";
}


static ngx_uint_t
ngx_http_approval_target_name(ngx_str_t *host)
{
    u_char  c;
    size_t  i;

    if (host->len == 0 || host->len > 253) {
        return 0;
    }

    for (i = 0; i < host->len; i++) {
        c = host->data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'))
        {
            return 0;
        }
    }

    return 1;
}
