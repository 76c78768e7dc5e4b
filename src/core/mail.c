
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/mail.h"

#include "core/template.h"

#include <string.h>
#include <time.h>


#define MAIL_LINE     76      /* of a quoted-printable line         */
#define MAIL_LOCAL    64
#define MAIL_LABEL    63
#define MAIL_SUBJECT  200     /* bytes                              */
#define MAIL_PLAIN    60      /* of a subject that needs no encoding */
#define MAIL_WORD     39      /* bytes in an encoded word           */


static int mail_local(const unsigned char *p, size_t len);
static int mail_domain(const unsigned char *p, size_t len);
static int mail_alnum(unsigned char c);
static int mail_name(void *data, approval_str_t name);
static int mail_head(const approval_message_t *m, const approval_mail_t *mail,
    approval_buf_t *out);
static void mail_date(int64_t ms, approval_buf_t *out);
static void mail_reference(const approval_mail_t *mail, const char *name,
    approval_str_t id, approval_buf_t *out);
static int mail_subject(const approval_message_t *m, approval_buf_t *out);
static void mail_encode(approval_str_t text, approval_buf_t *out);
static int mail_plain(approval_str_t text);
static int mail_part(const approval_mail_t *mail, const char *type,
    const char *template, json_t *data, approval_escape_pt escape,
    approval_buf_t *out);
static void mail_boundary(const approval_mail_t *mail, const char *end,
    approval_buf_t *out);
static void mail_quote(approval_str_t text, approval_buf_t *out);


/*
 * The link comes before all text that a requester wrote.  Lines of a body
 * start with "> ", so that they cannot pass for ours.
 */

static const char  mail_text[] =
    "{{title}}\n"
    "\n"
    "{{#summary}}Summary: {{summary|2000}}\n\n{{/summary}}"
    "{{#closed}}{{outcome|text}}\n\n{{/closed}}"
    "{{#url}}"
    "{{#open}}To approve or to deny it, open:\n{{/open}}"
    "{{^open}}The action's page:\n{{/open}}"
    "\n    {{url}}\n\n"
    "{{/url}}"
    "{{#code}}Code to enter when approving: {{code}}\n\n{{/code}}"
    "{{#facts}}{{name}}: {{value|2000}}\n{{/facts}}"
    "{{#open}}"
    "{{#reason}}\nReason, as the requester claims:\n> {{reason|4000}}\n"
    "{{/reason}}"
    "{{#matched}}{{#first}}\nMatched by the rule:\n{{/first}}"
    "  {{name|200}}: {{value|1000}}\n{{/matched}}"
    "{{#show}}{{#first}}\nContext:\n{{/first}}"
    "  {{name|200}}: {{value|1000}}\n{{/show}}"
    "{{#body}}\nBody, as the requester sent it, redacted:\n"
    "> {{body|quote|8192}}\n{{/body}}"
    "{{#approver}}{{#url}}\n"
    "Votes through the link are votes of {{approver}}: do not forward this "
    "message.\n"
    "{{/url}}{{/approver}}"
    "{{/open}}";

#define TD_NAME   "<tr><td style=\"padding:2px 12px 2px 0;color:#59636e;"     \
                  "vertical-align:top;white-space:nowrap\">"
#define TD_VALUE  "</td><td style=\"padding:2px 0;word-break:break-word\">"
#define TABLE     "<table style=\"border-collapse:collapse;font-size:14px\">\n"
#define HEADING   "<h2 style=\"font-size:14px;margin:20px 0 4px\">"
#define QUOTED    "white-space:pre-wrap;word-break:break-word;"               \
                  "font:13px monospace;background:#f6f8fa;color:#1f2328;"     \
                  "padding:8px;margin:0\">"

