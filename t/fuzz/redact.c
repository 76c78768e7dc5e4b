
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Fuzz target: a content type, LF, a body or target; and a canary that the
 * input is wrapped around.
 */


#include "fuzz.h"

#include "core/escape.h"
#include "core/redact.h"


#define CANARY  "cAnArY5317"


static void check_json(const approval_redact_t *r, approval_str_t s);
static void check_canary(const approval_redact_t *r, approval_str_t s);
static void check_hidden(const approval_redact_t *r, const char *type,
    approval_str_t body);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char         *err;
    approval_buf_t      out;
    approval_str_t      s, type;
    approval_redact_t  *r;

    s = fuzz_str(data, size);
    type = fuzz_line(&s);

    r = approval_redact_create(NULL);
    if (r == NULL) {
        abort();
    }

    must(approval_redact_add(r, approval_str("json:/a/*"), &err)
         == APPROVAL_OK);
    must(approval_redact_add(r, approval_str("path:/a/*"), &err)
         == APPROVAL_OK);
    (void) approval_redact_add(r, type, &err);

    approval_buf_init(&out);

    (void) approval_redact_field(r, s);

    must(approval_redact_target(r, s, &out) == APPROVAL_OK);

    approval_buf_reset(&out);
    must(approval_redact_body(r, type, s, &out) == APPROVAL_OK);

    approval_buf_reset(&out);
    must(approval_redact_body(r, approval_str("text/plain"), s, &out)
         == APPROVAL_OK);
    must(approval_utf8_valid(approval_buf_str(&out)));

    approval_buf_reset(&out);
    must(approval_redact_body(r, approval_str("text/csv"), s, &out)
         == APPROVAL_OK);

    approval_buf_reset(&out);
    must(approval_redact_body(r,
                       approval_str("multipart/form-data; boundary=a"), s, &out)
         == APPROVAL_OK);

    approval_buf_reset(&out);
    must(approval_redact_named(r, type, s, &out) == APPROVAL_OK);

    approval_buf_reset(&out);
    must(approval_redact_body(r,
                              approval_str("application/x-www-form-urlencoded"),
                              s, &out)
         == APPROVAL_OK);
    must(approval_utf8_valid(approval_buf_str(&out)));

    check_json(r, s);
    check_canary(r, s);

    approval_buf_free(&out);
    approval_redact_destroy(r);

    return 0;
}


/* What is shown of JSON is JSON, and only values were replaced. */

static void
check_json(const approval_redact_t *r, approval_str_t s)
{
    int                     rc;
    json_t                 *json;
    const char             *err;
    approval_buf_t          out;
    approval_json_items_t   items, shown;

    json = approval_json_parse_wide(s, &err);
    rc = approval_json_items(s, &items, &err);

    must((rc == APPROVAL_OK) == (json != NULL));
    json_decref(json);

    if (rc != APPROVAL_OK) {
        return;
    }

    approval_buf_init(&out);

    must(approval_redact_body(r, approval_str("application/json"), s, &out)
         == APPROVAL_OK);
    must(approval_json_items(approval_buf_str(&out), &shown, &err)
         == APPROVAL_OK);
    must(shown.n <= items.n && shown.list->size == items.list->size);

    approval_json_items_free(&items);
    approval_json_items_free(&shown);
    approval_buf_free(&out);
}


/* Around the canary stands whatever the fuzzer likes. */

static void
check_canary(const approval_redact_t *r, approval_str_t s)
{
    approval_buf_t  body, out;
    approval_str_t  half;

    if (!approval_utf8_valid(s) || fuzz_has(s, CANARY)) {
        return;
    }

    half = s;
    (void) approval_cut(&half, s.len / 2);

    approval_buf_init(&body);
    approval_buf_init(&out);

    approval_buf_adds(&body, "{\"x\":\"");
    approval_escape_json(half, &body);
    approval_buf_adds(&body, "\",\"list\":[1,{\"api_key\":[\"");
    approval_escape_json(s, &body);
    approval_buf_adds(&body, CANARY "\"]}]}");
    check_hidden(r, "application/json", approval_buf_str(&body));

    approval_buf_reset(&body);
    approval_escape_uri(half, &body);
    approval_buf_adds(&body, "=1&client_secret=");
    approval_escape_uri(s, &body);
    approval_buf_adds(&body, CANARY "&");
    approval_escape_uri(half, &body);
    check_hidden(r, "application/x-www-form-urlencoded",
                 approval_buf_str(&body));

    approval_buf_reset(&body);
    approval_buf_addc(&body, '/');
    approval_escape_uri(half, &body);
    approval_buf_addc(&body, '?');
    approval_escape_uri(half, &body);
    approval_buf_adds(&body, "&access_token=");
    approval_escape_uri(s, &body);
    approval_buf_adds(&body, CANARY);

    must(approval_redact_target(r, approval_buf_str(&body), &out)
         == APPROVAL_OK);
    must(!fuzz_has(approval_buf_str(&out), CANARY));

    /* the raw input as a query, too: nothing in it may shield the argument */

    approval_buf_reset(&body);
    approval_buf_reset(&out);
    approval_buf_addc(&body, '/');
    approval_buf_add(&body, s.data, s.len);
    approval_buf_adds(&body, "?a&password=" CANARY);

    must(approval_redact_target(r, approval_buf_str(&body), &out)
         == APPROVAL_OK);
    must(!fuzz_has(approval_buf_str(&out), CANARY));

    approval_buf_free(&body);
    approval_buf_free(&out);
}


static void
check_hidden(const approval_redact_t *r, const char *type, approval_str_t body)
{
    approval_buf_t  out;

    approval_buf_init(&out);

    must(approval_redact_body(r, approval_str(type), body, &out)
         == APPROVAL_OK);
    must(!fuzz_has(approval_buf_str(&out), CANARY));

    approval_buf_free(&out);
}
