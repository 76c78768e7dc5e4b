
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Fuzz target: an event, then texts for all that a message holds.
 */


#include "fuzz.h"
#include "mail_check.h"


static void check_address(approval_str_t s);
static json_t *part(approval_str_t *s);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t              *doc, *facts, *pairs;
    const char          *bad;
    approval_buf_t       out;
    approval_str_t       s;
    approval_mail_t      mail;
    approval_message_t   m;

    if (size == 0) {
        return 0;
    }

    s = fuzz_str(data + 1, size - 1);

    check_address(s);

    memset(&m, 0, sizeof(approval_message_t));
    memset(&mail, 0, sizeof(approval_mail_t));

    m.event = data[0] % (APPROVAL_EVENT_FAILED + 1);
    m.id = approval_str("0123456789abcdef0123456789abcdef");
    m.approver = approval_str("alice@example.com");
    m.url = approval_str(MAIL_CHECK_LINK);

    mail.from = approval_str("gw@example.com");
    mail.to = approval_str("alice@example.com");
    mail.id = approval_str(MAIL_CHECK_ID);
    mail.thread = (data[0] & 0x80) ? mail.id : approval_str("msg_0");

    doc = json_pack("{s:o s:o s:o s:o s:o s:o s:o s:o s:o}",
                    "action", part(&s), "risk", part(&s), "summary", part(&s),
                    "requester", part(&s), "reason", part(&s),
                    "target", part(&s), "on_behalf_of", part(&s),
                    "body", part(&s), "digest", part(&s));
    facts = json_pack("{s:s s:o s:s}", "approvers", "bob@example.com",
                      "comment", part(&s), "why", "why not");
    pairs = json_pack("{s:o s:o}", "json:/a", part(&s), "$uri", part(&s));

    json_object_set(doc, "show", pairs);
    json_object_set_new(doc, "matched", pairs);

    m.doc = doc;
    m.facts = facts;

    approval_buf_init(&out);

    must(approval_mail_message(&m, &mail, &out) == APPROVAL_OK);
    approval_buf_addc(&out, '\0');
    out.len--;

    bad = mail_check(approval_buf_str(&out));

    if (bad) {
        fprintf(stderr, "%s:\n%s\n", bad, (char *) out.data);
    }

    must(bad == NULL);

    approval_buf_free(&out);
    json_decref(doc);
    json_decref(facts);

    return 0;
}


/* Up to the next 0xff; what is no UTF-8 becomes what JSON can hold. */

static json_t *
part(approval_str_t *s)
{
    json_t               *json;
    approval_buf_t        text;
    approval_str_t        one;
    const unsigned char  *end;

    end = s->len ? memchr(s->data, 0xff, s->len) : NULL;

    one.data = s->data;
    one.len = end ? (size_t) (end - s->data) : s->len;

    s->data += one.len + (end != NULL);
    s->len -= one.len + (end != NULL);

    approval_buf_init(&text);

    if (!approval_utf8_valid(one)) {
        approval_escape_visible(one, APPROVAL_VISIBLE_TEXT, &text);
        one = approval_buf_str(&text);
    }

    json = json_stringn(one.len ? (const char *) one.data : "", one.len);

    approval_buf_free(&text);

    return json;
}


static void
check_address(approval_str_t s)
{
    size_t  i, at;

    if (!approval_mail_address(s)) {
        return;
    }

    for (i = 0, at = 0; i < s.len; i++) {
        must(s.data[i] > ' ' && s.data[i] < 0x7f);
        must(!strchr("<>()[]\\,;:\"", s.data[i]));
        at += (s.data[i] == '@');
    }

    must(at == 1);
}
