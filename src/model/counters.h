
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Counters that all workers share, in the memory of approval_zone.  Without the
 * zone nothing is counted, and nothing else changes.
 *
 * Counting takes no lock and allocates nothing.  Counters survive reloads.
 * They are kept by policy and rule, by channel, and by type of refusal.
 */


#ifndef NGX_HTTP_APPROVAL_COUNTERS_H
#define NGX_HTTP_APPROVAL_COUNTERS_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/policy.h"
#include "model/problem.h"
#include "model/state.h"


/*
 * Counters of a rule.  EXECUTED to CANCELLED count the ends of actions.  Each
 * action is counted once, by the gateway that ended it.
 */

typedef enum {
    NGX_HTTP_APPROVAL_COUNT_CREATED = 0,
    NGX_HTTP_APPROVAL_COUNT_JOINED,
    NGX_HTTP_APPROVAL_COUNT_ACCEPTED,        /* answered 202              */
    NGX_HTTP_APPROVAL_COUNT_PENDING,         /* asked to retry later      */
    NGX_HTTP_APPROVAL_COUNT_APPROVED,
    NGX_HTTP_APPROVAL_COUNT_EXECUTED,
    NGX_HTTP_APPROVAL_COUNT_FAILED,
    NGX_HTTP_APPROVAL_COUNT_DENIED,
    NGX_HTTP_APPROVAL_COUNT_EXPIRED,
    NGX_HTTP_APPROVAL_COUNT_CANCELLED,
    NGX_HTTP_APPROVAL_COUNT_SHADOW,
    NGX_HTTP_APPROVAL_COUNT_UNSTORED,        /* passed by store_failure   */
    NGX_HTTP_APPROVAL_COUNT_GRANTED,         /* a grant was created       */
    NGX_HTTP_APPROVAL_COUNT_GRANT_USED,
    NGX_HTTP_APPROVAL_COUNT_BREAK_GLASS,
    NGX_HTTP_APPROVAL_COUNTERS,
    NGX_HTTP_APPROVAL_COUNT_NONE = NGX_HTTP_APPROVAL_COUNTERS
} ngx_http_approval_counter_e;


/* Counters of a channel: attempts to deliver. */

typedef enum {
    NGX_HTTP_APPROVAL_DELIVERED = 0,
    NGX_HTTP_APPROVAL_RETRIED,
    NGX_HTTP_APPROVAL_UNDELIVERED,
    NGX_HTTP_APPROVAL_DELIVERIES
} ngx_http_approval_delivery_e;


/* Sums over all workers; each adds its events since its last update. */

typedef enum {
    NGX_HTTP_APPROVAL_SUM_STORE_ERRORS = 0,
    NGX_HTTP_APPROVAL_SUM_STORE_RECONNECTS,
    NGX_HTTP_APPROVAL_SUM_AUDIT_ERRORS,
    NGX_HTTP_APPROVAL_SUM_AUDIT_RECORDS,
    NGX_HTTP_APPROVAL_SUM_AUDIT_CHECKPOINTS,
    NGX_HTTP_APPROVAL_SUM_AUDIT_SYNCS,
    NGX_HTTP_APPROVAL_SUMS
} ngx_http_approval_sum_e;


/* Values of one worker from its last update; dropped if the worker dies. */

typedef enum {
    NGX_HTTP_APPROVAL_GAUGE_STORE_UP = 0,
    NGX_HTTP_APPROVAL_GAUGE_STORE_RTT,       /* ms                        */
    NGX_HTTP_APPROVAL_GAUGE_AUDIT_FAILING,
    NGX_HTTP_APPROVAL_GAUGE_AUDIT_WAITING,
    NGX_HTTP_APPROVAL_GAUGES
} ngx_http_approval_gauge_e;


#define NGX_HTTP_APPROVAL_BUCKETS  13        /* and one for all above     */


/* mcf->counters, created by approval_zone. */

