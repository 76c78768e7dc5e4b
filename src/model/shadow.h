
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What a rule in mode shadow would have done to a requester, as the store keeps
 * it: counts under a hash, and the meaning of the hash, sealed.
 */


#ifndef NGX_HTTP_APPROVAL_MODEL_SHADOW_H
#define NGX_HTTP_APPROVAL_MODEL_SHADOW_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/action.h"


#define NGX_HTTP_APPROVAL_SHADOW_HASH  32


/*
 * outcome: "held", "denied", or the type of the problem that enforce mode
 * would have answered.  sealed is text.
 */
ngx_int_t ngx_http_approval_shadow_seal(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, ngx_str_t *requester, const char *outcome,
    u_char hash[NGX_HTTP_APPROVAL_SHADOW_HASH], approval_buf_t *sealed);

/*
 * {"policy", "rule", "action", "requester", "outcome"}, a new reference; NULL:
 * damaged, or sealed by another key.
 */
json_t *ngx_http_approval_shadow_open(ngx_http_approval_main_conf_t *mcf,
    approval_str_t hash, approval_str_t sealed);


#endif /* NGX_HTTP_APPROVAL_MODEL_SHADOW_H */
