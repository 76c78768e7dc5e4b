
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Events that are recorded once, although a page repeats them by itself.  The
 * marks of recorded events are in memory that all workers share.  The place of
 * a mark follows from the event.  Another event may take that place; then the
 * first one would be recorded again, but none is ever left out.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/audit.h"

#include "core/json.h"
#include "core/keys.h"


#define NGX_HTTP_APPROVAL_ONCE_MARKS  8192
#define NGX_HTTP_APPROVAL_ONCE_ZONE   (512 * 1024)


static ngx_int_t ngx_http_approval_audit_once_init(ngx_shm_zone_t *zone,
    void *data);
static ngx_atomic_uint_t ngx_http_approval_audit_mark(approval_record_e type,
    u_char *id, json_t *fields);


ngx_int_t
ngx_http_approval_audit_once_zone(ngx_conf_t *cf,
    ngx_http_approval_audit_conf_t *acf)
{
    ngx_str_t  name = ngx_string("ngx_http_approval_once");

    acf->once = ngx_shared_memory_add(cf, &name, NGX_HTTP_APPROVAL_ONCE_ZONE,
                                      &ngx_http_approval_module);
    if (acf->once == NULL) {
        return NGX_ERROR;
    }

    acf->once->init = ngx_http_approval_audit_once_init;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_audit_once_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t  *pool;

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (pool->data == NULL) {
        pool->data = ngx_slab_calloc(pool, NGX_HTTP_APPROVAL_ONCE_MARKS
                                           * sizeof(ngx_atomic_t));
    }

    zone->data = pool->data;

    return zone->data ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_approval_audit_once(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields)
{
    ngx_int_t           rc;
    ngx_atomic_t       *marks;
    ngx_atomic_uint_t   mark;

    mark = mcf->audit_conf && fields
           ? ngx_http_approval_audit_mark(type, id, fields) : 0;

    if (mark == 0) {
        return ngx_http_approval_audit(mcf, type, id, fields);
    }

    marks = mcf->audit_conf->once->data;
    marks += mark % NGX_HTTP_APPROVAL_ONCE_MARKS;

    if (*marks == mark) {
        json_decref(fields);
        return NGX_OK;
    }

    rc = ngx_http_approval_audit(mcf, type, id, fields);

    if (rc == NGX_OK) {
        *marks = mark;
    }

    return rc;
}


/* 0: there is no memory for it. */

static ngx_atomic_uint_t
ngx_http_approval_audit_mark(approval_record_e type, u_char *id,
    json_t *fields)
{
    u_char              md[APPROVAL_SHA256_LEN];
    approval_buf_t      text;
    ngx_atomic_uint_t   mark;

    approval_buf_init(&text);
    approval_buf_add(&text, id, APPROVAL_ID_LEN);
    approval_buf_adds(&text, approval_record_name(type));

    mark = 0;

    if (approval_json_canonical(fields, &text) == APPROVAL_OK
        && !text.failed
        && approval_sha256(approval_buf_str(&text), md) == APPROVAL_OK)
    {
        ngx_memcpy(&mark, md, sizeof(mark));
    }

    approval_buf_free(&text);

    return mark;
}