typedef struct ngx_http_approval_shared_s  ngx_http_approval_shared_t;
typedef struct ngx_http_approval_slot_s    ngx_http_approval_slot_t;

struct ngx_http_approval_counters_s {
    ngx_http_approval_main_conf_t   *mcf;
    ngx_shm_zone_t                  *zone;
    ngx_http_approval_shared_t      *shared;     /* from the zone's init   */
    ngx_http_approval_slot_t        *slot;       /* this worker's, or NULL */
};

typedef struct ngx_http_approval_counters_s  ngx_http_approval_counters_t;


/* The zone's init: finds or creates the series of all rules and channels. */
ngx_int_t ngx_http_approval_counters_init_zone(ngx_shm_zone_t *zone,
    void *data);

/* Called when a worker starts and exits; between them it has its own gauges. */
void ngx_http_approval_counters_attach(ngx_http_approval_main_conf_t *mcf,
    ngx_log_t *log);
void ngx_http_approval_counters_detach(ngx_http_approval_main_conf_t *mcf);


/* If rule is NULL, nothing is counted. */
void ngx_http_approval_count(ngx_http_approval_rule_t *rule,
    ngx_http_approval_counter_e counter);

/* Counts a transition; "waited" is for decisions: ms since the creation. */
void ngx_http_approval_count_move(ngx_http_approval_rule_t *rule,
    const ngx_http_approval_move_t *move, int64_t waited);

/* The rule of that name in the present configuration, or NULL. */
ngx_http_approval_rule_t *ngx_http_approval_count_rule(
    ngx_http_approval_main_conf_t *mcf, ngx_str_t *policy, ngx_str_t *rule);

void ngx_http_approval_count_refused(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_refusal_e refusal);

void ngx_http_approval_count_delivery(ngx_http_approval_channel_t *channel,
    ngx_http_approval_delivery_e result);

/* delta: 1 when a connection is held, -1 when it no longer is. */
void ngx_http_approval_count_held(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, ngx_int_t delta);

void ngx_http_approval_count_sum(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_sum_e sum, ngx_uint_t n);
void ngx_http_approval_count_gauge(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_gauge_e gauge, ngx_uint_t value);


/* The functions below are for the metrics page. */

/* Drops the gauges of workers that died; returns the number of live workers. */
ngx_uint_t ngx_http_approval_counters_workers(
    ngx_http_approval_main_conf_t *mcf);

ngx_uint_t ngx_http_approval_counted(ngx_http_approval_rule_t *rule,
    ngx_http_approval_counter_e counter);
ngx_uint_t ngx_http_approval_counted_held(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule);
ngx_uint_t ngx_http_approval_counted_delivery(
    ngx_http_approval_channel_t *channel, ngx_http_approval_delivery_e result);
ngx_uint_t ngx_http_approval_counted_sum(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_sum_e sum);

/*
 * Sets n to the number of refusals with the same type as this one, and returns
 * the type.  NULL: it is not counted here, or an earlier refusal has the same
 * type.
 */
const char *ngx_http_approval_counted_refused(
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_refusal_e refusal,
    ngx_uint_t *n);

/* The minimum and maximum over all workers; 0 and 0 if there are none. */
void ngx_http_approval_counted_gauge(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_gauge_e gauge, ngx_uint_t *min, ngx_uint_t *max);

/*
 * The upper bounds of buckets of decision times, in seconds.  The counts are
 * not cumulative; i = BUCKETS is the bucket above the last bound.
 */
extern const ngx_uint_t  ngx_http_approval_bounds[NGX_HTTP_APPROVAL_BUCKETS];

ngx_uint_t ngx_http_approval_counted_bucket(ngx_http_approval_rule_t *rule,
    ngx_uint_t i);
ngx_uint_t ngx_http_approval_counted_ms(ngx_http_approval_rule_t *rule);


#endif /* NGX_HTTP_APPROVAL_COUNTERS_H */
