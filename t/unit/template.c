
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The pages' templates: every mark, and that nothing gets through unescaped.
 */


#include "core/template.h"
#include "test.h"


static approval_buf_t      out;
static approval_escape_pt  escape = approval_escape_html;


static const char *
part(approval_str_t name)
{
    if (approval_str_eq(name, approval_str("part"))) {
        return "[{{a}}]";
    }

    return approval_str_eq(name, approval_str("loop")) ? "{{>loop}}" : NULL;
}


static int
render(const char *text, const char *json)
{
    int      rc;
    json_t  *data;

    data = json_loads(json, JSON_DECODE_ANY, NULL);

    if (!ok(data != NULL, "data: %s", json)) {
        return APPROVAL_ERROR;
    }

    approval_buf_reset(&out);
    rc = approval_template(text, data, escape, part, &out);
    json_decref(data);

    return rc;
}


static void
is_rendered(const char *text, const char *json, const char *want)
{
    is_int(render(text, json), APPROVAL_OK, text);
    is_str(approval_buf_str(&out), want, text);
}


static void
filters(void)
{
    escape = approval_escape_none;

    is_rendered("{{a|quote}}", "{\"a\":\"x\\ny\\n\"}", "x\n> y\n> ");
    is_rendered("{{a|quote}}", "{\"a\":\"x\"}", "x");
    is_rendered("{{a|slack}}", "{\"a\":\"<!here> & you\"}",
                "&lt;!here&gt; &amp; you");
    is_rendered("{{a|markdown}}", "{\"a\":\"[b](http://c) @all *d*\"}",
                "\\[b\\]\\(http\\://c\\) \\@all \\*d\\*");
    is_rendered("`{{a|code}}`", "{\"a\":\"x` @all `\"}", "`x' @all '`");
    is_rendered("{{a|64}}", "{\"a\":\"short\"}", "short");
    is_rendered("{{a|64}}", "{\"a\":\"0123456789012345678901234567890123456789"
                "0123456789012345678901234567890123456789\"}",
                "0123456789012345\xe2\x80\xa6 (64 bytes hidden)");
    is_rendered("{{a|text|64}}", "{\"a\":\"x\\ny\"}", "x\ny");

    is_int(render("{{a|63}}", "{\"a\":1}"), APPROVAL_ERROR, "too few bytes");
    is_int(render("{{a|65537}}", "{\"a\":1}"), APPROVAL_ERROR, "too many");
    is_int(render("{{a|}}", "{\"a\":1}"), APPROVAL_ERROR, "no filter");
    is_int(render("{{a|upper}}", "{\"a\":1}"), APPROVAL_ERROR, "unknown one");
}


static void
formats(void)
{
    escape = approval_escape_json;
    is_rendered("\"{{a|text}}\"", "{\"a\":\"x\\n\\\"\\\\\"}",
                "\"x\\n\\\"\\\\\"");

    escape = approval_escape_uri;
    is_rendered("a={{a}}&b={{b}}", "{\"a\":\"x&y=z +\",\"b\":\"%\"}",
                "a=x%26y%3Dz%20%2B&b=%25");

    escape = approval_escape_html;
}


static void
is_checked(const char *text, const char *want)
{
    int             rc;
    json_t         *data;
    approval_str_t  mark;

    data = json_loads("{\"a\":\"\",\"l\":[{\"b\":1}],\"no\":false}", 0,
                      NULL);
    rc = approval_template_check(text, data, &mark);
    json_decref(data);

    if (want == NULL) {
        is_int(rc, APPROVAL_OK, text);

    } else if (is_int(rc, APPROVAL_DECLINED, text)) {
        is_str(mark, want, text);
    }
}


