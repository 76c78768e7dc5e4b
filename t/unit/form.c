
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Unit tests: urlencoded forms.
 */


#include "test.h"

#include "core/form.h"


#define MULTIPART  "a line break or control character in the form: is it "  \
                   "multipart?"


static void get(const char *body, const char *name, int rc, const char *want);
static int collect(void *data, approval_str_t name, approval_str_t value);
static int stop(void *data, approval_str_t name, approval_str_t value);
static void test_get(void);
static void test_foreign(void);
static void test_each(void);


int
main(void)
{
    test_get();
    test_foreign();
    test_each();

    return test_done();
}


static void
get(const char *body, const char *name, int rc, const char *want)
{
    int             got;
    const char     *err;
    approval_buf_t  out;

    approval_buf_init(&out);
    approval_buf_adds(&out, "=");

    err = NULL;
    got = approval_form_get(approval_str(body), approval_str(name), &out,
                            &err);

    ok(got == rc, "\"%s\" of \"%s\": %d", name, body, got);

    if (rc == APPROVAL_ERROR) {
        is_str(approval_str(err), want, "the reason");
        is_str(approval_buf_str(&out), "=", "nothing is appended");

    } else {
        is_str(((approval_str_t) { out.len - 1, out.data + 1 }), want,
               "the value");
    }

    approval_buf_free(&out);
}


static void
test_get(void)
{
    int             rc;
    const char     *err;
    approval_buf_t  out;
    approval_str_t  nul = approval_string("a=\0");

    static const char  twice[] = "the form has the same field twice";
    static const char  escape[] = "malformed escape in form";

    get("a=1", "a", APPROVAL_OK, "1");
    get("a=1&b=2", "b", APPROVAL_OK, "2");
    get("a=1&b=2", "c", APPROVAL_DECLINED, "");
    get("", "a", APPROVAL_DECLINED, "");
    get("&&a=1&", "a", APPROVAL_OK, "1");
    get("a", "a", APPROVAL_OK, "");
    get("a=", "a", APPROVAL_OK, "");
    get("a==b=c", "a", APPROVAL_OK, "=b=c");
    get("a=x+y%20z%2B", "a", APPROVAL_OK, "x y z+");
    get("%61=1", "a", APPROVAL_OK, "1");
    get("a%3d=1", "a=", APPROVAL_OK, "1");
    get("x+y=1", "x y", APPROVAL_OK, "1");
    get("A=1", "a", APPROVAL_DECLINED, "");
    get("ab=1", "a", APPROVAL_DECLINED, "");
    get("a=1", "ab", APPROVAL_DECLINED, "");
    get("a=%c3%A9", "a", APPROVAL_OK, "\xc3\xa9");
    get("=1", "", APPROVAL_OK, "1");
    get("sql=DROP TABLE x;&b=1", "sql", APPROVAL_OK, "DROP TABLE x;");
    get("sql=DROP TABLE x; SELECT 1", "sql", APPROVAL_OK,
        "DROP TABLE x; SELECT 1");

    get("a=1&a=1", "a", APPROVAL_ERROR, twice);
    get("a=1&b=2&%61=2", "a", APPROVAL_ERROR, twice);
    get("a=1&a=1", "b", APPROVAL_DECLINED, "");
    get("a=%", "a", APPROVAL_ERROR, escape);
    get("a=%4", "a", APPROVAL_ERROR, escape);
    get("a=%g1", "a", APPROVAL_ERROR, escape);
    get("a=1&b=%zz", "a", APPROVAL_ERROR, escape);
    get("a=1&%=2", "a", APPROVAL_ERROR, escape);
    get("a=%00", "a", APPROVAL_ERROR, "NUL in form");
    get("a=1&b=%00", "a", APPROVAL_ERROR, "NUL in form");

    get("a[]=1", "a", APPROVAL_DECLINED, "");
    get("a[b]=1&a[c]=2", "a[b]", APPROVAL_OK, "1");
    get("b=1;a=2", "a", APPROVAL_DECLINED, "");

    approval_buf_init(&out);
    rc = approval_form_get(nul, approval_str("a"), &out, &err);
    is_int(rc, APPROVAL_ERROR, "raw NUL");
    is_str(approval_str(err), "NUL in form", "the reason");

    rc = approval_form_get((approval_str_t) { 0, NULL }, approval_str("a"),
                           &out, &err);
    is_int(rc, APPROVAL_DECLINED, "no body");
    approval_buf_free(&out);
}


static void
test_foreign(void)
{
    size_t       i;
    const char  *why;

    static const struct {
        const char  *body;
        const char  *why;
    } rows[] = {
        { "", NULL },
        { "a=1", NULL },
        { "b={}&a=<\"[", NULL },
        { "  {\"a\":1}", "JSON or XML instead of a form" },
        { "[1]", "JSON or XML instead of a form" },
        { "\"a\"", "JSON or XML instead of a form" },
        { "<a>1</a>", "JSON or XML instead of a form" },
        { "\xef\xbb\xbf" "a=1", "byte order mark before form" },
        { "a=1\n", MULTIPART },
        { "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"
          "--b--", MULTIPART },
        { "b=\x7f", MULTIPART },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        why = approval_form_foreign(approval_str(rows[i].body));

        is_str(approval_str(why ? why : "none"),
               rows[i].why ? rows[i].why : "none", rows[i].body);
    }
}


static int
collect(void *data, approval_str_t name, approval_str_t value)
{
    approval_buf_t  *out = data;

    approval_buf_addc(out, '(');
    approval_buf_add(out, name.data, name.len);
    approval_buf_addc(out, ',');
    approval_buf_add(out, value.data, value.len);
    approval_buf_addc(out, ')');

    return APPROVAL_OK;
}


static int
stop(void *data, approval_str_t name, approval_str_t value)
{
    (void) value;

    ++*(int *) data;

    return name.data[0] == 'b' ? 42 : APPROVAL_OK;
}


static void
test_each(void)
{
    int             n;
    const char     *err;
    approval_buf_t  out;

    approval_buf_init(&out);

    is_int(approval_form_each(approval_str("a=1&&b+c=%26%3D&a=2&d"), collect,
                              &out, &err),
           APPROVAL_OK, "each field");
    is_str(approval_buf_str(&out), "(a,1)(b c,&=)(a,2)(d,)", "the fields");

    approval_buf_reset(&out);
    is_int(approval_form_each(approval_str("a=1&b=%4"), collect, &out, &err),
           APPROVAL_ERROR, "each field, malformed");
    is_str(approval_str(err), "malformed escape in form", "the reason");

    is_int(approval_form_each(approval_str("%00=1"), collect, &out, &err),
           APPROVAL_ERROR, "each field, NUL");

    n = 0;
    is_int(approval_form_each(approval_str("a=1&b=2&c=3"), stop, &n, &err),
           42, "each field, stopped");
    is_int(n, 2, "fields that were seen");

    is_int(approval_form_each((approval_str_t) { 0, NULL }, collect, &out,
                              &err),
           APPROVAL_OK, "no body has no fields");

    approval_buf_free(&out);
}
