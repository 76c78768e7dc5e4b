
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The zone has one series for each rule and channel since the zone was created.
 * A reload finds it again by name, so old and new workers increase the same
 * cells.  Each worker has its gauges in its own slot.  If a worker crashes, the
 * values are dropped with its slot instead of being added up for ever.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/counters.h"


#define NGX_HTTP_APPROVAL_SHARED_MAGIC  0x61707276
#define NGX_HTTP_APPROVAL_SLOTS         128


typedef struct ngx_http_approval_series_s  ngx_http_approval_series_t;

struct ngx_http_approval_series_s {
    ngx_http_approval_series_t      *next;
    ngx_uint_t                       number;     /* of its gauge           */

    ngx_atomic_t                     cells[NGX_HTTP_APPROVAL_COUNTERS];
    ngx_atomic_t                     buckets[NGX_HTTP_APPROVAL_BUCKETS + 1];
    ngx_atomic_t                     ms;         /* of all decisions       */

    size_t                           len;
    u_char                           name[1];
};


/* pid 0: free.  Claimed and released under the zone's mutex. */

struct ngx_http_approval_slot_s {
    ngx_atomic_t                     pid;
    ngx_atomic_t                     gauges[NGX_HTTP_APPROVAL_GAUGES];
    ngx_atomic_t                    *held;       /* by a series' number    */
    ngx_uint_t                       nheld;
};


struct ngx_http_approval_shared_s {
    ngx_uint_t                       magic;
    ngx_uint_t                       size;       /* of this struct         */

    ngx_http_approval_series_t      *series;
    ngx_uint_t                       nseries;

    ngx_atomic_t                     sums[NGX_HTTP_APPROVAL_SUMS];
    ngx_atomic_t                     refused[NGX_HTTP_APPROVAL_REFUSALS];

    ngx_http_approval_slot_t         slots[NGX_HTTP_APPROVAL_SLOTS];
};


static ngx_int_t ngx_http_approval_counters_shared(
    ngx_http_approval_counters_t *counters, ngx_slab_pool_t *pool);
static ngx_int_t ngx_http_approval_counters_bind(
    ngx_http_approval_counters_t *counters, ngx_slab_pool_t *pool);
static ngx_http_approval_series_t *ngx_http_approval_counters_series(
    ngx_http_approval_counters_t *counters, ngx_slab_pool_t *pool,
    const ngx_str_t *first, const ngx_str_t *second);
static const char *ngx_http_approval_counters_label(
    ngx_http_approval_refusal_e refusal);
static void ngx_http_approval_counters_free(ngx_slab_pool_t *pool,
    ngx_http_approval_slot_t *slot);
static ngx_uint_t ngx_http_approval_counters_sweep(
    ngx_http_approval_shared_t *shared, ngx_slab_pool_t *pool);


/* Seconds, for reactions of people: from a few seconds to a day. */

const ngx_uint_t  ngx_http_approval_bounds[NGX_HTTP_APPROVAL_BUCKETS] = {
    1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 14400, 86400
};


ngx_int_t
ngx_http_approval_counters_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_http_approval_counters_t *old = data;

    size_t                         len;
    ngx_int_t                      rc;
    ngx_slab_pool_t               *pool;
    ngx_http_approval_counters_t  *counters;

    counters = zone->data;
    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (old) {
        counters->shared = old->shared;

    } else if (zone->shm.exists) {
        counters->shared = pool->data;

    } else {
        len = sizeof(" in approval_zone \"\"") + zone->shm.name.len;

        pool->log_ctx = ngx_slab_alloc(pool, len);
        if (pool->log_ctx == NULL) {
            goto small;
        }

        ngx_sprintf(pool->log_ctx, " in approval_zone \"%V\"%Z",
                    &zone->shm.name);

        pool->log_nomem = 0;
    }

    rc = ngx_http_approval_counters_shared(counters, pool);

    if (rc == NGX_OK) {
        rc = ngx_http_approval_counters_bind(counters, pool);
    }

    if (rc == NGX_OK) {
        return NGX_OK;
    }

