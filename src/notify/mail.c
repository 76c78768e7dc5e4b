
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * "type mail": the addresses, and the format's callback, which calls core/.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/channel.h"

#include "core/mail.h"


ngx_int_t
ngx_http_approval_mail_to(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_channel_t *channel, ngx_str_t *approver,
    ngx_pool_t *pool, ngx_str_t *to)
{
    int             rc;
    approval_buf_t  address;

    if (channel->to.len) {
        *to = channel->to;
        return NGX_OK;
    }

    approval_buf_init(&address);

    rc = approval_mail_person(mcf->people,
                              ngx_http_approval_core_str(approver), &address);

    if (rc == APPROVAL_OK) {
        to->len = address.len;
        to->data = ngx_pnalloc(pool, address.len);

        if (to->data) {
            ngx_memcpy(to->data, address.data, address.len);

        } else {
            rc = APPROVAL_ERROR;
        }
    }

    approval_buf_free(&address);

    return rc == APPROVAL_OK ? NGX_OK
           : rc == APPROVAL_DECLINED ? NGX_DECLINED : NGX_ERROR;
}


ngx_int_t
ngx_http_approval_mail_body(const ngx_http_approval_content_t *c,
    approval_buf_t *out)
{
    approval_mail_t  mail;

    mail.from = ngx_http_approval_core_str(&c->channel->from);
    mail.to = ngx_http_approval_core_str((ngx_str_t *) &c->to);
    mail.id = ngx_http_approval_core_str((ngx_str_t *) &c->message_id);
    mail.thread = ngx_http_approval_core_str((ngx_str_t *) &c->thread_id);

    return approval_mail_message(&c->message, &mail, out) == APPROVAL_OK
           ? NGX_OK : NGX_ERROR;
}
