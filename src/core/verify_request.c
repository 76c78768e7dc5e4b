
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The request, with which all later records of its action are compared.
 */


#include "core/verify_internal.h"
#include "core/passkey.h"

#include <limits.h>
#include <stdlib.h>


static int approval_request_hash(approval_verify_t *v, json_t *event,
    approval_hashed_t *hashed);
static int approval_request_names(json_t *event);
static int approval_request_require(approval_verify_t *v, approval_act_t *a,
    json_t *lines);
static int approval_request_line(approval_verify_t *v, approval_act_t *a,
    json_t *line);
static int approval_request_seat(approval_verify_t *v, approval_act_t *a,
    json_t *group);
static int approval_request_remember(approval_act_t *a, json_t *remember);


int
approval_verify_requested(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, json_t *event)
{
    int                sound;
    json_t            *behalf;
    json_int_t         n;
    approval_hashed_t  whole;

    if (approval_request_hash(v, event, &whole) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    if (a->requested) {
        if (!approval_hashed_eq(&a->request, &whole)) {
            approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                                  "action %s is requested twice, in different "
                                  "ways", a->id);
        }

        return APPROVAL_OK;
    }

    a->requested = 1;
    a->request = whole;
    a->glass = json_is_string(json_object_get(event, "break_glass"));

    behalf = json_object_get(event, "on_behalf_person");
    a->behalf_of = behalf != NULL;

    if (approval_verify_hashed(v, json_object_get(event, "person"), &a->person)
        != APPROVAL_OK
        || approval_verify_hashed(v, behalf, &a->behalf) != APPROVAL_OK
        || approval_verify_hashed(v, json_object_get(event, "digest"),
                                  &a->digest)
           != APPROVAL_OK
        || approval_verify_hashed(v, json_object_get(event, "break_glass"),
                                  &a->glass_group)
           != APPROVAL_OK
        || approval_verify_members(v, event, approval_verify_scope,
                                   &a->scope)
           != APPROVAL_OK
        || approval_verify_members(v, event, approval_verify_asked, &a->asked)
           != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    approval_verify_limits_request(v, a, event);

    a->passkey = approval_verify_claim(event, "vote", "passkey");

    if (approval_passkey_facts(event, a->shown) != APPROVAL_OK) {
        v->failed = 1;
        return APPROVAL_ERROR;
    }

    a->say_all = approval_verify_claim(event, "comment_required", "always");
    a->say_deny = (json_object_get(event, "comment_required") != NULL);

    n = json_integer_value(json_object_get(event, "deny_after"));
    a->deny_after = n > 1 && n <= INT_MAX ? (unsigned) n : 1;

    sound = approval_request_names(event)
            && approval_request_require(v, a, json_object_get(event,
                                                              "require"))
            && approval_request_remember(a, json_object_get(event,
                                                            "remember"));

    if (v->failed) {
        return APPROVAL_ERROR;
    }

    if (!sound) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the request of action %s does not name its "
                              "requester, its request, its rule or its "
                              "approvers", a->id);
    }

    return APPROVAL_OK;
}


/*
 * Two workers may record the same request, if one of them was believed to be
 * gone.  The records differ only in what every record has of its own.
 */

static int
approval_request_hash(approval_verify_t *v, json_t *event,
    approval_hashed_t *hashed)
{
    int                 rc;
    size_t              i;
    json_t             *copy;
    approval_buf_t      text;

    static const char  *own[] = { "time", "mono", "writer", "seq", "prev",
                                  "hash", "late", "store_time" };

    copy = json_copy(event);

    for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        (void) json_object_del(copy, own[i]);
    }

    approval_buf_init(&text);

    if (copy == NULL || approval_json_canonical(copy, &text) != APPROVAL_OK
        || text.failed)
    {
        v->failed = 1;
    }

    rc = approval_verify_hash(v, (char *) text.data, text.len, hashed);

    approval_buf_free(&text);
    json_decref(copy);

    return rc;
}


static int
approval_request_names(json_t *event)
{
    size_t              i;
    json_t             *behalf;
    static const char  *names[] = { "requester", "person", "policy", "rule",
                                    "action", "digest" };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!json_is_string(json_object_get(event, names[i]))) {
            return 0;
        }
    }

    behalf = json_object_get(event, "on_behalf_person");

    return behalf == NULL || json_is_string(behalf);
}


/* Without readable lines no votes are enough. */

static int
approval_request_require(approval_verify_t *v, approval_act_t *a,
    json_t *lines)
{
    size_t   i;
    json_t  *line;

    if (json_array_size(lines) == 0
        || json_array_size(lines) > APPROVAL_QUORUM_LINES)
    {
        return 0;
    }

    json_array_foreach(lines, i, line) {
        if (!approval_request_line(v, a, line)) {
            a->nlines = 0;
            return 0;
        }
    }

    return 1;
}


static int
approval_request_line(approval_verify_t *v, approval_act_t *a, json_t *line)
{
    size_t       i;
    json_t      *count, *groups, *group;
    json_int_t   n;

    count = json_object_get(line, "count");
    groups = json_object_get(line, "groups");
    n = json_integer_value(count);

    if (!json_is_integer(count) || n < 1 || n > INT_MAX
        || json_array_size(groups) == 0)
    {
        return 0;
    }

    json_array_foreach(groups, i, group) {
        if (!json_is_string(group) || !approval_request_seat(v, a, group)) {
            return 0;
        }
    }

    a->need[a->nlines++] = (unsigned) n;

    return 1;
}


static int
approval_request_seat(approval_verify_t *v, approval_act_t *a, json_t *group)
{
    approval_seat_t  *seat;

    if (a->nseats == APPROVAL_VERIFY_SEATS) {
        a->crowded = 1;
        return 1;
    }

    seat = realloc(a->seats, (a->nseats + 1) * sizeof(approval_seat_t));
    if (seat == NULL) {
        v->failed = 1;
        return 0;
    }

    a->seats = seat;
    seat += a->nseats++;
    seat->line = (unsigned) a->nlines;

    return approval_verify_hashed(v, group, &seat->group) == APPROVAL_OK;
}


/* uses is null if the number of uses is not limited. */

static int
approval_request_remember(approval_act_t *a, json_t *remember)
{
    json_t  *uses;

    if (remember == NULL) {
        return 1;
    }

    uses = json_object_get(remember, "uses");

    if (uses == NULL
        || (!json_is_null(uses)
            && (!json_is_integer(uses) || json_integer_value(uses) < 1)))
    {
        return 0;
    }

    a->remember = 1;
    a->most = (uint64_t) json_integer_value(uses);

    return 1;
}
