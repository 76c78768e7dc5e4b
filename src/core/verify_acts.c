
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The actions that the verifier keeps: all that are open, and the last that
 * have ended.  An action is judged before it is dropped.
 */


#include "core/verify_internal.h"

#include <stdlib.h>
#include <string.h>


static void approval_verify_act_free(approval_verify_t *v, approval_act_t *a);
static void approval_acts_add(approval_acts_t *list, approval_act_t *a);
static void approval_acts_del(approval_acts_t *list, approval_act_t *a);


approval_act_t *
approval_verify_act(approval_verify_t *v, const char *id)
{
    approval_act_t  *a;

    for (a = v->acts[approval_verify_bucket(v, id)]; a; a = a->next) {
        if (memcmp(a->id, id, APPROVAL_ID_LEN) == 0) {
            return a;
        }
    }

    return NULL;
}


approval_act_t *
approval_verify_act_get(approval_verify_t *v, const char *id)
{
    size_t           i;
    approval_act_t  *a;

    a = approval_verify_act(v, id);
    if (a) {
        return a;
    }

    a = calloc(1, sizeof(approval_act_t));
    if (a == NULL) {
        v->failed = 1;
        return NULL;
    }

    memcpy(a->id, id, APPROVAL_ID_LEN);
    a->outran = v->strayed;

    i = approval_verify_bucket(v, id);
    a->next = v->acts[i];
    v->acts[i] = a;

    v->stats.actions++;

    approval_acts_add(&v->open, a);

    if (v->open.n > APPROVAL_VERIFY_OPEN) {
        v->forgot = 1;
        approval_verify_act_free(v, v->open.first);
    }

    return a;
}


void
approval_verify_act_ended(approval_verify_t *v, approval_act_t *a)
{
    if (a->ended) {
        return;
    }

    approval_acts_del(&v->open, a);

    a->ended = 1;
    approval_acts_add(&v->ended, a);

    if (v->ended.n > APPROVAL_VERIFY_ENDED) {
        v->dropped = 1;
        approval_verify_act_free(v, v->ended.first);
    }
}


/* Judges the action, and frees it. */

static void
approval_verify_act_free(approval_verify_t *v, approval_act_t *a)
{
    approval_act_t  **p;

    approval_verify_act_judge(v, a);

    v->strayed |= a->nrunning != 0;

    approval_acts_del(a->ended ? &v->ended : &v->open, a);

    for (p = &v->acts[approval_verify_bucket(v, a->id)]; *p != a;
         p = &(*p)->next)
    {
        /* void */
    }

    *p = a->next;

    approval_verify_ballots_free(a);

    free(a->seats);
    free(a->running);
    json_decref(a->by);
    json_decref(a->denied_by);
    free(a);
}


void
approval_verify_actions_end(approval_verify_t *v)
{
    while (v->ended.first) {
        approval_verify_act_free(v, v->ended.first);
    }

    while (v->open.first) {
        approval_verify_act_free(v, v->open.first);
    }
}


static void
approval_acts_add(approval_acts_t *list, approval_act_t *a)
{
    a->after = NULL;
    a->before = list->last;

    if (list->last) {
        list->last->after = a;

    } else {
        list->first = a;
    }

    list->last = a;
    list->n++;
}


static void
approval_acts_del(approval_acts_t *list, approval_act_t *a)
{
    if (a->before) {
        a->before->after = a->after;

    } else {
        list->first = a->after;
    }

    if (a->after) {
        a->after->before = a->before;

    } else {
        list->last = a->before;
    }

    list->n--;
}
