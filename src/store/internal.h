
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the files of the store share.
 */


#ifndef NGX_HTTP_APPROVAL_STORE_INTERNAL_H
#define NGX_HTTP_APPROVAL_STORE_INTERNAL_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/news.h"
#include "store/queue.h"
#include "store/store.h"
#include "store/watch.h"


#define NGX_HTTP_APPROVAL_LEASE        60000
#define NGX_HTTP_APPROVAL_WATCH_BATCH  100    /* keys of one MGET          */
#define NGX_HTTP_APPROVAL_STORE_KINDS  (NGX_HTTP_APPROVAL_REDIS_ERRORS + 1)
#define NGX_HTTP_APPROVAL_STORE_TRIES  4      /* to join an action         */


typedef enum {
    NGX_HTTP_APPROVAL_SCRIPT_LOAD = 0,
    NGX_HTTP_APPROVAL_SCRIPT_VOTE,
    NGX_HTTP_APPROVAL_SCRIPT_SETTLE,
    NGX_HTTP_APPROVAL_SCRIPT_CONSUME,
    NGX_HTTP_APPROVAL_SCRIPT_LEAVE,
    NGX_HTTP_APPROVAL_SCRIPT_END,            /* those before it read or write
                                                the action's end           */

    NGX_HTTP_APPROVAL_SCRIPT_CREATE = NGX_HTTP_APPROVAL_SCRIPT_END,
    NGX_HTTP_APPROVAL_SCRIPT_ANNOUNCE,
    NGX_HTTP_APPROVAL_SCRIPT_FINISH,
    NGX_HTTP_APPROVAL_SCRIPT_DROP,
    NGX_HTTP_APPROVAL_SCRIPT_OVERDUE,
    NGX_HTTP_APPROVAL_SCRIPT_RENEW,
    NGX_HTTP_APPROVAL_SCRIPT_QUEUE_ADD,
    NGX_HTTP_APPROVAL_SCRIPT_QUEUE_CLAIM,
    NGX_HTTP_APPROVAL_SCRIPT_QUEUE_KEEP,
    NGX_HTTP_APPROVAL_SCRIPT_QUEUE_DONE,
    NGX_HTTP_APPROVAL_SCRIPT_QUEUE_OUTCOME,
    NGX_HTTP_APPROVAL_SCRIPT_ACTION,         /* those before it are about
                                                one action: see action.lua */

    NGX_HTTP_APPROVAL_SCRIPT_SCAN = NGX_HTTP_APPROVAL_SCRIPT_ACTION,
    NGX_HTTP_APPROVAL_SCRIPT_LIST,
    NGX_HTTP_APPROVAL_SCRIPT_BY,
    NGX_HTTP_APPROVAL_SCRIPT_CLASSES,
    NGX_HTTP_APPROVAL_SCRIPT_RECENT,
    NGX_HTTP_APPROVAL_SCRIPT_RESERVE,
    NGX_HTTP_APPROVAL_SCRIPT_GIVE_UP,
    NGX_HTTP_APPROVAL_SCRIPT_GRANT,
    NGX_HTTP_APPROVAL_SCRIPT_STATEMENT,
    NGX_HTTP_APPROVAL_SCRIPT_REVOKE,
    NGX_HTTP_APPROVAL_SCRIPT_FREEZE,
    NGX_HTTP_APPROVAL_SCRIPT_THAW,
    NGX_HTTP_APPROVAL_SCRIPT_FROZEN,
    NGX_HTTP_APPROVAL_SCRIPT_SHADOW,
    NGX_HTTP_APPROVAL_SCRIPT_ONCE,
    NGX_HTTP_APPROVAL_SCRIPT_PASSKEY,
    NGX_HTTP_APPROVAL_SCRIPT_N
} ngx_http_approval_script_e;


/* PREFIX, the shard in braces, and the rest of the name: see keys.c. */

typedef enum {
    NGX_HTTP_APPROVAL_KEY_ACTION = 0,        /* by id                      */
    NGX_HTTP_APPROVAL_KEY_DECISION,
    NGX_HTTP_APPROVAL_KEY_VOTES,
    NGX_HTTP_APPROVAL_KEY_MESSAGES,
    NGX_HTTP_APPROVAL_KEY_BY,                /* by hash                    */
    NGX_HTTP_APPROVAL_KEY_JOIN,
    NGX_HTTP_APPROVAL_KEY_PER,
    NGX_HTTP_APPROVAL_KEY_PROMPTS,
    NGX_HTTP_APPROVAL_KEY_GRANT,
    NGX_HTTP_APPROVAL_KEY_ONCE,
    NGX_HTTP_APPROVAL_KEY_END,
    NGX_HTTP_APPROVAL_KEY_PENDING,           /* one per shard              */
    NGX_HTTP_APPROVAL_KEY_INDEX,
    NGX_HTTP_APPROVAL_KEY_CLASSES,
    NGX_HTTP_APPROVAL_KEY_FROZEN,
    NGX_HTTP_APPROVAL_KEY_GRANTS,
    NGX_HTTP_APPROVAL_KEY_DELIVER,
    NGX_HTTP_APPROVAL_KEY_DECISIONS,         /* a channel, not a key       */
    NGX_HTTP_APPROVAL_KEY_PASSKEYS,
    NGX_HTTP_APPROVAL_KEY_PASSKEYS_USED,
    NGX_HTTP_APPROVAL_KEY_PASSKEYS_ENDED,
    NGX_HTTP_APPROVAL_KEY_SHADOW             /* by day, without a shard    */
} ngx_http_approval_key_e;


