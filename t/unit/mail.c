
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Mails: addresses, headers that nothing gets into, both parts, threads.
 */


#include "core/mail.h"

#include "test.h"

#include "../fuzz/lib/mail_check.h"


static const char  *hostile[] = {
    "plain",
    "line\r\nBcc: evil@example.com\r\n\r\nbody",
    "\r\n--=_" MAIL_CHECK_ID "--\r\n",
    "\n    https://evil.example/approve",
    "=?UTF-8?B?QmNjOiBl?= =0D=0A",
    ".\r\n.\r\nQUIT\r\n",
    "<a href=\"http://evil.example\">Approve</a> <script>&amp;",
    "\xe2\x80\xae" "txet\xe2\x80\x8b" "zero\xef\xbb\xbf",
    "\xf0\x9f\x92\xa5\xf0\x9f\x92\xa5\xf0\x9f\x92\xa5\xf0\x9f\x92\xa5\xf0\x9f"
    "\x92\xa5\xf0\x9f\x92\xa5\xf0\x9f\x92\xa5\xf0\x9f\x92\xa5\xf0\x9f\x92\xa5"
    "\xf0\x9f\x92\xa5\xf0\x9f\x92\xa5\xf0\x9f\x92\xa5\xf0\x9f\x92\xa5\xf0\x9f",
    "\x01\x02\x1b[31m\x7f",
    "blanks at the end   \n\t\n ",
    ""
};


static char            large[300 * 1024 + 1];
static approval_buf_t  out;


static void
addresses(void)
{
    size_t  i;
    char    text[300];

    static const char  *good[] = {
        "a@b", "alice@example.com", "first.last+tag@sub.example.com",
        "o'brien@example.co", "a@xn--bcher-kva.example", "0@1.2"
    };

    static const char  *bad[] = {
        "", "@", "a", "a@", "@b", "a@b@c", "a b@c", "a@b c", "<a@b>", "a@b>",
        "a@b\r\nRCPT TO:<x@y>", "a\n@b", ".a@b", "a.@b", "a..b@c", "a@.b",
        "a@b.", "a@b..c", "a@-b", "a@b-", "\"a\"@b", "a@[127.0.0.1]",
        "a,b@c", "a;b@c", "a:b@c", "(a)@b", "a@b(c)", "a\\b@c",
        "\xc3\xa4@b", "a@\xc3\xa4", "alice", "T01ABC:U02", "CN=alice"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ok(approval_mail_address(approval_str(good[i])), "%s", good[i]);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(!approval_mail_address(approval_str(bad[i])), "not %s", bad[i]);
    }

    memset(text, 'a', sizeof(text));
    memcpy(text + 64, "@b", 3);
    ok(approval_mail_address(approval_str(text)), "64 characters");
    memcpy(text + 64, "a@b", 4);
    ok(!approval_mail_address(approval_str(text)), "65 characters");
}


static void
make(const char *text, approval_event_e event, const char *thread)
{
    int                  rc;
    json_t              *doc, *facts, *pairs;
    approval_mail_t      mail;
    approval_message_t   m;

    memset(&m, 0, sizeof(approval_message_t));

    doc = json_pack("{s:s% s:s s:s% s:s% s:s% s:s% s:s% s:s% s:[{s:i s:[s]}]}",
                    "action", text, strlen(text), "risk", "critical",
                    "summary", text, strlen(text),
                    "requester", text, strlen(text),
                    "on_behalf_of", text, strlen(text),
                    "reason", text, strlen(text),
                    "target", text, strlen(text), "body", text, strlen(text),
                    "require", "count", 2, "groups", "dba");
    facts = json_pack("{s:s s:s}", "approvers", "bob@example.com",
                      "comment", text);
    pairs = json_pack("{s:s}", text, text);

    json_object_set(doc, "show", pairs);
    json_object_set_new(doc, "matched", pairs);

    m.event = event;
    m.doc = doc;
    m.facts = facts;
    m.id = approval_str("0123456789abcdef0123456789abcdef");
    m.approver = approval_str("alice@example.com");
    m.url = approval_str(MAIL_CHECK_LINK);
    m.code = approval_str("123456");
    m.created = 1767312000000;
    m.told = 1767312061000;
    m.expires = 1767312900000;

    mail.from = approval_str("gw@example.com");
    mail.to = approval_str("alice@example.com");
    mail.id = approval_str(MAIL_CHECK_ID);
    mail.thread = approval_str(thread);

    approval_buf_reset(&out);
    rc = approval_mail_message(&m, &mail, &out);
    approval_buf_addc(&out, '\0');
    out.len--;

    is_int(rc, APPROVAL_OK, "made");

    json_decref(doc);
    json_decref(facts);
}


static void
has(const char *text, int want)
{
    ok((strstr((char *) out.data, text) != NULL) == want, "%s %s",
       want ? "has" : "has not", text);
}


static void
messages(void)
{
    make("drop", APPROVAL_EVENT_REQUESTED, MAIL_CHECK_ID);

    has("Date: Fri, 02 Jan 2026 00:00:00 +0000\r\n", 1);
    has("From: <gw@example.com>\r\nTo: <alice@example.com>\r\n", 1);
    has("Message-ID:\r\n <" MAIL_CHECK_ID "@example.com>\r\n", 1);
    has("Subject: Approval needed: risk critical, drop\r\n", 1);
    has("References", 0);
    has("\n    " "https://gw.example.com/_approval/actions/01?t=3D1.a\r\n", 1);
    has("Code to enter when approving: 123456", 1);
    has("do not forward", 1);

    make("drop", APPROVAL_EVENT_DENIED, "msg_1");

    has("Date: Fri, 02 Jan 2026 00:01:01 +0000\r\n", 1);
    has("Subject: Re: Approval needed: risk critical, drop\r\n", 1);
    has("In-Reply-To:\r\n <msg_1@example.com>\r\n", 1);
    has("References:\r\n <msg_1@example.com>\r\n", 1);
    has("\r\n\r\nDenied: drop\r\n", 1);
    has("By bob@example.com\r\nComment: drop\r\n", 1);
    has("Body, as", 0);
    has("do not forward", 0);
}


int
main(void)
{
    size_t            i;
    const char       *bad;
    approval_event_e  event;

    approval_buf_init(&out);

    addresses();
    messages();

    for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        for (event = APPROVAL_EVENT_REQUESTED; event <= APPROVAL_EVENT_FAILED;
             event++)
        {
            make(hostile[i], event, event ? "msg_1" : MAIL_CHECK_ID);
            bad = mail_check(approval_buf_str(&out));
            ok(bad == NULL, "text %zu, %s: %s", i, approval_event_name(event),
               bad ? bad : "nothing gets out of its place");
        }
    }

    memset(large, '=', sizeof(large) - 1);
    make(large, APPROVAL_EVENT_REQUESTED, MAIL_CHECK_ID);
    bad = mail_check(approval_buf_str(&out));
    ok(bad == NULL, "large values: %s", bad ? bad : "cut");
    ok(out.len < 256 * 1024, "%zu bytes", out.len);
    has("bytes hidden)", 1);

    approval_buf_free(&out);

    return test_done();
}
