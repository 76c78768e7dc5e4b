
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/teams.h"


/*
 * Limits in bytes of JSON.  Even with all parts, the facts, the pairs and the
 * body at their longest, the message stays below APPROVAL_TEAMS_MAX.
 */

#define TEAMS_TITLE    400
#define TEAMS_SUMMARY  1600
#define TEAMS_OUTCOME  2000
#define TEAMS_FACT     700
#define TEAMS_NAME     160
#define TEAMS_PAIR     500
#define TEAMS_PAIRS    4000      /* of matched, and of show */
#define TEAMS_REASON   1600
#define TEAMS_BODY     3000
#define TEAMS_URL      2000


typedef struct {
    json_t  *facts;
    size_t   used;
    int      failed;
} teams_set_t;


static int teams_body(const approval_message_t *m, json_t *body);
static int teams_title(const approval_message_t *m, json_t *body);
static int teams_outcome(const approval_message_t *m, json_t *body);
static int teams_facts(const approval_message_t *m, json_t *body);
static void teams_fact(void *data, const char *name, approval_str_t value);
static int teams_pairs(const approval_message_t *m, const char *member,
    const char *title, json_t *body);
static int teams_pair(void *data, approval_str_t name, approval_str_t value);
static int teams_label(json_t *body, const char *text);
static int teams_text(json_t *body, approval_str_t text,
    approval_visible_e mode, size_t max, size_t hidden);
static int teams_reason(const approval_message_t *m, json_t *body);
static int teams_request(const approval_message_t *m, json_t *body);
static int teams_block(json_t *body, json_t *block);
static int teams_open(const approval_message_t *m, json_t *card);


int
approval_teams_message(const approval_message_t *m, approval_buf_t *out)
{
    int      rc;
    size_t   start;
    json_t  *message, *card, *body;

    body = json_array();
    card = json_pack("{s:s, s:s, s:s, s:{s:s}, s:o}",
                     "$schema",
                     "http://adaptivecards.io/schemas/adaptive-card.json",
                     "type", "AdaptiveCard", "version", "1.4",
                     "msteams", "width", "Full", "body", body);
    message = json_pack("{s:s, s:[{s:s, s:n, s:o}]}", "type", "message",
                        "attachments", "contentType",
                        "application/vnd.microsoft.card.adaptive",
                        "contentUrl", "content", card);

    rc = APPROVAL_ERROR;
    start = out->len;

    if (message
        && teams_body(m, body) == APPROVAL_OK
        && teams_open(m, card) == APPROVAL_OK
        && approval_json_canonical(message, out) == APPROVAL_OK
        && !out->failed
        && out->len - start <= APPROVAL_TEAMS_MAX)
    {
        rc = APPROVAL_OK;
    }

    json_decref(message);

    return rc;
}


