
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Actions: was every executed action approved before, by enough other people,
 * and executed once?
 */


#include "core/verify_internal.h"

#include <string.h>


static int approval_verify_approved(approval_verify_t *v,
    const approval_place_t *place, approval_act_t *a, json_t *event);
static int approval_verify_take(approval_verify_t *v,
    const approval_place_t *place, approval_act_t *a, json_t *event);
static void approval_verify_twice(approval_verify_t *v,
    const approval_place_t *place, approval_act_t *a,
    const approval_taken_t *before);
static void approval_verify_failed(approval_verify_t *v, approval_act_t *a,
    json_t *event);
static const char *approval_verify_decision(approval_act_t *a, json_t *event,
    json_t *claims);
static const char *approval_verify_alone(approval_verify_t *v,
    approval_act_t *a, json_t *claims);
static void approval_verify_executed(approval_verify_t *v,
    const approval_place_t *place, approval_act_t *a, json_t *event);
static void approval_verify_denied(approval_verify_t *v,
    const approval_place_t *place, approval_act_t *a, json_t *event);
static void approval_verify_ends(approval_verify_t *v, approval_act_t *a);
static void approval_verify_act_executed(approval_verify_t *v,
    approval_act_t *a);


typedef enum {
    APPROVAL_ACT_OTHER = 0,
    APPROVAL_ACT_CONFIG,
    APPROVAL_ACT_REQUESTED,
    APPROVAL_ACT_VOTED,
    APPROVAL_ACT_APPROVED,
    APPROVAL_ACT_EXECUTED,
    APPROVAL_ACT_DENIED,
    APPROVAL_ACT_OVER,
    APPROVAL_ACT_FAILED
} approval_act_e;


static const approval_act_e  approval_act_kinds[] = {
#define AUDIT_RECORD(name, text, judged, kind)  APPROVAL_ACT_##judged,
#include "model/audit.def"
    APPROVAL_ACT_OTHER
};


int
approval_verify_action(approval_verify_t *v, const approval_place_t *place,
    json_t *event, const char *type)
{
    int                 rc;
    const char         *id;
    approval_act_t     *a;
    approval_act_e      kind;
    approval_record_e   record;

    record = approval_record_type(type);
    kind = approval_act_kinds[record];
    id = json_string_value(json_object_get(event, "action_id"));

    if (record == APPROVAL_RECORD_TYPES && *type) {
        approval_verify_found(v, APPROVAL_FOUND_NOTE, place,
                              "unknown type \"%.64s\"",
                              type);
    }

    if (kind == APPROVAL_ACT_OTHER) {
        return APPROVAL_OK;
    }

    if (kind == APPROVAL_ACT_CONFIG) {
        approval_verify_config(v, place, event);
        return v->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    if (id == NULL) {
        id = json_string_value(json_object_get(event, "mode"));

        if (kind == APPROVAL_ACT_REQUESTED && id && strcmp(id, "shadow") == 0)
        {
            return APPROVAL_OK;
        }

        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "a \"%s\" record without an action", type);
        return APPROVAL_OK;
    }

    /* the end of an action that was forgotten no longer matters */

    a = (kind >= APPROVAL_ACT_OVER) ? approval_verify_act(v, id)
                                    : approval_verify_act_get(v, id);
    if (a == NULL) {
        return v->failed ? APPROVAL_ERROR : APPROVAL_OK;
    }

    rc = APPROVAL_OK;

    switch (kind) {

    case APPROVAL_ACT_REQUESTED:
        rc = approval_verify_requested(v, place, a, event);
        break;

    case APPROVAL_ACT_VOTED:
        rc = approval_verify_voted(v, place, a, event);
        break;

    case APPROVAL_ACT_APPROVED:
        rc = approval_verify_approved(v, place, a, event);
        break;

    case APPROVAL_ACT_EXECUTED:
        approval_verify_executed(v, place, a, event);
        approval_verify_act_ended(v, a);
        break;

    case APPROVAL_ACT_DENIED:
        approval_verify_denied(v, place, a, event);
        approval_verify_act_ended(v, a);
        break;

    case APPROVAL_ACT_OVER:

        if (record == APPROVAL_RECORD_CANCELLED) {
            a->cancelled = 1;

        } else if (a->expired == 0) {
            a->expired = approval_verify_time(event, "time");
        }

        approval_verify_act_ended(v, a);
        break;

    default:
        approval_verify_failed(v, a, event);
        approval_verify_act_ended(v, a);
        break;
    }

    return v->failed ? APPROVAL_ERROR : rc;
}