static const char  mail_html[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>{{title}}</title></head>\n"
    "<body style=\"margin:0;padding:16px;font:15px/1.4 sans-serif\">\n"
    "<h1 style=\"font-size:18px;margin:0 0 8px\">{{title}}</h1>\n"
    "{{#summary}}<p style=\"margin:0 0 8px\">{{summary|2000}}</p>\n{{/summary}}"
    "{{#closed}}{{#outcome}}<p style=\"margin:0 0 8px;white-space:pre-line\">"
    "{{outcome|text}}</p>\n{{/outcome}}{{/closed}}"
    "{{#url}}<p style=\"margin:16px 0\"><a href=\"{{url}}\" style=\""
    "display:inline-block;padding:10px 18px;background:#0b57d0;color:#fff;"
    "text-decoration:none;border-radius:6px\">"
    "{{#open}}Open, to approve or deny{{/open}}"
    "{{^open}}Open the action's page{{/open}}</a></p>\n{{/url}}"
    "{{#code}}<p>Code to enter when approving: <b>{{code}}</b></p>\n"
    "{{/code}}"
    TABLE
    "{{#facts}}" TD_NAME "{{name}}" TD_VALUE "{{value|2000}}</td></tr>\n"
    "{{/facts}}</table>\n"
    "{{#open}}"
    "{{#reason}}" HEADING "Reason, as the requester claims</h2>\n"
    "<p style=\"" QUOTED "{{reason|4000}}</p>\n{{/reason}}"
    "{{#matched}}{{#first}}" HEADING "Matched by the rule</h2>\n{{/first}}"
    TABLE TD_NAME "{{name|200}}" TD_VALUE "{{value|1000}}</td></tr></table>\n"
    "{{/matched}}"
    "{{#show}}{{#first}}" HEADING "Context</h2>\n{{/first}}"
    TABLE TD_NAME "{{name|200}}" TD_VALUE "{{value|1000}}</td></tr></table>\n"
    "{{/show}}"
    "{{#body}}" HEADING "Body, as the requester sent it, redacted</h2>\n"
    "<pre style=\"" QUOTED "{{body|text|8192}}</pre>\n{{/body}}"
    "{{#approver}}{{#url}}<p style=\"color:#59636e;font-size:13px\">Votes "
    "through the link are votes of {{approver}}: do not forward this "
    "message.</p>\n"
    "{{/url}}{{/approver}}"
    "{{/open}}"
    "</body></html>\n";


int
approval_mail_address(approval_str_t s)
{
    const unsigned char  *at;

    if (s.len == 0 || s.len > APPROVAL_MAIL_ADDRESS_MAX) {
        return 0;
    }

    at = memchr(s.data, '@', s.len);

    return at
           && mail_local(s.data, (size_t) (at - s.data))
           && mail_domain(at + 1, s.len - (size_t) (at - s.data) - 1);
}


/* Atoms, separated by single dots. */

static int
mail_local(const unsigned char *p, size_t len)
{
    size_t  i;

    if (len == 0 || len > MAIL_LOCAL || p[0] == '.' || p[len - 1] == '.') {
        return 0;
    }

    for (i = 0; i < len; i++) {

        if (p[i] == '.' && p[i - 1] == '.') {
            return 0;
        }

        if (!mail_alnum(p[i])
            && (p[i] == '\0' || !strchr("!#$%&'*+-/=?^_`{|}~.", p[i])))
        {
            return 0;
        }
    }

    return 1;
}


static int
mail_domain(const unsigned char *p, size_t len)
{
    size_t  i, label;

    if (len == 0) {
        return 0;
    }

    for (i = 0, label = 0; i <= len; i++) {

        if (i == len || p[i] == '.') {
            if (label == 0 || label > MAIL_LABEL || p[i - 1] == '-'
                || p[i - label] == '-')
            {
                return 0;
            }

            label = 0;
            continue;
        }

        if (!mail_alnum(p[i]) && p[i] != '-') {
            return 0;
        }

        label++;
    }

    return 1;
}


static int
mail_alnum(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9');
}


int
approval_mail_person(const approval_people_t *people, approval_str_t identity,
    approval_buf_t *out)
{
    size_t  start;

    start = out->len;

    (void) approval_people_names(people, identity, mail_name, out);

    if (out->failed) {
        return APPROVAL_ERROR;
    }

    return out->len > start ? APPROVAL_OK : APPROVAL_DECLINED;
}


static int
mail_name(void *data, approval_str_t name)
{
    approval_buf_t  *out = data;

    if (!approval_mail_address(name)) {
        return APPROVAL_OK;
    }

    approval_buf_add(out, name.data, name.len);

    return APPROVAL_DECLINED;
}


int
approval_mail_message(const approval_message_t *m,
    const approval_mail_t *mail, approval_buf_t *out)
{
    int      rc;
    json_t  *data;

    data = approval_message_data(m);
    if (data == NULL) {
        return APPROVAL_ERROR;
    }

    rc = APPROVAL_ERROR;

    if (mail_head(m, mail, out) == APPROVAL_OK
        && mail_part(mail, "plain", mail_text, data, approval_escape_none, out)
           == APPROVAL_OK
        && mail_part(mail, "html", mail_html, data, approval_escape_html, out)
           == APPROVAL_OK)
    {
        mail_boundary(mail, "--", out);
        rc = out->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    json_decref(data);

    return rc;
}


/* The headers suppress automatic replies, which nobody would read. */

static int
mail_head(const approval_message_t *m, const approval_mail_t *mail,
    approval_buf_t *out)
{
    if (!approval_mail_address(mail->from) || !approval_mail_address(mail->to))
    {
        return APPROVAL_ERROR;
    }

    mail_date(m->event == APPROVAL_EVENT_REQUESTED ? m->created : m->told,
              out);

    approval_buf_adds(out, "From: <");
    approval_buf_add(out, mail->from.data, mail->from.len);
    approval_buf_adds(out, ">\r\nTo: <");
    approval_buf_add(out, mail->to.data, mail->to.len);
    approval_buf_adds(out, ">\r\n");

    mail_reference(mail, "Message-ID", mail->id, out);

    if (!approval_str_eq(mail->id, mail->thread)) {
        mail_reference(mail, "In-Reply-To", mail->thread, out);
        mail_reference(mail, "References", mail->thread, out);
    }

    if (mail_subject(m, out) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    approval_buf_adds(out, "Auto-Submitted: auto-generated\r\n"
                           "X-Auto-Response-Suppress: All\r\n"
                           "MIME-Version: 1.0\r\n"
                           "Content-Type: multipart/alternative;\r\n"
                           " boundary=\"=_");
    approval_buf_add(out, mail->id.data, mail->id.len);
    approval_buf_adds(out, "\"\r\n");

    return APPROVAL_OK;
}


static void
mail_date(int64_t ms, approval_buf_t *out)
{
    time_t     t;
    struct tm  tm;

    static const char  *days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri",
                                   "Sat" };
    static const char  *months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov",
                                     "Dec" };

    t = (time_t) (ms / 1000);

    if (gmtime_r(&t, &tm) == NULL) {
        return;
    }

    approval_buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n",
                        days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
                        tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}


/* The sender's domain makes the ids unique. */

static void
mail_reference(const approval_mail_t *mail, const char *name,
    approval_str_t id, approval_buf_t *out)
{
    size_t                len;
    const unsigned char  *at;

    at = memchr(mail->from.data, '@', mail->from.len);
    len = mail->from.len - (size_t) (at - mail->from.data);

    approval_buf_printf(out, "%s:\r\n <", name);
    approval_buf_add(out, id.data, id.len);
    approval_buf_add(out, at, len);
    approval_buf_adds(out, ">\r\n");
}


/*
 * All messages have the subject of the first one, because some programs group
 * threads by subject.  The first line of the text says how the action stands.
 */

static int
mail_subject(const approval_message_t *m, approval_buf_t *out)
{
    int                 rc;
    approval_buf_t      title, text;
    approval_str_t      summary;
    approval_message_t  first;

    approval_buf_init(&title);
    approval_buf_init(&text);

    first = *m;
    first.event = APPROVAL_EVENT_REQUESTED;

    approval_message_title(&first, &title);

    summary = approval_message_get(m->doc, "summary");

    if (summary.len
        && !approval_str_eq(summary, approval_message_get(m->doc, "action")))
    {
        approval_buf_adds(&title, ": ");
        approval_buf_add(&title, summary.data, summary.len);
    }

    approval_message_fit(approval_buf_str(&title), APPROVAL_VISIBLE_LINE,
                         approval_escape_none, MAIL_SUBJECT, 0, &text);

    rc = (title.failed || text.failed) ? APPROVAL_ERROR : APPROVAL_OK;

    approval_buf_adds(out, m->event == APPROVAL_EVENT_REQUESTED
                           ? "Subject: " : "Subject: Re: ");
    mail_encode(approval_buf_str(&text), out);
    approval_buf_adds(out, "\r\n");

    approval_buf_free(&title);
    approval_buf_free(&text);

    return rc;
}


/* RFC 2047: a text that is not short and plain becomes encoded words. */

static void
mail_encode(approval_str_t text, approval_buf_t *out)
{
    size_t          len;
    unsigned char   word[approval_base64_size(MAIL_WORD)];
    approval_str_t  part;

    if (mail_plain(text)) {
        approval_buf_add(out, text.data, text.len);
        return;
    }

    while (text.len) {
        part = text;
        (void) approval_cut(&part, MAIL_WORD);

        len = approval_base64_encode(word, part.data, part.len);

        approval_buf_adds(out, "=?UTF-8?B?");
        approval_buf_add(out, word, len);
        approval_buf_adds(out, "?=");

        text.data += part.len;
        text.len -= part.len;

        if (text.len) {
            approval_buf_adds(out, "\r\n ");
        }
    }
}


static int
mail_plain(approval_str_t text)
{
    size_t  i;

    if (text.len > MAIL_PLAIN) {
        return 0;
    }

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < ' ' || text.data[i] >= 0x7f
            || (text.data[i] == '=' && i + 1 < text.len
                && text.data[i + 1] == '?'))
        {
            return 0;
        }
    }

    return 1;
}


