
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The signature of Slack's callbacks.
 */


#ifndef APPROVAL_SLACK_H
#define APPROVAL_SLACK_H


#include "core/str.h"


/* How old a signed request may be, seconds. */
#define APPROVAL_SLACK_AGE  300


/*
 * Verifies "v0=HEX", the HMAC-SHA256 of "v0:TIMESTAMP:BODY".
 * APPROVAL_DECLINED: not signed by this secret, or not within
 * APPROVAL_SLACK_AGE of now.
 */
int approval_slack_verify(approval_str_t secret, approval_str_t timestamp,
    approval_str_t signature, approval_str_t body, int64_t now);


#endif /* APPROVAL_SLACK_H */
