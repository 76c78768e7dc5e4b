
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Actions: was what was executed approved, by enough others, once?
 */


#include "core/verify_internal.h"

#include "core/jws.h"

#include <stdlib.h>
#include <string.h>


#define APPROVAL_ACT_NAMES  5


static void approval_verify_act_granted(approval_verify_t *v,
    approval_act_t *a);
static int approval_verify_requested(approval_verify_t *v,
    const approval_place_t *place, approval_act_t *a, json_t *event);
static int approval_verify_approved(approval_verify_t *v,
    const approval_place_t *place, approval_act_t *a, json_t *event);
static const char *approval_verify_decision(approval_act_t *a, json_t *event,
    json_t *claims);
static const char *approval_verify_grant(approval_act_t *a, json_t *event,
    json_t *claims);
static int approval_verify_bound(json_t *from,
    const char *names[APPROVAL_ACT_NAMES],
    unsigned char md[APPROVAL_SHA256_LEN]);
static void approval_verify_executed(approval_verify_t *v,
    const approval_place_t *place, approval_act_t *a, json_t *event);


typedef enum {
    APPROVAL_ACT_OTHER = 0,
    APPROVAL_ACT_REQUESTED,
    APPROVAL_ACT_VOTED,
    APPROVAL_ACT_APPROVED,
    APPROVAL_ACT_EXECUTED,
    APPROVAL_ACT_DENIED,
    APPROVAL_ACT_OVER,
    APPROVAL_ACT_ENDED
} approval_act_e;


static const struct {
    const char      *type;
    approval_act_e   kind;
} approval_act_types[] = {
    { "requested", APPROVAL_ACT_REQUESTED },
    { "voted", APPROVAL_ACT_VOTED },
    { "approved", APPROVAL_ACT_APPROVED },
    { "executed", APPROVAL_ACT_EXECUTED },
    { "denied", APPROVAL_ACT_DENIED },
    { "failed", APPROVAL_ACT_ENDED },
    { "expired", APPROVAL_ACT_OVER },
    { "cancelled", APPROVAL_ACT_OVER },
    { NULL, APPROVAL_ACT_OTHER }
};


int
approval_verify_action(approval_verify_t *v, const approval_place_t *place,
    json_t *event, const char *type)
{
    int              rc;
    size_t           i;
    const char      *id;
    approval_act_t  *a;
    approval_act_e   kind;

    for (i = 0; approval_act_types[i].type; i++) {
        if (strcmp(type, approval_act_types[i].type) == 0) {
            break;
        }
    }

    kind = approval_act_types[i].kind;
    id = json_string_value(json_object_get(event, "action_id"));

    if (kind == APPROVAL_ACT_OTHER) {
        return APPROVAL_OK;
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

    /* what ends an action that is forgotten is of no interest any more */

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
        a->denied = 1;
        approval_verify_act_ended(v, a);
        break;

    case APPROVAL_ACT_OVER:
        a->over = 1;
        approval_verify_act_ended(v, a);
        break;

    default:
        approval_verify_act_ended(v, a);
        break;
    }

    return rc;
}


static int
approval_verify_requested(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, json_t *event)
{
    size_t       i;
    json_t      *line;
    const char  *names[] = { "digest", "requester", "policy", "rule",
                             "action" };

    if (a->requested) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "action %s is requested twice", a->id);
        return APPROVAL_OK;
    }

    a->requested = 1;
    a->person = approval_verify_copy(v, json_object_get(event, "person"));
    a->behalf = approval_verify_copy(v, json_object_get(event,
                                                        "on_behalf_person"));
    a->digest = approval_verify_copy(v, json_object_get(event, "digest"));
    a->glass = json_is_string(json_object_get(event, "break_glass"));
    a->remember = json_is_object(json_object_get(event, "remember"));
    a->most = (uint64_t) json_integer_value(json_object_get(
                              json_object_get(event, "remember"), "uses"));

    if (approval_verify_bound(event, names, a->asked) != APPROVAL_OK) {
        v->failed = 1;
    }

    json_array_foreach(json_object_get(event, "require"), i, line) {
        a->need += (unsigned) json_integer_value(json_object_get(line,
                                                                 "count"));
    }

    return v->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
