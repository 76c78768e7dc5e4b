
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the templates of chats cannot say: which parts fit.
 */


#include "core/chat.h"
#include "core/template.h"

#include <string.h>

#include "approval/slack.json.h"
#include "approval/teams.json.h"


/*
 * Limits in bytes of JSON.  Slack's are in characters, which are never more:
 * 3000 for a section, 2000 for a field, 150 for a header, 3000 for a URL.  It
 * refuses a whole message that exceeds one of them.  A message to Teams stays
 * below APPROVAL_TEAMS_MAX even if all parts are at their longest.
 */

typedef struct {
    const char            *text;
    approval_escape_pt     escape;
    size_t                 name;        /* of a pair, and its value */
    size_t                 value;
    size_t                 extra;       /* what is around them */
    size_t                 pairs;       /* no more begin after it */
    size_t                 body;
    size_t                 url;         /* longer ones are omitted */
    size_t                 short_url;   /* can be within a text */
    size_t                 max;         /* of the message; 0: any */
} chat_t;


typedef struct {
    const chat_t          *chat;
    json_t                *list;
    size_t                 used;
} chat_set_t;


static const chat_t  chat_slack = {
    ngx_http_approval_slack_json, approval_escape_slack, 120, 600, 8, 1992,
    2720, 3000, 1400, 0
};

static const chat_t  chat_teams = {
    ngx_http_approval_teams_json, approval_escape_markdown, 160, 500, 40, 3300,
    3000, 2000, 0, APPROVAL_TEAMS_MAX
};


static int chat_message(const chat_t *chat, const approval_message_t *m,
    approval_buf_t *out);
static int chat_fit(const chat_t *chat, const approval_message_t *m,
    json_t *data);
static int chat_pairs(const chat_t *chat, const approval_message_t *m,
    const char *member, json_t *data);
static int chat_pair(void *data, approval_str_t name, approval_str_t value);
static json_t *chat_string(approval_buf_t *text);
static int chat_votes(const approval_message_t *m, json_t *data);
static int chat_render(const chat_t *chat, json_t *data, approval_buf_t *out);


int
approval_slack_message(const approval_message_t *m, approval_buf_t *out)
{
    return chat_message(&chat_slack, m, out);
}


int
approval_teams_message(const approval_message_t *m, approval_buf_t *out)
{
    return chat_message(&chat_teams, m, out);
}


static int
chat_message(const chat_t *chat, const approval_message_t *m,
    approval_buf_t *out)
{
    int      rc;
    json_t  *data;

    data = approval_message_whole(m);

    rc = (data
          && chat_fit(chat, m, data) == APPROVAL_OK
          && chat_pairs(chat, m, "matched", data) == APPROVAL_OK
          && chat_pairs(chat, m, "show", data) == APPROVAL_OK
          && chat_votes(m, data) == APPROVAL_OK)
         ? chat_render(chat, data, out) : APPROVAL_ERROR;

    json_decref(data);

    return rc;
}


/* The body with the count of all that is hidden, and the link if it fits. */

static int
chat_fit(const chat_t *chat, const approval_message_t *m, json_t *data)
{
    int             rc;
    size_t          hidden;
    approval_buf_t  text;
    approval_str_t  body;

    body = approval_message_get(m->doc, "body");
    hidden = (size_t) json_integer_value(json_object_get(m->doc,
                                                         "body_hidden"));
    approval_buf_init(&text);

    if (body.len) {
        approval_message_fit(body, APPROVAL_VISIBLE_TEXT, chat->escape,
                             chat->body, hidden, &text);
    }

    rc = (json_object_set_new(data, "body", chat_string(&text)) == 0
          && json_object_set_new(data, "short_url",
                                 json_boolean(m->url.len
                                              && m->url.len
                                                 <= chat->short_url))
             == 0
          && (m->url.len <= chat->url
              || json_object_set_new(data, "url", json_string("")) == 0))
         ? APPROVAL_OK : APPROVAL_ERROR;

    approval_buf_free(&text);

    return rc;
}


/* The last pair that fits says whether there are more. */

