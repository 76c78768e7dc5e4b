
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What must hold for a mail whatever its message holds; for the fuzz target
 * and the unit test.  NULL, or what is wrong.
 */


#ifndef APPROVAL_MAIL_CHECK_H
#define APPROVAL_MAIL_CHECK_H


#include "core/mail.h"

#include <stdlib.h>
#include <string.h>


#define MAIL_CHECK_ID    "msg_0123456789abcdef0123456789abcdef"
#define MAIL_CHECK_LINK  "https://gw.example.com/_approval/actions/01?t=1.a"


/* The lines before the first empty one, each of a name that we write. */

static inline const char *
mail_check_head(const char *p, const char *last, const char **body)
{
    size_t       i, seen;
    const char  *end;

    static const char  *names[] = {
        "Date: ", "From: ", "To: ", "Message-ID:", "In-Reply-To:",
        "References:", "Subject: ", "Auto-Submitted: ",
        "X-Auto-Response-Suppress: ", "MIME-Version: ", "Content-Type: "
    };

    seen = 0;

    for ( /* void */ ; p < last; p = end + 2) {
        end = memmem(p, (size_t) (last - p), "\r\n", 2);

        if (end == NULL) {
            return "no end of the header";
        }

        if (end == p) {
            *body = p + 2;

            /* without a thread there are two less */

            return (seen == 0x7ff || seen == 0x7cf)
                   ? NULL : "a header is missing";
        }

        if (*p == ' ') {
            continue;
        }

        for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            if (strncmp(p, names[i], strlen(names[i])) == 0) {
                break;
            }
        }

        if (i == sizeof(names) / sizeof(names[0])) {
            return "a foreign header";
        }

        if (seen & ((size_t) 1 << i)) {
            return "a header twice";
        }

        seen |= (size_t) 1 << i;
    }

    return "no body";
}


static inline const char *
mail_check_lines(approval_str_t s)
{
    size_t  i, column;

    for (i = 0, column = 0; i < s.len; i++) {

        if (s.data[i] == '\n') {
            return "a bare LF";
        }

        if (s.data[i] == '\r') {
            if (++i == s.len || s.data[i] != '\n') {
                return "a bare CR";
            }

            column = 0;
            continue;
        }

        if (s.data[i] < ' ' || s.data[i] >= 0x7f) {
            return "not printable ASCII";
        }

        if (++column > 78) {
            return "a long line";
        }
    }

    return column ? "no end of the last line" : NULL;
}


/* Decodes a quoted-printable part; APPROVAL_ERROR: it is none. */

static inline int
mail_check_decode(const char *p, const char *last, approval_buf_t *out)
{
    char  hex[3], *end;

    for ( /* void */ ; p < last; p++) {

        if (*p == '\r') {
            continue;
        }

        if (*p != '=') {
            approval_buf_addc(out, (unsigned char) *p);
            continue;
        }

        if (last - p < 3) {
            return APPROVAL_ERROR;
        }

        if (p[1] != '\r') {
            hex[0] = p[1];
            hex[1] = p[2];
            hex[2] = '\0';
            approval_buf_addc(out, (unsigned char) strtol(hex, &end, 16));

            if (*end) {
                return APPROVAL_ERROR;
            }
        }

        p += 2;
    }

    return APPROVAL_OK;
}


/* The link is the only line that stands so far to the right. */

static inline const char *
mail_check_text(approval_str_t s)
{
    size_t  i, links;

    if (!approval_utf8_valid(s)) {
        return "the text is not UTF-8";
    }

    for (i = 0, links = 0; i + 4 < s.len; i++) {
        if (s.data[i] == '\n' && memcmp(s.data + i, "\n    ", 5) == 0) {
            links++;
        }
    }

    return links == 1 ? NULL : "not one link";
}


/* No tag is the message's: it begins where the template has one. */

static inline const char *
mail_check_html(approval_str_t s)
{
    size_t       i, n;
    const char  *p, *end;

    static const char  *tags[] = {
        "!DOCTYPE html>", "html lang=", "head>", "meta ", "title>", "body ",
        "h1 ", "p ", "p>", "a href=\"" MAIL_CHECK_LINK "\" ", "b>", "table ",
        "tr>", "td ", "h2 ", "pre ", "/"
    };

    if (!approval_utf8_valid(s)) {
        return "the HTML is not UTF-8";
    }

    p = (const char *) s.data;
    end = p + s.len;

    for (i = 0; i < s.len; i++) {

        if (p[i] != '<') {
            continue;
        }

        for (n = 0; n < sizeof(tags) / sizeof(tags[0]); n++) {
            if ((size_t) (end - p - i - 1) >= strlen(tags[n])
                && strncmp(p + i + 1, tags[n], strlen(tags[n])) == 0)
            {
                break;
            }
        }

        if (n == sizeof(tags) / sizeof(tags[0])) {
            return "a foreign tag";
        }
    }

    return NULL;
}


static inline const char *
mail_check(approval_str_t s)
{
    int             i, rc;
    const char     *p, *last, *end, *bad;
    approval_buf_t  text;

    static const char  boundary[] = "\r\n--=_" MAIL_CHECK_ID;

    bad = mail_check_lines(s);

    if (bad) {
        return bad;
    }

    p = (const char *) s.data;
    last = p + s.len;

    bad = mail_check_head(p, last, &p);

    if (bad) {
        return bad;
    }

    p -= 2;

    for (i = 0; i < 2; i++) {
        if (strncmp(p, boundary, sizeof(boundary) - 1) != 0) {
            return "no boundary";
        }

        p = memmem(p, (size_t) (last - p), "\r\n\r\n", 4);
        if (p == NULL) {
            return "no part";
        }

        p += 4;
        end = memmem(p, (size_t) (last - p), boundary, sizeof(boundary) - 1);

        if (end == NULL) {
            return "a part has no end";
        }

        approval_buf_init(&text);
        rc = mail_check_decode(p, end, &text);

        bad = (rc != APPROVAL_OK) ? "not quoted-printable"
              : i == 0 ? mail_check_text(approval_buf_str(&text))
              : mail_check_html(approval_buf_str(&text));

        approval_buf_free(&text);

        if (bad) {
            return bad;
        }

        p = end;
    }

    return strcmp(p + sizeof(boundary) - 1, "--\r\n") == 0
           ? NULL : "something after the last part";
}


#endif /* APPROVAL_MAIL_CHECK_H */