typedef struct {
    const char                         *name;
    ngx_str_t                           text;
    u_char                              sha1[40];    /* hex */
} ngx_http_approval_script_t;


/*
 * Scripts that use an approval are sent over a separate link and are done when
 * replicas have acknowledged them: see replicas.c.
 */

typedef struct {
    ngx_http_approval_redis_t          *redis;       /* NULL: replicas=0      */
    ngx_queue_t                         ops;         /* have a reply, but no
                                                        acknowledgement yet   */
    ngx_event_t                         ask;         /* posted                */
    time_t                              logged;

    unsigned                            asked:1;     /* a WAIT is pending     */
    unsigned                            more:1;      /* scripts were sent
                                                        after it              */
} ngx_http_approval_replicas_t;


/*
 * The sweep continues after "cursor".  The two "visit" pointers let a visit
 * survive watches that handlers delete.
 */

typedef struct {
    ngx_rbtree_t                        tree;        /* one per action     */
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


/* The listeners, and the shards that must be read again: see news.c. */

typedef struct {
    ngx_queue_t                         listeners;
    ngx_event_t                         event;       /* notifies them      */
    u_char                              stale[NGX_HTTP_APPROVAL_SHARDS_MAX];
} ngx_http_approval_news_list_t;


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
    ngx_http_approval_news_list_t       news;

    ngx_str_t                          *channels;    /* one per shard      */

    ngx_http_approval_replicas_t        replicas;

    /* of ngx_http_approval_lease_t */
    ngx_rbtree_t                        leases;
    ngx_rbtree_node_t                   leases_sentinel;
    ngx_event_t                         renew;

    ngx_event_t                         overdue;

    time_t                              logged[NGX_HTTP_APPROVAL_STORE_KINDS];
    ngx_uint_t                          errors;      /* for the metrics    */
    time_t                              forbidden;   /* last refusal by an
                                                        ACL                */

    unsigned                            asking:1;    /* for overdue actions */
    unsigned                            evicts:1;    /* Redis may evict keys;
                                                        logged             */
    unsigned                            old:1;       /* Redis is; logged   */
    unsigned                            cluster:1;   /* Redis is; logged   */
    unsigned                            probing:1;
    unsigned                            usable:1;    /* by the last probe  */
    unsigned                            refused:1;   /* writes; logged     */
    unsigned                            closing:1;
};


/*
 * done() gets each reply to the operation's script, or NULL if there is none.
 * It must end the operation or send it again.
 */

typedef void (*ngx_http_approval_op_pt)(ngx_http_approval_op_t *op,
    redisReply *reply);

/* A count that must be made before the action is created, by "op". */

typedef struct {
    ngx_http_approval_op_t             *op;          /* NULL: none, or sent */
    u_char                              hash[APPROVAL_ID_LEN];
    ngx_uint_t                          counted;
} ngx_http_approval_count_t;


struct ngx_http_approval_op_s {
    ngx_http_approval_store_t          *store;
    ngx_http_approval_store_pt          handler;     /* NULL: forgotten    */
    void                               *data;
    ngx_http_approval_store_pt          keeper;
    void                               *kept_for;

    ngx_http_approval_op_pt             done;
    ngx_http_approval_script_e          script;
    u_char                              id[APPROVAL_ID_LEN];
    u_char                              shard[NGX_HTTP_APPROVAL_SHARD_LEN];

    approval_buf_t                      words;       /* keys, arguments    */
    ngx_uint_t                          nkeys;
    ngx_uint_t                          nwords;
    json_t                             *seen;        /* see op_seen()      */

    ngx_uint_t                          argc;
    ngx_str_t                          *argv;        /* into words         */

    /*
     * An operation of several scripts is not sent itself.  Its done() is called
     * without a reply when the last of its parts has ended.
     */
    ngx_http_approval_op_t             *whole;       /* of a part          */
    ngx_uint_t                          parts;       /* pending            */
    ngx_uint_t                          missed;      /* parts without a reply
                                                        or with an error   */
    void                               *work;        /* owned by op        */