static int
approval_verify_approved(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, json_t *event)
{
    json_t      *claims, *grant;
    const char  *err, *why;

    grant = json_object_get(event, "grant");

    if (grant) {
        approval_verify_grant(v, a, place, event);

    } else if (approval_verify_take(v, place, a, event) != APPROVAL_OK) {
        return APPROVAL_OK;
    }

    claims = approval_verify_jws(v, "approval-decision+jwt",
                                 json_object_get(event, "decision"), &err);
    if (claims == NULL) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the decision on action %s is invalid: %s",
                              a->id, err);
        return APPROVAL_OK;
    }

    why = approval_verify_decision(a, event, claims);

    if (why == NULL) {
        why = grant ? approval_verify_grant_use(a, event, claims)
                    : approval_verify_alone(v, a, claims);
    }

    if (grant) {
        approval_verify_limits_use(v, a, place, event);

    } else {
        approval_verify_limits_approved(a, event, claims);
    }

    if (why) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the decision on action %s: %s", a->id, why);
    }

    json_decref(claims);

    return v->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/*
 * An approval is used once.  If the store lost the use, another gateway may
 * use it again; the first gateway then records, perhaps later, that it did not
 * forward the request.
 */

static int
approval_verify_take(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, json_t *event)
{
    approval_writer_t  *by;

    by = approval_verify_writer(v, json_string_value(json_object_get(event,
                                                                "writer")));

    if (a->use.by && (a->other.by || a->use.by == by)) {
        approval_verify_twice(v, place, a, &a->use);
        return APPROVAL_DECLINED;
    }

    a->other = a->use;

    a->approved = 1;
    a->use.at = *place;
    a->use.by = by;
    a->use.early = a->executed;

    (void) approval_verify_members(v, event, approval_verify_facts,
                                   &a->use.facts);

    return APPROVAL_OK;
}


static void
approval_verify_twice(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, const approval_taken_t *before)
{
    approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                          "the approval of action %s is used twice, first at "
                          "%s:%lu", a->id, before->at.file, before->at.line);
}


/* A use whose request was not forwarded does not count, but was recorded. */

static void
approval_verify_failed(approval_verify_t *v, approval_act_t *a, json_t *event)
{
    approval_writer_t  *by;

    if (approval_verify_grant_over(v, a, event)
        || !json_is_false(json_object_get(event, "forwarded")))
    {
        return;
    }

    by = approval_verify_writer(v, json_string_value(json_object_get(event,
                                                                "writer")));

    if (a->use.by == by && a->other.by) {
        a->use = a->other;
        a->other.by = NULL;

    } else if (a->use.by == by) {
        a->use.by = NULL;

    } else if (a->other.by == by) {
        a->other.by = NULL;
    }
}


/* Checks that the record says what was signed. */

static const char *
approval_verify_decision(approval_act_t *a, json_t *event, json_t *claims)
{
    if (!approval_verify_claim(claims, "jti", a->id)
        || !approval_verify_claim(claims, "sta", "approved")
        || !json_is_string(json_object_get(claims, "dig"))
        || !approval_verify_same(claims, "dig", event, "digest")
        || !approval_verify_same(claims, "pol", event, "policy")
        || !approval_verify_same(claims, "rul", event, "rule")
        || !approval_verify_same(claims, "act", event, "action")
        || !approval_verify_names(event, claims))
    {
        return "it approves something else than this record says";
    }

    return json_array_size(json_object_get(claims, "by")) == 0
           ? "it names no approver" : NULL;
}


/* The decision must be for the action's own request. */

static const char *
approval_verify_alone(approval_verify_t *v, approval_act_t *a, json_t *claims)
{
    if (json_object_get(claims, "grt") || json_object_get(claims, "use")) {
        return "it belongs to a request under a grant";
    }

    (void) approval_verify_members(v, claims, approval_verify_about,
                                   &a->decided);

    json_decref(a->by);
    a->by = json_incref(json_object_get(claims, "by"));

    return NULL;
}


static void
approval_verify_executed(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, json_t *event)
{
    if (!json_is_integer(json_object_get(json_object_get(event, "outcome"),
                                         "status")))
    {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "action %s is executed, but has no outcome",
                              a->id);
    }

    if (json_object_get(event, "grant")) {
        approval_verify_grant_used(v, a, place, event);
        return;
    }

    if (a->executed) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "action %s is executed twice, first at %s:%lu",
                              a->id, a->executed_at.file,
                              a->executed_at.line);
        return;
    }

    a->executed = 1;
    a->executed_at = *place;
    a->executed_by = approval_verify_writer(v,
                       json_string_value(json_object_get(event, "writer")));

    (void) approval_verify_members(v, event, approval_verify_facts,
                                   &a->outcome);
}


