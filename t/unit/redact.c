
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Unit tests: what never leaves the gateway.
 */


#include "test.h"

#include "core/escape.h"
#include "core/redact.h"

#include <stdlib.h>


#define COUNT(a)  (sizeof(a) / sizeof(a[0]))

#define JSON  "application/json"
#define FORM  "application/x-www-form-urlencoded"


static approval_redact_t *rules(const char *const *what, size_t n);
static int has(const approval_buf_t *out, const char *what);
static void is_masked(approval_buf_t *out, const char *want,
    const char *name);
static void target(const char *in, const char *want);
static void body(const char *type, const char *in, const char *want);
static void hidden(const char *type, const char *in);
static void test_headers(void);
static void test_fields(void);
static void test_rules(void);
static void test_target(void);
static void test_nested(void);
static void test_json(void);
static void test_form(void);
static void test_text(void);
static void test_types(void);
static void test_canary(void);
static void test_masks(void);
static void test_reveal(void);
static void test_paths(void);
static void test_parts(void);


int
main(void)
{
    test_headers();
    test_fields();
    test_rules();
    test_target();
    test_json();
    test_form();
    test_text();
    test_types();
    test_canary();
    test_masks();
    test_reveal();
    test_paths();
    test_parts();

    return test_done();
}


static approval_redact_t *
rules(const char *const *what, size_t n)
{
    size_t              i;
    const char         *err;
    approval_redact_t  *r;

    r = approval_redact_create(NULL);

    for (i = 0; i < n; i++) {
        err = "";
        ok(approval_redact_add(r, approval_str(what[i]), &err) == APPROVAL_OK,
           "rule: %s %s", what[i], err);
    }

    return r;
}


static int
has(const approval_buf_t *out, const char *what)
{
    return out->len && memmem(out->data, out->len, what, strlen(what)) != NULL;
}


/* Masks without their lengths, so that each test says what is masked. */

static void
is_masked(approval_buf_t *out, const char *want, const char *name)
{
    size_t          i;
    unsigned        mask;
    approval_buf_t  plain;

    approval_buf_init(&plain);

    for (i = 0, mask = 0; i < out->len; i++) {
        mask |= i >= 9 && memcmp(out->data + i - 9, "[redacted,", 10) == 0;
        mask &= out->data[i] != ']';

        if (!mask) {
            approval_buf_addc(&plain, out->data[i]);
        }
    }

    is_str(approval_buf_str(&plain), want, name);
    approval_buf_free(&plain);
}


static void
target(const char *in, const char *want)
{
    approval_buf_t      out;
    approval_redact_t  *r;

    r = rules(NULL, 0);
    approval_buf_init(&out);

    (void) approval_redact_target(r, approval_str(in), &out);
    is_masked(&out, want, in);

    approval_buf_free(&out);
    approval_redact_destroy(r);
}


static void
body(const char *type, const char *in, const char *want)
{
    approval_buf_t      out;
    approval_redact_t  *r;

    r = rules(NULL, 0);
    approval_buf_init(&out);

    ok(approval_redact_body(r, approval_str(type), approval_str(in), &out)
       == APPROVAL_OK, "body of %s", type);
    is_masked(&out, want, "what is shown");

    approval_buf_free(&out);
    approval_redact_destroy(r);
}


/* A NUL does not end a key that lacks its last line. */

static void
hidden_nul(void)
{
    approval_buf_t      out;
    approval_redact_t  *r;

    static const char  key[] = "-----BEGIN PRIVATE KEY-----\nx\0canary";
    approval_str_t     s = { sizeof(key) - 1, (unsigned char *) key };

    r = rules(NULL, 0);
    approval_buf_init(&out);

    ok(approval_redact_text(r, s, &out) == APPROVAL_OK && !has(&out, "canary")
       && !has(&out, "BEGIN"), "a key with a NUL is masked");

    approval_buf_free(&out);
    approval_redact_destroy(r);
}


static void
hidden(const char *type, const char *in)
{
    approval_buf_t      out;
    approval_redact_t  *r;

    r = rules(NULL, 0);
    approval_buf_init(&out);

    (void) approval_redact_body(r, approval_str(type), approval_str(in), &out);

    if (!ok(!has(&out, "canary"), "hidden in %s", type)) {
        printf("#   %.200s\n", in);
    }

    ok(has(&out, "[redacted, "), "and said so");

    approval_buf_free(&out);
    approval_redact_destroy(r);
}


static void
test_headers(void)
{
    size_t              i;
    approval_redact_t  *r;

    static const char *const  secret[] = {
        "Authorization", "authorization", "PROXY-AUTHORIZATION", "Cookie",
        "Set-Cookie", "X-Api-Key", "X_Api_Key", "X-Auth-Token",
        "X-CSRF-Token", "X-Xsrf-Token", "X-Amz-Security-Token",
        "X-Vault-Token", "X-Gitlab-Token", "X-Client-Secret", "Api-Key",
        "Ocp-Apim-Subscription-Key", "X-Forwarded-Access-Token",
        "X-Goog-Iap-Jwt-Assertion", "X-Hub-Signature-256", "X-Password",
        "X-Session-Id", "DPoP", "X-Auth", "Private-Token", "X-Amz-Signature"
    };

    static const char *const  open[] = {
        "Host", "Accept", "Content-Type", "User-Agent", "X-Env",
        "X-Approval-Reason", "X-Request-Id", "Keyboard", "Key-Id",
        "Accept-Encoding", "Origin", "Referer", "X-Forwarded-For", ""
    };

    r = approval_redact_create(NULL);

    for (i = 0; i < COUNT(secret); i++) {
        ok(approval_redact_field(r, approval_str(secret[i])),
           "secret header %s", secret[i]);
    }

    for (i = 0; i < COUNT(open); i++) {
        ok(!approval_redact_field(r, approval_str(open[i])),
           "open header \"%s\"", open[i]);
    }

    approval_redact_destroy(r);
}


