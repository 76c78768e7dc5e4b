
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/shadow.h"
#include "desk/approver.h"
#include "model/shadow.h"
#include "store/shadow.h"


#define NGX_HTTP_APPROVAL_SHADOW_DEFAULT  7         /* days */
#define NGX_HTTP_APPROVAL_DAY_MS          86400000


/* d->work.  The days are read one after the other, starting with today. */

typedef struct {
    ngx_uint_t          days;        /* number of days to read            */
    ngx_uint_t          day;         /* 0: today                          */
    int64_t             now;
    json_t             *entries;     /* by hash                           */
    json_t             *rest;        /* beyond the store's limit, by hour */
    json_int_t          count;
} ngx_http_approval_shadow_t;


static ngx_int_t ngx_http_approval_shadow_argument(
    ngx_http_approval_desk_t *d, ngx_uint_t *days);
static void ngx_http_approval_shadow_cleanup(void *data);
static ngx_int_t ngx_http_approval_shadow_ask(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_shadow_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_shadow_names(ngx_http_approval_desk_t *d,
    ngx_str_t *field, ngx_str_t *value);
static ngx_int_t ngx_http_approval_shadow_count(
    ngx_http_approval_shadow_t *shadow, ngx_str_t *field, ngx_str_t *value);
static json_t *ngx_http_approval_shadow_hours(void);
static ngx_int_t ngx_http_approval_shadow_more(json_t *object,
    const char *name, json_int_t n);
static json_int_t ngx_http_approval_shadow_sum(json_int_t a, json_int_t b);
static void ngx_http_approval_shadow_date(
    ngx_http_approval_shadow_t *shadow, ngx_uint_t day,
    char date[APPROVAL_TIME_LEN + 1]);
static ngx_int_t ngx_http_approval_shadow_send(ngx_http_approval_desk_t *d);
static json_t *ngx_http_approval_shadow_sorted(json_t *entries);
static int ngx_libc_cdecl ngx_http_approval_shadow_cmp(const void *one,
    const void *two);


ngx_int_t
ngx_http_approval_shadow_report(ngx_http_approval_desk_t *d)
{
    ngx_int_t                    rc;
    ngx_time_t                  *tp;
    ngx_http_approval_shadow_t  *shadow;

    d->html = 0;

    if (ngx_http_approval_approver_member(d, NULL, &rc) != NGX_OK) {
        return rc;
    }

    shadow = ngx_http_approval_desk_work(d, sizeof(ngx_http_approval_shadow_t),
                                         ngx_http_approval_shadow_cleanup);
    if (shadow == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_approval_shadow_argument(d, &shadow->days) != NGX_OK) {
        return ngx_http_approval_desk_bad_argument(d,
                   "\"days\" must be a number from 1 to 31.",
                   json_string("days"));
    }

    tp = ngx_timeofday();
    shadow->now = (int64_t) tp->sec * 1000 + tp->msec;

    shadow->entries = json_object();
    shadow->rest = ngx_http_approval_shadow_hours();

    if (shadow->entries == NULL || shadow->rest == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_shadow_ask(d);
}


static ngx_int_t
ngx_http_approval_shadow_argument(ngx_http_approval_desk_t *d,
    ngx_uint_t *days)
{
    ngx_int_t  n;
    ngx_str_t  value;

    *days = NGX_HTTP_APPROVAL_SHADOW_DEFAULT;

    if (ngx_http_arg(d->request, (u_char *) "days", 4, &value) != NGX_OK) {
        return NGX_OK;
    }

    n = ngx_atoi(value.data, value.len);

    if (n < 1 || n > NGX_HTTP_APPROVAL_SHADOW_DAYS) {
        return NGX_DECLINED;
    }

    *days = n;

    return NGX_OK;
}


static void
ngx_http_approval_shadow_cleanup(void *data)
{
    ngx_http_approval_shadow_t *shadow = data;

    json_decref(shadow->entries);
    json_decref(shadow->rest);
}


static ngx_int_t
ngx_http_approval_shadow_ask(ngx_http_approval_desk_t *d)
{
    u_char                       day[NGX_HTTP_APPROVAL_SHADOW_DAY];
    ngx_http_approval_shadow_t  *shadow = d->work;

    ngx_http_approval_shadow_day(day, shadow->now - (int64_t) shadow->day
                                                    * NGX_HTTP_APPROVAL_DAY_MS);

    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_store_shadow_read(d->mcf->worker->store, day,
                                            ngx_http_approval_desk_answer, d),
               ngx_http_approval_shadow_step);
}


/* Reads the names first: a count without a name is useless. */

static ngx_int_t
ngx_http_approval_shadow_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_uint_t                   i;
    ngx_http_approval_shadow_t  *shadow = d->work;

    if (reply->rc != NGX_OK) {
        return ngx_http_approval_desk_unavailable(d);
    }

    for (i = 0; i + 1 < reply->nvotes; i += 2) {
        if (reply->votes[i].len == NGX_HTTP_APPROVAL_SHADOW_HASH
            && ngx_http_approval_shadow_names(d, &reply->votes[i],
                                              &reply->votes[i + 1])
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    for (i = 0; i + 1 < reply->nvotes; i += 2) {
        if (reply->votes[i].len != NGX_HTTP_APPROVAL_SHADOW_HASH
            && ngx_http_approval_shadow_count(shadow, &reply->votes[i],
                                              &reply->votes[i + 1])
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (++shadow->day < shadow->days) {
        return ngx_http_approval_shadow_ask(d);
    }

    return ngx_http_approval_shadow_send(d);
}


static ngx_int_t
ngx_http_approval_shadow_names(ngx_http_approval_desk_t *d, ngx_str_t *field,
    ngx_str_t *value)
{
    char                         hash[NGX_HTTP_APPROVAL_SHADOW_HASH + 1];
    json_t                      *names;
    ngx_http_approval_shadow_t  *shadow = d->work;

    ngx_memcpy(hash, field->data, NGX_HTTP_APPROVAL_SHADOW_HASH);
    hash[NGX_HTTP_APPROVAL_SHADOW_HASH] = '\0';

    if (json_object_get(shadow->entries, hash)) {
        return NGX_OK;
    }

    names = ngx_http_approval_shadow_open(d->mcf,
                                          ngx_http_approval_core_str(field),
                                          ngx_http_approval_core_str(value));

    /* it is another gateway's, or was sealed with a removed key */

    if (names == NULL) {
        return NGX_OK;
    }

    if (json_object_set_new(names, "count", json_integer(0)) != 0
        || json_object_set_new(names, "hours",
                               ngx_http_approval_shadow_hours())
           != 0
        || json_object_set_new(names, "days", json_object()) != 0
        || json_object_set(shadow->entries, hash, names) != 0)
    {
        json_decref(names);
        return NGX_ERROR;
    }

    json_decref(names);

    return NGX_OK;
}


/* HASH:HH */

static ngx_int_t
ngx_http_approval_shadow_count(ngx_http_approval_shadow_t *shadow,
    ngx_str_t *field, ngx_str_t *value)
{
    char        key[NGX_HTTP_APPROVAL_SHADOW_HASH + 1];
    char        date[APPROVAL_TIME_LEN + 1];
    size_t      len;
    json_t     *entry, *hours;
    ngx_int_t   n, hour;

    if (field->len < 4 || field->data[field->len - 3] != ':'
        || field->len - 3 > NGX_HTTP_APPROVAL_SHADOW_HASH)
    {
        return NGX_OK;
    }

    len = field->len - 3;
    hour = ngx_atoi(field->data + len + 1, 2);
    n = ngx_atoi(value->data, value->len);

    if (hour == NGX_ERROR || hour > 23 || n == NGX_ERROR) {
        return NGX_OK;
    }

    ngx_memcpy(key, field->data, len);
    key[len] = '\0';

    if (ngx_strcmp(key, "rest") == 0) {
        entry = NULL;
        hours = shadow->rest;

    } else {
        entry = json_object_get(shadow->entries, key);

        if (entry == NULL) {
            return NGX_OK;
        }

        hours = json_object_get(entry, "hours");

        ngx_http_approval_shadow_date(shadow, shadow->day, date);

        if (ngx_http_approval_shadow_more(entry, "count", n) != NGX_OK
            || ngx_http_approval_shadow_more(json_object_get(entry, "days"),
                                             date, n)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    shadow->count = ngx_http_approval_shadow_sum(shadow->count, n);

    n = ngx_http_approval_shadow_sum(n, json_integer_value(
                                            json_array_get(hours, hour)));

    return json_array_set_new(hours, hour, json_integer(n)) == 0 ? NGX_OK
                                                                 : NGX_ERROR;
}


static json_t *
ngx_http_approval_shadow_hours(void)
{
    json_t      *hours;
    ngx_uint_t   i;

    hours = json_array();

    for (i = 0; i < 24; i++) {
        if (json_array_append_new(hours, json_integer(0)) != 0) {
            json_decref(hours);
            return NULL;
        }
    }

    return hours;
}


static ngx_int_t
ngx_http_approval_shadow_more(json_t *object, const char *name, json_int_t n)
{
    n = ngx_http_approval_shadow_sum(n, json_integer_value(
                                            json_object_get(object, name)));

    return json_object_set_new(object, name, json_integer(n)) == 0 ? NGX_OK
                                                                   : NGX_ERROR;
}


/* Counts come from Redis, and may be absurd. */

static json_int_t
ngx_http_approval_shadow_sum(json_int_t a, json_int_t b)
{
    return b > NGX_MAX_INT_T_VALUE - a ? NGX_MAX_INT_T_VALUE : a + b;
}


static void
ngx_http_approval_shadow_date(ngx_http_approval_shadow_t *shadow,
    ngx_uint_t day, char date[APPROVAL_TIME_LEN + 1])
{
    approval_time_format(date, shadow->now - (int64_t) day
                                             * NGX_HTTP_APPROVAL_DAY_MS);
    date[sizeof("2026-01-02") - 1] = '\0';
}


static ngx_int_t
ngx_http_approval_shadow_send(ngx_http_approval_desk_t *d)
{
    char                         since[APPROVAL_TIME_LEN + 1];
    char                         until[APPROVAL_TIME_LEN + 1];
    json_t                      *entries;
    ngx_http_approval_shadow_t  *shadow = d->work;

    entries = ngx_http_approval_shadow_sorted(shadow->entries);

    if (entries == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_approval_shadow_date(shadow, shadow->days - 1, since);
    ngx_http_approval_shadow_date(shadow, 0, until);

    return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                       "application/json",
               json_pack("{s:s, s:s, s:I, s:o, s:O}", "since", since,
                         "until", until, "count", shadow->count,
                         "entries", entries, "rest", shadow->rest));
}


/* The entries with the most requests come first. */

static json_t *
ngx_http_approval_shadow_sorted(json_t *entries)
{
    size_t       i, n;
    json_t      *entry, *sorted, **list;
    const char  *hash;

    n = json_object_size(entries);
    sorted = json_array();
    list = ngx_alloc((n + 1) * sizeof(json_t *), ngx_cycle->log);

    if (sorted == NULL || list == NULL) {
        goto failed;
    }

    i = 0;

    json_object_foreach(entries, hash, entry) {
        list[i++] = entry;
    }

    ngx_qsort(list, n, sizeof(json_t *), ngx_http_approval_shadow_cmp);

    for (i = 0; i < n; i++) {
        if (json_array_append(sorted, list[i]) != 0) {
            goto failed;
        }
    }

    ngx_free(list);

    return sorted;

failed:

    json_decref(sorted);

    if (list) {
        ngx_free(list);
    }

    return NULL;
}


static int ngx_libc_cdecl
ngx_http_approval_shadow_cmp(const void *one, const void *two)
{
    json_int_t   a, b;
    json_t      *first, *second;

    first = *(json_t **) one;
    second = *(json_t **) two;

    a = json_integer_value(json_object_get(first, "count"));
    b = json_integer_value(json_object_get(second, "count"));

    return (a < b) - (a > b);
}
