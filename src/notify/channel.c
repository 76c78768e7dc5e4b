
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "notify/channel.h"


/* In the order of ngx_http_approval_channel_type_e. */

static const ngx_http_approval_format_t  ngx_http_approval_formats[] = {

    { ngx_string("application/json"),
      ngx_http_approval_webhook_body,
      ngx_http_approval_webhook_headers }
};


const ngx_http_approval_format_t *
ngx_http_approval_format(ngx_uint_t type)
{
    if (type >= sizeof(ngx_http_approval_formats)
                / sizeof(ngx_http_approval_formats[0]))
    {
        return NULL;
    }

    return &ngx_http_approval_formats[type];
}