small:

    ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                  "\"approval_zone %V\" is too small for the counters of the "
                  "configured rules and channels: make it larger than %uzk",
                  &zone->shm.name, zone->shm.size / 1024);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_counters_shared(ngx_http_approval_counters_t *counters,
    ngx_slab_pool_t *pool)
{
    ngx_http_approval_shared_t  *shared;

    shared = counters->shared;

    /* another version of this module has another layout of cells */

    if (shared
        && (shared->magic != NGX_HTTP_APPROVAL_SHARED_MAGIC
            || shared->size != sizeof(ngx_http_approval_shared_t)))
    {
        shared = NULL;
    }

    if (shared == NULL) {
        shared = ngx_slab_calloc(pool, sizeof(ngx_http_approval_shared_t));
        if (shared == NULL) {
            return NGX_ERROR;
        }

        shared->magic = NGX_HTTP_APPROVAL_SHARED_MAGIC;
        shared->size = sizeof(ngx_http_approval_shared_t);
    }

    counters->shared = shared;
    pool->data = shared;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_counters_bind(ngx_http_approval_counters_t *counters,
    ngx_slab_pool_t *pool)
{
    ngx_str_t                        kind;
    ngx_uint_t                       i, j;
    ngx_http_approval_rule_conf_t  **rules;
    ngx_http_approval_policy_t     **policies;
    ngx_http_approval_channel_t    **channels;
    ngx_http_approval_main_conf_t   *mcf;

    mcf = counters->mcf;
    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {
        rules = policies[i]->rules.elts;

        for (j = 0; j < policies[i]->rules.nelts; j++) {

            if (rules[j]->outcome == NGX_HTTP_APPROVAL_ALLOW) {
                continue;
            }

            rules[j]->series = ngx_http_approval_counters_series(counters,
                                                        pool,
                                                        &policies[i]->name,
                                                        &rules[j]->name);
            if (rules[j]->series == NULL) {
                return NGX_ERROR;
            }
        }
    }

    /* no policy has an empty name */

    ngx_str_set(&kind, "");

    channels = mcf->channels.elts;

    for (i = 0; i < mcf->channels.nelts; i++) {
        channels[i]->series = ngx_http_approval_counters_series(counters,
                                                        pool, &kind,
                                                        &channels[i]->name);
        if (channels[i]->series == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Called in the master process only, which alone adds series. */

static ngx_http_approval_series_t *
ngx_http_approval_counters_series(ngx_http_approval_counters_t *counters,
    ngx_slab_pool_t *pool, const ngx_str_t *first, const ngx_str_t *second)
{
    size_t                       len;
    u_char                      *p;
    ngx_http_approval_series_t  *series, **last;

    len = first->len + 1 + second->len;

    for (last = &counters->shared->series; *last; last = &(*last)->next) {
        series = *last;

        if (series->len == len
            && ngx_memcmp(series->name, first->data, first->len) == 0
            && series->name[first->len] == '\0'
            && ngx_memcmp(series->name + first->len + 1, second->data,
                          second->len)
               == 0)
        {
            return series;
        }
    }

    series = ngx_slab_calloc(pool,
                             offsetof(ngx_http_approval_series_t, name) + len);
    if (series == NULL) {
        return NULL;
    }

    series->number = counters->shared->nseries++;
    series->len = len;

    p = ngx_cpymem(series->name, first->data, first->len);
    *p++ = '\0';
    ngx_memcpy(p, second->data, second->len);

    *last = series;

    return series;
}


void
ngx_http_approval_counters_attach(ngx_http_approval_main_conf_t *mcf,
    ngx_log_t *log)
{
    ngx_uint_t                     i;
    ngx_slab_pool_t               *pool;
    ngx_http_approval_slot_t      *slot;
    ngx_http_approval_counters_t  *counters;

    counters = mcf->counters;

    if (counters == NULL || counters->shared == NULL) {
        return;
    }

    pool = (ngx_slab_pool_t *) counters->zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    (void) ngx_http_approval_counters_sweep(counters->shared, pool);

    slot = counters->shared->slots;

    for (i = 0; i < NGX_HTTP_APPROVAL_SLOTS && slot[i].pid; i++) {
        /* void */
    }

    if (i < NGX_HTTP_APPROVAL_SLOTS) {
        slot = &slot[i];

        slot->nheld = counters->shared->nseries;
        slot->held = slot->nheld
                     ? ngx_slab_calloc_locked(pool, slot->nheld
                                                    * sizeof(ngx_atomic_t))
                     : NULL;

        if (slot->held == NULL) {
            slot->nheld = 0;
        }

        slot->pid = ngx_pid;
        counters->slot = slot;
    }

    ngx_shmtx_unlock(&pool->mutex);

    if (counters->slot == NULL
        || counters->slot->nheld < counters->shared->nseries)
    {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "\"approval_zone %V\" is full: the metrics do not "
                      "include the requests that this worker holds; make the "
                      "zone larger", &counters->zone->shm.name);
    }
}


void
ngx_http_approval_counters_detach(ngx_http_approval_main_conf_t *mcf)
{
    ngx_slab_pool_t               *pool;
    ngx_http_approval_counters_t  *counters;

    counters = mcf->counters;

    if (counters == NULL || counters->slot == NULL) {
        return;
    }

    pool = (ngx_slab_pool_t *) counters->zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    ngx_http_approval_counters_free(pool, counters->slot);

    ngx_shmtx_unlock(&pool->mutex);

    counters->slot = NULL;
}


static void
ngx_http_approval_counters_free(ngx_slab_pool_t *pool,
    ngx_http_approval_slot_t *slot)
{
    if (slot->held) {
        ngx_slab_free_locked(pool, (void *) slot->held);
    }

    ngx_memzero(slot, sizeof(ngx_http_approval_slot_t));
}


/* The caller must hold the mutex. */

static ngx_uint_t
ngx_http_approval_counters_sweep(ngx_http_approval_shared_t *shared,
    ngx_slab_pool_t *pool)
{
    ngx_uint_t                 i, n;
    ngx_http_approval_slot_t  *slot;

    n = 0;

    for (i = 0; i < NGX_HTTP_APPROVAL_SLOTS; i++) {
        slot = &shared->slots[i];

        if (slot->pid == 0) {
            continue;
        }

        if (kill((ngx_pid_t) slot->pid, 0) == -1 && ngx_errno == NGX_ESRCH) {
            ngx_http_approval_counters_free(pool, slot);
            continue;
        }

        n++;
    }

    return n;
}


ngx_uint_t
ngx_http_approval_counters_workers(ngx_http_approval_main_conf_t *mcf)
{
    ngx_uint_t        n;
    ngx_slab_pool_t  *pool;

    pool = (ngx_slab_pool_t *) mcf->counters->zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    n = ngx_http_approval_counters_sweep(mcf->counters->shared, pool);

    ngx_shmtx_unlock(&pool->mutex);

    return n;
}


void
ngx_http_approval_count(ngx_http_approval_rule_t *rule,
    ngx_http_approval_counter_e counter)
{
    if (rule && rule->series) {
        (void) ngx_atomic_fetch_add(&rule->series->cells[counter], 1);
    }
}


void
ngx_http_approval_count_move(ngx_http_approval_rule_t *rule,
    const ngx_http_approval_move_t *move, int64_t waited)
{
    int64_t                      ms;
    ngx_uint_t                   i;
    ngx_http_approval_series_t  *series;

    if (move->counter == NGX_HTTP_APPROVAL_COUNT_NONE) {
        return;
    }

    ngx_http_approval_count(rule, move->counter);

    if (rule == NULL || rule->series == NULL
        || (move->counter != NGX_HTTP_APPROVAL_COUNT_APPROVED
            && move->counter != NGX_HTTP_APPROVAL_COUNT_DENIED))
    {
        return;
    }

    series = rule->series;
    ms = ngx_max(waited, 0);

    for (i = 0; i < NGX_HTTP_APPROVAL_BUCKETS; i++) {
        if (ms <= (int64_t) ngx_http_approval_bounds[i] * 1000) {
            break;
        }
    }

    (void) ngx_atomic_fetch_add(&series->ms, (ngx_atomic_int_t) ms);
    (void) ngx_atomic_fetch_add(&series->buckets[i], 1);
}


ngx_http_approval_rule_t *
ngx_http_approval_count_rule(ngx_http_approval_main_conf_t *mcf,
    ngx_str_t *policy, ngx_str_t *rule)
{
    ngx_uint_t                    i, j;
    ngx_http_approval_rule_t    **rules;
    ngx_http_approval_policy_t  **policies;

    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {

        if (policies[i]->name.len != policy->len
            || ngx_strncmp(policies[i]->name.data, policy->data, policy->len)
               != 0)
        {
            continue;
        }

        rules = policies[i]->rules.elts;

        for (j = 0; j < policies[i]->rules.nelts; j++) {
            if (rules[j]->name.len == rule->len
                && ngx_strncmp(rules[j]->name.data, rule->data, rule->len)
                   == 0)
            {
                return rules[j];
            }
        }
    }

    return NULL;
}


void
ngx_http_approval_count_refused(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_refusal_e refusal)
{
    if (mcf->counters) {
        (void) ngx_atomic_fetch_add(&mcf->counters->shared->refused[refusal],
                                    1);
    }
}


void
ngx_http_approval_count_delivery(ngx_http_approval_channel_t *channel,
    ngx_http_approval_delivery_e result)
{
    if (channel->series) {
        (void) ngx_atomic_fetch_add(&channel->series->cells[result], 1);
    }
}


void
ngx_http_approval_count_held(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, ngx_int_t delta)
{
    ngx_http_approval_slot_t  *slot;

    if (mcf->counters == NULL || rule == NULL || rule->series == NULL) {
        return;
    }

    slot = mcf->counters->slot;

    if (slot && rule->series->number < slot->nheld) {
        (void) ngx_atomic_fetch_add(&slot->held[rule->series->number], delta);
    }
}


void
ngx_http_approval_count_sum(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_sum_e sum, ngx_uint_t n)
{
    if (mcf->counters && n) {
        (void) ngx_atomic_fetch_add(&mcf->counters->shared->sums[sum], n);
    }
}


void
ngx_http_approval_count_gauge(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_gauge_e gauge, ngx_uint_t value)
{
    if (mcf->counters && mcf->counters->slot) {
        mcf->counters->slot->gauges[gauge] = value;
    }
}


ngx_uint_t
ngx_http_approval_counted(ngx_http_approval_rule_t *rule,
    ngx_http_approval_counter_e counter)
{
    return rule->series ? rule->series->cells[counter] : 0;
}


/* It is harmless to read a slot that another worker releases meanwhile. */

ngx_uint_t
ngx_http_approval_counted_held(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule)
{
    ngx_int_t                  n;
    ngx_uint_t                 i;
    ngx_atomic_t              *held;
    ngx_http_approval_slot_t  *slot;

    n = 0;

    for (i = 0; i < NGX_HTTP_APPROVAL_SLOTS; i++) {
        slot = &mcf->counters->shared->slots[i];
        held = slot->held;

        if (slot->pid && held && rule->series
            && rule->series->number < slot->nheld)
        {
            n += (ngx_int_t) held[rule->series->number];
        }
    }

    return ngx_max(n, 0);
}


ngx_uint_t
ngx_http_approval_counted_delivery(ngx_http_approval_channel_t *channel,
    ngx_http_approval_delivery_e result)
{
    return channel->series ? channel->series->cells[result] : 0;
}


ngx_uint_t
ngx_http_approval_counted_sum(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_sum_e sum)
{
    return mcf->counters->shared->sums[sum];
}


const char *
ngx_http_approval_counted_refused(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_refusal_e refusal, ngx_uint_t *n)
{
    ngx_uint_t   i;
    const char  *label;

    label = ngx_http_approval_counters_label(refusal);
    *n = 0;

    /* it is counted by rule */

    if (refusal == NGX_HTTP_APPROVAL_REFUSE_PENDING) {
        return NULL;
    }

    for (i = 0; i < NGX_HTTP_APPROVAL_REFUSALS; i++) {

        if (ngx_strcmp(ngx_http_approval_counters_label(i), label) != 0) {
            continue;
        }

        if (i < (ngx_uint_t) refusal) {
            return NULL;
        }

        *n += mcf->counters->shared->refused[i];
    }

    return label;
}


/* Distinguishes a denial by a rule from one by an approver. */

static const char *
ngx_http_approval_counters_label(ngx_http_approval_refusal_e refusal)
{
    return (refusal == NGX_HTTP_APPROVAL_REFUSE_POLICY)
           ? "policy" : ngx_http_approval_refusals[refusal].type;
}


void
ngx_http_approval_counted_gauge(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_gauge_e gauge, ngx_uint_t *min, ngx_uint_t *max)
{
    ngx_uint_t                 i, n, value;
    ngx_http_approval_slot_t  *slot;

    n = 0;
    *min = 0;
    *max = 0;

    for (i = 0; i < NGX_HTTP_APPROVAL_SLOTS; i++) {
        slot = &mcf->counters->shared->slots[i];

        if (slot->pid == 0) {
            continue;
        }

        value = slot->gauges[gauge];

        *min = n++ ? ngx_min(*min, value) : value;
        *max = ngx_max(*max, value);
    }
}


ngx_uint_t
ngx_http_approval_counted_bucket(ngx_http_approval_rule_t *rule, ngx_uint_t i)
{
    return rule->series ? rule->series->buckets[i] : 0;
}


ngx_uint_t
ngx_http_approval_counted_ms(ngx_http_approval_rule_t *rule)
{
    return rule->series ? rule->series->ms : 0;
}