    /* create */
    ngx_http_approval_op_t             *next;        /* after this count   */
    ngx_http_approval_cap_e             cap;
    ngx_http_approval_count_t           counts[NGX_HTTP_APPROVAL_CAPS];
    ngx_uint_t                          known;       /* keys without those of
                                                        "others"           */

    /* uses: the first reply, kept until replicas acknowledge the script */
    ngx_queue_t                         queue;
    redisReply                         *kept;

    /* queue */
    ngx_http_approval_claim_pt          claim;
    ngx_msec_t                          lease;

    unsigned                            evaluated:1;
    unsigned                            tries:3;
    unsigned                            uses:1;      /* by replicas.c         */
    unsigned                            replicated:1;
};


/* op.c */

ngx_int_t ngx_http_approval_scripts_init(ngx_http_approval_store_t *store);
void ngx_http_approval_scripts_done(ngx_http_approval_store_t *store);
void ngx_http_approval_scripts_load(ngx_http_approval_store_t *store);

/*
 * id: the script's action, whose keys are added.  NULL: the caller must set the
 * shard and add all keys.
 *
 * If there is no memory, the result is NULL.  The functions that add to an
 * operation ignore it, and those that run it return NULL as well.
 */
ngx_http_approval_op_t *ngx_http_approval_op_create(
    ngx_http_approval_store_t *store, ngx_http_approval_script_e script,
    u_char *id, ngx_http_approval_store_pt handler, void *data);

/* Who gets the reply, if not the handler. */
void ngx_http_approval_op_then(ngx_http_approval_op_t *op,
    ngx_http_approval_op_pt done);
void ngx_http_approval_op_shard(ngx_http_approval_op_t *op,
    const u_char *shard);

/*
 * All keys must be added before the first argument.  name is ignored for keys
 * that exist once per shard.
 */
void ngx_http_approval_op_key(ngx_http_approval_op_t *op,
    ngx_http_approval_key_e key, u_char *name, size_t len);
void ngx_http_approval_op_keys(ngx_http_approval_op_t *op,
    ngx_http_approval_key_e key, const ngx_str_t *hashes);
void ngx_http_approval_op_arg(ngx_http_approval_op_t *op, const ngx_str_t *arg);
void ngx_http_approval_op_bytes(ngx_http_approval_op_t *op, const void *data,
    size_t len);
void ngx_http_approval_op_text(ngx_http_approval_op_t *op, const char *arg);
void ngx_http_approval_op_number(ngx_http_approval_op_t *op, int64_t n);

/* Sends the operation.  NULL: it was freed, and there will be no reply. */
ngx_http_approval_op_t *ngx_http_approval_op_run(ngx_http_approval_op_t *op);

/* If not NGX_OK, there will be no reply, and the caller still owns op. */
ngx_int_t ngx_http_approval_op_start(ngx_http_approval_op_t *op);

/* Sends the same words again, after their reply. */
ngx_int_t ngx_http_approval_op_again(ngx_http_approval_op_t *op);

/* Calls the handler, unless it was forgotten, and frees the operation. */
void ngx_http_approval_op_end(ngx_http_approval_op_t *op,
    const ngx_http_approval_reply_t *reply);
void ngx_http_approval_op_free(ngx_http_approval_op_t *op);

/* A part of an operation; its done() must end with op_part_end(). */
ngx_http_approval_op_t *ngx_http_approval_op_part(ngx_http_approval_op_t *op,
    ngx_http_approval_script_e script, u_char *id,
    ngx_http_approval_op_pt done);
void ngx_http_approval_op_part_run(ngx_http_approval_op_t *part);
void ngx_http_approval_op_part_end(ngx_http_approval_op_t *part);

/* Whether a part has passed this id before; remembers the id. */
ngx_uint_t ngx_http_approval_op_seen(ngx_http_approval_op_t *op, u_char *id);

/* Adds two keys for each of the ids or hashes, which are separated by spaces. */
void ngx_http_approval_op_pairs(ngx_http_approval_op_t *op,
    const ngx_str_t *ids, ngx_http_approval_key_e one,
    ngx_http_approval_key_e two);

/*
 * Sends ZREM or HDEL, for example, with one member, and ignores the reply.  id
 * is NULL if the key has none.
 */
void ngx_http_approval_store_remove(ngx_http_approval_store_t *store,
    const char *command, ngx_http_approval_key_e key, u_char *shard,
    u_char *id, ngx_str_t *member);

/* Removes an action from a counter. */
void ngx_http_approval_op_release(ngx_http_approval_op_t *op,
    ngx_http_approval_key_e key, ngx_str_t *per, u_char *id);


/* keys.c */

void ngx_http_approval_key(ngx_http_approval_store_t *store,
    approval_buf_t *out, ngx_http_approval_key_e key, u_char *shard,
    u_char *name, size_t len);

