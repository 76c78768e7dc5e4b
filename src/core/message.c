
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/message.h"

#include <string.h>


/* " ... (18446744073709551615 bytes hidden)" */
#define HIDDEN_MAX  48


typedef struct {
    const char  *name;
    const char  *title;
    int          open;
} event_t;


static void message_note(approval_buf_t *out, size_t hidden);
static int message_fact(approval_message_fact_pt visit, void *data,
    const char *name, approval_buf_t *buf);
static void message_query(const approval_message_t *m, approval_buf_t *buf);
static void message_body(const approval_message_t *m, approval_buf_t *buf);
static void message_require(const approval_message_t *m, approval_buf_t *buf);
static void message_quote(approval_str_t text, approval_buf_t *out);
static void message_by(json_t *facts, approval_buf_t *out);


/* by approval_event_e */

static const event_t  events[] = {
    { "requested", "Approval needed", 1 },
    { "reminder", "Still waiting for approval", 1 },
    { "escalated", "Escalated: approval needed", 1 },
    { "approved", "Approved", 0 },
    { "denied", "Denied", 0 },
    { "expired", "Expired", 0 },
    { "cancelled", "Cancelled", 0 },
    { "executed", "Executed", 0 },
    { "failed", "Outcome unknown", 0 }
};


const char *
approval_event_name(approval_event_e event)
{
    return events[event].name;
}


int
approval_event_open(approval_event_e event)
{
    return events[event].open;
}


size_t
approval_message_cost(approval_str_t s)
{
    size_t  i, n;

    n = s.len;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] == '"' || s.data[i] == '\\') {
            n++;

        } else if (s.data[i] < 0x20) {
            n += 5;
        }
    }

    return n;
}


/*
 * Adds one character at a time, so that no escape is cut, and the time depends
 * on max and not on the length of s.
 */

void
approval_message_fit(approval_str_t s, approval_visible_e mode,
    approval_escape_pt escape, size_t max, size_t hidden,
    approval_buf_t *out)
{
    size_t                start, used, safe, safe_left, room;
    approval_buf_t        seen, text;
    approval_str_t        one;
    const unsigned char  *p, *last;

    approval_buf_init(&seen);
    approval_buf_init(&text);

    start = out->len;
    used = 0;
    safe = start;
    safe_left = s.len;
    room = max - HIDDEN_MAX;

    /* an empty buffer has no data */

    p = s.len ? s.data : (const unsigned char *) "";
    last = p + s.len;

    while (p < last) {
        one.data = p;
        (void) approval_utf8_next(&p, last);
        one.len = (size_t) (p - one.data);

        approval_buf_reset(&seen);
        approval_buf_reset(&text);
        approval_escape_visible(one, mode, &seen);
        escape(approval_buf_str(&seen), &text);

        used += approval_message_cost(approval_buf_str(&text));

        if (seen.failed || text.failed) {
            out->failed = 1;
        }

        if (used > max || out->failed) {
            break;
        }

        approval_buf_add(out, text.data, text.len);

        if (used <= room) {
            safe = out->len;
            safe_left = (size_t) (last - p);
        }
    }

    if (!out->failed && (used > max || (hidden && used > room))) {
        out->len = safe;
        hidden += safe_left;
    }

    if (hidden) {
        message_note(out, hidden);
    }

    approval_buf_free(&seen);
    approval_buf_free(&text);
}


static void
message_note(approval_buf_t *out, size_t hidden)
{
    approval_buf_printf(out, "\xe2\x80\xa6 (%zu bytes hidden)", hidden);
}


approval_str_t
approval_message_get(json_t *object, const char *name)
{
    json_t          *value;
    approval_str_t   s;

    value = json_object_get(object, name);

    if (!json_is_string(value)) {
        return approval_str("");
    }

    s.len = json_string_length(value);
    s.data = (const unsigned char *) json_string_value(value);

    return s;
}


void
approval_message_title(const approval_message_t *m, approval_buf_t *out)
{
    approval_str_t  action, risk;

    action = approval_message_get(m->doc, "action");
    risk = approval_message_get(m->doc, "risk");

    approval_buf_adds(out, events[m->event].title);
    approval_buf_adds(out, ": ");

    if (events[m->event].open) {
        approval_buf_adds(out, "risk ");
        approval_buf_add(out, risk.data, risk.len);
        approval_buf_adds(out, ", ");
    }

    approval_buf_add(out, action.data, action.len);
}