static void
test_fields(void)
{
    char                long_name[400];
    size_t              i;
    approval_redact_t  *r;

    static const char *const  secret[] = {
        "password", "PassWord", "PASSWORD", "user_password", "newPassword2",
        "user[password]", "pass-word", "p.a.s.s.w.d", "passphrase",
        "secret", "clientSecret", "client_secret", "secrets", "token",
        "access_token", "refreshToken", "id_token", "api_key", "apiKey",
        "API-KEY", "x-api-key", "AccessKey", "aws_secret_access_key",
        "private_key", "credentials", "authorization", "Cookie", "sessionId",
        "PHPSESSID", "JSESSIONID", "session", "signature", "X-Amz-Signature",
        "pin", "PIN", "cardPin", "card_pin", "pinCode", "PINCode", "pin2",
        "otp", "otp_code", "totpSeed", "cvv", "cvv2", "cvc", "ssn",
        "user.ssn", "pwd", "dbpwd", "pass", "db_pass", "smtp_pass", "jwt",
        "auth", "sid", "sig", "connectionString", "kubeconfig",
        ".dockerconfigjson", "mnemonic", "creditCard", "card_number",
        "csrfmiddlewaretoken", "_csrf", "psk", "wifi-psk"
    };

    static const char *const  open[] = {
        "", "user", "name", "amount", "shipping", "pinned", "spin", "opinion",
        "compass", "bypass", "passenger", "key", "keys", "monkey", "author",
        "authority", "auth_method", "session_duration", "design", "assign",
        "signal", "option", "kotp", "reason", "max_tokens", "maxTokens",
        "token_type", "hidden", "email", "description", "tablename", "-_.",
        "passport", "inside", "side"
    };

    r = approval_redact_create(NULL);

    for (i = 0; i < COUNT(secret); i++) {
        ok(approval_redact_field(r, approval_str(secret[i])),
           "secret field %s", secret[i]);
    }

    for (i = 0; i < COUNT(open); i++) {
        ok(!approval_redact_field(r, approval_str(open[i])),
           "open field \"%s\"", open[i]);
    }

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';

    ok(approval_redact_field(r, approval_str(long_name)),
       "an endless name is secret");

    approval_redact_destroy(r);
}


static void
test_rules(void)
{
    size_t              i;
    const char         *err;
    approval_buf_t      out;
    approval_redact_t  *r;

    static const char *const  what[] = {
        "json:/customer/name", "json:/items/*/price", "form:iban",
        "form:columns", "$http_x_partner", "$arg_user_hash", "$cookie_track",
        "json:/1"
    };

    static const char *const  bad[] = {
        "path:", "path:x", "path:/", "path:/a/", "path:/a?b", "json:",
        "json:x", "json:/~", "form:", "form:__", "$http_", "$arg_", "$cookie_",
        "$uri", "password", "", "json", "http_x", "$HTTP_x"
    };

    r = rules(what, COUNT(what));
    approval_buf_init(&out);

    ok(approval_redact_field(r, approval_str("X-Partner")), "header by rule");
    ok(approval_redact_field(r, approval_str("x_partner")),
       "header by rule, spelled otherwise");
    ok(!approval_redact_field(r, approval_str("X-Partners")), "other header");
    ok(approval_redact_field(r, approval_str("IBAN")), "field by rule");
    ok(approval_redact_field(r, approval_str("user-hash")),
       "argument by rule");
    ok(approval_redact_field(r, approval_str("track")), "cookie by rule");
    ok(!approval_redact_field(r, approval_str("ibans")), "other field");

    (void) approval_redact_body(r, approval_str(JSON),
               approval_str("{\"customer\":{\"name\":\"a\",\"id\":1},\"items\":"
               "[{\"price\":1},{\"price\":{\"x\":2}}],\"iban\":\"DE\","
               "\"name\":\"shown\"}"), &out);
    is_masked(&out,
           "{\n  \"customer\": {\n    \"name\": \"[redacted]\",\n"
           "    \"id\": 1\n  },\n  \"items\": [\n    {\n      \"price\": "
           "\"[redacted]\"\n    },\n    {\n      \"price\": \"[redacted]\"\n"
           "    }\n  ],\n  \"iban\": \"[redacted]\",\n  \"name\": \"shown\"\n}",
           "members by pointer and name");

    approval_buf_reset(&out);
    (void) approval_redact_body(r, approval_str(JSON),
               approval_str("{\"columns\":[\"password\",\"b\"],"
               "\"rows\":[[\"canary\",\"x\"]]}"), &out);
    is_masked(&out,
           "{\n  \"columns\": \"[redacted]\",\n  \"rows\": [\n    [\n"
           "      \"[redacted]\",\n      \"x\"\n    ]\n  ]\n}",
           "name what is in the rows, though they are masked themselves");

    approval_buf_reset(&out);
    (void) approval_redact_target(r, approval_str("/x?iban=1&user_hash=2&a=3"),
                                  &out);
    is_masked(&out,
           "/x?iban=[redacted]&user_hash=[redacted]&a=3", "target by rules");

    approval_buf_reset(&out);
    (void) approval_redact_body(r, approval_str(FORM),
                                approval_str("iban=1&a=2"), &out);
    is_masked(&out, "iban=[redacted]\na=2\n", "form by rules");

    for (i = 0; i < COUNT(bad); i++) {
        err = NULL;
        ok(approval_redact_add(r, approval_str(bad[i]), &err)
           == APPROVAL_ERROR && err != NULL,
           "no rule: \"%s\" (%s)", bad[i], err ? err : "");
    }

    approval_buf_free(&out);
    approval_redact_destroy(r);
    approval_redact_destroy(NULL);
}