static void
checks(void)
{
    is_checked("{{a}} {{#l}}{{b|64}}{{.}}{{/l}} {{show.x}} {{matched.y}}",
               NULL);
    is_checked("{{#no}}{{a}}{{/no}}{{^a}}{{a}}{{/a}}", NULL);
    is_checked("{{b}}", "b");
    is_checked("{{#no}}{{what}}{{/no}}", "what");
    is_checked("{{^no}}{{a|what}}{{/no}}", "a|what");
    is_checked("{{#a}}x", "a");
    is_checked("x{{/a}}", "a");
    is_checked("{{>part}}", "part");
    is_checked("{{show.}}", "show.");
}


int
main(void)
{
    approval_buf_init(&out);

    is_rendered("", "{}", "");
    is_rendered("plain } { text", "{}", "plain } { text");
    is_rendered("{{a}}-{{b}}", "{\"a\":\"x\"}", "x-");
    is_rendered("{{a}} {{b}} {{c}}", "{\"a\":1,\"b\":true,\"c\":null}",
                "1 true ");
    is_rendered("{{a}}", "{\"a\":\"<b>&\\\"'\"}", "&lt;b&gt;&amp;&quot;&#39;");
    is_rendered("{{a}}", "{\"a\":\"x\\ny\\u202e\"}",
                "x&lt;U+000A&gt;y&lt;U+202E&gt;");
    is_rendered("{{a|text}}", "{\"a\":\"x\\ny\\u202e\"}",
                "x\ny&lt;U+202E&gt;");
    is_rendered("{{a|time}} {{b|time}}",
                "{\"a\":\"2026-11-21T03:30:57.735Z\",\"b\":\"<soon>\"}",
                "2026-11-21 03:30:57 UTC &lt;soon&gt;");
    is_rendered("{{a}}", "{\"a\":\"{{b}}\",\"b\":\"x\"}", "{{b}}");

    is_rendered("{{#a}}x{{/a}}{{^a}}y{{/a}}", "{}", "y");
    is_rendered("{{#a}}x{{/a}}{{^a}}y{{/a}}", "{\"a\":\"\"}", "y");
    is_rendered("{{#a}}x{{/a}}{{^a}}y{{/a}}", "{\"a\":0}", "y");
    is_rendered("{{#a}}x{{/a}}{{^a}}y{{/a}}", "{\"a\":[]}", "y");
    is_rendered("{{#a}}x{{/a}}{{^a}}y{{/a}}", "{\"a\":false}", "y");
    is_rendered("{{#a}}x{{/a}}{{^a}}y{{/a}}", "{\"a\":\"0\"}", "x");
    is_rendered("{{#a}}x{{/a}}{{^a}}y{{/a}}", "{\"a\":{}}", "x");

    is_rendered("{{#a}}{{.}},{{/a}}", "{\"a\":[\"x\",\"<\"]}", "x,&lt;,");
    is_rendered("{{#a}}{{b}}{{c}} {{/a}}",
                "{\"c\":\"o\",\"a\":[{\"b\":1},{\"b\":2,\"c\":3},"
                "{\"c\":null}]}", "1o 23  ");
    is_rendered("{{#a}}{{#a}}{{b}}{{/a}}{{/a}}!", "{\"a\":{\"a\":{\"b\":1}}}",
                "1!");
    is_rendered("{{#a}}{{>part}}{{/a}}", "{\"a\":\"<\"}", "[&lt;]");

    is_int(render("{{#a}}x", "{\"a\":1}"), APPROVAL_ERROR, "not closed");
    is_int(render("x{{/a}}", "{\"a\":1}"), APPROVAL_ERROR, "not opened");
    is_int(render("{{#a}}{{#b}}{{/a}}{{/b}}", "{\"a\":1,\"b\":1}"),
           APPROVAL_ERROR, "crossed");
    is_int(render("{{>nothing}}", "{}"), APPROVAL_ERROR, "no such part");
    is_int(render("{{>loop}}", "{}"), APPROVAL_ERROR, "without an end");

    filters();
    formats();
    checks();

    approval_buf_free(&out);

    return test_done();
}