int
approval_message_facts(const approval_message_t *m,
    approval_message_fact_pt visit, void *data)
{
    int             failed;
    char            time[APPROVAL_TIME_LEN + 1];
    approval_buf_t  buf;
    approval_str_t  s;

    failed = 0;

    approval_buf_init(&buf);

    visit(data, "Requester", approval_message_get(m->doc, "requester"));

    s = approval_message_get(m->doc, "on_behalf_of");

    if (s.len) {
        visit(data, "On behalf of", s);
    }

    s = approval_message_get(m->doc, "method");
    approval_buf_add(&buf, s.data, s.len);
    approval_buf_addc(&buf, ' ');
    s = approval_message_get(m->doc, "host");
    approval_buf_add(&buf, s.data, s.len);
    s = approval_message_get(m->doc, "target");
    approval_buf_add(&buf, s.data, s.len);
    failed |= message_fact(visit, data, "Request", &buf);

    message_query(m, &buf);

    if (buf.len) {
        failed |= message_fact(visit, data, "Query", &buf);
    }

    message_body(m, &buf);

    if (buf.len) {
        failed |= message_fact(visit, data, "Body", &buf);
    }

    s = approval_message_get(m->doc, "rule");
    approval_buf_add(&buf, s.data, s.len);
    approval_buf_adds(&buf, ", of policy ");
    s = approval_message_get(m->doc, "policy");
    approval_buf_add(&buf, s.data, s.len);
    failed |= message_fact(visit, data, "Rule", &buf);

    if (events[m->event].open) {
        message_require(m, &buf);
        failed |= message_fact(visit, data, "Needs", &buf);

        approval_time_format(time, m->expires);
        visit(data, "Expires", approval_str(time));

        approval_buf_printf(&buf, "%lu of this requester in 10 minutes",
                            m->recent);
        failed |= message_fact(visit, data, "Requests", &buf);

        visit(data, "From", approval_message_get(m->doc, "remote_addr"));
    }

    visit(data, "Digest", approval_message_get(m->doc, "digest"));
    visit(data, "Action id", m->id);

    s = approval_message_get(m->doc, "traceparent");

    if (s.len) {
        visit(data, "Trace", s);
    }

    if (m->head.len) {
        visit(data, "Audit head", m->head);
    }

    approval_buf_free(&buf);

    return failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
message_fact(approval_message_fact_pt visit, void *data, const char *name,
    approval_buf_t *buf)
{
    int  failed;

    visit(data, name, approval_buf_str(buf));

    failed = buf->failed;

    approval_buf_reset(buf);

    return failed;
}


int
approval_message_pairs(const approval_message_t *m, const char *member,
    approval_message_pair_pt visit, void *data)
{
    int              rc;
    json_t          *value;
    const char      *key;
    approval_buf_t   buf;

    approval_buf_init(&buf);

    rc = APPROVAL_OK;

    json_object_foreach(json_object_get(m->doc, member), key, value) {
        approval_buf_reset(&buf);

        if (approval_json_text(value, &buf) != APPROVAL_OK || buf.failed) {
            rc = APPROVAL_ERROR;
            break;
        }

        rc = visit(data, approval_str(key), approval_buf_str(&buf));

        if (rc != APPROVAL_OK) {
            break;
        }
    }

    approval_buf_free(&buf);

    return rc;
}


int
approval_message_shown(json_t *doc)
{
    return json_object_get(doc, "body") != NULL
           || !json_is_false(json_object_get(doc, "body_declared"));
}


unsigned
approval_message_votes(json_t *doc)
{
    unsigned        votes;
    approval_str_t  comment;

    if (!approval_message_shown(doc) || json_object_get(doc, "vote")) {
        return 0;
    }

    votes = APPROVAL_VOTE_APPROVE|APPROVAL_VOTE_DENY;
    comment = approval_message_get(doc, "comment_required");

    if (approval_str_eq(approval_message_get(doc, "risk"),
                        approval_str("critical"))
        || approval_str_eq(comment, approval_str("always")))
    {
        votes &= ~APPROVAL_VOTE_APPROVE;
    }

    if (comment.len) {
        votes &= ~APPROVAL_VOTE_DENY;
    }

    return votes;
}


/* Parts of the request that the document omits are described by their size. */

static void
message_query(const approval_message_t *m, approval_buf_t *buf)
{
    json_int_t  hidden;

    hidden = json_integer_value(json_object_get(m->doc, "query_hidden"));

    if (hidden) {
        approval_buf_printf(buf, "%" JSON_INTEGER_FORMAT " bytes, not shown "
                            "here: see the action's page", hidden);
    }
}


static void
message_body(const approval_message_t *m, approval_buf_t *buf)
{
    json_int_t      bytes;
    approval_str_t  type;

    bytes = json_integer_value(json_object_get(m->doc, "body_bytes"));
    type = approval_message_get(m->doc, "content_type");

    if (bytes == 0 || json_object_get(m->doc, "body")) {
        return;
    }

    approval_buf_add(buf, type.data, type.len);
    approval_buf_printf(buf, ", %" JSON_INTEGER_FORMAT " bytes, %s", bytes,
                        approval_message_shown(m->doc)
                        ? "of which only the declared parts are shown here"
                        : "not shown here: see the action's page");
}


/* "2 of dba, security and 1 of managers" */

static void
message_require(const approval_message_t *m, approval_buf_t *buf)
{
    size_t           i, n;
    json_t          *lines, *line, *group;
    approval_str_t   name;

    lines = json_object_get(m->doc, "require");

    json_array_foreach(lines, i, line) {
        approval_buf_printf(buf, "%s%" JSON_INTEGER_FORMAT " of ",
                            i ? " and " : "",
                     json_integer_value(json_object_get(line, "count")));

        json_array_foreach(json_object_get(line, "groups"), n, group) {
            name.len = json_string_length(group);
            name.data = (const unsigned char *) json_string_value(group);

            approval_buf_adds(buf, n ? ", " : "");
            approval_buf_add(buf, name.data, name.len);
        }
    }
}


void
approval_message_outcome(const approval_message_t *m, approval_buf_t *out)
{
    json_t          *outcome;
    approval_str_t   text;

    if (events[m->event].open) {
        return;
    }

    message_by(m->facts, out);

    text = approval_message_get(m->facts, "comment");

    if (text.len) {
        approval_buf_adds(out, "Comment: ");
        message_quote(text, out);
        approval_buf_addc(out, '\n');
    }

    text = approval_message_get(m->facts, "why");

    if (text.len) {
        approval_buf_adds(out, "Because: ");
        approval_buf_add(out, text.data, text.len);
        approval_buf_addc(out, '\n');
    }

    outcome = json_object_get(m->facts, "outcome");

    if (outcome) {
        approval_buf_printf(out, "Upstream: status %" JSON_INTEGER_FORMAT
                            ", %" JSON_INTEGER_FORMAT " bytes, %"
                            JSON_INTEGER_FORMAT " ms\n",
                      json_integer_value(json_object_get(outcome, "status")),
                      json_integer_value(json_object_get(outcome, "bytes")),
                      json_integer_value(json_object_get(outcome, "ms")));
    }

    if (out->len && out->data[out->len - 1] == '\n') {
        out->len--;
    }
}


/* Marks further lines of a user's text, so that they do not look like ours. */

static void
message_quote(approval_str_t text, approval_buf_t *out)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        approval_buf_addc(out, text.data[i]);

        if (text.data[i] == '\n') {
            approval_buf_adds(out, "> ");
        }
    }
}


static void
message_by(json_t *facts, approval_buf_t *out)
{
    size_t           i;
    json_t          *by, *name;
    approval_str_t   text;

    by = json_object_get(facts, "by");
    text = approval_message_get(facts, "approvers");

    if (json_array_size(by)) {
        approval_buf_adds(out, "By ");

        json_array_foreach(by, i, name) {
            approval_buf_adds(out, i ? ", " : "");
            approval_buf_add(out, json_string_value(name),
                             json_string_length(name));
        }

        approval_buf_addc(out, '\n');

    } else if (text.len) {
        approval_buf_adds(out, "By ");
        approval_buf_add(out, text.data, text.len);
        approval_buf_addc(out, '\n');
    }
}
