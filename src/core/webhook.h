
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Standard Webhooks 1.0: the id and the signatures of a message.
 */


#ifndef APPROVAL_WEBHOOK_H
#define APPROVAL_WEBHOOK_H


#include "core/keys.h"
#include "core/str.h"


/* "msg_" and 32 hex digits. */
#define APPROVAL_WEBHOOK_ID_LEN  36


/*
 * The id of the message about an action to a channel, and to one approver ("":
 * to all).  It is the same whoever sends the message, and however often.
 */
int approval_webhook_id(approval_str_t action, approval_str_t channel,
    approval_str_t approver, unsigned char dst[APPROVAL_WEBHOOK_ID_LEN]);

/*
 * Appends "v1,BASE64", the HMAC-SHA256 of "ID.TIMESTAMP.BODY" under one
 * decoded secret, after a space if out already contains a signature.
 * timestamp: of the attempt, in seconds.
 */
int approval_webhook_sign(approval_str_t secret, approval_str_t id,
    int64_t timestamp, approval_str_t body, approval_buf_t *out);


#endif /* APPROVAL_WEBHOOK_H */
