
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The gate: from the request's arrival to its resumption, refusal or end.
 */


#ifndef NGX_HTTP_APPROVAL_GATE_H
#define NGX_HTTP_APPROVAL_GATE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/answer/answer.h"
#include "gate/hold/hold.h"
#include "gate/judge/judge.h"
#include "gate/mcp/mcp.h"
#include "gate/phase/phase.h"


#endif /* NGX_HTTP_APPROVAL_GATE_H */