static void
test_target(void)
{
    target("/", "/");
    target("/a/b?c=d&e", "/a/b?c=d&e");
    target("/a?", "/a?");
    target("/a?access_token=canary", "/a?access_token=[redacted]");
    target("/a?x=1&api_key=canary&y=2", "/a?x=1&api_key=[redacted]&y=2");
    target("/a?%70assword=canary", "/a?%70assword=[redacted]");
    target("/a?pass+word=canary", "/a?pass+word=[redacted]");
    target("/a?user%5Bpassword%5D=canary", "/a?user%5Bpassword%5D=[redacted]");
    target("/a?x=1;password=canary", "/a?x=1;password=[redacted]");
    target("/a?x=1?password=canary", "/a?x=1?password=[redacted]");
    target("/a?password=can?ary=canary&b=1",
           "/a?password=[redacted]?ary=canary&b=1");
    target("/a#access_token=canary", "/a#access_token=[redacted]");
    target("/a?b=1#access_token=canary", "/a?b=1#access_token=[redacted]");
    target("/a?password", "/a?password");
    target("/a?password=", "/a?password=");
    target("/a?x=%zz&password=canary", "/a?[redacted]");
    target("/a?password=canary&x=%4", "/a?[redacted]");
    target("/a?x=%00", "/a?[redacted]");
    target("/a?x=token%3Dcanary", "/a?x=[redacted]");
    target("/a?x=%7B%22password%22%3A%22canary%22%7D", "/a?x=[redacted]");
    target("/a?x=%7B%22\\u0070assword%22%3A%22canary%22%7D",
           "/a?x=[redacted]");
    target("/a?{\"password\":\"canary\"}", "/a?[redacted]");
    target("/a?next=https://u:canary@h/", "/a?next=[redacted]");
    target("/a?next=https%3A%2F%2Fu%3Acanary%40h%2F", "/a?next=[redacted]");
    target("http://user:canary@host/a?b=c", "http://user:[redacted]@host/a?b=c");
    target("http://bob@host", "http://bob@host");
    target("http://u:c/@n@host/x?y=a@b", "http://u:[redacted]@host/x?y=a@b");
    target("user:canary@host:443", "user:[redacted]@host:443");
    target("http://host:8080/x", "http://host:8080/x");
    target("/proxy/http://u:canary@h/x", "/proxy/http://u:[redacted]@h/x");
    target("/a;jsessionid=canary/b?c", "/a;jsessionid=[redacted]/b?c");
    target("/a;v=1/b", "/a;v=1/b");
    target("/token=canary/x", "/token=[redacted]/x");
    target("/a;password=%zz/x", "/a;password=[redacted]/x");
    target("/a;x=1&password=canary&y=2/x",
           "/a;x=1&password=[redacted]&y=2/x");
    target("/user@example.com/x", "/user@example.com/x");
    target("", "");
}


/* JSON in JSON, and in the innermost string a percent sign encoded often. */

static void
test_nested(void)
{
    unsigned                i, level;
    approval_buf_t          in, next, out;
    approval_redact_t      *r;

    approval_buf_init(&in);
    approval_buf_init(&next);
    approval_buf_init(&out);

    approval_buf_addc(&in, '%');

    for (i = 0; i < 40000; i++) {
        approval_buf_adds(&in, "25");
    }

    approval_buf_adds(&in, "41");

    for (level = 0; level < 6; level++) {
        approval_buf_reset(&next);
        approval_buf_adds(&next, "[\"");
        approval_escape_json(approval_buf_str(&in), &next);
        approval_buf_adds(&next, "\"]");

        approval_buf_reset(&in);
        approval_buf_add(&in, next.data, next.len);
    }

    r = rules(NULL, 0);

    ok(approval_redact_body(r, approval_str("application/json"),
                            approval_buf_str(&in), &out)
       == APPROVAL_OK, "deep encodings come to an end");

    approval_redact_destroy(r);
    approval_buf_wipe(&in);
    approval_buf_wipe(&next);
    approval_buf_wipe(&out);
}


