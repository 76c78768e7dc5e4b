
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Messages to Slack and Teams: every limit, whatever the document holds.
 */


#include "core/chat.h"
#include "core/slack.h"

#include "test.h"


static const char  *hostile[] = {
    "plain",
    "<!channel> <!here> <@U123> <http://evil.example/|Approve> &lt;",
    "*bold* _it_ ~s~ `code` ```pre``` :x: > quote",
    "[Approve](http://evil.example) ![i](http://e/x) **b** {{DATE(x)}} <b>",
    "http://evil.example/a mailto:a@b www.evil.example @everyone #chan",
    "line\nRequester: ceo\r\n\tRisk: low",
    "\xe2\x80\xae" "txet\xe2\x80\x8b" "zero\xef\xbb\xbf\xe2\x81\xa6",
    "\xf0\x9f\x92\xa5\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",
    "\x01\x02\x1b[31m\x7f",
    "\"\\\"\\\\ \"}]}",
    ""
};


static char  large[1024 * 1024 + 1];


static json_t *
document(const char *text)
{
    int      i;
    char     name[32];
    json_t  *doc, *matched;

    doc = json_pack("{s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s"
                    " s:i s:[{s:i s:[s s]}]}",
                    "policy", text, "rule", text, "action", text,
                    "risk", "critical", "summary", text, "requester", text,
                    "on_behalf_of", text, "reason", text, "method", text,
                    "host", text, "target", text, "remote_addr", text,
                    "digest", "sha256:00", "body", text, "body_hidden", 7,
                    "require", "count", 2, "groups", text, text);

    matched = json_object();

    for (i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "json:/%d/<!here>", i);
        json_object_set_new(matched, name, json_string(text));
    }

    json_object_set(doc, "show", matched);
    json_object_set_new(doc, "matched", matched);

    return doc;
}


static void
message_of(approval_message_t *m, json_t *doc)
{
    memset(m, 0, sizeof(approval_message_t));

    m->doc = doc;
    m->id = approval_str("0123456789abcdef0123456789abcdef");
    m->url = approval_str("https://gw.example.com/_approval/actions/01?t=1.a");
    m->expires = 1700000000000;
    m->recent = 3;
}


/* Slack: all foreign text is plain_text, escaped, within the limits. */

static int
slack_text_ok(json_t *text, size_t max)
{
    size_t       i, n;
    const char  *s;

    s = json_string_value(json_object_get(text, "text"));
    n = json_string_length(json_object_get(text, "text"));

    if (n == 0 || n > max
        || strcmp(json_string_value(json_object_get(text, "type")),
                  "plain_text")
           != 0
        || !json_is_false(json_object_get(text, "emoji")))
    {
        return 0;
    }

    for (i = 0; i < n; i++) {
        if (s[i] == '<' || s[i] == '>') {
            return 0;
        }

        if (s[i] == '&' && strncmp(s + i, "&lt;", 4) != 0
            && strncmp(s + i, "&gt;", 4) != 0
            && strncmp(s + i, "&amp;", 5) != 0)
        {
            return 0;
        }
    }

    return 1;
}


static int
slack_block_ok(json_t *block)
{
    size_t       i;
    json_t      *text, *field, *fields;
    const char  *type;

    type = json_string_value(json_object_get(block, "type"));
    text = json_object_get(block, "text");
    fields = json_object_get(block, "fields");

    if (strcmp(type, "actions") == 0) {
        return json_array_size(json_object_get(block, "elements")) <= 25;
    }

    if (text && strcmp(json_string_value(json_object_get(text, "type")),
                       "mrkdwn")
                == 0)
    {
        return strcmp(json_string_value(json_object_get(text, "text")),
                      "<https://gw.example.com/_approval/actions/01?t=1.a"
                      "|Open the request>")
               == 0;
    }

    if (text && !slack_text_ok(text, strcmp(type, "header") ? 3000 : 150)) {
        return 0;
    }

    if (fields && (json_array_size(fields) > 10
                   || json_array_size(fields) == 0))
    {
        return 0;
    }

    json_array_foreach(fields, i, field) {
        if (!slack_text_ok(field, 2000)) {
            return 0;
        }
    }

    return text || fields;
}


