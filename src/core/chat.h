
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Messages to chats: JSON that a template makes (slack.json, teams.json).
 */


#ifndef APPROVAL_CHAT_H
#define APPROVAL_CHAT_H


#include "core/message.h"


/* Teams refuses more than 28 KB. */
#define APPROVAL_TEAMS_MAX  (28 * 1024)


/*
 * Append the message's JSON.  It stays within the chat's limits for any
 * document, and foreign text is escaped so that nothing of it is formatted.
 *
 * Slack: Block Kit.  Teams: an Adaptive Card 1.4 in the envelope of Workflows;
 * it has no buttons that decide, because Teams does not prove who presses them.
 */
int approval_slack_message(const approval_message_t *m, approval_buf_t *out);
int approval_teams_message(const approval_message_t *m, approval_buf_t *out);


#endif /* APPROVAL_CHAT_H */
