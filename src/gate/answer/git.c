
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Git over HTTP shows nothing of answers other than 200.  It does show errors
 * of its own protocol: the sideband's third band for a push, "ERR" for a fetch.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/form.h"


/* The maximum length of a packet, with its length (four digits) and band. */
#define NGX_HTTP_APPROVAL_GIT_PACKET  65520


typedef struct {
    const char  *request;            /* Content-Type */
    const char  *result;
    const char  *error;
} ngx_http_approval_git_t;


static const ngx_http_approval_git_t *ngx_http_approval_git(
    ngx_http_request_t *r);


static const ngx_http_approval_git_t  ngx_http_approval_git_services[] = {

    { "application/x-git-receive-pack-request",
      "application/x-git-receive-pack-result", "\3" },

    { "application/x-git-upload-pack-request",
      "application/x-git-upload-pack-result", "ERR " },

    { NULL, NULL, NULL }
};


ngx_int_t
ngx_http_approval_answer_git(ngx_http_approval_refuse_t *answer)
{
    size_t                          i, len;
    ngx_int_t                       rc;
    approval_buf_t                  text, out;
    const ngx_http_approval_git_t  *git;

    git = ngx_http_approval_git(answer->request);

    approval_buf_init(&text);
    approval_buf_init(&out);

    ngx_http_approval_answer_text(answer, &text);

    len = 4 + ngx_strlen(git->error);
    text.len = ngx_min(text.len, NGX_HTTP_APPROVAL_GIT_PACKET - len - 1);

    approval_buf_printf(&out, "%04x%s", (unsigned) (len + text.len + 1),
                        git->error);

    /* git prints it to a terminal */

    for (i = 0; i < text.len; i++) {
        approval_buf_addc(&out, text.data[i] < 0x20 ? ' ' : text.data[i]);
    }

    approval_buf_adds(&out, "\n0000");

    rc = (text.failed || out.failed)
         ? NGX_HTTP_INTERNAL_SERVER_ERROR
         : ngx_http_approval_send(answer->request, NGX_HTTP_OK, git->result,
                                  approval_buf_str(&out));

    approval_buf_free(&text);
    approval_buf_free(&out);

    return rc;
}


ngx_uint_t
ngx_http_approval_answer_is_git(ngx_http_request_t *r)
{
    return ngx_http_approval_git(r) != NULL;
}


static const ngx_http_approval_git_t *
ngx_http_approval_git(ngx_http_request_t *r)
{
    ngx_str_t                      *value;
    const ngx_http_approval_git_t  *git;

    if (r->headers_in.content_type == NULL) {
        return NULL;
    }

    value = &r->headers_in.content_type->value;

    for (git = ngx_http_approval_git_services; git->request; git++) {
        if (value->len == ngx_strlen(git->request)
            && ngx_strncasecmp(value->data, (u_char *) git->request,
                               value->len)
               == 0)
        {
            return git;
        }
    }

    return NULL;
}