approval_verify_approved(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, json_t *event)
{
    json_t             *claims, *grant;
    const char         *err, *why;
    approval_writer_t  *w;

    grant = json_object_get(event, "grant");

    if (grant) {
        a->granted++;
        a->granted_at = *place;

    } else if (a->approved) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the approval of action %s is used twice: it "
                              "was at %s:%lu", a->id, a->approved_at.file,
                              a->approved_at.line);
        return APPROVAL_OK;

    } else {
        w = approval_verify_writer(v,
                       json_string_value(json_object_get(event, "writer")));

        a->approved = 1;
        a->approved_at = *place;
        a->early = (a->executed && a->executed_by == w);
    }

    claims = approval_verify_jws(v, "approval-decision+jwt",
                                 json_object_get(event, "decision"), &err);
    if (claims == NULL) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the decision on action %s does not verify: %s",
                              a->id, err);
        return APPROVAL_OK;
    }

    why = grant ? approval_verify_grant(a, event, claims)
                : approval_verify_decision(a, event, claims);

    if (why) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the decision on action %s: %s", a->id, why);
    }

    json_decref(claims);

    return APPROVAL_OK;
}


static const char *
approval_verify_decision(approval_act_t *a, json_t *event, json_t *claims)
{
    json_t      *by;
    const char  *names[] = { "dig", "sub", "pol", "rul", "act" };

    if (!approval_verify_claim(claims, "jti", a->id)
        || !approval_verify_claim(claims, "sta", "approved")
        || !approval_verify_same(claims, "dig", event, "digest")
        || !approval_verify_names(event, claims))
    {
        return "it does not approve what is on record here";
    }

    by = json_object_get(claims, "by");

    if (json_array_size(by) == 0) {
        return "it was taken by nobody";
    }

    if (json_object_get(claims, "grt") || json_object_get(claims, "use")) {
        return "it is for a request under a grant";
    }

    if (approval_verify_bound(claims, names, a->decided) != APPROVAL_OK) {
        return "there is no memory to look at it";
    }

    a->by = json_incref(by);

    return NULL;
}


static const char *
approval_verify_grant(approval_act_t *a, json_t *event, json_t *claims)
{
    uint64_t  use, bit;

    if (!approval_verify_claim(claims, "jti", a->id)
        || !approval_verify_claim(claims, "sta", "approved")
        || !approval_verify_same(claims, "dig", event, "digest")
        || !approval_verify_names(event, claims))
    {
        return "it does not approve what is on record here";
    }

    if (!approval_verify_same(claims, "grt", event, "grant")
        || json_integer_value(json_object_get(claims, "use")) < 1)
    {
        return "it is not for this use of the grant";
    }

    use = (uint64_t) json_integer_value(json_object_get(claims, "use"));

    if (use > a->last) {
        a->last = use;
    }

    if (use > 64) {
        return NULL;
    }

    bit = (uint64_t) 1 << (use - 1);

    if (a->uses & bit) {
        return "it is for a use of the grant that another request had";
    }

    a->uses |= bit;

    return NULL;
}


/* What a request is, as one hash. */

static int
approval_verify_bound(json_t *from, const char *names[APPROVAL_ACT_NAMES],
    unsigned char md[APPROVAL_SHA256_LEN])
{
    int              rc;
    size_t           i;
    json_t          *value;
    approval_buf_t   text;

    approval_buf_init(&text);

    for (i = 0; i < APPROVAL_ACT_NAMES; i++) {
        value = json_object_get(from, names[i]);

        approval_buf_printf(&text, "%zu:", json_string_length(value));
        approval_buf_add(&text, json_string_value(value),
                         json_string_length(value));
    }

    rc = text.failed ? APPROVAL_ERROR
                     : approval_sha256(approval_buf_str(&text), md);

    approval_buf_free(&text);

    return rc;
}