/* A denial by votes is signed.  One that was found in the store is not. */

static void
approval_verify_denied(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, json_t *event)
{
    json_t      *claims, *by;
    const char  *err;

    a->denied = 1;
    a->denied_at = *place;

    if (json_object_get(event, "receipt") == NULL) {
        return;
    }

    claims = approval_verify_jws(v, "approval-decision+jwt",
                                 json_object_get(event, "receipt"), &err);
    by = json_object_get(claims, "by");

    if (claims == NULL) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the denial of action %s is invalid: %s",
                              a->id, err);

    } else if (!approval_verify_claim(claims, "jti", a->id)
               || !approval_verify_claim(claims, "sta", "denied")
               || json_array_size(by) == 0
               || !json_equal(by, json_object_get(event, "by")))
    {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the denial of action %s differs from the "
                              "recorded one", a->id);

    } else if (a->denied_by == NULL) {
        a->denied_by = json_incref(by);
        (void) approval_verify_members(v, claims, approval_verify_about,
                                       &a->refused);
    }

    json_decref(claims);
}


/*
 * Judges an action once no more of its records are expected, because the
 * records of several hosts may be in another order than the events.
 */

void
approval_verify_act_judge(approval_verify_t *v, approval_act_t *a)
{
    approval_found_e  level;

    level = (v->partial || v->forgot) ? APPROVAL_FOUND_INCOMPLETE
                                      : APPROVAL_FOUND_TAMPERED;

    approval_verify_ballots(v, a);
    approval_verify_grant_judge(v, a);
    approval_verify_limits_judge(v, a);

    if (a->denied_by) {
        approval_verify_refusal(v, a);
    }

    if (a->executed) {
        approval_verify_act_executed(v, a);
    }

    if (!a->approved) {
        return;
    }

    if (a->other.by) {
        approval_verify_twice(v, &a->use.at, a, &a->other);
    }

    if (!a->requested) {
        approval_verify_found(v, level, &a->use.at,
                              "action %s is approved, but its request is not "
                              "recorded", a->id);
        return;
    }

    if (a->use.by) {
        approval_verify_ends(v, a);
    }

    if (!a->ended) {
        approval_verify_found(v, APPROVAL_FOUND_NOTE, &a->use.at,
                              "action %s is approved, but no outcome is "
                              "recorded", a->id);
    }

    if (a->by) {
        approval_verify_quorum(v, a);
    }
}


/*
 * An approval that was used has no other end.  If the store lost its use,
 * another gateway may let it expire later; the gateway that used it records a
 * fault when it learns of that.
 */

static void
approval_verify_ends(approval_verify_t *v, approval_act_t *a)
{
    if (a->denied || a->cancelled
        || (a->expired && !(a->lost && a->taken && a->expired > a->taken)))
    {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->use.at,
                              "action %s is approved, and %s", a->id,
                              a->denied ? "denied"
                              : a->cancelled ? "cancelled" : "expired");

    } else if (a->expired) {
        approval_verify_found(v, APPROVAL_FOUND_NOTE, &a->use.at,
                              "action %s is approved and has expired, because "
                              "Redis had lost the use of its approval", a->id);
    }
}


/*
 * It must be executed by the worker that used the approval, after the use, and
 * for the same request.
 */

static void
approval_verify_act_executed(approval_verify_t *v, approval_act_t *a)
{
    const char        *why;
    approval_found_e   level;

    level = APPROVAL_FOUND_TAMPERED;

    if (!a->use.by) {
        why = "without a decision";

        if (a->executed_by->partial
            || (!a->requested && (v->partial || v->forgot)))
        {
            level = APPROVAL_FOUND_INCOMPLETE;
        }

    } else if (a->executed_by != a->use.by) {
        why = "by another writer than the one that used its approval";

    } else if (a->use.early) {
        why = "before it was approved";

    } else if (!approval_hashed_eq(&a->use.facts, &a->outcome)) {
        why = "although another request was approved";

    } else {
        return;
    }

    approval_verify_found(v, level, &a->executed_at,
                          "action %s is executed %s", a->id, why);
}