/* The id, if this is the decision key of an action, or NULL. */
u_char *ngx_http_approval_key_decided(ngx_http_approval_store_t *store,
    ngx_str_t *key);

void ngx_http_approval_shard_name(u_char *shard, ngx_uint_t n);


/* scan.c */

/*
 * Calls each() for at most limit members of a sorted set, over all shards, that
 * are due, or whose time is still ahead (by their scores).  each() may run a
 * part.  op is done when all parts are.  Like op_run(), it returns NULL, and op
 * was freed, if nothing was sent.
 */

typedef enum {
    NGX_HTTP_APPROVAL_SCAN_DUE = 0,
    NGX_HTTP_APPROVAL_SCAN_AHEAD
} ngx_http_approval_scan_e;

typedef void (*ngx_http_approval_scan_pt)(ngx_http_approval_op_t *op,
    u_char *shard, ngx_str_t *member);

ngx_http_approval_op_t *ngx_http_approval_scan(ngx_http_approval_op_t *op,
    ngx_http_approval_key_e key, ngx_http_approval_scan_e what,
    ngx_uint_t limit, ngx_http_approval_scan_pt each);

/* The number of members found. */
ngx_uint_t ngx_http_approval_scan_found(ngx_http_approval_op_t *op);


/* reply.c */

/*
 * Sets rc, the id of the operation's action, and all fields of the script's
 * reply.  _free() frees the votes.
 */
void ngx_http_approval_reply_parse(ngx_http_approval_op_t *op,
    redisReply *reply, ngx_http_approval_reply_t *r);
void ngx_http_approval_reply_free(ngx_http_approval_reply_t *r);

/* One action in a reply that lists several. */
ngx_int_t ngx_http_approval_reply_entry(ngx_http_approval_op_t *op,
    redisReply *entry, int64_t now, ngx_http_approval_reply_t *r);

/* Updates Redis' clock from the time in a reply. */
void ngx_http_approval_reply_clock(ngx_http_approval_store_t *store,
    int64_t now);

/*
 * Stores a reply that is an array of texts in r's "votes"; r->rc is NGX_ERROR
 * if it is not one.
 */
void ngx_http_approval_reply_texts(ngx_http_approval_op_t *op,
    redisReply *reply, ngx_http_approval_reply_t *r);

/*
 * Is it {"ok", now, ...}?  Is it {"ok", now, {...}}?  Then the inner array is
 * returned.  Errors are logged.
 */
ngx_int_t ngx_http_approval_reply_ok(ngx_http_approval_op_t *op,
    redisReply *reply);
redisReply *ngx_http_approval_reply_inner(ngx_http_approval_op_t *op,
    redisReply *reply);

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


/* usable.c: called when the link is ready, and every other second. */

void ngx_http_approval_usable_probe(ngx_http_approval_store_t *store);


/* watch.c */

void ngx_http_approval_watches_init(ngx_http_approval_store_t *store);
void ngx_http_approval_watches_done(ngx_http_approval_store_t *store);
void ngx_http_approval_watches_reread(ngx_http_approval_store_t *store);
void ngx_http_approval_watches_push(ngx_http_approval_store_t *store,
    ngx_str_t *key);
void ngx_http_approval_watches_told(ngx_http_approval_store_t *store,
    u_char *id, ngx_str_t *decision);


/* news.c */

void ngx_http_approval_news_init(ngx_http_approval_store_t *store);
void ngx_http_approval_news_done(ngx_http_approval_store_t *store);
void ngx_http_approval_news_push(ngx_http_approval_store_t *store,
    ngx_str_t *key);
void ngx_http_approval_news_voted(ngx_http_approval_store_t *store,
    u_char *id);


/* replicas.c */

ngx_int_t ngx_http_approval_replicas_init(ngx_http_approval_store_t *store);
void ngx_http_approval_replicas_done(ngx_http_approval_store_t *store);

/* The link over which to send an operation now. */
ngx_http_approval_redis_t *ngx_http_approval_replicas_link(
    ngx_http_approval_op_t *op);

/*
 * To be called by done() of an operation that has used an approval or a grant.
 * NGX_AGAIN: done() will be called again, with the same reply.  NGX_DECLINED:
 * too few replicas have acknowledged it.
 */
ngx_int_t ngx_http_approval_replicas_have(ngx_http_approval_op_t *op,
    redisReply *reply);


/* push.c */

ngx_int_t ngx_http_approval_push_init(ngx_http_approval_store_t *store);
void ngx_http_approval_push_done(ngx_http_approval_store_t *store);
void ngx_http_approval_push_channel(ngx_http_approval_op_t *op);


#endif /* NGX_HTTP_APPROVAL_STORE_INTERNAL_H */
