
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/slack.h"
#include "core/keys.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>


/*
 * Slack's limits are in characters: 3000 for a section, 2000 for a field, 150
 * for a header, 3000 for a URL, 2000 for a value.  It refuses a whole message
 * that exceeds one of them.  Our limits are in bytes of JSON, which are never
 * fewer.
 */

#define SLACK_SECTION  2800
#define SLACK_SUMMARY  1500
#define SLACK_FIELD    1200
#define SLACK_FIELDS   10
#define SLACK_HEADER   140
#define SLACK_NAME     120
#define SLACK_PAIR     600
#define SLACK_URL      3000
#define SLACK_TEXT_URL 1500
#define SLACK_VALUE    2000


typedef struct {
    json_t          *blocks;      /* to which sections of fields go  */
    json_t          *list;        /* fields of the last one, or NULL */
    approval_buf_t   text;        /* lines */
    int              failed;
} slack_lines_t;


static int slack_blocks(const approval_message_t *m, json_t *blocks);
static int slack_header(const approval_message_t *m, json_t *blocks);
static int slack_summary(const approval_message_t *m, json_t *blocks);
static int slack_fields(const approval_message_t *m, json_t *blocks);
static void slack_field(void *data, const char *name, approval_str_t value);
static int slack_pairs(const approval_message_t *m, const char *member,
    const char *title, json_t *blocks);
static int slack_pair(void *data, approval_str_t name, approval_str_t value);
static int slack_text(const approval_message_t *m, const char *member,
    const char *title, size_t hidden, json_t *blocks);
static int slack_code(const approval_message_t *m, json_t *blocks);
static int slack_actions(const approval_message_t *m, json_t *blocks);
static json_t *slack_button(const approval_message_t *m, const char *text,
    const char *action, const char *style);
static json_t *slack_confirm(void);
static int slack_link(const approval_message_t *m, json_t *blocks);
static json_t *slack_plain(approval_str_t text);
static int slack_section(json_t *blocks, approval_buf_t *text);
static int slack_fallback(const approval_message_t *m, json_t *message);


int
approval_slack_message(const approval_message_t *m, approval_buf_t *out)
{
    int      rc;
    json_t  *message, *blocks;

    blocks = json_array();
    message = json_pack("{s:b, s:b, s:b, s:b, s:s, s:o}",
                        "unfurl_links", 0, "unfurl_media", 0, "mrkdwn", 0,
                        "link_names", 0, "parse", "none", "blocks", blocks);

    rc = APPROVAL_ERROR;

    if (message
        && slack_fallback(m, message) == APPROVAL_OK
        && slack_blocks(m, blocks) == APPROVAL_OK
        && approval_json_canonical(message, out) == APPROVAL_OK
        && !out->failed)
    {
        rc = APPROVAL_OK;
    }

    json_decref(message);

    return rc;
}


/*
 * The most important comes first, because Slack folds the end of long
 * messages.
 */

