
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/story.h"

#include "core/escape.h"

#include <string.h>


/* Facts of a "requested" record; "method" represents the whole request line. */

static const struct {
    const char  *member;
    const char  *name;
} story_facts[] = {
    { "summary", "summary" },
    { "method", "request" },
    { "query_hidden", "query, bytes" },
    { "content_type", "body, type" },
    { "body_bytes", "body, bytes" },
    { "digest", "digest" },
    { "action", "action" },
    { "risk", "risk" },
    { "requester", "requester" },
    { "on_behalf_of", "on behalf of" },
    { "remote_addr", "address" },
    { "tls_client", "certificate" },
    { "traceparent", "trace" },
    { "reason", "claimed reason" },
    { "policy", "policy" },
    { "policy_digest", "policy digest" },
    { "rule", "rule" },
    { "matched", "matched" },
    { "show", "shown" },
    { "vote", "votes by" },
    { NULL, NULL }
};


static void story_fact(json_t *event, const char *member, approval_buf_t *out);
static int story_pairs(json_t *object, const char *name,
    approval_story_pt visit, void *data);
static int story_require(json_t *event, approval_story_pt visit, void *data);
static void story_person(const char *type, json_t *event, approval_buf_t *out);
static void story_by(json_t *event, approval_buf_t *out);
static void story_outcome(json_t *outcome, approval_buf_t *out);
static void story_add(approval_buf_t *out, const char *before, json_t *value,
    const char *after);
static int story_is(const char *type, const char *name);


int
approval_story_request(json_t *event, approval_story_pt visit, void *data)
{
    int              rc;
    size_t           i;
    json_t          *value;
    approval_buf_t   text;

    if (!story_is(json_string_value(json_object_get(event, "type")),
                  "requested"))
    {
        return APPROVAL_DECLINED;
    }

    rc = APPROVAL_OK;
    approval_buf_init(&text);

    for (i = 0; rc == APPROVAL_OK && story_facts[i].member; i++) {
        value = json_object_get(event, story_facts[i].member);

        if (strcmp(story_facts[i].member, "matched") == 0
            || strcmp(story_facts[i].member, "show") == 0)
        {
            rc = story_pairs(value, story_facts[i].name, visit, data);
            continue;
        }

        approval_buf_reset(&text);
        story_fact(event, story_facts[i].member, &text);

        if (text.failed) {
            rc = APPROVAL_ERROR;

        } else if (text.len) {
            visit(data, story_facts[i].name, approval_buf_str(&text));
        }
    }

    approval_buf_free(&text);

    return rc == APPROVAL_OK ? story_require(event, visit, data) : rc;
}


static void
story_fact(json_t *event, const char *member, approval_buf_t *out)
{
    json_t  *value;

    value = json_object_get(event, member);

    if (strcmp(member, "method") == 0) {
        story_add(out, "", value, " ");
        story_add(out, "", json_object_get(event, "host"), "");
        story_add(out, "", json_object_get(event, "target"), "");

    } else if (strcmp(member, "query_hidden") != 0
               || json_integer_value(value) != 0)
    {
        story_add(out, "", value, "");
    }
}


/* The values that people were shown, each by its name. */

static int
story_pairs(json_t *object, const char *name, approval_story_pt visit,
    void *data)
{
    int              rc;
    json_t          *value;
    const char      *key;
    approval_buf_t   text;

    rc = APPROVAL_OK;

    json_object_foreach(object, key, value) {
        approval_buf_init(&text);

        approval_escape_visible(approval_str(key), APPROVAL_VISIBLE_LINE,
                                &text);
        approval_buf_adds(&text, ": ");
        story_add(&text, "", value, "");

        if (text.failed) {
            rc = APPROVAL_ERROR;

        } else {
            visit(data, name, approval_buf_str(&text));
        }

        approval_buf_free(&text);
    }

    return rc;
}


static int
story_require(json_t *event, approval_story_pt visit, void *data)
{
    int              rc;
    size_t           i, j;
    json_t          *line, *name;
    approval_buf_t   text;

    rc = APPROVAL_OK;

    json_array_foreach(json_object_get(event, "require"), i, line) {
        approval_buf_init(&text);
        story_add(&text, "", json_object_get(line, "count"), " of");

        json_array_foreach(json_object_get(line, "groups"), j, name) {
            story_add(&text, " ", name, "");
        }

        if (text.failed) {
            rc = APPROVAL_ERROR;

        } else {
            visit(data, "requires", approval_buf_str(&text));
        }

        approval_buf_free(&text);
    }

    return rc;
}


