
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A problem document (RFC 9457).
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/form.h"


ngx_int_t
ngx_http_approval_answer_problem(ngx_http_approval_refuse_t *answer)
{
    const ngx_http_approval_refusal_t  *refusal;

    refusal = answer->refusal;

    return ngx_http_approval_problem(answer->request, answer->status,
                           refusal->type, refusal->title,
                           answer->detail ? answer->detail : refusal->next,
                           ngx_http_approval_hold_stored(answer->hold)
                           ? answer->hold->action.id : NULL,
                           ngx_http_approval_answer_facts(answer));
}