static void
test_json(void)
{
    body(JSON, "{\"b\":1,\"a\":[true,{\"x\":\"y\"}]}",
         "{\n  \"b\": 1,\n  \"a\": [\n    true,\n    {\n      \"x\": \"y\"\n"
         "    }\n  ]\n}");
    body(JSON, "{\"password\":{\"a\":\"canary\"},\"n\":1}",
         "{\n  \"password\": {\n    \"a\": \"[redacted]\"\n  },\n  \"n\": 1"
         "\n}");
    body(JSON, "[]", "[]");
    body(JSON, "", "");
    body(JSON, "\"text\"", "\"text\"");
    body(JSON, "{\"pin\":1234,\"otp\":null}",
         "{\n  \"pin\": \"[redacted]\",\n  \"otp\": null\n}");
    body(JSON, "{\"sql\":\"DROP TABLE tokens\",\"max_tokens\":5}",
         "{\n  \"sql\": \"DROP TABLE tokens\",\n  \"max_tokens\": 5\n}");
    body(JSON, "{\"sql\":\"ALTER USER x PASSWORD 'canary'; DROP TABLE y\"}",
         "{\n  \"sql\": \"ALTER USER x PASSWORD '[redacted]'; DROP TABLE y\""
         "\n}");
    body(JSON, "{\"url\":\"postgres://u:canary@db/x\"}",
         "{\n  \"url\": \"postgres://u:[redacted]@db/x\"\n}");
    body(JSON, "{\"env\":[{\"name\":\"DB_PASSWORD\",\"value\":\"canary\"}]}",
         "{\n  \"env\": [\n    {\n      \"name\": \"DB_PASSWORD\",\n"
         "      \"value\": \"[redacted]\"\n    }\n  ]\n}");
    body(JSON, "[{\"id\":\"password\",\"value\":\"canary\",\"data\":1}]",
         "[\n  {\n    \"id\": \"password\",\n    \"value\": "
         "\"[redacted]\",\n    \"data\": 1\n  }\n]");
    body(JSON, "[{\"op\":\"add\",\"path\":\"/a/token/-\","
         "\"value\":\"canary\"}]",
         "[\n  {\n    \"op\": \"add\",\n    \"path\": \"/a/token/-\",\n"
         "    \"value\": \"[redacted]\"\n  }\n]");
    body(JSON, "{\"path\":\"/src/token.c\",\"content\":\"int x;\"}",
         "{\n  \"path\": \"/src/token.c\",\n  \"content\": \"int x;\"\n}");
    body(JSON, "{\"headers\":[[\"X-Api-Key\",\"canary\"],[\"A\",\"b\"]]}",
         "{\n  \"headers\": [\n    [\n      \"X-Api-Key\",\n      "
         "\"[redacted]\"\n    ],\n    [\n      \"A\",\n      \"b\"\n    ]"
         "\n  ]\n}");
    body(JSON, "[\"token\",\"a\",\"b\"]",
         "[\n  \"token\",\n  \"a\",\n  \"b\"\n]");
    body(JSON, "[\"psql\",\"--password\",\"canary\",\"-c\",\"SELECT 1\"]",
         "[\n  \"psql\",\n  \"--password\",\n  \"[redacted]\",\n  \"-c\",\n"
         "  \"SELECT 1\"\n]");
    body(JSON, "{\"payload\":\"{\\\"password\\\":\\\"canary\\\",\\\"a\\\":1}"
         "\"}",
         "{\n  \"payload\": \"{\\\"password\\\":\\\"[redacted]\\\","
         "\\\"a\\\":1}\"\n}");
    body(JSON, "{\"payload\":\"{ \\\"a\\\": 1 }\"}",
         "{\n  \"payload\": \"{ \\\"a\\\": 1 }\"\n}");

    body(JSON, "{\"a\":1,\"a\":\"canary\"}",
         "[application/json, 20 bytes, not shown: JSON object has the same "
         "member twice]");
    body(JSON, "{\"password\":\"canary\"",
         "[application/json, 20 bytes, not shown: JSON ends too early]");
    body(JSON, "{\"n\":[1.50,1E3,-0,1e-7],\"pin\":1234.5,\"cvc\":1.5}",
         "{\n  \"n\": [\n    1.50,\n    1E3,\n    -0,\n    1e-7\n  ],\n"
         "  \"pin\": \"[redacted]\",\n  \"cvc\": 1.5\n}");
    body(JSON, "{\"a\":\"\\u00e4\\/\\ud83d\\ude00\\u0007\\\"\"}",
         "{\n  \"a\": \"\u00e4/\U0001f600\\u0007\\\"\"\n}");
    body(JSON, "[\"curl\",\"-H\",\"Authorization: x can\",\"https://h/\","
         "\"-u\",\"bob:canary\",5,\"a\\tb\"]",
         "[\n  \"curl\",\n  \"-H\",\n  \"Authorization: [redacted]\",\n"
         "  \"https://h/\",\n  \"-u\",\n  \"bob:[redacted]\",\n  5,\n"
         "  \"a\\tb\"\n]");
    body(JSON, "{\"password\":[{},[],\"\"],\"n\":{}}",
         "{\n  \"password\": [\n    {},\n    [],\n    \"\"\n  ],\n"
         "  \"n\": {}\n}");
    body(JSON, "{\"id\":99999999999999999999,\"password\":99999999999999999999}",
         "{\n  \"id\": 99999999999999999999,\n"
         "  \"password\": \"[redacted]\"\n}");
    body("Application/Problem+JSON; charset=UTF-8", "{\"a\":1}",
         "{\n  \"a\": 1\n}");

    /* an array that is shown otherwise still names the columns */

    hidden("application/json",
           "{\"columns\":[\"-u\",\"bob:hunter22\",\"password\"],"
           "\"rows\":[[\"a\",\"b\",\"canary\"]]}");
    hidden("application/json",
           "{\"kind\":\"Secret\",\"name\":\"db-password\","
           "\"value\":\"canary\"}");
    hidden("application/json",
           "{\"columns\":[\"id\",\"key\"],"
           "\"secrets\":[[\"7\",\"canary\"]]}");

    /* an encoding in an encoding, deeper than anybody needs */

    test_nested();
}


