
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * After a rotation of approval_key, every freeze is also stored under the
 * first key, so that it stays in force when the old key is removed.
 * Everything else that is found by a key (open actions, grants) ends before
 * that.  After a change of the number of shards, every freeze is stored in
 * all shards.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/freeze.h"
#include "model/action.h"
#include "model/hash.h"


#define NGX_HTTP_APPROVAL_CARRY  20000       /* ms */


static ngx_event_t  ngx_http_approval_carry_event;


static void ngx_http_approval_carry_timer(ngx_event_t *ev);
static ngx_uint_t ngx_http_approval_carries(
    ngx_http_approval_main_conf_t *mcf);
static void ngx_http_approval_carry_one(void *data,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_carry_hashes(
    ngx_http_approval_main_conf_t *mcf, json_t *doc,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes);


/*
 * Every worker reads the freezes once, which also tells it Redis' clock.
 * Worker 0 continues to read them, so that the gateway knows of a freeze, or
 * of its end, before a request is judged by it.
 */

void
ngx_http_approval_freeze_carry(ngx_http_approval_main_conf_t *mcf)
{
    ngx_event_t  *ev;

    ev = &ngx_http_approval_carry_event;

    ev->handler = ngx_http_approval_carry_timer;
    ev->data = (void *) mcf;
    ev->log = ngx_cycle->log;
    ev->cancelable = 1;

    ngx_http_approval_freeze_stop();
    ngx_http_approval_carry_timer(ev);
}


void
ngx_http_approval_freeze_stop(void)
{
    if (ngx_http_approval_carry_event.timer_set) {
        ngx_del_timer(&ngx_http_approval_carry_event);
    }
}


static void
ngx_http_approval_carry_timer(ngx_event_t *ev)
{
    ngx_http_approval_op_t         *op;
    ngx_http_approval_main_conf_t  *mcf;

    mcf = ev->data;

    if (!ngx_http_approval_store_ready(mcf->worker->store)) {
        return;
    }

    if (ngx_worker == 0) {
        ngx_add_timer(ev, NGX_HTTP_APPROVAL_CARRY);
    }

    op = ngx_http_approval_store_frozen(mcf->worker->store,
                                        ngx_http_approval_carry_one,
                                        (void *) mcf);

    if (op == NULL && ngx_http_approval_carries(mcf)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "some freezes could not be stored under the first "
                      "approval_key in all shards: reload once more before "
                      "you remove the other keys");
    }
}


/* Does this worker have to copy freezes to other keys or shards? */

static ngx_uint_t
ngx_http_approval_carries(ngx_http_approval_main_conf_t *mcf)
{
    return ngx_worker == 0 && (approval_keyring_size(mcf->keyring) > 1
                               || mcf->store_conf->shards > 1);
}


void
ngx_http_approval_freeze_learn(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_reply_t *reply)
{
    ngx_str_t  said[3];

    ngx_str_set(&said[0], "f");
    said[1].data = (u_char *) reply->id;
    said[1].len = APPROVAL_ID_LEN;
    said[2] = reply->doc;

    ngx_http_approval_ends_learn(mcf, said, 3, reply->now);
}


static void
ngx_http_approval_carry_one(void *data, const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_main_conf_t *mcf = data;

    u_char                   id[NGX_HTTP_APPROVAL_HASH_LEN],
                             buf[NGX_HTTP_APPROVAL_HASHES];
    json_t         *doc;
    ngx_str_t       sealed, hashes, first;
    approval_buf_t  again;

    if (reply->rc != NGX_OK) {
        return;
    }

    ngx_http_approval_freeze_learn(mcf, reply);

    if (!ngx_http_approval_carries(mcf) || reply->state == NGX_HTTP_APPROVAL_EXPIRED) {
        return;
    }

    sealed = reply->doc;
    ngx_memcpy(id, reply->id, sizeof(id));

    doc = ngx_http_approval_action_open(mcf, id, &sealed);

    approval_buf_init(&again);

    if (doc == NULL
        || ngx_http_approval_carry_hashes(mcf, doc, buf, &hashes) != NGX_OK
        || (ngx_memcmp(hashes.data, id, sizeof(id)) == 0
            && mcf->store_conf->shards == 1))
    {
        goto done;
    }

    first.data = hashes.data;
    first.len = NGX_HTTP_APPROVAL_HASH_LEN;

    json_object_set_new(doc, "id", ngx_http_approval_json_str(&first));

    if (ngx_http_approval_action_seal(mcf, doc, &again) != NGX_OK) {
        goto done;
    }

    sealed.data = again.data;
    sealed.len = again.len;

    (void) ngx_http_approval_store_freeze(mcf->worker->store, &hashes,
                                          NGX_HTTP_APPROVAL_FREEZE_CARRY,
                                          reply->expires, &sealed, NULL, NULL);

done:

    approval_buf_free(&again);
    json_decref(doc);
}


static ngx_int_t
ngx_http_approval_carry_hashes(ngx_http_approval_main_conf_t *mcf, json_t *doc,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes)
{
    ngx_int_t        rc;
    ngx_str_t        name, kind;
    const char      *err;
    approval_buf_t   person;

    kind = ngx_http_approval_json_get(doc, "kind");

    if (kind.len != 6 || ngx_memcmp(kind.data, "frozen", 6) != 0) {
        return NGX_DECLINED;
    }

    name = ngx_http_approval_json_get(doc, "policy");

    if (name.len) {
        return ngx_http_approval_hashes(mcf, NGX_HTTP_APPROVAL_HASH_POLICY,
                                        &name, 1, buf, hashes);
    }

    name = ngx_http_approval_json_get(doc, "requester");

    approval_buf_init(&person);

    rc = NGX_ERROR;

    if (approval_people_person(mcf->people, ngx_http_approval_core_str(&name),
                               &person, &err)
        == APPROVAL_OK)
    {
        name.data = person.data;
        name.len = person.len;

        rc = ngx_http_approval_hashes(mcf, NGX_HTTP_APPROVAL_HASH_REQUESTER,
                                      &name, 1, buf, hashes);
    }

    approval_buf_free(&person);

    return rc;
}
