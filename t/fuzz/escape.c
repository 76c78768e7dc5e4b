
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Fuzz target: any text.
 */


#include "fuzz.h"

#include "core/escape.h"
#include "core/form.h"
#include "core/json.h"


static void check_visible(approval_str_t s, approval_visible_e mode);
static void check_markup(approval_str_t s);
static void check_json(approval_str_t s);
static void check_uri(approval_str_t s);
static int check_field(void *data, approval_str_t name, approval_str_t value);
static void check_cut(approval_str_t s);
static void check_encodings(approval_str_t s);
static void check_time(approval_str_t s);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    approval_str_t  s;

    s = fuzz_str(data, size);

    check_visible(s, APPROVAL_VISIBLE_LINE);
    check_visible(s, APPROVAL_VISIBLE_TEXT);
    check_markup(s);
    check_json(s);
    check_uri(s);
    check_cut(s);
    check_encodings(s);
    check_time(s);

    return 0;
}


static void
check_visible(approval_str_t s, approval_visible_e mode)
{
    size_t          i;
    approval_buf_t  one, two;

    approval_buf_init(&one);
    approval_buf_init(&two);

    approval_escape_visible(s, mode, &one);

    must(approval_utf8_valid(approval_buf_str(&one)));

    for (i = 0; i < one.len; i++) {
        must(one.data[i] != 0x7f);
        must(one.data[i] >= 0x20
             || (mode == APPROVAL_VISIBLE_TEXT
                 && (one.data[i] == '\n' || one.data[i] == '\t')));
    }

    must(!fuzz_has(approval_buf_str(&one), "\xe2\x80\xae"));
    must(!fuzz_has(approval_buf_str(&one), "\xe2\x80\x8b"));
    must(!fuzz_has(approval_buf_str(&one), "\xef\xbb\xbf"));

    approval_escape_visible(approval_buf_str(&one), mode, &two);
    must(approval_str_eq(approval_buf_str(&one), approval_buf_str(&two)));

    approval_buf_free(&one);
    approval_buf_free(&two);
}


static void
check_markup(approval_str_t s)
{
    size_t          i, n;
    approval_buf_t  out;

    approval_buf_init(&out);
    approval_escape_html(s, &out);

    for (i = 0; i < out.len; i++) {
        must(!out.data[i] || !strchr("<>\"'", out.data[i]));
    }

    approval_buf_reset(&out);
    approval_escape_slack(s, &out);

    for (i = 0; i < out.len; i++) {
        must(out.data[i] != '<' && out.data[i] != '>');
    }

    approval_buf_reset(&out);
    approval_escape_markdown(s, &out);

    for (i = 0, n = 0; i < out.len; i++) {
        if (out.data[i] == '\\') {
            i++;
            must(i < out.len);

        } else {
            must(!out.data[i] || !strchr("`*_{}[]()<>#!|~", out.data[i]));
        }

        must(out.data[i] == s.data[n]);
        n++;
    }

    must(n == s.len);

    approval_buf_free(&out);
}


static void
check_json(approval_str_t s)
{
    json_t          *json;
    const char      *err;
    approval_buf_t   out;
    approval_str_t   text;

    approval_buf_init(&out);

    approval_buf_addc(&out, '"');
    approval_escape_json(s, &out);
    approval_buf_addc(&out, '"');

    json = approval_json_parse(approval_buf_str(&out), &err);

    if (s.len && memchr(s.data, 0, s.len)) {
        must(json == NULL);

    } else {
        must(json != NULL);

        if (approval_utf8_valid(s)) {
            text.data = (const void *) json_string_value(json);
            text.len = json_string_length(json);
            must(approval_str_eq(text, s));
        }
    }

    json_decref(json);
    approval_buf_free(&out);
}


static void
check_uri(approval_str_t s)
{
    const char      *err;
    approval_buf_t   out;

    if (s.len && memchr(s.data, 0, s.len)) {
        return;
    }

    approval_buf_init(&out);

    approval_buf_adds(&out, "x=");
    approval_escape_uri(s, &out);

    must(approval_form_each(approval_buf_str(&out), check_field, &s, &err)
         == APPROVAL_OK);

    approval_buf_free(&out);
}


static int
check_field(void *data, approval_str_t name, approval_str_t value)
{
    approval_str_t  *s = data;

    must(approval_str_eq(name, approval_str("x")));
    must(approval_str_eq(value, *s));

    return APPROVAL_OK;
}


static void
check_cut(approval_str_t s)
{
    size_t          max, left;
    approval_str_t  cut;

    for (max = 0; max < s.len + 2 && max < 40; max++) {
        cut = s;
        left = approval_cut(&cut, max);

        must(cut.len <= max);
        must(cut.len + left == s.len);
        must(cut.data == s.data);
        must(left == 0 || cut.len + 3 >= max);
        must(!approval_utf8_valid(s) || approval_utf8_valid(cut));
    }
}


static void
check_encodings(approval_str_t s)
{
    size_t          n;
    unsigned char  *text, *back;

    text = malloc(2 * s.len + 4);
    back = malloc(2 * s.len + 4);

    if (text == NULL || back == NULL) {
        abort();
    }

    n = approval_base64_encode(text, s.data, s.len);
    must(n == approval_base64_size(s.len));
    must(approval_base64_decode(back, fuzz_str(text, n)) == s.len);
    must(s.len == 0 || memcmp(back, s.data, s.len) == 0);

    n = approval_base64url_encode(text, s.data, s.len);
    must(approval_base64url_decode(back, fuzz_str(text, n)) == s.len);
    must(s.len == 0 || memcmp(back, s.data, s.len) == 0);

    n = approval_hex_encode(text, s.data, s.len);
    must(n == 2 * s.len);
    must(approval_hex_decode(back, fuzz_str(text, n)) == s.len);
    must(s.len == 0 || memcmp(back, s.data, s.len) == 0);

    /* what is accepted is canonical */

    n = approval_base64_decode(back, s);
    if (n != (size_t) -1) {
        n = approval_base64_encode(text, back, n);
        must(approval_str_eq(fuzz_str(text, n), s));
    }

    n = approval_base64url_decode(back, s);
    if (n != (size_t) -1) {
        n = approval_base64url_encode(text, back, n);
        must(approval_str_eq(fuzz_str(text, n), s));
    }

    n = approval_hex_decode(back, s);
    if (n != (size_t) -1) {
        n = approval_hex_encode(text, back, n);
        must(approval_str_eq(fuzz_str(text, n), s));
    }

    free(text);
    free(back);
}


static void
check_time(approval_str_t s)
{
    char     text[APPROVAL_TIME_LEN + 1];
    int64_t  ms, back;

    if (s.len >= sizeof(int64_t)) {
        memcpy(&ms, s.data, sizeof(int64_t));
        approval_time_format(text, ms);
        must(strlen(text) == APPROVAL_TIME_LEN);
        must(approval_time_parse(approval_str(text), &back) == APPROVAL_OK);
        must(back == ms || ms > 253402300799999 || ms < -62167219200000);
    }

    if (approval_time_parse(s, &ms) == APPROVAL_OK) {
        approval_time_format(text, ms);
        must(memcmp(text, s.data, 19) == 0);
    }
}
