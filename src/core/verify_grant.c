
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Grants: requests that passed under a remembered approval.  They may come
 * long after their action.  If that is forgotten by then, less can be checked.
 */


#include "core/verify_internal.h"

#include <stdlib.h>
#include <string.h>


/* The end of a use may never be recorded, so the oldest use makes room. */

void
approval_verify_grant(approval_verify_t *v, approval_act_t *a,
    const approval_place_t *place, json_t *event)
{
    approval_hashed_t  scope;

    a->granted = 1;
    a->granted_at = *place;

    if (a->running == NULL) {
        a->running = calloc(APPROVAL_VERIFY_USES, sizeof(approval_hashed_t));

        if (a->running == NULL) {
            v->failed = 1;
            return;
        }
    }

    if (a->nrunning == APPROVAL_VERIFY_USES) {
        a->outran = 1;
        a->nrunning--;
        memmove(a->running, a->running + 1,
                a->nrunning * sizeof(approval_hashed_t));
    }

    (void) approval_verify_members(v, event, approval_verify_facts,
                                   &a->running[a->nrunning++]);

    if (approval_verify_members(v, event, approval_verify_scope,
                                &scope)
        != APPROVAL_OK)
    {
        return;
    }

    if (!a->scoped) {
        a->scoped = 1;
        a->used = scope;
    }

    if (!approval_hashed_eq(&a->used, &scope)) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the grant of action %s is used for another "
                              "rule or action than before", a->id);
    }
}


const char *
approval_verify_grant_use(approval_act_t *a, json_t *event, json_t *claims)
{
    json_t    *number;
    uint64_t   use, bit;

    number = json_object_get(claims, "use");

    if (!approval_verify_same(claims, "grt", event, "grant")
        || !json_is_integer(number) || json_integer_value(number) < 1
        || !json_equal(number, json_object_get(event, "use")))
    {
        return "it belongs to another use of the grant";
    }

    use = (uint64_t) json_integer_value(number);

    if (use > a->last) {
        a->last = use;
    }

    if (use > 64) {
        return NULL;
    }

    bit = (uint64_t) 1 << (use - 1);

    if (a->uses & bit) {
        return "it belongs to another request's use of the grant";
    }

    a->uses |= bit;

    return NULL;
}


/* One worker records both, so the approval precedes its execution. */

void
approval_verify_grant_used(approval_verify_t *v, approval_act_t *a,
    const approval_place_t *place, json_t *event)
{
    approval_writer_t  *w;

    a->granted = 1;
    a->granted_at = *place;

    w = approval_verify_writer(v,
                       json_string_value(json_object_get(event, "writer")));

    if (approval_verify_grant_over(v, a, event) || a->outran) {
        return;
    }

    approval_verify_found(v, w->partial ? APPROVAL_FOUND_INCOMPLETE
                                        : APPROVAL_FOUND_TAMPERED,
                          place, "a request under the grant of action %s is "
                          "executed without a decision on it", a->id);
}


int
approval_verify_grant_over(approval_verify_t *v, approval_act_t *a,
    json_t *event)
{
    size_t             i;
    approval_hashed_t  facts;

    if (approval_verify_members(v, event, approval_verify_facts,
                                &facts)
        != APPROVAL_OK)
    {
        return 0;
    }

    for (i = 0; i < a->nrunning; i++) {
        if (approval_hashed_eq(&a->running[i], &facts)) {
            a->nrunning--;
            memmove(a->running + i, a->running + i + 1,
                    (a->nrunning - i) * sizeof(approval_hashed_t));
            return 1;
        }
    }

    return 0;
}


void
approval_verify_grant_judge(approval_verify_t *v, approval_act_t *a)
{
    if (!a->granted) {
        return;
    }

    if (a->requested && !a->remember) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->granted_at,
                              "a grant of action %s is used, but its approval "
                              "was for one request", a->id);
    }

    if (a->requested && a->scoped && !approval_hashed_eq(&a->scope, &a->used))
    {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->granted_at,
                              "the grant of action %s is used for another "
                              "rule or action than the approved one", a->id);
    }

    if (a->requested && a->most && a->last > a->most) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->granted_at,
                              "the grant of action %s is used more often than "
                              "it allows", a->id);
    }

    if (!a->approved && !v->dropped) {
        approval_verify_found(v, (v->partial || v->forgot)
                                 ? APPROVAL_FOUND_INCOMPLETE
                                 : APPROVAL_FOUND_TAMPERED,
                              &a->granted_at,
                              "a grant of action %s is used, but the action "
                              "was not approved", a->id);
    }
}
