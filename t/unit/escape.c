
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Unit tests: text made harmless.
 */


#include "test.h"

#include "core/escape.h"


typedef void (*escape_pt)(approval_str_t s, approval_buf_t *out);


static void check(escape_pt escape, const char *in, const char *want,
    const char *name);
static void check_visible(approval_str_t in, approval_visible_e mode,
    const char *want, const char *name);
static void test_visible(void);
static void test_markup(void);
static void test_json(void);
static void test_blank(void);
static void test_cut(void);


int
main(void)
{
    test_visible();
    test_markup();
    test_json();
    test_blank();
    test_cut();

    return test_done();
}


static void
check(escape_pt escape, const char *in, const char *want, const char *name)
{
    approval_buf_t  out;

    approval_buf_init(&out);
    escape(approval_str(in), &out);
    is_str(approval_buf_str(&out), want, name);
    approval_buf_free(&out);
}


static void
check_visible(approval_str_t in, approval_visible_e mode, const char *want,
    const char *name)
{
    approval_buf_t  out;

    approval_buf_init(&out);
    approval_escape_visible(in, mode, &out);
    is_str(approval_buf_str(&out), want, name);
    approval_buf_free(&out);
}


static void
test_visible(void)
{
    size_t          i;
    approval_str_t  nul = approval_string("a\0b");

    static const char *const  hidden[][2] = {
        { "\xc2\x80", "<U+0080>" }, { "\xc2\x9f", "<U+009F>" },
        { "\xc2\xad", "<U+00AD>" }, { "\xcd\x8f", "<U+034F>" },
        { "\xd8\x9c", "<U+061C>" }, { "\xe1\x85\x9f", "<U+115F>" },
        { "\xe1\xa0\x8e", "<U+180E>" }, { "\xe2\x80\x8b", "<U+200B>" },
        { "\xe2\x80\x8d", "<U+200D>" }, { "\xe2\x80\x8f", "<U+200F>" },
        { "\xe2\x80\xa8", "<U+2028>" }, { "\xe2\x80\xaa", "<U+202A>" },
        { "\xe2\x80\xae", "<U+202E>" }, { "\xe2\x81\xa0", "<U+2060>" },
        { "\xe2\x81\xa6", "<U+2066>" }, { "\xe2\x81\xa9", "<U+2069>" },
        { "\xe3\x85\xa4", "<U+3164>" }, { "\xef\xb8\x8f", "<U+FE0F>" },
        { "\xef\xbb\xbf", "<U+FEFF>" }, { "\xef\xbe\xa0", "<U+FFA0>" },
        { "\xf3\xa0\x80\xa1", "<U+E0021>" },
        { "\xf0\x9f\xbf\xbe", "<U+1FFFE>" }
    };

    check_visible(approval_str("plain, \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
                  APPROVAL_VISIBLE_LINE,
                  "plain, \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "plain text");
    check_visible(approval_str("a\r\nb\tc\x1b[2J\x7f"), APPROVAL_VISIBLE_LINE,
                  "a<U+000D><U+000A>b<U+0009>c<U+001B>[2J<U+007F>",
                  "control characters in a line");
    check_visible(approval_str("a\r\nb\tc\x1b"), APPROVAL_VISIBLE_TEXT,
                  "a<U+000D>\nb\tc<U+001B>", "control characters in text");
    check_visible(nul, APPROVAL_VISIBLE_TEXT, "a<U+0000>b", "NUL");
    check_visible(approval_str("\xff" "a\xe2\x82"), APPROVAL_VISIBLE_LINE,
                  "<0xFF>a<0xE2><0x82>", "invalid UTF-8");
    check_visible((approval_str_t) { 0, NULL }, APPROVAL_VISIBLE_LINE, "",
                  "null");
    check_visible(approval_str("\xc2\xa0\xe2\x80\x8a\xe2\x80\xaf"),
                  APPROVAL_VISIBLE_LINE, "\xc2\xa0\xe2\x80\x8a\xe2\x80\xaf",
                  "spaces are seen");

    for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        check_visible(approval_str(hidden[i][0]), APPROVAL_VISIBLE_TEXT,
                      hidden[i][1], hidden[i][1]);
    }
}


static void
test_markup(void)
{
    check(approval_escape_html, "<a href=\"x\" b='y'>&amp;</a>",
          "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;",
          "HTML");
    check(approval_escape_html, "\xc3\xa9 text", "\xc3\xa9 text",
          "HTML, nothing to do");
    check(approval_escape_slack, "<!channel> & \"q\" 'q' *b*",
          "&lt;!channel&gt; &amp; \"q\" 'q' *b*", "Slack");
    check(approval_escape_markdown, "[x](http://y) *b* _i_ `c` #1 {{D}} <a>",
          "\\[x\\]\\(http\\://y\\) \\*b\\* \\_i\\_ \\`c\\` \\#1 "
          "\\{\\{D\\}\\} \\<a\\>", "Markdown");
    check(approval_escape_markdown, "1. a\n- b \\ ~~c~~ | d!",
          "1\\. a\n\\- b \\\\ \\~\\~c\\~\\~ \\| d\\!", "Markdown lists");
    check(approval_escape_uri, "aZ09-._~ /?&=%+\xc3\xa9",
          "aZ09-._~%20%2F%3F%26%3D%25%2B%C3%A9", "URI");
}


static void
test_json(void)
{
    approval_buf_t  out;
    approval_str_t  nul = approval_string("\0");

    check(approval_escape_json, "a\"b\\c/d", "a\\\"b\\\\c/d", "JSON");
    check(approval_escape_json, "\b\f\n\r\t\x01\x1f\x7f",
          "\\b\\f\\n\\r\\t\\u0001\\u001f\x7f", "JSON control characters");
    check(approval_escape_json, "\xe2\x82\xac\xe2\x80\xa8",
          "\xe2\x82\xac\xe2\x80\xa8", "JSON, outside ASCII");
    check(approval_escape_json, "a\xff" "b\xe2\x82",
          "a\xef\xbf\xbd" "b\xef\xbf\xbd\xef\xbf\xbd",
          "JSON, invalid UTF-8 is replaced");

    approval_buf_init(&out);
    approval_escape_json(nul, &out);
    is_str(approval_buf_str(&out), "\\u0000", "JSON, NUL");
    approval_buf_free(&out);
}


static void
test_blank(void)
{
    ok(approval_blank(approval_str("")), "nothing is blank");
    ok(approval_blank(approval_str(" \t\r\n")), "so is white space");
    ok(approval_blank(approval_str("\xc2\xa0\xe3\x80\x80\xe2\x80\x83")),
       "beyond ASCII, too");
    ok(approval_blank(approval_str("\xe2\x80\x8b \xe2\xa0\x80")),
       "and what does not show");
    ok(!approval_blank(approval_str(" . ")), "a dot is something");
    ok(!approval_blank(approval_str("\xff")), "so is what is no UTF-8");
}


static void
test_cut(void)
{
    approval_str_t  s;

    s = approval_str("abcdef");
    is_int(approval_cut(&s, 6), 0, "nothing is cut");
    is_int(approval_cut(&s, 4), 2, "two bytes are cut");
    is_str(s, "abcd", "what is left");

    s = approval_str("a\xe2\x82\xac" "b");
    is_int(approval_cut(&s, 3), 4, "not inside a character");
    is_str(s, "a", "the whole character is out");

    s = approval_str("a\xe2\x82\xac" "b");
    is_int(approval_cut(&s, 4), 1, "after a character");
    is_str(s, "a\xe2\x82\xac", "the character is in");

    s = approval_str("\xf0\x9f\x98\x80");
    is_int(approval_cut(&s, 3), 4, "four bytes");
    is_str(s, "", "nothing is left");

    s = approval_str("\x80\x80\x80\x80\x80\x80");
    is_int(approval_cut(&s, 4), 2, "what is not UTF-8 is cut anywhere");

    s = approval_str("abc");
    is_int(approval_cut(&s, 0), 3, "all is cut");
}
