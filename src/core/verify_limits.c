
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Limits that end an approval before it is used: its deadlines, a freeze, the
 * end of its grant.  All are measured by "store_time", Redis' clock, which is
 * the same for all writers.  If it is missing, nothing is reported.
 */


#include "core/verify_internal.h"

#include <stdlib.h>
#include <string.h>


#define APPROVAL_LIMIT_SLACK  1000      /* claims are in seconds           */
#define APPROVAL_THAW_EARLY   60000     /* a thaw's time is an estimate    */


static void approval_limits_freeze(approval_verify_t *v, json_t *event,
    int thaw);
static void approval_limits_end(approval_verify_t *v, approval_freeze_t *f);
static int approval_limits_same(const approval_freeze_t *one,
    const approval_freeze_t *two);
static int64_t approval_limits_seconds(json_t *value);
static int approval_limits_frozen(approval_verify_t *v, approval_act_t *a,
    int64_t time);


void
approval_verify_config(approval_verify_t *v, const approval_place_t *place,
    json_t *event)
{
    const char      *what, *id;
    approval_act_t  *a;

    what = json_string_value(json_object_get(event, "what"));

    if (what == NULL) {
        return;
    }

    if (strcmp(what, "frozen") == 0 || strcmp(what, "thawed") == 0) {
        approval_limits_freeze(v, event, what[0] == 't');
        return;
    }

    if (strncmp(what, "passkey ", sizeof("passkey ") - 1) == 0) {
        approval_verify_passkey_config(v, place, event);
        return;
    }

    id = json_string_value(json_object_get(event, "granted_by"));

    if (strcmp(what, "grant revoked") != 0 || id == NULL
        || !approval_id_valid(approval_str(id)))
    {
        return;
    }

    a = approval_verify_act_get(v, id);

    if (a && a->revoked == 0) {
        a->revoked = approval_verify_time(event, "store_time");
    }
}


/*
 * Keeps the most recent ones; known entries of its scope limit each one's end.
 */

static void
approval_limits_freeze(approval_verify_t *v, json_t *event, int thaw)
{
    size_t              i;
    json_t             *name;
    approval_freeze_t   f;

    memset(&f, 0, sizeof(f));

    f.policy = json_object_get(event, "policy") != NULL;
    f.thaw = thaw != 0;
    f.from = approval_verify_time(event, "store_time");
    f.until = approval_verify_time(event, "until");

    name = json_object_get(event, f.policy ? "policy" : "requester_person");

    if (f.from == 0 || !json_is_string(name)
        || approval_verify_hashed(v, name, &f.scope) != APPROVAL_OK)
    {
        return;
    }

    if (f.until == 0) {
        f.until = INT64_MAX;
    }

    if (v->freezes == NULL) {
        v->freezes = calloc(APPROVAL_VERIFY_FREEZES,
                            sizeof(approval_freeze_t));

        if (v->freezes == NULL) {
            v->failed = 1;
            return;
        }
    }

    approval_limits_end(v, &f);

    i = v->nfreezes++ % APPROVAL_VERIFY_FREEZES;
    v->freezes[i] = f;
}


/*
 * A thaw is recorded before it happens, and its worker can only estimate the
 * time.  If it follows a freeze in the records, even with a time up to a
 * minute earlier, it ends the freeze.
 */

static void
approval_limits_end(approval_verify_t *v, approval_freeze_t *f)
{
    size_t              i, n;
    int64_t             end;
    approval_freeze_t  *other;

    n = v->nfreezes < APPROVAL_VERIFY_FREEZES ? v->nfreezes
                                              : APPROVAL_VERIFY_FREEZES;

    for (i = 0; i < n; i++) {
        other = &v->freezes[i];

        if (!approval_limits_same(other, f)) {
            continue;
        }

        if (f->thaw) {
            if (!other->thaw && f->from > other->from - APPROVAL_THAW_EARLY) {
                end = f->from - APPROVAL_LIMIT_SLACK;
                end = end > other->from ? end : other->from;
                other->until = other->until < end ? other->until : end;
            }

        } else if (other->from > f->from) {
            end = other->from - (other->thaw ? APPROVAL_LIMIT_SLACK : 0);
            f->until = f->until < end ? f->until : end;

        } else if (!other->thaw && other->until > f->from) {
            other->until = f->from;
        }
    }
}