static void
test_form(void)
{
    body(FORM, "a=1&b=x+y", "a=1\nb=x y\n");
    body(FORM, "a=1&password=canary&b", "a=1\npassword=[redacted]\nb=\n");
    body(FORM "; charset=utf-8", "%70wd=canary", "pwd=[redacted]\n");
    body(FORM, "a=1%0Ab=2&c=%e2%80%ae", "a=1<U+000A>b=2\nc=<U+202E>\n");
    body(FORM, "a%3Db%25=c", "a%3Db%25=c\n");
    body(FORM, "sql=DROP+TABLE+x%3B", "sql=DROP TABLE x;\n");
    body(FORM, "note=the+token:+canary", "note=the token: [redacted]\n");
    body(FORM, "payload={\"token\":\"canary\",\"a\":1}",
         "payload={\"token\":\"[redacted]\",\"a\":1}\n");
    body(FORM, "token%3Dcanary", "[redacted]=\n");
    body(FORM, "{\"a\":1}", "{\n  \"a\": 1\n}");
    body(FORM, "{\"password\":\"canary\"",
         "[" FORM ", 20 bytes, not shown: JSON ends too early]");
    body(FORM, "a=1&b=%4",
         "[" FORM ", 8 bytes, not shown: malformed escape in form]");
    body(FORM, "a=%00", "[" FORM ", 5 bytes, not shown: NUL in form]");
}


