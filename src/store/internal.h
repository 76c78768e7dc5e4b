
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the files of the store share.
 */


#ifndef NGX_HTTP_APPROVAL_STORE_INTERNAL_H
#define NGX_HTTP_APPROVAL_STORE_INTERNAL_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/queue.h"
#include "store/store.h"
#include "store/watch.h"


#define NGX_HTTP_APPROVAL_LEASE        60000
#define NGX_HTTP_APPROVAL_WATCH_BATCH  100    /* keys of one MGET          */
#define NGX_HTTP_APPROVAL_STORE_KINDS  16     /* of errors                 */


typedef enum {
    NGX_HTTP_APPROVAL_SCRIPT_CREATE = 0,
    NGX_HTTP_APPROVAL_SCRIPT_LOAD,
    NGX_HTTP_APPROVAL_SCRIPT_RECENT,
    NGX_HTTP_APPROVAL_SCRIPT_VOTE,
    NGX_HTTP_APPROVAL_SCRIPT_SETTLE,
    NGX_HTTP_APPROVAL_SCRIPT_CONSUME,
    NGX_HTTP_APPROVAL_SCRIPT_FINISH,
    NGX_HTTP_APPROVAL_SCRIPT_DROP,
    NGX_HTTP_APPROVAL_SCRIPT_OVERDUE,
    NGX_HTTP_APPROVAL_SCRIPT_RENEW,
    NGX_HTTP_APPROVAL_SCRIPT_LIST,
    NGX_HTTP_APPROVAL_SCRIPT_SHADOW,
    NGX_HTTP_APPROVAL_SCRIPT_LEAVE,
    NGX_HTTP_APPROVAL_SCRIPT_GIVE_UP,
    NGX_HTTP_APPROVAL_SCRIPT_GRANTS,
    NGX_HTTP_APPROVAL_SCRIPT_REVOKE,
    NGX_HTTP_APPROVAL_SCRIPT_FREEZE,
    NGX_HTTP_APPROVAL_SCRIPT_THAW,
    NGX_HTTP_APPROVAL_SCRIPT_FROZEN,
    NGX_HTTP_APPROVAL_SCRIPT_QUEUE_ADD,
    NGX_HTTP_APPROVAL_SCRIPT_QUEUE_CLAIM,
    NGX_HTTP_APPROVAL_SCRIPT_QUEUE_KEEP,
    NGX_HTTP_APPROVAL_SCRIPT_QUEUE_DONE,
    NGX_HTTP_APPROVAL_SCRIPT_QUEUE_OUTCOME,
    NGX_HTTP_APPROVAL_SCRIPT_ONCE,
    NGX_HTTP_APPROVAL_SCRIPT_N
} ngx_http_approval_script_e;


typedef struct {
    const char                         *name;
    ngx_str_t                           text;
    u_char                              sha1[40];    /* hex */
} ngx_http_approval_script_t;


/* The sweep goes on after "cursor"; a visit survives deletions by handlers. */

typedef struct {
    ngx_rbtree_t                        tree;        /* one of each action */
    ngx_rbtree_node_t                   sentinel;

    u_char                              cursor[APPROVAL_ID_LEN];
    ngx_event_t                         sweep;

    u_char                              batch[NGX_HTTP_APPROVAL_WATCH_BATCH]
                                             [APPROVAL_ID_LEN];
    ngx_uint_t                          nbatch;
    ngx_event_t                         flush;

    ngx_http_approval_watch_t          *visit;
    ngx_http_approval_watch_t          *visit_last;

    unsigned                            sweeping:1;
    unsigned                            check:1;     /* of the batch       */
} ngx_http_approval_watches_t;


struct ngx_http_approval_store_s {
    ngx_http_approval_store_conf_t     *conf;
    ngx_log_t                          *log;
    ngx_http_approval_redis_t          *redis;
    ngx_http_approval_store_events_t    events;

    int64_t                             clock;       /* Redis' minus
                                                        ngx_current_msec;
                                                        0: not known       */

    ngx_http_approval_script_t          scripts[NGX_HTTP_APPROVAL_SCRIPT_N];

    ngx_http_approval_watches_t         watches;

    /* of ngx_http_approval_lease_t */
    ngx_rbtree_t                        leases;
    ngx_rbtree_node_t                   leases_sentinel;
    ngx_event_t                         renew;

    ngx_event_t                         overdue;

    time_t                              logged[NGX_HTTP_APPROVAL_STORE_KINDS];
    ngx_uint_t                          errors;      /* for the metrics    */