static int
approval_limits_same(const approval_freeze_t *one,
    const approval_freeze_t *two)
{
    return one->policy == two->policy
           && approval_hashed_eq(&one->scope, &two->scope);
}


int64_t
approval_verify_time(json_t *event, const char *name)
{
    json_t          *value;
    int64_t          ms;
    approval_str_t   text;

    value = json_object_get(event, name);
    text.data = (const unsigned char *) json_string_value(value);
    text.len = json_string_length(value);

    return text.data && approval_time_parse(text, &ms) == APPROVAL_OK ? ms : 0;
}


/* In ms; 0 if it is absent or out of range. */

static int64_t
approval_limits_seconds(json_t *value)
{
    json_int_t  n;

    n = json_integer_value(value);

    return json_is_integer(value) && n > 0 && n < INT32_MAX * (json_int_t) 1000
           ? n * 1000 : 0;
}


void
approval_verify_limits_request(approval_verify_t *v, approval_act_t *a,
    json_t *event)
{
    int64_t  time;

    time = approval_verify_time(event, "store_time");

    a->remembered = approval_limits_seconds(json_object_get(
                              json_object_get(event, "remember"), "seconds"));

    if (time && json_is_integer(json_object_get(event, "timeout"))) {
        a->deadline = time + APPROVAL_LIMIT_SLACK
                      + approval_limits_seconds(json_object_get(event,
                                                                "timeout"));
    }

    (void) approval_verify_hashed(v, json_object_get(event, "policy"),
                                  &a->policy);
}


/*
 * The times of the action's own approval, from its record and the signed
 * claims.
 */

void
approval_verify_limits_approved(approval_act_t *a, json_t *event,
    json_t *claims)
{
    a->taken = approval_verify_time(event, "store_time");
    a->decided_at = approval_limits_seconds(json_object_get(claims, "iat"));
    a->lapses = approval_limits_seconds(json_object_get(claims, "exp"));
}


/* The last use is compared with the grant's end; every use with the freezes. */

void
approval_verify_limits_use(approval_verify_t *v, approval_act_t *a,
    const approval_place_t *place, json_t *event)
{
    int64_t  time;

    time = approval_verify_time(event, "store_time");

    if (time > a->used_last) {
        a->used_last = time;
        a->used_at = *place;
    }

    if (a->requested && approval_limits_frozen(v, a, time)) {
        a->frozen = 1;
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "a request under the grant of action %s is "
                              "executed while its requester or policy was "
                              "frozen", a->id);
    }
}


static int
approval_limits_frozen(approval_verify_t *v, approval_act_t *a, int64_t time)
{
    size_t              i, n;
    approval_freeze_t  *f;

    n = v->nfreezes < APPROVAL_VERIFY_FREEZES ? v->nfreezes
                                              : APPROVAL_VERIFY_FREEZES;

    for (i = 0; i < n; i++) {
        f = &v->freezes[i];

        if (!f->thaw && time > f->from && time < f->until
            && approval_hashed_eq(&f->scope, f->policy ? &a->policy
                                                       : &a->person))
        {
            return 1;
        }
    }

    return 0;
}


void
approval_verify_limits_judge(approval_verify_t *v, approval_act_t *a)
{
    const char  *why;

    if (a->requested && a->approved) {

        why = (a->deadline && a->decided_at > a->deadline)
              ? "is approved after its deadline"
              : (a->lapses && a->taken > a->lapses + APPROVAL_LIMIT_SLACK)
              ? "is executed after its approval expired"
              : approval_limits_frozen(v, a, a->taken)
              ? "is executed while its requester or policy was frozen"
              : NULL;

        if (why) {
            approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->use.at,
                                  "action %s %s", a->id, why);
        }
    }

    if (a->used_last == 0) {
        return;
    }

    why = (a->revoked && a->used_last > a->revoked)
          ? "after it was revoked"
          : (a->taken && a->remembered
             && a->used_last > a->taken + a->remembered + APPROVAL_LIMIT_SLACK)
          ? "after its end"
          : (a->requested && !a->frozen
             && approval_limits_frozen(v, a, a->used_last))
          ? "while its requester or policy was frozen"
          : NULL;

    if (why) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->used_at,
                              "a request under the grant of action %s is "
                              "executed %s", a->id, why);
    }
}