static void
test_text(void)
{
    body("text/plain", "hello, token ring", "hello, token ring");
    body("text/plain", "DELETE FROM tokens; SELECT secret FROM t",
         "DELETE FROM tokens; SELECT secret FROM t");
    body("text/plain", "password=canary; rm -rf /",
         "password=[redacted]; rm -rf /");
    body("text/plain", "PASSWORD=\"canary x\" ./run",
         "PASSWORD=\"[redacted]\" ./run");
    body("application/sql", "ALTER USER x IDENTIFIED BY 'can''ary'; DROP y",
         "ALTER USER x IDENTIFIED BY '[redacted]'; DROP y");
    body("application/sql", "SET PASSWORD ('canary') ;",
         "SET PASSWORD ('[redacted]') ;");
    body("application/sql", "CREATE USER x IDENTIFIED WITH mysql_native_"
         "password BY 'canary'; DROP y",
         "CREATE USER x IDENTIFIED WITH mysql_native_password BY "
         "'[redacted]'; DROP y");
    body("application/sql", "CREATE USER x IDENTIFIED BY canary; DROP y",
         "CREATE USER x IDENTIFIED BY [redacted]; DROP y");
    body("application/sql", "CREATE USER x IDENTIFIED BY PASSWORD '*canary'",
         "CREATE USER x IDENTIFIED BY PASSWORD '[redacted]'");
    body("text/plain", "a leak identified by the team",
         "a leak identified by the team");
    body("application/sql", "CREATE LOGIN x WITH PASSWORD = N'canary', y = 1",
         "CREATE LOGIN x WITH PASSWORD = N'[redacted]', y = 1");
    body("application/sql", "CREATE ROLE x PASSWORD E'canary' LOGIN",
         "CREATE ROLE x PASSWORD E'[redacted]' LOGIN");
    body("application/sql", "ALTER USER x PASSWORD $q$canary$q$; DROP y",
         "ALTER USER x PASSWORD $q$[redacted]$q$; DROP y");
    body("text/plain", "echo the token $A$B; rm -rf /",
         "echo the token $A$B; rm -rf /");
    body("application/sql", "SET PASSWORD FOR 'x'@'%' = 'canary'; DROP y",
         "SET PASSWORD FOR 'x'@'%' = '[redacted]'; DROP y");
    body("application/sql", "SET PASSWORD FOR x = PASSWORD('canary'); DROP y",
         "SET PASSWORD FOR x = [redacted]; DROP y");
    body("application/sql", "UPDATE u SET password = crypt('canary)', "
         "gen_salt('bf')), a = 1 WHERE id = 2",
         "UPDATE u SET password = [redacted], a = 1 WHERE id = 2");
    body("application/sql", "SET token=encode(digest('canary','sha256'),'hex')",
         "SET token=[redacted]");
    body("text/plain", "[db]\npassword = can ary canary\nx = 1 2\n",
         "[db]\npassword = [redacted]\nx = 1 2\n");
    body("text/plain", "password = can ary; rm -rf /",
         "password = [redacted]; rm -rf /");
    body("text/plain", "curl -u bob:canary https://h/",
         "curl -u bob:[redacted] https://h/");
    body("text/plain", "curl --user 'bob:can ary' https://h/",
         "curl --user 'bob:[redacted]' https://h/");
    body("text/plain", "docker run --user 1000:1000 x -u me",
         "docker run --user 1000:1000 x -u me");
    body("application/sql", "SELECT 1 WHERE token = 'canary' AND a = 'b'",
         "SELECT 1 WHERE token = '[redacted]' AND a = 'b'");
    body("text/plain", "curl -H 'Authorization: Bearer canary' https://h/",
         "curl -H 'Authorization: Bearer [redacted]' https://h/");
    body("text/plain", "run --password canary --force",
         "run --password [redacted] --force");
    body("text/plain", "run --token=canary x", "run --token=[redacted] x");
    body("text/plain", "use Bearer abcdef6canary now",
         "use Bearer [redacted] now");
    body("text/plain", "https://u:canary@h/?token=canary&x=1",
         "https://u:[redacted]@h/?token=[redacted]&x=1");
    body("text/plain", "Cookie: a=b; c=canary\r\nAccept: x",
         "Cookie: a=[redacted]; c=[redacted]\r\nAccept: x");
    body("application/yaml", "a: 1\npassword: can ary canary\nb: 2\n",
         "a: 1\npassword: [redacted]\nb: 2\n");
    body("application/x-yaml", "key:\n  token: |\n    can\n    canary\n  b: 2",
         "key:\n  token: |\n    [redacted]\n    [redacted]\n  b: 2");
    body("text/yaml", "secrets:\n- canary\n- canary\nb: 2",
         "secrets:\n- [redacted]\n- [redacted]\nb: 2");
    body("text/yaml", "- password: \"canary\"\n  b: 2",
         "- password: \"[redacted]\"\n  b: 2");
    body("application/xml", "<a><password>canary</password><b>c</b></a>",
         "<a><password>[redacted]</password><b>c</b></a>");
    body("text/xml", "<s:Password t=\"x\"><![CDATA[canary]]></s:Password>",
         "<s:Password t=\"x\"><![CDATA[[redacted]]]></s:Password>");
    body("text/xml", "<credentials><u>canary</u></credentials><c/>",
         "<credentials>[redacted]</credentials><c/>");
    body("text/yaml", "- name: DB_PASSWORD\n  value: canary\n- name: A\n"
         "  value: b\n",
         "- name: DB_PASSWORD\n  value: [redacted]\n- name: A\n"
         "  value: b\n");
    body("text/yaml", "env: [{name: \"API_KEY\", value: \"canary\"}]",
         "env: [{name: \"API_KEY\", value: \"[redacted]\"}]");
    body("text/xml", "<add key=\"Password\" value=\"canary\"/><b value='c'/>",
         "<add key=\"Password\" value=\"[redacted]\"/><b value='c'/>");
    body("text/xml", "<property name='db.password'>canary</property><b>c</b>",
         "<property name='db.password'>[redacted]</property><b>c</b>");
    body("text/xml", "<property name='password'/><b>c</b>",
         "<property name='password'/><b>c</b>");
    body("image/svg+xml", "<u password='canary' name=\"x\"/>",
         "<u password='[redacted]' name=\"x\"/>");
    body("text/xml", "<token>canary", "<token>[redacted]");
    body("text/plain", "-----BEGIN RSA PRIVATE KEY-----\ncanary\n"
         "-----END RSA PRIVATE KEY-----\nrest", "[redacted]\nrest");
    body("text/plain", "-----BEGIN CERTIFICATE-----\nabc",
         "-----BEGIN CERTIFICATE-----\nabc");
    body("text/plain", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.canary x",
         "[redacted] x");
    body("text/plain", "\"a\": {\"api_key\": \"canary\", \"b\": 1",
         "\"a\": {\"api_key\": \"[redacted]\", \"b\": 1");
    body("text/plain", "x \\\"token\\\": \\\"canary\\\", y",
         "x \\\"token\\\": \\\"[redacted]\\\", y");
    body("text/plain", "x token=[canary, [canary]] y",
         "x token=[redacted] y");
    body("text/plain", "x token:", "x token:");
    body("text/plain", "token:", "token:");
    body("text/plain", "token='", "token='");
    body("text/plain", "bearer bearer bearer", "bearer bearer bearer");
    body("text/plain", "{\"\\u0070assword\":\"canary\"}",
         "{\n  \"password\": \"[redacted]\"\n}");
}


static void
test_types(void)
{
    approval_buf_t      out;
    approval_str_t      nul = approval_string("a\0b");
    approval_redact_t  *r;

    body("image/png", "canary", "[image/png, 6 bytes, not shown]");
    body("application/octet-stream", "canary",
         "[application/octet-stream, 6 bytes, not shown]");
    body("multipart/form-data; boundary=canary", "canary",
         "[multipart/form-data, 6 bytes, not shown]");
    body("", "canary", "[unknown type, 6 bytes, not shown]");
    body("<script>", "canary", "[unknown type, 6 bytes, not shown]");
    body("x(y)", "canary", "[unknown type, 6 bytes, not shown]");
    body("text/plain; charset=utf-16", "canary",
         "[text/plain, 6 bytes, not shown]");
    body("text/plain; charset=\"utf-8\"", "shown", "shown");
    body("text/plain;charset=US-ASCII", "shown", "shown");
    body("TEXT/Plain ; charset=UTF-8", "shown", "shown");
    body("application/json; charset=utf-16be", "{}",
         "[application/json, 2 bytes, not shown]");
    body("text/plain", "\xff\xfe",
         "[text/plain, 2 bytes, not shown: not UTF-8 text]");
    body("application/graphql", "{ a(id: 1) }", "{ a(id: 1) }");
    body("application/jsonx", "{}", "[application/jsonx, 2 bytes, not shown]");
    body("/json", "{}", "[/json, 2 bytes, not shown]");

    r = approval_redact_create(NULL);
    approval_buf_init(&out);

    (void) approval_redact_body(r, approval_str("text/plain"), nul, &out);
    is_str(approval_buf_str(&out),
           "[text/plain, 3 bytes, not shown: not UTF-8 text]", "NUL");

    approval_buf_free(&out);
    approval_redact_destroy(r);
}


