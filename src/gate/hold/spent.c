
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The approvals that were used on this host.  Redis takes each approval once;
 * but Redis may forget, by a failover that lost the write or by somebody who
 * puts the old keys back.  An id that stands here is not forwarded again.
 *
 * A table of fixed size in shared memory, without a free list: an id has a
 * bucket, and a new one takes the place of the oldest there.  So it forgets,
 * too, but only when some tens of thousands of others were used since.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


#define NGX_HTTP_APPROVAL_SPENT_MAGIC    0x73706e74
#define NGX_HTTP_APPROVAL_SPENT_BUCKETS  4096
#define NGX_HTTP_APPROVAL_SPENT_WAYS     8
#define NGX_HTTP_APPROVAL_SPENT_SIZE     (1024 * 1024)


typedef struct {
    u_char                          id[APPROVAL_ID_LEN / 2];
    uint64_t                        turn;        /* 0: nothing stands here */
} ngx_http_approval_spent_id_t;


typedef struct {
    uint64_t                        magic;
    uint64_t                        turn;
    ngx_http_approval_spent_id_t    ids[NGX_HTTP_APPROVAL_SPENT_BUCKETS]
                                       [NGX_HTTP_APPROVAL_SPENT_WAYS];
} ngx_http_approval_spent_t;


static ngx_int_t ngx_http_approval_spent_init_zone(ngx_shm_zone_t *zone,
    void *data);


ngx_int_t
ngx_http_approval_spent_zone(ngx_conf_t *cf,
    ngx_http_approval_main_conf_t *mcf)
{
    ngx_str_t  name = ngx_string("ngx_http_approval_spent");

    mcf->spent = ngx_shared_memory_add(cf, &name, NGX_HTTP_APPROVAL_SPENT_SIZE,
                                       &ngx_http_approval_module);
    if (mcf->spent == NULL) {
        return NGX_ERROR;
    }

    mcf->spent->init = ngx_http_approval_spent_init_zone;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_spent_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t            *pool;
    ngx_http_approval_spent_t  *spent;

    pool = (ngx_slab_pool_t *) zone->shm.addr;
    spent = data;

    if (spent == NULL && zone->shm.exists) {
        spent = pool->data;
    }

    /* a table of another version of this module is laid out otherwise */

    if (spent == NULL || spent->magic != NGX_HTTP_APPROVAL_SPENT_MAGIC) {

        spent = ngx_slab_calloc(pool, sizeof(ngx_http_approval_spent_t));
        if (spent == NULL) {
            return NGX_ERROR;
        }

        spent->magic = NGX_HTTP_APPROVAL_SPENT_MAGIC;
    }

    pool->data = spent;
    zone->data = spent;

    return NGX_OK;
}


/* Ids are random: their first bytes are as good as a hash. */

ngx_int_t
ngx_http_approval_spend(ngx_http_approval_main_conf_t *mcf,
    u_char id[APPROVAL_ID_LEN])
{
    u_char                         bin[APPROVAL_ID_LEN / 2];
    ngx_int_t                      rc;
    ngx_uint_t                     i;
    approval_str_t                 hex;
    ngx_slab_pool_t               *pool;
    ngx_http_approval_spent_t     *spent;
    ngx_http_approval_spent_id_t  *bucket, *oldest;

    hex.data = id;
    hex.len = APPROVAL_ID_LEN;

    if (mcf->spent == NULL
        || approval_hex_decode(bin, hex) != sizeof(bin))
    {
        return NGX_ERROR;
    }

    pool = (ngx_slab_pool_t *) mcf->spent->shm.addr;
    spent = mcf->spent->data;

    bucket = spent->ids[(bin[0] << 8 | bin[1])
                        % NGX_HTTP_APPROVAL_SPENT_BUCKETS];
    oldest = bucket;
    rc = NGX_OK;

    ngx_shmtx_lock(&pool->mutex);

    for (i = 0; i < NGX_HTTP_APPROVAL_SPENT_WAYS; i++) {

        if (bucket[i].turn
            && ngx_memcmp(bucket[i].id, bin, sizeof(bin)) == 0)
        {
            rc = NGX_DECLINED;
            break;
        }

        if (bucket[i].turn < oldest->turn) {
            oldest = &bucket[i];
        }
    }

    if (rc == NGX_OK) {
        ngx_memcpy(oldest->id, bin, sizeof(bin));
        oldest->turn = ++spent->turn;
    }

    ngx_shmtx_unlock(&pool->mutex);

    return rc;
}
