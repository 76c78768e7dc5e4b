
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * GET, POST, DELETE /freeze: the switch that stops a requester or a policy.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_FREEZE_H
#define NGX_HTTP_APPROVAL_DESK_FREEZE_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/change.h"


/* d->work: who or what is frozen, and the actions that end because of it. */

typedef struct {
    json_t      *doc;                   /* as posted, with who and when */
    json_t      *list;
    ngx_str_t    policy;                /* len 0: a requester           */
    ngx_str_t    requester;
    ngx_str_t    person;
    int64_t      until;
    ngx_uint_t   ended;
    json_t      *missed;                /* shards that did not answer   */
    ngx_http_approval_end_t  end;       /* sealed: starts or ends it    */
    ngx_str_t    hashes;
    u_char       buf[NGX_HTTP_APPROVAL_HASHES];
} ngx_http_approval_freeze_t;


/* freeze.c: for the content handler. */
ngx_int_t ngx_http_approval_freeze(ngx_http_approval_desk_t *d);

/* Hashes the name, as gates look it up; returns an error text or NULL. */
const char *ngx_http_approval_freeze_name(ngx_http_approval_desk_t *d);
json_t *ngx_http_approval_freeze_facts(ngx_http_approval_desk_t *d,
    const char *what);

/* Seals work->end together with doc; over: it ends the freeze. */
ngx_int_t ngx_http_approval_freeze_seal(ngx_http_approval_desk_t *d,
    json_t *doc, ngx_uint_t over, approval_buf_t *sealed);
int64_t ngx_http_approval_freeze_now(ngx_http_approval_desk_t *d);

/* NULL, or the names of the shards that did not answer. */
json_t *ngx_http_approval_freeze_missed(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);

/* A page that reports what was done. */
ngx_int_t ngx_http_approval_freeze_page(ngx_http_approval_desk_t *d,
    const char *title, json_t *detail);


/* thaw.c: lists freezes, and ends the one named by the query or by d->work. */
ngx_int_t ngx_http_approval_frozen(ngx_http_approval_desk_t *d);
ngx_int_t ngx_http_approval_thaw(ngx_http_approval_desk_t *d);
ngx_int_t ngx_http_approval_thaw_named(ngx_http_approval_desk_t *d);


/*
 * carry.c: reads all freezes when the store is connected, and again from time
 * to time, so that this gateway knows them.
 */
void ngx_http_approval_freeze_carry(ngx_http_approval_main_conf_t *mcf);
void ngx_http_approval_freeze_stop(void);
void ngx_http_approval_freeze_learn(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_reply_t *reply);


#endif /* NGX_HTTP_APPROVAL_DESK_FREEZE_H */