/* A canary in each position, in every spelling of a name. */

static void
test_canary(void)
{
    char    text[1024];
    size_t  i, k;

    static const char *const  names[] = {
        "password", "passWord", "DB_PASSWORD", "client-secret", "apiKey",
        "x-api-key", "access_token", "refreshToken", "Authorization",
        "privateKey", "session_id", "Cookie", "cvv", "otp", "card_pin",
        "aws_secret_access_key", "X-Amz-Signature", "credentials"
    };

    static const char *const  bodies[][2] = {
        { JSON, "{\"%s\":\"canary\"}" },
        { JSON, "{\"%s\":[\"canary\"]}" },
        { JSON, "{\"%s\":{\"x\":[{\"y\":\"canary\"}]}}" },
        { JSON, "[[{\"a\":{\"b\":[{\"%s\":\"canary\"}]}}]]" },
        { JSON, "{\"a\":\"{\\\"%s\\\":\\\"canary\\\"}\"}" },
        { JSON, "{\"a\":\"[{\\\"b\\\":{\\\"%s\\\":[\\\"canary\\\"]}}]\"}" },
        { JSON, "{\"a\":\"x=1&%s=canary\"}" },
        { JSON, "{\"a\":\"https://h/?%s=canary\"}" },
        { JSON, "{\"name\":\"%s\",\"value\":\"canary\"}" },
        { JSON, "{\"value\":{\"x\":\"canary\"},\"key\":\"%s\"}" },
        { JSON, "{\"a\":\"x\\n%s: can canary\"}" },
        { "application/vnd.api+json", "{\"%s\":\"canary\"}" },
        { FORM, "%s=canary" },
        { FORM, "a=1&%s=canary&b=2" },
        { FORM, "a[%s]=canary" },
        { FORM, "a={\"%s\":\"canary\"}" },
        { FORM, "{\"%s\":\"canary\"}" },
        { "text/plain", "a\n%s: canary canary\nb" },
        { "text/plain", "%s=canary" },
        { "text/plain", "x='1' %s='canary canary'" },
        { "text/plain", "{\"%s\": \"canary canary\"" },
        { "text/plain", "{\"%s\":\"canary\"}" },
        { "text/plain", "  \"%s\" :\n   \"canary\"" },
        { "text/xml", "<%s>canary</%s>" },
        { "application/yaml", "a:\n  %s:\n    x: canary\n    y: canary" },
        { "application/yaml", "a:\n  - %s: >-\n      canary\n    b: 1" }
    };

    for (i = 0; i < COUNT(names); i++) {
        for (k = 0; k < COUNT(bodies); k++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
            (void) snprintf(text, sizeof(text), bodies[k][1], names[i],
                            names[i]);
#pragma GCC diagnostic pop
            hidden(bodies[k][0], text);
        }
    }

    hidden(JSON, "{\"pass\\u0077ord\":\"canary\"}");
    hidden(JSON, "{\"a\":[{\"\\u0074oken\":{\"x\":\"canary\"}}]}");
    hidden(JSON, "{\"a\":\"{\\\"\\\\u0074oken\\\":\\\"canary\\\"}\"}");
    hidden(JSON, "{\"a\":\"http://user:canary@host/\"}");
    hidden(FORM, "a=http://user:canary@host/");
    hidden(FORM, "%74oken=canary");
    hidden(JSON, "{\"a\":\"-----BEGIN PRIVATE KEY-----\\ncanary\"}");

    hidden_nul();
}


/* Equal values have equal tags, and no tag says anything under another key. */

static void
test_masks(void)
{
    approval_buf_t      one, two, other;
    approval_redact_t  *r;

    r = rules(NULL, 0);

    approval_buf_init(&one);
    approval_buf_init(&two);
    approval_buf_init(&other);

    approval_redact_mask(r, approval_str("x"), &one);
    is_str(approval_buf_str(&one), "[redacted, 1 byte]", "no key, no tag");

    approval_redact_key(r, approval_str("first"));

    approval_buf_reset(&one);
    approval_redact_mask(r, approval_str("hunter2"), &one);
    approval_redact_mask(r, approval_str("hunter2"), &two);
    approval_redact_mask(r, approval_str("hunter3"), &other);

    ok(has(&one, "[redacted, 7 bytes, #") && one.len == 28, "length and tag");
    ok(approval_str_eq(approval_buf_str(&one), approval_buf_str(&two)),
       "equal ones look equal");
    ok(!approval_str_eq(approval_buf_str(&one), approval_buf_str(&other)),
       "others do not");

    approval_redact_key(r, approval_str("second"));

    approval_buf_reset(&two);
    approval_redact_mask(r, approval_str("hunter2"), &two);
    ok(!approval_str_eq(approval_buf_str(&one), approval_buf_str(&two)),
       "nor under another key");

    approval_redact_key(r, approval_str(""));

    approval_buf_reset(&two);
    approval_redact_mask(r, approval_str("hunter2"), &two);
    is_str(approval_buf_str(&two), "[redacted, 7 bytes]", "no key again");

    approval_buf_free(&one);
    approval_buf_free(&two);
    approval_buf_free(&other);
    approval_redact_destroy(r);
}