static int
slack_blocks(const approval_message_t *m, json_t *blocks)
{
    size_t  hidden;

    if (slack_header(m, blocks) != APPROVAL_OK
        || slack_summary(m, blocks) != APPROVAL_OK
        || slack_fields(m, blocks) != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    if (!approval_event_open(m->event)) {
        return m->url.len ? slack_link(m, blocks) : APPROVAL_OK;
    }

    hidden = (size_t) json_integer_value(json_object_get(m->doc,
                                                         "body_hidden"));

    if (slack_pairs(m, "matched", "Matched by the rule:", blocks)
        != APPROVAL_OK
        || slack_text(m, "reason", "Reason, as the requester claims:", 0,
                      blocks)
           != APPROVAL_OK
        || slack_pairs(m, "show", "Context:", blocks) != APPROVAL_OK
        || slack_text(m, "body", "Body, as the requester sent it, redacted:",
                      hidden, blocks)
           != APPROVAL_OK
        || slack_code(m, blocks) != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    return slack_actions(m, blocks);
}


static int
slack_header(const approval_message_t *m, json_t *blocks)
{
    json_t          *block;
    approval_buf_t   title, text;

    approval_buf_init(&title);
    approval_buf_init(&text);

    approval_message_title(m, &title);
    approval_message_fit(approval_buf_str(&title), APPROVAL_VISIBLE_LINE,
                         approval_escape_slack, SLACK_HEADER, 0, &text);

    block = (title.failed || text.failed)
            ? NULL
            : json_pack("{s:s, s:o}", "type", "header",
                        "text", slack_plain(approval_buf_str(&text)));

    approval_buf_free(&title);
    approval_buf_free(&text);

    return json_array_append_new(blocks, block) == 0 ? APPROVAL_OK
                                                     : APPROVAL_ERROR;
}


static int
slack_summary(const approval_message_t *m, json_t *blocks)
{
    int             rc;
    approval_buf_t  text, outcome;

    approval_buf_init(&text);
    approval_buf_init(&outcome);

    approval_message_outcome(m, &outcome);

    if (outcome.len) {
        approval_message_fit(approval_buf_str(&outcome),
                             APPROVAL_VISIBLE_TEXT, approval_escape_slack,
                             SLACK_SECTION - SLACK_SUMMARY - 2, 0, &text);
        approval_buf_addc(&text, '\n');
    }

    approval_message_fit(approval_message_get(m->doc, "summary"),
                         APPROVAL_VISIBLE_LINE, approval_escape_slack,
                         SLACK_SUMMARY, 0, &text);

    rc = outcome.failed ? APPROVAL_ERROR : slack_section(blocks, &text);

    approval_buf_free(&outcome);

    return rc;
}


static int
slack_fields(const approval_message_t *m, json_t *blocks)
{
    slack_lines_t  lines;

    lines.failed = 0;
    lines.list = NULL;
    lines.blocks = blocks;

    return approval_message_facts(m, slack_field, &lines) == APPROVAL_OK
           && !lines.failed ? APPROVAL_OK : APPROVAL_ERROR;
}


static void
slack_field(void *data, const char *name, approval_str_t value)
{
    slack_lines_t  *lines = data;

    approval_buf_t  text;

    if (lines->list == NULL || json_array_size(lines->list) == SLACK_FIELDS) {
        lines->list = json_array();

        if (json_array_append_new(lines->blocks,
                                  json_pack("{s:s, s:o}", "type", "section",
                                            "fields", lines->list))
            != 0)
        {
            lines->list = NULL;
            lines->failed = 1;
            return;
        }
    }

    approval_buf_init(&text);
    approval_buf_adds(&text, name);
    approval_buf_addc(&text, '\n');

    approval_message_fit(value, APPROVAL_VISIBLE_LINE, approval_escape_slack,
                         SLACK_FIELD, 0, &text);

    if (text.failed
        || json_array_append_new(lines->list,
                                 slack_plain(approval_buf_str(&text)))
           != 0)
    {
        lines->failed = 1;
    }

    approval_buf_free(&text);
}


/*
 * One pair per line; line feeds in a value are made visible, so that a value
 * cannot imitate another pair.
 */

static int
slack_pairs(const approval_message_t *m, const char *member,
    const char *title, json_t *blocks)
{
    int            rc;
    slack_lines_t  lines;

    if (json_object_size(json_object_get(m->doc, member)) == 0) {
        return APPROVAL_OK;
    }

    approval_buf_init(&lines.text);
    approval_buf_adds(&lines.text, title);

    rc = approval_message_pairs(m, member, slack_pair, &lines);

    if (rc == APPROVAL_ERROR) {
        approval_buf_free(&lines.text);
        return APPROVAL_ERROR;
    }

    if (rc == APPROVAL_DECLINED) {
        approval_buf_adds(&lines.text, "\n\xe2\x80\xa6 (more is hidden: "
                                       "see the action's page)");
    }

    return slack_section(blocks, &lines.text);
}


static int
slack_pair(void *data, approval_str_t name, approval_str_t value)
{
    slack_lines_t  *lines = data;

    if (approval_message_cost(approval_buf_str(&lines->text))
        > SLACK_SECTION - SLACK_NAME - SLACK_PAIR - 80)
    {
        return APPROVAL_DECLINED;
    }

    approval_buf_addc(&lines->text, '\n');
    approval_message_fit(name, APPROVAL_VISIBLE_LINE, approval_escape_slack,
                         SLACK_NAME, 0, &lines->text);
    approval_buf_adds(&lines->text, ": ");
    approval_message_fit(value, APPROVAL_VISIBLE_LINE, approval_escape_slack,
                         SLACK_PAIR, 0, &lines->text);

    return lines->text.failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
slack_text(const approval_message_t *m, const char *member,
    const char *title, size_t hidden, json_t *blocks)
{
    approval_buf_t  text;
    approval_str_t  value;

    value = approval_message_get(m->doc, member);

    if (value.len == 0) {
        return APPROVAL_OK;
    }

    approval_buf_init(&text);
    approval_buf_adds(&text, title);
    approval_buf_addc(&text, '\n');

    approval_message_fit(value, APPROVAL_VISIBLE_TEXT, approval_escape_slack,
                         SLACK_SECTION - 80, hidden, &text);

    return slack_section(blocks, &text);
}


static int
slack_code(const approval_message_t *m, json_t *blocks)
{
    approval_buf_t  text;

    if (m->code.len == 0) {
        return APPROVAL_OK;
    }

    approval_buf_init(&text);
    approval_buf_adds(&text, "Code, to be typed by who approves: ");
    approval_buf_add(&text, m->code.data, m->code.len);

    return slack_section(blocks, &text);
}


static int
slack_actions(const approval_message_t *m, json_t *blocks)
{
    int        rc;
    json_t    *block, *list, *open;
    unsigned   votes;

    votes = m->buttons ? approval_message_votes(m->doc) : 0;

    if (votes == 0) {
        return m->url.len ? slack_link(m, blocks) : APPROVAL_OK;
    }

    list = json_array();
    block = json_pack("{s:s, s:s, s:o}", "type", "actions",
                      "block_id", "approval", "elements", list);
    if (block == NULL) {
        return APPROVAL_ERROR;
    }

    rc = 0;

    if (votes & APPROVAL_VOTE_APPROVE) {
        rc |= json_array_append_new(list, slack_button(m, "Approve",
                                               "approval_approve", "primary"));
    }

    if (votes & APPROVAL_VOTE_DENY) {
        rc |= json_array_append_new(list, slack_button(m, "Deny",
                                               "approval_deny", "danger"));
    }

    if (m->url.len && m->url.len <= SLACK_URL) {
        open = slack_button(m, "Open", "approval_open", NULL);

        rc |= json_object_set_new(open, "url",
                                  json_stringn((const char *) m->url.data,
                                               m->url.len));
        rc |= json_array_append_new(list, open);
    }

    if (rc != 0) {
        json_decref(block);
        return APPROVAL_ERROR;
    }

    return json_array_append_new(blocks, block) == 0 ? APPROVAL_OK
                                                     : APPROVAL_ERROR;
}


/* The value binds a click to what was shown, by the action and its digest. */

static json_t *
slack_button(const approval_message_t *m, const char *text,
    const char *action, const char *style)
{
    json_t          *button;
    approval_buf_t   value;
    approval_str_t   digest;

    digest = approval_message_get(m->doc, "digest");

    approval_buf_init(&value);
    approval_buf_add(&value, m->id.data, m->id.len);
    approval_buf_addc(&value, ' ');
    approval_buf_add(&value, digest.data, digest.len);

    button = NULL;

    if (!value.failed && value.len <= SLACK_VALUE) {
        button = json_pack("{s:s, s:s, s:o, s:o}", "type", "button",
                           "action_id", action,
                           "text", slack_plain(approval_str(text)),
                           "value", json_stringn((char *) value.data,
                                                 value.len));
    }

    approval_buf_free(&value);

    if (button && style
        && (json_object_set_new(button, "style", json_string(style)) != 0
            || json_object_set_new(button, "confirm", slack_confirm()) != 0))
    {
        json_decref(button);
        return NULL;
    }

    return button;
}


static json_t *
slack_confirm(void)
{
    return json_pack("{s:o, s:o, s:o, s:o}",
                     "title", slack_plain(approval_str("Are you sure?")),
                     "text", slack_plain(approval_str("Your vote is recorded "
                                         "and cannot be changed.")),
                     "confirm", slack_plain(approval_str("Yes")),
                     "deny", slack_plain(approval_str("Back")));
}


/* The only text that is formatted; the URL is ours. */

static int
slack_link(const approval_message_t *m, json_t *blocks)
{
    json_t          *block;
    approval_buf_t   text;

    if (m->url.len > SLACK_SECTION / 2) {
        return APPROVAL_OK;
    }

    approval_buf_init(&text);
    approval_buf_addc(&text, '<');
    approval_escape_slack(m->url, &text);
    approval_buf_adds(&text, "|Open the request>");

    block = text.failed
            ? NULL
            : json_pack("{s:s, s:{s:s, s:o, s:b}}", "type", "section",
                        "text", "type", "mrkdwn", "text",
                        json_stringn((char *) text.data, text.len),
                        "verbatim", 1);

    approval_buf_free(&text);

    return json_array_append_new(blocks, block) == 0 ? APPROVAL_OK
                                                     : APPROVAL_ERROR;
}


/* Without "emoji": false, ":x:" would become a picture. */

static json_t *
slack_plain(approval_str_t text)
{
    return json_pack("{s:s, s:o, s:b}", "type", "plain_text", "text",
                     json_stringn((const char *) text.data, text.len),
                     "emoji", 0);
}


/* Consumes text; Slack would refuse an empty section. */

static int
slack_section(json_t *blocks, approval_buf_t *text)
{
    int      rc;
    json_t  *block;

    rc = APPROVAL_ERROR;

    if (!text->failed && text->len == 0) {
        rc = APPROVAL_OK;

    } else if (!text->failed) {
        block = json_pack("{s:s, s:o}", "type", "section", "text",
                          slack_plain(approval_buf_str(text)));

        if (json_array_append_new(blocks, block) == 0) {
            rc = APPROVAL_OK;
        }
    }

    approval_buf_free(text);

    return rc;
}


/*
 * Shown in notifications and by screen readers; Mattermost and Discord show
 * nothing else, as Markdown.  Therefore it contains no text of the requester.
 */

static int
slack_fallback(const approval_message_t *m, json_t *message)
{
    int             rc;
    approval_buf_t  title, text;

    approval_buf_init(&title);
    approval_buf_init(&text);

    approval_message_title(m, &title);
    approval_message_fit(approval_buf_str(&title), APPROVAL_VISIBLE_LINE,
                         approval_escape_slack, SLACK_HEADER, 0, &text);

    if (approval_event_open(m->event) && m->url.len
        && m->url.len <= SLACK_TEXT_URL)
    {
        approval_buf_addc(&text, ' ');
        approval_buf_add(&text, m->url.data, m->url.len);
    }

    rc = (title.failed || text.failed
          || json_object_set_new(message, "text",
                                 json_stringn((char *) text.data, text.len))
             != 0)
         ? APPROVAL_ERROR : APPROVAL_OK;

    approval_buf_free(&title);
    approval_buf_free(&text);

    return rc;
}


int
approval_slack_verify(approval_str_t secret, approval_str_t timestamp,
    approval_str_t signature, approval_str_t body, int64_t now)
{
    int              ok;
    size_t           i;
    int64_t          when;
    unsigned         len;
    unsigned char    mac[EVP_MAX_MD_SIZE], want[3 + 2 * 32];
    approval_buf_t   text;
    approval_str_t   expected;

    if (secret.len == 0 || secret.len > INT_MAX
        || timestamp.len == 0 || timestamp.len > 12)
    {
        return APPROVAL_DECLINED;
    }

    when = 0;

    for (i = 0; i < timestamp.len; i++) {
        if (timestamp.data[i] < '0' || timestamp.data[i] > '9') {
            return APPROVAL_DECLINED;
        }

        when = when * 10 + (timestamp.data[i] - '0');
    }

    if (when < now - APPROVAL_SLACK_AGE || when > now + APPROVAL_SLACK_AGE) {
        return APPROVAL_DECLINED;
    }

    approval_buf_init(&text);
    approval_buf_adds(&text, "v0:");
    approval_buf_add(&text, timestamp.data, timestamp.len);
    approval_buf_addc(&text, ':');
    approval_buf_add(&text, body.data, body.len);

    ok = !text.failed
         && HMAC(EVP_sha256(), secret.data, (int) secret.len, text.data,
                 text.len, mac, &len)
            != NULL
         && len == 32;

    approval_buf_free(&text);

    if (!ok) {
        ERR_clear_error();
        return APPROVAL_DECLINED;
    }

    memcpy(want, "v0=", 3);

    expected.data = want;
    expected.len = 3 + approval_hex_encode(want + 3, mac, 32);

    return approval_str_eq_secret(expected, signature) ? APPROVAL_OK
                                                       : APPROVAL_DECLINED;
}
