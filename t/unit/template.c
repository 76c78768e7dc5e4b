
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The pages' templates: every mark, and that nothing gets through unescaped.
 */


#include "desk/template.c"
#include "test.h"


static approval_buf_t  out;


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
    rc = ngx_http_approval_template(text, data, part, &out);
    json_decref(data);

    return rc;
}


static void
is_rendered(const char *text, const char *json, const char *want)
{
    is_int(render(text, json), APPROVAL_OK, text);
    is_str(approval_buf_str(&out), want, text);
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

    approval_buf_free(&out);

    return test_done();
}
