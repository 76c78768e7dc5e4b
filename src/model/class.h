
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A class of actions: those of one rule, as it was when they were made.  By
 * whom they can be decided is the same for all of them, so that lists are read
 * by class: see store/action.lua.
 */


#ifndef NGX_HTTP_APPROVAL_CLASS_H
#define NGX_HTTP_APPROVAL_CLASS_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/action.h"
#include "model/policy.h"


/* Sets rule->class and rule->class_doc, which has policy, rule, require and
 * break_glass as an action's document. */
ngx_int_t ngx_http_approval_class(ngx_pool_t *pool,
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_rule_conf_t *rule);

/* What is required, as it stands in documents: [{count, groups}]. */
json_t *ngx_http_approval_class_require(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule);


#endif /* NGX_HTTP_APPROVAL_CLASS_H */