static int
mail_part(const approval_mail_t *mail, const char *type, const char *template,
    json_t *data, approval_escape_pt escape, approval_buf_t *out)
{
    int             rc;
    approval_buf_t  text;

    approval_buf_init(&text);

    rc = approval_template(template, data, escape, NULL, &text);

    if (rc == APPROVAL_OK) {
        mail_boundary(mail, "", out);
        approval_buf_printf(out, "Content-Type: text/%s; charset=utf-8\r\n"
                            "Content-Transfer-Encoding: quoted-printable\r\n"
                            "\r\n", type);
        mail_quote(approval_buf_str(&text), out);
    }

    approval_buf_wipe(&text);

    return rc;
}


/*
 * No line of a part can equal it: in quoted-printable, two digits follow "=".
 */

static void
mail_boundary(const approval_mail_t *mail, const char *end,
    approval_buf_t *out)
{
    approval_buf_adds(out, "\r\n--=_");
    approval_buf_add(out, mail->id.data, mail->id.len);
    approval_buf_printf(out, "%s\r\n", end);
}


/* RFC 2045, 6.7. */

static void
mail_quote(approval_str_t text, approval_buf_t *out)
{
    size_t         i, column, width;
    unsigned char  c;

    static const char  digits[] = "0123456789ABCDEF";

    column = 0;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (c == '\n') {
            approval_buf_adds(out, "\r\n");
            column = 0;
            continue;
        }

        width = (c > 0x20 && c < 0x7f && c != '=') ? 1 : 3;

        /* mail servers may drop a blank at the end of a line */

        if (c == ' ' && i + 1 < text.len && text.data[i + 1] != '\n') {
            width = 1;
        }

        if (column + width > MAIL_LINE - 1) {
            approval_buf_adds(out, "=\r\n");
            column = 0;
        }

        if (width == 1) {
            approval_buf_addc(out, c);

        } else {
            approval_buf_addc(out, '=');
            approval_buf_addc(out, (unsigned char) digits[c >> 4]);
            approval_buf_addc(out, (unsigned char) digits[c & 0x0f]);
        }

        column += width;
    }
}