static void
approval_verify_executed(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, json_t *event)
{
    if (json_object_get(event, "grant")) {
        a->used++;
        a->granted_at = *place;
        return;
    }

    if (a->executed) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "action %s is executed twice: it was at %s:%lu",
                              a->id, a->executed_at.file,
                              a->executed_at.line);
        return;
    }

    a->executed = 1;
    a->executed_at = *place;
    a->executed_by = approval_verify_writer(v,
                       json_string_value(json_object_get(event, "writer")));
}


/*
 * Once nothing more is expected of it, since records of several hosts may be
 * in another order than what they tell of.
 */

void
approval_verify_act_judge(approval_verify_t *v, approval_act_t *a)
{
    approval_found_e  level;

    level = (v->partial || v->forgot) ? APPROVAL_FOUND_INCOMPLETE
                                      : APPROVAL_FOUND_TAMPERED;

    approval_verify_ballots(v, a);

    if (a->executed && !a->approved) {
        approval_verify_found(v, a->requested ? APPROVAL_FOUND_TAMPERED
                                              : level,
                              &a->executed_at,
                              "action %s is executed without a decision",
                              a->id);
    }

    if (a->granted || a->used) {
        approval_verify_act_granted(v, a);
    }

    if (!a->approved) {
        return;
    }

    if (!a->requested) {
        approval_verify_found(v, level, &a->approved_at,
                              "action %s is approved, but its request is not "
                              "on record", a->id);
        return;
    }

    if (a->denied || a->over) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->approved_at,
                              "action %s is approved, and %s", a->id,
                              a->denied ? "denied" : "expired or cancelled");
    }

    if (a->early) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->executed_at,
                              "action %s is executed before it was approved",
                              a->id);
    }

    if (!a->ended) {
        approval_verify_found(v, APPROVAL_FOUND_NOTE, &a->approved_at,
                              "action %s is approved, and has no outcome on "
                              "record", a->id);
    }

    if (a->by) {
        approval_verify_quorum(v, a);
    }
}


/*
 * A grant may be used long after its action: then that is forgotten, and
 * nothing can be said.
 */

static void
approval_verify_act_granted(approval_verify_t *v, approval_act_t *a)
{
    if (a->used > a->granted) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->granted_at,
                              "a request under the grant of action %s is "
                              "executed without a decision", a->id);
    }

    if (a->requested && !a->remember) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, &a->granted_at,
                              "a grant of action %s is used, whose approval "
                              "was for one request", a->id);
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
                              "a grant of action %s is used, and the action "
                              "was not approved", a->id);
    }
}


json_t *
approval_verify_jws(approval_verify_t *v, const char *typ, json_t *token,
    const char **err)
{
    size_t           i;
    json_t          *claims;
    approval_str_t   text;

    *err = "there is none";

    if (!json_is_string(token)) {
        return NULL;
    }

    text.data = (const unsigned char *) json_string_value(token);
    text.len = json_string_length(token);

    for (i = 0; i < v->nkeys; i++) {
        claims = approval_jws_verify(v->keys[i], typ, text, err);

        if (claims) {
            return claims;
        }
    }

    return NULL;
}


/* The claim and the record's member: the same string, or neither is there. */

int
approval_verify_same(json_t *claims, const char *name, json_t *event,
    const char *member)
{
    json_t  *claim, *value;

    claim = json_object_get(claims, name);
    value = json_object_get(event, member);

    return (claim == NULL && value == NULL)
           || (json_is_string(claim) && json_is_string(value)
               && json_equal(claim, value));
}


int
approval_verify_claim(json_t *claims, const char *name, const char *value)
{
    const char  *s;

    s = json_string_value(json_object_get(claims, name));

    return s && strcmp(s, value) == 0;
}


char *
approval_verify_copy(approval_verify_t *v, json_t *value)
{
    char  *s;

    if (!json_is_string(value)) {
        return NULL;
    }

    s = strdup(json_string_value(value));

    if (s == NULL) {
        v->failed = 1;
    }

    return s;
}
