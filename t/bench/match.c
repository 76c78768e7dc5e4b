
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What requests that no rule concerns pay.  Run it under callgrind with
 * --toggle-collect=approval_match_exec and divide by the number of requests
 * (REQUESTS); value() and the index are inside, building the set is not.
 *
 *   usage: match [rules [get]]
 *
 * The rules are those of an API gateway, in turn: method and exact URI, method
 * and prefix, prefix only, regex with a literal start, regex and header.  The
 * requests share the rules' first segments, as requests in one API do.  With
 * "get" all rules are for methods that change something, and requests are not.
 */


#include "core/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define REQUESTS  1000


typedef struct {
    approval_str_t  values[4];
} bench_request_t;


static int bench_value(void *data, unsigned subject, approval_str_t *value);
static void bench_condition(approval_match_t *m, int subject, const char *one,
    const char *two);
static approval_match_t *bench_rules(int n, int get, int subjects[3]);


static const char  *bench_uris[] = {
    "/", "/index.html", "/api/v1/items", "/api/v1/items/4711/comments",
    "/static/js/app.3f2c1d.js", "/api/v1/users/17/profile", "/healthz",
    "/api/v2/search", "/admin/login", "/api/v1/orders/2024/11/99812"
};


int
main(int argc, char **argv)
{
    int                      i, n, get, rule, subjects[3];
    unsigned                 none;
    const char              *err;
    bench_request_t          request;
    approval_match_t        *m;
    approval_match_input_t   in;

    n = argc > 1 ? atoi(argv[1]) : 10;
    get = argc > 2 && strcmp(argv[2], "get") == 0;

    memset(&request, 0, sizeof(request));
    memset(&in, 0, sizeof(in));

    m = bench_rules(n, get, subjects);

    in.value = bench_value;
    in.data = &request;

    request.values[subjects[0]] = approval_str(get ? "GET" : "POST");
    request.values[subjects[2]] = approval_str("staging");

    none = 0;

    for (i = 0; i < REQUESTS; i++) {
        request.values[subjects[1]] = approval_str(bench_uris[i % 10]);

        if (approval_match_exec(m, &in, &rule, &err) == APPROVAL_MATCH_NONE) {
            none++;
        }
    }

    printf("%d rules, %d requests, %u concern no rule\n", n, REQUESTS, none);

    approval_match_destroy(m);

    return none == REQUESTS ? 0 : 1;
}


static int
bench_value(void *data, unsigned subject, approval_str_t *value)
{
    bench_request_t  *r = data;

    *value = r->values[subject];

    return APPROVAL_OK;
}


static void
bench_condition(approval_match_t *m, int subject, const char *one,
    const char *two)
{
    char            err[256];
    approval_str_t  patterns[2];

    patterns[0] = approval_str(one);
    patterns[1] = approval_str(two ? two : "");

    if (approval_match_condition(m, subject, patterns, two ? 2 : 1, err,
                                 sizeof(err))
        != APPROVAL_OK)
    {
        fprintf(stderr, "%s\n", err);
        exit(2);
    }
}


static approval_match_t *
bench_rules(int n, int get, int subjects[3])
{
    int                i;
    char               text[128];
    const char        *err;
    approval_match_t  *m;

    static const char  *resources[] = {
        "users", "orders", "deployments", "databases", "secrets", "items",
        "namespaces", "clusters", "keys", "payments"
    };

    m = approval_match_create();
    if (m == NULL) {
        exit(2);
    }

    subjects[0] = approval_match_subject(m, APPROVAL_SUBJECT_METHOD,
                                         approval_str("$request_method"),
                                         &err);
    subjects[1] = approval_match_subject(m, APPROVAL_SUBJECT_URI,
                                         approval_str("$uri"), &err);
    subjects[2] = approval_match_subject(m, APPROVAL_SUBJECT_VARIABLE,
                                         approval_str("$http_x_env"), &err);

    for (i = 0; i < n; i++) {

        if (approval_match_rule(m) == -1) {
            exit(2);
        }

        if (get || i % 5 < 2) {
            bench_condition(m, subjects[0], "DELETE", i % 2 ? "POST" : "PUT");
        }

        switch (i % 5) {

        case 0:
            snprintf(text, sizeof(text), "/api/v1/%s/%d/purge",
                     resources[i / 5 % 10], i);
            break;

        case 1:
            snprintf(text, sizeof(text), "^/api/v1/%s/r%d/",
                     resources[i / 5 % 10], i);
            break;

        case 2:
            snprintf(text, sizeof(text), "^/admin/tools/%s/%d",
                     resources[i / 5 % 10], i);
            break;

        case 3:
            snprintf(text, sizeof(text), "~^/api/v2/%s/t%d/(drop|wipe)$",
                     resources[i / 5 % 10], i);
            break;

        default:
            snprintf(text, sizeof(text), "~^/internal/%s/%d/\\w+/exec$",
                     resources[i / 5 % 10], i);
            bench_condition(m, subjects[2], "prod", "production");
            break;
        }

        bench_condition(m, subjects[1], text, NULL);
    }

    if (approval_match_compile(m) != APPROVAL_OK) {
        exit(2);
    }

    return m;
}