static int
teams_body(const approval_message_t *m, json_t *body)
{
    if (teams_title(m, body) != APPROVAL_OK
        || teams_outcome(m, body) != APPROVAL_OK
        || teams_text(body, approval_message_get(m->doc, "summary"),
                      APPROVAL_VISIBLE_LINE, TEAMS_SUMMARY, 0)
           != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    if (!approval_event_open(m->event)) {
        return teams_facts(m, body);
    }

    if (teams_pairs(m, "matched", "Matched by the rule", body) != APPROVAL_OK
        || teams_facts(m, body) != APPROVAL_OK
        || teams_reason(m, body) != APPROVAL_OK
        || teams_pairs(m, "show", "Context", body) != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    return teams_request(m, body);
}


static int
teams_title(const approval_message_t *m, json_t *body)
{
    json_t          *block;
    approval_buf_t   title, text;

    approval_buf_init(&title);
    approval_buf_init(&text);

    approval_message_title(m, &title);
    approval_message_fit(approval_buf_str(&title), APPROVAL_VISIBLE_LINE,
                         approval_escape_markdown, TEAMS_TITLE, 0, &text);

    block = (title.failed || text.failed)
            ? NULL
            : json_pack("{s:s, s:o, s:s, s:s, s:b, s:s}",
                        "type", "TextBlock",
                        "text", json_stringn((char *) text.data, text.len),
                        "size", "Large", "weight", "Bolder", "wrap", 1,
                        "style", "heading");

    approval_buf_free(&title);
    approval_buf_free(&text);

    return teams_block(body, block);
}


static int
teams_outcome(const approval_message_t *m, json_t *body)
{
    int             rc;
    approval_buf_t  text;

    approval_buf_init(&text);
    approval_message_outcome(m, &text);

    rc = text.failed ? APPROVAL_ERROR
                     : teams_text(body, approval_buf_str(&text),
                                  APPROVAL_VISIBLE_TEXT, TEAMS_OUTCOME, 0);

    approval_buf_free(&text);

    return rc;
}


static int
teams_facts(const approval_message_t *m, json_t *body)
{
    int          rc;
    json_t      *block;
    teams_set_t  set;

    set.used = 0;
    set.failed = 0;
    set.facts = json_array();

    block = json_pack("{s:s, s:o}", "type", "FactSet", "facts", set.facts);
    if (block == NULL) {
        return APPROVAL_ERROR;
    }

    rc = approval_message_facts(m, teams_fact, &set);

    if (rc == APPROVAL_OK && !set.failed && m->code.len
        && approval_event_open(m->event))
    {
        teams_fact(&set, "Code, to be typed by who approves", m->code);
    }

    if (rc != APPROVAL_OK || set.failed) {
        json_decref(block);
        return APPROVAL_ERROR;
    }

    return teams_block(body, block);
}


static void
teams_fact(void *data, const char *name, approval_str_t value)
{
    teams_set_t  *set = data;

    json_t          *fact;
    approval_buf_t   text;

    approval_buf_init(&text);
    approval_message_fit(value, APPROVAL_VISIBLE_LINE,
                         approval_escape_markdown, TEAMS_FACT, 0, &text);

    fact = text.failed
           ? NULL
           : json_pack("{s:s, s:o}", "title", name, "value",
                       text.len ? json_stringn((char *) text.data, text.len)
                                : json_string("-"));

    if (json_array_append_new(set->facts, fact) != 0) {
        set->failed = 1;
    }

    approval_buf_free(&text);
}


static int
teams_pairs(const approval_message_t *m, const char *member,
    const char *title, json_t *body)
{
    int          rc;
    json_t      *block;
    teams_set_t  set;

    if (json_object_size(json_object_get(m->doc, member)) == 0) {
        return APPROVAL_OK;
    }

    set.used = 0;
    set.failed = 0;
    set.facts = json_array();

    block = json_pack("{s:s, s:o}", "type", "FactSet", "facts", set.facts);

    if (block == NULL || teams_label(body, title) != APPROVAL_OK) {
        json_decref(block);
        return APPROVAL_ERROR;
    }

    rc = approval_message_pairs(m, member, teams_pair, &set);

    if (rc == APPROVAL_ERROR || teams_block(body, block) != APPROVAL_OK) {

        if (rc == APPROVAL_ERROR) {
            json_decref(block);
        }

        return APPROVAL_ERROR;
    }

    if (rc == APPROVAL_DECLINED) {
        return teams_label(body, "\xe2\x80\xa6 (more is hidden: see the "
                                 "action's page)");
    }

    return APPROVAL_OK;
}


static int
teams_pair(void *data, approval_str_t name, approval_str_t value)
{
    teams_set_t  *set = data;

    int             rc;
    json_t         *fact;
    approval_buf_t  title, text;

    if (set->used > TEAMS_PAIRS - TEAMS_NAME - TEAMS_PAIR - 40) {
        return APPROVAL_DECLINED;
    }

    approval_buf_init(&title);
    approval_buf_init(&text);

    approval_message_fit(name, APPROVAL_VISIBLE_LINE,
                         approval_escape_markdown, TEAMS_NAME, 0, &title);
    approval_message_fit(value, APPROVAL_VISIBLE_LINE,
                         approval_escape_markdown, TEAMS_PAIR, 0, &text);

    set->used += approval_message_cost(approval_buf_str(&title))
                 + approval_message_cost(approval_buf_str(&text)) + 40;

    fact = (title.failed || text.failed)
           ? NULL
           : json_pack("{s:o, s:o}", "title",
                       json_stringn(title.len ? (char *) title.data : "-",
                                    title.len ? title.len : 1),
                       "value",
                       json_stringn(text.len ? (char *) text.data : "-",
                                    text.len ? text.len : 1));

    rc = json_array_append_new(set->facts, fact) == 0 ? APPROVAL_OK
                                                      : APPROVAL_ERROR;

    approval_buf_free(&title);
    approval_buf_free(&text);

    return rc;
}


static int
teams_reason(const approval_message_t *m, json_t *body)
{
    approval_str_t  reason;

    reason = approval_message_get(m->doc, "reason");

    if (reason.len == 0) {
        return APPROVAL_OK;
    }

    if (teams_label(body, "Reason, as the requester claims") != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    return teams_text(body, reason, APPROVAL_VISIBLE_LINE, TEAMS_REASON, 0);
}


/* In a box of its own, so that it cannot pass for our text. */

static int
teams_request(const approval_message_t *m, json_t *body)
{
    size_t           hidden;
    json_t          *box, *items;
    approval_str_t   text;

    text = approval_message_get(m->doc, "body");

    if (text.len == 0) {
        return APPROVAL_OK;
    }

    hidden = (size_t) json_integer_value(json_object_get(m->doc,
                                                         "body_hidden"));

    items = json_array();
    box = json_pack("{s:s, s:s, s:o}", "type", "Container",
                    "style", "emphasis", "items", items);

    if (box == NULL
        || teams_label(body, "Body, as the requester sent it, redacted")
           != APPROVAL_OK
        || teams_text(items, text, APPROVAL_VISIBLE_TEXT, TEAMS_BODY, hidden)
           != APPROVAL_OK)
    {
        json_decref(box);
        return APPROVAL_ERROR;
    }

    return teams_block(body, box);
}


static int
teams_label(json_t *body, const char *text)
{
    return teams_block(body, json_pack("{s:s, s:s, s:s, s:b, s:s}",
                                       "type", "TextBlock", "text", text,
                                       "weight", "Bolder", "wrap", 1,
                                       "spacing", "Medium"));
}


static int
teams_text(json_t *body, approval_str_t text, approval_visible_e mode,
    size_t max, size_t hidden)
{
    json_t          *block;
    approval_buf_t   buf;

    if (text.len == 0) {
        return APPROVAL_OK;
    }

    approval_buf_init(&buf);
    approval_message_fit(text, mode, approval_escape_markdown, max, hidden,
                         &buf);

    block = buf.failed
            ? NULL
            : json_pack("{s:s, s:o, s:b}", "type", "TextBlock", "text",
                        json_stringn((char *) buf.data, buf.len), "wrap", 1);

    approval_buf_free(&buf);

    return teams_block(body, block);
}


static int
teams_block(json_t *body, json_t *block)
{
    return json_array_append_new(body, block) == 0 ? APPROVAL_OK
                                                   : APPROVAL_ERROR;
}


/* No buttons that decide, because Teams does not prove who presses them. */

static int
teams_open(const approval_message_t *m, json_t *card)
{
    json_t  *actions;

    if (m->url.len == 0 || m->url.len > TEAMS_URL) {
        return APPROVAL_OK;
    }

    actions = json_pack("[{s:s, s:s, s:o}]", "type", "Action.OpenUrl",
                        "title", "Open the request", "url",
                        json_stringn((const char *) m->url.data,
                                     m->url.len));

    return json_object_set_new(card, "actions", actions) == 0
           ? APPROVAL_OK : APPROVAL_ERROR;
}
