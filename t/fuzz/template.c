
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Fuzz target: any template up to the first 0xff, and any value after it.
 */


#include "fuzz.h"

#include "core/message.h"
#include "core/template.h"


static void check_any(const char *text, json_t *data);
static void check_json(json_t *data);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char            *text;
    json_t          *json;
    approval_buf_t   value;
    approval_str_t   s;
    const uint8_t   *end;

    end = size ? memchr(data, 0xff, size) : NULL;
    end = end ? end : data + size;

    text = strndup(size ? (const char *) data : "", (size_t) (end - data));
    must(text != NULL);

    end += (end < data + size);
    s = fuzz_str(end, (size_t) (data + size - end));

    approval_buf_init(&value);

    if (!approval_utf8_valid(s)) {
        approval_escape_visible(s, APPROVAL_VISIBLE_TEXT, &value);
        s = approval_buf_str(&value);
    }

    json = json_pack("{s:o s:b s:b s:[{s:s s:b} {s:s s:b}]}",
                     "a", json_stringn(s.len ? (const char *) s.data : "",
                                       s.len),
                     "yes", 1, "no", 0, "list", "b", "x", "first", 1,
                     "b", "y", "first", 0);

    check_any(text, json);
    check_json(json);

    approval_buf_free(&value);
    json_decref(json);
    free(text);

    return 0;
}


/* What the check accepts is rendered. */

static void
check_any(const char *text, json_t *data)
{
    int             checked, rendered;
    approval_buf_t  out;
    approval_str_t  mark;

    approval_buf_init(&out);

    checked = approval_template_check(text, data, &mark);
    rendered = approval_template(text, data, approval_escape_json, NULL, &out);

    must(checked == APPROVAL_OK || checked == APPROVAL_DECLINED);
    must(checked != APPROVAL_OK || rendered == APPROVAL_OK);

    if (checked == APPROVAL_DECLINED) {
        must((const char *) mark.data >= text
             && (const char *) mark.data + mark.len <= text + strlen(text));
    }

    approval_buf_free(&out);
}


/* No value gets out of its quotes, whatever is done to it before. */

static void
check_json(json_t *data)
{
    json_t          *json;
    const char      *err;
    approval_buf_t   out;

    static const char  text[] =
        "{\"a\":\"{{a}}\",\"b\":\"{{a|text|64}}\",\"c\":\"`{{a|code|100}}`\","
        "\"d\":\"{{a|markdown|quote|80}}\",\"e\":[{{#list}}{{^first}},"
        "{{/first}}\"{{b}}\"{{/list}}]}";

    approval_buf_init(&out);

    must(approval_template(text, data, approval_escape_json, NULL, &out)
         == APPROVAL_OK);

    json = approval_json_parse(approval_buf_str(&out), &err);
    must(json != NULL);
    must(json_array_size(json_object_get(json, "e")) == 2);
    must(strlen(json_string_value(json_object_get(json, "b"))) <= 64);
    must(strchr(json_string_value(json_object_get(json, "c")) + 1, '`')
         == json_string_value(json_object_get(json, "c"))
            + strlen(json_string_value(json_object_get(json, "c"))) - 1);

    json_decref(json);
    approval_buf_free(&out);
}
