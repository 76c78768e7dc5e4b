
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * One request to the desk, and the functions that its rooms share.  Steps
 * return the code to finalize the request with, or NGX_AGAIN: the store was
 * asked, and its reply goes to the next step.
 */


#ifndef NGX_HTTP_APPROVAL_DESK_REQUEST_H
#define NGX_HTTP_APPROVAL_DESK_REQUEST_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/audit.h"
#include "model/action.h"
#include "model/problem.h"
#include "store/store.h"


#define NGX_HTTP_APPROVAL_DESK_BODY_MAX     16384
#define NGX_HTTP_APPROVAL_DESK_COMMENT_MAX  2000


typedef struct ngx_http_approval_desk_s  ngx_http_approval_desk_t;

typedef ngx_int_t (*ngx_http_approval_desk_step_pt)(
    ngx_http_approval_desk_t *d, const ngx_http_approval_reply_t *reply);


typedef ngx_int_t (*ngx_http_approval_desk_body_pt)(
    ngx_http_approval_desk_t *d, ngx_str_t *body);


/* Answers in another way than by a page or JSON; extra may be NULL. */

typedef ngx_int_t (*ngx_http_approval_desk_reply_pt)(
    ngx_http_approval_desk_t *d, ngx_uint_t status, const char *title,
    const char *detail, json_t *extra);


/* How an approver was identified: "how" of a vote. */

typedef enum {
    NGX_HTTP_APPROVAL_DESK_NOBODY = 0,
    NGX_HTTP_APPROVAL_DESK_LINK,
    NGX_HTTP_APPROVAL_DESK_IDP,
    NGX_HTTP_APPROVAL_DESK_SLACK
} ngx_http_approval_desk_how_e;


/* In r->pool; ends with the request. */

struct ngx_http_approval_desk_s {
    ngx_http_request_t                 *request;
    ngx_http_approval_main_conf_t      *mcf;
    ngx_http_approval_loc_conf_t       *lcf;

    ngx_str_t                           route;   /* below the location */
    const char                         *root;    /* "../": the way back */
    u_char                              id[APPROVAL_ID_LEN];

    ngx_http_approval_op_t             *op;      /* asked, not answered */
    ngx_http_approval_audit_wait_t      sync;    /* ... of the disk     */
    ngx_http_approval_desk_step_pt      step;

    ngx_str_t                           idp;     /* by approver=        */
    ngx_str_t                           link;    /* ?t=                 */
    ngx_str_t                           session; /* the cookie          */
    ngx_str_t                           slack;   /* "TEAM:USER", signed */

    ngx_str_t                           who;     /* as authenticated    */
    ngx_str_t                           person;  /* canonical           */
    ngx_http_approval_desk_how_e        how;

    void                               *work;    /* the step's own      */
    ngx_http_approval_desk_reply_pt     reply;   /* NULL: page or JSON  */
    ngx_http_approval_desk_body_pt      posted;  /* gets the body       */

    unsigned                            id_valid:1;
    unsigned                            html:1;  /* a page is wanted    */
    unsigned                            form:1;  /* posted by a page    */
    unsigned                            frame:1; /* of an action's page */
};


/* request.c */

ngx_http_approval_desk_t *ngx_http_approval_desk_create(
    ngx_http_request_t *r);

/* r's context belongs to the gate, so the desk is found by its cleanup. */
ngx_http_approval_desk_t *ngx_http_approval_desk_find(ngx_http_request_t *r);

/* Sets d->work to zeroed memory with a cleanup; NULL: no memory. */
void *ngx_http_approval_desk_work(ngx_http_approval_desk_t *d, size_t size,
    ngx_pool_cleanup_pt cleanup);

/* Handlers of the store get d as their data; the step gets the reply. */
void ngx_http_approval_desk_answer(void *data,
    const ngx_http_approval_reply_t *reply);
ngx_int_t ngx_http_approval_desk_wait(ngx_http_approval_desk_t *d,
    ngx_http_approval_op_t *op, ngx_http_approval_desk_step_pt step);
ngx_int_t ngx_http_approval_desk_load(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_step_pt step);

/* The same, but does not answer; NGX_DECLINED: the store is down. */
ngx_int_t ngx_http_approval_desk_ask(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_step_pt step);

/* Masks a link's token after it was read, so that it is not logged. */
void ngx_http_approval_desk_hide(ngx_http_request_t *r);

/* Is the body of this one type, and not encoded? */
ngx_uint_t ngx_http_approval_desk_type(ngx_http_request_t *r,
    const char *name);

/* Reads the whole body; NGX_DECLINED: it is larger than the limit. */
ngx_int_t ngx_http_approval_desk_body(ngx_http_request_t *r, off_t max,
    ngx_str_t *body);

ngx_int_t ngx_http_approval_desk_copy(ngx_pool_t *pool, approval_str_t from,
    ngx_str_t *to);


/*
 * Refuse by a page or problem+json; take over the reference to extra, or to the
 * argument's name.
 */

ngx_int_t ngx_http_approval_desk_refuse(ngx_http_approval_desk_t *d,
    ngx_uint_t status, const char *type, const char *title,
    const char *detail, json_t *extra);
ngx_int_t ngx_http_approval_desk_not_found(ngx_http_approval_desk_t *d);
ngx_int_t ngx_http_approval_desk_unavailable(ngx_http_approval_desk_t *d);
ngx_int_t ngx_http_approval_desk_bad_body(ngx_http_approval_desk_t *d,
    const char *err);
ngx_int_t ngx_http_approval_desk_bad_argument(ngx_http_approval_desk_t *d,
    const char *err, json_t *name);
ngx_int_t ngx_http_approval_desk_large(ngx_http_approval_desk_t *d);
ngx_int_t ngx_http_approval_desk_unread(ngx_http_approval_desk_t *d);


/*
 * Opens the document that load() read.  NGX_OK, with a new reference;
 * otherwise the request was answered, and *rc is the code to finalize it with.
 */
ngx_int_t ngx_http_approval_desk_open(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply, json_t **doc, ngx_int_t *rc);


#endif /* NGX_HTTP_APPROVAL_DESK_REQUEST_H */