void
approval_story_record(json_t *event, approval_buf_t *out)
{
    const char  *type;

    type = json_string_value(json_object_get(event, "type"));

    if (type == NULL) {
        return;
    }

    if (story_is(type, "voted") || json_object_get(event, "identity")) {
        story_person(type, event, out);

    } else if (story_is(type, "approved") || story_is(type, "denied")) {
        story_by(event, out);

    } else if (story_is(type, "requested") || story_is(type, "joined")
               || story_is(type, "refused"))
    {
        story_add(out, "by ", json_object_get(event, "requester"), "");

    } else {
        story_add(out, "", json_object_get(event, "event"), " ");
        story_add(out, "", json_object_get(event, "channel"), "");
        story_add(out, " status ", json_object_get(event, "status"), "");
        story_add(out, " to ", json_object_get(event, "approver"), "");
        story_add(out, ": ", json_object_get(event, "error"), "");
    }

    /* about another request than the action's own */

    if (json_object_get(event, "grant")) {

        if (json_object_get(event, "target")) {
            story_add(out, " for ", json_object_get(event, "method"), " ");
            story_add(out, "", json_object_get(event, "host"), "");
            story_add(out, "", json_object_get(event, "target"), ", ");
        }

        story_add(out, "use ", json_object_get(event, "use"), " of ");
        story_add(out, "grant ", json_object_get(event, "grant"), " ");
    }

    story_outcome(json_object_get(event, "outcome"), out);

    story_add(out, " ", json_object_get(event, "refusal"), "");
    story_add(out, " ", json_object_get(event, "why"), "");
    story_add(out, " (limit: ", json_object_get(event, "limit"), ")");
    story_add(out, " (mode: ", json_object_get(event, "mode"), ")");
    story_add(out, " and ", json_object_get(event, "collapsed"), " more");
}


static void
story_person(const char *type, json_t *event, approval_buf_t *out)
{
    json_t      *person;
    const char  *identity;

    person = json_object_get(event, "person");
    identity = json_string_value(json_object_get(event, "identity"));

    story_add(out, "", json_object_get(event, "identity"), "");

    if (identity && json_is_string(person)
        && strcmp(identity, json_string_value(person)) != 0)
    {
        story_add(out, ", who is ", person, "");
    }

    story_add(out, ": ", json_object_get(event, "decision"), "");
    story_add(out, " (", json_object_get(event, "how"), ")");
    story_add(out, " \"", json_object_get(event, "comment"), "\"");
    story_add(out, " from ", json_object_get(event, "remote_addr"), "");

    if (json_is_true(json_object_get(event, "break_glass"))) {
        approval_buf_adds(out, " alone, by break_glass");
    }

    if (story_is(type, "voted")) {
        story_add(out, ", signed by passkey ",
                  json_object_get(event, "passkey"), "");
    }
}


static void
story_by(json_t *event, approval_buf_t *out)
{
    size_t   i;
    json_t  *name;

    story_add(out, "by ", json_object_get(event, "approvers"), "");

    json_array_foreach(json_object_get(event, "by"), i, name) {
        story_add(out, i ? ", " : "by ", name, "");
    }
}


static void
story_outcome(json_t *outcome, approval_buf_t *out)
{
    story_add(out, "status ", json_object_get(outcome, "status"), "");
    story_add(out, ", ", json_object_get(outcome, "bytes"), " bytes");
    story_add(out, ", ", json_object_get(outcome, "ms"), " ms");
    story_add(out, ", from ", json_object_get(outcome, "upstream"), "");
}


static void
story_add(approval_buf_t *out, const char *before, json_t *value,
    const char *after)
{
    approval_buf_t  text;

    if (value == NULL || json_is_null(value)) {
        return;
    }

    approval_buf_init(&text);

    if (approval_json_text(value, &text) == APPROVAL_OK && text.len) {
        approval_buf_adds(out, before);
        approval_escape_visible(approval_buf_str(&text),
                                APPROVAL_VISIBLE_LINE, out);
        approval_buf_adds(out, after);
    }

    out->failed |= text.failed;

    approval_buf_free(&text);
}


static int
story_is(const char *type, const char *name)
{
    return type && strcmp(type, name) == 0;
}