static int
chat_pairs(const chat_t *chat, const approval_message_t *m,
    const char *member, json_t *data)
{
    int          rc;
    size_t       n;
    chat_set_t   set;

    set.chat = chat;
    set.list = json_array();
    set.used = 0;

    if (json_object_set_new(data, member, set.list) != 0) {
        return APPROVAL_ERROR;
    }

    rc = approval_message_pairs(m, member, chat_pair, &set);
    n = json_array_size(set.list);

    if (rc == APPROVAL_ERROR || n == 0) {
        return rc;
    }

    return json_object_update_new(json_array_get(set.list, n - 1),
                                  json_pack("{s:b, s:b}", "last", 1, "more",
                                            rc == APPROVAL_DECLINED))
           == 0 ? APPROVAL_OK : APPROVAL_ERROR;
}


/* In one line, so that a value cannot imitate another pair. */

static int
chat_pair(void *data, approval_str_t name, approval_str_t value)
{
    chat_set_t  *set = data;

    int             rc;
    json_t         *pair;
    approval_buf_t  first, second;

    if (set->used > set->chat->pairs) {
        return APPROVAL_DECLINED;
    }

    approval_buf_init(&first);
    approval_buf_init(&second);

    approval_message_fit(name, APPROVAL_VISIBLE_LINE, set->chat->escape,
                         set->chat->name, 0, &first);
    approval_message_fit(value, APPROVAL_VISIBLE_LINE, set->chat->escape,
                         set->chat->value, 0, &second);

    set->used += approval_message_cost(approval_buf_str(&first))
                 + approval_message_cost(approval_buf_str(&second))
                 + set->chat->extra;

    pair = json_pack("{s:o, s:o, s:b, s:b}",
                     "name", chat_string(&first),
                     "value", chat_string(&second),
                     "first", json_array_size(set->list) == 0, "last", 0);

    rc = json_array_append_new(set->list, pair) == 0 ? APPROVAL_OK
                                                     : APPROVAL_ERROR;
    approval_buf_free(&first);
    approval_buf_free(&second);

    return rc;
}


static json_t *
chat_string(approval_buf_t *text)
{
    return text->failed ? NULL
                        : json_stringn(text->len ? (char *) text->data : "",
                                       text->len);
}


/* A click is bound to what was shown, by the action and its digest. */

static int
chat_votes(const approval_message_t *m, json_t *data)
{
    json_t    *list;
    unsigned   votes;

    votes = (m->buttons && approval_event_open(m->event))
            ? approval_message_votes(m->doc) : 0;
    list = json_array();

    if (json_object_set_new(data, "votes", list) != 0
        || json_object_set_new(data, "vote", json_boolean(votes)) != 0
        || ((votes & APPROVAL_VOTE_APPROVE)
            && json_array_append_new(list,
                   json_pack("{s:s, s:s, s:s, s:b}", "act", "approve",
                             "name", "Approve", "style", "primary",
                             "first", 1))
               != 0)
        || ((votes & APPROVAL_VOTE_DENY)
            && json_array_append_new(list,
                   json_pack("{s:s, s:s, s:s, s:b}", "act", "deny",
                             "name", "Deny", "style", "danger",
                             "first", !(votes & APPROVAL_VOTE_APPROVE)))
               != 0))
    {
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


static int
chat_render(const chat_t *chat, json_t *data, approval_buf_t *out)
{
    int              rc;
    size_t           start;
    json_t          *message;
    const char      *err;
    approval_buf_t   text;

    approval_buf_init(&text);

    message = NULL;

    if (approval_template(chat->text, data, approval_escape_json, NULL, &text)
        == APPROVAL_OK)
    {
        message = approval_json_parse(approval_buf_str(&text), &err);
    }

    start = out->len;

    rc = (message
          && approval_json_canonical(message, out) == APPROVAL_OK
          && !out->failed
          && (chat->max == 0 || out->len - start <= chat->max))
         ? APPROVAL_OK : APPROVAL_ERROR;

    json_decref(message);
    approval_buf_free(&text);

    return rc;
}