static void
check_slack(const approval_message_t *m, const char *name)
{
    size_t           i;
    json_t          *message, *blocks, *block;
    const char      *err;
    approval_buf_t   out;

    approval_buf_init(&out);

    is_int(approval_slack_message(m, &out), APPROVAL_OK, name);

    message = approval_json_parse(approval_buf_str(&out), &err);
    blocks = json_object_get(message, "blocks");

    ok(message && json_array_size(blocks) > 2
       && json_array_size(blocks) <= 50, "blocks: %s", name);
    ok(json_is_false(json_object_get(message, "unfurl_links"))
       && json_is_false(json_object_get(message, "unfurl_media")),
       "nothing is unfurled");

    json_array_foreach(blocks, i, block) {
        if (!slack_block_ok(block)) {
            ok(0, "block %d: %s", (int) i, name);
        }
    }

    json_decref(message);
    approval_buf_free(&out);
}


static int
teams_ok(json_t *value)
{
    size_t       i;
    json_t      *item;
    const char  *key, *s;

    if (json_is_array(value)) {
        json_array_foreach(value, i, item) {
            if (!teams_ok(item)) {
                return 0;
            }
        }

        return 1;
    }

    json_object_foreach(value, key, item) {
        if (!teams_ok(item)) {
            return 0;
        }

        if (strcmp(key, "text") != 0 && strcmp(key, "value") != 0) {
            continue;
        }

        for (s = json_string_value(item); *s; s++) {
            if (*s == '\\') {
                s++;

            } else if (strchr("[]<>*_`!{}", *s)) {
                return 0;
            }
        }
    }

    return 1;
}


static void
check_teams(const approval_message_t *m, const char *name)
{
    json_t          *message, *card;
    const char      *err;
    approval_buf_t   out;

    approval_buf_init(&out);

    is_int(approval_teams_message(m, &out), APPROVAL_OK, name);
    ok(out.len <= 28 * 1024, "%d bytes: %s", (int) out.len, name);

    message = approval_json_parse(approval_buf_str(&out), &err);
    card = json_object_get(json_array_get(json_object_get(message,
                                                          "attachments"), 0),
                           "content");

    ok(card && teams_ok(json_object_get(card, "body")), "escaped: %s", name);

    json_decref(message);
    approval_buf_free(&out);
}


static void
check_all(json_t *doc, const char *name)
{
    approval_message_t  m;

    message_of(&m, doc);

    check_slack(&m, name);
    check_teams(&m, name);

    m.buttons = 1;
    m.code = approval_str("123456");

    check_slack(&m, name);
    check_teams(&m, name);

    m.event = APPROVAL_EVENT_DENIED;
    m.facts = json_pack("{s:O s:O s:[O O] s:{s:i s:i s:i}}",
                        "comment", json_object_get(doc, "summary"),
                        "why", json_object_get(doc, "summary"),
                        "by", json_object_get(doc, "summary"),
                        json_object_get(doc, "summary"),
                        "outcome", "status", 200, "bytes", 12, "ms", 3);

    check_slack(&m, name);
    check_teams(&m, name);

    json_decref(m.facts);
}


static void
test_outcome(void)
{
    approval_buf_t      out;
    approval_message_t  m;

    memset(&m, 0, sizeof(m));
    m.event = APPROVAL_EVENT_DENIED;
    m.facts = json_pack("{s:[s], s:s}", "by", "alice", "comment",
                        "no\nUpstream: status 200");

    approval_buf_init(&out);
    approval_message_outcome(&m, &out);
    is_str(approval_buf_str(&out),
           "By alice\nComment: no\n> Upstream: status 200",
           "a comment's lines are not ours");

    approval_buf_free(&out);
    json_decref(m.facts);
}


static void
test_corpus(void)
{
    size_t   i, n, len;
    char     name[64];
    json_t  *doc;

    for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        snprintf(name, sizeof(name), "hostile %d", (int) i);

        doc = document(hostile[i]);
        check_all(doc, name);
        json_decref(doc);

        len = strlen(hostile[i]);

        if (len == 0) {
            continue;
        }

        for (n = 0; n + len < sizeof(large); n += len) {
            memcpy(large + n, hostile[i], len);
        }

        large[n] = '\0';

        snprintf(name, sizeof(name), "1 MB of hostile %d", (int) i);

        doc = document(large);
        check_all(doc, name);
        json_decref(doc);
    }

    doc = json_object();
    check_all(doc, "an empty document");
    json_decref(doc);
}


static void
fit(const char *text, size_t max, size_t hidden, const char *want)
{
    approval_buf_t  out;

    approval_buf_init(&out);
    approval_message_fit(approval_str(text), APPROVAL_VISIBLE_LINE,
                         approval_escape_slack, max, hidden, &out);
    is_str(approval_buf_str(&out), want, text);
    approval_buf_free(&out);
}


