
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The description of an action, as the values of a template.
 */


#include "core/message.h"

#include <string.h>


/* Limits in bytes of one value, and of all matched, or all shown, ones. */
#define DATA_VALUE  8192
#define DATA_PAIRS  32768


typedef struct {
    json_t      *data;
    json_t      *list;
    const char  *member;
    size_t       used;
    int          failed;
} data_set_t;


static int data_document(const approval_message_t *m, json_t *data);
static int data_event(const approval_message_t *m, json_t *data);
static int data_times(const approval_message_t *m, json_t *data);
static int data_texts(const approval_message_t *m, json_t *data);
static int data_facts(const approval_message_t *m, json_t *data);
static void data_fact(void *data, const char *name, approval_str_t value);
static int data_pairs(const approval_message_t *m, const char *member,
    json_t *data);
static int data_pair(void *data, approval_str_t name, approval_str_t value);
static int data_item(json_t *list, approval_str_t name, approval_str_t value);
static int data_time(json_t *data, const char *name, const char *seconds,
    int64_t ms);
static int data_set(json_t *data, const char *name, approval_str_t value);
static json_t *data_string(approval_str_t value, size_t hidden);


json_t *
approval_message_data(const approval_message_t *m)
{
    json_t  *data;

    data = json_object();

    if (data == NULL
        || data_event(m, data) != APPROVAL_OK
        || data_document(m, data) != APPROVAL_OK
        || data_times(m, data) != APPROVAL_OK
        || data_texts(m, data) != APPROVAL_OK
        || data_facts(m, data) != APPROVAL_OK
        || data_pairs(m, "matched", data) != APPROVAL_OK
        || data_pairs(m, "show", data) != APPROVAL_OK)
    {
        json_decref(data);
        return NULL;
    }

    return data;
}


static int
data_event(const approval_message_t *m, json_t *data)
{
    int               open;
    approval_event_e  event;

    open = approval_event_open(m->event);

    for (event = APPROVAL_EVENT_REQUESTED; event <= APPROVAL_EVENT_FAILED;
         event++)
    {
        if (json_object_set_new(data, approval_event_name(event),
                                json_boolean(event == m->event))
            != 0)
        {
            return APPROVAL_ERROR;
        }
    }

    if (json_object_set_new(data, "event",
                            json_string(approval_event_name(m->event)))
        != 0
        || json_object_set_new(data, "open", json_boolean(open)) != 0
        || json_object_set_new(data, "closed", json_boolean(!open)) != 0)
    {
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


static int
data_document(const approval_message_t *m, json_t *data)
{
    size_t           i, hidden;
    approval_str_t   risk, body;

    static const char  *names[] = {
        "policy", "rule", "action", "risk", "summary", "requester",
        "on_behalf_of", "reason", "method", "host", "target", "remote_addr",
        "digest", "content_type", "traceparent"
    };

    static const char  *risks[] = { "low", "medium", "high", "critical" };

    static const char  *sizes[] = { "body_bytes", "body_hidden",
                                    "query_hidden" };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (data_set(data, names[i], approval_message_get(m->doc, names[i]))
            != APPROVAL_OK)
        {
            return APPROVAL_ERROR;
        }
    }

    risk = approval_message_get(m->doc, "risk");

    for (i = 0; i < sizeof(risks) / sizeof(risks[0]); i++) {
        if (json_object_set_new(data, risks[i],
                                json_boolean(approval_str_eq(risk,
                                                     approval_str(risks[i]))))
            != 0)
        {
            return APPROVAL_ERROR;
        }
    }

    body = approval_message_get(m->doc, "body");
    hidden = (size_t) json_integer_value(json_object_get(m->doc,
                                                         "body_hidden"));

    if (json_object_set_new(data, "body", data_string(body, body.len
                                                            ? hidden : 0))
        != 0)
    {
        return APPROVAL_ERROR;
    }

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (json_object_set_new(data, sizes[i],
                                json_integer(json_integer_value(
                                       json_object_get(m->doc, sizes[i]))))
            != 0)
        {
            return APPROVAL_ERROR;
        }
    }

    return json_object_set_new(data, "body_declared",
                               json_boolean(approval_message_shown(m->doc)))
           == 0 ? APPROVAL_OK : APPROVAL_ERROR;
}