    unsigned                            asking:1;    /* for overdue ones   */
    unsigned                            evicts:1;    /* Redis; it is logged */
    unsigned                            closing:1;
};


/*
 * done() gets each reply to the operation's script, NULL where there is none;
 * it ends the operation, or sends it again.
 */

typedef void (*ngx_http_approval_op_pt)(ngx_http_approval_op_t *op,
    redisReply *reply);

struct ngx_http_approval_op_s {
    ngx_http_approval_store_t          *store;
    ngx_http_approval_store_pt          handler;     /* NULL: forgotten    */
    void                               *data;

    ngx_http_approval_op_pt             done;
    ngx_http_approval_script_e          script;
    u_char                              id[APPROVAL_ID_LEN];

    ngx_uint_t                          argc;
    ngx_str_t                          *argv;        /* owned by op        */

    /* list */
    ngx_uint_t                          open;
    ngx_uint_t                          left;
    int64_t                             before;
    u_char                              below[APPROVAL_ID_LEN];

    /* queue */
    ngx_http_approval_claim_pt          claim;

    unsigned                            evaluated:1;
    unsigned                            again:1;
};


/* op.c */

ngx_int_t ngx_http_approval_scripts_init(ngx_http_approval_store_t *store);
void ngx_http_approval_scripts_done(ngx_http_approval_store_t *store);
void ngx_http_approval_scripts_load(ngx_http_approval_store_t *store);

ngx_http_approval_op_t *ngx_http_approval_op_create(
    ngx_http_approval_store_t *store, ngx_http_approval_script_e script,
    u_char *id, ngx_http_approval_store_pt handler, void *data);

/*
 * Sends the script with its key (the action's, or PREFIX and "shared"), the
 * prefix, the id and args.  Without NGX_OK there will be no reply, and the
 * operation is still the caller's.
 */
ngx_int_t ngx_http_approval_op_send(ngx_http_approval_op_t *op,
    const char *shared, ngx_uint_t nargs, ngx_str_t *args);

/* The same once more, after its reply. */
ngx_int_t ngx_http_approval_op_again(ngx_http_approval_op_t *op);

/* Calls the handler, unless it was forgotten, and frees the operation. */
void ngx_http_approval_op_end(ngx_http_approval_op_t *op,
    const ngx_http_approval_reply_t *reply);
void ngx_http_approval_op_free(ngx_http_approval_op_t *op);

/* An action's key: PREFIX{ID} and a suffix. */
size_t ngx_http_approval_key_len(ngx_http_approval_store_t *store,
    const char *suffix);
u_char *ngx_http_approval_key(ngx_http_approval_store_t *store, u_char *p,
    u_char *id, const char *suffix);

/* An argument that is a number, printed into buf of NGX_INT64_LEN bytes. */
void ngx_http_approval_number(ngx_str_t *s, u_char *buf, int64_t n);


/* reply.c */

/* Sets rc, and all that the script answered; votes are freed by _free(). */
void ngx_http_approval_reply_parse(ngx_http_approval_store_t *store,
    const char *what, redisReply *reply, ngx_http_approval_reply_t *r);
void ngx_http_approval_reply_free(ngx_http_approval_reply_t *r);

/* One action of a list of them, within a reply. */
ngx_int_t ngx_http_approval_reply_entry(ngx_http_approval_store_t *store,
    const char *what, redisReply *entry, int64_t now,
    ngx_http_approval_reply_t *r);

void ngx_http_approval_reply_error(ngx_http_approval_store_t *store,
    const char *what, redisReply *reply);


/* lease.c */

typedef struct ngx_http_approval_lease_s  ngx_http_approval_lease_t;

void ngx_http_approval_lease_init(ngx_http_approval_store_t *store);
void ngx_http_approval_lease_done(ngx_http_approval_store_t *store);
void ngx_http_approval_lease_ready(ngx_http_approval_store_t *store);
void ngx_http_approval_lease_add(ngx_http_approval_store_t *store, u_char *id);


/* overdue.c */

void ngx_http_approval_overdue_init(ngx_http_approval_store_t *store);
void ngx_http_approval_overdue_done(ngx_http_approval_store_t *store);


/* watch.c */

void ngx_http_approval_watches_init(ngx_http_approval_store_t *store);
void ngx_http_approval_watches_done(ngx_http_approval_store_t *store);
void ngx_http_approval_watches_reread(ngx_http_approval_store_t *store);
void ngx_http_approval_watches_push(ngx_http_approval_store_t *store,
    ngx_str_t *key);


#endif /* NGX_HTTP_APPROVAL_STORE_INTERNAL_H */