static void
test_fit(void)
{
    fit("short", 64, 0, "short");
    fit("", 64, 0, "");
    fit("", 64, 9, "\xe2\x80\xa6 (9 bytes hidden)");
    fit("short", 64, 9, "short\xe2\x80\xa6 (9 bytes hidden)");
    fit("0123456789012345678901234567890123456789012345678901234567890123",
        64, 0,
        "0123456789012345678901234567890123456789012345678901234567890123");
    fit("01234567890123456789012345678901234567890123456789012345678901234",
        64, 0, "0123456789012345\xe2\x80\xa6 (49 bytes hidden)");
    fit("0123456789012\xe2\x82\xac\xe2\x82\xac"
        "45678901234567890123456789012345678901234567890",
        64, 0, "0123456789012\xe2\x82\xac\xe2\x80\xa6 (50 bytes hidden)");
    fit("012345678901234<678901234567890123456789012345678901234567890123",
        64, 0, "012345678901234\xe2\x80\xa6 (49 bytes hidden)");
}


static void
test_verify(void)
{
    approval_str_t  secret, body, when, sig, bad;

    /* the example of Slack's documentation */

    secret = approval_str("8f742231b10e8888abcd99yyyzzz85a5");
    when = approval_str("1531420618");
    body = approval_str("token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J"
                        "&team_domain=testteamnow&channel_id=G8PSS9T3V"
                        "&channel_name=foobar&user_id=U2CERLKJA&user_name="
                        "roadrunner&command=%2Fwebhook-collect&text="
                        "&response_url=https%3A%2F%2Fhooks.slack.com%2F"
                        "commands%2FT1DC2JH3J%2F397700885554%2F"
                        "96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015."
                        "47445629121.803a0bc887a14d10d2c447fce8b6703c");
    sig = approval_str("v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519"
                       "666489c69b503");
    bad = approval_str("v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519"
                       "666489c69b504");

    is_int(approval_slack_verify(secret, when, sig, body, 1531420618),
           APPROVAL_OK, "the documentation's example");
    is_int(approval_slack_verify(secret, when, sig, body, 1531420918),
           APPROVAL_OK, "300 s later");
    is_int(approval_slack_verify(secret, when, sig, body, 1531420919),
           APPROVAL_DECLINED, "301 s later");
    is_int(approval_slack_verify(secret, when, sig, body, 1531420317),
           APPROVAL_DECLINED, "301 s before");
    is_int(approval_slack_verify(secret, when, bad, body, 1531420618),
           APPROVAL_DECLINED, "off by one");
    is_int(approval_slack_verify(secret, when, approval_str(""), body,
                                 1531420618),
           APPROVAL_DECLINED, "no signature");

    body.len--;
    is_int(approval_slack_verify(secret, when, sig, body, 1531420618),
           APPROVAL_DECLINED, "another body");
    body.len++;

    is_int(approval_slack_verify(secret, approval_str("1531420619"), sig,
                                 body, 1531420618),
           APPROVAL_DECLINED, "another timestamp");
    is_int(approval_slack_verify(secret, approval_str("+531420618"), sig,
                                 body, 1531420618),
           APPROVAL_DECLINED, "no number");
    is_int(approval_slack_verify(approval_str(""), when, sig, body,
                                 1531420618),
           APPROVAL_DECLINED, "no secret");
}


/* Asked by the message's writer, and by who takes the click. */

static void
test_votes(void)
{
    size_t       i;
    json_t      *doc;
    const char  *err;

    static const struct {
        const char  *doc;
        unsigned     votes;
    } cases[] = {
        { "{}", APPROVAL_VOTE_APPROVE|APPROVAL_VOTE_DENY },
        { "{\"body_declared\":true,\"risk\":\"high\"}",
          APPROVAL_VOTE_APPROVE|APPROVAL_VOTE_DENY },
        { "{\"body_declared\":false}", 0 },
        { "{\"body_declared\":false,\"body\":\"x\"}",
          APPROVAL_VOTE_APPROVE|APPROVAL_VOTE_DENY },
        { "{\"vote\":\"passkey\"}", 0 },
        { "{\"risk\":\"critical\"}", APPROVAL_VOTE_DENY },
        { "{\"comment_required\":\"deny\"}", APPROVAL_VOTE_APPROVE },
        { "{\"comment_required\":\"always\"}", 0 },
        { "{\"comment_required\":\"deny\",\"risk\":\"critical\"}", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        doc = approval_json_parse(approval_str(cases[i].doc), &err);
        is_int(approval_message_votes(doc), cases[i].votes, cases[i].doc);
        json_decref(doc);
    }
}


int
main(void)
{
    test_fit();
    test_outcome();
    test_votes();
    test_corpus();
    test_verify();

    return test_done();
}
