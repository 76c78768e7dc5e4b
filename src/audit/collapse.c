
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Events that outsiders can cause without limit.  The first ones of a kind in
 * an interval are recorded one by one.  The others are counted, and one record
 * at the end of the interval has their number.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "audit/internal.h"


#define NGX_HTTP_APPROVAL_COLLAPSE_AFTER  10
#define NGX_HTTP_APPROVAL_COLLAPSE_TIME   10000


static json_t *ngx_http_approval_collapse_kind(approval_record_e type,
    json_t *fields);
static ngx_http_approval_collapse_t *ngx_http_approval_collapse_find(
    ngx_http_approval_audit_t *audit, approval_record_e type, json_t *kind);
static void ngx_http_approval_collapse_handler(ngx_event_t *ev);
static void ngx_http_approval_collapse_flush(ngx_http_approval_audit_t *audit,
    ngx_http_approval_collapse_t *c);


/*
 * The members in which events of a kind are equal.  Their values come from the
 * configuration and this program, not from clients, so there are few kinds.
 */

static const char  *ngx_http_approval_collapse_members[] = {
    "policy", "rule", "mode", "outcome", NULL
};


void
ngx_http_approval_collapse_init(ngx_http_approval_audit_t *audit)
{
    audit->collapse_end.handler = ngx_http_approval_collapse_handler;
    audit->collapse_end.data = audit;
    audit->collapse_end.log = audit->log;
    audit->collapse_end.cancelable = 1;
}


void
ngx_http_approval_collapse_done(ngx_http_approval_audit_t *audit)
{
    ngx_uint_t  i;

    if (audit->collapse_end.timer_set) {
        ngx_del_timer(&audit->collapse_end);
    }

    for (i = 0; i < NGX_HTTP_APPROVAL_COLLAPSE_KINDS; i++) {
        ngx_http_approval_collapse_flush(audit, &audit->collapse[i]);
    }
}


ngx_int_t
ngx_http_approval_audit_often(ngx_http_approval_main_conf_t *mcf,
    approval_record_e type, u_char *id, json_t *fields)
{
    json_t                        *kind;
    ngx_int_t                      rc;
    ngx_http_approval_audit_t     *audit;
    ngx_http_approval_collapse_t  *c;

    audit = mcf->worker->audit;

    if (audit == NULL || fields == NULL) {
        return ngx_http_approval_audit(mcf, type, id, fields);
    }

    kind = ngx_http_approval_collapse_kind(type, fields);

    if (kind == NULL) {
        json_decref(fields);
        return ngx_http_approval_audit_fail(audit, 0, "no memory");
    }

    c = ngx_http_approval_collapse_find(audit, type, kind);

    json_decref(kind);

    if (c->n < NGX_HTTP_APPROVAL_COLLAPSE_AFTER) {
        c->n++;
        return ngx_http_approval_audit(mcf, type, id, fields);
    }

    /* counting fails as well while the trail cannot be written */

    rc = audit->stats.failing ? NGX_ERROR : NGX_OK;

    if (c->more++ == 0) {
        c->since = ngx_http_approval_now();
    }

    if (!audit->collapse_end.timer_set) {
        ngx_add_timer(&audit->collapse_end, NGX_HTTP_APPROVAL_COLLAPSE_TIME);
    }

    json_decref(fields);

    return rc;
}


static json_t *
ngx_http_approval_collapse_kind(approval_record_e type, json_t *fields)
{
    json_t       *kind, *value;
    const char  **name;

    kind = json_pack("{s:s}", "type", approval_record_name(type));
    if (kind == NULL) {
        return NULL;
    }

    value = json_object_get(fields, "refusal");

    if (json_object_set(kind, value ? "refusal" : "why",
                        value ? value : json_object_get(fields, "why"))
        != 0)
    {
        json_object_set_new(kind, "why", json_null());
    }

    for (name = ngx_http_approval_collapse_members; *name; name++) {
        value = json_object_get(fields, *name);

        if (value && json_object_set(kind, *name, value) != 0) {
            json_decref(kind);
            return NULL;
        }
    }

    return kind;
}


/* The last place is shared by all kinds for which there is no other. */

static ngx_http_approval_collapse_t *
ngx_http_approval_collapse_find(ngx_http_approval_audit_t *audit,
    approval_record_e type, json_t *kind)
{
    ngx_uint_t                     i;
    ngx_http_approval_collapse_t  *c, *free;

    free = NULL;
    c = audit->collapse;

    for (i = 0; i < NGX_HTTP_APPROVAL_COLLAPSE_KINDS; i++, c++) {

        if (c->kind && ngx_current_msec - c->begin
                       >= NGX_HTTP_APPROVAL_COLLAPSE_TIME)
        {
            ngx_http_approval_collapse_flush(audit, c);
        }

        if (c->kind && json_equal(c->kind, kind)) {
            return c;
        }

        if (c->kind == NULL && free == NULL) {
            free = c;
        }
    }

    if (free == NULL) {
        return &audit->collapse[NGX_HTTP_APPROVAL_COLLAPSE_KINDS - 1];
    }

    free->kind = (free == &audit->collapse[NGX_HTTP_APPROVAL_COLLAPSE_KINDS
                                           - 1])
                 ? json_pack("{s:O, s:s}", "type",
                             json_object_get(kind, "type"),
                             "why", "of several kinds")
                 : json_incref(kind);
    free->type = type;
    free->begin = ngx_current_msec;

    return free;
}


static void
ngx_http_approval_collapse_handler(ngx_event_t *ev)
{
    ngx_http_approval_audit_t *audit = ev->data;

    ngx_uint_t                     i, more;
    ngx_http_approval_collapse_t  *c;

    more = 0;
    c = audit->collapse;

    for (i = 0; i < NGX_HTTP_APPROVAL_COLLAPSE_KINDS; i++, c++) {

        if (ngx_current_msec - c->begin >= NGX_HTTP_APPROVAL_COLLAPSE_TIME) {
            ngx_http_approval_collapse_flush(audit, c);
        }

        more += c->more;
    }

    if (more && !ngx_exiting) {
        ngx_add_timer(ev, NGX_HTTP_APPROVAL_COLLAPSE_TIME);
    }
}


/* Ends the interval of a kind: records the number of counted events. */

static void
ngx_http_approval_collapse_flush(ngx_http_approval_audit_t *audit,
    ngx_http_approval_collapse_t *c)
{
    json_t  *fields;

    if (c->kind && c->more) {
        fields = json_copy(c->kind);

        if (fields) {
            json_object_set_new(fields, "collapsed", json_integer(c->more));
            json_object_set_new(fields, "since",
                                ngx_http_approval_json_time(c->since));
        }

        ngx_http_approval_audit_late(audit->mcf, c->type, NULL, fields);
    }

    json_decref(c->kind);

    ngx_memzero(c, sizeof(ngx_http_approval_collapse_t));
}
