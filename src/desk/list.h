
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET /actions and GET /: the actions that wait for an approver, and past
 * ones.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_LIST_H
#define NGX_HTTP_APPROVAL_DESK_LIST_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/request.h"


#define NGX_HTTP_APPROVAL_LIST_LIMIT  50
#define NGX_HTTP_APPROVAL_LIST_MAX    200


/* The parsed query. */

typedef struct {
    ngx_uint_t          states;      /* bits by state; 0: any           */
    ngx_str_t           requester;
    ngx_str_t           approver;    /* who voted                       */
    ngx_str_t           rule;
    int64_t             since;       /* ms; 0: any                      */
    int64_t             until;       /* ms; 0: any                      */
    ngx_uint_t          limit;
    int64_t             before;      /* cursor                          */
    u_char              before_id[APPROVAL_ID_LEN];
    unsigned            cursor:1;
    unsigned            history:1;   /* view=history                    */
    unsigned            several:1;
} ngx_http_approval_query_t;


ngx_int_t ngx_http_approval_list(ngx_http_approval_desk_t *d);
ngx_int_t ngx_http_approval_list_inbox(ngx_http_approval_desk_t *d);


/* query.c: NGX_DECLINED: invalid, because of *err, in the argument *name. */
ngx_int_t ngx_http_approval_query_parse(ngx_http_approval_desk_t *d,
    ngx_http_approval_query_t *q, const char **err, ngx_str_t *name);

/* A cursor that continues behind this action, as a string value. */
json_t *ngx_http_approval_query_cursor(int64_t created, const u_char *id);

/* The same query as "?view=history&...", for a link to the next page. */
json_t *ngx_http_approval_query_link(ngx_http_approval_query_t *q,
    const char *cursor);


#endif /* NGX_HTTP_APPROVAL_DESK_LIST_H */
