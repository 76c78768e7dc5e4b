
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "notify/sender.h"

#include "model/counters.h"
#include "notify/notify.h"


/*
 * Lives in its own pool until the queue has replied.  Letters are created at
 * once and sent when they are in the queue.
 */

struct ngx_http_approval_plan_s {
    ngx_pool_t                    *pool;
    ngx_http_approval_sender_t    *sender;
    ngx_http_approval_told_t       told;
    ngx_array_t                    entries;     /* of ..._entry_t             */
    ngx_array_t                    letters;     /* of ..._letter_t *          */
    ngx_uint_t                     count[3];    /* by kind                    */
    ngx_uint_t                     waiting;     /* for replies of the queue   */
    unsigned                       over:1;      /* the action has ended       */
};


static void ngx_http_approval_plan_added(void *data,
    const ngx_http_approval_reply_t *reply);
static void ngx_http_approval_plan_end(ngx_http_approval_plan_t *plan,
    ngx_uint_t send);


ngx_http_approval_plan_t *
ngx_http_approval_plan_create(ngx_http_approval_sender_t *sender,
    const ngx_http_approval_told_t *told)
{
    ngx_pool_t                *pool;
    ngx_http_approval_plan_t  *plan;

    pool = ngx_create_pool(1024, sender->log);
    if (pool == NULL) {
        return NULL;
    }

    plan = ngx_pcalloc(pool, sizeof(ngx_http_approval_plan_t));

    if (plan == NULL
        || ngx_array_init(&plan->entries, pool, 4,
                          sizeof(ngx_http_approval_entry_t))
           != NGX_OK
        || ngx_array_init(&plan->letters, pool, 4, sizeof(void *)) != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    plan->pool = pool;
    plan->sender = sender;
    plan->told = *told;

    return plan;
}


ngx_int_t
ngx_http_approval_plan_add(ngx_http_approval_plan_t *plan, u_char kind,
    ngx_http_approval_channel_t *channel, ngx_str_t *approver,
    ngx_msec_t due, ngx_msec_t again)
{
    u_char                       *p;
    ngx_str_t                     name;
    ngx_uint_t                   *count;
    ngx_http_approval_told_t      told;
    ngx_http_approval_entry_t    *entry;
    ngx_http_approval_letter_t  **letter;

    count = &plan->count[kind == NGX_HTTP_APPROVAL_KIND_MESSAGE ? 0
                         : kind == NGX_HTTP_APPROVAL_KIND_ESCALATE ? 1 : 2];

    entry = ngx_array_push(&plan->entries);
    if (entry == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(entry, sizeof(ngx_http_approval_entry_t));

    p = ngx_sprintf(entry->name, "%c%ui", kind, (*count)++);
    *p = '\0';

    name.data = entry->name;
    name.len = p - entry->name;

    entry->due = due;

    told = plan->told;
    told.channel = channel;
    told.approver = *approver;

    if (ngx_http_approval_sender_payload(plan->sender, &told, again,
                                         plan->pool, &entry->payload)
        != NGX_OK)
    {
        plan->entries.nelts--;
        return NGX_ERROR;
    }

    if (kind != NGX_HTTP_APPROVAL_KIND_MESSAGE
        || plan->sender->active >= NGX_HTTP_APPROVAL_SENDER_MAX
        || ngx_http_approval_letter_count(plan->sender, channel)
           >= plan->sender->one)
    {
        return NGX_OK;
    }

    letter = ngx_array_push(&plan->letters);
    if (letter == NULL) {
        return NGX_ERROR;
    }

    *letter = ngx_http_approval_letter_create(plan->sender, &told, &name, 1,
                                              0, 0,
                                              (ngx_msec_int_t)
                                              (told.expires - told.created));
    if (*letter == NULL) {
        plan->letters.nelts--;
        return NGX_ERROR;
    }

    entry->mine = 1;

    return NGX_OK;
}


void
ngx_http_approval_plan_send(ngx_http_approval_plan_t *plan)
{
    ngx_uint_t                   i, n;
    ngx_http_approval_entry_t   *entries;
    ngx_http_approval_sender_t  *sender;

    sender = plan->sender;
    entries = plan->entries.elts;

    for (i = 0; sender->mcf->worker->store && i < plan->entries.nelts; i += n) {
        n = ngx_min(plan->entries.nelts - i, NGX_HTTP_APPROVAL_QUEUE_BATCH);

        if (ngx_http_approval_queue_add(sender->mcf->worker->store,
                                        plan->told.id, &entries[i], n,
                                        sender->lease,
                                        ngx_http_approval_plan_added, plan)
            == NGX_OK)
        {
            plan->waiting++;
        }
    }

    if (plan->waiting == 0) {
        ngx_http_approval_plan_end(plan, plan->entries.nelts != 0);
    }
}


/* If the queue has failed, this worker sends its letters nevertheless. */

static void
ngx_http_approval_plan_added(void *data,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_plan_t *plan = data;

    plan->over |= (reply->rc == NGX_DECLINED);

    if (--plan->waiting == 0) {
        ngx_http_approval_plan_end(plan, !plan->over);
    }
}


static void
ngx_http_approval_plan_end(ngx_http_approval_plan_t *plan, ngx_uint_t send)
{
    ngx_uint_t                    i;
    ngx_http_approval_letter_t  **letter;

    letter = plan->letters.elts;

    for (i = 0; i < plan->letters.nelts; i++) {
        if (send) {
            ngx_http_approval_letter_send(letter[i]);

        } else {
            ngx_http_approval_letter_free(letter[i]);
        }
    }

    ngx_destroy_pool(plan->pool);
}


ngx_uint_t
ngx_http_approval_notify_told(ngx_http_approval_main_conf_t *mcf, json_t *doc,
    ngx_http_approval_channel_t *channel)
{
    size_t                         i, j;
    json_t                        *name;
    ngx_str_t                      policy, named;
    ngx_http_approval_rule_t      *rule;
    ngx_http_approval_channel_t  **channels;
    ngx_http_approval_escalate_t  *steps;

    json_array_foreach(json_object_get(doc, "notify"), i, name) {
        if (json_is_string(name)
            && approval_str_eq(approval_str(json_string_value(name)),
                               ngx_http_approval_core_str(&channel->name)))
        {
            return 1;
        }
    }

    policy = ngx_http_approval_json_get(doc, "policy");
    named = ngx_http_approval_json_get(doc, "rule");
    rule = ngx_http_approval_count_rule(mcf, &policy, &named);

    if (rule == NULL || rule->escalate == NULL) {
        return 0;
    }

    steps = rule->escalate->elts;

    for (i = 0; i < rule->escalate->nelts; i++) {
        channels = steps[i].channels->elts;

        for (j = 0; j < steps[i].channels->nelts; j++) {
            if (channels[j] == channel) {
                return 1;
            }
        }
    }

    return 0;
}
