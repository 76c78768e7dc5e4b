
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A class is the set of actions of one rule, as the rule was when they were
 * created.  The same people can decide all of them, so lists are read by class:
 * see store/action.lua.
 */


#ifndef NGX_HTTP_APPROVAL_CLASS_H
#define NGX_HTTP_APPROVAL_CLASS_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/action.h"
#include "model/policy.h"


/*
 * Sets rule->class and rule->class_doc.  The latter contains policy, rule,
 * require and break_glass, as an action's document does.
 */
ngx_int_t ngx_http_approval_class(ngx_pool_t *pool,
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_rule_conf_t *rule);

/* The rule's "require" lines, as in documents: [{count, groups}]. */
json_t *ngx_http_approval_class_require(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule);


#endif /* NGX_HTTP_APPROVAL_CLASS_H */