static int
data_times(const approval_message_t *m, json_t *data)
{
    int64_t  told;

    told = (m->event == APPROVAL_EVENT_REQUESTED) ? m->created : m->told;

    if (data_time(data, "created_at", "created", m->created) != APPROVAL_OK
        || data_time(data, "expires_at", "expires", m->expires) != APPROVAL_OK
        || data_time(data, "told_at", "told", told) != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


static int
data_time(json_t *data, const char *name, const char *seconds, int64_t ms)
{
    char  text[APPROVAL_TIME_LEN + 1];

    approval_time_format(text, ms);

    if (json_object_set_new(data, name, json_string(text)) != 0
        || json_object_set_new(data, seconds, json_integer(ms / 1000)) != 0)
    {
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


static int
data_texts(const approval_message_t *m, json_t *data)
{
    int             rc;
    json_t         *outcome;
    approval_buf_t  title, text;

    approval_buf_init(&title);
    approval_buf_init(&text);

    approval_message_title(m, &title);
    approval_message_outcome(m, &text);

    outcome = json_object_get(m->facts, "outcome");

    rc = APPROVAL_ERROR;

    if (!title.failed && !text.failed
        && data_set(data, "title", approval_buf_str(&title)) == APPROVAL_OK
        && data_set(data, "outcome", approval_buf_str(&text)) == APPROVAL_OK
        && data_set(data, "comment", approval_message_get(m->facts, "comment"))
           == APPROVAL_OK
        && data_set(data, "why", approval_message_get(m->facts, "why"))
           == APPROVAL_OK
        && data_set(data, "id", m->id) == APPROVAL_OK
        && data_set(data, "url", m->url) == APPROVAL_OK
        && data_set(data, "approver", m->approver) == APPROVAL_OK
        && data_set(data, "code", m->code) == APPROVAL_OK
        && data_set(data, "audit_head", m->head) == APPROVAL_OK
        && json_object_set_new(data, "status",
                               json_integer(json_integer_value(
                                     json_object_get(outcome, "status"))))
           == 0
        && json_object_set_new(data, "recent",
                               json_integer((json_int_t) m->recent))
           == 0)
    {
        rc = APPROVAL_OK;
    }

    approval_buf_free(&title);
    approval_buf_free(&text);

    return rc;
}


static int
data_facts(const approval_message_t *m, json_t *data)
{
    data_set_t  set;

    set.list = json_array();
    set.failed = 0;

    if (json_object_set_new(data, "facts", set.list) != 0
        || approval_message_facts(m, data_fact, &set) != APPROVAL_OK
        || set.failed)
    {
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


static void
data_fact(void *data, const char *name, approval_str_t value)
{
    data_set_t  *set = data;

    if (data_item(set->list, approval_str(name), value) != APPROVAL_OK) {
        set->failed = 1;
    }
}


/* Adds each pair to the list, and by its name. */

static int
data_pairs(const approval_message_t *m, const char *member, json_t *data)
{
    data_set_t  set;

    set.data = data;
    set.list = json_array();
    set.member = member;
    set.used = 0;
    set.failed = 0;

    if (json_object_set_new(data, member, set.list) != 0) {
        return APPROVAL_ERROR;
    }

    if (approval_message_pairs(m, member, data_pair, &set) == APPROVAL_DECLINED
        && data_item(set.list, approval_str("\xe2\x80\xa6"),
                     approval_str("more is hidden: see the action's page"))
           != APPROVAL_OK)
    {
        return APPROVAL_ERROR;
    }

    return set.failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
data_pair(void *data, approval_str_t name, approval_str_t value)
{
    data_set_t  *set = data;

    approval_buf_t  key;

    set->used += name.len + (value.len < DATA_VALUE ? value.len : DATA_VALUE);

    if (set->used > DATA_PAIRS) {
        return APPROVAL_DECLINED;
    }

    approval_buf_init(&key);
    approval_buf_printf(&key, "%s.", set->member);
    approval_buf_add(&key, name.data, name.len);
    approval_buf_addc(&key, '\0');

    if (key.failed
        || data_set(set->data, (char *) key.data, value) != APPROVAL_OK
        || data_item(set->list, name, value) != APPROVAL_OK)
    {
        set->failed = 1;
    }

    approval_buf_free(&key);

    return set->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static int
data_item(json_t *list, approval_str_t name, approval_str_t value)
{
    json_t  *item;

    item = json_pack("{s:o, s:o, s:b}", "name", data_string(name, 0),
                     "value", data_string(value, 0),
                     "first", json_array_size(list) == 0);

    return json_array_append_new(list, item) == 0 ? APPROVAL_OK
                                                  : APPROVAL_ERROR;
}


static int
data_set(json_t *data, const char *name, approval_str_t value)
{
    return json_object_set_new(data, name, data_string(value, 0)) == 0
           ? APPROVAL_OK : APPROVAL_ERROR;
}


/* Long values are cut, and say so.  Invalid UTF-8 cannot be a JSON string. */

static json_t *
data_string(approval_str_t value, size_t hidden)
{
    json_t          *string;
    approval_buf_t   text;

    if (value.len == 0) {
        return json_string("");
    }

    hidden += approval_cut(&value, DATA_VALUE);

    if (hidden == 0 && approval_utf8_valid(value)) {
        return json_stringn((const char *) value.data, value.len);
    }

    approval_buf_init(&text);

    if (approval_utf8_valid(value)) {
        approval_buf_add(&text, value.data, value.len);

    } else {
        approval_escape_visible(value, APPROVAL_VISIBLE_TEXT, &text);
    }

    if (hidden) {
        approval_buf_printf(&text, "\xe2\x80\xa6 (%zu bytes hidden)", hidden);
    }

    string = text.failed ? NULL
                         : json_stringn((char *) text.data, text.len);

    approval_buf_free(&text);

    return string;
}


int
approval_message_sample(approval_message_t *m, approval_event_e event,
    const char *risk)
{
    static const char  odd[] = "\"\\' <&>\n%{}[],: \xe2\x82\xac";

    memset(m, 0, sizeof(approval_message_t));

    m->event = event;
    m->id = approval_str("0123456789abcdef0123456789abcdef");
    m->approver = approval_str(odd);
    m->url = approval_str("https://gateway.example/_approval/actions/0?t=1.a");
    m->code = approval_str("123456");
    m->head = approval_str("sha256:0");

    m->doc = json_pack("{s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s"
                       " s:s s:s s:{s:s} s:{s:s}}",
                       "policy", odd, "rule", odd, "action", odd,
                       "risk", risk, "summary", odd, "requester", odd,
                       "on_behalf_of", odd, "reason", odd, "method", "POST",
                       "host", "gateway.example", "target", odd,
                       "remote_addr", "192.0.2.1", "digest", "sha256:0",
                       "content_type", odd, "body", odd,
                       "matched", odd, odd, "show", odd, odd);
    m->facts = json_pack("{s:s s:s s:s s:{s:i}}", "approvers", odd,
                         "comment", odd, "why", odd,
                         "outcome", "status", 200);

    if (m->doc == NULL || m->facts == NULL) {
        json_decref(m->doc);
        json_decref(m->facts);
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}
