
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Microsoft Teams: an Adaptive Card 1.4 in the envelope of Workflows.
 */


#ifndef APPROVAL_TEAMS_H
#define APPROVAL_TEAMS_H


#include "core/message.h"


/* Teams refuses more than 28 KB. */
#define APPROVAL_TEAMS_MAX  (28 * 1024)


/*
 * Appends the message's JSON: at most APPROVAL_TEAMS_MAX bytes for any
 * document.  Foreign text is escaped so that it contains no Markdown.
 */
int approval_teams_message(const approval_message_t *m, approval_buf_t *out);


#endif /* APPROVAL_TEAMS_H */
