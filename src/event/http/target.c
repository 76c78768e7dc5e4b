
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Parses the URL of a receiver, as written in the configuration.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "event/http/http.h"


typedef struct {
    const char  *name;
    in_port_t    port;
    unsigned     secure:1;
} ngx_http_approval_target_scheme_t;


static const char *ngx_http_approval_target_begin(
    ngx_http_approval_target_t *target, ngx_str_t *url,
    const ngx_http_approval_target_scheme_t schemes[2], const char *none,
    u_char **after);
static ngx_uint_t ngx_http_approval_target_user(u_char *p, u_char *last);
static const char *ngx_http_approval_target_host(
    ngx_http_approval_target_t *target, u_char *p, u_char *last);
static ngx_uint_t ngx_http_approval_target_name(ngx_str_t *host);


const char *
ngx_http_approval_target_parse(ngx_http_approval_target_t *target,
    ngx_str_t *url)
{
    u_char      *p, *last, *end;
    const char  *err;

    static const ngx_http_approval_target_scheme_t  http[] = {
        { "https://", 443, 1 },
        { "http://", 80, 0 }
    };

    err = ngx_http_approval_target_begin(target, url, http, "it starts neither "
                                         "with \"https://\" nor with "
                                         "\"http://\"", &p);
    if (err) {
        return err;
    }

    last = url->data + url->len;

    for (end = p; end < last; end++) {
        if (*end == '/' || *end == '?' || *end == '#') {
            break;
        }

        if (*end == '@' || *end == '\\') {
            return "it contains a user: set credentials in the headers of a "
                   "\"pass\" location";
        }
    }

    return ngx_http_approval_target_host(target, p, end);
}


/* The path, without its "/", is the name for EHLO. */

const char *
ngx_http_approval_target_mail(ngx_http_approval_target_t *target,
    ngx_str_t *url)
{
    u_char      *p, *last, *end, *slash;
    ngx_str_t    name;
    const char  *err;

    static const ngx_http_approval_target_scheme_t  mail[] = {
        { "smtps://", 465, 1 },
        { "smtp://", 25, 0 }
    };

    err = ngx_http_approval_target_begin(target, url, mail, "it starts neither "
                                         "with \"smtps://\" nor with "
                                         "\"smtp://\"", &p);
    if (err) {
        return err;
    }

    last = url->data + url->len;
    target->mail = 1;

    end = ngx_strlchr(p, last, '@');

    if (end) {
        target->user = 1;

        if (!ngx_http_approval_target_user(p, end)) {
            return "its \"USER:PASSWORD@\" is invalid: write all characters "
                   "except letters, digits and \"-._~\" as %XX";
        }

        p = end + 1;
    }

    slash = ngx_strlchr(p, last, '/');

    if (slash) {
        name.data = slash + 1;
        name.len = last - slash - 1;

        if (name.len && !ngx_http_approval_target_name(&name)) {
            return "its path is not a host name for EHLO";
        }

        last = slash;
    }

    return ngx_http_approval_target_host(target, p, last);
}


static const char *
ngx_http_approval_target_begin(ngx_http_approval_target_t *target,
    ngx_str_t *url, const ngx_http_approval_target_scheme_t schemes[2],
    const char *none, u_char **after)
{
    size_t  i, len;

    for (i = 0; i < url->len; i++) {
        if (url->data[i] <= ' ' || url->data[i] >= 0x7f) {
            return "it has a character that a URL cannot contain";
        }
    }

    target->url = *url;

    for (i = 0; i < 2; i++) {
        len = ngx_strlen(schemes[i].name);

        if (url->len >= len
            && ngx_strncasecmp(url->data, (u_char *) schemes[i].name, len)
               == 0)
        {
            target->secure = schemes[i].secure;
            target->port = schemes[i].port;
            *after = url->data + len;

            return NULL;
        }
    }

    return none;
}


/* Allows unreserved characters and %XX, but no encoded control characters. */

static ngx_uint_t
ngx_http_approval_target_user(u_char *p, u_char *last)
{
    ngx_int_t   c;
    ngx_uint_t  colons;

    if (p == last || *p == ':') {
        return 0;
    }

    for (colons = 0; p < last; p++) {

        if (*p == ':') {
            colons++;
            continue;
        }

        if (*p == '%') {
            c = (last - p > 2) ? ngx_hextoi(p + 1, 2) : NGX_ERROR;

            if (c == NGX_ERROR || c < 0x20 || c == 0x7f) {
                return 0;
            }

            p += 2;
            continue;
        }

        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
              || (*p >= '0' && *p <= '9') || *p == '-' || *p == '.'
              || *p == '_' || *p == '~'))
        {
            return 0;
        }
    }

    return colons == 1;
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

    target->loopback = target->local
                       || (target->numeric
                           && ngx_strncmp(target->host.data, "127.", 4) == 0);

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

        target->loopback = target->host.len == 3
                           && ngx_strncmp(target->host.data, "::1", 3) == 0;
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
