
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Fuzz target: a pointer, LF, a JSON text.
 */


#include "fuzz.h"

#include "core/reading.h"


static int same(json_t *a, json_t *b);
static int huge(json_t *value);
static size_t depth(json_t *value);
static void check_output(json_t *json);
static void check_wide(json_t *json);
static void check_pointer(approval_str_t text, approval_str_t doc,
    json_t *json);
static int count(void *data, json_t *value);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t          *json, *half;
    const char      *err;
    approval_str_t   text, pointer;

    text = fuzz_str(data, size);
    pointer = fuzz_line(&text);

    err = NULL;
    json = approval_json_parse(text, &err);

    must((json == NULL) == (err != NULL));

    if (json) {
        must(approval_utf8_valid(text));
        must(memchr(text.data, 0, text.len) == NULL);
        must(depth(json) <= APPROVAL_JSON_MAX_DEPTH);

        check_output(json);
        check_pointer(pointer, text, json);
        json_decref(json);
    }

    json = approval_json_parse_wide(text, &err);

    must((json == NULL) == (err != NULL));

    if (json) {
        check_wide(json);
        json_decref(json);
    }

    /* the first line as JSON, too: most mutations break one of both */

    half = approval_json_parse(pointer, &err);

    if (half) {
        check_output(half);
        json_decref(half);
    }

    return 0;
}


static void
check_output(json_t *json)
{
    json_t          *back;
    const char      *err;
    approval_buf_t   one, two;

    approval_buf_init(&one);
    approval_buf_init(&two);

    must(approval_json_canonical(json, &one) == APPROVAL_OK);
    must(approval_utf8_valid(approval_buf_str(&one)));

    back = approval_json_parse(approval_buf_str(&one), &err);

    if (back == NULL) {
        must(huge(json));

    } else {
        must(same(json, back));
        must(approval_json_canonical(back, &two) == APPROVAL_OK);
        must(approval_str_eq(approval_buf_str(&one), approval_buf_str(&two)));
        json_decref(back);
    }

    approval_buf_reset(&two);
    must(approval_json_text(json, &two) == APPROVAL_OK);

    approval_buf_free(&one);
    approval_buf_free(&two);
}


static void
check_wide(json_t *json)
{
    json_t          *back;
    const char      *err;
    approval_buf_t   one, two;

    approval_buf_init(&one);
    approval_buf_init(&two);

    must(approval_json_canonical(json, &one) == APPROVAL_OK);
    must(memchr(one.data, 0, one.len) == NULL);

    back = approval_json_parse_wide(approval_buf_str(&one), &err);

    must(back != NULL);
    must(approval_json_canonical(back, &two) == APPROVAL_OK);
    must(approval_str_eq(approval_buf_str(&one), approval_buf_str(&two)));

    json_decref(back);
    approval_buf_free(&one);
    approval_buf_free(&two);
}


static void
check_pointer(approval_str_t text, approval_str_t doc,
    json_t *json)
{
    int                       rc;
    size_t                    i, n;
    const char               *err;
    approval_readings_t       rs;
    approval_json_items_t     items;
    approval_json_pointer_t  *p;

    err = NULL;
    p = approval_json_pointer_compile(text, &err);

    must((p == NULL) == (err != NULL));

    if (p == NULL) {
        return;
    }

    n = 0;
    rc = approval_json_pointer_each(p, json, count, &n);
    must(rc == (n ? APPROVAL_OK : APPROVAL_DECLINED));

    approval_readings_init(&rs);
    approval_read_json(&rs, p, json);

    must(!rs.failed && rs.n > 0);
    must((rs.elts[0].kind == APPROVAL_READING_ABSENT) == (n == 0)
         || approval_readings_doubt(&rs));

    approval_readings_free(&rs);

    must(approval_json_items(doc, &items, &err) == APPROVAL_OK);
    approval_json_items_mark(&items, p);

    for (i = 0; i < items.n; i++) {
        n -= items.list[i].marked;
    }

    must(n == 0);

    approval_json_items_free(&items);
    approval_json_pointer_free(p);
}


static int
count(void *data, json_t *value)
{
    must(value != NULL);

    ++*(size_t *) data;

    return APPROVAL_OK;
}


/* Equal, where 1.0 is written as 1 and comes back as an integer. */

static int
same(json_t *a, json_t *b)
{
    size_t       i;
    void        *iter;

    if (json_is_number(a) && json_is_number(b)) {
        if (json_is_integer(a) && json_is_integer(b)) {
            return json_integer_value(a) == json_integer_value(b);
        }

        return json_number_value(a) == json_number_value(b);
    }

    if (json_typeof(a) != json_typeof(b)) {
        return 0;
    }

    if (json_is_object(a)) {
        if (json_object_size(a) != json_object_size(b)) {
            return 0;
        }

        for (iter = json_object_iter(a);
             iter;
             iter = json_object_iter_next(a, iter))
        {
            json_t  *other = json_object_get(b, json_object_iter_key(iter));

            if (other == NULL || !same(json_object_iter_value(iter), other)) {
                return 0;
            }
        }

        return 1;
    }

    if (json_is_array(a)) {
        if (json_array_size(a) != json_array_size(b)) {
            return 0;
        }

        for (i = 0; i < json_array_size(a); i++) {
            if (!same(json_array_get(a, i), json_array_get(b, i))) {
                return 0;
            }
        }

        return 1;
    }

    return json_equal(a, b);
}


/* RFC 8785 writes 1e19 as an integer, which is more than jansson reads. */

static int
huge(json_t *value)
{
    size_t   i;
    void    *iter;
    double   d;

    if (json_is_real(value)) {
        d = json_real_value(value);

        return d >= 9223372036854775807.0 || d <= -9223372036854775807.0;
    }

    for (i = 0; i < json_array_size(value); i++) {
        if (huge(json_array_get(value, i))) {
            return 1;
        }
    }

    for (iter = json_object_iter(value);
         iter;
         iter = json_object_iter_next(value, iter))
    {
        if (huge(json_object_iter_value(iter))) {
            return 1;
        }
    }

    return 0;
}


static size_t
depth(json_t *value)
{
    size_t   i, n, most;
    void    *iter;

    if (!json_is_array(value) && !json_is_object(value)) {
        return 0;
    }

    most = 0;

    for (i = 0; i < json_array_size(value); i++) {
        n = depth(json_array_get(value, i));
        most = n > most ? n : most;
    }

    for (iter = json_object_iter(value);
         iter;
         iter = json_object_iter_next(value, iter))
    {
        n = depth(json_object_iter_value(iter));
        most = n > most ? n : most;
    }

    return most + 1;
}
