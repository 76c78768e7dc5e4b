
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The MACs by which the store finds and counts actions, and the shard that they
 * are in.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"


static ngx_int_t ngx_http_approval_find_join(ngx_http_approval_hold_t *hold,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes);
static ngx_int_t ngx_http_approval_find_cap(ngx_http_approval_hold_t *hold,
    ngx_http_approval_limit_t *limit, const char *purpose,
    u_char hashes[NGX_HTTP_APPROVAL_HASHES], ngx_http_approval_cap_t *cap);


/* An id begins with the shard of its requester. */

ngx_int_t
ngx_http_approval_find_id(ngx_http_approval_hold_t *hold)
{
    if (approval_id((char *) hold->action.id) != APPROVAL_OK) {
        return NGX_ERROR;
    }

    return ngx_http_approval_find_shard(hold, &hold->verdict->who.person,
                                        hold->action.id);
}


ngx_int_t
ngx_http_approval_find_shard(ngx_http_approval_hold_t *hold,
    const ngx_str_t *person, u_char *shard)
{
    if (hold->mcf->worker->store == NULL) {
        ngx_memcpy(shard, "00", NGX_HTTP_APPROVAL_SHARD_LEN);
        return NGX_OK;
    }

    return ngx_http_approval_store_shard(hold->mcf->worker->store, person,
                                         shard);
}


/* Freezes find the requester by these hashes, too. */

ngx_int_t
ngx_http_approval_find_requester(ngx_http_approval_hold_t *hold,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes)
{
    ngx_str_t  person;

    person = hold->verdict->who.person;

    return ngx_http_approval_hashes(hold->mcf,
                                    NGX_HTTP_APPROVAL_HASH_REQUESTER, &person,
                                    1, buf, hashes);
}


ngx_int_t
ngx_http_approval_find_new(ngx_http_approval_hold_t *hold,
    ngx_http_approval_find_t *find, ngx_http_approval_new_t *new)
{
    new->policy = hold->verdict->rule->policy->hashes;

    if (ngx_http_approval_find_join(hold, find->join, &new->join) != NGX_OK
        || ngx_http_approval_find_requester(hold, find->requester,
                                            &new->requester)
           != NGX_OK
        || ngx_http_approval_find_cap(hold, &hold->lcf->max_pending, "per",
                             find->caps[NGX_HTTP_APPROVAL_CAP_PENDING],
                             &new->caps[NGX_HTTP_APPROVAL_CAP_PENDING])
           != NGX_OK
        || ngx_http_approval_find_cap(hold, &hold->lcf->max_prompts, "prompts",
                             find->caps[NGX_HTTP_APPROVAL_CAP_PROMPTS],
                             &new->caps[NGX_HTTP_APPROVAL_CAP_PROMPTS])
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The decision contains this MAC, too, so that hold_owns() notices if the store
 * leads to another requester's action.
 */

static ngx_int_t
ngx_http_approval_find_join(ngx_http_approval_hold_t *hold,
    u_char buf[NGX_HTTP_APPROVAL_HASHES], ngx_str_t *hashes)
{
    ngx_str_t                  parts[5];
    ngx_http_approval_rule_t  *rule;

    rule = hold->verdict->rule;

    parts[0] = hold->verdict->who.person;
    parts[1] = rule->policy->name;
    parts[2] = rule->name;
    parts[3].len = APPROVAL_DIGEST_LEN;
    parts[3].data = (u_char *) hold->action.digest;
    parts[4] = rule->policy->digest;

    if (ngx_http_approval_hashes(hold->mcf, "join", parts, 5, buf, hashes)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    hold->action.joins.data = ngx_pstrdup(hold->request->pool, hashes);
    hold->action.joins.len = hashes->len;

    if (hold->action.joins.data == NULL
        || json_object_set_new(hold->action.doc, "join",
                               json_stringn((char *) hold->action.joins.data,
                                            NGX_HTTP_APPROVAL_HASH_LEN))
           != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Without a time of its own, a limit counts an action while it can be open. */

static ngx_int_t
ngx_http_approval_find_cap(ngx_http_approval_hold_t *hold,
    ngx_http_approval_limit_t *limit, const char *purpose,
    u_char hashes[NGX_HTTP_APPROVAL_HASHES], ngx_http_approval_cap_t *cap)
{
    u_char                    shard[NGX_HTTP_APPROVAL_SHARD_LEN];
    ngx_int_t                 rc;
    ngx_str_t                 parts[2], person;
    ngx_http_approval_look_t  look;

    if (limit->n == 0) {
        return NGX_OK;
    }

    ngx_str_set(&parts[0], "");
    parts[1] = hold->verdict->rule->policy->name;
    person = parts[1];

    if (limit->per) {
        ngx_http_approval_look(&look, hold->request, hold->body,
                               hold->verdict->captures);

        if (ngx_http_approval_read_text(&look, limit->per, &parts[0])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    /* use one shard for all names of a person */

    if (parts[0].len) {
        rc = ngx_http_approval_identify_person(hold->request, &parts[0],
                                               &person);
        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            person = parts[0];
        }
    }

    if (ngx_http_approval_hashes(hold->mcf, purpose, parts, 2, hashes,
                                 &cap->per)
        != NGX_OK
        || ngx_http_approval_find_shard(hold, &person, shard) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* requesters may differ, so the shard is the one of the value */

    ngx_http_approval_store_place(&cap->per, shard);

    cap->max = limit->n;
    cap->time = limit->time ? limit->time
                            : hold->verdict->rule->timeout
                              + hold->verdict->rule->execute_within;

    return NGX_OK;
}