static void
test_reveal(void)
{
    size_t              i;
    const char         *err;
    approval_buf_t      out;
    approval_redact_t  *r, *base;

    static const char *const  never[] = {
        "Authorization", "cookie", "set_cookie", "PROXY-AUTHORIZATION", "",
        "--", "pin"
    };
    static const char *const  what[] = { "form:pin" };

    base = rules(what, 1);
    r = approval_redact_create(base);
    approval_redact_destroy(base);

    approval_buf_init(&out);

    is_int(approval_redact_add(r, approval_str("form:pin"), &err), APPROVAL_OK,
           "the base's rules are its own");

    for (i = 0; i < COUNT(never); i++) {
        err = NULL;
        ok(approval_redact_reveal(r, approval_str(never[i]), &err)
           == APPROVAL_ERROR && err, "not to be revealed: \"%s\" (%s)",
           never[i], err ? err : "");
    }

    is_int(approval_redact_reveal(r, approval_str("Release-Token"), &err),
           APPROVAL_OK, "revealed");
    err = NULL;
    is_int(approval_redact_add(r, approval_str("$http_release_token"), &err),
           APPROVAL_ERROR, "and then not redacted");

    (void) approval_redact_body(r, approval_str(JSON),
               approval_str("{\"release_token\":\"v1\",\"token\":\"v2\"}"),
               &out);
    is_masked(&out, "{\n  \"release_token\": \"v1\",\n  \"token\": "
              "\"[redacted]\"\n}", "a member");

    approval_buf_reset(&out);
    (void) approval_redact_target(r, approval_str("/x?releaseToken=v1&token=v"),
                                  &out);
    is_masked(&out, "/x?releaseToken=v1&token=[redacted]", "an argument");

    approval_buf_reset(&out);
    (void) approval_redact_named(r, approval_str("Release-Token"),
                                 approval_str("v1"), &out);
    is_str(approval_buf_str(&out), "v1", "a header");

    approval_buf_reset(&out);
    (void) approval_redact_text(r, approval_str("release_token: v1"), &out);
    is_str(approval_buf_str(&out), "release_token: v1", "in a text");

    approval_buf_free(&out);
    approval_redact_destroy(r);
}


static void
test_paths(void)
{
    size_t              i;
    approval_buf_t      out;
    approval_redact_t  *r;

    static const char *const  what[] = {
        "path:/reset/*", "path:/users/*/notes/*", "json:/a", "$http_x_partner"
    };
    static const char *const  paths[][2] = {
        { "/reset/canary", "/reset/[redacted]" },
        { "/reset/canary/x?y=1", "/reset/[redacted]/x?y=1" },
        { "//RESET//canary", "//RESET//[redacted]" },
        { "/reset", "/reset" },
        { "/reset/", "/reset/" },
        { "/users/7/notes/canary", "/users/7/notes/[redacted]" },
        { "/users/7/files/open", "/users/7/files/open" },
        { "/a/x-partner=canary/b", "/a/x-partner=[redacted]/b" }
    };

    r = rules(what, COUNT(what));

    for (i = 0; i < COUNT(paths); i++) {
        approval_buf_init(&out);
        (void) approval_redact_target(r, approval_str(paths[i][0]), &out);
        is_masked(&out, paths[i][1], paths[i][0]);
        approval_buf_free(&out);
    }

    /* a rule's name is one in every kind of text */

    approval_buf_init(&out);
    (void) approval_redact_body(r, approval_str("text/xml"),
                                approval_str("<xPartner>canary</xPartner>"),
                                &out);
    is_masked(&out, "<xPartner>[redacted]</xPartner>", "a header in XML");
    approval_buf_free(&out);

    approval_redact_destroy(r);
}


static void
test_parts(void)
{
    body("multipart/form-data; boundary=X",
         "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n"
         "--X\r\nContent-Disposition: form-data; name=\"pin\"\r\n\r\n4711"
         "\r\n--X\r\nContent-Disposition: form-data; name=\"f\"; "
         "filename=\"f.png\"\r\nContent-Type: image/png\r\n\r\n\1\2\r\n"
         "--X--\r\n",
         "a=b\npin=[redacted]\nf=[image/png, 2 bytes, not shown]\n");
    body("multipart/form-data; boundary=X", "--X\r\n\r\ncanary",
         "[multipart/form-data, 13 bytes, not shown]");
    body("text/csv", "id,password\n1,\"can,ary\"\n2,canary\n",
         "id,password\n1,\"[redacted]\"\n2,[redacted]\n");
}
